"""Spellings: what a form looks like in a pod, and whether a pod's selectors leave it room."""

import pytest

from tests.builders import (
    AUTOPILOT,
    COMPUTE_SLICES,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    MIG_STRATEGY,
    NOT_RENAMED,
    RENAMED,
    SINGLE,
    SINGLE_BY_PRODUCT,
    SINGLE_NOT_RENAMED,
    STRATEGY,
    Json,
    a_form,
    a_pod,
    affinity,
    spec_of,
)
from tests.engine.spelled import EVERY_FORM, SHARED_BY, SLICE, TABLE, Requirement, spelled
from webhook.engine.node_constraints import ABSENT, OTHER, Need, NodeConstraints, possible
from webhook.engine.pods import Expression
from webhook.engine.spelling import MIG_CONFIG, DevicePlugin, spell, strategy_label


@pytest.mark.parametrize(("form", "plugin"), EVERY_FORM)
def test_a_form_is_spelled_as_the_design_says(form: str, plugin: DevicePlugin) -> None:
    spelling, expected = spell(a_form(form), plugin), spelled(form, plugin)

    assert spelling.resource == expected.resource
    assert {need.key: need.values[0] for need in spelling.needs if not need.in_affinity} == expected.selector
    assert [(need.key, need.operator, *need.values) for need in spelling.needs if need.in_affinity] == expected.required


NO_GKE: list[Requirement] = [
    (GKE_SHARING, "DoesNotExist"),
    (GKE_CLIENTS, "DoesNotExist"),
    (GKE_PARTITION, "DoesNotExist"),
]
# Under MIG strategy mixed no node has the labels of slices; under single the nodes of slices alone.
NO_COMPUTE_SLICE: Requirement = (COMPUTE_SLICES, "DoesNotExist")
NO_SLICES: list[Requirement] = [NO_COMPUTE_SLICE, (GPU_SLICES, "DoesNotExist")]
# Only nodes with MPS have it, and none of them has MIG on.
NO_MPS: Requirement = ("nvidia.com/mps.capable", "NotIn", "true")
# Shared GPUs have several slots.
SLOTS: Requirement = ("nvidia.com/gpu.replicas", "NotIn", "0", "1")
SLICE_SLOTS: Requirement = ("nvidia.com/mig-1g.5gb.replicas", "NotIn", "0", "1")
UNDER_MIXED = [
    NO_MPS,
    ("nvidia.com/mig.capable", "NotIn", "false"),
    ("nvidia.com/mig.strategy", "NotIn", "single", "none"),
]
UNDER_SINGLE = [
    NO_MPS,
    ("nvidia.com/mig.capable", "In", "true"),
    ("nvidia.com/mig.strategy", "In", "single"),
    *((f"nvidia.com/mig-1g.5gb.{label}", "DoesNotExist") for label in ("count", "memory", "product", "replicas")),
]
IMPLIED: list[tuple[str, DevicePlugin, list[Requirement]]] = [
    ("exclusive", RENAMED, [(STRATEGY, "NotIn", *SHARED_BY), *NO_SLICES, *NO_GKE, NO_MPS]),
    ("time-slicing", RENAMED, [SLOTS, *NO_SLICES, *NO_GKE, NO_MPS]),
    ("shared", RENAMED, [(STRATEGY, "In", *SHARED_BY), SLOTS, *NO_SLICES, *NO_GKE]),
    ("mig-1g.5gb", RENAMED, [(MIG_STRATEGY, "NotIn", *SHARED_BY), *NO_SLICES, *NO_GKE, *UNDER_MIXED]),
    (
        "mig-1g.5gb-shared",
        RENAMED,
        [
            (MIG_STRATEGY, "In", *SHARED_BY),
            SLICE_SLOTS,
            (MIG_STRATEGY, "NotIn", "mps"),
            *NO_SLICES,
            *NO_GKE,
            *UNDER_MIXED,
        ],
    ),
    ("mps", RENAMED, [SLOTS, *NO_SLICES, *NO_GKE, ("nvidia.com/mps.capable", "NotIn", "false")]),
    ("exclusive", NOT_RENAMED, [*NO_SLICES, *NO_GKE, NO_MPS]),
    ("shared", NOT_RENAMED, [SLOTS, *NO_SLICES, *NO_GKE]),
    ("exclusive", SINGLE, [(STRATEGY, "NotIn", *SHARED_BY), NO_COMPUTE_SLICE, *NO_GKE, NO_MPS]),
    ("mig-1g.5gb", SINGLE, [(STRATEGY, "NotIn", *SHARED_BY), *NO_GKE, *UNDER_SINGLE]),
    ("mig-1g.5gb", SINGLE_NOT_RENAMED, [*NO_GKE, *UNDER_SINGLE]),
    (
        "mig-1g.5gb-shared",
        SINGLE,
        [(STRATEGY, "In", *SHARED_BY), SLOTS, (STRATEGY, "NotIn", "mps"), *NO_GKE, *UNDER_SINGLE],
    ),
    ("mig-1g.5gb", SINGLE_BY_PRODUCT, [(STRATEGY, "NotIn", *SHARED_BY), *SLICE, *NO_GKE, *UNDER_SINGLE]),
    ("gke-exclusive", RENAMED, [(GKE_CLIENTS, "DoesNotExist"), (STRATEGY, "DoesNotExist")]),
    ("gke-mps-48", RENAMED, [(STRATEGY, "DoesNotExist")]),
    ("gke-mig-1g.5gb", RENAMED, [(GKE_CLIENTS, "DoesNotExist"), (STRATEGY, "DoesNotExist")]),
    ("gke-mps-48", AUTOPILOT, [(GKE_PARTITION, "DoesNotExist"), (STRATEGY, "DoesNotExist")]),
    ("gke-exclusive", AUTOPILOT, [*NO_GKE, (STRATEGY, "DoesNotExist")]),
    (
        "gke-mig-1g.5gb",
        AUTOPILOT,
        [(GKE_SHARING, "DoesNotExist"), (GKE_CLIENTS, "DoesNotExist"), (STRATEGY, "DoesNotExist")],
    ),
    ("gke-mig-2g.10gb-mps-3", RENAMED, [(STRATEGY, "DoesNotExist")]),
]


@pytest.mark.parametrize(("form", "plugin", "implied"), IMPLIED)
def test_a_form_goes_with_labels_that_are_never_written(
    form: str,
    plugin: DevicePlugin,
    implied: list[Requirement],
) -> None:
    spelling = spell(a_form(form), plugin)

    assert [(need.key, need.operator, *need.values) for need in spelling.implies if need.key != MIG_CONFIG] == implied


@pytest.mark.parametrize(
    ("form", "plugin", "on", "never_on"),
    [
        ("exclusive", RENAMED, ["all-disabled"], ["all-enabled", "all-balanced", "all-1g.5gb", "all-7g.80gb"]),
        ("mps", SINGLE, ["all-disabled"], ["all-enabled", "all-balanced", "all-1g.5gb"]),
        ("mig-1g.5gb", RENAMED, ["all-1g.5gb", "all-balanced"], ["all-disabled", "all-enabled", "all-2g.10gb"]),
        ("mig-1g.5gb", SINGLE, ["all-1g.5gb"], ["all-disabled", "all-enabled", "all-balanced", "all-1g.5gb.me"]),
        ("mig-1g.5gb-shared", SINGLE, ["all-1g.5gb"], ["all-disabled", "all-1g.10gb"]),
        ("gke-mig-1g.5gb", RENAMED, ["all-1g.5gb", "all-disabled"], []),
    ],
)
def test_the_mig_configurations_of_a_forms_nodes(
    form: str, plugin: DevicePlugin, on: list[str], never_on: list[str]
) -> None:
    """Administrators' own (``custom-config``, ``all-of-ours``) may cut GPUs into anything."""
    needs = [need for need in spell(a_form(form), plugin).implies if need.key == MIG_CONFIG]

    assert [value for value in on + never_on if not all(need.admits(value) for need in needs)] == never_on
    assert all(need.admits(value) for need in needs for value in (ABSENT, OTHER, "custom-config", "all-of-ours"))


def test_a_node_affinity_on_gkes_labels_is_never_written_on_autopilot() -> None:
    """It takes node affinity on few labels: "Autopilot allows node affinity only on labels with keys: …"."""
    written = {form: spell(a_form(form), AUTOPILOT).needs for form in TABLE if form.startswith("gke-")}

    assert all(not need.in_affinity for needs in written.values() for need in needs)
    assert written["gke-exclusive"] == ()
    assert {need.key for need in written["gke-mig-1g.5gb"]} == {GKE_PARTITION}


def test_products_of_shared_whole_gpus_have_a_suffix_where_sharing_does_not_rename() -> None:
    suffixes = {
        (form, plugin.rename_by_default): spell(a_form(form), plugin).products.suffix
        for form in TABLE
        for plugin in (RENAMED, NOT_RENAMED)
    }

    assert {key for key, suffix in suffixes.items() if suffix} == {
        ("shared", False),
        ("time-slicing", False),
        ("mps", False),
    }
    assert set(suffixes.values()) == {"", "-SHARED"}


def test_the_strategy_label_is_the_resources_own() -> None:
    assert strategy_label(None) == STRATEGY
    assert strategy_label("1g.5gb") == MIG_STRATEGY


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (Need("a", "In", ("x",)), "a: x"),
        (Need("a", "In", ("x", "y")), "a In [x, y]"),
        (Need("a", "NotIn", ("x",)), "a NotIn [x]"),
        (Need("a", "DoesNotExist"), "a DoesNotExist"),
    ],
)
def test_a_need_reads_as_a_nodeselector_or_as_a_requirement(need: Need, text: str) -> None:
    assert str(need) == text
    assert need.in_affinity == (": " not in text)
    assert need.expression == Expression(need.key, need.operator, list(need.values) or None)


ONE = Need("key", "In", ("a",))
EITHER = Need("key", "In", ("a", "b"))
NEITHER = Need("key", "NotIn", ("a", "b"))
NOTHING = Need("key", "DoesNotExist")

MET = [
    pytest.param({"nodeSelector": {"key": "a"}}, {ONE, EITHER}, id="the value in nodeSelector"),
    pytest.param({"nodeSelector": {"key": "b"}}, {EITHER}, id="the other value in nodeSelector"),
    pytest.param({"nodeSelector": {"key": "c"}}, {NEITHER}, id="a third value in nodeSelector"),
    pytest.param({"nodeSelector": {"other": "a"}}, set(), id="another label"),
    pytest.param({}, set(), id="nothing"),
    pytest.param({"affinity": affinity([("key", "In", "a")])}, {ONE, EITHER}, id="In the value"),
    pytest.param({"affinity": affinity([("key", "In", "a", "b")])}, {EITHER}, id="In both values"),
    pytest.param({"affinity": affinity([("key", "In", "c", "d")])}, {NEITHER}, id="In other values"),
    pytest.param({"affinity": affinity([("key", "In", "a", "c")])}, set(), id="In one of each kind"),
    pytest.param({"affinity": affinity([("key", "NotIn", "a", "b")])}, {NEITHER}, id="NotIn both"),
    pytest.param({"affinity": affinity([("key", "NotIn", "a")])}, set(), id="NotIn one of both"),
    pytest.param({"affinity": affinity([("key", "NotIn", "a", "b", "c")])}, {NEITHER}, id="NotIn more"),
    pytest.param({"affinity": affinity([("key", "DoesNotExist")])}, {NEITHER, NOTHING}, id="DoesNotExist"),
    pytest.param({"affinity": affinity([("key", "Exists")])}, set(), id="Exists"),
    pytest.param({"affinity": affinity([("key", "Gt", "3")])}, {NEITHER}, id="Gt lets no word through"),
    pytest.param(
        {"affinity": affinity([("key", "In", "a")], [("key", "In", "b")])}, {EITHER}, id="one in each of two terms"
    ),
    pytest.param({"affinity": affinity([("key", "In", "a")], [("other", "Exists")])}, set(), id="in one of two terms"),
    pytest.param(
        {"affinity": affinity([("key", "In", "a"), ("other", "Exists")], [("key", "In", "a")])},
        {ONE, EITHER},
        id="in both terms",
    ),
    pytest.param({"affinity": affinity([], [])}, {ONE, EITHER, NEITHER, NOTHING}, id="a pod that can run nowhere"),
]


@pytest.mark.parametrize(("spec", "met"), MET)
def test_a_need_is_met_where_no_other_node_gets_through(spec: Json, met: set[Need]) -> None:
    nodes = NodeConstraints(spec_of(a_pod(**spec)))

    assert {need for need in (ONE, EITHER, NEITHER, NOTHING) if need.is_met_by(nodes)} == met


POSSIBLE = [
    pytest.param({}, {ONE, EITHER, NEITHER, NOTHING}, id="nothing said"),
    pytest.param({"nodeSelector": {"key": "a"}}, {ONE, EITHER}, id="the value in nodeSelector"),
    pytest.param({"nodeSelector": {"key": "c"}}, {NEITHER}, id="a third value in nodeSelector"),
    pytest.param({"affinity": affinity([("key", "In", "c", "b")])}, {EITHER, NEITHER}, id="In one of each kind"),
    pytest.param({"affinity": affinity([("key", "NotIn", "a")])}, {EITHER, NEITHER, NOTHING}, id="NotIn one of both"),
    pytest.param({"affinity": affinity([("key", "Exists")])}, {ONE, EITHER, NEITHER}, id="Exists"),
    pytest.param({"affinity": affinity([("key", "DoesNotExist")])}, {NEITHER, NOTHING}, id="DoesNotExist"),
    pytest.param({"affinity": affinity([("key", "Gt", "3")])}, {NEITHER}, id="Gt"),
    pytest.param(
        {"affinity": affinity([("key", "In", "c")], [("key", "In", "a")])},
        {ONE, EITHER, NEITHER},
        id="either alternative",
    ),
    pytest.param({"affinity": affinity([])}, {ONE, EITHER, NEITHER, NOTHING}, id="a pod that can run nowhere"),
]


@pytest.mark.parametrize(("spec", "needs"), POSSIBLE)
def test_a_need_is_possible_where_one_node_gets_through_that_will_do(spec: Json, needs: set[Need]) -> None:
    nodes = NodeConstraints(spec_of(a_pod(**spec)))

    assert {need for need in (ONE, EITHER, NEITHER, NOTHING) if possible([need], nodes)} == needs


def test_needs_are_possible_together_only_in_one_and_the_same_alternative() -> None:
    nodes = NodeConstraints(spec_of(a_pod(affinity=affinity([("key", "In", "a")], [("other", "In", "x")]))))
    one, other = Need("key", "In", ("b",)), Need("other", "In", ("y",))

    assert possible([one], nodes)
    assert possible([other], nodes)
    assert not possible([one, other], nodes)
    assert possible([one, Need("other", "In", ("x",))], nodes)


def test_needs_of_one_label_have_to_be_possible_in_one_value() -> None:
    nodes = NodeConstraints(spec_of(a_pod()))

    assert possible([EITHER, Need("key", "In", ("b", "c"))], nodes)
    assert not possible([EITHER, Need("key", "In", ("c",))], nodes)
    assert not possible([ONE, NEITHER], nodes)
    assert possible([NOTHING, NEITHER], nodes)
    assert not possible([NOTHING, ONE], nodes)


def test_a_resource_is_whole_or_shared_by_name_only_where_sharing_renames() -> None:
    assert {spell(a_form(form), NOT_RENAMED).resource for form in ("exclusive", "shared", "mps")} == {GPU}
