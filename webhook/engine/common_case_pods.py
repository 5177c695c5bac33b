"""Which pods are the common case of a policy, twice: as a predicate, and as CEL that says the same.

Each condition has both, one below the other; tests hold them together, with CEL's own evaluator and with a real API server. The
exemptions of the configuration are not among them: neither the webhooks nor the admission policies are asked about exempt pods.
"""

import re
from collections.abc import Iterable, Mapping, Sized

from . import cel
from .common_case import DEVICE_VARIABLES, FEW, CommonCase, Way
from .limitranger import ANNOTATION as LIMIT_RANGER
from .pods import MIRROR_ANNOTATION, Container, Pod, PodSpec, Term
from .products import PRODUCT
from .quantity import Quantity
from .resources import PREFIX
from .rules.device_access import DEVICE_ANNOTATIONS
from .rules.gpu_memory import ANNOTATION as GPU_MEMORY
from .spelling import GKE_KEYS, LABELS_OF_FORMS

# The API server limits what the evaluation of CEL may cost (1,000,000 for one expression), so the pod's lists are limited too.
MANY = 128
"""The most annotations, nodeSelectors, tolerations and volumes of a pod, and variables and mounts of a container."""
LONGEST_PATH = 256
"""The longest path of the node that is mounted."""

# A count as the API server writes it: at least 1, and small enough for every integer of CEL.
COUNT = "^[1-9][0-9]{0,8}$"
_COUNT = re.compile(COUNT)
ORDINARY = ("cpu", "memory", "ephemeral-storage")
"""What containers request besides GPUs."""
ORDINARY_BEGINNINGS = ("hugepages-", "rdma/", "vke.volcengine.com/rdma", "vpc.amazonaws.com/efa")
"""How else such names begin: memory, and network devices that training uses beside GPUs."""
# Directories of data and caches on a node. None leads to GPUs (tests compare with hostpaths.leads_to).
SAFE_PATH = (
    r"^/(data|mnt|home|root|srv|media|model|scratch|nvme|ssd|nfs|shared|storage|workspace|lustre|fsx)[a-z0-9_-]*"
    r"(/\.?[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?$"
)
UNSAFE_PATH = r"kubelet|\.sock|/run/"
_SAFE, _UNSAFE = re.compile(SAFE_PATH), re.compile(UNSAFE_PATH)
# What feature discovery writes behind the model of a GPU, in any case.
SUFFIX = "(?i)-MIG-|-SHARED$"
_SUFFIX = re.compile(SUFFIX)
_SECTIONS = ("limits", "requests")
# Other labels of GKE's nodes, such as the accelerator's, name no form.
_GKE = "cloud.google.com/gke-"
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_REQUIRED = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
HAS_REQUIRED = f"has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && has({_REQUIRED})"
"""Whether a pod has required node affinity."""
_EXPRESSIONS = "term.matchExpressions"


def is_common(pod: Pod, case: CommonCase) -> bool:
    """Whether a pod that is not exempt is the common case of a policy."""
    return way_of(pod, case) is not None


def way_of(pod: Pod, case: CommonCase) -> Way | None:
    """How a pod of the common case requests GPUs; ``None`` for every other pod."""
    spec = pod.spec
    if spec is None or not _is_small(pod, spec, case) or not _is_ordinary(pod, spec) or _requires_added(spec, case):
        return None
    if case.guarded and _reaches_devices(pod, spec):
        return None
    return next((way for way in case.ways if _is_written(spec, way)), None)


def condition(case: CommonCase) -> str:
    """The CEL of ``is_common``: of an ``object`` that is a pod."""
    any_way = " ||\n".join(f"({written(way)})" for way in case.ways)
    rest = (_ORDINARY, _added(case), *([_NO_DEVICES] if case.guarded else ()))
    # What tells most other pods comes early: they request no GPUs.
    return _every(
        _few(case), _requested(way.resource for way in case.ways), _SMALL, f"({any_way})", *filter(None, rest)
    )


def _every(*conditions: str) -> str:
    return " &&\n".join(conditions)


# --- small enough to be looked at ------------------------------------------------------------------------------------


def _is_small(pod: Pod, spec: PodSpec, case: CommonCase) -> bool:
    terms = spec.terms
    containers = (*(spec.containers or ()), *(spec.init_containers or ()))
    many: list[Sized | None] = [
        pod.metadata.annotations if pod.metadata else None,
        spec.node_selector,
        spec.tolerations,
        spec.volumes,
    ]
    many += [entries for container in containers for entries in (container.env, container.volume_mounts)]
    few: list[Sized | None] = [spec.init_containers, terms, *(term.match_expressions for term in terms)]
    few += [amounts for container in containers for amounts in (_limits(container), _requests_of(container))]
    return (
        0 < len(spec.containers or ()) <= case.most_containers
        and all(len(entries or ()) <= MANY for entries in many)
        and all(len(entries or ()) <= FEW for entries in few)
    )


def _few(case: CommonCase) -> str:
    return f"""has(object.spec.containers) && size(object.spec.containers) > 0 &&
size(object.spec.containers) <= {case.most_containers}"""


def _at_most(most: int, *paths: str) -> str:
    return " &&\n".join(f"(!has({path}) || size({path}) <= {most})" for path in paths)


_ALL_CONTAINERS = "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))"
_LISTS = (
    "object.metadata.annotations",
    *(f"object.spec.{name}" for name in ("nodeSelector", "tolerations", "volumes")),
)
_SMALL = f"""{_at_most(FEW, "object.spec.initContainers")} &&
{_at_most(MANY, *_LISTS)} &&
{_ALL_CONTAINERS}.all(c, {_at_most(MANY, "c.env", "c.volumeMounts")} &&
(!has(c.resources) || ({_at_most(FEW, "c.resources.limits", "c.resources.requests")}))) &&
(!({HAS_REQUIRED}) || (size({_REQUIRED}.nodeSelectorTerms) <= {FEW} &&
{_REQUIRED}.nodeSelectorTerms.all(term, {_at_most(FEW, _EXPRESSIONS)})))"""


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
        and all(_names_only(container, None) for container in spec.init_containers or ())
    )


def _ordinary(name: str) -> str:
    beginnings = (f"{name}.startsWith({cel.quoted(beginning)})" for beginning in ORDINARY_BEGINNINGS)
    return " || ".join([f"{name} in {cel.listed(ORDINARY)}", *beginnings])


def _of(section: str) -> str:
    return f"has(c.resources.{section}) ? c.resources.{section} : {{}}"


_ORDINARY = f"""(!has(object.spec.nodeName) || object.spec.nodeName == '') &&
!has(object.spec.resources) &&
(!has(object.spec.resourceClaims) || size(object.spec.resourceClaims) == 0) &&
(!has(object.metadata.annotations) || (!({cel.quoted(MIRROR_ANNOTATION)} in object.metadata.annotations) &&
!({cel.quoted(GPU_MEMORY)} in object.metadata.annotations) &&
(!({cel.quoted(LIMIT_RANGER)} in object.metadata.annotations) ||
!object.metadata.annotations[{cel.quoted(LIMIT_RANGER)}].contains({cel.quoted(PREFIX)})))) &&
(!has(object.spec.initContainers) || object.spec.initContainers.all(c, !has(c.resources) ||
[{_of("limits")}, {_of("requests")}].all(amounts, amounts.all(name, {_ordinary("name")}))))"""


def _requires_added(spec: PodSpec, case: CommonCase) -> bool:
    """Whether node affinity requires a label that the policy's nodeSelector selects, so that it may contradict it."""
    return any(e.key in case.node_selector for term in spec.terms for e in term.match_expressions or ())


def _added(case: CommonCase) -> str:
    if not case.node_selector:
        return ""
    return f"""(!({HAS_REQUIRED}) || !{_REQUIRED}.nodeSelectorTerms.exists(term,
has({_EXPRESSIONS}) && {_EXPRESSIONS}.exists(e, e.key in {cel.listed(case.node_selector)})))"""


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


_NO_DEVICES = f"""(!has(object.metadata.annotations) || !object.metadata.annotations.exists(key,
{cel.listed(DEVICE_ANNOTATIONS)}.exists(domain, key.contains(domain)))) &&
(!has(object.spec.volumes) || object.spec.volumes.all(volume, !has(volume.hostPath) ||
(size(volume.hostPath.path) <= {LONGEST_PATH} &&
volume.hostPath.path.matches({cel.quoted(SAFE_PATH)}) && !volume.hostPath.path.matches({cel.quoted(UNSAFE_PATH)})))) &&
!{_ALL_CONTAINERS}.exists(c,
(has(c.env) && c.env.exists(variable, variable.name in {cel.listed(sorted(DEVICE_VARIABLES))})) ||
(has(c.securityContext) && has(c.securityContext.privileged) && c.securityContext.privileged) ||
(has(c.volumeMounts) && c.volumeMounts.exists(mount, mount.mountPath.contains('nvidia-container-devices'))))"""


# --- what is written of GPUs ------------------------------------------------------------------------------------------


def _is_written(spec: PodSpec, way: Way) -> bool:
    containers = spec.containers or []
    counts = [amounts[way.resource] for each in containers if way.resource in (amounts := _limits(each))]
    return (
        bool(counts)
        and all(_names_only(container, way.resource) for container in containers)
        and not (way.only_one and any(count != "1" for count in counts))
        and _selects_only(spec, way)
        and _requires_only(spec, way)
        and (not way.host_ipc or bool(spec.host_ipc))
        and not (way.no_shm and any("shm" in mount.mount_path for c in containers for mount in c.volume_mounts or ()))
    )


def _limits(container: Container) -> Mapping[str, Quantity]:
    return (container.resources and container.resources.limits) or {}


def _requests_of(container: Container) -> Mapping[str, Quantity]:
    return (container.resources and container.resources.requests) or {}


def _names_only(container: Container, resource: str | None) -> bool:
    """Whether a container requests nothing but what is no GPU, and a resource, if one is given, as the API server writes it."""
    limits, requests = _limits(container), _requests_of(container)
    known = all(
        name == resource or name in ORDINARY or name.startswith(ORDINARY_BEGINNINGS) for name in (*limits, *requests)
    )
    if not known or resource is None or (resource not in limits and resource not in requests):
        return known
    count = limits.get(resource)
    return isinstance(count, str) and count == requests.get(resource) and _COUNT.fullmatch(count) is not None


def told_apart(way: Way, others: Iterable[Way]) -> str:
    """The CEL that tells pods of one way from those of others, of pods that are known to be of one of them."""
    same = [other for other in others if other.resource == way.resource]
    return _every(_requested([way.resource]), *([_selects(way), _requires(way)] if same else ()))


def _requested(resources: Iterable[str]) -> str:
    """Whether a container requests one of some resources."""
    named = " || ".join(f"{cel.quoted(name)} in c.resources.limits" for name in dict.fromkeys(resources))
    return f"object.spec.containers.exists(c, has(c.resources) && has(c.resources.limits) && ({named}))"


def _in_section(section: str, way: Way) -> str:
    return f"has(c.resources.{section}) && {cel.quoted(way.resource)} in c.resources.{section}"


def written(way: Way) -> str:
    """The CEL that tells pods of one way from all others."""
    resource = cel.quoted(way.resource)
    known = f"[{_of('limits')}, {_of('requests')}].all(amounts, amounts.all(name, name == {resource} || {_ordinary('name')}))"
    limits, requests = (_in_section(section, way) for section in _SECTIONS)
    count = f"c.resources.limits[{resource}]"
    counted = f"{count} == c.resources.requests[{resource}] && " + (
        f"{count} == '1'" if way.only_one else f"{count}.matches({cel.quoted(COUNT)})"
    )
    return _every(
        _requested([way.resource]),
        f"""object.spec.containers.all(c, !has(c.resources) || ({known} &&
(({limits}) ? ({requests}) && {counted} : !({requests}))))""",
        _selects(way),
        _requires(way),
        *(["has(object.spec.hostIPC) && object.spec.hostIPC"] if way.host_ipc else ()),
        *([_NO_SHM] if way.no_shm else ()),
    )


_NO_SHM = """object.spec.containers.all(c, !has(c.volumeMounts) ||
c.volumeMounts.all(mount, !mount.mountPath.contains('shm')))"""


# --- what is said of nodes --------------------------------------------------------------------------------------------


def _selects_only(spec: PodSpec, way: Way) -> bool:
    selector = spec.node_selector or {}
    return all(selector.get(key) == value for key, value in way.selector.items()) and all(
        not key.startswith(LABELS_OF_FORMS)
        or key in way.selector
        or (key.startswith(_GKE) and key not in GKE_KEYS)
        or (way.model and key == PRODUCT and not _SUFFIX.search(value))
        for key, value in selector.items()
    )


def _selects(way: Way) -> str:
    labels = "object.spec.nodeSelector"
    chosen = [
        f"({cel.quoted(key)} in {labels} && {labels}[{cel.quoted(key)}] == {cel.quoted(value)})"
        for key, value in way.selector.items()
    ]
    others = [" && ".join(f"!key.startsWith({cel.quoted(prefix)})" for prefix in LABELS_OF_FORMS)]
    others += [f"key in {cel.listed(way.selector)}"] if way.selector else []
    others += [f"(key.startsWith({cel.quoted(_GKE)}) && !(key in {cel.listed(GKE_KEYS)}))"]
    if way.model:
        others += [f"(key == {cel.quoted(PRODUCT)} && !{labels}[key].matches({cel.quoted(SUFFIX)}))"]
    rest = f"{labels}.all(key, {' || '.join(others)})"
    return f"has({labels}) && {_every(*chosen, rest)}" if chosen else f"(!has({labels}) || {rest})"


def _requires_only(spec: PodSpec, way: Way) -> bool:
    terms = spec.terms
    if way.terms:
        return terms == [Term([need.expression for need in way.terms])]
    if way.requirements:
        return not (spec.affinity and spec.affinity.node_affinity and spec.affinity.node_affinity.required)
    selector = spec.node_selector or {}
    return all(_is_plain(term, selector) for term in terms)


def _is_plain(term: Term, selector: Mapping[str, str]) -> bool:
    """Whether some node matches a term: it requires each label once, in a way that some value meets, and none of a form."""
    expressions = term.match_expressions or []
    keys = [expression.key for expression in expressions]
    return (
        bool(expressions)
        and len({*keys}) == len(keys)
        and not any(key in selector or key.startswith(LABELS_OF_FORMS) for key in keys)
        and all(e.operator in _OPERATORS and (e.operator != "In" or bool(e.values)) for e in expressions)
    )


def _requires(way: Way) -> str:
    terms = f"{_REQUIRED}.nodeSelectorTerms"
    if way.terms:
        expressions = f"{terms}[0].matchExpressions"
        exact = [
            f"{expressions}[{index}].key == {cel.quoted(need.key)} && "
            f"{expressions}[{index}].operator == {cel.quoted(need.operator)} && "
            + (
                f"{expressions}[{index}].values == {cel.listed(need.values)}"
                if need.values
                else f"(!has({expressions}[{index}].values) || size({expressions}[{index}].values) == 0)"
            )
            for index, need in enumerate(way.terms)
        ]
        return _every(
            HAS_REQUIRED,
            f"size({terms}) == 1 && !has({terms}[0].matchFields) && has({expressions}) && size({expressions}) == {len(exact)}",
            *exact,
        )
    if way.requirements:
        return f"!({HAS_REQUIRED})"
    foreign = " && ".join(f"!e.key.startsWith({cel.quoted(prefix)})" for prefix in LABELS_OF_FORMS)
    return f"""(!({HAS_REQUIRED}) || {terms}.all(term,
has({_EXPRESSIONS}) && size({_EXPRESSIONS}) > 0 && {_EXPRESSIONS}.all(e, {foreign} &&
{_EXPRESSIONS}.exists_one(other, other.key == e.key) &&
!(has(object.spec.nodeSelector) && e.key in object.spec.nodeSelector) &&
e.operator in {cel.listed(_OPERATORS)} && (e.operator != 'In' || (has(e.values) && size(e.values) > 0)))))"""
