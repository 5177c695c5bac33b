"""Replaces typer's and pydantic's messages about mistakes on the command line by messages with the value and the fix."""

from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..adapters.shown import shown


def explain(error: typer.TyperException) -> None:
    """Replace pydantic's sentence, which follows the option's name, with a plain one, and add a fix where typer has none."""
    message = error.message
    if isinstance(error.__cause__, ValidationError):
        error.message = "; ".join(map(_sentence, error.__cause__.errors()))
    elif isinstance(error, typer.BadParameter) and not message:  # an argument is missing, which typer reports
        what = getattr(error.param, "help", None) or "A value; see --help"
        error.message = f"Write {what[0].lower()}{what[1:]}"
    elif message.endswith("requires an argument."):
        error.message = message.replace("an argument.", "a value: write it after the option")
    elif message.startswith("No such command") and "Did you mean" not in message:
        error.message = f"{message.rstrip('.')}; see --help for the commands"
    elif message.startswith(("No such option", "Got unexpected")) and not getattr(error, "possibilities", None):
        error.message = f"{message}; {_INSTEAD.get(message, 'see --help for the list')}"


_INSTEAD = {"No such option: --policy": "use --assume NAMESPACE=POLICY of audit, or --policy of check"}


def _sentence(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    return f"{shown(detail['input'])} {_FACTS.get(detail['type'], _other)(context)}"


def _other(context: dict[str, Any]) -> str:
    message = str(context.get("error", ""))
    choices = message.partition(" is not one of ")[2].rstrip(".").replace("'", "")
    return f"is not valid; use one of {choices}" if choices else "is not valid; see --help"


_FACTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_parsing": lambda _: "is not a whole number; write digits only, such as 8443",
    "int_from_float": lambda _: "is not a whole number; write digits only, such as 8443",
    "float_parsing": lambda _: "is not a number of seconds; write one such as 2 or 0.5",
    "greater_than_equal": lambda context: f"is too small; use {context['ge']} or more",
    "less_than_equal": lambda context: f"is too large; use {context['le']} or less",
}
