"""``gpuwarden check``: what would become of the objects in manifests, without a cluster."""

from collections.abc import Iterable
from typing import Annotated, Literal

import typer

from ..adapters.manifests.items import EditError, ManifestProblem
from ..adapters.reports import check_report, check_table, diff, junit, one_line, sarif, terminal
from ..application.gpu_forms import gpu_forms
from ..application.ignoring import IgnoreError, rules_of
from ..engine.decision import DENIED
from . import cluster_options, completers
from .cluster_options import ContextOption, KubeconfigOption
from .configuration_input import ConfigOption
from .exit_codes import EXIT_DENIED, EXIT_USAGE
from .fleet_input import LIVE, FleetOption, read_fleet
from .manifest_input import (
    EvaluatedInput,
    EvaluatedObject,
    ExcludeOption,
    NamespaceOption,
    NamespacesOption,
    Paths,
    PolicyOption,
    StrictOption,
    evaluate_paths,
    say_skipped,
    without_collector,
)
from .messages import say, usage_error

CheckOutput = Literal["table", "concise", "github", "diff", "json", "sarif", "junit"]
"""The output formats of ``check``."""


@without_collector()
def check(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    paths: Paths,
    policy: PolicyOption = None,
    namespace: NamespaceOption = None,
    namespaces: NamespacesOption = None,
    config: ConfigOption = None,
    fleet: FleetOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: Annotated[
        CheckOutput,
        typer.Option(
            "--output",
            "-o",
            help="table: for people; concise: file:line:column: rule: message; github: annotations of GitHub Actions; "
            "diff: unified; the others for programs.",
        ),
    ] = "table",
    exclude: ExcludeOption = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="A rule whose findings are ignored. Can be given more than once.",
            autocompletion=completers.rules,
        ),
    ] = None,
    strict: StrictOption = False,  # noqa: FBT002 - typer's way to declare a flag
) -> None:
    """Report what would happen to each object: unchanged, rewritten, denied or not evaluated, and why.

    The policy is --policy, or that of the object's namespace: from Namespace objects among the input, from --namespaces,
    or the configuration's default. Templates of workloads, operators' kinds among them, are evaluated as the pods created from
    them will be. GPU requests outside of pod templates are reported as not evaluated, and so are resource claims (DRA) whose
    ResourceClaim or ResourceClaimTemplate is not among the input. A namespace label that names no policy is denied.
    Configuration files of the NVIDIA device plugin, in ConfigMaps too, are checked as the plugin reads them; with --config,
    renameByDefault is compared with it.
    With --fleet, a form that no node offers and a count above any node's are reported too.
    Files in a folder that contain no Kubernetes object are skipped. The annotation gpuwarden.io/ignore: "RULE: REASON" on an
    object has the same effect as --ignore. Admission does not read it.

    Exit codes: 0 nothing denied; 1 something denied, or a configuration with which the device plugin does not start (with
    --strict: or rewritten, not evaluated, a label without effect, no object at all, or anything wrong with such a configuration);
    2 wrong usage, input that can't be read or holds no object at all, or output that can't be written.
    """
    _reject_unused_cluster_options(ctx, fleet)
    try:
        ignored = rules_of(ignore or (), "--ignore")
    except IgnoreError as error:
        raise usage_error(f"--ignore: {error}") from error
    evaluated = evaluate_paths(
        paths,
        policy,
        namespace,
        namespaces,
        config,
        lambda found: read_fleet(fleet, found, kubeconfig, context).fleet if fleet else None,
        exclude=exclude or (),
        ignore=ignored,
    )
    evaluated.problems += evaluated.nothing_found()
    # The table shows the lines of findings only; those of changes would require parsing each document again.
    places = output != "table"
    rows = [_row(found, places=places) for found in (*evaluated.mislabelled, *evaluated.objects)]
    decisions = zip(rows[len(evaluated.mislabelled) :], evaluated.objects, strict=True)
    forms = check_report.form_totals(
        (row.line.decision, gpu_forms(one.evaluation, evaluated.expected)) for row, one in decisions
    )
    report = check_report.report([row.line for row in rows], evaluated.problems, evaluated.skipped, forms)
    _show(output, evaluated, rows, report, strict=strict)
    say_skipped(evaluated.skipped)
    if config is None and any(row.line.kind == "Namespace" and row.line.decision == DENIED for row in rows):
        say("note: a namespace label may name a policy of the configuration file; give the file with --config")
    if evaluated.plugin.files:
        say(f"note: {evaluated.plugin}")
    totals = report.totals
    if any(problem.fatal for problem in evaluated.problems):
        raise typer.Exit(EXIT_USAGE)
    plugin = evaluated.plugin.faults if strict else evaluated.plugin.rejected
    nothing = not (totals.objects or evaluated.plugin.files)
    if totals.denied or plugin or (strict and (nothing or not totals.strictly_fine)):
        raise typer.Exit(EXIT_DENIED)


def _show(
    output: CheckOutput,
    evaluated: EvaluatedInput,
    rows: list[check_table.CheckedRow],
    report: check_report.Report,
    *,
    strict: bool,
) -> None:
    match output:
        case "json":
            typer.echo(report.model_dump_json(by_alias=True, indent=2))
        case "sarif":
            typer.echo(sarif.sarif(report.objects, report.problems))
        case "junit":
            typer.echo(junit.junit(report.objects, report.problems, strict=strict), nl=False)
        case "concise":
            typer.echo(one_line.concise(report.objects, report.problems), nl=False)
        case "github":
            typer.echo(one_line.github(report.objects, report.problems), nl=False)
        case "diff":
            _show_diffs(evaluated, rows)
        case "table":
            check_table.show(terminal.console(), rows, report)


def _reject_unused_cluster_options(ctx: typer.Context, fleet: str | None) -> None:
    beside = cluster_options.given(ctx)
    if beside and fleet != LIVE:
        raise usage_error(
            f"{' and '.join(beside)} can be used only with --fleet live, because otherwise no cluster is read; leave it out"
        )


def _row(found: EvaluatedObject, *, places: bool) -> check_table.CheckedRow:
    evaluation = found.evaluation
    where = found.lines if places or evaluation.findings or evaluation.label_problems else None
    line = check_report.object_line(found.item.source, found.item.line, evaluation, where)
    return check_table.CheckedRow(line, list(evaluation.changes()))


def _show_diffs(evaluated: EvaluatedInput, rows: Iterable[check_table.CheckedRow]) -> None:
    """Print the diffs on standard output and everything else on standard error, so that the output is a valid patch."""
    from ..adapters.manifests.editing import edit_text  # noqa: PLC0415 - start-up time: it loads a YAML writer

    target = terminal.console()
    for source in evaluated.evaluated_sources:
        edits = source.edits()
        if edits:
            try:
                edited = edit_text(source.source.text, edits)
                if not diff.show(target, source.source.name, source.source.text, edited):
                    message = (
                        "the diff shows unsafe characters as escapes, so it can't be applied; use gpuwarden rewrite"
                    )
                    evaluated.problems.append(ManifestProblem(source.source.name, None, message, fatal=False))
            except EditError as error:
                evaluated.problems.append(ManifestProblem(source.source.name, None, str(error)))
    for row in rows:
        for finding in row.line.findings:
            say(f"{row.line.source}:{finding.line or row.line.line}: {finding.severity}: {finding.message}")
        if row.line.not_evaluated:
            say(
                f"{row.line.source}:{row.line.not_evaluated_line or row.line.line}: not evaluated: {row.line.not_evaluated}"
            )
    for problem in evaluated.problems:
        say(str(problem))
