"""What a stranger sends is bounded: what is echoed of it, what is decoded, and what stays in memory."""

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from testing.reviews import (
    GPU,
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
    finish,
    read_answer,
)
from webhook.application.admission import Admission
from webhook.application.advising import Advising
from webhook.application.configuration import Configuration
from webhook.application.namespace_admission import NamespaceAdmission
from webhook.application.pod_review import MOST_RESOURCES, MOST_SELECTED
from webhook.application.recorder import RecordedDecision
from webhook.application.review import MOST_ELEMENTS, Answering, ReviewError
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import FindingAction, Policy, PolicyBook
from webhook.engine.text import LONGEST_NAME

LARGE = 1 << 20
GUARDED = Configuration(PolicyBook(visible_devices=FindingAction.DENY))
NAMESPACE = {"group": "", "version": "v1", "kind": "Namespace"}
DEPLOYMENT = {"group": "apps", "version": "v1", "kind": "Deployment"}


def answer(ask: Callable[[bytes], Answering], review: Json) -> bytes:
    """An answer, or a failure, as bytes."""
    try:
        answered = ask(encode(review))
        return answered if isinstance(answered, bytes) else asyncio.run(_awaited(answered))
    except ReviewError as error:
        return str(error).encode()


async def _awaited(answered: Any) -> bytes:
    return bytes(await answered)


class Forgetful:
    """A recorder that keeps nothing."""

    def decided(self, recorded: RecordedDecision) -> None:
        pass


def guarded(policy: str = "mps") -> Admission:
    return Admission(GUARDED, KnownNamespaces({TEAM: NamespaceLabels(policy, "none", "none")}), Forgetful())


LONG = "x" * LARGE
ENVELOPES: dict[str, Json] = {
    "uid": {"uid": LONG},
    "operation": {"operation": LONG},
    "kind": {"kind": {"kind": LONG}},
    "group": {"kind": {"kind": "Pod", "group": LONG}},
    "namespace": {"namespace": LONG},
    "name": {"name": LONG},
    "sub-resource": {"subResource": LONG},
    "user": {"userInfo": {"username": LONG}},
}
PODS: dict[str, Json] = {
    "container": a_pod(a_gpu_container("0.5", name=LONG)),
    "resource": a_pod(a_container("a", {f"nvidia.com/{LONG}": 1})),
    "quantity": a_pod(a_gpu_container(LONG)),
    "env name": a_pod(a_gpu_container(env=[{"name": LONG, "value": "a"}])),
    "env value": a_pod(a_gpu_container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": LONG}])),
    "selector key": a_pod(nodeSelector={LONG: "a"}),
    "selector value": a_pod(*[a_gpu_container(name=f"c{n}") for n in range(50)], nodeSelector={f"{GPU}.product": LONG}),
    "affinity": a_pod(
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": f"{GPU}.product", "operator": "In", "values": [LONG]}]}
                    ]
                }
            }
        }
    ),
    "annotation": a_pod(annotations={f"cdi.k8s.io/{LONG}": "nvidia.com/gpu=all"}),
    "annotation's value": a_pod(annotations={"cdi.k8s.io/a": f"nvidia.com/gpu={LONG}"}),
    "host path": a_pod(volumes=[{"name": "a", "hostPath": {"path": f"/dev/nvidia{LONG}"}}]),
    "mount": a_pod(a_gpu_container(volumeMounts=[{"mountPath": f"/var/run/nvidia-container-devices/{LONG}"}])),
    "node": a_pod(nodeName=LONG),
    "runtime class": a_pod(a_container("a"), runtimeClassName=f"nvidia-{LONG}"),
    "kind": {**a_pod(), "kind": LONG},
    "many": a_pod(*[a_gpu_container("0.5", name="\x01" * LONGEST_NAME) for _ in range(900)]),
}
MOST_ANSWERED = 300_000


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("endpoint", ["mutate", "validate", "advise", "validate-namespace"])
def test_no_answer_grows_with_the_envelope(endpoint: str, envelope: str) -> None:
    admission, names = guarded(), KnownNamespaces({TEAM: NamespaceLabels("none")})
    advising = Advising(lambda: GUARDED, names, Notes())
    labelling = NamespaceAdmission(lambda: GUARDED, None)
    kinds = {"advise": DEPLOYMENT, "validate-namespace": NAMESPACE}
    fields = ({"kind": kinds[endpoint]} if endpoint in kinds else {}) | ENVELOPES[envelope]
    gpu_containers: dict[str, Callable[[bytes], Answering]] = {
        "mutate": admission.mutate,
        "validate": admission.validate,
        "advise": advising.advise,
        "validate-namespace": lambda body: labelling.validate(body, 1.0),
    }

    assert len(answer(gpu_containers[endpoint], a_review(a_pod(), **fields))) < 10_000


@pytest.mark.parametrize("pod", PODS)
def test_no_verdict_grows_with_what_it_quotes(pod: str) -> None:
    for policy in ("mps", "none", "any"):
        assert len(answer(guarded(policy).validate, a_review(PODS[pod]))) < MOST_ANSWERED


@pytest.mark.parametrize("pod", PODS)
def test_nor_does_anything_but_the_patch_of_a_rewrite(pod: str) -> None:
    for policy in ("mps", "none", "any"):
        for configuration in (GUARDED, Configuration()):
            names = KnownNamespaces({TEAM: NamespaceLabels("any", policy, policy)})
            body = answer(Admission(configuration, names, Notes()).mutate, a_review(PODS[pod]))
            assert len(body) < MOST_ANSWERED


def test_names_as_long_as_kubernetes_permits_are_quoted_whole() -> None:
    name, policy = "c" * 63, "p" * 63
    resource = f"deviceclass.resource.kubernetes.io/{'r' * 63}"
    names = KnownNamespaces({TEAM: NamespaceLabels(policy)})
    webhook = Admission(Configuration(PolicyBook({policy: Policy(policy)})), names, Notes())
    pod = a_pod(*(a_container(f"{name[:-2]}{number:02}", {resource: "1"}) for number in range(20)))

    answered = read_answer(answer(webhook.validate, a_review(pod)))

    assert "…" not in answered.message
    assert answered.message.count(resource) == len(pod["spec"]["containers"])


def test_a_body_of_too_many_elements_is_refused_with_how_many_it_has() -> None:
    env: list[Json] = [{}] * MOST_ELEMENTS
    review = a_review(a_pod(a_gpu_container(env=env)))

    for ask in (guarded().mutate, guarded().validate):
        said = answer(ask, review).decode()
        assert said.startswith("request: has 1000")
        assert f"at most {MOST_ELEMENTS}" in said


def test_a_template_or_a_namespace_of_too_many_elements_is_refused_too() -> None:
    labels = {f"a{number}": "" for number in range(MOST_ELEMENTS)}
    template = {"spec": {"template": {**a_pod(), "metadata": {"annotations": labels}}}}
    advising = Advising(lambda: GUARDED, KnownNamespaces({TEAM: NamespaceLabels("none")}), Notes())
    labelling = NamespaceAdmission(lambda: GUARDED, None)

    assert b"elements" in answer(advising.advise, a_review(template, kind=DEPLOYMENT))
    namespace = {"metadata": {"name": "a", "labels": labels}}
    assert b"elements" in answer(lambda body: labelling.validate(body, 1.0), a_review(namespace, kind=NAMESPACE))


def test_where_everything_is_exempt_a_body_of_any_number_of_elements_passes() -> None:
    env: list[Json] = [{}] * MOST_ELEMENTS

    answered = read_answer(answer(guarded().validate, a_review(a_pod(a_container(env=env)), namespace="kube-system")))

    assert answered.annotations == {"exempt": "namespace"}


def test_text_that_has_no_elements_may_be_long() -> None:
    pod = a_pod(a_gpu_container(env=[{"name": "A", "value": "x" * LARGE}]))

    assert read_answer(answer(guarded().mutate, a_review(pod))).patch


def resources(count: int) -> Json:
    return a_pod(a_gpu_container(), *(a_container(f"c{n}", {f"example.com/{n}": "1"}) for n in range(count - 1)))


def values(count: int) -> Json:
    listed = [{"key": "zone", "operator": "In", "values": [str(number) for number in range(count - 2)]}]
    terms = {"nodeSelectorTerms": [{"matchExpressions": listed}]}
    return a_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})


def selectors(count: int) -> Json:
    return a_pod(nodeSelector={f"zone{number}": "a" for number in range(count)})


SIZES = [
    (resources, MOST_RESOURCES, "spec.containers"),
    (values, MOST_SELECTED, "spec.affinity"),
    (selectors, MOST_SELECTED, "spec.affinity"),
]


@pytest.mark.parametrize(("pod", "most", "field"), SIZES)
def test_as_much_as_is_evaluated_is_evaluated_and_more_is_an_error_that_names_the_field(
    pod: Callable[[int], Json], most: int, field: str
) -> None:
    webhook = Webhook("mps")
    template = {"spec": {"template": pod(most + 1)}}
    advising = Advising(lambda: GUARDED, KnownNamespaces({TEAM: NamespaceLabels("none")}), Notes())

    assert webhook.mutate(pod(most)).patch
    for ask in (webhook.mutate, webhook.validate):
        with pytest.raises(ReviewError, match=f"{most + 1} .*at most {most} are supported") as refused:
            ask(pod(most + 1))
        assert refused.value.field == f"request.object.{field}"
    said = answer(advising.advise, a_review(template, kind=DEPLOYMENT)).decode()
    assert said.startswith(f"request.object.spec.template.{field}")


def test_an_update_is_bounded_by_what_the_pod_was_too() -> None:
    with pytest.raises(ReviewError) as refused:
        Webhook("mps").validate(a_pod(), operation="UPDATE", oldObject=selectors(MOST_SELECTED + 1))
    assert refused.value.field == "request.oldObject.spec.affinity"


def kept(make: Callable[[], object]) -> tuple[int, object]:
    """How many bytes more are in use afterwards, and what was made."""
    tracemalloc.start()
    try:
        made = make()
        return tracemalloc.get_traced_memory()[0], made
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("endpoint", ["mutate", "validate", "advise"])
def test_while_a_namespace_is_waited_for_nothing_that_was_decoded_is_kept(endpoint: str) -> None:
    async def ask() -> None:
        pod = a_pod(a_gpu_container(env=[{"name": f"A{number}", "value": f"B{number}"} for number in range(10_000)]))
        pod["spec"]["containers"].append(a_gpu_container(name="b"))
        reached, going = asyncio.Event(), asyncio.Event()

        class Slow(KnownNamespaces):
            async def fetch(self, name: str) -> NamespaceLabels:
                reached.set()
                await going.wait()
                return NamespaceLabels("none")

        names = Slow()
        admission = Admission(Configuration(), names, Notes())
        advising = Advising(Configuration, names, Notes())
        asked: dict[str, Callable[[bytes], Any]] = {
            "mutate": admission.mutate,
            "validate": admission.validate,
            "advise": advising.advise,
        }
        review = a_review({"spec": {"template": pod}}, kind=DEPLOYMENT) if endpoint == "advise" else a_review(pod)
        body = encode(review)

        tracemalloc.start()
        task = asyncio.ensure_future(asked[endpoint](body))
        await reached.wait()
        more, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        going.set()
        read_answer(await task)
        assert more < 200_000  # decoded, it has 2 MB

    asyncio.run(ask())


def test_while_workloads_are_looked_at_nothing_that_was_decoded_is_kept() -> None:
    class Looking:
        """Measures what is in use when it is asked."""

        more = 0

        async def preview(self, namespace: str, policy: Policy, seconds: float) -> list[str]:
            del namespace, policy, seconds
            self.more, _ = tracemalloc.get_traced_memory()
            return []

    looking = Looking()
    labels = {f"label{number}": f"value{number}" for number in range(10_000)}
    new, old = (
        {"metadata": {"name": "a", "labels": {**labels, "gpuwarden.io/enforce": one}}} for one in ("mps", "none")
    )
    body = encode(a_review(new, oldObject=old, operation="UPDATE", kind=NAMESPACE, userInfo={"username": LONG}))
    labelling = NamespaceAdmission(Configuration, looking)

    tracemalloc.start()
    try:
        read_answer(finish(labelling.validate(body, 1.0)))
    finally:
        tracemalloc.stop()

    assert 0 < looking.more < 500_000


def strange(number: int, size: int) -> str:
    return f"{number}{'x' * size}"


def long_texts(number: int, size: int) -> Json:
    """A pod whose every text that could be a key of a cache is new and long."""
    text = strange(number, size)
    return a_pod(
        a_container(text, {GPU: "1", f"nvidia.com/{text}": "1", f"example.com/{text}": text}),
        annotations={text: text, f"cdi.k8s.io/{text}": text},
        nodeSelector={f"nvidia.com/{text}": text},
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": f"{GPU}.product", "operator": "In", "values": [text] * 16}]}
                    ]
                }
            }
        },
    )


def labelled(number: int, size: int) -> Json:
    keys = ("gpuwarden.io/enforce", "gpuwarden.io/warn", "gpuwarden.io/audit", f"gpuwarden.io/{strange(number, size)}")
    return {"metadata": {"name": "a", "labels": {key: strange(number, size) for key in keys}}}


@pytest.mark.parametrize("size", [100, 300, 100_000])
def test_what_is_remembered_is_bounded_in_bytes(size: int) -> None:
    admission = guarded()
    labelling = NamespaceAdmission(lambda: GUARDED, None)
    count = 50 if size > LONGEST_NAME else 600

    def ask() -> None:
        for number in range(count):
            for review in (a_review(long_texts(number, size)), a_review(long_texts(number, 40))):
                answer(admission.mutate, review)
                answer(admission.validate, review)
            review = a_review(labelled(number, size), kind=NAMESPACE)
            answer(lambda body: labelling.validate(body, 1.0), review)

    more, _ = kept(ask)

    assert more < 12 << 20


def test_a_label_longer_than_a_label_can_be_is_a_problem_and_quoted_no_further() -> None:
    labelling = NamespaceAdmission(Configuration, None)
    review = a_review({"metadata": {"name": "a", "labels": {"gpuwarden.io/enforce": LONG}}}, kind=NAMESPACE)

    answered = read_answer(answer(lambda body: labelling.validate(body, 1.0), review))

    assert f'"{"x" * 63}…" is not a policy' in answered.message


@pytest.mark.usefixtures("own_garbage")
def test_labels_that_look_like_ours_are_compared_in_time_however_many() -> None:
    labels = {f"gpuwarder.io/{number:x}nforce": "" for number in range(20_000)}
    labelling = NamespaceAdmission(Configuration, None)
    review = a_review({"metadata": {"name": "a", "labels": labels}}, kind=NAMESPACE)
    started = time.process_time()

    assert read_answer(answer(lambda body: labelling.validate(body, 1.0), review), UID).allowed

    assert time.process_time() - started < 1.0
