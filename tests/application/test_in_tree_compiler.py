"""The objects that a configuration becomes, what is left to the webhooks, and the webhooks beside them."""

import re
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import GPU, MIG, SHARED, Json, a_pod, a_policy, gpu, view
from tests.engine.common_pods import a_random_pod
from tests.engine.test_common_case import POLICIES, SETTINGS, case_of, defaulted
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.in_tree_compiler import BUILT_IN, compiled, not_exempt, object_name
from webhook.application.in_tree_facts import may_be_denied
from webhook.application.in_tree_warnings import may_be_warned
from webhook.application.in_tree_webhooks import beside
from webhook.engine.common_case_pods import is_common
from webhook.engine.decision import decide
from webhook.engine.edits import AddToleration
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.other_gpus import GpuNames
from webhook.engine.pods import Pod, Toleration
from webhook.engine.policy import Policy, PolicyBook, Prefer


def book(*policies: Policy, **defaults: str) -> PolicyBook:
    return PolicyBook({policy.name: policy for policy in policies}, NamespaceLabels(**defaults))


def kinds(objects: tuple[Json, ...], name: str) -> list[str]:
    return [each["kind"] for each in objects if each["spec"].get("policyName", each["metadata"]["name"]) == name]


POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
MUTATING, MUTATING_BINDING = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"


def test_a_policy_that_rewrites_and_denies_has_both_kinds_each_with_its_binding() -> None:
    assert kinds(compiled(Configuration()).objects, "gpuwarden-shared") == [MUTATING, MUTATING_BINDING, POLICY, BINDING]


def test_the_patch_of_a_pod_with_one_container_is_constant_where_it_can_be() -> None:
    made = compiled(Configuration()).objects
    patch = next(each for each in made if each["metadata"]["name"] == "gpuwarden-shared")["spec"]["mutations"][0]
    expression = patch["jsonPatch"]["expression"]
    single = expression.split("(size(object.spec.containers) == 1 ?")[1].split(" :\n")[0]
    assert "path: '/spec/containers/0/resources/requests/nvidia.com~1gpu.shared'" in single
    assert "string(i)" not in single
    # A shared GPU is requested as one.
    assert """object.spec.containers[0].name + '":{"nvidia.com/gpu":"1"}'""" in expression


def test_a_patch_has_few_operations_and_lists() -> None:
    """One list each of renames, of a toleration and of annotations; what is absent is added with all that it gets."""
    made = compiled(Configuration()).objects
    patch = next(each for each in made if each["metadata"]["name"] == "gpuwarden-shared")["spec"]["mutations"][0]
    expression = patch["jsonPatch"]["expression"]
    assert expression.count(" +\n") == 2
    toleration = "{'key': 'nvidia.com/gpu', 'operator': 'Exists', 'effect': 'NoSchedule'}"
    assert f"[JSONPatch{{op: 'add', path: '/spec/tolerations/-', value: {toleration}}}] : " in expression
    assert f"[JSONPatch{{op: 'add', path: '/spec/tolerations', value: [{toleration}]}}])" in expression
    assert "path: '/metadata/annotations', value: {'gpuwarden.io/original-request': '{' + " in expression
    assert expression.endswith("'gpuwarden.io/policy': 'shared'}}])")


def test_several_tolerations_are_added_one_by_one() -> None:
    own = (Toleration("a", "Exists", None, "NoSchedule"), Toleration("b", "Exists", None, "NoSchedule"))
    policy = a_policy("exclusive", name="mine", tolerations=own)
    made = compiled(Configuration(policies=book(policy)), ["mine"]).objects
    patch = next(each for each in made if each["metadata"]["name"] == "gpuwarden-mine")["spec"]["mutations"][0]
    expression = patch["jsonPatch"]["expression"]
    absent = "(!has(object.spec.tolerations) ? [JSONPatch{op: 'add', path: '/spec/tolerations', value: []}] : []) +\n"
    assert absent in expression
    assert expression.count("path: '/spec/tolerations/-'") == len(own)


@pytest.mark.parametrize(
    ("tolerated", "adds"),
    [
        ([], True),
        ([{"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}], False),
        ([{"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 8}], True),
        ([{"key": "slow", "operator": "Exists", "effect": "NoExecute"}], False),
    ],
)
def test_a_toleration_for_some_seconds_is_added_unless_the_pod_tolerates_as_much(
    *, tolerated: list[Json], adds: bool
) -> None:
    slow = Toleration("slow", "Exists", None, "NoExecute", 9)
    policy = a_policy("exclusive", name="mine", tolerations=(slow,))
    made = compiled(Configuration(policies=book(policy)), ["mine"]).objects
    patch = next(each for each in made if each["metadata"]["name"] == "gpuwarden-mine")["spec"]["mutations"][0]
    expression = patch["jsonPatch"]["expression"]
    value = "dyn('slow'), 'operator': dyn('Exists'), 'effect': dyn('NoExecute'), 'tolerationSeconds': dyn(9)}"
    assert f"path: '/spec/tolerations/-', value: {{'key': {value}}}" in expression
    lacks = re.search(r"\n\((!\(has\(object\.spec\.tolerations\) .*?) \? \(has\(object", expression, re.DOTALL)
    assert lacks
    pod = a_pod(gpu("1"), tolerations=tolerated)
    edits = decide(view(pod), policy, Configuration().plugin).edits
    assert (AddToleration(slow) in edits) is adds
    environment = cel.NewEnv(variables={"object": cel.Type.DYN})
    found = environment.compile(lacks[1]).eval(data={"object": pod})
    assert found.value() is adds


def test_a_policy_that_only_denies_has_no_mutating_one_and_any_has_nothing() -> None:
    objects = compiled(Configuration()).objects
    assert kinds(objects, "gpuwarden-none") == [POLICY, BINDING]
    assert kinds(objects, "gpuwarden-any") == []


def test_the_default_is_bound_to_namespaces_without_a_label_too() -> None:
    made = compiled(Configuration(policies=book(enforce="mps")))
    bindings = [each for each in made.objects if each["spec"].get("policyName") == "gpuwarden-mps"]
    operators = [
        each["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["operator"] for each in bindings
    ]
    assert operators == ["In", "DoesNotExist", "In", "DoesNotExist"]


def test_namespaces_that_are_warned_audited_or_exempt_are_not_selected() -> None:
    exempt = Exemptions(namespaces=frozenset({"b", "a"}))
    made = compiled(Configuration(exemptions=exempt))
    binding = next(each for each in made.objects if each["kind"] == MUTATING_BINDING)
    assert binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][1:] == [
        {"key": "gpuwarden.io/warn", "operator": "DoesNotExist"},
        {"key": "gpuwarden.io/audit", "operator": "DoesNotExist"},
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a", "b"]},
    ]
    everywhere = compiled(Configuration(exemptions=Exemptions())).objects
    assert "metadata.name" not in str([each for each in everywhere if "Binding" in each["kind"]])
    assert "userInfo" not in str(everywhere)
    assert "schedulerName" not in str(everywhere)


def test_exempt_users_runtime_classes_and_schedulers_are_left_alone() -> None:
    exempt = Exemptions(frozenset(), frozenset({"u'1"}), frozenset({"kata"}), frozenset({"kai", "default-scheduler"}))
    made = compiled(Configuration(exemptions=exempt))
    [condition] = made.objects[0]["spec"]["matchConditions"]
    common, separator, exempted = condition["expression"].rpartition(") &&\n(!(request")
    assert (
        common
        == f"({compiled(Configuration(exemptions=Exemptions())).objects[0]['spec']['matchConditions'][0]['expression']}"
    )
    assert f"{separator[5:]}{exempted}" == (
        '(!(request.userInfo.username in ["u\'1"]) &&\n'
        "!(has(object.spec.runtimeClassName) && object.spec.runtimeClassName in ['kata']) &&\n"
        "!(has(object.spec.schedulerName) && object.spec.schedulerName in ['kai'] && "
        "(!has(object.spec.nodeName) || object.spec.nodeName == '')))"
    )


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"schedulerName": "default-scheduler"},
        {"schedulerName": "kai-scheduler"},
        {"schedulerName": "kai-scheduler", "nodeName": ""},
        {"schedulerName": "kai-scheduler", "nodeName": "node-1"},
        {"runtimeClassName": "kata"},
        {"runtimeClassName": "kata", "nodeName": "node-1"},
    ],
)
def test_cel_exempts_the_pods_that_the_webhooks_exempt(spec: Json) -> None:
    exempt = Exemptions(runtime_classes=frozenset({"kata"}), schedulers=frozenset({"kai-scheduler"}))
    condition = cel.NewEnv(variables=dict.fromkeys(("object", "request"), cel.Type.DYN)).compile(not_exempt(exempt))
    user = {"userInfo": {"username": "alice"}}
    is_evaluated = condition.eval(data={"object": {"spec": spec}, "request": user}).value()
    assert is_evaluated is (exempt.of_pod(msgspec.convert({"spec": spec}, Pod)) is None)


@pytest.mark.parametrize(
    ("configuration", "policy", "why"),
    [
        (Configuration(mode=Mode.AUDIT), "shared", "mode: audit records"),
        (Configuration(policies=book(warn="mps")), "shared", "defaults.warn or defaults.audit"),
        (Configuration(policies=book(audit="mps")), "mps", "defaults.warn or defaults.audit"),
        (Configuration(names=GpuNames(gpus=("rdma/gpu",))), "shared", "resources.gpus counts rdma/gpu"),
        (Configuration(names=GpuNames(gpus=("rd*",))), "shared", "resources.gpus counts rd* as"),
        (
            Configuration(policies=book(a_policy("shared", "mps", name="x", prefer=Prefer.OFFERED))),
            "x",
            "prefer: offered",
        ),
        (Configuration(policies=book(enforce="no-such")), "no-such", '"no-such" is not a policy'),
    ],
)
def test_what_cel_can_not_say_is_left_to_the_webhooks_with_the_reason(
    configuration: Configuration, policy: str, why: str
) -> None:
    left = {one.policy: one.why for one in compiled(configuration).left}
    assert left[policy].startswith(why)
    assert policy not in [
        each["metadata"]["annotations"]["gpuwarden.io/enforces"] for each in compiled(configuration).objects
    ]


def test_nothing_is_left_without_a_reason() -> None:
    made = compiled(Configuration(names=GpuNames(gpus=("example.com/gpu*",))), ["mig-1g.5gb"])
    assert made.left == ()
    assert [case.policy.name for case in made.cases] == [*BUILT_IN, "mig-1g.5gb"]
    assert compiled(Configuration(policies=book(warn="mps"))).cases[0].policy.name == "mps"


@pytest.mark.parametrize("policy", ["Team", "a_b", "-a", "a.", "a..b", "ä", "a.others", "a.warns", "a-unlabelled"])
def test_a_name_that_no_object_can_have_is_replaced(policy: str) -> None:
    assert re.fullmatch("gpuwarden-[0-9a-f]{16}", object_name(policy))


def test_other_names_stay() -> None:
    assert object_name("mig-1g.5gb") == "gpuwarden-mig-1g.5gb"


def test_other_pods_are_denied_only_where_that_is_asked_for() -> None:
    assert kinds(compiled(Configuration()).objects, "gpuwarden-mps.others") == []
    made = compiled(Configuration(), deny_others=True).objects
    assert kinds(made, "gpuwarden-mps.others") == [POLICY, BINDING]
    assert kinds(made, "gpuwarden-any.others") == []
    [others] = [each for each in made if each["kind"] == POLICY and each["metadata"]["name"] == "gpuwarden-mps.others"]
    conditions = {one["name"]: one["expression"] for one in others["spec"]["matchConditions"]}
    assert "'kubernetes.io/config.mirror' in object.metadata.annotations" in conditions["not-a-mirror-pod"]


def test_without_webhooks_namespaces_that_are_warned_or_audited_are_decided_too() -> None:
    made = compiled(Configuration(), deny_others=True).objects
    bindings = [each for each in made if "Binding" in each["kind"]]
    assert bindings
    assert "gpuwarden.io/warn" not in str(bindings)
    assert "gpuwarden.io/audit" not in str(bindings)


WEBHOOK: Json = {
    "name": "mutate.gpuwarden.io",
    "namespaceSelector": {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["x"]}]
    },
    "matchConditions": [{"name": "requests-gpus", "expression": "true"}],
}
LABELS = ("enforce", "warn", "audit")


def selects(webhook: Json, labels: Json) -> bool:
    """Whether a webhook's namespaceSelector selects a namespace."""

    def holds(expression: Json) -> bool:
        value = labels.get(expression["key"].removeprefix("gpuwarden.io/"))
        match expression["operator"]:
            case "In":
                return value in expression["values"]
            case "NotIn":
                return value not in expression["values"]
            case "Exists":
                return value is not None
            case _:
                return value is None

    return all(map(holds, webhook["namespaceSelector"]["matchExpressions"]))


@pytest.mark.parametrize("default", ["any", "mps", "no-such"])
@pytest.mark.parametrize("enforce", [None, "mps", "any", "mig-1g.5gb", "typo"])
@pytest.mark.parametrize("warn", [None, "mps"])
@pytest.mark.parametrize("audit", [None, "mps"])
def test_each_namespace_is_selected_by_one_of_the_webhooks(
    default: str, enforce: str | None, warn: str | None, audit: str | None
) -> None:
    made = compiled(Configuration(policies=book(enforce=default)))
    webhooks = beside({"kind": "x", "webhooks": [WEBHOOK, {"name": "guard.gpuwarden.io"}]}, made)["webhooks"]
    assert webhooks[-1] == {"name": "guard.gpuwarden.io"}
    assert len({webhook["name"] for webhook in webhooks}) == len(webhooks)
    named: Any = {key: value for key, value in zip(LABELS, (enforce, warn, audit), strict=True) if value}
    [selected] = [webhook for webhook in webhooks[:-1] if selects(webhook, named)]
    compiled_here = (enforce or default) in BUILT_IN and warn is audit is None
    conditions = [condition["name"] for condition in selected["matchConditions"]]
    assert conditions == ["requests-gpus", *(["not-the-common-case"] if compiled_here else [])]


def test_webhooks_stay_as_they_are_where_nothing_is_compiled() -> None:
    configuration = {"webhooks": [WEBHOOK]}
    assert beside(configuration, compiled(Configuration(mode=Mode.AUDIT))) == configuration
    assert beside({}, compiled(Configuration())) == {"webhooks": []}


@cache
def quick(policy: str, setting: str) -> Any:
    """What tells the validating policy which pods to look at, compiled."""
    return cel.NewEnv(variables={"object": cel.Type.DYN}).compile(may_be_denied(case_of(policy, setting)))


@given(st.integers(), st.sampled_from(sorted(POLICIES)), st.sampled_from(sorted(SETTINGS)))
def test_every_pod_that_is_denied_or_not_rewritten_is_looked_at(seed: int, policy: str, setting: str) -> None:
    random = Random(seed)  # noqa: S311 - test data
    case = case_of(policy, setting)
    pods = [pod for pod in (defaulted(a_random_pod(random)) for _ in range(10)) if is_common(view(pod), case)]
    for pod in pods:
        decision = decide(view(pod), case.policy, SETTINGS[setting])
        looked_at = quick(policy, setting).eval(data={"object": pod}).value()
        assert looked_at or not (decision.denials or decision.edits)


WARNING = sorted(policy for policy in POLICIES if case_of(policy).warns)


@cache
def quick_to_warn(policy: str, setting: str) -> Any:
    """What tells the policy that warns which pods to look at, compiled."""
    return cel.NewEnv(variables={"object": cel.Type.DYN}).compile(may_be_warned(case_of(policy, setting)))


@given(st.integers(), st.sampled_from(WARNING), st.sampled_from(sorted(SETTINGS)))
def test_every_pod_that_is_warned_of_is_looked_at(seed: int, policy: str, setting: str) -> None:
    random = Random(seed)  # noqa: S311 - test data
    case = case_of(policy, setting)
    if not case.warns:
        return
    pods = [pod for pod in (defaulted(a_random_pod(random)) for _ in range(10)) if is_common(view(pod), case)]
    for pod in pods:
        decision = decide(view(pod), case.policy, SETTINGS[setting])
        looked_at = quick_to_warn(policy, setting).eval(data={"object": pod}).value()
        # A pod that is to be rewritten is looked at when it is.
        assert looked_at or decision.denials or decision.edits or not decision.warnings


def test_a_policy_that_warns_is_bound_to_warn_and_denies_nothing() -> None:
    made = compiled(Configuration(), ["mig-1g.5gb"]).objects
    assert kinds(made, "gpuwarden-mps.warns") == kinds(made, "gpuwarden-mig-1g.5gb.warns") == [POLICY, BINDING]
    assert kinds(made, "gpuwarden-shared.warns") == []
    actions = {
        each["spec"]["policyName"]: each["spec"]["validationActions"] for each in made if each["kind"] == BINDING
    }
    assert actions["gpuwarden-mps"] == ["Deny"]
    assert {name for name, action in actions.items() if action == ["Warn"]} == {
        "gpuwarden-mps.warns",
        "gpuwarden-mig-1g.5gb.warns",
    }


@pytest.mark.parametrize(
    ("policy", "resource", "count", "looked_at"),
    [
        ("shared", SHARED, "1", False),
        ("shared", SHARED, "2", True),
        ("shared", GPU, "1", True),
        ("exclusive", GPU, "8", False),
        ("several", MIG, "4", False),
        ("several", MIG, "5", True),
        ("adding", SHARED, "1", True),
    ],
)
def test_a_pod_that_is_as_its_policy_has_it_is_not_looked_at(
    policy: str,
    resource: str,
    count: str,
    looked_at: bool,  # noqa: FBT001
) -> None:
    pod = defaulted(a_pod(gpu(count, resource)))
    assert quick(policy, "renamed").eval(data={"object": pod}).value() is looked_at
