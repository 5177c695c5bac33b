"""A replica whose clock is grossly wrong, among others whose are right: it serves, and writes nothing that they rely on."""

from datetime import timedelta

import pytest

from tests.application.certificates.world import SETTINGS, Replica, World, live_through, reconcile_all
from webhook.application.clock import WitnessedClock

WRONG = [timedelta(days=2), -timedelta(days=2)]  # beyond the end of the CA, and before its beginning
PAUSE = timedelta(minutes=12)


class Doubting(Replica):
    """A replica whose clock has the API server as witness at every look."""

    def __init__(self, world: World, wrong: timedelta) -> None:
        super().__init__(world)
        clock = WitnessedClock(lambda: world.now + wrong, lambda: world.seconds, world.settings.clock_skew)
        self.clock = clock
        read = world.read_configurations

        def witnessed() -> object:
            clock.witnessed(world.now, 0.0)
            return read()

        world.read_configurations = witnessed  # type: ignore[method-assign,assignment]  # every answer is dated
        self.reconciler._clock, self.reconciler._doubt = clock, clock.doubt


def state(world: World) -> object:
    return dict(world.secret or {}), {name: dict(bundles) for name, bundles in world.bundles.items()}


@pytest.mark.parametrize("wrong", WRONG, ids=["ahead", "behind"])
def test_it_signs_by_the_api_servers_time_and_touches_nothing(wrong: timedelta) -> None:
    world = World()
    right = Replica(world)
    reconcile_all(right, times=3)
    before = state(world)
    doubting = Doubting(world, wrong)
    report = doubting.reconcile()
    assert doubting.pair is not None
    assert world.why_refused(doubting.pair.certificate) is None
    assert report.trusted
    assert "correct the clocks" in report.doubt
    assert state(world) == before


@pytest.mark.parametrize("wrong", WRONG, ids=["ahead", "behind"])
def test_the_control_by_its_own_clock_it_would_take_the_trust_from_the_others(wrong: timedelta) -> None:
    world = World()
    right = Replica(world)
    reconcile_all(right, times=3)
    before = state(world)
    reconcile_all(Replica(world, wrong), times=3)
    assert state(world) != before or wrong < timedelta()
    if wrong > timedelta():
        assert right.pair is not None
        assert world.why_refused(right.pair.certificate) is not None


def test_the_others_rotate_and_it_follows_without_ever_being_refused() -> None:
    world = World()
    right, doubting = Replica(world), Doubting(world, timedelta(days=2))
    reconcile_all(right, doubting, times=3)
    first = world.authorities.current

    def nobody_is_refused() -> None:
        for each in (right, doubting):
            assert each.pair is not None
            assert world.why_refused(each.pair.certificate) is None

    for _ in range(90):  # 18 hours: a successor is due at 16
        live_through(world, [right, doubting], PAUSE, pause=PAUSE, check=nobody_is_refused)
        live_through(
            world, [right, doubting], SETTINGS.propagation, pause=SETTINGS.propagation, check=nobody_is_refused
        )
    assert world.authorities.current != first
    assert doubting.report.trusted


def test_alone_it_begins_nothing_and_says_what_it_would_do() -> None:
    world = World()
    doubting = Doubting(world, timedelta(days=2))
    report = doubting.reconcile()
    assert (world.secret, world.writes, report.trusted) == (None, [], False)
    assert any(
        "the CA Secret does not exist" in waits and "does not write it, because" in waits for waits in report.waiting
    )


def test_a_damaged_bundle_is_left_to_those_whose_clocks_are_right() -> None:
    world = World()
    right, doubting = Replica(world), Doubting(world, timedelta(days=2))
    reconcile_all(right, doubting, times=3)
    configuration, bundles = next(iter(world.bundles.items()))
    world.damage_bundle(configuration, dict.fromkeys(bundles, b""))
    report = doubting.reconcile()
    assert not report.trusted
    assert any("lacks the CA" in waits and "does not write it" in waits for waits in report.waiting)
    right.reconcile()
    assert doubting.reconcile().trusted
