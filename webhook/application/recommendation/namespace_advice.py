"""Advice for a namespace: the policy that fits most of its workloads, and those that it would hurt."""

from collections.abc import Iterable, Sequence

import msgspec

from ...engine.forms import Form, parse
from ...engine.namespace_labels import ENFORCE, NamespaceLabels
from ...engine.policy import NONE, Policy
from ...engine.text import first_of, plural
from .candidates import Candidate, EvaluatedWorkload, HarmedWorkload, candidate, is_whole
from .offers import Offers
from .policy_effects import PolicyEffect

_NAMED = 5
_UNTRUSTED = (
    "sharing isolates neither memory nor faults, so its policies are recommended only in namespaces declared trusted"
)
_UNREADABLE = "every pod with a GPU request is denied, unless the configuration (--config) has this policy"
_BEFORE_NONE = (
    "before you set the label, make sure that nothing in the namespace needs a GPU later: all new pods that request one would "
    "be denied"
)
_MISMATCHED = "nodes have it under other names or labels than the configuration's devicePlugin states; see the notes"


class NamespaceAdvice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The advice for one namespace.

    Attributes:
        labelled: the policy of its current label; empty without one.
        policy: the recommended policy: the one that fits most workloads, or the one in force if it gives the same form; empty
            if none is.
        workloads, fits: how many workloads request GPUs, and how many get the form that fits them and are not denied.
        kept: those that would keep the form that they have, of which it is not known whether it fits.
        hurts: those that it would hurt.
        denies: those whose pods it would deny as their templates are.
        larger: those that would get a whole GPU or a larger slice than they need, and are not hurt by it.
        acceptable: those that would get another kind of sharing than suits them best, which is enough, too.
        warns: those whose users would be warned, and of what.
        undecided: workloads without a verdict that names a form; they would get the policy's form, too.
        unused: those that do not use their GPUs.
        before: what to do before the label is set: where several GPU models have the form, and where GPUs are not used.
        label_problem: why the policy of its current label is not known; empty if it is.
        why_none: why no policy is advised; if some fit, the one that fits most first.
        label, preview: the command that sets the label, and the one that previews its effect.
    """

    namespace: str
    labelled: str
    trusted: bool
    workloads: int
    policy: str = ""
    fits: int = 0
    kept: tuple[str, ...] = ()
    hurts: tuple[HarmedWorkload, ...] = ()
    denies: tuple[HarmedWorkload, ...] = ()
    larger: tuple[str, ...] = ()
    acceptable: tuple[str, ...] = ()
    warns: tuple[HarmedWorkload, ...] = ()
    undecided: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    before: str = ""
    label_problem: str = ""
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
        *(namespace, labels.enforce or "", trusted, len(evaluated)),
        unused=unused,
        undecided=undecided,
        label_problem=f"{now.policy.unreadable}; {_UNREADABLE}" if now.policy.unreadable else "",
    )
    if not voting:
        return _without_a_form(advice, now)
    offered = now.offered

    forms = dict.fromkeys(one.verdict.form for one in voting)
    candidates = [candidate(now.of(one), evaluated, offered) for one in forms]
    candidates.sort(key=lambda one: one.score, reverse=True)
    in_force = candidate(now, evaluated, offered)
    stays = in_force.suits > 0 and in_force.score >= candidates[0].score
    best = in_force if stays else candidates[0]
    first, fits, kept, wrong = best.effect.first, best.fits, best.kept, best.wrong
    others = [one for one in candidates if one.effect.first != first][:_NAMED]
    worse = "".join(map(_worse, others))
    fitting = f"{best.effect.policy.name} fits {fits} of {plural(len(evaluated), 'workload')}"
    fitting += f" (and {len(kept)} would keep the form that they have)" if kept else ""
    if not trusted and (parse(first) or Form()).shared:
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_UNTRUSTED}{worse}")
    if offered.lacks(first):
        return msgspec.structs.replace(advice, why_none=f"{fitting}; {_MISMATCHED}{worse}")
    both = zip(best.workloads, in_force.workloads, strict=True)
    helped = sum(one.fits and before.form != one.form for one, before in both)
    rules = [one.denial.rule.id for one in wrong.values() if one.denial]
    aside = f" (it would deny {len(rules)}: {', '.join(dict.fromkeys(rules))})" if rules else ""
    harmed = [one.workload.name for one in best.workloads if one.is_harmful]
    if harmed and len(harmed) >= helped and not stays:
        why = f"{fitting}{aside}, but would help {helped} and be wrong for {len(harmed)}: {first_of(harmed, _NAMED)}"
        return msgspec.structs.replace(advice, why_none=f"{why}{worse}")
    if wrong and len(wrong) >= fits + len(kept):
        why = f"{fitting}, and is or may be wrong for {len(wrong)}{aside}: {first_of([*wrong], _NAMED)}{worse}"
        return msgspec.structs.replace(advice, why_none=why)
    denied = {one.workload for one in best.denies}
    return msgspec.structs.replace(
        _with(advice, best.effect.policy.name, fits, is_set=stays),
        kept=kept,
        hurts=best.hurts,
        denies=best.denies,
        larger=best.larger,
        acceptable=best.acceptable,
        warns=best.warns,
        undecided=tuple(one for one in undecided if one not in denied),
        before=_additions(best.effect.policy) or _select(first, offered, voting, is_set=stays),
    )


def _without_a_form(advice: NamespaceAdvice, now: PolicyEffect) -> NamespaceAdvice:
    """The advice where no verdict names a form: no GPUs where none are used, else no policy."""
    if advice.unused and not advice.undecided:
        none = _with(advice, NONE, len(advice.unused), is_set=now.policy.name == NONE)
        return msgspec.structs.replace(none, before="" if not none.label else _BEFORE_NONE)
    why = f"which form is enough is not known of {first_of(advice.undecided, _NAMED)}" if advice.undecided else ""
    return msgspec.structs.replace(advice, why_none=why)


def _worse(candidate: Candidate) -> str:
    """Return a clause about a policy that is worse than the one that is not advised."""
    fits = candidate.fits
    whole = sum(one.workload.votes and is_whole(one.workload.verdict.form) for one in candidate.workloads)
    wrong = f", and is or may be wrong for {len(candidate.wrong)}" if candidate.wrong else ""
    # A slice or share is not chosen for few more workloads than need whole GPUs (docs/how-to/recommend.md).
    rule = (
        "; to be chosen, it must fit more than twice as many as need whole GPUs"
        if 0 < whole < fits <= 2 * whole
        else ""
    )
    return f"; {candidate.effect.policy.name} fits {fits}{wrong}{rule}"


def _additions(policy: Policy) -> str:
    """Return what is not checked if a policy changes where pods may run; empty if it does not."""
    if not (policy.additions.node_selector or policy.additions.tolerations):
        return ""
    return (
        "the nodeSelector and tolerations of the policy are not checked here: gpuwarden audit --fleet live reports pods that "
        "no node can run"
    )


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


def _with(advice: NamespaceAdvice, policy: str, fits: int, *, is_set: bool) -> NamespaceAdvice:
    name = advice.namespace
    overwrite = " --overwrite" if advice.labelled else ""
    return msgspec.structs.replace(
        advice,
        policy=policy,
        fits=fits,
        label="" if is_set else f"kubectl label namespace {name} {ENFORCE}={policy}{overwrite}",
        preview="" if is_set else f"gpuwarden audit -n {name} --assume {name}={policy} --fleet live",
    )
