"""DeviceClasses (DRA): which of them hand out GPUs, and in which form."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from .forms import Form, Sharing, parse
from .other_gpus import BUILT_IN, GpuNames
from .profiles import PROFILE
from .resources import GpuResource, classify

IMPLICIT = "deviceclass.resource.kubernetes.io/"
"""The resource name by which a pod requests devices of any class without a claim is this and the class (KEP-5004)."""
BY_PROFILE = "mig"
"""In place of a form: a MIG slice, whose profile the selectors of the request name."""

DEFAULTS = {"gpu.nvidia.com": "exclusive", "mig.nvidia.com": BY_PROFILE}
"""The classes of NVIDIA's driver (dra-driver-nvidia-gpu, deployments/helm templates/deviceclass-*.yaml). The ones for
passthrough (vfio.gpu.nvidia.com) have no form. Those for ComputeDomains are not GPUs (``other_gpus.NOT_GPUS``)."""

# A selector is read where it is nothing but equalities that must all hold. Any other expression may mean anything.
_VALUE = r"""(?:'[^'"\\]*'|"[^'"\\]*"|\w+)"""
_FIELD = r"""device\.(?:driver|allowMultipleAllocations|attributes\[(?:'[\w./-]+'|"[\w./-]+")\]\.\w+)"""
_EQUALITY = rf"{_FIELD}\s*==\s*{_VALUE}"
_EQUALITIES = re.compile(rf"\s*{_EQUALITY}(?:\s*&&\s*{_EQUALITY})*\s*")
_PARTS = re.compile(
    r"""device\.(?:(?P<field>\w+)|attributes\[['"](?P<domain>[\w./-]+)['"]\]\.(?P<name>\w+))\s*==\s*"""
    r"""(?:['"](?P<text>[^'"]*)['"]|(?P<word>\w+))"""
)
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


Attributes = Mapping[str, str | int | bool]
"""What a device is: ``driver``, ``allowMultipleAllocations``, and its attributes by qualified name (``gpu.nvidia.com/type``)."""


def admits(selectors: Iterable[str], device: Attributes) -> bool | None:
    """Return whether selectors admit a device; ``None`` where one can't be read here.

    Args:
        selectors: CEL expressions that must all hold.
        device: the device.
    """
    found = True
    for expression in selectors:
        if not _EQUALITIES.fullmatch(expression):
            return None
        for match in _PARTS.finditer(expression):
            value = device.get(match["field"] or f"{match['domain']}/{match['name']}")
            wanted = match["text"] if match["word"] is None else _word(match["word"])
            # In CEL, 1 is not true, and a comparison with another type is an error.
            found = found and type(value) is type(wanted) and value == wanted
    return found


def _word(word: str) -> int | bool | None:
    if word in {"true", "false"}:
        return word == "true"
    return int(word) if word.isdecimal() else None


def named_form(resource: str | None) -> str | None:
    """Return the form that a class hands out whose ``extendedResourceName`` this is; ``None`` where it is not a GPU's."""
    found = classify(resource or "")
    if not isinstance(found, GpuResource):
        return None
    return str(Form(found.partition, Sharing.ANY if found.shared else Sharing.NONE))


class DeviceClasses(msgspec.Struct, frozen=True):
    """The DeviceClasses that hand out GPUs.

    Attributes:
        forms: the form that each class hands out, or ``BY_PROFILE``; those of ``DEFAULTS`` where it says nothing else.
        names: which other classes hand out GPUs, by their implicit resource names.
        named: the form of each class whose resource name in the cluster says it (``named_form``), where nothing else does.
    """

    forms: Mapping[str, str] = {}
    names: GpuNames = BUILT_IN
    named: Mapping[str, str] = {}

    def form(self, device_class: str, profile: str | None) -> Form | None:
        """The form that a class hands out, given the profile that selectors name; ``None`` where that is not known."""
        value = self.forms.get(device_class) or DEFAULTS.get(device_class) or self.named.get(device_class, "")
        if value == BY_PROFILE:
            return Form(profile) if profile else None
        return parse(value)

    def hands_out_gpus(self, device_class: str) -> bool:
        """Whether a class hands out GPUs: one with a form, and any other that is not known to be something else."""
        known = any(device_class in where for where in (self.forms, DEFAULTS, self.named))
        return known or self.names.hand_out_gpus(IMPLICIT + device_class)


NVIDIA_CLASSES = DeviceClasses()
