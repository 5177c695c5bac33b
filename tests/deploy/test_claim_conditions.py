"""The CEL of ``validate-claim.gpuwarden.io``, evaluated: claims for what may be GPUs, new or given to a pod, and no others."""

from collections.abc import Callable
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy.chart import Chart, Json, Rendered
from webhook.application.claim_admission import CONTROLLERS, OF_PODS
from webhook.engine.device_classes import DEFAULTS, IMPLICIT, DeviceClasses
from webhook.engine.other_gpus import NOT_GPUS, GpuNames

CLAIMS = "validate-claim.gpuwarden.io"
CLAIM, TEMPLATE = "ResourceClaim", "ResourceClaimTemplate"
GPU, NIC = "gpu.nvidia.com", "dranet.example.com"
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "train", "uid": "1", "controller": True}
MARK = {OF_PODS[0]: "gpu"}
FPGA, SPECIAL, PREFIX = "fpga.example.com", "cpu.gpu.example.com", "sriov-gpu"
CONFIGURED: Json = {
    "config": {
        "resources": {"gpus": [f"{IMPLICIT}{PREFIX}*"], "notGPUs": [f"{IMPLICIT}{FPGA}", f"{IMPLICIT}fpga-*"]},
        "claims": {"deviceClasses": {SPECIAL: "exclusive"}},
        "exemptions": {"usernames": ["system:serviceaccount:kube-system:other-scheduler"], "namespaces": ["drivers"]},
    }
}
Sent = Callable[..., bool]


def sent_by(rendered: Rendered) -> Sent:
    """Whether the API server sends an object, of a request with these fields."""
    environment = cel.NewEnv(variables=dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN))
    conditions = [environment.compile(one["expression"]) for one in rendered.webhooks[CLAIMS]["matchConditions"]]

    def sent(new: Json, old: Json | None = None, username: str = "alice", namespace: str = "team") -> bool:
        operation = "UPDATE" if old else "CREATE"
        request = {"operation": operation, "namespace": namespace, "userInfo": {"username": username}}
        values = [each.eval(data={"object": new, "oldObject": old, "request": request}) for each in conditions]
        assert all(value.type() == cel.Type.BOOL for value in values), [value.value() for value in values]
        return all(value.value() for value in values)

    return sent


@pytest.fixture(scope="session")
def sent(rendered: Rendered) -> Sent:
    return sent_by(rendered)


@pytest.fixture(scope="session")
def configured(chart: Chart) -> Sent:
    return sent_by(chart.render(CONFIGURED))


def an_object(kind: str, *requests: Json, **metadata: Any) -> Json:
    spec: Json = {"devices": {"requests": list(requests)} if requests else {}}
    return {"kind": kind, "metadata": {"name": "one", **metadata}, "spec": {"spec": spec} if kind == TEMPLATE else spec}


def exactly(device_class: str = GPU) -> Json:
    return {"name": "gpu", "exactly": {"deviceClassName": device_class}}


def a_list(*classes: str) -> Json:
    return {
        "name": "gpu",
        "firstAvailable": [{"name": f"a{n}", "deviceClassName": one} for n, one in enumerate(classes)],
    }


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    ("requests", "may_be_gpus"),
    [
        ([], False),
        ([exactly(NIC)], False),
        ([a_list(NIC, "compute-domain-daemon.nvidia.com")], False),
        ([exactly()], True),
        ([exactly(NIC), exactly()], True),
        ([a_list(NIC, GPU)], True),
        ([exactly("unknown.example.com")], True),
        ([{"name": "gpu", "deviceClassName": GPU}], True),  # v1beta1
        ([{"name": "gpu", "deviceClassName": NIC}], False),
        ([{"name": "gpu", "oneOf": {"deviceClassName": NIC}}], True),  # of a version that is not known
    ],
)
def test_only_claims_for_what_may_be_gpus_are_sent(
    sent: Sent,
    kind: str,
    requests: list[Json],
    may_be_gpus: bool,  # noqa: FBT001 - a column of a table
) -> None:
    assert sent(an_object(kind, *requests)) == may_be_gpus


@pytest.mark.parametrize(
    ("device_class", "may_be_gpus"),
    [
        (FPGA, False),
        ("fpga-x", False),
        ("fpga.example.org", True),
        (SPECIAL, True),
        ("cpu", False),
        (f"{PREFIX}-1", True),
    ],
)
def test_the_configuration_says_which_classes_are_gpus(
    configured: Sent,
    device_class: str,
    may_be_gpus: bool,  # noqa: FBT001 - as above
) -> None:
    assert configured(an_object(CLAIM, exactly(device_class))) == may_be_gpus


_BEGINNINGS = [name.removeprefix(IMPLICIT).rstrip("*") for name in NOT_GPUS if name.startswith(IMPLICIT)]
_CLASSES = st.one_of(
    st.sampled_from([*DEFAULTS, FPGA, SPECIAL, PREFIX, "fpga-"]),
    st.builds(str.__add__, st.sampled_from([*_BEGINNINGS, PREFIX, ""]), st.text("abcgpu.-", max_size=6)),
)


@given(device_class=_CLASSES)
def test_no_claim_for_a_gpu_is_left_out(sent: Sent, configured: Sent, device_class: str) -> None:
    names = GpuNames((f"{IMPLICIT}{PREFIX}*",), (f"{IMPLICIT}{FPGA}", f"{IMPLICIT}fpga-*"))
    for evaluated, classes in ((sent, DeviceClasses()), (configured, DeviceClasses({SPECIAL: "exclusive"}, names))):
        assert evaluated(an_object(CLAIM, exactly(device_class))) == classes.provides_gpus(device_class)


def test_what_kubernetes_makes_for_pods_and_exempt_users_and_namespaces_are_left_out(
    sent: Sent, configured: Sent
) -> None:
    made = an_object(CLAIM, exactly(), annotations=MARK, ownerReferences=[OWNER])
    assert sent(made)
    assert not any(sent(made, username=name) for name in CONTROLLERS)
    assert not any(sent(an_object(CLAIM, exactly()), username=name) for name in CONTROLLERS)
    of_group = {**made, "metadata": {**made["metadata"], "ownerReferences": [{**OWNER, "kind": "PodGroup"}]}}
    assert all(sent(of_group, username=name) for name in CONTROLLERS)
    other = "system:serviceaccount:kube-system:other-scheduler"
    assert sent(made, username=other)
    assert not configured(made, username=other)
    assert not configured(made, username=CONTROLLERS[0])
    assert not configured(made, namespace="drivers")
    assert not sent(made, namespace="gpu-operator")


PODS = {"annotations": MARK, "ownerReferences": [OWNER]}


@pytest.mark.parametrize(
    ("new", "old", "is_given"),
    [
        ({}, {}, False),
        ({"labels": {"a": "b"}, "annotations": {"a": "b"}}, {}, False),
        ({"annotations": MARK}, {}, False),
        ({"ownerReferences": [OWNER]}, {}, False),
        (PODS, PODS, False),
        ({**PODS, "finalizers": []}, {**PODS, "finalizers": ["resource.kubernetes.io/delete-protection"]}, False),
        (PODS, {**PODS, "ownerReferences": [OWNER, {**OWNER, "uid": "2", "controller": False}]}, False),
        ({**PODS, "deletionTimestamp": "2026-01-01T00:00:00Z"}, {}, False),
        (PODS, {}, True),
        (PODS, {"annotations": MARK}, True),
        (PODS, {"ownerReferences": [OWNER]}, True),
        (PODS, {**PODS, "ownerReferences": [{**OWNER, "uid": "2"}]}, True),
        (PODS, {**PODS, "ownerReferences": [{**OWNER, "controller": False}]}, True),
        (PODS, {**PODS, "annotations": {OF_PODS[0]: "nic"}}, True),
        ({**PODS, "annotations": {OF_PODS[1]: "true"}}, {"ownerReferences": [OWNER]}, True),
    ],
)
def test_of_updates_only_those_that_give_a_claim_to_a_pod_are_sent(
    sent: Sent,
    new: Json,
    old: Json,
    is_given: bool,  # noqa: FBT001 - as above
) -> None:
    assert sent(an_object(CLAIM, exactly(), **new), an_object(CLAIM, exactly(), **old)) == is_given
    assert not sent(an_object(CLAIM, exactly(NIC), **new), an_object(CLAIM, exactly(NIC), **old))


def test_it_fails_closed_except_in_audit_mode(chart: Chart, rendered: Rendered) -> None:
    assert rendered.webhooks[CLAIMS]["failurePolicy"] == "Fail"
    assert chart.render({"install": {"mode": "audit"}}).webhooks[CLAIMS]["failurePolicy"] == "Ignore"
