"""The reconciler of a CA that replicas share: observes, plans and applies, one pass at a time."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from .issue import ServingNames, issue_ca, issue_leaf
from .observation import Observation, ServedLeaf, carried
from .pem import CertificateError, CertificatePair, PrivateKey, fingerprint
from .plan import Phase, Plan, SetBundle, SignLeaf, Wait, WriteSecret, plan
from .secret import write_authorities
from .settings import RotationSettings
from .store import CertificateStore, ConflictError, StoreError
from .token_rotation import signs
from .tokens import PathTokens
from .trust import why_invalid

_ROUNDS = 8  # from nothing to steady takes four; more means that others write too, and the next pass goes on


class CertificateHolder(Protocol):
    """The place of the serving certificate."""

    def replace(self, pair: CertificatePair) -> None:
        """Serve new connections with this pair, or raise `CertificateError` and change nothing."""


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """The findings and actions of one pass.

    Attributes:
        phase: The phase of the rotation; ``None`` when nothing could be observed.
        trusted: Whether every webhook configuration trusts what this replica serves, as far as is known; for
            readiness.
        done: What was done, one sentence each; for the log.
        waiting: What is waited for, one sentence each.
        failures: What went wrong, one sentence each; for the log and a counter.
        expiries: When the certificates expire: ``leaf`` (this replica's), ``ca``, ``next-ca``, those that there are.
        doubt: Why this machine's clock is in doubt; empty when it is not.
    """

    phase: Phase | None = None
    trusted: bool = False
    done: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    expiries: Mapping[str, datetime] = field(default_factory=dict)
    doubt: str = ""


class CertificateReconciler:
    """Brings the cluster's and this replica's certificates to their desired state, pass by pass.

    Passes must not overlap; they block on the store, so they belong in a thread. An exception that is not a
    `StoreError` or `CertificateError` is a bug: it ends the pass, and the next one starts from what it then finds.

    Args:
        clock: The current time. API servers check certificates by their own clocks, see `WitnessedClock`.
        doubt: Why the clock is in doubt, or empty. Until it is resolved, this replica only signs its own serving certificate,
            and leaves the shared Secret and bundles to others.
        paths: The paths that requests may use.
    """

    def __init__(  # noqa: PLR0913 -- keyword-only, and each is one thing from outside
        self,
        *,
        store: CertificateStore,
        holder: CertificateHolder,
        names: ServingNames,
        settings: RotationSettings,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        new_key: Callable[[], PrivateKey],
        doubt: Callable[[], str] = lambda: "",
        paths: PathTokens | None = None,
    ) -> None:
        self._store = store
        self._holder = holder
        self._names = names
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._new_key = new_key
        self._doubt = doubt
        self._paths = paths
        self._accepted: tuple[str, ...] = ()
        self._leaf: ServedLeaf | None = None
        self._carried_since: dict[str, float] = {}
        self._trusted = False

    @property
    def leaf(self) -> ServedLeaf | None:
        """The pair that this replica serves, or ``None`` before the first signature."""
        return self._leaf

    def reconcile(self) -> ReconcileReport:
        """Observe, plan and apply until there is nothing left to do, or something fails."""
        steps = self.reconcile_stepwise()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                report: ReconcileReport = end.value
                return report

    def reconcile_stepwise(self) -> Generator[None, None, ReconcileReport]:
        """One pass, pausing before every reading and every action: the places where it may be cut off."""
        done: list[str] = []
        failures: list[str] = []
        report = ReconcileReport(trusted=self._still_trusted())
        for _ in range(_ROUNDS):
            doubted = bool(self._doubt())
            try:
                observation = yield from self._observe()
            except StoreError as error:
                failures.append(str(error))
                return replace(report, trusted=self._still_trusted(), done=tuple(done), failures=tuple(failures))
            doubt = self._doubt()
            if bool(doubt) is not doubted:
                continue  # the answers have corrected the clock: observe again, with the right time
            planned = plan(observation, self._settings)
            self._take_over(planned)  # before any action, so that this replica already accepts what it writes
            waiting, actions = _split(planned, doubt)
            for action in actions:
                yield
                try:
                    self._apply(action, observation.now)
                except ConflictError:
                    pass  # another replica was faster: observe again
                except (StoreError, CertificateError) as error:
                    failures.append(f"{action.reason}: {error}")
                else:
                    done.append(action.reason)
            report = ReconcileReport(
                planned.phase,
                planned.trusted,
                tuple(done),
                waiting,
                tuple(failures),
                self._expiries(observation),
                doubt,
            )
            if failures or not actions:
                break
        return report

    def _observe(self) -> Generator[None, None, Observation]:
        """Observe everything, in the order that `Observation` demands."""
        now, before = self._clock(), self._monotonic()
        yield
        try:
            configurations = self._store.read_configurations()
        except StoreError:
            self._carried_since = {}  # what happens between this observation and the next is not known
            raise
        after = self._monotonic()
        bundles = carried(configurations)
        everywhere = frozenset.intersection(*bundles) if bundles else ()
        true_now = {*map(fingerprint, everywhere), *signs(configurations, self._accepted)}
        self._carried_since = {name: self._carried_since.get(name, after) for name in true_now}
        trusted_for = {name: timedelta(seconds=before - since) for name, since in self._carried_since.items()}
        yield
        return Observation(now, configurations, self._store.read_secret(), self._leaf, trusted_for, self._accepted)

    def _take_over(self, planned: Plan) -> None:
        """Admit the plan's paths, and remember whether the certificate is trusted, for later observations, which may fail."""
        self._accepted = planned.tokens
        if self._paths:
            self._paths.replace(planned.tokens, plain=planned.plain)
        self._trusted = planned.trusted
        if self._leaf and planned.trusted:
            self._leaf = replace(self._leaf, was_trusted=True)

    def _still_trusted(self) -> bool:
        """Whether the served certificate is valid, and was trusted in the last successful observation.

        A failed read is no evidence of lost trust. Otherwise one hiccup of an API server would make every replica unready at
        once.
        """
        return self._trusted and self._leaf is not None and not why_invalid(self._leaf.pair.certificate, self._clock())

    def _apply(self, action: SetBundle | SignLeaf | WriteSecret, now: datetime) -> None:
        """Carry out an action as of the time of the observation, see `Observation.now`."""
        match action:
            case SetBundle(configuration, bundle, targets=targets):
                self._store.write_bundle(configuration, bundle, targets)
            case SignLeaf(authority):
                self._sign(authority, now)
            case WriteSecret(authorities, add_next, version):
                if add_next:
                    lifetime, backdate = self._settings.ca_lifetime, self._settings.clock_skew
                    ca = issue_ca(key=self._new_key(), at=now, lifetime=lifetime, backdate=backdate)
                    authorities = replace(authorities, next=ca)
                self._store.write_secret(write_authorities(authorities), version)

    def _sign(self, authority: CertificatePair, now: datetime) -> None:
        pair = issue_leaf(
            authority,
            key=self._new_key(),
            names=self._names,
            at=now,
            lifetime=self._settings.leaf_lifetime,
            backdate=self._settings.clock_skew,
        )
        self._holder.replace(pair)
        before, issuer = self._leaf, authority.certificate
        self._leaf = ServedLeaf(pair, issuer, before is not None and before.was_trusted and before.issuer == issuer)

    def _expiries(self, observation: Observation) -> dict[str, datetime]:
        stored = observation.stored
        pairs = {"leaf": self._leaf.pair if self._leaf else None, "ca": stored.current, "next-ca": stored.next}
        return {name: pair.certificate.not_valid_after_utc for name, pair in pairs.items() if pair}


def _split(planned: Plan, doubt: str) -> tuple[tuple[str, ...], list[SetBundle | SignLeaf | WriteSecret]]:
    """Split a plan into waits and actions. While the clock is in doubt, actions that other replicas rely on become waits."""
    waiting: list[str] = []
    actions: list[SetBundle | SignLeaf | WriteSecret] = []
    for action in planned.actions:
        if isinstance(action, Wait):
            waiting.append(action.reason)
        elif doubt and not isinstance(action, SignLeaf):
            waiting.append(f"{action.reason}; this replica does not write it, because {doubt}")
        else:
            actions.append(action)
    return tuple(waiting), actions
