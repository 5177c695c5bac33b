"""Checks of who may call gpuwarden: tokens in paths, and what keeps strangers out. No token is ever shown."""

import dataclasses
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    TOKEN,
    a_target,
    certificates,
    each_webhook,
    healthy,
    results,
    the,
    the_result,
    troubled,
    trusting,
    validating,
    with_path,
)
from webhook.application.certificates.tokens import ANNOTATION, PATHS
from webhook.application.diagnosis.diagnose import diagnose
from webhook.application.diagnosis.documents import Deployment
from webhook.application.diagnosis.facts import Attempt, Contact, Facts, Probe
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import Webhook, WebhookConfiguration

OTHER = "fedcba9876543210" * 2
TOKENS, STRANGERS = "path-tokens", "callers"


def paths(facts: Facts, webhook: str, path: str) -> Facts:
    """Facts in which one validating webhook calls another path."""

    def change(one: Webhook) -> Webhook:
        return with_path(one, path) if one.name == f"{webhook}.gpuwarden.io" else one

    return dataclasses.replace(facts, validating=each_webhook(facts.validating, change))


def plain() -> Facts:
    """An installation without tokens."""

    def made(kind: str) -> WebhookConfiguration:
        found = trusting(the(kind, WebhookConfiguration))
        found = each_webhook(found, lambda webhook: with_path(webhook, PATHS[webhook.name]))
        return msgspec.structs.replace(
            found, metadata=msgspec.structs.replace(found.metadata, annotations={ANNOTATION: "false"})
        )

    return healthy(mutating=made("MutatingWebhookConfiguration"), validating=made("ValidatingWebhookConfiguration"))


def contact(status: int, plain_status: int) -> Contact:
    target = dataclasses.replace(a_target(), path=f"/validate/{TOKEN}")
    return Contact(target, certificates().leaf.certificate, status=status, plain_status=plain_status)


def test_where_all_is_well_it_says_by_what() -> None:
    facts = healthy(contacts=[contact(405, 404)])
    assert the_result(facts, TOKENS).observed == (
        "the path of every webhook carries the same token; 10.0.0.1:8443 admits it"
    )
    assert the_result(facts, STRANGERS).observed == (
        "other clients are kept out by the token in the paths; NetworkPolicies are not checked"
    )
    assert not troubled(facts)


def test_what_can_not_be_dialled_is_not_claimed() -> None:
    result = the_result(healthy(contacts=[]), TOKENS)
    assert (result.status, result.observed.partition("; ")[2]) == (
        CheckStatus.OK,
        "whether the replicas admit it could not be checked from here",
    )


def test_an_installation_without_tokens_has_none_to_check_and_is_open_as_far_as_can_be_seen() -> None:
    assert the_result(plain(), TOKENS).observed == "the paths carry no token"
    result = the_result(plain(), STRANGERS)
    assert result.status is CheckStatus.UNKNOWN
    assert "pathToken.enabled" in result.fix


def test_client_certificates_close_the_port_too() -> None:
    facts = plain()
    assert isinstance(facts.deployment, Deployment)
    containers = facts.deployment.spec.template.spec.containers
    assert containers
    container = containers[0]
    container.args = [*(container.args or ()), "--client-ca-file=/etc/ca.crt"]
    result = the_result(facts, STRANGERS)
    assert (result.status, result.observed) == (
        CheckStatus.OK,
        "other clients are kept out by client certificates (--client-ca-file)",
    )


@pytest.mark.parametrize("path", ["", "/validate", "/validate/nonsense", f"/mutate/{TOKEN}"])
def test_a_path_without_a_token_fails(path: str) -> None:
    result = the_result(paths(healthy(), "validate", path), TOKENS)
    assert (result.status, result.observed) == (CheckStatus.FAIL, "the path of validate.gpuwarden.io carries no token")
    assert "404" in result.impact


def test_paths_with_different_tokens_are_warned_of() -> None:
    result = the_result(paths(healthy(), "advise", f"/advise/{OTHER}"), TOKENS)
    assert (result.status, result.observed) == (CheckStatus.WARN, "the paths carry different tokens")


def test_a_replica_that_does_not_admit_what_is_called_fails() -> None:
    result = the_result(healthy(contacts=[contact(404, 404)]), TOKENS)
    assert (result.status, result.observed) == (
        CheckStatus.FAIL,
        "10.0.0.1:8443 does not admit the path of validate.gpuwarden.io",
    )


def test_a_replica_that_answers_strangers_is_warned_of() -> None:
    result = the_result(healthy(contacts=[contact(405, 405)]), STRANGERS)
    assert (result.status, result.observed) == (CheckStatus.WARN, "10.0.0.1:8443 also answers paths without a token")


def test_no_token_is_shown_whatever_the_checks_say() -> None:
    refusal = (
        f'failed calling webhook "validate.gpuwarden.io": Post "https://x.svc:443/validate/{TOKEN}?timeout=3s": EOF'
    )
    probe = Probe("team", {}, Attempt(None, refusal), Attempt(None, refusal))
    by_url: dict[str, Any] = {"clientConfig": {"url": f"https://x.example/elsewhere/advise/{TOKEN}"}}
    for facts in (
        healthy(probe=probe),
        validating(healthy(), "advise", **by_url),
        paths(healthy(), "guard", f"/mutate/{TOKEN}"),
    ):
        shown = str(diagnose(facts))
        assert TOKEN not in shown
        assert "/<token>" in shown
    assert results(healthy(probe=probe), "probe")
