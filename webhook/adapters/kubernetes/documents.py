"""The few fields of the API's documents that are read; everything else is skipped without being built."""

from typing import Generic, TypeVar

import msgspec

from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.engine import labels

T = TypeVar("T")


class Labels(msgspec.Struct, rename={"enforce": labels.ENFORCE, "warn": labels.WARN, "audit": labels.AUDIT}):
    """Our three labels; a namespace's other labels never become objects."""

    enforce: str | None = None
    warn: str | None = None
    audit: str | None = None

    def items(self) -> tuple[tuple[str, str | None], ...]:
        """The labels by their keys; ``None`` for one that is missing."""
        return (labels.ENFORCE, self.enforce), (labels.WARN, self.warn), (labels.AUDIT, self.audit)


class Metadata(msgspec.Struct, rename="camel"):
    """An object's metadata."""

    name: str = ""
    resource_version: str = ""
    labels: Labels | None = None


class Namespace(msgspec.Struct):
    """A namespace, or a bookmark (which has only a resource version)."""

    metadata: Metadata


class ListMetadata(msgspec.Struct, rename={"resource_version": "resourceVersion", "next_page": "continue"}):
    """A list's metadata: the revision that it shows, and the token for its next page."""

    resource_version: str = ""
    next_page: str = ""


class ObjectList(msgspec.Struct, Generic[T]):
    """One page of a list."""

    metadata: ListMetadata
    items: list[T]


class Event(msgspec.Struct):
    """One line of a watch; what the object is depends on the type."""

    type: str
    object: msgspec.Raw


class Status(msgspec.Struct):
    """The API server's explanation of an error."""

    code: int = 0
    message: str = ""


_LONGEST_EXCERPT = 80


def decode(body: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Read a document.

    Raises:
        ApiError: ``garbage``; ``what`` names the answer that was read.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(Fault.GARBAGE, f"{what} is not what the API promises: {error}{_excerpt(bytes(body))}") from error


def message_of(body: bytes) -> str:
    """Find the sentence in an error's body: the Status' message, or the beginning of whatever else it is."""
    try:
        return msgspec.json.decode(body, type=Status).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:_LONGEST_EXCERPT].decode(errors="replace").strip()


def _excerpt(body: bytes) -> str:
    """Quote the beginning of what isn't a document (a proxy's page, say); a document may be a Secret, and never is."""
    return "" if body.startswith(b"{") else f" (it begins {body[:_LONGEST_EXCERPT]!r})"
