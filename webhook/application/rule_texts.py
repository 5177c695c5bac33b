"""What each rule means, for reports and documentation: a title, and a sentence or two of help, by the rule's id."""

import msgspec

from webhook.engine.findings import Rule, Severity
from webhook.engine.schedulers import HAMI, HAMI_RESOURCES

REWRITTEN = "rewritten"
"""Id in reports, beside the rules', of what is no finding: the pod would be rewritten."""
UNREADABLE_LABEL = "unreadable-label"
"""Id in reports of a namespace whose label names no policy."""
INEFFECTIVE_LABEL = "ineffective-label"
"""Id in reports of a label that looks like one of gpuwarden's and has no effect."""
NOT_JUDGED = "not-judged"
"""Decision and id in reports of what may request GPUs and is not judged: other kinds that lead to pods, and resource claims."""
EXEMPT = "exempt"
"""Decision in reports on what an exemption leaves alone."""
NOT_READ = "not-read"
"""Decision in reports on an object with fields of the wrong type: the API server rejects it."""


def left_alone(exempt: str) -> str:
    """That an object is left alone, and why, for people.

    Args:
        exempt: why, as ``Exemptions`` says it.
    """
    if exempt == "resources":
        names = ", ".join(sorted(HAMI_RESOURCES))
        return f"left alone: it requests HAMi's resources ({names}), and {HAMI} is exempt"
    return f"left alone: its {exempt} is exempt"


class RuleText(msgspec.Struct, frozen=True):
    """A rule in words.

    Attributes:
        id: the rule's id.
        severity: what a finding does under enforce; ``None`` for what is no finding.
        title: what is wrong, in a few words.
        help: why, and what to do.
    """

    id: str
    severity: Severity | None
    title: str
    help: str


def _deny(rule: Rule, title: str, help_: str) -> RuleText:
    return RuleText(rule.value, Severity.DENY, title, help_)


def _warn(rule: Rule, title: str, help_: str) -> RuleText:
    return RuleText(rule.value, Severity.WARN, title, help_)


RULE_TEXTS = {
    text.id: text
    for text in (
        _deny(
            Rule.NOT_A_WHOLE_NUMBER,
            "The quantity is not a whole number",
            "GPUs are counted, not divided: 0.5 or 1500m is no count. Write an integer, and choose a shared form or a MIG "
            "profile for a part of a GPU.",
        ),
        _deny(
            Rule.LIMITS_REQUESTS_DIFFER,
            "Limits and requests differ, or only requests is set",
            "Kubernetes takes an extended resource from limits and wants requests to be the same. Write it in limits only.",
        ),
        _deny(
            Rule.MIXED_GPU_RESOURCES,
            "One container asks for two GPU resources",
            "The container would be charged for both and see only one. Keep one of them, or use a container for each.",
        ),
        _deny(
            Rule.GPU_OUTSIDE_CONTAINERS,
            "A GPU resource where Kubernetes takes none",
            "The resources of a pod as a whole and those of an ephemeral container can't hold a GPU: the API server refuses "
            "or drops it. Write it in the resources of the container that uses it.",
        ),
        _deny(
            Rule.GPU_NOT_PERMITTED,
            "The namespace's policy permits no GPU",
            "The policy is \"none\", or the namespace's label can't be read, which never loosens anything. Remove the "
            "request, use another namespace, or mend the label.",
        ),
        _deny(
            Rule.FORM_NOT_PERMITTED,
            "The policy does not permit the form that is asked for",
            "An explicit request is taken at its word: it is permitted, translated to the same form on the other platform, "
            "or denied. Ask for a form that the policy lists, or write a plain nvidia.com/gpu request to be given its first.",
        ),
        _deny(
            Rule.OTHER_GPU_RESOURCE,
            "A GPU by a name that is not a form of the policy",
            "Under every policy but any, a resource that hands out GPUs by another name is denied: a vGPU, a KubeVirt device, a "
            "DeviceClass, any name under nvidia.com/ that is not known to be something else. Request a form that the policy "
            "lists. If the resource is not a GPU, add it to resources.notGPUs in the configuration.",
        ),
        _deny(
            Rule.SHARED_REQUEST_ABOVE_ONE,
            "More than one slot of a shared GPU",
            "A shared GPU is access, not capacity: two slots are not twice the compute and may be the same GPU. The "
            'kubelet would fail the pod ("maximum request size for shared resources is 1"), and its controller would make '
            "another. Request 1, or use a namespace whose policy permits whole GPUs.",
        ),
        _deny(
            Rule.SELECTOR_CONFLICT,
            "The pod selects nodes that never have the form",
            "Nodes with the form have a label that the pod's nodeSelector or node affinity excludes, or these two contradict "
            "each other on a label of GPU nodes, so the pod would stay Pending for ever. Remove that constraint, or request "
            "another form.",
        ),
        _deny(
            Rule.PER_CONTAINER_LIMIT,
            "A container asks for more than the policy's maxPerContainer",
            "Request fewer, or ask the cluster's operators for a namespace with a wider policy.",
        ),
        _deny(
            Rule.PER_POD_LIMIT,
            "A pod asks for more than the policy's maxPerPod",
            "What counts is what the pod's containers hold at once. Request fewer, or use several pods.",
        ),
        _deny(
            Rule.NOT_REWRITTEN,
            "The pod is not spelled as the policy has it",
            "It was created before the policy, while the mutating webhook did not answer, or another webhook undid the change. "
            "Create the pod again. An update that would need a rewrite is denied too, because resources can't change later.",
        ),
        _warn(
            Rule.VISIBLE_DEVICES_ENV,
            "NVIDIA_VISIBLE_DEVICES without a GPU request, or beyond it",
            "NVIDIA's container toolkit shows a container the GPUs that the variable names, and it wins over what the device "
            "plugin sets for a request. Remove it and request nvidia.com/gpu, or write void. CUDA_VERSION alone shows all.",
        ),
        _warn(
            Rule.VISIBLE_DEVICES_MOUNT,
            "A mount under /var/run/nvidia-container-devices",
            "NVIDIA's container toolkit can be told to read such mounts as the names of GPUs. Remove it and request "
            "nvidia.com/gpu.",
        ),
        _warn(
            Rule.CDI_ANNOTATION,
            "A device annotation that names NVIDIA devices",
            "Container runtimes and their plugins give a container the devices that an annotation of cdi.k8s.io, NRI or CRI-O "
            "names, requested or not. Remove it and request nvidia.com/gpu.",
        ),
        _warn(
            Rule.NVIDIA_RUNTIME_CLASS,
            "An NVIDIA runtime class without a GPU request",
            "Under that runtime an image's own variables name GPUs, and CUDA images name all. Request nvidia.com/gpu, or "
            "remove runtimeClassName.",
        ),
        _warn(
            Rule.GPU_HOST_PATH,
            "A hostPath that leads to GPUs",
            "It exposes GPU device nodes, sockets or directories of what hands out GPUs, the node's root by way of /proc, or a "
            "directory above one of them. Mount less of the node, or use a namespace that is exempt.",
        ),
        _warn(
            Rule.PRIVILEGED_CONTAINER,
            "A privileged container",
            "It has every device of its node, so every GPU. Remove privileged: true, or use a namespace that is exempt.",
        ),
        _warn(
            Rule.NODE_NAME_SET,
            "A nodeName set by the pod's author",
            "The scheduler never sees such a pod: it counts no GPU for it, and taints keep nothing away. Use a nodeSelector.",
        ),
        _warn(
            Rule.MIG_COUNT_ABOVE_ONE,
            "Several MIG slices in one container",
            "A CUDA process uses one MIG slice. Ask for one larger slice, or for 1.",
        ),
        _warn(
            Rule.GKE_SELECTORS_INCOMPLETE,
            "Only one of GKE's two sharing selectors",
            "GKE Autopilot refuses the sharing strategy without the client count, and the other way round. Add the other.",
        ),
        _warn(
            Rule.GKE_MPS_NEEDS_HOST_IPC,
            "MPS on GKE without hostIPC",
            "MPS on GKE needs hostIPC: true. That weakens the pod's isolation, so it is never set for the user.",
        ),
        _warn(
            Rule.LIMIT_RANGE_DEFAULT,
            "A LimitRange adds another GPU resource",
            "A LimitRange's default (or max without a default) is added to every container that does not name the resource, so "
            "a renamed request has two. The one that was added is removed; a max or min for its name still denies the pod. Set "
            'the default to "0", or use a ResourceQuota.',
        ),
        _warn(
            Rule.MPS_SHM_MOUNT,
            "A volume at /dev/shm beside MPS",
            "The device plugin mounts the /dev/shm of the MPS daemon into the container, and CUDA reaches the daemon through it. "
            "A volume of the pod hides it. Remove the mount, or use a form without MPS if 64 MiB are too few.",
        ),
        _warn(
            Rule.UNKNOWN_GPU_RESOURCE,
            "A GPU resource that no node offers",
            "The name is misspelt, or the device plugin's settings rule it out (nvidia.com/mig-… under MIG strategy single), so "
            "the pod would stay Pending for ever. The message names the right one. Under every policy but any, a misspelt name "
            "that counts as a GPU denies the pod.",
        ),
        RuleText(
            REWRITTEN,
            None,
            "The request would be rewritten as the policy requires",
            "A plain request becomes the policy's first form, and an explicit one gets what its form needs. No action is "
            "needed; the patch shows what would change.",
        ),
        RuleText(
            UNREADABLE_LABEL,
            Severity.DENY,
            "The namespace's label names no policy",
            "A bad enforce label denies every pod that asks for a GPU; a bad warn or audit label counts as any. Write the "
            "value that the message names.",
        ),
        RuleText(
            INEFFECTIVE_LABEL,
            Severity.WARN,
            "A label that gpuwarden does not read",
            "The key is mistyped, or it is set as an annotation or on something other than a namespace, so it has no effect. "
            "Set the label that the message names, on the namespace.",
        ),
        RuleText(
            NOT_JUDGED,
            None,
            "Something that may request GPUs and is not judged",
            "An object of another kind requests GPUs or holds containers, and its pods are judged when they are created: check "
            "those pods, or run gpuwarden audit in their cluster. A resource claim (DRA) may be for GPUs, and gpuwarden judges "
            "only requests by resource name: check the claim or its template yourself. A pod requests another vendor's device, "
            "or has GPUs where Kubernetes reads none: the message says what to do.",
        ),
    )
}
