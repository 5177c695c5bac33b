"""Other names for GPUs: which resources hand them out, which do not, and what the configuration says of it."""

import time

import pytest

from webhook.engine.common_case_requests import ORDINARY_BEGINNINGS
from webhook.engine.other_gpus import BUILT_IN, GPUS, NEVER_SENT, NOT_GPUS, GpuNames, fits

NOT_OTHER_GPUS = [
    "cpu",
    "memory",
    "hugepages-2Mi",
    "gpu",
    "",
    "nvidia.com",
    "amd.com/gpu",
    "gpu.intel.com/i915",
    "habana.ai/gaudi",
    "rdma/hca_shared_devices_a",
    "openshift.io/sriov",
    "vpc.amazonaws.com/pod-eni",
    "devices.kubevirt.io/kvm",
    "k8s.amazonaws.com/vgpu2",
    "volcano.sh/memory",
    "requests.nvidia.com/gpu",
    "example.com/nvidia.com/vgpu",
    # NVIDIA's, and no GPUs.
    "nvidia.com/hostdev",
    "nvidia.com/hostdev1",
    "nvidia.com/rdma_shared_device_a",
    "nvidia.com/rdma_vf",
    "nvidia.com/roce_gpudirect",
    "nvidia.com/sriov-rdma-vf",
    "nvidia.com/sriov_rdma",
    "nvidia.com/mlnxnics",
    "nvidia.com/bf2_sf",
    "nvidia.com/cx7_qsfp",
    "nvidia.com/ib_pf",
    "nvidia.com/rail_0_plane_1",
    "nvidia.com/asap2_vf",
    "nvidia.com/bf_sf",
    "nvidia.com/mlx5_0",
    "nvidia.com/ibp24s0_ib",
    "nvidia.com/ens2f1np1_roce",
    "nvidia.com/imex-channel",
    "nvidia.com/gdrdrv",
    "nvidia.com/nvswitch",
    "deviceclass.resource.kubernetes.io/dra.cpu",
    "deviceclass.resource.kubernetes.io/dranet-ib",
    "deviceclass.resource.kubernetes.io/compute-domain-default-channel.nvidia.com",
    # Forms are evaluated as such.
    "nvidia.com/gpu",
    "nvidia.com/gpu.shared",
    "nvidia.com/mig-1g.5gb",
    "nvidia.com/mig-1g.5gb.shared",
    # No names in Kubernetes.
    "nvidia.com/\uff47pu",
]
OTHER_GPUS = [
    "deviceclass.resource.kubernetes.io/gpu.nvidia.com",
    "deviceclass.resource.kubernetes.io/mig.nvidia.com",
    "deviceclass.resource.kubernetes.io/vfio.gpu.nvidia.com",
    "deviceclass.resource.kubernetes.io/h100",
    "nvidia.com/gpu.sliced",
    "nvidia.com/gpu.sliced.memory-mib",
    "nvidia.com/gpu.partitioned",
    "nvidia.com/gpu.partitioned.mig-1g.10gb",
    "nvidia.com/vgpu",
    "nvidia.com/vgpu-number",
    "nvidia.com/pgpu",
    "nvidia.com/gpu-10gb",
    "nvidia.com/gpumem",
    "nvidia.com/gpumem-percentage",
    "nvidia.com/gpucores",
    "nvidia.com/priority",
    "nvidia.com/GA102GL_A10",
    "nvidia.com/TU104GL_Tesla_T4",
    "nvidia.com/GRID_T4-1Q",
    "nvidia.com/NVIDIA_A10-4Q",
    "nvidia.com/A100",
    # Misspelt forms.
    "nvidia.com/gpus",
    "nvidia.com/GPU",
    "nvidia.com/gpu-shared",
    "nvidia.com/gpu.shared.x",
    "nvidia.com/mig1g.5gb",
    "nvidia.com/mig-1g.5gb.replicated",
    "k8s.amazonaws.com/vgpu",
    "volcano.sh/vgpu-number",
    "volcano.sh/vgpu-memory",
    "volcano.sh/gpu-memory",
    "volcano.sh/gpu-number",
    "aliyun.com/gpu-mem",
    "tencent.com/vcuda-core",
    "tke.cloud.tencent.com/qgpu-core",
    "tke.cloud.tencent.com/qgpu-core-greedy",
    "tke.cloud.tencent.com/qgpu-memory",
    "vke.volcengine.com/mgpu-core",
    "vke.volcengine.com/mgpu-memory",
    "koordinator.sh/gpu",
    "koordinator.sh/gpu-core",
    "mig.das.com/1g.5gb",
]


@pytest.mark.parametrize("name", NOT_OTHER_GPUS)
def test_what_is_no_gpu_or_is_a_form(name: str) -> None:
    assert not BUILT_IN.is_gpu(name)


@pytest.mark.parametrize("name", OTHER_GPUS)
def test_what_hands_out_gpus(name: str) -> None:
    assert BUILT_IN.is_gpu(name)


def test_a_resource_of_any_name_can_be_declared() -> None:
    names = GpuNames(gpus=("example.com/h100", "amd.com/gpu*"))

    assert names.is_gpu("example.com/h100")
    assert names.is_gpu("amd.com/gpu")
    assert names.is_gpu("amd.com/gpu-mi300")
    assert not names.is_gpu("example.com/h100-nic")
    assert not names.is_gpu("amd.com/dcgpu")
    assert names.is_gpu("nvidia.com/vgpu")


def test_a_name_can_be_excepted() -> None:
    names = GpuNames(not_gpus=("nvidia.com/A100", "deviceclass.resource.kubernetes.io/fpga*"))

    assert not names.is_gpu("nvidia.com/A100")
    assert names.is_gpu("nvidia.com/A100X")
    assert not names.is_gpu("deviceclass.resource.kubernetes.io/fpga-large")
    assert names.is_gpu("deviceclass.resource.kubernetes.io/gpu.nvidia.com")


def test_names_that_nobody_knows_can_be_let_through_and_known_ones_stay_gpus() -> None:
    names = GpuNames(not_gpus=("nvidia.com/*",))

    assert not names.is_gpu("nvidia.com/my-network")
    assert names.is_gpu("nvidia.com/vgpu")
    assert names.is_gpu("nvidia.com/gpu.sliced")
    assert names.is_gpu("nvidia.com/GRID_T4-1Q")


@pytest.mark.parametrize(
    ("gpus", "not_gpus", "is_gpu"),
    [
        (("example.com/*",), ("example.com/nic*",), False),
        (("example.com/nic-gpu*",), ("example.com/nic*",), True),
        (("example.com/*",), ("example.com/nic-gpu",), False),
        (("example.com/nic-gpu",), ("example.com/nic-gpu*",), True),
    ],
)
def test_the_more_specific_name_decides(gpus: tuple[str, ...], not_gpus: tuple[str, ...], *, is_gpu: bool) -> None:
    assert GpuNames(gpus, not_gpus).is_gpu("example.com/nic-gpu") is is_gpu


def test_the_configuration_decides_before_a_built_in_name_that_is_as_specific() -> None:
    assert GpuNames(gpus=("nvidia.com/hostdev*",)).is_gpu("nvidia.com/hostdev")
    assert not GpuNames(not_gpus=("k8s.amazonaws.com/vgpu",)).is_gpu("k8s.amazonaws.com/vgpu")


@pytest.mark.parametrize("pattern", ["nvidia.com/gpus", "nvidia.com/gpus*", "nvidia.com/gpu*"])
def test_a_misspelt_name_can_be_excepted(pattern: str) -> None:
    names = GpuNames(not_gpus=(pattern,))

    assert not names.is_gpu("nvidia.com/gpus")
    assert names.is_gpu("nvidia.com/mig1g.5gb")


def test_the_configuration_says_what_a_name_is_by_more_than_its_vendor() -> None:
    assert GpuNames(gpus=("nvidia.com/gpus",)).configured("nvidia.com/gpus")
    assert GpuNames(not_gpus=("nvidia.com/gpu*",)).configured("nvidia.com/gpus")
    assert not GpuNames(gpus=("nvidia.com/*",), not_gpus=("nvidia.com/*", "nvidia.com/mig*")).configured(
        "nvidia.com/gpus"
    )
    assert not BUILT_IN.configured("nvidia.com/gpus")


def test_a_form_is_never_another_name() -> None:
    assert not GpuNames(gpus=("nvidia.com/gpu", "nvidia.com/*")).is_gpu("nvidia.com/gpu")


def test_every_exception_is_one() -> None:
    """An exception that no name of a GPU begins like would be one for nothing."""
    beginnings = [pattern.removesuffix("*") for pattern in GPUS]

    assert not [pattern for pattern in NOT_GPUS if not pattern.startswith(tuple(beginnings))]


@pytest.mark.parametrize(
    "name", ["tke.cloud.tencent.com/qgpu-core", "vke.volcengine.com/mgpu-core", "aliyun.com/gpu-mem"]
)
def test_what_clouds_call_shares_of_nvidias_gpus_is_sent(name: str) -> None:
    """Beside devices of the same vendor that are not."""
    assert not any(fits(pattern, name) for pattern in NEVER_SENT)


def test_what_counts_as_a_gpu_is_sent() -> None:
    beginnings = [pattern.removesuffix("*") for pattern in GPUS]
    assert not [
        one
        for one in beginnings
        for other in NEVER_SENT
        if fits(other, one) or fits(f"{one}*", other.removesuffix("*"))
    ]


def test_what_the_common_case_has_beside_gpus_is_of_other_devices() -> None:
    """The API server decides such pods by itself, so no DeviceClass must make these names GPUs."""
    beside = [one for one in ORDINARY_BEGINNINGS if "/" in one]
    assert beside
    assert not [one for one in beside if not any(fits(pattern, one) for pattern in NEVER_SENT)]


def test_names_longer_than_kubernetes_takes_cost_nothing() -> None:
    started = time.monotonic()
    for number in range(50):
        assert not BUILT_IN.is_gpu("nvidia.com/" + "g" * 1_000_000 + str(number))

    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "name",
    [
        *(
            "cpu",
            "hugepages-2Mi",
            "gpu",
            "",
            "rdma/hca",
            "openshift.io/sriov",
            "github.com/fuse",
            "devices.kubevirt.io/kvm",
        ),
        # Evaluated.
        *("nvidia.com/gpu", "nvidia.com/gpus", "nvida.com/gpu", "nvidia.com/vgpu", "volcano.sh/vgpu-number"),
        # Known to be something else.
        *("nvidia.com/hostdev", "nvidia.com/hostdev_gpu", "deviceclass.resource.kubernetes.io/rdma-gpu"),
        *("example.com/gpu\u200b", "example.com/gpu" + "s" * 400),
    ],
)
def test_these_are_no_accelerators_of_another_vendor(name: str) -> None:
    assert not BUILT_IN.of_another_vendor(name)


@pytest.mark.parametrize(
    "name",
    [
        *("amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe", "habana.ai/gaudi", "google.com/tpu"),
        *("aws.amazon.com/neuron", "aws.amazon.com/neuroncore", "huawei.com/Ascend910", "example.com/gpu-a100"),
        "example.com/GPU",
    ],
)
def test_these_are_unless_the_configuration_has_them(name: str) -> None:
    assert BUILT_IN.of_another_vendor(name)
    assert not GpuNames(gpus=(name,)).of_another_vendor(name)
    assert not GpuNames(not_gpus=(name,)).of_another_vendor(name)
