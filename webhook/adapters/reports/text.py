"""Makes text from manifests, file names and the cluster safe for a terminal, a CI log, XML or a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# Controls (C0, C1), invisible format characters, separators that some programs take for line ends, characters that change
# the reading order (CVE-2021-42574, "Trojan Source"), tag characters, and what XML 1.0 forbids.
_UNPRINTABLE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f"
)
# What a CI system treats as a command when it reads a log: "::error::" (GitHub Actions, at the beginning of a line, where
# wrapping may put any text; no IPv6 address has such a group), "##[", "##vso[" (GitHub, Azure) and "##teamcity[" anywhere.
_COMMAND = r":(?=:[A-Za-z]*[G-Zg-z_-])|#(?=#(?i:vso|teamcity)?\[)"
_UNSAFE = re.compile(f"[{_UNPRINTABLE}]|{_COMMAND}")
_UNSAFE_IN_LINES = re.compile(f"(?![\t\ufeff])[{_UNPRINTABLE}]|{_COMMAND}")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# What spreadsheets treat as the beginning of a formula (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""The text on one line, without anything that a terminal or a CI system would interpret, or that would mislead a reader.

    Each unsafe character becomes its escape, as in Python and Go: ``\n``, ``\x1b``, ``\u202e``.
    """
    return _UNSAFE.sub(_escape, text)


def printable_line(line: str) -> str:
    """A line of a file like ``printable``, but with tabs and byte order marks, which are safe."""
    return _UNSAFE_IN_LINES.sub(_escape, line)


def cell(text: str) -> str:
    """The text, escaped so that a spreadsheet never evaluates it."""
    safe = printable(text)
    return f"'{safe}" if text.startswith(_FORMULA) else safe


def csv_table(columns: Sequence[str], rows: Iterable[Iterable[str | float | None]]) -> str:
    """CSV (RFC 4180) with a line of column names first, in which a spreadsheet evaluates nothing."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return written.getvalue()


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number <= 0xFF:  # noqa: PLR2004 - what two digits hold
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - what four digits hold
