"""Queries in batches, some at a time; a batch that is too much for the server is split."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from ...engine.text import first_of
from ..kubernetes.lists import Progress
from . import expressions
from .client import QueryError, Sample

WORKERS = 4  # queries at a time
_NAMED = 3  # of the pods or devices that can't be read

T = TypeVar("T")


class PrometheusServer(Protocol):
    """A Prometheus server; see ``Prometheus``."""

    requests: int
    warnings: dict[str, None]

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return an expression's value.

        Raises:
            QueryError: there is none.
        """

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """Return the labels of series.

        Raises:
            QueryError: there is no answer.
        """


class QueryBatches:
    """Queries about a window of ``window`` seconds that ends at ``end`` (seconds since 1970).

    Attributes:
        labels: only series with one of the values of each of these labels count.
        only: the matchers of these labels, for expressions.
        notes: what can't be read or used, in sentences.
    """

    def __init__(
        self,
        server: PrometheusServer,
        end: float,
        window: float,
        labels: Mapping[str, Collection[str]],
        progress: Progress | None,
    ) -> None:
        self._server = server
        self._progress = progress
        self.end, self.window = end, window
        self.labels = labels
        self.only = expressions.with_labels(labels)
        self.notes: list[str] = []

    def series(self, selectors: Sequence[str]) -> list[dict[str, str]]:
        """Return the labels of the series that any of these selectors selects.

        Raises:
            QueryError: there was no usable answer.
        """
        try:
            return self._server.series(selectors, self.end - self.window, self.end)
        except QueryError as error:
            if not error.too_much:
                raise
            fix = "read fewer namespaces at a time (-n), or a shorter time (--window)"
            raise QueryError(f"{error.detail}; {fix}", too_much=True) from error

    def samples(
        self, what: str, items: Sequence[T], size: int, query: Callable[[Sequence[T]], str]
    ) -> Iterator[Sample]:
        """Yield the samples of ``query`` for at most ``size`` items at a time; ``what`` is read, for people.

        Raises:
            QueryError: there was no usable answer.
        """
        batches = [items[at : at + size] for at in range(0, len(items), size)]
        unread: dict[str, list[str]] = {}
        with ThreadPoolExecutor(WORKERS) as workers:
            for number, samples in enumerate(workers.map(lambda batch: self._query(batch, query, unread), batches)):
                self.show(what, number + 1, len(batches))
                yield from samples
        for why, names in unread.items():
            self.notes.append(f"{what} of {first_of(names, _NAMED)} can't be read: {why}")

    def show(self, what: str, done: int, total: int) -> None:
        """Show progress."""
        if self._progress:
            self._progress.read(what, done, total)

    def _query(
        self, items: Sequence[T], query: Callable[[Sequence[T]], str], unread: dict[str, list[str]]
    ) -> list[Sample]:
        """The samples of a query for these items; the items are split in halves if they are too many for the server.

        An item that is too much on its own is added to ``unread``, by the server's reason.
        """
        try:
            return self._server.query(query(items), self.end)
        except QueryError as error:
            if not error.too_much:
                raise
            if len(items) == 1:
                unread.setdefault(error.detail, []).append(_named(items[0]))
                return []
        half = len(items) // 2
        return self._query(items[:half], query, unread) + self._query(items[half:], query, unread)


def _named(item: object) -> str:
    """A device, or a pod by its namespace and name, for people."""
    return "/".join(item) if isinstance(item, tuple) else str(item)
