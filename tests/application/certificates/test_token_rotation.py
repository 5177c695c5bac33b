"""The tokens in paths against a world in memory: first ones, renewal with the CA, and what hands do to Secret and paths."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.application.certificates.world import (
    MUTATE,
    MUTATING,
    NAMESPACES,
    SETTINGS,
    VALIDATE,
    VALIDATING,
    Replica,
    World,
    live_through,
    next_key,
    reconcile_all,
)
from webhook.application.certificates.issue import issue_ca
from webhook.application.certificates.plan import Phase
from webhook.application.certificates.tokens import token_of

HOUR = timedelta(hours=1)
PROPAGATION = SETTINGS.propagation
PLAIN = {MUTATING: {MUTATE: "/mutate"}, VALIDATING: {VALIDATE: "/validate", NAMESPACES: "/validate-namespace"}}
STRANGE = "0123456789abcdef" * 2


def carried(world: World) -> set[str]:
    return {token_of(name, target) for each in world.targets.values() for name, target in each.items()}


def a_world(replicas: int = 2, *, tokened: bool = True) -> tuple[World, list[Replica]]:
    """A world in which everything is as it should be, and long enough for nobody to go by what was before."""
    world = World(tokened=tokened)
    if not tokened:
        world.targets = {name: dict(targets) for name, targets in PLAIN.items()}
    running = [Replica(world) for _ in range(replicas)]
    reconcile_all(*running, times=2)
    world.now += PROPAGATION
    reconcile_all(*running)
    return world, running


def test_paths_are_left_alone_and_admitted_where_the_configuration_does_not_ask_for_tokens() -> None:
    world, replicas = a_world(tokened=False)
    assert world.targets == PLAIN
    for replica in replicas:
        assert replica.paths.admits("/mutate") == "/mutate"
        assert not replica.rejects()


def test_webhooks_of_other_names_are_left_alone_and_keep_the_plain_paths_open() -> None:
    world, replicas = a_world()
    world.bundles[VALIDATING]["somebody.elses"] = b""
    world.put_targets(VALIDATING, {"somebody.elses": "/validate"})
    for _ in range(3):
        reconcile_all(*replicas)
        world.now += PROPAGATION
    assert world.targets[VALIDATING]["somebody.elses"] == "/validate"
    assert all(replica.paths.admits("/validate") for replica in replicas)


def test_every_path_gets_the_token_of_the_ca_and_the_plain_ones_are_closed() -> None:
    world, replicas = a_world()
    assert carried(world) == {*world.authorities.signer_tokens}
    for replica in replicas:
        assert not replica.rejects()
        assert [replica.paths.admits(path) for path in ("/mutate", "/validate", "/validate-namespace")] == [None] * 3


def test_the_first_token_is_written_with_the_first_bundle() -> None:
    world = World()
    reconcile_all(Replica(world))
    assert [write for write in world.writes if write == MUTATING] == [MUTATING]
    assert all(world.bundles[MUTATING].values())
    assert "" not in carried(world)


def test_plain_paths_stay_open_until_every_api_server_has_noticed_the_tokens() -> None:
    world, [replica, _] = a_world(tokened=False)
    world.tokened = True
    for configuration in PLAIN:
        world.put_targets(configuration, {})
    replica.reconcile()
    written = world.now
    assert "" not in carried(world)
    while replica.paths.admits("/mutate"):
        world.now += timedelta(seconds=1)
        replica.reconcile()
        assert not replica.rejects(written)
    assert PROPAGATION <= world.now - written <= PROPAGATION + timedelta(seconds=2)


def test_paths_that_are_plain_again_are_admitted_at_the_next_look_and_left_alone() -> None:
    """As after helm rollback to a chart without tokens, which takes the annotation away with them."""
    world, [replica, other] = a_world()
    world.tokened = False
    for configuration, targets in PLAIN.items():
        world.put_targets(configuration, targets)
    assert replica.paths.admits("/mutate") is None
    assert replica.paths.rejected_since_last_call(), "which has it look at once"
    reconcile_all(replica, other)
    assert replica.paths.admits("/mutate") == "/mutate"
    assert world.targets == PLAIN


def test_a_rotation_renews_the_token_and_no_replica_turns_away_what_is_called_meanwhile() -> None:
    world, replicas = a_world()
    first, seen = carried(world), list[set[str]]()

    def nobody_is_turned_away() -> None:
        seen.append(carried(world))
        for replica in replicas:
            assert not replica.rejects(world.now - PROPAGATION)

    for _ in range(95):  # 19 hours and some: a rotation at 16, and the old CA gone an hour later
        for pause in (timedelta(minutes=12), PROPAGATION, PROPAGATION):
            live_through(world, replicas, pause, pause=pause, check=nobody_is_turned_away)
    (last,) = carried(world)
    assert {last} != first
    assert world.authorities.current
    assert last == world.authorities.signer_tokens[0]
    changes = [found for before, found in pairwise(seen) if before != found]
    assert changes[-1] == {last}
    assert world.authorities.tokens == (last,), "the first one is forgotten"
    assert all(replica.paths.admits(f"/mutate/{token}") is None for replica in replicas for token in first)


def test_a_new_token_is_not_written_while_a_replica_may_not_know_it() -> None:
    """One that can't reach the API server goes on serving as long as its certificate is valid."""
    world, [replica, cut_off] = a_world()
    first = carried(world)
    while len(world.authorities.previous) == 0:
        world.now += timedelta(minutes=10)
        reconcile_all(replica, cut_off)
    served = cut_off.pair
    assert served
    while world.now < served.certificate.not_valid_after_utc + SETTINGS.clock_skew / 2:
        assert not cut_off.rejects(world.now - PROPAGATION)
        world.now += timedelta(minutes=1)
        replica.reconcile()
    for _ in range(10):
        world.now += timedelta(minutes=2)
        replica.reconcile()
    assert carried(world).isdisjoint(first), "the control: it is renewed after all"


@pytest.mark.parametrize(
    "path", ["", "/mutate", "/validate", "/elsewhere", f"/validate/{STRANGE}", f"/mutate/{STRANGE}"]
)
@pytest.mark.parametrize("configuration", [MUTATING, VALIDATING])
def test_a_path_that_is_set_by_hand_is_right_after_one_tick_of_any_replica(path: str, configuration: str) -> None:
    world, replicas = a_world()
    before = carried(world)
    name = next(iter(world.targets[configuration]))
    world.put_targets(configuration, {name: path})
    replicas[1].reconcile()
    assert carried(world) == before
    assert world.writes[-1] == configuration
    reconcile_all(*replicas)
    assert all(not replica.rejects() for replica in replicas)


def test_a_token_that_every_path_is_given_by_hand_is_taken_over_and_replaced_in_time() -> None:
    """It can't be told from one whose Secret was lost; every path leads somewhere at once, and nobody is turned away."""
    world, replicas = a_world()
    before = carried(world)
    for configuration, targets in PLAIN.items():
        world.put_targets(configuration, {name: f"{path}/{STRANGE}" for name, path in targets.items()})
    reconcile_all(*replicas)
    assert all(not replica.rejects() for replica in replicas)
    assert world.authorities.previous_tokens == (STRANGE,)
    for _ in range(20):
        world.now += timedelta(minutes=6)
        reconcile_all(*replicas)
        assert all(not replica.rejects(world.now) for replica in replicas)
    assert carried(world) == before
    assert all(replica.paths.admits(f"/mutate/{STRANGE}") is None for replica in replicas)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: None, id="deleted"),
        pytest.param(lambda data: dict.fromkeys(data, b"garbage"), id="garbage"),
        pytest.param(lambda data: {key: value for key, value in data.items() if key != "ca.key"}, id="without the key"),
    ],
)
def test_a_token_whose_key_is_lost_stays_in_use_until_every_replica_knows_another(
    damage: Callable[[dict[str, bytes]], dict[str, bytes] | None],
) -> None:
    world, [replica, other] = a_world()
    first = carried(world)
    world.put_secret(damage(world.secret or {}))
    fresh = Replica(world)
    for each in (fresh, replica, other):
        each.reconcile()
        assert not other.rejects(world.now)
        assert not each.rejects(world.now)
    assert carried(world) == first
    for _ in range(20):
        world.now += timedelta(minutes=10)
        reconcile_all(fresh, replica, other)
        for each in (fresh, replica, other):
            assert not each.rejects(world.now)
    assert carried(world) == {world.authorities.signer_tokens[0]}
    assert carried(world) != first


def test_a_ca_that_is_put_in_by_hand_does_not_take_its_token_into_the_paths_before_all_know_it() -> None:
    world, [replica, other] = a_world()
    first = carried(world)
    ca = issue_ca(key=next_key(), at=world.now, lifetime=SETTINGS.ca_lifetime, backdate=SETTINGS.clock_skew)
    world.put_secret({"ca.crt": ca.certificate_pem, "ca.key": ca.key_pem})
    while not replica.step():
        assert not other.rejects()
    assert carried(world) == first
    for _ in range(20):
        world.now += timedelta(minutes=6)
        reconcile_all(replica, other)
        assert not other.rejects(world.now)
    assert carried(world) == {world.authorities.signer_tokens[0]}


def test_a_secret_that_is_lost_while_paths_differ_takes_no_token_away() -> None:
    world, replicas = a_world()
    live_through(world, replicas, 17 * HOUR, pause=timedelta(minutes=12))
    new, old = world.authorities.tokens
    world.put_targets(MUTATING, {MUTATE: f"/mutate/{old}"})
    world.put_targets(VALIDATING, {VALIDATE: f"/validate/{new}", NAMESPACES: f"/validate-namespace/{old}"})
    world.put_secret(None)
    for _ in range(3):
        for replica in replicas:
            replica.reconcile()
            assert all(not each.rejects(world.now) for each in replicas)
    assert {old, new} >= carried(world)


def test_a_look_that_fails_changes_nothing() -> None:
    world, [replica, _] = a_world()
    for failing in ("read_configurations", "read_secret"):
        world.failing = {failing}
        replica.reconcile()
        assert not replica.rejects()
        assert replica.paths.admits("/mutate") is None


def test_no_token_is_said_or_shown() -> None:
    world, [replica, _] = a_world()
    (token,) = carried(world)
    world.put_targets(VALIDATING, {VALIDATE: "/elsewhere"})
    world.failing = {f"write {VALIDATING}"}
    failed = replica.reconcile()
    world.failing = set()
    done = replica.reconcile()
    assert failed.failures
    assert done.done
    for shown in (failed, done, world.read_configurations(), world.authorities):
        assert token not in repr(shown)


def test_a_token_that_strangers_know_is_renewed_at_once_in_the_way_that_the_documentation_tells() -> None:
    """docs/reference/path-tokens.md: delete the Secret, wait a minute, and say that the previous CA may go."""
    world, replicas = a_world()
    known = carried(world)
    world.put_secret(None)
    for second in range(60):
        world.now += timedelta(seconds=1)
        reconcile_all(*replicas)
        assert all(not replica.rejects(world.now - PROPAGATION) for replica in replicas), second
    assert carried(world) == known
    assert [replica.report.phase for replica in replicas] == [Phase.RETIRING] * 2
    world.put_secret({**(world.secret or {}), "previous-until": b"2000-01-01T00:00:00Z"})
    for second in range(60):
        world.now += timedelta(seconds=1)
        reconcile_all(*replicas)
        for replica in replicas:
            assert not replica.rejects(world.now - PROPAGATION), second
            assert replica.pair
            assert world.why_refused(replica.pair.certificate, world.now - PROPAGATION) is None
    assert carried(world).isdisjoint(known)
    assert all(replica.paths.admits(f"/mutate/{token}") is None for replica in replicas for token in known)
