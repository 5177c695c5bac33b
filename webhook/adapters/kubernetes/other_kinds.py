"""The kinds of which a cluster has objects that an audit does not look at: custom resources that may lead to pods."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from webhook.adapters.kubernetes.documents import decode
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.lists import Api, Lister, Page, Progress
from webhook.adapters.kubernetes.request import Request, path_of
from webhook.application.other_kinds import OtherKind, leads_to_pods
from webhook.application.workloads import KINDS, NO_KINDS, Kinds

_PAGE = 20  # definitions; one may have a megabyte


class _Names(msgspec.Struct):
    kind: str = ""
    plural: str = ""


class _Schema(msgspec.Struct, rename={"schema": "openAPIV3Schema"}):
    schema: dict[str, Any] | None = None


class _Version(msgspec.Struct):
    name: str
    served: bool = True
    storage: bool = False
    schema: _Schema | None = None


class _Spec(msgspec.Struct):
    group: str
    names: _Names
    scope: str = "Namespaced"
    versions: list[_Version] = []


class _Definition(msgspec.Struct):
    spec: _Spec


class _Kind(msgspec.Struct, frozen=True):
    api_version: str
    kind: str
    plural: str
    namespaced: bool = True


class UnknownKindsError(Exception):
    """Which custom kinds there are can't be known; the message says why."""


def other_kinds(
    api: Api, progress: Progress, namespaces: Sequence[str] = (), configured: Kinds = NO_KINDS
) -> Iterator[OtherKind]:
    """Find the kinds of workloads that have objects and are not checked.

    Args:
        api: the API server.
        progress: receives the progress of the list of definitions.
        namespaces: where objects count; everywhere, if none is named.
        configured: the rows of the configuration, which are checked.

    Raises:
        UnknownKindsError: if custom resource definitions can't be listed.
        ApiError: the server did not answer.
    """
    yield from _with_objects(api, _custom(api, progress, configured), namespaces)


def _custom(api: Api, progress: Progress, configured: Kinds) -> list[_Kind]:
    path = path_of("apis", "apiextensions.k8s.io", "v1", "customresourcedefinitions")
    lister = Lister(api, progress, limit=_PAGE)
    try:
        found = lister.all(
            "customresourcedefinitions", path, Page[_Definition], lambda one: _kept(one, {**KINDS, **configured})
        )
    except ApiError as error:
        if error.fault is Fault.NOT_FOUND:
            return []
        if error.fault is Fault.FORBIDDEN:
            raise UnknownKindsError(error.detail) from error
        raise
    return sorted(found, key=lambda one: (one.kind, one.api_version))


def _kept(definition: _Definition, known: Kinds) -> _Kind | None:
    """The kind, in a version that is served, if its objects may lead to pods."""
    spec = definition.spec
    served = [version for version in spec.versions if version.served]
    if not served:
        return None
    version = next((version for version in served if version.storage), served[0])
    schema = version.schema.schema if version.schema else None
    # Objects of the table's kinds in namespaces are read: ``operator_kinds``.
    if spec.scope == "Namespaced" and (spec.group, spec.names.kind) in known:
        return None
    if not leads_to_pods(spec.group, spec.names.kind, schema):
        return None
    return _Kind(f"{spec.group}/{version.name}", spec.names.kind, spec.names.plural, spec.scope == "Namespaced")


def _with_objects(api: Api, kinds: Iterable[_Kind], namespaces: Sequence[str]) -> Iterator[OtherKind]:
    for kind in kinds:
        if namespaces and not kind.namespaced:
            continue
        try:
            count: int | None = sum(_count(api, kind, namespace) for namespace in namespaces or (None,))
            detail = ""
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                continue
            if error.fault is not Fault.FORBIDDEN:
                raise
            count, detail = None, error.detail
        if count != 0:
            yield OtherKind(kind.api_version, kind.kind, kind.plural, count, detail)


def _count(api: Api, kind: _Kind, namespace: str | None) -> int:
    """How many objects there are. One is read, and the server says how many follow; where it doesn't, all are read."""
    within = ("namespaces", namespace) if namespace else ()
    request = Request("GET", path_of("apis", *kind.api_version.split("/"), *within, kind.plural), {"limit": "1"})
    page = decode(api.call(request), Page[msgspec.Raw], str(request))
    if page.metadata.next_page and page.metadata.remaining is None:
        lister = Lister(api)
        lister.all(kind.plural, request.path, Page[msgspec.Raw], lambda _: None)
        return lister.counts[kind.plural]
    return len(page.items or ()) + (page.metadata.remaining or 0)
