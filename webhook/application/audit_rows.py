"""The rows of an audit: what was found by its controllers, so that a Deployment of 300 replicas is one."""

from collections.abc import Iterable, Mapping

import msgspec

from webhook.application.auditing import BETWEEN, Found, Owner, Seen, Verdict
from webhook.application.workloads import is_workload


class Row(msgspec.Struct):
    """A controller, a pod without one, or an object in a file.

    Attributes:
        template: what becomes of pods created from its template (or of the pod, for one in a manifest); ``None`` where it has
            none, or one that neither requests GPUs nor has resource claims.
        pods: the pods that do, running or pending, by the verdict on each.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    source: str | None = None
    line: int | None = None
    template: Verdict | None = None
    pods: dict[Verdict, int] = msgspec.field(default_factory=dict)

    @property
    def kind_is_unread(self) -> bool:
        """Whether it is of a kind whose objects are not checked, so that it is known by its pods alone."""
        return not is_workload(self.api_version, self.kind)

    @property
    def verdict(self) -> Verdict:
        """What becomes of its next pod: the template's verdict, or where there is none the worst of its pods'."""
        return self.template or max(self.pods, key=lambda verdict: verdict.rank)

    def running(self, decision: str) -> int:
        """How many pods would get this decision if they were created now; exempt pods are not counted."""
        return sum(n for verdict, n in self.pods.items() if verdict.decision == decision and not verdict.exempt)


def rows(found: Iterable[Found]) -> list[Row]:
    """Objects by their controllers, in the order of namespace, kind and name."""
    everything = list(found)
    links = {
        (one.seen.namespace, *one.seen.key): one.seen.owner
        for one in everything
        if one.seen.owner and one.seen.kind in BETWEEN
    }
    made: list[Row] = []
    named: dict[tuple[str, str, str], Row] = {}
    judged = [(one.seen, one.verdict, _top(one.seen, links)) for one in everything if one.verdict is not None]
    # Controllers first, so that the pods of each have a row to be counted in.
    judged.sort(key=lambda one: one[0].key != one[2].key)
    for seen, verdict, top in judged:
        key = (seen.namespace, *top.key)
        row = named.get(key)
        # An object that stands twice in files is two: a base and its overlay, say.
        if row is None or (row.source is not None and seen.key == top.key):
            row = Row(top.api_version, top.kind, seen.namespace, top.name, top.uid, seen.source, seen.line)
            made.append(row)
            named.setdefault(key, row)
        if seen.running:
            row.pods[verdict] = row.pods.get(verdict, 0) + 1
        elif row.template is None or verdict.rank > row.template.rank:
            row.template = verdict
    return sorted(made, key=lambda row: (row.namespace, row.kind, row.name, row.source or "", row.line or 0))


def _top(seen: Seen, links: Mapping[tuple[str, str, str], Owner | None]) -> Owner:
    """The controller that a person knows an object by."""
    own = Owner(seen.api_version, seen.kind, seen.name, seen.uid)
    if seen.owner is None or not (seen.kind == "Pod" or seen.kind in BETWEEN):
        return own
    top = seen.owner
    passed = {top.key}
    while above := links.get((seen.namespace, *top.key)):
        if above.key in passed:
            break
        passed.add(above.key)
        top = above
    return top
