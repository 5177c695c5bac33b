"""GitOps tools: everything is installed by them, nothing twice, and nothing differs for ever from what is in Git.

The rendered objects go through what Argo CD does (tests/deploy/argo.py); that gpuwarden leaves alone at run time what is
rendered is tested in tests/e2e/test_chart.py.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.release import project_version as release_version
from hack.render_manifests import CHART, NAMESPACE
from hack.tools import ROOT
from tests.deploy.argo import OPENSHIFT, api_versions, application, key
from tests.deploy.chart import MODES, SUPPORTED, Chart, Json, RefusedError, Rendered, leaves, merged

ON = {"create": True}
# Everything that adds or removes objects, or changes how they are rendered.
FEATURES: dict[str, Json] = {
    "audit mode": {"install": {"mode": "audit"}},
    "one replica": {"replicas": 1},
    "backstop": {"backstop": {"enabled": True}},
    "reports": {"audit": {"report": {"enabled": True}}},
    "monitor": {"monitoring": {"serviceMonitor": ON}},
    "rules": {"monitoring": {"prometheusRule": ON}},
    "dashboard": {"monitoring": {"dashboard": ON}},
    "namespace": {"namespace": ON},
    "hostNetwork": {"hostNetwork": True},
    "issuer": {"certificates": {"certManager": {"issuerRef": {"name": "ours"}}}},
    "client certificates": {"clientAuth": {"caSecret": "webhook-clients"}},
    "no account": {"serviceAccount": {"create": False, "name": "existing"}},
    "no quota": {"criticalPodsQuota": {"create": False}},
    "no policy": {"networkPolicy": {"create": False}},
    "no guard": {"webhooks": {"guard": {"enabled": False}}},
    "named": {"fullnameOverride": "zz-gpuwarden"},
    "labelled": {"commonLabels": {"team": "gpu"}},
}
CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def documented() -> dict[str, Json]:
    """The objects that docs/how-to/gitops.md shows, by kind."""
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```", (ROOT / "docs/how-to/gitops.md").read_text())
    return {document["kind"]: document for block in blocks for document in yaml.safe_load_all(block)}


def test_the_documented_application_and_release_install_this_chart_with_values_that_it_accepts(chart: Chart) -> None:
    shown = documented()
    source, release = shown["Application"]["spec"]["source"], shown["HelmRelease"]["spec"]
    for folder, values in (
        (source["path"], source["helm"]["valuesObject"]),
        (release["chart"]["spec"]["chart"], release["values"]),
    ):
        assert ROOT / folder == CHART
        rendered = chart.render(values)
        assert rendered.container["image"].startswith("registry.example.com/gpuwarden:")
        assert rendered.webhooks["validate.gpuwarden.io"]["failurePolicy"] == "Ignore"
    namespaces = {shown["Application"]["spec"]["destination"]["namespace"], release["targetNamespace"]}
    assert namespaces == {NAMESPACE}
    assert release["chart"]["spec"]["sourceRef"] == {
        "kind": "GitRepository",
        "name": shown["GitRepository"]["metadata"]["name"],
    }
    tags = {source["targetRevision"], shown["GitRepository"]["spec"]["ref"]["tag"]}
    assert tags == {f"v{release_version()}"}


def everything_is_installed(rendered: Rendered, without_a_cluster: Rendered) -> None:
    found = application(rendered.objects, NAMESPACE)
    assert found.repeated == ()
    assert found.hooks == ()
    assert found.left_out == ()
    # Flux and Helm see the cluster's own list of APIs, `helm template` none: all install the same.
    keys = {key(document, NAMESPACE) for document in found.installed}
    assert keys == {key(document, NAMESPACE) for document in without_a_cluster.objects}
    for kind in CONFIGURATIONS:
        (configuration,) = (document for document in found.installed if document["kind"] == kind)
        assert configuration["webhooks"]
    assert missing(found.installed) == set()


def missing(objects: tuple[Json, ...]) -> set[tuple[str, str]]:
    """Whatever of ours an object names and nobody makes, by kind and name."""
    there = {(document["kind"], document["metadata"]["name"]) for document in objects}
    return {named for document in objects for named in _named(document)} - there - FROM_ELSEWHERE


# Made at run time, by cert-manager, or by the user.
FROM_ELSEWHERE = {
    *(("Secret", name) for name in ("our-tls", "webhook-clients", "gpuwarden-tls", "zz-gpuwarden-tls")),
    ("ServiceAccount", "existing"),
}


def _named(document: Json) -> Iterator[tuple[str, str]]:
    if role := document.get("roleRef"):
        yield role["kind"], role["name"]
        yield from ((subject["kind"], subject["name"]) for subject in document["subjects"])
    for webhook in document.get("webhooks", ()):
        yield "Service", webhook["clientConfig"]["service"]["name"]
    if document["kind"] in {"Deployment", "CronJob"}:
        spec = document["spec"]
        pod = (spec.get("jobTemplate") or document)["spec"]["template"]["spec"]
        yield "ServiceAccount", pod["serviceAccountName"]
        for volume in pod["volumes"]:
            if "configMap" in volume:
                yield "ConfigMap", volume["configMap"]["name"]
            if "secret" in volume:
                yield "Secret", volume["secret"]["secretName"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(sorted(MODES)),
    chosen=st.sets(st.sampled_from(sorted(FEATURES))),
    kubernetes=st.sampled_from(SUPPORTED),
    openshift=st.booleans(),
)
def test_argo_cd_installs_everything_and_nothing_twice(
    chart: Chart, mode: str, chosen: set[str], kubernetes: str, *, openshift: bool
) -> None:
    values = merged(MODES[mode], *(FEATURES[name] for name in sorted(chosen)))
    told = api_versions(OPENSHIFT if openshift else ())
    rendered = chart.render(values, kubernetes=kubernetes, more=[*told, "--include-crds", "--skip-tests"])
    everything_is_installed(rendered, chart.render(values, kubernetes=kubernetes))


@pytest.mark.parametrize("feature", FEATURES)
def test_argo_cd_installs_everything_with_each_setting(chart: Chart, feature: str) -> None:
    mode = "cert-manager" if feature == "issuer" else "self-managed"
    values = merged(MODES[mode], FEATURES[feature])
    everything_is_installed(chart.render(values, more=api_versions()), chart.render(values))


@pytest.mark.parametrize("name", ["r" * 53, "gpuwarden-audit", "a-gpuwarden-issuer", "x" * 45 + "-audit"])
def test_no_name_of_a_release_makes_two_objects_meet(chart: Chart, mode: str, name: str) -> None:
    values = merged(MODES[mode], *(FEATURES[feature] for feature in ("reports", "dashboard", "backstop", "namespace")))
    for more in ({}, {"fullnameOverride": name[:50]}):
        rendered = chart.render(merged(values, more), release=name, more=api_versions())
        assert application(rendered.objects, NAMESPACE).repeated == ()


def test_nor_does_an_account_of_the_audits_name(chart: Chart) -> None:
    account: Json = {"serviceAccount": {"name": "gpuwarden-audit"}}
    with pytest.raises(RefusedError, match=r"serviceAccount\.name: gpuwarden-audit is the name of the audit's own"):
        chart.render(merged(account, FEATURES["reports"]))
    assert chart.render(account).the("ServiceAccount")["metadata"]["name"] == "gpuwarden-audit"


def test_the_replay_finds_what_went_wrong_once() -> None:
    """Twins of the configurations as hooks of helm's, and a Secret that is one: nothing was installed of the first."""
    real: Json = {"apiVersion": "a/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "n"}}
    twin = merged(real, {"metadata": {"annotations": {"helm.sh/hook": "pre-delete"}}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {"helm.sh/hook": "post-delete"}},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "annotations": {"helm.sh/hook": "pre-install"}},
    }
    found = application([real, twin, secret, job], "there")
    assert found.installed == ()
    assert found.left_out == (twin, secret)
    assert found.hooks == (job,)
    assert found.repeated == (("a", "MutatingWebhookConfiguration", "", "n"),)


def test_nothing_that_is_written_at_run_time_is_rendered(in_each_mode: dict[str, Rendered], mode: str) -> None:
    """The caBundle, paths, the CA's Secret: a rendered value would be put back by self-healing, and shown as a difference."""
    rendered = in_each_mode[mode]
    assert rendered.all("Secret") == []
    assert not [path for document in rendered.objects for path, _ in leaves(document) if "caBundle" in path]
    webhooks = rendered.webhooks.values()
    assert {"path" in webhook["clientConfig"]["service"] for webhook in webhooks} == {mode != "self-managed"}


def test_two_renderings_are_one_and_the_same(chart: Chart, mode: str) -> None:
    everything = merged(MODES[mode], *(FEATURES[name] for name in ("reports", "rules", "monitor", "backstop")))
    assert chart.render(everything).objects == chart.render(everything).objects


def test_no_object_is_empty_in_a_field_that_the_api_server_would_drop(chart: Chart, mode: str) -> None:
    """Argo CD with server-side diff, and Flux, compare what is rendered with what is stored."""
    everything = merged(MODES[mode], *(FEATURES[name] for name in ("reports", "monitor", "backstop", "dashboard")))
    rendered = chart.render(everything)
    nothing: list[Any] = [None, "", [], {}]
    may_be_empty = {"apiGroups[0]", "selfSigned"}  # the core group; the kind of issuer that has no fields
    found = {
        f"{document['kind']} {path}"
        for document in rendered.objects
        for path, value in leaves(document)
        if value in nothing and path.rpartition(".")[2] not in may_be_empty
    }
    assert found == set()
