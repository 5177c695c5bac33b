"""Writes data as YAML in all the ways that people do, mixed at random: the input of the editing properties."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

WORDS = (
    *("a", "v", "nvidia.com/gpu", "x y", "", "1", "yes", "null", "0.5", "n", "2001-01-01", "1:30"),
    *(
        "a: b",
        "#c",
        "a #b",
        "it's",
        '"q"',
        "{x}",
        "[x",
        "a,b",
        "- a",
        "? q",
        ": z",
        "end:",
        "!t",
        "&a",
        "*a",
        "%d",
        "@x",
        "|",
    ),
    *("é😀", "multi\nline", "tab\t", " lead", "trail "),
)
KEYS = (
    "a",
    "b",
    "c",
    "d",
    "limits",
    "longer-key",
    "nvidia.com/gpu",
    "x y",
    "a: b",
    "yes",
    "y",
    "1",
    "null",
    "it's",
    "#k",
    "é",
)
_SIMPLE = re.compile(r"(?!(?:yes|no|null|n|y)$)[A-Za-z_][\w./-]*(?: \w+)*")


def data() -> st.SearchStrategy[dict[str, Any]]:
    """Objects of all types of values, with the awkward keys and texts."""
    leaves = st.sampled_from(WORDS) | st.sampled_from([0, 1, -3, 0.5, True, False, None])
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=4).map(
        lambda spec: {"kind": "Pod", **spec}
    )


@dataclass(frozen=True, slots=True)
class Anchor:
    """A value written with an anchor."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Use:
    """An anchored value used again; as the value of ``<<``, merged."""

    name: str
    value: Any


@dataclass(slots=True)
class Scribe:
    """Writes data as one document; every comment has a number of its own."""

    random: Random
    numbers: Iterator[int] = field(default_factory=itertools.count)
    lines: list[str] = field(default_factory=list)

    def document(self, value: dict[str, Any]) -> str:
        self.block(value, 0, None)
        return "\n".join(self.lines) + self.random.choice(["\n", "", "\n\n# the end\n"])

    def sometimes(self, percent: int) -> bool:
        return self.random.random() * 100 < percent

    def comment(self) -> str:
        return f" # c{next(self.numbers)}." if self.sometimes(15) else ""

    def text(self, text: str) -> str:
        ways = [json.dumps(text, ensure_ascii=False)]
        if text.isprintable():
            ways.append("'" + text.replace("'", "''") + "'")
        if _SIMPLE.fullmatch(text):
            ways += [text] * 4
        return self.random.choice(ways)

    def key(self, key: str) -> str:
        return key if key == "<<" else self.text(key)

    def flow(self, value: Any, indentation: int) -> str:
        """A value within brackets, on one line or over several."""
        if isinstance(value, Use):
            return f"*{value.name} "
        if isinstance(value, Anchor):
            return f"&{value.name} {self.flow(value.value, indentation)}"
        if not isinstance(value, dict | list):
            return self.text(value) if isinstance(value, str) else json.dumps(value)
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        if isinstance(value, dict):
            parts = [f"{self.key(key)}: {self.flow(member, indentation + 2)}" for key, member in value.items()]
        else:
            parts = [self.flow(member, indentation + 2) for member in value]
        last = "," if parts and self.sometimes(20) else ""
        if not parts or self.sometimes(70):
            space = self.random.choice(["", " "]) if parts else ""
            return f"{opening}{space}{', '.join(parts)}{last}{space}{closing}"
        lines = [f"{' ' * (indentation + 2)}{part}," for part in parts]
        lines[-1] = lines[-1].removesuffix(",") + last
        return "\n".join((opening, *(line + self.comment() for line in lines), " " * indentation + closing))

    def block(self, value: Any, indentation: int, begun: str | None) -> None:
        """A filled map or list on lines of its own; ``begun`` is what already stands on the first."""
        members = value.items() if isinstance(value, dict) else ((None, member) for member in value)
        for key, member in members:
            if begun is None:
                self.lines += [""] * self.sometimes(10) + [" " * indentation + self.comment()[1:]] * self.sometimes(10)
            line = " " * indentation if begun is None else begun
            begun = None
            self.member(member, line + ("-" if key is None else f"{self.key(key)}:"), indentation, in_list=key is None)

    def member(self, value: Any, line: str, indentation: int, *, in_list: bool) -> None:
        if isinstance(value, Anchor):
            line, value = f"{line} &{value.name}", value.value
        merge = line.endswith("<<:")
        if isinstance(value, dict | list) and value and not merge and self.sometimes(75):
            space = self.random.choice([1, 1, 1, 3])
            if in_list and line.endswith("-") and self.sometimes(80):
                self.block(value, indentation + 1 + space, line + " " * space)
                return
            self.lines.append(line + self.comment())
            steps = [2, 2, 4, 1] if in_list or isinstance(value, dict) else [0, 0, 2, 4]
            self.block(value, indentation + self.random.choice(steps), None)
        elif isinstance(value, str) and "\n" in value and self.sometimes(70):
            self.lines.append(f"{line} |-{self.comment()}")
            self.lines += [" " * (indentation + 2) + part for part in value.split("\n")]
        elif isinstance(value, str) and _SIMPLE.fullmatch(value) and self.sometimes(10):
            self.lines.append(f"{line} {self.random.choice(['|-', '>-'])}{self.comment()}")
            self.lines += [" " * (indentation + 2) + value, *[""] * self.sometimes(50)]
        elif value is None and self.sometimes(50):
            self.lines.append(line + self.comment())
        else:
            gap = " " * self.random.choice([1, 1, 3])
            self.lines.append(f"{line}{gap}{self.flow(value, indentation)}{self.comment()}")
