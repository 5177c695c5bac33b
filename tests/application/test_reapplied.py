"""Updates of pods at ``/mutate``: a manifest applied again is restored, and nothing else is touched."""

from typing import Any

import pytest

from testing.reviews import Json, Webhook, a_container, a_gpu_container, a_pod
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable
from webhook.application.review import ReviewError
from webhook.engine.namespace_labels import NamespaceLabels

MANIFEST = a_pod()
LIVE = Webhook("shared").mutate(MANIFEST).applied_to(MANIFEST)
BOTH = {"nvidia.com/gpu": "1", "nvidia.com/gpu.shared": "1"}
AGAIN = {**LIVE, "spec": {**LIVE["spec"], "containers": [a_container("train", BOTH)]}}


def update(webhook: Webhook, pod: Any = AGAIN, before: Any = LIVE, **request: Any) -> Any:
    """The answer of ``/mutate`` to an update."""
    return webhook.mutate(pod, oldObject=before, operation="UPDATE", **request)


def test_a_manifest_applied_again_is_made_what_the_pod_is_and_the_audit_log_says_by_which_policy() -> None:
    webhook = Webhook("shared")
    answered = update(webhook)
    assert answered.applied_to(AGAIN) == LIVE
    assert answered.annotations == {"restored-by-policy": "shared"}
    assert answered.warnings == []
    assert webhook.notes == [], "nothing is decided about a pod that stays as it is"


def metadata_of(pod: Json, **fields: Any) -> Json:
    return {**pod, "metadata": {**pod["metadata"], **fields}}


@pytest.mark.parametrize(
    ("pod", "before"),
    [
        pytest.param(metadata_of(LIVE, finalizers=[]), metadata_of(LIVE, finalizers=["x"]), id="a finalizer"),
        pytest.param(metadata_of(LIVE, labels={}), LIVE, id="labels"),
        pytest.param({**LIVE, "status": {"phase": "Failed"}}, LIVE, id="status"),
        pytest.param(MANIFEST, MANIFEST, id="a pod from before the policy"),
        pytest.param(metadata_of(MANIFEST, finalizers=[]), MANIFEST, id="a finalizer of a pod from before the policy"),
        pytest.param(a_pod(a_gpu_container("2")), a_pod(a_gpu_container("2")), id="a pod that would be denied"),
        pytest.param(a_pod(a_container()), a_pod(a_container()), id="no GPU"),
        pytest.param(AGAIN, None, id="no old object"),
    ],
)
@pytest.mark.parametrize("policy", ["shared", "mps", "none", "no-such-policy"])
def test_any_other_update_is_allowed_without_a_word(policy: str, pod: Json, before: Json | None) -> None:
    webhook = Webhook(policy)
    assert set(update(webhook, pod, before).response) == {"uid", "allowed"}
    assert webhook.notes == []


@pytest.mark.parametrize("policy", [None, "any", "none", "mps", "mig-1g.5gb", "no-such-policy"])
def test_under_another_policy_the_api_server_decides(policy: str | None) -> None:
    assert update(Webhook(policy)).patch is None


def test_a_dry_run_of_the_cluster_changes_nothing() -> None:
    assert update(Webhook("shared", configuration=Configuration(mode=Mode.AUDIT))).patch is None


@pytest.mark.parametrize(
    "exemptions", [Exemptions(namespaces=frozenset({"team"})), Exemptions(usernames=frozenset({"alice@example.com"}))]
)
def test_what_is_exempt_is_left_alone(exemptions: Exemptions) -> None:
    assert update(Webhook("shared", configuration=Configuration(exemptions=exemptions))).patch is None


def test_the_labels_of_a_namespace_that_is_not_known_yet_are_fetched() -> None:
    webhook = Webhook()
    webhook.namespaces.unknown["new"] = NamespaceLabels("shared")
    assert update(webhook, namespace="new").applied_to(AGAIN) == LIVE


@pytest.mark.parametrize("failure", [NamespaceNotFound("gone"), NamespaceUnavailable("gone", "no answer in 2 s")])
def test_without_labels_the_api_server_decides(failure: Exception) -> None:
    webhook = Webhook()
    webhook.namespaces.unknown["gone"] = failure
    answered = update(webhook, namespace="gone")
    assert answered.allowed
    assert answered.patch is None
    assert 'namespace "gone"' in answered.annotations["error"]


@pytest.mark.parametrize(
    ("pod", "before", "field"),
    [
        (a_pod(nodeSelector={"a": 1}), LIVE, r"request\.object\.spec\.nodeSelector"),
        (AGAIN, a_pod(nodeSelector={"a": 1}), r"request\.oldObject\.spec\.nodeSelector"),
    ],
)
def test_an_update_that_cannot_be_read_is_left_to_the_failure_policy(pod: Json, before: Json, field: str) -> None:
    with pytest.raises(ReviewError, match=field):
        update(Webhook("shared"), pod, before)


def test_validate_is_not_asked_about_it() -> None:
    answered = Webhook("none").validate(AGAIN, oldObject=LIVE, operation="UPDATE")
    assert set(answered.response) == {"uid", "allowed"}
