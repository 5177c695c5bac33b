"""The cache of decisions: equal pods are decided once; a difference in any field that matters makes another pod."""

import asyncio
import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testing.reviews import (
    GPU,
    TEAM,
    Json,
    KnownNamespaces,
    Notes,
    Webhook,
    a_container,
    a_gpu_container,
    a_pod,
    a_review,
    encode,
)
from tests.application.test_admission_properties import PODS, POLICIES
from tests.application.test_nodes import ONLY_SLICES, ONLY_SLOTS, Nodes
from webhook.application import decision_cache, pod_review
from webhook.application.admission import Admission
from webhook.application.claims import NoClaims
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.decision_cache import AdmissionResult, DecisionCache, key_of
from webhook.application.review import Answering, ReviewError
from webhook.engine.claims import Reference, Resolved
from webhook.engine.namespace_labels import UNLABELLED, NamespaceLabels
from webhook.engine.pods import Pod
from webhook.engine.policy import FindingAction, PolicyBook, Prefer

ADDED = "LimitRanger plugin set: nvidia.com/gpu request for container train; nvidia.com/gpu limit for container train"


def in_spec(**fields: Any) -> Callable[[Json], None]:
    return lambda pod: pod["spec"].update(copy.deepcopy(fields))


def in_first(**fields: Any) -> Callable[[Json], None]:
    return lambda pod: pod["spec"]["containers"][0].update(copy.deepcopy(fields))


def annotated(key: str, value: str) -> Callable[[Json], None]:
    return lambda pod: pod["metadata"].__setitem__(
        "annotations", {**pod["metadata"].get("annotations", {}), key: value}
    )


def of_nodes(*terms: Json) -> Json:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


VISIBLE = "NVIDIA_VISIBLE_DEVICES"
# One for each thing that is read of a pod, with several values where the value is read.
TWISTS: Sequence[Callable[[Json], None]] = (
    in_first(name="serve"),
    in_first(resources={"limits": {GPU: "1"}}),
    in_first(resources={"limits": {GPU: "1"}, "requests": {GPU: "2"}}),
    in_first(resources={"limits": {GPU: "1000m"}, "requests": {GPU: "1"}}),
    in_first(resources={"limits": {GPU: 1}, "requests": {GPU: 1}}),
    in_first(resources={"limits": {GPU: 1, f"{GPU}.shared": 1}, "requests": {GPU: 1}}),
    in_first(resources={"limits": {"nvidia.com/gpu-shared": 2**70}}),
    in_first(resources={"claims": [{"name": "gpu"}], "limits": {GPU: "1"}, "requests": {GPU: "1"}}),
    in_first(env=[{"name": VISIBLE, "value": "all"}]),
    in_first(env=[{"name": VISIBLE, "value": "void"}]),
    in_first(env=[{"name": VISIBLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
    in_first(env=[{"name": "A", "value": "1"}]),
    in_first(env=[]),
    in_first(restartPolicy="Always"),
    in_first(volumeMounts=[{"name": "a", "mountPath": "/dev/shm"}]),  # noqa: S108 - in a pod
    in_first(volumeMounts=[{"name": "a", "mountPath": "/var/run/nvidia-container-devices/all"}]),
    in_first(securityContext={"privileged": True}),
    in_spec(volumes=[{"name": "a", "hostPath": {"path": "/dev"}}]),
    in_spec(volumes=[{"name": "a", "hostPath": {"path": "/data"}}]),
    in_spec(initContainers=[a_gpu_container("1", "first")]),
    in_spec(initContainers=[a_gpu_container("1", "first", restartPolicy="Always")]),
    in_spec(ephemeralContainers=[a_gpu_container("1", "debug")]),
    in_spec(nodeSelector={}),
    in_spec(nodeSelector={f"{GPU}.sharing-strategy": "mps"}),
    in_spec(nodeSelector={f"{GPU}.product": "A100-SHARED"}),
    in_spec(affinity={}),
    in_spec(affinity=of_nodes({"matchExpressions": [{"key": f"{GPU}.product", "operator": "In", "values": ["A100"]}]})),
    in_spec(affinity=of_nodes({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]})),
    in_spec(nodeName="a"),
    in_spec(hostIPC=True),
    in_spec(schedulerName="kai-scheduler"),
    in_spec(tolerations=None),
    in_spec(tolerations=[{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]),
    in_spec(runtimeClassName="nvidia"),
    in_spec(runtimeClassName="kata"),
    in_spec(resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]),
    in_spec(resources={"limits": {GPU: "1"}}),
    annotated("kubernetes.io/config.mirror", "a"),
    annotated("kubernetes.io/limit-ranger", ADDED),
    annotated("cdi.k8s.io/a", "nvidia.com/gpu=all"),
    annotated("cdi.k8s.io/a", "vendor.example/nic=0"),
    annotated("below.nri.io/a", "/dev/nvidia0"),
    annotated("gpuwarden.io/policy", "another"),
    annotated("gpuwarden.io/original-request", "another"),
    lambda pod: pod["metadata"].pop("annotations", None),
    lambda pod: pod.update(metadata=None),
)
NOT_READ: Sequence[Callable[[Json], None]] = (
    lambda pod: pod["metadata"].update(name="train-1", generateName="train-", labels={"app": "serve"}, uid="1"),
    annotated("team/owner", "ml"),
    annotated("batch.kubernetes.io/job-completion-index", "7"),
    lambda pod: pod["spec"].get("volumes", [{}])[0].update(name="kube-api-access-zzzzz"),
    in_first(image="registry.example/train:2", args=["--rank=7"]),
)
FORMS = ("shared", "mps", "none", "mig-1g.5gb", "exclusive", None, "mistyped")
CONFIGURATIONS = st.builds(
    lambda policy, prefer, not_offered, visible, mode: Configuration(
        PolicyBook(
            {"house": msgspec.structs.replace(policy, prefer=prefer, not_offered=not_offered)}, visible_devices=visible
        ),
        mode,
        exemptions=Exemptions(runtime_classes=frozenset({"kata"}), schedulers=frozenset({"kai-scheduler"})),
    ),
    POLICIES,
    st.sampled_from(Prefer),
    st.sampled_from(FindingAction),
    st.sampled_from([None, *FindingAction]),
    st.sampled_from(Mode),
)
LABELS = st.builds(NamespaceLabels, *[st.sampled_from(["house", *FORMS])] * 3)
FLEETS = st.sampled_from([None, ONLY_SLOTS, ONLY_SLICES])


@st.composite
def twisted(draw: st.DrawFn, base: Json) -> Json:
    pod = copy.deepcopy(base)
    for twist in draw(st.lists(st.sampled_from([*TWISTS, *NOT_READ]), max_size=2)):
        if pod["metadata"] is not None:
            twist(pod)
    return pod


def answered(asked: Answering) -> bytes:
    return asked if isinstance(asked, bytes) else asyncio.run(_awaited(asked))


async def _awaited(asked: Any) -> bytes:
    return bytes(await asked)


@settings(max_examples=150)
@given(st.data())
def test_an_answer_with_the_memo_is_the_answer_without_it(data: st.DataObject) -> None:
    """Pods that differ in a little or nothing, while everything around them changes."""
    base = data.draw(PODS)
    namespaces, nodes, notes = KnownNamespaces({TEAM: UNLABELLED}), Nodes(None), Notes()
    remembering = Admission(Configuration(), namespaces, notes, nodes=nodes)
    for _ in range(data.draw(st.integers(2, 5))):
        if data.draw(st.integers(0, 3)) == 0:
            remembering.configuration = data.draw(CONFIGURATIONS)
        if data.draw(st.integers(0, 3)) == 0:
            nodes.fleet = data.draw(FLEETS)
        if data.draw(st.integers(0, 2)) == 0:
            namespaces.known[TEAM] = data.draw(LABELS)
        review = encode(a_review(data.draw(twisted(base)), uid=f"uid-{data.draw(st.integers(0, 9))}"))
        for path in ("mutate", "validate", "mutate"):
            anew = Notes()
            forgetful = Admission(remembering.configuration, namespaces, anew, nodes=nodes)
            notes.clear()

            assert answered(getattr(remembering, path)(review)) == answered(getattr(forgetful, path)(review))
            assert [note.evaluated for note in notes] == [note.evaluated for note in anew]
            assert [note.metadata for note in notes] == [note.metadata for note in anew]


def a_key(pod: Json) -> object:
    request = pod_review.decoded(encode(a_review(pod)), final=True)
    assert isinstance(request, pod_review.PodRequest)
    assert request.object
    return key_of(request.object, UNLABELLED, final=True)


def an_annotated_pod() -> Json:
    return a_pod(annotations={"a": "b"}, volumes=[{"name": "kube-api-access-x7k2p", "projected": {}}])


@pytest.mark.parametrize("twist", TWISTS)
def test_what_is_read_of_a_pod_is_in_the_key(twist: Callable[[Json], None]) -> None:
    pod = an_annotated_pod()
    twist(pod)

    assert a_key(pod) != a_key(an_annotated_pod())


@pytest.mark.parametrize("twist", NOT_READ)
def test_what_differs_between_the_pods_of_one_workload_is_not(twist: Callable[[Json], None]) -> None:
    pod = an_annotated_pod()
    twist(pod)

    assert a_key(pod) == a_key(an_annotated_pod())


@pytest.mark.parametrize(
    "container",
    [
        a_container(limits={GPU: "1", "cpu": 2**70}),
        a_gpu_container(env=[{"name": "A", "value": "x" * decision_cache._MOST_READ}]),
    ],
    ids=["a number of more than 64 bits", "a long text"],
)
def test_what_no_real_pod_has_makes_no_key(container: Json) -> None:
    pod = a_pod(container)

    assert a_key(pod) is None
    assert Webhook("shared").mutate(pod).patch


def test_a_pod_that_cannot_be_read_is_never_like_one_that_was(made: list[Pod]) -> None:
    webhook = Webhook("shared")
    unreadable = a_pod(a_gpu_container(env=[{"name": 5}]))

    webhook.mutate(a_pod(a_gpu_container(env=[{"name": "5"}])))
    for _ in range(2):
        with pytest.raises(ReviewError):
            webhook.mutate(unreadable)
    assert len(made) == 3


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Pod]:
    """The pods that a result was made for."""
    pods: list[Pod] = []
    result = Admission._verdict

    def noted(self: Admission, request: Any, pod: Pod, *more: Any, **named: Any) -> Any:
        pods.append(pod)
        return result(self, request, pod, *more, **named)

    monkeypatch.setattr(Admission, "_verdict", noted)
    return pods


def test_pods_that_are_alike_are_decided_once(made: list[Pod]) -> None:
    webhook = Webhook("shared")

    for number in range(3):
        webhook.mutate(a_pod(), uid=f"uid-{number}", name=f"train-{number}")

    assert len(made) == 1
    assert [note.request.name for note in webhook.notes] == ["train-0", "train-1", "train-2"]


def test_each_endpoint_decides_for_itself(made: list[Pod]) -> None:
    webhook = Webhook("shared")
    for ask in (webhook.mutate, webhook.validate, webhook.mutate, webhook.validate):
        ask(a_pod())

    assert len(made) == 2


def test_an_update_is_decided_each_time(made: list[Pod]) -> None:
    webhook = Webhook("shared")
    for _ in range(2):
        webhook.validate(a_pod(nodeSelector={"a": "b"}), operation="UPDATE", oldObject=a_pod())

    assert len(made) == 2


def test_a_namespace_that_only_the_pod_names_may_be_exempt() -> None:
    webhook = Webhook("shared", configuration=Configuration(exemptions=Exemptions(frozenset({"exempt"}))))
    webhook.namespaces.known["exempt"] = webhook.namespaces.known[TEAM]
    pod = a_pod()
    assert webhook.mutate(pod, namespace="").patch
    pod["metadata"]["namespace"] = "exempt"

    assert webhook.mutate(pod, namespace="").annotations == {"exempt": "namespace"}


class Asked(NoClaims):
    """A source of claims that notes what it is asked."""

    def __init__(self) -> None:
        self.times = 0

    async def fetch(self, namespace: str, references: Sequence[Reference]) -> Resolved:
        self.times += 1
        return await super().fetch(namespace, references)


def test_what_is_looked_up_is_looked_up_each_time() -> None:
    source = Asked()
    admission = Admission(Configuration(), KnownNamespaces({TEAM: NamespaceLabels("shared")}), Notes(), source)
    for _ in range(2):
        answered(admission.validate(encode(a_review(a_pod(resourceClaims=[{"name": "a", "resourceClaimName": "a"}])))))

    assert source.times == 2


KEY = key_of(Pod(), UNLABELLED, final=False)
CONFIGURATION = Configuration()


def kept(cache: DecisionCache, count: int) -> int:
    """The number of results that are left of so many."""
    keys = [(number.to_bytes(32), UNLABELLED, False) for number in range(count)]
    return sum(cache.find(key, CONFIGURATION) is not None for key in keys)


def filled(response: bytes, count: int) -> DecisionCache:
    cache = DecisionCache(Nodes(None))
    for number in range(count):
        key = number.to_bytes(32), UNLABELLED, False
        assert cache.find(key, CONFIGURATION) is None
        cache.keep(key, CONFIGURATION, AdmissionResult(response))
    return cache


def test_what_is_kept_has_a_bound() -> None:
    assert kept(filled(b"x" * 1024, 3000), 3000) == decision_cache._MOST // 2048


def test_what_is_recorded_counts_as_well() -> None:
    """Else pods with many forms and a short answer would take several times the bound."""
    webhook = Webhook("any")
    webhook.mutate(a_pod(*(a_container(f"c{n}", {f"nvidia.com/mig-1g.{n}gb": "1"}) for n in range(1, 17))))
    (note,) = webhook.notes
    result = AdmissionResult(b"{}", (note.evaluated,))

    assert result.size >= sys.getsizeof(result) + sum(
        sys.getsizeof(pair) + sys.getsizeof(pair[0]) for pair in note.evaluated.requested
    )


def test_long_answers_are_not_kept() -> None:
    assert kept(filled(b"x" * (decision_cache._LONGEST + 1), 3), 3) == 0


def test_what_was_used_last_is_kept_longest() -> None:
    most = decision_cache._MOST // 2048
    cache = filled(b"x" * 1024, most)
    first, second = ((number.to_bytes(32), UNLABELLED, False) for number in range(2))
    cache.find(first, CONFIGURATION)
    cache.keep((most.to_bytes(32), UNLABELLED, False), CONFIGURATION, AdmissionResult(b"x" * 1024))

    assert cache.find(first, CONFIGURATION)
    assert cache.find(second, CONFIGURATION) is None


def test_a_verdict_on_nodes_that_changed_meanwhile_is_not_kept() -> None:
    nodes = Nodes(ONLY_SLOTS)
    cache = DecisionCache(nodes)
    assert KEY
    assert cache.find(KEY, CONFIGURATION) is None
    nodes.fleet = ONLY_SLICES
    cache.keep(KEY, CONFIGURATION, AdmissionResult(b"{}"))

    assert cache.find(KEY, CONFIGURATION) is None


@pytest.mark.parametrize("change", ["fleet", "configuration"])
def test_whatever_decides_changes_and_all_is_forgotten(change: str) -> None:
    nodes, configuration = Nodes(ONLY_SLOTS), CONFIGURATION
    cache = DecisionCache(nodes)
    assert KEY
    assert cache.find(KEY, configuration) is None
    cache.keep(KEY, configuration, AdmissionResult(b"{}"))
    assert cache.find(KEY, configuration)
    if change == "configuration":
        configuration = Configuration()
    else:
        nodes.fleet = ONLY_SLICES

    assert cache.find(KEY, configuration) is None


def test_what_is_recorded_of_a_pod_with_very_many_forms_is_small() -> None:
    webhook = Webhook("any")
    webhook.mutate(a_pod(*(a_container(f"c{n}", {f"nvidia.com/mig-1g.{n}gb": "1"}) for n in range(1, 100))))
    (note,) = webhook.notes

    assert len(note.evaluated.requested) == 17
    assert note.evaluated.requested[-1] == (None, 83)
