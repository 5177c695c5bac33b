"""The reconciler for certificates from cert-manager or a Secret: it makes every ``caBundle`` trust them."""

from collections.abc import Callable
from datetime import datetime

from .pem import CertificateError, CertificatePair, read_bundle
from .reconcile import ReconcileReport
from .store import CertificateStore, ConflictError, RegisteredWebhooks, StoreError
from .trust import why_untrusted


class BundleReconciler:
    """Compares at every pass, not only when something changed, and reports whether the served certificate is trusted.

    Args:
        bundle: The PEM that every ``caBundle`` should be; ``None`` if another program writes them (cert-manager).
    """

    def __init__(
        self,
        store: CertificateStore,
        served: Callable[[], CertificatePair | None],
        bundle: Callable[[], bytes] | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._served = served
        self._bundle = bundle
        self._clock = clock
        self._trusted = False

    def reconcile(self) -> ReconcileReport:
        """Read, write what differs, and check whether the served certificate is trusted everywhere."""
        done: list[str] = []
        failures: list[str] = []
        try:
            wanted = self._wanted()
            configurations = self._store.read_configurations()
            for configuration in configurations if wanted else ():
                if any(bundle != wanted for bundle in configuration.bundles.values()):
                    self._write(configuration, wanted or b"", done, failures)
            if done:
                configurations = self._store.read_configurations()
        except (StoreError, CertificateError, OSError) as error:
            # If the check fails, the previous result is kept: one failed read must not make every replica unready.
            return ReconcileReport(trusted=self._trusted, failures=(*failures, str(error)), done=tuple(done))
        waiting = [reason for c in configurations if (reason := self._why_untrusted(c))]
        if not configurations:
            waiting = ["no webhook configuration exists yet"]
        self._trusted = not waiting
        return ReconcileReport(
            trusted=self._trusted, done=tuple(done), waiting=tuple(waiting), failures=tuple(failures)
        )

    def _wanted(self) -> bytes | None:
        """The bundle that should be everywhere; one that holds no certificate is never written.

        Raises:
            CertificateError: The file has no certificate.
            OSError: The file can't be read.
        """
        if self._bundle is None:
            return None
        pem = self._bundle()
        if not read_bundle(pem).certificates:
            raise CertificateError("the CA bundle file contains no certificate; give the PEM of the CA")
        return pem

    def _write(self, configuration: RegisteredWebhooks, wanted: bytes, done: list[str], failures: list[str]) -> None:
        try:
            self._store.write_bundle(configuration, wanted)
        except ConflictError:
            pass  # another replica was faster: the next pass compares again
        except StoreError as error:
            failures.append(str(error))
        else:
            done.append(f"the caBundle of {configuration} was not that of the CA bundle file, and now is")

    def _why_untrusted(self, configuration: RegisteredWebhooks) -> str | None:
        pair = self._served()
        if pair is None:
            return "nothing is served yet"
        for name, bundle in configuration.bundles.items():
            reason = why_untrusted(pair.certificate, read_bundle(bundle).certificates, self._clock(), pair.chain)
            if reason:
                return f"{configuration}, webhook {name}, does not trust the serving certificate: {reason}"
        return None
