"""Advice for a namespace: the policy that fits most of its workloads, and those that it would hurt."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ...engine.forms import Form, parse
from ...engine.namespace_labels import ENFORCE, NamespaceLabels
from ...engine.policy import ANY_POLICY, NONE, Policy
from ...engine.text import plural
from .offers import Offers, SharedForm, Slice
from .policy_effects import EvaluatedWorkload, PolicyEffect
from .verdicts import VerdictKind

NO_POLICY = PolicyEffect(ANY_POLICY)
_NAMED = 5
_UNTRUSTED = (
    "sharing isolates neither memory nor faults, so its policies are recommended only in namespaces declared trusted"
)
_MISMATCHED = "nodes have it under other names or labels than the configuration's devicePlugin states; see the notes"
_VOTING = frozenset(
    {VerdictKind.SLICE, VerdictKind.SHARED, VerdictKind.EXCLUSIVE, VerdictKind.FEWER, VerdictKind.AS_IT_IS}
)


class HarmedWorkload(msgspec.Struct, frozen=True):
    """A workload that a policy would hurt, and why."""

    workload: str
    why: str


class NamespaceAdvice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The advice for one namespace.

    Attributes:
        labelled: the policy of its current label; empty without one.
        policy: the recommended policy: the one that fits most workloads, or the one in force if it gives the same form; empty
            if none is.
        workloads, fits: how many workloads request GPUs, and how many have the policy as their verdict.
        hurts: those that it would hurt.
        stating: those that name another form in their requests, which the policy would deny.
        larger: those that would get a larger slice than they need, in place of a whole GPU.
        undecided: workloads without a verdict that names a form; they would get the policy's form, too.
        unused: those that do not use their GPUs.
        select: what to do where several GPU models have the form, before the label is set if it is not.
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
    stating: tuple[str, ...] = ()
    larger: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    select: str = ""
    why_none: str = ""
    label: str = ""
    preview: str = ""


def advise(  # noqa: PLR0913 - a namespace, and all that the choice depends on
    namespace: str,
    evaluated: Sequence[EvaluatedWorkload],
    offered: Offers,
    labels: NamespaceLabels,
    *,
    trusted: bool,
    now: PolicyEffect = NO_POLICY,
) -> NamespaceAdvice:
    """Return the policy, of those among the verdicts, with the most workloads that it fits minus those that it would hurt.

    In this choice, a policy of whole GPUs hurts no workload that has one; once chosen, it hurts those for which less is enough,
    because it keeps the smaller form from them. No policy is advised that is, or may be, wrong for as many workloads as it fits:
    those that it would hurt, those without a verdict, and those that name another form, which are denied. Nor is one advised that
    is not set and would hurt as many workloads as it would help: those that have its form already, and those that it would deny,
    are not helped. The policy ``none`` is advised only if no workload uses its GPUs, and one of sharing only if the
    namespace is trusted, even if its workloads share already. The policy in force, ``now`` (by the label or by default), stays
    unless another one is better: what it gives each workload counts.
    """
    voting = [one for one in evaluated if one.verdict.kind in _VOTING]
    unused = tuple(one.name for one in evaluated if one.verdict.kind is VerdictKind.UNUSED)
    undecided = tuple(one.name for one in evaluated if one.verdict.kind in {VerdictKind.UNKNOWN, VerdictKind.BATCH})
    advice = NamespaceAdvice(
        namespace, labels.enforce or "", trusted, len(evaluated), unused=unused, undecided=undecided
    )
    if not voting:
        return _without_a_form(advice, now)
    slices = {str(one.form): one for one in offered.slices}
    forms = sorted(
        dict.fromkeys(one.verdict.form for one in voting),
        key=lambda one: _score(_of(one), voting, slices),
        reverse=True,
    )
    form = forms[0]
    stays = _fits(now, voting) > 0 and _score(now, voting, slices) >= _score(_of(form), voting, slices)
    best = now if stays else _of(form)
    given = {one: best.given(one) for one in evaluated}
    fits, hurts, wrong = _effects(best, evaluated, voting, slices)
    others = [one for one in forms if one != best.first][:_NAMED]
    worse = "".join(_worse(one, evaluated, voting, slices) for one in others)
    fitting = f"{best.policy.name} fits {fits} of {plural(len(evaluated), 'workload')}"
    if not trusted and (parse(best.first) or Form()).shared:
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_UNTRUSTED}{worse}")
    if offered.lacks(best.first):
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_MISMATCHED}{worse}")
    stating = tuple(one.name for one in evaluated if one.stated and best.denies(one))
    denied_fits = sum(one.verdict.form == given[one] and one.name in stating for one in voting)
    helped = sum(one.verdict.form == given[one] != now.given(one) and not best.denies(one) for one in voting)
    if hurts and len(hurts) >= helped and not stays:
        whom = _named(one.workload for one in hurts)
        why = f"{fitting}, but would help {helped} and hurt {len(hurts)}: {whom}{worse}"
        return msgspec.structs.replace(advice, why_none=why)
    if wrong and len(wrong) >= fits - denied_fits:  # those fit only once their requests are changed
        denied = sum(one in wrong for one in stating)
        exceeding = sum(bool(best.exceeded(one)) for one in voting)
        aside = f" (it would deny {denied}, since they name another form)" if denied else ""
        aside += f" ({exceeding} exceed its maxPerPod or maxPerContainer)" if exceeding else ""
        why = f"{fitting}, and is or may be wrong for {len(wrong)}{aside}: {_named(wrong)}{worse}"
        return msgspec.structs.replace(advice, why_none=why)
    return msgspec.structs.replace(
        _with(advice, best.policy.name, fits, hurts, is_set=stays),
        stating=stating,
        larger=tuple(one.name for one in voting if one.name not in {*stating, *wrong} and _is_larger(given[one], one)),
        undecided=tuple(one for one in undecided if one not in stating),
        select=_select(best.first, offered, voting, is_set=stays),
    )


def _without_a_form(advice: NamespaceAdvice, now: PolicyEffect) -> NamespaceAdvice:
    """The advice where no verdict names a form: no GPUs where none are used, else no policy."""
    if advice.unused and not advice.undecided:
        return _with(advice, NONE, len(advice.unused), (), is_set=now.policy.name == NONE)
    verb = "has" if len(advice.undecided) == 1 else "have"
    why = f"{_named(advice.undecided)} {verb} no verdict that names a form" if advice.undecided else ""
    return msgspec.structs.replace(advice, why_none=why)


def _of(form: str) -> PolicyEffect:
    """The built-in policy of a form."""
    return PolicyEffect(Policy(form, (parse(form) or Form(),)))


def _effects(
    policy: PolicyEffect,
    evaluated: Sequence[EvaluatedWorkload],
    voting: Sequence[EvaluatedWorkload],
    slices: Mapping[str, Slice],
) -> tuple[int, tuple[HarmedWorkload, ...], dict[str, None]]:
    """Return how many workloads a policy fits, those that it would hurt, and all for which it is or may be wrong."""
    hurts = tuple(
        HarmedWorkload(one.name, why)
        for one in voting
        if (why := policy.exceeded(one) or _hurt(policy.given(one), one, slices) or _wasted(policy.given(one), one))
    )
    doubtful = (
        one.name for one in evaluated if _is_doubtful(one) or (one.stated and policy.denies(one) and _uses(one))
    )
    return _fits(policy, voting), hurts, dict.fromkeys((*doubtful, *(one.workload for one in hurts)))


def _worse(
    form: str, evaluated: Sequence[EvaluatedWorkload], voting: Sequence[EvaluatedWorkload], slices: Mapping[str, Slice]
) -> str:
    """Return a clause about the policy of a form that is worse than the one that is not advised."""
    fits, _, wrong = _effects(_of(form), evaluated, voting, slices)
    whole = sum(_is_whole(one.verdict.form) for one in voting)
    # A slice or share is not chosen for few more workloads than need whole GPUs (docs/how-to/recommend.md).
    rule = (
        "; to be chosen, it must fit more than twice as many as need whole GPUs"
        if 0 < whole < fits <= 2 * whole
        else ""
    )
    return f"; {form} fits {fits}" + (f", and is or may be wrong for {len(wrong)}" if wrong else "") + rule


def _named(workloads: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = [*workloads]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _small(offered: Offers) -> tuple[Slice | SharedForm, ...]:
    """All that is offered besides whole GPUs."""
    return (*offered.slices, *offered.shared)


def _select(policy: str, offered: Offers, voting: Iterable[EvaluatedWorkload], *, is_set: bool) -> str:
    """Return what to do about a policy whose form pods can get on several GPU models; empty for other policies."""
    models = {model for one in _small(offered) if str(one.form) == policy for model in one.models - {""}}
    having = {model for one in voting if len(there := _reached(policy, models, one)) > 1 for model in there}
    if not having:
        return ""
    before = "" if is_set else "before you set the label, "
    return (
        f"several GPU models have {policy} ({', '.join(sorted(having))}), and the policy does not select one: {before}have each "
        "pod select the model that it was measured on, by the label nvidia.com/gpu.product"
    )


def _reached(policy: str, models: Iterable[str], evaluated: EvaluatedWorkload) -> set[str]:
    """The models, of those that have a policy's form, on which a workload's pods may run."""
    return {model for model in models if (policy, model) not in evaluated.unreachable}


def _wasted(policy: str, evaluated: EvaluatedWorkload) -> str:
    """Return which smaller form a policy of whole GPUs would keep from a workload; empty if none."""
    less = evaluated.verdict.kind in {VerdictKind.SLICE, VerdictKind.SHARED}
    return f"{evaluated.verdict.form} is enough" if less and _is_whole(policy) else ""


def _is_whole(policy: str) -> bool:
    form = parse(policy) or Form()
    return not (form.partition or form.shared)


def _is_doubtful(evaluated: EvaluatedWorkload) -> bool:
    """Whether a workload may need any form: it uses its GPUs, and has no verdict that names one."""
    return _uses(evaluated) and evaluated.verdict.kind not in _VOTING


def _uses(evaluated: EvaluatedWorkload) -> bool:
    return evaluated.verdict.kind is not VerdictKind.UNUSED


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


def _fits(policy: PolicyEffect, voting: Sequence[EvaluatedWorkload]) -> int:
    """The number of workloads to which a policy gives the form that fits them; 0 for ``any``."""
    return sum(one.verdict.form == policy.given(one) for one in voting) if policy.first else 0


def _score(
    policy: PolicyEffect, voting: Sequence[EvaluatedWorkload], slices: Mapping[str, Slice]
) -> tuple[int, int, bool]:
    hurt = sum(bool(_hurt(policy.given(one), one, slices)) for one in voting)
    return _fits(policy, voting) - hurt, -hurt, not (parse(policy.first) or Form()).shared


def _hurt(policy: str, evaluated: EvaluatedWorkload, slices: Mapping[str, Slice]) -> str:
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
    elif _covers(policy, verdict.form, slices):
        # Pods that name their form are denied, or keep it.
        enlarged = _covers(evaluated.form, verdict.form, slices) and not _covers(evaluated.form, policy, slices)
        why = f"has {evaluated.form}, and would get {policy}" if enlarged and not evaluated.stated else ""
    return why


def _is_larger(given: str, evaluated: EvaluatedWorkload) -> bool:
    """Whether a policy that hurts a workload in no way gives it a larger slice than is enough."""
    return evaluated.verdict.kind is VerdictKind.SLICE and given != evaluated.verdict.form


def _covers(slice_: str, other: str, slices: Mapping[str, Slice]) -> bool:
    """Whether a slice is at least as large as another one; not where either is not offered."""
    large, small = slices.get(slice_), slices.get(other)
    return bool(large and small and large.share >= small.share and (large.memory or 0) >= (small.memory or 0))
