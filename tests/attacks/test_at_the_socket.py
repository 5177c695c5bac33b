"""Users can't talk their way out: each attack at a real server, asked as the API server asks it."""

import json
from collections.abc import Iterator
from typing import Any

import jsonpatch
import pytest

from testing.reviews import TEAM, Answered, KnownNamespaces, Notes, a_review
from tests.adapters.http.support import Serving, answer_of, running, status_of
from tests.attacks.pods import ATTACKS, CONFIGURATION, GPU, MIG, POLICY, SHARED, Attack, Verdict, a_pod, limits
from tests.wire import request
from webhook.adapters.configuration import file
from webhook.application.admission import Admission
from webhook.engine.namespace_labels import NamespaceLabels

Json = dict[str, Any]
TEXT = json.dumps(
    {
        "apiVersion": "gpuwarden.io/v1",
        "kind": "Configuration",
        **CONFIGURATION,
        "exemptions": {"namespaces": ["kube-system"], "usernames": ["ops"], "schedulers": ["hami-scheduler"]},
    }
)
NEIGHBOURS = (
    "kube-system-x",
    "x-kube-system",
    "kube-system.",
    "Kube-System",
    "kube-\u0455ystem",
    "kube-system\0",
    " kube-system",
)


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    labels = NamespaceLabels(POLICY)
    admission = Admission(file.parse(TEXT), KnownNamespaces(dict.fromkeys((TEAM, *NEIGHBOURS), labels)), Notes())
    with running(None, {"/mutate": admission.mutate, "/validate": admission.validate}) as server:
        yield server


def ask(serving: Serving, path: str, pod: str, **fields: Any) -> Answered:
    """The answer about a pod, whose text goes into the review as it is."""
    review = json.dumps(a_review("POD", **fields)).replace('"POD"', pod, 1)
    return answer_of(serving.ask(request(path, review.encode())))


def asked_as_an_api_server_does(serving: Serving, pod: str, **fields: Any) -> tuple[Answered, Json]:
    """The answer about the final pod, and that pod: what the mutating webhook made of the one that came."""
    mutated = ask(serving, "/mutate", pod, **fields)
    final: Json = jsonpatch.apply_patch(json.loads(pod), mutated.patch or [])
    # Where nothing was changed the pod goes on as it came.
    return ask(serving, "/validate", json.dumps(final) if mutated.patch else pod, **fields), final


@pytest.mark.parametrize("fields", [{}, {"dryRun": True}], ids=["for real", "dry run"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_pod_gets_what_it_is_to_get(serving: Serving, attack: Attack, fields: Json) -> None:
    answered, final = asked_as_an_api_server_does(serving, attack.text, **fields)

    match attack.verdict:
        case Verdict.REFUSED:
            assert not answered.allowed
            assert attack.rule in answered.rules
        case Verdict.REWRITTEN:
            assert answered.allowed
            assert GPU not in final["spec"]["containers"][0]["resources"]["limits"]
            assert final["spec"]["containers"][0]["resources"]["limits"][MIG]
        case Verdict.UNTOUCHED:
            assert answered.allowed
            assert final == json.loads(attack.text)
            assert bool(answered.warnings) is (attack.rule is not None)


SLOTS = json.dumps(a_pod(limits(**{SHARED: "2"})))


class TestWhoIsExempt:
    """Only what the API server itself says counts, and only by its whole name."""

    def test_an_exempt_namespace_and_user_are(self, serving: Serving) -> None:
        assert ask(serving, "/validate", SLOTS, namespace="kube-system").annotations == {"exempt": "namespace"}
        assert ask(serving, "/validate", SLOTS, userInfo={"username": "ops"}).annotations == {"exempt": "user"}

    @pytest.mark.parametrize("namespace", NEIGHBOURS)
    def test_a_namespace_that_looks_exempt_is_not(self, serving: Serving, namespace: str) -> None:
        assert not ask(serving, "/validate", SLOTS, namespace=namespace).allowed

    @pytest.mark.parametrize("user", ["Ops", "ops ", "system:serviceaccount:ops:ops", "\u043eps", "ops\0", ""])
    def test_a_user_that_looks_exempt_is_not(self, serving: Serving, user: str) -> None:
        assert not ask(
            serving, "/validate", SLOTS, userInfo={"username": user, "groups": ["ops"], "uid": "ops"}
        ).allowed

    @pytest.mark.parametrize(
        "pod",
        [
            {"metadata": {"name": "p", "namespace": "kube-system"}},
            {"userInfo": {"username": "ops"}},
            {
                "metadata": {
                    "name": "p",
                    "annotations": {"exempt": "user"},
                    "labels": {"kubernetes.io/metadata.name": "kube-system"},
                }
            },
            {"metadata": {"name": "p", "managedFields": [{"manager": "ops"}]}},
        ],
    )
    def test_what_the_pod_says_of_itself_counts_for_nothing(self, serving: Serving, pod: Json) -> None:
        assert not ask(serving, "/validate", json.dumps(a_pod(limits(**{SHARED: "2"})) | pod)).allowed

    @pytest.mark.parametrize("name", ["hami-scheduler ", "Hami-scheduler", "hami-scheduler-2", ""])
    def test_a_scheduler_that_looks_exempt_is_not(self, serving: Serving, name: str) -> None:
        exempt = json.dumps(a_pod(limits(**{SHARED: "2"}), schedulerName="hami-scheduler"))
        other = json.dumps(a_pod(limits(**{SHARED: "2"}), schedulerName=name))

        assert ask(serving, "/validate", exempt).annotations == {"exempt": "scheduler"}
        assert not ask(serving, "/validate", other).allowed


class TestReviews:
    """What only someone who is no API server can send: an error, never a way."""

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}, "request.kind"),
            ({"kind": {"group": "", "version": "v1", "kind": "pod"}}, "request.kind"),
            ({"kind": {"group": "evil.example", "version": "v1", "kind": "Pod"}}, "request.kind"),
            ({"operation": "create"}, "request.operation"),
            ({"operation": "PATCH"}, "request.operation"),
            ({"operation": ""}, "request.operation"),
        ],
    )
    def test_faked_kinds_and_operations_are_errors(self, serving: Serving, fields: Json, field: str) -> None:
        review = json.dumps(a_review(json.loads(SLOTS), **fields))
        reply = serving.ask(request("/validate", review.encode()))

        assert reply.code == 400
        assert field in status_of(reply)["message"]

    def test_an_object_of_another_kind_is_an_error(self, serving: Serving) -> None:
        review = json.dumps(a_review(json.loads(SLOTS) | {"kind": "ConfigMap"}))

        assert serving.ask(request("/validate", review.encode())).code == 400

    def test_of_two_objects_the_last_counts_for_both_sides(self, serving: Serving) -> None:
        """No API server sends it; what matters is that nothing is read one way here and another way there."""
        harmless = json.dumps(a_pod({}))
        twice = f'{harmless}, "object": {SLOTS}'

        assert not ask(serving, "/validate", twice).allowed
        assert ask(serving, "/validate", f'{SLOTS}, "object": {harmless}').allowed

    @pytest.mark.parametrize("resource", ["eviction", "binding", "exec", "status", "ephemeralcontainers"])
    def test_what_is_created_below_a_pod_is_no_pod(self, serving: Serving, resource: str) -> None:
        assert ask(serving, "/validate", SLOTS, subResource=resource).allowed

    @pytest.mark.parametrize("operation", ["UPDATE", "DELETE", "CONNECT"])
    def test_a_pod_that_there_is_is_not_evaluated_again(self, serving: Serving, operation: str) -> None:
        before = json.loads(SLOTS)

        assert ask(serving, "/validate", SLOTS, operation=operation, oldObject=before).allowed
        assert ask(serving, "/mutate", SLOTS, operation=operation, oldObject=before).patch is None


class TestLater:
    """What a user changes in a pod once it has been evaluated."""

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"nodeSelector": {"cloud.google.com/gke-gpu-sharing-strategy": "mps"}}, "selector-conflict"),
            ({"nodeSelector": {"nvidia.com/mig-1g.5gb.sharing-strategy": "mps"}}, "form-not-permitted"),
        ],
    )
    def test_other_gpus(self, serving: Serving, change: Json, rule: str) -> None:
        before = a_pod(limits(**{MIG: "1"}), schedulingGates=[{"name": "a/b"}])
        after = {**before, "spec": {**before["spec"], **change}}

        assert rule in ask(serving, "/validate", json.dumps(after), operation="UPDATE", oldObject=before).rules

    @pytest.mark.parametrize(
        "annotations",
        [
            {"cdi.k8s.io/a": "nvidia.com/gpu=0"},
            {"nvidia.cdi.k8s.io/pod": "management.nvidia.com/gpu=all"},
            {"devices.crio.io": "/dev/nvidia0"},
        ],
    )
    def test_devices(self, serving: Serving, annotations: Json) -> None:
        before, after = a_pod({}, None, nodeName="n"), a_pod({}, {"annotations": annotations}, nodeName="n")

        answered = ask(serving, "/validate", json.dumps(after), operation="UPDATE", oldObject=before)
        assert answered.rules == ["cdi-annotation"]
