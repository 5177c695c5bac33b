"""What commands say on standard error, a line each; text from elsewhere can't forge one."""

import typer

from webhook.adapters.reports.text import printable


def say(message: str) -> None:
    """Write one line."""
    typer.echo(printable(message), err=True)
