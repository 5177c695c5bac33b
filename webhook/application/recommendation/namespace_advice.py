"""Advice for a namespace: the policy that fits most of its workloads, and those that it would hurt."""

from collections.abc import Iterable, Sequence

import msgspec

from ...engine.findings import Finding
from ...engine.forms import Form, parse
from ...engine.namespace_labels import ENFORCE, NamespaceLabels
from ...engine.policy import NONE
from ...engine.text import plural
from .offers import Offers
from .policy_effects import PolicyEffect
from .templates import PodTemplate
from .verdicts import VerdictKind, WorkloadVerdict

_NAMED = 5
_UNTRUSTED = (
    "sharing isolates neither memory nor faults, so its policies are recommended only in namespaces declared trusted"
)
_BEFORE_NONE = (
    "before you set the label, make sure that nothing in the namespace needs a GPU later: all new pods that request one would "
    "be denied"
)
_MISMATCHED = "nodes have it under other names or labels than the configuration's devicePlugin states; see the notes"
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


class _Applied(msgspec.Struct, frozen=True):
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


class _Candidate(msgspec.Struct, frozen=True):
    """A policy, applied to the workloads of a namespace."""

    effect: PolicyEffect
    workloads: tuple[_Applied, ...]

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
    def wrong(self) -> dict[str, _Applied]:
        """Those for which it is or may be wrong, by name: without a verdict that counts, denied or hurt."""
        using = [one for one in self.workloads if one.workload.uses]
        doubtful = [one for one in using if one.denial or not one.workload.votes]
        return {one.workload.name: one for one in (*doubtful, *(one for one in using if one.harm))}


class NamespaceAdvice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The advice for one namespace.

    Attributes:
        labelled: the policy of its current label; empty without one.
        policy: the recommended policy: the one that fits most workloads, or the one in force if it gives the same form; empty
            if none is.
        workloads, fits: how many workloads request GPUs, and how many get the form that fits them and are not denied.
        hurts: those that it would hurt.
        denies: those whose pods it would deny as their templates are.
        larger: those that would get a larger slice than they need, in place of a whole GPU.
        undecided: workloads without a verdict that names a form; they would get the policy's form, too.
        unused: those that do not use their GPUs.
        before: what to do before the label is set: where several GPU models have the form, and where GPUs are not used.
        why_none: why no policy is advised; if some fit, the one that fits most first.
        label, preview: the command that sets the label, and the one that previews its effect.
    """

    namespace: str
    labelled: str
    trusted: bool
    workloads: int
    policy: str = ""
    fits: int = 0
    hurts: tuple[HarmedWorkload, ...] = ()
    denies: tuple[HarmedWorkload, ...] = ()
    larger: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    before: str = ""
    why_none: str = ""
    label: str = ""
    preview: str = ""


def advise(
    namespace: str,
    evaluated: Sequence[EvaluatedWorkload],
    labels: NamespaceLabels,
    now: PolicyEffect,
    *,
    trusted: bool,
) -> NamespaceAdvice:
    """Return the policy, of those among the verdicts, with the most workloads that it fits minus those that it would hurt.

    In this choice, a policy of whole GPUs hurts no workload that has one; once chosen, it hurts those for which less is enough,
    because it keeps the smaller form from them. No policy is advised that is, or may be, wrong for as many workloads as it fits:
    those that it would hurt or deny, and those without a verdict. Nor is one advised that is not set and would hurt as many
    workloads as it would help: those that have its form already, and those that it would deny, are not helped. The policy
    ``none`` is advised only if no workload uses its GPUs, and one of sharing only if the namespace is trusted, even if its
    workloads share already. The policy in force, ``now`` (by the label or by default), stays unless another one is better: what
    it gives each workload counts.
    """
    evaluated = [one.under(now) for one in evaluated]
    voting = [one for one in evaluated if one.votes]
    unused = tuple(one.name for one in evaluated if not one.uses)
    undecided = tuple(one.name for one in evaluated if one.uses and not one.votes)
    advice = NamespaceAdvice(
        namespace, labels.enforce or "", trusted, len(evaluated), unused=unused, undecided=undecided
    )
    if not voting:
        return _without_a_form(advice, now)
    offered = now.offered

    forms = dict.fromkeys(one.verdict.form for one in voting)
    candidates = [_candidate(now.of(one), evaluated, offered) for one in forms]
    candidates.sort(key=lambda one: one.score, reverse=True)
    in_force = _candidate(now, evaluated, offered)
    stays = in_force.suits > 0 and in_force.score >= candidates[0].score
    best = in_force if stays else candidates[0]
    first, fits, hurts, wrong = best.effect.first, best.fits, best.hurts, best.wrong
    others = [one for one in candidates if one.effect.first != first][:_NAMED]
    worse = "".join(map(_worse, others))
    fitting = f"{best.effect.policy.name} fits {fits} of {plural(len(evaluated), 'workload')}"
    if not trusted and (parse(first) or Form()).shared:
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_UNTRUSTED}{worse}")
    if offered.lacks(first):
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_MISMATCHED}{worse}")
    both = zip(best.workloads, in_force.workloads, strict=True)
    helped = sum(one.fits and before.form != one.form for one, before in both)
    if hurts and len(hurts) >= helped and not stays:
        whom = _named(one.workload for one in hurts)
        why = f"{fitting}, but would help {helped} and hurt {len(hurts)}: {whom}{worse}"
        return msgspec.structs.replace(advice, why_none=why)
    if wrong and len(wrong) >= fits:
        rules = [one.denial.rule.id for one in wrong.values() if one.denial]
        aside = f" (it would deny {len(rules)}: {', '.join(dict.fromkeys(rules))})" if rules else ""
        why = f"{fitting}, and is or may be wrong for {len(wrong)}{aside}: {_named(wrong)}{worse}"
        return msgspec.structs.replace(advice, why_none=why)
    denied = {one.workload for one in best.denies}
    return msgspec.structs.replace(
        _with(advice, best.effect.policy.name, fits, hurts, is_set=stays),
        denies=best.denies,
        larger=tuple(
            one.workload.name
            for one in best.workloads
            if one.workload.verdict.kind is VerdictKind.SLICE and not (one.suits or one.denial or one.harm)
        ),
        undecided=tuple(one for one in undecided if one not in denied),
        before=_select(first, offered, voting, is_set=stays),
    )


def _candidate(effect: PolicyEffect, evaluated: Iterable[EvaluatedWorkload], offered: Offers) -> _Candidate:
    def applied(one: EvaluatedWorkload) -> _Applied:
        found = effect.on(one.templates, one.form)
        hurt = _hurt(found.form, one, offered, is_denied=bool(found.denial)) if one.votes else ""
        return _Applied(one, found.form, found.denial, hurt)

    return _Candidate(effect, tuple(map(applied, evaluated)))


def _without_a_form(advice: NamespaceAdvice, now: PolicyEffect) -> NamespaceAdvice:
    """The advice where no verdict names a form: no GPUs where none are used, else no policy."""
    if advice.unused and not advice.undecided:
        none = _with(advice, NONE, len(advice.unused), (), is_set=now.policy.name == NONE)
        return msgspec.structs.replace(none, before="" if not none.label else _BEFORE_NONE)
    verb = "has" if len(advice.undecided) == 1 else "have"
    why = f"{_named(advice.undecided)} {verb} no verdict that names a form" if advice.undecided else ""
    return msgspec.structs.replace(advice, why_none=why)


def _worse(candidate: _Candidate) -> str:
    """Return a clause about a policy that is worse than the one that is not advised."""
    fits = candidate.fits
    whole = sum(one.workload.votes and _is_whole(one.workload.verdict.form) for one in candidate.workloads)
    wrong = f", and is or may be wrong for {len(candidate.wrong)}" if candidate.wrong else ""
    # A slice or share is not chosen for few more workloads than need whole GPUs (docs/how-to/recommend.md).
    rule = (
        "; to be chosen, it must fit more than twice as many as need whole GPUs"
        if 0 < whole < fits <= 2 * whole
        else ""
    )
    return f"; {candidate.effect.policy.name} fits {fits}{wrong}{rule}"


def _named(workloads: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = [*workloads]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _select(policy: str, offered: Offers, voting: Iterable[EvaluatedWorkload], *, is_set: bool) -> str:
    """Return what to do about a policy whose form pods can get on several GPU models; empty for other policies."""
    models = offered.models_of(policy)
    reached = ([model for model in models if (policy, model) not in one.unreachable] for one in voting)
    having = {model for there in reached if len(there) > 1 for model in there}
    if not having:
        return ""
    before = "" if is_set else "before you set the label, "
    return (
        f"several GPU models have {policy} ({', '.join(sorted(having))}), and the policy does not select one: {before}have each "
        "pod select the model that it was measured on, by the label nvidia.com/gpu.product"
    )


def _wasted(policy: str, evaluated: EvaluatedWorkload) -> str:
    """Return which smaller form a policy of whole GPUs would keep from a workload; empty if none."""
    less = evaluated.verdict.kind in {VerdictKind.SLICE, VerdictKind.SHARED}
    return f"{evaluated.verdict.form} is enough" if less and _is_whole(policy) else ""


def _is_whole(policy: str) -> bool:
    form = parse(policy) or Form()
    return not (form.partition or form.shared)


def _with(
    advice: NamespaceAdvice, policy: str, fits: int, hurts: tuple[HarmedWorkload, ...], *, is_set: bool
) -> NamespaceAdvice:
    name = advice.namespace
    overwrite = " --overwrite" if advice.labelled else ""
    return msgspec.structs.replace(
        advice,
        policy=policy,
        fits=fits,
        hurts=hurts,
        label="" if is_set else f"kubectl label namespace {name} {ENFORCE}={policy}{overwrite}",
        preview="" if is_set else f"gpuwarden audit -n {name} --assume {name}={policy}",
    )


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
