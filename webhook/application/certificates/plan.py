"""The rotation plan: a pure function from an observation to actions, each with its reason.

A new CA is published together with the old one. A replica switches to the new CA only after the bundle of every webhook
configuration has contained it for the propagation time. The old CA is removed when no serving certificate that it signed can
still be valid. There is no leader and no record of unfinished steps: at every pass, every replica compares the desired with
the actual state and does what is missing. A replica whose write fails because of a newer resourceVersion reads again. So a
crash between two steps, a damaged Secret and an emptied bundle need no special treatment: the next pass repairs them.

An empty bundle is never written, because API servers would fall back to the system's roots. If a bundle trusts a CA that looks
like ours but is missing from the Secret, that CA is kept as a previous one, because a replica's serving certificate may depend
on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from cryptography import x509

from .observation import Observation, RotationFacts, ServedLeaf
from .pem import Bundle, CertificatePair, bundle_pem, describe, read_bundle, show
from .secret import Authorities
from .settings import RotationSettings
from .store import RegisteredWebhooks
from .trust import why_invalid


class Phase(StrEnum):
    """The phase of the rotation, for a metric."""

    BOOTSTRAP = "bootstrap"  # nothing can be signed yet
    HEALING = "healing"  # the Secret or a bundle is not as it should be
    PUBLISHING = "publishing"  # the next CA is on its way into the bundles
    PROPAGATING = "propagating"  # every bundle carries it; the API servers get their time to notice
    SWITCHING = "switching"  # this replica still serves a certificate of a previous CA
    RETIRING = "retiring"  # a previous CA stays trusted until nothing can need it
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class SetBundle:
    """Set the ``caBundle`` and target of every webhook in this configuration, if it is unchanged since it was read.

    Attributes:
        targets: The URL or path to call from now on, by webhook name; other webhooks are not changed.
    """

    configuration: RegisteredWebhooks
    bundle: bytes
    reason: str
    targets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SignLeaf:
    """Sign a serving certificate with this CA and serve it."""

    authority: CertificatePair
    reason: str


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """Write the CA Secret, if it is unchanged since it was read.

    Attributes:
        add_next: Whether a newly made CA is to be its ``next``.
        resource_version: What the Secret must still have; ``None``: it must not exist.
    """

    authorities: Authorities = field(repr=False)
    add_next: bool
    resource_version: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done about this yet."""

    reason: str


Action: TypeAlias = SetBundle | SignLeaf | WriteSecret | Wait


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions, in this order. None depends on an earlier one, so a failed action stops no other.

    Attributes:
        phase: The phase of the rotation before them.
        trusted: Whether every webhook configuration trusts what this replica serves.
        tokens: The tokens that are accepted in paths, before and while these actions are taken.
        plain: Whether paths without a token are admitted too.
    """

    actions: tuple[Action, ...]
    phase: Phase
    trusted: bool
    tokens: tuple[str, ...] = field(default=(), repr=False)
    plain: bool = True


def plan(observation: Observation, settings: RotationSettings) -> Plan:
    """Make the plan."""
    facts = RotationFacts(observation, settings)
    bundles = [action for each in observation.configurations for action in _bundle_actions(facts, each)]
    actions = (*bundles, *_leaf_actions(facts), *_secret_actions(facts))
    phase = _phase(facts, healing=bool(bundles))
    return Plan(actions, phase, facts.is_trusted, facts.tokens.accepted, facts.tokens.admits_plain_paths)


def _bundle_actions(facts: RotationFacts, configuration: RegisteredWebhooks) -> list[Action]:
    """Every webhook's bundle holds what is required, may hold what is removed soon, and nothing else; its path has the token."""
    required = dict.fromkeys(filter(facts.is_required, facts.stored.certificates))
    if facts.live:
        required[facts.live.issuer] = None
    allowed = {c for c in facts.stored.certificates if not facts.is_gone(c)} | {*facts.unknown}
    bundles = {name: read_bundle(pem) for name, pem in configuration.bundles.items()}
    found = dict.fromkeys(c for bundle in bundles.values() for c in bundle.certificates if c in allowed)
    wanted = tuple(required | found)
    if not wanted:
        return []
    targets = facts.tokens.corrections(configuration)
    reasons = [
        f"the caBundle of {configuration}, webhook {name}, {faults}"
        for name, bundle in bundles.items()
        if (faults := _faults(bundle, wanted))
    ]
    reasons += [f"the path of {configuration}, webhook {name}, does not have the current token" for name in targets]
    return [SetBundle(configuration, bundle_pem(wanted), reasons[0], targets)] if reasons else []


def _faults(bundle: Bundle, wanted: tuple[x509.Certificate, ...]) -> str:
    faults = [f"is damaged: {bundle.damage}"] if bundle.damage else []
    faults += [f"lacks the CA {describe(c)}" for c in wanted if c not in bundle.certificates]
    faults += [f"carries {describe(c)}, which is not to be trusted" for c in bundle.certificates if c not in wanted]
    return "; ".join(faults)


def _leaf_actions(facts: RotationFacts) -> list[Action]:
    """Plan the serving certificate: sign the first one, renew it when it ages, and switch to another CA when necessary."""
    if facts.live is None:
        return _first_leaf(facts)
    for signer in facts.usable:
        if signer.certificate == facts.live.issuer:
            return _renewed_leaf(facts, facts.live, signer)
    issuer, ca = describe(facts.live.issuer), facts.stored.current
    if ca is None or ca not in facts.usable:
        return [Wait(f"serving under the CA {issuer} until there is another that signs")]
    # From a certificate that works to one of another CA: only when everyone trusts that one.
    if facts.is_settled(ca.certificate):
        return [SignLeaf(ca, f"the CA {issuer} no longer signs, and every bundle carries {describe(ca.certificate)}")]
    return [Wait(f"serving under the CA {issuer} until {facts.what_is_missing(ca.certificate)}")]


def _first_leaf(facts: RotationFacts) -> list[Action]:
    """While no valid certificate is served, one whose CA only some bundles carry is an improvement."""
    if not facts.usable:
        return [Wait("there is no CA to sign a serving certificate yet")]
    best = max(facts.usable, key=lambda ca: facts.count(ca.certificate))  # the first of equal ones: the current
    if facts.bundles and not facts.count(best.certificate):
        return [Wait(f"no webhook configuration carries the CA {describe(best.certificate)} yet")]
    leaf = facts.observation.leaf
    why = why_invalid(leaf.pair.certificate, facts.now) if leaf else None
    return [SignLeaf(best, why or "this replica has no serving certificate yet")]


def _renewed_leaf(facts: RotationFacts, leaf: ServedLeaf, ca: CertificatePair) -> list[Action]:
    reason = needs_renewal(leaf.pair.certificate, facts.now)
    end = min(facts.now + facts.settings.leaf_lifetime, ca.certificate.not_valid_after_utc)
    gained = end - leaf.pair.certificate.not_valid_after_utc
    return [SignLeaf(ca, reason)] if reason and gained >= timedelta(seconds=1) else []


def needs_renewal(certificate: x509.Certificate, at: datetime) -> str | None:
    """Return why the certificate should be replaced, or ``None``: it is not valid now, or two thirds of its life are over.

    The rule is cert-manager's own (``authority.go: caRequiresRegeneration``): it needs no setting besides the lifetime.
    """
    if reason := why_invalid(certificate, at):
        return reason
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    due = start + (end - start) * 2 / 3
    if at >= due:
        return f"{describe(certificate)} has been due for renewal since {show(due)}, two thirds of its life"
    return None


def _secret_actions(facts: RotationFacts) -> list[Action]:
    """At most one write, which gives the Secret the content that it should have."""
    secret = facts.observation.secret
    reasons = [] if secret else ["the CA Secret does not exist"]
    reasons += [f"the CA Secret is damaged: {damage}" for damage in facts.stored.damage]
    waits: list[Action] = []
    state = _with_previous_repaired(facts, reasons)
    if state.next and (why := needs_renewal(state.next.certificate, facts.now)):
        reasons.append(f"the next CA was never used: {why}")
        state = _retaining(facts, replace(state, next=None, previous=(state.next.certificate, *state.previous)))
    if following := state.next:
        if _may_promote(facts, state, following):
            reasons.append(f"every bundle carries the next CA {describe(following.certificate)}; it signs from now on")
            state = _promoted(facts, state)
        else:
            waits.append(Wait(f"the next CA does not sign until {facts.what_is_missing(following.certificate)}"))
    if why := _why_publish(facts, state):
        reasons.append(why)
    if not reasons:
        return waits
    version = secret.resource_version if secret else None
    return [*waits, WriteSecret(replace(state, damage=()), bool(why), version, "; ".join(reasons))]


def _with_previous_repaired(facts: RotationFacts, reasons: list[str]) -> Authorities:
    """The stored CAs, with unknown ones added to the previous ones, and without those that may be dropped."""
    state = facts.stored
    if facts.unknown:
        reasons += [f"it lacks the CA {describe(c)}, on which a bundle or replica relies" for c in facts.unknown]
        state = replace(state, previous=(*state.previous, *facts.unknown))
    if lost := facts.tokens.unknown:
        reasons.append("it lacks the path token that the webhook configurations carry")
        state = replace(state, previous_tokens=(*lost, *state.previous_tokens))
    if facts.unknown or lost or ((state.previous or state.previous_tokens) and not state.previous_until):
        state = _retaining(facts, state)
    elif facts.tokens.may_be_forgotten:
        reasons.append("no webhook configuration carries an earlier path token any longer")
        state = replace(state, previous_tokens=())
    # Remove it from the bundles first, and from the Secret last: otherwise a bundle's CA would count as unknown and return.
    gone = [c for c in facts.stored.previous if facts.is_gone(c) and c not in facts.carried_anywhere]
    reasons += [f"the CA {describe(c)} is no longer needed" for c in gone]
    previous = tuple(c for c in state.previous if c not in gone)
    until = state.previous_until if previous or state.previous_tokens else None
    return replace(state, previous=previous, previous_until=until)


def _retaining(facts: RotationFacts, state: Authorities) -> Authorities:
    """Keep the previous CAs for a full retention from now, or longer if the Secret already has a later time."""
    until = (facts.now + facts.settings.retention).replace(microsecond=0) + timedelta(seconds=1)
    return replace(state, previous_until=max(until, state.previous_until or until))


def _may_promote(facts: RotationFacts, state: Authorities, following: CertificatePair) -> bool:
    relied_on = (*((state.current.certificate,) if state.current else ()), *state.previous)
    if all(c.not_valid_after_utc + facts.settings.clock_skew < facts.now for c in relied_on):
        return facts.is_carried(following.certificate)  # nothing valid can be served by anyone, so nothing can be lost
    return facts.is_settled(following.certificate)


def _promoted(facts: RotationFacts, state: Authorities) -> Authorities:
    if state.current is None:
        return replace(state, current=state.next, next=None)
    previous = (state.current.certificate, *state.previous)
    tokens = (state.signer_tokens[0], *state.previous_tokens)
    state = replace(state, current=state.next, next=None, previous=previous, previous_tokens=tokens)
    return _retaining(facts, state)


def _why_publish(facts: RotationFacts, state: Authorities) -> str | None:
    if state.next:
        return None
    if state.current is None:
        return "there is no CA that can sign; a new one is published"
    why = needs_renewal(state.current.certificate, facts.now)
    return f"{why}; its successor is published" if why else None


def _phase(facts: RotationFacts, *, healing: bool) -> Phase:
    stored, live = facts.stored, facts.live
    if live is None and stored.current is None:
        return Phase.BOOTSTRAP
    if stored.next and not facts.is_carried(stored.next.certificate):
        return Phase.PUBLISHING
    if healing or stored.damage or facts.unknown or facts.observation.secret is None:
        return Phase.HEALING
    if stored.next:
        return Phase.PROPAGATING
    if live is None or stored.current is None or live.issuer != stored.current.certificate:
        return Phase.SWITCHING
    return Phase.RETIRING if stored.previous or stored.previous_tokens else Phase.STEADY
