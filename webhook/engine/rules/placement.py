"""Rules about nodes: selectors that contradict a form, or select it incompletely."""

from collections.abc import Sequence

from ..findings import Finding, Rule, Severity
from ..forms import Form, Platform
from ..node_constraints import ABSENT, MOST_SHOWN, Need, NodeConstraints
from ..policy import Policy
from ..products import PRODUCT
from ..requests import GpuContainer
from ..resources import PREFIX
from ..spelling import GKE_CLIENTS, GKE_SHARING, GKE_STRATEGIES, SHARED_STRATEGIES, DevicePlugin
from ..text import all_of

SELECTOR_CONFLICT = Rule(
    "selector-conflict",
    Severity.DENY,
    "The pod selects nodes that never have the form",
    "Nodes with the form have a label that the pod's nodeSelector or node affinity excludes, or these two contradict "
    "each other on a label of GPU nodes, so the pod would stay Pending forever. Remove that constraint, or request "
    "another form. Under the policy any, a contradiction only causes a warning. A sharing strategy that no node has only "
    "causes a warning under every policy.",
)

GKE_SELECTORS_INCOMPLETE = Rule(
    "gke-selectors-incomplete",
    Severity.WARN,
    "Only one of GKE's two sharing selectors",
    "GKE Autopilot rejects one of these selectors without the other. Add the missing one.",
)


def selector_conflict(
    gpu_container: GpuContainer, form: Form, need: Need, nodes: NodeConstraints, keys: Sequence[str]
) -> Finding:
    """The form needs a node label that the pod excludes by nodeSelector or required node affinity.

    ``keys`` are the labels that cause this, including that label. Without them, the pod would be admitted.
    """
    if need.key in nodes.selector and not need.admits(nodes.selector[need.key]):
        path, says = f"spec.nodeSelector[{need.key}]", f"selects {need.key}: {nodes.selector[need.key]}"
    else:
        others = ", and its other terms select no such node either" if nodes.has_alternatives else ""
        where = "one term of its node affinity" if others else "its node affinity"
        path, says = "spec.affinity.nodeAffinity", f"excludes that in {where} on {need.key}{others}"
    fact = f"is on nodes with {need}, and the pod {says}"
    if len(need.values) > MOST_SHOWN:
        fact = f"is not on nodes with {need.key}: {' or '.join(nodes.values(need.key))}, which the pod selects"
    return SELECTOR_CONFLICT.found(
        path,
        f'{gpu_container.name}: form "{form}" {fact}',
        f"no node matches both; remove {all_of(keys)} from the pod, or request another form",
    )


def contradiction(gpu_container: GpuContainer, key: str, nodes: NodeConstraints, policy: Policy) -> Finding:
    """The pod's nodeSelector and required node affinity leave no value of a label of GPU nodes, whatever form it gets.

    A policy that permits all forms denies only what a kubelet would reject, so there it is a warning.
    """
    why = "" if nodes.has_alternatives else "no node matches both, so "
    if nodes.has_alternatives:
        says = f"no term of its node affinity that a node can match, and the requirements on {key} exclude each other in one"
    elif key in nodes.selector:
        says = f"nodeSelector {key}: {nodes.selector[key]}, and its node affinity excludes that"
    else:
        says = f"a node affinity whose requirements on {key} exclude each other"
    return SELECTOR_CONFLICT.found_as(
        Severity.WARN if policy.permits_any else Severity.DENY,
        "spec.affinity.nodeAffinity",
        f"{gpu_container.name}: the pod has {says}",
        f"{why}the pod would stay Pending; remove one of the requirements on {key}",
    )


def unknown_strategy(gpu_container: GpuContainer, nodes: NodeConstraints) -> Finding | None:
    """The pod selects only sharing strategies that no node has (``timeslicing``), so they name no form.

    GPU feature discovery internal/lm/resource.go; https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus.
    """
    for key in nodes.mentioned:
        if key == GKE_SHARING:
            known: tuple[str, ...] = tuple(GKE_STRATEGIES.values())
        elif key.startswith(PREFIX) and key.endswith(".sharing-strategy"):
            known = ("none", *SHARED_STRATEGIES)
        else:
            continue
        if not any(nodes.permits(key, value) for value in (ABSENT, *known)):
            path = f"spec.nodeSelector[{key}]" if key in nodes.selector else "spec.affinity.nodeAffinity"
            selects = f"{key}: {nodes.selector[key]}" if key in nodes.selector else f"other values of {key}"
            return SELECTOR_CONFLICT.found_as(
                Severity.WARN,
                path,
                f"{gpu_container.name}: the pod selects {selects}, which no node has",
                f"nodes have {', '.join(known[:-1])} or {known[-1]}; write one of these, or remove {key} from the pod",
            )
    return None


def product_conflict(  # noqa: PLR0913, PLR0917 - what the sentence says
    gpu_container: GpuContainer, form: Form, product: str, why: str, nodes: NodeConstraints, keys: Sequence[str]
) -> Finding:
    """The pod selects products, and no node with the form is known to have any of them; ``product`` is the first."""
    path = f"spec.nodeSelector[{PRODUCT}]" if PRODUCT in nodes.selector else "spec.affinity.nodeAffinity"
    shown = product or '""'
    return SELECTOR_CONFLICT.found(
        path,
        f'{gpu_container.name}: form "{form}" is not on nodes with {PRODUCT}: {shown}, which the pod selects',
        f"{why}, or remove {all_of(keys)} from the pod",
    )


def restated(gpu_container: GpuContainer, form: Form, nodes: NodeConstraints, keys: Sequence[str]) -> Finding:
    """The pod's other node constraints, on ``keys``, select nodes of another form once the labels of its form are added."""
    path = f"spec.nodeSelector[{keys[0]}]" if keys[0] in nodes.selector else "spec.affinity.nodeAffinity"
    listed = all_of(keys)
    return SELECTOR_CONFLICT.found(
        path,
        f'{gpu_container.name}: form "{form}" is not on the nodes that the pod selects by {listed}',
        f"nodes with another form have what it selects; remove {listed} from the pod, or request another form",
    )


def incompatible_forms(
    gpu_container: GpuContainer, form: Form, other_container: GpuContainer, other: Form, policy: Policy
) -> Finding:
    """The forms of two containers that no node offers together."""
    return SELECTOR_CONFLICT.found(
        gpu_container.place.field,
        f'{gpu_container.name}: form "{form}" is never on the same node as form "{other}" of {other_container.name}',
        f'a pod runs on one node; give both one form that namespace policy "{policy.name}" permits, or use two pods',
    )


def incompatible(one: Form, other: Form, plugin: DevicePlugin) -> bool:
    """Whether no node offers both forms.

    On GKE the node selectors, which are the whole pod's, name the form. The NVIDIA device plugin shares all devices of a
    resource on a node in the same way, or none of them; under MIG strategy *single* all GPUs of a node are partitioned equally,
    or none.
    """
    if one.platform is not other.platform:
        return True
    if one.platform is Platform.GKE:
        return one != other
    if one.partition != other.partition:
        return plugin.single
    return one.meet(other) is None


def gke_selectors_incomplete(nodes: NodeConstraints, added: frozenset[str]) -> Finding | None:
    """One of GKE's two sharing selectors without the other: Autopilot rejects the pod (docs: timesharing-gpus).

    ``added`` are the labels that the decision adds to the pod.
    """

    def says(key: str) -> bool:
        return nodes.mentions(key) and not nodes.permits(key, ABSENT)

    present, missing = (GKE_SHARING, GKE_CLIENTS) if says(GKE_SHARING) else (GKE_CLIENTS, GKE_SHARING)
    if not says(present) or says(missing) or missing in added:
        return None
    return GKE_SELECTORS_INCOMPLETE.found(
        "spec.nodeSelector",
        f"pod: node selector {_short(present)} without {_short(missing)}",
        "GKE Autopilot rejects one alone; add the other",
    )


def _short(key: str) -> str:
    return key.partition("/")[2]
