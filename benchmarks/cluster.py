"""In a cluster: how long it takes to create a pod, with and without us in the way.

All ways are compared on one API server at the same time, told apart by the namespace that the pod goes to: each webhook
selects one. gpuwarden is called as in production, ``/mutate`` and then ``/validate``, directly and not through a Service. What
``gpuwarden compile`` prints is compared with a policy that is written by hand.
"""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import yaml

from benchmarks import reviews
from benchmarks.processes import Cores
from benchmarks.samples import Spread
from benchmarks.servers import GPUWARDEN, Files, gpuwarden
from hack.render_manifests import ACCOUNT
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.programs import NoControlPlaneError, find, version_of
from testing.control_plane.waiting import wait_for
from webhook.application.configuration import Configuration
from webhook.application.in_tree_compiler import ANNOTATION, compiled

Json = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[1]
WITHOUT, WITH, MUTATE_ONLY, UNCHANGED, EXCLUDED, HAND_WRITTEN, COMPILED = (
    "no webhook",
    "gpuwarden",
    "gpuwarden, /mutate alone",
    "/mutate alone, nothing to change",
    "excluded by matchConditions",
    "hand-written admission policy",
    "gpuwarden compile",
)
# Ways for pods without GPUs.
_WITHOUT_GPU = (UNCHANGED, EXCLUDED)
_REWRITING = (WITH, MUTATE_ONLY, HAND_WRITTEN, COMPILED)
_REGISTRATION = "/apis/admissionregistration.k8s.io"
_WARM_UP = 20
_MANIFESTS = REPOSITORY / "deploy" / "gpuwarden.yaml"


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds to create a pod: the median of each round summed up, by the way.

    ``skipped`` says why ways are missing.
    """

    version: str
    pods: int
    milliseconds: dict[str, Spread]
    skipped: list[str]


class _World(msgspec.Struct, frozen=True):
    control_plane: ControlPlane
    files: Files
    port: int


def measure(cores: Cores, folder: Path, rounds: int, pods_a_round: int, tell: Callable[[str], None]) -> Measured | str:
    """Create pods in every way in turns; a sentence where there is no control plane."""
    try:
        programs = find(os.environ, REPOSITORY)
    except NoControlPlaneError as error:
        return str(error)
    tell("in a cluster: starting the control plane")
    files = Files(folder / "files")
    flags = (
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        "--feature-gates=MutatingAdmissionPolicy=true",
    )
    with ExitStack() as stack:
        control_plane = stack.enter_context(
            ControlPlane(
                programs, folder / "control-plane", apiserver_flags=flags if _takes(programs.kube_apiserver) else ()
            )
        )
        namespaces = stack.enter_context(Namespaces(control_plane))
        grant(control_plane)
        server = stack.enter_context(
            gpuwarden(files, cores, "--kubeconfig", control_plane.kubeconfig(ACCOUNT), pinned=False)
        )
        server.running.wait_until(server.ready, GPUWARDEN)
        skipped: list[str] = []
        ways = dict(_ways(_World(control_plane, files, server.port), namespaces, skipped))
        client = stack.enter_context(control_plane.client())
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            tell(f"in a cluster: round {number + 1} of {rounds}")
            for way, milliseconds in _round(client, ways, pods_a_round, number).items():
                taken[way].append(milliseconds)
        version = control_plane.get("/version")["gitVersion"]
    return Measured(version, rounds * pods_a_round, {way: Spread.of(times) for way, times in taken.items()}, skipped)


def grant(control_plane: ControlPlane) -> None:
    """Let gpuwarden's account read namespaces."""
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}]
    name = {"name": "gpuwarden-bench"}
    api = "/apis/rbac.authorization.k8s.io/v1"
    control_plane.api.post(f"{api}/clusterroles", json={"metadata": name, "rules": rules}).raise_for_status()
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **name}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ACCOUNT}]
    binding = {"metadata": name, "roleRef": reference, "subjects": subjects}
    control_plane.api.post(f"{api}/clusterrolebindings", json=binding).raise_for_status()


def _takes(apiserver: Path) -> bool:
    """Whether an API server has to be told to serve MutatingAdmissionPolicy: it knows the kind, but not as v1 yet."""
    return (1, 34) <= version_of(apiserver) < (1, 36)


def _ways(world: _World, namespaces: Namespaces, skipped: list[str]) -> Iterator[tuple[str, str]]:
    """Each way with the namespace in which pods are created in it."""

    def namespace(way: str) -> str:
        return namespaces.make({"bench": way, "gpuwarden.io/enforce": reviews.POLICY})

    yield WITHOUT, namespace("without")
    register(world, "with", ("mutate", "validate"))
    yield WITH, namespace("with")
    register(world, "mutate", ("mutate",))
    yield MUTATE_ONLY, namespace("mutate")
    register(world, "unchanged", ("mutate",))
    yield UNCHANGED, namespace("unchanged")
    register(world, "excluded", ("mutate", "validate"), only_with_gpus())
    yield EXCLUDED, namespace("excluded")
    served = in_tree_version(world.control_plane)
    if served:
        in_tree(world.control_plane, served, "policy")
        yield HAND_WRITTEN, namespace("policy")
    if served == "v1":
        compile_policy(world.control_plane)
        yield COMPILED, namespaces.make({"gpuwarden.io/enforce": _COMPILED})
    else:
        major, minor = world.control_plane.version
        missing = COMPILED if served else f"{HAND_WRITTEN} and {COMPILED}"
        skipped.append(f"{missing}: Kubernetes {major}.{minor} does not serve MutatingAdmissionPolicy v1")


def register(world: _World, selected: str, paths: Sequence[str], conditions: Sequence[Json] = ()) -> None:
    """Let the API server call gpuwarden for the pods of a namespace, as the chart does but by URL."""
    bundle = base64.b64encode(world.files.ca_pem).decode()
    for path in paths:
        webhook: Json = {
            "name": f"{path}-{selected}.gpuwarden.example",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "matchPolicy": "Equivalent",
            "timeoutSeconds": 10,
            "failurePolicy": "Fail",
            "clientConfig": {"url": f"https://127.0.0.1:{world.port}/{path}", "caBundle": bundle},
            "namespaceSelector": {"matchLabels": {"bench": selected}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            **({"matchConditions": list(conditions)} if conditions else {}),
        }
        kind = "mutatingwebhookconfigurations" if path == "mutate" else "validatingwebhookconfigurations"
        manifest = {"metadata": {"name": f"bench-{path}-{selected}"}, "webhooks": [webhook]}
        world.control_plane.api.post(f"{_REGISTRATION}/v1/{kind}", json=manifest).raise_for_status()


def only_with_gpus() -> Sequence[Json]:
    """The chart's own condition, from the manifest that it renders to."""
    documents = yaml.load_all(_MANIFESTS.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    (mutating,) = (each for each in documents if each and each["kind"] == "MutatingWebhookConfiguration")
    conditions: Sequence[Json] = mutating["webhooks"][0]["matchConditions"]
    return conditions


def in_tree_version(control_plane: ControlPlane) -> str | None:
    """The version in which MutatingAdmissionPolicy is served, if it is."""
    for version in ("v1", "v1beta1", "v1alpha1"):
        answer = control_plane.api.get(f"{_REGISTRATION}/{version}")
        kinds = {each["kind"] for each in answer.json().get("resources", [])} if answer.is_success else set()
        if "MutatingAdmissionPolicy" in kinds:
            return version
    return None


_COMPILED = "shared"
_REQUESTS_GPU = (
    "object.spec.containers.exists(c, has(c.resources) && has(c.resources.limits) && "
    "'nvidia.com/gpu' in c.resources.limits)"
)
_ONE_REWRITE = (
    '[JSONPatch{op: "remove", path: "/spec/containers/0/resources/limits/nvidia.com~1gpu"},'
    ' JSONPatch{op: "add", path: "/spec/containers/0/resources/limits/nvidia.com~1gpu.shared", value: "1"},'
    ' JSONPatch{op: "remove", path: "/spec/containers/0/resources/requests/nvidia.com~1gpu"},'
    ' JSONPatch{op: "add", path: "/spec/containers/0/resources/requests/nvidia.com~1gpu.shared", value: "1"}]'
)


def in_tree(control_plane: ControlPlane, version: str, selected: str) -> None:
    """A policy inside the API server that renames one request, and does no more, for the pods of a namespace."""
    match = {
        "namespaceSelector": {"matchLabels": {"bench": selected}},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": match,
        "matchConditions": [{"name": "requests-gpu", "expression": _REQUESTS_GPU}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": _ONE_REWRITE}}],
    }
    root = f"{_REGISTRATION}/{version}"
    policy = {"metadata": {"name": "bench"}, "spec": spec}
    control_plane.api.post(f"{root}/mutatingadmissionpolicies", json=policy).raise_for_status()
    binding = {"metadata": {"name": "bench"}, "spec": {"policyName": "bench"}}
    control_plane.api.post(f"{root}/mutatingadmissionpolicybindings", json=binding).raise_for_status()


def compile_policy(control_plane: ControlPlane) -> None:
    """The objects of ``gpuwarden compile`` for one policy."""
    for each in compiled(Configuration()).objects:
        if each["metadata"]["annotations"][ANNOTATION] == _COMPILED:
            kind = each["kind"].lower()
            plural = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"
            control_plane.api.post(f"{_REGISTRATION}/v1/{plural}", json=each).raise_for_status()


def _round(client: httpx.Client, ways: Mapping[str, str], pods: int, number: int) -> dict[str, float]:
    """The median time to create a pod in each way, the ways in random order for each pod."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    if number == 0:
        for way, namespace in ways.items():
            wait_for(f"{way} to act", lambda way=way, namespace=namespace: _acts(client, way, namespace))  # type: ignore[misc]  # mypy can't infer a lambda's default
    turns = [*ways.items()]
    order = Random(number)  # noqa: S311 - an order, not a secret
    for pod in range(_WARM_UP * (number == 0) + pods):
        # In random order: what a creation leaves to the API server, such as garbage, slows down the next one, which must not
        # always be in the same way. If the order only rotated, most pods of a way would follow one of the same other way.
        order.shuffle(turns)
        for way, namespace in turns:
            body = json.dumps(_pod(f"r{number}-{pod}", gpu=way not in _WITHOUT_GPU))
            path = f"/api/v1/namespaces/{namespace}/pods"
            began = time.perf_counter()
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            took = time.perf_counter() - began
            _check(answer, way)
            if pod >= _WARM_UP * (number == 0):
                taken[way].append(took * 1e3)
    return {way: Spread.of(times).median for way, times in taken.items()}


def _acts(client: httpx.Client, way: str, namespace: str) -> bool:
    path = f"/api/v1/namespaces/{namespace}/pods"
    answer = client.post(path, params={"dryRun": "All"}, json=_pod("probe", gpu=way not in _WITHOUT_GPU))
    return answer.is_success and _is_rewritten(answer) == (way in _REWRITING)


def _check(answer: httpx.Response, way: str) -> None:
    """A pod that was not created, or not as this way has it, was not measured."""
    if answer.status_code != httpx.codes.CREATED or _is_rewritten(answer) != (way in _REWRITING):
        raise RuntimeError(f"{way}: {answer.status_code} {answer.text[:500]}")


def _is_rewritten(answer: httpx.Response) -> bool:
    return '"nvidia.com/gpu.shared":"1"' in answer.text


def _pod(name: str, *, gpu: bool) -> Json:
    """A pod that no scheduler takes: what is measured is its creation."""
    made = reviews.pod(reviews.ONE if gpu else reviews.NO_GPU, 0)
    spec = {
        key: made["spec"][key] for key in ("volumes", "containers", "restartPolicy", "securityContext", "tolerations")
    }
    spec |= {"schedulerName": "nobody"}
    labels, annotations = made["metadata"]["labels"], made["metadata"]["annotations"]
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
