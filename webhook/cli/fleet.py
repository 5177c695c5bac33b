"""``gpuwarden fleet``: what the nodes offer, what is in use and free, and which pods wait for what."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..adapters.reports import fleet_table, terminal
from ..adapters.reports.fleet_report import fleet_report
from . import cluster_options
from .cluster_options import ContextOption, KubeconfigOption
from .configuration_input import ConfigOption, load_configuration
from .exit_codes import EXIT_DENIED
from .fleet_input import LIVE, deciders_of, read_fleet, view_of
from .messages import usage_error

FleetOutput = Literal["table", "json", "html"]
"""The output formats of ``fleet``."""


def fleet(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Read a file instead of the cluster: what -o json printed before, or kubectl get nodes,pods,namespaces -A "
            "-o json.",
        ),
    ] = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: Annotated[
        FleetOutput,
        typer.Option(
            "--output",
            "-o",
            help="table: for people; html: a page to read; json: for programs, -f, and --fleet of audit.",
        ),
    ] = "table",
    strict: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool, typer.Option("--strict", help="Exit 1 if a pod waits for what no node offers.")
    ] = False,
) -> None:
    """Show what GPU nodes offer, what is in use and free, which pods wait for what, and who decides new ones.

    Reads a live cluster (nothing is changed there), or a file. Equal nodes are one line, with a count. A pod counts with
    what the scheduler reserves for it, init containers and sidecars included, until it has ended. Devices that
    DeviceClasses with a resource name offer (DRA), and the claims that hold them, are included. For each policy, the last
    table says whether the API server's admission policies or the webhooks decide the common case, and all other pods with
    GPUs.

    Exit codes: 0 it is shown; 1 with --strict: a pod waits for what no node offers; 2 wrong usage, a cluster or file that can't
    be read, or output that can't be written.
    """
    given = cluster_options.given(ctx)
    if file and given:
        raise usage_error(f"{' and '.join(given)}: no cluster is read with --file; leave out one or the other")
    configuration = load_configuration(config)
    read = read_fleet(
        str(file) if file else LIVE,
        configuration,
        kubeconfig,
        context,
        called=f"--file {file}" if file else "cluster",
        with_pods=True,
    )
    found = view_of(read, configuration)
    report = fleet_report(found, read.objects, deciders_of(read, configuration))
    match output:
        case "table":
            fleet_table.show(terminal.console(), report)
        case "json":
            typer.echo(report.model_dump_json(by_alias=True, indent=1))
        case "html":
            from ..adapters.reports.html import fleet_html  # noqa: PLC0415 - the template engine: only for a page

            typer.echo(fleet_html(report), nl=False)
    if strict and found.waits_in_vain:
        raise typer.Exit(EXIT_DENIED)
