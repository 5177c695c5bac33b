"""The check of Karpenter: whether it adds nodes for pods as gpuwarden rewrites them.

Karpenter compares pods with instance types as it knows them, before there is a node: with the labels that a NodePool defines
(kubernetes-sigs/karpenter pkg/scheduling/requirements.go Compatible) and, besides nvidia.com/gpu, with resources of NodeOverlays.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from ...engine.forms import Platform
from ...engine.node_constraints import Need
from ...engine.policy import Policy
from ...engine.resources import GPU, PREFIX
from ...engine.spelling import Spelling, spell
from .facts import Facts, Unread, known
from .neighbours import NodePool, NodePoolRequirement
from .policies import enforced
from .results import CheckOutcome, Findings, listed, warn

# Labels of instance types, which a NodePool need not define.
_WELL_KNOWN = ("kubernetes.io", "k8s.io", "karpenter.sh", "karpenter.k8s.aws", "karpenter.azure.com")
_GPU_KEYS = ("instance-gpu", "sku-gpu", "instance-accelerator", PREFIX)
_FAMILY = ("instance-family", "instance-type", "instance-category", "sku-family")
_GPU_FAMILY = re.compile(r"(?:[gp]\d?[a-z0-9]*)(?:\..*)?|N|Standard_N.*")
_NO_VALUE = ("NotIn", "DoesNotExist")


def karpenter(facts: Facts) -> Findings:
    """Some NodePool admits what the first form of every policy in use needs."""
    pools = [one for one in known(facts.neighbours.node_pools) if _has_gpus(one)]
    if not pools:
        return "no Karpenter NodePool selects instances with GPUs"
    overlays = facts.neighbours.overlay_resources
    # NodeOverlays are off by default, and older versions do not have them.
    resources = frozenset() if isinstance(overlays, Unread) and overlays.absent else known(overlays)
    configuration = facts.usable_configuration()
    for policy, _ in enforced(facts).values():
        if policy.forms and policy.forms[0].platform is Platform.DEVICE_PLUGIN:
            yield from _hindered(policy, spell(policy.forms[0], configuration.plugin), pools, resources)
    return f"NodePools admit what policies in use need ({listed(pool.metadata.name for pool in pools)})"


def _hindered(
    policy: Policy, spelling: Spelling, pools: Sequence[NodePool], resources: Collection[str]
) -> Iterator[CheckOutcome]:
    own = [Need(key, "In", (value,)) for key, value in policy.additions.node_selector]
    needs = [*spelling.needs, *own]
    impact = f'Karpenter adds no node for pods of policy "{policy.name}"; they run only if there already are such nodes'
    if not any(all(_admits(pool, need) for need in needs) for pool in pools):
        closest = max(pools, key=lambda pool: sum(_admits(pool, need) for need in needs))
        lacking = [need for need in needs if not _admits(closest, need)]
        yield warn(
            f'policy "{policy.name}" needs node labels that no Karpenter NodePool with GPUs admits: {listed(map(str, lacking))}',
            impact,
            f"set {listed(need.key for need in lacking)} in spec.template.metadata.labels of the NodePool whose nodes get it "
            f"(such as {closest.metadata.name})",
        )
    if spelling.resource != GPU and spelling.resource not in resources:
        yield warn(
            f'pods of policy "{policy.name}" request {spelling.resource}, but Karpenter knows only {GPU}',
            impact,
            f"add {spelling.resource} to spec.capacity of a NodeOverlay (Karpenter 1.7 or later, feature gate NodeOverlay)",
        )


def _requirements(pool: NodePool) -> list[NodePoolRequirement]:
    return pool.spec.template.spec.requirements or []


def _has_gpus(pool: NodePool) -> bool:
    """Whether a NodePool is one for GPUs, as far as its labels, taints and requirements show it."""
    template = pool.spec.template
    keys = [*(template.metadata.labels or {}), *(taint.key for taint in template.spec.taints or ())]
    keys += [one.key for one in _requirements(pool) if one.operator not in _NO_VALUE]
    families = [
        value
        for one in _requirements(pool)
        if one.operator == "In" and one.key.endswith(_FAMILY)
        for value in one.values or ()
    ]
    return any(part in key for key in keys for part in _GPU_KEYS) or any(map(_GPU_FAMILY.fullmatch, families))


def _admits(pool: NodePool, need: Need) -> bool:
    labels = pool.spec.template.metadata.labels or {}
    if need.key in labels:
        return need.admits(labels[need.key])
    defined = [one for one in _requirements(pool) if one.key == need.key]
    if defined:
        return all(_agrees(one, need) for one in defined)
    domain = need.key.partition("/")[0]
    return need.operator in _NO_VALUE or domain.endswith(_WELL_KNOWN)


def _agrees(one: NodePoolRequirement, need: Need) -> bool:
    values = one.values or []
    match one.operator:
        case "In":
            return any(map(need.admits, values))
        case "DoesNotExist":
            return need.admits(None)
        case "NotIn":
            return need.operator != "In" or not set(need.values) <= set(values)
        case _:
            return need.operator != "DoesNotExist"
