"""The rules of the node that a pod needs: selectors that contradict a form, or say only half of it."""

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE,
    SINGLE_BY_PRODUCT,
    STRATEGY,
    Json,
    a_form,
    a_pod,
    a_policy,
    affinity,
    evaluate,
    gpu,
    messages,
    rules,
    selecting,
)
from webhook.engine.findings import Severity
from webhook.engine.rules.placement import incompatible
from webhook.engine.spelling import DevicePlugin

CAPABLE, STRATEGY_OF_MIG = "nvidia.com/mig.capable", "nvidia.com/mig.strategy"
FAMILY, ACCELERATOR = "nvidia.com/gpu.family", "cloud.google.com/gke-accelerator"


class TestSelectorConflict:
    """The form needs, or goes with, a node label that the pod excludes."""

    PASSES = (
        pytest.param(a_pod(nodeSelector={STRATEGY: "mps"}), "mps", id="the same selector"),
        pytest.param(a_pod(affinity=affinity([(STRATEGY, "In", "mps", "other")])), "mps", id="the same among others"),
        pytest.param(a_pod(affinity=affinity([(STRATEGY, "Exists")])), "mps", id="some strategy"),
        pytest.param(
            a_pod(affinity=affinity([(STRATEGY, "NotIn", "time-slicing")])), "mps", id="not the other strategy"
        ),
        pytest.param(
            a_pod(affinity=affinity([(STRATEGY, "In", "none")], [("zone", "In", "a")])),
            "mps",
            id="one alternative of two",
        ),
        pytest.param(a_pod(nodeSelector={"zone": "a"}), "mps", id="another label"),
        pytest.param(a_pod(nodeSelector={"nvidia.com/gpu.product": "A100"}), "mps", id="a product"),
        pytest.param(a_pod(nodeSelector={STRATEGY: "mps"}), "any", id="where every form is permitted"),
        pytest.param(
            a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "none"}), "any", id="a contradiction where none matters"
        ),
        pytest.param(
            a_pod(affinity=affinity([(GKE_CLIENTS, "Gt", "3")])), "gke-mps-48", id="a bound that the count is in"
        ),
        pytest.param(a_pod(affinity=affinity([], [])), "mps", id="a pod that can run nowhere"),
    )

    @pytest.mark.parametrize(("pod", "policy"), PASSES)
    def test_a_pod_that_leaves_the_form_a_node_passes(self, pod: Json, policy: str) -> None:
        assert evaluate(pod, policy).denials == ()

    REFUSED = (
        pytest.param(
            a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "none"}), "shared", STRATEGY, id="shared, on whole ones"
        ),
        pytest.param(
            a_pod(affinity=affinity([(STRATEGY, "In", "none", "mps")])),
            "time-slicing",
            STRATEGY,
            id="the other strategy",
        ),
        pytest.param(
            a_pod(affinity=affinity([(STRATEGY, "In", "none", "x")], [(STRATEGY, "In", "none", "mps")])),
            "time-slicing",
            STRATEGY,
            id="neither alternative",
        ),
        pytest.param(
            a_pod(affinity=affinity([(STRATEGY, "Exists")])), "gke-exclusive", STRATEGY, id="a label that GKE has not"
        ),
        pytest.param(
            a_pod(affinity=affinity([(GKE_PARTITION, "Exists")])),
            "gke-mps-48",
            GKE_PARTITION,
            id="a partition, for whole ones",
        ),
        pytest.param(
            a_pod(affinity=affinity([(GKE_PARTITION, "Exists")])),
            "exclusive",
            GKE_PARTITION,
            id="a label that only GKE has",
        ),
        pytest.param(
            a_pod(gpu(1, MIG), affinity=affinity([(GKE_PARTITION, "In", "2g.10gb")])),
            "mig-1g.5gb",
            GKE_PARTITION,
            id="another partition of GKE",
        ),
        pytest.param(
            a_pod(affinity=affinity([(GKE_CLIENTS, "Lt", "9")]), nodeSelector={GKE_SHARING: "mps"}),
            "gke-mps-48",
            GKE_CLIENTS,
            id="a bound that the count is not in",
        ),
        pytest.param(
            a_pod(gpu(1, MIG), affinity=affinity([(MIG_STRATEGY, "In", "x")])),
            "mig-1g.5gb-shared",
            MIG_STRATEGY,
            id="slices of a strategy that nobody knows",
        ),
    )

    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    @pytest.mark.parametrize(("pod", "policy", "key"), REFUSED)
    def test_a_pod_that_leaves_it_none_is_refused(self, pod: Json, policy: str, key: str, plugin: DevicePlugin) -> None:
        decision = evaluate(pod, policy, plugin)
        if policy == "mig-1g.5gb-shared" and plugin is RENAMED:
            assert rules(decision) == ["form-not-permitted"]
            return

        assert rules(decision)[0] == "selector-conflict"
        assert f"remove {key} from the pod" in messages(decision)[0]
        assert decision.edits == ()

    def test_alternatives_of_which_none_leaves_the_form_all_that_it_needs(self) -> None:
        """Each label by itself could be had, but never both on one node: the pod would be pending for ever."""
        pod = a_pod(affinity=affinity([(GKE_SHARING, "In", "mps")], [(STRATEGY, "In", "time-slicing")]))

        assert rules(evaluate(pod, "mps")) == ["selector-conflict"]
        assert evaluate(pod, "time-slicing").denials == ()

    def test_the_message_of_a_selector(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "none"}), "time-slicing").findings

        assert finding.severity is Severity.DENY
        assert finding.path == "spec.nodeSelector[nvidia.com/gpu.sharing-strategy]"
        assert finding.message == (
            'container "train": form "time-slicing" is on nodes with nvidia.com/gpu.sharing-strategy: time-slicing, and the '
            "pod selects nvidia.com/gpu.sharing-strategy: none; no node matches both; remove nvidia.com/gpu.sharing-strategy "
            "from the pod, or request another form"
        )

    def test_the_message_of_an_affinity(self) -> None:
        pod = a_pod(affinity=affinity([(GKE_PARTITION, "Exists")]))
        [finding] = evaluate(pod, "exclusive").findings

        assert finding.path == "spec.affinity.nodeAffinity"
        assert finding.message == (
            'container "train": form "exclusive" is on nodes with cloud.google.com/gke-gpu-partition-size DoesNotExist, and '
            "the pod excludes that in its node affinity on cloud.google.com/gke-gpu-partition-size; no node matches both; remove "
            "cloud.google.com/gke-gpu-partition-size from the pod, or request another form"
        )

    def test_a_selector_that_is_right_is_not_blamed_for_the_affinity(self) -> None:
        pod = a_pod(nodeSelector={GKE_SHARING: "mps"}, affinity=affinity([(GKE_SHARING, "NotIn", "mps")]))
        [finding, *_] = evaluate(pod, "gke-mps-48").findings

        assert finding.path == "spec.affinity.nodeAffinity"
        assert "excludes that in its node affinity" in finding.message

    def test_the_first_container_in_whose_way_it_stands_is_named(self) -> None:
        pod = a_pod(
            gpu(name="a"),
            gpu(1, MIG, name="b"),
            nodeSelector={MIG_STRATEGY: "x"},
            affinity=affinity([(MIG_STRATEGY, "In", "mps")]),
        )
        decision = evaluate(pod, a_policy("exclusive", "mig-1g.5gb"))

        assert messages(decision)[0].startswith('container "b"')

    def test_one_conflict_a_pod_is_told(self) -> None:
        pod = a_pod(nodeSelector={GKE_PARTITION: "x", GKE_CLIENTS: "4"}, affinity=affinity([(STRATEGY, "Exists")]))

        assert rules(evaluate(pod, a_policy("gke-exclusive", "exclusive"))).count("selector-conflict") <= 1


class TestUnknownStrategy:
    """A sharing strategy that no node has names no form, and the pod stays Pending: a warning under every policy."""

    @pytest.mark.parametrize("policy", ["exclusive", "any"])
    @pytest.mark.parametrize(
        "more",
        [
            {"nodeSelector": {STRATEGY: "none"}},
            {"nodeSelector": {"zone": "timeslicing"}},
            {"affinity": affinity([(STRATEGY, "In", "none", "off")])},
            {"affinity": affinity([(STRATEGY, "NotIn", "mps", "time-slicing")])},
            {"affinity": affinity([(STRATEGY, "In", "timeslicing")], [("zone", "In", "a")])},
        ],
    )
    def test_what_nodes_can_have_passes(self, more: Json, policy: str) -> None:
        assert rules(evaluate(a_pod(**more), policy)) == []

    @pytest.mark.parametrize(
        ("pod", "policy", "where", "known"),
        [
            (
                a_pod(nodeSelector={STRATEGY: "timeslicing"}),
                "exclusive",
                "spec.nodeSelector",
                "none, time-slicing or mps",
            ),
            (a_pod(nodeSelector={STRATEGY: "MPS"}), "any", "spec.nodeSelector", "none, time-slicing or mps"),
            (
                a_pod(gpu(1, MIG), nodeSelector={MIG_STRATEGY: "timeslicing"}),
                "mig-1g.5gb",
                "spec.nodeSelector",
                "none, time-slicing or mps",
            ),
            (a_pod(nodeSelector={GKE_SHARING: "timesharing"}), "any", "spec.nodeSelector", "time-sharing or mps"),
            (
                a_pod(affinity=affinity([(STRATEGY, "In", "off", "no")])),
                "exclusive",
                "spec.affinity.nodeAffinity",
                "none, time-slicing or mps",
            ),
        ],
    )
    def test_a_value_that_no_node_has_is_a_warning(self, pod: Json, policy: str, where: str, known: str) -> None:
        decision = evaluate(pod, policy)

        assert [finding.rule.id for finding in decision.warnings if known in finding.message] == ["selector-conflict"]
        assert decision.warnings[0].path.startswith(where)
        assert decision.denials == ()

    @pytest.mark.parametrize("resources", [(GPU, SHARED), (SHARED, GPU)])
    def test_it_is_one_beside_a_denied_request_in_either_order(self, resources: tuple[str, str]) -> None:
        containers = [gpu(1, resource, name=resource[-3:]) for resource in resources]
        decision = evaluate(a_pod(*containers, nodeSelector={MIG_STRATEGY: "other"}), "exclusive")

        assert rules(decision) == ["form-not-permitted", "selector-conflict"]
        assert 'container "gpu": the pod selects' in decision.warnings[0].message


class TestContradictions:
    """nodeSelector and node affinity that leave no value of a label of GPU nodes: the pod is Pending forever."""

    EVERY_POLICY = ("any", "exclusive", "shared", "mig-1g.5gb", "gke-exclusive")

    @pytest.mark.parametrize("policy", EVERY_POLICY)
    @pytest.mark.parametrize(
        "pod",
        [
            a_pod(nodeSelector={"zone": "a"}, affinity=affinity([("zone", "In", "b")])),
            a_pod(nodeSelector={"nvidia.com/gpu.family": "ampere"}, affinity=affinity([("zone", "In", "b")])),
            a_pod(
                nodeSelector={"nvidia.com/x": "a"},
                affinity=affinity([("nvidia.com/x", "In", "b")], [("zone", "Exists")]),
            ),
            a_pod(nodeSelector={"nvidia.com/x": "a"}, affinity=affinity([("nvidia.com/x", "In", "a", "b")])),
            a_pod(affinity=affinity([("nvidia.com/gpu.count", "Gt", "1"), ("nvidia.com/gpu.count", "Lt", "3")])),
            a_pod(gpu(0), nodeSelector={"nvidia.com/x": "a"}, affinity=affinity([("nvidia.com/x", "In", "b")])),
        ],
    )
    def test_what_some_node_can_match_and_what_is_not_about_gpus_passes(self, pod: Json, policy: str) -> None:
        assert "selector-conflict" not in rules(evaluate(pod, policy))

    @pytest.mark.parametrize("plugin", [RENAMED, SINGLE])
    @pytest.mark.parametrize("policy", EVERY_POLICY)
    @pytest.mark.parametrize(
        ("selector", "terms"),
        [
            ({PRODUCT: "NVIDIA-X1"}, [[(PRODUCT, "In", "NVIDIA-X2")]]),
            ({PRODUCT: "NVIDIA-X1"}, [[(PRODUCT, "NotIn", "NVIDIA-X1")]]),
            ({}, [[(PRODUCT, "In", "NVIDIA-X1"), (PRODUCT, "DoesNotExist")]]),
            ({FAMILY: "ampere"}, [[(FAMILY, "In", "hopper")], [(PRODUCT, "In"), ("zone", "In")]]),
            ({}, [[("nvidia.com/gpu.count", "Gt", "2"), ("nvidia.com/gpu.count", "Lt", "3")]]),
            ({ACCELERATOR: "a"}, [[(ACCELERATOR, "In", "b"), ("zone", "In", "a")]]),
        ],
    )
    def test_what_no_node_can_match_is_told_under_every_policy_and_denied_but_under_any(
        self, selector: dict[str, str], terms: list[list[tuple[str, ...]]], policy: str, plugin: DevicePlugin
    ) -> None:
        decision = evaluate(a_pod(nodeSelector=selector, affinity=affinity(*terms)), policy, plugin)

        assert rules(decision) == ["selector-conflict"]
        assert bool(decision.denials) is (policy != "any")

    def test_the_message_names_both(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: "A"}, affinity=affinity([(PRODUCT, "In", "B")]))
        [finding] = evaluate(pod, "exclusive").findings

        assert finding.path == "spec.affinity.nodeAffinity"
        assert finding.message == (
            f'container "train": the pod has nodeSelector {PRODUCT}: A, and its node affinity excludes that; no node matches '
            f"both, so the pod would stay Pending; remove one of the requirements on {PRODUCT}"
        )

    def test_the_message_of_an_affinity_alone(self) -> None:
        [message] = messages(evaluate(selecting((PRODUCT, "In", "A"), (PRODUCT, "In", "B")), "any"))

        assert f"the pod has a node affinity whose requirements on {PRODUCT} exclude each other; no node" in message

    def test_a_label_that_a_rewrite_drops_contradicts_nothing(self) -> None:
        pod = a_pod(gpu(1, MIG), nodeSelector={STRATEGY: "mps"}, affinity=affinity([(STRATEGY, "In", "time-slicing")]))

        assert rules(evaluate(pod, "mig-1g.5gb")) == ["selector-conflict"]
        assert rules(evaluate(pod, "gke-mig-1g.5gb")) == []


class TestMigLabels:
    """What GPU feature discovery says of MIG on a node, against the form and the strategy."""

    @pytest.mark.parametrize(
        ("resource", "form", "plugin", "labels"),
        [
            (GPU, "mig-1g.5gb", SINGLE, {CAPABLE: "true", STRATEGY_OF_MIG: "single"}),
            (GPU, "exclusive", SINGLE, {CAPABLE: "false", STRATEGY_OF_MIG: "mixed"}),
            (GPU, "shared", RENAMED, {CAPABLE: "false", STRATEGY_OF_MIG: "single"}),
            (MIG, "mig-1g.5gb", RENAMED, {CAPABLE: "true", STRATEGY_OF_MIG: "mixed", f"{MIG}.count": "7"}),
            (GPU, "mps", RENAMED, {"nvidia.com/mps.capable": "true"}),
            (GPU, "time-slicing", RENAMED, {"nvidia.com/mps.capable": "false"}),
            (GPU, "gke-mig-1g.5gb", RENAMED, {CAPABLE: "false"}),
        ],
    )
    def test_labels_that_nodes_of_the_form_have_pass(
        self, resource: str, form: str, plugin: DevicePlugin, labels: dict[str, str]
    ) -> None:
        assert rules(evaluate(a_pod(gpu(1, resource), nodeSelector=labels), form, plugin)) == ([])

    @pytest.mark.parametrize(
        ("resource", "form", "plugin", "key", "value"),
        [
            *(
                (resource, "mig-1g.5gb", plugin, key, value)
                for resource in (GPU, MIG)
                for plugin in (SINGLE, SINGLE_BY_PRODUCT)
                for key, value in ((CAPABLE, "false"), (STRATEGY_OF_MIG, "mixed"), (STRATEGY_OF_MIG, "none"))
            ),
            (GPU, "mig-1g.5gb", SINGLE, f"{MIG}.count", "7"),
            (GPU, "mig-1g.5gb", SINGLE, f"{MIG}.memory", "4864"),
            *(
                (resource, form, RENAMED, key, value)
                for resource, form in ((GPU, "mig-1g.5gb"), (MIG, "mig-1g.5gb"), (MIG_SHARED, "mig-1g.5gb-shared"))
                for key, value in ((CAPABLE, "false"), (STRATEGY_OF_MIG, "single"))
            ),
            (GPU, "mps", RENAMED, "nvidia.com/mps.capable", "false"),
        ],
    )
    def test_labels_that_none_has_are_a_conflict(
        self, resource: str, form: str, plugin: DevicePlugin, key: str, value: str
    ) -> None:
        for pod, path in (
            (a_pod(gpu(1, resource), nodeSelector={key: value}), f"spec.nodeSelector[{key}]"),
            (a_pod(gpu(1, resource), affinity=affinity([(key, "In", value)])), "spec.affinity.nodeAffinity"),
        ):
            [finding] = evaluate(pod, form, plugin).findings

            assert (finding.rule.id, finding.path) == ("selector-conflict", path)
            assert f"is on nodes with {key}" in finding.message


class TestFormsApart:
    """Two containers' forms that no one node hands out."""

    TOGETHER = (
        ("exclusive", "exclusive"),
        ("exclusive", "mig-1g.5gb"),
        ("shared", "mig-1g.5gb"),
        ("mig-1g.5gb", "mig-2g.10gb"),
        ("mig-1g.5gb", "mig-2g.10gb-shared"),
        ("shared", "mps"),
        ("shared", "time-slicing"),
        ("gke-mps-4", "gke-mps-4"),
    )
    APART = (
        ("exclusive", "shared"),
        ("exclusive", "mps"),
        ("mps", "time-slicing"),
        ("mig-1g.5gb", "mig-1g.5gb-shared"),
        ("exclusive", "gke-exclusive"),
        ("mig-1g.5gb", "gke-mig-1g.5gb"),
        ("gke-mps-4", "gke-mps-8"),
        ("gke-exclusive", "gke-mig-1g.5gb"),
        ("gke-mig-1g.5gb", "gke-mig-2g.10gb"),
    )

    @pytest.mark.parametrize(("one", "other"), TOGETHER)
    def test_a_node_hands_out_both(self, one: str, other: str) -> None:
        assert not incompatible(a_form(one), a_form(other), RENAMED)
        assert not incompatible(a_form(other), a_form(one), RENAMED)

    @pytest.mark.parametrize(("one", "other"), APART)
    def test_no_node_hands_out_both(self, one: str, other: str) -> None:
        assert incompatible(a_form(one), a_form(other), RENAMED)
        assert incompatible(a_form(other), a_form(one), RENAMED)

    @pytest.mark.parametrize(
        ("one", "other"), [("exclusive", "mig-1g.5gb"), ("shared", "mig-1g.5gb"), ("mig-1g.5gb", "mig-2g.10gb"), *APART]
    )
    def test_gpus_of_a_node_are_cut_alike_under_mig_strategy_single(self, one: str, other: str) -> None:
        assert incompatible(a_form(one), a_form(other), SINGLE)
        assert incompatible(a_form(other), a_form(one), SINGLE)

    def test_a_whole_gpu_and_a_slice_are_never_on_one_node_under_mig_strategy_single(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, MIG, name="b"), nodeSelector={GPU_SLICES: "1"})
        [finding] = evaluate(
            a_pod(gpu(1, SHARED, name="a"), gpu(1, MIG, name="b")), a_policy("shared", "mig-1g.5gb"), SINGLE
        ).findings

        assert evaluate(pod, a_policy("shared", "mig-1g.5gb"), SINGLE).denials == ()
        assert finding.message.startswith(
            'container "b": form "mig-1g.5gb" is never on the same node as form "shared" of container "a"'
        )

    def test_forms_of_one_node_pass(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, MIG, name="b"))

        assert evaluate(pod, a_policy("exclusive", "mig-1g.5gb")).findings == ()

    def test_a_plain_request_takes_the_form_of_an_explicit_one_where_no_other_is_on_its_node(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, MIG, name="b"))
        decision = evaluate(pod, a_policy("mig-1g.5gb-shared", "gke-exclusive", "mig-1g.5gb"))

        assert decision.denials == ()
        assert str(decision.edits[0]) == f"spec.containers[0]: {GPU} becomes {MIG}"

    def test_a_plain_request_beside_two_that_are_apart_does_not_mend_it(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, MIG, name="b"), gpu(1, MIG_SHARED, name="c"))
        decision = evaluate(pod, a_policy("mig-1g.5gb-shared", "mig-1g.5gb"))

        assert set(rules(decision)) == {"selector-conflict"}
        assert decision.edits == ()

    SLICES = a_policy("shared", "mig-1g.5gb", "mig-1g.5gb-shared")

    def test_two_explicit_forms_of_two_nodes_are_refused(self) -> None:
        pod = a_pod(gpu(1, MIG, name="b"), gpu(1, MIG_SHARED, name="c"))
        [finding] = evaluate(pod, self.SLICES).findings

        assert finding.severity is Severity.DENY
        assert finding.path == "spec.containers[1]"
        assert finding.message == (
            'container "c": form "mig-1g.5gb-shared" is never on the same node as form "mig-1g.5gb" of container "b"; a pod '
            'runs on one node; give both one form that namespace policy "team" permits, or use two pods'
        )

    def test_two_that_are_apart_are_found_behind_a_first_that_fits_both(self) -> None:
        pod = a_pod(gpu(1, SHARED, name="a"), gpu(1, MIG, name="b"), gpu(1, MIG_SHARED, name="c"))

        assert messages(evaluate(pod, self.SLICES)) == messages(
            evaluate(a_pod(*pod["spec"]["containers"][1:]), self.SLICES)
        )

    def test_every_container_that_is_apart_from_one_before_it_is_told_once(self) -> None:
        pod = a_pod(
            gpu(1, SHARED, name="a"),
            *(gpu(1, resource, name=name) for resource, name in ((MIG, "b"), (MIG_SHARED, "c"), (MIG, "d"))),
        )
        told = messages(evaluate(pod, self.SLICES))

        assert [message.split(":")[0] for message in told] == ['container "c"', 'container "d"']

    def test_where_every_form_is_permitted_it_is_not_looked_at(self) -> None:
        assert evaluate(a_pod(gpu(name="a"), gpu(1, SHARED, name="b")), "any").findings == ()

    def test_a_plain_request_beside_a_form_of_the_other_platform(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, SHARED, name="b"), nodeSelector={GKE_PARTITION: "1g.5gb"})
        decision = evaluate(pod, a_policy("gke-mig-1g.5gb", "shared"))

        assert rules(decision) == ["selector-conflict"]
        assert messages(decision)[0].startswith(
            'container "b": form "shared" is never on the same node as form "gke-mig-1g.5gb" of container "a"'
        )


class TestGkeSelectorsIncomplete:
    """GKE Autopilot refuses one of the two sharing selectors without the other."""

    PASSES = (
        pytest.param(a_pod(), "any", id="neither"),
        pytest.param(a_pod(nodeSelector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}), "any", id="both"),
        pytest.param(a_pod(nodeSelector={GKE_PARTITION: "1g.5gb"}), "any", id="a partition"),
        pytest.param(
            a_pod(nodeSelector={GKE_SHARING: "time-sharing"}), "gke-time-sharing-4", id="the count that we add"
        ),
        pytest.param(a_pod(nodeSelector={GKE_CLIENTS: "4"}), "gke-time-sharing-4", id="the strategy that we add"),
        pytest.param(a_pod(nodeSelector={GKE_SHARING: "time-sharing"}), "time-slicing", id="the strategy that we drop"),
        pytest.param(
            a_pod(affinity=affinity([(GKE_SHARING, "In", "time-sharing"), (GKE_CLIENTS, "In", "4")])),
            "any",
            id="both, In",
        ),
        pytest.param(a_pod(affinity=affinity([(GKE_SHARING, "DoesNotExist")])), "any", id="no sharing"),
        pytest.param(a_pod(affinity=affinity([(GKE_SHARING, "NotIn", "mps")])), "any", id="perhaps sharing"),
        pytest.param(a_pod(affinity=affinity([(GKE_CLIENTS, "NotIn", "4")])), "any", id="perhaps a count"),
    )

    @pytest.mark.parametrize(("pod", "policy"), PASSES)
    def test_both_or_neither_pass(self, pod: Json, policy: str) -> None:
        assert evaluate(pod, policy).findings == ()

    WARNED = (
        pytest.param(a_pod(nodeSelector={GKE_SHARING: "time-sharing"}), id="a strategy"),
        pytest.param(a_pod(nodeSelector={GKE_CLIENTS: "4"}), id="a count"),
        pytest.param(a_pod(affinity=affinity([(GKE_SHARING, "In", "time-sharing")])), id="a strategy in the affinity"),
        pytest.param(a_pod(affinity=affinity([(GKE_CLIENTS, "Exists")])), id="some count in the affinity"),
        pytest.param(
            a_pod(nodeSelector={GKE_SHARING: "time-sharing"}, affinity=affinity([(GKE_CLIENTS, "NotIn", "4")])),
            id="a strategy, and perhaps a count",
        ),
    )

    @pytest.mark.parametrize("pod", WARNED)
    def test_one_alone_warns(self, pod: Json) -> None:
        decision = evaluate(pod, "any")

        assert rules(decision) == ["gke-selectors-incomplete"]
        assert decision.denials == ()

    def test_the_message_without_a_count(self) -> None:
        [finding] = evaluate(a_pod(nodeSelector={GKE_SHARING: "time-sharing"}), "any").findings

        assert finding.severity is Severity.WARN
        assert finding.path == "spec.nodeSelector"
        assert finding.message == (
            "pod: node selector gke-gpu-sharing-strategy without gke-max-shared-clients-per-gpu; "
            "GKE Autopilot rejects one alone; add the other"
        )

    def test_the_message_without_a_strategy(self) -> None:
        [finding] = evaluate(a_pod(nodeSelector={GKE_CLIENTS: "4"}), "any").findings

        assert finding.message == (
            "pod: node selector gke-max-shared-clients-per-gpu without gke-gpu-sharing-strategy; "
            "GKE Autopilot rejects one alone; add the other"
        )

    def test_a_pod_without_a_request_is_not_warned(self) -> None:
        assert (
            evaluate(a_pod(gpu(1, "nvidia.com/gpu-shared"), nodeSelector={GKE_CLIENTS: "4"}), "any").findings[1:] == ()
        )

    def test_a_pod_that_is_refused_for_its_form_is_not_warned(self) -> None:
        decision = evaluate(a_pod(gpu("x"), nodeSelector={GKE_CLIENTS: "4"}), "any")

        assert rules(decision) == ["not-a-whole-number"]

    def test_the_kind_of_container_makes_no_difference(self) -> None:
        pod = a_pod(gpu(0), initContainers=[gpu(1, GPU)], nodeSelector={GKE_CLIENTS: "4"})

        assert rules(evaluate(pod, "any")) == ["gke-selectors-incomplete"]


@pytest.mark.parametrize("plugin", [DevicePlugin(), DevicePlugin(rename_by_default=False)])
@pytest.mark.parametrize("policy", ["shared", "mps", "mig-1g.5gb", "gke-mig-1g.5gb"])
def test_a_pod_whose_affinity_matches_no_node_is_not_spelled_again(policy: str, plugin: DevicePlugin) -> None:
    required: Json = {"nodeSelectorTerms": [{}, {"matchExpressions": []}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    decision = evaluate(a_pod(affinity=affinity), policy, plugin)
    assert (decision.edits, decision.findings) == ((), ())
