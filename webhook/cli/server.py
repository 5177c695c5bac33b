"""The composition of the server: from options to running listeners, the only place that builds the adapters."""

import asyncio
import base64
import gc
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop

from webhook import __version__
from webhook.adapters import logs, namespace_file
from webhook.adapters.configuration import file as configuration_file
from webhook.adapters.http.apps import AdmissionApp, Part, operations_app
from webhook.adapters.http.endpoint import Endpoint
from webhook.adapters.http.listeners import Listener, serve_all
from webhook.adapters.logs import LogFormat, LogLevel
from webhook.adapters.metrics import Metrics
from webhook.adapters.namespace_file import FileNamespaces
from webhook.adapters.tls.files import PairFiles
from webhook.adapters.tls.serving import ServingCertificate
from webhook.adapters.watched_file import WatchedFile
from webhook.application.admission import Admission
from webhook.application.authority import self_signed_pair
from webhook.application.certificates import CertificateError
from webhook.application.configuration import Configuration

_RELOAD_SECONDS = 1.0
_TRIAL_NAMES = ("localhost",)
_TRIAL_ADDRESSES = ("127.0.0.1", "::1")
_TRIAL_LIFETIME = timedelta(days=30)
_T = TypeVar("_T")
_log = structlog.get_logger("gpuwarden")


class StartError(Exception):
    """The server can't start; a line a reason, each naming the option or file and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What ``gpuwarden serve`` was told, by its options or their environment variables."""

    host: str
    port: int
    ops_port: int
    config: Path | None
    namespaces: Path | None
    tls_cert_file: Path | None
    tls_private_key_file: Path | None
    tls_self_signed: bool
    shutdown_delay: float
    log_format: LogFormat
    log_level: LogLevel


def run(options: Options) -> None:
    """Serve until a signal ends it.

    Raises:
        StartError: something that the options name can't be used.
    """
    logs.configure(options.log_format, options.log_level)
    server = Server(options)
    # What start-up made lives as long as the process; the collector need not look at it in the middle of a request.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())


class Server:
    """Everything that runs in the process, from start to stop."""

    def __init__(self, options: Options) -> None:
        """Read every file and bind every port.

        Raises:
            StartError: as ``run``.
        """
        self._options = options
        self._metrics = Metrics()
        self._reloads: list[_Reload] = []
        self._draining = False
        self._certificate, self._pair_files = _certificate(options)
        self._namespaces = FileNamespaces()
        self._admission = Admission(Configuration(), self._namespaces, self._metrics)
        if options.config:
            self._read("configuration", options.config, configuration_file.parse, self._use_configuration)
        if options.namespaces:
            self._read("namespaces", options.namespaces, namespace_file.parse, self._use_namespaces)
        self._endpoints = [
            Endpoint("/mutate", self._admission.mutate, self._metrics),
            Endpoint("/validate", self._admission.validate, self._metrics),
        ]
        app = AdmissionApp({endpoint.path: endpoint for endpoint in self._endpoints})
        self._listeners = [
            _listener(
                app, options.host, options.port, "--port", lambda: self._certificate.ssl_context_factory(None, None)
            ),
            _listener(
                operations_app(self.readiness, self._metrics.exposition), options.host, options.ops_port, "--ops-port"
            ),
        ]

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; then be unready, go on answering for the shutdown delay, and finish."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        admission, operations = self._listeners
        _log.info("serving", version=__version__, port=admission.port, ops_port=operations.port)
        async with asyncio.TaskGroup() as group:
            reloading = group.create_task(self._reload_forever())
            serving = group.create_task(serve_all(self._listeners))
            waiting = group.create_task(stopping.wait())
            await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await self._drain()
            reloading.cancel()
        _log.info("stopped")

    def readiness(self) -> list[Part]:
        """What ``/readyz`` answers."""
        return [self._serving_part(), *(reload.part() for reload in self._reloads), self._certificate_part()]

    async def _drain(self) -> None:
        """Lame duck: unready, answering with ``Connection: close``, until nobody sends anything new here."""
        self._draining = True
        _log.info("stopping", delay_seconds=self._options.shutdown_delay)
        for endpoint in self._endpoints:
            endpoint.drain()
        await asyncio.sleep(self._options.shutdown_delay)
        for listener in self._listeners:
            listener.stop()

    def _serving_part(self) -> Part:
        ready = self._listeners[0].started and not self._draining
        message = "shutting down" if self._draining else "accepting connections" if ready else "starting"
        return Part(name="serving", ready=ready, message=message)

    def _certificate_part(self) -> Part:
        pair = self._certificate.pair
        if pair is None:
            return Part(name="certificate", ready=False, message="no serving certificate yet")
        end = pair.certificate.not_valid_after_utc
        return Part(name="certificate", ready=datetime.now(UTC) < end, message=f"valid until {end.isoformat()}")

    def _use_configuration(self, configuration: Configuration) -> None:
        self._admission.configuration = configuration

    def _use_namespaces(self, labels: dict[str, Any]) -> None:
        self._namespaces.labels = labels

    def _read(self, name: str, path: Path, parse: Callable[[str], _T], use: Callable[[_T], None]) -> None:
        reload = _Reload(name, WatchedFile(path, parse), use, self._metrics)
        try:
            reload.read()
        except Exception as error:  # every way in which a file can be bad ends the start, with its reason
            raise StartError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
        self._reloads.append(reload)

    async def _reload_forever(self) -> None:
        while True:
            await asyncio.sleep(_RELOAD_SECONDS)
            for reload in self._reloads:
                await asyncio.to_thread(reload.poll)
            if self._pair_files:
                await asyncio.to_thread(self._reload_certificate, self._pair_files)

    def _reload_certificate(self, files: PairFiles) -> None:
        try:
            pair = files.changed(self._certificate.pair)
            if pair is None:
                return
            self._certificate.replace(pair)
        except CertificateError as error:
            if self._metrics.is_reload_failing("certificate"):
                return
            self._metrics.reloaded("certificate", good=False)
            _log.error("certificate not reloaded, the old one stays", reason=str(error))
        else:
            self._metrics.reloaded("certificate", good=True)
            _log.info("certificate reloaded")


class _Reload:
    """One file that is read again when it changes."""

    def __init__(self, name: str, file: WatchedFile[Any], use: Callable[[Any], None], metrics: Metrics) -> None:
        self._name = name
        self._file = file
        self._use = use
        self._metrics = metrics
        self._failure = ""

    def read(self) -> None:
        self._use(self._file.read())

    def poll(self) -> None:
        """Read a changed file; a bad one changes nothing, is logged once and shows in a metric and in ``/readyz``."""
        if not self._file.changed():
            return
        try:
            self.read()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new file, the old content goes on deciding; counted
            self._failure = str(error)
            self._metrics.reloaded(self._name, good=False)
            _log.error("file not reloaded, the old content stays", file=self._name, reason=self._failure)
        else:
            self._failure = ""
            self._metrics.reloaded(self._name, good=True)
            _log.info("file reloaded", file=self._name)

    def part(self) -> Part:
        """Ready either way: the last good content decides."""
        message = (
            f"the file on disk can't be used, its last good content is: {self._failure}" if self._failure else "loaded"
        )
        return Part(name=self._name, ready=True, message=message)


def _listener(app: Any, host: str, port: int, option: str, context: Callable[[], Any] | None = None) -> Listener:
    try:
        return Listener(app, host, port, context)
    except OSError as error:
        raise StartError(
            f"{option} {port}: can't listen there: {error.strerror or error}; choose another port"
        ) from error


def _certificate(options: Options) -> tuple[ServingCertificate, PairFiles | None]:
    """The serving certificate, and the files that it comes from if it comes from files."""
    certificate = ServingCertificate(lambda: datetime.now(UTC))
    cert_file, key_file = options.tls_cert_file, options.tls_private_key_file
    given = [bool(cert_file), bool(key_file)]
    if options.tls_self_signed == any(given) or given[0] != given[1]:
        raise StartError("give --tls-cert-file and --tls-private-key-file, or --tls-self-signed for a trial")
    try:
        if cert_file and key_file:
            files = PairFiles(cert_file, key_file)
            certificate.replace(files.read())
            return certificate, files
        made = self_signed_pair(_TRIAL_NAMES, _TRIAL_ADDRESSES, datetime.now(UTC), _TRIAL_LIFETIME)
        certificate.replace(made.leaf)
    except CertificateError as error:
        raise StartError(str(error)) from error
    bundle = base64.b64encode(made.ca.certificate_pem).decode()
    _log.warning("serving with a certificate made for this trial", ca_bundle=bundle)
    return certificate, None
