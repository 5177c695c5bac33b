"""Our webhooks among the API server's, and the addresses that it calls for them."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from ..certificates.tokens import path_of, token_of, without_token
from .documents import Deployment
from .facts import Facts, Maybe, Target, Unread, known
from .webhook_configurations import ServiceReference, Webhook, WebhookConfiguration

MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
GUARDS = re.compile(r"guard(-[a-z]+)?\.gpuwarden\.io")
"""The webhooks for pods that request no GPU but may reach one; each is for some of the namespaces."""
UPDATES = "updates.gpuwarden.io"
"""The webhook that calls the validating path for updates of pods that may change what was decided."""
RESTORE = "restore.gpuwarden.io"
"""The webhook that calls the mutating path when a manifest is applied again to a pod that was rewritten."""
OPERATORS = "advise-operators.gpuwarden.io"
"""The webhook that calls the advising path for objects of operators' kinds. It may be switched off."""
RESERVATIONS = "validate-reservation.gpuwarden.io"
"""The webhook for claims (DRA) that are given to a pod. It is installed if policies have limits."""
_HTTPS = 443


class OurWebhook(NamedTuple):
    """One of gpuwarden's webhooks, and the kind of configuration that it is in."""

    kind: str
    webhook: Webhook

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name, such as `UPDATES`."""
        return self.webhook.name

    @property
    def path(self) -> str:
        """The path that is called, without a token, and without a prefix that a user's own proxy may add.

        Before a replica has written the path, this is the one that it will write.
        """
        if self.awaits_path:
            return path_of(self.webhook.name) or "/"
        path = without_token(self.webhook.client_config.path)
        return f"/{path.rpartition('/')[2]}"

    @property
    def awaits_path(self) -> bool:
        """Whether no replica has written its path yet: the chart leaves it to gpuwarden, which adds a token."""
        service = self.webhook.client_config.service
        return service is not None and not service.path and path_of(self.webhook.name) is not None

    @property
    def token(self) -> str:
        """The token in the path; empty if it has none."""
        config = self.webhook.client_config
        return token_of(self.webhook.name, config.path if config.service else config.url or "")

    @property
    def is_guard(self) -> bool:
        """Whether it is called only for pods that request no GPU."""
        return GUARDS.fullmatch(self.webhook.name) is not None

    @property
    def closed(self) -> bool:
        """Whether it fails closed."""
        return self.webhook.failure_policy == "Fail"


def mutating_name(name: str, deployment: Maybe[Deployment | None]) -> str:
    """The name of the mutating webhook configuration: the replicas' option, or else the chart's default.

    Older installations have one option for both configurations.
    """
    configured = None
    if isinstance(deployment, Deployment):
        options = "--mutating-webhook-configuration", "--webhook-configuration"
        configured = deployment.option(options[0]) or deployment.option(options[1])
    return configured or f"zz-{name}"


def name_of(facts: Facts, kind: str) -> str:
    """The name of our webhook configuration of a kind."""
    return facts.name if kind == VALIDATING else mutating_name(facts.name, facts.deployment)


def configurations(facts: Facts) -> list[tuple[str, Maybe[WebhookConfiguration | None]]]:
    """Our two webhook configurations."""
    return [(MUTATING, facts.mutating), (VALIDATING, facts.validating)]


def our_webhooks(facts: Facts) -> list[OurWebhook]:
    """Every webhook of those of our configurations that exist.

    Raises:
        UnreadError: one of them could not be read.
    """
    found = [(kind, known(configuration)) for kind, configuration in configurations(facts)]
    return [OurWebhook(kind, webhook) for kind, one in found for webhook in (one.webhooks if one else None) or ()]


def readable_webhooks(facts: Facts) -> list[OurWebhook]:
    """Every webhook of those of our configurations that could be read."""
    read = [(kind, one) for kind, one in configurations(facts) if one is not None and not isinstance(one, Unread)]
    return [OurWebhook(kind, webhook) for kind, one in read for webhook in one.webhooks or ()]


def services(webhooks: list[OurWebhook]) -> list[ServiceReference]:
    """The Services that webhooks are called by, each once."""
    found = {(ref.namespace, ref.name, ref.port): ref for one in webhooks if (ref := one.webhook.client_config.service)}
    return list(found.values())


def targets(facts: Facts) -> list[Target]:
    """The addresses to connect to, as the API server would.

    Each ready endpoint of a Service (the Service itself if they can't be read), or what a URL names.
    """
    return [target for one in readable_webhooks(facts) for target in _targets(facts, one.webhook)]


def _targets(facts: Facts, webhook: Webhook) -> Iterator[Target]:
    config = webhook.client_config
    bundle = config.ca_bundle or b""
    if config.service:
        name = config.service.host
        for address in _endpoints(facts, config.service) or [(name, config.service.port)]:
            yield Target(webhook.name, address, name, bundle, config.path)
    elif config.url:
        url = urlsplit(config.url)
        if url.hostname:
            yield Target(webhook.name, (url.hostname, url.port or _HTTPS), url.hostname, bundle, config.path)


def _endpoints(facts: Facts, reference: ServiceReference) -> list[tuple[str, int]]:
    """The ready endpoints of a Service, as far as they can be read."""
    key = (reference.namespace, reference.name)
    service, slices = facts.services.get(key), facts.slices.get(key)
    if service is None or slices is None or isinstance(service, Unread) or isinstance(slices, Unread):
        return []
    names = [port.name for port in service.spec.ports or () if port.port == reference.port]
    return [address for one in slices for name in names for address in one.ready(name)]


def ready_endpoints(facts: Facts, reference: ServiceReference) -> list[tuple[str, int]]:
    """The ready endpoints of an existing Service.

    Raises:
        UnreadError: the Service or its endpoints could not be read.
    """
    key = (reference.namespace, reference.name)
    known(facts.services[key])
    known(facts.slices[key])
    return _endpoints(facts, reference)
