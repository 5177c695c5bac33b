"""``gpuwarden explain``: what a form, a policy or a rule is."""

import shutil
import sys
from typing import Annotated, Literal

import msgspec
import typer

from ..adapters.reports.explanation import explanation_text
from ..adapters.reports.text import printable
from ..application.explaining import (
    FormExplanation,
    PolicyExplanation,
    RuleExplanation,
    UnknownNameError,
    explained,
)
from . import completers
from .configuration_input import ConfigOption, load_configuration
from .messages import usage_error

_WIDEST = 100  # characters of a line that is easy to read
_KINDS = {FormExplanation: "Form", PolicyExplanation: "Policy", RuleExplanation: "Rule"}


ExplainOutput = Literal["text", "json"]
"""The output formats of ``explain``."""


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A form (mig-1g.5gb), a kind of form (mig), a policy, or the id of a rule.",
            show_default=False,
            autocompletion=completers.explained,
        ),
    ],
    config: ConfigOption = None,
    output: Annotated[
        ExplainOutput, typer.Option("--output", "-o", help="text: for people; json: for programs.")
    ] = "text",
) -> None:
    """Explain a form, a policy or a rule.

    For a form, it shows how a pod requests it under the configuration, what it isolates and limits, whom it suits, its pitfalls
    and the sources. For a policy, it shows the forms and settings; for a rule, why it exists and what to do.

    Exit codes: 0 shown; 2 wrong usage, an unknown name, or output that can't be written.
    """
    configuration = load_configuration(config)
    try:
        found = explained(name, configuration)
    except UnknownNameError as error:
        raise usage_error(str(error)) from error
    if output == "json":
        document = {"apiVersion": "gpuwarden.io/v1", "kind": _KINDS[type(found)], **msgspec.to_builtins(found)}
        typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())
    else:
        # Lines are read by people on a terminal, and by programs elsewhere, which get them unwrapped.
        width = min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else sys.maxsize
        for line in explanation_text(found, width).split("\n"):
            typer.echo(printable(line))
