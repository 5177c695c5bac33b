"""MIG profiles: their syntax, those that NVIDIA documents, and the size of their slices."""

import re
from functools import lru_cache

import msgspec

from .mig_memory import memory_range

# NVIDIA MIG user guide, "Profile References" and the tables of profiles.
SUFFIXES = {
    ".me": "with video engines that most slices lack (NVDEC, JPEG, OFA). One slice of a GPU can have them.",
    ".me.all": "with all video engines of the GPU. One slice of a GPU can have them.",
    ".gfx": "with graphics (OpenGL, Vulkan).",
    "-me": "without video engines.",
}
"""What the suffix of a profile changes."""

# go-nvlib mig_profile.go as the device plugin spells it in resource names: "+me" becomes ".me", "-me" stays. In reverse order,
# a longer suffix comes before one that it begins with.
_SUFFIX = "|".join(sorted(SUFFIXES, reverse=True)).replace(".", r"\.")
PROFILE = rf"[1-9][0-9]?g\.[1-9][0-9]{{0,3}}gb(?:{_SUFFIX})?"
_PARTS = re.compile(r"(?P<slices>[0-9]+)g\.(?P<gigabytes>[0-9]+)gb(?P<suffix>.*)")

# NVIDIA MIG user guide, "Supported MIG Profiles", and mig-parted config-default.yaml. A profile missing here is still
# valid: new GPUs bring new ones.
DOCUMENTED = (
    "1g.5gb", "1g.5gb.me", "1g.6gb", "1g.6gb.me", "1g.10gb", "1g.10gb.me", "1g.12gb", "1g.12gb.me", "1g.16gb",
    "1g.18gb", "1g.18gb.me", "1g.20gb", "1g.23gb", "1g.23gb.me", "1g.24gb", "1g.24gb.me", "1g.24gb.gfx",
    "1g.24gb.me.all", "1g.24gb-me", "1g.34gb", "1g.34gb.me", "1g.35gb", "1g.35gb.me", "1g.36gb", "1g.45gb", "1g.47gb",
    "1g.67gb", "1g.70gb",
    "2g.10gb", "2g.12gb", "2g.12gb.me", "2g.20gb", "2g.24gb", "2g.32gb", "2g.35gb", "2g.36gb", "2g.45gb", "2g.47gb",
    "2g.48gb", "2g.48gb.gfx", "2g.48gb.me.all", "2g.48gb-me", "2g.67gb", "2g.70gb",
    "3g.20gb", "3g.40gb", "3g.47gb", "3g.48gb", "3g.71gb", "3g.72gb", "3g.90gb", "3g.93gb", "3g.95gb", "3g.135gb",
    "3g.139gb",
    "4g.20gb", "4g.24gb", "4g.40gb", "4g.47gb", "4g.48gb", "4g.71gb", "4g.72gb", "4g.90gb", "4g.93gb", "4g.95gb",
    "4g.96gb", "4g.96gb.gfx", "4g.135gb", "4g.139gb",
    "7g.40gb", "7g.80gb", "7g.94gb", "7g.96gb", "7g.141gb", "7g.144gb", "7g.180gb", "7g.186gb", "7g.189gb",
    "7g.269gb", "7g.278gb",
)  # fmt: skip

# Used without measurements: the share of the nominal size that all measured slices have, with some tolerance.
_LEAST_SHARE, _LARGEST_SHARE = 0.885, 0.985


class Profile(msgspec.Struct, frozen=True):
    """A parsed profile.

    Attributes:
        slices: GPU instance slices; every advertised profile has as many compute instance slices.
        gigabytes: the nominal size.
        suffix: ``.me``, ``.me.all``, ``.gfx`` or ``-me``: the same slice with other engines; empty for most.
    """

    slices: int
    gigabytes: int
    suffix: str

    @property
    def memory(self) -> tuple[int, int]:
        """The minimum and maximum memory of a slice of this profile in MiB: measured, or estimated."""
        nominal = self.gigabytes * 1024
        estimate = int(nominal * _LEAST_SHARE), int(nominal * _LARGEST_SHARE)
        return memory_range(f"{self.slices}g.{self.gigabytes}gb") or estimate


def is_profile(text: str) -> bool:
    """Return whether a text is a valid profile, in the way that resource names spell it."""
    return re.fullmatch(PROFILE, text) is not None


def read_profile(text: str) -> Profile:
    """Parse a valid profile."""
    match = _PARTS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a MIG profile; write one such as 1g.5gb")
    return Profile(int(match["slices"]), int(match["gigabytes"]), match["suffix"])


@lru_cache(maxsize=1024)
def memory_bounds(text: str) -> tuple[int | None, int | None]:
    """Return bounds, in MiB, between which the memory of a slice of a profile lies, but not that of a slice of another profile.

    The bounds are midway to the next smaller and larger documented profiles with the same number of slices; ``None`` if there
    is none. Profiles of different GPUs that overlap in memory (1g.23gb and 1g.24gb) can't be distinguished by it.
    """
    profile = read_profile(text)
    least, most = profile.memory
    others = [other.memory for other in map(read_profile, DOCUMENTED) if other.slices == profile.slices]
    below = max((high for _, high in others if high < least), default=None)
    above = min((low for low, _ in others if low > most), default=None)
    return (
        None if below is None else (below + least) // 2,
        None if above is None else (most + above) // 2,
    )
