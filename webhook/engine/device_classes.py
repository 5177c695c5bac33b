"""DeviceClasses (DRA): which of them provide GPUs, and in which form."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from .forms import Form, Sharing, parse
from .mig_profiles import PROFILE
from .other_gpus import BUILT_IN, NEVER_SENT, GpuNames, fits
from .resources import GpuResource, classify

IMPLICIT = "deviceclass.resource.kubernetes.io/"
"""The resource name by which a pod requests devices of any class without a claim is this and the class (KEP-5004)."""
BY_PROFILE = "mig"
"""Instead of a form: a MIG slice, whose profile is in the selectors of the request."""

DEFAULTS = {"gpu.nvidia.com": "exclusive", "mig.nvidia.com": BY_PROFILE}
"""The classes of NVIDIA's driver (dra-driver-nvidia-gpu, deployments/helm templates/deviceclass-*.yaml). The ones for
passthrough (vfio.gpu.nvidia.com) have no form. Those for ComputeDomains are not GPUs (``other_gpus.NOT_GPUS``)."""

# A selector is evaluated only if it is a conjunction of equalities. Other expressions are not evaluated.
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
    """Return the MIG profile of all devices that selectors admit; ``None`` if they do not name one or can't be evaluated.

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
    """Return whether selectors, CEL expressions, all admit a device; ``None`` if one of them can't be evaluated here."""
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
    """Return the form of a class with this ``extendedResourceName``; ``None`` if it is not a GPU resource."""
    found = classify(resource or "")
    if not isinstance(found, GpuResource):
        return None
    return str(Form(found.partition, Sharing.ANY if found.shared else Sharing.NONE))


class DeviceClasses(msgspec.Struct, frozen=True):
    """The DeviceClasses that provide GPUs.

    Attributes:
        forms: the form of each class, or ``BY_PROFILE``; ``DEFAULTS`` applies to other classes.
        names: which other classes provide GPUs, by their implicit resource names, and which resource names they publish.
        named: the forms of other classes, from their resource names in the cluster (``named_form``).
    """

    forms: Mapping[str, str] = {}
    names: GpuNames = BUILT_IN
    named: Mapping[str, str] = {}

    def form(self, device_class: str, profile: str | None) -> Form | None:
        """The form of a class, given the profile that selectors name; ``None`` if it is not known."""
        value = self.forms.get(device_class) or DEFAULTS.get(device_class) or self.named.get(device_class, "")
        if value == BY_PROFILE:
            return Form(profile) if profile else None
        return parse(value)

    def provides_gpus(self, device_class: str) -> bool:
        """Whether a class provides GPUs: a class with a form, or any other that is not known to be something else."""
        return self._has_form(device_class) or self.names.is_gpu(IMPLICIT + device_class)

    def of_resource(self, name: str) -> tuple[str, ...]:
        """The classes that provide GPUs by a resource name: the class with this implicit name, or all that publish it."""
        of_one = name.removeprefix(IMPLICIT)
        return (of_one,) if of_one != name else self.names.classes(name)

    def published(self, names: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return resource names that provide GPUs only because classes publish them, each with its classes.

        The scheduler uses the newest class of a name. All are kept, because another class may be the newest by then.

        Args:
            names: the ``extendedResourceName`` of each class that has one.
        """
        found: dict[str, list[str]] = {}
        for device_class, name in sorted(names.items()):
            if self._publishes(device_class, name):
                found.setdefault(name, []).append(device_class)
        return tuple((name, tuple(classes)) for name, classes in sorted(found.items()))

    def _publishes(self, device_class: str, name: str) -> bool:
        """Whether a class makes a resource name count as a GPU, if the configuration does not list the name.

        A class without a known form counts as one for GPUs unless its name says otherwise. There, the resource name may, too.
        """
        if isinstance(classify(name), GpuResource) or self.names.configured(name):
            return False
        if any(fits(pattern, name) for pattern in NEVER_SENT) or not self.provides_gpus(device_class):
            return False
        return self._has_form(device_class) or not self.names.is_something_else(name)

    def _has_form(self, device_class: str) -> bool:
        return any(device_class in where for where in (self.forms, DEFAULTS, self.named))


NVIDIA_CLASSES = DeviceClasses()
