"""The requests of pods of the common case: as a predicate, and as equivalent CEL."""

import re
from collections.abc import Iterable, Mapping

from . import cel
from .cel import every
from .common_case import FEW, Circumstance, CommonCase, RequestPattern, Slices
from .common_case_nodes import requires, requires_only, selects, selects_only
from .mig_profiles import PROFILE
from .pods import Container, PodSpec
from .quantity import Quantity
from .resources import PREFIX

# A count as the API server writes it: at least 1, and small enough for a CEL integer.
COUNT = "^[1-9][0-9]{0,8}$"
_COUNT = re.compile(COUNT)
ORDINARY = ("cpu", "memory", "ephemeral-storage")
"""What containers request besides GPUs."""
ORDINARY_BEGINNINGS = ("hugepages-", "rdma/", "vke.volcengine.com/rdma", "vpc.amazonaws.com/efa")
"""Prefixes of such names: memory, and network devices that training uses together with GPUs."""
SECTIONS = ("limits", "requests")


def is_written(spec: PodSpec, pattern: RequestPattern) -> bool:
    """Whether a pod's GPU requests match a pattern."""
    containers = spec.containers or []
    return (
        any(pattern.resource in limits_of(container) for container in containers)
        and all(names_only(container, pattern.resource, only_one=pattern.only_one) for container in containers)
        and selects_only(spec, pattern)
        and requires_only(spec, pattern)
        and not (
            Circumstance.SHM in pattern.warnings
            and any(
                "shm" in mount.mount_path and "." in mount.mount_path
                for c in containers
                for mount in c.volume_mounts or ()
            )
        )
    )


def limits_of(container: Container) -> Mapping[str, Quantity]:
    """The limits of a container."""
    return (container.resources and container.resources.limits) or {}


def requests_of(container: Container) -> Mapping[str, Quantity]:
    """The requests of a container."""
    return (container.resources and container.resources.requests) or {}


def names_only(container: Container, resource: str | None, *, only_one: bool = False) -> bool:
    """Whether a container requests no GPU except a given resource, if any, with a count as the API server writes it."""
    limits, requests = limits_of(container), requests_of(container)
    known = all(
        name == resource or name in ORDINARY or name.startswith(ORDINARY_BEGINNINGS) for name in (*limits, *requests)
    )
    if not known or resource is None or (resource not in limits and resource not in requests):
        return known
    count = limits.get(resource)
    counted = isinstance(count, str) and (count == "1" if only_one else _COUNT.fullmatch(count) is not None)
    return counted and count == requests.get(resource)


def requests_slices(spec: PodSpec, slices: Slices, case: CommonCase) -> bool:
    """Whether containers request slices that the policy does not list, at most one kind per container, and no other GPU."""
    containers = spec.containers or []
    named = [[name for name in limits_of(each) if _is_slice(slices, name)] for each in containers]
    return (
        len(containers) <= case.most_containers_of_slices
        and any(named)
        and all(
            len(names) <= 1 and names_only(container, names[0] if names else None, only_one=slices.only_one)
            for container, names in zip(containers, named, strict=True)
        )
        and selects_only(spec, _PLAINLY)
        and requires_only(spec, _PLAINLY)
    )


# A pattern without labels of forms.
_PLAINLY = RequestPattern("")
SLICE = f"{PREFIX}mig-"
"""The prefix of the name of a MIG slice; the profile follows."""
_SLICE = rf"^{re.escape(SLICE)}{PROFILE}$"
_SLICES = re.compile(_SLICE)


def _is_slice(slices: Slices, name: str) -> bool:
    return name not in slices.listed and _SLICES.fullmatch(name) is not None


def is_slice(slices: Slices, name: str) -> str:
    """The CEL of whether a name is that of a MIG slice that the policy does not list."""
    # Checking the prefix first is cheaper.
    beginning = f"{name}.startsWith({cel.quoted(SLICE)}) && {name}.matches({cel.quoted(_SLICE)})"
    return f"{beginning} && !({name} in {cel.listed(slices.listed)})" if slices.listed else beginning


def written_slices(slices: Slices, case: CommonCase) -> str:
    """The CEL of ``requests_slices``, of pods that request a slice."""
    is_name = is_slice(slices, "name")
    counted = "limits[name] == '1'" if slices.only_one else f"limits[name].matches({cel.quoted(COUNT)})"
    fewer = case.most_containers_of_slices < case.most_containers
    return every(
        *([f"size(object.spec.containers) <= {case.most_containers_of_slices}"] if fewer else []),
        requested(f"c.resources.limits.exists(name, {is_name})"),
        f"""object.spec.containers.all(c, !has(c.resources) || [{_of("limits")}].all(limits, [{_of("requests")}].all(requests,
{each_name(f"{ordinary('name')} || ({is_name})")} &&
[limits.filter(name, {is_name})].all(names, size(names) <= 1 && names == requests.filter(name, {is_name}) &&
names.all(name, limits[name] == requests[name] && {counted})))))""",
        selects(_PLAINLY),
        requires(_PLAINLY),
    )


def distinguished(pattern: RequestPattern, others: Iterable[RequestPattern]) -> str:
    """The CEL that distinguishes one pattern from the others, for pods that match one of them."""
    same = [other for other in others if other.resource == pattern.resource]
    return every(requested(named_by(pattern)), *([selects(pattern), requires(pattern)] if same else ()))


def named_by(pattern: RequestPattern) -> str:
    """The CEL of whether a container ``c`` names the resource of a pattern in its limits."""
    return f"{cel.quoted(pattern.resource)} in c.resources.limits"


def requested(*named: str) -> str:
    """Whether a container requests a resource that one of some conditions names."""
    return f"object.spec.containers.exists(c, has(c.resources) && has(c.resources.limits) && ({' || '.join(named)}))"


def _in_section(section: str, pattern: RequestPattern) -> str:
    return f"has(c.resources.{section}) && {cel.quoted(pattern.resource)} in c.resources.{section}"


def written(pattern: RequestPattern, *, alone: bool) -> str:
    """The CEL that distinguishes one pattern from all others; for pods that request its resource, if it is ``alone``."""
    resource = cel.quoted(pattern.resource)
    limits, requests = (_in_section(section, pattern) for section in SECTIONS)
    count = f"c.resources.limits[{resource}]"
    counted = f"{count} == '1'" if pattern.only_one else f"{count}.matches({cel.quoted(COUNT)})"
    known = ordinary("name", pattern.resource)
    # Most pods with GPUs have limits and requests that are equal, and then the requests need not be read.
    equal = f"(!({named_by(pattern)}) || {counted})"
    different = f"""{_each_name_of("requests", known)} &&
(({limits}) ? ({requests}) && {count} == c.resources.requests[{resource}] && {counted} : !({requests}))"""
    return every(
        *([] if alone else [requested(named_by(pattern))]),
        f"""object.spec.containers.all(c, !has(c.resources) || ({_each_name_of("limits", known)} &&
({_EQUAL} ? {equal} :
{different})))""",
        selects(pattern),
        requires(pattern),
        *([_PLAIN_PATHS] if Circumstance.SHM in pattern.warnings else ()),
    )


_EQUAL = "has(c.resources.limits) && has(c.resources.requests) && c.resources.limits == c.resources.requests"
# The engine resolves dots in paths, so pods with any are not the common case.
_PLAIN_PATHS = """object.spec.containers.all(c, !has(c.volumeMounts) ||
c.volumeMounts.all(mount, !mount.mountPath.contains('shm') || !mount.mountPath.contains('.')))"""


def ordinary(name: str, *others: str) -> str:
    """CEL that is true if a resource is known not to be a GPU, or is one of ``others``."""
    beginnings = (f"{name}.startsWith({cel.quoted(beginning)})" for beginning in ORDINARY_BEGINNINGS)
    return " || ".join([f"{name} in {cel.listed([*ORDINARY, *others])}", *beginnings])


def _of(section: str) -> str:
    return f"has(c.resources.{section}) ? c.resources.{section} : {{}}"


def each_name(known: str) -> str:
    """Whether a container ``c`` with resources requests few of them, and a condition holds for each ``name``."""
    return every(*(_each_name_of(section, known) for section in SECTIONS))


def _each_name_of(section: str, known: str) -> str:
    path = f"c.resources.{section}"
    return f"(!has({path}) || (size({path}) <= {FEW} && {path}.all(name, {known})))"
