"""The request queue: small requests before large ones, nobody kept out by a flood, and those that are too late shed."""

import asyncio
from dataclasses import dataclass, field

from webhook.adapters.http.request_queue import RequestQueue


@dataclass
class House:
    """A queue with a clock of their own, in which an answer takes no time unless a test says so."""

    most: float = float("inf")
    said: list[str] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.turns = RequestQueue(self.most, lambda: self.now)
        self.turns.add(Asker(self, "first", 0.0), int)  # who has its turn at once, so that all others wait for theirs
        self.said.clear()

    def asks(self, name: str, size: int = 0, seconds: float = 0.0) -> "Asker":
        asker = Asker(self, name, seconds)
        self.turns.add(asker, lambda: size)
        return asker

    async def ends(self) -> list[str]:
        """Let all have their turn; who was answered, in which order."""
        for _ in range(100):
            await asyncio.sleep(0)
        return [word.removeprefix("answer ") for word in self.said if not word.startswith("send")]


@dataclass
class Asker:
    house: House
    name: str
    seconds: float

    def answer(self, *, late: bool) -> None:
        self.house.said.append(f"shed {self.name}" if late else f"answer {self.name}")
        self.house.now += 0.0 if late else self.seconds

    def send(self) -> None:
        self.house.said.append(f"send {self.name}")


async def test_at_the_end_of_a_turn_of_the_loop_all_are_answered_and_then_all_are_sent() -> None:
    house = House()
    for name in "abc":
        house.asks(name)
    assert house.said == []
    await asyncio.sleep(0)
    assert house.said == [*(f"answer {name}" for name in "abc"), *(f"send {name}" for name in "abc")]


async def test_the_first_of_a_turn_is_answered_at_once() -> None:
    house = House()
    for _ in range(2):
        await asyncio.sleep(0)
        house.asks("a")
        assert house.said == ["answer a", "send a"]
        house.asks("b")
        assert house.said == ["answer a", "send a"]
        await asyncio.sleep(0)
        assert house.said == ["answer a", "send a", "answer b", "send b"]
        house.said.clear()


async def test_nobody_waits_for_many_answers_before_its_own_is_sent() -> None:
    house = House()
    for number in range(20):
        house.asks(str(number))
    await asyncio.sleep(0)
    assert [word for word in house.said if word.startswith("send")] == [f"send {number}" for number in range(16)]
    await house.ends()
    assert len(house.said) == 40


async def test_a_turn_that_takes_long_ends_so_that_what_has_come_is_read() -> None:
    house = House()
    for name in "abc":
        house.asks(name, seconds=1.0)
    await asyncio.sleep(0)
    assert house.said == ["answer a", "send a"]
    house.asks("small")
    assert await house.ends() == ["a", "b", "c", "small"]


async def test_a_turn_that_reads_much_ends_however_fast_it_was() -> None:
    """What was decoded in one is in memory at once, and must not be more where the processor is faster."""
    house = House()
    for name in "abc":
        house.asks(name, 7 << 20)
    await asyncio.sleep(0)
    assert house.said == ["answer a", "send a"]
    assert await house.ends() == ["a", "b", "c"]


async def test_small_ones_do_not_wait_for_large_ones_that_came_before() -> None:
    house = House()
    for name in ("large", "larger"):
        house.asks(name, 1_000_000 + len(name), seconds=1.0)
    house.asks("small")
    house.asks("medium", 20_000)
    assert await house.ends() == ["small", "medium", "large", "larger"]


async def test_nor_for_large_ones_that_wait_when_they_come() -> None:
    house = House()
    for number in range(10):
        house.asks(f"large {number}", 100_000, seconds=1.0)
    await asyncio.sleep(0)
    house.asks("small")
    assert (await house.ends())[:3] == ["large 0", "small", "large 1"]


async def test_a_flood_of_tiny_ones_keeps_nobody_out() -> None:
    """A hundred connections that ask again as soon as they are answered, and one that asks for something larger."""
    house = House()

    @dataclass
    class Flooder(Asker):
        def send(self) -> None:
            if len(house.said) < 5000:
                house.turns.add(self, lambda: 10)

    for number in range(100):
        house.turns.add(Flooder(house, str(number), 0.0), lambda: 10)
    house.asks("honest", 8000)
    answered = await house.ends()
    assert answered.index("honest") < 4 * 100


async def test_who_has_waited_too_long_is_shed_and_by_the_order_it_is_the_large_one() -> None:
    house = House(most=0.5)
    house.asks("large", 100_000, seconds=0.4)
    for number in range(10):
        house.asks(f"small {number}", seconds=0.055)
    answered = await house.ends()
    assert answered == [*(f"small {number}" for number in range(10)), "shed large"]


async def test_one_that_takes_long_costs_nobody_an_answer() -> None:
    house = House(most=0.5)
    house.asks("dear", seconds=10.0)
    await asyncio.sleep(0)
    house.asks("other")
    assert await house.ends() == ["dear", "other"]


async def test_whatever_fails_the_rest_have_their_turn() -> None:
    """An answer raises nothing; but if one did, nobody would ever be answered again."""
    house = House()

    class Failing(Asker):
        def answer(self, *, late: bool) -> None:
            raise MemoryError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    house.turns.add(Failing(house, "failing", 0.0), int)
    house.asks("other")
    assert await house.ends() == ["other"]
    house.asks("later")
    assert await house.ends() == ["other", "later"]
