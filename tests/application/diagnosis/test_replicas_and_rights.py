"""Checks of replicas, their nodes and budget, and of the rights of their account."""

from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    NAMESPACE,
    a_pod,
    complete,
    documents,
    healthy,
    results,
    the,
    the_result,
    troubled,
)
from webhook.application.diagnosis.documents import Budget, Deployment, Pod
from webhook.application.diagnosis.facts import Permission, Unread
from webhook.application.diagnosis.rbac import account, needed
from webhook.application.diagnosis.results import CheckStatus

ENDING = {**msgspec.to_builtins(a_pod("b").metadata), "deletionTimestamp": "2026-06-01T00:00:00Z"}
OF_OTHERS = msgspec.convert({"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}, Budget)


def a_deployment(available: int, replicas: int = 2) -> Deployment:
    document = msgspec.to_builtins(the("Deployment", Deployment))
    document["spec"]["replicas"] = replicas
    return msgspec.convert({**document, "status": {"availableReplicas": available}}, Deployment)


def with_arguments(*arguments: str) -> Deployment:
    document = msgspec.to_builtins(the("Deployment", Deployment))
    document["spec"]["template"]["spec"]["containers"][0]["args"] = list(arguments)
    return msgspec.convert(document, Deployment)


def a_budget(**status: int) -> Budget:
    return msgspec.convert({**msgspec.to_builtins(the("PodDisruptionBudget", Budget)), "status": status}, Budget)


@pytest.mark.parametrize(
    ("deployment", "status", "says"),
    [
        (None, CheckStatus.FAIL, "there is no Deployment gpuwarden-system/gpuwarden"),
        (a_deployment(0), CheckStatus.FAIL, "0 of 2 replicas available"),
        (a_deployment(1), CheckStatus.WARN, "1 of 2 replicas available"),
        (a_deployment(1, 1), CheckStatus.WARN, "1 of 1 replicas available"),
        (a_deployment(2, 3), CheckStatus.WARN, "2 of 3 replicas available"),
        (a_deployment(2), CheckStatus.OK, "2 of 2 replicas available"),
        (a_deployment(3, 3), CheckStatus.OK, "3 of 3 replicas available"),
    ],
)
def test_two_replicas_are_enough(deployment: Deployment | None, status: CheckStatus, says: str) -> None:
    result = the_result(healthy(deployment=deployment), "replicas")
    assert (result.status, result.observed) == (status, says)
    assert complete([result])


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (a_pod("b", ready=False, waiting="ImagePullBackOff"), "; b: ImagePullBackOff"),
        (a_pod("b", ready=False), "; b: not ready"),
        (a_pod("b", ready=False, phase="Pending"), "; b: Pending"),
    ],
)
def test_why_a_replica_is_not_there_is_said_where_pods_can_be_read(pod: Any, says: str) -> None:
    facts = healthy(deployment=a_deployment(1), pods=[a_pod("a"), pod])
    assert the_result(facts, "replicas").observed.endswith(says)
    unread = healthy(deployment=a_deployment(1), pods=Unread("list pods", "403", forbidden=True))
    assert the_result(unread, "replicas").observed == "1 of 2 replicas available"


def test_replicas_on_one_node_are_warned_of_and_those_of_others_do_not_count() -> None:
    assert the_result(healthy(pods=[a_pod("a"), a_pod("b")]), "spread").status is CheckStatus.WARN
    assert the_result(healthy(pods=[a_pod("a"), a_pod("b", ready=False)]), "spread").status is CheckStatus.OK
    ending = msgspec.convert({**msgspec.to_builtins(a_pod("b", node="n2")), "metadata": ENDING}, Pod)
    assert the_result(healthy(pods=[a_pod("a"), a_pod("c"), ending]), "spread").status is CheckStatus.WARN
    stranger = msgspec.structs.replace(a_pod("x", node="n9"), metadata=type(a_pod("x").metadata)(name="x"))
    assert the_result(healthy(pods=[a_pod("a"), a_pod("b"), stranger]), "spread").status is CheckStatus.WARN


@pytest.mark.parametrize(
    ("budgets", "replicas", "status"),
    [
        ([], 2, CheckStatus.WARN),
        ([], 1, CheckStatus.OK),
        ([OF_OTHERS], 2, CheckStatus.WARN),
        ([a_budget(disruptionsAllowed=1, currentHealthy=2, expectedPods=2)], 2, CheckStatus.OK),
        ([a_budget(disruptionsAllowed=0, currentHealthy=1, expectedPods=2)], 2, CheckStatus.OK),
        ([a_budget(disruptionsAllowed=0, currentHealthy=2, expectedPods=2)], 2, CheckStatus.WARN),
    ],
)  # fmt: skip
def test_a_budget_protects_and_does_not_block(budgets: list[Budget], replicas: int, status: CheckStatus) -> None:
    facts = healthy(budgets=budgets, deployment=a_deployment(replicas, replicas))
    assert the_result(facts, "disruption-budget").status is status


def granted() -> set[Permission]:
    """Every right that the chart's roles give, as they are rendered with the defaults."""
    roles = [document for document in documents() if document["kind"] in {"ClusterRole", "Role"}]
    return {
        Permission(verb, resource, group, role["metadata"].get("namespace", ""), name)
        for role in roles
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def test_what_is_asked_for_is_what_the_chart_grants() -> None:
    """And that is what the program uses: tests/deploy/test_running.py."""
    assert set(needed(the("Deployment", Deployment), NAMESPACE, limits=False)) == granted()


@pytest.mark.parametrize(
    ("arguments", "verbs"),
    [
        (("serve", "--webhook-configuration=w", "--ca-bundle-file=/ca.crt"), {"get", "list", "watch", "patch"}),
        (("serve", "--webhook-configuration", "w"), {"get", "list", "watch"}),
        (("serve", "--namespaces=/n.yaml"), set()),
        (("serve", "--manage-certificates", "--ca-secret=s", "--namespaces=/n.yaml"), {"get", "patch", "create"}),
        ((), {"get", "list", "watch"}),
    ],
)
def test_the_rights_follow_the_command_line(arguments: tuple[str, ...], verbs: set[str]) -> None:
    assert {right.verb for right in needed(with_arguments(*arguments), NAMESPACE, limits=False)} == verbs


def test_rights_that_are_lacking_fail_and_are_named_once_a_resource() -> None:
    deployment = the("Deployment", Deployment)
    rights = {
        right: right.verb != "patch" and right.resource != "namespaces"
        for right in needed(deployment, NAMESPACE, limits=False)
    }
    found = results(healthy(rights=rights), "rights")
    assert troubled(healthy(rights=rights)) == {"rights": CheckStatus.FAIL}
    user = account(deployment, NAMESPACE)
    assert user == "system:serviceaccount:gpuwarden-system:gpuwarden"
    assert [result.observed for result in found] == [
        f"{user} cannot get namespaces, list namespaces, watch namespaces",
        f"{user} cannot patch mutatingwebhookconfigurations/zz-gpuwarden",
        f"{user} cannot patch validatingwebhookconfigurations/gpuwarden",
        f"{user} cannot patch secrets/gpuwarden-ca -n gpuwarden-system",
    ]
    assert complete(found)


def test_a_secret_that_would_stay_after_an_uninstall_is_warned_of() -> None:
    deployment = the("Deployment", Deployment)
    rights = {right: right.resource != "roles" for right in needed(deployment, NAMESPACE, limits=False)}
    (result,) = results(healthy(rights=rights), "rights")
    assert (result.status, result.observed.split(" cannot ")[1]) == (
        CheckStatus.WARN,
        "get roles/gpuwarden -n gpuwarden-system",
    )
    assert "uninstalled" in result.impact
    assert complete([result])


def test_rights_that_only_the_preview_of_a_label_needs_are_warned_of() -> None:
    deployment = the("Deployment", Deployment)
    previewed = {"pods", "deployments", "cronjobs"}
    rights = {right: right.resource not in previewed for right in needed(deployment, NAMESPACE, limits=False)}
    (result,) = results(healthy(rights=rights), "rights")
    assert (result.status, result.observed.split(" cannot ")[1]) == (
        CheckStatus.WARN,
        "list deployments, list cronjobs, list pods",
    )
    assert complete([result])


@pytest.mark.parametrize(
    ("resource", "seen", "means"),
    [
        ("nodes", "list nodes, watch nodes", "pods that no node can run are not reported"),
        ("resourceslices", "list resourceslices", "notOffered: deny only warns"),
    ],
)
def test_rights_that_only_what_is_said_of_nodes_needs_are_warned_of(resource: str, seen: str, means: str) -> None:
    deployment = the("Deployment", Deployment)
    rights = {right: right.resource != resource for right in needed(deployment, NAMESPACE, limits=False)}
    (result,) = results(healthy(rights=rights), "rights")
    assert (result.status, result.observed.split(" cannot ")[1]) == (CheckStatus.WARN, seen)
    assert means in result.impact
    assert complete([result])


def test_pods_are_read_only_where_policies_have_limits() -> None:
    asked = needed(with_arguments("serve"), NAMESPACE, limits=True)
    assert {*asked} - {*needed(with_arguments("serve"), NAMESPACE, limits=False)} == {Permission("get", "pods")}
    assert Permission("get", "pods") not in needed(
        with_arguments("serve", "--namespaces=/n.yaml"), NAMESPACE, limits=True
    )
    rights = {right: right != Permission("get", "pods") for right in asked}
    (result,) = results(healthy(rights=rights), "rights")
    assert (result.status, result.observed.split(" cannot ")[1]) == (CheckStatus.FAIL, "get pods")
    assert "if policies have limits, none of these pods gets a node" in result.impact
    assert complete([result])


def test_admission_policies_are_read_only_where_there_are_some() -> None:
    assert not [
        right for right in needed(with_arguments("serve"), NAMESPACE, limits=False) if "policies" in right.resource
    ]
    asked = needed(with_arguments("serve", "--watch-in-tree"), NAMESPACE, limits=False)
    rights = {right: "policies" not in right.resource for right in asked}
    (result,) = results(healthy(rights=rights), "rights")
    assert (result.status, "list mutatingadmissionpolicies" in result.observed) == (CheckStatus.WARN, True)
    assert "gpuwarden_in_tree_outdated" in result.impact


def test_nodes_that_are_not_watched_need_no_rights() -> None:
    asked = needed(with_arguments("serve", "--no-watch-nodes"), NAMESPACE, limits=False)
    assert not {"nodes", "resourceslices"} & {right.resource for right in asked}
