"""Reviews of pods: which of them are evaluated, and the new and the old pod of each, within limits.

A very large pod would delay all other reviews. No real pod comes near the limits.
"""

from typing import Any

import msgspec

from ..engine.pods import Container, EnvVar, Pod, PodSpec, Resources, containers
from ..engine.requests import ORDINARY
from ..engine.resources import PREFIX
from ..engine.text import Name
from . import review
from .review import AdmissionRequest, Envelope, Review, ReviewError

MOST_GPU_CONTAINERS = 1000
"""Containers with GPUs in a pod: more than a node can have GPUs or slots for (16 GPUs with 48 clients each)."""
MOST_CLAIMS = 128
"""Claims of a pod: each is read from the API server."""
MOST_HOLDERS = 16
"""Pods that one write gives a claim to: each is read from the API server. Kubernetes adds one at a time."""
MOST_RESOURCES = 500
"""Different resource names in a pod. The node with the most has some twenty: cpu, memory, hugepages, MIG profiles, NICs."""
MOST_SELECTED = 5_000
"""Entries of nodeSelector, and terms, expressions and values of required node affinity, together. A pod that lists every node of
the largest cluster by name has as many (https://kubernetes.io/docs/setup/best-practices/cluster-large/)."""


class _Container(Container):
    """A container whose ``env`` is kept as it is written, until ``read_environments`` puts the variables in its place.

    To read it takes a fifth of the time of a large review, and most pods are like one that was decided before.
    """

    env: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]


class _Spec(PodSpec, rename="camel"):
    init_containers: list[_Container] | None = None  # type: ignore[assignment]
    containers: list[_Container] | None = None  # type: ignore[assignment]
    ephemeral_containers: list[_Container] | None = None  # type: ignore[assignment]


class _PodObject(Pod):
    """The object of a request, which may name its kind."""

    spec: _Spec | None = None
    kind: Name = "Pod"


class PodRequest(Envelope, rename="camel"):
    """``request`` with the pod read."""

    object: _PodObject | None = None


class _Requesting(msgspec.Struct, gc=False):
    """A container, as far as it requests resources."""

    resources: Resources | None = None


class _RequestingSpec(msgspec.Struct, rename="camel", gc=False):
    init_containers: list[_Requesting] | None = None
    containers: list[_Requesting] | None = None


class _RequestingPod(msgspec.Struct, gc=False):
    kind: Name = ""
    spec: _RequestingSpec | None = None


class GpulessRequest(Envelope, rename="camel"):
    """``request`` with the part of the pod that shows whether it requests a GPU."""

    object: _RequestingPod | None = None


_GPULESS_REVIEW = msgspec.json.Decoder(Review[GpulessRequest])
_POD = msgspec.json.Decoder(_PodObject)
_ENVIRONMENT = msgspec.json.Decoder(list[EnvVar] | None)
_POD_REVIEW = msgspec.json.Decoder(Review[PodRequest])


def is_evaluated(request: Envelope, *, final: bool) -> bool:
    """Whether a request creates a pod or changes one; new ephemeral containers only matter for the final pod."""
    if request.operation == "CREATE":
        return not request.sub_resource
    is_pod = request.kind is not None and request.kind.kind == "Pod"
    changes = request.sub_resource == "" and (final or request.has_old_object)
    debugs = request.sub_resource == "ephemeralcontainers" and final
    return is_pod and request.operation == "UPDATE" and (changes or debugs)


def read_environments(pod: Pod, root: str) -> None:
    """Read the ``env`` of the containers of a pod that was ``decoded``, at the path ``root``.

    Raises:
        ReviewError: naming the variable that can't be read.
    """
    spec = pod.spec or PodSpec()
    for section, listed in (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    ):
        for index, container in enumerate(listed or ()):
            unread: Any = container.env
            try:
                container.env = _ENVIRONMENT.decode(unread) if unread else None
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                review.decode_json(_ENVIRONMENT, unread, f"{root}.spec.{section}[{index}].env")


def before_update(request: Envelope, pod: Pod) -> Pod:
    """The pod before the update. In both pods, a node that the scheduler chose since then is left out.

    Raises:
        ReviewError: it can't be read.
    """
    before = review.decode_json(_POD, request.old_object, "request.oldObject") if request.has_old_object else Pod()
    read_environments(before, "request.oldObject")
    for each in (pod, before):
        if each.spec is not None:
            each.spec.node_name = None
    return sized(before, "request.oldObject")


def decoded(body: bytes, *, final: bool) -> AdmissionRequest | PodRequest | GpulessRequest:
    """The request, with its pod if that can be read: reading a review in one pass takes two thirds of the time.

    Otherwise the caller decides by the envelope whether that matters: the pod of an exempt namespace may be anything.
    If a pod is not ``final``, only its GPU requests matter; without any, nothing else is read.

    Raises:
        ReviewError: the envelope can't be read.
    """
    if review.elements(body) > review.MOST_ELEMENTS:
        return review.decode(body)
    try:
        # Only a guess at which of the two will be needed: the spec is usually in the second half.
        if not final and body.find(_NVIDIA, len(body) // 2) < 0:
            gpuless = _GPULESS_REVIEW.decode(body)
            if gpuless.request is not None and _is_gpuless(gpuless.request):
                return review.checked(gpuless)
        read = _POD_REVIEW.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return review.decode(body)
    return review.checked(read)


_NVIDIA = PREFIX.encode()


def _is_gpuless(request: GpulessRequest) -> bool:
    """Whether it is certain that there is a pod, in a namespace, which requests only CPU and memory."""
    kind, pod = request.kind, request.object
    if not request.namespace or pod is None or pod.kind != "Pod" or (kind and (kind.kind != "Pod" or kind.group)):
        return False
    if pod.spec is not None:
        for listed in (pod.spec.containers, pod.spec.init_containers):
            for container in listed or ():
                if (resources := container.resources) is not None and not (
                    ORDINARY.issuperset(resources.limits or ()) and ORDINARY.issuperset(resources.requests or ())
                ):
                    return False
    return True


def pod_of(request: AdmissionRequest | PodRequest, body: bytes) -> Pod:
    """The pod that is made or changed.

    Raises:
        ReviewError: there is none, or it can't be read as one.
    """
    if request.kind and (request.kind.kind != "Pod" or request.kind.group):
        raise ReviewError("request.kind", f'must be a core "Pod", not "{request.kind.group}/{request.kind.kind}"')
    if isinstance(request, AdmissionRequest):
        # It could not be read, and this raises the reason; or there is none.
        review.bound(body)
        pod = review.decode_json(_POD, request.object, "request.object") if request.has_object else None
    else:
        pod = request.object
    if pod is None:
        raise ReviewError("request.object", "is missing; a review carries the object that is created or changed")
    if pod.kind != "Pod":
        raise ReviewError("request.object.kind", f'must be "Pod", not "{pod.kind}"')
    return pod


def sized(pod: Pod, root: str) -> Pod:
    """The pod at the path ``root``, if it is not too large to be evaluated.

    Raises:
        ReviewError: naming what it has too much of.
    """
    spec = pod.spec
    if spec is None:
        return pod
    if (count := _resources(spec)) > MOST_RESOURCES:
        raise ReviewError(
            f"{root}.spec.containers", f"name {count} different resources; at most {MOST_RESOURCES} are supported"
        )
    if (count := len(spec.node_selector or ()) + (_stated(spec) if spec.affinity else 0)) > MOST_SELECTED:
        raise ReviewError(
            f"{root}.spec.affinity",
            f"nodeSelector and required node affinity have {count} entries, terms, expressions and values; "
            f"at most {MOST_SELECTED} are supported",
        )
    return pod


def _resources(spec: PodSpec) -> int:
    """The number of different resources that the containers name; an upper bound if that is within the limit."""
    most = 0
    for listed in (spec.containers, spec.init_containers):
        for container in listed or ():
            if (resources := container.resources) is not None:
                most += len(resources.limits or ()) + len(resources.requests or ())
    if most <= MOST_RESOURCES:
        return most
    names: set[str] = set()
    for _, _, container in containers(spec):
        if container.resources is not None:
            names.update(container.resources.limits or (), container.resources.requests or ())
    return len(names - ORDINARY)


def _stated(spec: PodSpec) -> int:
    """The terms, expressions and values of the required node affinity."""
    expressions = [expression for term in spec.terms for expression in term.match_expressions or ()]
    return len(spec.terms) + len(expressions) + sum(len(expression.values or ()) for expression in expressions)
