"""The rules that one container's resources break by themselves, under every policy."""

from typing import Any

import pytest

from tests.builders import (
    GPU,
    MIG,
    MIG_SHARED,
    RENAMED,
    SHARED,
    Json,
    a_container,
    a_pod,
    a_policy,
    evaluate,
    gpu,
    messages,
    policy_of,
    rules,
    view,
)
from tests.engine.spelled import TABLE
from webhook.engine.decision import decide
from webhook.engine.findings import Severity
from webhook.engine.other_gpus import GpuNames
from webhook.engine.rules.container import UNKNOWN_GPU_RESOURCE
from webhook.engine.spelling import DevicePlugin, MigStrategy

EVERY_POLICY = [*TABLE, "any", "none"]


class TestNotAWholeNumber:
    """GPUs are counted, not divided."""

    @pytest.mark.parametrize("count", [1, "1", "1000m", "1e0", 1.0, "+1", "0.5Ki", "2k", "1Ki"])
    def test_a_whole_number_passes(self, count: Any) -> None:
        assert evaluate(a_pod(gpu(count)), "exclusive").findings == ()

    @pytest.mark.parametrize("count", [0, "0", "0m", "-0", None, 0.0, "0.000"])
    def test_nothing_passes_even_where_no_gpu_may_be_requested(self, count: Any) -> None:
        assert evaluate(a_pod(gpu(count)), "none").findings == ()

    REFUSED = ("0.5", "1500m", "-1", -1, 0.5, "1n", "one", "", "\u0661", "1e999999999", "1" * 65, 1.5)

    @pytest.mark.parametrize("policy", EVERY_POLICY)
    @pytest.mark.parametrize("count", REFUSED)
    def test_anything_else_is_refused(self, count: Any, policy: str) -> None:
        decision = evaluate(a_pod(gpu(count)), policy)

        assert rules(decision) == ["not-a-whole-number"]
        assert decision.findings[0].severity is Severity.DENY
        assert decision.edits == ()

    def test_the_message_names_the_field_the_value_and_the_remedy(self) -> None:
        [finding] = evaluate(a_pod(gpu("0.5")), "shared").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding.message == (
            'container "train": nvidia.com/gpu: 0.5 is not a whole number; '
            "GPUs are counted, not divided; write an integer such as 1"
        )

    def test_a_broken_request_is_named_as_one(self) -> None:
        [finding] = evaluate(a_pod(a_container(limits={GPU: 1}, requests={GPU: "1500m"})), "any").findings

        assert finding.path == "spec.containers[0].resources.requests[nvidia.com/gpu]"
        assert "nvidia.com/gpu: 1500m is not" in finding.message

    def test_a_quantity_of_a_megabyte_is_not_repeated(self) -> None:
        [finding] = evaluate(a_pod(gpu("9" * 1_000_000)), "any").findings

        assert len(finding.message) < 250

    def test_the_first_broken_resource_is_named(self) -> None:
        [finding] = evaluate(a_pod(a_container(limits={SHARED: "y", GPU: 1, MIG: "z"})), "any").findings

        assert "nvidia.com/gpu.shared: y is not" in finding.message


class TestLimitsRequestsDiffer:
    """An extended resource can't be overcommitted."""

    @pytest.mark.parametrize(
        "container",
        [
            pytest.param(gpu(1), id="limits only, as in a template"),
            pytest.param(a_container(limits={GPU: 1}, requests={GPU: 1}), id="both the same"),
            pytest.param(a_container(limits={GPU: "1000m"}, requests={GPU: 1}), id="both the same number"),
            pytest.param(a_container(limits={GPU: 1}, requests={"cpu": 1}), id="requests of something else"),
            pytest.param(a_container(limits={GPU: 1}, requests={}), id="empty requests"),
            pytest.param(
                a_container(limits={GPU: "9" * 30}, requests={GPU: "9" * 31}), id="both above the largest count"
            ),
        ],
    )
    def test_the_same_number_passes(self, container: Json) -> None:
        assert evaluate(a_pod(container), "exclusive").findings == ()

    REFUSED = (
        pytest.param({GPU: 1}, {GPU: 2}, id="more requested"),
        pytest.param({GPU: 2}, {GPU: 1}, id="less requested"),
        pytest.param({GPU: 1}, {GPU: 0}, id="none requested"),
        pytest.param({GPU: 1}, {GPU: None}, id="null requested"),
        pytest.param({GPU: 0}, {GPU: 1}, id="a limit of none"),
        pytest.param(None, {GPU: 1}, id="requests only"),
        pytest.param({}, {GPU: 1}, id="requests beside empty limits"),
        pytest.param({SHARED: 1}, {GPU: 1}, id="requests of another GPU resource"),
    )

    @pytest.mark.parametrize("policy", [policy for policy in EVERY_POLICY if policy != "none"])
    @pytest.mark.parametrize(("limits", "requests"), REFUSED)
    def test_any_other_is_refused(self, limits: Json | None, requests: Json, policy: str) -> None:
        decision = evaluate(a_pod(a_container(limits=limits, requests=requests)), policy)

        assert rules(decision) == ["limits-requests-differ"]
        assert decision.edits == ()

    def test_the_message_of_two_numbers(self) -> None:
        [finding] = evaluate(a_pod(a_container(limits={GPU: 1}, requests={GPU: None})), "any").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding.message == (
            'container "train": limits have nvidia.com/gpu: 1 and requests have null; '
            "Kubernetes requires both to be equal for an extended resource; set it in limits only"
        )

    def test_the_message_of_requests_alone(self) -> None:
        pod = a_pod(initContainers=[a_container("load", requests={MIG: 2})])
        [finding] = evaluate(pod, "mig-1g.5gb").findings

        assert finding.path == "spec.initContainers[0].resources.requests[nvidia.com/mig-1g.5gb]"
        assert finding.message == (
            'container "load": nvidia.com/mig-1g.5gb: 2 is set only in requests; '
            "Kubernetes requires an extended resource in limits; move it there"
        )


class TestMixedGpuResources:
    """Two GPU resources in one container: both are charged, one is seen."""

    @pytest.mark.parametrize(
        "containers",
        [
            pytest.param([a_container(limits={GPU: 1, "cpu": 1})], id="one beside another resource"),
            pytest.param([a_container(limits={GPU: 1, SHARED: 0, MIG: "0"})], id="one beside none of others"),
            pytest.param([gpu(name="a"), gpu(1, MIG, name="b")], id="two in two containers"),
            pytest.param([a_container(limits={GPU: 1, "nvidia.com/gpumem": 3000})], id="one beside another project's"),
        ],
    )
    def test_one_resource_a_container_passes(self, containers: list[Json]) -> None:
        assert evaluate(a_pod(*containers), "any").findings == ()

    @pytest.mark.parametrize("policy", [policy for policy in EVERY_POLICY if policy != "none"])
    @pytest.mark.parametrize(
        "limits",
        [{GPU: 1, SHARED: 1}, {GPU: 1, MIG: 2}, {MIG: 1, "nvidia.com/mig-2g.10gb": 1}, {GPU: 1, SHARED: 1, MIG: 1}],
    )
    def test_two_are_refused(self, limits: Json, policy: str) -> None:
        decision = evaluate(a_pod(a_container(limits=limits)), policy)

        assert rules(decision) == ["mixed-gpu-resources"]
        assert decision.edits == ()

    def test_the_message_names_them(self) -> None:
        [finding] = evaluate(a_pod(a_container(limits={SHARED: 1, GPU: 1})), "any").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu.shared]"
        assert finding.message == (
            'container "train": requests nvidia.com/gpu and nvidia.com/gpu.shared; '
            "the container would be charged for all and see only one; keep one of them, or use a container for each"
        )


MISSPELT = [
    "nvidia.com/gpus",
    "nvidia.com/GPU",
    "nvidia.com/gpu-shared",
    "nvidia.com/gpu.shared.x",
    "nvidia.com/mig1g.5gb",
    "nvidia.com/mig-1g.5gb.replicated",
]


class TestUnknownGpuResource:
    """A name that looks like a misspelt GPU resource: a warning where every form is permitted, and a denial elsewhere."""

    @pytest.mark.parametrize(
        "resource",
        [
            "nvidia.com/gpumem",
            "nvidia.com/gpucores",
            "nvidia.com/gpumem-percentage",
            "nvidia.com/gpu-10gb",
            "nvidia.com/pgpu",
            "nvidia.com/GA102GL_A10",
            "nvidia.com/GRID_T4-1Q",
            "amd.com/gpu",
        ],
    )
    def test_names_of_other_projects_raise_no_alarm_where_every_form_is_permitted(self, resource: str) -> None:
        assert evaluate(a_pod(gpu(1, resource)), "any").findings == ()

    def test_none_of_a_misspelt_resource_raises_no_alarm(self) -> None:
        assert evaluate(a_pod(gpu(0, "nvidia.com/gpu-shared")), "any").findings == ()

    @pytest.mark.parametrize("names", [GpuNames(gpus=("nvidia.com/gpus",)), GpuNames(not_gpus=("nvidia.com/gpu*",))])
    def test_a_name_that_the_configuration_has_is_not_misspelt(self, names: GpuNames) -> None:
        assert decide(view(a_pod(gpu(1, "nvidia.com/gpus"))), policy_of("any"), RENAMED, names=names).findings == ()

    @pytest.mark.parametrize("resource", MISSPELT)
    def test_a_misspelt_name_warns_where_every_form_is_permitted(self, resource: str) -> None:
        decision = evaluate(a_pod(gpu(1, resource)), "any")

        assert rules(decision) == ["unknown-gpu-resource"]
        assert decision.denials == ()
        assert decision.edits == ()
        assert [str(amount) for amount in decision.gpu_containers[0].requested] == [f"{resource}: 1"]

    @pytest.mark.parametrize("policy", [policy for policy in EVERY_POLICY if policy != "any"])
    @pytest.mark.parametrize("resource", MISSPELT)
    def test_it_is_denied_under_every_other_policy(self, resource: str, policy: str) -> None:
        decision = evaluate(a_pod(gpu(1, resource)), policy)
        [under_any] = evaluate(a_pod(gpu(1, resource)), "any").findings

        [finding] = decision.findings
        assert (finding.rule, finding.path, finding.reason) == (under_any.rule, under_any.path, under_any.reason)
        assert finding.detail.startswith(under_any.detail)
        assert finding.denies
        assert decision.edits == ()

    @pytest.mark.parametrize("policy", ["any", "none", "mps"])
    @pytest.mark.parametrize("resource", ["NVIDIA.com/gpu", "nvidia.com/gpu\u200b", "nvida.com/gpu", "gpu"])
    def test_a_name_that_no_gpu_can_have_warns_under_every_policy(self, resource: str, policy: str) -> None:
        decision = evaluate(a_pod(gpu(1, resource)), policy)

        assert rules(decision) == ["unknown-gpu-resource"]
        assert decision.denials == ()

    def test_what_denies_comes_before_the_ten_that_are_reported(self) -> None:
        many = [gpu(1, f"nvidia{number}.com/gpu", name=f"c{number}") for number in range(10)]
        decision = evaluate(a_pod(*many, gpu(1, "nvidia.com/gpus")), "mps")

        assert rules(decision) == ["unknown-gpu-resource"] * 10
        assert [finding.denies for finding in decision.findings] == [True] + [False] * 9

    def test_beside_a_gpu_by_another_name_each_has_its_own_finding(self) -> None:
        decision = evaluate(a_pod(a_container(limits={"nvidia.com/gpus": 1, "nvidia.com/vgpu": 1})), "mps")

        assert rules(decision) == ["other-gpu-resource", "unknown-gpu-resource"]
        assert "nvidia.com/vgpu: 1 counts as a GPU;" in decision.denials[0].message

    def test_the_message_names_the_nearest_real_one(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, "nvidia.com/mig1g.5gb")), "any").findings

        assert finding.severity is Severity.WARN
        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/mig1g.5gb]"
        assert finding.message == (
            'container "train": nvidia.com/mig1g.5gb is not a GPU resource; '
            "no node offers it; did you mean nvidia.com/mig-1g.5gb?"
        )

    def test_a_pod_without_a_real_gpu_gets_none_of_the_policys_settings(self) -> None:
        policy = a_policy("shared", runtime_class_name="nvidia", node_selector={"a": "b"}, env={"A": "1"})

        assert evaluate(a_pod(gpu(1, "nvidia.com/gpu-shared")), policy).edits == ()

    def test_beside_a_permitted_request_it_is_denied_all_the_same(self) -> None:
        decision = evaluate(a_pod(a_container(limits={GPU: 1, "nvidia.com/gpu-shared": 1})), "shared")

        assert rules(decision) == ["unknown-gpu-resource"]
        assert decision.denials != ()
        assert decision.edits == ()

    def test_names_that_are_not_gpus_by_configuration_still_warn_if_it_does_not_name_them(self) -> None:
        names = GpuNames(not_gpus=("nvidia.com/*",))
        decision = decide(view(a_pod(gpu(1, "nvidia.com/mig1g.5gb"))), policy_of("mps"), RENAMED, names=names)

        assert rules(decision) == ["unknown-gpu-resource"]

    def test_the_denial_names_the_nearest_real_one(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, "nvidia.com/gpu-shared")), "mps").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu-shared]"
        assert finding.message == (
            'container "train": nvidia.com/gpu-shared is not a GPU resource; no node offers it; did you mean '
            "nvidia.com/gpu.shared? If a node does, an administrator can list it under resources in gpuwarden's configuration"
        )

    def test_the_first_ten_of_a_pod_are_enough(self) -> None:
        many = [gpu(1, f"nvidia.com/mig{number}gb", name=f"c{number}") for number in range(8)]
        more = a_container(limits={f"nvidia.com/mig1g{number}": 1 for number in range(8)})
        decision = evaluate(a_pod(*many, more), "any")

        assert rules(decision) == ["unknown-gpu-resource"] * 10
        assert messages(decision)[0].startswith('container "c0"')


MIXED, SINGLE, NOT_RENAMED = (
    DevicePlugin(),
    DevicePlugin(mig_strategy=MigStrategy.SINGLE),
    DevicePlugin(rename_by_default=False),
)


class TestAbsentGpuResource:
    """A GPU resource that no node offers under the device plugin's settings, where the policy leaves it as it is."""

    @pytest.mark.parametrize(
        ("plugin", "resource"),
        [(MIXED, GPU), (MIXED, SHARED), (MIXED, MIG), (MIXED, MIG_SHARED), (SINGLE, GPU), (SINGLE, SHARED)],
    )
    def test_what_nodes_may_offer_raises_no_alarm(self, plugin: DevicePlugin, resource: str) -> None:
        assert evaluate(a_pod(gpu(1, resource)), "any", plugin).findings == ()

    @pytest.mark.parametrize(
        ("plugin", "resource", "setting", "instead"),
        [
            (SINGLE, MIG, "migStrategy: single", GPU),
            (SINGLE, MIG_SHARED, "migStrategy: single", SHARED),
            (NOT_RENAMED, SHARED, "renameByDefault: false", GPU),
            (NOT_RENAMED, MIG_SHARED, "renameByDefault: false", MIG),
        ],
    )
    def test_the_warning_names_the_setting_and_what_nodes_offer(
        self, plugin: DevicePlugin, resource: str, setting: str, instead: str
    ) -> None:
        decision = evaluate(a_pod(gpu(1, resource)), "any", plugin)

        [finding] = decision.findings
        assert (finding.rule, finding.denies) == (UNKNOWN_GPU_RESOURCE, False)
        assert finding.path == f"spec.containers[0].resources.limits[{resource}]"
        assert finding.message.startswith(
            f'container "train": no node offers {resource}; gpuwarden\'s configuration has devicePlugin.{setting}, so '
        )
        assert finding.message.endswith(f"; request {instead}")

    def test_a_policy_that_rewrites_it_needs_no_warning(self) -> None:
        decision = evaluate(a_pod(gpu(1, MIG)), "mig-1g.5gb", SINGLE)

        assert decision.findings == ()
        assert decision.edits != ()


def test_a_container_breaks_one_of_these_rules_at_a_time() -> None:
    """The first thing that keeps a request from being understood is the one to mend first."""
    container = a_container(limits={GPU: "0.5", SHARED: 1}, requests={GPU: 1})

    assert rules(evaluate(a_pod(container), "none")) == ["not-a-whole-number"]


def test_every_container_is_evaluated() -> None:
    pod = a_pod(gpu("x", name="a"), a_container("b", requests={GPU: 1}), initContainers=[gpu("y", name="c")])

    assert [finding.reason for finding in evaluate(pod, "any").findings] == [
        'container "c": nvidia.com/gpu: y is not a whole number',
        'container "a": nvidia.com/gpu: x is not a whole number',
        'container "b": nvidia.com/gpu: 1 is set only in requests',
    ]
