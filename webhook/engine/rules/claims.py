"""Rules for claims (DRA): the policy's forms and limits apply to them as to resources."""

from collections.abc import Iterator, Sequence

from ..claims import Alternative, Claimed, ClaimEntry, Claims
from ..device_classes import IMPLICIT
from ..findings import Finding, Rule, Severity
from ..pods import Place, PodSpec, containers
from ..policy import ClaimForm, Policy
from ..requests import GpuContainer, pod_count
from ..text import plural
from .container import MIXED_GPU_RESOURCES
from .permission import (
    FORM_NOT_PERMITTED,
    GPU_NOT_PERMITTED,
    PER_CONTAINER_LIMIT,
    PER_POD_LIMIT,
    at_most,
    per_container_limit,
)

CLAIM_NOT_PERMITTED = Rule(
    "claim-not-permitted",
    Severity.DENY,
    "A claim for GPUs whose form is not known, or with adminAccess",
    "Under every policy but any, a claim (DRA) is denied if its DeviceClass provides GPUs in an unknown form, "
    "or if it has adminAccess and the policy does not permit that. Set the form of the class in claims.deviceClasses of the "
    "configuration, or, if it is not for GPUs, add deviceclass.resource.kubernetes.io/<class> to resources.notGPUs. For a MIG "
    "slice, name the profile in a selector of its own.",
)

CLAIM_NOT_FOUND = Rule(
    "claim-not-found",
    Severity.DENY,
    "A claim or template that does not exist yet",
    "Claims are checked when the pod is created. Under every policy but any, the ResourceClaim or ResourceClaimTemplate that "
    "the pod names must exist by then. Create it first.",
)


def findings(
    spec: PodSpec, claims: Claims, gpu_containers: Sequence[GpuContainer], policy: Policy
) -> Iterator[Finding]:
    """Return the findings about a pod's claims."""
    yield from _mixed(claims.gpus, gpu_containers)
    if not policy.evaluates_claims:
        return
    yield from (_not_found(one, policy) for one in claims.missing)
    gpus = claims.gpus if policy.permits_any else [one for one in claims.gpus if not one.is_other]
    evaluated = [(claimed, None if policy.permits_any else not_permitted(claimed, policy)) for claimed in gpus]
    yield from (finding for _, finding in evaluated if finding)
    permitted = [claimed for claimed, finding in evaluated if not finding]
    yield from _per_container(spec, permitted, policy)
    yield from _per_pod(spec, permitted, gpu_containers, policy)


def of_holder(
    spec: PodSpec, claims: Claims, gpu_containers: Sequence[GpuContainer], policy: Policy
) -> Iterator[Finding]:
    """Return the findings about a pod for which a claim is reserved; its claims may have changed since it was created.

    Single claims were checked when they were created (``rules.claim_objects``). This checks all of them together with the
    containers' resources, whose limit may have changed since then.
    """
    yield from _mixed(claims.gpus, gpu_containers)
    requesting = [one for one in gpu_containers if one.amounts]
    yield from filter(None, (per_container_limit(one, one.amounts[0], policy) for one in requesting))
    yield from _per_container(spec, claims.gpus, policy)
    limit, count = policy.max_per_pod, _at_once(spec, claims.gpus, gpu_containers)
    if limit is not None and (count is None or count > limit):
        yield _more_per_pod(count, limit, policy)


def _mixed(gpus: Sequence[Claimed], gpu_containers: Sequence[GpuContainer]) -> Iterator[Finding]:
    """A GPU resource and a claim in one container: both are allocated, and it is undefined which GPU is visible."""
    used = {place: path for one in reversed(gpus) for place, path in zip(one.users, one.uses, strict=True)}
    for gpu_container in gpu_containers:
        if gpu_container.amounts and gpu_container.place in used:
            yield MIXED_GPU_RESOURCES.found(
                used[gpu_container.place],
                f"{gpu_container.name}: requests {gpu_container.amounts[0].resource.name} and claims GPUs too",
                "the container would be charged for both; keep one of them, or use a container for each",
            )


def _not_found(missing: ClaimEntry, policy: Policy) -> Finding:
    if missing.reference is None:
        fact, fix = "names neither a ResourceClaim nor a ResourceClaimTemplate", "name one of them"
    else:
        fact, fix = f"{missing.reference} was not found", "create it, and then the pod"
    return CLAIM_NOT_FOUND.found(
        missing.field,
        f'claim "{missing.name}": {fact}',
        f'what the pod claims can\'t be evaluated under namespace policy "{policy.name}"; {fix}',
    )


def not_permitted(claimed: Claimed, policy: Policy) -> Finding | None:
    """Return the finding for the first alternative that the policy does not permit, because the scheduler may use any of them."""
    return next(filter(None, (_alternative(claimed, one, policy) for one in claimed.alternatives)), None)


def _alternative(claimed: Claimed, one: Alternative, policy: Policy) -> Finding | None:
    what = f"{claimed.subject}: {claimed.source}: DeviceClass {one.device.device_class}"
    under = f'namespace policy "{policy.name}"'
    permitted = ", ".join(map(str, policy.permitted))
    resource = IMPLICIT + one.device.device_class
    excepted = f"if it is not for GPUs, {resource} belongs in resources.notGPUs of gpuwarden's configuration"
    if one.device.admin_access:
        rule, reason = CLAIM_NOT_PERMITTED, f"{what} with adminAccess is not permitted under {under}"
        detail = "it gives access to GPUs that others use; remove it, or use a policy with adminAccess: true"
    elif policy.unreadable:
        rule, reason = GPU_NOT_PERMITTED, f"{what} is not permitted in this namespace"
        detail = f"no GPU is permitted while its {policy.unreadable}; ask the namespace's owner to correct it"
    elif not policy.permitted:
        rule, reason = GPU_NOT_PERMITTED, f"{what} is not permitted under {under}"
        asked = "request" if claimed.by_name else "claim"
        detail = f"remove the {asked}, or use a namespace whose policy permits GPUs"
        detail += f"; {excepted}" if one.form is None else ""
    elif one.form is None:
        rule, reason = CLAIM_NOT_PERMITTED, f"{what} provides GPUs in an unknown form"
        detail = (
            f"{under} permits only {permitted}; select a MIG slice by its profile alone, or ask an administrator to set the form "
            f"of the class in claims.deviceClasses; {excepted}"
        )
    else:
        rule, reason = FORM_NOT_PERMITTED, f'{what} is form "{one.form}", which {under} does not permit'
        own = (
            "; pods can share a ResourceClaim, and a ResourceClaimTemplate gives each its own"
            if not (claimed.template or claimed.by_name)
            else ""
        )
        detail = (
            f"it permits {permitted}; claim that{own}, or request nvidia.com/gpu, which becomes {policy.permitted[0]}"
        )
    return None if _permitted(claimed, one, policy) else rule.found(claimed.field, reason, detail)


def _permitted(claimed: Claimed, one: Alternative, policy: Policy) -> bool:
    """Whether a policy lists the template, or the form, on either platform, or a less specific one. A claim can't be narrowed."""
    if one.device.admin_access:
        return policy.admin_access
    if claimed.template and ClaimForm(claimed.template, one.device.device_class) in policy.claim_forms:
        return True
    met = (one.form.meet(listed, across_platforms=True) for listed in policy.forms) if one.form else ()
    return any(form is not None and form.sharing is one.form.sharing for form in met if one.form)


def _per_container(spec: PodSpec, gpus: Sequence[Claimed], policy: Policy) -> Iterator[Finding]:
    limit = policy.max_per_container
    if limit is None:
        return
    used_by: dict[Place, list[Claimed]] = {}
    for claimed in gpus:
        for place in dict.fromkeys(claimed.users):
            used_by.setdefault(place, []).append(claimed)
    for section, index, container in containers(spec) if used_by else ():
        used = used_by.get(Place(section, index), [])
        count = total(used)
        if count is None or count > limit:
            yield PER_CONTAINER_LIMIT.found(
                used[0].field,
                f'container "{container.name}": its claims are for {counted(count)}',
                f'namespace policy "{policy.name}" permits {limit} per container; claim {at_most(limit)}',
            )


def _per_pod(
    spec: PodSpec, gpus: Sequence[Claimed], gpu_containers: Sequence[GpuContainer], policy: Policy
) -> Iterator[Finding]:
    """The policy's ``maxPerPod``, for claims and resources together. If resources alone exceed it, another finding reports it."""
    limit = policy.max_per_pod
    if limit is None or not gpus:
        return
    count, requested = _at_once(spec, gpus, gpu_containers), _at_once(spec, (), gpu_containers) or 0
    if count is None or (count > limit and requested <= limit):
        yield _more_per_pod(count, limit, policy)


def _at_once(spec: PodSpec, gpus: Sequence[Claimed], gpu_containers: Sequence[GpuContainer]) -> int | None:
    """The GPUs of a pod by claims and by resources; ``None`` for no limit."""
    requested = {one.place: one.amounts[0].count for one in gpu_containers if one.amounts}
    claimed = total(gpus)
    return None if claimed is None else claimed + pod_count(spec, requested)


def _more_per_pod(count: int | None, limit: int, policy: Policy) -> Finding:
    return PER_POD_LIMIT.found(
        "spec",
        f"pod: its claims and containers are for {counted(count)} at once",
        f'namespace policy "{policy.name}" permits {limit} per pod; claim {at_most(limit)}',
    )


def total(gpus: Sequence[Claimed]) -> int | None:
    """Return the highest number of GPUs that requests may get together; ``None`` for no limit."""
    counts = [claimed.count for claimed in gpus]
    return None if None in counts else sum(count for count in counts if count)


def counted(count: int | None) -> str:
    """Return a number of GPUs for messages."""
    if count is None:
        return "every GPU of a class (allocationMode: All)"
    return plural(count, "GPU")
