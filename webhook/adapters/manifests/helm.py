"""Distinguishes Helm templates, which must be rendered first, from manifests that contain templates as data."""

import re
from collections.abc import Iterator
from typing import Any

from .tree.nodes import BLOCK_SCALARS, Mapping, Node, Scalar, walk

OPENING = "{{"
RENDER_FIRST = (
    "this is a Helm template ({{{{ on line {line}): render it first, with: helm template <chart> | gpuwarden check -; if a "
    "folder is searched, leave it out with --exclude"
)

# Objects and functions that only Helm has; alert rules, secret operators and Argo have templates of their own.
_HELM = re.compile(
    r"\{\{[^}]*(?:\.(?:Values|Release|Chart|Capabilities|Files|Template|Subcharts)\b|\b(?:include|template|tpl|toYaml|nindent)\s)"
)
_BLOCK = re.compile(r"(?:^|[\s:-])[|>][-+0-9]*\s*(?:#.*)?\r?$")
_BEFORE_QUOTES = re.compile(r"""[^'"#]*\{\{""")
_DATA = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}


def broken_template_line(text: str) -> int | None:
    """Return the line, from 1, that shows that a text that could not be parsed is a template; ``None`` if none does.

    Block scalars and quoted text are data, so a ConfigMap of Go templates with an error elsewhere is not a template, unless the
    quoted text uses something that only Helm has.
    """
    for number, line in _outside_blocks(text):
        if OPENING in line and (_BEFORE_QUOTES.match(line) or _HELM.search(line)):
            return number
    return None


def template_line(root: Node, data: Any) -> int | None:
    """Return the line, from 1, that shows that a parsed document is a template; ``None`` for a manifest.

    It is a template if its kind or name contains braces, which Kubernetes does not accept there, or if a key or a value outside
    block scalars uses Helm's own objects. The data of a ConfigMap or a Secret is ignored.
    """
    if not isinstance(root, Mapping) or not isinstance(data, dict):
        return None
    identity = _identity(data)
    skipped = _DATA.get(str(data.get("kind")), ())
    for key, value in root.entries:
        if isinstance(key, Scalar) and key.text in skipped:
            continue
        for scalar in (key, *walk(value)):
            if not isinstance(scalar, Scalar) or scalar.quote in BLOCK_SCALARS:
                continue
            if OPENING in scalar.text and (scalar.text in identity or _HELM.search(scalar.text)):
                return scalar.line
    return None


def _identity(data: dict[str, Any]) -> set[Any]:
    metadata = data.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    values = [
        data.get("apiVersion"),
        data.get("kind"),
        *(named.get(key) for key in ("name", "generateName", "namespace")),
    ]
    return {value for value in values if isinstance(value, str)}


def _outside_blocks(text: str) -> Iterator[tuple[int, str]]:
    block: int | None = None  # the indentation of the line that opened a block scalar
    for number, line in enumerate(text.split("\n"), 1):
        indentation = len(line) - len(line.lstrip(" "))
        if block is not None and (not line.strip() or indentation > block):
            continue
        block = None
        if line.lstrip().startswith("#"):
            continue
        yield number, line
        if _BLOCK.search(line):
            block = indentation
