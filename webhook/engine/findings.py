"""Findings: the things that can be wrong with a request, each rule by its id."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """The effect of a finding under the enforce policy."""

    DENY = "deny"
    WARN = "warn"


class Rule(msgspec.Struct, frozen=True, cache_hash=True):
    """A rule, declared beside the check that finds a violation; ``rules.RULES`` has all of them.

    Attributes:
        id: in metrics, reports and answers. It never changes.
        access: it is about reaching GPUs without a request, and the policy's ``visibleDevices`` says what a finding does.
        fleet: it is about what nodes offer, and the policy's ``notOffered`` says what a finding does.
        final: the pod has it as much when it is rewritten, so of a pod that is created it is reported when the pod is final.
    """

    id: str
    severity: Severity
    title: str
    help: str
    access: bool = False
    fleet: bool = False
    final: bool = False

    def found(self, path: str, reason: str, detail: str) -> "Finding":
        """A finding of this rule."""
        return Finding(self, self.severity, path, reason, detail)

    def found_as(self, severity: Severity, path: str, reason: str, detail: str) -> "Finding":
        """A finding whose severity the policy sets."""
        return Finding(self, severity, path, reason, detail)


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong.

    Attributes:
        path: the field, as Kubernetes writes paths, from the pod's root (``spec.containers[0].resources.limits[…]``).
        reason: the container or field, the value and the fault: ``container "train": nvidia.com/gpu: 2 …``.
        detail: why it is wrong and what to do.
    """

    rule: Rule
    severity: Severity
    path: str
    reason: str
    detail: str

    @property
    def message(self) -> str:
        """The whole sentence."""
        return f"{self.reason}; {self.detail}"

    @property
    def denies(self) -> bool:
        """Whether the finding denies the pod."""
        return self.severity is Severity.DENY
