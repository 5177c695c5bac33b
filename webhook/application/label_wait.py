"""Waiting for the labels of a namespace that is not known yet, with nothing in memory but the body.

What is decoded of a body takes several times its size, and no limit counts it. So a review is read once to find out which
namespace it needs, and once more when that is known.
"""

from collections.abc import Callable

import msgspec

from webhook.application.namespaces import NamespaceNotFound, Namespaces, NamespaceUnavailable
from webhook.application.review import Answering
from webhook.engine.labels import NamespaceLabels

Labels = NamespaceLabels | NamespaceUnavailable | NamespaceNotFound
"""A namespace's labels, or why there are none."""


class Wanted(msgspec.Struct, gc=False):
    """What an answer needs: the labels of a namespace that is not cached."""

    namespace: str


def answered(namespaces: Namespaces, answer: Callable[[Labels | None], bytes | Wanted]) -> Answering:
    """The answer to a review, at once where it can be had.

    Args:
        namespaces: where labels are fetched.
        answer: reads the body from its beginning, and answers by the labels that it is given, or else by those that are cached.
            It keeps nothing of what it reads.
    """
    found = answer(None)
    return found if isinstance(found, bytes) else _fetched(namespaces, found.namespace, answer)


async def _fetched(namespaces: Namespaces, name: str, answer: Callable[[Labels | None], bytes | Wanted]) -> bytes:
    labels: Labels
    try:
        labels = await namespaces.fetch(name)
    except (NamespaceUnavailable, NamespaceNotFound) as error:
        labels = error
    found = answer(labels)
    if not isinstance(found, bytes):
        raise TypeError(f'"{name}" is wanted again')  # a bug: what is given is not asked for
    return found
