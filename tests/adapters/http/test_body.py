"""A body while it comes: as it was sent, in however many pieces, and out of memory when it goes."""

from pathlib import Path

import pytest

from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.adapters.http.messages import IncomingRequest
from webhook.adapters.malloc import configure_malloc, trim_malloc


def received(*pieces: bytes) -> IncomingRequest:
    request = IncomingRequest()
    for piece in pieces:
        request.append(piece)
    return request


def answered(request: IncomingRequest) -> bytes:
    """The body that the endpoint of a request gets."""
    bodies: list[bytes] = []

    def answer(body: bytes) -> bytes:
        bodies.append(body)
        return b""

    request.endpoint = AdmissionEndpoint("/mutate", answer, lambda _path, _code, _seconds: None)
    request.answer()
    return bodies[0]


@pytest.mark.parametrize(
    "pieces", [[], [b"abc"], [b"a", b"bc"], [b"a" * 5000, b"b", b"c" * 70_000], [b"x" * (MAXIMUM_BODY - 1), b"y"]]
)
def test_it_is_what_was_sent(pieces: list[bytes]) -> None:
    request = received(*pieces)
    assert request.read == request.size == sum(map(len, pieces))
    body = answered(request)
    assert body == b"".join(pieces)
    assert type(body) is bytes


@pytest.mark.parametrize(
    ("body", "weight"),
    [
        (b"", 0),
        (b"x" * 1000, 1000),
        (b'{"a":[],"b":{}}', 15 + 4 * 150),
        (b"{}," * 10_000, 30_000 + 20_000 * 150),
        (b"x" * (1 << 20), (1 << 20) + 50_000 * 150),
    ],
    ids=["nothing", "text", "elements", "very many", "so large that they are not counted"],
)
def test_it_weighs_what_its_elements_do(body: bytes, weight: int) -> None:
    """150 KB of containers take as long as 3 MB of annotations, and must not be read before them."""
    assert received(body).weight() == weight
    assert received(body[:5], body[5:]).weight() == weight


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_it_takes_the_memory_that_it_needs_and_gives_it_back() -> None:
    configure_malloc()  # as the server does
    trim_malloc()
    before = resident()
    requests = [IncomingRequest() for _ in range(20)]
    for number in range(320 * len(requests)):
        requests[number % len(requests)].append(b"x" * 16 * 1024)
    assert 90 << 20 <= resident() - before < 105 << 20
    requests.clear()
    assert resident() - before < 5 << 20


def test_it_is_in_memory_once_while_its_answer_is_waited_for() -> None:
    request = received(*[b"x" * (1 << 20)] * 7)
    before = resident()
    body = answered(request)
    assert resident() - before < 1 << 20
    assert request.body is body
