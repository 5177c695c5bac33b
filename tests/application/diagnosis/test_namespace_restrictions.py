"""Namespaces that restrict tolerations or nodes: who is warned of, and above all who is not."""

import dataclasses
import json
from typing import Any

import pytest

from tests.application.diagnosis.world import complete, configured, healthy, namespaces, results, troubled
from webhook.application.diagnosis.facts import Facts
from webhook.application.diagnosis.namespace_restrictions import NODE_SELECTOR, TOLERATIONS
from webhook.application.diagnosis.results import CheckStatus
from webhook.engine.pods import Toleration
from webhook.engine.policy import Policy, PolicyAdditions, built_in

CHECK = "namespace-restrictions"
OURS = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
STRATEGY = "nvidia.com/gpu.sharing-strategy"
FIVE_SECONDS = {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 5}


def restricted(policy: str, **annotations: str) -> Facts:
    """A namespace of a policy with annotations: ``tolerations`` and ``nodes``."""
    names = {"tolerations": TOLERATIONS, "nodes": NODE_SELECTOR}
    found = {names[name]: value for name, value in annotations.items()}
    return healthy(namespaces=dataclasses.replace(namespaces(team=policy), restricting={"team": found}))


@pytest.mark.parametrize(
    "permitted",
    [
        [],  # permits everything
        [OURS],
        [{"key": "a"}, {"operator": "Exists"}],
        [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        [{"operator": "Exists", "effect": "NoSchedule"}],
    ],
)
def test_a_list_that_permits_our_toleration_is_well(permitted: list[Any]) -> None:
    assert CHECK not in troubled(restricted("mps", tolerations=json.dumps(permitted)))
    assert CHECK not in troubled(restricted("mps", tolerations=""))


@pytest.mark.parametrize("policy", ["any", "none", "exclusive", "gke-mps-4"])
def test_a_policy_that_adds_no_toleration_meets_no_list(policy: str) -> None:
    assert CHECK not in troubled(restricted(policy, tolerations=json.dumps([{"key": "a"}])))


@pytest.mark.parametrize(
    "permitted",
    [
        [{"key": "a", "operator": "Exists"}],
        [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}],
        [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}],
        [{"key": "nvidia.com/gpu"}],
        [{"effect": "NoSchedule"}],
    ],
)
def test_a_list_that_lacks_it_is_warned_of(permitted: list[Any]) -> None:
    facts = restricted("mps", tolerations=json.dumps(permitted))
    (result,) = results(facts, CHECK)
    assert result.status is CheckStatus.WARN
    assert result.observed.startswith("namespace team: annotation scheduler.alpha.kubernetes.io/tolerationsWhitelist")
    assert json.dumps(OURS, separators=(",", ":")) in result.fix
    assert complete([result])


@pytest.mark.parametrize(
    ("own", "listed", "well"),
    [
        (Toleration("a", "Equal", "b", "NoExecute", 5), FIVE_SECONDS, True),
        (Toleration("a", "Equal", "b", "NoExecute", 6), FIVE_SECONDS, False),
        (Toleration("a", "Equal", "b", "NoExecute"), FIVE_SECONDS, False),
        (Toleration("a", "Equal", "b"), {"key": "a", "value": "c"}, False),
    ],
)  # fmt: skip
def test_a_policys_own_tolerations_are_held_against_it_too(own: Toleration, listed: Any, *, well: bool) -> None:
    form = built_in("exclusive")
    assert form is not None
    facts = restricted("own", tolerations=json.dumps([listed]))
    policies = {"own": Policy("own", form.forms, additions=PolicyAdditions(tolerations=(own,)))}
    facts = dataclasses.replace(facts, configuration=configured(policies=policies))
    assert (CHECK not in troubled(facts)) is well


def test_an_annotation_that_can_not_be_read_is_warned_of() -> None:
    (result,) = results(restricted("mps", tolerations="[{"), CHECK)
    assert (result.status, "not a list of tolerations" in result.observed) == (CheckStatus.WARN, True)
    assert complete([result])


@pytest.mark.parametrize("selector", ["", "pool=gpu", f"{STRATEGY}=mps", f" {STRATEGY}==mps , pool=gpu"])
def test_nodes_that_the_policy_can_live_with_are_well(selector: str) -> None:
    assert CHECK not in troubled(restricted("mps", nodes=selector))


def test_other_nodes_are_warned_of() -> None:
    (result,) = results(restricted("mps", nodes=f"pool=gpu,{STRATEGY}=time-slicing"), CHECK)
    assert result.status is CheckStatus.WARN
    assert f"{STRATEGY}=time-slicing" in result.observed
    assert complete([result])


def test_a_namespace_without_a_label_goes_by_the_default() -> None:
    text = "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: mps}\n"
    there = dataclasses.replace(namespaces(), restricting={"bare": {TOLERATIONS: '[{"key": "a"}]'}})
    facts = healthy(namespaces=there, configuration=configured(text))
    assert [result.status for result in results(facts, CHECK)] == [CheckStatus.WARN]
    assert CHECK not in troubled(healthy(namespaces=there))
