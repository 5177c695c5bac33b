"""The check of the NVIDIA device plugin's configuration files."""

from ..configuration import Configuration
from ..plugin_configuration import faults
from .facts import Facts, known
from .results import Findings, fail, warn


def plugin_files(facts: Facts) -> Findings:
    """The device plugin starts with its configuration, uses all of it, and names shared GPUs as gpuwarden does."""
    files = known(facts.neighbours.plugin_files)
    configuration = facts.configuration
    plugin = configuration.plugin if isinstance(configuration, Configuration) else None
    if not files:
        return "no DaemonSet of the NVIDIA device plugin has a configuration file in a ConfigMap"
    for one in files:
        if one.unreadable:
            yield warn(
                f"{one.where}: {one.unreadable}", "the device plugin can't use it either", "correct the ConfigMap"
            )
        for fault in faults(one.data, plugin):
            outcome = fail if fault.rejected else warn
            yield outcome(f"{one.where}: {fault.field} {fault.fact}", fault.impact, fault.fix)
    return f"{len(files)} configuration files of the NVIDIA device plugin are valid and match gpuwarden's"
