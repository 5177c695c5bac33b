"""The connections of a port: who is let in, and who goes when there is no more room."""

from dataclasses import dataclass, field

import pytest

from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections, TrackedConnection
from webhook.adapters.http.limits import Limits


@dataclass(eq=False)
class Someone(TrackedConnection):
    """A connection who does as a test says."""

    since: float = 0.0
    held: int = 0
    known: bool = False
    waits: bool = True
    late: str = ""
    client: tuple[str, int] | None = None
    dropped: bool = False

    def overdue(self, now: float) -> str:
        return self.late

    def drop(self) -> None:
        self.dropped = True


@dataclass
class House:
    """A limiter with room for three connections and ten bytes."""

    noted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rejections = Rejections("test", lambda _port, reason: self.noted.append(reason))
        self.limiter = ConnectionLimiter(Limits(connections=3, memory=10), rejections, lambda: 100.0)

    def with_guests(self, *connections: TrackedConnection) -> None:
        for connection in connections:
            self.limiter.add(connection)


@pytest.fixture
def house() -> House:
    return House()


def test_while_there_is_room_nobody_goes(house: House) -> None:
    connections = Someone(), Someone()
    house.with_guests(*connections)

    assert house.limiter.has_room()
    assert not any(connection.dropped for connection in connections)
    assert house.noted == []


def test_for_one_too_many_the_one_goes_that_has_waited_longest(house: House) -> None:
    middle, first, last = Someone(2.0), Someone(1.0), Someone(3.0)
    house.with_guests(middle, first, last)

    assert house.limiter.has_room()
    assert [connection.dropped for connection in (first, middle, last)] == [True, False, False]
    assert house.noted == ["connections"]
    assert len(list(house.limiter)) == 2


def test_who_is_being_answered_stays_however_old(house: House) -> None:
    busy, waiting = Someone(1.0, waits=False), Someone(2.0)
    house.with_guests(busy, waiting, Someone(3.0))

    assert house.limiter.has_room()
    assert (busy.dropped, waiting.dropped) == (False, True)


def test_when_all_are_being_answered_nobody_is_let_in(house: House) -> None:
    house.with_guests(*(Someone(waits=False) for _ in range(3)))

    assert not house.limiter.has_room()


def test_for_memory_the_one_goes_that_holds_some_and_has_waited_longest(house: House) -> None:
    idle, slow, asking = Someone(1.0), Someone(2.0), Someone(3.0)
    house.with_guests(idle, slow, asking)

    assert house.limiter.hold(slow, 6)
    assert house.limiter.hold(asking, 6)
    assert (idle.dropped, slow.dropped, asking.dropped) == (False, True, False)
    assert house.noted == ["memory"]
    assert house.limiter.held == 6


def test_nobody_is_cut_off_for_who_alone_asks_for_too_much(house: House) -> None:
    busy, asking = Someone(1.0, waits=False), Someone(2.0)
    house.with_guests(busy, asking)

    assert house.limiter.hold(busy, 1)
    assert house.limiter.hold(asking, 9)
    assert not house.limiter.hold(asking, 10)
    assert not busy.dropped
    assert house.limiter.hold(asking, 9), "to hold less is always right"


def test_a_small_part_is_everybodys_own_whoever_holds_the_rest() -> None:
    """Otherwise clients with large reviews could keep out all small ones."""
    rejections = Rejections("test", lambda _port, _reason: None)
    limiter = ConnectionLimiter(Limits(connections=10, memory=8000), rejections, lambda: 100.0)
    busy, asking = Someone(1.0, waits=False), Someone(2.0)
    limiter.add(busy)
    limiter.add(asking)

    assert limiter.hold(busy, 8000)
    assert limiter.hold(asking, 100)
    assert not limiter.hold(asking, 101)


def test_strangers_go_before_who_is_known(house: House) -> None:
    known, stranger, newer = Someone(1.0, known=True), Someone(2.0), Someone(3.0)
    house.with_guests(known, stranger, newer)

    assert house.limiter.has_room()
    assert [connection.dropped for connection in (known, stranger, newer)] == [False, True, False]
    assert house.limiter.hold(known, 6)
    assert house.limiter.hold(newer, 6)
    assert known.dropped, "unless there is nobody else"


def test_but_who_is_known_has_no_more_than_half_of_the_room(house: House) -> None:
    """Otherwise known clients could keep out all others: too little would be left for an answer."""
    first, stranger, second = Someone(1.0, known=True), Someone(0.0), Someone(2.0, known=True)
    house.with_guests(first, stranger, second)

    assert house.limiter.has_room()
    assert [connection.dropped for connection in (first, stranger, second)] == [True, False, False]


def test_what_is_held_goes_with_the_guest_and_is_not_counted_afterwards(house: House) -> None:
    connection = Someone()
    house.with_guests(connection)

    assert house.limiter.hold(connection, 6)
    assert house.limiter.held == 6
    house.limiter.discard(connection)
    house.limiter.discard(connection)
    assert house.limiter.hold(connection, 60)

    assert (house.limiter.held, connection.held) == (0, 0)


def test_who_waited_too_long_is_swept_out_and_told_apart_from_who_was_merely_idle(house: House) -> None:
    slow, idle, other = Someone(late="head-timeout"), Someone(late="idle"), Someone()
    house.with_guests(slow, idle, other)

    house.limiter.sweep()

    assert [connection.dropped for connection in (slow, idle, other)] == [True, True, False]
    assert house.noted == ["head-timeout"], "that an idle connection ends is nobody's fault"


def test_who_is_dropped_twice_is_counted_once(house: House) -> None:
    connection = Someone()
    house.with_guests(connection)

    for reason in ("connections", "records"):
        house.limiter.drop(connection, reason)

    assert house.noted == ["connections"]


def test_without_descriptors_some_go_and_fewer_are_let_in_for_a_minute() -> None:
    rejections = Rejections("test", lambda _port, _reason: None)
    time = [100.0]
    limiter = ConnectionLimiter(Limits(connections=100), rejections, lambda: time[0])
    connections = [Someone(float(number)) for number in range(20)]
    for connection in connections:
        limiter.add(connection)

    limiter.free_descriptors()
    assert [connection.dropped for connection in connections] == [True] * 8 + [False] * 12
    time[0] += 59.0
    limiter.sweep()
    assert limiter.has_room()
    assert connections[8].dropped, "for one more, one goes"

    time[0] += 2.0
    limiter.sweep()
    for _ in range(50):
        assert limiter.has_room()
        limiter.add(Someone())
    assert len(list(limiter)) == 61, "a shortage of a moment does not last"

    busy = ConnectionLimiter(Limits(connections=100), rejections, lambda: 100.0)
    busy.add(Someone(waits=False))
    busy.free_descriptors()
    assert len(list(busy)) == 1
