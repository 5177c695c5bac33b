"""A small world for the certificate tests: a store with versions, API servers that lag, replicas that can be cut off.

Time passes only when told. Each replica has a clock of its own, wrong by up to half the skew that the settings
promise; the API servers' clocks are wrong by as much in both directions at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from webhook.application.certificates.issue import ServingNames
from webhook.application.certificates.pem import CertificateError, read_bundle
from webhook.application.certificates.reconcile import CertificateReconciler, ReconcileReport
from webhook.application.certificates.secret import Authorities, read_authorities
from webhook.application.certificates.settings import RotationSettings
from webhook.application.certificates.store import ConflictError, RegisteredWebhooks, StoredSecret, StoreError
from webhook.application.certificates.tokens import PATHS, PathTokens
from webhook.application.certificates.trust import why_untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from cryptography import x509

    from webhook.application.certificates.pem import CertificatePair

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NAMES = ServingNames.parse(["gpuwarden.gpuwarden.svc"], [])
SETTINGS = RotationSettings(
    ca_lifetime=timedelta(hours=24),
    leaf_lifetime=timedelta(hours=1),
    clock_skew=timedelta(minutes=2),
    propagation=timedelta(seconds=10),
)
MUTATE, VALIDATE, NAMESPACES = "mutate.gpuwarden.io", "validate.gpuwarden.io", "validate-namespace.gpuwarden.io"
MUTATING, VALIDATING = "MutatingWebhookConfiguration/gpuwarden", "ValidatingWebhookConfiguration/gpuwarden"

_keys = count(1)


@lru_cache(maxsize=10_000)
def when_trusted(leaf: x509.Certificate, bundle: bytes) -> list[tuple[datetime, datetime]]:
    """When a client with this bundle trusts the leaf; remembered, since it is asked at every step."""
    trusted = []
    for issuer in read_bundle(bundle).certificates:
        start = max(leaf.not_valid_before_utc, issuer.not_valid_before_utc)
        end = min(leaf.not_valid_after_utc, issuer.not_valid_after_utc)
        if start <= end and why_untrusted(leaf, [issuer], start) is None:
            trusted.append((start, end))
    return trusted


def next_key() -> ec.EllipticCurvePrivateKey:
    """Keys in a row, not at random: a failing example fails again."""
    return ec.derive_private_key(next(_keys), ec.SECP256R1())


@dataclass
class Version:
    """What the bundles held from one moment to another."""

    since: datetime
    bundles: dict[str, dict[str, bytes]]
    targets: dict[str, dict[str, str]]


@dataclass
class World:
    """The cluster: one Secret, webhook configurations, and everything that the bundles ever held."""

    settings: RotationSettings = SETTINGS
    now: datetime = START
    secret: dict[str, bytes] | None = None
    bundles: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {MUTATING: {MUTATE: b""}, VALIDATING: {VALIDATE: b"", NAMESPACES: b""}}
    )
    targets: dict[str, dict[str, str]] = field(  # what is called: the path of a Service
        default_factory=lambda: {MUTATING: {MUTATE: ""}, VALIDATING: {VALIDATE: "", NAMESPACES: ""}}
    )
    tokened: bool = True  # whether the configurations say so
    failing: set[str] = field(default_factory=set)  # operations of the store that fail
    writes: list[str] = field(default_factory=list)
    history: list[Version] = field(default_factory=list)
    healed_at: datetime = START
    touched_at: datetime = START  # when a hand did anything last
    damages: int = 0  # of bundles
    unhealed: set[str] = field(default_factory=lambda: {MUTATING, VALIDATING})
    _revision: int = 0
    _secret_version: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    # --- what the cluster does

    def put_secret(self, data: Mapping[str, bytes] | None) -> None:
        """Write or delete the Secret, as anybody may by hand."""
        self.touched_at = self.now
        self._store_secret(data)

    def _store_secret(self, data: Mapping[str, bytes] | None) -> None:
        self._revision += 1
        self._secret_version = self._revision
        self.secret = None if data is None else dict(data)

    def put_bundle(self, configuration: str, bundles: dict[str, bytes]) -> None:
        """Write the bundles of a configuration, as anybody may by hand."""
        self._revision += 1
        self._versions[configuration] = self._revision
        self.bundles = self.bundles | {configuration: bundles}
        self.history.append(Version(self.now, self.bundles, self.targets))

    def put_targets(self, configuration: str, targets: Mapping[str, str]) -> None:
        """Write what the webhooks of a configuration call, as anybody may by hand."""
        self.targets = self.targets | {configuration: {**self.targets.get(configuration, {}), **targets}}
        self.put_bundle(configuration, self.bundles[configuration])

    def damage_targets(self, configuration: str, targets: Mapping[str, str]) -> None:
        """The same, in a way that leads to nobody."""
        self.damages += 1
        self.unhealed.add(configuration)
        self.touched_at = self.now
        self.put_targets(configuration, targets)

    def damage_bundle(self, configuration: str, bundles: dict[str, bytes]) -> None:
        """The same, in a way that takes the trust away."""
        self.damages += 1
        self.unhealed.add(configuration)
        self.touched_at = self.now
        self.put_bundle(configuration, bundles)

    # --- what is asked of it

    @property
    def seconds(self) -> float:
        return (self.now - START).total_seconds()

    @property
    def authorities(self) -> Authorities:
        return read_authorities(self.secret or {})

    def effective(self, since: datetime) -> Iterator[bytes]:
        """Every bundle that was in force at any moment since then: what lagging API servers may still go by."""
        for index in range(len(self.history) - 1, -1, -1):
            for bundles in self.history[index].bundles.values():
                yield from bundles.values()
            if self.history[index].since <= since:
                return

    def called(self, since: datetime | None = None) -> set[str]:
        """Every path that API servers call that may lag since then; those that are set now."""
        found = {target for targets in self.targets.values() for target in targets.values()}
        for index in range(len(self.history) - 1 if since else -1, -1, -1):
            found |= {target for targets in self.history[index].targets.values() for target in targets.values()}
            if since and self.history[index].since <= since:
                break
        return found

    def why_refused(self, leaf: x509.Certificate, since: datetime | None = None) -> str | None:
        """Why some API server, by some clock and some bundle in force since then, refuses the leaf; or ``None``."""
        error = self.settings.clock_skew / 2
        bundles = (
            {bundle for each in self.bundles.values() for bundle in each.values()}
            if since is None
            else {*self.effective(since)}
        )
        for bundle in bundles:
            for at in (self.now - error, self.now + error):
                if any(start <= at <= end for start, end in when_trusted(leaf, bundle)):
                    continue
                if reason := why_untrusted(leaf, read_bundle(bundle).certificates, at):
                    return reason
        return None

    def carried(self) -> set[frozenset[x509.Certificate]]:
        """The distinct contents of all bundles: one set when they agree."""
        return {
            frozenset(read_bundle(pem).certificates) for bundles in self.bundles.values() for pem in bundles.values()
        }

    # --- CertificateStore

    def read_configurations(self) -> tuple[RegisteredWebhooks, ...]:
        self._may_fail("read_configurations")
        return tuple(
            RegisteredWebhooks(
                kind,
                short,
                str(self._versions.get(f"{kind}/{short}", 0)),
                dict(bundles),
                dict(self.targets.get(f"{kind}/{short}", {})),
                self.tokened,
            )
            for (kind, _, short), bundles in ((name.partition("/"), bundles) for name, bundles in self.bundles.items())
        )

    def read_secret(self) -> StoredSecret | None:
        self._may_fail("read_secret")
        return None if self.secret is None else StoredSecret(dict(self.secret), str(self._secret_version))

    def write_secret(self, data: Mapping[str, bytes], resource_version: str | None) -> None:
        self._may_fail("write_secret")
        found = None if self.secret is None else str(self._secret_version)
        if found != resource_version:
            raise ConflictError(f"the Secret is at {found}, not {resource_version}")
        self.writes.append("Secret")
        self._store_secret(data)

    def write_bundle(
        self, configuration: RegisteredWebhooks, bundle: bytes, targets: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._may_fail(f"write {configuration}")
        name = str(configuration)
        if name not in self.bundles or str(self._versions.get(name, 0)) != configuration.resource_version:
            raise ConflictError(f"{configuration} has changed")
        self.writes.append(name)
        self.targets = self.targets | {name: {**self.targets.get(name, {}), **targets}}
        self.put_bundle(name, dict.fromkeys(self.bundles[name], bundle))
        if name in self.unhealed:
            self.unhealed.remove(name)
            self.healed_at = self.now

    def _may_fail(self, operation: str) -> None:
        if operation in self.failing:
            raise StoreError(f"{operation}: forbidden")


class Replica:
    """One process: a reconciler, what it serves, and a pass that may be half done."""

    def __init__(self, world: World, clock_error: timedelta = timedelta()) -> None:
        self.world = world
        self.clock_error = clock_error
        self.pair: CertificatePair | None = None
        self.refusing = False
        self.sure_since: datetime | None = None  # when it first knew that it is trusted, and not been disturbed since
        self.last_reconciled = world.now  # when the last pass that has ended had begun
        self._began = world.now
        self._damages = 0
        self.report = ReconcileReport()
        self.paths = PathTokens(PATHS.values(), plain=False)
        self._steps: Generator[None, None, ReconcileReport] | None = None
        self.reconciler = CertificateReconciler(
            store=world,
            holder=self,
            names=NAMES,
            settings=world.settings,
            clock=lambda: world.now + clock_error,
            monotonic=lambda: world.seconds,
            new_key=next_key,
            paths=self.paths,
        )

    def rejects(self, since: datetime | None = None) -> set[str]:
        """The paths that are called, and not admitted here."""
        return {path for path in self.world.called(since) if path and not self.paths.admits(path)}

    def replace(self, pair: CertificatePair) -> None:
        """CertificateHolder."""
        if self.refusing:
            raise CertificateError("the probe failed")
        self.pair = pair

    def step(self) -> bool:
        """Go on with the pass that is half done, or begin one; say whether it has ended."""
        if self._steps is None:
            self._steps = self.reconciler.reconcile_stepwise()
            self._began, self._damages = self.world.now, self.world.damages
        try:
            next(self._steps)
        except StopIteration as end:
            self.report = end.value
            self._steps = None
            self.last_reconciled = self._began
            if not self.report.trusted:
                self.sure_since = None
            elif self.sure_since is None and self._damages == self.world.damages:
                self.sure_since = self.world.now
            return True
        return False

    def reconcile(self) -> ReconcileReport:
        """One pass from its beginning to its end; one that was half done is ended first."""
        if self._steps is not None:
            self._finish()
        self._finish()
        return self.report

    def _finish(self) -> None:
        while not self.step():
            pass


def reconcile_all(*replicas: Replica, times: int = 1) -> None:
    """Let every replica reconcile, in turn."""
    for _ in range(times):
        for replica in replicas:
            replica.reconcile()


def live_through(
    world: World,
    replicas: list[Replica],
    duration: timedelta,
    *,
    pause: timedelta,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Let time pass in pauses, with every replica ticking after each, and check after every single step."""
    end = world.now + duration
    while world.now < end:
        world.now += pause
        check()
        for replica in replicas:
            while not replica.step():
                check()
            check()
