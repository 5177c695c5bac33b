"""The operators' kinds of a cluster and their objects, for an audit. Objects are read completely, and evaluated like files."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ...application.operator_kinds import AUDITED
from ...application.other_kinds import OtherKind
from ...application.workload_kinds import WorkloadKind
from .discovery import Discovery
from .lists import PAGE, Api, Lister, Progress
from .other_kinds import CustomKind

T = TypeVar("T")


class OperatorReader:
    """Reads objects of operators' kinds from a cluster.

    Args:
        api: the API server.
        discovery: its groups, versions and resources.
        progress: receives the progress of lists, if given.
        limit: objects per page.
        rows: the kinds to read.
    """

    def __init__(
        self,
        api: Api,
        discovery: Discovery,
        progress: Progress | None = None,
        *,
        limit: int = PAGE,
        rows: Sequence[WorkloadKind] = AUDITED,
    ) -> None:
        self._discovery = discovery
        self._rows = rows
        self._lister = Lister(api, progress, limit=limit)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects were read, by the plural of their kind with its group."""
        return self._lister.counts

    def kinds(self) -> list[tuple[WorkloadKind, str]]:
        """Return the kinds of the table that the cluster has, each with a version in which it is served.

        Raises:
            UnknownKindsError: the API server does not list its groups.
            ApiError: the request to the API server failed.
        """
        served = self._discovery.groups
        plurals = {
            (group, version): {one.name for one in self._discovery.resources(group, version)}
            for group in dict.fromkeys(row.group for row in self._rows)
            for version in served.get(group, ())
        }
        found = []
        for row in self._rows:
            versions = dict.fromkeys((*row.versions, *served.get(row.group, ())))
            having = (version for version in versions if row.plural in plurals.get((row.group, version), ()))
            if version := next(having, None):
                found.append((row, version))
        return found

    def objects(self, namespaces: Sequence[str], keep: Callable[[dict[str, Any]], T | None]) -> Iterator[T | OtherKind]:
        """Yield the results of ``keep`` for every object, in these namespaces or (if none is named) in all.

        ``keep`` is called again for each object if a list has to start over.

        Yields:
            What was kept, and an entry for each kind whose objects can't be listed.

        Raises:
            UnknownKindsError: the API server does not list its groups.
            ApiError: the request to the API server failed.
        """
        for row, version in self.kinds():
            yield from CustomKind(row.group, version, row.kind, row.plural).objects(self._lister, namespaces, keep)
