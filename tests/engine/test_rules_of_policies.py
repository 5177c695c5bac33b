"""The rules of a policy: whether a GPU, which form of it, and how many."""

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GPU,
    MIG,
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
from webhook.engine.decision import UNTOUCHED, decide
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.other_gpus import GpuNames
from webhook.engine.policy import FindingAction, Mismatch, Policy, PolicyBook
from webhook.engine.spelling import DevicePlugin


class TestGpuNotPermitted:
    """Policy ``none``, and the policy that stands in for a label that can't be read."""

    UNREADABLE = PolicyBook().select(NamespaceLabels("sharde")).enforce

    @pytest.mark.parametrize("pod", [a_pod(a_container()), a_pod(gpu(0)), a_pod(gpu(1, "amd.com/gpu"))])
    def test_a_pod_without_a_gpu_passes(self, pod: Json) -> None:
        assert evaluate(pod, "none").findings == ()
        assert evaluate(pod, self.UNREADABLE).findings == ()

    @pytest.mark.parametrize("resource", [GPU, SHARED, MIG])
    def test_every_gpu_is_refused(self, resource: str) -> None:
        assert rules(evaluate(a_pod(gpu(1, resource)), "none")) == ["gpu-not-permitted"]
        assert rules(evaluate(a_pod(gpu(1, resource)), self.UNREADABLE)) == ["gpu-not-permitted"]

    def test_every_container_is_named(self) -> None:
        assert rules(evaluate(a_pod(gpu(name="a"), gpu(2, SHARED, name="b")), "none")) == ["gpu-not-permitted"] * 2

    def test_the_message_under_none(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, MIG)), "none").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/mig-1g.5gb]"
        assert finding.message == (
            'container "train": nvidia.com/mig-1g.5gb: 1 is not permitted under namespace policy "none"; '
            "remove the request, or use a namespace whose policy permits GPUs"
        )

    def test_the_message_under_a_label_that_cannot_be_read(self) -> None:
        [finding] = evaluate(a_pod(), self.UNREADABLE).findings

        assert finding.message == (
            'container "train": nvidia.com/gpu: 1 is not permitted in this namespace; '
            'no GPU is permitted while its label gpuwarden.io/enforce can\'t be read ("sharde" is not a policy; '
            'did you mean "shared"?); ask the namespace\'s owner to correct it'
        )


class TestOtherGpuResource:
    """GPUs by names that no form has; which names these are stands with the names."""

    UNREADABLE = PolicyBook().select(NamespaceLabels("sharde")).enforce
    VGPU = "nvidia.com/vgpu"

    @pytest.mark.parametrize(
        "container",
        [
            gpu(1, "nvidia.com/hostdev"),
            gpu(1, "rdma/hca_shared_devices_a"),
            gpu(1, "amd.com/gpu"),
            gpu(0, VGPU),
            a_container(limits={VGPU: "0"}, requests={VGPU: 0}),
            a_container(limits={"deviceclass.resource.kubernetes.io/dra.cpu": 2}),
        ],
    )
    @pytest.mark.parametrize("policy", ["none", "mps", "exclusive"])
    def test_what_is_no_gpu_or_not_requested_passes(self, container: Json, policy: str) -> None:
        assert evaluate(a_pod(container), policy).findings == ()

    @pytest.mark.parametrize("resource", [VGPU, "nvidia.com/GA102GL_A10", "volcano.sh/vgpu-number"])
    def test_where_every_form_is_permitted_everything_passes(self, resource: str) -> None:
        decision = evaluate(a_pod(gpu(1, resource)), "any")

        assert (decision.findings, decision.edits) == ((), ())
        assert [str(amount) for amount in decision.gpu_containers[0].requested] == [f"{resource}: 1"]

    @pytest.mark.parametrize("policy", ["none", "mps", "exclusive", "shared", "mig-1g.5gb", "gke-exclusive"])
    @pytest.mark.parametrize("resource", [VGPU, "deviceclass.resource.kubernetes.io/gpu.nvidia.com"])
    def test_it_is_refused_everywhere_else(self, resource: str, policy: str) -> None:
        assert rules(evaluate(a_pod(gpu(1, resource)), policy)) == ["other-gpu-resource"]
        assert rules(evaluate(a_pod(a_container(requests={resource: 1})), policy)) == ["other-gpu-resource"]
        assert rules(evaluate(a_pod(gpu(1, resource)), self.UNREADABLE)) == ["other-gpu-resource"]

    def test_a_policy_that_rewrites_can_not_rewrite_it(self) -> None:
        decision = evaluate(a_pod(gpu(1, self.VGPU)), a_policy("mps", mismatch=Mismatch.REWRITE))

        assert rules(decision) == ["other-gpu-resource"]

    def test_beside_a_permitted_form_it_is_refused_all_the_same(self) -> None:
        together = evaluate(a_pod(a_container(limits={GPU: 1, self.VGPU: 1})), "exclusive")
        apart = evaluate(a_pod(gpu(1), initContainers=[gpu(1, self.VGPU, name="load")]), "exclusive")

        assert rules(together) == rules(apart) == ["other-gpu-resource"]
        assert [str(amount) for amount in together.gpu_containers[0].requested] == [
            "nvidia.com/gpu: 1",
            "nvidia.com/vgpu: 1",
        ]
        assert [gpu_container.container.name for gpu_container in apart.gpu_containers] == ["load", "train"]

    def test_under_none_both_are_refused_in_the_order_of_the_rules(self) -> None:
        pod = a_pod(a_container(limits={GPU: 1, self.VGPU: 1}))

        assert rules(evaluate(pod, "none")) == ["gpu-not-permitted", "other-gpu-resource"]

    def test_the_message_under_none(self) -> None:
        [finding] = evaluate(a_pod(gpu(2, self.VGPU)), "none").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/vgpu]"
        assert finding.message == (
            'container "train": nvidia.com/vgpu: 2 counts as a GPU; namespace policy "none" permits no GPU; remove it, or, if '
            "it is not a GPU, ask an administrator to add it to resources.notGPUs in gpuwarden's configuration"
        )

    def test_the_message_where_forms_are_listed_and_several_names_are_requested(self) -> None:
        sliced = {"nvidia.com/gpu.sliced": 1, "nvidia.com/gpu.sliced.memory-mib": 1000}
        [finding] = evaluate(a_pod(a_container(requests=sliced)), a_policy("mps", "mig-1g.5gb")).findings

        assert finding.path == "spec.containers[0].resources.requests[nvidia.com/gpu.sliced]"
        assert finding.message == (
            'container "train": nvidia.com/gpu.sliced: 1 and 1 more count as GPUs; namespace policy "team" permits only mps, '
            "mig-1g.5gb; request nvidia.com/gpu instead, or, if it is not a GPU, ask an administrator to add it to "
            "resources.notGPUs in gpuwarden's configuration"
        )

    def test_the_message_under_a_label_that_cannot_be_read(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, self.VGPU)), self.UNREADABLE).findings

        assert "counts as a GPU; no GPU is permitted while the namespace's label gpuwarden.io/enforce can't be" in (
            finding.message
        )

    def test_what_the_configuration_says_of_names_counts(self) -> None:
        names = GpuNames(gpus=("amd.com/gpu",), not_gpus=(self.VGPU,))
        amd, vgpu = view(a_pod(gpu(1, "amd.com/gpu"))), view(a_pod(gpu(1, self.VGPU)))

        assert rules(decide(amd, policy_of("none"), RENAMED, names=names)) == ["other-gpu-resource"]
        assert decide(vgpu, policy_of("none"), RENAMED, names=names) == UNTOUCHED

    def test_a_request_by_another_name_is_a_request_to_the_guard(self) -> None:
        env = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
        policy = Policy("any", permits_any=True, visible_devices=FindingAction.WARN)
        found = evaluate(a_pod(gpu(1, self.VGPU, env=env), runtimeClassName="nvidia"), policy)

        [message] = messages(found)
        assert message.startswith(
            'container "train": env NVIDIA_VISIBLE_DEVICES=all overrides what nvidia.com/vgpu: 1 is'
        )


class TestFormNotPermitted:
    """Statements of forms that a policy doesn't list; what each way of stating comes to stands with explicit requests."""

    @pytest.mark.parametrize("policy", ["any", "mig-1g.5gb", "gke-mig-1g.5gb"])
    def test_a_listed_form_passes(self, policy: str) -> None:
        assert evaluate(a_pod(gpu(1, MIG)), policy).denials == ()

    @pytest.mark.parametrize("policy", ["mig-2g.10gb", "mig-1g.5gb-shared", "exclusive", "gke-mps-48", "gke-exclusive"])
    def test_another_form_is_refused(self, policy: str) -> None:
        decision = evaluate(a_pod(gpu(1, MIG)), policy, RENAMED)

        assert rules(decision) == ["form-not-permitted"]
        assert decision.edits == ()

    def test_the_message_names_what_is_permitted(self) -> None:
        [finding] = evaluate(a_pod(gpu(1, MIG)), a_policy("mps", "gke-mps-4", name="inference")).findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/mig-1g.5gb]"
        assert finding.message == (
            'container "train": nvidia.com/mig-1g.5gb: 1 requests form "mig-1g.5gb", which namespace policy "inference" does '
            "not permit; it permits mps, gke-mps-4; request that, or nvidia.com/gpu without selectors, which becomes mps"
        )

    @pytest.mark.parametrize(
        ("count", "policy", "fix"),
        [
            (1, a_policy("shared", "exclusive"), GPU),
            (2, a_policy("exclusive", "shared"), GPU),
            (2, a_policy("shared", max_per_container=2), GPU),
            (2, a_policy("shared", "exclusive"), f"{GPU}: 1"),
        ],
    )
    def test_the_plain_request_that_it_names_is_permitted(self, count: int, policy: Policy, fix: str) -> None:
        [finding] = evaluate(a_pod(gpu(count, MIG)), policy).denials

        assert f"; request that, or {fix} without selectors, which becomes {policy.forms[0]}" in finding.message
        assert evaluate(a_pod(gpu(1 if fix.endswith(": 1") else count)), policy).denials == ()

    def test_a_form_is_refused_before_its_count_is_looked_at(self) -> None:
        decision = evaluate(a_pod(gpu(9, SHARED)), a_policy("exclusive", max_per_container=1))

        assert rules(decision) == ["form-not-permitted"]

    def test_and_still_counts_towards_the_pods_limit(self) -> None:
        decision = evaluate(a_pod(gpu(9, MIG)), a_policy("exclusive", max_per_pod=1))

        assert rules(decision) == ["form-not-permitted", "per-pod-limit"]


class TestPerContainerLimit:
    """The policy's ``maxPerContainer``."""

    @pytest.mark.parametrize("count", [1, 2])
    def test_up_to_the_limit_passes(self, count: int) -> None:
        assert evaluate(a_pod(gpu(count)), a_policy("exclusive", max_per_container=2)).findings == ()

    def test_the_limit_is_each_containers_own(self) -> None:
        pod = a_pod(gpu(2, name="a"), gpu(2, name="b"), initContainers=[gpu(2, name="c")])

        assert evaluate(pod, a_policy("exclusive", max_per_container=2)).findings == ()

    def test_no_limit_is_no_limit(self) -> None:
        assert evaluate(a_pod(gpu(1000)), a_policy("exclusive")).findings == ()

    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    def test_more_is_refused(self, plugin: DevicePlugin) -> None:
        policy = a_policy("exclusive", max_per_container=2)

        assert rules(evaluate(a_pod(gpu(3)), policy, plugin)) == ["per-container-limit"]

    def test_it_holds_where_every_form_is_permitted(self) -> None:
        policy = a_policy(permits_any=True, max_per_container=2)

        assert evaluate(a_pod(gpu(2)), policy).findings == ()
        assert rules(evaluate(a_pod(gpu(3)), policy)) == ["per-container-limit"]

    def test_the_message_of_several(self) -> None:
        [finding] = evaluate(a_pod(gpu(3)), a_policy("exclusive", max_per_container=2)).findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding.message == (
            'container "train": nvidia.com/gpu: 3 is more than a container may have; '
            'namespace policy "team" permits 2 per container; request at most 2'
        )

    def test_the_message_of_one(self) -> None:
        [finding] = evaluate(a_pod(gpu(2)), a_policy("exclusive", max_per_container=1)).findings

        assert finding.message.endswith('namespace policy "team" permits 1 per container; request 1')


class TestPerPodLimit:
    """The policy's ``maxPerPod``, over what the pod needs at once."""

    @pytest.mark.parametrize(
        "pod",
        [
            pytest.param(a_pod(gpu(2)), id="one container of two"),
            pytest.param(a_pod(gpu(1, name="a"), gpu(1, name="b")), id="two containers of one"),
            pytest.param(a_pod(gpu(2), initContainers=[gpu(2)]), id="an init container before"),
            pytest.param(a_pod(gpu(1), initContainers=[gpu(1, restartPolicy="Always")]), id="a sidecar beside"),
        ],
    )
    def test_up_to_the_limit_passes(self, pod: Json) -> None:
        assert evaluate(pod, a_policy("exclusive", max_per_pod=2)).findings == ()

    @pytest.mark.parametrize(
        "pod",
        [
            pytest.param(a_pod(gpu(3)), id="one container of three"),
            pytest.param(a_pod(gpu(2, name="a"), gpu(1, name="b")), id="containers of two and one"),
            pytest.param(a_pod(gpu(1), initContainers=[gpu(3)]), id="an init container of three"),
            pytest.param(a_pod(gpu(2), initContainers=[gpu(1, restartPolicy="Always")]), id="a sidecar beside two"),
        ],
    )
    def test_more_is_refused(self, pod: Json) -> None:
        decision = evaluate(pod, a_policy("exclusive", max_per_pod=2))

        assert messages(decision) == [
            'pod: its containers request 3 GPUs at once; namespace policy "team" permits 2 per pod; request at most 2'
        ]
        assert rules(decision) == ["per-pod-limit"]
        assert decision.findings[0].path == "spec"
        assert decision.edits == ()

    def test_the_message_knows_one_from_many(self) -> None:
        nothing_at_all = evaluate(a_pod(gpu(1)), a_policy("exclusive", max_per_pod=0))

        assert messages(nothing_at_all) == [
            'pod: its containers request 1 GPU at once; namespace policy "team" permits 0 per pod; request 0'
        ]

    def test_a_container_that_cannot_be_understood_does_not_count(self) -> None:
        pod = a_pod(gpu("0.5", name="a"), gpu(2, name="b"))

        assert rules(evaluate(pod, a_policy("exclusive", max_per_pod=2))) == ["not-a-whole-number"]

    def test_both_limits_are_told(self) -> None:
        policy = a_policy("exclusive", max_per_container=1, max_per_pod=2)

        assert rules(evaluate(a_pod(gpu(3)), policy)) == ["per-container-limit", "per-pod-limit"]
