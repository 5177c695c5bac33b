"""Thousands of objects in seconds: written to etcd as the API server stores them, past its admission and its rate."""

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import httpx

_AT_ONCE = 100  # etcd takes 128 operations in a transaction
_MOST_BYTES = 1 << 20  # and 1.5 MiB in a request, before base64


def store(etcd: str, objects: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Write objects under their keys, such as ``minions/node-1`` and ``pods/team/train``, below ``/registry``.

    The API server reads JSON as well as protobuf, sets defaults on reading, and learns of the objects by its own watch.

    Args:
        etcd: etcd's URL, without TLS.
        objects: complete objects: with apiVersion, kind, and a ``uid`` in their metadata.

    Raises:
        httpx.HTTPStatusError: etcd did not take them.
    """
    pairs = ((f"/registry/{key}".encode(), json.dumps(each).encode()) for key, each in objects)
    with httpx.Client(base_url=etcd, timeout=60.0, trust_env=False) as client:
        for batch in _batches(pairs):
            puts = [{"requestPut": {"key": _text(key), "value": _text(value)}} for key, value in batch]
            client.post("/v3/kv/txn", json={"success": puts}).raise_for_status()


def _batches(pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """The pairs in transactions that etcd takes; all of one call are about as long as the first."""
    for first in pairs:
        number = max(1, min(_AT_ONCE, _MOST_BYTES // len(first[1])))
        yield [first, *islice(pairs, number - 1)]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
