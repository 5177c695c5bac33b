"""The rules of what a device plugin does with a request."""

from typing import ClassVar

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GKE_CLIENTS,
    GKE_SHARING,
    GPU,
    MIG,
    MIG_SHARED,
    PRODUCT,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    affinity,
    evaluate,
    gpu,
    messages,
    rules,
)
from tests.engine.spelled import SHARED_FORMS
from webhook.engine.findings import Severity
from webhook.engine.spelling import DevicePlugin

SLOTS = [
    pytest.param(gpu(2, SHARED), {}, id="two shared GPUs"),
    pytest.param(gpu(2, MIG_SHARED), {}, id="two shared slices"),
    pytest.param(gpu("2", SHARED), {}, id="two shared GPUs as text"),
    pytest.param(gpu("2k", SHARED), {}, id="two thousand shared GPUs"),
    pytest.param(gpu(2), {STRATEGY: "mps"}, id="two GPUs under MPS"),
    pytest.param(gpu(2), {STRATEGY: "time-slicing"}, id="two GPUs under time-slicing"),
    pytest.param(gpu(2), {PRODUCT: "A100-SHARED"}, id="two GPUs of a shared product"),
    pytest.param(gpu(2), {"nvidia.com/mps.capable": "true"}, id="two GPUs of nodes with MPS"),
    pytest.param(gpu(2), {"nvidia.com/gpu.replicas": "4"}, id="two GPUs of nodes that share each four times"),
    pytest.param(gpu(2, MIG), {"nvidia.com/mig-1g.5gb.replicas": "2"}, id="two slices that are shared twice each"),
    pytest.param(gpu(2), {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}, id="two time-shared GPUs of GKE"),
    pytest.param(gpu(2), {GKE_SHARING: "mps", GKE_CLIENTS: "4"}, id="two GPUs under GKE's MPS"),
    pytest.param(gpu(2), {GKE_CLIENTS: "4"}, id="two GPUs with a client count"),
]


class TestSharedRequestAboveOne:
    """The kubelet fails such a pod, and its ReplicaSet makes another, and another."""

    @pytest.mark.parametrize("resource", [SHARED, MIG_SHARED])
    def test_one_slot_passes(self, resource: str) -> None:
        assert evaluate(a_pod(gpu(1, resource)), "any").findings == ()

    def test_a_slot_each_passes(self) -> None:
        assert evaluate(a_pod(gpu(1, SHARED, name="a"), gpu(1, SHARED, name="b")), "shared").findings == ()

    @pytest.mark.parametrize("resource", [GPU, MIG])
    def test_whole_ones_pass(self, resource: str) -> None:
        assert evaluate(a_pod(gpu(8, resource)), "any").denials == ()

    def test_products_of_which_some_are_whole_pass(self) -> None:
        pod = a_pod(gpu(2), affinity=affinity([(PRODUCT, "In", "A100-SHARED", "A100")]))

        assert evaluate(pod, "any").findings == ()

    def test_one_of_two_alternatives_that_is_shared_is_enough_to_refuse(self) -> None:
        pod = a_pod(gpu(2), affinity=affinity([(PRODUCT, "In", "A100-MIG-1g.5gb", "A100-SHARED")]))

        assert rules(evaluate(pod, "any")) == ["shared-request-above-one"]

    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    @pytest.mark.parametrize(("container", "selector"), SLOTS)
    def test_two_slots_are_refused_in_every_namespace(
        self, container: Json, selector: Json, plugin: DevicePlugin
    ) -> None:
        decision = evaluate(a_pod(container, nodeSelector=selector), "any", plugin)

        assert "shared-request-above-one" in rules(decision)
        assert decision.edits == ()

    def test_an_init_container_is_no_exception(self) -> None:
        pod = a_pod(gpu(1, SHARED), initContainers=[gpu(2, SHARED, name="load")])

        assert messages(evaluate(pod, "any"))[0].startswith(
            'container "load": nvidia.com/gpu.shared: 2 is more than one slot'
        )

    def test_the_message_names_the_container_the_count_and_the_remedy(self) -> None:
        [finding] = evaluate(a_pod(gpu(2)), "shared").findings

        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding.message == (
            'container "train": nvidia.com/gpu: 2 cannot be shared under namespace policy "shared"; a shared GPU is access, '
            'not capacity, and the kubelet would reject it ("maximum request size for shared resources is 1; found 2"); '
            "request 1, or use a namespace whose policy permits whole GPUs"
        )

    def test_the_message_where_every_form_is_permitted(self) -> None:
        [finding] = evaluate(a_pod(gpu("3", SHARED)), "any").findings

        assert finding.message == (
            'container "train": nvidia.com/gpu.shared: 3 is more than one slot of a shared GPU; a shared GPU is access, '
            'not capacity, and the kubelet would reject it ("maximum request size for shared resources is 1; found 3"); '
            "request 1, or use whole GPUs instead"
        )

    def test_the_message_where_the_policy_permits_whole_gpus_too(self) -> None:
        policy = a_policy("shared", "exclusive")
        [finding] = evaluate(a_pod(gpu(2)), policy).findings

        fix = f"select nodes with whole GPUs, which the policy permits too (nodeSelector {STRATEGY}: none)"
        assert finding.message.endswith(f"; request 1, or {fix}")
        assert evaluate(a_pod(gpu(2), nodeSelector={STRATEGY: "none"}), policy).findings == ()

    def test_the_fix_for_a_request_that_names_shared_gpus(self) -> None:
        policy = a_policy("shared", "exclusive")
        [finding] = evaluate(a_pod(gpu(2, SHARED)), policy).findings

        fix = f"request {GPU}: 2 and select nodes with whole GPUs, which the policy permits too (nodeSelector {STRATEGY}: none)"
        assert finding.message.endswith(f"; request 1, or {fix}")

    def test_the_fix_where_the_policy_permits_whole_gpus_of_gke_too(self) -> None:
        [finding] = evaluate(a_pod(gpu(2)), a_policy("gke-time-sharing-4", "gke-exclusive")).findings

        assert finding.message.endswith("; request 1, or use a namespace whose policy lists gke-exclusive first")
        assert evaluate(a_pod(gpu(2)), a_policy("gke-exclusive", "gke-time-sharing-4")).findings == ()

    def test_the_kubelets_text_counts_what_was_written_otherwise(self) -> None:
        assert "found 2000" in messages(evaluate(a_pod(gpu("2k", SHARED)), "shared"))[0]

    @pytest.mark.parametrize(
        ("policy", "text"),
        [
            ("gke-time-sharing-4", "(time-sharing), at most 1 nvidia.com/gpu can be requested on GPU nodes"),
            ("gke-mps-48", "(MPS), at most 1 nvidia.com/gpu can be requested on multi-GPU nodes"),
        ],
    )
    def test_gkes_text_is_quoted_on_gke(self, policy: str, text: str) -> None:
        assert (
            f'would reject it ("invalid request for sharing GPU {text}");'
            in messages(evaluate(a_pod(gpu(2)), policy))[0]
        )


class TestRaisedSlots:
    """``maxPerContainer`` raises the rule where it can only mean slots, and where the device plugin lets it."""

    @pytest.mark.parametrize("form", [form for form in SHARED_FORMS if "time-sharing" not in form])
    def test_a_policy_of_shared_forms_raises_it(self, form: str) -> None:
        policy = a_policy(form, max_per_container=3)

        assert evaluate(a_pod(gpu(3)), policy).denials == ()
        assert rules(evaluate(a_pod(gpu(4)), policy))[0] == "per-container-limit"

    def test_as_many_slots_are_spelled(self) -> None:
        decision = evaluate(a_pod(gpu(3)), a_policy("mps", max_per_container=3))

        assert str(decision.edits[0]) == "spec.containers[0]: nvidia.com/gpu becomes nvidia.com/gpu.shared"

    def test_an_explicit_request_too(self) -> None:
        assert evaluate(a_pod(gpu(3, SHARED)), a_policy("shared", "mps", max_per_container=3)).findings == ()

    @pytest.mark.parametrize("form", ["gke-time-sharing-4", "gke-mig-1g.5gb-time-sharing-2"])
    def test_gkes_time_sharing_takes_one_whatever_a_policy_says(self, form: str) -> None:
        assert rules(evaluate(a_pod(gpu(2)), a_policy(form, max_per_container=3))) == ["shared-request-above-one"]

    def test_gkes_time_sharing_beside_gkes_mps_takes_one(self) -> None:
        policy = a_policy("gke-mps-4", "gke-time-sharing-4", max_per_container=3)
        time_shared = a_pod(gpu(2), nodeSelector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"})

        assert evaluate(a_pod(gpu(2)), policy).denials == ()
        assert rules(evaluate(time_shared, policy)) == ["shared-request-above-one"]

    def test_a_policy_that_lists_a_whole_form_too_means_whole_ones(self) -> None:
        policy = a_policy("exclusive", "shared", max_per_container=8)

        assert evaluate(a_pod(gpu(8)), policy).findings == ()
        assert rules(evaluate(a_pod(gpu(2, SHARED)), policy)) == ["shared-request-above-one"]

    @pytest.mark.parametrize("limit", [None, 1])
    def test_without_a_higher_limit_it_stays_one(self, limit: int | None) -> None:
        assert rules(evaluate(a_pod(gpu(2)), a_policy("mps", max_per_container=limit))) == ["shared-request-above-one"]

    def test_where_every_form_is_permitted_a_limit_raises_nothing(self) -> None:
        policy = a_policy(permits_any=True, max_per_container=8)

        assert rules(evaluate(a_pod(gpu(2, SHARED)), policy)) == ["shared-request-above-one"]


class TestMigCountAboveOne:
    """A CUDA process uses one MIG slice."""

    @pytest.mark.parametrize(
        "containers", [[gpu(1, MIG)], [gpu(1, MIG, name="a"), gpu(1, MIG, name="b")], [gpu(4)], [gpu(1, MIG_SHARED)]]
    )
    def test_one_slice_a_container_passes(self, containers: list[Json]) -> None:
        assert evaluate(a_pod(*containers), "any").findings == ()

    @pytest.mark.parametrize("policy", ["any", "mig-1g.5gb", "gke-mig-1g.5gb"])
    def test_more_warn(self, policy: str) -> None:
        decision = evaluate(a_pod(gpu(2, MIG)), policy)

        assert rules(decision) == ["mig-count-above-one"]
        assert decision.denials == ()

    def test_a_plain_request_that_becomes_slices_warns(self) -> None:
        decision = evaluate(a_pod(gpu(2)), "gke-mig-1g.5gb")

        assert rules(decision) == ["mig-count-above-one"]
        assert decision.edits != ()

    def test_the_message(self) -> None:
        [finding] = evaluate(a_pod(gpu(3, MIG)), "any").findings

        assert finding.severity is Severity.WARN
        assert finding.path == "spec.containers[0].resources.limits[nvidia.com/mig-1g.5gb]"
        assert finding.message == (
            'container "train": 3 MIG slices of 1g.5gb; a CUDA process uses one; request one larger slice, or 1'
        )

    def test_more_slots_of_a_slice_are_another_matter(self) -> None:
        assert rules(evaluate(a_pod(gpu(2, MIG_SHARED)), "any")) == ["shared-request-above-one"]


class TestGkeMpsNeedsHostIpc:
    """GKE's MPS clients reach the control daemon through the host's IPC namespace."""

    ON_GKE = a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"})

    @pytest.mark.parametrize(
        ("pod", "policy"),
        [
            (a_pod(hostIPC=True), "gke-mps-48"),
            (a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"}, hostIPC=True), "any"),
            (a_pod(), "mps"),
            (a_pod(), "gke-time-sharing-4"),
            (a_pod(), "gke-mig-1g.5gb"),
            (a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"}), "any"),
            (a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"}), "mps"),
        ],
    )
    def test_with_it_or_without_gkes_mps_nothing_is_said(self, pod: Json, policy: str) -> None:
        assert evaluate(pod, policy).findings == ()

    @pytest.mark.parametrize("host_ipc", [None, False])
    @pytest.mark.parametrize("policy", ["gke-mps-48", "gke-mig-2g.10gb-mps-3"])
    def test_without_it_gkes_mps_warns(self, policy: str, *, host_ipc: bool | None) -> None:
        decision = evaluate(a_pod(hostIPC=host_ipc), policy)

        assert rules(decision) == ["gke-mps-needs-host-ipc"]
        assert not [edit for edit in decision.edits if "hostIPC" in str(edit)]

    def test_it_warns_where_every_form_is_permitted(self) -> None:
        assert rules(evaluate(self.ON_GKE, "any")) == ["gke-mps-needs-host-ipc"]

    def test_it_warns_once_a_pod(self) -> None:
        assert rules(evaluate(a_pod(gpu(name="a"), gpu(name="b")), "gke-mps-48")) == ["gke-mps-needs-host-ipc"]

    def test_the_message(self) -> None:
        [finding] = evaluate(a_pod(), "gke-mps-48").findings

        assert finding.severity is Severity.WARN
        assert finding.path == "spec.hostIPC"
        assert finding.message == (
            'container "train": MPS on GKE needs hostIPC: true; '
            "that weakens the pod's isolation, so you must set it yourself"
        )


class TestMpsShmMount:
    """A volume where the device plugin mounts the MPS daemon's shared memory."""

    PATH = "/dev/shm"  # noqa: S108 - a name to compare with
    SHM: ClassVar[list[Json]] = [{"name": "shm", "mountPath": PATH}]

    @pytest.mark.parametrize(
        ("policy", "mounts"),
        [
            ("mps", None),
            ("mps", []),
            ("mps", [{"name": "shm", "mountPath": f"{PATH}2"}]),
            ("mps", [{"name": "shm", "mountPath": f"{PATH}/cache"}]),
            ("mps", [{"name": "shm", "mountPath": "/mnt/dev/shm"}]),
            ("mps", [{"name": "shm", "mountPath": "/dev"}]),
            ("time-slicing", SHM),
            ("shared", SHM),
            ("exclusive", SHM),
            ("any", SHM),
            ("none", SHM),
            ("gke-mps-4", SHM),
        ],
    )
    def test_without_mps_of_the_device_plugin_or_another_path_nothing_is_said(
        self, policy: str, mounts: list[Json] | None
    ) -> None:
        assert "mps-shm-mount" not in rules(evaluate(a_pod(gpu(1, volumeMounts=mounts)), policy))

    @pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"/{PATH}", "/dev/./shm", "/dev/x/../shm"])
    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    def test_it_warns_and_the_pod_is_rewritten_all_the_same(self, path: str, plugin: DevicePlugin) -> None:
        decision = evaluate(a_pod(gpu(1, volumeMounts=[{"name": "shm", "mountPath": path}])), "mps", plugin)

        assert rules(decision) == ["mps-shm-mount"]
        assert decision.denials == ()
        assert decision.edits

    def test_a_pod_that_states_mps_is_warned_where_every_form_is_permitted(self) -> None:
        slot = gpu(1, SHARED, volumeMounts=self.SHM)

        assert rules(evaluate(a_pod(slot, nodeSelector={STRATEGY: "mps"}), "any")) == ["mps-shm-mount"]
        assert rules(evaluate(a_pod(slot), "any")) == []

    def test_only_the_container_with_the_gpu_counts(self) -> None:
        web = a_container("web", volumeMounts=self.SHM)

        assert evaluate(a_pod(gpu(1), web), "mps").findings == ()

    def test_the_message(self) -> None:
        init = gpu(1, name="load", volumeMounts=[{"name": "a", "mountPath": "/a"}, *self.SHM])
        [finding] = evaluate(a_pod(gpu(1), initContainers=[init]), "mps").findings

        assert finding.path == "spec.initContainers[0].volumeMounts[1].mountPath"
        assert finding.message == (
            'container "load": mounts a volume at /dev/shm, where the device plugin mounts the shared memory of MPS; the volume '
            "hides it, and CUDA can't reach the MPS daemon; remove the mount, or, if the 64 MiB there are too few, use a form "
            "without MPS"
        )
