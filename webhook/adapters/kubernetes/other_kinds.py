"""Reads custom kinds that are not in the table of workload kinds, and their objects up to a limit, for an audit."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from ...application.kind_lookup import KINDS, NO_KINDS, Kinds
from ...application.other_kinds import MOST_BYTES, MOST_OBJECTS, OtherKind, leads_to_pods
from ...application.unevaluated import is_of_kubernetes, quotes
from ...engine.text import first_of
from .api_request import object_path
from .discovery import Discovery, UnknownKindsError
from .errors import OF_ONE_KIND, ApiError, Fault
from .lists import Api, Bound, Lister, Page, Progress

T = TypeVar("T")
_PAGE = 20  # definitions, or objects; one may have a megabyte
_SHOWN = 5
_BOUND = Bound(MOST_OBJECTS, MOST_BYTES)


class _Names(msgspec.Struct):
    kind: str = ""
    plural: str = ""


class _Schema(msgspec.Struct, rename={"schema": "openAPIV3Schema"}):
    schema: dict[str, Any] | None = None


class _Version(msgspec.Struct):
    name: str
    served: bool = True
    schema: _Schema | None = None


class _Spec(msgspec.Struct):
    group: str
    names: _Names
    versions: list[_Version] = []


class _Definition(msgspec.Struct):
    spec: _Spec


class CustomKind(msgspec.Struct, frozen=True):
    """A custom kind, in one of its versions."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}"

    def unread(self, error: ApiError) -> OtherKind:
        """The kind, and why its objects were not read."""
        return OtherKind(
            self.api_version,
            self.kind,
            self.plural,
            detail=error.detail,
            forbidden=error.fault is Fault.FORBIDDEN,
        )

    def objects(
        self, lister: Lister, namespaces: Sequence[str], keep: Callable[[dict[str, Any]], T | None]
    ) -> Iterator[T | OtherKind]:
        """Yield the results of ``keep`` for its objects, and an entry for the kind itself if they can't be listed.

        Raises:
            ApiError: the API server can't be read at all.
        """

        def look(item: dict[str, Any]) -> T | None:
            return keep({**item, "apiVersion": self.api_version, "kind": self.kind})

        try:
            for namespace in namespaces or (None,):
                path = object_path(self.group, self.version, self.plural, namespace)
                yield from lister.all(f"{self.plural}.{self.group}", path, Page[dict[str, Any]], look)
        except ApiError as error:
            if error.fault not in OF_ONE_KIND:
                raise
            yield self.unread(error)


class OtherReader:
    """Reads the objects of custom kinds that are not in the table, and the cluster-scoped objects of those that are.

    Args:
        api: the API server.
        discovery: its groups, versions and resources.
        progress: receives the progress of a list, if given.
        configured: the rows of the configuration.
        bound: how much of each list is read.
    """

    def __init__(
        self,
        api: Api,
        discovery: Discovery,
        progress: Progress | None = None,
        *,
        configured: Kinds = NO_KINDS,
        bound: Bound = _BOUND,
    ) -> None:
        self._discovery = discovery
        self._definitions = Lister(api, progress, limit=_PAGE)
        self._lister = Lister(api, progress, limit=min(_PAGE, bound.objects), bound=bound)
        self._known = {**KINDS, **configured}

    @property
    def counts(self) -> dict[str, int]:
        """How many objects were read, by the plural of their kind with its group."""
        return self._lister.counts

    def objects(self, namespaces: Sequence[str], keep: Callable[[dict[str, Any]], T | None]) -> Iterator[T | OtherKind]:
        """Yield the results of ``keep`` for every object, in these namespaces or (if none is named) in all.

        Args:
            namespaces: names. If any is named, cluster-scoped objects are left out.
            keep: returns what to keep of an object; called again for each object if a list has to start over.

        Yields:
            What was kept; and each kind whose objects can't be listed, or are too many, and each group whose server is down.

        Raises:
            UnknownKindsError: the API server does not list its groups, or it is not known which of the kinds that may not be
                listed may lead to pods; everything that can be read was yielded before.
            ApiError: the request to the API server failed.
        """
        without_pods, unknown = self._without_pods()
        forbidden: list[str] = []
        for kind in self._kinds(without_pods):
            if isinstance(kind, OtherKind):
                yield kind
            elif kind.namespaced or not namespaces:
                for one in self._of_kind(kind, namespaces if kind.namespaced else (), keep):
                    if unknown and isinstance(one, OtherKind) and one.forbidden:
                        forbidden.append(f"{kind.plural}.{kind.group}")
                    else:
                        yield one
        if forbidden:
            raise UnknownKindsError(f"{unknown}; listing {first_of(forbidden, _SHOWN)} is forbidden too")

    def _of_kind(
        self, kind: CustomKind, namespaces: Sequence[str], keep: Callable[[dict[str, Any]], T | None]
    ) -> Iterator[T | OtherKind]:
        yield from kind.objects(self._lister, namespaces, keep)
        what = f"{kind.plural}.{kind.group}"
        if what in self._lister.cut:
            left = self._lister.cut[what]
            yield OtherKind(kind.api_version, kind.kind, kind.plural, left, checked=self._lister.counts[what])

    def _kinds(self, without_pods: set[tuple[str, str]]) -> Iterator[CustomKind | OtherKind]:
        """The custom kinds of the cluster that can be listed and may lead to pods, each in its preferred version."""
        for group, versions in sorted(self._discovery.groups.items()):
            if is_of_kubernetes(group):
                continue
            found: dict[str, CustomKind] = {}
            for version in versions:
                try:
                    resources = self._discovery.resources(group, version)
                except ApiError as error:
                    if error.fault is not Fault.SERVER_ERROR:
                        raise
                    yield CustomKind(group, version, "*", "*", namespaced=True).unread(error)
                    continue
                for one in resources:
                    if "list" in one.verbs and one.kind and "/" not in one.name:
                        found.setdefault(one.name, CustomKind(group, version, one.kind, one.name, one.namespaced))
            for kind in found.values():
                # Objects of the table's kinds in namespaces are read: ``operator_kinds``.
                is_read = kind.namespaced and (group, kind.kind) in self._known
                if (
                    not is_read
                    and (group, kind.plural) not in without_pods
                    and not quotes(group, f"{kind.kind}.{group}")
                ):
                    yield kind

    def _without_pods(self) -> tuple[set[tuple[str, str]], str]:
        """The custom resources, by group and plural, whose schemas have room for neither pods nor GPU requests.

        If CustomResourceDefinitions may not be listed, none are known, and the objects of all kinds are read. The text says why.
        """
        path = object_path("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        try:
            found = self._definitions.all("customresourcedefinitions", path, Page[_Definition], _excluded)
        except ApiError as error:
            if error.fault not in {Fault.FORBIDDEN, Fault.NOT_FOUND}:
                raise
            return set(), error.detail
        return set(found), ""


def _excluded(definition: _Definition) -> tuple[str, str] | None:
    """A custom resource none of whose served versions may lead to pods."""
    spec = definition.spec
    schemas = (version.schema.schema if version.schema else None for version in spec.versions if version.served)
    return None if any(map(leads_to_pods, schemas)) else (spec.group, spec.names.plural)
