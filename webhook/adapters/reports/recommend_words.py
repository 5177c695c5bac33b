"""Words that every output of ``gpuwarden recommend`` has for people."""

from collections.abc import Iterable, Iterator

from webhook.application.recommendation.measures import Measures
from webhook.application.recommendation.namespaces import NamespaceAdvice
from webhook.application.recommendation.recommend import Cluster, FormCriterion
from webhook.application.recommendation.verdicts import Kind, Verdict


def used(measures: Measures | None) -> list[str]:
    """What a workload used, a line for each number; nothing where nothing is known."""
    if measures is None:
        return []
    lines = [
        f"compute p95 {measures.p95:.0%}, max {measures.most:.0%}",
        f"idle {measures.idle:.0%} of the time",
        _memory(measures),
        f"{measures.points} of {max(measures.expected, measures.points)} points",
    ]
    if measures.profile:
        lines.append(f"on MIG {measures.profile}")
    if measures.shared_by > 1:
        lines.append(f"device total over {measures.shared_by} pods")
    return lines


def _memory(measures: Measures) -> str:
    if measures.memory is None:
        return "memory unknown"
    of = "" if measures.capacity is None else f" of {measures.capacity / 1024:.1f}"
    return f"memory max {measures.memory / 1024:.1f}{of} GiB"


def verdict(found: Verdict) -> str:
    """A verdict in a few words."""
    if found.kind is Kind.FEWER:
        return f"{found.form}, {found.gpus} per pod"
    if found.kind is Kind.AS_IT_IS:
        return f"{found.form}, as it is"
    if found.kind in {Kind.SLICE, Kind.SHARED, Kind.EXCLUSIVE}:
        return found.form
    return found.kind.value


def criteria(found: Iterable[FormCriterion]) -> str:
    """How the form that fits fares by each criterion; where that differs from the form now, with both."""
    each = (
        f"{one.criterion.lower()}: {one.value if one.value == one.now else f'{one.now} → {one.value}'}" for one in found
    )
    return ", ".join(each)


def advice_lines(advice: NamespaceAdvice) -> Iterator[str]:
    """The advice for a namespace in sentences, but for the commands."""
    if advice.policy:
        fits = f"{advice.fits} of {advice.workloads} {'workload' if advice.workloads == 1 else 'workloads'}"
        yield f"policy {advice.policy}: {fits} {'fits' if advice.fits == 1 else 'fit'}"
    else:
        yield "no policy can be recommended yet"
    for hurt in advice.hurts:
        yield f"would hurt {hurt.workload}: {hurt.why}"
    for words, names in (("undecided, would get it too", advice.undecided), ("not used", advice.unused)):
        if names and advice.policy:
            yield f"{words}: {', '.join(names)}"
    if advice.policy and not advice.preview:
        yield "its label says so already"


def cluster_lines(cluster: Cluster) -> Iterator[str]:
    """The sum in sentences."""
    forms = (f"{one.form} {one.before} → {one.after}" for one in cluster.forms)
    yield f"running pods request: {', '.join(forms) or 'no GPUs'}"
    if cluster.before and cluster.after:
        before, after = cluster.before, cluster.after
        room = f"; {before.without_room} → {after.without_room} pods without room"
        yield (
            f"packed onto the {cluster.gpus} GPUs of the nodes: {before.gpus} → {after.gpus} in use, "
            f"{before.free} → {after.free} free, {before.free_nodes} → {after.free_nodes} nodes empty"
            + (room if before.without_room or after.without_room else "")
        )
