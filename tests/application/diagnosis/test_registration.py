"""Checks of webhook configurations: each as the chart makes it, and each way in which it can be wrong."""

import dataclasses
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    Json,
    audit_mode,
    complete,
    healthy,
    mutating,
    results,
    the_result,
    troubled,
    validating,
)
from webhook.application.diagnosis.facts import Facts, Namespaces, Unread
from webhook.application.diagnosis.results import Status
from webhook.application.diagnosis.webhooks import WebhookConfiguration

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def service(path: str) -> Json:
    return {"service": {"name": "gpuwarden", "namespace": "gpuwarden-system", "path": path, "port": 443}}


def config(name: str, rules: list[Json]) -> WebhookConfiguration:
    hook = {"name": f"{name}.example", "clientConfig": {"url": "https://example"}, "rules": rules}
    return msgspec.convert({"metadata": {"name": name}, "webhooks": [hook]}, WebhookConfiguration)


def rule(**fields: Any) -> list[Json]:
    return [{**PODS, **fields}]


BROKEN = [
    (healthy(mutating=None), "webhooks", Status.FAIL, "there is no MutatingWebhookConfiguration gpuwarden"),
    (healthy(validating=None), "webhooks", Status.FAIL, "there is no ValidatingWebhookConfiguration gpuwarden"),
    (mutating(healthy(), rules=[]), "rules", Status.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(operations=["DELETE"])), "rules", Status.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(resources=["pods/status"])), "rules", Status.FAIL, "do not cover CREATE"),
    (mutating(healthy(), rules=rule(apiGroups=["apps"])), "rules", Status.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(scope="Cluster")), "rules", Status.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(operations=["CREATE", "UPDATE"])), "rules", Status.FAIL, "cover UPDATE of pods"),
    (mutating(healthy(), rules=rule(operations=["*"])), "rules", Status.FAIL, "cover UPDATE of pods"),
    (validating(healthy(), objectSelector={"matchLabels": {"gpu": "yes"}}), "rules", Status.WARN, "an objectSelector"),
    (mutating(healthy(), sideEffects="Some"), "calls", Status.FAIL, "sideEffects of mutate.gpuwarden.io is Some"),
    (mutating(healthy(), admissionReviewVersions=["v1beta1"]), "calls", Status.FAIL, "is v1beta1"),
    (mutating(healthy(), matchPolicy="Exact"), "calls", Status.WARN, "matchPolicy"),
    (mutating(healthy(), reinvocationPolicy="Never"), "calls", Status.WARN, "reinvocationPolicy"),
    (validating(healthy(), timeoutSeconds=30), "calls", Status.WARN, "timeoutSeconds of validate.gpuwarden.io is 30"),
    (validating(healthy(), timeoutSeconds=1), "calls", Status.WARN, "timeoutSeconds of validate.gpuwarden.io is 1"),
    (mutating(healthy(), matchConditions=[]), "match-conditions", Status.WARN, "mutate.gpuwarden.io has no matchCondit"),
    (validating(healthy(), failurePolicy="Ignore"), "failure-policies", Status.FAIL, "mode enforce: failurePolicy of val"),
    (mutating(healthy(), failurePolicy="Fail"), "failure-policies", Status.WARN, "mutate.gpuwarden.io is Fail"),
    (healthy(configuration=audit_mode()), "failure-policies", Status.FAIL, "mode audit: failurePolicy of validate"),
    (validating(healthy(), namespaceSelector=None), "exclusions", Status.FAIL, "selects gpuwarden-system (failurePolicy"),
    (mutating(healthy(), namespaceSelector={}), "exclusions", Status.WARN, "(failurePolicy Ignore)"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "check", "status", "says"), BROKEN, ids=[f"{b[1]}: {b[3]}" for b in BROKEN])
def test_each_defect_is_found_by_its_check_and_by_no_other(facts: Facts, check: str, status: Status, says: str) -> None:
    assert troubled(facts) == {check: status}
    found = results(facts, check)
    assert any(says in result.seen for result in found), found
    assert complete(found)


def test_a_webhook_under_a_wrong_path_is_missing_where_it_should_be_and_wrong_where_it_is() -> None:
    seen = [result.seen for result in results(validating(healthy(), clientConfig=service("/mutate")), "webhooks")]
    assert seen == [
        "no webhook of ValidatingWebhookConfiguration gpuwarden calls /validate",
        "webhook validate.gpuwarden.io of the ValidatingWebhookConfiguration calls /mutate",
    ]


def test_the_other_two_paths_are_at_home_in_the_validating_configuration() -> None:
    facts = healthy()
    assert isinstance(facts.validating, WebhookConfiguration)
    assert facts.validating.webhooks
    document = msgspec.to_builtins(facts.validating)
    for path, policy in (("/advise", "Ignore"), ("/validate-namespace", "Fail")):
        name = f"{path[1:]}.gpuwarden.io"
        more = {**document["webhooks"][0], "name": name, "failurePolicy": policy, "rules": []}
        client = {**more["clientConfig"], "service": {**more["clientConfig"]["service"], "path": path}}
        document["webhooks"].append({**more, "clientConfig": client})
    facts = dataclasses.replace(facts, validating=msgspec.convert(document, WebhookConfiguration))
    assert troubled(facts) == {}
    unconditional = [{**hook, "matchConditions": None} for hook in document["webhooks"]]
    bare = msgspec.convert({**document, "webhooks": unconditional}, WebhookConfiguration)
    found = results(dataclasses.replace(facts, validating=bare), "failure-policies")
    assert [(r.status, r.means) for r in found] == [
        (Status.FAIL, "while no replica answers no namespace can be created or changed, kube-system included")
    ]


def with_another(facts: Facts, **fields: Any) -> Facts:
    """Facts whose validating configuration has one more webhook: of namespaces, and otherwise like the first."""
    document = msgspec.to_builtins(facts.validating)
    first = document["webhooks"][0]
    service = {**first["clientConfig"]["service"], "path": "/validate-namespace"}
    client = {**first["clientConfig"], "service": service}
    rules = [{**PODS, "resources": ["namespaces"]}]
    document["webhooks"].append({**first, "name": "n.gpuwarden.io", "clientConfig": client, "rules": rules, **fields})
    return dataclasses.replace(facts, validating=msgspec.convert(document, WebhookConfiguration))


def test_a_webhook_of_namespaces_may_select_every_namespace_and_should_fail_closed() -> None:
    assert troubled(with_another(healthy(), namespaceSelector=None)) == {}
    assert troubled(with_another(healthy(), failurePolicy="Ignore")) == {"failure-policies": Status.WARN}


def test_the_validating_webhook_may_see_updates() -> None:
    assert troubled(validating(healthy(), rules=rule(operations=["CREATE", "UPDATE"]))) == {}


def test_match_conditions_are_missed_from_1_28_on() -> None:
    facts = mutating(healthy(version=(1, 28)), matchConditions=[])
    assert the_result(facts, "match-conditions").status is Status.WARN


def test_in_audit_mode_everything_may_fail_open() -> None:
    assert troubled(validating(healthy(configuration=audit_mode()), failurePolicy="Ignore")) == {}


@pytest.mark.parametrize("version", [(1, 20), (1, 27)])
def test_before_1_28_match_conditions_are_not_missed_but_what_that_means_is_said(version: tuple[int, int]) -> None:
    facts = validating(mutating(healthy(version=version), matchConditions=[]), matchConditions=[])
    result = the_result(facts, "match-conditions")
    assert result.status is Status.OK
    assert "while no replica answers no pod is created" in result.seen
    open_ = the_result(validating(facts, failurePolicy="Ignore"), "match-conditions")
    assert "no pod is created" not in open_.seen


def test_a_namespace_without_its_name_as_a_label_is_not_left_out_and_the_label_is_the_remedy() -> None:
    bare = Namespaces(2, {"gpuwarden-system": {}, "kube-system": {"kubernetes.io/metadata.name": "kube-system"}})
    found = results(healthy(namespaces=bare), "exclusions")
    assert {result.status for result in found} == {Status.FAIL, Status.WARN}
    assert {r.mend for r in found} == {
        "kubectl label namespace gpuwarden-system kubernetes.io/metadata.name=gpuwarden-system"
    }


def test_a_selector_for_the_systems_namespace_alone_names_it() -> None:
    only_ours = {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["gpuwarden-system"]}
        ]
    }
    result = the_result(validating(healthy(), namespaceSelector=only_ours), "exclusions")
    assert (result.status, result.seen.split(" selects ")[1]) == (Status.FAIL, "kube-system (failurePolicy Fail)")


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ([], "no mutating webhook for new pods comes after"),
        ([config("a-first", [PODS])], "no mutating webhook for new pods comes after"),
        ([config("istio", [{**PODS, "resources": ["deployments"]}])], "no mutating webhook for new pods comes after"),
        ([config("istio", [PODS]), config("zz", [PODS])], "those of istio, zz"),
        ([config("istio", [{**PODS, "resources": ["*"], "apiGroups": ["*"]}])], "those of istio"),
    ],
)
def test_mutating_webhooks_that_come_later_are_a_note(others: list[WebhookConfiguration], says: str) -> None:
    result = the_result(healthy(all_mutating=others), "other-webhooks")
    assert result.status is Status.OK
    assert says in result.seen


@pytest.mark.parametrize(("version", "status"), [((1, 21), Status.OK), ((1, 20), Status.UNKNOWN)])
def test_where_namespaces_cannot_be_read_their_names_are_known_labels_from_1_21_on(
    version: tuple[int, int], status: Status
) -> None:
    unread = Unread("list namespaces", "GET: 403", forbidden=True)
    assert the_result(healthy(namespaces=unread, version=version), "exclusions").status is status
