"""Checks of webhook configurations: each as the chart makes it, and each way in which it can be wrong."""

import dataclasses
from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    Json,
    audit_mode,
    complete,
    configured,
    healthy,
    mutating,
    results,
    the,
    the_result,
    troubled,
    validating,
    with_fields,
)
from webhook.application.diagnosis.documents import Deployment, Metadata
from webhook.application.diagnosis.facts import Facts, Unread, known
from webhook.application.diagnosis.our_webhooks import mutating_name
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import WebhookConfiguration
from webhook.application.workload_kinds import WorkloadKind, table
from webhook.engine.policy import Policy

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def service(path: str) -> Json:
    return {"service": {"name": "gpuwarden", "namespace": "gpuwarden-system", "path": path, "port": 443}}


def config(name: str, rules: list[Json], hook: str = "pods.example") -> WebhookConfiguration:
    webhook = {"name": hook, "clientConfig": {"url": "https://example"}, "rules": rules}
    return msgspec.convert({"metadata": {"name": name}, "webhooks": [webhook]}, WebhookConfiguration)


def rule(**fields: Any) -> list[Json]:
    return [{**PODS, **fields}]


def started_with(*options: str) -> Deployment:
    """Our Deployment, its replicas started with no other options."""
    deployment = the("Deployment", Deployment)
    for container in deployment.spec.template.spec.containers or ():
        container.args = ["serve", *options]
    return deployment


BROKEN = [
    (healthy(mutating=None), "webhooks", CheckStatus.FAIL, "there is no MutatingWebhookConfiguration zz-gpuwarden"),
    (healthy(validating=None), "webhooks", CheckStatus.FAIL, "there is no ValidatingWebhookConfiguration gpuwarden"),
    (mutating(healthy(), rules=[]), "rules", CheckStatus.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(operations=["DELETE"])), "rules", CheckStatus.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(resources=["pods/status"])), "rules", CheckStatus.FAIL, "do not cover CREATE"),
    (mutating(healthy(), rules=rule(apiGroups=["apps"])), "rules", CheckStatus.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(scope="Cluster")), "rules", CheckStatus.FAIL, "do not cover CREATE of pods"),
    (mutating(healthy(), rules=rule(operations=["CREATE", "UPDATE"])), "rules", CheckStatus.FAIL, "cover UPDATE of pods"),
    (mutating(healthy(), rules=rule(operations=["*"])), "rules", CheckStatus.FAIL, "cover UPDATE of pods"),
    (mutating(healthy(), "restore", rules=rule()), "rules", CheckStatus.WARN, "of restore.gpuwarden.io do not cover UPDATE"),
    (validating(healthy(), objectSelector={"matchLabels": {"gpu": "yes"}}), "rules", CheckStatus.WARN, "an objectSelector"),
    (mutating(healthy(), sideEffects="Some"), "calls", CheckStatus.FAIL, "sideEffects of mutate.gpuwarden.io is Some"),
    (mutating(healthy(), admissionReviewVersions=["v1beta1"]), "calls", CheckStatus.FAIL, "is v1beta1"),
    (mutating(healthy(), matchPolicy="Exact"), "calls", CheckStatus.WARN, "matchPolicy"),
    (mutating(healthy(), reinvocationPolicy="Never"), "calls", CheckStatus.WARN, "reinvocationPolicy"),
    (validating(healthy(), timeoutSeconds=30), "calls", CheckStatus.WARN, "timeoutSeconds of validate.gpuwarden.io is 30"),
    (validating(healthy(), timeoutSeconds=1), "calls", CheckStatus.WARN, "timeoutSeconds of validate.gpuwarden.io is 1"),
    (mutating(healthy(), matchConditions=[]), "match-conditions", CheckStatus.WARN, "mutate.gpuwarden.io has no matchCondit"),
    (validating(healthy(), failurePolicy="Ignore"), "failure-policies", CheckStatus.FAIL, "mode enforce: failurePolicy of val"),
    (mutating(healthy(), failurePolicy="Fail"), "failure-policies", CheckStatus.WARN, "mutate.gpuwarden.io is Fail"),
    (healthy(configuration=audit_mode()), "failure-policies", CheckStatus.FAIL, "mode audit: failurePolicy of validate"),
    (validating(healthy(), namespaceSelector=None), "exclusions", CheckStatus.FAIL, "selects gpuwarden-system (failurePolicy"),
    (mutating(healthy(), namespaceSelector={}), "exclusions", CheckStatus.WARN, "(failurePolicy Ignore)"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "check", "status", "says"), BROKEN, ids=[f"{b[1]}: {b[3]}" for b in BROKEN])
def test_each_defect_is_found_by_its_check_and_by_no_other(
    facts: Facts, check: str, status: CheckStatus, says: str
) -> None:
    assert troubled(facts) == {check: status}
    found = results(facts, check)
    assert any(says in result.observed for result in found), found
    assert complete(found)


def test_a_webhook_under_a_wrong_path_is_missing_where_it_should_be_and_wrong_where_it_is() -> None:
    seen = [result.observed for result in results(validating(healthy(), clientConfig=service("/mutate")), "webhooks")]
    assert seen == [
        "no webhook of ValidatingWebhookConfiguration gpuwarden calls /validate",
        "webhook validate.gpuwarden.io of the ValidatingWebhookConfiguration calls /mutate",
    ]


def test_before_the_first_replica_is_ready_it_is_said_once_that_no_path_is_written() -> None:
    facts = validating(mutating(healthy(), None, clientConfig=service("")), None, clientConfig=service(""))
    [result] = results(facts, "webhooks")
    assert result.status is CheckStatus.FAIL
    assert result.observed.startswith("no path is written yet for advise-operators.gpuwarden.io, advise.gpuwarden.io, ")
    assert result.fix is not None
    assert "see check replicas" in result.fix
    assert the_result(facts, "failure-policies").status is CheckStatus.OK
    [empty] = [each for each in results(facts, "ca-bundles") if each.status is CheckStatus.FAIL]
    assert empty.observed.startswith("the caBundle is empty: advise-operators.gpuwarden.io, ")


def test_a_webhook_of_an_unknown_name_without_a_path_is_wrong() -> None:
    seen = [
        each.observed
        for each in results(validating(healthy(), name="x.gpuwarden.io", clientConfig=service("")), "webhooks")
    ]
    assert "webhook x.gpuwarden.io of the ValidatingWebhookConfiguration calls no path" in seen


NAMESPACES, ADVISE, CLAIMS = "validate-namespace", "advise", "validate-claim"


def without(facts: Facts, name: str) -> Facts:
    """Facts in which one validating webhook is gone."""
    assert isinstance(facts.validating, WebhookConfiguration)
    left = [one for one in facts.validating.webhooks or () if one.name != f"{name}.gpuwarden.io"]
    return dataclasses.replace(facts, validating=msgspec.structs.replace(facts.validating, webhooks=left))


@pytest.mark.parametrize(
    ("name", "means"),
    [
        (ADVISE, "kubectl apply of a workload"),
        (NAMESPACES, "a label that names no policy is accepted"),
        (CLAIMS, "a claim (DRA) of a waiting pod can be replaced"),
    ],
)
def test_a_webhook_that_only_tells_is_missed_and_what_is_lost_is_said(name: str, means: str) -> None:
    facts = without(healthy(), name)
    result = the_result(facts, "webhooks")
    assert troubled(facts) == {"webhooks": CheckStatus.WARN}
    assert result.observed == f"no webhook of ValidatingWebhookConfiguration gpuwarden calls /{name}"
    assert result.impact.startswith(means)
    assert complete([result])


@pytest.mark.parametrize(
    ("name", "rules", "lacking"),
    [
        (NAMESPACES, rule(resources=["namespaces"]), "UPDATE of namespaces"),
        (
            NAMESPACES,
            rule(resources=["namespaces"], operations=["*"], scope="Namespaced"),
            "CREATE of namespaces, UPDATE",
        ),
        (
            NAMESPACES,
            rule(resources=["namespaces"], operations=["*"]),
            "UPDATE of namespaces/status, UPDATE of namespaces/finalize",
        ),
        (
            NAMESPACES,
            rule(resources=["namespaces", "*/status", "pods/*"], operations=["*"]),
            "UPDATE of namespaces/finalize",
        ),
        (ADVISE, [], "CREATE of deployments, UPDATE of deployments"),
        (
            ADVISE,
            [
                *rule(operations=["*"], apiGroups=["apps", "batch"], resources=["*"]),
                *rule(operations=["*"], resources=["podtemplates"]),
            ],
            "CREATE of replicationcontrollers, UPDATE of replicationcontrollers",
        ),
    ],
)
def test_what_a_webhook_that_only_tells_is_not_sent_is_named(name: str, rules: list[Json], lacking: str) -> None:
    facts = validating(healthy(), name, rules=rules)
    assert troubled(facts) == {"rules": CheckStatus.WARN}
    assert f"the rules of {name}.gpuwarden.io do not cover {lacking}" in the_result(facts, "rules").observed


OPERATORS = "advise-operators"


def test_the_webhook_of_operators_kinds_may_be_switched_off_and_is_not_asked_about_others() -> None:
    facts = healthy()
    validating_configuration = known(facts.validating)
    assert validating_configuration is not None
    left = [one for one in validating_configuration.webhooks or () if one.name != f"{OPERATORS}.gpuwarden.io"]
    without = msgspec.structs.replace(validating_configuration, webhooks=left)
    assert troubled(healthy(validating=without)) == {}


@pytest.mark.parametrize(
    ("rules", "lacking"),
    [
        ([], "advancedcronjobs.apps.kruise.io, analysisruns.argoproj.io, "),
        (
            rule(operations=["*"], apiGroups=["apps.kruise.io"], apiVersions=["*"], resources=["*"]),
            "analysisruns.argoproj.io, analysistemplates.argoproj.io, appw",
        ),
    ],
)
def test_operators_kinds_that_are_not_sent_are_named(rules: list[Json], lacking: str) -> None:
    facts = validating(healthy(), OPERATORS, rules=rules)
    assert troubled(facts) == {"rules": CheckStatus.WARN}
    assert f"the rules of {OPERATORS}.gpuwarden.io do not cover {lacking}" in the_result(facts, "rules").observed


def test_and_so_are_those_of_the_configuration() -> None:
    rows = table(
        WorkloadKind(
            "example.com",
            ("v1",),
            f"{scope}Training",
            f"{scope.lower()}trainings",
            (),
            ("spec.x",),
            cluster_scoped=bool(scope),
        )
        for scope in ("", "Cluster")
    )
    facts = healthy(configuration=msgspec.structs.replace(configured(), kinds=rows))
    assert troubled(facts) == {"rules": CheckStatus.WARN}
    result = the_result(facts, "rules")
    assert result.observed == f"the rules of {OPERATORS}.gpuwarden.io do not cover trainings.example.com"
    assert result.fix is not None
    assert result.fix.startswith("set config.workloadKinds in the chart's values to those of the configuration")


@pytest.mark.parametrize("subresources", [["namespaces/*"], ["*/status", "*/finalize"], ["*/*"]])
def test_rules_may_name_subresources_as_kubernetes_takes_them(subresources: list[str]) -> None:
    rules = rule(resources=["namespaces", *subresources], operations=["*"], scope="Cluster")
    assert troubled(validating(healthy(), NAMESPACES, rules=rules)) == {}


@pytest.mark.parametrize(
    ("name", "means"),
    [
        (NAMESPACES, "while no replica answers, no namespace can be created or changed, not even kube-system"),
        (CLAIMS, "while no replica answers, no claim (DRA) can be created or changed, so no pod with claims starts"),
    ],
)
def test_a_webhook_of_other_objects_fails_closed_and_only_with_match_conditions(name: str, means: str) -> None:
    assert troubled(validating(healthy(), name, failurePolicy="Ignore")) == {"failure-policies": CheckStatus.WARN}
    unconditional = validating(healthy(), name, matchConditions=[])
    assert troubled(unconditional) == {"failure-policies": CheckStatus.FAIL, "match-conditions": CheckStatus.WARN}
    assert the_result(unconditional, "failure-policies").impact == means


def test_the_guard_alone_does_not_stand_for_the_validating_webhook() -> None:
    missing = the_result(without(healthy(), "validate"), "webhooks")

    assert "no webhook of ValidatingWebhookConfiguration gpuwarden calls /validate" in missing.observed


def test_that_of_updates_alone_does_not_either() -> None:
    assert the_result(without(without(healthy(), "guard"), "validate"), "webhooks").status is CheckStatus.FAIL


def test_updates_of_pods_are_missed() -> None:
    facts = without(healthy(), "updates")

    assert troubled(facts) == {"rules": CheckStatus.WARN}
    assert "no webhook receives updates of pods" in the_result(facts, "rules").observed


def test_the_webhook_of_updates_fails_closed_and_only_with_match_conditions() -> None:
    assert troubled(validating(healthy(), "updates", failurePolicy="Ignore")) == {"failure-policies": CheckStatus.WARN}
    unconditional = validating(healthy(), "updates", matchConditions=[])
    assert troubled(unconditional) == {"failure-policies": CheckStatus.FAIL, "match-conditions": CheckStatus.WARN}
    assert "no pod can be updated" in the_result(unconditional, "failure-policies").impact
    assert "rules" in troubled(validating(healthy(), "updates", rules=[]))


RESERVATIONS = "validate-reservation"
LIMITED = configured(policies={"two": Policy("two", max_per_pod=2)})


def reserving(**fields: Any) -> Facts:
    """Facts of an installation whose policies have limits, with the webhook for these, which may have other fields."""
    facts = healthy(configuration=LIMITED)
    assert isinstance(facts.validating, WebhookConfiguration)
    (claims,) = (one for one in facts.validating.webhooks or () if one.name == f"{CLAIMS}.gpuwarden.io")
    rules = rule(apiGroups=["resource.k8s.io"], resources=["resourceclaims/status"], operations=["UPDATE"])
    made = with_fields(claims, {"name": f"{RESERVATIONS}.gpuwarden.io", "rules": rules, **fields})
    webhooks = [*(facts.validating.webhooks or ()), made]
    return dataclasses.replace(facts, validating=msgspec.structs.replace(facts.validating, webhooks=webhooks))


def test_limits_need_the_webhook_that_is_asked_when_a_pod_is_given_a_claim() -> None:
    assert troubled(reserving()) == {}
    facts = healthy(configuration=LIMITED)
    assert troubled(facts) == {"webhooks": CheckStatus.WARN}
    result = the_result(facts, "webhooks")
    assert "has no webhook validate-reservation.gpuwarden.io" in result.observed
    assert "exceed the limits" in result.impact
    assert complete([result])


def test_that_webhook_does_not_stand_for_the_one_of_claims() -> None:
    found = the_result(without(reserving(), CLAIMS), "webhooks")
    assert found.observed == "no webhook of ValidatingWebhookConfiguration gpuwarden calls /validate-claim"


def test_that_webhook_is_sent_the_status_of_claims_and_fails_closed_only_with_match_conditions() -> None:
    assert "do not cover UPDATE of resourceclaims/status" in the_result(reserving(rules=[]), "rules").observed
    assert troubled(reserving(failurePolicy="Ignore")) == {"failure-policies": CheckStatus.WARN}
    unconditional = reserving(matchConditions=[])
    assert troubled(unconditional) == {"failure-policies": CheckStatus.FAIL, "match-conditions": CheckStatus.WARN}
    assert "no status of a claim (DRA) can be written" in the_result(unconditional, "failure-policies").impact


def test_advice_that_fails_closed_is_warned_of() -> None:
    assert troubled(validating(healthy(), ADVISE, failurePolicy="Fail")) == {"failure-policies": CheckStatus.WARN}


def test_the_validating_webhook_may_see_updates() -> None:
    assert troubled(validating(healthy(), rules=rule(operations=["CREATE", "UPDATE"]))) == {}


def test_in_audit_mode_everything_may_fail_open() -> None:
    assert troubled(validating(healthy(configuration=audit_mode()), None, failurePolicy="Ignore")) == {}


GPUS_BY_HAND = "apiVersion: gpuwarden.io/v1\nkind: Configuration\nresources: {gpus: [%s]}\n"


@pytest.mark.parametrize("names", ["", "nvidia.com/*", "example.com/gpu, a.com/x-*", "rdmagpus.example/x"])
def test_gpus_that_the_conditions_have_are_well(names: str) -> None:
    assert (
        the_result(healthy(configuration=configured(GPUS_BY_HAND % names)), "match-conditions").status is CheckStatus.OK
    )


OF_PODS = ("mutate", "restore", "validate", "updates")


def test_gpus_that_only_the_configuration_has_are_never_sent() -> None:
    names = "nvidia.com/*, amd.com/gpu, rdma/gpu, vpc.amazonaws.com/*, vke.volcengine.com/*"
    found = results(healthy(configuration=configured(GPUS_BY_HAND % names)), "match-conditions")
    assert [(result.status, result.observed) for result in found] == [
        (
            CheckStatus.WARN,
            (
                f"the matchConditions of {webhook}.gpuwarden.io leave out amd.com/gpu, rdma/gpu, vke.volcengine.com/*, "
                "vpc.amazonaws.com/*, but resources in the configuration does not"
            ),
        )
        for webhook in OF_PODS
    ]


def condition(expression: str) -> Facts:
    """A webhook of pods with a condition."""
    return validating(healthy(), matchConditions=[{"name": "x", "expression": expression}])


def test_what_only_the_conditions_leave_out_is_never_sent() -> None:
    (result,) = results(
        condition("name.contains('/') && !name.startsWith('rdma/') && name != 'a.com/b' || name == 'rdma/gpu'"),
        "match-conditions",
    )
    assert result.status is CheckStatus.WARN
    assert result.observed.endswith(
        "validate.gpuwarden.io leave out a.com/b, but resources in the configuration does not"
    )


def test_conditions_of_an_older_chart_leave_out_what_device_classes_publish() -> None:
    (result,) = results(condition("name.startsWith('nvidia.com/')"), "match-conditions")
    assert result.status is CheckStatus.WARN
    assert "come from an older chart: they omit resource names" in result.observed
    assert "helm upgrade" in result.fix


def test_a_selector_for_the_systems_namespace_alone_names_it() -> None:
    only_ours = {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["gpuwarden-system"]}
        ]
    }
    result = the_result(validating(healthy(), namespaceSelector=only_ours), "exclusions")
    assert (result.status, result.observed.split(" selects ")[1]) == (
        CheckStatus.FAIL,
        "kube-system (failurePolicy Fail)",
    )


@pytest.mark.parametrize(
    "others",
    [
        [],
        [config("a-first", [PODS])],
        [config("vgpu-webhook", [PODS]), config("spark-operator-webhook", [PODS]), config("zz-a", [PODS])],
        [config("zzz", [{**PODS, "resources": ["deployments"]}])],
        [config("zzz", [{**PODS, "operations": ["UPDATE"]}])],
    ],
)
def test_mutating_webhooks_that_come_earlier_or_are_not_for_pods_are_well(others: list[WebhookConfiguration]) -> None:
    ours = the("MutatingWebhookConfiguration", WebhookConfiguration)
    result = the_result(healthy(all_mutating=[ours, *others]), "other-webhooks")
    assert (result.status, result.observed) == (
        CheckStatus.OK,
        "no other mutating webhook for new pods comes after gpuwarden's",
    )


def test_without_our_own_nothing_comes_after_it() -> None:
    result = the_result(healthy(mutating=None, all_mutating=[config("zzz", [PODS])]), "other-webhooks")
    assert result.status is CheckStatus.OK


@pytest.mark.parametrize(
    ("others", "says", "remedy"),
    [
        ([config("zz-istio", [PODS]), config("zzz", [PODS])], ": zz-istio, zzz", "zzzz-gpuwarden"),
        ([config("zz-istio", [{**PODS, "resources": ["*"], "apiGroups": ["*"]}])], ": zz-istio", "zzz-gpuwarden"),
        ([config("zz-hami.io", [PODS])], "zz-hami.io (HAMi adds nvidia.com/gpu and its scheduler)", "zzz-gpuwarden"),
        (
            [config("zzz-late", [PODS], hook="mutate--v1-pod.sparkoperator.k8s.io")],
            "zzz-late (the Spark operator adds the GPUs of a SparkApplication)",
            "zzzz-gpuwarden",
        ),
    ],
)
def test_mutating_webhooks_that_come_later_are_warned_of_by_name(
    others: list[WebhookConfiguration], says: str, remedy: str
) -> None:
    result = the_result(healthy(all_mutating=others), "other-webhooks")
    assert result.status is CheckStatus.WARN
    assert result.observed.startswith("these mutating webhooks come after gpuwarden's zz-gpuwarden: ")
    assert says in result.observed
    assert result.fix == f"set webhooks.mutate.configurationName to a name that sorts last, such as {remedy}"
    assert all(remedy > other.metadata.name for other in others)


def test_an_installation_from_before_is_told_by_the_name_that_it_has() -> None:
    others = [config("spark-operator-webhook", [PODS], hook="mutate--v1-pod.sparkoperator.k8s.io")]
    before = started_with("--webhook-configuration=gpuwarden")
    result = the_result(healthy(all_mutating=others, deployment=before), "other-webhooks")
    assert result.observed == (
        "these mutating webhooks come after gpuwarden's gpuwarden: spark-operator-webhook "
        "(the Spark operator adds the GPUs of a SparkApplication)"
    )
    gone = the_result(healthy(mutating=None, deployment=before), "webhooks")
    assert gone.observed == "there is no MutatingWebhookConfiguration gpuwarden"


@pytest.mark.parametrize(
    ("deployment", "name"),
    [
        (started_with("--webhook-configuration=a", "--mutating-webhook-configuration=b"), "b"),
        (started_with("--webhook-configuration=a"), "a"),
        (started_with(), "zz-gpuwarden"),
        (None, "zz-gpuwarden"),
        (Unread("get deployments", "GET: 403", forbidden=True), "zz-gpuwarden"),
    ],
)
def test_the_mutating_configuration_is_the_one_that_the_replicas_are_told(deployment: Any, name: str) -> None:
    assert mutating_name("gpuwarden", deployment) == name


def test_a_configuration_that_an_older_release_left_is_warned_of() -> None:
    facts = healthy()
    assert isinstance(facts.mutating, WebhookConfiguration)
    left = msgspec.structs.replace(facts.mutating, metadata=Metadata(name="gpuwarden"))
    result = the_result(dataclasses.replace(facts, all_mutating=[left, facts.mutating]), "other-webhooks")
    assert result.status is CheckStatus.WARN
    assert result.observed == "MutatingWebhookConfiguration gpuwarden calls gpuwarden too, in addition to zz-gpuwarden"
    assert result.fix == "kubectl delete mutatingwebhookconfiguration gpuwarden"


def test_where_namespaces_cannot_be_read_their_names_are_known_labels() -> None:
    unread = Unread("list namespaces", "GET: 403", forbidden=True)
    assert the_result(healthy(namespaces=unread), "exclusions").status is CheckStatus.OK
