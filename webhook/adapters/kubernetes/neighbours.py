"""Reads other programs in the cluster that use GPU names, for a diagnosis."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from ...application.claims import PLURALS
from ...application.diagnosis.documents import Metadata
from ...application.diagnosis.facts import ALL_NODES, KUBE_SYSTEM, Maybe, Neighbours, Permission, Unread
from ...application.diagnosis.neighbours import (
    CLUSTER_AUTOSCALER,
    DCGM_EXPORTER,
    DEVICE_PLUGIN,
    ClusterQueue,
    DeviceClass,
    KueueConfiguration,
    LocalQueue,
    NodeOverlay,
    NodePool,
    Program,
    ResourceSlice,
)
from ...application.plugin_configuration import PluginFile
from ...engine.claim_objects import claim
from ...engine.claims import TEMPLATE
from .. import plugin_files, yaml_loader
from .api_request import object_path
from .claim_documents import VERSIONS, ClaimTemplateItem
from .diagnosis_facts import FactReader, unread
from .errors import ApiError, Fault
from .lists import Lister, Page, Progress
from .retrying import RetryingApi

I = TypeVar("I")  # noqa: E741 - an item; T is the part of it that is kept
T = TypeVar("T")

_KARPENTER, _KUEUE, _DRA = "karpenter.sh", "kueue.x-k8s.io", "resource.k8s.io"
_STATUS = f"{CLUSTER_AUTOSCALER}-status"  # --status-config-map-name; managed control planes show nothing else of it
_KUEUE_CONFIGURATION = ("kueue-system", "kueue-manager-config", "controller_manager_config.yaml")


class _RuntimeClass(msgspec.Struct):
    metadata: Metadata


class NeighbourReader:
    """Reads other programs in the cluster."""

    def __init__(self, api: RetryingApi, progress: Progress) -> None:
        self._facts = FactReader(api, progress)
        self._lister = Lister(api, progress)

    def read(self) -> Neighbours:
        """Read all of them. A fact is ``Unread`` if it can't be read, or if the API server does not have its kind."""
        programs = self._list(
            Page[Program],
            "apps",
            ("v1",),
            "daemonsets",
            lambda one: one if one.containers(DCGM_EXPORTER) or one.containers(DEVICE_PLUGIN) else None,
        )
        overlays = self._list(
            Page[NodeOverlay], _KARPENTER, ("v1alpha1",), "nodeoverlays", lambda one: one.spec.capacity
        )
        slices = self._list(Page[ResourceSlice], _DRA, ("v1",), "resourceslices", _Slice.of)
        templates = self._list(
            Page[ClaimTemplateItem],
            _DRA,
            VERSIONS,
            PLURALS[TEMPLATE],
            lambda one: ((one.metadata.namespace, one.metadata.name), claim(one.claimed)),
        )
        classes = self._list(
            Page[_RuntimeClass], "node.k8s.io", ("v1",), "runtimeclasses", lambda one: one.metadata.name
        )
        return Neighbours(
            plugin_files=programs if isinstance(programs, Unread) else self._plugin_files(programs),
            exporters=programs
            if isinstance(programs, Unread)
            else [one for one in programs if one.containers(DCGM_EXPORTER)],
            autoscalers=self._autoscalers(),
            node_pools=self._list(Page[NodePool], _KARPENTER, ("v1",), "nodepools", lambda one: one),
            overlay_resources=overlays if isinstance(overlays, Unread) else frozenset().union(*overlays),
            cluster_queues=self._kueue(Page[ClusterQueue], "clusterqueues"),
            local_queues=self._kueue(Page[LocalQueue], "localqueues"),
            kueue=self._kueue_configuration(),
            device_classes=self._list(Page[DeviceClass], _DRA, VERSIONS, "deviceclasses", lambda one: one),
            shared_by=slices if isinstance(slices, Unread) else frozenset(one.driver for one in slices if one.shared),
            devices_on=slices if isinstance(slices, Unread) else _by_driver(slices),
            claim_templates=templates if isinstance(templates, Unread) else dict(templates),
            runtime_classes=classes if isinstance(classes, Unread) else frozenset(classes),
        )

    def _kueue(self, page: type[Page[T]], plural: str) -> Maybe[list[T]]:
        return self._list(page, _KUEUE, ("v1beta2", "v1beta1"), plural, lambda one: one)

    def _plugin_files(self, programs: list[Program]) -> Maybe[list[PluginFile]]:
        """The configuration files in ConfigMaps that pods of the device plugin mount."""
        mounted = {
            (program.metadata.namespace, volume.config_map.name)
            for program in programs
            if program.containers(DEVICE_PLUGIN)
            for volume in program.spec.template.spec.volumes or ()
            if volume.config_map and volume.config_map.name
        }
        found: list[PluginFile] = []
        for namespace, name in sorted(mounted):
            data = self._facts.config_map(namespace, name)
            if isinstance(data, Unread):
                return data
            found += plugin_files.of_config_map(data or {}, f"ConfigMap {namespace}/{name}")
        return found

    def _autoscalers(self) -> Maybe[list[str]]:
        status = self._facts.config_map(KUBE_SYSTEM, _STATUS)
        if not isinstance(status, Unread) and status is not None:
            return [f"ConfigMap {KUBE_SYSTEM}/{_STATUS}"]
        found = self._list(
            Page[Program],
            "apps",
            ("v1",),
            "deployments",
            lambda one: f"Deployment {one}" if one.containers(CLUSTER_AUTOSCALER) else None,
        )
        return status if found == [] and isinstance(status, Unread) else found

    def _kueue_configuration(self) -> Maybe[KueueConfiguration | None]:
        namespace, name, key = _KUEUE_CONFIGURATION
        data = self._facts.config_map(namespace, name)
        if isinstance(data, Unread) or data is None or key not in data:
            return data if isinstance(data, Unread) else None
        try:
            return msgspec.convert(yaml_loader.load(data[key]) or {}, KueueConfiguration, strict=False)
        except ValueError as error:  # msgspec.ValidationError is one
            return Unread("", f"ConfigMap {namespace}/{name}: {error}", forbidden=False)

    def _list(
        self,
        page: type[Page[I]],
        group: str,
        versions: tuple[str, ...],
        plural: str,
        keep: Callable[[I], T | None],
    ) -> Maybe[list[T]]:
        """Return the kept parts of every object of a kind, in the first of these versions that the API server has."""
        right = str(Permission("list", plural, group))
        for version in versions:
            try:
                return self._lister.all(plural, object_path(group, version, plural), page, keep)
            except ApiError as error:
                if error.fault is not Fault.NOT_FOUND:
                    return unread(right, error)
        kind = f"{plural}.{group} ({', '.join(versions)})"
        return Unread(right, f"the API server has no {kind}", forbidden=False, absent=kind)


class _Slice(NamedTuple):
    """A ResourceSlice with devices: its driver, its node, and whether several pods may get one of them."""

    driver: str
    node: str
    shared: bool

    @classmethod
    def of(cls, one: ResourceSlice) -> "_Slice | None":
        """``None`` for one without devices. The node is empty if a selector says which nodes can use them."""
        devices = one.spec.devices or ()
        node = ALL_NODES if one.spec.all_nodes else one.spec.node_name or ""
        return cls(one.spec.driver, node, any(d.allow_multiple_allocations for d in devices)) if devices else None


def _by_driver(slices: Iterable[_Slice]) -> dict[str, frozenset[str]]:
    """The nodes of each driver."""
    found: dict[str, set[str]] = {}
    for one in slices:
        found.setdefault(one.driver, set()).add(one.node)
    return {driver: frozenset(names - {""}) for driver, names in found.items()}
