"""Puts URLs in the place of Services in webhook configurations: as a function, and as a post-renderer of Helm's.

As a program it reads manifests from standard input and writes them to standard output; its argument is a JSON object
from path (``/mutate``) to URL. It imports nothing of this repository, for Helm starts it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml

KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

Json = dict[str, Any]


def with_urls(objects: Sequence[Json], urls: Mapping[str, str]) -> list[Json]:
    """The chart's objects, with webhooks that are reached by URL: nothing else of them is changed."""
    changed = deepcopy(list(objects))
    for webhook in (webhook for o in changed if o["kind"] in KINDS for webhook in o.get("webhooks") or []):
        service = webhook["clientConfig"].pop("service")
        webhook["clientConfig"]["url"] = urls[service["path"]]
    return changed


if __name__ == "__main__":
    documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
    yaml.safe_dump_all(with_urls(documents, json.loads(sys.argv[1])), sys.stdout)
