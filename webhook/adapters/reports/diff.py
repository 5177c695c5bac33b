"""The unified diff that ``gpuwarden check -o diff`` prints: what a rewrite would change in a manifest."""

from difflib import unified_diff

from rich.console import Console
from rich.text import Text

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def show(target: Console, source: str, before: str, after: str) -> None:
    """Print the difference between a manifest's text as it is and as it would be, in a form that ``patch`` takes."""
    name = "stdin" if source == "-" else source
    lines = unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}")
    for line in lines:
        text, end = line.rstrip("\r\n"), line[len(line.rstrip("\r\n")) :]
        style = "bold" if line.startswith(("---", "+++")) else _STYLES.get(line[:1], "")
        target.print(Text(text, style=style), end=end or "\n\\ No newline at end of file\n", soft_wrap=True)
