"""Text that came from elsewhere, made safe for where it goes: a terminal, XML, a spreadsheet."""

import re

# C0 and C1 controls, the separators that some programs take for line ends, and what turns the reading order round.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_REPLACEMENT = "\ufffd"
# What spreadsheets take for the beginning of a formula (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """The text without anything that a terminal would obey or XML 1.0 forbids; tabs and line feeds stay."""
    return _UNPRINTABLE.sub(_REPLACEMENT, text)


def cell(text: str) -> str:
    """The text as a spreadsheet shows it, and never computes it."""
    safe = printable(text)
    return f"'{safe}" if text.startswith(_FORMULA) else safe
