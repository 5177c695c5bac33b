"""Gpuwarden's admission policies and their bindings, as the API server has them."""

from typing import Any

import msgspec

from ...application.in_tree import ANNOTATION
from ...application.in_tree_drift import KINDS, InTreeObject
from .lists import Lister, Page
from .request import path_of


class _Metadata(msgspec.Struct):
    name: str
    annotations: dict[str, str] | None = None


class _Document(msgspec.Struct):
    metadata: _Metadata
    spec: dict[str, Any]


def objects_of(lister: Lister, kind: str) -> list[InTreeObject]:
    """Our objects of one of ``KINDS``.

    Raises:
        ApiError: they can't be listed.
    """

    def ours(item: _Document) -> InTreeObject | None:
        policy = (item.metadata.annotations or {}).get(ANNOTATION)
        return InTreeObject(kind, item.metadata.name, policy, item.spec) if policy else None

    path = path_of("apis", "admissionregistration.k8s.io", "v1", KINDS[kind])
    return lister.all(KINDS[kind], path, Page[_Document], ours)
