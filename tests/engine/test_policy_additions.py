"""Settings: what a policy adds to the pods that ask for GPUs, and never over what they set."""

from typing import Any

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_TOLERATION,
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
    evaluate,
    gpu,
    rewritten,
)
from webhook.engine.pods import Toleration
from webhook.engine.policy import Mismatch
from webhook.engine.spelling import DevicePlugin

PERCENTAGE = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"


class TestEnv:
    """Environment variables go to the containers that ask, where they have none of the name."""

    POLICY = a_policy("exclusive", env={PERCENTAGE: "25", "B": "2"})
    OURS = ({"name": PERCENTAGE, "value": "25"}, {"name": "B", "value": "2"})

    def env(self, container: Json) -> list[Json] | None:
        result = rewritten(a_pod(container), self.POLICY)["spec"]["containers"][0]
        env: list[Json] | None = result.get("env")
        return env

    @pytest.mark.parametrize("given", [{}, {"env": None}, {"env": []}])
    def test_a_container_without_any_gets_them(self, given: Json) -> None:
        assert self.env(gpu(**given)) == list(self.OURS)

    def test_they_go_behind_the_containers_own(self) -> None:
        own = [{"name": "A", "value": "1"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]

        assert self.env(gpu(env=own)) == [*own, *self.OURS]

    @pytest.mark.parametrize(
        "own",
        [
            {"name": PERCENTAGE, "value": "50"},
            {"name": PERCENTAGE, "value": ""},
            {"name": PERCENTAGE},
            {"name": PERCENTAGE, "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        ],
    )
    def test_a_variable_that_is_there_is_never_overwritten(self, own: Json) -> None:
        assert self.env(gpu(env=[own])) == [own, self.OURS[1]]

    def test_every_container_that_asks_gets_them_and_no_other(self) -> None:
        web = a_container("web", env=[])
        pod = a_pod(web, gpu(name="a"), gpu(0, name="idle"), initContainers=[gpu(name="b", restartPolicy="Always")])
        spec = rewritten(pod, self.POLICY)["spec"]

        assert spec["containers"] == [web, gpu(name="a", env=list(self.OURS)), gpu(0, name="idle")]
        assert spec["initContainers"][0]["env"] == list(self.OURS)

    def test_a_request_that_is_already_right_gets_them_too(self) -> None:
        decision = evaluate(a_pod(gpu(1, MIG)), a_policy("mig-1g.5gb", env={"A": "1"}))

        assert [str(edit) for edit in decision.edits] == [
            'spec.containers[0]: env A="1"',
            "annotation gpuwarden.io/policy",
        ]


class TestRuntimeClass:
    """A runtime class goes where the pod names none."""

    POLICY = a_policy("exclusive", runtime_class_name="nvidia")

    @pytest.mark.parametrize("given", [{}, {"runtimeClassName": None}, {"runtimeClassName": ""}])
    def test_a_pod_without_one_gets_it(self, given: Json) -> None:
        assert rewritten(a_pod(**given), self.POLICY)["spec"]["runtimeClassName"] == "nvidia"

    @pytest.mark.parametrize("own", ["kata", "nvidia"])
    def test_a_pods_own_is_never_overwritten(self, own: str) -> None:
        assert evaluate(a_pod(runtimeClassName=own), self.POLICY).edits == ()


class TestTolerations:
    """The policy's tolerations go where the pod's own do not cover them."""

    def tolerations(self, own: list[Json] | None, *wanted: Toleration) -> list[Json] | None:
        result = rewritten(a_pod(tolerations=own), a_policy("exclusive", tolerations=wanted))
        tolerations: list[Json] | None = result["spec"]["tolerations"]
        return tolerations

    TEAM = Toleration("team", "Equal", "ml", "NoSchedule")

    @pytest.mark.parametrize("own", [None, []])
    def test_a_pod_without_any_gets_them(self, own: list[Json] | None) -> None:
        assert self.tolerations(
            own, self.TEAM, Toleration(operator="Exists", effect="NoExecute", toleration_seconds=60)
        ) == [
            {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]

    COVERED: tuple[Any, ...] = (
        pytest.param({"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}, TEAM, id="the same"),
        pytest.param({"key": "team", "value": "ml", "effect": "NoSchedule"}, TEAM, id="the same, Equal by default"),
        pytest.param({"key": "team", "operator": "", "value": "ml"}, TEAM, id="every effect"),
        pytest.param({"key": "team", "operator": "Exists"}, TEAM, id="every value"),
        pytest.param({"operator": "Exists"}, TEAM, id="everything"),
        pytest.param({"key": "team"}, Toleration("team", value=""), id="the empty value, left out"),
        pytest.param({"key": "team", "value": ""}, Toleration("team"), id="the empty value, written"),
        pytest.param(
            {"key": "team", "operator": "Exists", "effect": "NoExecute"},
            Toleration("team", "Exists", None, "NoExecute", 60),
            id="for ever, where a while is wanted",
        ),
        pytest.param(
            {"key": "team", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            Toleration("team", "Exists", None, "NoExecute", 60),
            id="for the same while",
        ),
    )

    @pytest.mark.parametrize(("own", "wanted"), COVERED)
    def test_what_the_pod_tolerates_already_is_not_added(self, own: Json, wanted: Toleration) -> None:
        assert self.tolerations([own], wanted) == [own]

    NOT_COVERED: tuple[Any, ...] = (
        pytest.param(
            {"key": "team", "operator": "Equal", "value": "web", "effect": "NoSchedule"}, TEAM, id="another value"
        ),
        pytest.param(
            {"key": "other", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}, TEAM, id="another key"
        ),
        pytest.param(
            {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}, TEAM, id="another effect"
        ),
        pytest.param({"key": "other", "operator": "Exists"}, TEAM, id="everything of another key"),
        pytest.param({"key": "team", "operator": "Lt", "value": "ml"}, TEAM, id="another operator"),
        pytest.param({"key": "team", "effect": "NoSchedule"}, TEAM, id="the empty value"),
        pytest.param(
            {"key": "team", "operator": "Equal", "value": "ml"}, Toleration("team", "Exists"), id="one value of all"
        ),
        pytest.param(
            {"key": "team", "operator": "Exists", "effect": "NoSchedule"},
            Toleration("team", "Exists"),
            id="one effect of all",
        ),
        pytest.param(
            {"key": "team", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            Toleration("team", "Exists", None, "NoExecute"),
            id="a while, where for ever is wanted",
        ),
        pytest.param(
            {"key": "team", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            Toleration("team", "Exists", None, "NoExecute", 300),
            id="another while",
        ),
    )

    @pytest.mark.parametrize(("own", "wanted"), NOT_COVERED)
    def test_what_the_pod_does_not_tolerate_is_added_behind_its_own(self, own: Json, wanted: Toleration) -> None:
        result = self.tolerations([own], wanted)

        assert result is not None
        assert result[0] == own
        assert len(result) == 2

    def test_the_one_that_renaming_adds_is_not_added_twice(self) -> None:
        policy = a_policy("shared", tolerations=(Toleration(GPU, "Exists", None, "NoSchedule"),))

        assert rewritten(a_pod(), policy)["spec"]["tolerations"] == [GPU_TOLERATION]

    def test_both_are_added_where_they_differ(self) -> None:
        result = rewritten(a_pod(), a_policy("shared", tolerations=(self.TEAM,)))

        assert [toleration["key"] for toleration in result["spec"]["tolerations"]] == [GPU, "team"]


class TestNodeSelector:
    """The policy's nodeSelector goes where the pod, and the form, leave its labels open."""

    def placed(self, pod: Json, policy: Any, plugin: DevicePlugin = RENAMED) -> tuple[Any, Any]:
        spec = rewritten(pod, policy, plugin)["spec"]
        return spec.get("nodeSelector"), spec.get("affinity")

    POLICY = a_policy("exclusive", node_selector={"pool": "gpu", "zone": "a"})

    @pytest.mark.parametrize("given", [{}, {"nodeSelector": None}, {"nodeSelector": {}}])
    def test_a_pod_without_one_gets_it(self, given: Json) -> None:
        assert self.placed(a_pod(**given), self.POLICY)[0] == {"pool": "gpu", "zone": "a"}

    @pytest.mark.parametrize("own", ["b", ""])
    def test_a_pods_own_label_is_never_overwritten(self, own: str) -> None:
        assert self.placed(a_pod(nodeSelector={"zone": own}), self.POLICY)[0] == {"zone": own, "pool": "gpu"}

    def test_a_label_that_the_affinity_excludes_is_not_added(self) -> None:
        """It would leave the pod no node at all."""
        pod = a_pod(affinity=affinity([("zone", "In", "b")]))

        assert self.placed(pod, self.POLICY) == ({"pool": "gpu"}, pod["spec"]["affinity"])

    def test_a_label_that_the_affinity_permits_is_added(self) -> None:
        pod = a_pod(affinity=affinity([("zone", "In", "b", "a")], [("disk", "Exists")]))

        assert self.placed(pod, self.POLICY)[0] == {"pool": "gpu", "zone": "a"}

    def test_labels_that_no_one_alternative_permits_together_are_not_both_added(self) -> None:
        pod = a_pod(
            affinity=affinity([("zone", "In", "a"), ("pool", "In", "x")], [("zone", "In", "b"), ("pool", "In", "gpu")])
        )

        assert self.placed(pod, self.POLICY)[0] == {"pool": "gpu"}

    def test_a_label_beside_what_the_form_needs_is_added(self) -> None:
        selector, affinity_now = self.placed(
            a_pod(), a_policy("exclusive", node_selector={STRATEGY: "none"}), NOT_RENAMED
        )

        assert selector == {STRATEGY: "none"}
        assert affinity_now == affinity([(STRATEGY, "NotIn", "time-slicing", "mps")])

    @pytest.mark.parametrize("form", ["exclusive", "gke-exclusive", "time-slicing"])
    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    def test_a_label_that_contradicts_the_form_is_not_added(self, form: str, plugin: DevicePlugin) -> None:
        selector, _ = self.placed(a_pod(), a_policy(form, node_selector={STRATEGY: "mps"}), plugin)

        assert (selector or {}).get(STRATEGY) != "mps"

    def test_a_label_that_the_form_brings_is_added_once(self) -> None:
        decision = evaluate(a_pod(), a_policy("mps", node_selector={STRATEGY: "mps"}))

        assert [str(edit) for edit in decision.edits].count(f"node selector {STRATEGY}: mps") == 1

    def test_a_label_of_another_platform_is_not_added(self) -> None:
        assert self.placed(a_pod(), a_policy("mig-1g.5gb", node_selector={GKE_PARTITION: "1g.5gb"}))[0] is None

    def test_a_label_that_spelled_the_old_form_makes_room(self) -> None:
        policy = a_policy("exclusive", mismatch=Mismatch.REWRITE, node_selector={STRATEGY: "none"})

        assert self.placed(a_pod(nodeSelector={STRATEGY: "mps"}), policy)[0] == {STRATEGY: "none"}

    @pytest.mark.parametrize(
        ("form", "plugin", "product"),
        [
            ("shared", RENAMED, "A100"),
            ("shared", NOT_RENAMED, "A100-SHARED"),
            ("exclusive", RENAMED, "A100"),
            ("exclusive", NOT_RENAMED, "A100"),
            ("mig-1g.5gb", RENAMED, "A100"),
        ],
    )
    @pytest.mark.parametrize("written", ["A100", "A100-SHARED", "A100-MIG-1g.5gb"])
    def test_a_product_is_written_as_nodes_of_the_form_are_called(
        self,
        form: str,
        plugin: DevicePlugin,
        product: str,
        written: str,
    ) -> None:
        selector, _ = self.placed(a_pod(), a_policy(form, node_selector={PRODUCT: written}), plugin)

        assert selector == {PRODUCT: product}

    @pytest.mark.parametrize("terms", [("In", "H100"), ("In", "A100"), ("Exists",), ("NotIn", "H100")])
    def test_a_pod_that_says_anything_of_its_product_keeps_its_choice(self, terms: tuple[str, ...]) -> None:
        pod = a_pod(affinity=affinity([(PRODUCT, *terms)]))

        assert self.placed(pod, a_policy("exclusive", node_selector={PRODUCT: "A100"})) == (
            None,
            pod["spec"]["affinity"],
        )

    def test_where_every_form_is_permitted_it_is_added_as_it_stands(self) -> None:
        policy = a_policy(permits_any=True, node_selector={PRODUCT: "A100-SHARED", GKE_SHARING: "mps"})

        assert self.placed(a_pod(), policy)[0] == {PRODUCT: "A100-SHARED", GKE_SHARING: "mps"}


EVERYTHING = a_policy(
    "shared",
    node_selector={"pool": "gpu"},
    tolerations=(Toleration("team", "Exists"),),
    runtime_class_name="nvidia",
    env={"A": "1"},
)


@pytest.mark.parametrize("pod", [a_pod(a_container()), a_pod(gpu(0)), a_pod(gpu(1, "nvidia.com/gpu-shared"))])
def test_a_pod_that_asks_for_no_gpu_gets_nothing(pod: Json) -> None:
    assert evaluate(pod, EVERYTHING).edits == ()


@pytest.mark.parametrize("pod", [a_pod(gpu(2)), a_pod(gpu("x")), a_pod(gpu(1, MIG))])
def test_a_pod_that_is_refused_gets_nothing(pod: Json) -> None:
    assert evaluate(pod, EVERYTHING).edits == ()


def test_all_of_it_goes_into_a_pod_that_is_respelled() -> None:
    assert rewritten(a_pod(), EVERYTHING)["spec"] == {
        "containers": [gpu(1, SHARED, env=[{"name": "A", "value": "1"}])],
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [GPU_TOLERATION, {"key": "team", "operator": "Exists"}],
        "runtimeClassName": "nvidia",
    }


def test_the_edits_stand_in_one_order() -> None:
    policy = a_policy(
        "mps",
        node_selector={"pool": "gpu"},
        tolerations=(Toleration("team"),),
        runtime_class_name="nvidia",
        env={"A": "1"},
    )

    assert [str(edit) for edit in evaluate(a_pod(), policy).edits] == [
        "spec.containers[0]: nvidia.com/gpu becomes nvidia.com/gpu.shared",
        "node selector nvidia.com/gpu.sharing-strategy: mps",
        "toleration nvidia.com/gpu NoSchedule",
        "node selector pool: gpu",
        "toleration team",
        'runtime class "nvidia"',
        'spec.containers[0]: env A="1"',
        "annotation gpuwarden.io/original-request",
        "annotation gpuwarden.io/policy",
    ]


def test_a_pod_whose_containers_name_no_gpu_gets_nothing() -> None:
    everything = a_policy(
        "exclusive",
        env={"A": "1"},
        node_selector={"zone": "a"},
        tolerations=(Toleration(key="spot"),),
        runtime_class_name="nvidia",
    )

    for resource in ("nvidia/gpuu", "nvidia.com/rdma"):
        assert evaluate(a_pod(gpu(1, resource)), everything).edits == ()
