"""Findings: the things that can be wrong with a request, each rule by its id."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """What a finding does under the enforce policy."""

    DENY = "deny"
    WARN = "warn"


class Rule(StrEnum):
    """Every rule by its id, in the order in which rules are judged. Ids are stable: metrics, reports and people use them."""

    NOT_A_WHOLE_NUMBER = "not-a-whole-number"
    LIMITS_REQUESTS_DIFFER = "limits-requests-differ"
    MIXED_GPU_RESOURCES = "mixed-gpu-resources"
    GPU_OUTSIDE_CONTAINERS = "gpu-outside-containers"
    GPU_NOT_PERMITTED = "gpu-not-permitted"
    FORM_NOT_PERMITTED = "form-not-permitted"
    OTHER_GPU_RESOURCE = "other-gpu-resource"
    SHARED_REQUEST_ABOVE_ONE = "shared-request-above-one"
    SELECTOR_CONFLICT = "selector-conflict"
    PER_CONTAINER_LIMIT = "per-container-limit"
    PER_POD_LIMIT = "per-pod-limit"
    NOT_REWRITTEN = "not-rewritten"
    VISIBLE_DEVICES_ENV = "visible-devices-env"
    VISIBLE_DEVICES_MOUNT = "visible-devices-mount"
    CDI_ANNOTATION = "cdi-annotation"
    NVIDIA_RUNTIME_CLASS = "nvidia-runtime-class"
    GPU_HOST_PATH = "gpu-host-path"
    PRIVILEGED_CONTAINER = "privileged-container"
    NODE_NAME_SET = "node-name-set"
    MIG_COUNT_ABOVE_ONE = "mig-count-above-one"
    GKE_SELECTORS_INCOMPLETE = "gke-selectors-incomplete"
    GKE_MPS_NEEDS_HOST_IPC = "gke-mps-needs-host-ipc"
    LIMIT_RANGE_DEFAULT = "limit-range-default"
    MPS_SHM_MOUNT = "mps-shm-mount"
    UNKNOWN_GPU_RESOURCE = "unknown-gpu-resource"


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong.

    Attributes:
        rule: the rule's id.
        severity: whether it denies the pod.
        path: the field, as Kubernetes writes paths, from the pod's root (``spec.containers[0].resources.limits[…]``).
        reason: whose fault lies where: ``container "train": nvidia.com/gpu: 2 …``.
        detail: why it is wrong and what to do.
    """

    rule: Rule
    severity: Severity
    path: str
    reason: str
    detail: str

    @property
    def message(self) -> str:
        """The whole sentence."""
        return f"{self.reason}; {self.detail}"

    @property
    def denies(self) -> bool:
        """Whether the finding denies the pod."""
        return self.severity is Severity.DENY


def deny(rule: Rule, path: str, reason: str, detail: str) -> Finding:
    """A finding that denies the pod."""
    return Finding(rule, Severity.DENY, path, reason, detail)


def warn(rule: Rule, path: str, reason: str, detail: str) -> Finding:
    """A finding that the user is told of."""
    return Finding(rule, Severity.WARN, path, reason, detail)
