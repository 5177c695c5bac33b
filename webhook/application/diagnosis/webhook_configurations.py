"""Webhook configurations as the API server reads them: which requests go where, and what happens without an answer."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from .documents import Metadata
from .selectors import Selector

_HTTPS = 443


class ServiceReference(msgspec.Struct):
    """The Service that the API server calls."""

    name: str
    namespace: str
    path: str = ""
    port: int = _HTTPS

    @property
    def host(self) -> str:
        """The name that the API server expects in the certificate (apiserver, ``webhook/client.go``)."""
        return f"{self.name}.{self.namespace}.svc"


class ClientConfig(msgspec.Struct, rename="camel"):
    """The address of a webhook, and the CA that the API server trusts there."""

    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: bytes | None = None

    @property
    def path(self) -> str:
        """The path that is called."""
        if self.service:
            return self.service.path
        return urlsplit(self.url or "").path


class WebhookRule(msgspec.Struct, rename="camel"):
    """The requests that are sent to a webhook."""

    api_groups: list[str] | None = None
    api_versions: list[str] | None = None
    operations: list[str] | None = None
    resources: list[str] | None = None
    scope: str = "*"

    def covers(self, operation: str, resource: str, group: str = "", version: str = "v1") -> bool:
        """Whether an operation on a resource of a group's version is sent."""
        scope = "Cluster" if resource.partition("/")[0] == "namespaces" else "Namespaced"
        return (
            _names(self.api_groups, group)
            and _names(self.api_versions, version)
            and _names(self.operations, operation)
            and any(_matches(pattern, resource) for pattern in self.resources or ())
            and self.scope in {"*", scope}
        )


def _names(listed: list[str] | None, wanted: str) -> bool:
    return bool({wanted, "*"} & set(listed or ()))


def _matches(pattern: str, resource: str) -> bool:
    """Whether a rule's resource (``pods``, ``pods/*``, ``*/status``, ``*``) matches a resource, which may be a subresource."""
    name, _, sub_resource = resource.partition("/")
    if not sub_resource:
        return pattern in {name, "*", "*/*"}
    return pattern in {resource, f"{name}/*", f"*/{sub_resource}", "*/*"}


class MatchCondition(msgspec.Struct):
    """A condition under which a webhook is called."""

    name: str
    expression: str


class Webhook(msgspec.Struct, rename="camel"):
    """A webhook; missing fields have the API's defaults."""

    name: str
    client_config: ClientConfig
    rules: list[WebhookRule] | None = None
    failure_policy: str = "Fail"
    match_policy: str = "Equivalent"
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None
    side_effects: str = "Unknown"
    timeout_seconds: int = 10
    reinvocation_policy: str = "Never"
    admission_review_versions: list[str] | None = None
    match_conditions: list[MatchCondition] | None = None

    def covers(self, operation: str, resource: str, group: str = "", version: str = "v1") -> bool:
        """Whether one of its rules covers an operation on a resource."""
        return any(rule.covers(operation, resource, group, version) for rule in self.rules or ())

    def selects(self, namespace_labels: Mapping[str, str]) -> bool:
        """Whether it is called for objects of a namespace with these labels."""
        return self.namespace_selector is None or self.namespace_selector.selects(namespace_labels)


class WebhookConfiguration(msgspec.Struct):
    """A mutating or validating webhook configuration."""

    metadata: Metadata
    webhooks: list[Webhook] | None = None
