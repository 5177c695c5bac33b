"""``prefer: offered``: which form a plain request gets, and that no change of the nodes makes a rewritten pod wrong."""

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import (
    MIG,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_form,
    a_pod,
    a_policy,
    applied,
    evaluate,
    gpu,
    rules,
    view,
)
from tests.engine.cluster import nodes
from tests.engine.strategies import plugins, pods, policies, sound_pods
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.fleet.prefer_offered import preferring, settled
from webhook.engine.forms import Platform
from webhook.engine.policy import Policy, Prefer
from webhook.engine.reapplied import restored
from webhook.engine.spelling import DevicePlugin

OFFERED = a_policy("mig-1g.5gb", "mps", "shared", prefer=Prefer.OFFERED)
SLICES = shape_of({"nvidia.com/mig.strategy": "mixed"}, {MIG: "7"}, {MIG: "7"})
SLOTS = shape_of({STRATEGY: "time-slicing"}, {SHARED: "4"}, {SHARED: "4"})
MPS = shape_of({STRATEGY: "mps"}, {SHARED: "4"}, {SHARED: "4"})


def a_fleet(*shapes: Shape | None, **known: object) -> Fleet:
    return Fleet(dict.fromkeys(filter(None, shapes), 1), **known)  # type: ignore[arg-type]  # whatever a test knows


@pytest.mark.parametrize(
    ("policy", "fleet", "first"),
    [
        pytest.param(a_policy("mig-1g.5gb", "shared"), a_fleet(SLOTS), "mig-1g.5gb", id="the default is the first"),
        pytest.param(OFFERED, a_fleet(), "mig-1g.5gb", id="nothing is offered"),
        pytest.param(OFFERED, a_fleet(SLICES, MPS, SLOTS), "mig-1g.5gb", id="all are"),
        pytest.param(OFFERED, a_fleet(SLOTS, MPS), "mps", id="the first is not"),
        pytest.param(OFFERED, a_fleet(SLOTS), "shared", id="only the last is"),
        pytest.param(OFFERED, a_fleet(SLOTS, remembered=[SLICES]), "mig-1g.5gb", id="the first was lately"),
        pytest.param(OFFERED, a_fleet(SLOTS, expected=[a_form("mps")]), "mps", id="an autoscaler can add the second"),
        pytest.param(OFFERED, a_fleet(SLOTS, classes=[MIG]), "mig-1g.5gb", id="a DeviceClass offers the first"),
    ],
)
def test_a_plain_request_gets_the_first_listed_form_that_nodes_offer(policy: Policy, fleet: Fleet, first: str) -> None:
    acting = preferring(policy, RENAMED, fleet)
    assert acting.forms[0] == a_form(first)
    assert sorted(map(str, acting.forms)) == sorted(map(str, policy.forms))
    assert msgspec.structs.replace(acting, forms=policy.forms) == policy


def test_any_listed_form_is_permitted_whatever_nodes_offer() -> None:
    given_slots = applied(a_pod(), evaluate(a_pod(), preferring(OFFERED, RENAMED, a_fleet(SLOTS))))
    assert given_slots["spec"]["containers"][0]["resources"]["limits"] == {SHARED: 1}
    assert evaluate(given_slots, settled(view(given_slots), OFFERED, RENAMED)).edits == ()


def test_a_policy_that_prefers_the_first_form_is_its_own() -> None:
    policy = a_policy("mig-1g.5gb", "shared")
    assert settled(view(a_pod(gpu(1, SHARED))), policy, RENAMED) is policy


def test_what_is_not_permitted_is_denied_as_ever() -> None:
    pod = a_pod(gpu(1, "nvidia.com/mig-7g.40gb"))
    assert settled(view(pod), OFFERED, RENAMED) == OFFERED
    assert rules(evaluate(pod, settled(view(pod), OFFERED, RENAMED))) == ["form-not-permitted"]


@pytest.mark.parametrize("given_by", [SLICES, MPS, SLOTS])
def test_a_manifest_applied_again_gets_the_form_back_that_the_pod_has(given_by: Shape) -> None:
    before = applied(a_pod(), evaluate(a_pod(), preferring(OFFERED, RENAMED, a_fleet(given_by))))
    after: Json = {**before, "spec": {**before["spec"], "containers": [gpu()]}}
    assert any(restored(view(after), view(before), order, RENAMED) for order in OFFERED.orders)


def _fleet(drawn: list[int], platform: Platform, plugin: DevicePlugin) -> Fleet:
    every = nodes(platform, plugin)
    found = [every[number % len(every)] for number in drawn]
    return a_fleet(*(shape_of(one.labels, dict.fromkeys(one.offers, 9), dict.fromkeys(one.offers, 9)) for one in found))


_DRAWN = st.lists(st.integers(0, 10**6), max_size=6)


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
)
@given(st.just(a_pod()) | sound_pods | pods, policies, plugins, st.sampled_from(Platform), _DRAWN, _DRAWN, _DRAWN)
def test_a_fleet_that_changes_between_the_calls_refuses_nothing(  # noqa: PLR0913, PLR0917 - what is drawn
    pod: Json,
    policy: Policy,
    plugin: DevicePlugin,
    platform: Platform,
    first: list[int],
    second: list[int],
    third: list[int],
) -> None:
    policy = msgspec.structs.replace(policy, prefer=Prefer.OFFERED)
    fleets = [_fleet(drawn, platform, plugin) for drawn in (first, second, third)]
    decision = evaluate(pod, preferring(policy, plugin, fleets[0]), plugin)
    assume(decision.gpu_containers and not decision.denials)
    once = applied(pod, decision)
    # Another webhook changed something, so that the first is called again.
    twice = applied(once, evaluate(once, preferring(policy, plugin, fleets[1]), plugin))
    for final in (once, twice):
        at_validate = evaluate(final, settled(view(final), policy, plugin), plugin)
        assert not at_validate.denials, [finding.message for finding in at_validate.denials]
        assert at_validate.edits == ()
    assert evaluate(twice, preferring(policy, plugin, fleets[2]), plugin).denials == ()
