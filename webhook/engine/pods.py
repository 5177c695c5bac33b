"""Typed views of the few pod fields that gpuwarden reads. Everything else in a pod is ignored."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .quantity import Quantity
from .text import Name

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

# In manifests, every field may be null or missing, which means the same.
Strings = dict[str, str] | None
Labels = dict[str, Name] | None


class _Tree(msgspec.Struct, omit_defaults=True, gc=False):
    """A part of a pod. It is decoded from JSON or YAML and has no cycles, so the garbage collector need not track it.

    Fields are in the order in which the API server writes them (k8s.io/api/core/v1/types.go): msgspec expects each field after
    the previous one.
    """


class ContainerClaim(_Tree):
    """One entry of ``resources.claims``: the name of the claim in the pod, and the request of it that is used, if only one."""

    name: Name = ""
    request: Name | None = None


class Resources(_Tree):
    """``resources`` of a container."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None
    claims: list[ContainerClaim] | None = None


class Present(_Tree):
    """A field that is set; its content is not relevant here."""


class EnvVar(_Tree, rename="camel"):
    """One ``env`` entry. Only the values of NVIDIA's own variables are read."""

    name: str = ""
    value: Any = None
    value_from: Present | None = None


class SecurityContext(_Tree):
    """``securityContext`` of a container."""

    privileged: bool | None = None


class VolumeMount(_Tree, rename="camel"):
    """One ``volumeMounts`` entry."""

    mount_path: str = ""


class Container(_Tree, rename="camel"):
    """A container, an init container, a sidecar or an ephemeral container."""

    name: Name = ""
    env: list[EnvVar] | None = None
    resources: Resources | None = None
    restart_policy: Name | None = None
    volume_mounts: list[VolumeMount] | None = None
    security_context: SecurityContext | None = None


class HostPath(_Tree):
    """``hostPath`` of a volume."""

    path: str = ""


class Volume(_Tree, rename="camel"):
    """One ``volumes`` entry. The name is not read, because the API server generates that of a token's volume for each pod."""

    host_path: HostPath | None = None


class Expression(_Tree):
    """One node selector requirement."""

    key: Name = ""
    operator: Name = ""
    values: list[str] | None = None


class Term(_Tree, rename="camel"):
    """One node selector term: all of its expressions must match."""

    match_expressions: list[Expression] | None = None
    match_fields: list[Any] | None = None

    @property
    def matches_nothing(self) -> bool:
        """Kubernetes: "A null or empty node selector term matches no objects"."""
        return not self.match_expressions and not self.match_fields


class Required(_Tree, rename="camel"):
    """``requiredDuringSchedulingIgnoredDuringExecution``: terms that are alternatives."""

    node_selector_terms: list[Term] | None = None


class NodeAffinity(_Tree):
    """``nodeAffinity``; preferences are not read."""

    required: Required | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class Affinity(_Tree, rename="camel"):
    """``affinity``."""

    node_affinity: NodeAffinity | None = None


class Toleration(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, gc=False):
    """A toleration, as pods and policies write it."""

    key: Name | None = None
    operator: Name | None = None
    value: Name | None = None
    effect: Name | None = None
    toleration_seconds: int | None = None

    def covers(self, other: "Toleration") -> bool:
        """Whether it tolerates everything that another one does (k8s.io/api/core/v1/toleration.go ToleratesTaint)."""
        if self.effect and self.effect != other.effect:
            return False
        if self.toleration_seconds is not None and self.toleration_seconds != other.toleration_seconds:
            return False
        if self.operator == "Exists":
            return not self.key or self.key == other.key
        equal = (self.operator or "Equal") == (other.operator or "Equal")
        return equal and self.key == other.key and (self.value or "") == (other.value or "")


class PodResourceClaim(_Tree, rename="camel"):
    """One ``resourceClaims`` entry (DRA): its name in the pod, and the object that it references."""

    name: Name = ""
    resource_claim_name: Name | None = None
    resource_claim_template_name: Name | None = None


class PodSpec(_Tree, rename="camel"):
    """``spec`` of a pod or of a template."""

    volumes: list[Volume] | None = None
    init_containers: list[Container] | None = None
    containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    node_selector: Labels = None
    node_name: Name | None = None
    host_ipc: bool | None = msgspec.field(name="hostIPC", default=None)
    affinity: Affinity | None = None
    scheduler_name: str | None = None
    tolerations: list[Toleration] | None = None
    runtime_class_name: Name | None = None
    resource_claims: list[PodResourceClaim] | None = None
    resources: Resources | None = None

    @property
    def terms(self) -> list[Term]:
        """The alternatives of the required node affinity."""
        node = self.affinity and self.affinity.node_affinity
        required = node and node.required
        return (required and required.node_selector_terms) or []

    def tolerates(self, wanted: Toleration) -> bool:
        """Whether the pod's own tolerations already cover a wanted one."""
        return any(own.covers(wanted) for own in self.tolerations or ())


class Metadata(_Tree, rename="camel"):
    """``metadata`` of a pod or of a template."""

    name: Name | None = None
    generate_name: Name | None = None
    namespace: Name | None = None
    deletion_timestamp: Name | None = None
    annotations: Strings = None


class Pod(_Tree, rename="camel"):
    """A pod, or the template of one."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None

    @property
    def is_mirror(self) -> bool:
        """Whether it is a mirror pod, which represents a static pod that already runs. Changing it would only detach it."""
        return bool(self.metadata and self.metadata.annotations and MIRROR_ANNOTATION in self.metadata.annotations)


class Place(msgspec.Struct, frozen=True, gc=False):
    """The place of a container in its pod."""

    section: str
    index: int

    @property
    def pointer(self) -> str:
        """As a JSON pointer (RFC 6901) from the pod's root."""
        return f"/spec/{self.section}/{self.index}"

    @property
    def field(self) -> str:
        """The path in Kubernetes' notation."""
        return f"spec.{self.section}[{self.index}]"


def node_selection(spec: PodSpec | None) -> tuple[dict[str, str], list[Term]]:
    """The nodeSelector and the terms of the required node affinity."""
    return (spec.node_selector or {}, spec.terms) if spec else ({}, [])


def containers(spec: PodSpec) -> Iterator[tuple[str, int, Container]]:
    """Every container that can request resources, with its list and its place there, in start order."""
    for section, listed in (("initContainers", spec.init_containers), ("containers", spec.containers)):
        for index, container in enumerate(listed or ()):
            yield section, index, container
