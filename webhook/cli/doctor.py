"""``gpuwarden doctor``: checks an installation, and reports each problem with its impact and fix."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..adapters.kubernetes.diagnosis_facts import FactReader
from ..adapters.kubernetes.errors import ApiError
from ..adapters.kubernetes.neighbours import NeighbourReader
from ..adapters.reports import doctor as report
from ..adapters.reports import terminal
from ..adapters.reports.progress import ProgressBar
from ..application.diagnosis.diagnose import diagnose
from ..application.diagnosis.results import CheckStatus
from . import completers
from .cluster_options import NAMESPACE, ContextOption, KubeconfigOption, reached, unreadable
from .configuration_input import load_configuration
from .doctor_facts import gather
from .exit_codes import EXIT_FAILED_CHECK
from .messages import usage_error

DoctorOutput = Literal["table", "json"]
"""The output formats of ``doctor``."""


def doctor(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    namespace: Annotated[
        str,
        typer.Option(
            # Not -n, which is the namespace of workloads everywhere.
            "--gpuwarden-namespace",
            help="Namespace that gpuwarden is installed in.",
            autocompletion=completers.namespaces,
        ),
    ] = NAMESPACE,
    name: Annotated[
        str, typer.Option(help="Name of the Deployment, the ConfigMap and the validating webhook configuration.")
    ] = "gpuwarden",
    probe_namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE",
            help="Also test end to end: create pods with GPUs in this namespace, as server-side dry runs.",
            autocompletion=completers.namespaces,
        ),
    ] = None,
    config: Annotated[
        # Not from the environment, as elsewhere: an installation is checked with its own configuration.
        Path | None,
        typer.Option(help="Configuration file to use instead of the one in the installed ConfigMap."),
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: Annotated[
        DoctorOutput, typer.Option("--output", "-o", help="table: for people; json: for programs.")
    ] = "table",
    strict: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool, typer.Option("--strict", help="Exit 1 also if there are warnings, or checks whose result is unknown.")
    ] = False,
) -> None:
    """Check an installation in a cluster, and report what is wrong, what that means and how to fix it.

    Nothing is changed. A check that can't be made, because a permission is missing or a network is not reachable from here, is
    "not checked" ("unknown" in JSON), with what it needs. Checks of programs that are not installed, such as Kueue, are
    "skipped".

    Exit codes: 0 no check fails (with --strict: none warns either, and all were made); 1 a check fails; 2 wrong usage, a cluster
    that can't be read or in which nothing can be checked, or output that can't be written.
    """
    for option, value in (
        ("--gpuwarden-namespace", namespace),
        ("--name", name),
        ("--probe-namespace", probe_namespace),
    ):
        if value is not None and not value.strip("."):
            raise usage_error(f'{option}: "{value}" is not a valid name')
    configuration = load_configuration(config) if config else None
    api = reached(kubeconfig, context)
    try:
        with ProgressBar(terminal.console(stderr=True)) as progress:
            facts = gather(
                FactReader(api, progress),
                NeighbourReader(api, progress),
                namespace=namespace,
                name=name,
                configuration=configuration,
                probe_namespace=probe_namespace,
            )
    except ApiError as error:
        raise usage_error(unreadable(error)) from error
    outcomes = diagnose(facts)
    written = report.doctor_report(outcomes, cluster=api.host, namespace=namespace, name=name)
    if output == "json":
        typer.echo(written.model_dump_json(by_alias=True, indent=2))
    else:
        report.show(terminal.console(), written)
    bad = {CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.UNKNOWN} if strict else {CheckStatus.FAIL}
    if all(outcome.status in {CheckStatus.UNKNOWN, CheckStatus.SKIPPED} for outcome in outcomes):
        raise usage_error("nothing could be checked: run it as a user with the permissions listed above")
    if any(outcome.status in bad for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED_CHECK)
