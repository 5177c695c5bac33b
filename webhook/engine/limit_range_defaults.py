"""Defaults of LimitRanges: which GPU resources they added to containers, as Kubernetes' plugin LimitRanger records it on the pod.

The plugin (plugin/pkg/admission/limitranger/admission.go) runs before the mutating webhooks, and again before they are
called again. It gives every container, sidecars and init containers too, each resource of the LimitRange's ``default`` and
``defaultRequest`` that the container does not name. A ``max`` without a ``default`` is used as one
(pkg/apis/core/v1/defaults.go). So it adds ``nvidia.com/gpu`` again to a container whose request was renamed.

Anyone can write the annotation. A user who forges it only has a request of their own pod removed: every rule still checks the
rest.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from .edits import DropResource
from .requests import Amount, GpuContainer

ANNOTATION = "kubernetes.io/limit-ranger"
_LONGEST = 256 * 1024  # apimachinery pkg/api/validation TotalAnnotationSizeLimitB: all annotations of an object
_PREFIX = "LimitRanger plugin set: "
_ENTRY = re.compile(r"(?P<names>\S+(?:, \S+)*) (?P<section>limit|request) for (?:init )?container (?P<container>\S+)")


class Additions(msgspec.Struct, frozen=True):
    """The entries of the annotation: container, ``limit`` or ``request``, and resource."""

    entries: frozenset[tuple[str, str, str]] = frozenset()

    def include(self, gpu_container: GpuContainer, amount: Amount) -> bool:
        """Whether LimitRanger set all occurrences of an amount, so that the pod's author did not request it."""
        return all(self._has(gpu_container, section, amount) for section in amount.sections)

    def touch(self, gpu_container: GpuContainer, amount: Amount) -> bool:
        """Whether LimitRanger set an amount in limits or in requests."""
        return any(self._has(gpu_container, section, amount) for section in amount.sections)

    def _has(self, gpu_container: GpuContainer, section: str, amount: Amount) -> bool:
        return (gpu_container.container.name, section[:-1], amount.resource.name) in self.entries


def additions_in(text: str) -> Additions:
    """Return the additions of the last LimitRange that changed a pod, from the annotation, which LimitRanger overwrites."""
    if not text.startswith(_PREFIX) or len(text) > _LONGEST:
        return Additions()
    entries = filter(None, map(_ENTRY.fullmatch, text[len(_PREFIX) :].split("; ")))
    return Additions(
        frozenset(
            (entry["container"], entry["section"], name) for entry in entries for name in entry["names"].split(", ")
        )
    )


class LimitRangeDefault(msgspec.Struct, frozen=True):
    """An amount that LimitRanger added to a container that has its own request.

    Attributes:
        gpu_container: the container with its own request alone.
        amount: what is removed.
    """

    gpu_container: GpuContainer
    amount: Amount

    @property
    def edit(self) -> DropResource:
        """The edit that removes it."""
        return DropResource(self.gpu_container.place, self.amount.resource.name, self.amount.sections)


def without_defaults(
    added: Additions, gpu_containers: Sequence[GpuContainer]
) -> tuple[list[GpuContainer], list[LimitRangeDefault]]:
    """Remove what LimitRanger added to requests.

    This is possible only if all but one of a container's GPU resources were added. If LimitRanger added the only one, or all of
    them, the LimitRange's default is the container's request, as the author of the LimitRange intended.
    """
    kept: list[GpuContainer] = []
    dropped: list[LimitRangeDefault] = []
    for gpu_container in gpu_containers:
        own = (
            [amount for amount in gpu_container.amounts if not added.include(gpu_container, amount)]
            if len(gpu_container.amounts) > 1
            else []
        )
        alone = replace(gpu_container, amounts=(own[0],)) if len(own) == 1 else gpu_container
        kept.append(alone)
        dropped += [LimitRangeDefault(alone, amount) for amount in gpu_container.amounts if amount not in alone.amounts]
    return kept, dropped
