"""The three labels of a namespace that gpuwarden reads, and nothing else of it."""

from collections.abc import Mapping

import msgspec

DOMAIN = "gpuwarden.io"
ENFORCE = f"{DOMAIN}/enforce"
WARN = f"{DOMAIN}/warn"
AUDIT = f"{DOMAIN}/audit"


class NamespaceLabels(msgspec.Struct, frozen=True, cache_hash=True):
    """What a namespace's labels say, unparsed; ``None`` where a label is missing."""

    enforce: str | None = None
    warn: str | None = None
    audit: str | None = None

    @classmethod
    def of(cls, labels: Mapping[str, str] | None) -> "NamespaceLabels":
        """Pick ours out of all labels of a namespace (``None`` is a namespace without labels)."""
        if not labels:
            return UNLABELLED
        enforce, warn, audit = labels.get(ENFORCE), labels.get(WARN), labels.get(AUDIT)
        if enforce is warn is audit is None:
            return UNLABELLED
        return cls(enforce, warn, audit)


UNLABELLED = NamespaceLabels()
