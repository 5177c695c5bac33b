"""What holds for every decision: deciding twice, what may change, what must not, and where the pod can run afterwards."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import MIG_STRATEGY, PRODUCT, Json, applied, evaluate, view
from tests.engine.cluster import chosen, nodes, satisfiable
from tests.engine.strategies import (
    GPU_NAMES,
    anything,
    mixed_plugins,
    plugins,
    pods,
    policies,
    policies_of,
    single_plugins,
    sound_pods,
    sound_single_pods,
)
from webhook.engine.decision import Decision, decide
from webhook.engine.edits import Annotate, DropResource
from webhook.engine.forms import Platform
from webhook.engine.patch import patch
from webhook.engine.pods import Place
from webhook.engine.policy import Policy
from webhook.engine.spelling import DevicePlugin
from webhook.engine.summary import changes, requests

# One profile for all of them: the pods are large, and an example is cheap.
PROPERTY = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
)
NVIDIA_STRATEGY = ".sharing-strategy"
ANNOTATIONS = ("gpuwarden.io/original-request", "gpuwarden.io/policy")


@PROPERTY
@given(pods, policies, plugins)
def test_deciding_on_the_result_changes_nothing_more(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    decision = evaluate(pod, policy, plugin)
    again = evaluate(applied(pod, decision), policy, plugin)

    assert again.edits == ()
    assert bool(again.denials) == bool(decision.denials)


@PROPERTY
@given(pods, policies, plugins)
def test_a_refused_pod_gets_no_edits_and_a_changed_one_says_so(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    decision = evaluate(pod, policy, plugin)

    assert not (decision.denials and decision.edits)
    assert (applied(pod, decision) != pod) == bool(decision.edits)
    assert bool(decision.edits) == any(isinstance(edit, Annotate) for edit in decision.edits)
    assert bool(decision.edits) == any(not isinstance(edit, Annotate) for edit in decision.edits)


def without_ours(pod: Json, policy: Policy) -> Json:
    """A pod without everything that a decision may touch, and without the empty parents that it may have made or left."""
    rest = copy.deepcopy(pod)
    spec = rest["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for section in ("limits", "requests"):
            amounts = (container.get("resources") or {}).get(section) or {}
            for name in GPU_NAMES:
                amounts.pop(name, None)
        container["env"] = [
            entry for entry in container.get("env") or [] if entry["name"] not in dict(policy.additions.env)
        ]
    spec["nodeSelector"] = {
        key: value
        for key, value in (spec.get("nodeSelector") or {}).items()
        if not ours(key) and key not in dict(policy.additions.node_selector)
    }
    spec["affinity"] = [
        [e for e in term.get("matchExpressions") or [] if not ours(e["key"])]
        for term in terms_of(spec)
        if term.get("matchExpressions") or term.get("matchFields")
    ]
    if not all(spec["affinity"]):
        spec["affinity"] = []
    added = [
        {"key": t.key, "operator": t.operator, "value": t.value, "effect": t.effect}
        for t in policy.additions.tolerations
    ]
    added.append({"key": "nvidia.com/gpu", "operator": "Exists", "value": None, "effect": "NoSchedule"})
    spec["tolerations"] = [
        toleration
        for toleration in spec.get("tolerations") or []
        if {key: toleration.get(key) for key in ("key", "operator", "value", "effect")} not in added
    ]
    if spec.get("runtimeClassName") == policy.additions.runtime_class_name:
        spec["runtimeClassName"] = None
    spec.setdefault("runtimeClassName", None)
    metadata = rest.get("metadata") or {}
    metadata["annotations"] = {
        key: text for key, text in (metadata.get("annotations") or {}).items() if key not in ANNOTATIONS
    }
    rest["metadata"] = metadata
    return rest


def ours(key: str) -> bool:
    """Whether a node label spells forms."""
    return key.startswith(("nvidia.com/", "cloud.google.com/gke-"))


def terms_of(spec: Json) -> list[Json]:
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: list[Json] = required.get("nodeSelectorTerms") or []
    return terms


@PROPERTY
@given(pods, policies, plugins)
def test_only_the_fields_that_the_design_names_change(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    result = applied(pod, evaluate(pod, policy, plugin))

    assert without_ours(result, policy) == without_ours(pod, policy)


@PROPERTY
@given(pods, policies, plugins)
def test_no_label_toleration_variable_or_class_of_the_pods_own_is_overwritten(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    """But for the labels that spelled another form, which go, and the suffix of the product."""
    before, after = pod["spec"], applied(pod, evaluate(pod, policy, plugin))["spec"]
    own = len(before.get("tolerations") or [])

    assert (after.get("tolerations") or [])[:own] == (before.get("tolerations") or [])
    assert after.get("runtimeClassName") == (before.get("runtimeClassName") or after.get("runtimeClassName"))
    for key, value in (before.get("nodeSelector") or {}).items():
        if key in ("zone", PRODUCT):
            assert after["nodeSelector"][key].startswith(value.split("-MIG-")[0].removesuffix("-SHARED"))
    for section in ("initContainers", "containers"):
        for old, new in zip(before.get(section) or [], after.get(section) or [], strict=True):
            assert (new.get("env") or [])[: len(old.get("env") or [])] == (old.get("env") or [])


@PROPERTY
@given(pods, policies, plugins)
def test_limits_equal_requests_after_a_rewrite_and_no_count_changes(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    decision = evaluate(pod, policy, plugin)
    assume(not decision.denials and not any(isinstance(edit, DropResource) for edit in decision.edits))
    result = applied(pod, decision)["spec"]
    for section in ("initContainers", "containers"):
        for old, new in zip(pod["spec"].get(section) or [], result.get(section) or [], strict=True):
            for place in ("limits", "requests"):
                assert asked_of(new, place) == asked_of(old, place)
            if asked_of(old, "limits") and asked_of(old, "requests"):
                limits, requests = (new["resources"][place] for place in ("limits", "requests"))
                assert {name for name in GPU_NAMES if name in limits and limits[name] not in (0, "0", None)} <= set(
                    requests
                )


def asked_of(container: Json, place: str) -> list[str]:
    """The GPU quantities other than nothing in limits or requests."""
    amounts = (container.get("resources") or {}).get(place) or {}
    return sorted(str(amounts[name]) for name in GPU_NAMES if amounts.get(name) not in (0, "0", None))


@PROPERTY
@given(pods, policies, plugins)
def test_a_pod_without_gpu_names_gets_an_empty_decision(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    for container in [*(pod["spec"]["initContainers"] or []), *pod["spec"]["containers"]]:
        for amounts in (container["resources"] or {}).values():
            for name in [name for name in amounts or {} if name.startswith("nvidia.com/")]:
                del amounts[name]

    assert evaluate(pod, policy, plugin) == Decision()


@PROPERTY
@given(pods, policies, plugins, st.randoms(use_true_random=False))
def test_the_order_of_containers_moves_paths_and_nothing_else(
    pod: Json, policy: Policy, plugin: DevicePlugin, random: Any
) -> None:
    order = list(range(len(pod["spec"]["containers"])))
    random.shuffle(order)
    permuted = copy.deepcopy(pod)
    permuted["spec"]["containers"] = [pod["spec"]["containers"][place] for place in order]
    moved = {Place("containers", place): Place("containers", now) for now, place in enumerate(order)}
    one, other = evaluate(pod, policy, plugin), evaluate(permuted, policy, plugin)

    assert {finding.rule for finding in one.findings} == {finding.rule for finding in other.findings}
    assert {described(edit, moved) for edit in one.edits} == {described(edit, {}) for edit in other.edits}


def described(edit: Any, moved: dict[Place, Place]) -> str:
    """An edit by its content, with its place as it is after a move."""
    place = getattr(edit, "place", None)
    text = str(edit) if place is None else str(edit).replace(place.field, moved.get(place, place).field + "#")
    if isinstance(edit, Annotate) and edit.key == "gpuwarden.io/original-request":
        return text + json.dumps(json.loads(edit.value), sort_keys=True)
    return text


@PROPERTY
@given(anything, policies, plugins)
def test_nothing_that_can_be_read_as_a_pod_makes_the_engine_fail(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    seen = view(pod)
    decision = decide(seen, policy, plugin)
    patch(seen, decision.edits)
    requests(decision)
    list(changes(decision))

    assert all(finding.message for finding in decision.findings)
    assert evaluate(applied(pod, decision), policy, plugin).edits == ()


# A well-formed pod in a namespace of one platform, as clusters are.
cases = st.one_of(
    *(st.tuples(sound_pods, policies_of(platform), mixed_plugins, st.just(platform)) for platform in Platform),
    st.tuples(
        sound_single_pods,
        policies_of(Platform.DEVICE_PLUGIN),
        single_plugins,
        st.just(Platform.DEVICE_PLUGIN),
    ),
)


def resources_of(spec: Json) -> set[str]:
    containers = [*(spec.get("initContainers") or []), *spec["containers"]]
    return {name for c in containers for name in GPU_NAMES if (c.get("resources") or {}).get("limits", {}).get(name)}


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@PROPERTY
@given(cases)
def test_a_pod_that_passes_runs_on_nodes_of_a_permitted_form_only(
    case: tuple[Json, Policy, DevicePlugin, Platform],
) -> None:
    """Evaluated by a scheduler and by nodes that know nothing of the engine.

    Pods that select labels which GKE does not have are passed over.
    """
    pod, policy, plugin, platform = case
    decision = evaluate(pod, policy, plugin)
    assume(not decision.denials)
    spec = applied(pod, decision)["spec"]
    assume(platform is Platform.DEVICE_PLUGIN or NVIDIA_STRATEGY not in json.dumps(spec))
    for node in nodes(platform, plugin):
        if not resources_of(spec) <= node.offers.keys() or not chosen(spec, node.labels):
            continue
        for resource in resources_of(spec):
            form = node.offers[resource]
            assert any(form.meet(listed) == form for listed in policy.forms), (form, node)


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@PROPERTY
@given(cases)
def test_a_pod_that_passes_is_not_left_without_any_node(case: tuple[Json, Policy, DevicePlugin, Platform]) -> None:
    """A pod that could run somewhere before can run on some node of the policy's forms afterwards, or is refused."""
    pod, policy, plugin, platform = case
    decision = evaluate(pod, policy, plugin)
    assume(not decision.denials and satisfiable(pod["spec"]))
    spec = applied(pod, decision)["spec"]
    assume(platform is Platform.DEVICE_PLUGIN or NVIDIA_STRATEGY not in json.dumps(spec))
    assume(not plugin.single or MIG_STRATEGY not in dict(policy.additions.node_selector))
    kinds = nodes(platform, plugin)

    assert any(resources_of(spec) <= node.offers.keys() and chosen(spec, node.labels) for node in kinds)
