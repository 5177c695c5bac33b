"""ResourceQuotas in a namespace with a policy: whether they count the resources that its pods request after the rewrite.

Pods are charged after all webhooks, by ``requests.<name>`` (pkg/quota/v1/evaluator/core/pods.go).
"""

from collections.abc import Iterable

import msgspec

from ..engine.policy import Policy
from ..engine.resources import GpuResource, classify
from ..engine.spelling import DevicePlugin, spell
from .limit_ranges import ObjectMetadata, listed

PREFIX = "requests."
"""The only prefix that quotas of extended resources have."""


class QuotaAmounts(msgspec.Struct):
    """The spec of a ResourceQuota, or its status, which has ``used`` too."""

    hard: dict[str, str | int] | None = None
    used: dict[str, str | int] | None = None


class Quota(msgspec.Struct):
    """A ResourceQuota."""

    metadata: ObjectMetadata
    spec: QuotaAmounts = msgspec.field(default_factory=QuotaAmounts)
    status: QuotaAmounts = msgspec.field(default_factory=QuotaAmounts)

    @property
    def limited(self) -> set[str]:
        """The GPU resources that it limits."""
        keys = (key.removeprefix(PREFIX) for key in self.spec.hard or {} if key.startswith(PREFIX))
        return {key for key in keys if is_gpu(key)}


class Gap(msgspec.Struct, frozen=True):
    """Quotas on GPUs that do not limit all pods of a policy; the attributes are lists of names for messages.

    Attributes:
        limited: the resources that they limit.
        requested: those that pods of the policy request.
        lacking: those of ``requested`` that no quota limits.
        keys: the keys to add.
    """

    limited: str
    requested: str
    lacking: str
    keys: str


def is_gpu(name: str) -> bool:
    """Whether a resource is a GPU."""
    return isinstance(classify(name), GpuResource)


def gap(quotas: Iterable[Quota], policy: Policy, plugin: DevicePlugin) -> Gap | None:
    """Return what the quotas of one namespace leave unlimited under its policy; ``None`` if they limit no GPU, or all."""
    limited = {name for one in quotas for name in one.limited}
    requested = {spell(form, plugin).resource for form in policy.forms}
    lacking = requested - limited
    if not limited or not lacking:
        return None
    return Gap(*map(listed, (limited, requested, lacking, (f"{PREFIX}{name}" for name in lacking))))
