"""The NVIDIA device plugin's configuration file: what the plugin rejects or ignores in it, and what differs from gpuwarden's.

Mirrors NVIDIA/k8s-device-plugin api/config/v1 (config.go, sharing.go, replicas.go) and internal/plugin/mps.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..engine.resources import PREFIX, GpuResource, classify
from ..engine.spelling import DevicePlugin
from .field_paths import mapping

_RENAME, _FAIL = "renameByDefault", "failRequestsGreaterThanOne"
_KEYS = frozenset({"version", "flags", "resources", "sharing", "imex"})
_OF_SHARING = (_RENAME, _FAIL)
_STRATEGIES = ("timeSlicing", "mps")
_MIG_STRATEGIES = ("none", "single", "mixed")


class PluginFault(msgspec.Struct, frozen=True):
    """Something wrong with a device plugin's configuration.

    Attributes:
        impact: its effect on the plugin.
        fix: what to write instead.
        rejected: whether the plugin does not start with it.
    """

    field: str
    fact: str
    impact: str
    fix: str
    rejected: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.fact}; {self.impact}; {self.fix}"


class PluginFile(msgspec.Struct, frozen=True):
    """A configuration file of the device plugin in a cluster.

    Attributes:
        where: the ConfigMap and the key.
        data: its content; empty if it can't be read.
        unreadable: why it can't be read.
    """

    where: str
    data: Mapping[str, Any] = {}
    unreadable: str = ""


def is_plugin_configuration(data: object) -> bool:
    """Whether data are a device plugin's configuration: its top-level keys alone, and at least one that no other file has."""
    if not isinstance(data, Mapping) or not set(data) <= {*_KEYS, *_OF_SHARING}:
        return False
    sharing = data.get("sharing")
    shares = isinstance(sharing, Mapping) and any(key in sharing for key in (*_STRATEGIES, *_OF_SHARING))
    return shares or ("version" in data and isinstance(data.get("flags"), Mapping))


def faults(data: Mapping[str, Any], plugin: DevicePlugin | None = None) -> list[PluginFault]:
    """Yield the faults of a device plugin's configuration.

    ``plugin`` are the settings of gpuwarden's configuration to compare with, if they are known.
    """
    return [*_of_file(data), *_misplaced(data), *_of_sharing(data, plugin)]


def _of_file(data: Mapping[str, Any]) -> Iterator[PluginFault]:
    version = data.get("version") or "v1"
    if version != "v1":
        yield _rejected("version", f"is {version}", "unknown version", "set version: v1")
    strategy = mapping(data.get("flags")).get("migStrategy")
    if strategy is not None and strategy not in _MIG_STRATEGIES:
        yield PluginFault(
            "flags.migStrategy",
            f"is {strategy}",
            "the device plugin knows only none, single and mixed",
            "set it to one of them",
        )
    named = mapping(data.get("resources"))
    if any(named.get(key) for key in ("gpus", "mig")):
        yield PluginFault("resources", "is set", "the device plugin ignores it and keeps NVIDIA's names", "remove it")


def _misplaced(data: Mapping[str, Any]) -> Iterator[PluginFault]:
    """Settings of a sharing strategy that are set elsewhere, in a place that has no such field."""
    flags, sharing = mapping(data.get("flags")), mapping(data.get("sharing"))
    places = {
        "": data,
        "flags.": flags,
        "flags.plugin.": mapping(flags.get("plugin")),
        "sharing.": sharing,
        **{
            f"{path}.resources[{index}].": mapping(one)
            for path, section in _sections(sharing)
            for index, one in enumerate(_list(section.get("resources")))
        },
    }
    used = next((path for path, _ in _sections(sharing)), "sharing.timeSlicing")
    for place, fields in places.items():
        for key in _OF_SHARING:
            if key in fields:
                yield PluginFault(
                    f"{place}{key}", "has no effect there", "the device plugin ignores it", f"move it to {used}.{key}"
                )


def _of_sharing(data: Mapping[str, Any], plugin: DevicePlugin | None) -> Iterator[PluginFault]:
    sharing = mapping(data.get("sharing"))
    sections = dict(_sections(sharing))
    for name in _STRATEGIES:
        if sharing.get(name) is not None and not isinstance(sharing[name], Mapping):
            yield _rejected(f"sharing.{name}", "is not a map", "it can't be read", "write resources below it")
    if len(sections) > 1:
        yield PluginFault(
            "sharing",
            "has timeSlicing and mps",
            "the device plugin shares by MPS and ignores timeSlicing",
            "remove one of them",
        )
    single = mapping(data.get("flags")).get("migStrategy") == "single"
    for path, section in sections.items():
        yield from _of_section(path, section, plugin)
        if path.endswith(".mps") and single:
            yield PluginFault(
                path,
                "is used with flags.migStrategy: single",
                "the device plugin does not share MIG slices by MPS, and fails on nodes with MIG",
                "use timeSlicing, or give nodes with MIG another configuration",
            )


def _of_section(path: str, section: Mapping[str, Any], plugin: DevicePlugin | None) -> Iterator[PluginFault]:
    renames = section.get(_RENAME, False)
    if not isinstance(renames, bool):
        yield _rejected(f"{path}.{_RENAME}", f"is {renames!r}", "it must be a boolean", "set it to true or false")
    elif plugin is not None and renames is not plugin.rename_by_default:
        written, ours = str(renames).lower(), str(plugin.rename_by_default).lower()
        yield PluginFault(
            f"{path}.{_RENAME}",
            f"is {written}" if _RENAME in section else f"is not set, so it is {written}",
            f"gpuwarden's configuration has devicePlugin.renameByDefault: {ours}, so requests for shared GPUs get another name",
            f"set both to the same value: here to {ours}, or devicePlugin.renameByDefault to {written}",
        )
    if path.endswith(".timeSlicing") and section.get(_FAIL) is None:
        yield PluginFault(
            f"{path}.{_FAIL}",
            "is not set, so it is false",
            "pods that gpuwarden does not check may request several shares, which may be of the same GPU",
            "set it to true",
        )
    resources = _list(section.get("resources"))
    if not resources:
        yield _rejected(f"{path}.resources", "is empty", "no resources specified", "list nvidia.com/gpu with replicas")
    for index, one in enumerate(resources):
        yield from _of_resource(f"{path}.resources[{index}]", mapping(one), renames=renames is True)


def _of_resource(path: str, one: Mapping[str, Any], *, renames: bool) -> Iterator[PluginFault]:
    name, count = one.get("name"), one.get("replicas")
    if not isinstance(name, str) or not name:
        yield _rejected(f"{path}.name", "is not set", "no resource name specified", "set it, such as to nvidia.com/gpu")
        name = ""
    full = name if "/" in name else f"{PREFIX}{name}"
    if count is None:
        yield _rejected(f"{path}.replicas", "is not set", "no replicas specified", "set it to 2 or more")
    elif isinstance(count, bool) or not isinstance(count, int):
        yield _rejected(f"{path}.replicas", f"is {count!r}", "it must be a number", "write 2 or more, without quotes")
    elif count < 2:  # noqa: PLR2004 - replicas.go
        yield _rejected(
            f"{path}.replicas",
            f"is {count}",
            "number of replicas must be >= 2",
            "set it to 2 or more, or remove the entry: a resource that is not listed is not shared",
        )
    if (rename := one.get("rename")) and not (renames and rename == f"{full}.shared"):
        yield PluginFault(
            f"{path}.rename",
            f"is {rename}",
            "the device plugin ignores it",
            f"remove it; {_RENAME}: true names it {full}.shared",
        )
    if one.get("devices", "all") != "all":
        yield PluginFault(
            f"{path}.devices", "selects devices", "the device plugin ignores it and shares all of them", "remove it"
        )
    resource = classify(full)
    if ".mps." in path and isinstance(resource, GpuResource) and resource.partition:
        yield _rejected(path, f"shares {full}", "sharing using MPS is not supported for MIG devices", "use timeSlicing")


def _rejected(field: str, fact: str, reason: str, fix: str) -> PluginFault:
    return PluginFault(field, fact, f"the device plugin does not start ({reason})", fix, rejected=True)


def _sections(sharing: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in _STRATEGIES:
        if isinstance(section := sharing.get(name), Mapping):
            yield f"sharing.{name}", section


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
