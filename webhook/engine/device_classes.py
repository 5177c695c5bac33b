"""DeviceClasses (DRA): which of them hand out GPUs, and in which form."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from webhook.engine.forms import Form, parse
from webhook.engine.gpu_names import BUILT_IN, GpuNames
from webhook.engine.profiles import PROFILE

IMPLICIT = "deviceclass.resource.kubernetes.io/"
"""The resource name by which a pod requests devices of any class without a claim is this and the class (KEP-5004)."""
BY_PROFILE = "mig"
"""In place of a form: a MIG slice, whose profile the selectors of the request name."""

DEFAULTS = {"gpu.nvidia.com": "exclusive", "mig.nvidia.com": BY_PROFILE}
"""The classes of NVIDIA's driver (dra-driver-nvidia-gpu, deployments/helm templates/deviceclass-*.yaml). The ones for
passthrough (vfio.gpu.nvidia.com) have no form. Those for ComputeDomains are not GPUs (``gpu_names.NOT_GPUS``)."""

# A selector is read where it is nothing but equalities that must all hold. Any other expression may mean anything.
_EQUALITY = r"""device\.(?:driver|attributes\[(?:'[\w./-]+'|"[\w./-]+")\]\.\w+)\s*==\s*(?:'[^'"\\]*'|"[^'"\\]*"|\w+)"""
_EQUALITIES = re.compile(rf"\s*{_EQUALITY}(?:\s*&&\s*{_EQUALITY})*\s*")
_DOT = r"\."
_PROFILE = re.compile(
    rf"""device\.attributes\[['"]gpu\.nvidia\.com['"]\]\.profile\s*==\s*['"](?P<profile>{PROFILE.replace(_DOT, "[.+]")})['"]"""
)


def mig_profile(selectors: Iterable[str]) -> str | None:
    """Return the MIG profile of every device that selectors admit; ``None`` where they leave it open or can't be read.

    Args:
        selectors: CEL expressions that must all hold. NVIDIA's driver sets the attribute ``profile`` of MIG devices, as in
            ``1g.10gb+me``.
    """
    for expression in selectors:
        if _EQUALITIES.fullmatch(expression) and (match := _PROFILE.search(expression)):
            return match["profile"].replace("+", ".")
    return None


class DeviceClasses(msgspec.Struct, frozen=True):
    """Which DeviceClasses hand out GPUs.

    Attributes:
        forms: the form that each class hands out, or ``BY_PROFILE``; those of ``DEFAULTS`` where it says nothing else.
        names: which other classes hand out GPUs, by their implicit resource names.
    """

    forms: Mapping[str, str] = {}
    names: GpuNames = BUILT_IN

    def form(self, device_class: str, profile: str | None) -> Form | None:
        """The form that a class hands out, given the profile that selectors name; ``None`` where that is not known."""
        value = self.forms.get(device_class) or DEFAULTS.get(device_class, "")
        if value == BY_PROFILE:
            return Form(profile) if profile else None
        return parse(value)

    def hands_out_gpus(self, device_class: str) -> bool:
        """Whether a class hands out GPUs: one with a form, and any other that is not known to be something else."""
        known = device_class in self.forms or device_class in DEFAULTS
        return known or self.names.hand_out_gpus(IMPLICIT + device_class)


NVIDIA_CLASSES = DeviceClasses()
