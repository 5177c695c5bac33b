"""AdmissionReview v1: reads the envelope of a request, with its limits, and is the only place that writes a response."""

from collections.abc import Coroutine, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from ..engine.findings import Finding
from ..engine.policy import LabelProblem
from ..engine.text import Name, cut

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
MOST_ELEMENTS = 50_000
"""Commas, opening braces and brackets in a body: at least as many as it has members and items, each of which takes up to 300
bytes when it is decoded. docs/reference/limits.md has the largest real objects, which have a twentieth."""
_UNSET = (msgspec.Raw(), msgspec.Raw(b"null"))
# A pod may have thousands of containers, each with a sentence; people read the first few.
_MOST_LISTED = 20
# Characters. Our longest sentence has a few names, and so has the longest path; a name has at most LONGEST_NAME. Other texts
# (policies' lists of forms, an API server's errors) are as long as their author likes.
LONGEST_MESSAGE = 2048
_LONGEST_PATH = 512
_LONGEST_ANNOTATION = 8200  # what ``response_messages.annotate_patch`` keeps to
_LONGEST_UID = 128
_OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")
_T = TypeVar("_T")

Answering = bytes | Coroutine[Any, Any, bytes]
"""A review's answer, or the look-up that it has to wait for: the labels of a namespace that is not known yet."""


class ReviewError(Exception):
    """The bytes are not a review that can be answered. The caller's mistake: HTTP 400, so that failurePolicy decides."""

    def __init__(self, field: str, message: str) -> None:
        field, message = cut(field, _LONGEST_PATH), cut(message, LONGEST_MESSAGE)
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class GroupVersionKind(msgspec.Struct, gc=False):
    """``request.kind``."""

    group: Name = ""
    version: Name = ""
    kind: Name = ""


class UserInfo(msgspec.Struct, gc=False):
    """``request.userInfo``."""

    username: str = ""


class Envelope(msgspec.Struct, rename="camel", gc=False):
    """``request`` without the object: the operation, the user, and the name of the object."""

    uid: Annotated[str, msgspec.Meta(max_length=_LONGEST_UID)] = ""  # the API server's is a UUID of 36 characters
    operation: Name = ""
    kind: GroupVersionKind | None = None
    namespace: Name = ""
    name: Name = ""
    sub_resource: Name = ""
    dry_run: bool | None = None
    user_info: UserInfo = msgspec.field(default_factory=UserInfo)
    old_object: msgspec.Raw = msgspec.Raw()

    @property
    def has_old_object(self) -> bool:
        """Whether the request has the old object."""
        return _is_set(self.old_object)


class AdmissionRequest(Envelope, rename="camel"):
    """``request`` with the object undecoded."""

    object: msgspec.Raw = msgspec.Raw()

    @property
    def has_object(self) -> bool:
        """Whether an object came with the request."""
        return _is_set(self.object)


def _is_set(raw: msgspec.Raw) -> bool:
    """Whether raw JSON is there and not null."""
    return raw not in _UNSET


_E = TypeVar("_E", bound=Envelope)


class Review(msgspec.Struct, Generic[_E], rename="camel", gc=False):
    """A review, with as much of the object read as its request has."""

    api_version: Name = ""
    kind: Name = ""
    request: _E | None = None


_REVIEW = msgspec.json.Decoder(Review[AdmissionRequest])


def decode(body: bytes) -> AdmissionRequest:
    """Read a review, its objects undecoded.

    Raises:
        ReviewError: naming the field that is malformed, missing or of another kind or version.
    """
    return checked(decode_json(_REVIEW, body))


def checked(review: Review[_E]) -> _E:
    """The request of a review, if it is one.

    Raises:
        ReviewError: as ``decode``.
    """
    request = review.request
    if review.kind != KIND:
        raise ReviewError("kind", f'must be "{KIND}", not "{review.kind}"')
    if review.api_version != API_VERSION:
        raise ReviewError("apiVersion", f'must be "{API_VERSION}", not "{review.api_version}"')
    if request is None:
        raise ReviewError("request", "is missing")
    if not request.uid:
        raise ReviewError("request.uid", "is missing")
    if not request.operation:
        raise ReviewError("request.operation", "is missing")
    if request.operation not in _OPERATIONS:
        raise ReviewError("request.operation", f'must be one of {", ".join(_OPERATIONS)}, not "{request.operation}"')
    return request


def decode_json(decoder: msgspec.json.Decoder[_T], body: bytes | msgspec.Raw, root: str = "") -> _T:
    """Decode JSON, turning every way in which it can be wrong into a ``ReviewError`` under the path ``root``."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise ReviewError(f"{root}{where.rstrip('`')}".lstrip("."), what) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReviewError(root, f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise ReviewError(root, "is nested too deeply") from error


def elements(body: bytes) -> int:
    """An upper bound of the members and items in a body; ``0`` for one too short to have too many."""
    return 0 if len(body) <= MOST_ELEMENTS else len(body) - len(body.translate(None, b",{["))


def bound(body: bytes) -> None:
    """Reject a body whose objects would take far more time and memory than its bytes when they are decoded.

    Raises:
        ReviewError: it has more elements than ``MOST_ELEMENTS``.
    """
    if (count := elements(body)) > MOST_ELEMENTS:
        raise ReviewError(
            "request",
            f"has {count} elements (commas, opening braces and brackets); objects of at most {MOST_ELEMENTS} are read",
        )


class Cause(msgspec.Struct, gc=False):
    """One cause of a denial, as ``metav1.StatusCause``."""

    reason: str
    message: str
    field: str


class Details(msgspec.Struct, gc=False):
    """``status.details``."""

    causes: list[Cause]


class DenialStatus(msgspec.Struct, gc=False):
    """``status`` of a denial, as ``metav1.Status``."""

    message: str
    details: Details
    reason: str = "Forbidden"
    code: int = 403


class Response(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """``response`` without its uid; empty fields are omitted, and ``patchType`` is set exactly when ``patch`` is."""

    allowed: bool
    status: DenialStatus | None = None
    patch_type: str | None = None
    patch: bytes | None = None  # base64, once it is encoded
    warnings: list[str] | None = None
    audit_annotations: dict[str, str] | None = None


_ENCODER = msgspec.json.Encoder()
_BEGINNING = b'{"apiVersion":"%b","kind":"%b","response":{"uid":' % (API_VERSION.encode(), KIND.encode())


def answer(request: Envelope, response: bytes) -> bytes:
    """The review that answers a request by an ``allowance`` or a ``denial``."""
    return b"%b%b,%b}" % (_BEGINNING, _ENCODER.encode(request.uid), response[1:])


def allowance(
    patch: bytes = b"", warnings: list[str] | None = None, annotations: dict[str, str] | None = None
) -> bytes:
    """A response that allows the object, changed by ``patch`` (operations as JSON) if there is one."""
    response = Response(allowed=True, warnings=warnings or None, audit_annotations=_recorded(annotations))
    if patch:
        response.patch_type = "JSONPatch"
        response.patch = patch
    return _ENCODER.encode(response)


ALLOWED = _ENCODER.encode(Response(allowed=True))
"""A response that allows the object, and nothing more."""


def allowed(request: Envelope, warnings: list[str] | None = None, annotations: dict[str, str] | None = None) -> bytes:
    """A review that allows the object as it is, as ``allowance``."""
    return answer(request, allowance(b"", warnings, annotations) if warnings or annotations else ALLOWED)


def denial(findings: tuple[Finding, ...], annotations: dict[str, str] | None = None) -> bytes:
    """A response that denies the object for findings. kubectl shows the message; each finding is a cause with its field.

    If there are very many findings, only the first are listed, in the order of the rules, with the number of the rest.
    """
    listed = findings[:_MOST_LISTED]
    more = [f"{len(findings) - _MOST_LISTED} more like these"] if len(findings) > _MOST_LISTED else []
    causes = [_cause(finding.rule.id, finding.message, finding.path) for finding in listed]
    status = DenialStatus("; and ".join([*(cause.message for cause in causes), *more]), Details(causes))
    return _ENCODER.encode(Response(False, status, audit_annotations=_recorded(annotations)))  # noqa: FBT003 - as above


def denied(request: Envelope, findings: tuple[Finding, ...], annotations: dict[str, str] | None = None) -> bytes:
    """A review that denies the object for findings, as ``denial``."""
    return answer(request, denial(findings, annotations))


def invalid(request: Envelope, message: str, problems: Sequence[LabelProblem]) -> bytes:
    """A review that denies an object whose fields can't be read, as the API server rejects an invalid one (422)."""
    causes = [_cause("FieldValueInvalid", problem.message, problem.path) for problem in problems[:_MOST_LISTED]]
    status = DenialStatus(cut(message, LONGEST_MESSAGE), Details(causes), "Invalid", 422)
    return answer(request, _ENCODER.encode(Response(False, status)))  # noqa: FBT003 - as above


def _cause(reason: str, message: str, path: str) -> Cause:
    return Cause(reason, cut(message, LONGEST_MESSAGE), cut(path, _LONGEST_PATH))


def _recorded(annotations: dict[str, str] | None) -> dict[str, str] | None:
    """Audit annotations, cut to the limit; ``None`` if there are none."""
    if not annotations or sum(map(len, annotations.values())) <= _LONGEST_ANNOTATION:
        return annotations or None
    return {key: cut(value, _LONGEST_ANNOTATION) for key, value in annotations.items()}


def to_json(value: Any) -> str:
    """Compact JSON, for annotations."""
    return _ENCODER.encode(value).decode()
