"""The input of a recommendation: a cluster with its monitoring, or a saved file."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from webhook.adapters import usage_file
from webhook.adapters.file_errors import why
from webhook.adapters.kubernetes import fleets
from webhook.adapters.kubernetes.fleets import Objects
from webhook.adapters.kubernetes.nodes import FleetFileError
from webhook.adapters.usage_file import Saved, UsageFileError
from webhook.application.configuration import Configuration
from webhook.application.recommendation.usage import Usage
from webhook.application.recommendation.workloads import Workload
from webhook.cli.messages import usage_error
from webhook.engine.fleet.shapes import Shape
from webhook.engine.labels import NamespaceLabels


class Input(msgspec.Struct):
    """What a recommendation is made of.

    Attributes:
        shapes: the nodes; ``None`` where they were not read.
        trusted: the namespaces that have a label of ``--trusted``.
        notes: what could not be read.
    """

    usage: Usage
    workloads: list[Workload]
    shapes: Mapping[Shape, int] | None
    labels: Mapping[str, NamespaceLabels]
    trusted: frozenset[str]
    notes: list[str]


def from_saved(path: Path, configuration: Configuration) -> Input:
    """Read a file that ``--save`` wrote.

    Raises:
        typer.Exit: 2, after saying why, where it can't be read.
    """
    try:
        saved = usage_file.parsed(path.read_bytes())
        objects = None if saved.nodes is None else _objects(saved, configuration)
    except (UsageFileError, FleetFileError) as error:
        raise usage_error(f"--usage {path}: {error}") from error
    except OSError as error:
        raise usage_error(f"--usage {path}: {why(path, error)}") from error
    return made(saved, objects, configuration)


def made(saved: Saved, objects: Objects | None, configuration: Configuration) -> Input:
    """Return the input that was read or saved."""
    shapes = None
    if objects is not None:
        shapes = Counter(node.shape for node in objects.gpu_nodes(configuration.policies.node_labels))
    labels = (objects.labels if objects else None) or {}
    return Input(saved.usage, saved.workloads, shapes, labels, frozenset(saved.trusted), saved.notes)


def _objects(saved: Saved, configuration: Configuration) -> Objects:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": saved.nodes}).encode()
    return fleets.saved(listed, configuration.policies.node_labels)


def trusts(texts: Iterable[str], labelled: frozenset[str]) -> Callable[[str], bool]:
    """Return whether a namespace is declared trusted: by a name or pattern of ``--trusted``, or because it has the label."""
    patterns = [re.compile(".*".join(map(re.escape, text.split("*")))) for text in texts if "=" not in text]
    return lambda namespace: namespace in labelled or any(one.fullmatch(namespace) for one in patterns)
