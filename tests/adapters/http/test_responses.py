"""Answers over the wire, byte by byte."""

from webhook.adapters.http.answers import Answer
from webhook.adapters.http.messages import as_bytes


def test_an_answer_over_the_wire() -> None:
    assert as_bytes(Answer(200, b"{}"), b"today") == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: today\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert as_bytes(Answer(503, b"{}"), b"today", close=True) == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\ndate: today\r\n"
        b"connection: close\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_an_answer_to_head_says_how_long_a_body_would_be_and_has_none() -> None:
    assert as_bytes(Answer(405, b"{}"), b"today", head_only=True).endswith(b"content-length: 2\r\n\r\n")
