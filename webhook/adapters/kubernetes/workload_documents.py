"""Pods, and the kinds with pod templates, as the API server lists them: the fields that an audit reads."""

from typing import Any

import msgspec

from ...application.auditing import Owner, WorkloadObject
from ...application.operator_objects import QUEUE
from ...application.pod_counts import PlannedPods, pod_count
from ...application.workload_kinds import WorkloadKind, is_idle, is_suspended
from ...application.workload_views import pods, view
from ...engine.label_problems import relevant
from ...engine.namespace_labels import NamespaceLabels
from ...engine.pods import Metadata as PodMetadata
from .api_request import object_path
from .documents import Labels, OwnerReference, controller_of
from .lists import Page


class _NamespaceMetadata(msgspec.Struct, rename="camel"):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class NamespaceItem(msgspec.Struct):
    """A namespace."""

    metadata: _NamespaceMetadata

    @property
    def ends(self) -> bool:
        """Whether it is being deleted."""
        return self.metadata.deletion_timestamp is not None

    @property
    def policies(self) -> NamespaceLabels:
        """Our labels."""
        return NamespaceLabels.of(self.metadata.labels)

    @property
    def manifest(self) -> dict[str, Any]:
        """The labels and annotations about policies, and similar keys."""
        metadata = self.metadata
        labels, annotations = relevant(metadata.labels), relevant(metadata.annotations)
        named = {"name": metadata.name, "labels": labels, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": named}


class _WorkloadLabels(Labels, rename={"queue": QUEUE}):
    """Our labels, and Kueue's."""

    queue: str | None = None


class _Metadata(PodMetadata, rename="camel"):
    uid: str = ""
    labels: _WorkloadLabels | None = None
    owner_references: list[OwnerReference] | None = None
    deletion_timestamp: str | None = None

    @property
    def owner(self) -> Owner | None:
        ref = controller_of(self.owner_references)
        return Owner(ref.api_version, ref.kind, ref.name, ref.uid) if ref else None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    phase: str | None = None
    conditions: list[_Condition] | None = None

    @property
    def ended(self) -> bool:
        """Whether a pod or a job has finished."""
        done = any(c.status == "True" and c.type in {"Complete", "Failed"} for c in self.conditions or ())
        return done or self.phase in {"Succeeded", "Failed"}


class WorkloadItem(msgspec.Struct):
    """The fields that all kinds have in common; ``page_of`` adds those with their pod templates."""

    metadata: _Metadata
    status: _Status | None = None

    @property
    def over(self) -> bool:
        """Whether it has finished or is being deleted."""
        return self.metadata.deletion_timestamp is not None or (self.status is not None and self.status.ended)


def page_of(kind: WorkloadKind) -> type[Page[WorkloadItem]]:
    """Return the type of a page of a list of this kind's objects."""
    item: Any = view(kind, WorkloadItem)
    page: type[Page[WorkloadItem]] = Page[item]
    return page


def path(kind: WorkloadKind, namespace: str | None) -> str:
    """The path of a kind's list, in one namespace or in all."""
    return object_path(kind.group, kind.versions[0], kind.plural, namespace)


def mislabelled(kind: WorkloadKind, item: WorkloadItem) -> dict[str, Any] | None:
    """An object with a label that belongs on a namespace; ``None`` for any other.

    Objects of controllers are left out, because they have the labels of the controller's template.
    """
    metadata = item.metadata
    if metadata.labels is None or metadata.owner:
        return None
    labels = {key: value for key, value in metadata.labels.items() if value is not None}
    if not labels:
        return None
    named = {"name": metadata.name or "", "namespace": metadata.namespace or "", "labels": labels}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": named}


def seen(kind: WorkloadKind, item: WorkloadItem) -> WorkloadObject:
    """The audit's representation of the object."""
    metadata = item.metadata
    where, pod = next(pods(kind, item), (None, None))
    return WorkloadObject(
        api_version=kind.api_version,
        kind=kind.kind,
        namespace=metadata.namespace or "",
        name=metadata.name or "",
        uid=metadata.uid,
        owner=metadata.owner,
        pod=pod,
        running=kind.is_pod,
        over=item.over,
        idle=is_idle(kind, item),
        suspended=is_suspended(kind, item),
        count=pod_count(kind, item, where) if where else PlannedPods(),
        queue=(metadata.labels and metadata.labels.queue) or "",
    )
