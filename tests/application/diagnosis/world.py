"""A healthy installation as facts: the objects of ``deploy/gpuwarden.yaml``, and a cluster around them; and changes to it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from webhook.adapters.configuration import file as configuration_file
from webhook.application.certificates.issue import SelfSigned, self_signed_pair
from webhook.application.certificates.tokens import PATHS
from webhook.application.configuration import Configuration
from webhook.application.diagnosis.diagnose import diagnose
from webhook.application.diagnosis.documents import Budget, Deployment, EndpointSlice, Pod, Service
from webhook.application.diagnosis.facts import Contact, Facts, NamespaceFacts, Target
from webhook.application.diagnosis.rbac import needed
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.application.diagnosis.webhook_configurations import Webhook, WebhookConfiguration
from webhook.application.limit_ranges import LimitRange
from webhook.application.quotas import Quota
from webhook.engine.fleet.node_shapes import GpuNode, Shape, shape_of
from webhook.engine.namespace_labels import DOMAIN
from webhook.engine.policy import Policy, PolicyBook
from webhook.engine.spelling import DevicePlugin

Json = dict[str, Any]
T = TypeVar("T")

MANIFEST = Path(__file__).parents[3] / "deploy" / "gpuwarden.yaml"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMESPACE, NAME = "gpuwarden-system", "gpuwarden"
SERVICE = (NAMESPACE, NAME)
HOST = "gpuwarden.gpuwarden-system.svc"
GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"
NAME_LABEL = "kubernetes.io/metadata.name"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
ADDRESSES = ("10.0.0.1", "10.0.0.2")
TOKEN = "0123456789abcdef" * 2


@cache
def documents() -> tuple[Json, ...]:
    return tuple(yaml.safe_load_all(MANIFEST.read_text()))


def the(kind: str, as_: type[T]) -> T:
    """The manifest's one object of a kind."""
    (found,) = (document for document in documents() if document["kind"] == kind)
    return msgspec.convert(found, as_, strict=True)


@cache
def certificates() -> SelfSigned:
    return self_signed_pair([HOST], [], NOW - timedelta(hours=1), timedelta(days=30))


def healthy(**changes: Any) -> Facts:
    """Facts with which every check is well; keywords replace whole facts."""
    deployment = the("Deployment", Deployment)
    deployment = msgspec.structs.replace(
        deployment, status=msgspec.convert({"availableReplicas": 2}, type(deployment.status))
    )
    mutating = trusting(the("MutatingWebhookConfiguration", WebhookConfiguration))
    facts = Facts(
        now=NOW,
        namespace=NAMESPACE,
        name=NAME,
        version=(1, 30),
        mutating=mutating,
        validating=trusting(the("ValidatingWebhookConfiguration", WebhookConfiguration)),
        all_mutating=[mutating],
        services={SERVICE: the("Service", Service)},
        slices={SERVICE: [a_slice(*ADDRESSES)]},
        deployment=deployment,
        pods=[a_pod("a", node="n1"), a_pod("b", node="n2")],
        budgets=[the("PodDisruptionBudget", Budget)],
        configuration=configured(),
        namespaces=namespaces(),
        quotas=[],
        limit_ranges=[],
        nodes=[],
        rights=dict.fromkeys(needed(deployment, NAMESPACE, limits=False), True),
    )
    facts = dataclasses.replace(facts, **changes)
    return facts if "contacts" in changes else dataclasses.replace(facts, contacts=[trusted(a) for a in ADDRESSES])


def trusting(configuration: WebhookConfiguration) -> WebhookConfiguration:
    """The configuration as gpuwarden makes it: with its CA, and a token in every path."""

    def made(webhook: Webhook) -> Webhook:
        return with_path(with_bundle(webhook, certificates().ca.certificate_pem), f"{PATHS[webhook.name]}/{TOKEN}")

    return each_webhook(configuration, made)


def with_path(webhook: Webhook, path: str) -> Webhook:
    client = webhook.client_config
    assert client.service
    client = msgspec.structs.replace(client, service=msgspec.structs.replace(client.service, path=path))
    return msgspec.structs.replace(webhook, client_config=client)


def with_bundle(webhook: Webhook, bundle: bytes) -> Webhook:
    client = msgspec.structs.replace(webhook.client_config, ca_bundle=bundle)
    return msgspec.structs.replace(webhook, client_config=client)


def each_webhook(configuration: Any, change: Callable[[Webhook], Webhook]) -> WebhookConfiguration:
    """A configuration whose webhooks are changed."""
    assert isinstance(configuration, WebhookConfiguration)
    changed = [change(webhook) for webhook in configuration.webhooks or ()]
    return msgspec.structs.replace(configuration, webhooks=changed)


def mutating(facts: Facts, webhook: str | None = "mutate", **fields: Any) -> Facts:
    """Facts in which one mutating webhook (``None``: each) has other fields, by the API's names."""

    def change(one: Webhook) -> Webhook:
        return with_fields(one, fields) if webhook is None or one.name == f"{webhook}.gpuwarden.io" else one

    return dataclasses.replace(facts, mutating=each_webhook(facts.mutating, change))


def validating(facts: Facts, webhook: str | None = "validate", **fields: Any) -> Facts:
    """Facts in which one validating webhook (``None``: each) has other fields, by the API's names."""

    def change(one: Webhook) -> Webhook:
        return with_fields(one, fields) if webhook is None or one.name == f"{webhook}.gpuwarden.io" else one

    return dataclasses.replace(facts, validating=each_webhook(facts.validating, change))


def with_fields(webhook: Webhook, fields: Json) -> Webhook:
    return msgspec.convert({**msgspec.to_builtins(webhook), **fields}, Webhook)


def a_slice(*addresses: str, ready: bool = True) -> EndpointSlice:
    document = {
        "metadata": {"name": "gpuwarden-x"},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
        "ports": [{"name": "https", "port": 8443}, {"name": "metrics", "port": 8080}],
    }
    return msgspec.convert(document, EndpointSlice)


def a_pod(name: str, *, node: str = "n1", ready: bool = True, waiting: str = "", phase: str = "Running") -> Pod:
    labels = {"app.kubernetes.io/name": "gpuwarden", "app.kubernetes.io/instance": "gpuwarden"}
    status = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [{"state": {"waiting": {"reason": waiting}} if waiting else {}}],
    }
    return msgspec.convert(
        {"metadata": {"name": name, "labels": labels}, "spec": {"nodeName": node}, "status": status}, Pod
    )


def a_node(name: str, allocatable: Mapping[str, int] | None = None, **labels: str) -> GpuNode:
    """A node with GPUs; labels by keyword, ``dict``-wise for those with dots."""
    shape = shape_of(labels, {}, allocatable or {}, others=labels)
    return GpuNode(name, shape or Shape())


def a_quota(namespace: str, **hard: str) -> Quota:
    return msgspec.convert({"metadata": {"name": "q", "namespace": namespace}, "spec": {"hard": hard}}, Quota)


def a_limit_range(namespace: str, *items: Json, name: str = "limits") -> LimitRange:
    return msgspec.convert({"metadata": {"name": name, "namespace": namespace}, "spec": {"limits": items}}, LimitRange)


def namespaces(count: int = 40, /, **enforced: str) -> NamespaceFacts:
    """Namespaces with an enforce label each (``team_a="mps"`` is team-a), and those that are always there."""
    labels = {name: {NAME_LABEL: name} for name in (NAMESPACE, "kube-system")}
    for name, value in enforced.items():
        real = name.replace("_", "-")
        labels[real] = {NAME_LABEL: real, f"{DOMAIN}/enforce": value}
    return NamespaceFacts(count, labels)


def configured(text: str = "", *, plugin: bool = True, policies: Mapping[str, Policy] | None = None) -> Configuration:
    """The manifest's configuration, with more text at its end or in place of some of it."""
    (found,) = (document for document in documents() if document["kind"] == "ConfigMap")
    parsed = configuration_file.parse(text or found["data"]["config.yaml"])
    book = PolicyBook(policies, parsed.policies.defaults) if policies else parsed.policies
    settings = parsed.plugin if plugin else DevicePlugin(rename_by_default=False)
    return msgspec.structs.replace(parsed, policies=book, plugin=settings)


def audit_mode() -> Configuration:
    return configured("apiVersion: gpuwarden.io/v1\nkind: Configuration\nmode: audit\n")


def a_target(address: str = "10.0.0.1", bundle: bytes | None = None, name: str = HOST) -> Target:
    pem = certificates().ca.certificate_pem if bundle is None else bundle
    return Target("validate.gpuwarden.io", (address, 8443), name, pem)


def trusted(address: str = "10.0.0.1") -> Contact:
    return Contact(a_target(address), certificates().leaf.certificate)


def results(facts: Facts, check: str) -> list[CheckOutcome]:
    return [result for result in diagnose(facts) if result.check == check]


def the_result(facts: Facts, check: str) -> CheckOutcome:
    found = results(facts, check)
    assert len(found) == 1, found
    return found[0]


def troubled(facts: Facts) -> dict[str, CheckStatus]:
    """Each check that isn't well, with its worst status."""
    order = [CheckStatus.OK, CheckStatus.UNKNOWN, CheckStatus.WARN, CheckStatus.FAIL]
    found: dict[str, CheckStatus] = {}
    for result in diagnose(facts):
        if result.status is not CheckStatus.OK:
            found[result.check] = max(found.get(result.check, CheckStatus.OK), result.status, key=order.index)
    return found


def complete(found: Sequence[CheckOutcome]) -> bool:
    """Whether each result says what was seen and what it means, and how to fix what isn't well."""
    return all(r.observed and r.impact and (r.fix or r.status is CheckStatus.OK) for r in found)
