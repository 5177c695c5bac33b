"""The reconciler against a world in memory: bootstrap, rotation, and each thing that hands can do to Secret and bundles."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.application.certificates.world import (
    MUTATING,
    NAMES,
    NAMESPACES,
    SETTINGS,
    START,
    VALIDATE,
    VALIDATING,
    Replica,
    World,
    live_through,
    next_key,
    reconcile_all,
)
from webhook.application.certificates.issue import issue_ca
from webhook.application.certificates.pem import CertificatePair, fingerprint
from webhook.application.certificates.plan import Phase
from webhook.application.certificates.secret import Authorities, write_authorities
from webhook.application.certificates.store import ConflictError, RegisteredWebhooks
from webhook.application.certificates.trust import covers

FOREIGN = trustme.CA().cert_pem.bytes()
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PROPAGATION = SETTINGS.propagation


def a_ca() -> CertificatePair:
    return issue_ca(key=next_key(), at=START, lifetime=SETTINGS.ca_lifetime, backdate=SETTINGS.clock_skew)


def a_world(replicas: int = 2) -> tuple[World, list[Replica]]:
    """A world in which everything is as it should be."""
    world = World()
    running = [Replica(world) for _ in range(replicas)]
    reconcile_all(*running)
    assert [replica.report.phase for replica in running] == [Phase.STEADY] * replicas
    world.now += MINUTE  # so that nobody goes by the empty bundles of the beginning any longer
    return world, running


def leaf_of(replica: Replica) -> CertificatePair:
    assert replica.pair
    return replica.pair


def assert_trusted(world: World, *replicas: Replica) -> None:
    for replica in replicas:
        assert world.why_refused(leaf_of(replica).certificate) is None


def assert_healed(world: World, *replicas: Replica) -> None:
    """Everything agrees, everybody is trusted, and nobody writes any more."""
    assert_trusted(world, *replicas)
    assert all(replica.report.trusted for replica in replicas)
    assert world.carried() == {frozenset(world.authorities.certificates)}
    assert not world.authorities.damage
    before = len(world.writes)
    reconcile_all(*replicas)
    assert world.writes[before:] == []


def test_one_tick_takes_an_empty_cluster_to_a_trusted_certificate() -> None:
    world = World()
    replica = Replica(world)

    report = replica.reconcile()

    assert report.phase is Phase.STEADY
    assert report.trusted
    assert not report.failures
    assert world.writes == ["Secret", MUTATING, VALIDATING, "Secret"]
    assert report.done[0] == "the CA Secret does not exist; there is no CA that can sign; a new one is published"
    assert sorted(report.expiries) == ["ca", "leaf"]
    assert_healed(world, replica)
    leaf = leaf_of(replica).certificate
    assert covers(leaf, NAMES.dns[0])
    assert leaf.not_valid_after_utc == START + SETTINGS.leaf_lifetime
    assert report.expiries["leaf"] == leaf.not_valid_after_utc


def test_replicas_that_start_at_once_agree_on_one_ca() -> None:
    world = World()
    replicas = [Replica(world) for _ in range(20)]
    unfinished = list(replicas)
    while unfinished:
        unfinished = [replica for replica in unfinished if not replica.step()]

    reconcile_all(*replicas)

    assert len(world.authorities.certificates) == 1
    assert len({leaf_of(replica).certificate.serial_number for replica in replicas}) == 20, "each its own leaf"
    assert_healed(world, *replicas)


def test_a_quiet_tick_writes_nothing_and_signs_nothing() -> None:
    world, [replica, _] = a_world()
    before, pair = len(world.writes), replica.pair

    world.now += MINUTE
    report = replica.reconcile()

    assert report.done == report.waiting == report.failures == ()
    assert (len(world.writes), replica.pair) == (before, pair)


def test_a_leaf_is_signed_anew_at_two_thirds_of_its_life_by_the_same_ca() -> None:
    world, [replica, _] = a_world()
    ca = world.authorities.current
    due = (SETTINGS.leaf_lifetime + SETTINGS.clock_skew) * 2 / 3 - SETTINGS.clock_skew

    world.now = START + due - SECOND
    assert not replica.reconcile().done
    world.now += 2 * SECOND
    assert "due for renewal" in replica.reconcile().done[0]

    assert world.authorities.current == ca
    assert leaf_of(replica).certificate.not_valid_after_utc == world.now + SETTINGS.leaf_lifetime
    assert_healed(world, replica)


def test_a_rotation_goes_through_its_phases_in_order_and_nobody_is_refused_on_the_way() -> None:
    world, replicas = a_world(3)
    old = world.authorities.current
    phases: list[Phase | None] = []

    def check() -> None:
        for replica in replicas:
            assert world.why_refused(leaf_of(replica).certificate, world.now - PROPAGATION) is None
            if not phases or phases[-1] != replica.report.phase:
                phases.append(replica.report.phase)

    live_through(world, replicas, 15 * HOUR, pause=20 * MINUTE, check=check)
    assert world.authorities.current == old
    live_through(world, replicas, 55 * MINUTE, pause=5 * MINUTE, check=check)
    live_through(world, replicas, 10 * MINUTE, pause=5 * SECOND, check=check)
    new = world.authorities.current
    assert new != old
    assert old
    assert old.certificate in world.authorities.previous
    live_through(world, replicas, 2 * HOUR, pause=5 * MINUTE, check=check)

    assert phases[0] is phases[-1] is Phase.STEADY
    order = [Phase.STEADY, Phase.PROPAGATING, Phase.SWITCHING, Phase.RETIRING, Phase.STEADY]
    assert [phase for index, phase in enumerate(order) if phase in phases or index] == order
    assert phases.index(Phase.PROPAGATING) < phases.index(Phase.RETIRING)
    assert world.authorities.certificates == ((new.certificate,) if new else ())
    assert_healed(world, *replicas)


def test_no_replica_turns_to_the_new_ca_before_every_bundle_has_carried_it_for_the_propagation_time() -> None:
    world, [replica, other] = a_world()
    old = world.authorities.current
    world.failing = {f"write {VALIDATING}"}
    world.now += 17 * HOUR
    reconcile_all(replica, other)
    assert world.authorities.next

    for _ in range(10):
        world.now += PROPAGATION
        report = replica.reconcile()
        assert f"{VALIDATING} (webhook {VALIDATE}), {VALIDATING} (webhook {NAMESPACES}) carry" in report.waiting[-1]
        assert report.failures == (f"{report.failures[0]}",)
        assert "forbidden" in report.failures[0]
        assert world.authorities.current == old
        assert_trusted(world, replica)

    world.failing = set()
    replica.reconcile()
    world.now += PROPAGATION - SECOND
    assert replica.reconcile().phase is Phase.PROPAGATING
    assert world.authorities.current == old
    world.now += SECOND
    assert "signs from now on" in " ".join(replica.reconcile().done)
    assert world.authorities.current != old
    reconcile_all(other)
    assert_healed(world, replica, other)


def test_three_rotations_with_wrong_clocks_and_replicas_restarting_refuse_nobody() -> None:
    error = SETTINGS.clock_skew / 2
    world = World(replace(SETTINGS, ca_lifetime=6 * HOUR))
    replicas = [Replica(world, each) for each in (-error, error, timedelta())]
    reconcile_all(*replicas)
    world.now += MINUTE
    signing = [world.authorities.current]

    def check() -> None:
        for replica in replicas:
            if replica.report.trusted:
                assert world.why_refused(leaf_of(replica).certificate, world.now - PROPAGATION) is None
        if world.authorities.current not in signing:
            signing.append(world.authorities.current)

    for turn in range(40):
        live_through(world, replicas, 20 * MINUTE, pause=10 * MINUTE, check=check)
        if turn % 5 == 0:
            crashing = replicas.pop(0)
            crashing.step()
            crashing.step()
            replicas.append(Replica(world, crashing.clock_error))
        live_through(world, replicas, 2 * PROPAGATION, pause=PROPAGATION / 2, check=check)
        assert all(replica.report.trusted for replica in replicas)

    assert len(signing) == 4
    live_through(world, replicas, 2 * HOUR, pause=10 * MINUTE, check=check)
    assert_healed(world, *replicas)


def test_an_old_ca_stays_until_no_leaf_of_it_can_be_valid_by_anybodys_clock() -> None:
    world, replicas = a_world()
    old = world.authorities.current
    assert old
    live_through(world, replicas, 17 * HOUR, pause=10 * MINUTE)
    switched = world.authorities.previous_until
    assert switched
    ends = switched - SETTINGS.retention

    while old.certificate in frozenset().union(*world.carried()):
        live_through(world, replicas, MINUTE, pause=MINUTE)

    assert world.now >= ends + SETTINGS.leaf_lifetime + 2 * SETTINGS.clock_skew
    assert world.now <= ends + SETTINGS.leaf_lifetime + 4 * SETTINGS.clock_skew
    assert_healed(world, *replicas)


# --- by hand: the Secret. Bundles are whole, so nobody may be refused at any step ------------------------------------


def restored_from_a_backup(world: World) -> None:
    backup = write_authorities(Authorities(current=a_ca()))
    world.put_secret(backup)


def with_key_of_another(world: World) -> None:
    assert world.secret
    world.put_secret(world.secret | {"ca.key": a_ca().key_pem})


SECRET_DAMAGE: dict[str, Callable[[World], None]] = {
    "deleted": lambda world: world.put_secret(None),
    "emptied": lambda world: world.put_secret({}),
    "key lost": lambda world: world.put_secret({"ca.crt": (world.secret or {})["ca.crt"]}),
    "certificate lost": lambda world: world.put_secret({"ca.key": (world.secret or {})["ca.key"]}),
    "key of another": with_key_of_another,
    "garbage": lambda world: world.put_secret({"ca.crt": b"garbage", "ca.key": b"\xff\x00", "previous.crt": b"x"}),
    "truncated": lambda world: world.put_secret({k: v[: len(v) // 2] for k, v in (world.secret or {}).items()}),
    "a foreign CA without its key": lambda world: world.put_secret({"ca.crt": FOREIGN, "ca.key": b""}),
    "a leaf in the CA's place": lambda world: world.put_secret(
        dict(zip(("ca.crt", "ca.key"), leaf_as_ca(), strict=True))
    ),
    "restored from a backup": restored_from_a_backup,
}


def leaf_as_ca() -> tuple[bytes, bytes]:
    other = World()
    replica = Replica(other)
    replica.reconcile()
    return leaf_of(replica).certificate_pem, leaf_of(replica).key_pem


@pytest.mark.parametrize("kind", SECRET_DAMAGE)
@pytest.mark.parametrize("mid_rotation", [False, True], ids=["steady", "mid-rotation"])
def test_a_damaged_secret_is_replaced_and_nobody_is_refused_meanwhile(kind: str, mid_rotation: bool) -> None:  # noqa: FBT001 -- a column of the table
    world, replicas = a_world(3)
    if mid_rotation:
        world.now += 17 * HOUR
        reconcile_all(*replicas)
        world.now += PROPAGATION
        reconcile_all(*replicas[:2])  # the third still serves under the old CA
        assert len({leaf_of(replica).certificate.issuer for replica in replicas}) == 2
    old = world.authorities.current
    assert old

    SECRET_DAMAGE[kind](world)

    def check() -> None:
        for replica in replicas:
            assert world.why_refused(leaf_of(replica).certificate, world.now - PROPAGATION) is None

    live_through(world, replicas, 30 * SECOND, pause=5 * SECOND, check=check)
    now_signing = world.authorities.current
    assert now_signing
    assert now_signing != old
    assert {leaf_of(replica).certificate.issuer for replica in replicas} == {now_signing.certificate.subject}
    assert_healed(world, *replicas)
    live_through(world, replicas, 2 * HOUR, pause=5 * MINUTE, check=check)
    assert world.authorities.certificates == (now_signing.certificate,), "what nothing needs any longer is gone"
    assert_healed(world, *replicas)


def test_a_replica_that_starts_while_the_secret_is_lost_takes_nothing_away_from_the_others() -> None:
    world, replicas = a_world()
    world.put_secret(None)
    newcomer = Replica(world)

    newcomer.reconcile()

    assert_trusted(world, *replicas, newcomer)
    assert not newcomer.report.trusted, "not ready before API servers had time to notice"
    world.now += PROPAGATION
    reconcile_all(newcomer, *replicas, times=2)
    assert_healed(world, *replicas, newcomer)


def test_a_ca_of_somebodys_own_in_the_secret_is_used() -> None:
    world = World()
    theirs = trustme.CA()
    world.now = datetime.now(UTC)
    world.put_secret({"ca.crt": theirs.cert_pem.bytes(), "ca.key": theirs.private_key_pem.bytes()})

    replica = Replica(world)
    replica.reconcile()

    assert leaf_of(replica).certificate.issuer == world.authorities.certificates[0].subject
    assert_healed(world, replica)


# --- by hand: the bundles. Nobody is trusted then, until the next pass of anybody -------------------------------------


def malformed() -> bytes:
    """Our own authority, with a subject that is no text: it loads, and fails when it is asked for it."""
    der = a_ca().certificate.public_bytes(serialization.Encoding.DER).replace(b"gpuwarden CA", b"\xffpuwarden CA")
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


BUNDLE_DAMAGE: dict[str, bytes] = {
    "emptied": b"",
    "garbage": b"\x00garbage",
    "foreign": FOREIGN,
    "truncated": FOREIGN[:200],
    "another of ours": a_ca().certificate_pem,
    "a certificate that cannot be read through": malformed(),
}


@pytest.mark.parametrize("bundle", BUNDLE_DAMAGE.values(), ids=BUNDLE_DAMAGE)
@pytest.mark.parametrize("configuration", [MUTATING, VALIDATING])
def test_a_wrong_bundle_is_right_after_one_tick_of_any_replica(bundle: bytes, configuration: str) -> None:
    world, replicas = a_world(3)
    world.damage_bundle(configuration, dict.fromkeys(world.bundles[configuration], bundle))
    assert world.why_refused(leaf_of(replicas[0]).certificate) is not None

    report = replicas[1].reconcile()

    assert_trusted(world, *replicas)
    assert f"the caBundle of {configuration}, webhook " in report.done[0]
    reconcile_all(*replicas)
    assert_healed(world, *replicas)


def test_a_foreign_certificate_beside_ours_is_removed() -> None:
    world, replicas = a_world()
    world.put_bundle(VALIDATING, {name: pem + FOREIGN for name, pem in world.bundles[VALIDATING].items()})

    report = replicas[0].reconcile()

    assert "which is not to be trusted" in report.done[0]
    assert_healed(world, *replicas)


def test_one_wrong_webhook_of_several_is_seen() -> None:
    world, replicas = a_world()
    world.put_bundle(VALIDATING, world.bundles[VALIDATING] | {NAMESPACES: b""})

    assert f"webhook {NAMESPACES}, lacks the CA" in replicas[0].reconcile().done[0]

    assert_healed(world, *replicas)


def test_a_configuration_that_appears_later_gets_its_bundle() -> None:
    world, replicas = a_world()
    world.put_bundle("ValidatingWebhookConfiguration/late", {VALIDATE: b""})

    replicas[0].reconcile()

    assert_healed(world, *replicas)


def test_without_any_configuration_a_certificate_is_signed_all_the_same() -> None:
    world = World(bundles={})
    replica = Replica(world)

    assert replica.reconcile().phase is Phase.STEADY

    assert replica.pair


@pytest.mark.parametrize("bundle", [b"", FOREIGN], ids=["emptied", "foreign"])
def test_secret_and_bundles_lost_together_are_healed_from_what_replicas_serve(bundle: bytes) -> None:
    world, replicas = a_world(3)
    world.put_secret(None)
    for name in (MUTATING, VALIDATING):
        world.damage_bundle(name, dict.fromkeys(world.bundles[name], bundle))

    replicas[0].reconcile()

    assert_trusted(world, *replicas)
    world.now += PROPAGATION
    reconcile_all(*replicas, times=2)
    assert_healed(world, *replicas)


def test_when_the_secret_cannot_be_written_a_bundle_is_healed_all_the_same() -> None:
    world, replicas = a_world()
    world.failing = {"write_secret"}
    world.put_secret(None)
    for name in (MUTATING, VALIDATING):
        world.damage_bundle(name, dict.fromkeys(world.bundles[name], b""))

    report = replicas[0].reconcile()

    assert "write_secret: forbidden" in report.failures[0]
    assert report.phase is Phase.HEALING
    assert_trusted(world, *replicas)


# --- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["read_configurations", "read_secret"])
def test_what_cannot_be_read_is_a_failure_and_changes_nothing(operation: str) -> None:
    world, [replica, _] = a_world()
    before, pair = len(world.writes), replica.pair
    world.failing = {operation}

    report = replica.reconcile()

    assert report.failures == (f"{operation}: forbidden",)
    assert report.phase is None
    assert (len(world.writes), replica.pair) == (before, pair)
    assert report.trusted, "one failed look says nothing of trust"
    world.now += SETTINGS.leaf_lifetime
    assert not replica.reconcile().trusted, "but an expired certificate does"


def test_nobody_is_trusted_before_the_first_look() -> None:
    world = World(failing={"read_configurations"})

    assert not Replica(world).reconcile().trusted


def test_a_look_that_failed_starts_the_propagation_time_anew() -> None:
    world, [replica, _] = a_world()
    world.now += 17 * HOUR
    replica.reconcile()
    world.failing = {"read_configurations"}
    world.now += PROPAGATION
    replica.reconcile()
    world.failing = set()

    assert replica.reconcile().phase is Phase.PROPAGATING
    world.now += PROPAGATION
    assert replica.reconcile().phase is Phase.RETIRING


def test_one_configuration_that_cannot_be_written_does_not_hold_up_the_other() -> None:
    world = World(failing={f"write {MUTATING}"})
    replica = Replica(world)

    reconcile_all(replica, times=2)

    assert replica.report.failures
    assert "forbidden" in replica.report.failures[0]
    assert not replica.report.trusted
    assert replica.pair, "it serves those that do trust it"
    assert {fingerprint(c) for c in world.authorities.certificates}
    world.failing = set()
    world.now += PROPAGATION
    replica.reconcile()
    assert_healed(world, replica)


def test_a_leaf_that_the_server_refuses_is_tried_again_and_the_old_one_stays() -> None:
    world, [replica, _] = a_world()
    old = replica.pair
    replica.refusing = True
    world.now += 45 * MINUTE

    report = replica.reconcile()

    assert "the probe failed" in report.failures[0]
    assert replica.pair == old
    assert replica.reconciler.leaf
    assert replica.reconciler.leaf.pair == old
    replica.refusing = False
    replica.reconcile()
    assert replica.pair != old
    assert_healed(world, replica)


def test_after_a_long_sleep_everything_expired_is_made_anew_at_once() -> None:
    world, replicas = a_world()
    world.now += timedelta(days=30)

    reconcile_all(*replicas, times=2)

    assert_healed(world, *replicas)
    assert len(world.authorities.certificates) == 1


def test_a_replica_suspended_before_signing_signs_as_of_its_reading() -> None:
    world, [replica, _] = a_world()
    world.now += 45 * MINUTE
    for _ in range(3):  # before reading, before reading the Secret, before signing
        replica.step()
    read_at = world.now
    world.now += HOUR

    replica.step()

    assert leaf_of(replica).certificate.not_valid_after_utc == read_at + SETTINGS.leaf_lifetime


def test_a_replica_suspended_before_writing_a_bundle_cannot_take_back_what_came_since() -> None:
    world, [sleeper, other] = a_world()
    world.put_bundle(VALIDATING, world.bundles[VALIDATING] | {NAMESPACES: b""})
    for _ in range(3):
        sleeper.step()
    world.now += 17 * HOUR
    reconcile_all(other)
    world.now += PROPAGATION
    reconcile_all(other)
    new = world.authorities.current

    while not sleeper.step():
        assert_trusted(world, other)

    assert new
    assert all(new.certificate in carried for carried in world.carried())
    assert_trusted(world, sleeper, other)


def test_a_replica_suspended_between_its_readings_never_goes_by_a_secret_older_than_the_bundles() -> None:
    """Shown with a successor that does not look like ours: one that does would be kept in any case."""
    world, [sleeper, other] = a_world()
    world.now = START + HOUR / 2
    theirs = trustme.CA()
    sleeper.step()
    sleeper.step()
    assert world.secret
    pair = {"next.crt": theirs.cert_pem.bytes(), "next.key": theirs.private_key_pem.bytes()}
    world.put_secret(world.secret | pair)
    reconcile_all(other)
    world.now += PROPAGATION
    reconcile_all(other)
    assert leaf_of(other).certificate.issuer == world.authorities.certificates[0].subject

    while not sleeper.step():
        assert_trusted(world, other, sleeper)

    world.now += PROPAGATION
    reconcile_all(sleeper, other)
    assert_healed(world, sleeper, other)


def test_a_bundle_that_loses_the_next_ca_starts_the_propagation_time_anew() -> None:
    world, [replica, _] = a_world()
    before = dict(world.bundles[VALIDATING])
    world.now += 17 * HOUR
    replica.reconcile()
    world.now += PROPAGATION / 2
    world.put_bundle(VALIDATING, before)
    replica.reconcile()
    world.now += PROPAGATION / 2

    assert replica.reconcile().phase is Phase.PROPAGATING
    world.now += PROPAGATION / 2
    assert replica.reconcile().phase is Phase.RETIRING


def test_a_slow_reading_does_not_count_as_time_passed() -> None:
    """What it shows may be as old as its beginning."""

    class Slow(World):
        def read_configurations(self) -> tuple[RegisteredWebhooks, ...]:
            found = super().read_configurations()
            if self.secret and self.authorities.next:
                self.now += 2 * PROPAGATION
            return found

    world = Slow()
    replica = Replica(world)
    replica.reconcile()
    world.now += 17 * HOUR
    while not world.authorities.next or len(frozenset.intersection(*world.carried())) < 2:
        replica.step()
    carried_since = world.now
    while world.authorities.next is not None:
        replica.step()

    assert world.now - carried_since == 6 * PROPAGATION, (
        "of three readings only the third began long after the first ended"
    )


def test_a_tick_that_loses_every_race_ends_and_leaves_the_rest_to_the_next() -> None:
    class Contested(World):
        def write_secret(self, data: Mapping[str, bytes], resource_version: str | None) -> None:
            raise ConflictError(f"{len(data)} keys at {resource_version}: somebody was faster")

    replica = Replica(Contested())

    report = replica.reconcile()

    assert (report.done, report.failures) == ((), ())
    assert report.phase is Phase.BOOTSTRAP
