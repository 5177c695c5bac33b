"""``validate-reservation.gpuwarden.io``: where policies have limits, it is asked when a pod is given what may be a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so

from tests.deploy.chart import Chart, Json, Rendered

RESERVATIONS = "validate-reservation.gpuwarden.io"
GPU, NIC = "gpu.nvidia.com", "dranet.example.com"
POLICIES: Json = {
    "two": {"forms": ["any"], "maxPerPod": 2},
    "each": {"forms": ["exclusive"], "maxPerContainer": 1},
    "free": {"forms": ["exclusive"]},
}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def limited(chart: Chart, **config: Any) -> Rendered:
    return chart.render({"config": {"policies": POLICIES, **config}})


def selected(rendered: Rendered) -> list[Json]:
    requirements: list[Json] = rendered.webhooks[RESERVATIONS]["namespaceSelector"]["matchExpressions"]
    assert requirements[0]["key"] == "kubernetes.io/metadata.name"
    return requirements[1:]


def cluster_rules(rendered: Rendered) -> list[Json]:
    rules: list[Json] = rendered.the("ClusterRole", "gpuwarden")["rules"]
    return rules


@pytest.mark.parametrize("policies", [{}, {"free": POLICIES["free"]}])
def test_without_limits_no_status_waits_for_gpuwarden_and_it_may_not_read_pods(chart: Chart, policies: Json) -> None:
    rendered = chart.render({"config": {"policies": policies}})
    assert RESERVATIONS not in rendered.webhooks
    assert PODS not in cluster_rules(rendered)


def test_with_limits_it_is_asked_in_the_namespaces_of_these_policies(chart: Chart) -> None:
    rendered = limited(chart)
    webhook = rendered.webhooks[RESERVATIONS]
    assert selected(rendered) == [{"key": "gpuwarden.io/enforce", "operator": "In", "values": ["each", "two"]}]
    assert PODS in cluster_rules(rendered)
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["UPDATE"], ["resourceclaims/status"])
    assert rule["apiVersions"] == rendered.webhooks["validate-claim.gpuwarden.io"]["rules"][0]["apiVersions"]


def test_where_the_default_has_limits_it_is_asked_in_every_namespace(chart: Chart) -> None:
    assert selected(limited(chart, defaults={"enforce": "two"})) == []
    assert selected(limited(chart, defaults={"enforce": "free", "warn": "two"})) != []


def test_it_fails_closed_except_in_audit_mode(chart: Chart) -> None:
    assert limited(chart).webhooks[RESERVATIONS]["failurePolicy"] == "Fail"
    audit = chart.render({"install": {"mode": "audit"}, "config": {"policies": POLICIES}})
    assert audit.webhooks[RESERVATIONS]["failurePolicy"] == "Ignore"


@pytest.fixture(scope="module")
def sent(chart: Chart) -> Callable[..., bool]:
    """Whether the API server sends a write of a claim's status."""
    environment = cel.NewEnv(variables=dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN))
    webhook = limited(chart).webhooks[RESERVATIONS]
    conditions = [environment.compile(one["expression"]) for one in webhook["matchConditions"]]

    def is_sent(new: Json, old: Json, device_class: str = GPU, namespace: str = "team") -> bool:
        spec = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": device_class}}]}}
        request = {"operation": "UPDATE", "namespace": namespace, "userInfo": {"username": "system:kube-scheduler"}}
        data = {"object": {"spec": spec, **new}, "oldObject": {"spec": spec, **old}, "request": request}
        values = [each.eval(data=data) for each in conditions]
        assert all(value.type() == cel.Type.BOOL for value in values), [value.value() for value in values]
        return all(value.value() for value in values)

    return is_sent


def reserved(*uids: str) -> Json:
    return {
        "status": {"allocation": {}, "reservedFor": [{"resource": "pods", "name": "p", "uid": uid} for uid in uids]}
    }


@pytest.mark.parametrize(
    ("new", "old", "is_given"),
    [
        (reserved("1"), {}, True),
        (reserved("1"), {"status": {}}, True),
        (reserved("1"), reserved(), True),
        (reserved("1", "2"), reserved("1"), True),
        (reserved("2"), reserved("1"), True),
        (reserved("1"), reserved("1"), False),
        (reserved("2", "1"), reserved("1", "2"), False),
        (reserved(), reserved("1"), False),
        ({"status": {}}, reserved("1"), False),
        ({}, {}, False),
        ({"status": {"devices": []}}, {}, False),
    ],
)
def test_only_writes_that_give_a_claim_to_someone_are_sent(
    sent: Callable[..., bool],
    new: Json,
    old: Json,
    is_given: bool,  # noqa: FBT001 - a column of a table
) -> None:
    assert sent(new, old) == is_given
    assert not sent(new, old, device_class=NIC)
    assert not sent(new, old, namespace="gpu-operator")
    assert sent(new, old, device_class="unknown.example.com") == is_given
