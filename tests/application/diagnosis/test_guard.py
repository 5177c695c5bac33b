"""The check of the guard: what the configuration denies, compared with what the webhooks do while no replica answers."""

import dataclasses

import msgspec
import pytest

from tests.application.diagnosis.world import (
    Json,
    audit_mode,
    complete,
    configured,
    healthy,
    namespaces,
    results,
    the_result,
    troubled,
    validating,
    with_fields,
)
from webhook.application.diagnosis.facts import Facts, Unread
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import Webhook

FILE = "apiVersion: gpuwarden.io/v1\nkind: Configuration\nmode: enforce\n"
TEAM = configured(f"{FILE}policies:\n  team: {{forms: [exclusive], visibleDevices: deny}}\n")
EVERYWHERE = configured(f"{FILE}visibleDevices: deny\n")
EXCEPT = configured(f"{FILE}visibleDevices: deny\npolicies:\n  lab: {{forms: [exclusive], visibleDevices: warn}}\n")
ENFORCE, NAME = "gpuwarden.io/enforce", "kubernetes.io/metadata.name"
OURS = {"key": NAME, "operator": "NotIn", "values": ["gpuwarden-system", "kube-system"]}
ALL = "namespaces with a built-in policy, namespaces without a label"
OPEN = ["gpu-operator", "rook-ceph"]


def guards(facts: Facts, *parts: tuple[str, list[Json]]) -> Facts:
    """The guard as webhooks of its own for parts of the namespaces: each with its failurePolicy and its requirements."""
    validating = facts.validating
    assert validating is not None
    assert not isinstance(validating, Unread)
    (guard,) = (one for one in validating.webhooks or () if one.name == "guard.gpuwarden.io")

    def part(number: int, policy: str, requirements: list[Json]) -> Webhook:
        selector = {"matchExpressions": [OURS, *requirements]}
        name = f"guard{'-part' * number}.gpuwarden.io".replace("-part-part", "-more")
        return with_fields(guard, {"name": name, "failurePolicy": policy, "namespaceSelector": selector})

    rest = [one for one in validating.webhooks or () if one is not guard]
    made = [part(number, *each) for number, each in enumerate(parts)]
    return dataclasses.replace(facts, validating=msgspec.structs.replace(validating, webhooks=[*rest, *made]))


def by_label(operator: str, *values: str) -> Json:
    return {"key": ENFORCE, "operator": operator, "values": list(values)}


def by_name(operator: str, *values: str) -> Json:
    return {"key": NAME, "operator": operator, "values": list(values)}


def troubles(facts: Facts) -> dict[str, CheckStatus]:
    """Every check that isn't well, but for the nodes: the cluster of these tests has none with GPUs."""
    return {check: status for check, status in troubled(facts).items() if check != "nodes"}


CLOSED_FOR_TEAM = [
    ("Ignore", [by_name("NotIn", *OPEN), by_label("NotIn", "team")]),
    ("Fail", [by_name("NotIn", *OPEN), by_label("In", "team")]),
    ("Ignore", [by_name("In", *OPEN)]),
]
CLOSED_EVERYWHERE = [("Fail", [by_name("NotIn", *OPEN)]), ("Ignore", [by_name("In", *OPEN)])]
CLOSED_EXCEPT = [
    ("Fail", [by_name("NotIn", *OPEN), by_label("NotIn", "lab")]),
    ("Ignore", [by_name("NotIn", *OPEN), by_label("In", "lab")]),
    ("Ignore", [by_name("In", *OPEN)]),
]


@pytest.mark.parametrize(
    "facts",
    [
        healthy(),
        healthy(configuration=configured(f"{FILE}visibleDevices: warn\n")),
        guards(healthy(configuration=TEAM), *CLOSED_FOR_TEAM),
        guards(healthy(configuration=TEAM, namespaces=namespaces(vision="team", speech="mps")), *CLOSED_FOR_TEAM),
        guards(healthy(configuration=TEAM, namespaces=Unread("list namespaces", "403", forbidden=True)), *CLOSED_FOR_TEAM),
        guards(healthy(configuration=EVERYWHERE, namespaces=namespaces(vision="mps")), *CLOSED_EVERYWHERE),
        guards(healthy(configuration=EXCEPT, namespaces=namespaces(vision="mps", lab="lab")), *CLOSED_EXCEPT),
        # Without matchConditions validate.gpuwarden.io is asked about every pod.
        guards(validating(healthy(configuration=EVERYWHERE), "validate", matchConditions=[])),
    ],
)  # fmt: skip
def test_what_is_denied_while_nobody_answers_and_what_is_not_denied_at_all_are_well(facts: Facts) -> None:
    assert the_result(facts, "guard").status is CheckStatus.OK


def test_in_audit_mode_nothing_is_denied() -> None:
    open_ = validating(healthy(configuration=audit_mode()), None, failurePolicy="Ignore")
    assert troubled(open_) == {}
    assert the_result(open_, "guard").observed == "mode audit: nothing is denied"


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        (healthy(configuration=TEAM), 'namespaces with policy "team"'),
        (healthy(configuration=TEAM, namespaces=namespaces(vision="team")), 'namespaces with policy "team"'),
        (healthy(configuration=EVERYWHERE), ALL),
        (healthy(configuration=EVERYWHERE, namespaces=namespaces(a="mps")), ALL),
        # The ConfigMap was edited by hand: the webhooks have the policies of the chart's values.
        (guards(healthy(configuration=EVERYWHERE), *CLOSED_FOR_TEAM), ALL),
        # A namespace whose network or storage is not to wait for gpuwarden has a policy that denies.
        (
            guards(healthy(configuration=TEAM, namespaces=namespaces(rook_ceph="team")), *CLOSED_FOR_TEAM),
            "namespace rook-ceph",
        ),
    ],
)
def test_deny_that_does_not_hold_while_nobody_answers_is_warned_of_by_namespace(facts: Facts, where: str) -> None:
    assert troubles(facts) == {"guard": CheckStatus.WARN}
    (result,) = found = results(facts, "guard")
    assert result.observed.startswith(f"visibleDevices is deny in {where}, and failurePolicy of guard")
    assert result.observed.endswith(".gpuwarden.io is Ignore")
    assert 'webhooks.guard.failurePolicy to ""' in result.fix
    assert complete(found)


def test_a_label_that_cannot_be_read_denies_as_the_strictest_policy_and_is_named() -> None:
    facts = guards(healthy(configuration=TEAM, namespaces=namespaces(vision="taem")), *CLOSED_FOR_TEAM)
    assert troubles(facts) == {"labels": CheckStatus.FAIL, "guard": CheckStatus.WARN}
    assert "in namespace vision, and" in the_result(facts, "guard").observed


def test_deny_without_a_webhook_that_is_asked_is_a_failure() -> None:
    facts = guards(healthy(configuration=TEAM, namespaces=namespaces(vision="team")))
    assert troubles(facts) == {"guard": CheckStatus.FAIL}
    assert "no webhook receives these pods" in the_result(facts, "guard").observed


def test_a_guard_that_fails_closed_though_nothing_is_denied_is_warned_of() -> None:
    facts = validating(healthy(), "guard", failurePolicy="Fail")
    assert troubles(facts) == {"guard": CheckStatus.WARN}
    assert "and no policy denies" in the_result(facts, "guard").observed


def test_an_exempt_namespace_that_depends_on_gpuwarden_is_warned_of() -> None:
    """Only the ConfigMap knows of it: the webhook was rendered before."""
    facts = guards(healthy(configuration=TEAM), *[("Fail", [by_name("NotIn", "rook-ceph")])])
    assert troubles(facts) == {"guard": CheckStatus.WARN}
    assert the_result(facts, "guard").observed.endswith("receives pods of exempt namespaces: gpu-operator")
