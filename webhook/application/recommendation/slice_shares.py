"""Shares of a GPU's compute that MIG slices have, by their multiprocessors."""

import re
from functools import lru_cache

from ...engine.fleet.node_shapes import Shape
from ...engine.forms import Form
from ...engine.gpu_models import sizes_of
from ...engine.mig_memory import without_suffix
from ...engine.mig_profiles import read_profile
from ...engine.products import PRODUCT, read_product
from ...engine.quantity import whole
from ...engine.resources import PREFIX

# Streaming multiprocessors (SMs) of models, of their slices of one to four parts (less than their part of the GPU, or more), and
# of those of one part with the memory of two (1g.20gb), which on an H100 other than PCIe have more SMs than one part.
# NVIDIA MIG user guide, tables of profiles ("SM" of nvidia-smi mig -lgip), and the same listing of H100 PCIe, H100 NVL and GH200
# nodes. H200: as the H100 and GH200, which are the same chip.
_MULTIPROCESSORS = (
    ("A[18]00-.*|A100X", 108, (14, 28, 42, 56), 14),
    ("H[18]00-(.*HBM3|NVL)|G?H200(-.*)?", 132, (16, 32, 60, 64), 26),
    ("H[18]00-PCIe", 114, (14, 30, 46, 62), 14),
)
# Those of further models, whose slices are known only from nodes: multiProcessorCount of CUDA's device properties.
_MULTIPROCESSORS_OF_GPUS = (("A30", 56), ("B200", 148), ("RTX-PRO-6000-Blackwell-.*", 188))
_USUAL_SLICES = 7  # compute slices of a GPU; a profile of the whole GPU has as many


def slices_of(model: str) -> int:
    """How many compute slices a GPU model has: 7, or 4 (NVIDIA MIG user guide, "Supported MIG Profiles")."""
    sizes = sizes_of(model)
    return max((read_profile(one).slices for one in sizes), default=_USUAL_SLICES) if sizes else _USUAL_SLICES


@lru_cache(maxsize=1024)
def share_of(profile: str, model: str) -> float:
    """The share of a GPU's compute that a MIG profile has: by multiprocessors if they are known, else by slices.

    For an unknown model with seven slices, it is the smallest share of any known model: no model has exact sevenths.
    """
    slices, every = read_profile(profile).slices, slices_of(model)
    has_memory_of_two = slices == 1 and without_suffix(f"2{profile[1:]}") in (sizes_of(model) or ())
    known = [each for each in _MULTIPROCESSORS if re.fullmatch(each[0], model)] or _MULTIPROCESSORS
    shares = (
        (with_memory_of_two if has_memory_of_two else parts[slices - 1]) / whole_gpu
        for _, whole_gpu, parts, with_memory_of_two in known
        if slices <= len(parts) and every == _USUAL_SLICES
    )
    return min(shares, default=slices / every)


def stated_share(form: Form, model: str, shape: Shape) -> float | None:
    """The share of a GPU's compute that a MIG form has by the labels of a node; ``None`` if it does not follow from them."""
    known = (*((names, whole_gpu) for names, whole_gpu, _, _ in _MULTIPROCESSORS), *_MULTIPROCESSORS_OF_GPUS)
    whole_gpu = next((number for names, number in known if re.fullmatch(names, model)), None)
    number = labelled(form, shape, "multiprocessors")
    if not (form.partition and whole_gpu and number) or number > whole_gpu:
        return None
    # The slice that is a whole GPU has fewer on an A100: 98.
    return number / whole_gpu if read_profile(form.partition).slices < slices_of(model) else None


def labelled(form: Form, shape: Shape, what: str) -> int | None:
    """What the labels of a node state about a slice: its ``memory`` in MiB, or its ``multiprocessors``.

    Under MIG strategy mixed each profile has its labels; under single, the GPU's labels are the slice's.
    """
    single = read_product(shape.labels.get(PRODUCT, "")).partition
    return whole(shape.labels.get(f"{PREFIX}{'gpu' if single else f'mig-{form.partition}'}.{what}"))
