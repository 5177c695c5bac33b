"""The three labels of a namespace that gpuwarden reads."""

from collections.abc import Mapping

import msgspec

from .text import cut

DOMAIN = "gpuwarden.io"
ENFORCE = f"{DOMAIN}/enforce"
WARN = f"{DOMAIN}/warn"
AUDIT = f"{DOMAIN}/audit"
NAMES = (ENFORCE, WARN, AUDIT)
"""All three."""

_LONGEST = 63  # apimachinery pkg/util/validation LabelValueMaxLength


class NamespaceLabels(msgspec.Struct, frozen=True, cache_hash=True):
    """The values of a namespace's labels, unparsed; ``None`` if a label is missing."""

    enforce: str | None = None
    warn: str | None = None
    audit: str | None = None

    @classmethod
    def of(cls, labels: Mapping[str, str] | None) -> "NamespaceLabels":
        """Select our labels from all labels of a namespace (``None`` is a namespace without labels).

        A value that is too long for a label is cut, with an ellipsis, so that it still names no policy.
        """
        if not labels:
            return UNLABELLED
        enforce, warn, audit = (value and cut(value, _LONGEST) for value in map(labels.get, NAMES))
        if enforce is warn is audit is None:
            return UNLABELLED
        return cls(enforce, warn, audit)


UNLABELLED = NamespaceLabels()
