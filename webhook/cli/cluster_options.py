"""The options of the commands that read a cluster: which one, as in kubectl; and what to do when it can't be read."""

from pathlib import Path
from typing import Annotated

import typer

from ..adapters.kubernetes.errors import ApiError, Fault
from . import completers

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


def given(ctx: typer.Context) -> list[str]:
    """Return those of the two that are on the command line; one from the environment may be meant for other commands."""
    return [f"--{name}" for name in ("kubeconfig", "context") if is_given(ctx, name)]


def is_given(ctx: typer.Context, name: str) -> bool:
    """Return whether an option is on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


_FIXES = {
    Fault.UNREACHABLE: "check the address of the server and its certificate authority in the kubeconfig, and the network",
    Fault.UNAUTHORIZED: "log in again, or correct the credentials of the user in the kubeconfig",
    Fault.FORBIDDEN: "get the right to do this, or use another user",
    Fault.NOT_FOUND: "check that the server in the kubeconfig is a Kubernetes API server",
    Fault.GARBAGE: "check that the server in the kubeconfig is a Kubernetes API server",
}


def unreadable(error: ApiError, fix: str = "") -> str:
    """Return why a cluster can't be read, and the fix: the caller's, or the usual one for the failure."""
    return f"the cluster can't be read: {error.detail}; {fix or _FIXES.get(error.fault, 'try again later')}"
