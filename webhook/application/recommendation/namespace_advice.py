"""Advice for a namespace: the policy that fits most of its workloads, and those that it would hurt."""

from collections.abc import Mapping, Sequence

import msgspec

from ...engine.forms import Form, parse
from ...engine.labels import ENFORCE, NamespaceLabels
from ...engine.policy import Policy, PolicyBook, Prefer
from ...engine.text import first_of
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


BUILT_IN_POLICIES = PolicyBook()
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
        policy: the one that fits most, or the one in force if that gives the same form; empty where nothing says which.
        workloads, fits: how many workloads request GPUs, and how many have the policy as their verdict.
        hurts: those that it would hurt.
        stating: those that name another form in their requests, which the policy would deny.
        larger: those that would get a larger slice than they need, in place of a whole GPU.
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
    larger: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    select: str = ""
    why_none: str = ""
    label: str = ""
    preview: str = ""


class _InForce(msgspec.Struct, frozen=True):
    """The policy that applies now, by the label or by default.

    Attributes:
        name: what selects it.
        first: the form that plain requests get; empty if it has none, or if that depends on the nodes.
        others: the further forms that it permits.
    """

    name: str
    first: str
    others: tuple[Form, ...] = ()

    @classmethod
    def of(cls, policy: Policy, offered: Offers) -> "_InForce":
        if not policy.forms or policy.plain_claim:
            return cls(policy.name, "")
        if policy.prefer is Prefer.OFFERED and policy.forms[0] not in {one.form for one in _small(offered)}:
            return cls(policy.name, "")
        return cls(policy.name, str(policy.forms[0]), policy.forms[1:])

    def given(self, policy: str, judged: JudgedWorkload) -> str:
        """Return the form that a workload gets under a policy: the one that it names, where this policy permits it as well."""
        keeps = policy == self.first and any(_permits(str(form), judged.stated) for form in self.others)
        return judged.stated if keeps else policy

    def now(self, judged: JudgedWorkload) -> str:
        """Return the form that the workload's next pods get: the policy may be newer than the running ones."""
        return judged.form if judged.stated or not self.first else self.first


def advise(  # noqa: PLR0913 - a namespace, and all that the choice depends on
    namespace: str,
    judged: Sequence[JudgedWorkload],
    offered: Offers,
    labels: NamespaceLabels,
    *,
    trusted: bool,
    policies: PolicyBook = BUILT_IN_POLICIES,
) -> NamespaceAdvice:
    """Return the policy, of those among the verdicts, with the most workloads that it fits minus those that it would hurt.

    In this choice, a policy of whole GPUs hurts no workload that has one; once chosen, it hurts those for which less is enough,
    because it keeps the smaller form from them. No policy is advised that is, or may be, wrong for as many workloads as it fits:
    those that it would hurt, those without a verdict, and those that name another form, which are denied. Nor is one advised that
    is not set and would hurt as many workloads as it would help: those that have its form already, and those that it would deny,
    are not helped. The policy ``none`` is advised only where no workload uses its GPUs, and one of sharing only where the
    namespace is trusted, even if its workloads share already. A policy in force (by the label or by default) that gives the form
    found stays, with the further forms that it permits.
    """
    now = _InForce.of(policies.select(labels).enforce, offered)
    voting = [one for one in judged if one.verdict.kind in _VOTING]
    unused = tuple(one.name for one in judged if one.verdict.kind is VerdictKind.UNUSED)
    undecided = tuple(one.name for one in judged if one.verdict.kind in {VerdictKind.UNKNOWN, VerdictKind.BATCH})
    advice = NamespaceAdvice(namespace, labels.enforce or "", trusted, len(judged), unused=unused, undecided=undecided)
    if not voting:
        is_set = now.name == "none"
        return _with(advice, "none", len(unused), (), is_set=is_set) if unused and not undecided else advice
    slices = {str(one.form): one for one in offered.slices}
    best = max(
        dict.fromkeys(one.verdict.form for one in voting), key=lambda policy: _score(policy, voting, slices, now)
    )
    fits = sum(one.verdict.form == now.given(best, one) for one in voting)
    if not trusted and (form := parse(best)) and form.shared:
        return msgspec.structs.replace(advice, why_none=f"{best} fits {fits} of {len(judged)} workloads; {_UNTRUSTED}")
    if offered.lacks(best):
        return msgspec.structs.replace(advice, why_none=f"{best} fits {fits} of {len(judged)} workloads; {_MISMATCHED}")
    hurts = tuple(
        HarmedWorkload(one.name, why)
        for one in voting
        if (why := _hurt(now.given(best, one), one, slices) or _wasted(now.given(best, one), one))
    )
    doubtful = (one.name for one in judged if _is_doubtful(now.given(best, one), one))
    wrong = dict.fromkeys((*doubtful, *(one.workload for one in hurts)))
    stating = tuple(one.name for one in judged if one.stated and not _permits(now.given(best, one), one.stated))
    helped = sum(one.verdict.form == best != now.now(one) and one.name not in stating for one in voting)
    if hurts and len(hurts) >= helped and best != now.first:
        whom = first_of([one.workload for one in hurts], _NAMED)
        why = f"{best} fits {fits} of {len(judged)} workloads, but would help {helped} and hurt {len(hurts)}: {whom}"
        return msgspec.structs.replace(advice, why_none=why)
    if wrong and len(wrong) >= fits:
        denied = sum(one in wrong for one in stating)
        aside = f" (it would deny {denied}, since they name another form)" if denied else ""
        whom = first_of([*wrong], _NAMED)
        why = f"{best} fits {fits} of {len(judged)} workloads, and is or may be wrong for {len(wrong)}{aside}: {whom}"
        return msgspec.structs.replace(advice, why_none=why)
    found = _with(advice, now.name if best == now.first else best, fits, hurts, is_set=best == now.first)
    return msgspec.structs.replace(
        found,
        stating=stating,
        larger=tuple(one.name for one in voting if one.name not in {*stating, *wrong} and _is_larger(best, one, now)),
        undecided=tuple(one for one in undecided if one not in stating),
        select=_select(best, offered) if found.label else "",
    )


def _small(offered: Offers) -> tuple[Slice | SharedForm, ...]:
    """All that is offered besides whole GPUs."""
    return (*offered.slices, *offered.shared)


def _select(policy: str, offered: Offers) -> str:
    """Return what to do before setting a policy whose form several GPU models have; empty for other policies."""
    having = {model for one in _small(offered) if str(one.form) == policy for model in one.models - {""}}
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


def _score(
    policy: str, voting: Sequence[JudgedWorkload], slices: Mapping[str, Slice], now: _InForce
) -> tuple[int, int, bool]:
    hurt = sum(bool(_hurt(now.given(policy, one), one, slices)) for one in voting)
    fits = sum(one.verdict.form == now.given(policy, one) for one in voting)
    form = parse(policy)
    return fits - hurt, -hurt, form is not None and not form.shared


def _hurt(policy: str, judged: JudgedWorkload, slices: Mapping[str, Slice]) -> str:
    """Return why a policy would hurt a workload, or the cluster by it; empty if it would not."""
    verdict = judged.verdict
    given, needed, now = (parse(one) or Form() for one in (policy, verdict.form, judged.form))
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
    elif _covers(policy, verdict.form, slices):
        # Pods that name their form are denied, or keep it.
        enlarged = _covers(judged.form, verdict.form, slices) and not _covers(judged.form, policy, slices)
        why = f"has {judged.form}, and would get {policy}" if enlarged and not judged.stated else ""
    return why


def _is_larger(policy: str, judged: JudgedWorkload, now: _InForce) -> bool:
    """Whether a policy that hurts a workload in no way gives it a larger slice than is enough."""
    given = now.given(policy, judged)
    return judged.verdict.kind is VerdictKind.SLICE and given != judged.verdict.form


def _covers(slice_: str, other: str, slices: Mapping[str, Slice]) -> bool:
    """Whether a slice is at least as large as another one; not where either is not offered."""
    large, small = slices.get(slice_), slices.get(other)
    return bool(large and small and large.share >= small.share and (large.memory or 0) >= (small.memory or 0))
