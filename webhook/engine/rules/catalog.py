"""The rules, in the order in which their findings are told. Each is declared in the file of its subject, beside its check."""

from webhook.engine.findings import Rule
from webhook.engine.rules import (
    claims,
    container,
    device_access,
    fleet,
    limit_ranges,
    not_rewritten,
    outside_containers,
    permission,
    placement,
    sharing,
)

RULES: tuple[Rule, ...] = (
    container.NOT_A_WHOLE_NUMBER,
    container.LIMITS_REQUESTS_DIFFER,
    container.MIXED_GPU_RESOURCES,
    outside_containers.GPU_OUTSIDE_CONTAINERS,
    permission.GPU_NOT_PERMITTED,
    permission.FORM_NOT_PERMITTED,
    permission.OTHER_GPU_RESOURCE,
    claims.CLAIM_NOT_PERMITTED,
    claims.CLAIM_NOT_FOUND,
    sharing.SHARED_REQUEST_ABOVE_ONE,
    placement.SELECTOR_CONFLICT,
    permission.PER_CONTAINER_LIMIT,
    permission.PER_POD_LIMIT,
    not_rewritten.NOT_REWRITTEN,
    device_access.VISIBLE_DEVICES_ENV,
    device_access.VISIBLE_DEVICES_MOUNT,
    device_access.CDI_ANNOTATION,
    device_access.NVIDIA_RUNTIME_CLASS,
    device_access.GPU_HOST_PATH,
    device_access.PRIVILEGED_CONTAINER,
    device_access.NODE_NAME_SET,
    sharing.MIG_COUNT_ABOVE_ONE,
    placement.GKE_SELECTORS_INCOMPLETE,
    sharing.GKE_MPS_NEEDS_HOST_IPC,
    limit_ranges.LIMIT_RANGE_DEFAULT,
    sharing.MPS_SHM_MOUNT,
    container.UNKNOWN_GPU_RESOURCE,
    fleet.COUNT_ABOVE_ANY_NODE,
    fleet.FORM_NOT_OFFERED,
)
BY_ID = {rule.id: rule for rule in RULES}
