"""Manifests applied again: updates that would restore the original requests of a rewritten pod, which cannot change."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from .claim_rewriting import OWN
from .decision import decide
from .edits import AddNeed, AddNodeSelector, Annotate, DropKey, Edit, RenameResource, ReplaceProduct
from .other_gpus import BUILT_IN, GpuNames
from .patch import Operation, escape, patch
from .pods import (
    Affinity,
    Container,
    NodeAffinity,
    Place,
    Pod,
    PodSpec,
    Required,
    Resources,
    Term,
    containers,
    node_selection,
)
from .policy import ClaimForm, Policy
from .quantity import Quantity
from .requests import GpuContainer, read
from .resources import GPU
from .spelling import LABELS_OF_FORMS, DevicePlugin

_OF_NODES = (AddNeed, AddNodeSelector, DropKey, ReplaceProduct)
_Amounts = dict[tuple[Place, str], tuple[Quantity, Quantity]]


def restored(
    pod: Pod, before: Pod, policy: Policy, plugin: DevicePlugin, names: GpuNames = BUILT_IN
) -> list[Operation]:
    """Return the JSON Patch that turns a manifest applied again into the existing pod.

    An apply merges the manifest into the pod: ``nvidia.com/gpu`` appears next to the name that it was rewritten to, and lists
    such as ``tolerations`` lose what was added. The API server denies that, because a pod's resources and selectors cannot
    change. The API server's own admission plugins restore the fields that they set at creation in the same way
    (plugin/pkg/admission/priority/admission.go).

    ``pod`` is the updated pod, and ``before`` the existing pod.

    Returns:
        Operations on ``pod``, none unless its requests become exactly those of ``before``. So an update with other requests is
        not hidden: the API server denies it as usual. None for a pod that is being deleted.
    """
    if pod.spec is None or before.spec is None or (pod.metadata and pod.metadata.deletion_timestamp):
        return []
    current = decide(before, policy, plugin, names=names, guarded=False)
    if current.edits or current.denials:
        return []  # the policy has changed since then, and would now rewrite the manifest differently
    gpu_containers = read(pod.spec, names)
    if (
        policy.plain_claim
        and not current.gpu_containers
        and (again := _claimed_already(gpu_containers, before.spec, policy.plain_claim))
    ):
        return again
    stale = _stale(gpu_containers, read(before.spec, names))
    manifest = replace(pod, spec=_without(pod.spec, stale)) if stale else pod
    candidates: list[tuple[Pod, tuple[type, ...]]] = [(manifest, (Annotate,))]
    if node_selection(pod.spec) == node_selection(before.spec) and manifest.spec:
        # An apply keeps the node labels that were added, and they may name another form than the original request.
        candidates.append((replace(manifest, spec=_without_labels(manifest.spec)), (Annotate, *_OF_NODES)))
    for candidate, ignored in candidates:
        decision = decide(candidate, policy, plugin, names=names, guarded=False)
        edits = [edit for edit in decision.edits if not isinstance(edit, ignored)]
        if edits and _amounts(decision.gpu_containers, edits) == _amounts(current.gpu_containers, ()):
            return [*_removals(pod.spec, stale), *patch(manifest, edits)]
    return []


def _claimed_already(gpu_containers: Sequence[GpuContainer], before: PodSpec, form: ClaimForm) -> list[Operation]:
    """Return the operations that remove requests that have become claims; nothing if any of them has not."""
    own = {
        claim.name
        for claim in before.resource_claims or ()
        if claim.name.startswith(OWN) and claim.resource_claim_template_name == form.template
    }
    claiming = {
        Place(section, index)
        for section, index, container in containers(before)
        for used in (container.resources and container.resources.claims) or ()
        if used.name in own
    }
    if any(
        gpu_container.place not in claiming or {amount.resource.name for amount in gpu_container.amounts} != {GPU}
        for gpu_container in gpu_containers
    ):
        return []
    return [
        {"op": "remove", "path": f"{gpu_container.place.pointer}/resources/{section}/{escape(GPU)}"}
        for gpu_container in gpu_containers
        for section in gpu_container.amounts[0].sections
    ]


def _without_labels(spec: PodSpec) -> PodSpec:
    """Return the spec without the node labels of forms, which is the original if all of them were added."""
    selector = {key: value for key, value in (spec.node_selector or {}).items() if not key.startswith(LABELS_OF_FORMS)}
    terms = [
        Term([e for e in term.match_expressions or () if not e.key.startswith(LABELS_OF_FORMS)], term.match_fields)
        for term in spec.terms
    ]
    kept = [term for term in terms if not term.matches_nothing]
    affinity = Affinity(NodeAffinity(Required(kept))) if kept else None
    return replace(spec, node_selector=selector, affinity=affinity)


def _stale(gpu_containers: Sequence[GpuContainer], before: Sequence[GpuContainer]) -> dict[Place, set[str]]:
    """Return the GPU resources of containers to which the update adds another one."""
    had = {gpu_container.place: _names(gpu_container) for gpu_container in before}
    stale: dict[Place, set[str]] = {}
    for gpu_container in gpu_containers:
        names, old = _names(gpu_container), had.get(gpu_container.place, set())
        if names - old and names & old:
            stale[gpu_container.place] = names & old
    return stale


def _names(gpu_container: GpuContainer) -> set[str]:
    return {amount.resource.name for amount in gpu_container.amounts}


def _without(spec: PodSpec, stale: Mapping[Place, set[str]]) -> PodSpec:
    """Return the spec without these resources, as in the manifest."""

    def section(name: str, listed: list[Container] | None) -> list[Container] | None:
        return listed and [_pruned(one, stale.get(Place(name, index), set())) for index, one in enumerate(listed)]

    return replace(
        spec,
        containers=section("containers", spec.containers),
        init_containers=section("initContainers", spec.init_containers),
    )


def _pruned(container: Container, names: set[str]) -> Container:
    if not names or container.resources is None:
        return container
    limits, requests = (
        quantities and {name: quantity for name, quantity in quantities.items() if name not in names}
        for quantities in (container.resources.limits, container.resources.requests)
    )
    return replace(container, resources=Resources(limits, requests, container.resources.claims))


def _removals(spec: PodSpec, stale: Mapping[Place, set[str]]) -> list[Operation]:
    return [
        {"op": "remove", "path": f"{gpu_container.place.pointer}/resources/{section}/{escape(amount.resource.name)}"}
        for gpu_container in read(spec)
        for amount in gpu_container.amounts
        if amount.resource.name in stale.get(gpu_container.place, ())
        for section in amount.sections
    ]


def _amounts(gpu_containers: Sequence[GpuContainer], edits: Sequence[Edit]) -> _Amounts:
    renames = {(edit.place, edit.old): edit.new for edit in edits if isinstance(edit, RenameResource)}
    return {
        (gpu_container.place, renames.get((gpu_container.place, amount.resource.name), amount.resource.name)): (
            amount.limit,
            amount.request,
        )
        for gpu_container in gpu_containers
        for amount in gpu_container.amounts
    }
