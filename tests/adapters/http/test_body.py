"""A body while it comes: as it was sent, in however many pieces, and out of memory when it goes."""

from pathlib import Path

import pytest

from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.adapters.http.messages import Body


@pytest.mark.parametrize(
    "pieces", [[], [b"abc"], [b"a", b"bc"], [b"a" * 5000, b"b", b"c" * 70_000], [b"x" * (MAXIMUM_BODY - 1), b"y"]]
)
def test_it_is_what_was_sent(pieces: list[bytes]) -> None:
    body = Body()
    for piece in pieces:
        body.append(piece)
    assert body.whole() == b"".join(pieces)
    assert body.size == len(body.whole())


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
    whole = Body()
    whole.append(body)
    assert whole.weight() == weight


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_it_takes_the_memory_that_it_needs_and_gives_it_back() -> None:
    before = resident()
    bodies = [Body() for _ in range(50)]
    for _ in range(16):
        for index in range(50):
            bodies[index].append(b"x" * 64 * 1024)
    assert 50 << 20 <= resident() - before < 60 << 20
    bodies.clear()
    assert resident() - before < 5 << 20


def test_it_is_in_memory_once_while_its_answer_is_waited_for() -> None:
    body = Body()
    for _ in range(7):
        body.append(b"x" * (1 << 20))
    before = resident()
    whole = body.whole()
    assert resident() - before < 1 << 20
    assert body.whole() is whole
