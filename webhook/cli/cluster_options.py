"""Options of the commands that read a cluster (kubeconfig and context, as in kubectl), and messages if it can't be read."""

import os
import random
from pathlib import Path
from typing import Annotated

import typer

from ..adapters.kubernetes.backoff import Backoff
from ..adapters.kubernetes.connect import connect
from ..adapters.kubernetes.errors import ApiError, Fault, KubeconfigError, NoClusterError
from ..adapters.kubernetes.retrying import RetryingApi
from . import completers
from .messages import usage_error

NAMESPACE = "gpuwarden-system"
"""The default namespace of an installation; the same as in the chart's documentation."""

KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", envvar="GPUWARDEN_KUBECONFIG", help="Kubeconfig of the cluster; as in kubectl."),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context",
        envvar="GPUWARDEN_CONTEXT",
        help="Context of the kubeconfig, as in kubectl.",
        autocompletion=completers.contexts,
    ),
]

NamespacesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Namespace of workloads: only those in it; repeatable.",
        autocompletion=completers.namespaces,
    ),
]
WriteReportsOption = Annotated[
    bool,
    typer.Option(
        "--write-reports",
        help="Write PolicyReports (or OpenReports' Reports) into the cluster; nothing is printed unless -o is given.",
    ),
]


def reached(kubeconfig: Path | None, context: str | None, *, instead: str = "", called: str = "") -> RetryingApi:
    """Return a client of the cluster.

    If there is no cluster, the message ends with "or" and ``instead``. ``called`` is a prefix of the message.

    Raises:
        typer.Exit: 2, after printing why the cluster can't be reached.
    """
    try:
        return RetryingApi(connect(kubeconfig, context, os.environ), Backoff(random.random))
    except KubeconfigError as error:
        way_out = f", or {instead}" if instead and isinstance(error, NoClusterError) else ""
        raise usage_error(f"{called and f'{called}: '}{error}{way_out}") from error


def given(ctx: typer.Context) -> list[str]:
    """Return the options that are on the command line; those from the environment may be meant for other commands."""
    return [f"--{name}" for name in ("kubeconfig", "context") if is_given(ctx, name)]


def is_given(ctx: typer.Context, name: str) -> bool:
    """Return whether an option is on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


_FIXES = {
    Fault.UNREACHABLE: "check the address of the server and its certificate authority in the kubeconfig, and the network",
    Fault.UNAUTHORIZED: "log in again, or correct the credentials of the user in the kubeconfig",
    Fault.FORBIDDEN: "get permission to do this, or use another user",
    Fault.NOT_FOUND: "check that the server in the kubeconfig is a Kubernetes API server",
    Fault.GARBAGE: "check that the server in the kubeconfig is a Kubernetes API server",
}


def unreadable(error: ApiError, fix: str = "") -> str:
    """Return why a cluster can't be read, and the fix: the caller's, or the usual one for the failure."""
    usual = "check the name" if error.missing else _FIXES.get(error.fault, "try again later")
    return f"the cluster can't be read: {error.detail}; {fix or usual}"
