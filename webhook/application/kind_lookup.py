"""Workloads by name: the row of the table for an object, an owner reference or a mistyped kind."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from .operator_kinds import OPERATORS
from .workload_kinds import BUILT_IN, WorkloadKind, table

KINDS = table((*BUILT_IN, *OPERATORS))
"""Every row, by group and kind."""

ADVISED_OPERATORS = tuple(row for row in OPERATORS if not (row.cluster_scoped or (row.intermediate and row.passive)))
"""Operators' kinds whose objects are sent to ``/advise``. Cluster-scoped objects have no policy, and users never write copies."""

Kinds = Mapping[tuple[str, str], WorkloadKind]
NO_KINDS: Kinds = {}
_BY_KIND = {row.kind: row for row in BUILT_IN}
_BY_GROUP = {**KINDS, **{(group, row.kind): row for row in BUILT_IN for group in row.former_groups}}
_VERSIONS = {row.kind: row.api_version for row in BUILT_IN} | {"Namespace": "v1"}
# On the scale of difflib: "pods" is 0.86 like "pod"; none of Kubernetes' own kinds is that similar to another.
_ALIKE = 0.85
_LONGEST_KIND = 63


def workload_of(api_version: object, kind: object, configured: Kinds = NO_KINDS) -> WorkloadKind | None:
    """The workload that a kind of an API version is, or ``None`` for every other kind.

    Rows of the configuration come before gpuwarden's own.
    """
    if not isinstance(kind, str):
        return None
    if isinstance(api_version, str):
        key = group_of(api_version), kind
        return configured.get(key) or _BY_GROUP.get(key)
    return _BY_KIND.get(kind) if api_version is None else None


def not_served(workload: WorkloadKind, api_version: object) -> Iterator[str]:
    """Yield a note if Kubernetes 1.30 and later does not serve one of its own kinds in an API version: no pod is created."""
    if isinstance(api_version, str) and api_version not in {
        f"{workload.group}/{v}".lstrip("/") for v in workload.versions
    }:
        yield f"note: Kubernetes does not serve {workload.kind} as {api_version}; write apiVersion: {workload.api_version}"


def correction(api_version: object, kind: str) -> str | None:
    """Return the error in the kind or apiVersion of an object that is meant to be a workload or a Namespace, and the fix.

    Returns:
        ``None`` for every object that is one, and for kinds of other APIs: a custom resource may be called Job, and its group
        has a dot (k8s.io/apiextensions-apiserver validation).
    """
    group = group_of(api_version)
    of_kubernetes = "." not in group or (group.endswith(".k8s.io") and not group.endswith(".x-k8s.io"))
    if not of_kubernetes or not isinstance(api_version, str) or workload_of(api_version, kind):
        return None
    right = kind if kind in _VERSIONS else _meant(kind)
    if right is None or (kind, api_version) == ("Namespace", "v1"):
        return None
    if right == kind:
        return f"apiVersion: {api_version} has no kind: {kind}; write apiVersion: {_VERSIONS[right]}"
    return (
        f"kind: {kind} of apiVersion: {api_version} is not a kind of Kubernetes; did you mean kind: {right} of "
        f"apiVersion: {_VERSIONS[right]}?"
    )


def _meant(kind: str) -> str | None:
    """The kind whose name differs from this only by case, a plural s, or a letter or two."""
    known = {name.lower(): name for name in _VERSIONS}
    close = get_close_matches(kind[:_LONGEST_KIND].lower(), known, n=1, cutoff=_ALIKE)
    return known[close[0]] if close else None


def group_of(api_version: object) -> str:
    """The group of an API version; empty for the core group."""
    return api_version.rpartition("/")[0] if isinstance(api_version, str) else ""


def qualified(api_version: object, kind: str) -> str:
    """A kind with its group, as kubectl takes it (``Job.batch.volcano.sh``), so that kinds of one name differ."""
    if group := group_of(api_version):
        return f"{kind}.{group}"
    # "v1 Deployment" is a mistake that needs the version to be seen.
    return f"{kind} ({api_version})" if api_version and kind in _BY_KIND else kind


def identity(api_version: str, kind: str) -> str:
    """Return the name of a kind, whatever its version: the kind itself if it is a workload, else with its group."""
    return kind if is_workload(api_version, kind) else qualified(api_version, kind)


def is_between(api_version: str, kind: str) -> bool:
    """Whether objects of a kind are made by other kinds, so that their controller, if any, is what a person wrote."""
    row = _BY_KIND[kind] if is_workload(api_version, kind) else workload_of(api_version, kind)
    return row is not None and row.intermediate


def is_workload(api_version: str, kind: str) -> bool:
    """Whether an owner reference is to a built-in workload: ``Job`` of ``batch/v1``, and not of ``batch.volcano.sh/v1alpha1``.

    Groups of custom resources have a dot (k8s.io/apiextensions-apiserver validation), those of workloads have none.
    """
    return kind in _BY_KIND and "." not in group_of(api_version)
