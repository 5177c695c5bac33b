"""The results of reading, objects and problems, and the two errors of this package."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """One Kubernetes object, with its place.

    Attributes:
        source: the file as the user named it, ``-`` for standard input.
        line: the line of the object's first key, from 1.
        object: the object as the API server would receive it from kubectl: plain data, nothing shared.
        document: the number of the document within the source, from 0, empty documents counted.
        pointer: the object's place in its document: empty, or ``/items/3`` in a List.
    """

    source: str
    line: int
    object: dict[str, Any]
    document: int
    pointer: str


@dataclass(frozen=True, slots=True)
class PluginDocument:
    """A document without a kind that is a configuration of the NVIDIA device plugin."""

    item: ManifestObject


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """Something wrong with a source, in words.

    Attributes:
        source: as in an object.
        line: where, from 1; ``None`` where no line can be named.
        message: what is wrong, and the remedy where there is one.
        fatal: whether something went unread because of it. Not so for a key that is written twice: the object follows, with
            the last of the two, as kubectl would send it.
        of_object: whether it concerns an object that was read and is reported by itself.
        foreign: whether a whole document is well-formed and no Kubernetes object, such as a chart's values.
        column: where in the line, from 1; ``None`` where no column can be named.
    """

    source: str
    line: int | None
    message: str
    fatal: bool = True
    of_object: bool = False
    foreign: bool = False
    column: int | None = None

    def __str__(self) -> str:
        """Place, what kind of problem it is, and the message."""
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {'not read' if self.fatal else 'warning'}: {self.message}"


class UnreadableError(ValueError):
    """A document, or a part of one, that says nothing we could decide on.

    Attributes:
        line: where, from 1, within the source.
        column: where in the line, from 1; ``None`` where no column can be named.
    """

    def __init__(self, line: int, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class EditError(ValueError):
    """An edit that cannot be made; the message says which and why."""
