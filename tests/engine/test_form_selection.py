"""Form selection: which form requests state, by their resource and the pod's selectors."""

from typing import Any

import pytest

from tests.builders import (
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    PRODUCT,
    RENAMED,
    SHARED,
    STRATEGY,
    a_pod,
    affinity,
    gpu,
    spec_of,
)
from webhook.engine.form_selection import Statements
from webhook.engine.node_constraints import NodeConstraints
from webhook.engine.resources import GpuResource, classify


def stated(resource: str = GPU, *terms: list[tuple[str, ...]], **selector: str) -> list[str]:
    """The forms that a request states beside a node affinity and a nodeSelector."""
    spec: dict[str, Any] = {"nodeSelector": selector}
    if terms:
        spec["affinity"] = affinity(*terms)
    nodes = NodeConstraints(spec_of(a_pod(gpu(1, resource), **spec)))
    classified = classify(resource)
    assert isinstance(classified, GpuResource)
    return [str(form) for form in Statements(nodes, RENAMED).of(classified)]


PLAIN: list[Any] = [
    pytest.param([], {}, id="no selector at all"),
    pytest.param([[("zone", "In", "a")]], {"zone": "a"}, id="selectors of other labels"),
    pytest.param([], {PRODUCT: "A100-SXM4-40GB"}, id="a product without a suffix"),
    pytest.param([], {"nvidia.com/gpu.memory": "40960"}, id="another label of feature discovery"),
    pytest.param([], {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}, id="GKE's accelerator"),
    pytest.param([], {MIG_STRATEGY: "mps"}, id="the strategy of slices says nothing of whole GPUs"),
    pytest.param([[(STRATEGY, "Exists")]], {}, id="some strategy"),
    pytest.param([[(STRATEGY, "In", "none", "mps")]], {}, id="shared or not, as you like"),
    pytest.param([[(STRATEGY, "NotIn", "mps")]], {}, id="anything but MPS"),
    pytest.param([[(STRATEGY, "In", "mps")], [("zone", "In", "a")]], {}, id="MPS, or another zone"),
    pytest.param([[(STRATEGY, "In", "unheard-of")]], {}, id="a strategy that nobody knows"),
    pytest.param([[(PRODUCT, "In", "A100-SHARED", "H100")]], {}, id="products with and without a suffix"),
    pytest.param([[(PRODUCT, "NotIn", "A100-SHARED")]], {}, id="any product but a shared one"),
    pytest.param([[(PRODUCT, "Exists")]], {}, id="some product"),
    pytest.param([[(PRODUCT, "DoesNotExist")]], {}, id="no product"),
    pytest.param([[(PRODUCT, "In", "A100-SHARED")], [(PRODUCT, "DoesNotExist")]], {}, id="a shared product, or none"),
    pytest.param([[(PRODUCT, "In", "A100-SHARED")], [("zone", "In", "a")]], {}, id="a shared product, or another zone"),
    pytest.param([[(PRODUCT, "In", "A100-SHARED")]], {PRODUCT: "H100-SHARED"}, id="two products at once"),
    pytest.param([], {PRODUCT: "A100-MIG-INVALID"}, id="a product whose suffix is no profile"),
    pytest.param([], {PRODUCT: ""}, id="an empty product"),
    pytest.param([], {GKE_SHARING: "TIME_SHARING"}, id="a sharing strategy as no node has it"),
    pytest.param([[(GKE_PARTITION, "Exists")]], {}, id="some partition"),
    pytest.param([[(GKE_PARTITION, "NotIn", "1g.5gb")]], {}, id="any partition but one"),
    pytest.param([[(GKE_PARTITION, "In", "1g.5gb")], [("zone", "In", "a")]], {}, id="a partition, or another zone"),
    pytest.param([[(GKE_PARTITION, "In", "1g.5gb")], [(GKE_PARTITION, "DoesNotExist")]], {}, id="a partition, or none"),
    pytest.param([[(GKE_CLIENTS, "NotIn", "4")]], {}, id="any client count but one"),
    pytest.param([[(GKE_CLIENTS, "DoesNotExist")]], {}, id="no client count"),
]


@pytest.mark.parametrize(("terms", "selector"), PLAIN)
def test_a_plain_request_states_nothing(terms: list[list[tuple[str, ...]]], selector: dict[str, str]) -> None:
    assert stated(GPU, *terms, **selector) == []


BY_STRATEGY = [
    ("none", [[(STRATEGY, "In", "none")]], ["exclusive"]),
    ("time-slicing", [[(STRATEGY, "In", "time-slicing")]], ["time-slicing"]),
    ("mps", [[(STRATEGY, "In", "mps")]], ["mps"]),
    ("both", [[(STRATEGY, "In", "time-slicing", "mps")]], ["shared"]),
    ("both, as alternatives", [[(STRATEGY, "In", "mps")], [(STRATEGY, "In", "time-slicing")]], ["shared"]),
    ("not none", [[(STRATEGY, "Exists"), (STRATEGY, "NotIn", "none")]], ["shared"]),
    ("neither of both", [[(STRATEGY, "NotIn", "time-slicing", "mps")]], ["exclusive"]),
    ("neither of both, one by one", [[(STRATEGY, "NotIn", "mps"), (STRATEGY, "NotIn", "time-slicing")]], ["exclusive"]),
    ("no strategy", [[(STRATEGY, "DoesNotExist")]], ["exclusive"]),
    ("none or no strategy", [[(STRATEGY, "In", "none")], [(STRATEGY, "DoesNotExist")]], ["exclusive"]),
    ("neither none nor mps", [[(STRATEGY, "Exists"), (STRATEGY, "NotIn", "none", "mps")]], ["time-slicing"]),
]


@pytest.mark.parametrize(("terms", "forms"), [row[1:] for row in BY_STRATEGY], ids=[row[0] for row in BY_STRATEGY])
def test_the_strategy_label_states_a_form_of_a_whole_gpu(terms: list[list[tuple[str, ...]]], forms: list[str]) -> None:
    assert stated(GPU, *terms) == forms


BY_NAME = [
    (SHARED, {}, ["shared"]),
    (SHARED, {STRATEGY: "mps"}, ["mps"]),
    (SHARED, {STRATEGY: "time-slicing"}, ["time-slicing"]),
    (SHARED, {STRATEGY: "none"}, ["shared"]),
    (SHARED, {PRODUCT: "A100"}, ["shared"]),
    (MIG, {}, ["mig-1g.5gb"]),
    (MIG, {STRATEGY: "mps"}, ["mig-1g.5gb"]),
    (MIG, {MIG_STRATEGY: "none"}, ["mig-1g.5gb"]),
    (MIG, {MIG_STRATEGY: "time-slicing"}, ["mig-1g.5gb-time-slicing"]),
    (MIG, {"nvidia.com/mig-2g.10gb.sharing-strategy": "time-slicing"}, ["mig-1g.5gb"]),
    (MIG_SHARED, {}, ["mig-1g.5gb-shared"]),
    (MIG_SHARED, {MIG_STRATEGY: "time-slicing"}, ["mig-1g.5gb-time-slicing"]),
    (MIG_SHARED, {MIG_STRATEGY: "none"}, ["mig-1g.5gb-shared"]),
    (MIG, {PRODUCT: "A100-SHARED"}, ["mig-1g.5gb"]),
]


@pytest.mark.parametrize(("resource", "selector", "forms"), BY_NAME)
def test_a_name_states_a_form_and_its_label_the_means(
    resource: str, selector: dict[str, str], forms: list[str]
) -> None:
    assert stated(resource, **selector) == forms


BY_PRODUCT = [
    (GPU, [[(PRODUCT, "In", "A100-SHARED")]], ["shared"]),
    (GPU, [[(PRODUCT, "In", "A100-MIG-1g.5gb")]], ["mig-1g.5gb"]),
    (GPU, [[(PRODUCT, "In", "A100-MIG-1g.5gb-SHARED")]], ["mig-1g.5gb-shared"]),
    (GPU, [[(PRODUCT, "In", "A100-MIG-1g.24gb.me.all")]], ["mig-1g.24gb.me.all"]),
    (GPU, [[(PRODUCT, "In", "A100-SHARED", "H100-SHARED")]], ["shared"]),
    (GPU, [[(PRODUCT, "In", "A100-MIG-2g.10gb", "A100-MIG-1g.5gb")]], ["mig-2g.10gb", "mig-1g.5gb"]),
    (GPU, [[(PRODUCT, "In", "A100-MIG-2g.10gb")], [(PRODUCT, "In", "A100-SHARED")]], ["mig-2g.10gb", "shared"]),
    (GPU, [[(PRODUCT, "In", "A100-SHARED", "H100"), (PRODUCT, "NotIn", "H100")]], ["shared"]),
    (GPU, [[(PRODUCT, "In", "A100-SHARED"), (STRATEGY, "In", "mps")]], ["mps"]),
    (GPU, [[(PRODUCT, "In", "A100-SHARED"), (STRATEGY, "In", "none")]], ["shared"]),
    (SHARED, [[(PRODUCT, "In", "A100-MIG-1g.5gb")]], ["mig-1g.5gb-shared"]),
]


@pytest.mark.parametrize(("resource", "terms", "forms"), BY_PRODUCT, ids=str)
def test_the_suffix_of_a_product_states_a_form(
    resource: str, terms: list[list[tuple[str, ...]]], forms: list[str]
) -> None:
    assert stated(resource, *terms) == forms


ON_GKE = [
    ("time-sharing", [], {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}, ["gke-time-sharing-4"]),
    ("MPS", [], {GKE_SHARING: "mps", GKE_CLIENTS: "4"}, ["gke-mps-4"]),
    ("a strategy alone", [], {GKE_SHARING: "mps"}, ["gke-mps"]),
    ("a client count alone", [], {GKE_CLIENTS: "4"}, ["gke-shared-4"]),
    ("either strategy", [[(GKE_SHARING, "In", "mps", "time-sharing")]], {GKE_CLIENTS: "4"}, ["gke-shared-4"]),
    ("some strategy", [[(GKE_SHARING, "Exists")]], {}, ["gke-shared"]),
    ("a partition", [], {GKE_PARTITION: "1g.5gb"}, ["gke-mig-1g.5gb"]),
    (
        "one of two partitions",
        [[(GKE_PARTITION, "In", "2g.10gb", "1g.5gb")]],
        {},
        ["gke-mig-2g.10gb", "gke-mig-1g.5gb"],
    ),
    (
        "a shared partition",
        [],
        {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "3"},
        ["gke-mig-1g.5gb-time-sharing-3"],
    ),
    (
        "one of two shared partitions",
        [[(GKE_PARTITION, "In", "1g.5gb", "2g.10gb")]],
        {GKE_SHARING: "mps", GKE_CLIENTS: "3"},
        ["gke-mig-1g.5gb-mps-3", "gke-mig-2g.10gb-mps-3"],
    ),
    ("not shared", [[(GKE_SHARING, "DoesNotExist")]], {}, ["gke-exclusive"]),
    ("neither strategy", [[(GKE_SHARING, "NotIn", "mps", "time-sharing")]], {}, ["gke-exclusive"]),
    ("no partition", [[(GKE_PARTITION, "DoesNotExist")]], {}, ["gke-exclusive"]),
    (
        "not shared and no partition",
        [[(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]],
        {},
        ["gke-exclusive"],
    ),
    ("not shared, in a partition", [[(GKE_SHARING, "DoesNotExist")]], {GKE_PARTITION: "1g.5gb"}, ["gke-mig-1g.5gb"]),
    (
        "not shared, and a client count all the same",
        [[(GKE_SHARING, "DoesNotExist")]],
        {GKE_CLIENTS: "4"},
        ["gke-exclusive"],
    ),
    ("one of two client counts", [[(GKE_CLIENTS, "In", "2", "4")]], {GKE_SHARING: "mps"}, ["gke-mps"]),
    ("more than so many clients", [[(GKE_CLIENTS, "Gt", "3")]], {GKE_SHARING: "mps"}, ["gke-mps"]),
    ("less than so many clients", [[(GKE_CLIENTS, "Lt", "9")]], {GKE_SHARING: "mps"}, ["gke-mps"]),
    ("some client count", [[(GKE_CLIENTS, "Exists")]], {GKE_SHARING: "mps"}, ["gke-mps"]),
    (
        "a client count or any",
        [[(GKE_CLIENTS, "In", "4")], [(GKE_CLIENTS, "Exists")]],
        {GKE_SHARING: "mps"},
        ["gke-mps"],
    ),
    ("a client count, or none", [[(GKE_CLIENTS, "In", "4")], [("zone", "Exists")]], {GKE_SHARING: "mps"}, ["gke-mps"]),
    ("a client count that is a word", [], {GKE_SHARING: "mps", GKE_CLIENTS: "four"}, ["gke-mps"]),
    ("a client count of another script", [], {GKE_SHARING: "mps", GKE_CLIENTS: "\u0664"}, ["gke-mps"]),
    ("a client count of 317 digits", [], {GKE_SHARING: "mps", GKE_CLIENTS: "4" * 317}, ["gke-mps-444444444"]),
    ("an unknown strategy in a partition", [], {GKE_SHARING: "other", GKE_PARTITION: "1g.5gb"}, ["gke-mig-1g.5gb"]),
    ("an unknown strategy with a count", [], {GKE_SHARING: "other", GKE_CLIENTS: "4"}, ["gke-shared-4"]),
]


@pytest.mark.parametrize(("terms", "selector", "forms"), [row[1:] for row in ON_GKE], ids=[row[0] for row in ON_GKE])
def test_gkes_selectors_state_a_form(
    terms: list[list[tuple[str, ...]]], selector: dict[str, str], forms: list[str]
) -> None:
    assert stated(GPU, *terms, **selector) == forms


BOTH = [
    pytest.param(MIG, {GKE_PARTITION: "1g.5gb"}, ["gke-mig-1g.5gb"], id="a slice in the same partition"),
    pytest.param(MIG, {GKE_PARTITION: "2g.10gb"}, ["mig-1g.5gb"], id="a slice in another partition"),
    pytest.param(
        MIG, {GKE_PARTITION: "1g.5gb", GKE_SHARING: "mps", GKE_CLIENTS: "4"}, ["mig-1g.5gb"], id="a slice, yet shared"
    ),
    pytest.param(
        MIG_SHARED,
        {GKE_PARTITION: "1g.5gb", GKE_SHARING: "mps", GKE_CLIENTS: "4"},
        ["gke-mig-1g.5gb-mps-4"],
        id="a shared slice in a shared partition",
    ),
    pytest.param(SHARED, {GKE_SHARING: "mps", GKE_CLIENTS: "4"}, ["gke-mps-4"], id="a shared GPU with sharing"),
    pytest.param(SHARED, {GKE_PARTITION: "1g.5gb"}, ["shared"], id="a shared GPU in a partition"),
    pytest.param(
        GPU,
        {GKE_PARTITION: "1g.5gb", PRODUCT: "A100-MIG-2g.10gb"},
        ["gke-mig-1g.5gb"],
        id="GKE's selectors over a product",
    ),
    pytest.param(GPU, {GKE_SHARING: "mps", STRATEGY: "none"}, ["gke-mps"], id="GKE's selectors over a strategy"),
]


@pytest.mark.parametrize(("resource", "selector", "forms"), BOTH)
def test_a_name_beside_gkes_selectors_states_gkes_form_where_both_say_the_same(
    resource: str, selector: dict[str, str], forms: list[str]
) -> None:
    assert stated(resource, **selector) == forms


NAMES_ONLY = [
    (MIG, {}, True),
    (MIG, {STRATEGY: "mps"}, True),
    (MIG, {MIG_STRATEGY: "none"}, False),
    (MIG, {MIG_STRATEGY: "time-slicing"}, False),
    (MIG, {GKE_PARTITION: "1g.5gb"}, False),
    (MIG, {GKE_PARTITION: "2g.10gb"}, True),
    (MIG_SHARED, {}, False),
    (GPU, {}, False),
    (SHARED, {}, False),
]


@pytest.mark.parametrize(("resource", "selector", "expected"), NAMES_ONLY)
def test_a_slice_whose_sharing_nothing_tells_names_only_its_partition(
    resource: str,
    selector: dict[str, str],
    *,
    expected: bool,
) -> None:
    classified = classify(resource)
    assert isinstance(classified, GpuResource)
    statements = Statements(NodeConstraints(spec_of(a_pod(gpu(1, resource), nodeSelector=selector))), RENAMED)

    assert statements.names_only_a_partition(classified) is expected
