"""Measured memory of MIG slices: by GPU model and profile, with sources.

A slice has 1 to 11 % less memory than its name says, and profiles of one name differ between GPU models. Node labels
(``nvidia.com/mig-<profile>.memory``, or ``nvidia.com/gpu.memory`` under MIG strategy *single*) are more exact than this table.
"""

import re
from collections.abc import Sequence

import msgspec

_GUIDE = "NVIDIA MIG user guide, nvidia-smi mig -lgip"
_MANIFESTS = "NVIDIA/gpu-operator manifests, mig-mixed-node-labels.json"
_LISTING = "nvidia-smi mig -lgip of a node"


class Measured(msgspec.Struct, frozen=True):
    """What drivers report as the memory of profiles on GPU models.

    Attributes:
        gpu: the display name of the GPU.
        models: the models, a regular expression on the label ``nvidia.com/gpu.product`` without ``NVIDIA-`` and without the
            suffix of a form.
        profiles: MIG profiles of the same memory, without suffixes such as ``.me``, which change engines only.
        lowest, highest: MiB; it depends on the driver.
        source: the source of the numbers.
    """

    gpu: str
    models: str
    profiles: tuple[str, ...]
    lowest: int
    highest: int
    source: str

    def is_of(self, model: str) -> bool:
        """Return whether a model (``NVIDIA-A100-SXM4-40GB``; old drivers omit ``NVIDIA-``) is one of these."""
        return re.fullmatch(self.models, model.removeprefix("NVIDIA-")) is not None


_A30 = ("A30", "A30X?(-.*)?")
_A100_40 = ("A100 40GB", "A[18]00-.*40GB.*")
_A100_80 = ("A100 80GB", "A[18]00-.*80GB.*|A100X")
_H100_80 = ("H100 80GB", "H[18]00-.*80GB.*|H[18]00-PCIe")
_H100_94 = ("H100 94GB (NVL)", "H[18]00-NVL")
_H200 = ("H200", "H200(-NVL)?")
_RTX_PRO_6000 = ("RTX PRO 6000 Blackwell", "RTX-PRO-6000-Blackwell-.*")
_A30_MOCK = "go-nvml pkg/nvml/mock a30.go"
_NODES_AND_GUIDE = f"{_GUIDE}; labels of nodes"

MEASURED = (
    Measured(*_A30, ("1g.6gb",), 5836, 5836, _A30_MOCK),
    Measured(*_A30, ("2g.12gb",), 11672, 11672, _A30_MOCK),
    Measured(*_A30, ("4g.24gb",), 23344, 23344, _A30_MOCK),
    Measured(*_A100_40, ("1g.5gb",), 4864, 4864, f"{_GUIDE}; node labels in NVIDIA/gpu-operator#981"),
    Measured(*_A100_40, ("1g.10gb", "2g.10gb"), 9856, 9984, _NODES_AND_GUIDE),
    Measured(*_A100_40, ("3g.20gb", "4g.20gb"), 19968, 20096, _NODES_AND_GUIDE),
    Measured(*_A100_40, ("7g.40gb",), 40192, 40448, _NODES_AND_GUIDE),
    Measured(*_A100_80, ("1g.10gb",), 9728, 9984, _NODES_AND_GUIDE),
    Measured(*_A100_80, ("1g.20gb", "2g.20gb"), 19968, 20096, _NODES_AND_GUIDE),
    Measured(*_A100_80, ("3g.40gb", "4g.40gb"), 40192, 40448, _NODES_AND_GUIDE),
    Measured(*_A100_80, ("7g.80gb",), 80896, 80896, f"{_LISTING} with A100 80GB"),
    Measured(*_H100_80, ("1g.10gb",), 9984, 9984, _MANIFESTS),
    Measured(*_H100_80, ("1g.20gb", "2g.20gb"), 20096, 20096, _MANIFESTS),
    Measured(*_H100_80, ("3g.40gb", "4g.40gb"), 40320, 40448, _MANIFESTS),
    Measured(*_H100_80, ("7g.80gb",), 81152, 81152, f"{_LISTING} with H100 80GB"),
    Measured(
        *_H100_94, ("1g.12gb",), 10880, 11008, f"{_LISTING} with H100 NVL; node labels in NVIDIA/dcgm-exporter#397"
    ),
    Measured(*_H100_94, ("1g.24gb", "2g.24gb"), 22016, 22016, f"{_LISTING} with H100 NVL"),
    Measured(*_H100_94, ("3g.47gb", "4g.47gb"), 47232, 47232, f"{_LISTING} with H100 NVL"),
    Measured(*_H100_94, ("7g.94gb",), 94848, 94848, f"{_LISTING} with H100 NVL"),
    Measured(*_H200, ("1g.18gb",), 16384, 16384, f"{_LISTING} with H200"),
    Measured(*_H200, ("2g.35gb",), 33280, 33280, f"{_LISTING} with H200"),
    Measured(*_H200, ("7g.141gb",), 143360, 143360, f"{_LISTING} with H200"),
    # The lowest are those of vGPU guests.
    Measured(*_RTX_PRO_6000, ("1g.24gb",), 23675, 24192, _GUIDE),
    Measured(*_RTX_PRO_6000, ("2g.48gb",), 47616, 48512, _GUIDE),
    Measured(*_RTX_PRO_6000, ("4g.96gb",), 95621, 97280, _GUIDE),
)


def measured_memory(model: str, partition: str) -> Measured | None:
    """Return the measured memory of a MIG profile on a GPU model, or ``None`` if it is not measured.

    Args:
        model: the label ``nvidia.com/gpu.product`` without the suffix of a form.
        partition: a profile, with or without a suffix such as ``.me``.
    """
    profile = without_suffix(partition)
    return next((each for each in MEASURED if profile in each.profiles and each.is_of(model)), None)


def lowest_memory(partition: str, models: Sequence[str] = ()) -> int | None:
    """Return the lowest measured memory, in MiB, of a MIG profile on GPU models; ``None`` if one of them is not measured.

    Args:
        partition: a profile, with or without a suffix such as ``.me``.
        models: as in ``measured_memory``; none means every model on which the profile is measured.
    """
    if not models:
        measured = memory_range(without_suffix(partition))
        return measured[0] if measured else None
    found = [measured_memory(model, partition) for model in models]
    lowest = [each.lowest for each in found if each]
    return min(lowest) if len(lowest) == len(found) else None


def memory_range(profile: str) -> tuple[int, int] | None:
    """Return the lowest and the highest measured memory, in MiB, of a profile without suffix over all GPU models."""
    found = [each for each in MEASURED if profile in each.profiles]
    return (min(each.lowest for each in found), max(each.highest for each in found)) if found else None


def without_suffix(partition: str) -> str:
    """Return a profile without ``.me``, ``.me.all``, ``.gfx`` or ``-me``, which do not change the size of the slice."""
    return partition.partition("gb")[0] + "gb"


def suffix_of(partition: str) -> str:
    """Return what ``without_suffix`` removes."""
    return partition.removeprefix(without_suffix(partition))
