"""The source of the serving certificate: self-signed for a trial, files that are reloaded, or a CA that the replicas share."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.certificate_store import KubernetesCertificateStore
from ..adapters.kubernetes.client import ApiServer
from ..adapters.metrics import Metrics
from ..adapters.tls.files import PairFiles
from ..adapters.tls.serving import ServingCertificate
from ..application.certificates.bundles import BundleReconciler
from ..application.certificates.issue import ServingNames, new_key, self_signed_pair
from ..application.certificates.pem import CertificateError
from ..application.certificates.reconcile import CertificateReconciler, ReconcileReport
from ..application.certificates.settings import RotationSettings
from ..application.certificates.tokens import PathTokens
from ..application.clock import WitnessedClock
from .options import Options, StartError

_TRIAL_NAMES = ("localhost",)
_TRIAL_ADDRESSES = ("127.0.0.1", "::1")
_TRIAL_LIFETIME = timedelta(days=30)
# Seconds between passes, each of which compares everything: during a change, and otherwise.
_BUSY_SECONDS, _STEADY_SECONDS = 1.0, 10.0
# There are at least this many passes per lifetime of a leaf, because it is renewed at two thirds of it.
_TICKS_PER_LEAF = 10
_log = structlog.get_logger("gpuwarden.certificates")


def now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


class _Source:
    """A source of the serving certificate. ``poll`` is called about once a second, in a thread."""

    def __init__(self, metrics: Metrics, clock: Callable[[], datetime] = now) -> None:
        self.serving = ServingCertificate(clock)
        self._metrics = metrics
        self._clock = clock

    def poll(self) -> None:
        """Set the metric of the certificate's expiry."""
        if pair := self.serving.pair:
            self._metrics.certificate_expires("leaf", pair.certificate.not_valid_after_utc)

    def parts(self) -> list[ReadinessPart]:
        """Ready while the certificate is valid."""
        pair = self.serving.pair
        if pair is None:
            return [ReadinessPart(name="certificate", ready=False, message="no serving certificate yet")]
        end = pair.certificate.not_valid_after_utc
        return [ReadinessPart(name="certificate", ready=self._clock() < end, message=f"valid until {end.isoformat()}")]


class TrialSource(_Source):
    """A certificate for localhost, made at start."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics)
        made = self_signed_pair(_TRIAL_NAMES, _TRIAL_ADDRESSES, now(), _TRIAL_LIFETIME)
        self.serving.replace(made.leaf)
        bundle = base64.b64encode(made.ca.certificate_pem).decode()
        _log.warning("serving with a temporary self-signed certificate", ca_bundle=bundle)


class CertificateFileSource(_Source):
    """A pair of files, read again when they change."""

    def __init__(self, files: PairFiles, metrics: Metrics, clock: Callable[[], datetime] = now) -> None:
        """Read the pair.

        Raises:
            StartError: it can't be used.
        """
        super().__init__(metrics, clock)
        self._files = files
        self._failure = ""
        try:
            self.serving.replace(files.read())
        except CertificateError as error:
            raise StartError(f"--tls-cert-file, --tls-private-key-file: {error}") from error
        metrics.loaded("certificate")

    def poll(self) -> None:
        """Serve a changed pair. If it is invalid, the old pair stays in use, and a log line and a metric report it."""
        super().poll()
        try:
            pair = self._files.changed(self.serving.pair)
            if pair is not None:
                self.serving.replace(pair)
        except CertificateError as error:
            if str(error) != self._failure:
                self._failure = str(error)
                self._metrics.reloaded("certificate", good=False)
                _log.error("certificate not reloaded, the old one stays in use", reason=self._failure)
            return
        if pair is not None or self._failure:
            self._failure = ""
            self._metrics.reloaded("certificate", good=True)
            _log.info("certificate reloaded")


class TrustedSource:
    """A source with a reconciler, which checks and, if it has the CA, restores the trust of the webhook configurations."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is watched, by whom, and how often
        self,
        inner: _Source,
        reconcile: Callable[[], ReconcileReport],
        metrics: Metrics,
        clock: WitnessedClock,
        steady: float = _STEADY_SECONDS,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        """Reconcile every ``steady`` seconds while nothing is wrong, and at once if ``hurry()`` or a client rejects the pair."""
        self._inner = inner
        self._clock = clock
        self._reconcile = reconcile
        self._metrics = metrics
        self._steady = steady
        self._hurry = hurry
        self._report = ReconcileReport()
        self._doubted = False
        self._due = 0.0
        self.serving = inner.serving

    def poll(self) -> None:
        """Reconcile when a pass is due."""
        self._inner.poll()
        # Both are called, because each call resets its state.
        hurry = (self._hurry(), self.serving.distrusted_since_last_call())
        if time.monotonic() < self._due and not any(hurry):
            return
        report = self._reconcile()
        calm = report.trusted and not report.failures and not report.waiting
        self._due = time.monotonic() + (self._steady if calm else _BUSY_SECONDS)
        self._publish(report)
        self._report = report

    def parts(self) -> list[ReadinessPart]:
        """The certificate, and whether every webhook configuration trusts it."""
        report = self._report
        trouble = "; ".join((*report.failures, *report.waiting)) or "not checked yet"
        message = "every webhook configuration trusts the serving certificate" if report.trusted else trouble
        # Ready in either case: the certificate is then checked by the API server's time, so it stays valid.
        clock = ReadinessPart(name="clock", ready=True, message=self._clock.doubt() or "agrees with the API server's")
        return [*self._inner.parts(), ReadinessPart(name="trust", ready=report.trusted, message=message), clock]

    def _publish(self, report: ReconcileReport) -> None:
        for name, end in report.expiries.items():
            self._metrics.certificate_expires(name, end)
        self._metrics.clock_offset(self._clock.offset())
        if bool(doubt := self._clock.doubt()) is not self._doubted:
            self._doubted = bool(doubt)
            if doubt:
                _log.error("clock in doubt, shared state is not written", reason=doubt)
            else:
                _log.info("clock agrees with the API server's again")
        self._metrics.rotation(report.phase.value if report.phase else None, failures=len(report.failures))
        for sentence in report.done:
            _log.info("certificates changed", what=sentence)
        for sentence in report.failures:
            if sentence not in self._report.failures:
                _log.error("certificates failed", reason=sentence)


def certificate_source(
    options: Options, api: Callable[[], ApiServer], metrics: Metrics, clock: WitnessedClock, paths: PathTokens
) -> _Source | TrustedSource:
    """Return the source that the options select. A source that manages a CA also sets the admitted paths.

    Raises:
        StartError: the options select no source, several, or one that can't be used.
    """
    cert_file, key_file = options.tls_cert_file, options.tls_private_key_file
    ways = [bool(cert_file or key_file), options.tls_self_signed, options.manage_certificates]
    if sum(ways) != 1:
        fault = "more than one certificate source is set" if any(ways) else "no certificate source is set"
        raise StartError(
            f"{fault}; set one of: --tls-cert-file with --tls-private-key-file; --manage-certificates (in a cluster); "
            "--tls-self-signed (for a trial)"
        )
    if bool(cert_file) != bool(key_file):
        raise StartError("--tls-cert-file, --tls-private-key-file: only one of them is set; set both")
    if options.manage_certificates:
        return _managed(options, api(), metrics, clock, paths)
    if cert_file is None or key_file is None:
        return TrialSource(metrics)
    source = CertificateFileSource(PairFiles(cert_file, key_file), metrics, clock)
    if options.webhook_configuration is None:
        return source
    store = _store(options, api(), options.webhook_configuration)
    bundle = options.ca_bundle_file
    reconciler = BundleReconciler(store, lambda: source.serving.pair, bundle.read_bytes if bundle else None, clock)
    return TrustedSource(source, reconciler.reconcile, metrics, clock)


def _managed(
    options: Options, api: ApiServer, metrics: Metrics, clock: WitnessedClock, paths: PathTokens
) -> TrustedSource:
    source = _Source(metrics, clock)
    name = options.webhook_configuration or options.service
    service = f"{options.service}.{options.pod_namespace}.svc"
    extra_ips = [n for n in options.tls_name or () if ":" in n or n.replace(".", "").isdigit()]
    extra_dns = [n for n in options.tls_name or () if n not in extra_ips]
    try:
        names = ServingNames.parse([service, f"{options.service}.{options.pod_namespace}", *extra_dns], extra_ips)
    except CertificateError as error:
        raise StartError(f"--service, --pod-namespace, --tls-name: {error}") from error
    settings = _rotation_settings(options)
    reconciler = CertificateReconciler(
        store=_store(options, api, name),
        holder=source.serving,
        names=names,
        settings=settings,
        clock=clock,
        doubt=clock.doubt,
        monotonic=time.monotonic,
        new_key=new_key,
        paths=paths,
    )
    steady = min(_STEADY_SECONDS, settings.leaf_lifetime.total_seconds() / _TICKS_PER_LEAF)
    return TrustedSource(source, reconciler.reconcile, metrics, clock, steady, paths.rejected_since_last_call)


def _rotation_settings(options: Options) -> RotationSettings:
    try:
        return RotationSettings(
            ca_lifetime=timedelta(seconds=options.ca_lifetime),
            leaf_lifetime=timedelta(seconds=options.leaf_lifetime),
            clock_skew=timedelta(seconds=options.clock_skew),
            propagation=timedelta(seconds=options.propagation),
        )
    except (ValueError, OverflowError) as error:
        raise StartError(f"--ca-lifetime, --leaf-lifetime, --clock-skew, --propagation: {error}") from error


def _store(options: Options, api: ApiServer, name: str) -> KubernetesCertificateStore:
    names = {
        "MutatingWebhookConfiguration": options.mutating_webhook_configuration or name,
        "ValidatingWebhookConfiguration": name,
    }
    return KubernetesCertificateStore(
        api,
        namespace=options.pod_namespace,
        secret=options.ca_secret,
        owner=options.ca_secret_owner,
        configurations=list(names.items()),
        labels={"app.kubernetes.io/name": "gpuwarden", "app.kubernetes.io/managed-by": "gpuwarden"},
    )
