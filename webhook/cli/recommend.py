"""``gpuwarden recommend``: which form fits each workload and namespace, from what the workloads used."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from webhook.adapters.reports import recommend_csv, recommend_markdown, recommend_table, table
from webhook.application.recommendation import thresholds as limits
from webhook.application.recommendation.recommend import Recommendation
from webhook.application.recommendation.recommend import recommend as recommended
from webhook.cli.configuration_input import ConfigOption, load_configuration
from webhook.cli.messages import usage_error
from webhook.cli.recommend_input import from_saved, trusts
from webhook.engine import forms
from webhook.engine.forms import Form


class Output(StrEnum):
    """The output formats of ``recommend``."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    MARKDOWN = "markdown"


def recommend(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    usage: Annotated[
        Path | None, typer.Option("--usage", help="Recommend from a file that --save wrote; nothing else is read.")
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="These namespaces only; repeatable.")
    ] = None,
    trusted: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted",
            metavar="NAMESPACE|LABEL=VALUE",
            help="Recommend sharing in this namespace (* stands for any part of the name), or in those with this label. "
            "Repeatable.",
        ),
    ] = None,
    offer: Annotated[
        list[str] | None,
        typer.Option("--offer", metavar="FORM", help="Count this form as offered by the nodes; repeatable."),
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option("--threshold", metavar="NAME=VALUE", help="Change a threshold; repeatable.")
    ] = None,
    config: ConfigOption = None,
    output: Annotated[
        Output,
        typer.Option("--output", "-o", help="table, html and markdown: for people; json and csv: for programs."),
    ] = Output.TABLE,
) -> None:
    """Recommend a form for each workload that requests GPUs, and a policy for each namespace, from what they used."""
    configuration = load_configuration(config)
    offered = [*configuration.expected, *_forms(offer or [])]
    try:
        values = limits.parse(threshold or [])
    except limits.ThresholdError as error:
        raise usage_error(*(f"--threshold {problem}" for problem in error.problems)) from error
    given = from_saved(usage, configuration)
    names = frozenset(namespace or ())
    found = recommended(
        [one for one in given.workloads if not names or one.namespace in names],
        given.usage,
        given.shapes,
        given.labels,
        values,
        trusted=trusts(trusted or [], given.trusted),
        expected=offered,
    )
    found.notes += given.notes
    _show(found, output)


def _forms(texts: list[str]) -> list[Form]:
    found = []
    for text in texts:
        form = forms.parse(text)
        if form is None:
            raise usage_error(
                f'--offer: "{text}" is not a form; write one such as mig-1g.10gb, shared or gke-time-sharing-4'
            )
        found.append(form)
    return found


def _show(found: Recommendation, output: Output) -> None:
    match output:
        case Output.TABLE:
            recommend_table.show(table.console(), found)
        case Output.JSON:
            typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        case Output.CSV:
            typer.echo(recommend_csv.csv(found), nl=False)
        case Output.MARKDOWN:
            typer.echo(recommend_markdown.markdown(found), nl=False)
        case Output.HTML:
            from webhook.adapters.reports.html import recommend_html  # noqa: PLC0415 - the template engine: only for a page

            typer.echo(recommend_html(found), nl=False)
