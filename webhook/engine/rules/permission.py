"""Rules of the policy: whether GPUs are permitted, in which form, and how many."""

from collections.abc import Iterator, Sequence

from ..findings import Finding, Rule, Severity
from ..form_names import named, written
from ..forms import Form
from ..node_constraints import NodeConstraints
from ..pods import PodSpec
from ..policy import Policy
from ..requests import Amount, GpuContainer, pod_count
from ..resources import GPU
from ..text import plural
from .gpu_memory import ANNOTATION as GPU_MEMORY

GPU_NOT_PERMITTED = Rule(
    "gpu-not-permitted",
    Severity.DENY,
    "The namespace's policy permits no GPU",
    'The policy is "none", or the namespace\'s label is invalid, which never permits more. Remove the request, '
    "use another namespace, or fix the label.",
)

FORM_NOT_PERMITTED = Rule(
    "form-not-permitted",
    Severity.DENY,
    "The policy does not permit the requested form",
    "An explicit request is never downgraded: it is permitted, translated to the same form on the other platform, or "
    "denied. Request a form that the policy lists, or plain nvidia.com/gpu, which becomes the first form of the policy "
    "that the pod's node selectors permit.",
)

OTHER_GPU_RESOURCE = Rule(
    "other-gpu-resource",
    Severity.DENY,
    "A GPU by a name that is not a form of the policy",
    "Under every policy but any, a resource that provides GPUs under another name is denied: a vGPU, a KubeVirt device, a"
    " DeviceClass, any name under nvidia.com/ that is not known to be something else. Request a form that the policy "
    "lists. If the resource is not a GPU, add it to resources.notGPUs in the configuration.",
)

PER_CONTAINER_LIMIT = Rule(
    "per-container-limit",
    Severity.DENY,
    "A container requests more than the policy's maxPerContainer",
    "Request fewer, or ask the cluster's operators for a namespace with a wider policy.",
)

PER_POD_LIMIT = Rule(
    "per-pod-limit",
    Severity.DENY,
    "A pod requests more than the policy's maxPerPod",
    "GPUs that the pod's containers use at the same time count together. Request fewer, or use several pods.",
)


def gpu_not_permitted(gpu_container: GpuContainer, policy: Policy) -> Finding:
    """Policy ``none``, and the policy that replaces an invalid ``enforce`` label."""
    amount = gpu_container.amounts[0]
    path = gpu_container.field(amount)
    reason = f"{gpu_container.name}: {amount} is not permitted"
    if policy.unreadable:
        detail = f"no GPU is permitted while its {policy.unreadable}; ask the namespace's owner to correct it"
        return GPU_NOT_PERMITTED.found(path, f"{reason} in this namespace", detail)
    detail = "remove the request, or use a namespace whose policy permits GPUs"
    return GPU_NOT_PERMITTED.found(path, f'{reason} under namespace policy "{policy.name}"', detail)


def other_gpu_resources(
    gpu_containers: Sequence[GpuContainer], policy: Policy, with_a_form: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """GPUs by names of no form: one finding per container, unless the policy permits all.

    Misspelt names have a rule of their own (``container.unknown_gpu_resources``), and DeviceClasses ``with_a_form``, by their
    paths, are evaluated as claims.
    """
    if policy.permits_any:
        return
    gpu_containers = [gpu_container for gpu_container in gpu_containers if gpu_container.others]
    if policy.unreadable:
        why = f"no GPU is permitted while the namespace's {policy.unreadable}"
    elif policy.permitted:
        permitted = ", ".join(map(str, policy.permitted))
        why = f'namespace policy "{policy.name}" permits only {permitted}'
    else:
        why = f'namespace policy "{policy.name}" permits no GPU'
    otherwise = (
        "or, if it is not a GPU, ask an administrator to add it to resources.notGPUs in gpuwarden's configuration"
    )
    for gpu_container in gpu_containers:
        elsewhere = with_a_form.union(field for _, field in gpu_container.unknown)
        others = [other for other in gpu_container.others if other.field not in elsewhere]
        if not others:
            continue
        first, more = others[0], len(others) - 1
        what = f"{first} and {more} more count as GPUs" if more else f"{first} counts as a GPU"
        instead = "remove it" if gpu_container.amounts or not policy.permitted else f"request {GPU} instead"
        yield OTHER_GPU_RESOURCE.found(first.field, f"{gpu_container.name}: {what}", f"{why}; {instead}, {otherwise}")


def form_not_permitted(
    gpu_container: GpuContainer, amount: Amount, stated: tuple[Form, ...], nodes: NodeConstraints, policy: Policy
) -> Finding:
    """An explicit request for a form that the policy doesn't list, on any platform."""
    permitted, first = ", ".join(map(str, policy.permitted)), policy.permitted[0]
    shared = isinstance(first, Form) and first.shared and amount.count > policy.most_shared(first)
    plain = f"{GPU}: 1" if shared else GPU
    form = named(stated, nodes)
    requests = f'requests form "{form}", which' if form else f"with {written(stated, nodes)} requests a form that"
    for_memory = f" for a pod with its annotation {GPU_MEMORY}" if policy.for_memory else ""
    return FORM_NOT_PERMITTED.found(
        gpu_container.field(amount),
        f'{gpu_container.name}: {amount} {requests} namespace policy "{policy.name}" does not permit{for_memory}',
        f"it permits {permitted}; request that, or {plain} without selectors, which becomes {first}",
    )


def per_container_limit(gpu_container: GpuContainer, amount: Amount, policy: Policy) -> Finding | None:
    """The policy's ``maxPerContainer``."""
    limit = policy.max_per_container
    if limit is None or amount.count <= limit:
        return None
    return PER_CONTAINER_LIMIT.found(
        gpu_container.field(amount),
        f"{gpu_container.name}: {amount} is more than a container may have",
        f'namespace policy "{policy.name}" permits {limit} per container; request {at_most(limit)}',
    )


def per_pod_limit(
    spec: PodSpec, gpu_containers: Sequence[GpuContainer], policy: Policy, limit: int
) -> Iterator[Finding]:
    """The policy's ``maxPerPod``, for what the pod needs at once for its well-formed requests."""
    count = pod_count(spec, {gpu_container.place: gpu_container.amounts[0].count for gpu_container in gpu_containers})
    if count > limit:
        yield PER_POD_LIMIT.found(
            "spec",
            f"pod: its containers request {plural(count, 'GPU')} at once",
            f'namespace policy "{policy.name}" permits {limit} per pod; request {at_most(limit)}',
        )


def at_most(limit: int) -> str:
    """Return a limit for messages."""
    return "at most " + str(limit) if limit > 1 else str(limit)
