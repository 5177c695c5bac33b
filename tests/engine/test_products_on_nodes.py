"""Pods that select several products, on the nodes of a small cluster: they get what they selected, or are denied."""

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import Json, a_pod, affinity, applied, evaluate
from tests.engine.cluster import PRODUCTS, chosen, nodes
from tests.engine.strategies import listed_forms
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine.forms import Platform
from webhook.engine.policy import Policy
from webhook.engine.products import PRODUCT, read_product
from webhook.engine.spelling import DevicePlugin, MigStrategy

_SUFFIXES = ("", "", "-MIG-1g.5gb", "-MIG-2g.10gb", "-MIG-3g.20gb", "-SHARED", "-MIG-1g.5gb-SHARED")
_VALUES = st.lists(
    st.builds(str.__add__, st.sampled_from(PRODUCTS), st.sampled_from(_SUFFIXES)), min_size=1, max_size=4, unique=True
)
_PODS = st.builds(
    lambda *alternatives: a_pod(affinity=affinity(*([(PRODUCT, "In", *values)] for values in alternatives))),
    _VALUES,
    _VALUES,
) | st.builds(lambda values: a_pod(affinity=affinity([(PRODUCT, "In", *values)])), _VALUES)
_POLICIES = st.builds(
    lambda forms: Policy("team", tuple(forms)),
    st.lists(listed_forms((Platform.DEVICE_PLUGIN,)), min_size=1, max_size=3, unique=True),
)
_PLUGINS = st.builds(
    lambda renames, products: DevicePlugin(renames, MigStrategy.SINGLE, products),
    st.booleans(),
    st.sampled_from([(), PRODUCTS, PRODUCTS[:1]]),
)


def _selected(pod: Json, label: str | None, renamed: bool) -> bool:  # noqa: FBT001 - a setting of the node
    """Whether the pod's author selected a node with this product: by its label, or by its model whatever its form."""
    if label is None:
        return False
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    values = {v for term in required["nodeSelectorTerms"] for e in term["matchExpressions"] for v in e["values"]}
    written = {value.removesuffix("-SHARED") for value in values} if renamed else values
    return label in written or read_product(label).model in values


@PROPERTY
@given(_PODS, _POLICIES, _PLUGINS)
def test_a_pod_gets_a_permitted_form_on_a_node_that_it_selected(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    decision = evaluate(pod, policy, plugin)
    if decision.denials:
        return
    spec = applied(pod, decision)["spec"]
    [resource] = spec["containers"][0]["resources"]["limits"]
    reached = [
        (node.labels.get(PRODUCT), node.offers[resource])
        for node in nodes(Platform.DEVICE_PLUGIN, plugin)
        if resource in node.offers and chosen(spec, node.labels)
    ]

    assert all(_selected(pod, label, plugin.rename_by_default) for label, _ in reached)
    assert all(any(form.meet(listed) for listed in policy.forms) for _, form in reached)
    assert reached
