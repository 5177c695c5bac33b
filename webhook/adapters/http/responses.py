"""Answers as HTTP/1.1 responses, byte by byte."""

from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]

JSON = (b"content-type", b"application/json")
CLOSE = (b"connection", b"close")
# kube-apiserver retries an answer with Retry-After within the webhook's timeout (client-go rest/with_retry.go).
RETRY = (b"retry-after", b"1")
ALLOW_POST = (b"allow", b"POST")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Answer(NamedTuple):
    """An HTTP answer with a body of JSON, and the headers that not every answer has; nothing from a request is in these."""

    code: int
    body: bytes
    headers: Headers = ()


def as_bytes(answer: Answer, date: bytes, *, close: bool = False, head_only: bool = False) -> bytes:
    """An answer as it goes over the wire.

    With ``close`` the connection ends. That to a HEAD has a body's length and no body (``head_only``; RFC 9110, 9.3.2).
    """
    lines = [_STATUS_LINES[answer.code], b"date: ", date, b"\r\ncontent-type: application/json\r\n"]
    for name, value in answer.headers:
        lines += (name, b": ", value, b"\r\n")
    if close:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(answer.body))
    if not head_only:
        lines.append(answer.body)
    return b"".join(lines)


def http_date() -> bytes:
    """The time now, as the ``Date`` header has it (RFC 9110, 6.6.1)."""
    return formatdate(usegmt=True).encode()
