"""Policies that a namespace could have, applied to its workloads: whom each fits, hurts and denies."""

from collections.abc import Iterable

import msgspec

from ...engine.findings import Finding
from ...engine.forms import Form, parse
from .offers import Offers
from .policy_effects import PolicyEffect
from .templates import PodTemplate
from .verdicts import VerdictKind, WorkloadVerdict

_VOTING = frozenset(
    {VerdictKind.SLICE, VerdictKind.SHARED, VerdictKind.EXCLUSIVE, VerdictKind.FEWER, VerdictKind.AS_IT_IS}
)


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

        A form that it only has, without its own use being known, is no reason against a policy that gives another one.
        """
        if not self.verdict.is_share_unknown or now.on(self.templates, self.form).form == self.verdict.form:
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
    """

    workload: EvaluatedWorkload
    form: str
    denial: Finding | None
    hurt: str

    @property
    def suits(self) -> bool:
        """Whether the form is that of the verdict."""
        return self.workload.votes and self.workload.verdict.form == self.form

    @property
    def fits(self) -> bool:
        """Whether its next pods get the form of the verdict."""
        return self.suits and not self.denial

    @property
    def harm(self) -> str:
        """Why the policy would hurt it, or keep a smaller form from it; empty if it would not."""
        return self.hurt or _wasted(self.form, self.workload)


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
    def hurts(self) -> tuple[HarmedWorkload, ...]:
        """Those that it would hurt."""
        return tuple(HarmedWorkload(one.workload.name, one.harm) for one in self.workloads if one.harm)

    @property
    def denies(self) -> tuple[HarmedWorkload, ...]:
        """Those that it would deny."""
        return tuple(HarmedWorkload(one.workload.name, one.denial.message) for one in self.workloads if one.denial)

    @property
    def wrong(self) -> dict[str, AppliedPolicy]:
        """Those for which it is or may be wrong, by name: without a verdict that counts, denied or hurt."""
        using = [one for one in self.workloads if one.workload.uses]
        doubtful = [one for one in using if one.denial or not one.workload.votes]
        return {one.workload.name: one for one in (*doubtful, *(one for one in using if one.harm))}


def candidate(effect: PolicyEffect, evaluated: Iterable[EvaluatedWorkload], offered: Offers) -> Candidate:
    """Apply a policy to workloads, whose verdicts and slices are compared by what nodes offer."""

    def applied(one: EvaluatedWorkload) -> AppliedPolicy:
        found = effect.on(one.templates, one.form)
        hurt = _hurt(found.form, one, offered, is_denied=bool(found.denial)) if one.votes else ""
        return AppliedPolicy(one, found.form, found.denial, hurt)

    return Candidate(effect, tuple(map(applied, evaluated)))


def _hurt(policy: str, evaluated: EvaluatedWorkload, offered: Offers, *, is_denied: bool) -> str:
    """Return why a policy would hurt a workload, or the cluster by it; empty if it would not."""
    verdict = evaluated.verdict
    given, needed, now = (parse(one) or Form() for one in (policy, verdict.form, evaluated.form))
    why = f"needs {verdict.form}"
    if policy == verdict.form:
        why = ""
    elif not (given.partition or given.shared):
        has_enough = (needed.partition or needed.shared) and (now.partition or now.shared)
        why = f"has {evaluated.form}, and would get a whole GPU" if has_enough else ""
    elif verdict.gpus > 1:
        why = f"needs {verdict.gpus} GPUs"
    elif not (needed.partition or needed.shared):
        why = "needs a whole GPU"
    elif given.shared:
        why = "" if needed.shared else f"needs memory of its own ({verdict.form})"
    elif offered.covers(policy, verdict.form):
        enlarged = offered.covers(evaluated.form, verdict.form) and not offered.covers(evaluated.form, policy)
        why = f"has {evaluated.form}, and would get {policy}" if enlarged and not is_denied else ""
    return why


def _wasted(policy: str, evaluated: EvaluatedWorkload) -> str:
    """Return which smaller form a policy of whole GPUs would keep from a workload; empty if none."""
    less = evaluated.verdict.kind in {VerdictKind.SLICE, VerdictKind.SHARED}
    return f"{evaluated.verdict.form} is enough" if less and is_whole(policy) else ""


def is_whole(policy: str) -> bool:
    """Return whether the form of a policy is a whole GPU of its own."""
    form = parse(policy) or Form()
    return not (form.partition or form.shared)
