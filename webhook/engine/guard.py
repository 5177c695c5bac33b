"""The guard: whether a pod reaches GPUs without a request, or more than it requests."""

from collections.abc import Iterator, Sequence
from itertools import islice

from .findings import Finding, Severity
from .pods import Container, Place, Pod, PodSpec, containers
from .policy import FindingAction, Policy
from .requests import GpuContainer
from .rules import device_access, outside_containers

_VARIABLES = frozenset({device_access.VISIBLE_DEVICES, device_access.CUDA_VERSION})
# No severity: the policy ignores findings.
_SEVERITIES = {FindingAction.WARN: Severity.WARN, FindingAction.DENY: Severity.DENY}
# All have the same severity, and more are not useful.
_MOST = 100


def sees(pod: Pod) -> bool:
    """Whether any rule here could find something in a pod, under any policy. A fast check without false negatives.

    The chart's ``matchConditions`` of ``guard.gpuwarden.io`` are the same condition in CEL
    (tests/deploy/test_guard_conditions.py).
    """
    spec = pod.spec
    if spec is None or pod.is_mirror:
        return False
    annotations = pod.metadata.annotations if pod.metadata else None
    return bool(
        spec.node_name
        or spec.runtime_class_name
        or (annotations and any(map(device_access.names_devices, annotations)))
        or (spec.volumes and any(volume.host_path is not None for volume in spec.volumes))
        or any(_stands_out(container) for _, _, container in containers(spec))
        or any(map(_stands_out, spec.ephemeral_containers or ()))
        or any(outside_containers.gpu_outside_containers(spec))
    )


def _stands_out(container: Container) -> bool:
    return bool(
        (container.env and any(variable.name in _VARIABLES for variable in container.env))
        or (container.security_context is not None and container.security_context.privileged)
        or (
            container.volume_mounts
            and any("nvidia-container-devices" in mount.mount_path for mount in container.volume_mounts)
        )
    )


def findings(pod: Pod, gpu_containers: Sequence[GpuContainer], policy: Policy) -> Iterator[Finding]:
    """Return the findings of the access rules for a pod, up to a limit; none if the policy ignores them.

    The policy's ``guard`` determines whether a finding denies or warns.
    """
    severity = _SEVERITIES.get(policy.guard)
    if severity is None or pod.spec is None or not sees(pod):
        return iter(())
    return islice(_all(pod, pod.spec, gpu_containers, policy, severity), _MOST)


def _all(
    pod: Pod, spec: PodSpec, gpu_containers: Sequence[GpuContainer], policy: Policy, severity: Severity
) -> Iterator[Finding]:
    asking = {gpu_container.place: gpu_container for gpu_container in gpu_containers}
    for section, index, container in (*containers(spec), *_ephemeral(spec)):
        place = Place(section, index)
        yield from _of_container(place, container, asking.get(place), policy, severity)
    if pod.metadata and pod.metadata.annotations:
        yield from device_access.cdi_annotation(pod.metadata.annotations, gpu_containers, policy, severity)
    if spec.runtime_class_name and not gpu_containers:
        found = device_access.nvidia_runtime_class(spec.runtime_class_name, policy, severity)
        if found:
            yield found
    for index, volume in enumerate(spec.volumes or ()):
        if found := device_access.gpu_host_path(index, volume, severity):
            yield found
    if spec.node_name:
        yield device_access.node_name_set(spec.node_name, severity)


def of_new_ephemeral_containers(pod: Pod, before: Pod, policy: Policy) -> Iterator[Finding]:
    """Return the findings for new ephemeral containers of a pod; existing ones are not checked again."""
    severity = _SEVERITIES.get(policy.guard)
    if severity is None or pod.spec is None:
        return
    had = {container.name: container for container in (before.spec and before.spec.ephemeral_containers) or ()}
    for section, index, container in _ephemeral(pod.spec):
        if had.get(container.name) != container:
            yield from _of_container(Place(section, index), container, None, policy, severity)


def _ephemeral(spec: PodSpec) -> Iterator[tuple[str, int, Container]]:
    for index, container in enumerate(spec.ephemeral_containers or ()):
        yield device_access.EPHEMERAL, index, container


def _of_container(
    place: Place, container: Container, gpu_container: GpuContainer | None, policy: Policy, severity: Severity
) -> Iterator[Finding]:
    yield from device_access.visible_devices_env(place, container, gpu_container, policy, severity)
    yield from device_access.visible_devices_mount(place, container, gpu_container, policy, severity)
    if found := device_access.privileged_container(place, container, severity):
        yield found
