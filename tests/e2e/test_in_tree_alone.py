"""The admission policies of ``gpuwarden compile --deny-others`` without webhooks, beside everything else that changes pods."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from testing.reviews import Webhook
from tests.builders import Json, a_pod, affinity, gpu
from tests.e2e.admission_policies import path_of
from tests.e2e.objects import ENFORCE, GPU, SHARED, deployment, limits_of
from tests.e2e.other_webhook import MUTATING, Answer, patching, registered, serving
from tests.e2e.test_backstop import sendable
from webhook.application.configuration import Configuration
from webhook.application.in_tree_compiler import ANNOTATION, compiled

pytestmark = pytest.mark.e2e

STRATEGY = "nvidia.com/gpu.sharing-strategy"
PLAIN = sendable(a_pod(gpu("1")))
NAMED: Json = {"metadata": {"name": "job-0"}}
PLAIN |= NAMED
OTHERS = 'pod: it requests GPUs in a way that the API server alone can\'t check against namespace policy "shared"; '
V1 = "admissionregistration.k8s.io/v1"
PODS = "/api/v1/namespaces/{}/pods"
FORBIDDEN, CREATED, OK = httpx.codes.FORBIDDEN, httpx.codes.CREATED, httpx.codes.OK


def create(control_plane: ControlPlane, namespace: str, pod: Json, dry_run: str = "All") -> httpx.Response:
    """Create a pod; as a dry run, unless ``dry_run`` is empty."""
    parameters = {"dryRun": dry_run} if dry_run else {}
    return control_plane.api.post(PODS.format(namespace), params=parameters, json=pod)


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane, module_namespaces: Namespaces) -> Iterator[str]:
    """A namespace with the policy ``shared``, which alone is installed; it acts when this returns."""
    made = module_namespaces.make({ENFORCE: "shared"})
    objects = [
        each
        for each in compiled(Configuration(), deny_others=True).objects
        if each["metadata"]["annotations"][ANNOTATION] == "shared"
    ]
    with installed(control_plane, objects):
        other = sendable(a_pod(gpu("1"), nodeSelector={STRATEGY: "mps"}))
        for pod in (sendable(a_pod(gpu("2"))), other):
            wait_for_denial(control_plane, made, {**pod, **NAMED})
        wait_for("the rewrite", lambda: limits_of(create(control_plane, made, PLAIN).json()) == [{SHARED: "1"}])
        yield made


@contextmanager
def installed(control_plane: ControlPlane, objects: list[Json]) -> Iterator[None]:
    """Objects, for the body of a ``with``."""
    for each in objects:
        control_plane.api.post(path_of(each), json=each).raise_for_status()
    try:
        yield
    finally:
        for each in reversed(objects):
            control_plane.api.delete(f"{path_of(each)}/{each['metadata']['name']}")


@contextmanager
def second_policy(control_plane: ControlPlane, name: str, patch: str) -> Iterator[None]:
    """Another MutatingAdmissionPolicy for pods with an annotation of its name; it acts inside."""
    marked = f"has(object.metadata.annotations) && {name!r} in object.metadata.annotations"
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [{"name": "marked", "expression": marked}],
        "mutations": [
            {
                "patchType": "JSONPatch",
                "jsonPatch": {
                    "expression": f"[JSONPatch{{op: 'add', path: '/metadata/annotations/acted', value: 'yes'}}] + {patch}"
                },
            }
        ],
    }
    kind = "MutatingAdmissionPolicy"
    objects: list[Json] = [
        {"apiVersion": V1, "kind": kind, "metadata": {"name": name}, "spec": spec},
        {"apiVersion": V1, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": {"policyName": name}},
    ]
    with installed(control_plane, objects):
        harmless = {**sendable(a_pod({"name": "train", "resources": {"limits": {GPU: "1"}}})), **marked_as(name)}
        path = PODS.format("default")
        wait_for(
            f"{name} to act",
            lambda: "acted" in control_plane.api.post(path, params={"dryRun": "All"}, json=harmless).text,
        )
        yield


def marked_as(name: str) -> Json:
    return {"metadata": {"name": "job-0", "annotations": {name: "yes"}}}


def wait_for_denial(control_plane: ControlPlane, namespace: str, pod: Json) -> str:
    """Create a pod until it is denied, because what denies it acts; what is said of it then."""

    def denial() -> httpx.Response | None:
        answer = create(control_plane, namespace, pod)
        return answer if answer.status_code == FORBIDDEN else None

    return sentence(wait_for("the pod to be denied", denial))  # type: ignore[arg-type]  # it waits until there is one


@contextmanager
def changing(
    control_plane: ControlPlane, namespace: str, answer: Answer, directory: Path, **more: str
) -> Iterator[None]:
    """A mutating webhook that is not gpuwarden's, for the pods of a namespace."""
    authority = control_plane.authority
    with (
        serving(authority, directory, answer) as url,
        registered(control_plane, MUTATING, "other", namespace=namespace, url=url, authority=authority, **more),
    ):
        yield


def sentence(answer: httpx.Response) -> str:
    """What a policy of gpuwarden's says of a pod that it denies."""
    assert answer.status_code == FORBIDDEN, answer.text
    before, by_us, said = answer.json()["message"].partition("' denied request: ")
    assert by_us, before
    return str(said)


ADDS = (
    "(size(object.spec.containers) > 1 ? [] : [JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{"
    "name: 'side', image: 'x', resources: Object.spec.containers.resources{limits: {'nvidia.com/gpu': '1'}, "
    "requests: {'nvidia.com/gpu': '1'}}}}])"
)
ADDS_WITHOUT_GPU = (
    "(size(object.spec.containers) > 1 ? [] : [JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{"
    "name: 'side', image: 'x'}}])"
)
_RESOURCES = "/spec/containers/0/resources"
_MOVES = (
    f"JSONPatch{{op: 'move', from: '{_RESOURCES}/' + s + '/nvidia.com~1gpu.shared', "
    f"path: '{_RESOURCES}/' + s + '/nvidia.com~1gpu'}}"
)
UNDOES = f"('nvidia.com/gpu.shared' in object.spec.containers[0].resources.limits ? ['limits', 'requests'].map(s, {_MOVES}) : [])"


@pytest.mark.parametrize(
    ("name", "patch", "limits"),
    [
        ("aa-adds-without-gpu", ADDS_WITHOUT_GPU, [{SHARED: "1"}, {}]),
        ("zz-adds-without-gpu", ADDS_WITHOUT_GPU, [{SHARED: "1"}, {}]),
        ("aa-undoes", UNDOES, [{SHARED: "1"}]),
        ("zz-undoes", UNDOES, [{SHARED: "1"}]),
    ],
)
def test_a_second_policy(
    control_plane: ControlPlane, namespace: str, name: str, patch: str, limits: list[Json]
) -> None:
    """The API server asks again after a change: the pod ends as it would without the other one."""
    with second_policy(control_plane, name, patch):
        answer = create(control_plane, namespace, {**PLAIN, **marked_as(name)})
        assert answer.status_code == CREATED, answer.text
        assert limits_of(answer.json()) == limits


def test_a_webhook_that_always_undoes_the_rewrite_has_the_pod_denied(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    undoes = [
        {"op": "move", "from": f"{_RESOURCES}/{s}/nvidia.com~1gpu.shared", "path": f"{_RESOURCES}/{s}/nvidia.com~1gpu"}
        for s in ("limits", "requests")
    ]
    answer = patching(lambda pod: undoes if SHARED in pod["spec"]["containers"][0]["resources"]["limits"] else [])
    with changing(control_plane, namespace, answer, tmp_path, reinvocationPolicy="IfNeeded"):
        denied = wait_for_denial(control_plane, namespace, PLAIN)
    # Beside the requests, the toleration is there.
    tolerant = {**PLAIN, "spec": {**PLAIN["spec"], "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}}
    assert denied == Webhook("shared").validate(tolerant).message


def test_a_container_that_another_policy_adds_is_rewritten_too_or_has_the_pod_denied(
    control_plane: ControlPlane, namespace: str
) -> None:
    """The API server calls policies in no order that it promises: the container is there at first, or comes too late."""
    with second_policy(control_plane, "zz-adds", ADDS):
        answer = create(control_plane, namespace, {**PLAIN, **marked_as("zz-adds")})
    if answer.status_code == CREATED:
        assert limits_of(answer.json()) == [{SHARED: "1"}, {SHARED: "1"}]
    else:
        assert sentence(answer).startswith(OTHERS)


def test_a_request_that_a_webhook_adds_is_not_let_through_as_it_is(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Webhooks come after admission policies, and policies that were not asked at first are not asked again."""
    adds = {
        "op": "add",
        "path": "/spec/containers/0/resources",
        "value": {s: {GPU: "1"} for s in ("limits", "requests")},
    }
    answer = patching(lambda pod: [] if pod["spec"]["containers"][0].get("resources") else [adds])
    with changing(control_plane, namespace, answer, tmp_path):
        denied = wait_for_denial(control_plane, namespace, {**sendable(a_pod({"name": "train"})), **NAMED})
    assert denied == Webhook("shared").validate(PLAIN).message


def test_a_limit_range_with_a_default_for_gpus_has_pods_denied(
    control_plane: ControlPlane, namespace: str, module_namespaces: Namespaces
) -> None:
    """The webhooks tell a default from a request; without them neither is let through."""
    made = module_namespaces.make({ENFORCE: "shared"})
    assert made != namespace
    item = {"type": "Container", "default": {GPU: "1"}}
    body = {"metadata": {"name": "gpus"}, "spec": {"limits": [item]}}
    control_plane.api.post(f"/api/v1/namespaces/{made}/limitranges", json=body).raise_for_status()
    for pod in ({**sendable(a_pod({"name": "train"})), **NAMED}, PLAIN):
        assert wait_for_denial(control_plane, made, pod).startswith(OTHERS)


def test_server_side_apply_by_several_managers(control_plane: ControlPlane, namespace: str) -> None:
    """What another manager applies leaves the rewritten fields alone; the plain manifest itself can't be applied again."""
    path = f"{PODS.format(namespace)}/applied"
    pod = {**PLAIN, "metadata": {"name": "applied"}}

    def apply(manifest: Json, manager: str) -> httpx.Response:
        return control_plane.api.patch(
            path,
            params={"fieldManager": manager},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=manifest,
        )

    first = apply(pod, "team")
    assert (first.status_code, limits_of(first.json())) == (CREATED, [{SHARED: "1"}])
    labelled = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "applied", "labels": {"a": "b"}}}
    for _ in range(2):
        answer = apply(labelled, "other")
        assert (answer.status_code, limits_of(answer.json())) == (OK, [{SHARED: "1"}])
    written = {**pod, "spec": first.json()["spec"]}
    answer = apply({**written, "metadata": {"name": "applied"}}, "third")
    assert (answer.status_code, limits_of(answer.json())) == (OK, [{SHARED: "1"}])
    assert apply(pod, "team").status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_a_dry_run_shows_what_a_creation_makes(control_plane: ControlPlane, namespace: str) -> None:
    pod = {**PLAIN, "metadata": {"name": "dry"}}
    shown = create(control_plane, namespace, pod).json()
    made = create(control_plane, namespace, pod, dry_run="").json()
    assert made["spec"] == shown["spec"]
    assert made["metadata"]["annotations"] == shown["metadata"]["annotations"]


def test_people_read_the_sentence_in_kubectl_and_in_the_events_of_a_deployment(
    control_plane: ControlPlane, namespace: str
) -> None:
    """After the API server's own words, which name the policy."""
    sent = {**sendable(a_pod(gpu("2"))), **NAMED}
    denied = Webhook("shared").validate(sent).message
    before = (
        "is forbidden: ValidatingAdmissionPolicy 'gpuwarden-shared' with binding 'gpuwarden-shared' denied request: "
    )
    for command in (["create"], ["apply"], ["apply", "--server-side"]):
        ran = control_plane.kubectl(*command, "-n", namespace, "-f", "-", stdin=json.dumps(sent))
        assert (ran.returncode, ran.stderr.rstrip().endswith(f'pods "job-0" {before}{denied}')) == (1, True), ran.stderr

    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    control_plane.api.post(path, json=deployment(sent["spec"])).raise_for_status()
    try:
        events = wait_for(
            "the event of the ReplicaSet",
            lambda: [
                event["message"]
                for event in control_plane.get(f"/api/v1/namespaces/{namespace}/events")["items"]
                if (event["reason"], event["involvedObject"]["kind"]) == ("FailedCreate", "ReplicaSet")
            ],
        )
    finally:
        control_plane.api.delete(f"{path}/train")
    assert all(event.endswith(f"{before}{denied}") for event in events), events


def limits(*names: str, count: str = "1") -> Json:
    amounts = dict.fromkeys(names, count)
    return {"name": "train", "resources": {"limits": amounts, "requests": amounts}}


MIG = "nvidia.com/mig-1g.5gb"
ZONE = affinity([("zone", "In", "a"), ("zone", "In", "b")])
# Pods that would get a GPU around the policy, if they were let through.
BYPASSES: dict[str, Json] = {
    "two": a_pod(gpu("2")),
    "two slots": a_pod(limits(SHARED, count="2")),
    "thousands": a_pod(gpu("2k")),
    "in millis": a_pod(gpu("2000m")),
    "an init container": a_pod({"name": "train"}, initContainers=[gpu("1", name="init")]),
    "a sidecar": a_pod({"name": "train"}, initContainers=[gpu("1", name="init", restartPolicy="Always")]),
    "an init container beside": a_pod(gpu("1"), initContainers=[gpu("1", name="init")]),
    "a slice": a_pod(limits(MIG)),
    "a shared slice": a_pod(limits(f"{MIG}.shared")),
    "two names": a_pod(limits(GPU, SHARED)),
    "two names in two containers": a_pod(gpu("1"), {**limits(SHARED), "name": "side"}),
    "a name that nobody knows": a_pod(limits("nvidia.com/tpu")),
    "memory of a GPU": a_pod(limits(GPU, "nvidia.com/gpumem")),
    "nodes of another form": a_pod(gpu("1"), nodeSelector={STRATEGY: "mps"}),
    "nodes of whole GPUs": a_pod(gpu("1"), nodeSelector={STRATEGY: "none"}),
    "nodes of another form by affinity": a_pod(gpu("1"), affinity=affinity([(STRATEGY, "NotIn", "mps")])),
    "nodes of a shared product": a_pod(gpu("1"), nodeSelector={"nvidia.com/gpu.product": "Tesla-T4-SHARED"}),
    "an affinity that contradicts itself": a_pod(gpu("1"), affinity=ZONE),
    "a node by name": a_pod(gpu("1"), nodeName="node-1"),
    "an exempt scheduler and a node by name": a_pod(gpu("1"), nodeName="node-1", schedulerName="kai-scheduler"),
    "privileged": a_pod(gpu("1", securityContext={"privileged": True})),
    "all devices": a_pod(gpu("1", env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}])),
    "devices of the node": a_pod(gpu("1"), volumes=[{"name": "dev", "hostPath": {"path": "/dev"}}]),
    "devices of CDI": {**a_pod(gpu("1")), "metadata": {"annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=all"}}},
    "many containers": a_pod(*(gpu("1", name=f"c{number}") for number in range(40))),
    "many variables": a_pod(gpu("1", env=[{"name": f"A{number}"} for number in range(5000)])),
    "many annotations": {**a_pod(gpu("1")), "metadata": {"annotations": {f"a{n}": "" for n in range(9000)}}},
    "annotations of a rewritten pod": {
        **a_pod(gpu("2")),
        "metadata": {"annotations": {"gpuwarden.io/policy": "shared", "gpuwarden.io/original-request": "{}"}},
    },
    "annotations of LimitRanger": {
        **a_pod(gpu("2")),
        "metadata": {
            "annotations": {
                "gpuwarden.io/policy": "shared",
                "kubernetes.io/limit-ranger": "LimitRanger plugin set: nvidia.com/gpu limit for container train",
            }
        },
    },
}


@pytest.mark.parametrize("pod", BYPASSES.values(), ids=BYPASSES)
def test_no_way_around(control_plane: ControlPlane, namespace: str, pod: Json) -> None:
    sent = sendable(pod)
    sent["metadata"] = {"name": "job-0", **sent.get("metadata", {})}
    assert sentence(create(control_plane, namespace, sent))


def test_pods_without_gpus_are_let_through(control_plane: ControlPlane, namespace: str) -> None:
    for pod in (a_pod({"name": "train"}), a_pod(gpu("0")), a_pod(*({"name": f"c{n}"} for n in range(100)))):
        assert create(control_plane, namespace, {**sendable(pod), "metadata": {"name": "job-0"}}).status_code == CREATED
