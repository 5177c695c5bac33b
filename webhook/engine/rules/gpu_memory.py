"""Rules about the annotation with which a pod requests GPU memory, and the forms that have enough."""

from fractions import Fraction

from msgspec.structs import replace

from ..findings import Finding, Rule, Severity
from ..forms import Form
from ..gpu_models import lacks
from ..mig_memory import lowest_memory
from ..namespace_labels import DOMAIN
from ..policy import Policy, Prefer
from ..products import PRODUCT, read_product
from ..quantity import exact, shown
from ..spelling import DevicePlugin

ANNOTATION = f"{DOMAIN}/gpu-memory"
_PATH = f"metadata.annotations[{ANNOTATION}]"
_MEBIBYTE = 1024**2

GPU_MEMORY_INVALID = Rule(
    "gpu-memory-invalid",
    Severity.DENY,
    "The annotation gpuwarden.io/gpu-memory is not an amount of memory",
    "The policy has prefer: memory, and the annotation is not a Kubernetes quantity of at least 1Mi, so no MIG slice can be "
    "selected by it. Write a quantity such as 12Gi, or remove the annotation.",
)

GPU_MEMORY_TOO_LARGE = Rule(
    "gpu-memory-too-large",
    Severity.DENY,
    "No MIG slice of the policy has the memory that the pod requests",
    "No slice that the policy permits has as much. The lowest measured memory of a profile counts, which is less than its name "
    "says. Request less, or use a namespace whose policy permits larger slices.",
)

GPU_MEMORY_IGNORED = Rule(
    "gpu-memory-ignored",
    Severity.WARN,
    "The annotation gpuwarden.io/gpu-memory has no effect under the policy",
    "Only a policy with prefer: memory selects MIG slices by memory. Remove the annotation, or use such a policy.",
)


def by_memory(written: str, policy: Policy, plugin: DevicePlugin) -> tuple[Policy, list[Finding]]:
    """Return the policy for a pod that requests GPUs and has the annotation, and the findings about the annotation.

    Under ``prefer: memory``, the policy permits the forms whose lowest measured memory is enough, in its order, so that a plain
    request becomes the first of them, and a slice that is too small is denied. The nodes' state has no influence. A policy is
    returned as it is if the annotation is denied or ignored.
    """
    if not policy.permitted:
        return policy, []
    quote = "" if written and written == written.strip() else '"'  # otherwise nobody sees the spaces
    value = f"{ANNOTATION}: {quote}{shown(written)}{quote}"
    if policy.prefer is not Prefer.MEMORY:
        reason = f'pod: annotation {value} has no effect under namespace policy "{policy.name}"'
        detail = "only a policy with prefer: memory selects slices by memory; remove it, or use such a policy"
        return policy, [GPU_MEMORY_IGNORED.found(_PATH, reason, detail)]
    amount = exact(written)
    if amount is None or amount < _MEBIBYTE:
        wrong = "is not an amount of memory" if amount is None else "is less than 1Mi"
        detail = "MIG slices are selected by it; write a quantity of at least 1Mi, such as 12Gi, or remove it"
        return policy, [GPU_MEMORY_INVALID.found(_PATH, f"pod: annotation {value} {wrong}", detail)]
    table = {form: lowest_of(form, policy, plugin) for form in policy.forms}
    enough = tuple(form for form, lowest in table.items() if lowest is not None and _has(lowest, amount))
    if enough:
        return replace(policy, forms=enough, for_memory=True), []
    measured = {form: lowest for form, lowest in table.items() if lowest is not None}
    listed = ", ".join(f"{form} {lowest}Mi" for form, lowest in measured.items())
    reason = f'pod: annotation {value} is more than any slice of namespace policy "{policy.name}" has'
    detail = (
        f"the lowest measured memory is: {listed}; request at most {max(measured.values(), default=0)}Mi, or use a "
        "namespace whose policy permits larger slices"
    )
    return policy, [GPU_MEMORY_TOO_LARGE.found(_PATH, reason, detail)]


def _has(mebibytes: int, amount: Fraction) -> bool:
    return mebibytes * _MEBIBYTE >= amount


def lowest_of(form: Form, policy: Policy, plugin: DevicePlugin) -> int | None:
    """Return the lowest measured memory, in MiB, of a form of slices on a policy's GPU models; ``None`` if one is not measured.

    The models are that of the policy's nodeSelector, or those of ``devicePlugin.products``, or all that are measured.
    """
    partition, selected = form.partition or "", dict(policy.additions.node_selector).get(PRODUCT)
    models = (read_product(selected).model,) if selected else plugin.products
    return lowest_memory(partition, [model for model in models if not lacks(model, partition)])
