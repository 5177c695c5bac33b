"""Look-ups: an answer waits for the labels of a namespace, a pod's claims, or pods, with nothing in memory but the body.

A decoded body takes several times its size in memory, which no limit counts. So a review is read once to find out what it needs,
and again when that is known.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from ..engine.claims import Reference, Resolved
from ..engine.namespace_labels import NamespaceLabels
from .claims import ClaimSource, ClaimUnavailable
from .namespaces import NamespaceNotFound, Namespaces, NamespaceUnavailable
from .reservations import ClaimHolders, NoPods, PodReference, PodSource, PodUnavailable

Labels = NamespaceLabels | NamespaceUnavailable | NamespaceNotFound
"""A namespace's labels, or why there are none."""


class LookupRequest(msgspec.Struct, gc=False):
    """The things to look up: the labels of a namespace that is not cached, the claims of pods in it, or its pods."""

    namespace: str
    references: tuple[Reference, ...] = ()
    pods: tuple[PodReference, ...] = ()


class LookupResults(msgspec.Struct, frozen=True, gc=False):
    """The things that were looked up; ``None`` if they were not."""

    labels: Labels | None = None
    claims: Resolved | ClaimUnavailable | None = None
    pods: ClaimHolders | PodUnavailable | None = None


_T = TypeVar("_T")
_E = TypeVar("_E", bound=Exception)

NOTHING = LookupResults()
Answer = Callable[[LookupResults], bytes | LookupRequest]
"""Reads the body from its beginning, and answers from the results of look-ups and from caches. It keeps nothing that it reads."""


async def fetched(
    namespaces: Namespaces,
    claims: ClaimSource,
    wanted: LookupRequest,
    answer: Answer,
    pods: PodSource = NoPods(),  # noqa: B008 - it has no state
) -> bytes:
    """The answer to a review that needs look-ups, once all of them are made."""
    given = NOTHING
    found: bytes | LookupRequest = wanted
    while not isinstance(found, bytes):
        if found.references and given.claims is None:
            looked_up = await _or_why_not(claims.fetch(found.namespace, found.references), ClaimUnavailable)
            given = msgspec.structs.replace(given, claims=looked_up)
        elif found.pods and given.pods is None:
            holders = await _or_why_not(pods.fetch(found.namespace, found.pods), PodUnavailable)
            given = msgspec.structs.replace(given, pods=holders)
        elif not (found.references or found.pods) and given.labels is None:
            labels = await _or_why_not(namespaces.fetch(found.namespace), NamespaceUnavailable, NamespaceNotFound)
            given = msgspec.structs.replace(given, labels=labels)
        else:
            raise TypeError(f'"{found.namespace}" is looked up again')  # a bug: it was given already
        found = answer(given)
    return found


async def _or_why_not(looked_up: Awaitable[_T], *unavailable: type[_E]) -> _T | _E:
    """The result of a look-up, or the error that it is not available."""
    try:
        return await looked_up
    except unavailable as error:
        return error
