"""The operators' kinds that a cluster has, and their objects, as an audit reads them: whole, for they are judged as in files."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from webhook.adapters.kubernetes.documents import decode
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.lists import PAGE, Api, Lister, Page, Progress
from webhook.adapters.kubernetes.other_kinds import UnknownKindsError
from webhook.adapters.kubernetes.request import Request, path_of
from webhook.application.operator_kinds import AUDITED
from webhook.application.other_kinds import OtherKind
from webhook.application.workload_kinds import WorkloadKind

T = TypeVar("T")
_ABSENT = (Fault.FORBIDDEN, Fault.NOT_FOUND)


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct):
    name: str
    versions: list[_Version]


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class _Resource(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


class OperatorReader:
    """Reads objects of operators' kinds from a cluster.

    Args:
        api: the API server.
        progress: who is told how far a list is, if anybody.
        limit: objects a page.
        rows: the kinds that are looked for.
    """

    def __init__(
        self,
        api: Api,
        progress: Progress | None = None,
        *,
        limit: int = PAGE,
        rows: Sequence[WorkloadKind] = AUDITED,
    ) -> None:
        self._api = api
        self._rows = rows
        self._lister = Lister(api, progress, limit=limit)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects were read, by the plural of their kind with its group."""
        return self._lister.counts

    def kinds(self) -> list[tuple[WorkloadKind, str]]:
        """Return the kinds of the table that the cluster has, each with a version in which it is served.

        Raises:
            UnknownKindsError: the API server does not say which groups it has.
            ApiError: the server could not be asked.
        """
        request = Request("GET", path_of("apis"))
        try:
            groups = decode(self._api.call(request), _Groups, str(request)).groups
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                return []
            if error.fault is Fault.FORBIDDEN:
                raise UnknownKindsError(error.detail) from error
            raise
        served = {group.name: [one.version for one in group.versions] for group in groups}
        plurals = {
            (group, version): self._plurals(group, version)
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

    def _plurals(self, group: str, version: str) -> set[str]:
        """The resources of a version; none of one that is not served any more, or by a server that is down."""
        request = Request("GET", path_of("apis", group, version))
        try:
            return {one.name for one in decode(self._api.call(request), _Resources, str(request)).resources}
        except ApiError as error:
            if error.fault not in _ABSENT:
                raise
            return set()

    def objects(self, namespaces: Sequence[str], keep: Callable[[dict[str, Any]], T | None]) -> Iterator[T | OtherKind]:
        """Return what ``keep`` makes of every object, in these namespaces or (if none is named) in all.

        ``keep`` is given each object again, should a list have to start over.

        Yields:
            What was kept, and for a kind that may not be listed, that.

        Raises:
            UnknownKindsError: the API server does not say which groups it has.
            ApiError: the server could not be asked.
        """
        for row, version in self.kinds():
            api_version = f"{row.group}/{version}"

            def look(item: dict[str, Any], api_version: str = api_version, kind: str = row.kind) -> T | None:
                return keep({**item, "apiVersion": api_version, "kind": kind})

            try:
                for namespace in namespaces or (None,):
                    within = ("namespaces", namespace) if namespace else ()
                    path = path_of("apis", row.group, version, *within, row.plural)
                    yield from self._lister.all(f"{row.plural}.{row.group}", path, Page[dict[str, Any]], look)
            except ApiError as error:
                if error.fault is Fault.FORBIDDEN:
                    yield OtherKind(api_version, row.kind, row.plural, detail=error.detail)
                elif error.fault is not Fault.NOT_FOUND:
                    raise
