"""Findings: what can be wrong with a request; each rule has an id."""

from enum import StrEnum

import msgspec

LONGEST_WARNINGS = 3072
"""The maximum length of all warnings about a pod together, in characters. The API server truncates the warnings of a response
to 4096 characters, and other webhooks need some of these."""


class Severity(StrEnum):
    """The effect of a finding under the enforce policy."""

    DENY = "deny"
    WARN = "warn"


class Rule(msgspec.Struct, frozen=True, cache_hash=True):
    """A rule, declared beside the check that finds a violation; ``rules.RULES`` has all of them.

    Attributes:
        id: the id in metrics, reports and answers. It never changes.
        access: it is about GPUs without a request; the policy's ``visibleDevices`` sets the severity.
        fleet: it is about what nodes offer; the policy's ``notOffered`` sets the severity.
        final: it applies to the rewritten pod as well, so for a pod that is created it is reported only for the final pod.
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
    """One problem that a rule found.

    Attributes:
        path: the field path in Kubernetes' notation, from the pod's root (``spec.containers[0].resources.limits[…]``).
        reason: the container or field, the value and the fault: ``container "train": nvidia.com/gpu: 2 …``.
        detail: the cause and the fix.
    """

    rule: Rule
    severity: Severity
    path: str
    reason: str
    detail: str

    @property
    def message(self) -> str:
        """The complete message."""
        return f"{self.reason}; {self.detail}"

    @property
    def denies(self) -> bool:
        """Whether the finding denies the pod."""
        return self.severity is Severity.DENY
