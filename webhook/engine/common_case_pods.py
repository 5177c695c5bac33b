"""Which pods are the common case of a policy, twice: as a predicate, and as CEL that says the same.

Each condition has both, one below the other; tests hold them together, with CEL's own evaluator and with a real API server. The
exemptions of the configuration are not among them: neither the webhooks nor the admission policies are asked about exempt pods.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sized

from . import cel
from .common_case import DEVICE_VARIABLES, FEW, CommonCase, Slices, Way
from .limitranger import ANNOTATION as LIMIT_RANGER
from .pods import MIRROR_ANNOTATION, Container, Pod, PodSpec, Term
from .products import PRODUCT
from .profiles import PROFILE
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


def way_of(pod: Pod, case: CommonCase) -> Way | Slices | None:
    """How a pod of the common case requests GPUs; ``None`` for every other pod."""
    spec = pod.spec
    if spec is None or not _is_small(pod, spec, case) or not _is_ordinary(pod, spec) or _requires_added(spec, case):
        return None
    if case.guarded and _reaches_devices(pod, spec):
        return None
    way = next((way for way in case.ways if _is_written(spec, way)), None)
    return case.slices if way is None and case.slices and _requests_slices(spec, case.slices, case) else way


def condition(case: CommonCase) -> str:
    """The CEL of ``is_common``: of an ``object`` that is a pod."""
    ways = [written(way, alone=len(case.ways) == 1 and not case.slices) for way in case.ways]
    named = [*dict.fromkeys(map(_names, case.ways))]
    if case.slices:
        ways.append(_written_slices(case.slices, case))
        named.append(f"c.resources.limits.exists(name, {is_slice(case.slices, 'name')})")
    any_way = " ||\n".join(f"({way})" for way in ways)
    rest = (_ORDINARY, *_each_once(case), _added(case))
    # What tells most other pods comes early: they request no GPUs.
    return _every(_few(case), _requested(*named), _SMALL, f"({any_way})", *filter(None, rest))


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
# The other lists are looked at once, by ``_each_once``.
_SMALL = f"""{_at_most(FEW, "object.spec.initContainers")} &&
{_at_most(MANY, "object.spec.nodeSelector", "object.spec.tolerations")} &&
{_ALL_CONTAINERS}.all(c, !has(c.resources) || ({_at_most(FEW, "c.resources.limits", "c.resources.requests")})) &&
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


def _ordinary(name: str, *others: str) -> str:
    beginnings = (f"{name}.startsWith({cel.quoted(beginning)})" for beginning in ORDINARY_BEGINNINGS)
    return " || ".join([f"{name} in {cel.listed([*ORDINARY, *others])}", *beginnings])


def _of(section: str) -> str:
    return f"has(c.resources.{section}) ? c.resources.{section} : {{}}"


def _each_name(known: str) -> str:
    """Whether a condition holds for each ``name`` that a container ``c`` with resources requests."""
    return _every(
        *(f"(!has(c.resources.{section}) || c.resources.{section}.all(name, {known}))" for section in _SECTIONS)
    )


_ORDINARY = f"""(!has(object.spec.nodeName) || object.spec.nodeName == '') &&
!has(object.spec.resources) &&
(!has(object.spec.resourceClaims) || size(object.spec.resourceClaims) == 0) &&
(!has(object.spec.initContainers) || object.spec.initContainers.all(c, !has(c.resources) || ({_each_name(_ordinary("name"))})))"""


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


_OF_DEVICES = " || ".join(f"key.contains({cel.quoted(domain)})" for domain in DEVICE_ANNOTATIONS)
_UNSAFE_VOLUME = f"""has(volume.hostPath) && !(size(volume.hostPath.path) <= {LONGEST_PATH} &&
volume.hostPath.path.matches({cel.quoted(SAFE_PATH)}) && !volume.hostPath.path.matches({cel.quoted(UNSAFE_PATH)}))"""
_PRIVILEGED = "has(c.securityContext) && has(c.securityContext.privileged) && c.securityContext.privileged"


def _each_once(case: CommonCase) -> Iterator[str]:
    """The CEL of all that is asked of annotations, volumes, variables and mounts: their sizes, and that they reach no devices."""
    annotations = "object.metadata.annotations"
    ordinary = f"""!({cel.quoted(MIRROR_ANNOTATION)} in {annotations}) && !({cel.quoted(GPU_MEMORY)} in {annotations}) &&
(!({cel.quoted(LIMIT_RANGER)} in {annotations}) || !{annotations}[{cel.quoted(LIMIT_RANGER)}].contains({cel.quoted(PREFIX)}))"""
    no_devices = {
        annotations: f"!{annotations}.exists(key, {_OF_DEVICES})",
        "object.spec.volumes": f"!object.spec.volumes.exists(volume, {_UNSAFE_VOLUME})",
        "c.env": f"!c.env.exists(variable, variable.name in {cel.listed(sorted(DEVICE_VARIABLES))})",
        "c.volumeMounts": "!c.volumeMounts.exists(mount, mount.mountPath.contains('nvidia-container-devices'))",
    }

    def of(path: str, *others: str) -> str:
        asked = _every(f"size({path}) <= {MANY}", *others, *([no_devices[path]] if case.guarded else []))
        return f"(!has({path}) || ({asked}))"

    yield of(annotations, ordinary)
    yield of("object.spec.volumes")
    closed = [f"!({_PRIVILEGED})"] if case.guarded else []
    yield f"{_ALL_CONTAINERS}.all(c, {_every(of('c.env'), of('c.volumeMounts'), *closed)})"


# --- what is written of GPUs ------------------------------------------------------------------------------------------


def _is_written(spec: PodSpec, way: Way) -> bool:
    containers = spec.containers or []
    return (
        any(way.resource in _limits(container) for container in containers)
        and all(_names_only(container, way.resource, only_one=way.only_one) for container in containers)
        and _selects_only(spec, way)
        and _requires_only(spec, way)
        and (not way.host_ipc or bool(spec.host_ipc))
        and not (way.no_shm and any("shm" in mount.mount_path for c in containers for mount in c.volume_mounts or ()))
    )


def _limits(container: Container) -> Mapping[str, Quantity]:
    return (container.resources and container.resources.limits) or {}


def _requests_of(container: Container) -> Mapping[str, Quantity]:
    return (container.resources and container.resources.requests) or {}


def _names_only(container: Container, resource: str | None, *, only_one: bool = False) -> bool:
    """Whether a container requests nothing but what is no GPU, and a resource, if one is given, as the API server writes it."""
    limits, requests = _limits(container), _requests_of(container)
    known = all(
        name == resource or name in ORDINARY or name.startswith(ORDINARY_BEGINNINGS) for name in (*limits, *requests)
    )
    if not known or resource is None or (resource not in limits and resource not in requests):
        return known
    count = limits.get(resource)
    counted = isinstance(count, str) and (count == "1" if only_one else _COUNT.fullmatch(count) is not None)
    return counted and count == requests.get(resource)


def _requests_slices(spec: PodSpec, slices: Slices, case: CommonCase) -> bool:
    """Whether containers request slices that the policy does not list, at most one kind of them in each, and no other GPU."""
    containers = spec.containers or []
    named = [[name for name in _limits(each) if _is_slice(slices, name)] for each in containers]
    return (
        len(containers) <= case.most_containers_of_slices
        and any(named)
        and all(
            len(names) <= 1 and _names_only(container, names[0] if names else None, only_one=slices.only_one)
            for container, names in zip(containers, named, strict=True)
        )
        and _selects_only(spec, _PLAINLY)
        and _requires_only(spec, _PLAINLY)
    )


# What is said of nodes where nothing is said of forms.
_PLAINLY = Way("")
SLICE = f"{PREFIX}mig-"
"""How the name of a MIG slice begins; the profile follows."""
_SLICE = rf"^{re.escape(SLICE)}{PROFILE}$"
_SLICES = re.compile(_SLICE)


def _is_slice(slices: Slices, name: str) -> bool:
    return name not in slices.listed and _SLICES.fullmatch(name) is not None


def is_slice(slices: Slices, name: str) -> str:
    """The CEL of whether a name is that of a MIG slice that the policy does not list."""
    # Most names are told by their beginning, at less cost.
    beginning = f"{name}.startsWith({cel.quoted(SLICE)}) && {name}.matches({cel.quoted(_SLICE)})"
    return f"{beginning} && !({name} in {cel.listed(slices.listed)})" if slices.listed else beginning


def _written_slices(slices: Slices, case: CommonCase) -> str:
    """The CEL of ``_requests_slices``, of pods that request a slice."""
    is_name = is_slice(slices, "name")
    counted = "limits[name] == '1'" if slices.only_one else f"limits[name].matches({cel.quoted(COUNT)})"
    fewer = case.most_containers_of_slices < case.most_containers
    return _every(
        *([f"size(object.spec.containers) <= {case.most_containers_of_slices}"] if fewer else []),
        _requested(f"c.resources.limits.exists(name, {is_name})"),
        f"""object.spec.containers.all(c, !has(c.resources) || [{_of("limits")}].all(limits, [{_of("requests")}].all(requests,
{_each_name(f"{_ordinary('name')} || ({is_name})")} &&
[limits.filter(name, {is_name})].all(names, size(names) <= 1 && names == requests.filter(name, {is_name}) &&
names.all(name, limits[name] == requests[name] && {counted})))))""",
        _selects(_PLAINLY),
        _requires(_PLAINLY),
    )


def told_apart(way: Way, others: Iterable[Way]) -> str:
    """The CEL that tells pods of one way from those of others, of pods that are known to be of one of them."""
    same = [other for other in others if other.resource == way.resource]
    return _every(_requested(_names(way)), *([_selects(way), _requires(way)] if same else ()))


def _names(way: Way) -> str:
    return f"{cel.quoted(way.resource)} in c.resources.limits"


def _requested(*named: str) -> str:
    """Whether a container requests a resource that one of some conditions names."""
    return f"object.spec.containers.exists(c, has(c.resources) && has(c.resources.limits) && ({' || '.join(named)}))"


def _in_section(section: str, way: Way) -> str:
    return f"has(c.resources.{section}) && {cel.quoted(way.resource)} in c.resources.{section}"


def written(way: Way, *, alone: bool) -> str:
    """The CEL that tells pods of one way from all others; of pods that request its resource, if it is ``alone``."""
    resource = cel.quoted(way.resource)
    limits, requests = (_in_section(section, way) for section in _SECTIONS)
    count = f"c.resources.limits[{resource}]"
    counted = f"{count} == c.resources.requests[{resource}] && " + (
        f"{count} == '1'" if way.only_one else f"{count}.matches({cel.quoted(COUNT)})"
    )
    return _every(
        *([] if alone else [_requested(_names(way))]),
        f"""object.spec.containers.all(c, !has(c.resources) || ({_each_name(_ordinary("name", way.resource))} &&
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
