"""The workloads of a cluster that request GPUs, as a recommendation needs them: pods with what runs in them, by controller."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ...application.auditing import Owner, Seen
from ...application.recommendation.servers import VARIABLES, ServerProgram, recognise
from ...application.recommendation.workloads import LivePod, Workload
from ...application.workload_kinds import BUILT_IN
from ...engine.decision import decide
from ...engine.fleet.shapes import Shape
from ...engine.pods import Container, Pod, PodSpec
from ...engine.policy import ANY_POLICY
from ...engine.requests import read
from ...engine.spelling import DevicePlugin
from .lists import Lister, Page
from .request import path_of
from .workloads import ClusterReader, UnreadList

_ENDED = frozenset({"Succeeded", "Failed"})
_BUILT_IN = frozenset(row.kind for row in BUILT_IN)
_CONTROLLERS = tuple(row for row in BUILT_IN if not row.is_pod and not row.passive)


class _Reference(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    owner_references: list[_Reference] | None = None


class _Container(Container, rename="camel"):
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None

    @property
    def program(self) -> ServerProgram:
        """What runs in it."""
        variables = {
            one.name: one.value for one in self.env or () if one.name in VARIABLES and isinstance(one.value, str)
        }
        return recognise(self.image or "", [*(self.command or ()), *(self.args or ())], variables)


class _Spec(PodSpec, rename="camel"):
    containers: list[_Container] | None = None  # type: ignore[assignment]  # a container with more fields
    init_containers: list[_Container] | None = None  # type: ignore[assignment]


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    start_time: str | None = None


class _PodItem(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def live(self) -> LivePod:
        started = self.status.start_time
        seconds = datetime.fromisoformat(started).timestamp() if started else 0
        return LivePod(self.metadata.name, seconds, self.status.phase in _ENDED)


class _Kept(msgspec.Struct, frozen=True):
    """What is kept of a pod or template that requests GPUs."""

    namespace: str
    owner: Owner
    asked: tuple[tuple[str, ...], int, str, tuple[ServerProgram, ...]]
    pod: LivePod | None


class GpuWorkloads:
    """Reads the workloads of a cluster.

    Args:
        lister: reads lists.
        reader: reads the kinds that have templates.
        plugin: how the device plugin names things.
        shapes: the nodes, by name: which form a pod has there.
    """

    def __init__(
        self, lister: Lister, reader: ClusterReader, plugin: DevicePlugin, shapes: Mapping[str, Shape]
    ) -> None:
        self._lister, self._reader, self._plugin, self._shapes = lister, reader, plugin, shapes
        self.notes: list[str] = []
        """What could not be read, and why."""

    def read(self, namespaces: Sequence[str]) -> list[Workload]:
        """Return the workloads in these namespaces, or (if none is named) in all.

        Raises:
            ApiError: pods can't be listed.
        """
        pods = [kept for namespace in namespaces or (None,) for kept in self._pods(namespace)]
        links: dict[tuple[str, str, str], Owner] = {}
        templates: list[_Kept] = []

        def keep(seen: Seen) -> Seen | None:
            if seen.owner:
                links[seen.namespace, *seen.key] = seen.owner
            elif not seen.over and seen.pod and seen.pod.spec and (asked := self._asked(seen.pod.spec, "")):
                owner = Owner(seen.api_version, seen.kind, seen.name)
                templates.append(_Kept(seen.namespace, owner, asked, None))
            return None

        for unread in self._reader.workloads(namespaces, keep, _CONTROLLERS):
            if isinstance(unread, UnreadList) and unread.served:
                self.notes.append(
                    f"{unread.what} are not read, so their pods may be counted by themselves: {unread.detail}"
                )
        found: dict[tuple[str, str, str], Workload] = {}
        for one in (*pods, *templates):
            top = _top(one, links)
            workload = found.get((one.namespace, *top.key))
            if workload is None:
                requests, gpus, form, programs = one.asked
                # Volcano's Job is not Kubernetes' own.
                kind = top.key[0] if top.kind in _BUILT_IN else top.kind
                workload = Workload(one.namespace, kind, top.name, requests, gpus, form, programs)
                found[one.namespace, *top.key] = workload
            if one.pod:
                _add(workload, one)
        return list(found.values())

    def _pods(self, namespace: str | None) -> list[_Kept]:
        within = ("namespaces", namespace) if namespace else ()

        def keep(item: _PodItem) -> _Kept | None:
            asked = self._asked(item.spec, item.spec.node_name or "")
            if asked is None:
                return None
            controller = next((one for one in item.metadata.owner_references or () if one.controller), None)
            owner = (
                Owner(controller.api_version, controller.kind, controller.name)
                if controller
                else Owner("v1", "Pod", item.metadata.name)
            )
            return _Kept(item.metadata.namespace, owner, asked, item.live)

        return self._lister.all("pods", path_of("api", "v1", *within, "pods"), Page[_PodItem], keep)

    def _asked(self, spec: PodSpec, node: str) -> tuple[tuple[str, ...], int, str, tuple[ServerProgram, ...]] | None:
        """What a pod requests: in words, how many at once, in which form, and what runs there; ``None`` without a form of GPU."""
        containers = [one for one in read(spec) if one.amounts]
        if not containers:
            return None
        counted = list(decide(Pod(spec=spec), ANY_POLICY, self._plugin).requested(spec))
        if not counted:
            return None
        form, _ = counted[0]
        shape = self._shapes.get(node)
        if shape:
            form = shape.forms.get(containers[0].amounts[0].resource.name, form)
        words = tuple(dict.fromkeys(str(amount) for one in containers for amount in one.amounts))
        programs = tuple(
            dict.fromkeys(
                one.container.program
                for one in containers
                if isinstance(one.container, _Container) and one.container.program != ServerProgram()
            )
        )
        return words, sum(count for _, count in counted), str(form), programs


def _add(workload: Workload, one: _Kept) -> None:
    """Add a pod; where pods of one workload differ (a launcher and its workers), the one with the most GPUs says what it is."""
    assert one.pod  # noqa: S101 - templates have none
    workload.pods.append(one.pod)
    requests, gpus, form, programs = one.asked
    if gpus > workload.gpus:
        workload.requests, workload.gpus, workload.form = requests, gpus, form
    workload.programs = tuple(dict.fromkeys((*workload.programs, *programs)))


def _top(one: _Kept, links: Mapping[tuple[str, str, str], Owner]) -> Owner:
    top, passed = one.owner, {one.owner.key}
    while (above := links.get((one.namespace, *top.key))) and above.key not in passed:
        top = above
        passed.add(top.key)
    return top
