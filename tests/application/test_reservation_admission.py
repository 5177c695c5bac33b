"""``/validate-claim`` of a claim's status: where the policy has limits, they hold for all claims of the pod that gets it."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from testing.reviews import TEAM, Answered, Json, Webhook, a_container, a_review, encode, read_answer
from webhook.application.claim_admission import CONTROLLERS, OF_PODS, ClaimAdmission
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceNotFound
from webhook.application.pod_review import MOST_HOLDERS
from webhook.application.reservations import ClaimHolder, NoPods, PodReference, PodSource, PodUnavailable
from webhook.application.review import ReviewError
from webhook.application.type_mismatches import convert
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice
from webhook.engine.claims import CLAIM, Reference
from webhook.engine.pods import Pod
from webhook.engine.policy import Policy, PolicyBook
from webhook.engine.reservations import Holder, with_its_claims

GPU, NIC = "gpu.nvidia.com", "dranet.example.com"
LIMITED = {
    "two": Policy("two", permits_any=True, max_per_pod=2),
    "one-each": Policy("one-each", permits_any=True, max_per_container=1),
}
TRAIN = PodReference("train", "1")


def a_claim(*devices: RequestedDevice) -> Claim:
    """A claim with a request for each device."""
    return Claim(tuple(DeviceRequest(f"r{number}", (one,)) for number, one in enumerate(devices)))


def gpus(count: int | None) -> Claim:
    return a_claim(RequestedDevice(GPU, count))


def a_pod(*containers: Json, claims: Mapping[str, str] | None = None, **spec: Any) -> Pod:
    """A pod with claims, by its names for them."""
    listed = [{"name": name, "resourceClaimName": claim} for name, claim in (claims or {}).items()]
    document = {"metadata": {"uid": "1"}, "spec": {"containers": list(containers), "resourceClaims": listed, **spec}}
    holder = convert(document, Holder)
    return Pod(holder.metadata, with_its_claims(holder))


def using(*names: str, name: str = "train", **limits: str) -> Json:
    made = a_container(name, limits or None)
    made["resources"]["claims"] = [dict(zip(("name", "request"), one.split("/"), strict=False)) for one in names]
    return made


class Source:
    """Pods of the namespace ``team``, and what was asked."""

    def __init__(self, pods: Mapping[PodReference, ClaimHolder | None] | Exception) -> None:
        self.pods = pods
        self.asked: list[tuple[str, tuple[PodReference, ...]]] = []

    async def fetch(self, namespace: str, pods: Sequence[PodReference]) -> Mapping[PodReference, ClaimHolder | None]:
        self.asked.append((namespace, tuple(pods)))
        if isinstance(self.pods, Exception):
            raise self.pods
        return self.pods


def holding(pod: Pod, **claims: Claim | None) -> Source:
    return Source({TRAIN: ClaimHolder(pod, {Reference(CLAIM, name): one for name, one in claims.items()})})


TWO_CLAIMS = a_pod(using("a", "b"), claims={"a": "one", "b": "two"})


def consumer(name: str = "train", uid: str = "1", **fields: str) -> Json:
    return {"resource": "pods", "name": name, "uid": uid, **fields}


class Reserving(Webhook):
    """The endpoint in a namespace ``team``, asked about the status of its claim ``one``."""

    def __init__(self, enforce: str, pods: PodSource, **configuration: Any) -> None:
        self.configuration = Configuration(policies=PolicyBook(LIMITED), **configuration)
        super().__init__(enforce, configuration=self.configuration)
        self.pods = pods

    def ask(
        self,
        count: int = 1,
        *consumers: Json,
        had: Sequence[Json] = (),
        device_class: str = GPU,
        of_resources: bool = False,
        **request: Any,
    ) -> Answered:
        exactly = {"deviceClassName": device_class, "count": count}
        made: Json = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": CLAIM,
            "metadata": {"name": "one", "annotations": {OF_PODS[1]: "true"} if of_resources else None},
            "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}},
        }
        fields: Json = {
            "kind": {"group": "resource.k8s.io", "version": "v1", "kind": CLAIM},
            "name": "one",
            "operation": "UPDATE",
            "subResource": "status",
            "userInfo": {"username": "system:kube-scheduler"},
            "oldObject": {**made, "status": {"reservedFor": list(had)}},
        }
        new = {**made, "status": {"reservedFor": [*had, *(consumers or (consumer(),))]}}
        admission = ClaimAdmission(lambda: self.configuration, self.namespaces, self.notes, self, self.pods)
        answer = admission.validate(encode(a_review(new, **{**fields, **request})))
        return read_answer(answer if isinstance(answer, bytes) else asyncio.run(awaited(answer)))


async def awaited(answer: Any) -> bytes:
    found: bytes = await answer
    return found


class TestWhatIsDenied:
    def test_claims_that_exceed_the_limit_of_a_pod_together(self) -> None:
        asked = Reserving("two", holding(TWO_CLAIMS, two=gpus(1)))
        assert asked.ask(1).is_silent
        answered = asked.ask(2)
        assert answered.rules == ["per-pod-limit"]
        assert answered.message == (
            'pod "train": its claims and containers are for 3 GPUs at once; namespace policy "two" permits 2 per pod; '
            "claim at most 2"
        )
        assert answered.response["status"]["details"]["causes"][0]["field"] == "status.reservedFor[0]"
        assert answered.annotations == {
            "enforce-policy": "two",
            "enforce-outcome": "denied",
            "enforce-rules": "per-pod-limit",
        }
        evaluated = asked.notes[-1].evaluated
        assert (evaluated.path, evaluated.mode, evaluated.operation, evaluated.acted) == (
            "validate-claim",
            "enforce",
            "UPDATE",
            True,
        )

    def test_what_is_written_counts_and_not_what_was_read_under_its_name(self) -> None:
        assert Reserving("two", holding(TWO_CLAIMS, one=None, two=gpus(1))).ask(2).rules == ["per-pod-limit"]
        assert Reserving("two", holding(TWO_CLAIMS, one=gpus(8), two=gpus(1))).ask(1).is_silent

    def test_every_gpu_of_a_class(self) -> None:
        assert Reserving("two", holding(TWO_CLAIMS, two=gpus(None))).ask().rules == ["per-pod-limit"]

    def test_claims_and_resources_together(self) -> None:
        pod = a_pod(using(name="a", **{"nvidia.com/gpu": "2"}), using("c", name="b"), claims={"c": "one"})
        assert Reserving("two", holding(pod)).ask().rules == ["per-pod-limit"]
        implicit = {"deviceclass.resource.kubernetes.io/gpu.nvidia.com": "2"}
        pod = a_pod(using(name="a", **implicit), using("c", name="b"), claims={"c": "one"})
        assert Reserving("two", holding(pod)).ask().rules == ["per-pod-limit"]

    def test_resources_that_exceed_a_limit_alone(self) -> None:
        """It was set, or lowered, after the pod was created."""
        for claims in ({"c": "one"}, {}):
            pod = a_pod(using(name="a", **{"nvidia.com/gpu": "3"}), using(*claims, name="b"), claims=claims)
            assert Reserving("two", holding(pod)).ask(1, of_resources=not claims).rules == ["per-pod-limit"]
            answered = Reserving("one-each", holding(pod)).ask(1, of_resources=not claims)
            assert answered.rules == ["per-container-limit"]
            assert answered.message.startswith('pod "train": container "a": nvidia.com/gpu: 3 is more than')

    def test_a_class_in_no_form_by_its_resource_name(self) -> None:
        pod = a_pod(using(**{"deviceclass.resource.kubernetes.io/unknown.example.com": "2"}))
        assert Reserving("two", holding(pod)).ask(2, device_class="unknown.example.com", of_resources=True).is_silent
        pod = a_pod(using(**{"deviceclass.resource.kubernetes.io/unknown.example.com": "3"}))
        asked = Reserving("two", holding(pod))
        assert asked.ask(3, device_class="unknown.example.com", of_resources=True).rules == ["per-pod-limit"]

    def test_a_claim_and_a_resource_of_one_container(self) -> None:
        pod = a_pod(using("c", **{"nvidia.com/gpu": "1"}), claims={"c": "one"})
        assert Reserving("two", holding(pod)).ask().rules == ["mixed-gpu-resources"]

    @pytest.mark.parametrize("section", ["containers", "initContainers"])
    def test_claims_that_exceed_the_limit_of_a_container_together(self, section: str) -> None:
        both = [using("a", "b", name="both")]
        lists = {"containers": [a_container("other")], section: both}
        pod = a_pod(*lists.pop("containers"), claims={"a": "one", "b": "two"}, **lists)
        answered = Reserving("one-each", holding(pod, two=gpus(1))).ask()
        assert answered.rules == ["per-container-limit"]
        assert answered.message.startswith('pod "train": container "both": its claims are for 2 GPUs')

    def test_the_requests_of_one_claim_that_a_container_uses_whole(self) -> None:
        two = a_claim(RequestedDevice(GPU), RequestedDevice(GPU))
        for uses, denied in ((["a", "b"], True), (["a", "b/r0"], True), (["b"], True), (["b/r0"], False)):
            pod = a_pod(using(*uses), claims={"a": "one", "b": "two"})
            answered = Reserving("one-each", holding(pod, two=two)).ask(1)
            assert answered.allowed is not denied, uses

    def test_one_that_the_pod_does_not_name(self) -> None:
        pod = a_pod(using("b"), claims={"b": "two"})
        assert Reserving("two", holding(pod, two=gpus(2))).ask(1).rules == ["per-pod-limit"]
        assert Reserving("two", holding(a_pod(a_container()))).ask(3).rules == ["per-pod-limit"]

    def test_that_of_resources_counts_by_what_the_containers_request(self) -> None:
        pod = a_pod(using(**{"nvidia.com/gpu": "2"}))
        assert Reserving("two", holding(pod)).ask(2, of_resources=True).is_silent
        assert Reserving("two", holding(pod)).ask(2).rules == ["per-pod-limit"]
        pod = a_pod(using("a", name="a"), using(name="b", **{"nvidia.com/gpu": "2"}), claims={"a": "one"})
        assert Reserving("two", holding(pod)).ask(2, of_resources=True).rules == ["per-pod-limit"]

    def test_each_of_several_pods(self) -> None:
        other = PodReference("other", "2")
        source = holding(a_pod(using("a"), claims={"a": "one"}))
        assert isinstance(source.pods, dict)
        source.pods[other] = ClaimHolder(TWO_CLAIMS, {Reference(CLAIM, "two"): gpus(2)})
        answered = Reserving("two", source).ask(1, consumer(), consumer("other", "2"))
        assert answered.message.startswith('pod "other": its claims')
        assert answered.response["status"]["details"]["causes"][0]["field"] == "status.reservedFor[1]"

    @pytest.mark.parametrize("username", [*CONTROLLERS, "exempt"])
    def test_whoever_writes_it(self, username: str) -> None:
        exemptions = Exemptions(usernames=frozenset({"exempt"}))
        asked = Reserving("two", holding(TWO_CLAIMS, two=gpus(1)), exemptions=exemptions)
        assert asked.ask(2, userInfo={"username": username}).rules == ["per-pod-limit"]


class TestWhatPasses:
    def test_what_is_within_the_limits(self) -> None:
        source = holding(TWO_CLAIMS, two=gpus(1))
        assert Reserving("two", source).ask(1).is_silent
        assert source.asked == [(TEAM, (TRAIN,))]

    @pytest.mark.parametrize("policy", ["none", "exclusive", "any", "unreadable!"])
    def test_policies_without_limits_look_nothing_up(self, policy: str) -> None:
        source = holding(TWO_CLAIMS, two=gpus(9))
        assert Reserving(policy, source).ask(9).is_silent
        assert source.asked == []

    def test_nor_is_anything_read_where_no_policy_has_limits(self) -> None:
        asked = Reserving("two", Source(UNAVAILABLE))
        asked.configuration = Configuration()
        assert asked.ask(9, object=None, kind=None).is_silent

    @pytest.mark.parametrize(
        "request_",
        [
            {"device_class": NIC},
            {"had": [consumer()], "consumers": [consumer()]},
            {"operation": "DELETE", "object": None},
            {"operation": "CREATE"},
        ],
    )
    def test_a_write_that_gives_no_gpu_to_a_pod(self, request_: Json) -> None:
        source = holding(TWO_CLAIMS, two=gpus(9))
        consumers = request_.pop("consumers", ())
        assert Reserving("two", source).ask(9, *consumers, **request_).is_silent
        assert source.asked == []

    def test_without_the_object_as_it_was_every_consumer_is_new(self) -> None:
        source = holding(a_pod(using("a"), claims={"a": "one"}))
        assert Reserving("two", source).ask(3, oldObject=None).rules == ["per-pod-limit"]
        assert source.asked == [(TEAM, (TRAIN,))]

    def test_pods_that_had_it_are_not_evaluated_again(self) -> None:
        source = holding(a_pod(using("a"), claims={"a": "one"}))
        assert Reserving("two", source).ask(1, consumer(), had=[consumer("before", "0")]).is_silent
        assert source.asked == [(TEAM, (TRAIN,))]

    def test_a_claim_that_does_not_exist_yet_is_evaluated_when_it_is_given(self) -> None:
        assert Reserving("two", holding(TWO_CLAIMS, two=None)).ask(2).is_silent

    def test_other_devices_and_admin_access_do_not_count(self) -> None:
        other = a_claim(RequestedDevice(NIC, 9), RequestedDevice(GPU, 9, admin_access=True))
        assert Reserving("two", holding(TWO_CLAIMS, two=other)).ask(2).is_silent

    @pytest.mark.parametrize(
        ("exemptions", "spec", "why"),
        [
            (Exemptions(namespaces=frozenset({TEAM})), {}, {"exempt": "namespace"}),
            (Exemptions(runtime_classes=frozenset({"own"})), {"runtimeClassName": "own"}, {}),
            (Exemptions(schedulers=frozenset({"own"})), {"schedulerName": "own"}, {}),
        ],
    )
    def test_an_exempt_namespace_and_exempt_pods(self, exemptions: Exemptions, spec: Json, why: Json) -> None:
        pod = a_pod(using("a", "b"), claims={"a": "one", "b": "two"}, **spec)
        answered = Reserving("two", holding(pod, two=gpus(9)), exemptions=exemptions).ask(9)
        assert (answered.allowed, answered.annotations) == (True, why)

    def test_in_audit_mode_it_is_only_recorded(self) -> None:
        answered = Reserving("two", holding(TWO_CLAIMS, two=gpus(1)), mode=Mode.AUDIT).ask(2)
        assert answered.allowed
        assert (answered.annotations["mode"], answered.annotations["enforce-rules"]) == ("audit", "per-pod-limit")


UNAVAILABLE = PodUnavailable(TRAIN, "no answer")


class TestWhatCannotBeEvaluated:
    def test_a_pod_that_can_not_be_read(self) -> None:
        with pytest.raises(PodUnavailable, match='pod "train" and its claims could not be read: no answer'):
            Reserving("two", Source(UNAVAILABLE)).ask()

    def test_a_pod_that_does_not_exist(self) -> None:
        with pytest.raises(ReviewError, match='names pod "train" with uid "1", which does not exist') as raised:
            Reserving("two", Source({TRAIN: None})).ask()
        assert raised.value.field == "request.object.status.reservedFor[0]"

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"apiGroup": "scheduling.k8s.io", "resource": "podgroups"}, 'podgroups.scheduling.k8s.io "train"'),
            ({"apiGroup": "example.com"}, 'pods.example.com "train"'),
            ({"resource": "Pods"}, 'Pods. "train"'),
        ],
    )
    def test_a_consumer_that_is_not_a_pod(self, fields: dict[str, str], named: str) -> None:
        """Kubernetes compares uids alone: it may have the uid of a pod."""
        source = holding(TWO_CLAIMS, two=gpus(1))
        for consumers in ((consumer(**fields),), (consumer("other", "2"), consumer(**fields))):
            with pytest.raises(ReviewError, match=f"names {re.escape(named)}; if the policy has limits") as raised:
                Reserving("two", source).ask(1, *consumers)
            assert raised.value.field == f"request.object.status.reservedFor[{len(consumers) - 1}]"
        assert source.asked == []
        assert Reserving("any", source).ask(9, consumer(**fields)).is_silent

    def test_without_a_cluster_it_is_said_to_be_not_evaluated(self) -> None:
        answered = Reserving("two", NoPods()).ask(9)
        assert (answered.allowed, answered.annotations) == (True, {"not-evaluated": "status.reservedFor"})

    def test_without_labels_there_is_no_verdict(self) -> None:
        asked = Reserving("two", holding(TWO_CLAIMS))
        asked.namespaces.known.clear()
        with pytest.raises(NamespaceNotFound):
            asked.ask()

    def test_more_pods_than_are_read_for_one_write(self) -> None:
        many = [consumer(f"p{number}", f"{number}") for number in range(MOST_HOLDERS + 1)]
        with pytest.raises(ReviewError, match=f"to {MOST_HOLDERS + 1} consumers at once; more than {MOST_HOLDERS} are"):
            Reserving("two", Source({})).ask(1, *many)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            ({"kind": {"group": "", "version": "v1", "kind": "Pod"}}, "request.kind"),
            ({"kind": None}, "request.kind"),
            ({"object": None}, "request.object"),
            ({"object": {"status": {"reservedFor": 1}}}, "request.object.status.reservedFor"),
            ({"oldObject": {"status": 1}}, "request.oldObject.status"),
            (
                {"object": {"spec": {"resourceClassName": "x"}, "status": {"reservedFor": [consumer()]}}},
                "request.object.spec",
            ),
        ],
    )
    def test_another_object(self, request_: Json, field: str) -> None:
        with pytest.raises(ReviewError) as raised:
            Reserving("two", Source({})).ask(**request_)
        assert raised.value.field == field
