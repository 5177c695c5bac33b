"""Texts that all outputs of ``gpuwarden recommend`` for people share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ...application.recommendation.measures import Measures
from ...application.recommendation.namespace_advice import NamespaceAdvice
from ...application.recommendation.recommend import ClusterSum, FormCriterion, Recommendation, WorkloadRecommendation
from ...application.recommendation.verdict_reasons import percent
from ...application.recommendation.verdicts import VerdictKind, WorkloadVerdict
from ...engine.text import plural


def by_namespace(
    found: Recommendation, most: int | None = None
) -> Iterator[tuple[NamespaceAdvice, list[WorkloadRecommendation]]]:
    """Yield the first workloads, or all, with the advice for their namespace."""
    advice = {one.namespace: one for one in found.namespaces}
    for namespace, lines in groupby(found.workloads[:most], key=lambda line: line.namespace):
        yield advice[namespace], list(lines)


def used(measures: Measures | None) -> list[str]:
    """The usage of a workload, one phrase for each number that is known."""
    if measures is None:
        return []
    phrases = [
        f"compute p95 {percent(measures.p95)}, max {percent(measures.most)}",
        f"idle {percent(measures.idle)} of the time",
        _memory(measures),
        f"{measures.points} of {max(measures.expected, measures.points)} points",
    ]
    if measures.engines:
        phrases.append(f"video engines max {percent(measures.engines)}")
    if measures.profile:
        phrases.append(f"on MIG {measures.profile}")
    if measures.shared_by > 1:
        phrases.append(f"device total over {measures.shared_by} pods")
    return phrases


def _memory(measures: Measures) -> str:
    if measures.memory is None:
        return "memory unknown"
    of = "" if measures.capacity is None else f" of {measures.capacity / 1024:.1f}"
    return f"memory max {measures.memory / 1024:.1f}{of} GiB"


def verdict(found: WorkloadVerdict) -> str:
    """A verdict in a few words."""
    if found.kind is VerdictKind.FEWER:
        return f"{found.form}, {found.gpus} per pod"
    if found.kind is VerdictKind.AS_IT_IS:
        return f"{found.form}, as it is"
    if found.kind in {VerdictKind.SLICE, VerdictKind.SHARED, VerdictKind.EXCLUSIVE}:
        return found.form
    return found.kind.value


def changes(found: Sequence[FormCriterion]) -> Iterator[str]:
    """The properties of the current form that the recommended form keeps, and those that it changes."""
    kept = [one.criterion.lower() for one in found if one.value == one.now]
    changed = [f"{one.criterion.lower()} {one.now} → {one.value}" for one in found if one.value != one.now]
    if changed:
        yield f"changes {', '.join(changed)}"
        if kept:
            yield f"keeps {', '.join(kept)}"


def criteria(found: Iterable[FormCriterion]) -> str:
    """The rating of the recommended form by each criterion, and that of the current form if it differs."""
    each = (
        f"{one.criterion.lower()}: {one.value if one.value == one.now else f'{one.now} → {one.value}'}" for one in found
    )
    return ", ".join(each)


def advice_lines(advice: NamespaceAdvice) -> Iterator[str]:
    """The advice for a namespace in sentences, without the commands."""
    if advice.label_problem:
        yield advice.label_problem
    if advice.policy:
        fits = f"{advice.fits} of {plural(advice.workloads, 'workload')}"
        yield f"policy {advice.policy}: {fits} {'fits' if advice.fits == 1 else 'fit'}"
    else:
        yield "no policy can be recommended yet" + (f": {advice.why_none}" if advice.why_none else "")
    for hurt in advice.hurts:
        yield f"would hurt {hurt.workload}: {hurt.why}"
    for denied in advice.denies:
        yield f"would deny {denied.workload}: {denied.why}"
    for warned in advice.warns:
        yield f"would warn about {warned.workload}: {warned.why}"
    for words, names in (
        ("would keep the form that they have (how much they need is not known)", advice.kept),
        ("would get more than they need", advice.larger),
        ("would share in another way than suits them best, which is enough too", advice.acceptable),
        ("undecided, would get it too", advice.undecided),
        ("not used", advice.unused),
    ):
        if names and advice.policy:
            yield f"{words}: {', '.join(names)}"
    if advice.before:
        yield advice.before
    if advice.policy and not advice.preview:
        yield f"{'its label' if advice.labelled else 'the default of the configuration'} already names it"


def cluster_lines(cluster: ClusterSum) -> Iterator[str]:
    """The sum in sentences."""
    forms = (f"{one.form} {one.before} → {one.after}" for one in cluster.forms)
    yield f"running pods request: {', '.join(forms) or 'no GPUs'}"
    if cluster.before and cluster.after:
        before, after = cluster.before, cluster.after
        room = f"; {before.without_room} → {after.without_room} pods without room"
        yield (
            f"packed onto the {cluster.gpus} GPUs of the nodes (first fit decreasing; GPUs with MIG may be partitioned again): "
            f"{before.gpus} → {after.gpus} in use, "
            f"{before.free} → {after.free} free, {before.free_nodes} → {after.free_nodes} nodes empty"
            + (room if before.without_room or after.without_room else "")
        )
