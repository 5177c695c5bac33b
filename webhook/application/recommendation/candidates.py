"""Policies that a namespace could have, applied to its workloads: whom each fits, hurts and denies."""

from collections.abc import Iterable

import msgspec

from ...engine.findings import Finding
from ...engine.forms import Form, Sharing, parse
from ...engine.policy import NONE
from .offers import Offers
from .policy_effects import PolicyEffect
from .templates import PodTemplate
from .verdicts import VerdictKind, WorkloadVerdict

_VOTING = frozenset(
    {VerdictKind.SLICE, VerdictKind.SHARED, VerdictKind.EXCLUSIVE, VerdictKind.FEWER, VerdictKind.AS_IT_IS}
)
_ANY_SHARING = Form(sharing=Sharing.ANY)


class EvaluatedWorkload(msgspec.Struct, frozen=True):
    """A workload of a namespace.

    Attributes:
        name: for people.
        form: the form that it has.
        templates: those of its next pods, as of ``Workload``.
        unreachable: forms, each with a GPU model, that its pods can't get.
    """

    name: str
    verdict: WorkloadVerdict
    form: str
    templates: tuple[PodTemplate, ...]
    unreachable: tuple[tuple[str, str | None], ...] = ()

    @property
    def uses(self) -> bool:
        """Whether it uses its GPUs, as far as is known."""
        return self.verdict.kind is not VerdictKind.UNUSED

    @property
    def votes(self) -> bool:
        """Whether its verdict names a form."""
        return self.verdict.kind in _VOTING

    def under(self, now: PolicyEffect) -> "EvaluatedWorkload":
        """The workload under the policy in force, with a verdict that can be a reason for another policy.

        A form that it only has, without its need being known, is no reason against a policy that gives another one, but it is
        if the policy denies it, because its template names the form.
        """
        then = now.on(self.templates, self.form)
        stays = (parse(then.form) or Form()).meet(parse(self.verdict.form) or Form())
        is_denied = then.denial and now.policy.name != NONE  # it gives no form at all, on purpose
        if not self.verdict.is_need_unknown or is_denied or stays:
            return self
        return msgspec.structs.replace(self, verdict=WorkloadVerdict(VerdictKind.UNKNOWN))


class HarmedWorkload(msgspec.Struct, frozen=True):
    """A workload that a policy would hurt or deny, and why."""

    workload: str
    why: str


class AppliedPolicy(msgspec.Struct, frozen=True):
    """A policy, applied to a workload.

    Attributes:
        form: the form of its next pods; if they are denied, the one that they would get.
        denial: why they are denied.
        hurt: why the form would hurt it, or the cluster by it; empty if it would not.
        warnings: what its users would be warned about.
    """

    workload: EvaluatedWorkload
    form: str
    denial: Finding | None
    hurt: str
    warnings: tuple[Finding, ...] = ()

    @property
    def suits(self) -> bool:
        """Whether the form is that of the verdict; ``shared`` is any kind of sharing, so those that share keep theirs."""
        verdict = self.workload.verdict
        is_same = verdict.form == self.form
        if verdict.is_need_unknown and self.form == str(_ANY_SHARING):
            is_same = _ANY_SHARING.meet(parse(verdict.form) or Form()) is not None
        return self.workload.votes and is_same

    @property
    def fits(self) -> bool:
        """Whether its next pods get the form that is known to fit it."""
        return self.suits and not self.denial and not self.workload.verdict.is_need_unknown

    @property
    def stays(self) -> bool:
        """Whether its next pods get the form that it has, and whether that fits is not known."""
        return self.suits and not self.denial and self.workload.verdict.is_need_unknown

    @property
    def is_wasteful(self) -> bool:
        """Whether it would get a whole GPU, although a slice or a share is enough."""
        return self.workload.verdict.kind in {VerdictKind.SLICE, VerdictKind.SHARED} and is_whole(self.form)

    @property
    def is_larger(self) -> bool:
        """Whether it would get more than it needs: a whole GPU, or a larger slice."""
        return self.is_wasteful or (self.workload.verdict.kind is VerdictKind.SLICE and not self.suits)

    @property
    def is_harmful(self) -> bool:
        """Whether it would be hurt, or keep a smaller form from it."""
        return bool(self.hurt) or self.is_wasteful


class Candidate(msgspec.Struct, frozen=True):
    """A policy, applied to the workloads of a namespace."""

    effect: PolicyEffect
    workloads: tuple[AppliedPolicy, ...]

    @property
    def suits(self) -> int:
        """The number of workloads whose form it gives, those that it denies included; 0 for ``any``."""
        return sum(one.suits for one in self.workloads) if self.effect.first else 0

    @property
    def fits(self) -> int:
        """The number of workloads that get the form that fits them; 0 for ``any``."""
        return sum(one.fits for one in self.workloads) if self.effect.first else 0

    @property
    def score(self) -> tuple[int, int, bool]:
        """The highest is best. Denials don't count: requests can be changed, and limits have their reasons."""
        hurt = sum(bool(one.hurt) for one in self.workloads)
        return self.suits - hurt, -hurt, not (parse(self.effect.first) or Form()).shared

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of those that would keep their form, of which it is not known whether it fits; none for ``any``."""
        return tuple(one.workload.name for one in self.workloads if one.stays and self.effect.first)

    @property
    def hurts(self) -> tuple[HarmedWorkload, ...]:
        """Those that it would hurt, and not deny."""
        hurt = (one for one in self.workloads if one.hurt and not one.denial)
        return tuple(HarmedWorkload(one.workload.name, one.hurt) for one in hurt)

    @property
    def denies(self) -> tuple[HarmedWorkload, ...]:
        """Those that it would deny."""
        return tuple(HarmedWorkload(one.workload.name, one.denial.message) for one in self.workloads if one.denial)

    @property
    def acceptable(self) -> tuple[str, ...]:
        """The names of those that share, and to which it would give another kind of sharing that is enough, too."""
        others = (one for one in self.workloads if not (one.suits or one.denial or one.hurt or one.is_larger))
        return tuple(one.workload.name for one in others if one.workload.verdict.kind is VerdictKind.SHARED)

    @property
    def warns(self) -> tuple[HarmedWorkload, ...]:
        """Those whose users it would warn, and of what."""
        warned = ((one, finding) for one in self.workloads if not one.denial for finding in one.warnings)
        return tuple(HarmedWorkload(one.workload.name, finding.message) for one, finding in warned)

    @property
    def larger(self) -> tuple[str, ...]:
        """The names of those to which it would give more than they need, and that it would not hurt or deny."""
        more = (one for one in self.workloads if one.is_larger and not (one.denial or one.hurt))
        return tuple(one.workload.name for one in more)

    @property
    def wrong(self) -> dict[str, AppliedPolicy]:
        """Those for which it is or may be wrong, by name: without a verdict that counts, denied, hurt, or with a wasted GPU."""
        using = [one for one in self.workloads if one.workload.uses]
        doubtful = [one for one in using if one.denial or not one.workload.votes]
        return {one.workload.name: one for one in (*doubtful, *(one for one in using if one.is_harmful))}


def candidate(effect: PolicyEffect, evaluated: Iterable[EvaluatedWorkload], offered: Offers) -> Candidate:
    """Apply a policy to workloads; ``offered`` is what nodes offer."""

    def applied(one: EvaluatedWorkload) -> AppliedPolicy:
        found = effect.on(one.templates, one.form)
        hurt = _hurt(found.form, one, offered, is_denied=bool(found.denial)) if one.votes else ""
        return AppliedPolicy(one, found.form, found.denial, hurt, found.warnings)

    return Candidate(effect, tuple(map(applied, evaluated)))


def _hurt(policy: str, evaluated: EvaluatedWorkload, offered: Offers, *, is_denied: bool) -> str:
    """Return why a policy would hurt a workload, or the cluster by it; empty if it would not."""
    verdict = evaluated.verdict
    given, needed, now = (parse(one) or Form() for one in (policy, verdict.form, evaluated.form))
    models = {one.model for one in offered.every if str(one.form) == policy}
    keeps = verdict.kind is VerdictKind.AS_IT_IS
    why = f"has {verdict.form}, and would get {policy}" if keeps else f"needs {verdict.form}"
    if policy == verdict.form:
        why = ""
    elif not (given.partition or given.shared):
        has_enough = (needed.partition or needed.shared) and (now.partition or now.shared)
        why = f"has {evaluated.form}, and would get a whole GPU" if has_enough else ""
    elif verdict.gpus > 1:
        why = f"needs {verdict.gpus} GPUs"
    elif not (needed.partition or needed.shared):
        why = "needs a whole GPU"
    elif models and all((policy, model) in evaluated.unreachable for model in models):
        why = f"node selectors, affinity or taints keep its pods off all nodes that offer {policy}"
    elif verdict.is_need_unknown:
        is_kept = needed.meet(given) or policy in verdict.enough
        why = "" if is_kept else f"has {verdict.form}, and how much it needs is not known"
    elif given.shared and not needed.shared:
        why = f"needs memory of its own ({verdict.form})"
    elif _is_enough(policy, verdict, offered):
        why = ""
        if evaluated.form in verdict.enough and not is_denied and given.partition:
            sizes = verdict.enough
            is_larger = sizes.index(policy) > sizes.index(evaluated.form)
            why = f"has {evaluated.form}, and would get {policy}" if is_larger else ""
    return why


def _is_enough(policy: str, verdict: WorkloadVerdict, offered: Offers) -> bool:
    """Whether a form is enough; ``shared`` may be any kind of sharing that nodes offer."""
    kinds = [str(one.form) for one in offered.shared if one.form.meet(parse(policy) or Form())] or [policy]
    return policy in verdict.enough or all(kind in verdict.enough for kind in kinds)


def is_whole(policy: str) -> bool:
    """Return whether the form of a policy is a whole GPU of its own."""
    form = parse(policy) or Form()
    return not (form.partition or form.shared)
