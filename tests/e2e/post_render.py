"""Leads the API server to the tests' relays: as functions, and as a post-renderer of Helm's.

As a program it reads manifests from standard input and writes them to standard output; its argument is a JSON object
from a webhook's name to a port on loopback. It imports nothing of this repository, for Helm starts it.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml

KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

Json = dict[str, Any]


def with_urls(objects: Sequence[Json], ports: Mapping[str, int]) -> list[Json]:
    """The chart's objects, with webhooks that are reached by URL: nothing else of them is changed."""
    changed = deepcopy(list(objects))
    for webhook in _webhooks(changed):
        path = webhook["clientConfig"].pop("service").get("path", "")
        webhook["clientConfig"]["url"] = f"https://127.0.0.1:{_port(webhook, ports)}{path}"
    return changed


def with_local_services(objects: Sequence[Json], ports: Mapping[str, int]) -> list[Json]:
    """The chart's objects, with a Service whose webhooks are reached on loopback.

    The API server dials the external name of an ExternalName Service, at the port of the webhook, and expects the
    certificate of the Service as ever (kube-aggregator, ``pkg/apiserver/resolvers.go``).
    """
    changed = deepcopy(list(objects))
    for webhook in _webhooks(changed):
        webhook["clientConfig"]["service"]["port"] = _port(webhook, ports)
    for service in (o for o in changed if o["kind"] == "Service"):
        service["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    return changed


def _port(webhook: Json, ports: Mapping[str, int]) -> int:
    """The port of a webhook, or of the one that it is a part of: shared.mutate.gpuwarden.io."""
    return ports.get(webhook["name"]) or ports[".".join(webhook["name"].split(".")[-3:])]


def _webhooks(objects: Sequence[Json]) -> Iterator[Json]:
    return (webhook for o in objects if o["kind"] in KINDS for webhook in o.get("webhooks") or [])


if __name__ == "__main__":
    documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
    yaml.safe_dump_all(with_local_services(documents, json.loads(sys.argv[1])), sys.stdout)
