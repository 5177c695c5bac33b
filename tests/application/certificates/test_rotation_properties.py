"""Replicas whose passes interleave, crash, freeze and conflict, while hands damage things and time passes.

The promise: *a replica that has once been trusted stays trusted at every moment*, by every API server, whatever its clock
and however far it lags within the propagation time; through rotations, crashes and any damage to the Secret. Only damage
to a bundle itself takes the trust away, until the next pass of anybody; and from wherever the world has come to,
a few quiet passes bring it to rest.
"""

from dataclasses import replace
from datetime import timedelta

import trustme
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.application.certificates.world import SETTINGS as USUAL
from tests.application.certificates.world import Replica, World, live_through, next_key
from webhook.application.certificates.issue import issue_ca
from webhook.application.certificates.plan import Phase
from webhook.application.certificates.tokens import token_of

FOREIGN = trustme.CA().cert_pem.bytes()
SETTINGS = replace(USUAL, ca_lifetime=timedelta(hours=6))  # rotations come often
PAUSE = timedelta(minutes=12)
HALF_SKEW = SETTINGS.clock_skew / 2
CLOCK_ERRORS = st.sampled_from([timedelta(), HALF_SKEW, -HALF_SKEW])
WHICH = st.integers(0, 5)
SECRET_KEYS = ["ca.crt", "ca.key", "next.crt", "next.key", "previous.crt", "previous-until", "previous-path-tokens"]


class Cluster(RuleBasedStateMachine):
    """Some replicas in one world."""

    @initialize(errors=st.lists(CLOCK_ERRORS, min_size=1, max_size=4))
    def begin(self, errors: list[timedelta]) -> None:
        self.world = World(SETTINGS)
        self.replicas = [Replica(self.world, error) for error in errors]
        self.frozen: set[Replica] = set()
        self.backups: list[dict[str, bytes] | None] = [None]
        self.contents: list[bytes] = [b"", b"garbage", FOREIGN, FOREIGN[:99]]

    def awake(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica not in self.frozen]

    def pick(self, which: int) -> Replica:
        candidates = self.awake() or self.replicas
        return candidates[which % len(candidates)]

    # --- what replicas do

    @rule(which=WHICH, number=st.integers(1, 4))
    def step(self, which: int, number: int) -> None:
        for _ in range(number):
            self.pick(which).step()
            self.check_trust()

    @rule(which=WHICH)
    def reconcile(self, which: int) -> None:
        self.pick(which).reconcile()

    @rule(which=WHICH)
    def crash(self, which: int) -> None:
        replica = self.pick(which)
        self.frozen.discard(replica)
        self.replicas[self.replicas.index(replica)] = Replica(self.world, replica.clock_error)

    @rule(which=WHICH)
    def freeze(self, which: int) -> None:
        """Suspended, perhaps between a reading and what is done on the strength of it; its leaf is served on."""
        self.frozen.add(self.pick(which))

    @precondition(lambda self: self.frozen)
    @rule(which=WHICH)
    def thaw(self, which: int) -> None:
        frozen = [replica for replica in self.replicas if replica in self.frozen]
        self.frozen.discard(frozen[which % len(frozen)])

    # --- time

    @rule(seconds=st.integers(1, 20))
    def moments_pass(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    def time_passes(self, duration: timedelta) -> None:
        end = self.world.now + duration
        while self.world.now < end:
            for pause in (PAUSE, SETTINGS.propagation):
                live_through(self.world, self.awake(), pause, pause=pause, check=self.check_trust)

    @rule(hours=st.integers(1, 4))
    def hours_pass(self, hours: int) -> None:
        self.time_passes(timedelta(hours=hours))

    @precondition(lambda self: self.awake())
    @rule()
    def rotation_comes_due(self) -> None:
        """Live on until a successor has been published, wherever the current authority stands."""
        for _ in range(30):
            if self.world.authorities.next:
                return
            self.time_passes(PAUSE)

    # --- what hands do

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.world.secret)
        self.contents += [pem for bundles in self.world.bundles.values() for pem in bundles.values()]

    @rule(which=WHICH)
    def restore_or_delete_the_secret(self, which: int) -> None:
        self.world.put_secret(self.backups[which % len(self.backups)])

    @rule(
        keys=st.sets(st.sampled_from(SECRET_KEYS), min_size=1),
        content=st.sampled_from([None, b"", b"garbage", FOREIGN]),
    )
    def damage_the_secret(self, keys: set[str], content: bytes | None) -> None:
        kept = {key: value for key, value in (self.world.secret or {}).items() if key not in keys}
        self.world.put_secret(kept if content is None else kept | dict.fromkeys(keys, content))

    @rule()
    def swap_the_authorities(self) -> None:
        data = self.world.secret or {}
        swapped = {"ca": "next", "next": "ca"}
        self.world.put_secret({f"{swapped.get(key[:-4], key[:-4])}{key[-4:]}": value for key, value in data.items()})

    @rule(error=CLOCK_ERRORS)
    def put_in_a_new_authority(self, error: timedelta) -> None:
        ca = issue_ca(key=next_key(), at=self.world.now + error, lifetime=SETTINGS.ca_lifetime, backdate=HALF_SKEW * 2)
        self.world.put_secret((self.world.secret or {}) | {"ca.crt": ca.certificate_pem, "ca.key": ca.key_pem})

    @rule(which=st.integers(0, 30), configuration=st.integers(0, 1), webhooks=st.sampled_from(["all", "one"]))
    def damage_a_bundle(self, which: int, configuration: int, webhooks: str) -> None:
        name = list(self.world.bundles)[configuration]
        bundles = self.world.bundles[name]
        hit = list(bundles) if webhooks == "all" else list(bundles)[-1:]
        pem = self.contents[which % len(self.contents)]
        self.world.damage_bundle(name, bundles | dict.fromkeys(hit, pem))
        for replica in self.replicas:
            replica.sure_since = None

    @rule(
        configuration=st.integers(0, 1),
        path=st.sampled_from(
            ["", "/mutate", "/validate", f"/validate/{'0' * 32}", f"/mutate/{'1' * 32}", "/elsewhere"]
        ),
    )
    def damage_a_path(self, configuration: int, path: str) -> None:
        name = list(self.world.targets)[configuration]
        self.world.damage_targets(name, {list(self.world.targets[name])[-1]: path})
        for replica in self.replicas:
            replica.sure_since = None

    @rule(which=WHICH)
    def and_anybody_heals_it(self, which: int) -> None:
        """Whatever was done to bundles, one whole pass makes every bundle trust what that replica serves."""
        replica = self.pick(which)
        replica.reconcile()
        assert replica.pair
        assert self.world.why_refused(replica.pair.certificate) is None

    # --- the promise

    @invariant()
    def check_trust(self) -> None:
        for replica in self.replicas:
            if replica.pair is None or replica.sure_since is None:
                continue
            if self.has_expired(replica):
                replica.sure_since = None  # it has to become trusted anew
                continue
            if self.world.now < replica.sure_since + SETTINGS.propagation:
                continue  # the first trust there is is told as soon as it is stored: nothing better could be served
            # What damage did is not held against anybody.
            lagging = max(self.world.now - SETTINGS.propagation, self.world.healed_at)
            assert self.world.why_refused(replica.pair.certificate, lagging) is None
            assert not replica.rejects(lagging)

    def has_expired(self, replica: Replica) -> bool:
        """Served beyond its end, because the process is frozen, or because hands keep the authority from settling.

        A leaf is signed anew with a third of its life left; what takes that time away is nobody's fault here.
        """
        assert replica.pair
        undisturbed = self.world.now - self.world.touched_at
        kept_up = self.world.now - replica.last_reconciled <= SETTINGS.leaf_lifetime / 4
        if kept_up and undisturbed > SETTINGS.leaf_lifetime / 2:
            return False
        return replica.pair.certificate.not_valid_after_utc < self.world.now + HALF_SKEW

    def teardown(self) -> None:
        """A few quiet passes, and everything is at rest."""
        if not hasattr(self, "world"):
            return
        for pause in (timedelta(), SETTINGS.propagation, SETTINGS.propagation, timedelta(seconds=1)):
            self.world.now += pause
            for replica in self.replicas:
                replica.reconcile()
        world, authorities = self.world, self.world.authorities
        for replica in self.replicas:
            assert replica.report.trusted, replica.report
            assert replica.report.phase in {Phase.STEADY, Phase.RETIRING}, replica.report
            assert not replica.report.failures
            assert replica.pair
            assert world.why_refused(replica.pair.certificate) is None
            assert not replica.rejects()
        assert all(token_of(name, target) for each in world.targets.values() for name, target in each.items())
        assert world.carried() == {frozenset(authorities.certificates)}
        assert not authorities.damage
        before = len(world.writes)
        for replica in self.replicas:
            replica.reconcile()
        assert world.writes[before:] == []


TestCluster = Cluster.TestCase
TestCluster.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
