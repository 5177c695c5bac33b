"""What a pod says about nodes: nodeSelector and required node affinity, as the scheduler reads them."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.builders import a_pod, affinity, expression, spec_of
from tests.engine.cluster import chosen
from webhook.engine.node_constraints import ABSENT, OTHER, Label, NodeConstraints
from webhook.engine.pods import Expression

ZONE = "topology.kubernetes.io/zone"


def constraints(*without: str, **spec: Any) -> NodeConstraints:
    return NodeConstraints(spec_of(a_pod(**spec)), without=without)


def admitted(*requirements: tuple[str, ...]) -> set[str | None]:
    """Which of a handful of values a label may have under requirements that hold together."""
    label = Label([Expression(ZONE, operator, list(values)) for operator, *values in requirements])
    return {value for value in (ABSENT, OTHER, "a", "b", "3", "4", "5", "-1") if label.admits(value)}


EVERYTHING = {ABSENT, OTHER, "a", "b", "3", "4", "5", "-1"}
WRITTEN = EVERYTHING - {ABSENT}

OPERATORS = [
    pytest.param([], EVERYTHING, id="nothing said lets everything through"),
    pytest.param([("In", "a")], {"a"}, id="In one value"),
    pytest.param([("In", "a", "b")], {"a", "b"}, id="In several values"),
    pytest.param([("In",)], set(), id="In no value at all"),
    pytest.param([("In", "a", "b"), ("In", "b", "3")], {"b"}, id="two Ins hold together"),
    pytest.param([("NotIn", "a")], EVERYTHING - {"a"}, id="NotIn lets a node without the label through"),
    pytest.param([("NotIn", "a"), ("NotIn", "b")], EVERYTHING - {"a", "b"}, id="two NotIns hold together"),
    pytest.param([("NotIn",)], EVERYTHING, id="NotIn no value at all"),
    pytest.param([("In", "a", "b"), ("NotIn", "b")], {"a"}, id="In but not"),
    pytest.param([("Exists",)], WRITTEN, id="Exists"),
    pytest.param([("Exists",), ("NotIn", "a")], WRITTEN - {"a"}, id="Exists but not"),
    pytest.param([("DoesNotExist",)], {ABSENT}, id="DoesNotExist"),
    pytest.param([("DoesNotExist",), ("NotIn", "a")], {ABSENT}, id="DoesNotExist and not"),
    pytest.param([("DoesNotExist",), ("Exists",)], set(), id="there and not there"),
    pytest.param([("Gt", "3")], {"4", "5", OTHER}, id="Gt is above, not at"),
    pytest.param([("Lt", "4")], {"3", "-1", OTHER}, id="Lt is below, not at"),
    pytest.param([("Gt", "3"), ("Lt", "5")], {"4", OTHER}, id="between two bounds"),
    pytest.param([("Gt", "3"), ("Gt", "4")], {"5", OTHER}, id="the higher of two lower bounds"),
    pytest.param([("Lt", "5"), ("Lt", "4")], {"3", "-1", OTHER}, id="the lower of two upper bounds"),
    pytest.param([("Gt", "3"), ("In", "3", "4", "a")], {"4"}, id="a bound and a list"),
    pytest.param([("Gt", "-2"), ("Lt", "0")], {"-1", OTHER}, id="negative bounds"),
    pytest.param([("Gt",)], set(), id="Gt without a bound"),
    pytest.param([("Gt", "a")], set(), id="Gt a word"),
    pytest.param([("Lt", "1_0")], set(), id="Lt what only Python calls a number"),
    pytest.param([("Lt", " 9")], set(), id="Lt a number with a space"),
    pytest.param([("Lt", "\u0669")], set(), id="Lt a number of another script"),
    pytest.param([("Lt", "9" * 5000)], set(), id="Lt a number of five thousand digits"),
    pytest.param([("Near", "a")], set(), id="an operator that nobody knows"),
    pytest.param([("",)], set(), id="no operator"),
]


@pytest.mark.parametrize(("requirements", "values"), OPERATORS)
def test_a_label_admits_what_all_its_requirements_admit(
    requirements: list[tuple[str, ...]], values: set[str | None]
) -> None:
    assert admitted(*requirements) == values


def test_null_values_are_no_values() -> None:
    assert not Label([Expression(ZONE, "In", None)]).admits("a")
    assert Label([Expression(ZONE, "NotIn", None)]).admits("a")


def test_nodeselector_and_affinity_hold_together() -> None:
    nodes = constraints(nodeSelector={ZONE: "a"}, affinity=affinity([(ZONE, "In", "a", "b")]))

    assert nodes.permits(ZONE, "a")
    assert not nodes.permits(ZONE, "b")
    assert nodes.values(ZONE) == ["a"]


def test_nodeselector_asks_for_its_value_and_no_other() -> None:
    nodes = constraints(nodeSelector={ZONE: "a"})

    assert [value for value in (ABSENT, OTHER, "a", "b") if nodes.permits(ZONE, value)] == ["a"]


def test_terms_are_alternatives() -> None:
    nodes = constraints(affinity=affinity([(ZONE, "In", "a")], [(ZONE, "In", "b")]))

    assert [value for value in (ABSENT, OTHER, "a", "b") if nodes.permits(ZONE, value)] == ["a", "b"]
    assert nodes.values(ZONE) == ["a", "b"]


def test_an_alternative_that_does_not_mention_a_label_leaves_it_open() -> None:
    nodes = constraints(affinity=affinity([(ZONE, "In", "a")], [("disk", "Exists")]))

    assert nodes.permits(ZONE, "b")
    assert nodes.permits(ZONE, ABSENT)
    assert nodes.values(ZONE) == ["a"]


def test_an_alternative_of_fields_alone_leaves_every_label_open() -> None:
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    nodes = constraints(affinity={"nodeAffinity": required})

    assert nodes.permits(ZONE, "a")
    assert not nodes.nowhere


@pytest.mark.parametrize("term", [{}, {"matchExpressions": None}, {"matchExpressions": [], "matchFields": []}])
def test_a_pod_whose_terms_are_all_empty_can_run_nowhere(term: dict[str, Any]) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term, term]}}
    nodes = constraints(affinity={"nodeAffinity": required}, nodeSelector={ZONE: "a"})

    assert nodes.nowhere
    assert nodes.permits(ZONE, "a")
    assert not nodes.permits(ZONE, "b")


def test_an_empty_term_beside_another_matches_nothing() -> None:
    terms = [{}, {"matchExpressions": [expression(ZONE, "In", "a")]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    nodes = constraints(affinity={"nodeAffinity": required})

    assert not nodes.nowhere
    assert not nodes.permits(ZONE, "b")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeSelector": None},
        {"affinity": None},
        {"affinity": {}},
        {"affinity": {"nodeAffinity": None}},
        {"affinity": {"nodeAffinity": {}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": None}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
    ],
    ids=str,
)
def test_a_pod_that_says_nothing_can_run_anywhere(spec: dict[str, Any]) -> None:
    nodes = constraints(**spec)

    assert not nodes.nowhere
    assert not nodes.mentions(ZONE)
    assert nodes.permits(ZONE, ABSENT)
    assert nodes.permits(ZONE, "a")
    assert nodes.values(ZONE) == []


def test_preferences_are_not_requirements() -> None:
    preferred = [{"weight": 1, "preference": {"matchExpressions": [expression(ZONE, "In", "a")]}}]
    nodes = constraints(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}})

    assert not nodes.mentions(ZONE)


def test_a_label_is_mentioned_in_either_place_and_not_when_it_is_left_out() -> None:
    spec = {"nodeSelector": {"disk": "ssd"}, "affinity": affinity([(ZONE, "Exists")])}

    assert constraints(**spec).mentions("disk")
    assert constraints(**spec).mentions(ZONE)
    assert not constraints("disk", ZONE, **spec).mentions("disk")
    assert not constraints("disk", ZONE, **spec).mentions(ZONE)
    assert constraints("disk", ZONE, **spec).permits(ZONE, ABSENT)
    assert not constraints("disk", **spec).permits(ZONE, ABSENT)


def test_an_alternative_that_contradicts_itself_or_nodeselector_is_none() -> None:
    at_odds = [("disk", "In", "ssd"), ("disk", "NotIn", "ssd"), (ZONE, "In", "a")]
    nodes = constraints(
        nodeSelector={"pool": "x"},
        affinity=affinity(at_odds, [("pool", "In", "y"), (ZONE, "In", "b")], [(ZONE, "In", "c")]),
    )

    assert nodes.values(ZONE) == ["c"]
    assert not nodes.mentions("disk")
    assert not nodes.nowhere


def test_where_every_alternative_contradicts_itself_they_are_taken_as_they_are() -> None:
    nodes = constraints(nodeSelector={"pool": "x"}, affinity=affinity([("pool", "In", "y"), (ZONE, "In", "b")]))

    assert nodes.values(ZONE) == ["b"]
    assert not nodes.permits("pool", "x")
    assert not nodes.nowhere


def test_a_label_admits_nothing_where_its_requirements_contradict_each_other() -> None:
    def label(*requirements: tuple[str, ...]) -> Label:
        return Label([Expression(ZONE, operator, list(values)) for operator, *values in requirements])

    assert label(("In", "a"), ("NotIn", "a")).admits_nothing
    assert label(("Exists",), ("DoesNotExist",)).admits_nothing
    assert label(("In", "3"), ("Gt", "3")).admits_nothing
    assert not label(("In", "a", "b"), ("NotIn", "a")).admits_nothing
    assert not label(("DoesNotExist",)).admits_nothing
    assert not label(("NotIn", "a")).admits_nothing
    assert not label(("Exists",)).admits_nothing


def test_only_values_that_are_asked_for_count_as_values() -> None:
    """A value that is excluded here and let through there is not one that the pod asks for."""
    nodes = constraints(affinity=affinity([(ZONE, "NotIn", "a")], [("disk", "Exists")], [(ZONE, "Gt", "3")]))

    assert nodes.values(ZONE) == []


def test_values_come_once_and_in_the_order_they_were_written() -> None:
    nodes = constraints(affinity=affinity([(ZONE, "In", "c", "a")], [(ZONE, "In", "a", "b")]))

    assert nodes.values(ZONE) == ["c", "a", "b"]


OPERATOR = st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
VALUES = ("a", "b", "1", "2", "3")
REQUIREMENT = st.builds(
    lambda key, operator, values: (key, operator, *(values if "Exist" not in operator else ())),
    st.sampled_from([ZONE, "disk"]),
    OPERATOR,
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
)
TERMS = st.lists(st.lists(REQUIREMENT, max_size=3), max_size=3)


@given(TERMS, st.none() | st.sampled_from(VALUES))
def test_what_one_label_permits_is_what_some_node_with_it_is_chosen_for(
    terms: list[list[tuple[str, ...]]], selected: str | None
) -> None:
    """The other label may be whatever suits: the alternatives are looked at label by label."""
    spec = {"affinity": affinity(*terms), **({"nodeSelector": {ZONE: selected}} if selected else {})}
    nodes = constraints(**spec)
    assume(not nodes.nowhere)
    assume(all(any(chosen({"affinity": affinity(on_disk(term))}, disk) for disk in DISKS) for term in terms if term))
    for value in (None, *VALUES, "other"):
        labels = {} if value is None else {ZONE: value}
        expected = any(chosen(a_pod(**spec)["spec"], {**labels, **disk}) for disk in DISKS)
        assert nodes.permits(ZONE, value) == expected


DISKS: list[dict[str, str]] = [
    {},
    {"disk": "other"},
    *({"disk": value} for value in VALUES),
    {"disk": "9"},
    {"disk": "0"},
]


def on_disk(term: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [requirement for requirement in term if requirement[0] == "disk"] or [("disk", "NotIn", "nothing")]
