"""Updates of pods: what of them is evaluated, what is said, and that nothing else of a pod ever waits for an answer."""

import copy
from typing import Any, ClassVar

import pytest

from testing.reviews import TEAM, UID, Answered, Json, Webhook, a_container, a_gpu_container, a_pod
from tests.builders import a_policy
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.review import ReviewError
from webhook.engine.policy import FindingAction, PolicyBook

PARTITION, SHARING = "cloud.google.com/gke-gpu-partition-size", "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
CDI = {"nvidia.cdi.k8s.io/container.train": "management.nvidia.com/gpu=all"}
GATES = [{"name": "kueue.x-k8s.io/admission"}]
TWO_SLICES = a_pod(a_gpu_container("2"), schedulingGates=GATES, nodeSelector={PARTITION: "1g.5gb"})
TIME_SHARED = {PARTITION: "1g.5gb", SHARING: "time-sharing", CLIENTS: "4"}
DENYING = Configuration(PolicyBook(visible_devices=FindingAction.DENY))
STRICT = PolicyBook({"strict": a_policy("exclusive", name="strict", visible_devices=FindingAction.DENY)})


def after(pod: Json, *, annotations: Json | None = None, deleting: bool = False, **spec: Any) -> Json:
    """A pod as an update leaves it."""
    changed = copy.deepcopy(pod)
    changed["spec"] |= spec
    if annotations is not None:
        changed["metadata"]["annotations"] = annotations
    if deleting:
        changed["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    return changed


def update(webhook: Webhook, new: Json, old: Json, **request: Any) -> Answered:
    return webhook.validate(new, **({"operation": "UPDATE", "oldObject": old} | request))


class TestScheduling:
    def test_slices_do_not_become_shared_slots(self) -> None:
        webhook = Webhook("gke-mig-1g.5gb")
        answered = update(webhook, after(TWO_SLICES, nodeSelector=TIME_SHARED), TWO_SLICES)

        assert not answered.allowed
        assert answered.annotations["enforce-outcome"] == "denied"
        assert [(note.evaluated.path, note.evaluated.acted) for note in webhook.notes] == [("validate", True)]

    def test_not_even_where_any_form_is_permitted(self) -> None:
        answered = update(Webhook(), after(TWO_SLICES, nodeSelector=TIME_SHARED, schedulingGates=[]), TWO_SLICES)

        assert answered.rules == ["shared-request-above-one"]

    def test_other_nodes_of_the_form_are_the_queues_to_choose(self) -> None:
        webhook = Webhook("gke-mig-1g.5gb")
        pod = webhook.mutate(TWO_SLICES).applied_to(TWO_SLICES)
        selector = {**pod["spec"]["nodeSelector"], "cloud.google.com/gke-nodepool": "a"}
        answered = update(webhook, after(pod, nodeSelector=selector, schedulingGates=[]), pod)

        assert (answered.response, webhook.notes[1:]) == ({"uid": UID, "allowed": True}, [])

    def test_there_is_never_a_patch(self) -> None:
        webhook = Webhook("mig-1g.5gb")

        assert update(webhook, after(a_pod(), nodeSelector={"pool": "a"}), a_pod()).patch is None
        new = after(TWO_SLICES, nodeSelector=TIME_SHARED)
        assert webhook.mutate(new, operation="UPDATE", oldObject=TWO_SLICES).response == {"uid": UID, "allowed": True}


class TestAnnotations:
    @pytest.mark.parametrize("pod", [a_pod(), a_pod(a_container()), a_pod(a_container(), nodeName="n")])
    def test_a_device_that_is_added_is_denied_where_that_is_configured(self, pod: Json) -> None:
        assert update(Webhook(configuration=DENYING), after(pod, annotations=CDI), pod).rules == ["cdi-annotation"]

    def test_elsewhere_it_is_warned_of(self) -> None:
        answered = update(Webhook("exclusive"), after(a_pod(), annotations=CDI), a_pod())

        assert answered.allowed
        assert len(answered.warnings) == 1
        assert update(Webhook(), after(a_pod(), annotations=CDI), a_pod()).warnings == []

    def test_the_node_is_the_schedulers_choice_by_then(self) -> None:
        webhook = Webhook(configuration=DENYING)
        old = a_pod(schedulingGates=GATES)

        assert update(webhook, after(old, annotations={"cdi.k8s.io/a": "a.com/b=0"}, nodeName="n"), old).allowed


class TestWhatBlocksNothing:
    """All of it in a namespace whose policy denies the pod as it is."""

    webhook: ClassVar[Webhook] = Webhook("none", configuration=DENYING)
    old: ClassVar[Json] = after(TWO_SLICES, annotations=CDI)

    @pytest.mark.parametrize(
        "new",
        [
            after(old, schedulingGates=[]),
            after(old, nodeSelector={**TIME_SHARED, "pool": "a"}, deleting=True),
            after(TWO_SLICES, annotations={**CDI, "cdi.k8s.io/b": "nvidia.com/gpu=1"}, deleting=True),
            after(TWO_SLICES, annotations={**CDI, "team": "a"}),
            after(TWO_SLICES, annotations={}),
            after(old, nodeSelector={PARTITION: "1g.5gb", "pool": "a"}),
        ],
    )
    def test_gates_finalizers_and_other_fields_can_change(self, new: Json) -> None:
        assert update(self.webhook, new, self.old).response == {"uid": UID, "allowed": True}

    def test_what_changes_nothing_needs_no_namespace(self) -> None:
        webhook = Webhook()
        webhook.namespaces.known.clear()
        webhook.namespaces.unknown[TEAM] = NamespaceUnavailable(TEAM, "gone")

        assert update(webhook, after(self.old, schedulingGates=[]), self.old).allowed
        assert webhook.namespaces.fetched == []
        with pytest.raises(NamespaceUnavailable):
            update(webhook, after(self.old, nodeSelector=TIME_SHARED), self.old)

    @pytest.mark.parametrize(
        ("exemptions", "request_"),
        [
            (Exemptions(namespaces=frozenset({TEAM})), {}),
            (Exemptions(usernames=frozenset({"ops"})), {"userInfo": {"username": "ops"}}),
            (Exemptions(schedulers=frozenset({"default-scheduler"})), {}),
        ],
    )
    def test_who_is_exempt_is_left_alone(self, exemptions: Exemptions, request_: Json) -> None:
        new = after(TWO_SLICES, nodeSelector=TIME_SHARED)

        answered = update(Webhook(configuration=Configuration(exemptions=exemptions)), new, TWO_SLICES, **request_)
        assert answered.allowed
        assert "exempt" in answered.annotations
        assert not update(Webhook(configuration=Configuration(exemptions=Exemptions())), new, TWO_SLICES).allowed

    @pytest.mark.parametrize(
        "request_", [{"subResource": "status"}, {"subResource": "resize"}, {"operation": "DELETE"}, {"kind": None}]
    )
    def test_other_requests_are_none_of_our_business(self, request_: Json) -> None:
        new = after(TWO_SLICES, nodeSelector=TIME_SHARED)

        assert update(Webhook(), new, TWO_SLICES, **request_).allowed


class TestOtherLabels:
    def test_the_dry_run_says_all_that_would_be_denied(self) -> None:
        webhook = Webhook("gke-mig-1g.5gb", configuration=Configuration(mode=Mode.AUDIT))
        answered = update(webhook, after(TWO_SLICES, nodeSelector=TIME_SHARED), TWO_SLICES)

        assert answered.allowed
        assert all(warning.startswith("would be denied: ") for warning in answered.warnings)
        assert answered.warnings
        assert (answered.annotations["mode"], answered.annotations["enforce-outcome"]) == ("audit", "denied")
        assert [note.evaluated.acted for note in webhook.notes] == [False]

    def test_so_do_the_warn_and_audit_policies(self) -> None:
        new = after(a_pod(schedulingGates=GATES), nodeSelector={"nvidia.com/gpu.sharing-strategy": "mps"})
        webhook = Webhook(warn="strict", audit="strict", configuration=Configuration(STRICT))
        answered = update(webhook, new, a_pod(schedulingGates=GATES))

        assert answered.allowed
        assert len(answered.warnings) == 1
        assert answered.annotations == {
            "audit-policy": "strict",
            "audit-outcome": "denied",
            "audit-rules": "form-not-permitted",
        }
        assert [(note.evaluated.mode, note.evaluated.acted) for note in webhook.notes] == [
            ("warn", False),
            ("audit", False),
        ]


def test_a_pod_as_it_was_that_can_not_be_read_is_the_callers_mistake() -> None:
    with pytest.raises(ReviewError, match=r"request\.oldObject"):
        Webhook("exclusive").validate(a_pod(), operation="UPDATE", oldObject=7)
