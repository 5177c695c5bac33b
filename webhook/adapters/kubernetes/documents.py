"""The few fields of API objects that are read. Everything else is skipped while decoding."""

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from ...engine.namespace_labels import AUDIT, ENFORCE, WARN
from .errors import ApiError, Fault

T = TypeVar("T")


class Labels(
    msgspec.Struct,
    rename={"enforce": ENFORCE, "warn": WARN, "audit": AUDIT},
):
    """Our three labels; a namespace's other labels never become objects."""

    enforce: str | None = None
    warn: str | None = None
    audit: str | None = None

    def items(self) -> tuple[tuple[str, str | None], ...]:
        """The labels by their keys; ``None`` for one that is missing."""
        return (
            (ENFORCE, self.enforce),
            (WARN, self.warn),
            (AUDIT, self.audit),
        )


class Metadata(msgspec.Struct, rename="camel"):
    """An object's metadata."""

    name: str = ""
    resource_version: str = ""
    labels: Labels | None = None


class OwnerReference(msgspec.Struct, rename="camel"):
    """An owner of an object, such as the ReplicaSet of a pod."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


def controller_of(references: Sequence[OwnerReference] | None) -> OwnerReference | None:
    """The owner that controls the object, of which there is at most one."""
    return next((one for one in references or () if one.controller), None)


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


class ErrorDetails(msgspec.Struct):
    """The object of an error."""

    name: str = ""


class ErrorStatus(msgspec.Struct):
    """The API server's explanation of an error."""

    code: int = 0
    message: str = ""
    reason: str = ""
    details: ErrorDetails | None = None

    @property
    def missing(self) -> str:
        """The name of the object that does not exist, if the error is about one (``apierrors.NewNotFound``)."""
        return self.details.name if self.reason == "NotFound" and self.details else ""


_LONGEST_EXCERPT = 80
_BUILDING = threading.Lock()


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type, built by one thread at a time.

    msgspec (0.22.0) stores its description of a type before it is complete. Another thread that decodes the same type for
    the first time then uses an incomplete description, and the process ends with a segmentation fault.
    """
    with _BUILDING:
        return msgspec.json.Decoder(kind)


def decode(body: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Read a document.

    Raises:
        ApiError: ``garbage``; ``what`` names the answer that was read.
    """
    try:
        found: T = _decoder(kind).decode(body)  # type: ignore[arg-type]  # every type is hashable
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(Fault.GARBAGE, f"{what} is not what the API promises: {error}{_excerpt(bytes(body))}") from error
    return found


def error_of(body: bytes) -> ErrorStatus:
    """Read an error's body. If it is not a Status, the message is its beginning."""
    try:
        found: ErrorStatus = _decoder(ErrorStatus).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ErrorStatus(message=body[:_LONGEST_EXCERPT].decode(errors="replace").strip())
    return found


def _excerpt(body: bytes) -> str:
    """Quote the beginning of a body that is not JSON (a proxy's page). JSON is never quoted, because it may be a Secret."""
    return "" if body.startswith(b"{") else f" (it begins {body[:_LONGEST_EXCERPT]!r})"
