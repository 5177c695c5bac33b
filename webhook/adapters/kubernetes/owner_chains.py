"""Finds the controllers of controllers that operators create: a RayCluster's RayJob, a JobSet's TrainJob, a worker's leader."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec

from ...application.auditing import Owner
from ...application.kind_lookup import Kinds, group_of, workload_of
from ...application.operator_objects import pods_in
from ...application.workload_kinds import WorkloadKind
from ...engine.pods import Pod
from .api_request import object_path
from .documents import OwnerReference, controller_of
from .errors import ApiError, Fault
from .lists import Api, Lister, Page, get

Links = dict[tuple[str, str, str], Owner]
"""The controllers of objects, by namespace, kind and name."""
_UNREAD = (Fault.FORBIDDEN, Fault.NOT_FOUND)


class ControlledMetadata(msgspec.Struct, rename="camel"):
    """The part of an object's metadata that says who controls it."""

    name: str = ""
    namespace: str = ""
    owner_references: list[OwnerReference] | None = None

    @property
    def owner(self) -> Owner | None:
        """Its controller."""
        found = controller_of(self.owner_references)
        return Owner(found.api_version, found.kind, found.name) if found else None


class _Item(msgspec.Struct):
    metadata: ControlledMetadata
    spec: Any = None


def chain(owner: Owner, namespace: str, links: Links) -> list[Owner]:
    """Return an owner and its owners, up to the object that a user created."""
    found, passed = [owner], {owner.key}
    while (above := links.get((namespace, *found[-1].key))) and above.key not in passed:
        found.append(above)
        passed.add(above.key)
    return found


class OwnerChains:
    """Reads the controllers of objects of operators' kinds, and of pods that own others.

    Only kinds of the table are followed: other controllers (a package, an application) are not workloads.

    Args:
        api: the API server.
        lister: reads lists from it.
        configured: the rows of the configuration.
        template: receives the pod templates of the objects that are read, each with the namespace and the object.
    """

    def __init__(
        self, api: Api, lister: Lister, configured: Kinds, template: Callable[[str, Owner, Pod], None]
    ) -> None:
        self._api, self._lister, self._configured, self._template = api, lister, configured, template
        self.notes: list[str] = []
        """What could not be read, and the consequence."""

    def follow(self, owners: Iterable[tuple[str, Owner]], links: Links, namespaces: Sequence[str]) -> None:
        """Add the controllers of these owners to the links, and the controllers of those, up to the top.

        Args:
            owners: direct controllers of pods, with their namespaces.
            links: the known controllers.
            namespaces: the namespaces to read; all, if none is named.

        Raises:
            ApiError: the server did not answer.
        """
        every = set(owners)
        read: set[tuple[str, str]] = set()
        asked: set[tuple[str, Owner]] = set()
        while True:
            tops = {(namespace, chain(one, namespace, links)[-1]) for namespace, one in every}
            pods = {(namespace, top) for namespace, top in tops if top.kind == "Pod" and not group_of(top.api_version)}
            kinds = {(top.api_version, top.kind): row for _, top in tops if (row := self._row(top))}
            if not (new := kinds.keys() - read) and not pods - asked:
                return
            for key in sorted(new):
                self._kind(key[0], kinds[key], namespaces, links)
            for namespace, top in sorted(pods - asked, key=str):
                self._pod(namespace, top, links)
            read |= new
            asked |= pods

    def _row(self, owner: Owner) -> WorkloadKind | None:
        row = None if owner.is_workload else workload_of(owner.api_version, owner.kind, self._configured)
        return row if row and not (row.cluster_scoped or row.passive) else None

    def _kind(self, api_version: str, row: WorkloadKind, namespaces: Collection[str], links: Links) -> None:
        def keep(item: _Item) -> None:
            owner = Owner(api_version, row.kind, item.metadata.name)
            self._add(owner, item.metadata, links)
            for _, pod in pods_in(row, {"apiVersion": api_version, "kind": row.kind, "spec": item.spec}):
                self._template(item.metadata.namespace, owner, pod)

        what = f"{row.plural}.{row.group}"
        version = api_version.rpartition("/")[2]
        try:
            for namespace in namespaces or (None,):
                self._lister.all(what, object_path(row.group, version, row.plural, namespace), Page[_Item], keep)
        except ApiError as error:
            if error.fault not in _UNREAD:
                raise
            self.notes.append(f"the controllers of {what} are not known, so each counts by itself: {error.detail}")

    def _pod(self, namespace: str, pod: Owner, links: Links) -> None:
        try:
            item = get(self._api, object_path("", "v1", "pods", namespace, pod.name), _Item)
        except ApiError as error:
            if error.fault not in _UNREAD:
                raise
            if error.fault is Fault.FORBIDDEN:
                self.notes.append(
                    f"the controller of pod {namespace}/{pod.name}, which controls others, is not known: {error.detail}"
                )
            return
        self._add(pod, item.metadata, links)

    def _add(self, child: Owner, metadata: ControlledMetadata, links: Links) -> None:
        above = metadata.owner
        if above and (above.is_workload or self._row(above)):
            links[metadata.namespace, *child.key] = above
