"""A machine's clock that jumps, or is grossly wrong: nobody is refused, and nothing that others rely on is touched."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.stand_in.apiserver import StandIn
from tests.adapters.kubernetes.support import eventually
from tests.cli.serving import COMMAND, Served
from tests.faults.cluster import (
    bundles,
    login,
    managed,
    parts,
    ready,
    refusals,
    register,
    replica,
    shared_state,
    within,
)
from tests.faults.long import LONG
from tests.wire import Wire

HOURS, YEARS = 3600, 365 * 24 * 3600
JUMPS = [5 * HOURS, -5 * HOURS, *([2 * YEARS, -2 * YEARS] if LONG else []), 0]
FAKETIME = os.environ.get("GPUWARDEN_FAKETIME", "")  # the path of libfaketimeMT.so.1
OFFSET = "gpuwarden_clock_offset_seconds"


class Clock:
    """The clock of a machine."""

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self._numbers = itertools.count()
        self._folder = folder
        self.file = folder / "offset"
        self.set(offset)

    def set(self, offset: int) -> None:
        """Let it be wrong by so many seconds from now on."""
        new = self._folder / f"offset-{next(self._numbers)}"
        new.write_text(f"{offset:+d}", encoding="ascii")
        new.replace(self.file)

    def serve(self, *options: str | Path) -> Served:
        """A replica on this machine."""
        module = (sys.executable, "-m", "tests.faults.at_another_time", str(self.file), "serve")
        return replica(*options, command=module)


class FakedClock(Clock):
    """The same by libfaketime, which tells the whole process another time."""

    def serve(self, *options: str | Path) -> Served:
        settings = {
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return replica(*options, command=COMMAND, LD_PRELOAD=FAKETIME, **settings)


CLOCKS = [Clock, *([FakedClock] if FAKETIME else [])]
OFFSETS = {"ahead": 2 * YEARS} | ({"behind": -2 * YEARS} if LONG else {})


@pytest.fixture
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        register(stand_in)
        yield stand_in


@contextmanager
def one_that_is_right(apiserver: StandIn, folder: Path, **lifetimes: float) -> Iterator[Served]:
    """A replica whose clock is right, and who has brought everything to rest."""
    with replica(*managed(login(folder, apiserver, "right"), **lifetimes)) as served:
        within(30, lambda: ready(served), "ready")
        assert refusals(apiserver, served.said["port"]) == []
        yield served


@pytest.mark.parametrize("kind", CLOCKS)
def test_a_clock_that_jumps_costs_nobody_anything(apiserver: StandIn, tmp_path: Path, kind: type[Clock]) -> None:
    clock = kind(tmp_path)
    with clock.serve(*managed(login(tmp_path, apiserver), leaf=10, skew=2)) as served:
        within(30, lambda: ready(served), "ready")
        before = shared_state(apiserver)
        for jump in JUMPS:
            looks = apiserver.count("object")
            clock.set(jump)
            apiserver.wait_for_requests("object", looks + 6)  # two looks at everything
            assert refusals(apiserver, served.said["port"]) == []
            assert ready(served)
            assert shared_state(apiserver) == before
            assert abs(served.metric(OFFSET) - jump) < 10
            assert served.metric("gpuwarden_namespace_watch_age_seconds") < 60
            said = parts(served)["clock"]["message"]
            assert ("agrees with" in said) is (jump == 0), said
            assert ("ahead of" in said) is (jump > 0), said
            assert ("behind" in said) is (jump < 0), said
        doubts = [line for line in served.log if line["event"].startswith("clock ")]
        assert doubts[0]["event"] == "clock in doubt, shared state is not written"
        assert doubts[-1]["event"] == "clock agrees with the API server's again"


def test_while_the_clock_is_wrong_certificates_are_signed_anew_all_the_same(apiserver: StandIn, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with clock.serve(*managed(login(tmp_path, apiserver), leaf=8, skew=2)) as served:
        within(30, lambda: ready(served), "ready")
        before = shared_state(apiserver)
        clock.set(5 * HOURS)
        first = presented(served)

        def renewed() -> bool:
            assert refusals(apiserver, served.said["port"]) == []
            return presented(served) != first

        within(20, renewed, "a new certificate")
        assert shared_state(apiserver) == before


def presented(served: Served) -> bytes:
    context = served.trusting_nobody()
    with Wire(served.said["port"], context) as wire:
        return wire.certificate()


@pytest.mark.parametrize("offset", OFFSETS.values(), ids=OFFSETS)
def test_one_replica_with_a_wrong_clock_takes_nothing_from_the_others(
    apiserver: StandIn, tmp_path: Path, offset: int
) -> None:
    """By its own clock the authority has expired, or does not exist yet."""
    with one_that_is_right(apiserver, tmp_path, leaf=10, skew=2) as other:
        before = shared_state(apiserver)
        with Clock(tmp_path, offset).serve(*managed(login(tmp_path, apiserver), leaf=10, skew=2)) as served:
            within(30, lambda: ready(served), "ready")  # signed by the API server's time
            looks = apiserver.count("object")
            apiserver.wait_for_requests("object", looks + 3)
            for each in (other, served):
                assert refusals(apiserver, each.said["port"]) == []
            assert shared_state(apiserver) == before


def test_alone_with_a_wrong_clock_nothing_is_begun_and_the_operator_is_told(apiserver: StandIn, tmp_path: Path) -> None:
    clock = Clock(tmp_path, 5 * HOURS)
    with clock.serve(*managed(login(tmp_path, apiserver))) as served:
        apiserver.wait_for_requests("object", 9)
        assert not ready(served)
        assert shared_state(apiserver) == (None, ["", ""])
        told = parts(served)["trust"]["message"]
        assert "the CA Secret does not exist" in told
        assert re.search(
            "does not write it, because this machine's clock is (4:59:5|5:00:0).* ahead of the API server's", told
        )
        assert "correct the clocks (NTP)" in told
        clock.set(0)
        within(30, lambda: ready(served), "ready")
        eventually(lambda: all(bundles(apiserver)))
        assert refusals(apiserver, served.said["port"]) == []
