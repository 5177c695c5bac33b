"""Reads a cluster's namespaces, pods and templates for an audit. Previews and recommendations use it too. Never writes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from ...application.auditing import WorkloadObject
from ...application.claims import GROUP, PLURALS
from ...application.kind_lookup import NO_KINDS, Kinds
from ...application.operator_kinds import audited
from ...application.workload_kinds import BUILT_IN, WorkloadKind
from ...engine.claim_objects import Claim
from ...engine.claims import Reference
from ...engine.namespace_labels import NamespaceLabels
from . import claim_documents
from .api_request import object_path, path_of
from .discovery import Discovery
from .errors import ApiError, Fault
from .lists import PAGE, Api, Lister, Page, Progress, get
from .nodes import named_classes
from .operator_kinds import OperatorReader
from .other_kinds import OtherReader
from .workload_documents import NamespaceItem, WorkloadItem, mislabelled, page_of, seen
from .workload_documents import path as list_path

T = TypeVar("T")


def _kept(namespace: NamespaceItem) -> tuple[str, NamespaceLabels, dict[str, Any]] | None:
    """Return the kept parts of a namespace; ``None`` for one that is being deleted."""
    return None if namespace.ends else (namespace.metadata.name, namespace.policies, namespace.manifest)


class UnreadList(msgspec.Struct, frozen=True):
    """A list that the API server did not return, and its message.

    ``served`` is whether the server has this kind; if not, nothing is missing.
    """

    what: str
    detail: str
    served: bool


class FoundClaims(msgspec.Struct):
    """The resource claims and templates of a cluster, by namespace, and what to report about reading them."""

    known: dict[tuple[str, Reference], Claim]
    notes: list[str]
    of_one_pod: set[tuple[str, Reference]] = msgspec.field(default_factory=set)
    """The claims that Kubernetes made for pods."""
    classes: dict[str, str] = {}
    """The resource names of DeviceClasses, by class."""


class AuditReader:
    """Reads a cluster.

    Args:
        api: the API server.
        progress: receives the progress of a list, if given.
        limit: objects per page.
        configured: the rows of the configuration.
    """

    def __init__(
        self,
        api: Api,
        progress: Progress | None = None,
        *,
        limit: int = PAGE,
        configured: Kinds = NO_KINDS,
    ) -> None:
        self._api = api
        self._lister = Lister(api, progress, limit=limit)
        discovery = Discovery(api)
        self.operators = OperatorReader(api, discovery, progress, limit=limit, rows=audited(configured.values()))
        """Reads the objects of operators' kinds."""
        self.others = OtherReader(api, discovery, progress, configured=configured)
        """Reads the objects of custom kinds that are in no row."""
        self.namespace_manifests: list[dict[str, Any]] = []
        """The namespaces that were read, with their labels and annotations about policies, or similar ones."""
        self.mislabelled: dict[tuple[str, str, str], dict[str, Any]] = {}
        """The workloads with a label that belongs on a namespace, by kind, namespace and name."""

    @property
    def counts(self) -> dict[str, int]:
        """How many objects were checked, by the plural of their kind."""
        return self._lister.counts

    def namespaces(self, names: Sequence[str] = ()) -> dict[str, NamespaceLabels]:
        """The labels of these namespaces, or of all; those that are being deleted are left out.

        Raises:
            ApiError: ``not-found`` for a name that does not exist; otherwise as for any list that is not available.
        """
        if names:
            items = (get(self._api, path_of("api", "v1", "namespaces", name), NamespaceItem) for name in names)
            found = [one for item in items if (one := _kept(item))]
        else:
            path = path_of("api", "v1", "namespaces")
            found = self._lister.all("namespaces", path, Page[NamespaceItem], _kept)
        self.namespace_manifests = [manifest for _, _, manifest in found]
        return {name: policies for name, policies, _ in found}

    def claims(self, namespaces: Sequence[str] = ()) -> FoundClaims:
        """Return the resource claims and their templates in these namespaces, or (if none is named) in all.

        Without the API there are no claims. If they can't be listed, a note states this, and pods that name them are not
        evaluated.

        Raises:
            ApiError: the server did not answer.
        """
        found = FoundClaims({}, [])
        try:
            version = next(iter(claim_documents.readable_versions(self._api.call(claim_documents.SERVED))), None)
            for kind, plural in PLURALS.items() if version else ():
                item = claim_documents.ITEMS[kind]
                page: type[Page[claim_documents.Item]] = Page[item]  # type: ignore[valid-type]
                for namespace in namespaces or (None,):
                    path = object_path(GROUP, str(version), plural, namespace)
                    for one in self._lister.all(plural, path, page, claim_documents.listed):
                        found.known[one.key] = one.claim
                        found.of_one_pod |= {one.key} if one.of_one_pod else set()
        except ApiError as error:
            if error.fault not in {Fault.FORBIDDEN, Fault.NOT_FOUND}:
                raise
            if error.fault is Fault.FORBIDDEN:
                found.notes.append(f"resource claims: pods with claims (DRA) are not evaluated ({error.detail})")
        self._name_classes(found)
        return found

    def _name_classes(self, found: FoundClaims) -> None:
        try:
            classes = named_classes(self._lister)
            found.classes = {one.metadata.name: one.spec.extended_resource_name or "" for one in classes}
        except ApiError as error:
            if error.fault not in {Fault.FORBIDDEN, Fault.NOT_FOUND}:
                raise
            if error.fault is Fault.FORBIDDEN:
                found.notes.append(
                    f"DeviceClasses: their forms and other resource names are known only from the configuration ({error.detail})"
                )

    def workloads(
        self,
        namespaces: Sequence[str],
        keep: Callable[[WorkloadObject], T | None],
        kinds: Sequence[WorkloadKind] = BUILT_IN,
    ) -> Iterator[T | UnreadList]:
        """Yield the results of ``keep`` for every pod and template, in these namespaces or (if none is named) in all.

        ``keep`` is called again for each object if a list has to start over. ``kinds`` are read in this order.

        Yields:
            What was kept, and an ``UnreadList`` for a list that the server forbids or doesn't serve.

        Raises:
            ApiError: the server did not answer.
        """
        for kind in kinds:
            for namespace in namespaces or (None,):
                try:
                    yield from self._list(kind, namespace, keep)
                except ApiError as error:
                    if error.fault not in {Fault.FORBIDDEN, Fault.NOT_FOUND}:
                        raise
                    what = f"{kind.plural} in {namespace}" if namespace else kind.plural
                    yield UnreadList(what, error.detail, served=error.fault is Fault.FORBIDDEN)

    def _list(self, kind: WorkloadKind, namespace: str | None, keep: Callable[[WorkloadObject], T | None]) -> list[T]:
        def look(item: WorkloadItem) -> T | None:
            one = seen(kind, item)
            if manifest := mislabelled(kind, item):
                self.mislabelled[one.kind, one.namespace, one.name] = manifest
            return keep(one)

        return self._lister.all(kind.plural, list_path(kind, namespace), page_of(kind), look)
