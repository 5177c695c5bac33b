"""What is wrong with an option's value, with the value and the fix: typer prints pydantic's words for programmers."""

from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from webhook.adapters.shown import shown


def explain(error: typer.BadParameter) -> None:
    """Put a plain sentence in place of pydantic's; typer puts the option's name before it."""
    if isinstance(error.__cause__, ValidationError):
        error.message = "; ".join(map(_sentence, error.__cause__.errors()))


def _sentence(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    return f"{shown(detail['input'])} {_FACTS.get(detail['type'], _other)(context)}"


def _other(context: dict[str, Any]) -> str:
    said = str(context.get("error", ""))
    choices = said.partition(" is not one of ")[2].rstrip(".").replace("'", "")
    return f"is not valid; use one of {choices}" if choices else "is not valid; see --help"


_FACTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_parsing": lambda _: "is not a whole number; write digits only, such as 8443",
    "int_from_float": lambda _: "is not a whole number; write digits only, such as 8443",
    "float_parsing": lambda _: "is not a number of seconds; write one such as 2 or 0.5",
    "greater_than_equal": lambda context: f"is too small; use {context['ge']} or more",
    "less_than_equal": lambda context: f"is too large; use {context['le']} or less",
}
