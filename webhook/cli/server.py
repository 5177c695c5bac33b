"""The composition of the server, from options to running listeners."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import structlog
import uvloop

from .. import __version__
from ..adapters import logs
from ..adapters.asgi.application import ReadinessPart, application
from ..adapters.asgi.operations_listener import OperationsListener
from ..adapters.configuration import file as configuration_file
from ..adapters.decision_log import DecisionLog
from ..adapters.deferred_recording import DeferredRecording
from ..adapters.http.connection import Port
from ..adapters.http.endpoint import AdmissionEndpoint
from ..adapters.http.listeners import AdmissionListener
from ..adapters.http.request_queue import RequestQueue
from ..adapters.kubernetes.client import ApiServer
from ..adapters.kubernetes.connect import connect
from ..adapters.kubernetes.errors import KubeconfigError
from ..adapters.kubernetes.watched_classes import Names
from ..adapters.log_writer import LogWriter, standard_error
from ..adapters.malloc import configure_malloc, trim_malloc
from ..adapters.metrics import Metrics
from ..adapters.standard_error import logged_standard_error
from ..application.admission import Admission
from ..application.advising import Advising
from ..application.certificates.tokens import (
    ADVISE,
    MUTATE,
    PATHS,
    VALIDATE,
    VALIDATE_CLAIM,
    VALIDATE_NAMESPACE,
    PathTokens,
)
from ..application.claim_admission import ClaimAdmission
from ..application.clock import WitnessedClock
from ..application.configuration import Configuration
from ..application.fleet import NoFleet
from ..application.namespace_admission import NamespaceAdmission
from .admission_port import admission_limiter, client_authorities, operations_limiter
from .certificate_source import certificate_source, now
from .class_source import ClassSource
from .fleet_source import WatchedFleet
from .namespace_source import ClusterSource, FileSource, NamespaceSource
from .options import Options, StartError
from .reloading import Reload

if TYPE_CHECKING:  # it loads the compiler of policies
    from .in_tree_source import InTreeWatch

Listener = AdmissionListener | OperationsListener

_POLL_SECONDS = 1.0
_log = structlog.get_logger("gpuwarden")


def run(options: Options) -> None:
    """Serve until a signal ends it.

    Raises:
        StartError: something that the options name can't be used.
    """
    metrics = Metrics()
    configure_malloc()
    lines = LogWriter(standard_error(), metrics.log_line_dropped)
    logs.configure(options.log_format, options.log_level, lines)
    try:
        with logged_standard_error(lines, options.log_format):
            server = Server(options, metrics)
            # Objects made at start-up live as long as the process, so the collector, which was off until now, never scans them.
            gc.freeze()
            gc.enable()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve())
    finally:
        lines.close()


class Server:
    """Everything that runs in the process, from start to stop."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        """Read every file and bind every port.

        Raises:
            StartError: as ``run``.
        """
        self._options = options
        self._metrics = metrics
        self._stopped = threading.Event()
        clock = WitnessedClock(now, time.monotonic, timedelta(seconds=options.clock_skew))
        api = cache(lambda: _connect(options, clock))
        # If the paths may carry tokens, nothing is admitted before the tokens are known.
        self._paths = PathTokens(PATHS.values(), plain=not options.manage_certificates)
        self._certificates = certificate_source(options, api, self._metrics, clock, self._paths)
        self._namespaces = _namespace_source(options, api, self._metrics)
        self._decision_log = DecisionLog()
        recorder = DeferredRecording(self._metrics.answered, self._metrics, self._decision_log)
        namespaces = self._namespaces.namespaces
        self._configured = Configuration()
        self._class_names: Names = {}
        self._configuring = threading.Lock()
        self._classes = self._class_source(api)
        self._nodes = self._watched_fleet(api)
        nodes = self._nodes or NoFleet()
        self._in_tree = self._in_tree_watch(api)
        self._admission = Admission(self._configured, namespaces, recorder, self._namespaces.claims, nodes)
        advising = Advising(self._current, namespaces, recorder, nodes)
        claiming = ClaimAdmission(self._current, namespaces, recorder, nodes, self._namespaces.pods)
        labelling = NamespaceAdmission(self._current, self._namespaces.preview(self._current), nodes)
        self._configuration: Reload[Configuration] | None = None
        if options.config:
            self._configuration = Reload(
                "configuration", options.config, configuration_file.parse, self._use, self._metrics
            )
        serving = self._certificates.serving
        self._clients = client_authorities(options, serving, self._metrics)
        limiter = admission_limiter(options, self._metrics)
        endpoints = (
            AdmissionEndpoint(MUTATE, self._admission.mutate, recorder.answered),
            AdmissionEndpoint(VALIDATE, self._admission.validate, recorder.answered),
            AdmissionEndpoint(ADVISE, advising.advise, recorder.answered),
            AdmissionEndpoint(VALIDATE_CLAIM, claiming.validate, recorder.answered),
            AdmissionEndpoint(VALIDATE_NAMESPACE, labelling.validate, recorder.answered, timed=True),
        )
        by_path = {endpoint.path: endpoint for endpoint in endpoints}
        self._port = Port(
            lambda path: by_path.get(self._paths.admits(path) or ""),
            limiter,
            RequestQueue(options.max_lag),
            frozenset(options.allowed_cn or ()),
        )
        operations = application(self.readiness, self._exposition)
        visitors = operations_limiter(self._metrics)
        self._listeners: list[Listener] = [
            _listener(
                "--port",
                options.port,
                lambda: AdmissionListener(
                    self._port, options.host, options.port, serving.context, serving.note_distrust
                ),
            ),
            _listener(
                "--ops-port",
                options.ops_port,
                lambda: OperationsListener(operations, options.host, options.ops_port, visitors),
            ),
        ]

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; then become unready, answer for the shutdown delay, and stop."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        admission, operations = self._listeners
        _log.info("serving", version=__version__, port=admission.port, ops_port=operations.port)
        polls = [self._namespaces.poll, self._certificates.poll, self._poll_files, trim_malloc]
        self._namespaces.start()
        if self._classes:
            self._classes.start()
        if self._nodes:
            self._nodes.start()
            polls.append(self._nodes.poll)
            if self._options.count_pods:
                polls.append(self._nodes.count_pods)
        if self._in_tree:
            polls.append(self._in_tree.poll)
        for poll in polls:
            # A thread that waits for an API server doesn't delay the others and, because it is a daemon, doesn't keep the
            # process alive.
            threading.Thread(target=self._poll_forever, args=(poll,), name="poll", daemon=True).start()
        try:
            async with asyncio.TaskGroup() as group:
                for listener in self._listeners:
                    group.create_task(listener.serve())  # if one fails, the others stop
                await stopping.wait()
                await self._drain()
        finally:
            self._stopped.set()
            self._namespaces.stop()
            if self._classes:
                self._classes.stop()
            if self._nodes:
                self._nodes.stop()
            self._decision_log.write()
        _log.info("stopped")

    def readiness(self) -> list[ReadinessPart]:
        """Return the answer of ``/readyz``, part by part."""
        files = [file.part() for file in (self._configuration, self._clients) if file]
        watched = [one.part() for one in (self._classes, self._nodes, self._in_tree) if one]
        return [self._serving_part(), *files, self._namespaces.part(), *watched, *self._certificates.parts()]

    def _exposition(self) -> bytes:
        """Return the answer of ``/metrics``: readiness is checked for each request, as in ``/readyz``."""
        self._metrics.readiness({part.name: part.ready for part in self.readiness()})
        return self._metrics.exposition()

    async def _drain(self) -> None:
        """Drain: not ready, answering with ``Connection: close``, until endpoints no longer list this replica."""
        _log.info("stopping", delay_seconds=self._options.shutdown_delay)
        self._port.draining = True
        await asyncio.sleep(self._options.shutdown_delay)
        for listener in self._listeners:
            listener.stop()

    def _class_source(self, api: Callable[[], ApiServer]) -> ClassSource | None:
        """The watch of DeviceClasses, if namespaces are read from a cluster."""
        return ClassSource(api(), self._use_classes) if isinstance(self._namespaces, ClusterSource) else None

    def _watched_fleet(self, api: Callable[[], ApiServer]) -> WatchedFleet | None:
        """The watch of nodes, if namespaces are read from a cluster and ``--watch-nodes`` is set."""
        if not isinstance(self._namespaces, ClusterSource) or not self._options.watch_nodes:
            return None
        return WatchedFleet(api(), self._metrics, self._current, self._namespaces.labels, self._options.node_selector)

    def _in_tree_watch(self, api: Callable[[], ApiServer]) -> InTreeWatch | None:
        """The watch of admission policies, if namespaces are read from a cluster and ``--watch-in-tree`` is set."""
        if not isinstance(self._namespaces, ClusterSource) or not self._options.watch_in_tree:
            return None
        from ..application.in_tree_webhooks import WEBHOOK_KINDS  # noqa: PLC0415 - start-up time: it loads the compiler of policies
        from .in_tree_source import InTreeWatch  # noqa: PLC0415 - likewise

        name = self._options.webhook_configuration
        names = (self._options.mutating_webhook_configuration or name, name)
        webhooks = {kind: each for kind, each in zip(WEBHOOK_KINDS, names, strict=True) if each}
        return InTreeWatch(api(), self._metrics, self._current, webhooks)

    def _serving_part(self) -> ReadinessPart:
        ready = self._port.started and not self._port.draining
        message = "shutting down" if self._port.draining else "accepting connections" if ready else "starting"
        return ReadinessPart(name="serving", ready=ready, message=message)

    def _current(self) -> Configuration:
        return self._admission.configuration

    def _use(self, configuration: Configuration) -> None:
        with self._configuring:
            self._configured = configuration
            self._configure()

    def _use_classes(self, names: Names) -> None:
        with self._configuring:
            self._class_names = names
            self._configure()

    def _configure(self) -> None:
        self._admission.use(self._configured.with_classes(self._class_names))

    def _poll_files(self) -> None:
        for file in (self._configuration, self._clients):
            if file:
                file.poll()

    def _poll_forever(self, poll: Callable[[], None]) -> None:
        """Poll about once a second. What a poll raises is a bug: it is logged, and the next poll tries again."""
        while not self._stopped.is_set():
            try:
                poll()
            except Exception:  # noqa: BLE001 - a bug must not end the server; counted and logged
                self._metrics.poll_failed()
                _log.exception("a periodic task failed")
            self._stopped.wait(_POLL_SECONDS)


def _namespace_source(options: Options, api: Callable[[], ApiServer], metrics: Metrics) -> NamespaceSource:
    cluster = options.kubeconfig or options.context or "KUBERNETES_SERVICE_HOST" in os.environ
    if options.namespaces or not cluster:
        return FileSource(options, metrics)
    return ClusterSource(api(), metrics)


def _connect(options: Options, clock: WitnessedClock) -> ApiServer:
    try:
        return connect(options.kubeconfig, options.context, os.environ, clock.witnessed)
    except KubeconfigError as error:
        raise StartError(str(error)) from error


def _listener(option: str, port: int, listen: Callable[[], Listener]) -> Listener:
    try:
        return listen()
    except OSError as error:
        raise StartError(
            f"{option} {port}: can't listen there: {error.strerror or error}; choose another port"
        ) from error
