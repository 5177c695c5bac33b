"""Updates of an existing pod: an update is denied for new findings, never for those that the pod had before.

Kubernetes permits changes of only a few fields that a decision reads (k8s.io/kubernetes pkg/apis/core/validation
ValidatePodUpdate): while the pod has scheduling gates, nodeSelector and required node affinity may be narrowed; annotations may
always change. The annotation gpuwarden.io/gpu-memory is read when a pod is created, and not here: the slice that it selected
cannot change.
"""

import msgspec

from .decision import Decision, decide
from .findings import Finding
from .other_gpus import BUILT_IN, GpuNames
from .pods import Pod, node_selection
from .policy import ANY_POLICY, Policy
from .rules import device_access
from .rules.gpu_memory import ANNOTATION as GPU_MEMORY
from .rules.not_rewritten import update_needs_rewrite
from .spelling import DevicePlugin


def matters(after: Pod, before: Pod) -> bool:
    """Whether an update changes fields that a decision reads and that may change. Other updates are not checked.

    A pod that is being deleted is not checked, so that its finalizers can always be removed. The chart's ``matchConditions`` of
    ``updates.gpuwarden.io`` say the same in CEL (tests/deploy/test_update_conditions.py).
    """
    if after.metadata and after.metadata.deletion_timestamp:
        return False
    return node_selection(after.spec) != node_selection(before.spec) or _device_annotations(
        after
    ) != _device_annotations(before)


def decide_update(  # noqa: PLR0913 - everything that decides
    after: Pod, before: Pod, policy: Policy, plugin: DevicePlugin, names: GpuNames = BUILT_IN, *, rewrites: bool
) -> Decision:
    """Return the findings that an update adds under one policy.

    A finding counts if the pod had none of the same rule at the same field before: a pod that broke a rule already, because its
    namespace got another label after it was created, can still be updated. A device annotation that is added or changed is
    always checked, and so are the rules that apply under every policy. An update is never rewritten, so one that would require
    a rewrite is denied.

    ``rewrites`` is whether the policy rewrites pods when they are created.

    Returns:
        A decision with the new findings, and never with edits. Nothing is raised.
    """
    before = _unchanged(before, after)
    now, had = decide(after, policy, plugin, names=names), decide(before, policy, plugin, names=names)
    new = _new(now, had)
    if rewrites and not had.edits and (found := update_needs_rewrite(now.edits, policy)):
        new = (found, *new)
    if not new and had.denials:
        # If the policy already denied the form, the rules that apply under every policy were not checked.
        new = _new(decide(after, ANY_POLICY, plugin), decide(before, ANY_POLICY, plugin))
    return Decision((), new, now.gpu_containers) if new else Decision()


def _new(now: Decision, had: Decision) -> tuple[Finding, ...]:
    """The findings of one decision that the other does not have."""
    known = {(finding.rule, finding.path) for finding in had.findings}
    return tuple(finding for finding in now.findings if (finding.rule, finding.path) not in known)


def _device_annotations(pod: Pod) -> dict[str, str]:
    annotations = (pod.metadata and pod.metadata.annotations) or {}
    return {key: value for key, value in annotations.items() if device_access.names_devices(key)}


def _unchanged(before: Pod, after: Pod) -> Pod:
    """The pod as it is, without the annotations that the update changes.

    Both have the update's memory annotation: it selected a slice when the pod was created, and a change has no effect now.
    """
    if before.metadata is None:
        return before
    to_be = (after.metadata and after.metadata.annotations) or {}
    had = before.metadata.annotations or {}
    same = {key: value for key, value in to_be.items() if had.get(key) == value or key == GPU_MEMORY}
    metadata = msgspec.structs.replace(before.metadata, annotations=same)
    return msgspec.structs.replace(before, metadata=metadata)
