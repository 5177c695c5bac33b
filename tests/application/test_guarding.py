"""GPUs that are reached without a request: where it is said, and that it is said once."""

from typing import ClassVar

import msgspec
import pytest

from testing.reviews import (
    TEAM,
    Json,
    Webhook,
    a_container,
    a_gpu_container,
    a_pod,
    a_review,
    encode,
    finish,
    read_answer,
)
from tests.builders import a_policy
from webhook.application.advising import Advising
from webhook.application.auditing import Auditor, WorkloadObject
from webhook.application.checking import Checker
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable
from webhook.application.review import ReviewError
from webhook.engine.pods import Pod
from webhook.engine.policy import FindingAction, PolicyBook

ALL = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
REACHING = a_container(env=ALL)
ENV, RULE = 'container "train": env NVIDIA_VISIBLE_DEVICES=all', "visible-devices-env"
DENYING = PolicyBook(visible_devices=FindingAction.DENY)
STRICT = PolicyBook({"strict": a_policy("mig-1g.5gb", name="strict", visible_devices=FindingAction.DENY)})


def configured(policies: PolicyBook = DENYING, mode: Mode = Mode.ENFORCE) -> Configuration:
    return Configuration(policies, mode)


class TestCreation:
    def test_nothing_is_said_where_any_form_is_permitted(self) -> None:
        webhook = Webhook()
        answered = webhook.validate(a_pod(REACHING))

        assert (answered.allowed, answered.warnings, answered.annotations) == (True, [], {})
        assert webhook.notes == []

    def test_it_is_warned_of_where_a_policy_is(self) -> None:
        webhook = Webhook("exclusive")
        answered = webhook.validate(a_pod(REACHING))

        assert answered.allowed
        assert answered.warnings == [f"{ENV} reaches GPUs without a request; remove it, or request nvidia.com/gpu"]
        assert answered.annotations == {
            "enforce-policy": "exclusive",
            "enforce-outcome": "unchanged",
            "enforce-rules": RULE,
        }
        told = [(note.evaluated.path, note.evaluated.mode, note.evaluated.acted) for note in webhook.notes]
        assert told == [("validate", "enforce", True)]

    def test_it_is_refused_where_that_is_configured(self) -> None:
        answered = Webhook(configuration=configured()).validate(a_pod(REACHING))

        assert answered.rules == [RULE]
        assert answered.annotations["enforce-outcome"] == "denied"

    @pytest.mark.parametrize("pod", [a_pod(REACHING), a_pod(a_gpu_container(env=ALL))])
    def test_the_mutating_side_says_nothing_so_that_it_is_said_once(self, pod: Json) -> None:
        for webhook in (Webhook("exclusive"), Webhook("exclusive", configuration=configured())):
            answered = webhook.mutate(pod)

            assert (answered.warnings, answered.annotations, webhook.notes[0:0]) == ([], {}, [])

    def test_a_request_is_rewritten_whatever_else_is_refused_later(self) -> None:
        """Another webhook may take the variable away before the pod is final."""
        webhook = Webhook("mig-1g.5gb", configuration=configured())
        pod = a_pod(a_gpu_container(env=ALL))
        changed = webhook.mutate(pod).applied_to(pod)

        assert webhook.validate(changed).rules == [RULE]
        changed["spec"]["containers"][0]["env"][0]["value"] = "void"
        assert webhook.validate(changed).allowed

    def test_a_gpu_of_the_pod_as_a_whole_is_refused_everywhere(self) -> None:
        pod = a_pod(a_container(), resources={"limits": {"nvidia.com/gpu": "1"}})

        assert Webhook().validate(pod).rules == ["gpu-outside-containers"]
        assert Webhook().mutate(pod).patch is None


class TestOtherLabels:
    def test_the_warn_policy_tells_what_it_would_refuse(self) -> None:
        webhook = Webhook(warn="strict", configuration=configured(STRICT))
        answered = webhook.validate(a_pod(REACHING))

        assert answered.allowed
        assert answered.warnings == [f"would be denied: {ENV} reaches GPUs without a request"]
        assert [(note.evaluated.mode, note.evaluated.acted) for note in webhook.notes] == [("warn", False)]

    def test_the_audit_policy_records_it(self) -> None:
        answered = Webhook(audit="strict", configuration=configured(STRICT)).validate(a_pod(REACHING))

        assert answered.warnings == []
        assert answered.annotations == {"audit-policy": "strict", "audit-outcome": "denied", "audit-rules": RULE}

    def test_the_same_policy_says_it_once(self) -> None:
        assert len(Webhook("exclusive", warn="exclusive").validate(a_pod(REACHING)).warnings) == 1

    def test_of_a_harmless_pod_nobody_says_anything(self) -> None:
        answered = Webhook(warn="strict", audit="strict", configuration=configured(STRICT)).validate(a_pod(nodeName=""))

        assert (answered.warnings, answered.annotations) == ([], {})


class TestDryRun:
    def test_it_is_recorded_and_warned_as_what_would_be(self) -> None:
        webhook = Webhook("exclusive", configuration=configured(mode=Mode.AUDIT))
        answered = webhook.validate(a_pod(REACHING))

        assert answered.allowed
        assert answered.warnings == [f"would be denied: {ENV} reaches GPUs without a request"]
        assert answered.annotations["mode"] == "audit"
        assert answered.annotations["enforce-rules"] == RULE
        assert [(note.evaluated.outcome.value, note.evaluated.acted) for note in webhook.notes] == [("denied", False)]


class TestExemptions:
    @pytest.mark.parametrize(
        ("exemptions", "request_", "spec"),
        [
            (Exemptions(namespaces=frozenset({TEAM})), {}, {}),
            (Exemptions(usernames=frozenset({"ops"})), {"userInfo": {"username": "ops"}}, {}),
            (Exemptions(schedulers=frozenset({"kai-scheduler"})), {}, {"schedulerName": "kai-scheduler"}),
            (Exemptions(runtime_classes=frozenset({"kata"})), {}, {"runtimeClassName": "kata"}),
        ],
    )
    def test_who_is_exempt_is_left_alone(self, exemptions: Exemptions, request_: Json, spec: Json) -> None:
        pod = a_pod(REACHING, **spec)

        assert Webhook(configuration=Configuration(DENYING, exemptions=exemptions)).validate(pod, **request_).allowed
        nobody = Webhook(configuration=Configuration(DENYING, exemptions=Exemptions()))
        assert not nobody.validate(pod, **request_).allowed

    def test_a_scheduler_that_never_sees_the_pod_exempts_nothing(self) -> None:
        """With ``nodeName`` set nobody schedules it, so anyone could name an exempt scheduler that isn't even there."""
        webhook = Webhook("exclusive", configuration=configured())
        pod = a_pod(REACHING, schedulerName="hami-scheduler", nodeName="gpu-1")

        assert webhook.validate(pod).rules == [RULE, "node-name-set"]
        assert not Webhook("none").validate(a_pod(schedulerName="hami-scheduler", nodeName="gpu-1")).allowed
        assert Webhook("none").validate(a_pod(schedulerName="hami-scheduler")).allowed

    def test_a_mirror_pod_is_left_alone(self) -> None:
        pod = a_pod(REACHING, annotations={"kubernetes.io/config.mirror": "x"}, nodeName="n")

        assert Webhook(configuration=configured()).validate(pod).allowed


class TestEphemeralContainers:
    OLD: ClassVar[Json] = {"name": "old", "image": "i", "securityContext": {"privileged": True}}
    NEW: ClassVar[Json] = {"name": "new", "image": "i", "env": ALL}

    def ask(self, webhook: Webhook, new: list[Json], old: list[Json] | None, **request: object) -> Json:
        """The answer to an update of ephemeral containers, in a pod that already has a node and a hostPath."""
        spec: Json = {"nodeName": "n", "volumes": [{"name": "d", "hostPath": {"path": "/dev"}}]}
        before = None if old is None else a_pod(a_container(), ephemeralContainers=old, **spec)
        after = a_pod(a_container(), ephemeralContainers=new, **spec)
        fields = {"operation": "UPDATE", "subResource": "ephemeralcontainers", "oldObject": before} | request
        return webhook.validate(after, **fields).response

    def test_a_new_one_is_evaluated(self) -> None:
        response = self.ask(Webhook(configuration=configured()), [self.OLD, self.NEW], [self.OLD])

        (cause,) = response["status"]["details"]["causes"]
        assert (cause["reason"], cause["field"]) == (RULE, "spec.ephemeralContainers[1].env[0]")

    def test_it_is_warned_of(self) -> None:
        response = self.ask(Webhook("exclusive"), [self.NEW], [])

        assert response["allowed"]
        assert len(response["warnings"]) == 1

    def test_what_was_there_before_blocks_nothing(self) -> None:
        harmless = {"name": "sh", "image": "i"}

        assert self.ask(Webhook(configuration=configured()), [self.OLD, harmless], [self.OLD]) == {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "allowed": True,
        }

    def test_without_the_pod_as_it_was_all_are_new(self) -> None:
        assert not self.ask(Webhook(configuration=configured()), [self.OLD], None)["allowed"]

    def test_the_node_is_the_schedulers_choice_by_then(self) -> None:
        webhook = Webhook(configuration=configured())

        pod = a_pod(a_container(), schedulerName="kai-scheduler", nodeName="n", ephemeralContainers=[self.NEW])
        assert webhook.validate(pod, operation="UPDATE", subResource="ephemeralcontainers").allowed

    @pytest.mark.parametrize(
        "request_",
        [
            {"operation": "CONNECT"},
            {"subResource": "status"},
            {"subResource": "resize"},
        ],
    )
    def test_other_requests_are_none_of_our_business(self, request_: Json) -> None:
        assert self.ask(Webhook(configuration=configured()), [self.NEW], [], **request_)["allowed"]

    def test_one_that_can_not_be_read_is_the_callers_mistake(self) -> None:
        with pytest.raises(ReviewError, match=r"request\.oldObject"):
            Webhook("exclusive").validate(
                a_pod(ephemeralContainers=[self.NEW]),
                operation="UPDATE",
                subResource="ephemeralcontainers",
                oldObject=7,
            )


class TestUnknownNamespace:
    @pytest.mark.parametrize("error", [NamespaceUnavailable(TEAM, "gone"), NamespaceNotFound(TEAM)])
    def test_a_pod_without_a_request_does_not_wait_for_a_warning(self, error: Exception) -> None:
        webhook = Webhook()
        webhook.namespaces.known.clear()
        webhook.namespaces.unknown[TEAM] = error
        answered = webhook.validate(a_pod(REACHING))

        assert answered.allowed
        assert answered.annotations == {"error": str(error)}
        with pytest.raises(type(error)):
            webhook.validate(a_pod())

    @pytest.mark.parametrize("policies", [DENYING, STRICT])
    def test_where_it_might_be_refused_that_is_for_the_failure_policy_to_say(self, policies: PolicyBook) -> None:
        webhook = Webhook(configuration=configured(policies))
        webhook.namespaces.known.clear()
        webhook.namespaces.unknown[TEAM] = NamespaceUnavailable(TEAM, "gone")

        with pytest.raises(NamespaceUnavailable):
            webhook.validate(a_pod(REACHING))


class TestTemplates:
    def advise(self, webhook: Webhook, pod: Json) -> list[str]:
        deployment = {"kind": "Deployment", "spec": {"template": pod}}
        review = a_review(deployment, kind={"group": "apps", "version": "v1", "kind": "Deployment"})
        advising = Advising(lambda: webhook.admission.configuration, webhook.namespaces, webhook.notes)
        return read_answer(finish(advising.advise(encode(review)))).warnings

    def test_a_template_is_warned_of(self) -> None:
        assert self.advise(Webhook("exclusive"), a_pod(REACHING)) == [
            f"{ENV} reaches GPUs without a request; remove it, or request nvidia.com/gpu"
        ]
        assert self.advise(Webhook("exclusive"), a_pod(a_container())) == []

    def test_that_its_pods_would_be_refused_is_told_in_a_namespace_without_labels_too(self) -> None:
        webhook = Webhook(configuration=configured())

        assert self.advise(webhook, a_pod(REACHING)) == [f"would be denied: {ENV} reaches GPUs without a request"]
        assert self.advise(Webhook(), a_pod(REACHING)) == []


class TestAuditing:
    """What runs, and what stands in files."""

    def seen(self, pod: Json, namespace: str = TEAM, *, running: bool = True) -> WorkloadObject:
        return WorkloadObject("v1", "Pod", namespace, "p", pod=msgspec.convert(pod, Pod), running=running)

    def test_a_pod_that_reaches_gpus_is_a_finding(self) -> None:
        verdict = Auditor(configured(), {}).verdict(self.seen(a_pod(REACHING)))

        assert verdict is not None
        assert [finding.rule.id for finding in verdict.findings] == [RULE]
        assert (verdict.outcome.value, verdict.requests, verdict.forms) == ("denied", (), ())

    @pytest.mark.parametrize("namespace", [TEAM, "kube-system"])
    def test_pods_without_findings_or_requests_are_not_listed(self, namespace: str) -> None:
        reaching, harmless = a_pod(REACHING, nodeName="n"), a_pod(a_container(), nodeName="n")

        assert Auditor(configured(), {}).verdict(self.seen(harmless, namespace)) is None
        assert Auditor(Configuration(), {}).verdict(self.seen(reaching, namespace)) is None
        assert Auditor(configured(), {}).verdict(self.seen(reaching, "kube-system")) is None

    def test_the_node_of_a_pod_that_runs_was_the_schedulers_choice(self) -> None:
        pod = a_pod(REACHING, nodeName="n")
        verdicts = [Auditor(configured(), {}).verdict(self.seen(pod, running=running)) for running in (True, False)]

        told = [[finding.rule.id for finding in verdict.findings] for verdict in verdicts if verdict]
        assert told == [[RULE], [RULE, "node-name-set"]]

    def test_pods_that_differ_by_node_and_token_only_share_a_verdict(self) -> None:
        auditor = Auditor(configured(), {})
        pods = [
            a_pod(REACHING, nodeName=f"n{number}", volumes=[{"name": f"kube-api-access-{number}", "projected": {}}])
            for number in range(3)
        ]

        assert len({id(auditor.verdict(self.seen(pod))) for pod in pods}) == 1

    @pytest.mark.parametrize(("uid", "rules"), [({}, ["node-name-set"]), ({"uid": "1"}, [])])
    def test_a_manifest_out_of_a_cluster_is_told_from_one_that_is_to_be(self, uid: Json, rules: list[str]) -> None:
        pod = a_pod(a_container(), nodeName="n")
        pod["metadata"] |= uid

        assert [finding.rule.id for finding in Checker(configured(), {}).evaluate(pod).findings] == rules
