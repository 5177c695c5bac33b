"""The nodes of ``check`` and ``audit``: from a saved file, or the cluster."""

import os
import random
import time
from pathlib import Path
from typing import Annotated

import typer

from webhook.adapters.file_errors import why
from webhook.adapters.kubernetes import nodes
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.errors import ApiError, ConfigurationError
from webhook.adapters.kubernetes.lists import Lister
from webhook.adapters.kubernetes.retrying import RetryingApi
from webhook.adapters.reports import table
from webhook.adapters.reports.progress import ProgressBar
from webhook.application.configuration import Configuration
from webhook.cli.manifest_input import usage_error
from webhook.cli.messages import say
from webhook.engine.fleet.fleet import Fleet

LIVE = "live"
# A file that is older denies nothing: what nodes offered within a day still counts as offered.
_CERTAIN_SECONDS = 86400

FleetOption = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        metavar="FILE|live",
        help="Report also what no node offers: nodes as kubectl get nodes -o json prints them, or live for the cluster's.",
    ),
]


def load_fleet(
    value: str | None, configuration: Configuration, kubeconfig: Path | None, context: str | None
) -> Fleet | None:
    """The nodes of ``--fleet``, or ``None`` without it.

    Raises:
        typer.Exit: 2, after saying why, where they can't be read.
    """
    if value is None:
        return None
    labels = configuration.policies.node_labels
    seen, age = _live(kubeconfig, context, labels) if value == LIVE else _saved(Path(value), labels)
    if seen.unread:
        say(f"note: DeviceClasses are not taken into account: {seen.unread}")
    return Fleet(
        seen.shapes,
        labels=labels,
        classes=seen.classes,
        expected=configuration.expected,
        age=age,
        is_certain=age < _CERTAIN_SECONDS and not seen.unread,
    )


def _saved(path: Path, labels: frozenset[str]) -> tuple[nodes.Seen, float]:
    try:
        return nodes.parse(path.read_bytes(), labels), max(0.0, time.time() - path.stat().st_mtime)
    except nodes.FleetFileError as error:
        raise usage_error(f"--fleet {path}: {error}") from error
    except OSError as error:
        raise usage_error(f"--fleet {path}: {why(path, error)}") from error


def _live(kubeconfig: Path | None, context: str | None, labels: frozenset[str]) -> tuple[nodes.Seen, float]:
    try:
        api = RetryingApi(connect(kubeconfig, context, os.environ), Backoff(random.random))
        with ProgressBar(table.console(stderr=True)) as progress:
            return nodes.live(Lister(api, progress), labels), 0.0
    except ConfigurationError as error:
        raise usage_error(f"--fleet {LIVE}: {error}") from error
    except ApiError as error:
        raise usage_error(f"--fleet {LIVE}: the nodes can't be listed: {error.detail}") from error
