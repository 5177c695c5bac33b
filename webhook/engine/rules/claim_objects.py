"""Rules for ResourceClaims and ResourceClaimTemplates (DRA): objects for GPUs that no pod of their namespace may use.

A pod is checked with these objects when it is created (``rules.claims``). If an object is then deleted, and created again for
GPUs under the same name, a pod that was already checked would use it.
"""

from collections.abc import Iterator

import msgspec

from ..claim_objects import Claim
from ..claims import TEMPLATE, Claimed, Reference, of_object
from ..device_classes import DeviceClasses
from ..findings import Finding
from ..policy import Policy
from .claims import counted, not_permitted, total
from .permission import PER_CONTAINER_LIMIT, PER_POD_LIMIT, at_most


def findings(
    name: Reference, found: Claim, policy: Policy, classes: DeviceClasses, *, of_one_pod: bool
) -> Iterator[Finding]:
    """Return the findings that deny an object.

    ``of_one_pod`` is whether it is a ResourceClaim that belongs to one pod: it was made from a template, or for the pod's
    extended resources.

    A template, and a claim of one pod, may be used by one container or by several, and are permitted if either is. Any pod can
    use another ResourceClaim, so it is shared.
    """
    if not policy.evaluates_claims:
        return
    shared = of_object(name, found, classes, shared=True)
    alone = of_object(name, found, classes, shared=False) if of_one_pod or name.kind == TEMPLATE else shared
    permitted = []
    for one, as_shared in zip(alone, shared, strict=True):
        denied = None if policy.permits_any else not_permitted(one, policy)
        if denied and all(not_permitted(way, policy) for way in _other_ways(one, as_shared, policy, of_one_pod)):
            yield denied
        else:
            permitted.append(one)
    yield from _limits(name, permitted, policy)


def _other_ways(one: Claimed, shared: Claimed, policy: Policy, of_one_pod: bool) -> Iterator[Claimed]:  # noqa: FBT001
    """The other possible uses of a request: by several containers, or for a claim, as one from a listed template."""
    yield shared
    if of_one_pod:
        for form in policy.claim_forms:
            yield msgspec.structs.replace(one, template=form.template)


def _limits(name: Reference, permitted: list[Claimed], policy: Policy) -> Iterator[Finding]:
    """The limits that every pod with this object exceeds. A container can use a single request of a claim, but a pod gets all."""
    under = f'namespace policy "{policy.name}" permits'
    per_container, per_pod = policy.max_per_container, policy.max_per_pod
    for one in permitted:
        if per_container is not None and (one.count is None or one.count > per_container):
            yield PER_CONTAINER_LIMIT.found(
                one.field,
                f"{one.subject}: {one.source} is for {counted(one.count)}",
                f"{under} {per_container} per container; claim {at_most(per_container)}",
            )
    count = total(permitted)
    if per_pod is not None and (count is None or count > per_pod):
        yield PER_POD_LIMIT.found(
            permitted[0].field.rpartition("[")[0],
            f"{name}: its requests are for {counted(count)}",
            f"{under} {per_pod} per pod; claim {at_most(per_pod)}",
        )
