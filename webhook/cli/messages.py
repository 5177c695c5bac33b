"""Messages of commands on standard error, one per line; text from elsewhere can't forge a line."""

import typer

from webhook.adapters.reports.text import printable


def say(message: str) -> None:
    """Write one line."""
    typer.echo(printable(message), err=True)
