"""Messages on standard error, one line each. Line breaks in quoted text are escaped."""

import typer

from ..adapters.reports.text import printable
from .exit_codes import EXIT_USAGE


def say(message: str) -> None:
    """Write one line."""
    typer.echo(printable(message), err=True)


def usage_error(*messages: str) -> typer.Exit:
    """Print errors in how the command was called, a line each, and return the exit to raise."""
    for message in messages:
        say(f"error: {message}")
    return typer.Exit(EXIT_USAGE)
