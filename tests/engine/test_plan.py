"""Plans: what is remembered of pods that ask alike is what would be decided for each anew."""

from typing import Any
from unittest.mock import patch as replaced

import pytest
from hypothesis import given

from tests.builders import GPU, SHARED, Json, a_container, a_pod, a_policy, affinity, expression, gpu, spec_of, view
from tests.engine.strategies import plugins, pods, policies
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine import decision, plan
from webhook.engine.decision import Decision, decide
from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.nodes import NOTHING_SAID, NodeConstraints, constraints
from webhook.engine.plan import plan_for
from webhook.engine.policy import Policy
from webhook.engine.requests import read
from webhook.engine.spelling import LABELS_OF_FORMS, DevicePlugin, spell

PLUGIN = DevicePlugin()


def decided_anew(pod: Json, policy: Policy, plugin: DevicePlugin) -> Decision:
    """The decision where nothing is remembered, nothing of the pod's selectors is passed over and every rule is asked."""

    def every_time(*args: object, **kwargs: object) -> object:
        made = plan_for(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they come
        return plan.Plan(made.choices, made.respelling, quiet=False)

    with (
        replaced.object(decision, "constraints", lambda spec, _: NodeConstraints(spec)),
        replaced.object(decision, "plan_for", every_time),
    ):
        return decide(view(pod), policy, plugin)


@PROPERTY
@given(pods, policies, plugins)
def test_a_remembered_plan_decides_as_if_nothing_were_remembered(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    assert decide(view(pod), policy, plugin) == decided_anew(pod, policy, plugin)


ELSEWHERE = {"kubernetes.io/arch": "amd64"}
SAYS_NOTHING = [
    pytest.param({}, id="no selectors"),
    pytest.param({"nodeSelector": ELSEWHERE}, id="another label"),
    pytest.param({"affinity": affinity([("zone", "In", "a")], [("zone", "NotIn", "b")])}, id="other labels' terms"),
    pytest.param({"affinity": affinity([("zone", "In", "a")], [])}, id="one term of several is empty"),
]
SAYS_SOMETHING = [
    pytest.param({"nodeSelector": {**ELSEWHERE, "nvidia.com/gpu.product": "A100"}}, id="a product"),
    pytest.param({"nodeSelector": {"cloud.google.com/gke-accelerator": "x"}}, id="a label of GKE"),
    pytest.param({"affinity": affinity([("zone", "In", "a")], [("nvidia.com/gpu.count", "Exists")])}, id="a term"),
    pytest.param({"affinity": affinity([])}, id="no node at all"),
]


@pytest.mark.parametrize("fields", SAYS_NOTHING)
def test_a_pod_that_says_nothing_of_the_nodes_of_forms_is_like_one_without_selectors(fields: Json) -> None:
    assert constraints(spec_of(a_pod(**fields)), LABELS_OF_FORMS) is NOTHING_SAID


@pytest.mark.parametrize("fields", SAYS_SOMETHING)
def test_a_pod_that_says_anything_of_them_is_read_whole(fields: Json) -> None:
    assert constraints(spec_of(a_pod(**fields)), LABELS_OF_FORMS) is not NOTHING_SAID


def test_pods_that_select_the_same_labels_of_forms_share_what_they_say() -> None:
    strategy = {"nvidia.com/gpu.sharing-strategy": "mps"}
    one = constraints(spec_of(a_pod(nodeSelector={**ELSEWHERE, **strategy})), LABELS_OF_FORMS)
    other = constraints(spec_of(a_pod(nodeSelector=strategy)), LABELS_OF_FORMS)
    assert one is other
    assert one.shared
    assert one.selector == strategy


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"nodeSelector": {f"nvidia.com/{i}": "x" for i in range(5)}}, id="many labels"),
        pytest.param({"nodeSelector": {f"nvidia.com/{i}": "x" * 300 for i in range(4)}}, id="long values"),
        pytest.param({"nodeSelector": {f"nvidia.com/{i}{'x' * 300}": "x" for i in range(4)}}, id="long keys"),
        pytest.param({"affinity": affinity(*[[("nvidia.com/a", "Exists")]] * 13)}, id="many terms"),
        pytest.param({"affinity": affinity([("nvidia.com/a", "Exists")] * 13)}, id="many requirements"),
        pytest.param({"affinity": affinity([("nvidia.com/a", "In", *map(str, range(47)))])}, id="many values"),
        pytest.param({"affinity": affinity([("nvidia.com/a", "In", "x" * 1025)])}, id="a long value in a term"),
        pytest.param({"affinity": affinity([("nvidia.com/a", "x" * 300)] * 4)}, id="long operators"),
    ],
)
def test_what_few_pods_say_alike_is_not_remembered(fields: Json) -> None:
    assert not constraints(spec_of(a_pod(**fields)), LABELS_OF_FORMS).shared


@pytest.mark.parametrize("plugin", [DevicePlugin(), DevicePlugin(rename_by_default=False)])
@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("sharing", Sharing)
@pytest.mark.parametrize("partition", [None, "1g.5gb"])
def test_every_label_of_a_form_begins_as_labels_of_forms_do(
    partition: str | None, sharing: Sharing, platform: Platform, plugin: DevicePlugin
) -> None:
    if platform is Platform.GKE and sharing is Sharing.ANY:
        return  # a form that no policy names
    spelling = spell(Form(partition, sharing, platform, 2 if sharing is not Sharing.NONE else None), plugin)

    assert all(need.key.startswith(LABELS_OF_FORMS) for need in spelling.needs + spelling.implies)


def the_plan(*containers: Json, **spec: Any) -> plan.Plan:
    read_spec = spec_of(a_pod(*containers, **spec))
    nodes = constraints(read_spec, LABELS_OF_FORMS)
    return plan_for(read(read_spec), a_policy("shared"), PLUGIN, nodes, host_ipc=False)


def test_pods_that_ask_alike_share_a_plan_whatever_else_they_are() -> None:
    one = the_plan(gpu(1, name="a"))

    assert the_plan(gpu("1", name="b"), gpu("1000m"), nodeSelector=ELSEWHERE) is one
    assert the_plan(gpu(2)) is not one
    assert the_plan(a_container(requests={GPU: 1})) is not one


def test_pods_share_a_plan_where_they_select_alike() -> None:
    selecting = {"nvidia.com/gpu.product": "A100"}
    terms = affinity([("nvidia.com/gpu.count", "Exists")])

    assert the_plan(gpu(), nodeSelector=selecting) is the_plan(gpu(), nodeSelector=selecting)
    assert the_plan(gpu(), nodeSelector=selecting) is not the_plan(gpu(), nodeSelector={"nvidia.com/gpu.product": "L4"})
    assert the_plan(gpu(), affinity=terms) is the_plan(gpu(), affinity=terms)
    assert the_plan(gpu(), affinity=terms, nodeSelector=ELSEWHERE) is not the_plan(gpu(), affinity=terms)


@pytest.mark.parametrize(
    "terms",
    [
        [{}],
        [{"matchExpressions": []}, {"matchExpressions": [expression("nvidia.com/gpu.count", "Gt", "1")]}],
        [
            {"matchFields": [{"key": "metadata.name"}]},
            {"matchExpressions": [expression("nvidia.com/gpu.count", "Exists")]},
        ],
        [{"matchExpressions": [expression("nvidia.com/gpu.count", "In", "1", "2"), expression("zone", "In", "a")]}],
    ],
)
def test_what_is_remembered_of_terms_says_what_they_say(terms: list[Json]) -> None:
    node_affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = spec_of(a_pod(nodeSelector=ELSEWHERE, affinity={"nodeAffinity": node_affinity}))
    read_whole, remembered = NodeConstraints(spec), constraints(spec, LABELS_OF_FORMS)

    assert remembered.shared
    for key in ("nvidia.com/gpu.count", "zone"):
        assert remembered.mentions(key) == read_whole.mentions(key)
        for value in (None, "0", "1", "2", "3", "a"):
            assert remembered.permits(key, value) == read_whole.permits(key, value)
    assert remembered.nowhere == read_whole.nowhere


def test_a_pod_that_asks_in_many_ways_is_not_remembered() -> None:
    """Whoever may create pods could fill the memory otherwise."""
    few, many = ([gpu(count) for count in range(1, most)] for most in (5, 6))

    assert the_plan(*few) is the_plan(*few)
    assert the_plan(*many) is not the_plan(*many)


def test_more_resources_than_two_in_a_container_make_no_kind_of_its_own() -> None:
    names = [GPU, SHARED, "nvidia.com/mig-1g.5gb", "nvidia.com/mig-2g.10gb"]
    (three,) = read(spec_of(a_pod(a_container(limits=dict.fromkeys(names[:3], 1)))))
    (four,) = read(spec_of(a_pod(a_container(limits=dict.fromkeys(names, 1)))))

    assert len(four.amounts) == 4
    assert four.kind == three.kind


def test_policies_that_differ_never_share_a_plan_though_they_have_one_name() -> None:
    asks = read(spec_of(a_pod()))
    one, other = a_policy("shared"), a_policy("exclusive")
    plans = [plan_for(asks, policy, PLUGIN, NOTHING_SAID, host_ipc=False) for policy in (one, other)]

    assert hash(one) == hash(other)
    assert [dict(each.respelling.renames) for each in plans] == [{GPU: SHARED}, {}]
