"""A crash after every single operation of a whole rotation, one by one: nobody else is refused, and all comes to rest."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from tests.application.certificates.world import SETTINGS as USUAL
from tests.application.certificates.world import Replica, World
from tests.faults.long import LONG
from webhook.application.certificates.plan import Phase
from webhook.application.certificates.secret import signing_key
from webhook.application.certificates.tokens import path_token

SETTINGS = replace(USUAL, ca_lifetime=timedelta(hours=3))
PAUSES = (timedelta(minutes=12), SETTINGS.propagation)
STORY = timedelta(
    hours=3, minutes=30
)  # bootstrap, a rotation at two hours, the old authority gone an hour and some later


@dataclass
class Story:
    """Replicas that live through a rotation; the first one crashes, once, before its so-manieth operation.

    Attributes:
        replicas: how many.
        crash: the operation, counted from one; 0 is no crash.
        busy: the operations of the first replica's passes that wrote or signed something.
    """

    replicas: int
    crash: int
    busy: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.world = World(SETTINGS)
        self.all = [Replica(self.world) for _ in range(self.replicas)]
        self._operations = 0
        self.authorities: set[int] = set()

    def live(self) -> None:
        """From an empty cluster to the end of the rotation."""
        self._tick_all()
        while self.world.seconds < STORY.total_seconds():
            for pause in PAUSES:
                self.world.now += pause
                self._tick_all()
            self.authorities |= {c.serial_number for c in self.world.authorities.certificates}

    def _tick_all(self) -> None:
        self._tick_the_first()
        for other in self.all[1:]:
            while not other.step():
                self._nobody_else_is_refused()
            self._nobody_else_is_refused()

    def _tick_the_first(self) -> None:
        begun, served, written = self._operations, self.all[0].pair, len(self.world.writes)
        ended = False
        while not ended:
            self._operations += 1
            if self._operations == self.crash:
                self.all[0] = Replica(self.world)  # what is in memory is gone; what is stored, is
                return  # ... and it starts again in time for the next pass
            ended = self.all[0].step()
            self._nobody_else_is_refused()
        if self.all[0].pair is not served or len(self.world.writes) > written:
            self.busy |= {*range(begun + 1, self._operations + 2)}  # before each, and right after the last

    def _nobody_else_is_refused(self) -> None:
        for other in self.all[1:]:
            if other.pair is not None and other.sure_since is not None:
                lagging = max(self.world.now - SETTINGS.propagation, self.world.healed_at)
                assert self.world.why_refused(other.pair.certificate, lagging) is None, self.crash
                assert not other.rejects(lagging), self.crash

    def assert_at_rest(self) -> None:
        """Two quiet passes later, as after a crash at the very end."""
        for _ in range(2):
            self.world.now += SETTINGS.propagation
            for each in self.all:
                each.reconcile()
        for each in self.all:
            assert each.report.trusted, (self.crash, each.report)
            assert each.report.phase in {Phase.STEADY, Phase.RETIRING}, (self.crash, each.report)
            assert each.pair is not None
            assert self.world.why_refused(each.pair.certificate) is None, self.crash
            assert not each.rejects(), self.crash
        current = path_token(signing_key(self.world.authorities.signers[0]))
        assert {path.rpartition("/")[2] for path in self.world.called()} == {current}, self.crash
        assert self.world.carried() == {frozenset(self.world.authorities.certificates)}, self.crash


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_crash_between_any_two_operations_is_healed(replicas: int) -> None:
    undisturbed = Story(replicas, 0)
    undisturbed.live()
    undisturbed.assert_at_rest()
    assert len(undisturbed.authorities) == 2, "the control: it was one rotation"
    assert len(undisturbed.busy) > 20
    for operation in sorted(undisturbed.busy)[:: 1 if LONG else 3]:  # every single one: make faults
        story = Story(replicas, operation)
        story.live()
        story.assert_at_rest()
