"""Checks of the NVIDIA device plugin's configuration: its files, and renameByDefault as the nodes show it."""

from ...engine.fleet.node_shapes import Shape
from ...engine.forms import Platform
from ..configuration import Configuration
from ..plugin_configuration import faults
from .facts import Facts, known
from .results import Findings, fail, listed, warn


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


def renaming(facts: Facts) -> Findings:
    """The configuration's renameByDefault matches the device plugin's."""
    configured = facts.usable_configuration().plugin.rename_by_default
    setting = f"renameByDefault is {str(configured).lower()}"
    by_node = {node.name: renamed for node in known(facts.nodes) if (renamed := _renames(node.shape)) is not None}
    if not by_node:
        return f"{setting}; no node shares GPUs through the device plugin"
    otherwise = [name for name, renamed in by_node.items() if renamed is not configured]
    if configured:
        how = "under the name nvidia.com/gpu (no ….shared)"
        impact = (
            "requests for shared GPUs become nvidia.com/….shared, which no node offers, so their pods stay Pending; requests "
            "for whole GPUs may get shared ones"
        )
    else:
        how = "under the name nvidia.com/….shared"
        impact = "requests for shared GPUs keep the name nvidia.com/gpu, and never get these GPUs"
    observed = f"{setting}, and node {listed(otherwise)} offers shared GPUs {how}"
    if len(otherwise) == len(by_node):
        value = str(not configured).lower()
        fix = f"set config.devicePlugin.renameByDefault to {value}, as in the device plugin's configuration"
        yield fail(observed, impact, fix)
    elif otherwise:
        fix = "use the same renameByDefault in the device plugin's configuration on every node"
        yield warn(f"{observed}; {len(by_node) - len(otherwise)} others match", impact, fix)
    return f"{setting}, as on the nodes that share GPUs ({len(by_node)})"


def _renames(shape: Shape) -> bool | None:
    """Whether the device plugin renames what a node shares; ``None`` if nothing is shared."""
    shared = [name for name, form in shape.forms.items() if form.shared and form.platform is Platform.DEVICE_PLUGIN]
    return any(name.endswith(".shared") for name in shared) if shared else None
