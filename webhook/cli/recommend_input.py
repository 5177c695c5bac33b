"""The input of a recommendation: a cluster with its monitoring, or a saved file."""

import json
import os
import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..adapters import usage_file
from ..adapters.file_errors import why
from ..adapters.kubernetes import fleets
from ..adapters.kubernetes.api_request import path_of
from ..adapters.kubernetes.audit_reader import AuditReader
from ..adapters.kubernetes.backoff import Backoff
from ..adapters.kubernetes.connect import Cluster
from ..adapters.kubernetes.errors import ApiError, Fault, KubeconfigError
from ..adapters.kubernetes.fleets import ClusterObjects
from ..adapters.kubernetes.gpu_workloads import GpuWorkloads
from ..adapters.kubernetes.lists import Lister, Page, Progress
from ..adapters.kubernetes.nodes import FleetFileError
from ..adapters.kubernetes.transport import Login
from ..adapters.kubernetes.workload_documents import NamespaceItem
from ..adapters.prometheus import discovery
from ..adapters.prometheus.client import Prometheus, QueryError
from ..adapters.prometheus.connection import ConnectionOptionError, to_url
from ..adapters.prometheus.expressions import with_labels
from ..adapters.prometheus.gathering import Gatherer
from ..adapters.prometheus.owners import owners
from ..adapters.prometheus.query_batches import WORKERS
from ..adapters.usage_file import SavedUsage, UsageFileError
from ..application.configuration import Configuration
from ..application.recommendation.placement import NamedNode
from ..application.recommendation.usage import Usage
from .cluster_options import reached, unreadable
from .messages import say, usage_error
from .prometheus_options import PrometheusOptions

SAVED = "read a saved file with --usage"
"""The fix to suggest if there is no cluster."""


class UsageScope(msgspec.Struct, frozen=True):
    """The part of a cluster and of its metrics to read.

    Attributes:
        namespaces: all, if none is named.
        trusted: the values of ``--trusted``.
        window: seconds.
        idle_below: the share below which a sample counts as idle.
        labels: only series with one of these values of each label count.
    """

    namespaces: Sequence[str]
    trusted: Sequence[str]
    window: float
    idle_below: float
    labels: Mapping[str, Sequence[str]]


def from_saved(path: Path, configuration: Configuration) -> tuple[SavedUsage, ClusterObjects | None]:
    """Read a file that ``--save`` wrote; return its content, and the nodes and DeviceClasses in it.

    Raises:
        typer.Exit: 2, after printing why, if it can't be read.
    """
    try:
        saved = usage_file.parsed(path.read_bytes())
        return saved, objects_of(saved, configuration)
    except (UsageFileError, FleetFileError) as error:
        raise usage_error(f"--usage {path}: {error}") from error
    except OSError as error:
        raise usage_error(f"--usage {path}: {why(path, error)}") from error


def objects_of(saved: SavedUsage, configuration: Configuration) -> ClusterObjects | None:
    """Return the nodes, and DeviceClasses with a resource name; ``None`` if nodes were not read.

    Raises:
        FleetFileError: they are not valid.
    """
    if saved.nodes is None:
        return None
    if not any(one.get("kind") == "Node" for one in saved.nodes):
        return ClusterObjects([])
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": saved.nodes}).encode()
    return fleets.read_saved(listed, configuration.policies.node_labels)


def within(saved: SavedUsage, namespaces: Sequence[str]) -> SavedUsage:
    """Return the part of the data that is about these namespaces, or (if none is named) all of it."""
    if not namespaces:
        return saved
    series = [one for one in saved.usage.series if one.namespace in namespaces]
    workloads = [one for one in saved.workloads if one.namespace in namespaces]
    usage = msgspec.structs.replace(saved.usage, series=series)
    return msgspec.structs.replace(saved, usage=usage, workloads=workloads)


def from_cluster(  # noqa: PLR0913, PLR0917 - which cluster, how Prometheus is reached, and what is wanted
    kubeconfig: Path | None,
    context: str | None,
    configuration: Configuration,
    options: PrometheusOptions,
    wanted: UsageScope,
    progress: Progress,
) -> SavedUsage:
    """Read a cluster and its monitoring.

    Raises:
        typer.Exit: 2, after printing why, if they can't be read.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    api = reached(kubeconfig, context, instead=SAVED)
    try:
        lister = Lister(api, progress)
        server = Prometheus(
            _connection(lister, options, kubeconfig, context), lambda: Backoff(random.random, first=1.0)
        )
        reader = AuditReader(api, progress, configured=configuration.kinds)
        notes: list[str] = []
        others = configuration.policies.node_labels
        objects = _nodes(lister, configuration, now, notes)
        named = [
            NamedNode(node.name, item.metadata.labels or {}, node.shape)
            for item in (objects.nodes if objects else ())
            if (node := item.gpu_node(others))
        ]
        labels = reader.namespaces(wanted.namespaces)
        labelled = {text: _labelled(lister, text) for text in wanted.trusted if "=" in text}
        notes += (f"--trusted {text}: no namespace has this label" for text, names in labelled.items() if not names)
        workloads = GpuWorkloads(api, lister, reader, configuration, named)
        found = workloads.read(wanted.namespaces)
    except KubeconfigError as error:
        raise usage_error(str(error)) from error
    except ApiError as error:
        narrower = error.fault is Fault.FORBIDDEN and not wanted.namespaces
        raise usage_error(
            unreadable(error, "name the namespaces that you may read with -n" if narrower else "")
        ) from error
    try:
        gatherer = Gatherer(server, now.timestamp(), wanted.window, wanted.idle_below, progress, wanted.labels)
        usage = gatherer.usage(wanted.namespaces)
        live = {(one.namespace, pod.name) for one in found for pod in one.pods}
        gone = {(one.namespace, one.pod) for one in usage.series} - live
        recorded = _owners(server, gone, usage, with_labels(wanted.labels))
        usage.owners = {
            pod: workloads.tops.get((pod.partition("/")[0], *owner), owner) for pod, owner in recorded.items()
        }
        usage.queries = server.requests
    except QueryError as error:
        raise usage_error(f"usage can't be read: {error.detail}") from error
    nodes = objects.items if objects else None
    named_so = filter(trusts(wanted.trusted, ()), {one.namespace for one in found})
    return SavedUsage(
        at=now.isoformat(),
        usage=usage,
        workloads=found,
        nodes=nodes,
        labels=labels,
        trusted=sorted({*named_so, *(name for names in labelled.values() for name in names)}),
        notes=[*notes, *workloads.notes],
    )


def _owners(server: Prometheus, gone: set[tuple[str, str]], usage: Usage, only: str) -> dict[str, tuple[str, str]]:
    """The controllers of deleted pods. If they can't be read, there are none, and pods are grouped by their names."""
    try:
        return owners(server, gone, usage.end - usage.window, usage.end, only)
    except QueryError as error:
        usage.missing.append(f"the owners of deleted pods are known by their names only: {error.detail}")
        return {}


def _connection(lister: Lister, options: PrometheusOptions, kubeconfig: Path | None, context: str | None) -> Login:
    if options.url is None:
        if options.given:
            raise usage_error(f"{' and '.join(options.given)} can be used only with --prometheus URL; set it")
        try:
            found = discovery.services(lister)
        except ApiError as error:
            raise usage_error(
                f"no Prometheus can be found in the cluster: {error.detail}; name it with --prometheus URL"
            ) from error
        if not found:
            raise usage_error("no Service of a Prometheus was found in the cluster; name it with --prometheus URL")
        if len(found) > 1:
            say(
                f"note: reading {found[0]}; there are also {', '.join(map(str, found[1:]))}: name one with --prometheus URL"
            )
        login = _login(kubeconfig, context)
        return replace(login, host=login.host + found[0].path)
    access = options.access()
    if options.kubernetes_token:
        if not options.url.startswith("https://"):
            raise usage_error(
                "--prometheus-kubernetes-token needs a URL with https://: a token is not sent in the clear"
            )
        authorization = _login(kubeconfig, context).authorization
        if authorization() is None:
            raise usage_error(
                "--prometheus-kubernetes-token: the kubeconfig logs in without a token, so there is none to send; use "
                "--prometheus-token-file, or --prometheus-client-cert with --prometheus-client-key"
            )
        access = replace(access, authorization=authorization)
    try:
        return to_url(options.url, access, WORKERS)
    except ConnectionOptionError as error:
        raise usage_error(str(error)) from error


def _login(kubeconfig: Path | None, context: str | None) -> Login:
    return Cluster(kubeconfig, context, os.environ)()


def _nodes(lister: Lister, configuration: Configuration, now: datetime, notes: list[str]) -> ClusterObjects | None:
    try:
        return fleets.read_cluster(lister, configuration.policies.node_labels, now, with_pods=False)
    except ApiError as error:
        if error.fault is not Fault.FORBIDDEN:
            raise
        notes.append(f"the forms that nodes offer are not known: nodes can't be listed: {error.detail}")
        return None


def _labelled(lister: Lister, selector: str) -> list[str]:
    path = path_of("api", "v1", "namespaces")
    query = {"labelSelector": selector}
    try:
        return lister.all("namespaces", path, Page[NamespaceItem], lambda item: item.metadata.name, query)
    except ApiError as error:
        if error.fault is not Fault.REJECTED:
            raise
        raise usage_error(
            f'--trusted: "{selector}" is not a label and its value ({error.detail}); write LABEL=VALUE, such as team=research'
        ) from error


def trusts(texts: Iterable[str], labelled: Collection[str]) -> Callable[[str], bool]:
    """Return a predicate of trusted namespaces: those in ``labelled``, or that a name or pattern of ``--trusted`` matches."""
    patterns = [re.compile(".*".join(map(re.escape, text.split("*")))) for text in texts if "=" not in text]
    return lambda namespace: namespace in labelled or any(one.fullmatch(namespace) for one in patterns)


def selecting_nothing(texts: Iterable[str], namespaces: Collection[str]) -> Iterator[str]:
    """Yield a note for each name or pattern of ``--trusted`` that matches none of these namespaces."""
    for text in texts:
        if "=" not in text and not any(map(trusts([text], ()), namespaces)):
            yield f"--trusted {text}: no namespace with workloads that request GPUs has this name"
