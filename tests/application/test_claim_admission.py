"""``/validate-claim``: claims and templates for GPUs, when they are created, and when an update gives a claim to a pod."""

from typing import Any

import pytest

from testing.reviews import TEAM, Answered, Json, Webhook, a_review, encode, finish, read_answer
from webhook.application.claim_admission import CONTROLLERS, OF_PODS, ClaimAdmission
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceNotFound
from webhook.application.review import ReviewError

CLAIM, TEMPLATE = "ResourceClaim", "ResourceClaimTemplate"
KINDS = [CLAIM, TEMPLATE]
GPU, NIC = "gpu.nvidia.com", "dranet.example.com"
MARK = {OF_PODS[0]: "gpu"}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "train", "uid": "1", "controller": True}
GROUP = {**OWNER, "apiVersion": "scheduling.k8s.io/v1alpha2", "kind": "PodGroup"}


def an_object(kind: str, device_class: str = GPU, *, version: str = "v1", **metadata: Any) -> Json:
    exactly = {"deviceClassName": device_class}
    request = {"name": "gpu", **exactly} if version == "v1beta1" else {"name": "gpu", "exactly": exactly}
    spec: Json = {"devices": {"requests": [request]}}
    spec = {"spec": spec} if kind == TEMPLATE else spec
    api_version = f"resource.k8s.io/{version}"
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "one", **metadata}, "spec": spec}


class Claims(Webhook):
    """The endpoint in a namespace ``team`` with labels."""

    def ask(self, made: Json, **request: Any) -> Answered:
        group, _, version = made["apiVersion"].partition("/")
        kind = {"group": group, "version": version, "kind": made["kind"]}
        admission = ClaimAdmission(lambda: self.configuration, self.namespaces, self.notes, self)
        body = encode(a_review(made, **{"kind": kind, "name": "one", **request}))
        return read_answer(finish(admission.validate(body)))

    def __init__(
        self,
        enforce: str | None,
        *,
        warn: str | None = None,
        audit: str | None = None,
        configuration: Configuration | None = None,
    ) -> None:
        self.configuration = configuration or Configuration()
        super().__init__(enforce, warn=warn, audit=audit, configuration=self.configuration)


class TestWhatPasses:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("policy", ["none", "exclusive", "unreadable!"])
    def test_one_for_other_devices(self, kind: str, policy: str) -> None:
        asked = Claims(policy, warn="none", audit="none")
        assert asked.ask(an_object(kind, NIC)).is_silent
        assert asked.notes == []

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("policy", [None, "any", "shared"])
    def test_one_that_the_policy_permits(self, kind: str, policy: str | None) -> None:
        assert Claims(policy).ask(an_object(kind)).is_silent

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("username", CONTROLLERS)
    def test_one_that_kubernetes_makes_for_a_pod(self, kind: str, username: str) -> None:
        answered = Claims("none").ask(an_object(kind), userInfo={"username": username})
        assert (answered.allowed, answered.annotations) == (True, {"exempt": "controller"})

    @pytest.mark.parametrize("owner", [OWNER, {**OWNER, "kind": "PodGroup", "controller": False}])
    def test_one_that_kubernetes_makes_for_a_pod_that_owns_it(self, owner: Json) -> None:
        made = an_object(CLAIM, annotations=MARK, ownerReferences=[owner])
        assert Claims("none").ask(made, userInfo={"username": CONTROLLERS[-1]}).annotations == {"exempt": "controller"}

    def test_one_for_a_group_of_pods_that_the_policy_permits_to_share(self) -> None:
        made = an_object(CLAIM, annotations=MARK, ownerReferences=[GROUP])
        for policy in ("any", "shared"):
            assert Claims(policy).ask(made, userInfo={"username": CONTROLLERS[-1]}).is_silent

    def test_one_of_an_exempt_namespace_or_user(self) -> None:
        for exemptions, why in (
            (Exemptions(namespaces=frozenset({TEAM})), "namespace"),
            (Exemptions(usernames=frozenset({"alice@example.com"})), "user"),
        ):
            answered = Claims("none", configuration=Configuration(exemptions=exemptions)).ask(an_object(CLAIM))
            assert (answered.allowed, answered.annotations) == (True, {"exempt": why})

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "request_", [{"operation": "DELETE", "object": None}, {"operation": "UPDATE", "subResource": "status"}]
    )
    def test_deletion_and_status_updates(self, kind: str, request_: Json) -> None:
        mine = an_object(kind, annotations=MARK, ownerReferences=[OWNER])
        assert Claims("none").ask(mine, oldObject=an_object(kind), **request_).is_silent

    @pytest.mark.parametrize(
        ("new", "old"),
        [
            ({}, {}),
            ({"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": []}, {"finalizers": ["a/b"]}),
            ({"annotations": MARK}, {}),
            ({"ownerReferences": [OWNER]}, {}),
            ({"annotations": MARK, "ownerReferences": [{**OWNER, "controller": False}]}, {"annotations": MARK}),
            (
                {"annotations": {**MARK, "a": "b"}, "ownerReferences": [OWNER]},
                {"annotations": MARK, "ownerReferences": [OWNER, {**OWNER, "uid": "2", "controller": False}]},
            ),
            ({"annotations": MARK, "ownerReferences": [OWNER], "deletionTimestamp": "2026-01-01T00:00:00Z"}, {}),
        ],
    )
    def test_an_update_that_gives_it_to_no_pod(self, new: Json, old: Json) -> None:
        made, before = an_object(CLAIM, **new), an_object(CLAIM, **old)
        assert Claims("none").ask(made, operation="UPDATE", oldObject=before).is_silent

    def test_an_update_of_a_template(self) -> None:
        made = an_object(TEMPLATE, annotations=MARK, ownerReferences=[OWNER])
        assert Claims("none").ask(made, operation="UPDATE", oldObject=an_object(TEMPLATE)).is_silent


class TestWhatIsDenied:
    @pytest.mark.parametrize(("policy", "rule"), [("none", "gpu-not-permitted"), ("exclusive", "form-not-permitted")])
    @pytest.mark.parametrize("username", CONTROLLERS)
    def test_one_that_kubernetes_makes_for_a_group_of_pods_which_share_it(
        self, policy: str, rule: str, username: str
    ) -> None:
        made = an_object(CLAIM, annotations=MARK, ownerReferences=[GROUP])
        answered = Claims(policy).ask(made, userInfo={"username": username})
        assert (answered.allowed, answered.rules) == (False, [rule])

    def test_an_update_that_gives_it_to_a_group(self) -> None:
        made = an_object(CLAIM, annotations=MARK, ownerReferences=[GROUP])
        assert not Claims("none").ask(made, operation="UPDATE", oldObject=an_object(CLAIM)).allowed

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1", "v2"])
    @pytest.mark.parametrize("policy", ["none", "unreadable!"])
    def test_one_for_gpus_where_the_policy_permits_none(self, kind: str, version: str, policy: str) -> None:
        asked = Claims(policy)
        answered = asked.ask(an_object(kind, version=version))
        assert answered.rules == ["gpu-not-permitted"]
        assert answered.message.startswith(f'{kind} "one": request gpu: DeviceClass gpu.nvidia.com is not permitted')
        assert answered.annotations["enforce-outcome"] == "denied"
        (evaluated,) = (note.evaluated for note in asked.notes)
        assert (evaluated.path, evaluated.mode, evaluated.acted) == ("validate-claim", "enforce", True)

    @pytest.mark.parametrize(
        ("new", "old"),
        [
            ({"annotations": MARK, "ownerReferences": [OWNER]}, {}),
            ({"annotations": {OF_PODS[1]: "true"}, "ownerReferences": [OWNER]}, {"ownerReferences": [OWNER]}),
            ({"annotations": MARK, "ownerReferences": [OWNER]}, {"annotations": MARK}),
            (
                {"annotations": MARK, "ownerReferences": [OWNER]},
                {"annotations": MARK, "ownerReferences": [{**OWNER, "uid": "2"}]},
            ),
            (
                {"annotations": {OF_PODS[0]: "nic"}, "ownerReferences": [OWNER]},
                {"annotations": MARK, "ownerReferences": [OWNER]},
            ),
        ],
    )
    def test_an_update_that_gives_it_to_a_pod(self, new: Json, old: Json) -> None:
        made, before = an_object(CLAIM, **new), an_object(CLAIM, **old)
        assert Claims("none").ask(made, operation="UPDATE", oldObject=before).rules == ["gpu-not-permitted"]
        assert Claims("none").ask(made, operation="UPDATE", oldObject=None).rules == ["gpu-not-permitted"]
        assert Claims("exclusive").ask(made, operation="UPDATE", oldObject=before).is_silent

    def test_a_claim_that_a_pod_owns_is_evaluated_as_made_from_a_template(self) -> None:
        assert Claims("exclusive").ask(an_object(CLAIM)).rules == ["form-not-permitted"]
        assert Claims("exclusive").ask(an_object(CLAIM, annotations=MARK, ownerReferences=[OWNER])).is_silent

    def test_a_class_has_the_form_of_its_resource_name_in_the_cluster(self) -> None:
        asked = Claims("mig-1g.10gb")
        assert asked.ask(an_object(TEMPLATE, "slices.example")).rules == ["claim-not-permitted"]
        asked.configuration = asked.configuration.with_classes({"slices.example": "nvidia.com/mig-1g.10gb"})
        assert asked.ask(an_object(TEMPLATE, "slices.example")).is_silent

    def test_a_generated_name_that_is_not_there_yet(self) -> None:
        made = an_object(TEMPLATE, name="", generateName="one-")
        assert Claims("none").ask(made, name="").message.startswith('ResourceClaimTemplate "one-": request gpu')


class TestWhatIsReported:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_warn_and_audit_policies_deny_nothing(self, kind: str) -> None:
        asked = Claims("any", warn="none", audit="mig-1g.5gb")
        answered = asked.ask(an_object(kind))
        [warning] = answered.warnings
        assert warning.startswith(f'would be denied: {kind} "one": request gpu')
        assert answered.annotations == {
            "audit-policy": "mig-1g.5gb",
            "audit-outcome": "denied",
            "audit-rules": "form-not-permitted",
        }
        evaluated = [note.evaluated for note in asked.notes]
        assert [(one.mode, one.acted) for one in evaluated] == [("enforce", True), ("warn", False), ("audit", False)]

    def test_in_a_dry_run_nothing_is_denied(self) -> None:
        asked = Claims("none", warn="none", configuration=Configuration(mode=Mode.AUDIT))
        answered = asked.ask(an_object(CLAIM))
        assert answered.allowed
        assert len(answered.warnings) == 1
        assert (answered.annotations["mode"], answered.annotations["enforce-rules"]) == ("audit", "gpu-not-permitted")


class TestWhatCannotBeEvaluated:
    def test_without_labels_there_is_no_verdict(self) -> None:
        asked = Claims("none")
        asked.namespaces.known.clear()
        with pytest.raises(NamespaceNotFound):
            asked.ask(an_object(CLAIM))
        assert asked.ask(an_object(CLAIM, NIC)).is_silent

    @pytest.mark.parametrize(
        ("made", "request_", "field"),
        [
            (an_object(CLAIM), {"kind": {"group": "", "version": "v1", "kind": "Pod"}}, "request.kind"),
            (an_object(CLAIM), {"kind": None}, "request.kind"),
            (an_object(CLAIM), {"object": None}, "request.object"),
            ({**an_object(CLAIM), "spec": {"resourceClassName": "gpu"}}, {}, "request.object.spec"),
            ({**an_object(CLAIM), "spec": {"devices": 1}}, {}, "request.object.spec.devices"),
        ],
    )
    def test_another_object(self, made: Json, request_: Json, field: str) -> None:
        with pytest.raises(ReviewError) as raised:
            Claims("none").ask(made, **request_)
        assert raised.value.field == field
