"""Answers over the wire, byte by byte."""

import re

from webhook.adapters.http.answers import Answer, as_bytes, http_date


def test_an_answer_over_the_wire() -> None:
    assert as_bytes(Answer(200, b"{}"), b"today") == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert as_bytes(Answer(503, b"{}"), b"today", close=True) == (
        b"HTTP/1.1 503 Service Unavailable\r\ndate: today\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        b"connection: close\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_an_answer_to_head_says_how_long_a_body_would_be_and_has_none() -> None:
    assert as_bytes(Answer(405, b"{}"), b"today", head_only=True).endswith(b"content-length: 2\r\n\r\n")


def test_the_date_is_the_one_of_http() -> None:
    assert re.fullmatch(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", http_date())
