"""Manifests applied again to pods that were rewritten: what is restored, and what is left for the API server to deny."""

from collections.abc import Mapping
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, given, settings

from tests.builders import (
    AUTOPILOT,
    GKE_CLIENTS,
    GKE_SHARING,
    GPU,
    GPU_TOLERATION,
    MIG,
    MIG_SHARED,
    NOT_RENAMED,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE,
    SINGLE_BY_PRODUCT,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    affinity,
    applied,
    evaluate,
    policy_of,
    rewritten,
    spec_of,
    view,
)
from tests.engine.strategies import plugins, pods, policies
from webhook.engine.pods import Pod, Toleration
from webhook.engine.policy import Mismatch, Policy, Prefer
from webhook.engine.reapplied import restored
from webhook.engine.requests import read
from webhook.engine.spelling import DevicePlugin

ZONE = {"topology.kubernetes.io/zone": "a"}
SPOT = {"key": "spot", "operator": "Exists"}


def asking(resource: str = GPU, count: str = "1", name: str = "train", **fields: Any) -> Json:
    """A container as the API server stores it: requests are defaulted from limits."""
    return a_container(name, {resource: count}, {resource: count}, **fields)


def merged(manifest: Json, live: Json) -> Json:
    """The pod that an apply of the manifest makes of the live pod: maps by key, containers by name, other lists whole.

    nodeSelector is replaced too, as server-side apply does (``+mapType=atomic``); kubectl's own patch would keep its keys.
    """
    lists = {
        name: [deep(one, there) for one, there in zip(manifest[name], live[name], strict=True)]
        for name in ("containers", "initContainers")
        if live.get(name)
    }
    return {**live, **manifest, **lists}


def deep(new: Mapping[str, Any], old: Mapping[str, Any]) -> Json:
    both = {key: deep(new[key], old[key]) for key in new if isinstance(new[key], dict) and old.get(key)}
    named = {"env": old["env"]} if "env" in old else {}  # by name, as containers; none is ever removed
    return {**old, **new, **both, **named}


def applied_again(manifest: Json, live: Json, policy: str | Policy, plugin: DevicePlugin = RENAMED) -> Json:
    """The pod that ``live`` becomes when a manifest is applied to it."""
    pod = {**live, "spec": merged(manifest["spec"], live["spec"])}
    chosen = policy_of(policy) if isinstance(policy, str) else policy
    changed: Json = jsonpatch.apply_patch(pod, restored(view(pod), view(live), chosen, plugin))
    return changed


@pytest.mark.parametrize(
    ("manifest", "policy"),
    [
        pytest.param(a_pod(asking(MIG)), "mig-1g.5gb", id="nothing was rewritten"),
        pytest.param(a_pod(asking(), affinity=affinity([("a", "Exists")])), "any", id="any"),
        pytest.param(a_pod(a_container("train", {"cpu": "1"}, {"cpu": "1"})), "shared", id="no GPU"),
    ],
)
def test_what_the_merge_already_leaves_as_it_was_needs_no_patch(manifest: Json, policy: str) -> None:
    live = rewritten(manifest, policy)
    pod = {**live, "spec": merged(manifest["spec"], live["spec"])}
    assert pod == live
    assert restored(view(pod), view(live), policy_of(policy), RENAMED) == []


TEAM = a_policy(
    "mps",
    node_selector={"pool": "gpu"},
    tolerations=(Toleration(key="team", operator="Exists"),),
    runtime_class_name="nvidia",
    env={"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"},
)


@pytest.mark.parametrize(
    ("manifest", "policy", "plugin"),
    [
        pytest.param(a_pod(asking()), "shared", RENAMED, id="another name"),
        pytest.param(a_pod(asking(count="2")), "mig-1g.5gb", RENAMED, id="two MIG slices"),
        pytest.param(
            a_pod(asking(), a_container("proxy")), "mig-1g.5gb-shared", RENAMED, id="a container without a GPU"
        ),
        pytest.param(a_pod(asking(), asking(name="eval")), "mig-1g.5gb", RENAMED, id="two containers"),
        pytest.param(a_pod(asking(), nodeSelector={}), "mps", RENAMED, id="an empty node selector"),
        pytest.param(a_pod(asking()), "mps", RENAMED, id="a node selector, kept by the merge"),
        pytest.param(a_pod(asking(), nodeSelector=ZONE), "mps", RENAMED, id="a node selector, lost by the merge"),
        pytest.param(a_pod(asking(), tolerations=[SPOT]), "shared", RENAMED, id="a toleration, lost by the merge"),
        pytest.param(a_pod(asking(), nodeSelector=ZONE, tolerations=[SPOT]), TEAM, RENAMED, id="a policy's additions"),
        *(
            pytest.param(a_pod(asking(), **placed), policy, plugin, id=f"{policy}, {name}, {setting}")
            for plugin, setting in ((SINGLE, "single"), (SINGLE_BY_PRODUCT, "single by product"))
            for policy in ("shared", "mig-1g.5gb-shared")
            for name, placed in (("anywhere", {}), ("in a zone", {"nodeSelector": ZONE}))
        ),
        pytest.param(a_pod(asking(), nodeSelector=ZONE), "gke-time-sharing-4", AUTOPILOT, id="selectors alone"),
        pytest.param(
            a_pod(asking(), affinity=affinity([("zone", "In", "a")])), "shared", NOT_RENAMED, id="node affinity alone"
        ),
        pytest.param(
            a_pod(asking(), nodeSelector={PRODUCT: "NVIDIA-A100-SXM4-40GB"}),
            a_policy("mig-1g.5gb-shared"),
            RENAMED,
            id="a product",
        ),
        pytest.param(
            a_pod(asking("nvidia.com/mig-2g.10gb")),
            a_policy("mig-1g.5gb", mismatch=Mismatch.REWRITE),
            RENAMED,
            id="another form",
        ),
        pytest.param(
            a_pod(asking(), nodeSelector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
            "time-slicing",
            RENAMED,
            id="another platform",
        ),
    ],
)
def test_a_manifest_that_is_applied_again_changes_nothing(
    manifest: Json, policy: str | Policy, plugin: DevicePlugin
) -> None:
    live = rewritten(manifest, policy, plugin)
    assert live["spec"] != manifest["spec"]
    again = applied_again(manifest, live, policy, plugin)
    assert again == live


def test_an_init_container_is_restored_too() -> None:
    manifest = a_pod(a_container("serve"), initContainers=[asking(name="prepare")])
    live = rewritten(manifest, "shared")
    both = {GPU: "1", SHARED: "1"}
    prepare = a_container("prepare", both, both)
    pod = {**live, "spec": {**live["spec"], "initContainers": [prepare]}}
    assert restored(view(pod), view(live), policy_of("shared"), RENAMED) == [
        {"op": "remove", "path": "/spec/initContainers/0/resources/limits/nvidia.com~1gpu.shared"},
        {"op": "remove", "path": "/spec/initContainers/0/resources/requests/nvidia.com~1gpu.shared"},
        *(
            {
                "op": "move",
                "from": f"/spec/initContainers/0/resources/{section}/nvidia.com~1gpu",
                "path": f"/spec/initContainers/0/resources/{section}/nvidia.com~1gpu.shared",
            }
            for section in ("limits", "requests")
        ),
    ]


def test_what_else_the_manifest_changes_is_left_to_the_api_server() -> None:
    live = rewritten(a_pod(asking(image="train:1")), "shared")
    again = applied_again(a_pod(asking(image="train:2"), hostNetwork=True), live, "shared")
    assert again["spec"].pop("hostNetwork")
    assert again["spec"]["containers"][0].pop("image") == "train:2"
    assert live["spec"]["containers"][0].pop("image") == "train:1"
    assert again == live


@pytest.mark.parametrize(
    ("manifest", "now"),
    [
        pytest.param(a_pod(asking(count="2")), "shared", id="a count that is denied"),
        pytest.param(a_pod(asking(MIG)), "shared", id="a form that is denied"),
        pytest.param(a_pod(asking()), "mig-1g.5gb", id="the policy denies the pod now"),
        pytest.param(a_pod(asking()), "mps", id="the policy narrows the pod now"),
        pytest.param(a_pod(asking()), "any", id="the policy rewrites no more"),
        pytest.param(a_pod(asking(), nodeSelector={STRATEGY: "none"}), "shared", id="a selector that conflicts"),
    ],
)
def test_a_manifest_that_would_be_another_pod_now_is_left_to_the_api_server(manifest: Json, now: str) -> None:
    live = rewritten(a_pod(asking()), "shared")
    pod = {**live, "spec": merged(manifest["spec"], live["spec"])}
    assert restored(view(pod), view(live), policy_of(now), RENAMED) == []


def test_another_count_that_the_policy_allows_is_left_to_the_api_server() -> None:
    live = rewritten(a_pod(asking()), "mig-1g.5gb")
    pod = {**live, "spec": merged(a_pod(asking(count="2"))["spec"], live["spec"])}
    assert restored(view(pod), view(live), policy_of("mig-1g.5gb"), RENAMED) == []


def test_another_amount_of_memory_restores_the_slice_only_if_it_selects_the_same() -> None:
    policy = a_policy("mig-1g.10gb", "mig-2g.20gb", "mig-3g.40gb", prefer=Prefer.MEMORY)

    def needing(amount: str) -> Json:
        return a_pod(asking(), annotations={"gpuwarden.io/gpu-memory": amount})

    live = rewritten(needing("12Gi"), policy)
    for amount, is_same in (("13Gi", True), ("30Gi", False), ("1Gi", False), ("300Gi", False)):
        pod = {**live, "metadata": needing(amount)["metadata"], "spec": merged(needing(amount)["spec"], live["spec"])}
        assert bool(restored(view(pod), view(live), policy, RENAMED)) is is_same


def test_resources_that_two_names_share_are_kept_apart_by_section() -> None:
    live = rewritten(a_pod(asking()), "mig-1g.5gb-shared")
    both = a_container("train", {GPU: "1", MIG_SHARED: "1"}, {GPU: "1", MIG_SHARED: "1", "cpu": "1"})
    pod = {**live, "spec": {**live["spec"], "containers": [both]}}
    changed = jsonpatch.apply_patch(pod, restored(view(pod), view(live), policy_of("mig-1g.5gb-shared"), RENAMED))
    assert changed["spec"]["containers"][0]["resources"] == {
        "limits": {MIG_SHARED: "1"},
        "requests": {MIG_SHARED: "1", "cpu": "1"},
    }


def test_a_toleration_alone_is_restored() -> None:
    live = a_pod(asking(SHARED), tolerations=[SPOT, GPU_TOLERATION])
    policy = a_policy("shared", tolerations=(Toleration(key=GPU, operator="Exists", effect="NoSchedule"),))
    again = applied_again(a_pod(asking(SHARED), tolerations=[SPOT]), live, policy)
    assert again == live


@pytest.mark.parametrize("missing", [("pod",), ("before",), ("pod", "before")])
def test_a_pod_without_a_spec_is_left_alone(missing: tuple[str, ...]) -> None:
    pods = {name: Pod() if name in missing else view(a_pod(asking(SHARED))) for name in ("pod", "before")}
    assert restored(pods["pod"], pods["before"], policy_of("shared"), RENAMED) == []


def counts(pod: Json) -> list[Any]:
    return [
        (
            gpu_container.place,
            [(amount.resource, amount.limit_count, amount.request_count) for amount in gpu_container.amounts],
        )
        for gpu_container in read(spec_of(pod))
    ]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(pods, policies, plugins)
def test_whatever_is_restored_requests_what_it_requested(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    live = applied(pod, evaluate(pod, policy, plugin))
    assert restored(view(live), view(live), policy, plugin) == []
    again = {**live, "spec": merged(pod["spec"], live["spec"])}
    if operations := restored(view(again), view(live), policy, plugin):
        assert counts(jsonpatch.apply_patch(again, operations)) == counts(live)
