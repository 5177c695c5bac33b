"""The rotation plan: from what is observed to what is to be done, with a sentence why. A pure function.

A new authority is published beside the old one; a replica turns to it only when the bundle of every webhook
configuration carries it, and has for the propagation time; the old one goes when no serving certificate that it signed
can still be valid. There is no leader and no memory of a step begun: every replica compares everything at every tick and
does what is missing. Whoever loses a race for a resourceVersion looks again. So a crash between two steps,
a damaged Secret and an emptied bundle are all the same thing: a difference that the next tick sees.

What is never done: an empty bundle is never written (API servers would fall back to the system's roots); an authority
that a bundle trusts and that looks like ours is not dropped because the Secret has lost it, but taken over among the
previous ones, since some replica's serving certificate may hang on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from webhook.application.ca_secret import signing_key
from webhook.application.certificates import bundle_pem, describe, read_bundle
from webhook.application.path_tokens import path_token
from webhook.application.rotation_facts import Facts
from webhook.application.trust import needs_renewal, why_invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

    from webhook.application.ca_secret import Authorities
    from webhook.application.certificates import CertificatePair
    from webhook.application.rotation_observation import Observation, RotationSettings, ServedLeaf, WebhookConfiguration


class Phase(StrEnum):
    """Where the rotation stands, for a metric."""

    BOOTSTRAP = "bootstrap"  # nothing can be signed yet
    HEALING = "healing"  # the Secret or a bundle is not as it should be
    PUBLISHING = "publishing"  # the next authority is on its way into the bundles
    PROPAGATING = "propagating"  # every bundle carries it; the API servers get their time to notice
    SWITCHING = "switching"  # this replica still serves a certificate of a previous authority
    RETIRING = "retiring"  # a previous authority stays trusted until nothing can need it
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class SetBundle:
    """Set the ``caBundle`` of every webhook in this configuration, and what is called, if it is unchanged since it was read.

    Attributes:
        configuration: Which, as it was read.
        bundle: PEM.
        reason: Why.
        targets: By the names of webhooks, the URL or path that is to be called from now on; of the others nothing changes.
    """

    configuration: WebhookConfiguration
    bundle: bytes
    reason: str
    targets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SignLeaf:
    """Sign a serving certificate with this authority and serve it."""

    authority: CertificatePair
    reason: str


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """Write the CA Secret, if it is unchanged since it was read.

    Attributes:
        authorities: What it is to hold.
        add_next: Whether a newly made authority is to be its ``next``.
        resource_version: What it must still have; ``None``: it must not exist.
        reason: Why.
    """

    authorities: Authorities = field(repr=False)
    add_next: bool
    resource_version: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to be done about this yet."""

    reason: str


Action: TypeAlias = SetBundle | SignLeaf | WriteSecret | Wait


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order; no action depends on one before it, so one that fails stops no other.

    Attributes:
        actions: The actions.
        phase: Where the rotation stands before them.
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
    facts = Facts(observation, settings)
    bundles = [action for each in observation.configurations for action in _bundle_actions(facts, each)]
    actions = (*bundles, *_leaf_actions(facts, observation, settings), *_secret_actions(facts, observation, settings))
    phase = _phase(facts, observation, healing=bool(bundles))
    return Plan(actions, phase, facts.is_trusted, facts.paths.accepted, facts.paths.admits_plain_paths)


def _bundle_actions(facts: Facts, configuration: WebhookConfiguration) -> list[Action]:
    """Every webhook's bundle holds what is required, may hold what is about to go, and nothing else; its path has the token."""
    required = dict.fromkeys(filter(facts.is_required, facts.stored.certificates))
    if facts.live:
        required[facts.live.issuer] = None
    allowed = {c for c in facts.stored.certificates if not facts.is_gone(c)} | {*facts.unknown}
    bundles = {name: read_bundle(pem) for name, pem in configuration.bundles.items()}
    found = dict.fromkeys(c for bundle in bundles.values() for c in bundle.certificates if c in allowed)
    wanted = tuple(required | found)
    if not wanted:
        return []
    targets = facts.paths.corrections(configuration)
    for name, bundle in bundles.items():
        faults = [
            *([f"is damaged: {bundle.damage}"] if bundle.damage else []),
            *(f"lacks the CA {describe(c)}" for c in wanted if c not in bundle.certificates),
            *(f"carries {describe(c)}, which is not to be trusted" for c in bundle.certificates if c not in wanted),
        ]
        if faults:
            reason = f"the caBundle of {configuration}, webhook {name}, {'; '.join(faults)}"
            return [SetBundle(configuration, bundle_pem(wanted), reason, targets)]
    if targets:
        reason = f"the path of {configuration}, webhook {next(iter(targets))}, does not carry the present token"
        return [SetBundle(configuration, bundle_pem(wanted), reason, targets)]
    return []


def _leaf_actions(facts: Facts, observation: Observation, settings: RotationSettings) -> list[Action]:
    """What this replica serves: signed the first time, anew when it ages, and by another authority when it must."""
    if facts.live is None:
        return _first_leaf(facts, observation)
    for ca in facts.usable:
        if ca.certificate == facts.live.issuer:
            return _renewed_leaf(facts.live, ca, facts, settings)
    issuer = describe(facts.live.issuer)
    if facts.stored.current not in facts.usable or facts.stored.current is None:
        return [Wait(f"serving under the CA {issuer} until there is another that signs")]
    # From a certificate that works to one of another authority: only when everybody trusts that one.
    ca = facts.stored.current
    if facts.is_settled(ca.certificate):
        return [SignLeaf(ca, f"the CA {issuer} signs no more, and every bundle carries {describe(ca.certificate)}")]
    return [Wait(f"serving under the CA {issuer} until {facts.what_is_missing(ca.certificate)}")]


def _first_leaf(facts: Facts, observation: Observation) -> list[Action]:
    """Nothing valid is served, so nothing can be lost: an authority that only some entries carry will do."""
    if not facts.usable:
        return [Wait("there is no CA to sign a serving certificate yet")]
    best = max(facts.usable, key=lambda ca: facts.carried.count(ca.certificate))  # of equals the first: the current
    if facts.carried.entries and not facts.carried.count(best.certificate):
        return [Wait(f"no webhook configuration carries the CA {describe(best.certificate)} yet")]
    why = why_invalid(observation.leaf.pair.certificate, facts.now) if observation.leaf else None
    return [SignLeaf(best, why or "this replica has no serving certificate yet")]


def _renewed_leaf(leaf: ServedLeaf, ca: CertificatePair, facts: Facts, settings: RotationSettings) -> list[Action]:
    reason = needs_renewal(leaf.pair.certificate, facts.now)
    end = min(facts.now + settings.leaf_lifetime, ca.certificate.not_valid_after_utc)
    gained = end - leaf.pair.certificate.not_valid_after_utc
    return [SignLeaf(ca, reason)] if reason and gained >= timedelta(seconds=1) else []


def _secret_actions(facts: Facts, observation: Observation, settings: RotationSettings) -> list[Action]:
    """At most one write that brings the Secret from what it holds to what it should hold."""
    reasons = [] if observation.secret else ["the CA Secret does not exist"]
    reasons += [f"the CA Secret is damaged: {damage}" for damage in facts.stored.damage]
    waits: list[Action] = []
    state = _with_previous_mended(facts, settings, reasons)
    if state.next and (why := needs_renewal(state.next.certificate, facts.now)):
        reasons.append(f"the next CA was never put to use: {why}")
        previous = (state.next.certificate, *state.previous)
        state = _retaining(replace(state, next=None, previous=previous), facts, settings)
    if following := state.next:
        if _may_promote(state, following.certificate, facts, settings):
            reasons.append(f"every bundle carries the next CA {describe(following.certificate)}; it signs from now on")
            state = _promoted(state, facts, settings)
        else:
            waits.append(Wait(f"the next CA does not sign until {facts.what_is_missing(following.certificate)}"))
    if why := _why_publish(state, facts):
        reasons.append(why)
    if not reasons:
        return waits
    version = observation.secret.resource_version if observation.secret else None
    return [*waits, WriteSecret(replace(state, damage=()), bool(why), version, "; ".join(reasons))]


def _with_previous_mended(facts: Facts, settings: RotationSettings, reasons: list[str]) -> Authorities:
    """The stored authorities, with unknown ones taken over among the previous and those let go that may."""
    state = facts.stored
    if facts.unknown:
        reasons += [f"it lacks the CA {describe(c)}, on which a bundle or replica relies" for c in facts.unknown]
        state = replace(state, previous=(*state.previous, *facts.unknown))
    if lost := facts.paths.unknown:
        reasons.append("it lacks the path token that the webhook configurations carry")
        state = replace(state, previous_tokens=(*lost, *state.previous_tokens))
    if facts.unknown or lost or ((state.previous or state.previous_tokens) and not state.previous_until):
        state = _retaining(state, facts, settings)
    elif facts.paths.may_be_forgotten:
        reasons.append("no webhook configuration carries an earlier path token any longer")
        state = replace(state, previous_tokens=())
    # From the bundles first, from here last: what a bundle carries would be taken for unknown and come back.
    gone = [c for c in facts.stored.previous if facts.is_gone(c) and c not in facts.carried.anywhere]
    reasons += [f"nothing can need the CA {describe(c)} any longer" for c in gone]
    previous = tuple(c for c in state.previous if c not in gone)
    until = state.previous_until if previous or state.previous_tokens else None
    return replace(state, previous=previous, previous_until=until)


def _retaining(state: Authorities, facts: Facts, settings: RotationSettings) -> Authorities:
    """With the previous authorities kept for a full retention from now, or longer where that was said before."""
    until = (facts.now + settings.retention).replace(microsecond=0) + timedelta(seconds=1)
    return replace(state, previous_until=max(until, state.previous_until or until))


def _may_promote(state: Authorities, following: x509.Certificate, facts: Facts, settings: RotationSettings) -> bool:
    relied_on = (*((state.current.certificate,) if state.current else ()), *state.previous)
    if all(c.not_valid_after_utc + settings.clock_skew < facts.now for c in relied_on):
        return facts.carried.by_all(following)  # nothing valid can be served by anybody, so nothing can be lost
    return facts.is_settled(following)


def _promoted(state: Authorities, facts: Facts, settings: RotationSettings) -> Authorities:
    if state.current is None:
        return replace(state, current=state.next, next=None)
    previous = (state.current.certificate, *state.previous)
    tokens = (path_token(signing_key(state.current)), *state.previous_tokens)
    promoted = replace(state, current=state.next, next=None, previous=previous, previous_tokens=tokens)
    return _retaining(promoted, facts, settings)


def _why_publish(state: Authorities, facts: Facts) -> str | None:
    if state.next:
        return None
    if state.current is None:
        return "there is no CA that can sign; a new one is published"
    why = needs_renewal(state.current.certificate, facts.now)
    return f"{why}; its successor is published" if why else None


def _phase(facts: Facts, observation: Observation, *, healing: bool) -> Phase:
    stored, live = facts.stored, facts.live
    if live is None and stored.current is None:
        return Phase.BOOTSTRAP
    if stored.next and not facts.carried.by_all(stored.next.certificate):
        return Phase.PUBLISHING
    if healing or stored.damage or facts.unknown or observation.secret is None:
        return Phase.HEALING
    if stored.next:
        return Phase.PROPAGATING
    if live is None or stored.current is None or live.issuer != stored.current.certificate:
        return Phase.SWITCHING
    return Phase.RETIRING if stored.previous or stored.previous_tokens else Phase.STEADY
