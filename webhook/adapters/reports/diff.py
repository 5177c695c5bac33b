"""The unified diff that ``gpuwarden check -o diff`` prints: what a rewrite would change in a manifest."""

import os
from difflib import unified_diff
from io import StringIO

from rich.console import Console
from rich.segment import Segment, Segments

from .text import printable, printable_line

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def show(target: Console, source: str, before: str, after: str) -> bool:
    """Print the difference between a manifest and its rewritten text, as input for ``patch``.

    Returns:
        Whether the diff is exact. It is not if it contains control characters, which are printed as escapes.
    """
    exact = True
    name = "stdin" if source == "-" else printable(_below_here(source))
    # As git writes it: otherwise, patch takes a name to end at the first blank.
    end_of_name = "\t" if " " in name else ""
    lines = unified_diff(_lines(before), _lines(after), f"a/{name}{end_of_name}", f"b/{name}{end_of_name}")
    for line in lines:
        text, end = line.rstrip("\r\n"), line[len(line.rstrip("\r\n")) :]
        safe = printable_line(text)
        exact = exact and safe == text
        style = "bold" if line.startswith(("---", "+++")) else _STYLES.get(line[:1], "none")
        # Segments, because rich's Text turns tabs into spaces, which patch would not find in the file.
        ending = Segment(end or "\n\\ No newline at end of file\n")
        target.print(Segments([Segment(safe, target.get_style(style)), ending]), crop=False, end="")
    return exact


def _below_here(path: str) -> str:
    """The path relative to the current folder, if it is below it: neither git nor patch accepts an absolute one."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _lines(text: str) -> list[str]:
    """The lines as in patch: only a line feed ends one, not another separator of Unicode."""
    return list(StringIO(text, newline="\n"))
