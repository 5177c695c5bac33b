"""Checks of the way to gpuwarden: Services and endpoints, bundles, trust and expiry."""

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    ADDRESSES,
    HOST,
    NOW,
    SERVICE,
    a_slice,
    a_target,
    certificates,
    complete,
    each_webhook,
    healthy,
    mutating,
    results,
    the_result,
    troubled,
    trusted,
    validating,
    with_bundle,
)
from webhook.application.certificates.issue import self_signed_pair
from webhook.application.certificates.pem import bundle_pem
from webhook.application.diagnosis.documents import Service
from webhook.application.diagnosis.facts import Contact, Facts, Unread
from webhook.application.diagnosis.our_webhooks import targets
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import Webhook

FOREIGN = self_signed_pair([HOST], [], NOW - timedelta(hours=1), timedelta(days=30))
CA = certificates().ca
URL = {"url": "https://gpu.example:8443/validate"}


def bundled(facts: Facts, bundle: bytes) -> Facts:
    """Facts whose validating webhook for pods trusts something else."""

    def change(webhook: Webhook) -> Webhook:
        return with_bundle(webhook, bundle) if webhook.name == "validate.gpuwarden.io" else webhook

    return dataclasses.replace(facts, validating=each_webhook(facts.validating, change))


def a_service(*ports: int) -> Service:
    document = {
        "metadata": {"name": "gpuwarden"},
        "spec": {"ports": [{"name": "https", "port": port} for port in ports]},
    }
    return msgspec.convert(document, Service)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"services": {SERVICE: None}}, "there is no Service gpuwarden-system/gpuwarden"),
        ({"services": {SERVICE: a_service(8443)}}, "has no port 443"),
        ({"slices": {SERVICE: []}}, "has no ready endpoint"),
        ({"slices": {SERVICE: [a_slice(*ADDRESSES, ready=False)]}}, "has no ready endpoint"),
        ({"services": {SERVICE: a_service(443, 80)}, "slices": {SERVICE: []}}, "has no ready endpoint"),
    ],
)
def test_a_service_that_leads_nowhere_fails(facts: dict[str, Any], says: str) -> None:
    result = the_result(healthy(**facts), "endpoints")
    assert result.status is CheckStatus.FAIL
    assert says in result.observed


def test_endpoints_are_counted() -> None:
    assert the_result(healthy(), "endpoints").observed == "Service gpuwarden-system/gpuwarden: 2 ready endpoints"


def test_every_ready_endpoint_is_dialled_under_the_services_name() -> None:
    found = targets(healthy())
    assert {target.address for target in found} == {(address, 8443) for address in ADDRESSES}
    assert {target.name for target in found} == {HOST}
    assert len(found) == len(ADDRESSES) * 9  # by the bundle of each webhook


def test_where_endpoints_cannot_be_read_the_service_itself_is_dialled() -> None:
    unread = Unread("list endpointslices", "403", forbidden=True)
    assert {target.address for target in targets(healthy(slices={SERVICE: unread}))} == {(HOST, 443)}


@pytest.mark.parametrize(
    ("url", "address"), [("https://gpu.example:8443/x", ("gpu.example", 8443)), ("https://[::1]/x", ("::1", 443))]
)
def test_a_url_is_dialled_as_it_is(url: str, address: tuple[str, int]) -> None:
    facts = validating(mutating(healthy(), None, clientConfig={"url": url}), None, clientConfig={"url": url})
    assert {(target.address, target.name) for target in targets(facts)} == {(address, address[0])}
    assert "by URL" in the_result(facts, "endpoints").observed


@pytest.mark.parametrize(
    ("bundle", "status", "says"),
    [
        (b"", CheckStatus.FAIL, "is empty"),
        (b"not PEM", CheckStatus.FAIL, "can't be read: it holds something that is not a PEM certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
            CheckStatus.FAIL,
            "1 of 1 certificates in it",
        ),
        (
            CA.certificate_pem + b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
            CheckStatus.WARN,
            "1 of 2",
        ),
    ],
)
def test_a_bundle_that_nobody_can_be_trusted_by_is_found(bundle: bytes, status: CheckStatus, says: str) -> None:
    result = the_result(bundled(healthy(), bundle), "ca-bundles")
    assert (result.status, says in result.observed) == (status, True), result
    assert "validate.gpuwarden.io" in result.observed


def test_a_bundle_of_expired_authorities_fails_and_one_that_is_valid_is_enough() -> None:
    old = self_signed_pair([HOST], [], NOW - timedelta(days=9), timedelta(days=8)).ca
    result = the_result(bundled(healthy(), old.certificate_pem), "ca-bundles")
    assert (result.status, "expired at" in result.observed) == (CheckStatus.FAIL, True)
    both = bundle_pem([old.certificate, CA.certificate])
    assert the_result(bundled(healthy(), both), "ca-bundles").status is CheckStatus.OK


def test_a_url_without_a_bundle_is_for_the_api_servers_machine_to_evaluate() -> None:
    result = the_result(validating(healthy(), clientConfig=URL), "ca-bundles")
    assert result.status is CheckStatus.UNKNOWN


def leaf_of(pair: Any) -> Any:
    return pair.leaf.certificate


OTHER_NAME = self_signed_pair(["elsewhere.example"], [], NOW - timedelta(hours=1), timedelta(days=30))
EXPIRED = self_signed_pair([HOST], [], NOW - timedelta(days=9), timedelta(days=8))
DISTRUST = [
    (Contact(a_target(), leaf_of(FOREIGN), silence="Connection reset by peer"), "no TLS (Connection reset by peer)"),
    (Contact(a_target(), leaf_of(FOREIGN), refusal="x"), "none of the 1 trusted certificates issued"),
    (Contact(a_target(bundle=b""), leaf_of(FOREIGN), refusal="x"), "none of the 0 trusted certificates issued"),
    (
        Contact(a_target(bundle=OTHER_NAME.ca.certificate_pem), leaf_of(OTHER_NAME), refusal="x"),
        f"is not for {HOST}",
    ),
    (Contact(a_target(bundle=EXPIRED.ca.certificate_pem), leaf_of(EXPIRED), refusal="x"), "expired at"),
    (Contact(a_target(), leaf_of(certificates()), refusal="its own words"), "not trusted: its own words"),
    (Contact(a_target(), silence="EOF"), "no TLS (EOF)"),
]


@pytest.mark.parametrize(("contact", "says"), DISTRUST, ids=[says for _, says in DISTRUST])
def test_what_the_api_server_would_refuse_fails_and_the_reason_is_named(contact: Contact, says: str) -> None:
    found = [
        r for r in results(healthy(contacts=[contact, trusted("10.0.0.2")]), "trust") if r.status is CheckStatus.FAIL
    ]
    assert len(found) == 1
    assert says in found[0].observed
    assert complete(found)


def test_nothing_in_reach_is_unknown_and_says_from_where_to_look() -> None:
    silent = Contact(a_target(), silence="timed out", connected=False)
    result = the_result(healthy(contacts=[silent]), "trust")
    assert result.status is CheckStatus.UNKNOWN
    assert "kubectl -n gpuwarden-system exec deploy/gpuwarden -- gpuwarden doctor" in result.fix
    assert "10.0.0.1:8443 (timed out)" in result.observed


def test_one_endpoint_out_of_reach_among_others_that_answer_fails() -> None:
    silent = Contact(a_target(), silence="refused", connected=False)
    (result,) = results(healthy(contacts=[silent, trusted("10.0.0.2")]), "trust")
    assert (result.status, result.observed) == (
        CheckStatus.FAIL,
        "10.0.0.1:8443, for validate.gpuwarden.io: no connection (refused)",
    )


def test_all_of_it_trusted_is_well_and_says_under_which_name() -> None:
    assert the_result(healthy(), "trust").observed == f"10.0.0.1:8443, 10.0.0.2:8443: trusted under {HOST}"


@pytest.mark.parametrize(
    ("days", "status"),
    [(0, CheckStatus.OK), (22, CheckStatus.OK), (23, CheckStatus.WARN), (29, CheckStatus.WARN), (31, CheckStatus.FAIL)],
)
def test_a_certificate_with_less_than_a_quarter_of_its_life_left_was_forgotten(days: int, status: CheckStatus) -> None:
    """Thirty days: at two thirds, the twentieth, it should have been renewed."""
    later = dataclasses.replace(healthy(), now=NOW + timedelta(days=days))
    assert {result.status for result in results(later, "expiry")} == {status}


def test_only_the_last_authority_of_a_bundle_need_be_renewed() -> None:
    nearly_over = self_signed_pair([HOST], [], NOW - timedelta(days=27), timedelta(days=28)).ca
    both = bundle_pem([nearly_over.certificate, CA.certificate])
    assert troubled(bundled(healthy(contacts=[]), both)) == {"trust": CheckStatus.UNKNOWN}
    alone = bundled(healthy(contacts=[]), nearly_over.certificate_pem)
    assert troubled(alone)["expiry"] is CheckStatus.WARN


def test_without_any_certificate_nothing_is_known_of_when_they_end() -> None:
    facts = dataclasses.replace(healthy(contacts=[]), mutating=None, validating=None)
    assert the_result(facts, "expiry").status is CheckStatus.UNKNOWN
