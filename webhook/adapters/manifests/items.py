"""The results of reading (objects and problems), and the two errors of this package."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """One Kubernetes object, with its place.

    Attributes:
        source: the file as the user named it, ``-`` for standard input.
        line: the line of the object's first key, from 1.
        object: the object as kubectl would send it to the API server, without shared parts.
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
    """Something wrong with the input.

    ``fatal`` means that something could not be read because of it, and ``of_object`` that this is an object of the report.
    """

    __pydantic_config__ = ConfigDict(alias_generator=to_camel)

    source: str
    line: int | None
    message: str
    fatal: bool = True
    of_object: bool = False
    foreign: Annotated[bool, Field(exclude=True)] = False
    """Whether a whole document is well-formed and not a Kubernetes object, such as a chart's values."""
    column: int | None = None

    @property
    def is_unread_part(self) -> bool:
        """Whether it is about a file, a document or a list that could not be read, so that its objects are not known."""
        return self.fatal and not self.of_object

    @property
    def where(self) -> str:
        """Its place, for people."""
        return self.source if self.line is None else f"{self.source}:{self.line}"

    @property
    def label(self) -> str:
        """The kind of problem, for people."""
        return "not read" if self.fatal else "warning"

    def __str__(self) -> str:
        return f"{self.where}: {self.label}: {self.message}"


class UnreadableError(ValueError):
    """A document, or a part of one, that can't be read.

    Attributes:
        line: where, from 1, within the source.
        column: where in the line, from 1; ``None`` if it is not known.
    """

    def __init__(self, line: int, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class EditError(ValueError):
    """An edit that cannot be made; the message says which and why."""
