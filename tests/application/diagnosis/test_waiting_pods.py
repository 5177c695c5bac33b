"""Pods that wait for a resource name which a DeviceClass got after they were created."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.test_device_claims import CLASS, a_class, configured_by
from tests.application.diagnosis.world import audit_mode, complete, configured, healthy, namespaces, results, the_result
from tests.builders import a_container
from webhook.application.diagnosis.facts import Facts, Neighbours, Unread
from webhook.application.diagnosis.neighbours import DeviceClass
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.waiting_pods import names_to_look_for
from webhook.application.fleet_view import GpuPod
from webhook.engine.pods import PodSpec

ACCEL, CHECK = "example.com/accel", "waiting-pods"
ONE_EACH = (
    "apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {one: {forms: [any], maxPerPod: 1}}\n"
    "exemptions: {namespaces: [exempt], schedulers: [exempt]}\n"
)


def waiting(namespace: str, name: str, resource: str = ACCEL, count: int = 1, **fields: Any) -> GpuPod:
    spec = {"containers": [a_container("train", {resource: count})], **fields}
    return GpuPod(namespace, name, msgspec.convert(spec, PodSpec))


def facts(*pods: GpuPod, classes: Sequence[DeviceClass] = (a_class(CLASS, ACCEL),), **changes: Any) -> Facts:
    policies = {"team": "none", "slices": "mig-1g.10gb", "whole": "exclusive", "limited": "one", "exempt": "none"}
    fields: dict[str, Any] = {
        "namespaces": namespaces(40, **policies),
        "neighbours": Neighbours(device_classes=classes),
        "configuration": configured(ONE_EACH),
        "waiting": pods,
    }
    return healthy(**{**fields, **changes})


@pytest.mark.parametrize(
    "found",
    [
        facts(),
        facts(waiting("whole", "a"), waiting("unlabelled", "a"), waiting("exempt", "a")),
        facts(waiting("team", "a", schedulerName="exempt")),
        facts(waiting("limited", "a", count=2)),  # evaluated again when it gets the devices
        facts(waiting("team", "a"), configuration=audit_mode()),
        facts(waiting("team", "a", "example.com/other")),
        facts(waiting("team", "a"), classes=[]),
        facts(waiting("team", "a"), classes=[a_class("dra.cpu", ACCEL)]),
    ],
)
def test_pods_that_may_go_on_waiting_are_well(found: Facts) -> None:
    assert the_result(found, CHECK).status is CheckStatus.OK


@pytest.mark.parametrize(
    ("namespace", "classes", "rule"),
    [
        ("team", [a_class(CLASS, ACCEL)], "gpu-not-permitted"),
        ("slices", [a_class(CLASS, ACCEL)], "form-not-permitted"),
        ("whole", [a_class("unknown.example.com", ACCEL)], "other-gpu-resource"),
    ],
)
def test_a_pod_that_would_be_denied_now_is_named_with_the_class_and_the_fix(
    namespace: str, classes: list[DeviceClass], rule: str
) -> None:
    result = the_result(facts(waiting(namespace, "late"), classes=classes), CHECK)
    assert result.status is CheckStatus.WARN
    assert result.observed.startswith(
        f"pods late of namespace {namespace} wait for {ACCEL}, which DeviceClass {classes[0].metadata.name} provides; policy"
    )
    assert result.observed.endswith(f"does not permit it ({rule})")
    assert result.fix.startswith(f"kubectl delete pod -n {namespace} late ")


def test_pods_are_reported_by_namespace_and_the_first_ten_of_many_by_name() -> None:
    many = [waiting("team", f"p{number:02}") for number in range(12)]
    found = results(facts(*many, waiting("slices", "a"), waiting("whole", "b")), CHECK)
    assert complete(found)
    assert [one.observed.partition(" wait")[0] for one in found] == [
        "pods a of namespace slices",
        "pods p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 and 2 more of namespace team",
    ]
    assert found[1].fix.endswith("; gpuwarden audit -n team lists all")
    assert "audit" not in found[0].fix


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({"waiting": Unread("list pods", "no", forbidden=True)}, "list pods"),
        ({"namespaces": Unread("list namespaces", "no", forbidden=True)}, "list namespaces"),
    ],
)
def test_what_it_needs_and_can_not_be_read(change: dict[str, Any], right: str) -> None:
    result = the_result(facts(**change), CHECK)
    assert (result.status, right in result.fix) == (CheckStatus.UNKNOWN, True)


def test_only_names_that_classes_make_gpus_are_looked_for() -> None:
    named = [a_class(CLASS, ACCEL), a_class("b", "nvidia.com/gpu"), a_class("c", "intel.com/x"), a_class("d", None)]
    assert names_to_look_for(facts(classes=named)) == {ACCEL}
    assert names_to_look_for(configured_by("", a_class("dra.cpu", ACCEL))) == set()
    for unread in ({"neighbours": Neighbours(device_classes=Unread("", "", forbidden=True))}, {"configuration": None}):
        assert names_to_look_for(facts(**unread)) == set()
