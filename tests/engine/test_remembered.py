"""What is remembered of pods that name the same resources is what would be found for each alone."""

from typing import Any
from unittest.mock import patch as replaced

import pytest
from hypothesis import given

from tests.builders import GPU, SHARED, Json, a_container, a_pod, a_policy, affinity, expression, gpu, spec_of, view
from tests.engine.strategies import plugins, pods, policies
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine import decision
from webhook.engine.decision import Decision, decide
from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.node_constraints import NOTHING_SAID, NodeConstraints, constraints
from webhook.engine.policy import Policy
from webhook.engine.requests import read
from webhook.engine.rewriting import Respelling, respelling
from webhook.engine.spelling import LABELS_OF_FORMS, DevicePlugin, spell

PLUGIN = DevicePlugin()


def decided_anew(pod: Json, policy: Policy, plugin: DevicePlugin) -> Decision:
    """The decision where nothing is remembered, and nothing of the pod's selectors is passed over."""
    with replaced.object(decision, "constraints", lambda spec, _: NodeConstraints(spec)):
        return decide(view(pod), policy, plugin)


@PROPERTY
@given(pods, policies, plugins)
def test_what_is_remembered_decides_as_if_nothing_were(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
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


def spelled(*containers: Json, **spec: Any) -> Respelling:
    read_spec = spec_of(a_pod(*containers, **spec))
    resources = [gpu_container.amounts[0].resource for gpu_container in read(read_spec)]
    return respelling(resources, a_policy("shared"), constraints(read_spec, LABELS_OF_FORMS), PLUGIN)


def test_pods_that_name_the_same_resources_share_a_respelling_whatever_else_they_are() -> None:
    one = spelled(gpu(1, name="a"))

    assert spelled(gpu("1", name="b"), gpu(2), nodeSelector=ELSEWHERE) is one
    assert spelled(a_container(limits={SHARED: 1})) is not one


def test_pods_share_a_respelling_where_they_select_alike() -> None:
    selecting = {"nvidia.com/gpu.product": "A100"}
    terms = affinity([("nvidia.com/gpu.count", "Exists")])

    assert spelled(gpu(), nodeSelector=selecting) is spelled(gpu(), nodeSelector=selecting)
    assert spelled(gpu(), nodeSelector=selecting) is not spelled(gpu(), nodeSelector={"nvidia.com/gpu.product": "L4"})
    assert spelled(gpu(), affinity=terms) is spelled(gpu(), affinity=terms)
    assert spelled(gpu(), affinity=terms, nodeSelector=ELSEWHERE) is not spelled(gpu(), affinity=terms)


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


def test_a_pod_that_names_many_resources_is_not_remembered() -> None:
    """Whoever may create pods could fill the memory otherwise."""
    profiles = ("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "7g.40gb")
    few, many = ([a_container(limits={f"nvidia.com/mig-{p}": 1}) for p in profiles[:most]] for most in (4, 5))

    assert spelled(*few) is spelled(*few)
    assert spelled(*many) is not spelled(*many)


def test_policies_of_one_name_that_differ_never_share_a_respelling() -> None:
    resources = [gpu_container.amounts[0].resource for gpu_container in read(spec_of(a_pod()))]
    one, other = a_policy("shared"), a_policy("exclusive")
    made = [respelling(resources, policy, NOTHING_SAID, PLUGIN) for policy in (one, other)]

    assert one.name == other.name
    assert [dict(each.renames) for each in made] == [{GPU: SHARED}, {}]
