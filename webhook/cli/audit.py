"""``gpuwarden audit``: what policies would do to existing workloads, in a cluster or in files."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..adapters.kubernetes import in_tree_objects
from ..adapters.kubernetes.audit_reader import AuditReader
from ..adapters.kubernetes.errors import ApiError
from ..adapters.kubernetes.lists import Lister
from ..adapters.kubernetes.policyreports import ReportStore
from ..adapters.reports import audit_json, audit_table, junit, sarif, terminal
from ..adapters.reports.audit import FILES, AuditInput, AuditReport, audit_report
from ..adapters.reports.audit_changes import EarlierAudit, EarlierError, read_earlier
from ..adapters.reports.audit_csv import csv
from ..adapters.reports.fleet_report import fleet_part
from ..adapters.reports.progress import ProgressBar
from ..application import assumptions
from ..application.assumptions import AssumedLabels, Assumption, AssumptionError, EvaluatedLabel
from ..application.auditing import Auditor
from ..application.claims import KnownClaims
from ..application.configuration import Configuration
from ..application.deciders import DecidedPolicy
from ..application.pod_counts import Autoscalers
from . import cluster_options, completers
from .audit_input import Labels, from_cluster, from_files
from .audit_report_objects import Mislabelled, write_reports
from .cluster_options import ContextOption, KubeconfigOption, WriteReportsOption, reached
from .configuration_input import ConfigOption, load_configuration
from .exit_codes import EXIT_DENIED, EXIT_USAGE
from .fleet_input import LIVE, FleetOption, deciders_of, read_fleet, view_of
from .manifest_input import StrictOption, check_name, load_namespaces
from .messages import usage_error

AuditOutput = Literal["table", "json", "junit", "sarif", "csv", "html"]
"""The output formats of ``audit``."""


def audit(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files, folders (searched recursively), or - for standard input; the cluster if none is named.",
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAMESPACE",
            help="With a cluster: only workloads in this namespace; can be given more than once. With files: namespace of "
            "workloads that name none, as in kubectl.",
            autocompletion=completers.namespaces,
        ),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            "--assume",
            metavar="NAMESPACE=POLICY",
            help="Evaluate with this policy instead of the namespace's label; * stands for any part of the name, and the most "
            "specific counts. Repeatable.",
        ),
    ] = None,
    mode: Annotated[
        EvaluatedLabel, typer.Option("--mode", help="The namespace label whose policy applies.")
    ] = EvaluatedLabel.ENFORCE,
    config: ConfigOption = None,
    fleet: FleetOption = None,
    namespaces: Annotated[
        Path | None,
        # Not from the environment, as elsewhere: the server's setting must not change the audit of a cluster.
        typer.Option(
            "--namespaces", help="With files: namespaces and their labels, as kubectl get namespaces -o yaml prints."
        ),
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: Annotated[
        AuditOutput | None,
        typer.Option("--output", "-o", help="table: for people; html: a page to read; the others for programs."),
    ] = None,
    everything: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool, typer.Option("--all", "-a", help="List unchanged workloads in the table, too.")
    ] = False,
    strict: StrictOption = False,  # noqa: FBT002 - likewise
    since: Annotated[
        Path | None,
        typer.Option(
            "--since",
            metavar="REPORT.json",
            help="An earlier audit (-o json): with -o html or json, report which workloads are new, gone or changed.",
        ),
    ] = None,
    write: WriteReportsOption = False,  # noqa: FBT002 - likewise
) -> None:
    """Report what would happen to the workloads that request GPUs: unchanged, rewritten or denied, and why.

    Reads a live cluster (nothing is changed there), or files. Running pods and the templates of their controllers are evaluated
    under their namespaces' policies, or under those that --assume names. A controller is one line: what becomes of its next
    pod, and how many of its pods would be rewritten or denied (pods that have ended are left out). Objects of other kinds in
    files that request GPUs or hold containers are reported as not evaluated, and so are resource claims (DRA) whose
    ResourceClaim or ResourceClaimTemplate was not found. Claims and templates that would be denied if they were created now
    are listed too. In a cluster, objects of operators' kinds (RayJob, PyTorchJob, and others of the table) are read too, and
    the objects that they made count as theirs. Objects of other custom kinds are read if their schema allows pods or GPU
    requests, and searched by their shape. Objects that can't be read, or that are too many, are
    reported as not evaluated.

    Exit codes: 0 nothing denied; 1 something denied (with --strict: or rewritten, not evaluated, or a label without effect);
    2 wrong usage, a cluster or input that can't be read, files without any object, or output that can't be written. With
    --write-reports the reports list what is denied: 0 they are written; 2 not.
    """
    now = datetime.now(UTC)
    configuration = load_configuration(config)
    names = list(dict.fromkeys(namespace or []))
    for name in names:
        check_name(name)
    assumed = _assumptions(assume or [], configuration)
    _reject_conflicting_options(ctx, files=bool(paths), namespaces=namespaces, write=write, assumed=bool(assumed))
    earlier = _earlier(since, output) if since else None
    # Only these two show which pods hold GPUs.
    with_pods = output in {"html", "json"}
    read = read_fleet(fleet, configuration, kubeconfig, context, with_pods=with_pods) if fleet else None
    nodes = read.fleet if read else None
    shown = bool(output) or not write

    def auditor(labels: Labels, claims: KnownClaims, classes: Mapping[str, str], scaled: Autoscalers) -> Auditor:
        if not paths:
            _names_exist(assumed, labels, names)
        known = configuration.with_classes(classes)
        return Auditor(known, AssumedLabels(labels, configuration.policies, assumed, mode), claims, nodes, scaled)

    if paths:
        gathered = from_files(paths, load_namespaces(namespaces), names, auditor)
    else:
        api = reached(kubeconfig, context, instead="name files to audit")
        with ProgressBar(terminal.console(stderr=True)) as progress:
            reader = AuditReader(api, progress, configured=configuration.kinds)
            gathered = from_cluster(reader, api.host, names, auditor)
            if write:
                write_reports(ReportStore(api, progress), gathered, _mislabelled(gathered), names, now)
            if shown:
                gathered.deciders = _deciders(Lister(api, progress), gathered, configuration)
    of_fleet = (
        fleet_part(view_of(read, configuration), read.objects.notes, deciders_of(read, configuration)) if read else None
    )
    report = audit_report(
        gathered,
        now=now,
        evaluated_by=mode.value,
        assumptions=map(str, assumed),
        fleet=of_fleet,
        earlier=earlier,
    )
    if shown:
        _show(report, output or "table", strict=strict, everything=everything)
    if not gathered.complete:
        raise typer.Exit(EXIT_USAGE)
    if not write and (report.denies or (strict and not report.strictly_fine)):
        raise typer.Exit(EXIT_DENIED)


def _reject_conflicting_options(
    ctx: typer.Context, *, files: bool, namespaces: Path | None, write: bool, assumed: bool
) -> None:
    if write and (files or assumed):
        raise usage_error(
            "--write-reports can't be combined with paths or --assume: it reports on the cluster as it is; leave them out"
        )
    beside = cluster_options.given(ctx)
    if files and beside and ctx.params["fleet"] != LIVE:
        raise usage_error(
            f"{' and '.join(beside)} can't be combined with files, because no cluster is read; leave out one of them"
        )
    if namespaces and not files:
        raise usage_error(
            "--namespaces can be used only with files, because a cluster has its own namespaces; leave it out"
        )


def _assumptions(texts: list[str], configuration: Configuration) -> tuple[Assumption, ...]:
    try:
        return assumptions.parse(texts, configuration.policies)
    except AssumptionError as error:
        raise usage_error(*(f"--assume {problem}" for problem in error.problems)) from error


def _names_exist(assumed: Iterable[Assumption], labels: Labels, names: list[str]) -> None:
    """In a cluster, an assumption on a namespace that does not exist is a typo, and would show nothing."""
    unknown = assumptions.unknown_names(assumed, labels)
    if unknown:
        among = " among those that -n names" if names else ""
        raise usage_error(*(f"--assume {problem}{among}" for problem in unknown))


def _earlier(path: Path, output: AuditOutput | None) -> EarlierAudit:
    if output not in {"html", "json"}:
        raise usage_error("--since can be used only with -o html or -o json; add one of them")
    try:
        return read_earlier(path.read_bytes())
    except OSError as error:
        raise usage_error(f"--since {path}: can't be read: {error.strerror or error}") from error
    except EarlierError as error:
        raise usage_error(
            f"--since {path}: not the report of an audit ({error}); name a file made by gpuwarden audit -o json"
        ) from error


def _mislabelled(gathered: AuditInput) -> Mislabelled:
    """The namespaces with a label that names no policy or has no effect, in order."""
    found = [one for _, _, one in gathered.others if one.kind == "Namespace" and one.label_problems]
    return {one.name: one.label_problems for one in sorted(found, key=lambda one: one.name)}


def _deciders(lister: Lister, gathered: AuditInput, configuration: Configuration) -> list[DecidedPolicy] | None:
    """Who decides new pods of the namespaces with workloads, by their current labels."""
    try:
        installed = in_tree_objects.live(lister).installed
    except ApiError as error:
        gathered.notes.append(
            f"{in_tree_objects.UNDECIDED}: admission policies and webhooks can't be listed: {error.detail}"
        )
        return None
    names = {row.namespace for row in gathered.rows}
    return installed.policies(configuration, {name: one for name, one in gathered.labels.items() if name in names})


def _show(report: AuditReport, output: AuditOutput, *, strict: bool, everything: bool) -> None:
    match output:
        case "table":
            audit_table.show(terminal.console(), report, everything=everything)
        case "json":
            typer.get_binary_stream("stdout").writelines(audit_json.pieces(report))
        case "junit":
            typer.echo(junit.junit(report.everything, report.problems, strict=strict), nl=False)
        case "sarif":
            files = report.origin == FILES
            typer.echo(sarif.sarif(report.everything, report.problems, files=files))
        case "csv":
            typer.echo(csv(report.objects, [*report.others, *report.kinds]), nl=False)
        case "html":
            from ..adapters.reports.html import html  # noqa: PLC0415 - the template engine, for those who want a page

            typer.echo(html(report), nl=False)
