"""Check in-tree: admission policies as the configuration compiles to are well; every difference is named, with the fix."""

import dataclasses
from collections.abc import Callable
from copy import deepcopy

import msgspec
import pytest

from tests.application.diagnosis.world import Json, configured, healthy, results, the_result
from webhook.application.diagnosis.documents import AdmissionPolicy
from webhook.application.diagnosis.facts import Facts
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.in_tree import compiled

KINDS = ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy")


def installed(change: Callable[[list[Json]], object] = lambda _: None, *, alone: bool = False) -> Facts:
    """A healthy cluster with the admission policies of its configuration, which a test changes."""
    made = compiled(configured(), ["mig-1g.5gb"], deny_others=alone).objects
    objects = [deepcopy(each) for each in made if each["kind"] in KINDS]
    for each in objects:
        each["spec"]["matchConstraints"]["objectSelector"] = {}  # a default of the API server's
    change(objects)
    by_kind = {
        kind: [msgspec.convert(each, AdmissionPolicy) for each in objects if each["kind"] == kind] for kind in KINDS
    }
    return healthy(in_tree=by_kind)


def test_without_admission_policies_of_ours_all_is_well() -> None:
    assert the_result(healthy(), "in-tree").seen.startswith("the webhooks decide every pod")
    others = msgspec.convert({"metadata": {"name": "x"}, "spec": {}}, AdmissionPolicy)
    assert the_result(healthy(in_tree={KINDS[0]: [others]}), "in-tree").status is CheckStatus.OK


def test_who_decides_is_said() -> None:
    together = the_result(installed(), "in-tree")
    assert together.status is CheckStatus.OK
    assert "mps" in together.seen
    assert together.seen.endswith("the webhooks decide all other pods")
    alone = dataclasses.replace(installed(alone=True), mutating=None, validating=None)
    assert the_result(alone, "in-tree").seen.endswith("no webhook decides the other pods")


def other_text(objects: list[Json]) -> None:
    objects[0]["spec"]["variables"][0]["expression"] = "1"


def other_order(objects: list[Json]) -> None:
    objects[0]["spec"]["variables"].pop()


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (other_text, "MutatingAdmissionPolicy gpuwarden-shared differs from what the configuration compiles to"),
        (other_order, "MutatingAdmissionPolicy gpuwarden-shared differs from what the configuration compiles to"),
        (lambda objects: objects.pop(0), "there is no MutatingAdmissionPolicy gpuwarden-shared"),
        (
            lambda objects: objects[0]["metadata"].update(name="gpuwarden-old"),
            "MutatingAdmissionPolicy gpuwarden-old is not made from the configuration",
        ),
    ],
)
def test_differences_are_named(change: Callable[[list[Json]], object], seen: str) -> None:
    found = [one for one in results(installed(change), "in-tree") if one.seen == seen]
    assert [one.status for one in found] == [CheckStatus.WARN]
    assert "docs/how-to/in-tree.md" in found[0].fix
