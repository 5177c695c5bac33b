"""GPU resource names: which extended resources are GPUs, and which only look like one."""

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import final

import msgspec

from webhook.engine.profiles import DOCUMENTED, PROFILE

GPU = "nvidia.com/gpu"
PREFIX = "nvidia.com/"
_SHARED = ".shared"
MOST_NEAREST = 10
"""Misspelt names of one pod whose nearest real name is looked up: each lookup is costly."""
# The name of a label has at most 63 characters, and so has that of a resource; the API server refuses longer ones.
_LONGEST = len(PREFIX) + 63
_NAME = re.compile(rf"nvidia\.com/(?:gpu|mig-(?P<profile>{PROFILE}))(?P<shared>\.shared)?")


class GpuResource(msgspec.Struct, frozen=True, cache_hash=True):
    """A GPU resource name and what it says by itself."""

    name: str
    partition: str | None
    shared: bool


@final
class Unknown(msgspec.Struct, frozen=True):
    """A name that looks like a misspelt GPU resource."""

    name: str

    @property
    def nearest(self) -> str:
        """The real name that was probably meant."""
        squashed = _squashed(self.name[len(PREFIX) :])
        return _alike(squashed) or _REAL[get_close_matches(squashed, _REAL, n=1, cutoff=0.0)[0]]


def resource_name(partition: str | None, *, shared: bool) -> str:
    """The extended resource that the NVIDIA device plugin advertises for a partition, renamed when ``shared``.

    k8s-device-plugin ``api/config/v1``: prefix ``nvidia.com/``, ``mig-<profile>`` under MIG strategy *mixed*, and the
    suffix ``.shared`` under ``renameByDefault``.
    """
    return f"{PREFIX}{f'mig-{partition}' if partition else 'gpu'}{_SHARED if shared else ''}"


def classify(name: str) -> GpuResource | Unknown | None:
    """What a resource name is: a GPU resource, one that looks like it, or (``None``) none of our business."""
    return _classify(name) if len(name) <= _LONGEST else None


# Names repeat in every pod, so a bounded memory of the answers is all the cost there is.
@lru_cache(maxsize=4096)
def _classify(name: str) -> GpuResource | Unknown | None:
    match = _NAME.fullmatch(name)
    if match:
        return GpuResource(name, match["profile"], match["shared"] is not None)
    if not name.lower().startswith(PREFIX):
        return None
    squashed = _squashed(name[len(PREFIX) :])
    return Unknown(name) if _alike(squashed) or re.match(r"mig[0-9]", squashed) else None


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_REAL = {
    _squashed(suffix): f"{PREFIX}{suffix}"
    for suffix in ("gpu", "gpu.shared", *(f"mig-{p}{s}" for p in DOCUMENTED for s in ("", _SHARED)))
}


def _alike(squashed: str) -> str | None:
    """The real name that a squashed one differs from by punctuation and case, or by about one letter of ``gpu…``.

    Other projects own names that begin alike (HAMi's ``gpumem`` and ``gpucores``, nos' ``gpu-10gb``, Kata's ``pgpu``).
    """
    if squashed in _REAL:
        return _REAL[squashed]
    if not squashed.startswith("gpu"):
        return None
    return next((_REAL[real] for real in ("gpu", "gpushared") if _one_letter_apart(squashed, real)), None)


def _one_letter_apart(a: str, b: str) -> bool:
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    return len(b) - len(a) == 1 and any(b[:i] + b[i + 1 :] == a for i in range(len(b)))
