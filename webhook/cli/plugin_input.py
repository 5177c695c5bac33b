"""Checks configuration files of the NVIDIA device plugin among the input, and reports their faults with lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..adapters import plugin_files
from ..adapters.manifests.items import ManifestObject, ManifestProblem, PluginDocument
from ..adapters.manifests.lines import Lines
from ..application.plugin_configuration import PluginFile, faults
from ..engine.spelling import DevicePlugin
from ..engine.text import plural


@dataclass(slots=True)
class PluginInput:
    """The device plugin's configurations that were found.

    Attributes:
        rejected: with how many of these the device plugin does not start.
    """

    files: int = 0
    faults: int = 0
    rejected: int = 0

    def look(
        self, item: ManifestObject | PluginDocument | ManifestProblem, lines: Lines, plugin: DevicePlugin | None
    ) -> Iterator[ManifestProblem]:
        """Evaluate an item of the input if it is such a file, or a ConfigMap that contains such files.

        ``plugin`` are the settings to compare with, if they are known.
        """
        if isinstance(item, PluginDocument):
            yield from self._evaluate(item.item, PluginFile("", item.item.object), "", lines, plugin)
        elif isinstance(item, ManifestObject) and (item.object.get("kind"), item.object.get("apiVersion")) == (
            "ConfigMap",
            "v1",
        ):
            data = item.object.get("data")
            for key, text in data.items() if isinstance(data, Mapping) else ():
                for one in plugin_files.of_config_map({key: text}, ""):
                    yield from self._evaluate(item, one, f"data[{key}]", lines, plugin)

    def __str__(self) -> str:
        faults = plural(self.faults, "fault") if self.faults else "no faults"
        return f"{plural(self.files, 'device plugin configuration')} checked, {faults}"

    def _evaluate(
        self, item: ManifestObject, one: PluginFile, field: str, lines: Lines, plugin: DevicePlugin | None
    ) -> Iterator[ManifestProblem]:
        self.files += 1
        where = f"{field}: " if field else ""
        if one.unreadable:
            self.faults += 1
            self.rejected += 1
            yield _problem(item, lines, field, f"{where}device plugin configuration: {one.unreadable}")
        for fault in faults(one.data, plugin):
            self.faults += 1
            self.rejected += fault.rejected
            yield _problem(item, lines, field or fault.field, f"{where}device plugin configuration: {fault}")


def _problem(item: ManifestObject, lines: Lines, field: str, message: str) -> ManifestProblem:
    line, column = lines.of(item).of_field(field)
    return ManifestProblem(item.source, line, message, fatal=False, of_object=True, column=column)
