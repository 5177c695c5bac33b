"""The GPUs that the pods of a cluster hold or wait for."""

import msgspec

from ...application.fleet_view import GpuPod
from ...engine.fleet.usage import requested
from ...engine.pods import Container, PodSpec, Resources
from ...engine.requests import requests_any

_ENDED = frozenset({"Succeeded", "Failed"})


class _PodMetadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    deletion_timestamp: str | None = None


class _Gate(msgspec.Struct):
    name: str = ""


class _PodSpec(PodSpec, rename="camel"):
    scheduling_gates: list[_Gate] | None = None


class _PodStatus(msgspec.Struct):
    phase: str = ""


class PodItem(msgspec.Struct):
    """The fields of a Pod about the GPUs that it holds or waits for."""

    metadata: _PodMetadata
    spec: _PodSpec
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    def trimmed(self) -> "PodItem | None":
        """The pod without other data, such as the values of variables; ``None`` if it has finished or requests no GPU."""
        return None if self.status.phase in _ENDED or not requested(self.spec) else self._bare

    def waiting_for(self, names: frozenset[str]) -> GpuPod | None:
        """The pod if it waits for a node and requests one of these resources."""
        waits = self.status.phase not in _ENDED and not self.spec.node_name and not self.metadata.deletion_timestamp
        return self._bare.pod if waits and requests_any(self.spec, names) else None

    @property
    def _bare(self) -> "PodItem":
        spec = self.spec
        return PodItem(
            self.metadata,
            _PodSpec(
                init_containers=[_trimmed(one) for one in spec.init_containers or ()] or None,
                containers=[_trimmed(one) for one in spec.containers or ()],
                node_selector=spec.node_selector,
                node_name=spec.node_name,
                affinity=spec.affinity,
                scheduler_name=spec.scheduler_name,
                tolerations=spec.tolerations,
                runtime_class_name=spec.runtime_class_name,
                scheduling_gates=spec.scheduling_gates,
            ),
            self.status,
        )

    @property
    def pod(self) -> GpuPod:
        """The application's representation."""
        metadata = self.metadata
        return GpuPod(
            metadata.namespace,
            metadata.name,
            self.spec,
            self.spec.node_name or "",
            gated=bool(self.spec.scheduling_gates),
            ending=metadata.deletion_timestamp is not None,
        )


def _trimmed(container: Container) -> Container:
    asked = container.resources
    return Container(
        name=container.name,
        resources=Resources(asked.limits, asked.requests) if asked else None,
        restart_policy=container.restart_policy,
    )
