"""Look-ups: an answer waits for the labels of a namespace, or for a pod's claims, with nothing in memory but the body.

What is decoded of a body takes several times its size, and no limit counts it. So a review is read once to find out what it
needs, and again when that is known.
"""

from collections.abc import Callable

import msgspec

from ..engine.claims import Reference, Resolved
from ..engine.labels import NamespaceLabels
from .claims import ClaimSource, ClaimUnavailable
from .namespaces import NamespaceNotFound, Namespaces, NamespaceUnavailable

Labels = NamespaceLabels | NamespaceUnavailable | NamespaceNotFound
"""A namespace's labels, or why there are none."""


class Wanted(msgspec.Struct, gc=False):
    """The things to look up: the labels of a namespace that is not cached, or the claims of pods in it."""

    namespace: str
    references: tuple[Reference, ...] = ()


class Given(msgspec.Struct, gc=False):
    """The things that were looked up; ``None`` where they were not."""

    labels: Labels | None = None
    claims: Resolved | ClaimUnavailable | None = None


NOTHING = Given()
Answer = Callable[[Given], bytes | Wanted]
"""Reads the body from its beginning, and answers from the results of look-ups and from caches. It keeps nothing that it reads."""


async def fetched(namespaces: Namespaces, claims: ClaimSource, wanted: Wanted, answer: Answer) -> bytes:
    """The answer to a review that wants something, once that is looked up."""
    labels: Labels | None = None
    found: bytes | Wanted = wanted
    if not wanted.references:
        labels = await _labels(namespaces, wanted.namespace)
        found = answer(Given(labels))
    if not isinstance(found, bytes) and found.references:
        found = answer(Given(labels, await _claims(claims, found)))
    if not isinstance(found, bytes):
        raise TypeError(f'"{wanted.namespace}" is wanted again')  # a bug: it was given already
    return found


async def _labels(namespaces: Namespaces, name: str) -> Labels:
    try:
        return await namespaces.fetch(name)
    except (NamespaceUnavailable, NamespaceNotFound) as error:
        return error


async def _claims(claims: ClaimSource, wanted: Wanted) -> Resolved | ClaimUnavailable:
    try:
        return await claims.fetch(wanted.namespace, wanted.references)
    except ClaimUnavailable as error:
        return error
