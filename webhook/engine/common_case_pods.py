"""Which pods are the common case of a policy: as a predicate, and as equivalent CEL.

Each condition has both, one below the other. Tests compare them, with a CEL evaluator and with a real API server. The
configuration's exemptions are not included, because neither the webhooks nor the admission policies are called for exempt pods.
"""

import re
from collections.abc import Iterator, Sized

from . import cel
from .cel import every
from .common_case import DEVICE_VARIABLES, FEW, CommonCase, RequestPattern, Slices
from .common_case_nodes import EXPRESSIONS, HAS_REQUIRED, REQUIRED
from .common_case_requests import (
    each_name,
    is_slice,
    is_written,
    limits_of,
    named_by,
    names_only,
    ordinary,
    requested,
    requests_of,
    requests_slices,
    written,
    written_slices,
)
from .limit_range_defaults import ANNOTATION as LIMIT_RANGER
from .pods import MIRROR_ANNOTATION, Container, Pod, PodSpec
from .resources import PREFIX
from .rules.device_access import DEVICE_ANNOTATIONS
from .rules.gpu_memory import ANNOTATION as GPU_MEMORY

# The API server limits what the evaluation of CEL may cost (1,000,000 for one expression), so the pod's lists are limited too.
MANY = 128
"""The maximum number of annotations, nodeSelectors, tolerations or volumes of a pod, and variables or mounts of a container."""
LONGEST_PATH = 256
"""The longest host path that is accepted."""

# Directories of data and caches on a node. None of them leads to GPUs (tests compare with hostpaths.leads_to).
SAFE_PATH = (
    r"^/(data|mnt|home|root|srv|media|model|scratch|nvme|ssd|nfs|shared|storage|workspace|lustre|fsx)[a-z0-9_-]*"
    r"(/\.?[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?$"
)
UNSAFE_PATH = r"kubelet|\.sock|/run/"
_SAFE, _UNSAFE = re.compile(SAFE_PATH), re.compile(UNSAFE_PATH)


def is_common(pod: Pod, case: CommonCase) -> bool:
    """Whether a pod that is not exempt is the common case of a policy."""
    return request_pattern(pod, case) is not None


def request_pattern(pod: Pod, case: CommonCase) -> RequestPattern | Slices | None:
    """How a pod of the common case requests GPUs; ``None`` for every other pod."""
    spec = pod.spec
    if spec is None or not _is_small(pod, spec, case) or not _is_ordinary(pod, spec) or _requires_added(spec, case):
        return None
    if case.guarded and _reaches_devices(pod, spec):
        return None
    pattern = next((pattern for pattern in case.patterns if is_written(spec, pattern)), None)
    return case.slices if pattern is None and case.slices and requests_slices(spec, case.slices, case) else pattern


def condition(case: CommonCase) -> str:
    """The CEL of ``is_common``, for an ``object`` that is a pod."""
    patterns = [written(pattern, alone=len(case.patterns) == 1 and not case.slices) for pattern in case.patterns]
    named = [*dict.fromkeys(map(named_by, case.patterns))]
    if case.slices:
        patterns.append(written_slices(case.slices, case))
        named.append(f"c.resources.limits.exists(name, {is_slice(case.slices, 'name')})")
    any_pattern = " ||\n".join(f"({pattern})" for pattern in patterns)
    rest = (_ORDINARY, *_each_once(case), _added(case))
    few = f"size(object.spec.containers) <= {case.most_containers}"
    # The condition that excludes most other pods comes first: they request no GPUs.
    return every("has(object.spec.containers)", requested(*named), few, _SMALL, f"({any_pattern})", *filter(None, rest))


# --- small enough to be looked at ------------------------------------------------------------------------------------


def _is_small(pod: Pod, spec: PodSpec, case: CommonCase) -> bool:
    terms = spec.terms
    containers = (*(spec.containers or ()), *(spec.init_containers or ()))
    many: list[Sized | None] = [spec.node_selector, spec.tolerations]
    if _reads_env(case):
        many += [container.env for container in containers]
    if not case.only_requests:
        many += [pod.metadata.annotations if pod.metadata else None, spec.volumes]
        many += [container.volume_mounts for container in containers]
    few: list[Sized | None] = [spec.init_containers, terms, *(term.match_expressions for term in terms)]
    few += [amounts for container in containers for amounts in (limits_of(container), requests_of(container))]
    return (
        0 < len(spec.containers or ()) <= case.most_containers
        and all(len(entries or ()) <= MANY for entries in many)
        and all(len(entries or ()) <= FEW for entries in few)
    )


def _reads_env(case: CommonCase) -> bool:
    """Whether the CEL of an admission policy traverses the variables of containers."""
    return bool(case.policy.additions.env) or not case.only_requests


def _at_most(most: int, *paths: str) -> str:
    return " &&\n".join(f"(!has({path}) || size({path}) <= {most})" for path in paths)


# ``_each_once`` and ``each_name`` traverse the other lists.
_SMALL = f"""{_at_most(FEW, "object.spec.initContainers")} &&
{_at_most(MANY, "object.spec.nodeSelector", "object.spec.tolerations")} &&
(!({HAS_REQUIRED}) || (size({REQUIRED}.nodeSelectorTerms) <= {FEW} &&
{REQUIRED}.nodeSelectorTerms.all(term, {_at_most(FEW, EXPRESSIONS)})))"""


# --- nothing that other rules are about -------------------------------------------------------------------------------


def _is_ordinary(pod: Pod, spec: PodSpec) -> bool:
    annotations = (pod.metadata and pod.metadata.annotations) or {}
    return (
        not spec.node_name
        and spec.resources is None
        and not spec.resource_claims
        and MIRROR_ANNOTATION not in annotations
        and GPU_MEMORY not in annotations
        and PREFIX not in annotations.get(LIMIT_RANGER, "")
        and all(names_only(container, None) for container in spec.init_containers or ())
    )


_ORDINARY = """(!has(object.spec.nodeName) || object.spec.nodeName == '') &&
!has(object.spec.resources) &&
(!has(object.spec.resourceClaims) || size(object.spec.resourceClaims) == 0)"""
_ORDINARY_RESOURCES = f"(!has(c.resources) || ({each_name(ordinary('name'))}))"


def _requires_added(spec: PodSpec, case: CommonCase) -> bool:
    """Whether node affinity has a label of the policy's nodeSelector, which it may contradict."""
    return any(e.key in case.node_selector for term in spec.terms for e in term.match_expressions or ())


def _added(case: CommonCase) -> str:
    if not case.node_selector:
        return ""
    return f"""(!({HAS_REQUIRED}) || !{REQUIRED}.nodeSelectorTerms.exists(term,
has({EXPRESSIONS}) && {EXPRESSIONS}.exists(e, e.key in {cel.listed(case.node_selector)})))"""


# --- devices that are reached without a request -----------------------------------------------------------------------


def _reaches_devices(pod: Pod, spec: PodSpec) -> bool:
    annotations = (pod.metadata and pod.metadata.annotations) or {}
    return (
        any(domain in key for key in annotations for domain in DEVICE_ANNOTATIONS)
        or any(volume.host_path and not _is_safe(volume.host_path.path) for volume in spec.volumes or ())
        or any(map(_is_open, (*(spec.containers or ()), *(spec.init_containers or ()))))
    )


def _is_safe(path: str) -> bool:
    return len(path) <= LONGEST_PATH and _SAFE.fullmatch(path) is not None and not _UNSAFE.search(path)


def _is_open(container: Container) -> bool:
    return (
        any(variable.name in DEVICE_VARIABLES for variable in container.env or ())
        or bool(container.security_context and container.security_context.privileged)
        or any("nvidia-container-devices" in mount.mount_path for mount in container.volume_mounts or ())
    )


_OF_DEVICES = " || ".join(f"key.contains({cel.quoted(domain)})" for domain in DEVICE_ANNOTATIONS)
_UNSAFE_VOLUME = f"""has(volume.hostPath) && !(size(volume.hostPath.path) <= {LONGEST_PATH} &&
volume.hostPath.path.matches({cel.quoted(SAFE_PATH)}) && !volume.hostPath.path.matches({cel.quoted(UNSAFE_PATH)}))"""
_PRIVILEGED = "has(c.securityContext) && has(c.securityContext.privileged) && c.securityContext.privileged"


def _each_once(case: CommonCase) -> Iterator[str]:
    """The CEL of all conditions on annotations, volumes, variables and mounts: how many there may be, and no GPU devices."""
    annotations = "object.metadata.annotations"
    plain = f"""!({cel.quoted(MIRROR_ANNOTATION)} in {annotations}) && !({cel.quoted(GPU_MEMORY)} in {annotations}) &&
(!({cel.quoted(LIMIT_RANGER)} in {annotations}) || !{annotations}[{cel.quoted(LIMIT_RANGER)}].contains({cel.quoted(PREFIX)}))"""
    no_devices = {
        annotations: cel.none(annotations, "key", _OF_DEVICES),
        "object.spec.volumes": cel.none("object.spec.volumes", "volume", _UNSAFE_VOLUME),
        "c.env": cel.none("c.env", "variable", f"variable.name in {cel.listed(sorted(DEVICE_VARIABLES))}"),
        "c.volumeMounts": cel.none("c.volumeMounts", "mount", "mount.mountPath.contains('nvidia-container-devices')"),
    }

    def of(path: str, *others: str) -> str:
        asked = every(f"size({path}) <= {MANY}", *others, *([no_devices[path]] if case.guarded else []))
        return f"(!has({path}) || ({asked}))"

    each = [of("c.env")] if _reads_env(case) else []
    if case.only_requests:
        yield f"(!has({annotations}) || ({plain}))"
    else:
        yield of(annotations, plain)
        yield of("object.spec.volumes")
        each.append(of("c.volumeMounts"))
    if case.guarded:
        each.append(f"!({_PRIVILEGED})")
    if each:
        yield f"object.spec.containers.all(c, {every(*each)})"
    ordinary_ones = every(_ORDINARY_RESOURCES, *each)
    yield f"(!has(object.spec.initContainers) || object.spec.initContainers.all(c, {ordinary_ones}))"
