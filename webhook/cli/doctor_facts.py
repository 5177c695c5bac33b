"""Gathers the facts for ``gpuwarden doctor``, from the API server, the configuration file and TLS handshakes."""

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from ..adapters.configuration import file as configuration_file
from ..adapters.kubernetes.diagnosis_facts import FactReader
from ..adapters.kubernetes.gpu_node_selectors import SELECTORS
from ..adapters.kubernetes.neighbours import NeighbourReader
from ..adapters.tls.dial import dial
from ..application.configuration import Configuration
from ..application.diagnosis import probe
from ..application.diagnosis.autoscaler import ACCELERATORS
from ..application.diagnosis.documents import Deployment
from ..application.diagnosis.facts import (
    KUBE_SYSTEM,
    BadConfiguration,
    Contact,
    Facts,
    Maybe,
    Permission,
    Probe,
    Target,
    Unread,
)
from ..application.diagnosis.our_webhooks import (
    MUTATING,
    VALIDATING,
    mutating_name,
    readable_webhooks,
    services,
    targets,
)
from ..application.diagnosis.rbac import account, needed
from ..application.diagnosis.waiting_pods import names_to_look_for

DIAL_SECONDS = 3.0
_AT_ONCE = 16  # connections
_ADMISSION_POLICIES = (1, 36)  # the version in which both kinds are stable


def gather(  # noqa: PLR0913 - the readers, and options of the command line
    reader: FactReader,
    neighbours: NeighbourReader,
    *,
    namespace: str,
    name: str,
    configuration: Configuration | None,
    probe_namespace: str | None,
) -> Facts:
    """Read all facts.

    ``configuration`` is that of ``--config``, instead of the installed one.

    Raises:
        ApiError: the cluster can't be reached at all.
    """
    version = reader.version()
    usable = configuration or _installed(reader.configuration_text(namespace, name))
    labels = {*ACCELERATORS, *(usable.policies.node_labels if isinstance(usable, Configuration) else ())}
    deployment = reader.deployment(namespace, name)
    facts = Facts(
        now=datetime.now(UTC),
        namespace=namespace,
        name=name,
        version=version,
        mutating=reader.webhook_configuration(MUTATING, mutating_name(name, deployment)),
        validating=reader.webhook_configuration(VALIDATING, name),
        all_mutating=reader.mutating_configurations(),
        in_tree=reader.in_tree() if isinstance(version, Unread) or version >= _ADMISSION_POLICIES else (),
        services={},
        slices={},
        deployment=deployment,
        pods=reader.pods(namespace),
        budgets=reader.budgets(namespace),
        configuration=usable,
        namespaces=reader.namespaces((namespace, KUBE_SYSTEM)),
        quotas=reader.quotas(),
        limit_ranges=reader.limit_ranges(),
        nodes=reader.nodes(labels),
        selected_nodes=reader.selected_nodes(_selectors(deployment)),
        classes=reader.classes(),
        neighbours=neighbours.read(),
        rights=_rights(reader, deployment, namespace, usable),
        probe=_probe(reader, probe_namespace) if probe_namespace else None,
    )
    called = {(ref.namespace, ref.name) for ref in services(readable_webhooks(facts))}
    names = names_to_look_for(facts)
    facts = dataclasses.replace(
        facts,
        waiting=reader.waiting_pods(names) if names else (),
        services={key: reader.service(*key) for key in called},
        slices={key: reader.slices(*key) for key in called},
    )
    return dataclasses.replace(facts, contacts=_dial(targets(facts)))


def _installed(text: Maybe[str | None]) -> Maybe[Configuration | BadConfiguration | None]:
    if not isinstance(text, str):
        return text
    try:
        return configuration_file.parse(text)
    except configuration_file.ConfigurationError as error:
        return BadConfiguration(error.problems)


def _selectors(deployment: Maybe[Deployment | None]) -> Sequence[str]:
    """The node selectors of ``gpuwarden serve``."""
    return (deployment.options("--node-selector") if isinstance(deployment, Deployment) else ()) or SELECTORS


def _rights(
    reader: FactReader, deployment: Maybe[Deployment | None], namespace: str, configuration: object
) -> Maybe[dict[Permission, bool]]:
    if isinstance(deployment, Unread):
        return deployment
    if deployment is None:
        return {}
    limits = isinstance(configuration, Configuration) and configuration.policies.has_limits
    return reader.rights(account(deployment, namespace), needed(deployment, namespace, limits=limits))


def _probe(reader: FactReader, namespace: str) -> Probe:
    labels = reader.namespace_labels(namespace)
    tried = [reader.dry_run(namespace, probe.pod(*asks)) for asks in (probe.PLAIN, probe.TWO_SHARED)]
    return Probe(namespace, labels, *tried)


def _dial(everything: Iterable[Target]) -> list[Contact]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda target: dial(target, DIAL_SECONDS), everything))
