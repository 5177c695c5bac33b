"""The other programs that know GPUs by name: the fields that the checks read, by the APIs' own names."""

import msgspec

from ...engine.claim_objects import DeviceSelector
from .documents import Container, Metadata, PodTemplateSpec

DCGM_EXPORTER = "dcgm-exporter"
DEVICE_PLUGIN = "device-plugin"
CLUSTER_AUTOSCALER = "cluster-autoscaler"
# Kueue's integrations that queue pods, not the templates that they are made from.
_BY_PODS = frozenset({"pod", "deployment", "statefulset", "leaderworkerset"})


class ProgramSpec(msgspec.Struct):
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)


class Program(msgspec.Struct):
    """A DaemonSet or Deployment that runs a program."""

    metadata: Metadata
    spec: ProgramSpec = msgspec.field(default_factory=ProgramSpec)

    def containers(self, program: str) -> list[Container]:
        """Its containers that run a program."""
        return [one for one in self.spec.template.spec.containers or () if one.runs(program)]

    def __str__(self) -> str:
        return f"{self.metadata.namespace}/{self.metadata.name}"


class NodePoolRequirement(msgspec.Struct):
    """A requirement of a Karpenter NodePool on the labels of its nodes."""

    key: str
    operator: str = "Exists"
    values: list[str] | None = None


class NodePoolTaint(msgspec.Struct):
    key: str = ""


class NodePoolNodeSpec(msgspec.Struct):
    requirements: list[NodePoolRequirement] | None = None
    taints: list[NodePoolTaint] | None = None


class NodePoolTemplate(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: NodePoolNodeSpec = msgspec.field(default_factory=NodePoolNodeSpec)


class NodePoolSpec(msgspec.Struct):
    template: NodePoolTemplate = msgspec.field(default_factory=NodePoolTemplate)


class NodePool(msgspec.Struct):
    """A Karpenter NodePool (karpenter.sh/v1)."""

    metadata: Metadata
    spec: NodePoolSpec = msgspec.field(default_factory=NodePoolSpec)


class NodeOverlaySpec(msgspec.Struct):
    capacity: dict[str, object] | None = None


class NodeOverlay(msgspec.Struct):
    """A Karpenter NodeOverlay (karpenter.sh/v1alpha1): resources that instances have and Karpenter doesn't know of."""

    spec: NodeOverlaySpec = msgspec.field(default_factory=NodeOverlaySpec)


class ResourceGroup(msgspec.Struct, rename="camel"):
    covered_resources: list[str] | None = None


class ClusterQueueSpec(msgspec.Struct, rename="camel"):
    resource_groups: list[ResourceGroup] | None = None


class ClusterQueue(msgspec.Struct):
    """A Kueue ClusterQueue (kueue.x-k8s.io/v1beta2 and v1beta1)."""

    metadata: Metadata
    spec: ClusterQueueSpec = msgspec.field(default_factory=ClusterQueueSpec)

    @property
    def covers(self) -> set[str]:
        """The resources that it has quota for."""
        return {name for group in self.spec.resource_groups or () for name in group.covered_resources or ()}


class LocalQueueSpec(msgspec.Struct, rename="camel"):
    cluster_queue: str = ""


class LocalQueue(msgspec.Struct):
    metadata: Metadata
    spec: LocalQueueSpec = msgspec.field(default_factory=LocalQueueSpec)


class Transformation(msgspec.Struct):
    input: str = ""
    strategy: str = "Retain"
    outputs: dict[str, object] | None = None


class KueueResources(msgspec.Struct, rename="camel"):
    """The section ``resources`` of Kueue's configuration (apis/config/v1beta2)."""

    quota_check_strategy: str | None = None
    exclude_resource_prefixes: list[str] | None = None
    transformations: list[Transformation] | None = None


class KueueIntegrations(msgspec.Struct):
    """The section ``integrations`` of Kueue's configuration: the kinds that it queues."""

    frameworks: list[str] | None = None


class KueueConfiguration(msgspec.Struct):
    """The part of Kueue's configuration that decides which resources are counted."""

    resources: KueueResources = msgspec.field(default_factory=KueueResources)
    integrations: KueueIntegrations = msgspec.field(default_factory=KueueIntegrations)

    @property
    def queues_pods(self) -> bool:
        """Whether it queues pods themselves, which some other kinds need too; it may if no kinds are named."""
        frameworks = self.integrations.frameworks
        return not frameworks or any(name.rpartition("/")[2] in _BY_PODS for name in frameworks)


class DeviceClassSpec(msgspec.Struct, rename="camel"):
    extended_resource_name: str | None = None
    selectors: list[DeviceSelector] | None = None


class DeviceClass(msgspec.Struct):
    """A DeviceClass (resource.k8s.io/v1)."""

    metadata: Metadata
    spec: DeviceClassSpec = msgspec.field(default_factory=DeviceClassSpec)

    def selects(self, driver: str) -> bool:
        """Whether devices of a driver may be of the class: its selectors name the driver, or it has none."""
        expressions = self.expressions
        return not expressions or any(driver in each for each in expressions)

    @property
    def expressions(self) -> list[str]:
        """Its CEL selectors."""
        return [selector.cel.expression for selector in self.spec.selectors or () if selector.cel]


class SliceDevice(msgspec.Struct, rename="camel"):
    allow_multiple_allocations: bool | None = None


class ResourceSliceSpec(msgspec.Struct, rename="camel"):
    """The spec of a ResourceSlice. One without ``nodeName`` or ``allNodes`` selects its nodes."""

    driver: str = ""
    node_name: str | None = None
    all_nodes: bool | None = None
    devices: list[SliceDevice] | None = None


class ResourceSlice(msgspec.Struct):
    """A ResourceSlice (resource.k8s.io/v1)."""

    spec: ResourceSliceSpec = msgspec.field(default_factory=ResourceSliceSpec)
