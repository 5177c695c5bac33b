"""The webhook configurations: what is asked about, where, and what happens without an answer."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.chart import MODES, Chart, Json, Rendered, merged
from webhook.application.certificates.tokens import ANNOTATION, PATHS
from webhook.application.workload_kinds import BUILT_IN

MUTATE, VALIDATE = "mutate.gpuwarden.io", "validate.gpuwarden.io"
GUARD, UPDATES, RESTORE = "guard.gpuwarden.io", "updates.gpuwarden.io", "restore.gpuwarden.io"
ADVISE, NAMESPACES = "advise.gpuwarden.io", "validate-namespace.gpuwarden.io"
CLAIMS = "validate-claim.gpuwarden.io"
ADVISE_OPERATORS = "advise-operators.gpuwarden.io"


def test_pods_are_rewritten_and_then_validated_and_nothing_else_is_asked_about(rendered: Rendered) -> None:
    def asked(webhook: Json) -> list[tuple[Any, ...]]:
        return [
            (rule["apiGroups"], rule["apiVersions"], rule["operations"], rule["resources"], rule["scope"])
            for rule in webhook["rules"]
        ]

    created = ([""], ["v1"], ["CREATE"], ["pods"], "Namespaced")
    debugged = ([""], ["v1"], ["UPDATE"], ["pods/ephemeralcontainers"], "Namespaced")
    both = ["CREATE", "UPDATE"]
    # Of operators' kinds: tests/deploy/test_operator_conditions.py.
    assert {name: asked(webhook) for name, webhook in rendered.webhooks.items() if name != ADVISE_OPERATORS} == {
        MUTATE: [created],
        RESTORE: [([""], ["v1"], ["UPDATE"], ["pods"], "Namespaced")],
        VALIDATE: [created, debugged],
        GUARD: [created, debugged],
        UPDATES: [([""], ["v1"], ["UPDATE"], ["pods"], "Namespaced")],
        ADVISE: [
            (["apps"], ["v1"], both, ["deployments", "statefulsets", "daemonsets", "replicasets"], "Namespaced"),
            (["batch"], ["v1"], both, ["cronjobs", "jobs"], "Namespaced"),
            ([""], ["v1"], both, ["replicationcontrollers", "podtemplates"], "Namespaced"),
        ],
        NAMESPACES: [
            ([""], ["v1"], both, ["namespaces"], "Cluster"),
            ([""], ["v1"], ["UPDATE"], ["namespaces/status", "namespaces/finalize"], "Cluster"),
        ],
        CLAIMS: [
            (
                ["resource.k8s.io"],
                ["v1", "v1beta2", "v1beta1", "v1alpha3"],
                both,
                ["resourceclaims", "resourceclaimtemplates"],
                "Namespaced",
            )
        ],
    }


def test_every_kind_that_holds_a_template_is_advised(rendered: Rendered) -> None:
    asked = {resource for rule in rendered.webhooks[ADVISE]["rules"] for resource in rule["resources"]}
    assert asked == {row.plural for row in BUILT_IN if row.kind != "Pod"}


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_advice_never_refuses(chart: Chart, mode: str) -> None:
    webhook = chart.render({"install": {"mode": mode}}).webhooks[ADVISE]
    assert webhook["failurePolicy"] == "Ignore"


def test_the_mutator_fails_open_and_is_asked_again(rendered: Rendered) -> None:
    webhook = rendered.webhooks[MUTATE]
    assert (webhook["failurePolicy"], webhook["reinvocationPolicy"]) == ("Ignore", "IfNeeded")


def test_an_update_never_depends_on_gpuwarden(rendered: Rendered) -> None:
    assert rendered.webhooks[RESTORE]["failurePolicy"] == "Ignore"


@pytest.mark.parametrize(("mode", "policy"), [("enforce", "Fail"), ("audit", "Ignore")])
def test_the_validator_fails_closed_unless_nothing_is_enforced(chart: Chart, mode: str, policy: str) -> None:
    webhooks = chart.render({"install": {"mode": mode}}).webhooks
    assert webhooks[VALIDATE]["failurePolicy"] == policy
    assert webhooks[MUTATE]["failurePolicy"] == "Ignore"


PLAIN: Json = {"pathToken": {"enabled": False}}


@pytest.mark.parametrize(
    "values", [MODES["cert-manager"], MODES["provided"], PLAIN], ids=["cert-manager", "provided", "off"]
)
def test_the_chart_renders_the_paths_that_the_program_knows_where_gpuwarden_writes_none(
    chart: Chart, values: Json
) -> None:
    limited = {"config": {"policies": {"two": {"forms": ["any"], "maxPerPod": 2}}}}  # or there are no reservations
    rendered = chart.render(merged(merged(values, {"pathToken": {"enabled": values is not PLAIN}}), limited))
    called = {name: webhook["clientConfig"]["service"]["path"] for name, webhook in rendered.webhooks.items()}
    # The guard's other webhooks are there where some policies deny (tests/deploy/test_guard_failure.py).
    assert called == {name: path for name, path in PATHS.items() if not name.startswith("guard-")}
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        annotations = rendered.the(kind)["metadata"]["annotations"]
        assert annotations.get(ANNOTATION) == ("false" if values is PLAIN else None)


def test_a_path_that_gpuwarden_writes_is_not_rendered_and_the_configurations_say_whose_it_is(chart: Chart) -> None:
    for values in ({}, {"webhooks": {"annotations": {ANNOTATION: "false", "example.com/team": "gpu"}}}):
        rendered = chart.render(values)
        for webhook in rendered.webhooks.values():
            assert "path" not in webhook["clientConfig"]["service"]
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            assert rendered.the(kind)["metadata"]["annotations"][ANNOTATION] == "true"


def test_what_all_webhooks_have_in_common(in_each_mode: dict[str, Rendered], mode: str) -> None:
    rendered = in_each_mode[mode]
    for webhook in rendered.webhooks.values():
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert webhook["sideEffects"] == "None"
        assert webhook["matchPolicy"] == "Equivalent"
        assert 2 <= webhook["timeoutSeconds"] <= 5
        assert "objectSelector" not in webhook  # anyone who may label a pod could opt out by it


def test_timeouts_are_set_apart(chart: Chart) -> None:
    seconds = {"mutate": 5, "validate": 4, "advise": 3, "validateNamespace": 10}
    webhooks = chart.render({"webhooks": {key: {"timeoutSeconds": value} for key, value in seconds.items()}}).webhooks
    names = (MUTATE, VALIDATE, ADVISE, NAMESPACES)
    assert [webhooks[name]["timeoutSeconds"] for name in names] == list(seconds.values())


@pytest.mark.parametrize("namespace", ["gpuwarden-system", "kube-system", "ops"])
def test_the_own_namespace_and_kube_system_are_never_asked_about(chart: Chart, namespace: str) -> None:
    rendered = chart.render({"webhooks": {"excludedNamespaces": ["gpu-operator", "ops"]}}, namespace=namespace)
    for webhook in rendered.webhooks.values():
        (expression,) = webhook["namespaceSelector"]["matchExpressions"]
        assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
        assert set(expression["values"]) == {namespace, "kube-system", "gpu-operator", "ops"}
        assert len(expression["values"]) == len(set(expression["values"]))


def test_they_call_the_service_that_there_is(in_each_mode: dict[str, Rendered], mode: str) -> None:
    rendered = in_each_mode[mode]
    service = rendered.the("Service")
    ports = {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}
    named = {port["name"]: port["containerPort"] for port in rendered.container["ports"]}
    for webhook in rendered.webhooks.values():
        called = webhook["clientConfig"]["service"]
        assert (called["name"], called["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])
        assert f"--port={named[ports[called['port']]]}" in rendered.arguments


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_no_bundle_and_no_key_is_ever_rendered(chart: Chart, mode: str) -> None:
    """Whoever writes the bundle at run time is its only owner."""
    rendered = chart.render(MODES[mode])
    for document in rendered.objects:
        assert "caBundle" not in set(keys(document)), document["kind"]
        assert not {"data", "stringData"} & set(document) or document["kind"] == "ConfigMap", document["kind"]


def test_cert_manager_is_told_which_certificate_to_inject(chart: Chart) -> None:
    values = merged(MODES["cert-manager"], {"webhooks": {"annotations": {"example.com/team": "gpu"}}})
    rendered = chart.render(values)
    certificate = next(c for c in rendered.all("Certificate") if c["spec"]["secretName"] == "gpuwarden-tls")
    source = f"{certificate['metadata']['namespace']}/{certificate['metadata']['name']}"
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        annotations = rendered.the(kind)["metadata"]["annotations"]
        assert annotations == {
            "admissions.enforcer/disabled": "true", "cert-manager.io/inject-ca-from": source, "example.com/team": "gpu",
        }  # fmt: skip


@pytest.mark.parametrize("mode", ["self-managed", "provided"])
def test_cert_manager_is_kept_out_where_gpuwarden_writes_the_bundle(
    in_each_mode: dict[str, Rendered], mode: str
) -> None:
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        annotations = in_each_mode[mode].the(kind)["metadata"]["annotations"]
        assert not [name for name in annotations if name.startswith("cert-manager.io/")]


def test_the_api_server_filters_what_every_webhook_is_asked_about(in_each_mode: dict[str, Rendered], mode: str) -> None:
    assert all(webhook["matchConditions"] for webhook in in_each_mode[mode].webhooks.values())
