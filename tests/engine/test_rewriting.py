"""What /mutate writes is what /validate admits: node constraints are evaluated again with the edits made."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import (
    EVERY_SETTING,
    GKE_PARTITION,
    GPU,
    GPU_SLICES,
    MIG,
    PRODUCT,
    SHARED,
    SINGLE,
    STRATEGY,
    Json,
    a_pod,
    a_policy,
    affinity,
    applied,
    evaluate,
    gpu,
    messages,
    rewritten,
    rules,
)
from tests.engine.strategies import listed_forms, plugins, terms_of_forms
from webhook.engine.forms import Form
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.rewriting import plain_respelling
from webhook.engine.spelling import DevicePlugin

SLICES = "A100-SXM4-40GB-MIG-1g.5gb"
MPS_CAPABLE = "nvidia.com/mps.capable"
BY_SLICES = affinity([(GPU_SLICES, "In", "1", "2")], [(PRODUCT, "In", SLICES)])
SEVERAL_TERMS = st.lists(terms_of_forms, min_size=2, max_size=3)


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    terms=SEVERAL_TERMS,
    resource=st.sampled_from([GPU, GPU, SHARED, MIG]),
    count=st.sampled_from([1, 1, 2]),
    forms=st.lists(listed_forms(), min_size=1, max_size=3, unique=True),
    mismatch=st.sampled_from(Mismatch),
    plugin=plugins,
)
def test_what_is_written_into_several_terms_is_admitted(  # noqa: PLR0913, PLR0917 - hypothesis gives them by name
    terms: list[Json], resource: str, count: int, forms: list[Form], mismatch: Mismatch, plugin: DevicePlugin
) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pod = a_pod(gpu(count, resource), affinity={"nodeAffinity": required})
    policy = Policy("team", tuple(forms), mismatch=mismatch)
    decision = evaluate(pod, policy, plugin)
    assume(not decision.denials)
    again = evaluate(applied(pod, decision), policy, plugin)

    assert (again.edits, messages(again)) == ((), [finding.message for finding in again.warnings])


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
@pytest.mark.parametrize(
    ("forms", "more"),
    [
        (["exclusive"], {"affinity": affinity([(PRODUCT, "In", "T4")], [("zone", "In", "a")])}),
        (["mps"], {"affinity": affinity([(STRATEGY, "In", "mps")], [("zone", "In", "a")])}),
        (["mps", "exclusive"], {"nodeSelector": {MPS_CAPABLE: "true"}}),
        (["shared"], {"nodeSelector": {MPS_CAPABLE: "true"}}),
        (["gke-mig-1g.5gb"], {"affinity": affinity([(GKE_PARTITION, "Exists")], [("zone", "In", "a")])}),
    ],
)
def test_terms_that_leave_the_form_its_nodes_pass(forms: list[str], more: Json, plugin: DevicePlugin) -> None:
    rewritten(a_pod(**more), a_policy(*forms), plugin)


def test_a_request_that_leaves_the_form_to_the_policy_gets_another_of_its_forms() -> None:
    """With the labels of MPS, the first term would be impossible, and the second select a slice."""
    decision = evaluate(a_pod(affinity=BY_SLICES), a_policy("mps", "mig-1g.5gb"), SINGLE)

    assert str(decision.choices[GPU].form) == "mig-1g.5gb"
    rewritten(a_pod(affinity=BY_SLICES), a_policy("mps", "mig-1g.5gb"), SINGLE)


@pytest.mark.parametrize("forms", [["mps"], ["mps", "exclusive"], ["time-slicing", "shared"]])
def test_where_no_form_has_nodes_the_pod_is_denied_at_once_and_the_fix_admits_it(forms: list[str]) -> None:
    policy = a_policy(*forms)
    [finding] = evaluate(a_pod(affinity=BY_SLICES), policy, SINGLE).findings

    assert (finding.rule.id, finding.path) == ("selector-conflict", "spec.affinity.nodeAffinity")
    assert finding.message == (
        f'container "train": form "{forms[0]}" is not on the nodes that the pod selects by {GPU_SLICES} and {PRODUCT}; nodes '
        f"with another form have what it selects; remove {GPU_SLICES} and {PRODUCT} from the pod, or request another form"
    )
    rewritten(a_pod(), policy, SINGLE)


def test_the_path_is_the_nodeselectors_where_that_has_the_label() -> None:
    more = {"nodeSelector": {"zone": "a", GPU_SLICES: "1"}, "affinity": affinity([(PRODUCT, "In", SLICES)])}
    findings = evaluate(a_pod(gpu(1, MIG), **more), a_policy("mig-1g.5gb", mismatch=Mismatch.REWRITE), SINGLE).findings

    assert {finding.path for finding in findings} <= {f"spec.nodeSelector[{GPU_SLICES}]"}


class TestThePolicysOwnLabels:
    """A label of the policy's own is added only where the pod keeps its form with it."""

    @pytest.mark.parametrize(
        ("forms", "label", "added"),
        [
            (["exclusive"], {MPS_CAPABLE: "false"}, True),
            (["exclusive"], {MPS_CAPABLE: "true"}, False),
            (["exclusive"], {"nvidia.com/gpu.replicas": "1"}, True),
            (["exclusive"], {"nvidia.com/gpu.replicas": "4"}, False),
            (["shared"], {"nvidia.com/gpu.replicas": "4"}, True),
            (["mig-1g.5gb"], {"nvidia.com/mig.config": "all-1g.5gb"}, True),
            (["mig-1g.5gb"], {"nvidia.com/mig.config": "all-2g.10gb"}, False),
            (["exclusive"], {"zone": "a"}, True),
        ],
    )
    def test_it_keeps_the_form(self, forms: list[str], label: dict[str, str], *, added: bool) -> None:
        spec = rewritten(a_pod(), a_policy(*forms, node_selector=label))["spec"]

        assert (label.items() <= (spec.get("nodeSelector") or {}).items()) is added

    @pytest.mark.parametrize(("count", "added"), [(1, True), (2, False)])
    def test_where_every_form_is_permitted_several_gpus_do_not_become_slots(self, count: int, *, added: bool) -> None:
        policy = a_policy(permits_any=True, node_selector={STRATEGY: "mps"})
        spec = rewritten(a_pod(gpu(count)), policy)["spec"]

        assert (STRATEGY in (spec.get("nodeSelector") or {})) is added

    def test_another_label_that_leaves_only_a_term_of_another_form_is_not_added(self) -> None:
        """The zone excludes the second term, and the first selects a slice."""
        terms = affinity([(PRODUCT, "In", SLICES)], [("zone", "DoesNotExist")])
        policy = a_policy("gke-exclusive", node_selector={"zone": "a"})

        assert "zone" not in (rewritten(a_pod(affinity=terms), policy)["spec"].get("nodeSelector") or {})


def test_a_pod_that_other_labels_leave_no_node_is_not_said_to_contradict_a_gpu_label() -> None:
    terms = affinity([("zone", "In", "b")], [("zone", "In", "b"), (PRODUCT, "In", "A"), (PRODUCT, "In", "B")])

    assert rules(evaluate(a_pod(nodeSelector={"zone": "a"}, affinity=terms), "exclusive")) == []


def test_a_plain_request_is_respelled_without_a_pod_as_in_a_plain_pod() -> None:
    prepared = plain_respelling(a_policy("shared"), DevicePlugin())
    assert prepared.renames == {GPU: SHARED}
    [container] = rewritten(a_pod(gpu()), a_policy("shared"), DevicePlugin())["spec"]["containers"]
    assert container["resources"]["limits"] == {SHARED: 1}
