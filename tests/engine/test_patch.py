"""The JSON Patch of edits: the smallest operations, with pointers escaped and missing parents made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import JsonPointer

from tests.builders import (
    GKE_PARTITION,
    GPU,
    MIG,
    NOT_RENAMED,
    PRODUCT,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    affinity,
    applied,
    evaluate,
    gpu,
    view,
)
from webhook.engine.patch import escape, keys_of, patch
from webhook.engine.pods import Toleration
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.spelling import DevicePlugin

TERMS = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"


def operations(pod: Json, policy: str | Policy = "shared", plugin: DevicePlugin = RENAMED) -> list[Json]:
    decision = evaluate(pod, policy, plugin)
    return [op for op in patch(view(pod), decision.edits) if "annotations" not in op["path"]]


def test_a_rename_moves_the_quantity_in_each_section() -> None:
    pod = a_pod(a_container("web"), a_container(limits={GPU: "1"}, requests={GPU: "1"}))

    assert operations(pod)[:2] == [
        {
            "op": "move",
            "from": "/spec/containers/1/resources/limits/nvidia.com~1gpu",
            "path": "/spec/containers/1/resources/limits/nvidia.com~1gpu.shared",
        },
        {
            "op": "move",
            "from": "/spec/containers/1/resources/requests/nvidia.com~1gpu",
            "path": "/spec/containers/1/resources/requests/nvidia.com~1gpu.shared",
        },
    ]


def test_a_zero_in_the_other_section_is_removed() -> None:
    pod = a_pod(initContainers=[a_container(limits={GPU: 1}, requests={SHARED: 0})])
    removed = {"op": "remove", "path": "/spec/initContainers/0/resources/requests/nvidia.com~1gpu.shared"}

    assert removed in operations(pod)


def test_additions_to_what_is_there_name_each_key_and_to_what_is_not_the_whole() -> None:
    there = a_pod(nodeSelector={"zone": "a"}, tolerations=[{"key": "x"}])
    tolerated = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}

    assert operations(there, "mps")[1:] == [
        {"op": "add", "path": "/spec/nodeSelector/nvidia.com~1gpu.sharing-strategy", "value": "mps"},
        {"op": "add", "path": "/spec/tolerations/-", "value": tolerated},
    ]
    assert operations(a_pod(), "mps")[1:] == [
        {"op": "add", "path": "/spec/nodeSelector", "value": {STRATEGY: "mps"}},
        {"op": "add", "path": "/spec/tolerations", "value": [tolerated]},
    ]


def test_a_selector_that_changes_is_replaced_and_one_that_goes_removed() -> None:
    pod = a_pod(nodeSelector={PRODUCT: "A100-MIG-1g.5gb", GKE_PARTITION: "1g.5gb"})

    assert operations(pod, "mig-1g.5gb")[1:3] == [
        {"op": "remove", "path": "/spec/nodeSelector/cloud.google.com~1gke-gpu-partition-size"},
        {"op": "replace", "path": "/spec/nodeSelector/nvidia.com~1gpu.product", "value": "A100"},
    ]


def test_requirements_go_behind_those_of_each_alternative() -> None:
    pod = a_pod(affinity=affinity([("zone", "Exists")], [("disk", "Exists")]))
    needed = {"key": STRATEGY, "operator": "In", "values": ["time-slicing", "mps"]}

    assert operations(pod, plugin=NOT_RENAMED) == [
        {"op": "add", "path": f"{TERMS}/0/matchExpressions/-", "value": needed},
        {"op": "add", "path": f"{TERMS}/1/matchExpressions/-", "value": needed},
    ]


def test_requirements_are_removed_from_behind_so_that_their_numbers_hold() -> None:
    pod = a_pod(affinity=affinity([(GKE_PARTITION, "Exists"), ("zone", "Exists"), (GKE_PARTITION, "In", "1g.5gb")]))

    assert operations(pod, "mig-1g.5gb")[1:3] == [
        {"op": "remove", "path": f"{TERMS}/0/matchExpressions/2"},
        {"op": "remove", "path": f"{TERMS}/0/matchExpressions/0"},
    ]


def test_a_product_is_replaced_where_it_is_asked_for() -> None:
    pod = a_pod(
        affinity=affinity(
            [("zone", "In", "A100-SHARED"), (PRODUCT, "NotIn", "H100"), (PRODUCT, "In", "B", "A100-SHARED")]
        )
    )

    assert operations(pod)[1:2] == [
        {"op": "replace", "path": f"{TERMS}/0/matchExpressions/2/values/1", "value": "A100"},
    ]


def test_the_annotations_are_added_each() -> None:
    pod = a_pod(annotations={"gpuwarden.io/policy": "old"})
    decision = evaluate(pod, "shared")

    assert patch(view(pod), decision.edits)[-2:] == [
        {
            "op": "add",
            "path": "/metadata/annotations/gpuwarden.io~1original-request",
            "value": '{"train":{"nvidia.com/gpu":"1"}}',
        },
        {"op": "replace", "path": "/metadata/annotations/gpuwarden.io~1policy", "value": "shared"},
    ]


def test_a_prefix_stands_before_every_path() -> None:
    pod = a_pod(gpu(env=[]), nodeSelector={GKE_PARTITION: "1g.5gb"})
    policy = a_policy("mig-1g.5gb", env={"A": "1"}, runtime_class_name="nvidia", tolerations=(Toleration("x"),))
    decision = evaluate(pod, policy)
    plain, prefixed = patch(view(pod), decision.edits), patch(view(pod), decision.edits, "/spec/template")

    assert len(plain) == 6
    for operation, moved in zip(plain, prefixed, strict=True):
        pointers = {key: f"/spec/template{operation[key]}" for key in ("path", "from") if key in operation}
        assert moved == operation | pointers


def test_a_toleration_is_written_without_what_it_leaves_out() -> None:
    policy = a_policy(
        "exclusive", tolerations=(Toleration("k", "Equal", "v", "NoExecute", 0), Toleration(operator="Exists"))
    )

    assert operations(a_pod(), policy) == [
        {
            "op": "add",
            "path": "/spec/tolerations",
            "value": [
                {"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute", "tolerationSeconds": 0},
                {"operator": "Exists"},
            ],
        }
    ]


def test_env_of_several_containers_goes_to_each() -> None:
    pod = a_pod(gpu(1, name="a", env=[]), initContainers=[gpu(1, name="b")])
    policy = a_policy("exclusive", env={"A": "1", "B": "2"})
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]

    assert operations(pod, policy) == [
        {"op": "add", "path": "/spec/initContainers/0/env", "value": variables},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": variables[0]},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": variables[1]},
    ]


@pytest.mark.parametrize("pod", [{}, {"spec": None}, a_pod(), a_pod(gpu(1, MIG))])
def test_no_edits_are_no_operations(pod: Json) -> None:
    assert patch(view(pod), ()) == []


def test_edits_without_annotations_add_none() -> None:
    pod = view(a_pod())

    assert [op["op"] for op in patch(pod, evaluate(a_pod(), "shared").edits[:-2])] == ["move", "add"]


def test_a_pod_without_a_spec_has_nothing_to_patch() -> None:
    edits = evaluate(a_pod(), "shared").edits

    assert patch(view({"metadata": {}}), edits) == []


@given(st.text())
def test_a_key_reads_back_from_its_pointer(key: str) -> None:
    assert JsonPointer(f"/{escape(key)}").parts == [key]


def test_both_special_characters_are_escaped_in_their_order() -> None:
    assert escape("a/b~1c") == "a~1b~01c"
    assert keys_of("/a~1b~01c/0") == ["a/b~1c", "0"]
    assert keys_of("") == []


def test_a_product_in_a_term_is_replaced_there_and_the_other_selectors_stay() -> None:
    pod = a_pod(gpu(1), nodeSelector={"pool": "a"}, affinity=affinity([(PRODUCT, "In", "A100-MIG-1g.5gb")]))
    decision = evaluate(pod, a_policy("exclusive", mismatch=Mismatch.REWRITE), NOT_RENAMED)

    spec = applied(pod, decision)["spec"]
    assert spec["nodeSelector"] == {"pool": "a"}
    assert '"A100"' in json.dumps(spec["affinity"])
    assert "-MIG-" not in json.dumps(spec["affinity"])
