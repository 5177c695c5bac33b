"""Checks of who may call gpuwarden: the tokens in the paths of the webhooks, and what keeps strangers out."""

from collections.abc import Iterator
from http import HTTPStatus

from ..certificates.tokens import ANNOTATION, path_of, token_of
from .facts import Facts, known
from .ours import OurWebhook, configurations, our_webhooks
from .results import CheckOutcome, fail, listed, ok, unknown, verdicts, warn

_UNANSWERED = (
    "the API server's calls get 404 there: GPU pods are denied, or pass unjudged where the failurePolicy is Ignore"
)


def tokens(facts: Facts) -> list[CheckOutcome]:
    """Paths that should carry a token do, all the same one, and every endpoint admits it."""
    expected = _expected(facts)
    if not expected and not any(one.token for one in our_webhooks(facts)):
        return [ok("the paths carry no token")]
    return verdicts(
        [*_missing(facts, expected), *_different(facts), *_not_admitted(facts)],
        lambda: f"the path of every webhook carries the same token; {_seen(facts)}",
    )


def _expected(facts: Facts) -> list[OurWebhook]:
    """The webhooks whose paths gpuwarden sets."""
    tokened = {
        kind
        for kind, configuration in configurations(facts)
        if (found := known(configuration)) and (found.metadata.annotations or {}).get(ANNOTATION) == "true"
    }
    return [one for one in our_webhooks(facts) if one.kind in tokened and path_of(one.webhook.name)]


def _missing(facts: Facts, expected: list[OurWebhook]) -> Iterator[CheckOutcome]:
    if names := [str(one) for one in expected if not one.token]:
        fix = f"a replica writes it within 10 s; if not, see its log: kubectl -n {facts.namespace} logs deploy/{facts.name}"
        yield fail(f"the path of {listed(names)} carries no token", _UNANSWERED, fix)


def _different(facts: Facts) -> Iterator[CheckOutcome]:
    if len({one.token for one in our_webhooks(facts) if one.token}) > 1:
        means = "a path was set by hand, or the token is being renewed at this moment"
        fix = (
            f"run doctor again; then kubectl get validatingwebhookconfiguration {facts.name} -o yaml --show-managed-fields says "
            "who wrote them"
        )
        yield warn("the paths carry different tokens", means, fix)


def _not_admitted(facts: Facts) -> Iterator[CheckOutcome]:
    for contact in facts.contacts:
        if contact.status == HTTPStatus.NOT_FOUND:
            target = contact.target
            fix = "restart that replica; it reads the CA Secret every 10 s, and its readiness says if it can't"
            yield fail(f"{target.where} does not admit the path of {target.webhook}", _UNANSWERED, fix)


def _seen(facts: Facts) -> str:
    admitting = {contact.target.where for contact in facts.contacts if contact.status == HTTPStatus.METHOD_NOT_ALLOWED}
    return (
        f"{listed(admitting)} admits it" if admitting else "whether the replicas admit it could not be seen from here"
    )


def strangers(facts: Facts) -> list[CheckOutcome]:
    """Client certificates or tokens keep strangers out; NetworkPolicies can't be judged."""
    deployment = known(facts.deployment)
    if deployment is not None and deployment.option("--client-ca-file") is not None:
        return [ok("the port is closed to strangers by client certificates (--client-ca-file)")]
    webhooks = our_webhooks(facts)
    means = "a client that reaches the port can learn the policies of namespaces, and use up gpuwarden's time"
    open_to = {
        contact.target.where
        for contact in facts.contacts
        if contact.plain_status == HTTPStatus.METHOD_NOT_ALLOWED
        and token_of(contact.target.webhook, contact.target.path)
    }
    if open_to:
        seen = f"{listed(open_to)} also answers paths without a token"
        fix = "wait: it stops some 10 s after every path carries a token (check path-tokens), or after it was started"
        return [warn(seen, means, fix)]
    if webhooks and all(one.token for one in webhooks):
        return [ok("the port is closed to strangers by the token in the paths; NetworkPolicies are not checked")]
    seen = "neither client certificates nor tokens in the paths keep strangers out; NetworkPolicies can't be checked from here"
    fix = (
        "let gpuwarden write tokens (chart: certificates.mode self-managed and pathToken.enabled), have the API server show a "
        "certificate (clientAuth), or close the port by a NetworkPolicy: docs/reference/limits.md"
    )
    return [unknown(seen, means, fix)]
