"""The probe: what each answer of the API server says of gpuwarden, under each kind of policy."""

import dataclasses

import pytest

from tests.application.diagnosis.world import (
    NAME_LABEL,
    audit_mode,
    complete,
    configured,
    healthy,
    namespaces,
    results,
)
from webhook.application.diagnosis import probe
from webhook.application.diagnosis.documents import Metadata, Probed
from webhook.application.diagnosis.facts import Attempt, Facts, Probe, Unread
from webhook.application.diagnosis.results import CheckStatus

POLICY = "gpuwarden.io/policy"
DENIED = Attempt(None, 'POST: 403 admission webhook "validate.gpuwarden.io" denied the request: container "probe": …')
AS_IT_IS = Attempt(Probed(Metadata()))


def rewritten(policy: str) -> Attempt:
    return Attempt(Probed(Metadata(annotations={POLICY: policy})))


def probed(enforce: str | None, plain: Attempt, two: Attempt = DENIED, namespace: str = "team-a") -> Facts:
    labels = {NAME_LABEL: namespace} | ({"gpuwarden.io/enforce": enforce} if enforce else {})
    probe = Probe(namespace, labels, plain, two)
    return dataclasses.replace(healthy(namespaces=namespaces()), probe=probe)


def statuses(facts: Facts) -> list[CheckStatus]:
    found = results(facts, "probe")
    assert complete(found)
    return [result.status for result in found]


@pytest.mark.parametrize(
    ("enforce", "plain"),
    [("shared", rewritten("shared")), ("mig-1g.5gb", rewritten("mig-1g.5gb")), (None, AS_IT_IS), ("any", AS_IT_IS),
     ("none", DENIED), ("mpss", DENIED), ("exclusive", AS_IT_IS)],
)  # fmt: skip
def test_answers_that_the_policy_gives_are_well(enforce: str | None, plain: Attempt) -> None:
    assert statuses(probed(enforce, plain)) == [CheckStatus.OK, CheckStatus.OK]


@pytest.mark.parametrize(
    ("enforce", "plain", "says"),
    [
        ("shared", AS_IT_IS, 'is created unchanged, although policy "shared" rewrites it'),
        ("shared", rewritten("mps"), 'is created unchanged, although policy "shared" rewrites it'),
        ("shared", DENIED, 'denied the request: container "probe"'),
        ("any", DENIED, 'denied the request: container "probe"'),
        (None, rewritten("shared"), 'is rewritten by policy "shared", although policy "any" leaves it unchanged'),
        ("none", AS_IT_IS, 'is created, although policy "none" denies it'),
        ("shared", Attempt(None, '500 failed calling webhook "validate.gpuwarden.io": x509: …'), "x509"),
    ],
)
def test_answers_that_the_policy_does_not_give_fail(enforce: str | None, plain: Attempt, says: str) -> None:
    result, _ = results(probed(enforce, plain), "probe")
    assert result.status is CheckStatus.FAIL
    assert says in result.observed


def test_a_shared_request_of_two_that_is_created_fails_in_a_namespace_without_a_label_too() -> None:
    assert statuses(probed(None, AS_IT_IS, AS_IT_IS)) == [CheckStatus.OK, CheckStatus.FAIL]


@pytest.mark.parametrize(
    "refusal",
    [
        'POST: 403 pods is forbidden: User "x" cannot create resource "pods"',
        'POST: 403 admission webhook "images.example" denied the request: no',
        'POST: 500 failed calling webhook "images.example": timeout',
        'POST: 404 namespaces "team-a" not found',
    ],
)
def test_a_refusal_by_others_says_nothing_of_gpuwarden(refusal: str) -> None:
    attempt = Attempt(None, refusal)
    assert statuses(probed("shared", attempt, attempt)) == [CheckStatus.UNKNOWN, CheckStatus.UNKNOWN]


def test_audit_mode_and_namespaces_that_are_left_out_show_nothing() -> None:
    facts = dataclasses.replace(probed("shared", AS_IT_IS), configuration=audit_mode())
    assert statuses(facts) == [CheckStatus.UNKNOWN]
    assert statuses(probed("shared", AS_IT_IS, namespace="gpu-operator")) == [CheckStatus.UNKNOWN]
    assert statuses(probed("shared", AS_IT_IS, namespace="kube-system")) == [CheckStatus.UNKNOWN]


def test_labels_that_cannot_be_read_leave_it_unknown() -> None:
    unread = Unread("get namespaces/team-a", "403", forbidden=True)
    facts = dataclasses.replace(healthy(), probe=Probe("team-a", unread, AS_IT_IS, AS_IT_IS))
    assert statuses(facts) == [CheckStatus.UNKNOWN]


def test_without_a_probe_nothing_is_said_of_it() -> None:
    assert results(healthy(), "probe") == []


def test_a_policy_that_adds_only_its_own_settings_is_seen_by_its_annotation() -> None:
    text = (
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
        "policies: {team: {forms: [exclusive], runtimeClassName: nvidia}}\n"
    )
    for attempt, expected in ((rewritten("team"), CheckStatus.OK), (AS_IT_IS, CheckStatus.FAIL)):
        facts = dataclasses.replace(probed("team", attempt), configuration=configured(text))
        assert statuses(facts) == [expected, CheckStatus.OK]


@pytest.mark.parametrize("asks", [probe.PLAIN, probe.TWO_SHARED])
def test_the_pods_keep_the_restricted_standard(asks: tuple[str, str, int]) -> None:
    spec = probe.pod(*asks)["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"]["limits"][asks[1]] == str(asks[2])
