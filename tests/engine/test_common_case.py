"""The common case: which pods it covers, that CEL says the same, and that the engine decides all that look alike alike."""

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    EVERY_SETTING,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    MIG,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE,
    STRATEGY,
    Json,
    a_pod,
    a_policy,
    affinity,
    applied,
    gpu,
    policy_of,
    view,
)
from tests.engine.common_pods import BUILT_IN, a_large_pod, a_random_pod
from webhook.engine.common_case import (
    BETWEEN,
    FEW,
    LONGEST_CEL_MESSAGE,
    MOST_ADDED,
    MOST_FORMS,
    Circumstance,
    CommonCase,
    NotCommonError,
    RequestPattern,
    Slices,
    common_case,
)
from webhook.engine.common_case_nodes import lacks_requirement
from webhook.engine.common_case_pods import MANY, SAFE_PATH, UNSAFE_PATH, condition, is_common, request_pattern
from webhook.engine.common_case_requests import ORDINARY, ORDINARY_BEGINNINGS, distinguished
from webhook.engine.decision import Decision, decide
from webhook.engine.edits import AddNeed
from webhook.engine.findings import LONGEST_WARNINGS
from webhook.engine.hostpaths import leads_to
from webhook.engine.node_constraints import Need
from webhook.engine.other_gpus import BUILT_IN as GPU_NAMES
from webhook.engine.pods import Toleration
from webhook.engine.policy import ClaimForm, FindingAction, Mismatch, Policy, Prefer
from webhook.engine.resources import classify
from webhook.engine.rules.catalog import RULES
from webhook.engine.rules.sharing import MIG_COUNT_ABOVE_ONE
from webhook.engine.spelling import DevicePlugin

POLICIES = {
    **{value: policy_of(value) for value in BUILT_IN},
    "several": a_policy("time-slicing", "exclusive", "mig-1g.5gb", max_per_container=4, max_per_pod=5),
    "slots": a_policy("mps", max_per_container=3, max_per_pod=4),
    "nothing": a_policy(max_per_container=1, max_per_pod=2),
    "gke": a_policy("gke-time-sharing-4", "gke-exclusive", max_per_pod=2),
    "gke-slots": a_policy("gke-mps-4", max_per_container=2),
    "gke-slices": a_policy("gke-mig-1g.5gb"),
    "adding": a_policy(
        "shared",
        "mps",
        node_selector={"pool": "gpu"},
        tolerations=(Toleration(key="team", value="ml"),),
        runtime_class_name="nvidia",
        env={"A": "b"},
    ),
    "unguarded": a_policy("exclusive", visible_devices=FindingAction.IGNORE),
}
SETTINGS = {**EVERY_SETTING, "autopilot": DevicePlugin(gke_autopilot=True)}


@cache
def case_of(policy: str, setting: str = "renamed") -> CommonCase:
    return common_case(POLICIES[policy], SETTINGS[setting])


@cache
def evaluated(policy: str, setting: str) -> Callable[[Json], bool]:
    """The CEL of a case, as a function of a pod."""
    return evaluated_of(condition(case_of(policy, setting)))


@cache
def evaluated_change(policy: str, setting: str) -> Callable[[Json], bool]:
    """The CEL of the pods that a policy may change, as a function of a pod."""
    return evaluated_of(condition(case_of(policy, setting).changed))


def evaluated_of(expression: str) -> Callable[[Json], bool]:
    compiled = cel.NewEnv(variables={"object": cel.Type.DYN}).compile(expression)

    def evaluate(pod: Json) -> bool:
        value = compiled.eval(data={"object": pod})
        assert value.type() == cel.Type.BOOL, value.value()
        return bool(value.value())

    return evaluate


def defaulted(pod: Json) -> Json:
    """A pod as the API server has it at admission: quantities are texts, and what is limited is requested."""
    for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
        if resources := container.get("resources"):
            limits = {name: {"1000m": "1"}.get(count, str(count)) for name, count in resources["limits"].items()}
            resources["limits"] = limits
            resources["requests"] = {**limits, **{name: limits[name] for name in resources.get("requests", {})}}
    return pod


def plain(**spec: Any) -> Json:
    return defaulted(a_pod(gpu("1"), **spec))


SLICE = "nvidia.com/mig-12g.3456gb.me.all"
SHM = "/dev/shm"  # noqa: S108 - a name to compare with

NOT_COMMON: dict[str, Json] = {
    "no GPU": a_pod({"name": "a"}),
    "no containers": {"metadata": {}, "spec": {}},
    "a count of 0": defaulted(a_pod(gpu("0"))),
    "half a GPU": defaulted(a_pod(gpu("500m"))),
    "a count in thousands": defaulted(a_pod(gpu("2k"))),
    "requests that differ": a_pod({"name": "a", "resources": {"limits": {GPU: "1"}, "requests": {GPU: "2"}}}),
    "requests alone": a_pod({"name": "a", "resources": {"requests": {GPU: "1"}}}),
    "a shared slice by name": defaulted(a_pod(gpu("1", f"{MIG}.shared"))),
    "a slice beside a plain request": defaulted(a_pod(gpu("1", MIG), gpu("1", name="b"))),
    "two kinds of slices": defaulted(a_pod({"name": "a", "resources": {"limits": {MIG: "1", SLICE: "1"}}})),
    "a slice in thousands": defaulted(a_pod(gpu("2k", MIG))),
    "slices that differ": a_pod({"name": "a", "resources": {"limits": {MIG: "1"}, "requests": {SLICE: "1"}}}),
    "a slice in requests alone": a_pod(
        {"name": "a", "resources": {"limits": {MIG: "1"}, "requests": {MIG: "1", SLICE: "1"}}}
    ),
    "a slice on nodes of a form": defaulted(a_pod(gpu("1", MIG), nodeSelector={STRATEGY: "mps"})),
    "a slice of a product": defaulted(a_pod(gpu("1", MIG), nodeSelector={PRODUCT: "Tesla-T4"})),
    "a name like that of a slice": defaulted(a_pod(gpu("1", "nvidia.com/mig-1g.5gbx"))),
    "two resources": defaulted(a_pod({"name": "a", "resources": {"limits": {GPU: "1", SHARED: "1"}}})),
    "a resource that is not known": defaulted(a_pod({"name": "a", "resources": {"limits": {GPU: "1", "x.io/y": "1"}}})),
    "a misspelt name": defaulted(a_pod({"name": "a", "resources": {"limits": {GPU: "1", "nvidia/gpu": "1"}}})),
    "an init container": defaulted(a_pod(gpu("1"), initContainers=[gpu("1", name="init")])),
    "a selector of a form": plain(nodeSelector={STRATEGY: "mps"}),
    "a shared product": plain(nodeSelector={PRODUCT: "Tesla-T4-SHARED"}),
    "a product of slices": plain(nodeSelector={PRODUCT: "A100-MIG-1g.5gb"}),
    "an empty product": plain(nodeSelector={PRODUCT: ""}),
    "a form of GKE": plain(nodeSelector={GKE_SHARING: "mps"}),
    "an affinity for a form": plain(affinity=affinity([(STRATEGY, "In", "mps")])),
    "an affinity that contradicts itself": plain(affinity=affinity([("zone", "In", "a"), ("zone", "In", "b")])),
    "an affinity that may contradict": plain(nodeSelector={"zone": "a"}, affinity=affinity([("zone", "In", "b")])),
    "numbers": plain(affinity=affinity([("cores", "Gt", "3")])),
    "no term that matches": plain(affinity=affinity([])),
    "many containers": defaulted(a_pod(*(gpu("1", name=f"c{i}") for i in range(17)))),
    "many init containers": plain(initContainers=[{"name": f"c{i}"} for i in range(17)]),
    "many terms": plain(affinity=affinity(*[[("zone", "Exists")]] * 17)),
    "many requirements": plain(affinity=affinity([(f"zone-{i}", "Exists") for i in range(17)])),
    "claims": plain(resourceClaims=[{"name": "a"}]),
    "a node": plain(nodeName="node-1"),
    "resources of the pod": plain(resources={}),
    "a mirror pod": {**plain(), "metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}},
    "a default of a LimitRange": {
        **plain(),
        "metadata": {"annotations": {"kubernetes.io/limit-ranger": "LimitRanger plugin set: nvidia.com/gpu limit"}},
    },
    "devices of CDI": {**plain(), "metadata": {"annotations": {"nvidia.cdi.k8s.io/x": "a"}}},
    "devices of the node": plain(volumes=[{"name": "a", "hostPath": {"path": "/dev/dri"}}]),
    "a privileged container": defaulted(a_pod(gpu("1", securityContext={"privileged": True}))),
    "visible devices": defaulted(a_pod(gpu("1", env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]))),
    "devices as mounts": defaulted(
        a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": "/run/nvidia-container-devices/all"}]))
    ),
}
COMMON: dict[str, Json] = {
    "a plain request": plain(),
    "several containers": defaulted(a_pod(gpu("1"), gpu("1", name="b"), {"name": "c"})),
    "a denied count": defaulted(a_pod(gpu("2"))),
    "the form of the policy": defaulted(a_pod(gpu("1", SHARED))),
    "a slice that is not listed": defaulted(a_pod(gpu("1", MIG))),
    "slices of several kinds": defaulted(a_pod(gpu("1", MIG), gpu("4", SLICE, name="b"), {"name": "c"})),
    "memory and network": defaulted(
        a_pod({"name": "a", "resources": {"limits": {GPU: "1", "cpu": "1", "hugepages-2Mi": "2Mi", "rdma/hca": "1"}}})
    ),
    "other labels": plain(nodeSelector={"zone": "a", "cloud.google.com/gke-accelerator": "l4"}),
    "a model": plain(nodeSelector={PRODUCT: "Tesla-T4"}),
    "a zone": plain(affinity=affinity([("zone", "In", "a")], [("zone", "NotIn", "b"), ("disk", "Exists")])),
    "data of the node": plain(volumes=[{"name": "a", "hostPath": {"path": "/mnt/data/.cache"}}]),
    "a runtime class": plain(runtimeClassName="nvidia"),
    "a default for CPU": {
        **plain(),
        "metadata": {
            "annotations": {"kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu limit for container a"}
        },
    },
}


@pytest.mark.parametrize("pod", NOT_COMMON.values(), ids=NOT_COMMON)
def test_what_the_webhooks_decide_is_left_out(pod: Json) -> None:
    assert not is_common(view(pod), case_of("shared"))
    assert not evaluated("shared", "renamed")(pod)


@pytest.mark.parametrize("pod", COMMON.values(), ids=COMMON)
def test_the_common_case(pod: Json) -> None:
    assert is_common(view(pod), case_of("shared"))
    assert evaluated("shared", "renamed")(pod)


def test_a_pod_without_a_spec_is_not_the_common_case() -> None:
    assert not is_common(view({}), case_of("shared"))


_ZONE = [("zone", "In", "a")]
_WHOLE = [(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]


@pytest.mark.parametrize(
    ("policy", "pod", "common"),
    [
        ("mps", plain(), True),
        ("mps", defaulted(a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": SHM}]))), True),
        ("mps", defaulted(a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": "/dev/./shm"}]))), False),
        ("mps", defaulted(a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": "/data/.cache"}]))), True),
        ("shared", defaulted(a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": "/dev/./shm"}]))), True),
        ("shared", defaulted(a_pod(gpu("1", volumeMounts=[{"name": "a", "mountPath": SHM}]))), True),
        ("gke-slots", plain(), True),
        ("gke-slots", plain(hostIPC=True), True),
        ("mig-1g.5gb", plain(), True),
        ("mig-1g.5gb", defaulted(a_pod(gpu("2"))), True),
        ("mig-1g.5gb", plain(nodeSelector={PRODUCT: "Tesla-T4"}), False),
        ("mig-1g.5gb", defaulted(a_pod(gpu("1", SLICE))), True),
        ("mig-1g.5gb", defaulted(a_pod(gpu("1", SLICE), gpu("1", MIG, name="b"))), False),
        ("mig-1g.5gb-shared", defaulted(a_pod(gpu("1", MIG))), True),
        ("gke-slices", defaulted(a_pod(gpu("1", MIG))), False),
        ("any", defaulted(a_pod(gpu("1", MIG))), True),
        ("any", defaulted(a_pod(gpu("2", MIG))), False),
        ("mps", defaulted(a_pod(gpu("1", MIG, volumeMounts=[{"name": "a", "mountPath": SHM}]))), True),
        ("exclusive", defaulted(a_pod(gpu("8"))), True),
        ("unguarded", defaulted(a_pod(gpu("1", securityContext={"privileged": True}))), True),
        ("adding", plain(affinity=affinity([("pool", "Exists")])), False),
        ("gke-exclusive", plain(affinity=affinity(_ZONE, [("disk", "Exists")])), True),
        ("gke-exclusive", plain(affinity=affinity([*_ZONE, *_WHOLE], [*_WHOLE, ("disk", "Exists")])), True),
        ("gke-exclusive", plain(affinity=affinity([*_ZONE, *_WHOLE], [("disk", "Exists")])), False),
        ("gke-exclusive", plain(affinity=affinity([*_ZONE, *_WHOLE[:1]])), False),
        ("gke-exclusive", plain(affinity=affinity([*_WHOLE, (PRODUCT, "In", "Tesla-T4")])), False),
        ("gke-exclusive", plain(affinity=affinity([*_WHOLE, *_ZONE, *_ZONE])), False),
        ("gke-exclusive", plain(affinity=affinity()), False),
        # What is added to a term makes it no longer than one may be.
        ("gke-exclusive", plain(affinity=affinity([(f"zone-{number}", "Exists") for number in range(FEW - 2)])), True),
        ("gke-exclusive", plain(affinity=affinity([(f"zone-{number}", "Exists") for number in range(FEW - 1)])), False),
    ],
)
def test_what_is_left_out_depends_on_the_policy(policy: str, pod: Json, common: bool) -> None:  # noqa: FBT001
    assert is_common(view(pod), case_of(policy)) is common
    assert evaluated(policy, "renamed")(pod) is common


_TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
LISTS = (
    "metadata.annotations",
    *(f"spec.{name}" for name in ("containers", "initContainers", "nodeSelector", "tolerations", "volumes")),
    "spec.volumes.0.hostPath.path",
    *(f"spec.{section}.0.{name}" for section in ("containers", "initContainers") for name in ("env", "volumeMounts")),
    _TERMS,
    f"{_TERMS}.0.matchExpressions",
)


def changed(pod: Json, path: str, change: Callable[[Any], Any]) -> None:
    """Replace a value of a pod."""
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    inner: Any = pod
    for key in parents:
        inner = inner[key]
    inner[last] = change(inner[last])


def first_only(entries: Any) -> Any:
    return dict([*entries.items()][:1]) if isinstance(entries, dict) else entries[:1]


def one_more(entries: Any) -> Any:
    if isinstance(entries, dict):
        return {**entries, "example.test/more": "1"}
    return f"{entries}x" if isinstance(entries, str) else [*entries, entries[0]]


@pytest.mark.parametrize("path", LISTS)
def test_a_pod_with_one_entry_more_than_cel_may_look_at_is_left_out(path: str) -> None:
    case = case_of("shared")
    pod = a_large_pod(case.most_containers)
    for other in LISTS:
        if other != path and not other.endswith("path"):
            changed(pod, other, first_only)
    assert is_common(view(pod), case)
    assert evaluated("shared", "renamed")(pod)
    changed(pod, path, one_more)
    assert not is_common(view(pod), case)
    assert not evaluated("shared", "renamed")(pod)


@pytest.mark.parametrize("section", ["limits", "requests"])
def test_so_is_one_with_many_resources(section: str) -> None:
    pod = plain()
    pod["spec"]["containers"][0]["resources"][section] |= {f"hugepages-{n}Mi": "0" for n in range(FEW)}
    assert not is_common(view(pod), case_of("shared"))
    assert not evaluated("shared", "renamed")(pod)


def test_only_policies_that_list_slices_or_mps_warn() -> None:
    assert [policy for policy in ("shared", "exclusive", "none", "mig-1g.5gb", "mps") if case_of(policy).warns] == [
        "mig-1g.5gb",
        "mps",
    ]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_said_of_all_containers_fits_into_one_message(policy: str) -> None:
    case = case_of(policy)
    for pattern in case.patterns:
        warned = sum(sentence.longest + len(BETWEEN) for sentence in pattern.warnings.values())
        assert case.most_containers * warned <= LONGEST_WARNINGS
    denials = [each for pattern in case.patterns for each in (pattern.denial, pattern.denial_with_model) if each]
    longest = [denial.longest for denial in denials]
    of_pod = case.per_pod.longest if case.per_pod else 0
    assert 0 < case.most_containers <= FEW
    assert case.most_containers * (max(longest, default=0) + len(BETWEEN)) + of_pod <= LONGEST_CEL_MESSAGE
    of_slices = [sentence.longest for _, sentence in case.slices.denials] if case.slices else []
    assert 0 < case.most_containers_of_slices <= case.most_containers
    assert case.most_containers_of_slices * (max(of_slices, default=0) + len(BETWEEN)) + of_pod <= LONGEST_CEL_MESSAGE


def test_a_long_name_of_a_policy_leaves_room_for_fewer_containers() -> None:
    name = "x" * 63
    assert common_case(a_policy("shared", name=name), RENAMED).most_containers < case_of("shared").most_containers


def said_of(pattern: RequestPattern | Slices, name: str, resource: str, count: int, *, model: bool) -> list[str]:
    """What a common case says of a container's request, in a pod that selects a GPU model or none."""
    if isinstance(pattern, RequestPattern):
        denial = (pattern.denial_with_model if model else None) or pattern.denial
        steps = [] if denial is None or pattern.most is None else [(pattern.most, denial)]
    else:
        steps = [*pattern.denials]
    profile = resource.removeprefix("nvidia.com/mig-")
    return [
        sentence.filled(name=name, count=str(count), profile=profile) for above, sentence in steps if count > above
    ][-1:]


def warned_of(pattern: RequestPattern, pod: Json) -> list[str]:
    """What a common case warns of, in the order of the rules."""
    counts = {
        container["name"]: count
        for container in pod["spec"]["containers"]
        if (count := container.get("resources", {}).get("limits", {}).get(pattern.resource))
    }
    mounts = {
        container["name"]: [mount["mountPath"] for mount in container.get("volumeMounts", ())]
        for container in pod["spec"]["containers"]
    }
    named = {
        Circumstance.SEVERAL: [name for name, count in counts.items() if count != "1"],
        Circumstance.NO_HOST_IPC: [] if pod["spec"].get("hostIPC") else [*counts][:1],
        Circumstance.SHM: [name for name in counts if {SHM, f"{SHM}/"}.intersection(mounts[name])],
    }
    return [
        sentence.filled(name=name, count=counts[name])
        for circumstance in Circumstance
        if (sentence := pattern.warnings.get(circumstance))
        for name in named[circumstance]
    ]


def test_circumstances_are_in_the_order_of_the_rules() -> None:
    """Policies of every kind warn in each of them, of what a rule of the final pod says."""
    ids = {
        circumstance: sentence.rule
        for policy in POLICIES
        for pattern in case_of(policy).patterns
        for circumstance, sentence in pattern.warnings.items()
    }
    assert [ids[circumstance] for circumstance in Circumstance] == [rule.id for rule in RULES if rule.final]


def test_a_denied_pod_that_selects_a_model_is_advised_about_labels_too() -> None:
    plain, shared = case_of("shared").patterns
    assert plain.denial
    assert plain.denial_with_model is None
    for selector, sentence in (({}, shared.denial), ({PRODUCT: "Tesla-T4"}, shared.denial_with_model)):
        pod = defaulted(a_pod(gpu("2", SHARED), nodeSelector=selector))
        assert is_common(view(pod), case_of("shared"))
        [finding] = decide(view(pod), case_of("shared").policy, RENAMED).denials
        assert sentence
        assert finding.message == sentence.filled(name=pod["spec"]["containers"][0]["name"], count="2")


def test_a_pod_with_more_slices_than_a_message_has_room_for_is_left_out() -> None:
    case = case_of("gke-exclusive")
    most = case.most_containers_of_slices
    assert most < case.most_containers
    for count, common in ((most, True), (most + 1, False)):
        pod = defaulted(a_pod(*(gpu("1", SLICE, name=f"c{number}") for number in range(count))))
        assert is_common(view(pod), case) is common
        assert evaluated("gke-exclusive", "renamed")(pod) is common


@pytest.mark.parametrize(
    ("policy", "setting"),
    [(a_policy("shared", mismatch=Mismatch.REWRITE), "renamed"), (policy_of("any"), "single")],
)
def test_slices_that_are_rewritten_or_warned_of_are_left_to_the_webhooks(policy: Policy, setting: str) -> None:
    case = common_case(policy, SETTINGS[setting])
    assert case.slices is None
    assert not is_common(view(defaulted(a_pod(gpu("1", SLICE)))), case)


@given(st.integers(), st.sampled_from(sorted(POLICIES)), st.sampled_from(sorted(SETTINGS)))
def test_predicate_cel_and_engine_agree(seed: int, policy: str, setting: str) -> None:
    pod = defaulted(a_random_pod(Random(seed)))  # noqa: S311 - test data
    case = case_of(policy, setting)
    pattern = request_pattern(view(pod), case)
    assert evaluated(policy, setting)(pod) is (pattern is not None)
    if pattern is None:
        return
    decision = decide(view(pod), case.policy, SETTINGS[setting])
    requested = [
        (container["name"], name, int(count))
        for container in pod["spec"]["containers"]
        for name, count in container.get("resources", {}).get("limits", {}).items()
        if name.startswith("nvidia.com/")
    ]
    model = PRODUCT in pod["spec"].get("nodeSelector", {})
    said = [said for each in requested for said in said_of(pattern, *each, model=model)]
    total = sum(count for *_, count in requested)
    if case.per_pod and case.policy.max_per_pod is not None and total > case.policy.max_per_pod:
        said.append(case.per_pod.filled(name="", count=str(total)))
    assert [finding.message for finding in decision.denials] == said
    if said:
        return
    warned = warned_of(pattern, pod) if isinstance(pattern, RequestPattern) else []
    assert [finding.message for finding in decision.warnings] == warned
    result = applied(pod, decision)
    finally_said = decide(view(result), case.policy, SETTINGS[setting]).warnings
    assert [finding.message for finding in finally_said] == warned
    assert is_common(view(result), case)
    assert evaluated(policy, setting)(result)
    assert not decide(view(result), case.policy, SETTINGS[setting]).edits


@given(st.integers(), st.sampled_from(sorted(POLICIES)), st.sampled_from(sorted(SETTINGS)))
def test_what_a_policy_changes_does_not_depend_on_devices(seed: int, policy: str, setting: str) -> None:
    """Predicate and CEL agree; every rewritten pod of the common case is included; a rewrite leaves the same rules to apply."""
    pod = defaulted(a_random_pod(Random(seed)))  # noqa: S311 - test data
    case, plugin = case_of(policy, setting), SETTINGS[setting]
    changed = is_common(view(pod), case.changed)
    assert evaluated_change(policy, setting)(pod) is changed
    decision = decide(view(pod), case.policy, plugin, guarded=False)
    if decision.edits and is_common(view(pod), case):
        assert changed
    if changed and not decision.denials:
        result = applied(pod, decision)
        before, after = (decide(view(each), case.policy, plugin) for each in (pod, result))
        assert not after.edits
        assert [finding.rule for finding in after.findings] == [finding.rule for finding in before.findings]


DEVICES = ("devices of CDI", "devices of the node", "a privileged container", "visible devices", "devices as mounts")


@pytest.mark.parametrize("name", DEVICES)
def test_a_pod_that_may_reach_devices_is_changed_as_any_other(name: str) -> None:
    pod, case = NOT_COMMON[name], case_of("shared")
    assert is_common(view(pod), case.changed)
    assert evaluated_change("shared", "renamed")(pod)
    edits = decide(view(pod), case.policy, RENAMED, guarded=False).edits
    assert edits == decide(view(plain()), case.policy, RENAMED, guarded=False).edits


@pytest.mark.parametrize("name", [name for name in NOT_COMMON if name not in DEVICES])
def test_no_other_pod_that_the_webhooks_decide_is_changed(name: str) -> None:
    pod = NOT_COMMON[name]
    assert not is_common(view(pod), case_of("shared").changed)
    assert not evaluated_change("shared", "renamed")(pod)


@pytest.mark.parametrize(("policy", "changed"), [("shared", True), ("adding", False)])
def test_variables_are_counted_if_the_policy_looks_for_its_own(policy: str, changed: bool) -> None:  # noqa: FBT001
    pod = defaulted(a_pod(gpu("1", env=[{"name": f"A{number}"} for number in range(MANY + 1)])))
    assert is_common(view(pod), case_of(policy).changed) is changed
    assert evaluated_change(policy, "renamed")(pod) is changed


@given(st.integers(), st.sampled_from(sorted(POLICIES)), st.sampled_from(sorted(SETTINGS)))
def test_cel_finds_the_way_of_a_common_pod(seed: int, policy: str, setting: str) -> None:
    """The first of the patterns whose CEL tells it from those after it; the last where none does."""
    random = Random(seed)  # noqa: S311 - test data
    case = case_of(policy, setting)
    environment = cel.NewEnv(variables={"object": cel.Type.DYN})
    tells = [
        environment.compile(distinguished(one, case.patterns[index + 1 :]))
        for index, one in enumerate(case.patterns[:-1])
    ]
    for pod in (defaulted(a_random_pod(random)) for _ in range(10)):
        pattern = request_pattern(view(pod), case)
        if isinstance(pattern, RequestPattern):
            first = (
                one
                for one, cel_of in zip(case.patterns, tells, strict=False)
                if cel_of.eval(data={"object": pod}).value()
            )
            assert next(first, case.patterns[-1]) == pattern


@pytest.mark.parametrize(("policy", "patterns"), [("shared", 1), ("adding", 3)])
def test_a_policy_changes_plain_requests_alone_unless_it_adds_something(policy: str, patterns: int) -> None:
    case = case_of(policy)
    assert [pattern.resource for pattern in case.changed.patterns] == [
        pattern.resource for pattern in case.patterns[:patterns]
    ]
    assert case.slices
    assert case.changed.slices is None


def test_a_policy_that_permits_no_gpu_says_only_that() -> None:
    """Its limits are not exceeded by what it denies anyway."""
    case = case_of("nothing")
    pod = view(defaulted(a_pod(gpu("1"), gpu("3", MIG, name="b"))))
    assert case.per_pod is None
    assert case_of("several").per_pod is not None
    assert [finding.rule.id for finding in decide(pod, case.policy, DevicePlugin()).denials] == [
        "gpu-not-permitted"
    ] * 2


@pytest.mark.parametrize(
    ("policy", "count", "changed"),
    [("shared", "1", True), ("shared", "2", False), ("mps", "2", False), ("slots", "4", True)],
)
def test_what_is_denied_in_any_number_is_not_changed(policy: str, count: str, changed: bool) -> None:  # noqa: FBT001
    case = case_of(policy)
    pod = view(defaulted(a_pod(gpu(count))))
    assert is_common(pod, case)
    assert is_common(pod, case.changed) is changed


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy("x", unreadable="label"), "its label can't be read"),
        (a_policy("shared", claim_forms=(ClaimForm("one", "gpu"),)), "it lists claims"),
        (a_policy("shared", "mps", prefer=Prefer.OFFERED), "prefer: offered"),
        (a_policy("shared", not_offered=FindingAction.DENY), "notOffered: deny"),
        (
            a_policy("shared", *(f"gke-mps-{clients}" for clients in range(2, MOST_FORMS + 2))),
            "it lists 17 forms, and the size of CEL is limited; list at most 16",
        ),
        (
            a_policy("shared", env={f"A{n}": "" for n in range(MOST_ADDED + 1)}),
            "it adds 33 variables, tolerations or labels, and the cost of CEL is limited; add at most 32 of each",
        ),
        (a_policy("shared", env={"NVIDIA_VISIBLE_DEVICES": "void"}), "its env sets NVIDIA_VISIBLE_DEVICES"),
        (a_policy("shared", node_selector={PRODUCT: "Tesla-T4"}), "its nodeSelector selects labels of GPU nodes"),
    ],
)
def test_a_policy_that_cel_can_not_express(policy: Policy, why: str) -> None:
    with pytest.raises(NotCommonError, match=why):
        common_case(policy, RENAMED)


def test_an_engine_that_warns_of_every_sample_leaves_the_policy_to_the_webhooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warning = MIG_COUNT_ABOVE_ONE.found("spec", "pod: x", "y")
    monkeypatch.setattr("webhook.engine.common_case.decide", lambda *_, **__: Decision((), (warning,)))
    with pytest.raises(NotCommonError, match=r"what becomes of nvidia\.com/gpu can't be stated in CEL"):
        common_case(policy_of("shared"), RENAMED)


def test_an_engine_that_rewrites_its_own_forms_leaves_the_policy_to_the_webhooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit = AddNeed(Need("a", "In", ("b",)))
    monkeypatch.setattr("webhook.engine.common_case.decide", lambda *_, **__: Decision((edit,)))
    with pytest.raises(NotCommonError, match=r"nvidia\.com/gpu\.shared in its own form would be rewritten"):
        common_case(policy_of("shared"), RENAMED)


def test_a_listed_form_that_only_a_plain_request_can_name_is_written_once() -> None:
    """``exclusive`` after ``shared``: a plain request becomes the first."""
    assert [pattern.resource for pattern in common_case(a_policy("shared", "exclusive"), RENAMED).patterns] == [
        GPU,
        SHARED,
    ]


def test_ways_under_mig_strategy_single_are_told_apart_by_affinity() -> None:
    plainly, written = common_case(policy_of("mig-1g.5gb"), SINGLE).patterns
    assert plainly.requirements == written.terms != ()
    assert common_case(policy_of("mps"), RENAMED).patterns[0].selectors == {STRATEGY: "mps"}


@given(st.from_regex(SAFE_PATH.replace("$", r"\Z")))
def test_no_path_that_is_let_through_leads_to_gpus(path: str) -> None:
    assert "kubelet" in path or ".sock" in path or "/run/" in path or leads_to(path) is None
    assert UNSAFE_PATH == r"kubelet|\.sock|/run/"


@pytest.mark.parametrize(
    "name",
    [*ORDINARY, *(f"{beginning}{end}" for beginning in ORDINARY_BEGINNINGS for end in ("", "gpu", "2Mi", "nvidia"))],
)
def test_no_name_that_is_let_through_is_a_gpu(name: str) -> None:
    assert classify(name) is None
    assert not GPU_NAMES.is_gpu(name)


@pytest.mark.parametrize(
    ("terms", "lacks"),
    [
        pytest.param((), True, id="no affinity"),
        pytest.param(([(GKE_PARTITION, "DoesNotExist")],), False, id="the only term has it"),
        pytest.param(([("zone", "Exists"), (GKE_PARTITION, "DoesNotExist")],), False, id="beside another"),
        pytest.param(([(GKE_PARTITION, "DoesNotExist")], [("zone", "Exists")]), True, id="one of two terms lacks it"),
        pytest.param(([(GKE_SHARING, "DoesNotExist")],), True, id="another label"),
    ],
)
def test_a_requirement_is_lacking_unless_each_term_has_it(terms: tuple[Any, ...], *, lacks: bool) -> None:
    pod = plain(affinity=affinity(*terms)) if terms else plain()
    environment = cel.NewEnv(variables={"object": cel.Type.DYN})
    compiled = environment.compile(lacks_requirement(Need(GKE_PARTITION, "DoesNotExist")))
    assert bool(compiled.eval(data={"object": pod}).value()) is lacks
