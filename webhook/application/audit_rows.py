"""The rows of an audit: objects grouped by their controllers, so that a Deployment of 300 replicas is one row."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from .auditing import AuditEntry, Owner, PodVerdict, WorkloadObject
from .kind_lookup import workload_of
from .pod_counts import PlannedPods
from .rule_texts import NOT_EVALUATED


class Row(msgspec.Struct):
    """A controller, a pod without one, or an object in a file.

    Attributes:
        template: what becomes of pods created from its template (or of the pod, for one in a manifest); ``None`` if it has
            none, or one that neither requests GPUs nor has resource claims.
        pods: its running and pending pods that request GPUs or have claims, counted by verdict.
        suspended: whether it has no pods until it is resumed.
        count: how many pods it will have, if its kind is built in; for an operator's kind, the verdict contains it.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    source: str | None = None
    line: int | None = None
    template: PodVerdict | None = None
    pods: dict[PodVerdict, int] = msgspec.field(default_factory=dict)
    suspended: bool = False
    count: PlannedPods = PlannedPods()

    @property
    def kind_is_unread(self) -> bool:
        """Whether objects of its kind are not checked, so that only its pods are known."""
        return self.template is None and workload_of(self.api_version, self.kind) is None

    @property
    def verdict(self) -> PodVerdict:
        """The verdict on its next pod: that of its template or, without one, the worst of its pods."""
        return self.template or max(self.pods, key=lambda verdict: verdict.rank)

    @property
    def uncounted(self) -> str:
        """Why the number of GPUs is not known; empty if its pods or its counts show it."""
        return "" if self.pods or not self.verdict.forms else self.count.unknown or self.verdict.uncounted

    @property
    def outcomes(self) -> Counter[str]:
        """How many of its pods would get each outcome if they were created now; an exempt one counts only as exempt."""
        found: Counter[str] = Counter()
        for verdict, number in self.pods.items():
            found[verdict.outcome_or_exempt] += number
        return found


def rows(found: Iterable[AuditEntry]) -> list[Row]:
    """Objects by their controllers, in the order of namespace, kind and name."""
    everything = list(found)
    links = {
        (one.workload.namespace, *one.workload.key): one.workload.owner for one in everything if one.workload.owner
    }
    there = {(one.workload.namespace, *one.workload.key) for one in everything}
    made: list[Row] = []
    named: dict[tuple[str, str, str], Row] = {}
    evaluated = [
        (one.workload, one.verdict, _top(one.workload, links, there)) for one in everything if one.verdict is not None
    ]
    # Controllers first, so that the pods of each have a row to be counted in.
    evaluated.sort(key=lambda one: one[0].key != one[2].key)
    for workload, verdict, top in evaluated:
        key = (workload.namespace, *top.key)
        row = named.get(key)
        # An object that appears twice in files is two, such as a base and its overlay.
        if row is None or (row.source is not None and workload.key == top.key):
            row = Row(top.api_version, top.kind, workload.namespace, top.name, top.uid, workload.source, workload.line)
            made.append(row)
            named.setdefault(key, row)
        if workload.running:
            row.pods[verdict] = row.pods.get(verdict, 0) + 1
        elif row.template is None or row.template.decision == NOT_EVALUATED or verdict.rank > row.template.rank:
            # If an object could not be evaluated, the objects made from it can.
            row.template = verdict
            row.count = workload.count
        if workload.key == top.key or key not in there:
            row.suspended = row.suspended or workload.suspended
    for row in made:
        row.suspended = row.suspended and not row.pods
    return sorted(made, key=lambda row: (row.namespace, row.kind, row.name, row.source or "", row.line or 0))


def _top(
    workload: WorkloadObject,
    links: Mapping[tuple[str, str, str], Owner | None],
    there: Collection[tuple[str, str, str]],
) -> Owner:
    """Return the topmost controller of an object, which is the object that users know.

    Pods, and kinds between pods and what a user created, always count as part of their controller; others only if it was read.
    """
    top = Owner(workload.api_version, workload.kind, workload.name, workload.uid)
    passed = {top.key}
    above = workload.owner
    while above and above.key not in passed:
        if not (top.kind == "Pod" or top.is_between or (workload.namespace, *above.key) in there):
            break
        top = above
        passed.add(top.key)
        above = links.get((workload.namespace, *top.key))
    return top
