"""``gpuwarden recommend``: which form fits each workload and namespace, from what the workloads used."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import msgspec
import typer

from ..adapters.file_errors import why
from ..adapters.kubernetes.policyreports import ReportStore
from ..adapters.reports import recommend_csv, recommend_json, recommend_markdown, recommend_table, terminal
from ..adapters.reports.progress import ProgressBar
from ..adapters.reports.recommend_reports import recommendation_reports
from ..adapters.usage_file import written
from ..application.recommendation import thresholds as limits
from ..application.recommendation.namespace_advice import NamespaceAdvice
from ..application.recommendation.recommend import Recommendation
from ..application.recommendation.recommend import recommend as recommended
from ..application.report_api import OF_RECOMMEND
from ..engine import forms
from ..engine.fleet.devices import Devices
from ..engine.forms import Form
from . import cluster_options
from .cluster_options import ContextOption, KubeconfigOption, NamespacesOption, WriteReportsOption, reached
from .configuration_input import ConfigOption, load_configuration
from .interrupts import ended_by_interrupt
from .messages import say, usage_error
from .prometheus_options import (
    CaOption,
    CertificateOption,
    HeaderOption,
    KeyOption,
    KubernetesTokenOption,
    LabelOption,
    PasswordOption,
    PrometheusOptions,
    TokenOption,
    UrlOption,
    UserOption,
    labels_of,
)
from .recommend_input import SAVED, UsageScope, from_cluster, from_saved, objects_of, selecting_nothing, trusts, within
from .report_objects import store_reports

RecommendOutput = Literal["table", "json", "csv", "html", "markdown"]
"""The output formats of ``recommend``."""


def recommend(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    usage: Annotated[
        Path | None, typer.Option("--usage", help="Recommend from a file that --save wrote; no cluster is read.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write what was read to this file, for --usage.")] = None,
    window: Annotated[str, typer.Option("--window", help="How far to look back, such as 14d or 36h.")] = "14d",
    namespace: NamespacesOption = None,
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
        list[str] | None,
        typer.Option(
            "--threshold", metavar="NAME=VALUE", help="Change a threshold; repeatable. A wrong name lists them."
        ),
    ] = None,
    prometheus: UrlOption = None,
    prometheus_ca_file: CaOption = None,
    prometheus_client_cert: CertificateOption = None,
    prometheus_client_key: KeyOption = None,
    prometheus_token_file: TokenOption = None,
    prometheus_user: UserOption = None,
    prometheus_password_file: PasswordOption = None,
    prometheus_header: HeaderOption = None,
    prometheus_label: LabelOption = None,
    prometheus_kubernetes_token: KubernetesTokenOption = False,  # noqa: FBT002 - typer's way to declare a flag
    write_reports: WriteReportsOption = False,  # noqa: FBT002 - likewise
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: Annotated[
        RecommendOutput | None,
        typer.Option(
            "--output",
            "-o",
            help="table, html and markdown: for people; json and csv: for programs.",
            show_default="table",
        ),
    ] = None,
) -> None:
    """Recommend a form for each workload that requests GPUs, and a policy for each namespace, from what they used.

    Reads the workloads and nodes of a live cluster (nothing is changed there without --write-reports) and the metrics of
    dcgm-exporter in its Prometheus, or a file that --save wrote. Says for each workload what it used, which form fits and why,
    and what that form gives up; for each namespace the policy that fits most of its workloads, those that it would hurt, and
    the commands that preview and set it; and for the cluster how many GPUs would be free. If data is missing or too little,
    it says so and recommends nothing.

    Exit codes: 0 it is shown; 2 wrong usage, a cluster, Prometheus or file that can't be read, or output that can't be written.
    """
    options = PrometheusOptions(
        *(prometheus, prometheus_ca_file, prometheus_client_cert, prometheus_client_key, prometheus_token_file),
        *(prometheus_user, prometheus_password_file, prometheus_header or [], prometheus_kubernetes_token),
    )
    configuration = load_configuration(config)
    offered = [*configuration.expected, *_forms(offer or [])]
    try:
        values = limits.parse(threshold or [])
    except limits.ThresholdError as error:
        raise usage_error(*(f"--threshold {problem}" for problem in error.problems)) from error
    names = list(dict.fromkeys(namespace or []))
    if usage:
        _reject_options_of_a_cluster(ctx, options, trusted or [], save)
        given, objects = from_saved(usage, configuration)
    else:
        if save and not save.parent.is_dir():  # before minutes of reading
            raise usage_error(f"--save {save}: there is no such folder; name a file in one that exists")
        labels = labels_of(prometheus_label or [])
        wanted = UsageScope(names, trusted or [], _seconds(window), values.idle_below, labels)
        with ProgressBar(terminal.console(stderr=True)) as progress, ended_by_interrupt(progress.stop):
            given = from_cluster(kubeconfig, context, configuration, options, wanted, progress)
        if save:
            _write(save, written(given))
        objects = objects_of(given, configuration)
    given = within(given, names)
    others = configuration.policies.node_labels
    shapes = Counter(node.shape for node in objects.gpu_nodes(others)) if objects else None
    configuration = configuration.with_classes(objects.resource_names if objects else {})
    found = recommended(
        *(given.workloads, given.usage, shapes, given.labels, values),
        trusted=trusts(trusted or [], given.trusted),
        plugin=configuration.plugin,
        expected=offered,
        exempt=configuration.exemptions.namespaces,
        policies=configuration.policies,
        classes=configuration.classes,
        devices=objects.devices if objects else Devices(),
    )
    having = {one.namespace for one in given.workloads}
    found.notes += [*given.notes, *selecting_nothing(trusted or [], having)]
    found.notes += [f"-n {name}: no workload in this namespace requests GPUs" for name in names if name not in having]
    if write_reports:
        _write_reports(found, kubeconfig, context, names)
    # Who reads a report has another kubeconfig, and no such configuration. Which cluster a saved file is of is not known.
    found.namespaces = [
        _with_options(
            one,
            of_cluster={} if usage else {"--kubeconfig": kubeconfig, "--context": context},
            # The audit needs the names of policies and the spelling of forms, too.
            of_audit={"--config": config if cluster_options.is_given(ctx, "config") else None},
        )
        for one in found.namespaces
    ]
    if output == "csv":  # its lines have no room for what concerns all of them
        for note in found.notes:
            say(f"note: {note}")
    if output or not write_reports:
        _show(found, output or "table")


def _with_options(
    advice: NamespaceAdvice, of_cluster: Mapping[str, object], of_audit: Mapping[str, object]
) -> NamespaceAdvice:
    """Advice whose commands, if there are any, are for the same cluster."""

    def options(every: Mapping[str, object]) -> str:
        return "".join(f" {name} {quote(str(value))}" for name, value in every.items() if value)

    if not advice.label:
        return advice
    return msgspec.structs.replace(
        advice,
        label=advice.label + options(of_cluster),
        preview=advice.preview + options({**of_cluster, **of_audit}),
    )


def _write_reports(found: Recommendation, kubeconfig: Path | None, context: str | None, names: list[str]) -> None:
    client = reached(kubeconfig, context, instead=SAVED)
    with ProgressBar(terminal.console(stderr=True)) as progress:
        store = ReportStore(client, progress, OF_RECOMMEND)
        now = datetime.now(UTC)
        api, written = store_reports(store, lambda api: recommendation_reports(api, found, now), names)
    say(f"{api.plural} of {api.group}: {written}")


def _reject_options_of_a_cluster(
    ctx: typer.Context, options: PrometheusOptions, trusted: list[str], save: Path | None
) -> None:
    beside = [
        *cluster_options.given(ctx),
        *(["--prometheus"] if cluster_options.is_given(ctx, "prometheus") else []),
        *(["--prometheus-label"] if ctx.params["prometheus_label"] else []),
        *(["--window"] if cluster_options.is_given(ctx, "window") else []),
        *options.given,
        *(["--save"] if save else []),
        *(["--write-reports"] if ctx.params["write_reports"] else []),
    ]
    if beside:
        raise usage_error(
            f"{' and '.join(beside)} can't be combined with --usage, because nothing else is read; leave it out"
        )
    if labels := [text for text in trusted if "=" in text]:
        raise usage_error(
            f"--trusted {labels[0]}: a saved file has no labels of namespaces; leave it out (those that --trusted selected when "
            "the file was saved are trusted), or name the namespaces"
        )


_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = 366 * 86400


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNITS or not 3600 <= int(number) * _UNITS[unit] <= _LONGEST:  # noqa: PLR2004
        raise usage_error(f'--window: "{text}" is not a time from 1h to 366d; write one such as 14d or 36h')
    return float(int(number) * _UNITS[unit])


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise usage_error(f"--save {path}: {why(path, error)}") from error


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


def _show(found: Recommendation, output: RecommendOutput) -> None:
    match output:
        case "table":
            recommend_table.show(terminal.console(), found)
        case "json":
            typer.echo(recommend_json.json(found))
        case "csv":
            typer.echo(recommend_csv.csv(found), nl=False)
        case "markdown":
            typer.echo(recommend_markdown.markdown(found), nl=False)
        case "html":
            from ..adapters.reports.recommend_html import html  # noqa: PLC0415 - the template engine: only for a page

            typer.echo(html(found), nl=False)
