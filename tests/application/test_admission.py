"""Admission: which requests are evaluated, by whose labels, and what is answered where they can't be had."""

import asyncio
from typing import Any

import pytest

from testing.reviews import (
    TEAM,
    UID,
    Json,
    KnownNamespaces,
    Notes,
    Webhook,
    a_container,
    a_gpu_container,
    a_pod,
    a_review,
    encode,
    read_answer,
)
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration, Exemptions
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable
from webhook.application.review import ReviewError
from webhook.engine.forms import Form, Sharing
from webhook.engine.namespace_labels import UNLABELLED, NamespaceLabels
from webhook.engine.other_gpus import GpuNames
from webhook.engine.pods import Pod
from webhook.engine.policy import Policy, PolicyBook
from webhook.engine.rewriting import _remembered as remembered_respellings

BAD = a_pod(a_gpu_container("0.5"))
SLOT = {"nvidia.com/gpu.shared": "1"}


def test_a_plain_request_is_rewritten_and_then_valid() -> None:
    webhook = Webhook("shared")

    rewritten = webhook.mutate(a_pod()).applied_to(a_pod())

    assert rewritten["spec"]["containers"][0]["resources"] == {"limits": SLOT, "requests": SLOT}
    assert webhook.validate(rewritten).allowed
    assert webhook.mutate(rewritten).patch is None
    assert webhook.validate(a_pod()).rules == ["not-rewritten"]


def test_what_a_plain_request_becomes_is_decided_when_the_configuration_is_taken() -> None:
    webhook = Webhook("two-of-a-kind")
    webhook.admission.use(
        Configuration(PolicyBook({"two-of-a-kind": Policy("two-of-a-kind", (Form(), Form(sharing=Sharing.MPS)))}))
    )
    decided = remembered_respellings.cache_info().misses

    assert webhook.mutate(a_pod()).allowed
    assert remembered_respellings.cache_info().misses == decided


def test_what_limit_ranger_adds_between_the_calls_is_removed_by_the_second_and_then_valid() -> None:
    webhook = Webhook("shared")
    first = webhook.mutate(a_pod()).applied_to(a_pod())
    for amounts in first["spec"]["containers"][0]["resources"].values():
        amounts["nvidia.com/gpu"] = "4"
    first["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = (
        "LimitRanger plugin set: nvidia.com/gpu request for container train; nvidia.com/gpu limit for container train"
    )

    second = webhook.mutate(first).applied_to(first)

    assert second["spec"]["containers"][0]["resources"] == {"limits": SLOT, "requests": SLOT}
    assert second["metadata"]["annotations"] == first["metadata"]["annotations"]
    assert webhook.validate(second).allowed
    assert webhook.mutate(second).patch is None
    assert webhook.validate(first).rules == ["not-rewritten"]


def test_mutate_refuses_nothing_and_changes_nothing_of_what_validate_refuses() -> None:
    webhook = Webhook("shared")

    answered = webhook.mutate(BAD)

    assert answered.allowed
    assert answered.patch is None
    assert answered.annotations["enforce-outcome"] == "denied"
    assert webhook.validate(BAD).rules == ["not-a-whole-number"]


def test_a_warning_about_the_final_pod_is_given_once_and_only_where_nothing_is_denied() -> None:
    """Where the final pod is the common case of an admission policy, that policy warns and ``validate`` is not asked."""
    webhook = Webhook("mig-1g.5gb")
    slices = a_pod(a_container("train", {"nvidia.com/mig-1g.5gb": "2"}))

    told = 'container "train": 2 MIG slices of 1g.5gb; a CUDA process uses one; request one larger slice, or 1'
    assert webhook.mutate(slices).warnings == []
    assert webhook.mutate(slices).annotations["enforce-rules"] == "mig-count-above-one"
    assert webhook.validate(slices).warnings == [told]
    both_wrong = a_pod(a_container("train", {"nvidia.com/mig-1g.5gb": "2"}), a_gpu_container("0.5", "serve"))
    assert webhook.mutate(both_wrong).warnings == []
    assert webhook.validate(both_wrong).warnings == []


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
@pytest.mark.parametrize("carried", [BAD, {"kind": "Node"}, [], "x", 7, {"spec": {"containers": 5}}])
def test_other_operations_are_allowed_whatever_they_carry(operation: str, carried: Any) -> None:
    webhook = Webhook("none")
    request: Json = {"operation": operation, "oldObject": carried, "kind": {"kind": "Whatever", "group": "x"}}

    for answered in (webhook.mutate(carried, **request), webhook.validate(carried, **request)):
        assert answered.response == {"uid": UID, "allowed": True}
    assert webhook.notes == []


@pytest.mark.parametrize("operation", ["create", "PATCH", "?"])
def test_an_operation_that_there_is_not_is_the_callers_mistake_and_lets_nothing_through(operation: str) -> None:
    for ask in (Webhook("none").mutate, Webhook("none").validate):
        with pytest.raises(ReviewError, match=r"request\.operation: must be one of CREATE"):
            ask(BAD, operation=operation)


@pytest.mark.parametrize("subresource", ["binding", "ephemeralcontainers", "eviction", "unheard-of"])
def test_subresources_are_allowed_whatever_they_carry(subresource: str) -> None:
    webhook = Webhook("none")

    for carried in (BAD, {"kind": "Binding"}, None):
        assert webhook.validate(carried, subResource=subresource).response == {"uid": UID, "allowed": True}
    assert not webhook.validate(BAD, subResource="").allowed


@pytest.mark.parametrize(
    ("pod", "request_fields", "field"),
    [
        (None, {"object": None}, "request.object"),
        (a_pod(), {"kind": {"group": "", "kind": "Deployment"}}, "request.kind"),
        (a_pod(), {"kind": {"group": "apps", "kind": "Pod"}}, "request.kind"),
        ({**a_pod(), "kind": "Service"}, {}, "request.object.kind"),
        ([], {}, "request.object"),
        ("pod", {}, "request.object"),
        ({**a_pod(), "spec": []}, {}, "request.object.spec"),
        (a_pod(containers="train"), {}, "request.object.spec.containers"),
        (a_pod({**a_gpu_container(), "name": 5}), {}, "request.object.spec.containers[0].name"),
        (a_pod(a_gpu_container(count=True)), {}, "request.object.spec.containers[0].resources.limits[...]"),
        (a_pod(a_gpu_container(env=5)), {}, "request.object.spec.containers[0].env"),
        (a_pod(a_gpu_container(env=[{}, {"name": 5}])), {}, "request.object.spec.containers[0].env[1].name"),
        (
            a_pod(a_gpu_container(), initContainers=[a_container(env=[[]])]),
            {},
            "request.object.spec.initContainers[0].env[0]",
        ),
        (
            a_pod(a_gpu_container(), ephemeralContainers=[a_container(), a_container(env={})]),
            {},
            "request.object.spec.ephemeralContainers[1].env",
        ),
        (a_pod(nodeSelector={"a": 1}), {}, "request.object.spec.nodeSelector[...]"),
        (a_pod(hostIPC="true"), {}, "request.object.spec.hostIPC"),
        (a_pod(annotations={}) | {"metadata": {"annotations": []}}, {}, "request.object.metadata.annotations"),
        ({"spec": a_pod()["spec"]}, {"namespace": None}, "request.namespace"),
    ],
)
def test_what_is_no_pod_is_the_callers_fault_and_its_field_is_named(pod: Any, request_fields: Json, field: str) -> None:
    webhook = Webhook("shared")

    for ask in (webhook.mutate, webhook.validate):
        with pytest.raises(ReviewError) as caught:
            ask(pod, **request_fields)
        assert caught.value.field == field


def test_a_bad_variable_of_the_pod_before_an_update_is_named() -> None:
    pod = a_pod(a_gpu_container(), nodeSelector={"a": "b"})
    before = a_pod(a_gpu_container(env=[{"name": 5}]))

    with pytest.raises(ReviewError) as caught:
        Webhook("shared").validate(pod, operation="UPDATE", oldObject=before)
    assert caught.value.field == "request.oldObject.spec.containers[0].env[0].name"


def test_of_a_pod_without_a_gpu_mutate_reads_no_more_than_that() -> None:
    webhook, pod = Webhook("shared"), a_pod(a_container("train", {"cpu": "1"}, env="unreadable"))

    assert webhook.mutate(pod).response == {"uid": UID, "allowed": True}
    with pytest.raises(ReviewError, match="env"):
        webhook.validate(pod)


@pytest.mark.parametrize("resource", ["gpu", "nvidia/gpu", "nvidia.co/gpu", "amd.com/gpu"])
def test_a_gpu_by_a_name_that_is_not_nvidias_is_found_too(resource: str) -> None:
    book = GpuNames(gpus=("amd.com/gpu",))
    webhook = Webhook("none", configuration=Configuration(names=book))

    assert webhook.mutate(a_pod(a_container("train", {resource: "1"}))).annotations["enforce-rules"]


@pytest.mark.parametrize(("section", "more"), [("containers", {}), ("initContainers", {"containers": [a_container()]})])
def test_a_request_is_found_wherever_it_is(section: str, more: Json) -> None:
    webhook = Webhook("shared")
    for written in ("limits", "requests"):
        asking = a_container("train", resources={written: {"alpha.kubernetes.io/nvidia-gpu": "1"}})
        pod = a_pod()
        pod["spec"] |= {**more, section: [a_container("first"), asking]}

        assert webhook.mutate(pod).annotations["enforce-rules"]


def test_a_pod_may_leave_its_kind_unsaid_and_its_namespace_to_the_request() -> None:
    pod = a_pod()
    bare = {"metadata": {}, "spec": pod["spec"]}

    assert Webhook("none").validate(bare, kind=None).rules == ["gpu-not-permitted"]
    assert Webhook("none").validate(pod, namespace="").rules == ["gpu-not-permitted"]


def test_the_requests_namespace_is_stronger_than_the_pods() -> None:
    webhook = Webhook("none")
    webhook.namespaces.known["elsewhere"] = NamespaceLabels("shared")

    assert webhook.validate(a_pod(), namespace="elsewhere").rules == ["not-rewritten"]


@pytest.mark.parametrize(
    "pod",
    [
        {**a_pod(), "spec": None},
        {"kind": "Pod"},
        a_pod(containers=None),
        a_pod(a_container("web", {"cpu": "1"})),
        a_pod(a_gpu_container("0")),
    ],
)
def test_a_pod_without_a_gpu_never_asks_for_its_namespace(pod: Json) -> None:
    webhook = Webhook()

    assert webhook.validate(pod, namespace="unheard-of").response == {"uid": UID, "allowed": True}
    assert webhook.mutate(pod, namespace="unheard-of").response == {"uid": UID, "allowed": True}
    assert (webhook.namespaces.fetched, webhook.notes) == ([], [])


EXEMPTIONS: dict[str, tuple[Exemptions, Json, Json]] = {
    "namespace": (Exemptions(namespaces=frozenset({TEAM})), {}, {}),
    "user": (Exemptions(usernames=frozenset({"bob"})), {}, {"userInfo": {"username": "bob"}}),
    "runtimeClass": (Exemptions(runtime_classes=frozenset({"kata"})), {"runtimeClassName": "kata"}, {}),
    "scheduler": (Exemptions(schedulers=frozenset({"kai"})), {"schedulerName": "kai"}, {}),
}


@pytest.mark.parametrize("why", EXEMPTIONS)
def test_the_exempt_are_left_alone_and_recorded_and_nobody_else_is(why: str) -> None:
    exemptions, spec, request = EXEMPTIONS[why]
    webhook = Webhook("none", warn="none", audit="none", configuration=Configuration(exemptions=exemptions))
    exempt = a_pod(a_gpu_container("0.5"), **spec)

    for answered in (webhook.mutate(exempt, **request), webhook.validate(exempt, **request)):
        assert answered.response == {"uid": UID, "allowed": True, "auditAnnotations": {"exempt": why}}
    assert webhook.notes == []
    others = Webhook("none", configuration=Configuration(exemptions=Exemptions()))
    assert not others.validate(exempt, **request).allowed


HAMI_POD = a_pod(a_container("train", {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "3000"}))


def with_schedulers(*schedulers: str) -> Configuration:
    return Configuration(exemptions=Exemptions(schedulers=frozenset(schedulers)))


class TestHami:
    """Pods that are left to HAMi by its resources, before its webhook has given them its scheduler."""

    @pytest.mark.parametrize("policy", ["none", "mps", "sharde", "exclusive"])
    @pytest.mark.parametrize("named", [None, "default-scheduler", "hami-scheduler"])
    def test_they_are_exempt_where_its_scheduler_is(self, policy: str, named: str | None) -> None:
        webhook = Webhook(policy, warn="none", audit="none")
        pod = {**HAMI_POD, "spec": {**HAMI_POD["spec"], "schedulerName": named}}

        why = "scheduler" if named == "hami-scheduler" else "resources"
        for answered in (webhook.mutate(pod), webhook.validate(pod)):
            assert answered.response == {"uid": UID, "allowed": True, "auditAnnotations": {"exempt": why}}
        assert webhook.notes == []

    def test_so_is_a_pod_of_its_resources_alone(self) -> None:
        webhook = Webhook("none")

        assert webhook.validate(a_pod(a_container("train", {"nvidia.com/gpucores": "50"}))).annotations == {
            "exempt": "resources"
        }

    @pytest.mark.parametrize("configuration", [with_schedulers(), with_schedulers("kai-scheduler")])
    @pytest.mark.parametrize("policy", ["none", "exclusive"])
    def test_where_its_scheduler_is_not_its_resources_are_gpus(self, configuration: Configuration, policy: str) -> None:
        webhook = Webhook(policy, configuration=configuration)

        assert "other-gpu-resource" in webhook.validate(HAMI_POD).rules

    @pytest.mark.parametrize("spec", [{"nodeName": "n1"}, {"schedulerName": "volcano"}])
    def test_a_pod_that_its_scheduler_never_sees_is_evaluated(self, spec: Json) -> None:
        pod = {**HAMI_POD, "spec": {**HAMI_POD["spec"], **spec}}

        assert "gpu-not-permitted" in Webhook("none").validate(pod).rules

    def test_none_of_its_resources_says_nothing(self) -> None:
        pod = a_pod(a_container("train", {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "0"}))

        assert Webhook("none").validate(pod).rules == ["gpu-not-permitted"]

    def test_annotations_of_its_and_of_kais_exempt_nobody(self) -> None:
        said = {"nvidia.com/use-gputype": "A100", "hami.io/gpu-scheduler-policy": "spread", "gpu-fraction": "0.5"}

        assert Webhook("none").validate({**a_pod(), "metadata": {"annotations": said}}).rules == ["gpu-not-permitted"]


class TestOtherNames:
    """GPUs by names that no form has."""

    POD = a_pod(a_container("vm", {"nvidia.com/GA102GL_A10": "1"}))

    def test_they_are_denied_by_the_validating_side_and_told_by_the_mutating_one(self) -> None:
        arriving = Webhook("none").mutate(self.POD)

        assert (arriving.allowed, arriving.patch) == (True, None)
        assert arriving.annotations["enforce-rules"] == "other-gpu-resource"
        assert Webhook("none").validate(self.POD).rules == ["other-gpu-resource"]
        assert Webhook("mps").validate(self.POD).rules == ["other-gpu-resource"]
        assert Webhook("any").validate(self.POD).allowed

    def test_the_warn_and_audit_policies_tell_of_them(self) -> None:
        arriving = Webhook(warn="none", audit="mps").mutate(self.POD)

        assert arriving.warnings == ['would be denied: container "vm": nvidia.com/GA102GL_A10: 1 counts as a GPU']
        assert arriving.annotations["audit-rules"] == "other-gpu-resource"

    def test_the_exempt_stay_exempt(self) -> None:
        webhook = Webhook("none", configuration=Configuration(exemptions=Exemptions(namespaces=frozenset({TEAM}))))

        assert webhook.validate(self.POD).annotations == {"exempt": "namespace"}

    def test_the_configuration_says_what_is_a_gpu(self) -> None:
        names = GpuNames(gpus=("amd.com/gpu",), not_gpus=("nvidia.com/GA102GL_A10",))
        webhook = Webhook("none", configuration=Configuration(names=names))

        assert webhook.validate(self.POD).response == {"uid": UID, "allowed": True}
        assert webhook.validate(a_pod(a_container("train", {"amd.com/gpu": "1"}))).rules == ["other-gpu-resource"]
        assert Webhook("none").validate(a_pod(a_container("train", {"amd.com/gpu": "1"}))).allowed

    def test_without_the_namespaces_labels_they_are_not_let_through(self) -> None:
        webhook = Webhook()
        webhook.namespaces.unknown["gone"] = NamespaceUnavailable("gone", "no answer")

        with pytest.raises(NamespaceUnavailable):
            webhook.validate(self.POD, namespace="gone")


def test_exemptions_are_exact_names() -> None:
    exemptions = Exemptions(frozenset({"tea", "team-b", "TEAM"}), frozenset({""}), frozenset({""}), frozenset({"kai"}))
    webhook = Webhook("none", configuration=Configuration(exemptions=exemptions))

    assert not webhook.validate(a_pod(schedulerName="kai-scheduler")).allowed


def test_a_pod_without_a_spec_is_exempt_for_nothing() -> None:
    assert Exemptions(runtime_classes=frozenset({"kata"})).of_pod(Pod()) is None


def test_the_exempt_are_not_even_read() -> None:
    webhook = Webhook("none", configuration=Configuration(exemptions=Exemptions(namespaces=frozenset({TEAM}))))
    unreadable = {**a_pod(), "spec": "no spec at all"}

    assert webhook.validate(unreadable).annotations == {"exempt": "namespace"}
    with pytest.raises(ReviewError):
        Webhook("none").validate(unreadable)


def test_an_exempt_namespace_is_never_asked_for() -> None:
    webhook = Webhook(configuration=Configuration(exemptions=Exemptions(namespaces=frozenset({"kube-system"}))))

    assert webhook.validate(a_pod(), namespace="kube-system").annotations == {"exempt": "namespace"}
    assert webhook.namespaces.fetched == []


def test_an_unknown_namespace_is_asked_for_once_and_decides() -> None:
    webhook = Webhook()
    webhook.namespaces.unknown["new"] = NamespaceLabels("none")
    webhook.namespaces.unknown["bare"] = UNLABELLED

    assert webhook.validate(a_pod(), namespace="new").rules == ["gpu-not-permitted"]
    assert webhook.validate(a_pod(), namespace="bare").allowed
    assert webhook.namespaces.fetched == ["new", "bare"]


@pytest.mark.parametrize(
    "failure", [NamespaceNotFound("gone"), NamespaceUnavailable("gone", "the API server did not answer in 2 s")]
)
def test_labels_that_cannot_be_had_are_never_no_labels(failure: Exception) -> None:
    webhook = Webhook()
    webhook.namespaces.unknown["gone"] = failure

    for ask in (webhook.mutate, webhook.validate):
        with pytest.raises(type(failure), match='namespace "gone"'):
            ask(a_pod(), namespace="gone")
    assert webhook.namespaces.fetched == ["gone", "gone"]
    assert webhook.notes == []


async def test_a_new_configuration_decides_the_next_request_and_not_one_under_way() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(KnownNamespaces):
        async def fetch(self, name: str) -> NamespaceLabels:
            asked.set()
            await answer.wait()
            return NamespaceLabels(name)

    none, mps = Policy("house"), Policy("house", permits_any=True)
    admission = Admission(Configuration(PolicyBook({"house": none})), Slow(), Notes())
    body = encode(a_review(a_pod(), namespace="house"))

    waiting = admission.validate(body)
    assert not isinstance(waiting, bytes)
    under_way = asyncio.create_task(waiting)
    await asked.wait()
    admission.configuration = Configuration(PolicyBook({"house": mps}))
    answer.set()

    assert read_answer(await under_way).rules == ["gpu-not-permitted"]
    again = admission.validate(body)
    assert not isinstance(again, bytes)
    assert read_answer(await again).allowed


def test_each_decision_is_told_to_the_recorder_with_what_became_of_it() -> None:
    webhook = Webhook("shared", warn="mps", audit="none")

    webhook.mutate(a_pod())
    webhook.validate(a_pod())

    evaluated = [note.evaluated for note in webhook.notes]
    assert [(one.path, one.mode, one.policy, one.outcome.value, one.acted) for one in evaluated] == [
        ("mutate", "enforce", "shared", "rewritten", True),
        ("mutate", "warn", "mps", "rewritten", False),
        ("mutate", "audit", "none", "denied", False),
        ("validate", "enforce", "shared", "denied", True),
    ]
    assert evaluated[-1].rules == ("not-rewritten",)
    assert webhook.notes[0].request.uid == UID
