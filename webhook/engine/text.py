"""Text from elsewhere: how long a name may be, and how much of a longer text is quoted."""

from typing import Annotated

import msgspec

LONGEST_NAME = 253 + 1 + 63
"""Characters of a name: no name, key or label value that Kubernetes accepts is longer than a label's key, which has a domain of
253 characters, a slash and a name of 63 (apimachinery pkg/util/validation)."""

Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
"""A name as it is decoded. A longer one is an error that names the field, so it reaches no cache, message or log line. Keys of
mappings are plain texts, whose decoded forms msgspec shares; callers that keep or quote one bound it."""


def cut(text: str, most: int) -> str:
    """The text, or its first ``most`` characters and an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"
