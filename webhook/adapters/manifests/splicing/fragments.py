"""Writes new values as YAML, by ruamel.yaml, in a given style."""

import io
import re
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

from ..tree.scalars import plain
from .style import Style

_SIMPLE = re.compile(r"[A-Za-z0-9_/](?:[\w./@%+=~-]|:(?=\S)| (?=\w))*", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff]*")
_NEVER_FOLD = 1 << 30


def block(value: Any, style: Style) -> str:
    """A map or a list that is not empty, as lines without indentation and without a break after the last."""
    return _dump(value, style, flow=False)


def item(value: Any, style: Style) -> str:
    """One item of a block list, with its dash, as lines without indentation."""
    lines = _dump([value], style, flow=False).split("\n")
    return "\n".join(line[style.offset :] for line in lines)


def flow(value: Any, style: Style) -> str:
    """Any value on one line, valid within brackets too."""
    return _dump([value], style, flow=True)[1:-1]


def flow_entry(name: str, value: Any, style: Style) -> str:
    """An entry of a map in braces, on one line."""
    return _dump({name: value}, style, flow=True)[1:-1]


def key(text: str, quote: str) -> str:
    """A key, without its colon, in the quotes given, or in none if it needs none."""
    return flow(text, Style(quote=quote or '"', quote_values=bool(quote)))


def _dump(value: Any, style: Style, *, flow: bool) -> str:
    writer = YAML()
    writer.indent(mapping=style.step, sequence=style.offset + style.dash, offset=style.offset)
    writer.width = _NEVER_FOLD
    writer.brace_single_entry_mapping_in_flow_sequence = True
    stream = io.StringIO()
    writer.dump(_styled(value, style, flow=flow), stream)
    return stream.getvalue().removesuffix("\n")


def _styled(value: Any, style: Style, *, flow: bool) -> Any:
    """The value with ruamel's marks for quotes and brackets."""
    if isinstance(value, dict):
        mapping = CommentedMap()
        for name, member in value.items():
            mapping[_text(name, style, always=style.quote_keys)] = _styled(member, style, flow=flow)
        return _bracketed(mapping) if flow else mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_styled(member, style, flow=flow) for member in value)
        return _bracketed(sequence) if flow else sequence
    return _text(value, style, always=style.quote_values) if isinstance(value, str) else value


def _bracketed(collection: CommentedMap | CommentedSeq) -> CommentedMap | CommentedSeq:
    collection.fa.set_flow_style()
    return collection


def _text(text: str, style: Style, *, always: bool) -> str:
    """A text, marked to be quoted if any YAML version in use would read it as something else.

    ruamel.yaml only knows YAML 1.2, in which ``yes`` is text; Kubernetes reads a boolean.
    """
    quoted: str
    if not _PRINTABLE.fullmatch(text):
        quoted = DoubleQuotedScalarString(text)  # the only style with escapes
    elif always or not _SIMPLE.fullmatch(text) or _ambiguous(text):
        quoted = DoubleQuotedScalarString(text) if style.quote == '"' else SingleQuotedScalarString(text)
    else:
        quoted = text
    return quoted


def _ambiguous(text: str) -> bool:
    """Whether a simple text would be something else to Kubernetes, or to other readers of YAML 1.1 (``1:30``, a date)."""
    others = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    return not isinstance(plain(text), str) or any(pattern.match(text) for _, pattern in others)
