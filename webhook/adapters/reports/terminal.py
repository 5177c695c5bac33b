"""The terminal: colours of outcomes, a console that wraps only there, and the line after a shortened list."""

from rich.console import Console

from ...application.rule_texts import EXEMPT, NOT_EVALUATED, NOT_READ

STYLES = {
    "unchanged": "green",
    "rewritten": "yellow",
    "denied": "bold red",
    EXEMPT: "dim",
    NOT_EVALUATED: "magenta",
    NOT_READ: "red",
}
MORE_WORKLOADS = "and {} more workloads; list all with -o csv, json or html, or select namespaces with -n\n"
# Nothing is wrapped in a file or a pipe, because programs search it line by line.
_FILE_WIDTH = 1_000_000


def console(*, stderr: bool = False) -> Console:
    """A console that colours and wraps only on a terminal."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=_FILE_WIDTH)
