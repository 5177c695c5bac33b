"""GPU resource names: which extended resources are GPUs, and which only look like GPUs."""

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import final

import msgspec

from .mig_profiles import DOCUMENTED, PROFILE, SUFFIXES

GPU = "nvidia.com/gpu"
PREFIX = "nvidia.com/"
_DOMAIN = "nvidia.com"
_SHARED = ".shared"
# On the scale of difflib: nvidia and nvidia.org are 0.8 and 0.78 like nvidia.com, intel.com 0.47, amd.com 0.53.
_DOMAIN_ALIKE = 0.75
_FORMER = "alpha.kubernetes.io"  # alpha.kubernetes.io/nvidia-gpu, until Kubernetes 1.10
_OURS = frozenset({_DOMAIN, _FORMER, ""})
# mig1g.5gb, mig, mig-g.5gb, mgi-1g.5gb, 1g.5gb; not KubeVirt's NVIDIA_A100-1-5C, nor nos' gpu-10gb.
_ENDINGS = "|".join(sorted({*re.findall("[a-z]+", "".join(SUFFIXES)), "shared"}))
_PROFILE_ALIKE = re.compile(rf"mig(?:$|.*[0-9])|[a-z]{{0,5}}[0-9]{{1,2}}g[0-9]{{1,4}}g?b?(?:{_ENDINGS})*$")
MOST_NEAREST = 10
"""The maximum number of misspelt names of a pod for which a similar name is looked up: each lookup is expensive."""
# The name of a label has at most 63 characters, and so has that of a resource; the API server rejects longer ones.
_LONGEST = len(PREFIX) + 63
_NAME = re.compile(rf"nvidia\.com/(?:gpu|mig-(?P<profile>{PROFILE}))(?P<shared>\.shared)?")


class GpuResource(msgspec.Struct, frozen=True, cache_hash=True):
    """A GPU resource name and its meaning."""

    name: str
    partition: str | None
    shared: bool


@final
class Unknown(msgspec.Struct, frozen=True):
    """A name that looks like a misspelt GPU resource."""

    name: str

    @property
    def nearest(self) -> str:
        """The name that was probably meant."""
        squashed = _split(self.name)[1]
        return _alike(squashed) or _REAL[_closest(squashed)]


def _closest(squashed: str) -> str:
    """The most similar squashed name: like ``difflib.get_close_matches``, but much faster.

    The upper bounds of a ratio are cheap, and exclude most names.
    """
    matcher = SequenceMatcher(None, "", squashed)
    best = -1.0, ""
    for name in _REAL:
        matcher.set_seq1(name)
        if matcher.real_quick_ratio() >= best[0] and matcher.quick_ratio() >= best[0]:
            best = max(best, (matcher.ratio(), name))
    return best[1]


def resource_name(partition: str | None, *, shared: bool) -> str:
    """The extended resource that the NVIDIA device plugin advertises for a partition, renamed when ``shared``.

    k8s-device-plugin ``api/config/v1``: prefix ``nvidia.com/``, ``mig-<profile>`` under MIG strategy *mixed*, and the
    suffix ``.shared`` under ``renameByDefault``.
    """
    return f"{PREFIX}{f'mig-{partition}' if partition else 'gpu'}{_SHARED if shared else ''}"


def classify(name: str) -> GpuResource | Unknown | None:
    """Classify a resource name: a GPU resource, one that looks like it, or (``None``) not relevant here."""
    return _classify(name) if len(name) <= _LONGEST else None


# The same names occur in every pod, so a small cache is enough.
@lru_cache(maxsize=4096)
def _classify(name: str) -> GpuResource | Unknown | None:
    match = _NAME.fullmatch(name)
    if match:
        return GpuResource(name, match["profile"], match["shared"] is not None)
    domain, squashed = _split(name)
    is_alike = bool(_alike(squashed) or _PROFILE_ALIKE.match(squashed))
    return Unknown(name) if is_alike and (domain in _OURS or _is_near(domain)) else None


def _split(name: str) -> tuple[str, str]:
    """The domain of a name in lower case, and the rest of it squashed; ``gpu`` and ``nvidia.com.gpu`` have no domain."""
    domain, slash, rest = name.lower().partition("/")
    if not slash:
        domain, rest = "", domain
    squashed = _squashed(rest)
    if domain in {"", _FORMER}:
        squashed = squashed.removeprefix("nvidia").removeprefix("com")
    return domain, squashed


def _is_near(domain: str) -> bool:
    """Whether a domain looks like a mistyped form of NVIDIA's: ``nvida.com``, ``nvidia.co``, ``nvidia``, ``gpu.nvidia.com``.

    The keys of a ResourceQuota begin with ``requests.`` or ``limits.``, and are no resources.
    """
    if domain.endswith(f".{_DOMAIN}"):
        return not domain.startswith(("requests.", "limits."))
    squashed = _squashed(domain)
    # A much longer domain is not similar.
    return len(squashed) <= 2 * len(_DOMAIN) and SequenceMatcher(None, squashed, "nvidiacom").ratio() >= _DOMAIN_ALIKE


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_DOCUMENTED_NAMES = [resource_name(p, shared=s) for p in (None, *DOCUMENTED) for s in (False, True)]
_REAL = {_squashed(name.removeprefix(PREFIX)): name for name in _DOCUMENTED_NAMES}
KNOWN = {name: resource for name in _DOCUMENTED_NAMES if isinstance(resource := classify(name), GpuResource)}
"""The results of ``classify`` for the names in NVIDIA's documentation, which nearly all GPU requests use."""


def _alike(squashed: str) -> str | None:
    """The name from which a squashed one differs only by punctuation and case, or by about one letter of ``gpu…``.

    Other projects have names with the same prefix (HAMi's ``gpumem`` and ``gpucores``, nos' ``gpu-10gb``, Kata's ``pgpu``).
    """
    if squashed in _REAL:
        return _REAL[squashed]
    if sorted(squashed) == ["g", "p", "u"]:  # gup, pgu
        return GPU
    if not squashed.startswith("gpu"):
        return None
    return next((_REAL[real] for real in ("gpu", "gpushared") if _one_letter_apart(squashed, real)), None)


def _one_letter_apart(a: str, b: str) -> bool:
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    return len(b) - len(a) == 1 and any(b[:i] + b[i + 1 :] == a for i in range(len(b)))
