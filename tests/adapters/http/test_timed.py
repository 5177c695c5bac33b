"""The endpoint whose answer is told how long the API server waits."""

import time

import pytest

from tests.adapters.http.test_endpoint import Counted
from webhook.adapters.http.answers import Answer
from webhook.adapters.http.endpoint import DEFAULT_SECONDS, MOST_SECONDS, AdmissionEndpoint, allowed_seconds


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"timeout=2s", 2.0),
        (b"timeout=10s&x=y", 10.0),
        (b"x=y&timeout=5s", 5.0),
        (b"timeout=30s", MOST_SECONDS),
        (b"timeout=99s", MOST_SECONDS),
        (b"timeout=0s", 0.0),
        (b"", DEFAULT_SECONDS),
        (b"timeout=", DEFAULT_SECONDS),
        (b"timeout=soon", DEFAULT_SECONDS),
        (b"timeout=5", DEFAULT_SECONDS),
        (b"timeout=-5s", DEFAULT_SECONDS),
        (b"timeout=5s later", DEFAULT_SECONDS),
        (b"notimeout=5s", DEFAULT_SECONDS),
        # The API server rounds to whole seconds, of which it waits for at most 30.
        (b"timeout=4.999986723s", DEFAULT_SECONDS),
        (b"timeout=1m30s", DEFAULT_SECONDS),
        (b"timeout=" + b"1" * 65 + b"s", DEFAULT_SECONDS),
    ],
)
def test_the_time_is_what_the_api_server_says_and_otherwise_what_it_waits_by_default(
    query: bytes, seconds: float
) -> None:
    assert allowed_seconds(query) == seconds


@pytest.mark.parametrize("said", [b"1", b"1.1", b"1h", b"."])
@pytest.mark.usefixtures("own_garbage")
def test_what_a_stranger_says_of_the_time_is_read_in_no_time(said: bytes) -> None:
    began = time.process_time()
    allowed_seconds(b"timeout=" + said * 20_000)
    assert time.process_time() - began < 5  # 14 s and more when every beginning of it was tried


async def test_each_request_is_answered_in_its_own_time() -> None:
    async def answer(body: bytes, seconds: float) -> bytes:
        return body + str(seconds).encode()

    counted = Counted()
    endpoint = AdmissionEndpoint("/validate-namespace", answer, counted.answered, timed=True)
    asked = (endpoint.answer(b"a", b"timeout=20s"), endpoint.answer(b"b", b"timeout=3s"), endpoint.answer(b"c"))
    answers = [made if isinstance(made, Answer) else await made for made in asked]
    assert [answer.body for answer in answers] == [b"a20.0", b"b3.0", f"c{DEFAULT_SECONDS}".encode()]
    assert counted.codes == [200] * 3
