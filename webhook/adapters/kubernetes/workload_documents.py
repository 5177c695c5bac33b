"""Pods, and the kinds that hold a template of one, as the API server lists them: the fields that an audit reads."""

from typing import Any

import msgspec

from webhook.adapters.kubernetes.documents import Labels
from webhook.adapters.kubernetes.request import path_of
from webhook.application.auditing import Owner, Seen
from webhook.engine.label_problems import relevant
from webhook.engine.labels import NamespaceLabels
from webhook.engine.pods import Metadata as PodMetadata
from webhook.engine.pods import Pod, PodSpec


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
        """As much of the object as says anything about policies, and keys that look like it."""
        metadata = self.metadata
        labels, annotations = relevant(metadata.labels), relevant(metadata.annotations)
        named = {"name": metadata.name, "labels": labels, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": named}


class _Reference(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Metadata(PodMetadata, rename="camel"):
    uid: str = ""
    labels: Labels | None = None
    owner_references: list[_Reference] | None = None
    deletion_timestamp: str | None = None

    @property
    def owner(self) -> Owner | None:
        controllers = (ref for ref in self.owner_references or () if ref.controller)
        ref = next(controllers, None)
        return Owner(ref.api_version, ref.kind, ref.name, ref.uid) if ref else None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    phase: str | None = None
    conditions: list[_Condition] | None = None

    @property
    def ended(self) -> bool:
        """Whether a pod or a job has come to its end."""
        done = any(c.status == "True" and c.type in {"Complete", "Failed"} for c in self.conditions or ())
        return done or self.phase in {"Succeeded", "Failed"}


class WorkloadItem(msgspec.Struct):
    """What all kinds have in common."""

    metadata: _Metadata
    status: _Status | None = None

    def pod(self) -> Pod | None:
        """The pod, or the template of one."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Whether it is told to have no pods."""
        return False

    @property
    def over(self) -> bool:
        """Whether it has ended or is being deleted."""
        return self.metadata.deletion_timestamp is not None or (self.status is not None and self.status.ended)


class PodItem(WorkloadItem):
    """A pod."""

    spec: PodSpec | None = None

    def pod(self) -> Pod | None:
        """The pod itself."""
        return Pod(self.metadata, self.spec)


class PodTemplateItem(WorkloadItem):
    """A PodTemplate."""

    template: Pod | None = None

    def pod(self) -> Pod | None:
        """Its template."""
        return self.template


class _Spec(msgspec.Struct):
    template: Pod | None = None
    replicas: int | None = None


class ControllerItem(WorkloadItem):
    """A Deployment and its like, or a Job."""

    spec: _Spec | None = None

    def pod(self) -> Pod | None:
        """Its template."""
        return self.spec.template if self.spec else None

    @property
    def idle(self) -> bool:
        """Whether it is scaled to nothing."""
        return self.spec is not None and self.spec.replicas == 0


class _JobTemplate(msgspec.Struct):
    spec: _Spec | None = None


class _CronSpec(msgspec.Struct, rename="camel"):
    job_template: _JobTemplate | None = None


class CronJobItem(WorkloadItem):
    """A CronJob."""

    spec: _CronSpec | None = None

    def pod(self) -> Pod | None:
        """The template in its Jobs' template."""
        job = self.spec.job_template if self.spec else None
        return job.spec.template if job and job.spec else None


class Kind(msgspec.Struct, frozen=True):
    """A kind of workload, where the API server lists it, and what its objects are."""

    name: str
    api_version: str
    plural: str
    item: type[WorkloadItem] = ControllerItem

    def path(self, namespace: str | None) -> str:
        """The list's path, in one namespace or in all."""
        root = ("api", "v1") if self.api_version == "v1" else ("apis", *self.api_version.split("/"))
        return path_of(*root, *(("namespaces", namespace) if namespace else ()), self.plural)

    def mislabelled(self, item: WorkloadItem) -> dict[str, Any] | None:
        """An object with a label that belongs on a namespace, in as much as that says; ``None`` for any other.

        What a controller has made is left out: it has the labels of its controller's template.
        """
        metadata = item.metadata
        if metadata.labels is None or metadata.owner:
            return None
        labels = {key: value for key, value in metadata.labels.items() if value is not None}
        if not labels:
            return None
        named = {"name": metadata.name or "", "namespace": metadata.namespace or "", "labels": labels}
        return {"apiVersion": self.api_version, "kind": self.name, "metadata": named}

    def seen(self, item: WorkloadItem) -> Seen:
        """An object as an audit sees it."""
        metadata = item.metadata
        return Seen(
            api_version=self.api_version,
            kind=self.name,
            namespace=metadata.namespace or "",
            name=metadata.name or "",
            uid=metadata.uid,
            owner=metadata.owner,
            pod=item.pod(),
            running=isinstance(item, PodItem),
            over=item.over,
            idle=item.idle,
        )


KINDS = (
    Kind("Pod", "v1", "pods", PodItem),
    # After the pods: a ReplicaSet made meanwhile doesn't matter; one that a pod names and nobody saw would.
    Kind("ReplicaSet", "apps/v1", "replicasets"),
    Kind("ReplicationController", "v1", "replicationcontrollers"),
    Kind("Job", "batch/v1", "jobs"),
    Kind("CronJob", "batch/v1", "cronjobs", CronJobItem),
    Kind("Deployment", "apps/v1", "deployments"),
    Kind("StatefulSet", "apps/v1", "statefulsets"),
    Kind("DaemonSet", "apps/v1", "daemonsets"),
    Kind("PodTemplate", "v1", "podtemplates", PodTemplateItem),
)
