"""The endpoint by itself: how it fails, what it counts, and what it refuses unread."""

from typing import Any

import pytest

from webhook.adapters.http import answers
from webhook.adapters.http.answers import Answer
from webhook.adapters.http.endpoint import AdmissionEndpoint, refusal
from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.reservations import PodReference, PodUnavailable
from webhook.application.review import ReviewError

BODY = b'{"kind":"AdmissionReview"}'
JSON = b"application/json"
TRAIN = PodReference("train", "1")


class Counted:
    def __init__(self) -> None:
        self.codes: list[int] = []

    def answered(self, path: str, code: int, seconds: float) -> None:
        self.codes.append(code)


def raising(error: Exception) -> Any:
    def answer(_body: bytes) -> bytes:
        raise error

    return answer


def raising_later(error: Exception) -> Any:
    async def answer(_body: bytes) -> bytes:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ReviewError("kind", "is odd"), answers.failure(400, "is odd", "kind")),
        (NamespaceUnavailable("dark", "no"), answers.failure(503, str(NamespaceUnavailable("dark", "no")))),
        (PodUnavailable(TRAIN, "no"), answers.failure(502, str(PodUnavailable(TRAIN, "no")))),
        (ValueError("a bug"), answers.INTERNAL_ERROR),
    ],
)
@pytest.mark.parametrize("later", [False, True])
async def test_a_failure_is_answered_and_counted_once(error: Exception, failure: Answer, *, later: bool) -> None:
    counted = Counted()
    answer = AdmissionEndpoint("/mutate", (raising_later if later else raising)(error), counted.answered).answer(BODY)

    assert (answer if isinstance(answer, Answer) else await answer) == failure
    assert counted.codes == [failure.code]


async def test_what_must_be_waited_for_is_counted_when_it_is_there() -> None:
    async def waiting(body: bytes) -> bytes:
        return body

    counted = Counted()
    answer = AdmissionEndpoint("/mutate", waiting, counted.answered).answer(BODY)
    assert counted.codes == []
    assert not isinstance(answer, Answer)
    assert await answer == Answer(200, BODY)
    assert counted.codes == [200]


def test_what_is_refused_unread_is_counted() -> None:
    counted = Counted()
    assert (
        AdmissionEndpoint("/mutate", raising(AssertionError("it was read")), counted.answered)
        .refuse(answers.OVERLOADED)
        .code
        == 503
    )
    assert counted.codes == [503]


@pytest.mark.parametrize(
    ("method", "kind", "encoding", "length", "code"),
    [
        (b"POST", JSON, b"", 2, None),
        (b"POST", b"Application/JSON ; charset=utf-8", b"Identity", MAXIMUM_BODY, None),
        (b"GET", JSON, b"", 0, 405),
        (b"POST", JSON, b"", MAXIMUM_BODY + 1, 413),
        (b"POST", JSON, b"gzip", 2, 415),
        (b"POST", b"text/plain", b"", 2, 415),
        (b"POST", b"", b"", 2, 415),
    ],
)
def test_what_is_no_review_is_refused_by_its_head(
    method: bytes, kind: bytes, encoding: bytes, length: int, code: int | None
) -> None:
    failure = refusal(method, {b"content-type": kind, b"content-encoding": encoding}, length)
    assert (failure.code if failure else None) == code
