"""Parses one YAML document into nodes, with libyaml at C speed and its positions."""

import re
from collections.abc import Callable
from typing import Any

import yaml

from ..items import UnreadableError
from .nodes import DEEPEST, TOO_DEEP, Alias, Mapping, Node, Scalar, Sequence

_INDENTATION = "check the quotes and the indentation of this line and the line above"
_NO_COLON = "could not find expected ':'"
_NO_VALUE = "did not find expected node content"
# libyaml's problems (src/scanner.c, src/parser.c) in words that people who write YAML understand.
_WORDS = {
    "mapping values are not allowed in this context": 'unexpected ": "; quote the text, or check the indentation',
    "did not find expected key": f"expected a key; {_INDENTATION}",
    "did not find expected '-' indicator": f'expected "- "; {_INDENTATION}',
    _NO_COLON: 'expected ":" after the key; add it, or indent the line if it continues the value above',
    "did not find expected ',' or ']'": 'expected "," or "]"; add it, or quote the text',
    "did not find expected ',' or '}'": 'expected "," or "}"; add it, or quote the text',
    _NO_VALUE: "expected a value; write one, or quote the text",
    "block sequence entries are not allowed in this context": 'unexpected "- "; begin the list on a line of its own',
    "found unexpected end of stream": "the closing quote is missing; add it",
    "did not find expected <document start>": 'a second document begins here; put a line "---" before it',
    "did not find expected alphabetic or numeric character": 'expected a name after "*" or "&"; quote the text if it is one',
    "found undefined tag handle": "the tag's prefix is not defined; remove the tag, or quote the text",
    "found unknown escape character": r"unknown escape sequence in double quotes; write \\ for a backslash, or use single quotes",
    "did not find expected comment or line break": 'expected the end of the line after "|" or ">"; put the text on the next line',
    "but found another document": "a second document begins here; keep one, and remove the line ---",
    "found undefined alias": "the anchor is not defined; define it, or quote the text",
    "found unhashable key": "a key is not text; write text as the key",
    "found invalid Unicode character escape code": "the escape is half of a character; write the character itself",
    "found incompatible YAML document": "the %YAML directive names a version other than 1.1 and 1.2; remove it",
}
# ... and what it was reading.
_CONTEXTS = {
    "while parsing a flow sequence": "the list",
    "while parsing a flow mapping": "the map",
    "while parsing a block mapping": "the map",
    "while parsing a block collection": "the list",
    "while scanning a quoted scalar": "the quoted text",
    "while constructing a mapping": "the map",
}


def parse_yaml(text: str, first_line: int = 1) -> Node | None:
    """The tree of the one document in the text; ``None`` when it is empty.

    Nodes are built from libyaml's events, because libyaml's composer recurses in C and crashes the process on deep nesting.

    Raises:
        UnreadableError: with the line and what is wrong there.
    """
    try:
        # A last line without a break gets one, as in kubectl's LineReader: a block scalar would otherwise lack its own.
        return _compose(text if text.endswith("\n") else f"{text}\n", first_line)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise explained(text, error, first_line) from error


def _compose(text: str, first_line: int) -> Node | None:  # noqa: C901, PLR0912 - one loop over a handful of events, and the hot path
    root: Node | None = None
    anchors: dict[str, Scalar | Sequence | Mapping] = {}
    stack: list[Sequence | Mapping] = []
    keys: list[Node | None] = []  # per open collection, the key that waits for its value
    node: Node
    next_event: Callable[[], Any] = yaml.CSafeLoader(text).get_event
    while (event := next_event()) is not None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            mark = event.start_mark
            node = Scalar(
                mark.index,
                event.end_mark.index,
                mark.line + first_line,
                event.value,
                event.style or "",
                event.tag,
                event.anchor,
            )
            if event.anchor is not None:
                anchors[event.anchor] = node
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            mark = event.start_mark
            make = Mapping if kind is yaml.MappingStartEvent else Sequence
            node = make(mark.index, -1, mark.line + first_line, event.flow_style, event.anchor)
            if len(stack) >= DEEPEST:
                raise UnreadableError(node.line, TOO_DEEP)
            if event.anchor is not None:
                anchors[event.anchor] = node
            stack.append(node)
            keys.append(None)
            continue
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            node = stack.pop()
            keys.pop()
            # libyaml ends a block at the next token, after comments and blank lines.
            node.end = event.end_mark.index if node.flow else _last_end(node)
        elif kind is yaml.AliasEvent:
            node = _alias(event, anchors, first_line)
        else:
            continue
        if not stack:
            if root is not None:
                raise UnreadableError(node.line, _WORDS["did not find expected <document start>"])
            root = node
            continue
        parent = stack[-1]
        if type(parent) is Sequence:
            parent.items.append(node)
        elif keys[-1] is None:
            keys[-1] = node
        else:
            parent.entries.append((keys[-1], node))  # type: ignore[union-attr]  # what is no sequence is a mapping
            keys[-1] = None
    return root


def _last_end(node: Sequence | Mapping) -> int:
    if isinstance(node, Sequence):
        return node.items[-1].end
    key, value = node.entries[-1]
    return max(key.end, value.end)


def _alias(event: Any, anchors: dict[str, Scalar | Sequence | Mapping], first_line: int) -> Alias:
    line = event.start_mark.line + first_line
    target = anchors.get(event.anchor)
    if target is None:
        raise UnreadableError(
            line,
            f"*{event.anchor} refers to &{event.anchor}, which no earlier line of the document defines; "
            "define it, or quote the text",
            event.start_mark.column + 1,
        )
    if target.end < 0:
        raise UnreadableError(line, f"&{event.anchor} contains itself; write out its values instead of *{event.anchor}")
    return Alias(event.start_mark.index, event.end_mark.index, line, target)


def explained(text: str, error: yaml.YAMLError | UnicodeEncodeError, first_line: int = 1) -> UnreadableError:
    """Turn an error of libyaml into one with the line, the problem and the fix."""
    if isinstance(error, UnicodeEncodeError):  # half a surrogate pair, which no decoded file holds
        line = text.count("\n", 0, error.start) + first_line
        return UnreadableError(line, "the text has a character that is not valid Unicode; remove it")
    if isinstance(error, yaml.reader.ReaderError):
        code = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + first_line
        return UnreadableError(line, f"the character U+{code:04X} is not allowed in YAML; remove it")
    assert isinstance(error, yaml.MarkedYAMLError)  # noqa: S101 - libyaml raises no other
    problem, begun = str(error.problem or "cannot be parsed"), error.context_mark
    # A key without ":" is noticed after it, on the next line.
    mark = begun if problem == _NO_COLON and begun else error.problem_mark or begun
    lines = text.rstrip().split("\n")
    line, column = (mark.line, mark.column) if mark else (0, 0)
    at_end = line >= len(lines)  # libyaml has the end after the last line
    line = min(line, len(lines) - 1)
    here = lines[line]
    if "\ufeff" in here:
        words = (
            "a byte order mark (U+FEFF) is in the middle of the text, as happens when files are concatenated: remove it"
        )
    elif re.match(r" *\t", here):
        words = "the line is indented with a tab; use spaces"
    elif problem.startswith("could not determine a constructor"):
        words = "the tag is not known; remove it (it begins with !)"
    elif problem == "found character that cannot start any token" and column < len(here):
        words = f'a value can\'t begin with "{here[column]}"; quote it'
    else:
        words = _WORDS.get(problem, problem)
    fact, separator, fix = words.partition("; ")
    if begun and error.context in _CONTEXTS and begun.line < line:
        fact += f" in {_CONTEXTS[error.context]} that begins on line {begun.line + first_line}"
    if problem in _WORDS and at_end:
        fact += ", found the end of the document"
    elif problem == _NO_VALUE and column < len(here):
        fact += f', found "{here[column]}"'
    return UnreadableError(line + first_line, f"{fact}{separator}{fix}", None if at_end else column + 1)
