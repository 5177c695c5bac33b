"""The restricted Pod Security Standard (kubernetes.io/docs/concepts/security/pod-security-standards), for pods on Linux."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def violations(spec: Json) -> list[str]:
    """What the standard would refuse a pod for."""
    return [*_of_pod(spec), *(reason for c in _containers(spec) for reason in _of_container(c, spec))]


def _containers(spec: Json) -> Iterator[Json]:
    for section in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(section, ())


def _of_pod(spec: Json) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes", ()):
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volume {volume['name']}"
    if spec.get("securityContext", {}).get("sysctls"):
        yield "sysctls"


def _of_container(container: Json, spec: Json) -> Iterator[str]:
    pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
    both = {**pod, **own}
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "runAsNonRoot"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "hostPort"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
