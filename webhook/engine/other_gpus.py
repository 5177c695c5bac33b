"""Other names for GPUs: extended resources that provide GPUs but are not a form that a policy can list."""

from functools import lru_cache

import msgspec

from .resources import PREFIX, GpuResource, classify
from .text import LONGEST_NAME

ANY_SUFFIX = "*"
_EVALUATED = (PREFIX, "deviceclass.resource.kubernetes.io/")

GPUS = (
    # Every name of NVIDIA's that is not known to be something else. KubeVirt's device plugin takes names from the PCI database
    # (nvidia.com/GA102GL_A10), so no list of them is ever complete.
    "nvidia.com/*",
    # Known names stay GPUs even if the configuration excludes all others: GPUStack's gpu.sliced and gpu.partitioned, nos'
    # gpu-10gb, HAMi's gpumem and gpucores; vgpu; Kata's pgpu; KubeVirt's vGPU types.
    *(f"nvidia.com/{name}*" for name in ("gpu", "vgpu", "pgpu", "mig-", "GRID", "NVIDIA")),
    # DRA: a device of any DeviceClass by its name (Kubernetes 1.34, KEP-5004). A class may be named anything.
    "deviceclass.resource.kubernetes.io/*",
    "k8s.amazonaws.com/vgpu",  # aws-virtual-gpu-device-plugin
    "volcano.sh/vgpu-*",  # volcano-vgpu-device-plugin
    "volcano.sh/gpu-*",  # volcano's first device plugin: gpu-number and gpu-memory
    "aliyun.com/gpu-*",  # gpushare-device-plugin
    "tencent.com/vcuda-*",  # gpu-manager
    "tke.cloud.tencent.com/qgpu-*",  # qGPU of Tencent's TKE: qgpu-core, qgpu-core-greedy, qgpu-memory
    "vke.volcengine.com/mgpu-*",  # mGPU of Volcengine's VKE: mgpu-core, mgpu-memory
    "koordinator.sh/gpu*",
    "mig.das.com/*",  # the Dynamic Accelerator Slicer of OpenShift
)
"""Resources that provide NVIDIA's GPUs; a ``*`` at the end matches any suffix."""

NOT_GPUS = (
    # The network operator's device plugins. Operators choose these names; documentation and manifests have hostdev, sriov_rdma,
    # rdma_vf, mlnxnics, bf_sf, cx7_qsfp, ib_pf, rail_0, asap2_vf, and names of interfaces (ibp24s0, ens2f0np0).
    *(f"nvidia.com/{name}*" for name in ("hostdev", "rdma", "roce", "sriov", "switchdev", "mlnx", "mlx", "mellanox")),
    *(f"nvidia.com/{name}*" for name in ("nic", "net", "eth", "ens", "enp", "eno", "ib", "infiniband")),
    *(
        f"nvidia.com/{name}*"
        for name in ("ipoib", "macvlan", "vdpa", "ofed", "asap2", "connectx", "cx", "bf", "bluefield")
    ),
    *(f"nvidia.com/{name}*" for name in ("dpu", "doca", "rail", "spectrum", "resib", "nvme", "gdrcopy", "gdrdrv")),
    "nvidia.com/imex*",  # channels between GPUs, as ComputeDomains
    "nvidia.com/nvswitch*",  # the GPU operator's sandbox device plugin
    # DeviceClasses of processors, networks and of NVIDIA's ComputeDomains, which are channels between GPUs.
    *(
        f"deviceclass.resource.kubernetes.io/{name}*"
        for name in ("dra.cpu", "cpu", "dra.net", "dranet", "rdma", "sriov")
    ),
    "deviceclass.resource.kubernetes.io/compute-domain-*",
)
"""Exceptions from ``GPUS``."""

OTHER_DEVICES = (
    "aliyun/*",  # network interfaces (terway)
    "aws.ec2.nitro/*",
    "devic.es/*",  # the generic device plugin's default domains; KVM, FUSE and others
    "squat.ai/*",
    "smarter-devices/*",
    "github.com/fuse",
    "devices.kubevirt.io/*",
    *(f"{name}.network.kubevirt.io/*" for name in ("bridge", "macvtap", "ovs-cni")),
    # SR-IOV: the device plugin's default domain, and those that operators and documentation set.
    *("intel.com/*", "mellanox.com/*", "openshift.io/*"),
    *(f"{name}.intel.com/*" for name in ("dlb", "dsa", "fpga", "iaa", "qat", "sgx")),
    "koordinator.sh/rdma",
    "kubernetes.io/*",
    "networking.gke.io.networks/*",
    "rdma/*",
    *(f"tke.cloud.tencent.com/{name}" for name in ("direct-eni", "eip", "eni-ip")),
    *("vke.volcengine.com/eni-ip", "vke.volcengine.com/rdma*"),
    "vpc.amazonaws.com/*",
    "xilinx.com/*",
)
"""Devices that are not accelerators for what GPUs do: networks, FPGAs, enclaves, KVM, FUSE."""

OTHER_VENDORS = (
    "amd.com/*",
    "gpu.intel.com/*",
    "npu.intel.com/*",
    "habana.ai/*",
    "aws.amazon.com/neuron*",
    "google.com/tpu*",
    "cloud-tpus.google.com/*",
    "huawei.com/Ascend*",
    "huawei.com/npu*",
    "cambricon.com/*",
    "hygon.com/*",
    "enflame.com/*",
    "iluvatar.com/*",
    "iluvatar.ai/*",
    "metax-tech.com/*",
    "mthreads.com/*",
    "kunlunxin.com/*",
    "furiosa.ai/*",
    "rebellions.ai/*",
    "tenstorrent.com/*",
    "qualcomm.com/qaic*",
)
"""Accelerators of other vendors, by the names of their device plugins; a ``*`` at the end matches any suffix."""

NEVER_SENT = tuple(sorted((*OTHER_DEVICES, *OTHER_VENDORS)))
"""What the chart's ``matchConditions`` leave out, so that pods with these devices do not depend on gpuwarden. DeviceClasses for
NVIDIA's GPUs do not have such names. If one does, only the configuration can make the name a GPU resource, and ``doctor``
reports this."""


class GpuNames(msgspec.Struct, frozen=True, cache_hash=True):
    """The resources that provide GPUs: those of ``GPUS``, those of the configuration, and those of DeviceClasses.

    Attributes:
        gpus, not_gpus: names, or prefixes with ``*``, that count as GPUs, and that do not.
        published: whole names by which DeviceClasses provide GPUs, each with these classes (``DeviceClasses.published``).
    """

    gpus: tuple[str, ...] = ()
    not_gpus: tuple[str, ...] = ()
    published: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def is_gpu(self, name: str) -> bool:
        """Whether a resource provides GPUs without being a form that ``resources.classify`` knows.

        A full name has precedence over a prefix, a longer prefix over a shorter one, and the configuration over the defaults.
        """
        return "/" in name and len(name) <= LONGEST_NAME and name.isascii() and _decided(self, name)

    def of_another_vendor(self, name: str) -> bool:
        """Whether a resource is an accelerator that is not counted as a GPU: of another vendor, or one with ``gpu`` in its name.

        Names in the configuration are not.
        """
        return "/" in name and len(name) <= LONGEST_NAME and name.isascii() and _of_another_vendor(self, name)

    def configured(self, name: str) -> bool:
        """Whether the configuration names a resource, in full or by a prefix longer than ``nvidia.com/``."""
        every = (pattern for patterns in (self.gpus, self.not_gpus) for pattern in patterns)
        return any(fits(pattern, name) for pattern in every if pattern != PREFIX + ANY_SUFFIX)

    def is_something_else(self, name: str) -> bool:
        """Whether a resource with a prefix of GPUs' is known not to be a GPU."""
        return any(fits(pattern, name) for pattern in NOT_GPUS) and not self.is_gpu(name)

    def classes(self, name: str) -> tuple[str, ...]:
        """The DeviceClasses that hand out GPUs by a resource name that they publish; none for most names."""
        return next((classes for published, classes in self.published if published == name), ())


BUILT_IN = GpuNames()


# The same names occur in every pod, so a small cache is enough.
@lru_cache(maxsize=4096)
def _decided(names: GpuNames, name: str) -> bool:
    if isinstance(classify(name), GpuResource):
        return False
    if names.classes(name):
        return True
    whole, beginnings, lengths = _tables(names)
    if name in whole:
        return whole[name]
    return next((beginnings[name[:length]] for length in lengths if name[:length] in beginnings), False)


@lru_cache(maxsize=4096)
def _of_another_vendor(names: GpuNames, name: str) -> bool:
    if classify(name) is not None or names.is_gpu(name) or names.configured(name):
        return False
    # NOT_GPUS lists exceptions with this prefix.
    named = "gpu" in name.partition("/")[2].lower() and not name.startswith(_EVALUATED)
    return named or any(fits(pattern, name) for pattern in OTHER_VENDORS)


@lru_cache(maxsize=16)
def _tables(names: GpuNames) -> tuple[dict[str, bool], dict[str, bool], list[int]]:
    """Full names and prefixes, each with whether it is a GPU, and the lengths of the prefixes, longest first."""
    whole: dict[str, bool] = {}
    beginnings: dict[str, bool] = {}
    for patterns, is_gpu in ((NOT_GPUS, False), (GPUS, True), (names.not_gpus, False), (names.gpus, True)):
        for pattern in patterns:
            if pattern.endswith(ANY_SUFFIX):
                beginnings[pattern.removesuffix(ANY_SUFFIX)] = is_gpu
            else:
                whole[pattern] = is_gpu
    return whole, beginnings, sorted({len(beginning) for beginning in beginnings}, reverse=True)


def fits(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern: a full name, or a prefix with ``*``."""
    return name.startswith(pattern.removesuffix(ANY_SUFFIX)) if pattern.endswith(ANY_SUFFIX) else name == pattern
