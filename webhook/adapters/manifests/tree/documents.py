"""Splits a source into its documents, so that an unreadable one does not affect the others."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..items import UnreadableError
from .from_json import parse_json
from .from_yaml import parse_yaml
from .nodes import Node, Scalar, walk

BYTE_ORDER_MARK = "\ufeff"
# No scalar of any style may contain such a line (YAML 1.2, "c-forbidden"), so splitting there is always safe.
_MARKER = re.compile(r"^\ufeff?(?:(---)(?=[ \t\r\n#]|\Z)|\.\.\.(?=[ \t\r\n]|\Z))", re.MULTILINE)
# "---" with text right after it. YAML reads it as part of a plain text, and merges two objects into one.
_GLUED = re.compile(r"^---(?![ \t\r\n#]|\Z).*", re.MULTILINE)
_COMMENT_BEHIND = re.compile(r"---(?=#)")  # kubectl reads a marker and a comment, YAML reads text.
# A byte order mark after the marker's line: several files were joined ("cat a.yaml b.yaml").
_JOINED = re.compile(r"---[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*\ufeff")
_DIRECTIVES = re.compile(r"\ufeff?(?:[ \t]*(?:#.*)?\r?\n)*(?:%.*\n(?:[ \t]*(?:#.*)?\r?\n)*)+")
_BEFORE_JSON = re.compile(r"""(?:---[ \t]*(?:#.*)?\r?\n)?[ \t\r\n]*(?=\{[ \t\r\n]*["}])""")
_COMMENTED = re.compile(r'"|(?:^|\s)/[/*]')
_QUOTED = 40  # characters of a line that a message quotes
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a source.

    Attributes:
        index: its number, from 0, empty documents counted.
        start: the offset of its first character in the source, a byte order mark left out.
        line: the line of ``start``, from 1.
        text: all of it, its ``---`` and the blank lines after it included.
        json: whether it is read, and written, as JSON.
    """

    index: int
    start: int
    line: int
    text: str
    json: bool

    def parse(self) -> Node | None:
        """The tree, with the lines of the source; ``None`` when the document is empty.

        Raises:
            UnreadableError: with the line and what is wrong there.
        """
        if self.json:
            return parse_json(self.text, self.line)
        if glued := _GLUED.search(self.text):
            # As in kubectl (apimachinery, util/yaml, YAMLReader): "invalid Yaml document separator".
            raise UnreadableError(
                self.line + self.text.count("\n", 0, glued.start()),
                f'"{glued[0].rstrip()[:_QUOTED]}" begins with --- and is not a document separator, which kubectl rejects: '
                "put a line break after ---, or indent the line",
            )
        readable = _COMMENT_BEHIND.sub("   ", self.text, count=1) if self.text.startswith("---#") else self.text
        return parse_yaml(_JOINED.sub(_blanked, readable, count=1), self.line)


def _blanked(match: re.Match[str]) -> str:
    """Blank out a match and keep its numbers of characters and lines, so that what follows begins a new line."""
    breaks = match[0].count("\n")
    return " " * (len(match[0]) - breaks) + "\n" * breaks


def documents(text: str) -> Iterator[Document]:
    """The documents of a source: a YAML stream, a JSON value, or several JSON values one after another.

    As kubectl does, JSON is recognized by its first character, ``{``, not by the file's name.
    """
    line, counted = 1, 0
    for index, (start, end, is_json) in enumerate(_pieces(text)):
        line += text.count("\n", counted, start)
        counted = start
        yield Document(index, start, line, text[start:end], is_json)


def _pieces(text: str) -> Iterator[tuple[int, int, bool]]:
    cuts = [0, *_cuts(text), len(text)]
    begin = 0
    for cut in cuts[1:]:
        if begin < cut < len(text) and _DIRECTIVES.fullmatch(text, begin, cut):
            continue  # %YAML and %TAG belong to the document that they introduce
        start = begin + text.startswith(BYTE_ORDER_MARK, begin)
        if start < cut or not cut:
            yield from _values(text, start, cut)
        begin = cut


def _cuts(text: str) -> Iterator[int]:
    """Yield the beginnings of documents: at ``---``, and after the line of ``...``."""
    for match in _MARKER.finditer(text):
        if match[1]:
            if match.start():
                yield match.start()
        else:
            end_of_line = text.find("\n", match.end())
            yield end_of_line + 1 if end_of_line >= 0 else len(text)


def _values(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the JSON values in the text of a YAML document, or the document itself if it is YAML in braces."""
    first = _BEFORE_JSON.match(text, start, end)
    behind = _json_end(text, first.end(), end) if first else None
    if not first or (behind is None and _is_yaml(text[start:end])):
        yield start, end, False
        return
    start = first.end()
    while behind is not None and behind < end:
        yield start, behind, True
        start = behind
        behind = _json_end(text, start, end)
    yield start, end, True  # the last value, valid or not


def _is_yaml(text: str) -> bool:
    """Whether text in braces that is not JSON is YAML. JSON with comments is not, although YAML reads the comments as text."""
    try:
        root = parse_yaml(text)
    except UnreadableError:
        return False
    return root is not None and not any(
        isinstance(node, Scalar) and not node.quote and _COMMENTED.search(node.text) for node in walk(root)
    )


def _json_end(text: str, start: int, end: int) -> int | None:
    """The end of the JSON value at ``start`` and the blank space after it; ``None`` when there is no such value."""
    try:
        _, behind = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    blank = _BLANK.match(text, behind)
    return blank.end() if blank and behind <= end else None
