"""The options of the commands that read a cluster: which one, as in kubectl."""

from pathlib import Path
from typing import Annotated

import typer

NAMESPACE = "gpuwarden-system"
"""Where gpuwarden is installed, unless a command is told otherwise; the same as in the chart's documentation."""

KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", envvar="GPUWARDEN_KUBECONFIG", help="Kubeconfig of the cluster; as in kubectl."),
]
ContextOption = Annotated[
    str | None, typer.Option("--context", envvar="GPUWARDEN_CONTEXT", help="Context of the kubeconfig, as in kubectl.")
]
