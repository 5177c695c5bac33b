"""Checks of who may call gpuwarden: the tokens in the paths of the webhooks, and what keeps other clients out."""

from http import HTTPStatus

from ..certificates.tokens import ANNOTATION, path_of, token_of
from .facts import Facts, known
from .our_webhooks import OurWebhook, configurations, our_webhooks
from .results import Findings, fail, listed, unknown, warn

_UNANSWERED = (
    "the API server's calls get 404 there: GPU pods are denied, or admitted unchecked if the failurePolicy is Ignore"
)


def tokens(facts: Facts) -> Findings:
    """Paths that should carry a token do, all the same one, and every endpoint admits it."""
    expected = _expected(facts)
    found = {one.token for one in our_webhooks(facts) if one.token}
    if not expected and not found:
        return "the paths carry no token"
    if names := [str(one) for one in expected if not one.token]:
        fix = f"a replica writes it within 10 s; if not, see its log: kubectl -n {facts.namespace} logs deploy/{facts.name}"
        yield fail(f"the path of {listed(names)} carries no token", _UNANSWERED, fix)
    if len(found) > 1:
        yield warn(
            "the paths carry different tokens",
            "a path was set by hand, or the token is being renewed at this moment",
            f"run doctor again; then kubectl get validatingwebhookconfiguration {facts.name} -o yaml --show-managed-fields "
            "shows who wrote them",
        )
    for contact in facts.contacts:
        if contact.status == HTTPStatus.NOT_FOUND:
            target = contact.target
            fix = "restart that replica; it reads the CA Secret every 10 s, and its readiness reports if it can't"
            yield fail(f"{target.where} does not admit the path of {target.webhook}", _UNANSWERED, fix)
    admitting = {contact.target.where for contact in facts.contacts if contact.status == HTTPStatus.METHOD_NOT_ALLOWED}
    replicas = (
        f"{listed(admitting)} admits it"
        if admitting
        else "whether the replicas admit it could not be checked from here"
    )
    return f"the path of every webhook carries the same token; {replicas}"


def _expected(facts: Facts) -> list[OurWebhook]:
    """The webhooks whose paths gpuwarden sets."""
    tokened = {
        kind
        for kind, configuration in configurations(facts)
        if (found := known(configuration)) and (found.metadata.annotations or {}).get(ANNOTATION) == "true"
    }
    return [one for one in our_webhooks(facts) if one.kind in tokened and path_of(one.webhook.name)]


def strangers(facts: Facts) -> Findings:
    """Client certificates or tokens keep other clients out; NetworkPolicies can't be evaluated."""
    deployment = known(facts.deployment)
    if deployment is not None and deployment.option("--client-ca-file") is not None:
        return "other clients are kept out by client certificates (--client-ca-file)"
    webhooks = our_webhooks(facts)
    impact = "a client that reaches the port can learn the policies of namespaces, and overload gpuwarden"
    open_to = {
        contact.target.where
        for contact in facts.contacts
        if contact.plain_status == HTTPStatus.METHOD_NOT_ALLOWED
        and token_of(contact.target.webhook, contact.target.path)
    }
    if open_to:
        fix = "wait: it stops some 10 s after every path carries a token (check path-tokens), or after it was started"
        yield warn(f"{listed(open_to)} also answers paths without a token", impact, fix)
    elif not webhooks or not all(one.token for one in webhooks):
        yield unknown(
            "neither client certificates nor tokens in the paths keep other clients out; NetworkPolicies can't be checked "
            "from here",
            impact,
            "let gpuwarden write tokens (chart: certificates.mode self-managed and pathToken.enabled), have the API server show "
            "a certificate (clientAuth), or close the port by a NetworkPolicy: docs/reference/limits.md",
        )
    return "other clients are kept out by the token in the paths; NetworkPolicies are not checked"
