"""Forms: how a GPU is provided, and the policy values that name them."""

import re
from enum import StrEnum

import msgspec

from .mig_profiles import PROFILE


class Sharing(StrEnum):
    """Whether pods share a device, and how. ``ANY`` is any kind of sharing."""

    NONE = "none"
    ANY = "any"
    TIME_SLICING = "time-slicing"
    MPS = "mps"


class Platform(StrEnum):
    """The device plugin: NVIDIA's, or GKE's own."""

    DEVICE_PLUGIN = "device-plugin"
    GKE = "gke"


# https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus: clients per GPU
MINIMUM_CLIENTS, MAXIMUM_CLIENTS = 2, 48


class Form(msgspec.Struct, frozen=True, cache_hash=True):
    """A partition, a kind of sharing, a platform, and the client count of GKE's sharing.

    A request need not specify everything that a policy does: the client count may be ``None`` with a shared GKE form, and on
    GKE, the sharing may be ``ANY``.
    """

    partition: str | None = None
    sharing: Sharing = Sharing.NONE
    platform: Platform = Platform.DEVICE_PLUGIN
    clients: int | None = None

    @property
    def shared(self) -> bool:
        """Whether several pods use the device at a time."""
        return self.sharing is not Sharing.NONE

    @property
    def as_listed(self) -> "Form":
        """The form as policies list it: they do not name the kind of sharing of slices, of which the device plugin has one."""
        is_shared_slice = self.partition and self.shared and self.platform is Platform.DEVICE_PLUGIN
        return Form(self.partition, Sharing.ANY) if is_shared_slice else self

    def meet(self, other: "Form", *, across_platforms: bool = False) -> "Form | None":
        """The intersection of two forms: each aspect is the more specific of the two; ``None`` if they exclude each other.

        With ``across_platforms`` the platform and the client count are those of ``other``: the same form elsewhere. The
        device plugin has no MPS on MIG slices (k8s-device-plugin internal/plugin/mps.go), so GKE's have no counterpart there.
        """
        if self.partition != other.partition:
            return None
        sharing = meet_sharing(self.sharing, other.sharing)
        if sharing is None:
            return None
        if self.platform is not other.platform:
            mps_on_mig = self.partition and sharing is Sharing.MPS and other.platform is Platform.DEVICE_PLUGIN
            elsewhere = across_platforms and not mps_on_mig
            return Form(self.partition, sharing, other.platform, other.clients) if elsewhere else None
        if self.clients is not None and other.clients is not None and self.clients != other.clients:
            return None
        return Form(self.partition, sharing, self.platform, self.clients if other.clients is None else other.clients)

    def __str__(self) -> str:
        """The policy value that names the form; it is shorter if the client count is not set (``gke-mps``)."""
        gke = self.platform is Platform.GKE
        parts = ["gke"] if gke else []
        if self.partition:
            parts.append(f"mig-{self.partition}")
        if self.sharing is Sharing.NONE:
            parts += [] if self.partition else ["exclusive"]
        elif self.sharing is Sharing.ANY:
            parts.append("shared")
        elif gke and self.sharing is Sharing.TIME_SLICING:
            parts.append("time-sharing")
        else:
            parts.append(self.sharing.value)
        if self.clients is not None:
            parts.append(str(self.clients))
        return "-".join(parts)


def meet_sharing(one: Sharing, other: Sharing) -> Sharing | None:
    """The intersection of two kinds of sharing: a specific kind replaces ``ANY``; ``None`` if they exclude each other."""
    if one is other:
        return one
    if Sharing.NONE in (one, other):
        return None
    if one is Sharing.ANY:
        return other
    return one if other is Sharing.ANY else None


_FIXED = {
    "exclusive": Form(),
    "shared": Form(sharing=Sharing.ANY),
    "time-slicing": Form(sharing=Sharing.TIME_SLICING),
    "mps": Form(sharing=Sharing.MPS),
    "gke-exclusive": Form(platform=Platform.GKE),
}
_MIG = re.compile(rf"mig-(?P<partition>{PROFILE})(?P<shared>-shared)?")
_GKE = re.compile(
    rf"gke(?:-mig-(?P<partition>{PROFILE}))?(?:-(?P<sharing>time-sharing|mps)-(?P<clients>0|[1-9][0-9]{{0,5}}))?"
)


def parse(value: str) -> Form | None:
    """Return the form that a policy value names (``mig-1g.5gb-shared``, ``gke-mps-4``), or ``None`` if it names none."""
    if value in _FIXED:
        return _FIXED[value]
    if match := _MIG.fullmatch(value):
        return Form(match["partition"], Sharing.ANY if match["shared"] else Sharing.NONE)
    match = _GKE.fullmatch(value)
    if match is None or not (match["partition"] or match["sharing"]):
        return None
    if not match["sharing"]:
        return Form(match["partition"], Sharing.NONE, Platform.GKE)
    clients = int(match["clients"])
    if not MINIMUM_CLIENTS <= clients <= MAXIMUM_CLIENTS:
        return None
    sharing = Sharing.TIME_SLICING if match["sharing"] == "time-sharing" else Sharing.MPS
    return Form(match["partition"], sharing, Platform.GKE, clients)
