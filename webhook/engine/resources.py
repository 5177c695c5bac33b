"""GPU resource names: which extended resources are GPUs, and which only look like one."""

import re
from difflib import get_close_matches
from functools import lru_cache

import msgspec

from webhook.engine.profiles import DOCUMENTED, PROFILE

GPU = "nvidia.com/gpu"
_PREFIX = "nvidia.com/"
_SHARED = ".shared"
_NAME = re.compile(rf"nvidia\.com/(?:gpu|mig-(?P<profile>{PROFILE}))(?P<shared>\.shared)?")


class GpuResource(msgspec.Struct, frozen=True):
    """A GPU resource name and what it says by itself."""

    name: str
    partition: str | None
    shared: bool


class Unknown(msgspec.Struct, frozen=True):
    """A name that looks like a GPU resource and is none; ``nearest`` is the real one that was probably meant."""

    name: str
    nearest: str


def resource_name(partition: str | None, *, shared: bool) -> str:
    """The extended resource that the NVIDIA device plugin advertises for a partition, renamed when ``shared``.

    k8s-device-plugin ``api/config/v1``: prefix ``nvidia.com/``, ``mig-<profile>`` under MIG strategy *mixed*, and the
    suffix ``.shared`` under ``renameByDefault``.
    """
    return f"{_PREFIX}{f'mig-{partition}' if partition else 'gpu'}{_SHARED if shared else ''}"


# Names repeat in every pod, so a bounded memory of the answers is all the cost there is.
@lru_cache(maxsize=4096)
def classify(name: str) -> GpuResource | Unknown | None:
    """What a resource name is: a GPU resource, one that looks like it, or (``None``) none of our business."""
    match = _NAME.fullmatch(name)
    if match:
        return GpuResource(name, match["profile"], match["shared"] is not None)
    if not name.lower().startswith(_PREFIX):
        return None
    nearest = _nearest(name[len(_PREFIX) :])
    return Unknown(name, nearest) if nearest else None


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_REAL = {
    _squashed(suffix): f"{_PREFIX}{suffix}"
    for suffix in ("gpu", "gpu.shared", *(f"mig-{p}{s}" for p in DOCUMENTED for s in ("", _SHARED)))
}


def _nearest(suffix: str) -> str | None:
    """The real name behind a misspelt one.

    Other projects own names that begin alike (HAMi's ``gpumem`` and ``gpucores``, nos' ``gpu-10gb``, Kata's ``pgpu``),
    so only names that differ by punctuation, case or about one letter count as misspelt.
    """
    squashed = _squashed(suffix)
    if squashed in _REAL:
        return _REAL[squashed]
    if squashed.startswith("gpu"):
        return next((_REAL[real] for real in ("gpu", "gpushared") if _one_letter_apart(squashed, real)), None)
    if re.match(r"mig[0-9]", squashed):
        return _REAL[get_close_matches(squashed, _REAL, n=1, cutoff=0.0)[0]]
    return None


def _one_letter_apart(a: str, b: str) -> bool:
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    return len(b) - len(a) == 1 and any(b[:i] + b[i + 1 :] == a for i in range(len(b)))
