"""``inTree``: the chart renders the admission policies of ``gpuwarden compile``, and leaves every other pod to the webhooks."""

import subprocess
from typing import Any

import pytest
import yaml

from hack import in_tree
from hack.render_manifests import CHART, NAMESPACE
from hack.tools import ROOT
from tests.deploy.chart import Chart, Json, RefusedError, Rendered
from webhook.adapters.configuration.file import parse
from webhook.application.in_tree_compiler import ANNOTATION, compiled
from webhook.application.in_tree_webhooks import SPLIT, WEBHOOK_KINDS, beside

V136 = "1.36.0"
CONFIGURED: Json = {
    "policies": {
        "team": {
            "forms": ["mps", "exclusive"],
            "maxPerPod": 4,
            "env": {"A": "<&>"},
            "tolerations": [{"key": "team", "value": "a"}],
        },
        "offered": {"forms": ["shared", "exclusive"], "prefer": "offered"},
    },
    "defaults": {"enforce": "team"},
    "exemptions": {
        "namespaces": ["b", "a"],
        "usernames": ["it's", "alice"],
        "runtimeClasses": ["kata"],
        "schedulers": ["kai-scheduler", "default-scheduler"],
    },
}
KINDS = ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy")


def in_tree_of(rendered: Rendered) -> dict[tuple[str, str], Json]:
    """The admission policies and bindings, by kind and name."""
    found = [o for o in rendered.objects if ANNOTATION in (o["metadata"].get("annotations") or {})]
    return {(o["kind"], o["metadata"]["name"]): o for o in found}


def recompiled(chart: Chart, values: Json, *arguments: str) -> Json:
    """The values with what ``gpuwarden compile --chart`` prints for them, as docs/how-to/in-tree.md has it."""
    text = chart.helm(
        "template", "gpuwarden", str(CHART), "--namespace", NAMESPACE, "--values", "-", "--set", "inTree=null",
        "--show-only", "templates/configmap.yaml", values=values,
    )  # fmt: skip
    program = [str(ROOT / ".venv/bin/gpuwarden"), "compile", "--chart", "-", *arguments]
    printed = subprocess.run(program, input=text, capture_output=True, text=True, check=True).stdout
    made: Json = yaml.safe_load(printed)["inTree"]
    return {**values, "inTree": {**values["inTree"], **made}}


@pytest.fixture(scope="module")
def configured(chart: Chart) -> Json:
    """Values with policies of their own, compiled."""
    values: Json = {"config": CONFIGURED, "inTree": {"enabled": True, "webhooks": "rest"}}
    return recompiled(chart, values, "--policy", "mig-1g.5gb")


def test_nothing_changes_where_it_is_off(rendered: Rendered) -> None:
    assert in_tree_of(rendered) == {}
    assert [name for name in rendered.webhooks if name.endswith(SPLIT)] == [*SPLIT]


def test_the_charts_own_file_is_what_compile_makes_of_the_default_config(chart: Chart) -> None:
    assert in_tree.TARGET.read_text() == in_tree.text(), "run make manifests"
    assert in_tree_of(chart.render({"inTree": {"enabled": True}}, kubernetes=V136))


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("only", [True, False])
def test_the_objects_are_those_of_compile(chart: Chart, configured: Json, *, own: bool, only: bool) -> None:
    """But for the chart's labels, and the namespaces that no webhook is asked about either."""
    values = configured if own else {"inTree": {"enabled": True}}
    more = {"only": True, "denyOthers": True} if only else {}
    rendered = chart.render({**values, "inTree": {**values["inTree"], **more}}, kubernetes=V136)
    made = compiled(parse(rendered.configuration_file), ["mig-1g.5gb"] if own else [], deny_others=only)
    found = in_tree_of(rendered)
    assert {*found} == {(each["kind"], each["metadata"]["name"]) for each in made.objects}
    for each in made.objects:
        one = found[each["kind"], each["metadata"]["name"]]
        assert one["metadata"]["annotations"][ANNOTATION] == each["metadata"]["annotations"][ANNOTATION]
        assert without_names(one["spec"]) == without_names(each["spec"])


def without_names(spec: Json) -> Json:
    """A spec without the requirement on the namespaces' names."""
    if "policyName" not in spec:
        return spec
    expressions = spec["matchResources"]["namespaceSelector"]["matchExpressions"]
    kept = [each for each in expressions if each["key"] != "kubernetes.io/metadata.name"]
    return {**spec, "matchResources": {"namespaceSelector": {"matchExpressions": kept}}}


def test_no_namespace_is_bound_that_no_webhook_is_asked_about(chart: Chart, configured: Json) -> None:
    rendered = chart.render({**configured, "webhooks": {"excludedNamespaces": ["c"]}}, kubernetes=V136)
    bindings = [o["spec"] for (kind, _), o in in_tree_of(rendered).items() if kind.endswith("Binding")]
    names = {tuple(spec["matchResources"]["namespaceSelector"]["matchExpressions"][-1]["values"]) for spec in bindings}
    assert names == {("a", "b", "c", NAMESPACE, "kube-system")}


def test_the_webhooks_are_asked_about_everything_else(chart: Chart, configured: Json) -> None:
    rendered = chart.render(configured, kubernetes=V136)
    off = chart.render({"config": CONFIGURED})
    made = compiled(parse(rendered.configuration_file), ["mig-1g.5gb"])
    for kind in WEBHOOK_KINDS:
        assert rendered.the(kind)["webhooks"] == beside(off.the(kind), made)["webhooks"]


def test_webhooks_that_are_always_asked_about_everything_warn_themselves(chart: Chart, configured: Json) -> None:
    def warning(**how: Any) -> set[str]:
        rendered = chart.render({**configured, "inTree": {**configured["inTree"], **how}}, kubernetes=V136)
        return {name for kind, name in in_tree_of(rendered) if kind.endswith("Policy") and name.endswith(".warns")}

    assert warning(webhooks="rest") == warning(webhooks="all", only=True)
    assert warning(webhooks="auto") == {f"gpuwarden-{policy}.warns" for policy in ("team", "mps", "mig-1g.5gb")}
    assert warning(webhooks="all") == set()


def test_until_the_policies_act_the_webhooks_are_asked_about_everything(chart: Chart, configured: Json) -> None:
    """The parts are there, so that they are trusted when they are asked. Here Helm knows no cluster."""
    values = {**configured, "inTree": {**configured["inTree"], "webhooks": "auto"}}
    webhooks = chart.render(values, kubernetes=V136).webhooks
    off = chart.render({"config": CONFIGURED}).webhooks
    for name in SPLIT:
        assert webhooks[name] == off[name]
        parts = [webhook for other, webhook in webhooks.items() if other.endswith(f".{name}")]
        assert len(parts) == 11
        assert all(part["matchConditions"][-1]["expression"] == "false" for part in parts)


def test_alone_nothing_runs(chart: Chart) -> None:
    rendered = chart.render({"inTree": {"only": True}}, kubernetes=V136)
    kinds = {o["kind"] for o in rendered.objects}
    assert kinds == {"ConfigMap", *KINDS, *(f"{kind}Binding" for kind in KINDS)}


def test_alone_no_alert_is_about_replicas(chart: Chart) -> None:
    monitoring = {"prometheusRule": {"create": True}}
    rendered = chart.render({"inTree": {"only": True}, "monitoring": monitoring}, kubernetes=V136)
    groups = rendered.the("PrometheusRule")["spec"]["groups"]
    assert [rule["alert"] for group in groups for rule in group["rules"]] == ["GpuwardenAdmissionPolicyFailing"]


def test_others_are_denied_only_where_that_is_set(chart: Chart) -> None:
    def others(**more: Any) -> list[str]:
        rendered = chart.render({"inTree": {"only": True, **more}}, kubernetes=V136)
        return [name for _, name in in_tree_of(rendered) if name.endswith(".others")]

    assert others() == []
    assert "gpuwarden-shared.others" in others(denyOthers=True)


def test_in_audit_mode_nothing_is_decided(chart: Chart) -> None:
    rendered = chart.render({"inTree": {"enabled": True}, "install": {"mode": "audit"}}, kubernetes=V136)
    assert in_tree_of(rendered) == {}
    assert [name for name in rendered.webhooks if name.endswith(SPLIT)] == [*SPLIT]


@pytest.mark.parametrize(
    ("values", "kubernetes", "said"),
    [
        ({"inTree": {"enabled": True}}, "v1.35.9-gke.1", "inTree.enabled: MutatingAdmissionPolicy is stable from Kube"),
        ({"inTree": {"only": True}}, "1.30.0", "set inTree.only=false"),
        ({"inTree": {"only": True}, "install": {"mode": "audit"}}, V136, "inTree.only: install.mode is audit"),
        ({"inTree": {"enabled": True, "denyOthers": True}}, V136, "inTree.denyOthers: the webhooks decide all other"),
        (
            {"inTree": {"enabled": True}, "config": CONFIGURED},
            V136,
            "inTree: the chart has only the policies of the default config; run: helm template",
        ),
        (
            {"inTree": {"only": True, "compiled": {"configuration": "x", "policies": []}}},
            V136,
            "inTree.compiled: it was compiled for another config; run: helm template",
        ),
    ],
)
def test_what_can_not_be_is_said_with_the_fix(chart: Chart, values: Json, kubernetes: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        chart.render(values, kubernetes=kubernetes)


def test_nothing_to_install_is_an_error_where_nothing_else_decides(chart: Chart) -> None:
    values = recompiled(chart, {"config": {"defaults": {"audit": "mps"}}, "inTree": {"only": True}})
    with pytest.raises(RefusedError, match="none of the configuration's policies can be expressed in CEL"):
        chart.render(values, kubernetes=V136)


@pytest.mark.parametrize("version", ["1.36.0", "v1.36.2-gke.100", "v1.37.0+k3s1"])
def test_real_versions_are_understood(chart: Chart, version: str) -> None:
    assert in_tree_of(chart.render({"inTree": {"enabled": True}}, kubernetes=version))
