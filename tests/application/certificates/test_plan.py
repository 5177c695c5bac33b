"""The plan itself, as a table: what is seen, what is to be done about it, and why. And what is never done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.application.certificates.issue import ServingNames, issue_ca, issue_leaf, new_key
from webhook.application.certificates.observation import Observation, ServedLeaf
from webhook.application.certificates.pem import CertificatePair, bundle_pem, fingerprint, read_bundle
from webhook.application.certificates.plan import (
    Phase,
    Plan,
    SetBundle,
    SignLeaf,
    Wait,
    WriteSecret,
    needs_renewal,
    plan,
)
from webhook.application.certificates.secret import Authorities, signing_key, write_authorities
from webhook.application.certificates.settings import RotationSettings
from webhook.application.certificates.store import RegisteredWebhooks, StoredSecret
from webhook.application.certificates.tokens import path_token

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SETTINGS = RotationSettings()
DAY = timedelta(days=1)


def a_ca(*, age: timedelta = DAY) -> CertificatePair:
    return issue_ca(key=new_key(), at=NOW - age, lifetime=SETTINGS.ca_lifetime)


ONE, TWO, THREE = a_ca(), a_ca(), a_ca()
AGED, EXPIRED = a_ca(age=timedelta(days=300)), a_ca(age=timedelta(days=400))


def a_leaf(ca: CertificatePair, *, age: timedelta = timedelta(hours=1)) -> ServedLeaf:
    names = ServingNames.parse(["x"], [])
    lifetime = SETTINGS.leaf_lifetime
    return ServedLeaf(
        issue_leaf(ca, key=new_key(), names=names, at=NOW - age, lifetime=lifetime), ca.certificate, was_trusted=True
    )


def carrying(*cas: CertificatePair, name: str = "gpuwarden") -> RegisteredWebhooks:
    return RegisteredWebhooks(
        "ValidatingWebhookConfiguration", name, "7", {"pods": bundle_pem(ca.certificate for ca in cas)}
    )


def planned(
    *configurations: RegisteredWebhooks,
    stored: Authorities | None = None,
    leaf: ServedLeaf | None = None,
    settled: tuple[CertificatePair, ...] = (),
) -> Plan:
    secret = None if stored is None else StoredSecret(write_authorities(stored), "3")
    trusted_for = {fingerprint(ca.certificate): SETTINGS.propagation for ca in settled}
    return plan(Observation(NOW, configurations, secret, leaf, trusted_for), SETTINGS)


def sets(found: Plan) -> dict[str, set[object]]:
    """By configuration, what its bundle is set to."""
    return {
        action.configuration.name: set(read_bundle(action.bundle).certificates)
        for action in found.actions
        if isinstance(action, SetBundle)
    }


def written(found: Plan) -> WriteSecret | None:
    return next((action for action in found.actions if isinstance(action, WriteSecret)), None)


def signed_by(found: Plan) -> CertificatePair | None:
    return next((action.authority for action in found.actions if isinstance(action, SignLeaf)), None)


def waits(found: Plan) -> list[str]:
    return [action.reason for action in found.actions if isinstance(action, Wait)]


def certificates(*cas: CertificatePair) -> set[object]:
    return {ca.certificate for ca in cas}


# --- nothing to do ----------------------------------------------------------------------------------------------------


def test_where_everything_is_right_nothing_is_planned() -> None:
    found = planned(carrying(ONE), stored=Authorities(ONE), leaf=a_leaf(ONE))

    assert (found.actions, found.phase, found.trusted) == ((), Phase.STEADY, True)


def test_the_order_of_a_bundle_does_not_matter() -> None:
    stored = Authorities(ONE, None, (TWO.certificate,), NOW + DAY)

    found = planned(carrying(TWO, ONE), stored=stored, leaf=a_leaf(ONE))
    assert (found.actions, found.phase, found.trusted) == ((), Phase.RETIRING, True)


# --- bundles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bundle",
    [b"", b"garbage", TWO.certificate_pem[:100], ONE.certificate_pem + TWO.certificate_pem[:100]],
    ids=["empty", "garbage", "cut off", "another and a part"],
)
def test_a_bundle_that_lacks_the_ca_or_is_damaged_is_set(bundle: bytes) -> None:
    damaged = replace(carrying(name="damaged"), bundles={"pods": bundle})

    found = planned(carrying(ONE), damaged, stored=Authorities(ONE), leaf=a_leaf(ONE))

    assert sets(found) == {"damaged": certificates(ONE)}
    assert found.phase is Phase.HEALING


def test_an_empty_bundle_is_never_written() -> None:
    """API servers would then go by the roots of their own system."""
    foreign = replace(carrying(), bundles={"pods": b"garbage"})

    found = planned(foreign)

    assert sets(found) == {}
    assert written(found)


def test_the_own_issuer_is_put_into_bundles_though_the_secret_does_not_know_it() -> None:
    found = planned(carrying(), stored=Authorities(TWO), leaf=a_leaf(ONE))

    assert sets(found) == {"gpuwarden": certificates(ONE, TWO)}
    write = written(found)
    assert write
    assert write.authorities.previous == (ONE.certificate,)
    assert write.authorities.previous_until == NOW + SETTINGS.retention + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("until", "carried", "expected", "kept"),
    [
        (timedelta(minutes=1), (ONE,), {"gpuwarden": certificates(ONE, TWO)}, True),
        (timedelta(minutes=1), (ONE, TWO), {}, True),
        (timedelta(minutes=-1), (ONE,), {}, True),
        (timedelta(minutes=-1), (ONE, TWO), {}, True),
        (timedelta(minutes=-10), (ONE, TWO), {"gpuwarden": certificates(ONE)}, True),
        (timedelta(minutes=-10), (ONE,), {}, False),
    ],
    ids=[
        "needed and lacking: added",
        "needed: kept",
        "lapsed by this clock and lacking: not added",
        "lapsed by this clock: left to those whose clock is ahead",
        "lapsed by every clock: removed from the bundle first",
        "gone from the bundle: removed from the Secret",
    ],
)
def test_a_previous_authority_leaves_bundles_first_and_the_secret_last(
    until: timedelta,
    carried: tuple[CertificatePair, ...],
    expected: dict[str, set[object]],
    kept: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    stored = Authorities(ONE, None, (TWO.certificate,), NOW + until)

    found = planned(carrying(*carried), stored=stored, leaf=a_leaf(ONE))

    assert sets(found) == expected
    write = written(found)
    assert (write is None) is kept
    if write:
        assert write.authorities == Authorities(ONE)


# --- the leaf ---------------------------------------------------------------------------------------------------------


def test_an_aged_leaf_is_signed_by_the_same_ca() -> None:
    aged = a_leaf(ONE, age=timedelta(days=5))

    assert signed_by(planned(carrying(ONE), stored=Authorities(ONE), leaf=aged)) == ONE
    assert signed_by(planned(carrying(ONE), stored=Authorities(ONE), leaf=a_leaf(ONE, age=4 * DAY))) is None


def test_a_leaf_that_ends_with_its_ca_is_not_signed_again_and_again() -> None:
    ca = issue_ca(key=new_key(), at=NOW - 2 * DAY, lifetime=2 * DAY + timedelta(hours=1))
    aged = a_leaf(ca, age=2 * DAY)
    assert aged.pair.certificate.not_valid_after_utc == ca.certificate.not_valid_after_utc

    assert signed_by(planned(carrying(ca), stored=Authorities(ca), leaf=aged)) is None


def test_a_replica_turns_to_the_current_ca_only_when_every_bundle_has_settled_on_it() -> None:
    stored, leaf = Authorities(TWO, None, (ONE.certificate,), NOW + DAY), a_leaf(ONE)
    both = carrying(ONE, TWO)

    settled = planned(both, stored=stored, leaf=leaf, settled=(TWO,))
    fresh = planned(both, stored=stored, leaf=leaf)
    lacking = planned(both, carrying(ONE, name="lacking"), stored=stored, leaf=leaf, settled=(TWO,))

    assert signed_by(settled) == TWO
    assert (signed_by(fresh), signed_by(lacking)) == (None, None)
    assert "for 10 seconds" in waits(fresh)[0]
    assert "ValidatingWebhookConfiguration/lacking (webhook pods) carries" in waits(lacking)[0]
    assert {fresh.phase, lacking.phase} == {Phase.SWITCHING, Phase.HEALING}


def test_a_new_replica_signs_under_the_ca_that_most_bundles_carry() -> None:
    stored = Authorities(ONE, TWO)

    assert signed_by(planned(carrying(ONE, TWO), stored=stored)) == ONE
    assert signed_by(planned(carrying(ONE, TWO), carrying(TWO), stored=stored)) == TWO
    nobody = planned(carrying(), stored=stored)
    assert signed_by(nobody) is None
    assert "no webhook configuration carries" in waits(nobody)[0]


def test_without_configurations_nobody_has_to_be_asked() -> None:
    found = planned(stored=Authorities(ONE, TWO))

    assert signed_by(found) == ONE
    write = written(found)
    assert write
    assert write.authorities.current == TWO


def test_a_leaf_of_the_next_ca_is_not_signed_back_to_the_current_one() -> None:
    stored, both = Authorities(ONE, TWO), carrying(ONE, TWO)

    assert signed_by(planned(both, stored=stored, leaf=a_leaf(TWO), settled=(ONE,))) is None
    assert signed_by(planned(both, stored=stored, leaf=a_leaf(TWO, age=6 * DAY), settled=(ONE,))) == TWO


@pytest.mark.parametrize("age", [timedelta(days=8), timedelta(hours=-1)], ids=["expired", "from a clock far ahead"])
def test_a_leaf_that_is_not_valid_is_signed_anew_at_once(age: timedelta) -> None:
    stored = Authorities(TWO, None, (ONE.certificate,), NOW + DAY)

    found = planned(carrying(ONE, TWO), stored=stored, leaf=a_leaf(ONE, age=age))

    assert signed_by(found) == TWO
    assert not found.trusted


def test_an_expired_ca_signs_nothing() -> None:
    found = planned(carrying(EXPIRED), stored=Authorities(EXPIRED))

    assert signed_by(found) is None
    write = written(found)
    assert write
    assert write.add_next
    assert "expired" in write.reason


# --- the Secret -------------------------------------------------------------------------------------------------------


def test_a_missing_secret_is_created_with_a_next_ca() -> None:
    found = planned(carrying())

    write = written(found)
    assert write
    assert (write.authorities, write.add_next, write.resource_version) == (Authorities(), True, None)
    assert found.phase is Phase.BOOTSTRAP
    assert not found.trusted


def test_a_missing_secret_takes_over_what_bundles_and_this_replica_rely_on() -> None:
    found = planned(carrying(ONE, TWO), carrying(EXPIRED, name="other"), leaf=a_leaf(THREE))

    write = written(found)
    assert write
    assert set(write.authorities.previous) == certificates(ONE, TWO, THREE)
    assert sets(found) == {"gpuwarden": certificates(ONE, TWO, THREE), "other": certificates(THREE)}


def test_an_aged_ca_gets_a_successor_and_goes_on_signing() -> None:
    leaf = a_leaf(AGED)

    found = planned(carrying(AGED), stored=Authorities(AGED), leaf=leaf)

    write = written(found)
    assert write
    assert (write.authorities, write.add_next, write.resource_version) == (Authorities(AGED), True, "3")
    assert signed_by(found) is None
    assert found.trusted


def test_a_successor_is_promoted_only_when_every_bundle_has_settled_on_it() -> None:
    stored, leaf = Authorities(AGED, ONE), a_leaf(AGED)
    both = carrying(AGED, ONE)

    settled = planned(both, stored=stored, leaf=leaf, settled=(ONE,))
    fresh = planned(both, stored=stored, leaf=leaf)
    lacking = planned(both, carrying(AGED, name="lacking"), stored=stored, leaf=leaf, settled=(ONE,))

    write = written(settled)
    assert write
    until = NOW + SETTINGS.retention + timedelta(seconds=1)
    token = path_token(signing_key(AGED))
    assert write.authorities == Authorities(ONE, None, (AGED.certificate,), until, previous_tokens=(token,))
    assert not write.add_next
    assert (written(fresh), written(lacking)) == (None, None)
    assert (fresh.phase, lacking.phase) == (Phase.PROPAGATING, Phase.PUBLISHING)
    assert "does not sign until every bundle has carried" in waits(fresh)[0]


def test_where_nothing_valid_can_be_served_a_successor_does_not_wait() -> None:
    long_expired = Authorities(EXPIRED, ONE)

    write = written(planned(carrying(ONE), stored=long_expired))

    assert write
    assert write.authorities.current == ONE
    assert written(planned(carrying(), stored=long_expired)) is None, "but its bundle comes first"


def test_a_successor_that_was_never_put_to_use_is_replaced_and_stays_trusted() -> None:
    write = written(planned(carrying(ONE, AGED), stored=Authorities(ONE, AGED), leaf=a_leaf(ONE)))

    assert write
    assert write.authorities.next is None
    assert write.authorities.previous == (AGED.certificate,)
    assert not write.add_next


def test_an_authority_that_is_taken_over_is_kept_for_a_full_retention_whatever_was_said_of_others() -> None:
    stored = Authorities(ONE, None, (TWO.certificate,), NOW + timedelta(minutes=1))

    write = written(planned(carrying(ONE, TWO, THREE), stored=stored, leaf=a_leaf(ONE)))

    assert write
    assert write.authorities.previous == (TWO.certificate, THREE.certificate)
    assert write.authorities.previous_until == NOW + SETTINGS.retention + timedelta(seconds=1)


def test_a_retention_is_extended_and_never_shortened() -> None:
    far = NOW + timedelta(days=99)
    stored = Authorities(AGED, ONE, (TWO.certificate,), far)

    write = written(planned(carrying(AGED, ONE, TWO), stored=stored, leaf=a_leaf(AGED), settled=(ONE,)))

    assert write
    assert write.authorities.previous_until == far
    assert write.authorities.previous == (AGED.certificate, TWO.certificate)


# --- trust, for readiness ----------------------------------------------------------------------------------------------


def test_a_leaf_is_trusted_when_every_bundle_carries_its_ca() -> None:
    stored, leaf = Authorities(ONE), a_leaf(ONE)

    assert planned(carrying(ONE), stored=stored, leaf=leaf).trusted
    assert not planned(carrying(ONE), carrying(name="other"), stored=stored, leaf=leaf).trusted
    assert not planned(carrying(TWO), stored=stored, leaf=leaf).trusted
    assert not planned(carrying(ONE), stored=stored).trusted


def test_a_new_replica_is_trusted_when_api_servers_had_time_to_notice() -> None:
    new = replace(a_leaf(ONE), was_trusted=False)
    rotating = Authorities(ONE, None, (TWO.certificate,), NOW + DAY)
    both = carrying(ONE, TWO)

    assert planned(carrying(ONE), stored=Authorities(ONE), leaf=new).trusted, "there is nothing else to go by"
    assert not planned(both, stored=rotating, leaf=new).trusted
    assert not planned(both, stored=Authorities(ONE), leaf=new).trusted
    assert planned(both, stored=rotating, leaf=new, settled=(ONE,)).trusted
    assert planned(both, stored=rotating, leaf=replace(new, was_trusted=True)).trusted


# --- settings and properties ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leaf_lifetime": timedelta(minutes=39)}, "leaf lifetime of 0:39:00 is too short; give at least four times"),
        ({"leaf_lifetime": timedelta(0), "clock_skew": timedelta(0), "propagation": timedelta(0)}, "leaf lifetime"),
        ({"propagation": timedelta(days=3)}, "propagation time"),
        ({"ca_lifetime": timedelta(days=20)}, "CA lifetime of 20 days, 0:00:00 is too short"),
        ({"clock_skew": timedelta(seconds=-1)}, "cannot be negative"),
    ],
    ids=str,
)
def test_settings_that_leave_no_room_for_a_rotation_are_refused(settings: dict[str, timedelta], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RotationSettings(**settings)


POOL = [ONE, TWO, THREE, AGED, EXPIRED]
CAS = st.lists(st.sampled_from(POOL), unique_by=id, max_size=3)


@given(CAS, CAS, CAS, st.sampled_from([None, *POOL]), st.booleans(), st.integers(-9, 9))
def test_a_bundle_that_the_plan_sets_always_trusts_what_is_served_and_every_ca_that_may_sign(  # noqa: PLR0913, PLR0917 -- drawn
    first: list[CertificatePair],
    second: list[CertificatePair],
    held: list[CertificatePair],
    issuer: CertificatePair | None,
    has_secret: bool,  # noqa: FBT001 -- drawn
    days: int,
) -> None:
    signers, previous = held[:2], tuple(ca.certificate for ca in held[2:])
    current, following = (*signers, None, None)[:2]
    stored = Authorities(current, following, previous, NOW + days * DAY if previous else None)
    leaf = a_leaf(issuer) if issuer and issuer is not EXPIRED else None

    found = planned(
        carrying(*first), carrying(*second, name="second"), stored=stored if has_secret else None, leaf=leaf
    )

    required = {ca.certificate for ca in signers if ca is not EXPIRED} if has_secret else set()
    required |= {leaf.issuer} if leaf else set()
    for name, carried in {"gpuwarden": first, "second": second}.items():
        result = sets(found).get(name, certificates(*carried))
        assert result >= required
        assert not required or result


def test_renewal_is_due_at_two_thirds_of_life() -> None:
    start = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    certificate = issue_ca(key=new_key(), at=start, lifetime=9 * DAY, backdate=timedelta()).certificate
    due = start + 6 * DAY

    assert needs_renewal(certificate, start) is None
    assert needs_renewal(certificate, due - timedelta(seconds=1)) is None
    assert "due for renewal since 2026-03-10T05:06:07Z, two thirds" in (needs_renewal(certificate, due) or "")
    assert "expired" in (needs_renewal(certificate, start + 10 * DAY) or "")
    assert "not valid before" in (needs_renewal(certificate, start - DAY) or "")
