"""Advice for a namespace: the policy that fits most of its workloads, and those that it would hurt."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ...engine.forms import Form, parse
from ...engine.labels import ENFORCE, NamespaceLabels
from .offers import Offers, SharedForm, Slice
from .workload_verdicts import VerdictKind, WorkloadVerdict


class JudgedWorkload(msgspec.Struct, frozen=True):
    """A workload of a namespace.

    Attributes:
        name: for people.
        stated: the form that its requests name; empty where they name none.
        form: the form that it has.
    """

    name: str
    stated: str
    verdict: WorkloadVerdict
    form: str = ""


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
    """What fits a namespace.

    Attributes:
        labelled: the policy of its current label; empty without one.
        policy: the one that fits most; empty where nothing says which.
        workloads, fits: how many workloads request GPUs, and how many have the policy as their verdict.
        hurts: those that it would hurt.
        stating: those that name another form in their requests, which the policy would deny.
        undecided: those without a verdict that names a form; they would get it, too.
        unused: those that do not use their GPUs.
        select: what to do before the label is set, where several GPU models have the form.
        why_none: why no policy is advised though one fits some.
        label, preview: the command that sets the label, and the one that shows first what it does.
    """

    namespace: str
    labelled: str
    trusted: bool
    workloads: int
    policy: str = ""
    fits: int = 0
    hurts: tuple[HarmedWorkload, ...] = ()
    stating: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    select: str = ""
    why_none: str = ""
    label: str = ""
    preview: str = ""


def advise(
    namespace: str, judged: Sequence[JudgedWorkload], offered: Offers, labels: NamespaceLabels, *, trusted: bool
) -> NamespaceAdvice:
    """Return the policy, of those among the verdicts, with the most workloads that it fits minus those that it would hurt.

    In this choice, a policy of whole GPUs hurts no workload that has one; once chosen, it hurts those for which less is enough,
    because it keeps the smaller form from them. No policy is advised that is, or may be, wrong for as many workloads as it fits:
    those that it would hurt, those without a verdict, and those that name another form, which are denied. Nor is one advised that
    is not set and would hurt as many workloads as it would help: those that have its form already, and those that it would deny,
    are not helped. The policy ``none`` is advised only where no workload uses its GPUs, and one of sharing only where the
    namespace is trusted, even if its workloads share already.
    """
    voting = [one for one in judged if one.verdict.kind in _VOTING]
    unused = tuple(one.name for one in judged if one.verdict.kind is VerdictKind.UNUSED)
    undecided = tuple(one.name for one in judged if one.verdict.kind in {VerdictKind.UNKNOWN, VerdictKind.BATCH})
    advice = NamespaceAdvice(namespace, labels.enforce or "", trusted, len(judged), unused=unused, undecided=undecided)
    if not voting:
        return _with(advice, "none", len(unused), ()) if unused and not undecided else advice
    slices = {str(one.form): one for one in offered.slices}
    best = max(dict.fromkeys(one.verdict.form for one in voting), key=lambda policy: _score(policy, voting, slices))
    fits = sum(one.verdict.form == best for one in voting)
    if not trusted and (form := parse(best)) and form.shared:
        return msgspec.structs.replace(advice, why_none=f"{best} fits {fits} of {len(judged)} workloads; {_UNTRUSTED}")
    if offered.lacks(best):
        return msgspec.structs.replace(advice, why_none=f"{best} fits {fits} of {len(judged)} workloads; {_MISMATCHED}")
    hurts = tuple(
        HarmedWorkload(one.name, why) for one in voting if (why := _hurt(best, one, slices) or _wasted(best, one))
    )
    wrong = dict.fromkeys((*(one.name for one in judged if _is_doubtful(best, one)), *(one.workload for one in hurts)))
    stating = tuple(one.name for one in judged if one.stated and not _permits(best, one.stated))
    helped = sum(one.verdict.form == best != one.form and one.name not in stating for one in voting)
    if hurts and len(hurts) >= helped and best != labels.enforce:
        whom = _named(one.workload for one in hurts)
        why = f"{best} fits {fits} of {len(judged)} workloads, but would help {helped} and hurt {len(hurts)}: {whom}"
        return msgspec.structs.replace(advice, why_none=why)
    if wrong and len(wrong) >= fits:
        denied = sum(one in wrong for one in stating)
        aside = f" (it would deny {denied}, since they name another form)" if denied else ""
        why = f"{best} fits {fits} of {len(judged)} workloads, and is or may be wrong for {len(wrong)}{aside}: {_named(wrong)}"
        return msgspec.structs.replace(advice, why_none=why)
    found = _with(advice, best, fits, hurts)
    return msgspec.structs.replace(
        found,
        stating=stating,
        undecided=tuple(one for one in undecided if one not in stating),
        select=_select(best, offered) if found.label else "",
    )


def _named(workloads: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = [*workloads]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _select(policy: str, offered: Offers) -> str:
    """Return what to do before setting a policy whose form several GPU models have; empty for other policies."""
    every: tuple[Slice | SharedForm, ...] = (*offered.slices, *offered.shared)
    having = {model for one in every if str(one.form) == policy for model in one.models - {""}}
    if len(having) <= 1:
        return ""
    return (
        f"several GPU models have {policy} ({', '.join(sorted(having))}), and the policy does not select one: before you set the "
        "label, have each pod select the model that it was measured on, by the label nvidia.com/gpu.product"
    )


def _wasted(policy: str, judged: JudgedWorkload) -> str:
    """Return which smaller form a policy of whole GPUs would keep from a workload; empty if none."""
    form = parse(policy) or Form()
    less = judged.verdict.kind in {VerdictKind.SLICE, VerdictKind.SHARED}
    return f"{judged.verdict.form} is enough" if less and not (form.partition or form.shared) else ""


def _is_doubtful(policy: str, judged: JudgedWorkload) -> bool:
    """Whether a policy may be wrong for a workload that uses its GPUs: it has no verdict, or the policy would deny it."""
    if judged.verdict.kind is VerdictKind.UNUSED:
        return False
    return judged.verdict.kind not in _VOTING or bool(judged.stated and not _permits(policy, judged.stated))


def _permits(policy: str, stated: str) -> bool:
    """Whether a policy permits the form that a request names."""
    one, other = parse(policy), parse(stated)
    return one is not None and other is not None and one.meet(other, across_platforms=True) is not None


def _with(advice: NamespaceAdvice, policy: str, fits: int, hurts: tuple[HarmedWorkload, ...]) -> NamespaceAdvice:
    name = advice.namespace
    overwrite = " --overwrite" if advice.labelled else ""
    is_set = advice.labelled == policy
    return msgspec.structs.replace(
        advice,
        policy=policy,
        fits=fits,
        hurts=hurts,
        label="" if is_set else f"kubectl label namespace {name} {ENFORCE}={policy}{overwrite}",
        preview="" if is_set else f"gpuwarden audit -n {name} --assume {name}={policy}",
    )


def _score(policy: str, voting: Sequence[JudgedWorkload], slices: Mapping[str, Slice]) -> tuple[int, int, bool]:
    hurt = sum(bool(_hurt(policy, one, slices)) for one in voting)
    fits = sum(one.verdict.form == policy for one in voting)
    form = parse(policy)
    return fits - hurt, -hurt, form is not None and not form.shared


def _hurt(policy: str, judged: JudgedWorkload, slices: Mapping[str, Slice]) -> str:
    """Return why a policy would hurt a workload, or the cluster by it; empty if it would not."""
    verdict = judged.verdict
    given, needed, now = (parse(one) or Form() for one in (policy, verdict.form, judged.form))
    small, large = slices.get(policy), slices.get(verdict.form)
    why = f"needs {verdict.form}"
    if policy == verdict.form:
        why = ""
    elif not (given.partition or given.shared):
        has_enough = (needed.partition or needed.shared) and (now.partition or now.shared)
        why = f"has {judged.form}, and would get a whole GPU" if has_enough else ""
    elif verdict.gpus > 1:
        why = f"needs {verdict.gpus} GPUs"
    elif not (needed.partition or needed.shared):
        why = "needs a whole GPU"
    elif given.shared:
        why = "" if needed.shared else f"needs memory of its own ({verdict.form})"
    elif small and large and small.share >= large.share and (small.memory or 0) >= (large.memory or 0):
        why = ""
    return why
