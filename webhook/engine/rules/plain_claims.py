"""Rules about plain requests that become claims (DRA): what prevents this."""

from collections.abc import Callable, Iterator, Sequence

from ..claim_objects import Claim
from ..claims import TEMPLATE, Reference
from ..findings import Finding, Rule, Severity
from ..policy import ClaimForm, Policy
from ..requests import GpuContainer
from .claims import CLAIM_NOT_FOUND, CLAIM_NOT_PERMITTED

CLAIM_NOT_POSSIBLE = Rule(
    "claim-not-possible",
    Severity.DENY,
    "A plain request that can't become the policy's claim",
    "A policy with a claimTemplate replaces nvidia.com/gpu by a claim for each container. The template says how many GPUs that "
    "is, so the container has to request as many. An init container that ends before others start would keep its GPU for the "
    "life of the pod, so only one of them may request GPUs; and a container with claims of its own has to claim its GPU too.",
)


def template_mismatch(
    gpu_container: GpuContainer, form: ClaimForm, template: Claim | None, policy: Policy
) -> Finding | None:
    """A template that does not exist, or requests another class than the policy, or another number than the container."""
    amount = gpu_container.amounts[0]
    reference = Reference(TEMPLATE, form.template)
    becomes = f"{gpu_container.name}: {amount} becomes a claim of {reference}"
    if template is None:
        return CLAIM_NOT_FOUND.found(
            gpu_container.field(amount),
            f"{becomes}, which was not found",
            f'namespace policy "{policy.name}" needs it in the namespace of the pod; create it there, with a request for '
            f"DeviceClass {form.device_class} (kubectl create --namespace <namespace> -f <file>; Kubernetes 1.34 or later), and "
            "then the pod",
        )
    if what := otherwise(template, form):
        return CLAIM_NOT_PERMITTED.found(
            gpu_container.field(amount),
            f"{becomes}, which {what}",
            f'namespace policy "{policy.name}" needs a template for DeviceClass {form.device_class}; ask the owner of '
            "the namespace to correct it",
        )
    least, most = (_count(template, pick) for pick in (min, max))
    if least == most == amount.count:
        return None
    number = "every GPU of the class" if most is None else most if least == most else f"{least} to {most}"
    other = most is None or least != most
    instead = "use another namespace" if other else f"request {most}, or use another namespace"
    return CLAIM_NOT_POSSIBLE.found(
        gpu_container.field(amount),
        f"{becomes}, which claims {number}",
        f'under namespace policy "{policy.name}" a container gets what the template claims; {instead}',
    )


def _count(template: Claim, pick: Callable[[list[int]], int]) -> int | None:
    """Return the number of GPUs that a template claims, with the chosen alternatives; ``None`` if one is for all of a class."""
    counts = [[way.count for way in one.alternatives] for one in template.requests]
    known = [[count for count in ways if count is not None] for ways in counts]
    return None if known != counts else sum(map(pick, known))


def otherwise(template: Claim, form: ClaimForm) -> str:
    """Return what a template claims, if that is not only the DeviceClass that the policy names; otherwise empty."""
    if not template.requests:
        return "claims nothing"
    classes = (way.device_class for one in template.requests for way in one.alternatives)
    other = next((name for name in classes if name != form.device_class), None)
    return "" if other is None else f"claims DeviceClass {other}"


def beside_claims(gpu_container: GpuContainer, policy: Policy) -> Finding | None:
    """A container that has its own claims, which may be for GPUs."""
    if not (gpu_container.container.resources and gpu_container.container.resources.claims):
        return None
    return CLAIM_NOT_POSSIBLE.found(
        f"{gpu_container.place.field}.resources.claims",
        f"{gpu_container.name}: requests {gpu_container.amounts[0].resource.name} and has claims too",
        f'under namespace policy "{policy.name}" the request becomes a claim; claim the GPU as well, or use a container for each',
    )


def one_after_another(gpu_containers: Sequence[GpuContainer], policy: Policy) -> Iterator[Finding]:
    """An init container that ends before another container with a GPU starts: by name, both would use the same GPU."""
    for gpu_container in gpu_containers:
        if (
            gpu_container.place.section == "initContainers"
            and gpu_container.container.restart_policy != "Always"
            and len(gpu_containers) > 1
        ):
            other = next(each for each in gpu_containers if each is not gpu_container)
            yield CLAIM_NOT_POSSIBLE.found(
                gpu_container.field(gpu_container.amounts[0]),
                f"{gpu_container.name}: requests {gpu_container.amounts[0]} and so does {other.name}",
                f'under namespace policy "{policy.name}" each becomes a claim, which the pod keeps until it ends; request '
                "the GPU in one of them",
            )
            return
