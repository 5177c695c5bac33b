"""The interface by which admission reads a namespace's labels, and the two ways in which it can fail."""

from typing import Protocol

from ..engine.namespace_labels import NamespaceLabels
from ..engine.text import cut

_LONGEST_REASON = 1024


class NamespaceNotFound(Exception):  # noqa: N818 - named after what happened, as the HTTP status is
    """The API server has no such namespace."""

    def __init__(self, name: str) -> None:
        super().__init__(f'namespace "{name}" does not exist')
        self.name = name


class NamespaceUnavailable(Exception):  # noqa: N818 - named after what happened, as the HTTP status is
    """The namespace's labels could not be read. This is never treated as if it had none.

    ``reason`` is for the person who reads the answer: what was tried, what came back.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = cut(reason, _LONGEST_REASON)
        super().__init__(f'the labels of namespace "{name}" could not be read: {self.reason}')


class Namespaces(Protocol):
    """The labels of namespaces: a watched cache in a cluster, a file without one."""

    def cached(self, name: str) -> NamespaceLabels | None:
        """Return what is known now, without any I/O; ``None`` when the namespace is not known."""

    async def fetch(self, name: str) -> NamespaceLabels:
        """Read a namespace that is not cached, once.

        Raises:
            NamespaceNotFound: there is no such namespace.
            NamespaceUnavailable: it could not be read in time; this is not cached.
        """
