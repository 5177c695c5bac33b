"""The check of the NVIDIA device plugin's configuration files."""

from collections.abc import Iterator, Sequence

from ...engine.spelling import DevicePlugin
from ..configuration import Configuration
from ..plugin_configuration import PluginFile, faults
from .facts import Facts, known
from .results import CheckOutcome, fail, verdicts, warn


def plugin_files(facts: Facts) -> list[CheckOutcome]:
    """The device plugin starts with its configuration, uses all of it, and names shared GPUs as gpuwarden does."""
    files = known(facts.neighbours.plugin_files)
    configuration = facts.configuration
    plugin = configuration.plugin if isinstance(configuration, Configuration) else None
    return verdicts(_faulty(files, plugin), lambda: _all_well(files))


def _all_well(files: Sequence[PluginFile]) -> str:
    if not files:
        return "no DaemonSet of the NVIDIA device plugin has a configuration file in a ConfigMap"
    return f"{len(files)} configuration files of the NVIDIA device plugin are valid and match gpuwarden's"


def _faulty(files: Sequence[PluginFile], plugin: DevicePlugin | None) -> Iterator[CheckOutcome]:
    for one in files:
        if one.unreadable:
            yield warn(
                f"{one.where}: {one.unreadable}", "the device plugin can't use it either", "correct the ConfigMap"
            )
        for fault in faults(one.data, plugin):
            say = fail if fault.rejected else warn
            yield say(f"{one.where}: {fault.field} {fault.fact}", fault.means, fault.fix)
