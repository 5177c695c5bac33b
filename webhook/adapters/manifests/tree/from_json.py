"""Parses JSON into the same nodes as YAML; YAML parsers do not accept all of JSON (surrogate pairs, an escaped slash)."""

import json
import re

from ..items import UnreadableError
from .nodes import DEEPEST, TOO_DEEP, Mapping, Node, Scalar, Sequence

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<mark>[\[\]{}:,])
      | (?P<text>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
      | (?P<word>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)(?![\w.+-])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


def parse_json(text: str, first_line: int = 1) -> Node:
    """The tree of the one JSON value in the text.

    Raises:
        UnreadableError: with the line and what is wrong there.
    """
    parser = _Parser(text, first_line)
    root = parser.value(parser.take())
    if parser.take()[0] != "end":
        raise parser.error("unexpected text after the end of the JSON value")
    return root


class _Parser:
    def __init__(self, text: str, first_line: int) -> None:
        self.text = text
        self.start = 0  # of the token taken last
        self.end = 0
        self.first_line = self.line = first_line
        self.depth = 0

    def take(self) -> tuple[str, str]:
        """The next token: its kind and text."""
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            blank = re.compile(r"[ \t\r\n]*").match(self.text, self.end)
            self._move(blank.end() if blank else self.end)
            raise self.error(f"unexpected {_shown(self.text[self.start :])}")
        kind = match.lastgroup or ""
        self._move(match.start(kind))
        self.end = match.end()
        return kind, match[kind]

    def _move(self, start: int) -> None:
        self.line += self.text.count("\n", self.start, start)
        self.start = start

    def error(self, message: str) -> UnreadableError:
        last = self.first_line + self.text.rstrip().count("\n")  # the end itself may be on an empty line after it
        column = self.start - self.text.rfind("\n", 0, self.start) if self.line <= last else None
        return UnreadableError(min(self.line, last), f"invalid JSON: {message}", column)

    def value(self, token: tuple[str, str]) -> Node:
        kind, text = token
        if kind == "word":
            return Scalar(self.start, self.end, self.line, text, "")
        if kind == "text":
            return Scalar(self.start, self.end, self.line, _unescaped(text), '"')
        if text not in ("{", "["):
            raise self.error(f"expected a value, found {_shown(text)}")
        if self.depth >= DEEPEST:
            raise UnreadableError(self.line, TOO_DEEP)
        self.depth += 1
        node = self._mapping() if text == "{" else self._sequence()
        self.depth -= 1
        return node

    def _mapping(self) -> Mapping:
        node = Mapping(self.start, -1, self.line, flow=True)
        token = self.take()
        while token[1] != "}":
            if token[0] != "text":
                raise self.error(f"expected a key in double quotes, found {_shown(token[1])}")
            key = self.value(token)
            colon = self.take()[1]
            if colon != ":":
                raise self.error(f'expected ":" after the key, found {_shown(colon)}')
            node.entries.append((key, self.value(self.take())))
            token = self._next("}")
        node.end = self.end
        return node

    def _sequence(self) -> Sequence:
        node = Sequence(self.start, -1, self.line, flow=True)
        token = self.take()
        while token[1] != "]":
            node.items.append(self.value(token))
            token = self._next("]")
        node.end = self.end
        return node

    def _next(self, closing: str) -> tuple[str, str]:
        """The token that begins the next member, or the closing bracket."""
        token = self.take()
        if token[1] == closing:
            return token
        if token[1] != ",":
            raise self.error(f'expected "," or "{closing}", found {_shown(token[1])}')
        token = self.take()
        if token[1] == closing:
            raise self.error(f'unexpected "," before "{closing}"')
        return token


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    content: str = json.loads(text)
    # Half a surrogate pair is no character; Go puts U+FFFD in its place.
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shown(text: str) -> str:
    """Return the part of the text that a message quotes: the beginning, on one line."""
    line = text.split("\n", maxsplit=1)[0]
    if not line:
        return "the end of the text"
    return line[:12] if line.startswith('"') else f'"{line[:10]}"'
