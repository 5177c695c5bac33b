"""DRA: resource names that are offered twice, templates that policies need, and quotas on claims that are used up."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    GPU,
    SHARED,
    a_node,
    complete,
    configured,
    healthy,
    namespaces,
    results,
)
from webhook.application.diagnosis.facts import ALL_NODES, Facts, Neighbours, Unread
from webhook.application.diagnosis.neighbours import DeviceClass
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.application.quotas import Quota
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice
from webhook.engine.forms import Form
from webhook.engine.other_gpus import NEVER_SENT
from webhook.engine.policy import ClaimForm, Policy

CLASS = "gpu.nvidia.com"
MIG = "nvidia.com/mig-1g.10gb"


def a_class(
    name: str = CLASS, resource: str | None = GPU, *, created: str = "2026-01-01T00:00:00Z", driver: str = CLASS
) -> DeviceClass:
    selectors = [{"cel": {"expression": f"device.driver == '{driver}'"}}]
    document = {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"extendedResourceName": resource, "selectors": selectors},
    }
    return msgspec.convert(document, DeviceClass)


def found(check: str, facts: Facts) -> list[CheckOutcome]:
    listed = results(facts, check)
    assert complete(listed)
    return listed


def well(check: str, facts: Facts) -> bool:
    return [one.status for one in found(check, facts)] == [CheckStatus.OK]


# Names.


def named(*classes: DeviceClass, on: Mapping[str, frozenset[str]] | None = None, nodes: Any = ()) -> Facts:
    return healthy(nodes=nodes, neighbours=Neighbours(device_classes=classes, devices_on=on or {}))


ON_A: Mapping[str, frozenset[str]] = {CLASS: frozenset({"a"}), "other.example": frozenset({"b"})}


@pytest.mark.parametrize(
    "facts",
    [
        named(),
        named(a_class(), a_class("mig.nvidia.com", None)),
        named(a_class(), a_class("mig-1g-10gb.example.com", MIG)),
        named(a_class("x", None), a_class("y", None)),
        named(a_class(), on=ON_A, nodes=[a_node("b", {GPU: 8})]),
        named(a_class(), on=ON_A, nodes=[a_node("a", {GPU: 0})]),
        named(a_class(), on=ON_A, nodes=[a_node("a", {SHARED: 8})]),
        named(a_class(driver="third.example"), on=ON_A, nodes=[a_node("a", {GPU: 8}), a_node("b", {GPU: 8})]),
    ],
)
def test_names_that_are_offered_once_are_well(facts: Facts) -> None:
    assert well("device-classes", facts)


ACCELERATOR = "example.com/accelerator"
WITH_RESOURCES = "apiVersion: gpuwarden.io/v1\nkind: Configuration\nresources:\n"


def configured_by(text: str, device_class: DeviceClass) -> Facts:
    neighbours = Neighbours(device_classes=(device_class,), devices_on={})
    return healthy(neighbours=neighbours, configuration=configured(text))


@pytest.mark.parametrize(
    ("name", "resource"),
    [*((CLASS, pattern.replace("*", "gpu")) for pattern in NEVER_SENT), ("gpu.amd.com", "amd.com/gpu")],
)
def test_a_class_for_gpus_whose_resource_name_no_policy_evaluates(name: str, resource: str) -> None:
    (result,) = found("device-classes", named(a_class(name, resource)))
    assert result.status is CheckStatus.WARN
    assert result.observed == f"DeviceClass {name} counts as a GPU, and its extendedResourceName {resource} does not"
    assert f"add {resource} to resources.gpus" in result.fix
    for key in ("gpus", "notGPUs"):
        assert well(
            "device-classes", configured_by(f"{WITH_RESOURCES}  {key}: [{resource}]\n", a_class(name, resource))
        )


@pytest.mark.parametrize("name", ["unknown.example.com", "mig.nvidia.com"])
def test_a_class_without_a_form_whose_resource_name_is_denied(name: str) -> None:
    (result,) = found("device-classes", named(a_class(name, ACCELERATOR)))
    assert result.status is CheckStatus.WARN
    assert (
        result.observed
        == f"DeviceClass {name} counts as a GPU by its extendedResourceName {ACCELERATOR}, and its form is not known"
    )
    assert "denied, except under the policy any" in result.impact
    assert f"set the form of {name} in claims.deviceClasses" in result.fix
    form = f"apiVersion: gpuwarden.io/v1\nkind: Configuration\nclaims: {{deviceClasses: {{{name}: exclusive}}}}\n"
    for text in (form, f"{WITH_RESOURCES}  notGPUs: [{ACCELERATOR}]\n"):
        assert well("device-classes", configured_by(text, a_class(name, ACCELERATOR)))


@pytest.mark.parametrize(
    ("name", "resource"), [("dra.cpu", "example.com/cpu"), (CLASS, "nvidia.com/vgpu"), (CLASS, ACCELERATOR)]
)
def test_other_devices_and_other_names_of_gpus(name: str, resource: str) -> None:
    assert well("device-classes", named(a_class(name, resource)))


def open_class(name: str) -> DeviceClass:
    return msgspec.convert({"metadata": {"name": name}, "spec": {}}, DeviceClass)


OF_NVIDIA = {CLASS: frozenset({"a"})}


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (open_class("dranet-any"), "has no selectors, so it admits GPUs"),
        (a_class("cpu-gpus", None), f"its selectors name driver {CLASS}"),
        (a_class("sriov-x", "example.com/x"), f"its selectors name driver {CLASS}"),
    ],
)
def test_a_class_that_hands_out_gpus_and_is_known_as_something_else(one: DeviceClass, says: str) -> None:
    (result,) = found("device-classes", named(one, on=OF_NVIDIA))
    name = one.metadata.name
    assert (result.status, result.observed) == (
        CheckStatus.WARN,
        f"DeviceClass {name} does not count as a GPU, but {says}",
    )
    form = f"apiVersion: gpuwarden.io/v1\nkind: Configuration\nclaims: {{deviceClasses: {{{name}: exclusive}}}}\n"
    excepted = f"{WITH_RESOURCES}  notGPUs: [deviceclass.resource.kubernetes.io/{name}]\n"
    neighbours = Neighbours(device_classes=(one,), devices_on=OF_NVIDIA)
    assert well("device-classes", healthy(neighbours=neighbours, configuration=configured(form)))
    by_hand = healthy(neighbours=neighbours, configuration=configured(excepted))
    assert well("device-classes", by_hand) is bool(one.expressions), "somebody read the selectors"


@pytest.mark.parametrize(
    "facts",
    [
        named(open_class("dranet-any"), on={"dra.net": frozenset({"a"})}),  # no GPUs to hand out
        named(a_class("dranet-x", None, driver="dra.net"), on=OF_NVIDIA),
        named(open_class("h100"), on=OF_NVIDIA),  # counts as a GPU
    ],
)
def test_classes_of_other_drivers_and_those_that_count_as_gpus(facts: Facts) -> None:
    assert well("device-classes", facts)


@pytest.mark.parametrize(
    ("created", "used"),
    [
        (("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "a"),
        (("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), "b"),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "a"),
    ],
)
def test_of_two_classes_with_one_name_the_one_that_is_used_is_named(created: tuple[str, str], used: str) -> None:
    classes = [a_class(name, created=at) for name, at in zip("ab", created, strict=True)]
    (one,) = found("device-classes", named(*reversed(classes), a_class("c", MIG)))
    assert (one.status, one.observed) == (CheckStatus.WARN, f"DeviceClasses a, b have one extendedResourceName, {GPU}")
    other = {"a": "b", "b": "a"}[used]
    assert one.impact == f"pods that request it get devices of {used}, the newest; never of {other}"
    assert one.fix.startswith(
        f"remove extendedResourceName from {other}, or give each class a name of its own, and restart kube"
    )


@pytest.mark.parametrize("where", [frozenset({"a", "c"}), frozenset({ALL_NODES})])
def test_a_node_that_offers_a_name_both_ways_is_named(where: frozenset[str]) -> None:
    facts = named(a_class(), on={CLASS: where}, nodes=[a_node("a", {GPU: 8})])
    (one,) = found("device-classes", facts)
    assert one.status is CheckStatus.WARN
    assert one.observed == f"node a offers {GPU} by a device plugin and by DeviceClass {CLASS} ({CLASS})"


# Templates.

FORM = ClaimForm("one-gpu", CLASS)
PLAIN = Policy("whole", claim_forms=(FORM,), plain_claim=FORM)
LISTED = Policy("whole", (Form(),), claim_forms=(FORM,))
TEMPLATES = "resourceclaimtemplates.resource.k8s.io (v1, v1beta2, v1beta1, v1alpha3)"


def a_claim(*classes: str) -> Claim:
    return Claim(tuple(DeviceRequest(f"r{index}", (RequestedDevice(name),)) for index, name in enumerate(classes)))


def listing(policy: Policy, *, value: str = "whole", **fields: Any) -> Facts:
    beside = {"device_classes": [a_class()], "claim_templates": {("team-a", "one-gpu"): a_claim(CLASS)}} | fields
    return healthy(
        configuration=configured(policies={"whole": policy}),
        namespaces=namespaces(team_a=value),
        neighbours=Neighbours(**beside),
    )


@pytest.mark.parametrize(
    "facts",
    [
        listing(PLAIN),
        listing(LISTED),
        listing(LISTED, claim_templates={}),
        listing(PLAIN, value="exclusive", claim_templates={}, device_classes=[]),
        listing(PLAIN, value="exclusive", claim_templates=Unread("list x", "no", forbidden=True)),
        listing(PLAIN, claim_templates={("team-a", "one-gpu"): a_claim(CLASS, CLASS), ("team-b", "one-gpu"): None}),
    ],
)
def test_policies_whose_templates_can_be_used_are_well(facts: Facts) -> None:
    assert well("claim-templates", facts)


@pytest.mark.parametrize(
    ("facts", "seen", "means"),
    [
        (
            listing(PLAIN, claim_templates={("team-b", "one-gpu"): a_claim(CLASS), ("team-a", "two"): a_claim(CLASS)}),
            'there is no ResourceClaimTemplate one-gpu in namespace team-a with policy "whole"',
            "claim-not-found",
        ),
        (
            listing(PLAIN, claim_templates={("team-a", "one-gpu"): a_claim(CLASS, "other")}),
            f'ResourceClaimTemplate team-a/one-gpu claims DeviceClass other, and policy "whole" names DeviceClass {CLASS}',
            "claim-not-permitted",
        ),
        (
            listing(PLAIN, claim_templates={("team-a", "one-gpu"): a_claim()}),
            f'ResourceClaimTemplate team-a/one-gpu claims nothing, and policy "whole" names DeviceClass {CLASS}',
            "claim-not-permitted",
        ),
        (
            listing(PLAIN, claim_templates={("team-a", "one-gpu"): None}),
            f'ResourceClaimTemplate team-a/one-gpu can\'t be read, and policy "whole" names DeviceClass {CLASS}',
            "claim-not-permitted",
        ),
        (
            listing(LISTED, device_classes=[a_class("other")]),
            f'policy "whole" lists claims of DeviceClass {CLASS}, which does not exist',
            "stay Pending",
        ),
    ],
)
def test_what_keeps_a_policy_from_making_claims_is_named(facts: Facts, seen: str, means: str) -> None:
    (one,) = found("claim-templates", facts)
    assert (one.status, one.observed) == (CheckStatus.WARN, seen)
    assert means in one.impact


def test_a_cluster_without_claims_fails_policies_that_make_them() -> None:
    absent = Unread("list x", f"the API server has no {TEMPLATES}", forbidden=False, absent=TEMPLATES)
    (one,) = found("claim-templates", listing(PLAIN, claim_templates=absent, device_classes=absent))
    assert one.status is CheckStatus.FAIL
    assert one.observed == f"the API server has no {TEMPLATES}, and policy whole lists claims"


def test_templates_that_may_not_be_listed_are_unknown() -> None:
    forbidden = Unread("list resourceclaimtemplates", "is forbidden", forbidden=True)
    (one,) = found("claim-templates", listing(PLAIN, claim_templates=forbidden))
    assert one.status is CheckStatus.UNKNOWN
    assert one.fix.endswith("list resourceclaimtemplates")


# Quotas.

DEVICES = "deviceclass.resource.k8s.io/devices"
OBJECTS = "count/resourceclaims.resource.k8s.io"


def limited(key: str, used: str | None, hard: str, policy: Policy = PLAIN, value: str = "exclusive") -> Facts:
    status = {"hard": {key: hard}, "used": {} if used is None else {key: used}}
    quota = msgspec.convert({"metadata": {"name": "q", "namespace": "team-a"}, "status": status}, Quota)
    return healthy(
        configuration=configured(policies={"whole": policy}), namespaces=namespaces(team_a=value), quotas=[quota]
    )


@pytest.mark.parametrize(
    "facts",
    [
        limited(f"{CLASS}.{DEVICES}", "3", "4"),
        limited(f"{CLASS}.{DEVICES}", None, "4"),
        limited(f"{CLASS}.{DEVICES}", "0", "0"),
        limited(f"{CLASS}.{DEVICES}", "0", "odd"),
        limited(f"{CLASS}.{DEVICES}", "odd", "1"),
        limited(f"compute-domain-daemon.nvidia.com.{DEVICES}", "4", "4"),
        limited(OBJECTS, "4", "4"),
        limited("pods", "4", "4"),
    ],
)
def test_quotas_with_room_for_claims_are_well(facts: Facts) -> None:
    assert well("claim-quotas", facts)


@pytest.mark.parametrize(
    ("key", "used", "hard", "value"),
    [
        (f"{CLASS}.{DEVICES}", "4", "4", "exclusive"),
        (f"{CLASS}.{DEVICES}", "1000", "1k", "exclusive"),
        (f"{CLASS}.{DEVICES}", "0", "0", "whole"),
        (OBJECTS, "4", "4", "whole"),
    ],
)
def test_a_quota_on_claims_that_is_used_up_is_named(key: str, used: str, hard: str, value: str) -> None:
    (one,) = found("claim-quotas", limited(key, used, hard, value=value))
    assert one.status is CheckStatus.WARN
    assert one.observed == f"ResourceQuota q in namespace team-a is used up: {key}: {used} of {hard}"
