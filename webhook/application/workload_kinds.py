"""The table of workload kinds: which kinds make pods, and where in their objects the pods are described.

Everything else that depends on a kind derives from its row: the readers of manifests (``check``, ``rewrite``, ``audit``) and of
a cluster (``audit``, the warnings for a changed namespace label), ``/advise``, the chart's rules, conditions and RBAC
(hack/workload_rules.py), what ``doctor`` expects of them, and docs/reference/workload-kinds.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from ..engine.fleet.node_shapes import DAEMONS
from ..engine.patch import escape
from ..engine.pods import Toleration
from . import field_paths
from .field_paths import ITEMS, VALUES, Path, Place

_SPEC = "spec"


class Template(msgspec.Struct, frozen=True):
    """Where objects of a kind describe pods.

    Attributes:
        path: the path to the spec of the pods, as ``field_paths.parse`` reads it.
        replicas: paths to counts; there are as many pods as their product. A count that is not set is 1. The part of a path
            before its wildcards is a prefix of ``path``.
        with_leader: the one of these counts that counts a leader too, which ``leader`` describes if it is set.
        leader: the path to that template.
    """

    path: str
    replicas: tuple[str, ...] = ()
    with_leader: str = ""
    leader: str = ""

    @property
    def steps(self) -> Path:
        """The path to the spec, step by step."""
        return field_paths.parse(self.path)

    @property
    def is_whole(self) -> bool:
        """Whether there is a pod or a pod template, with metadata, around the spec; without it the spec is all there is."""
        return self.steps[-1] == _SPEC


class WorkloadKind(msgspec.Struct, frozen=True, dict=True):
    """A kind whose objects describe pods.

    Attributes:
        group: its API group, empty for the core group.
        versions: those that are served, the preferred one first.
        plural: its name in URLs, rules and RBAC.
        templates: where its objects describe pods.
        resources: paths to what its objects request outside of these: ``limits`` and ``requests``, or ``name`` and ``quantity``.
        suspend: the path to the field that is true while the object has no pods.
        former_groups: groups that it had before Kubernetes 1.16, which many manifests still use.
        intermediate: whether other kinds make its objects: what a person wrote is then their controller.
        passive: whether no pod is created from its objects alone.
        cluster_scoped: whether its objects are in no namespace.
        by_shape: whether each of its objects has its pods elsewhere, so that they are found by their shape.
        implicit: whether its pods request ``nvidia.com/gpu`` though an object names no GPU.
        uncounted: why the number of pods is not in its objects.
        note: what is special about it, for people.
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    templates: tuple[Template, ...]
    resources: tuple[str, ...] = ()
    suspend: str = ""
    former_groups: tuple[str, ...] = ()
    intermediate: bool = False
    passive: bool = False
    cluster_scoped: bool = False
    by_shape: bool = False
    implicit: bool = False
    uncounted: str = ""
    note: str = ""

    @property
    def api_version(self) -> str:
        """Its apiVersion, in the preferred version."""
        return f"{self.group}/{self.versions[0]}".lstrip("/")

    @property
    def is_built_in(self) -> bool:
        """Whether it is Kubernetes' own: groups of custom resources have a dot, those of workloads have none."""
        return "." not in self.group

    @property
    def is_pod(self) -> bool:
        """Whether its objects are pods themselves."""
        return not self.group and self.kind == "Pod"

    @property
    def tolerations(self) -> tuple[Toleration, ...]:
        """The tolerations that its pods get besides their template's."""
        return DAEMONS if self.kind == "DaemonSet" else ()

    @cached_property
    def pods(self) -> tuple[Path, ...]:
        """The paths to the pods or pod templates, or to their specs if there is nothing else."""
        return tuple(one.steps[:-1] if one.is_whole else one.steps for one in self.templates)


def row(group: str, versions: str, kind: str, *templates: Template, plural: str = "", **more: Any) -> WorkloadKind:
    """Return a row of the table.

    ``versions`` are separated by spaces. Without a ``plural``, it is the kind in lower case with an s. ``more`` are other
    attributes of the row.
    """
    return WorkloadKind(group, tuple(versions.split()), kind, plural or f"{kind.lower()}s", templates, **more)


class WorkloadPod(msgspec.Struct, frozen=True):
    """One pod, or template of pods, in an object.

    Attributes:
        place: its place, or that of its spec if there is nothing else.
        is_whole: whether it has metadata and a spec.
    """

    place: Place
    is_whole: bool = True

    @property
    def pointer(self) -> str:
        """Its place as a JSON pointer."""
        return "".join(f"/{escape(str(step))}" for step in self.place)

    def field(self, path: str) -> str:
        """A path within the pod as a path within the object."""
        if not self.is_whole:
            path = path.removeprefix(_SPEC).removeprefix(".")
        return ".".join(filter(None, (field_paths.written(self.place), path)))


class TableError(ValueError):
    """A row of the table is wrong; the message names it and the fault."""


def table(rows: Iterable[WorkloadKind]) -> Mapping[tuple[str, str], WorkloadKind]:
    """Return rows by group and kind.

    Raises:
        TableError: for an invalid path, a count that belongs to no template, or a kind that is listed twice.
    """
    found: dict[tuple[str, str], WorkloadKind] = {}
    for row in rows:
        name = f"{row.kind}.{row.group}".rstrip(".")
        if (row.group, row.kind) in found:
            raise TableError(f"{name} is defined twice; remove one row")
        if fault := next(_faults(row), None):
            raise TableError(f"{name}: {fault}")
        found[row.group, row.kind] = row
    return found


def _faults(row: WorkloadKind) -> Iterator[str]:
    if not (row.kind and row.plural and row.versions and (row.templates or row.resources or row.by_shape)):
        yield "a row needs a kind, a plural, a version, and templates or resources"
    try:
        for template in row.templates:
            steps = template.steps
            for count in template.replicas:
                fixed = field_paths.parse(count)
                last = max((number for number, step in enumerate(fixed) if step in {ITEMS, VALUES}), default=-1)
                if fixed[: last + 1] != steps[: last + 1]:
                    yield f"{count} does not count the pods of {template.path}: up to the last wildcard, both must be the same"
        for path in filter(None, (*row.resources, row.suspend)):
            field_paths.parse(path)
    except ValueError as error:
        yield str(error)


def places(kind: WorkloadKind, data: Any) -> Iterator[tuple[WorkloadPod, Any]]:
    """Return the place of every pod or template in an object (plain data or a typed view), each with its content."""
    for template, path in zip(kind.templates, kind.pods, strict=True):
        for place, found in field_paths.find(data, path):
            yield WorkloadPod(place, template.is_whole), found


def is_idle(kind: WorkloadKind, data: Any) -> bool:
    """Whether an object, plain data or a typed view, is scaled to zero, so that it has no pods."""
    paths = [field_paths.parse(count) for template in kind.templates for count in template.replicas]
    return any(count == 0 for path in paths for _, count in field_paths.find(data, path))


def is_suspended(kind: WorkloadKind, data: Any) -> bool:
    """Whether an object, plain data or a typed view, has no pods until it is resumed."""
    if not kind.suspend:
        return False
    return any(value is True for _, value in field_paths.find(data, field_paths.parse(kind.suspend)))


ON_EACH_NODE = "there is one on each node that it selects"
_REPLICAS = Template("spec.template.spec", ("spec.replicas",))
_BEFORE_1_16 = ("extensions",)

# fmt: off
BUILT_IN = (
    row("", "v1", "Pod", Template("spec")),
    # After the pods: a ReplicaSet that is created meanwhile doesn't matter, one that a pod names and was not read would.
    row("apps", "v1", "ReplicaSet", _REPLICAS, former_groups=_BEFORE_1_16, intermediate=True),
    row("batch", "v1", "Job", Template("spec.template.spec", ("spec.parallelism",)), suspend="spec.suspend",
        intermediate=True, note="Its template can't be changed once it is created."),
    row("", "v1", "ReplicationController", _REPLICAS, intermediate=True),
    row("batch", "v1", "CronJob",
        Template("spec.jobTemplate.spec.template.spec", ("spec.jobTemplate.spec.parallelism",)), suspend="spec.suspend"),
    row("apps", "v1", "DaemonSet", Template("spec.template.spec"), former_groups=_BEFORE_1_16, uncounted=ON_EACH_NODE,
        note="A pod on each node that its template selects."),
    row("apps", "v1", "StatefulSet", _REPLICAS, former_groups=_BEFORE_1_16),
    row("apps", "v1", "Deployment", _REPLICAS, former_groups=_BEFORE_1_16),
    row("", "v1", "PodTemplate", Template("template.spec"), passive=True, note="No pod is made from it alone."),
)
# fmt: on
"""Kubernetes' own kinds, in the order in which a cluster is read."""

PREVIEWED = tuple(row for row in reversed(BUILT_IN) if not row.passive)
"""The kinds for which a changed namespace label is previewed. Templates come first: each stands for all its pods."""

ADVISED = (*(row for row in PREVIEWED if not row.is_pod), *(row for row in BUILT_IN if row.passive))
"""The kinds that are sent to ``/advise``: all with a template."""
