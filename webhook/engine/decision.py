"""The decision: what one pod's GPU requests become under one policy, or why it is denied."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from . import claim_rewriting, guard, limitranger
from .claims import NO_CLAIMS, Claims, Resolved
from .edits import Edit
from .evaluation import judge, wellformed
from .findings import Finding
from .form_selection import Choice
from .nodes import constraints
from .other_gpus import BUILT_IN, GpuNames
from .pods import Pod, PodSpec
from .policy import Policy
from .policy_additions import annotations, settings
from .requests import GpuContainer, read
from .rewriting import respelling
from .rules import claims as claiming
from .rules import container, gpu_memory, limit_ranges, outside_containers, permission
from .rules.catalog import RULES
from .spelling import LABELS_OF_FORMS, DevicePlugin

_NOTHING: Resolved = {}
_ORDER = {rule.id: number for number, rule in enumerate(RULES)}


class Outcome(StrEnum):
    """The outcome for a pod."""

    UNCHANGED = "unchanged"
    REWRITTEN = "rewritten"
    DENIED = "denied"


# In Python 3.11 a member costs as much to look up as a call; every decision is asked for its outcome several times.
UNCHANGED, REWRITTEN, DENIED = Outcome


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Edits and findings for one pod under one policy.

    Attributes:
        edits: what changes; empty when anything denies.
        findings: what is wrong, in the order of the rules.
        gpu_containers: the containers that request GPUs, by whatever name; empty for a pod that is not relevant here.
        choices: the form that each well-formed request gets, by the resource that it names.
    """

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    gpu_containers: tuple[GpuContainer, ...] = ()
    choices: Mapping[str, Choice] = {}

    @property
    def denials(self) -> tuple[Finding, ...]:
        """The findings that deny the pod."""
        return tuple(finding for finding in self.findings if finding.denies)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that only warn."""
        return tuple(finding for finding in self.findings if not finding.denies)

    @property
    def outcome(self) -> Outcome:
        """The outcome for the pod."""
        if self.findings and any(finding.denies for finding in self.findings):
            return DENIED
        return REWRITTEN if self.edits else UNCHANGED


UNTOUCHED = Decision()


def decide(  # noqa: PLR0913 - everything that decides
    pod: Pod,
    policy: Policy,
    plugin: DevicePlugin,
    *,
    names: GpuNames = BUILT_IN,
    guarded: bool = True,
    found: list[GpuContainer] | None = None,
    claims: Claims = NO_CLAIMS,
    resolved: Resolved = _NOTHING,
) -> Decision:
    """Judge a pod, or the template of one.

    Args:
        pod: the typed view of the pod as it came.
        policy: one policy of its namespace.
        plugin: the device plugin's settings, which change how forms are spelled.
        names: which resources hand out GPUs besides those of forms.
        guarded: whether to look for GPUs that are reached without a request, which is only worth it on the final pod.
        found: what ``requests.read`` finds in the pod, where that is known: several policies judge one pod.
        claims: what ``claims.read`` finds in the pod, as far as it was looked up.
        resolved: the templates of ``claim_rewriting.references``, as far as they were looked up.

    Returns:
        The decision. Deciding again on the pod with the edits applied yields no edits. A pod that requests no GPU and
        reaches none, and a mirror pod, are left untouched. Nothing is raised.
    """
    spec = pod.spec
    if spec is None or pod.is_mirror:
        return UNTOUCHED
    every = read(spec, names) if found is None else found
    strange = [gpu_container for gpu_container in every if gpu_container.unknown or gpu_container.others]
    # All others have amounts.
    asking = [one for one in every if one.amounts or one.others] if strange else every
    added = limitranger.additions(pod)
    dropped: list[limitranger.Dropped] = []
    if added.entries and not policy.permits_any:
        asking, dropped = limitranger.without(added, asking)
    gpu_containers = [one for one in asking if one.amounts] if strange else asking
    beside = _beside_requests(pod, spec, asking, policy, claims, guarded=guarded)
    if not every:
        return Decision((), in_order(beside)) if beside else UNTOUCHED
    policy, of_memory = gpu_memory.by_memory(pod, policy, plugin)
    nodes = constraints(spec, LABELS_OF_FORMS)
    asked, findings = wellformed(gpu_containers, policy)
    findings += of_memory
    edits: list[Edit] = []
    if policy.plain_claim:
        claimed = claim_rewriting.rewritten(asked, spec, policy, policy.plain_claim, nodes, plugin, resolved)
        findings += claimed.findings
        edits += claimed.edits
        asked = [*claimed.others]
    spelled = respelling([gpu_container.amounts[0].resource for gpu_container in asked], policy, nodes, plugin)
    findings += judge(asked, spelled, spec, policy, nodes)
    if added.entries:
        findings = limit_ranges.naming_limit_ranges(findings, gpu_containers, added)
        findings += [limit_ranges.limit_range_default(one) for one in dropped]
    if strange:
        findings += container.unknown_gpu_resources(strange, policy)
        findings += permission.other_gpu_resources(asking, policy, claims.by_resource)
    if policy.permits_any:
        findings += container.absent_gpu_resources(gpu_containers, plugin)
    told = in_order(findings + beside) if findings or beside else ()
    if told and any(finding.denies for finding in told):
        return Decision((), told, tuple(asking), spelled.choices)
    edits += spelled.applied(spec, gpu_containers)
    respelled = bool(edits)
    edits += [one.edit for one in dropped]
    edits += settings(spec, gpu_containers, policy, plugin, spelled, edits)
    if edits:
        edits += annotations(gpu_containers, policy, respelled=respelled)
    return Decision(tuple(edits), told, tuple(asking), spelled.choices)


def _beside_requests(  # noqa: PLR0913 - what the guard knows
    pod: Pod, spec: PodSpec, asking: list[GpuContainer], policy: Policy, claims: Claims, *, guarded: bool
) -> list[Finding]:
    """What the rules find in everything but the containers' requests."""
    found: list[Finding] = []
    if spec.resources or spec.ephemeral_containers:
        found += outside_containers.gpu_outside_containers(spec)
    if claims is not NO_CLAIMS:
        found += claiming.findings(spec, claims, asking, policy)
    if guarded:
        found += guard.findings(pod, asking, policy)
    return found


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of the rules."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.rule.id]))
