"""Where the guard fails closed: exactly in the namespaces whose policy denies, as the engine reads the same configuration."""

from itertools import product
from typing import Any

import msgspec
import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so

from hack.render_manifests import NAMESPACE
from tests.application.diagnosis.world import healthy, the_result
from tests.builders import view
from tests.deploy.chart import Chart, Json, Rendered
from webhook.adapters.configuration import file as configuration_file
from webhook.application.certificates.tokens import PATHS
from webhook.application.diagnosis.facts import Facts
from webhook.application.diagnosis.our_webhooks import GUARDS
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import Webhook, WebhookConfiguration
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import FindingAction

ENFORCE, NAME = "gpuwarden.io/enforce", "kubernetes.io/metadata.name"
POLICIES: Json = {
    "strict": {"forms": ["exclusive"], "visibleDevices": "deny"},
    "loose": {"forms": ["exclusive"], "visibleDevices": "warn"},
    "off": {"forms": ["exclusive"], "visibleDevices": "ignore"},
    "silent": {"forms": ["exclusive"]},
}
LABELS = [None, "any", "none", "shared", "mig-1g.5gb", "gke-mps-4", *POLICIES]
NAMESPACES = ["team-a", "gpu-operator", "rook-ceph", "exempt"]


def configurations() -> list[Json]:
    """Every default of ``visibleDevices``, with every policy of unlabelled namespaces and with few policies or many."""
    some = [{}, {"strict": POLICIES["strict"]}, {"loose": POLICIES["loose"]}, POLICIES]
    return [
        {"visibleDevices": everywhere, "defaults": {"enforce": unlabelled}, "policies": policies}
        for everywhere, policies in product([None, "ignore", "warn", "deny"], some)
        for unlabelled in ("any", "shared", *policies)
    ]


def guards(rendered: Rendered) -> list[Webhook]:
    return [msgspec.convert(one, Webhook) for name, one in rendered.webhooks.items() if GUARDS.fullmatch(name)]


def the_guard_of(rendered: Rendered, namespace: str, label: str | None) -> Webhook:
    """The one webhook of the guard that is asked about pods of a namespace."""
    labels = {NAME: namespace} | ({} if label is None else {ENFORCE: label})
    (found,) = (one for one in guards(rendered) if one.selects(labels))
    return found


@pytest.mark.parametrize("config", configurations(), ids=str)
def test_each_namespace_has_one_guard_that_is_closed_where_its_policy_denies(chart: Chart, config: Json) -> None:
    """The cluster, gpuwarden itself and namespaces that are left out have none."""
    more = {"exemptions": {"namespaces": ["gpu-operator", "kube-system", "exempt"]}}
    rendered = chart.render({"config": {**config, **more}, "webhooks": {"excludedNamespaces": ["ours"]}})
    book = configuration_file.parse(rendered.configuration_file).policies
    assert {one.name for one in guards(rendered)} <= PATHS.keys(), "else gpuwarden would write no path to one"

    for namespace, label in product(NAMESPACES, LABELS):
        denies = book.select(NamespaceLabels(enforce=label)).enforce
        if denies.unreadable:  # refused by /validate-namespace; see docs/reference/guard.md
            continue
        closed = namespace == "team-a" and denies.guard is FindingAction.DENY
        assert the_guard_of(rendered, namespace, label).failure_policy == ("Fail" if closed else "Ignore"), label
    for namespace, label in product(["kube-system", NAMESPACE, "ours"], LABELS):
        labels = {NAME: namespace} | ({} if label is None else {ENFORCE: label})
        assert not any(one.selects(labels) for one in guards(rendered))
    result = the_result(installed(rendered), "guard")
    assert result.status is CheckStatus.OK, result


def installed(rendered: Rendered) -> Facts:
    """What `gpuwarden doctor` sees of an installation from the chart."""
    found = msgspec.convert(rendered.the("ValidatingWebhookConfiguration"), WebhookConfiguration)
    return healthy(validating=found, configuration=configuration_file.parse(rendered.configuration_file))


@pytest.mark.parametrize("config", [{"visibleDevices": "deny"}, {"policies": {"strict": POLICIES["strict"]}}])
def test_in_audit_mode_it_is_open_whatever_the_values_say(chart: Chart, config: Json) -> None:
    for said in ("", "Fail"):
        values = {"install": {"mode": "audit"}, "config": config, "webhooks": {"guard": {"failurePolicy": said}}}
        (one,) = guards(chart.render(values))
        assert one.failure_policy == "Ignore"


def test_the_values_overrule_what_is_derived(chart: Chart) -> None:
    def policies(failure_policy: str, **config: Any) -> dict[str, str]:
        values = {"config": config, "webhooks": {"guard": {"failurePolicy": failure_policy}}}
        return {one.name: one.failure_policy for one in guards(chart.render(values))}

    assert policies("Ignore", visibleDevices="deny") == {"guard.gpuwarden.io": "Ignore"}
    closed = {"guard.gpuwarden.io": "Fail", "guard-open.gpuwarden.io": "Ignore"}
    assert policies("Fail") == policies("", visibleDevices="deny") == closed


def test_open_namespaces_can_be_none_and_are_never_those_that_are_left_out(chart: Chart) -> None:
    config = {"visibleDevices": "deny", "exemptions": {"namespaces": ["kube-system", NAMESPACE, "ours"]}}
    webhooks = {"guard": {"openNamespaces": []}, "excludedNamespaces": ["ours"]}

    (one,) = guards(chart.render({"config": config, "webhooks": webhooks}))
    assert (one.name, one.failure_policy) == ("guard.gpuwarden.io", "Fail")


EXEMPTIONS: Json = {
    "namespaces": [],
    "usernames": ["system:serviceaccount:ci:runner"],
    "runtimeClasses": ["nvidia-ours"],
    "schedulers": ["hami-scheduler", "kai-scheduler"],
}
PRIVILEGED = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
MIRROR = {"kubernetes.io/config.mirror": "x"}


def a_pod(annotations: Json | None = None, **spec: Any) -> Json:
    metadata = {"name": "p", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [PRIVILEGED], **spec}}


@pytest.mark.parametrize(
    ("pod", "user", "operation"),
    [
        (a_pod(), "alice", "CREATE"),
        (a_pod(), "system:serviceaccount:ci:runner", "CREATE"),
        (a_pod(runtimeClassName="nvidia-ours"), "alice", "CREATE"),
        (a_pod(runtimeClassName="nvidia"), "alice", "CREATE"),
        (a_pod(schedulerName="kai-scheduler"), "alice", "CREATE"),
        (a_pod(schedulerName="kai-scheduler", nodeName="n"), "alice", "CREATE"),
        (a_pod(schedulerName="kai-scheduler-2"), "alice", "CREATE"),
        (a_pod(MIRROR, nodeName="n"), "system:node:n", "CREATE"),
    ],
)
def test_what_is_exempt_never_waits_where_the_guard_is_closed(
    chart: Chart, pod: Json, user: str, operation: str
) -> None:
    """Conditions and the program have the same exemptions, by the same pods."""
    rendered = chart.render({"config": {"visibleDevices": "deny", "exemptions": EXEMPTIONS}})
    exemptions = configuration_file.parse(rendered.configuration_file).exemptions
    seen = view(pod)
    exempt = exemptions.of_request("team-a", user) or exemptions.of_pod(seen) or seen.is_mirror

    request = {"operation": operation, "userInfo": {"username": user}}
    assert is_asked(the_guard_of(rendered, "team-a", None), pod, request) is not bool(exempt)


def is_asked(webhook: Webhook, pod: Json, request: Json) -> bool:
    environment = cel.NewEnv(variables=dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN))
    data = {"object": pod, "oldObject": None, "request": request}
    values = [environment.compile(one.expression).eval(data=data) for one in webhook.match_conditions or ()]
    assert all(value.type() == cel.Type.BOOL for value in values), [value.value() for value in values]
    return all(value.value() for value in values)


@pytest.mark.parametrize(
    ("container", "asked"),
    [
        ({"name": "debugger", "image": "busybox"}, False),
        ({**PRIVILEGED, "name": "debugger"}, True),
        ({"name": "debugger", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}, True),
        ({"name": "debugger", "volumeMounts": [{"mountPath": "/var/run/nvidia-container-devices/all"}]}, True),
    ],
)
def test_a_running_pod_can_be_debugged_unless_the_debugger_itself_reaches_gpus(
    chart: Chart, container: Json, *, asked: bool
) -> None:
    """The pod has a node by then, and may be privileged."""
    webhook = the_guard_of(chart.render({"config": {"visibleDevices": "deny"}}), "team-a", None)
    pod = a_pod(nodeName="n", schedulerName="kai-scheduler-2", ephemeralContainers=[container])

    assert is_asked(webhook, pod, {"operation": "UPDATE", "userInfo": {"username": "alice"}}) is asked


DENY: Json = {"config": {"policies": {"strict": POLICIES["strict"]}}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, None),
        ({"config": {"visibleDevices": "warn"}}, None),
        ({"config": {"visibleDevices": "deny"}, "install": {"mode": "audit"}}, None),
        # Every pod is sent to validate.gpuwarden.io then, which fails closed.
        (DENY, "pods that might do so (privileged, with a hostPath, …) are denied too while no replica answers"),
        ({**DENY, "webhooks": {"guard": {"failurePolicy": "Ignore"}}}, "but webhooks.guard.failurePolicy is Ignore"),
        ({**DENY, "webhooks": {"guard": {"enabled": False}}}, "but webhooks.guard.enabled is false"),
    ],
)
def test_at_install_it_is_said_whether_deny_holds_while_nobody_answers(
    chart: Chart, values: Json, says: str | None
) -> None:
    said = chart.notes(values)

    assert "image.repository is not set. No image is published" in said
    assert f"in {'audit' if 'install' in values else 'enforce'} mode" in said
    assert "visibleDevices: deny" not in said if says is None else says in said
