"""Spellings: the resource name and node labels of a form, under the settings of the device plugins."""

from enum import StrEnum
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from .forms import Form, Platform, Sharing
from .gpu_models import lacks
from .mig_profiles import DOCUMENTED, memory_bounds, read_profile
from .node_constraints import ABSENT, OTHER, Need, NodeConstraints
from .pods import Toleration
from .products import LONGEST_VALUE, PRODUCT, SHARED_SUFFIX, ProductNames, lacking, read_product
from .resources import GPU, PREFIX, resource_name

# NVIDIA GPU feature discovery, docs/gpu-feature-discovery/README.md
STRATEGY = "nvidia.com/gpu.sharing-strategy"
# Only nodes with MIG on have these, under MIG strategy single; of GPU instances and compute instances, in slices.
GPU_SLICES = "nvidia.com/gpu.slices.gi"
COMPUTE_SLICES = "nvidia.com/gpu.slices.ci"
# MiB of one GPU, or of one slice under MIG strategy single.
MEMORY = "nvidia.com/gpu.memory"
SLICE_LABELS = (GPU_SLICES, COMPUTE_SLICES, MEMORY)
MIG_CAPABLE = "nvidia.com/mig.capable"
MIG_STRATEGY = "nvidia.com/mig.strategy"
MPS_CAPABLE = "nvidia.com/mps.capable"
# Which MIG configuration the GPU operator's MIG manager applies to a node.
MIG_CONFIG = "nvidia.com/mig.config"
# How far that is (NVIDIA/mig-parted, deployments/container/reconfigure-mig.sh): pending and rebooting end in success or failed.
MIG_STATE = "nvidia.com/mig.config.state"
# Labels of slices that only MIG strategy mixed has, under nvidia.com/mig-<profile>.
_LABELS_BY_NAME = ("count", "memory", "product", "replicas")
SHARED_STRATEGIES = (Sharing.TIME_SLICING.value, Sharing.MPS.value)
# https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
GKE_KEYS = (GKE_SHARING, GKE_CLIENTS, GKE_PARTITION)
# Every label that distinguishes forms begins with one of these.
LABELS_OF_FORMS = (PREFIX, "cloud.google.com/gke-")
# Nodes are tainted under the name that their GPUs had before renaming, by users and by GKE alike.
GPU_TOLERATION = Toleration(key=GPU, operator="Exists", effect="NoSchedule")
GKE_STRATEGIES = {Sharing.TIME_SLICING: "time-sharing", Sharing.MPS: "mps"}


class MigStrategy(StrEnum):
    """How the NVIDIA device plugin advertises MIG slices.

    ``MIXED``: each profile under its own name, ``nvidia.com/mig-<profile>``. ``SINGLE``: under ``nvidia.com/gpu``, where all
    GPUs of a node are partitioned in the same way; node labels distinguish the slices.
    """

    MIXED = "mixed"
    SINGLE = "single"


class DevicePlugin(msgspec.Struct, frozen=True, cache_hash=True):
    """The settings of the device plugins that affect resource names and labels.

    Attributes:
        rename_by_default: what the NVIDIA device plugin shares is called ``….shared``.
        mig_strategy: how it advertises MIG slices.
        products: the GPU models with MIG, as the label ``nvidia.com/gpu.product`` names them without a suffix. Under MIG
            strategy *single* they identify slices exactly; without them, slices are identified by their size.
        gke_autopilot: the cluster is GKE Autopilot, which does not permit node affinity on the labels of GKE's forms.
    """

    rename_by_default: bool = True
    mig_strategy: MigStrategy = MigStrategy.MIXED
    products: tuple[str, ...] = ()
    gke_autopilot: bool = False

    @property
    def single(self) -> bool:
        """Whether MIG slices are advertised as ``nvidia.com/gpu``."""
        return self.mig_strategy is MigStrategy.SINGLE

    def resource(self, form: Form) -> str:
        """The resource under which the NVIDIA device plugin advertises a form."""
        partition = None if self.single else form.partition
        return resource_name(partition, shared=form.shared and self.rename_by_default)


def strategy_label(partition: str | None) -> str:
    """The label that states how nodes share what is advertised as ``nvidia.com/gpu``, or as slices of a profile."""
    return f"{PREFIX}mig-{partition}.sharing-strategy" if partition else STRATEGY


def replicas_label(partition: str | None) -> str:
    """The label with the number of slots of each of these GPUs or slices; 1 or 0 if they are not shared."""
    return f"{PREFIX}mig-{partition}.replicas" if partition else f"{PREFIX}gpu.replicas"


class Spelling(msgspec.Struct, frozen=True, cache_hash=True):
    """A form's resource name, the node labels that it needs, and those that it implies.

    ``needs`` are written into the pod. ``implies`` are never written: they are true of every node that has the form, so a
    pod that excludes them can never run. ``products`` are the values of the label ``nvidia.com/gpu.product`` of such nodes.
    """

    resource: str
    needs: tuple[Need, ...] = ()
    implies: tuple[Need, ...] = ()
    products: ProductNames = ProductNames()

    def beside(self, nodes: NodeConstraints) -> "Spelling":
        """The spelling in a pod with these constraints.

        A pod that selects products selects those of the form, or gets them: no other label is needed for its slices. If it
        permits other products too, it is narrowed to those of the form.
        """
        implied = [need for need in self.needs if need.key in _IMPLIED_BY_PRODUCT]
        if not implied or not selects_products(nodes):
            return self
        selected = [value for value in nodes.values(PRODUCT) if not read_product(value).invalid]  # those offer no GPU
        fitting = tuple(dict.fromkeys(filter(None, map(self.products.of, selected))))
        if selected and not fitting:
            return self
        needs = [need for need in self.needs if need.key not in _IMPLIED_BY_PRODUCT]
        if not all(map(self.products.of, selected)):
            needs.append(Need(PRODUCT, "In", fitting, in_affinity=True))
        implies = (*self.implies, *(need for need in implied if need.key != PRODUCT))
        return replace(self, needs=tuple(needs), implies=implies)

    def replacing(self) -> "Spelling":
        """The same for a request that stated another form: the products that it selects are replaced."""
        return replace(self, products=replace(self.products, replaces=True))


_IMPLIED_BY_PRODUCT = frozenset({PRODUCT, *SLICE_LABELS})


@lru_cache(maxsize=1024)
def spell(form: Form, plugin: DevicePlugin) -> Spelling:
    """The spelling of a form.

    Args:
        form: a form as policies name it, fully specified.
        plugin: with ``renameByDefault`` the resource's name distinguishes shared devices from whole ones; without it the node
            label ``sharing-strategy`` does, which GPU feature discovery sets per resource. With MIG strategy *mixed* the
            resource's name distinguishes slices from whole GPUs; with *single* other node labels do.
    """
    return _gke(form, plugin) if form.platform is Platform.GKE else _device_plugin(form, plugin)


def _gke(form: Form, plugin: DevicePlugin) -> Spelling:
    """Return the labels that GKE gives its nodes, and those that they must not have.

    Without the latter a pod for slices fits nodes that share slices too, and a pod for shared GPUs fits shared slices.
    Autopilot permits node affinity on only a few labels ("Autopilot allows node affinity only on labels with keys: …").
    """
    selectors = []
    if form.partition:
        selectors.append(Need(GKE_PARTITION, "In", (form.partition,)))
    if form.shared:
        selectors.append(Need(GKE_SHARING, "In", (GKE_STRATEGIES[form.sharing],)))
        selectors.append(Need(GKE_CLIENTS, "In", (str(form.clients),)))
    selected = {need.key for need in selectors}
    lacking = [Need(key, "DoesNotExist") for key in GKE_KEYS if key not in selected]
    written = [need for need in lacking if need.key != GKE_CLIENTS and not plugin.gke_autopilot]
    implied = [need for need in lacking if need not in written]
    products = ProductNames(partition=form.partition, shared=form.shared)
    return Spelling(GPU, (*selectors, *written), (*implied, Need(STRATEGY, "DoesNotExist")), products)


def _device_plugin(form: Form, plugin: DevicePlugin) -> Spelling:
    advertised = None if plugin.single else form.partition
    strategy = strategy_label(advertised)
    means = SHARED_STRATEGIES if form.sharing is Sharing.ANY else (form.sharing.value,)
    of_sharing = Need(strategy, "In", means) if form.shared else Need(strategy, "NotIn", SHARED_STRATEGIES)
    named_by_resource = plugin.rename_by_default and form.sharing in (Sharing.NONE, Sharing.ANY)
    suffix = SHARED_SUFFIX if form.shared and not plugin.rename_by_default else ""
    models = None
    needs = [] if named_by_resource else [of_sharing]
    implies = [of_sharing] if named_by_resource else []
    if form.shared:
        implies.append(Need(replicas_label(advertised), "NotIn", ("0", "1")))
    if form.partition and form.shared:
        # The device plugin has no MPS on slices (k8s-device-plugin internal/plugin/mps.go).
        implies.append(Need(strategy, "NotIn", (Sharing.MPS.value,)))
    if not (plugin.single and form.partition):
        implies.append(Need(COMPUTE_SLICES, "DoesNotExist"))
    if not plugin.single:
        implies.append(Need(GPU_SLICES, "DoesNotExist"))
        suffix = "" if form.partition else suffix
    elif form.partition is None:
        needs.append(Need(GPU_SLICES, "DoesNotExist"))
    else:
        suffix, models = f"-MIG-{form.partition}{suffix}", plugin.products
        labels = slice_labels(form.partition)
        named = ProductNames(suffix, models, form.partition).values
        needs += [Need(PRODUCT, "In", named, in_affinity=True)] if named else labels
        implies += labels if named else ()
    implies += [Need(key, "DoesNotExist") for key in GKE_KEYS]
    implies += [*_capabilities(form, plugin), _configurations(form, plugin)]
    products = ProductNames(suffix, models, form.partition, form.shared)
    return Spelling(plugin.resource(form), tuple(needs), tuple(implies), products)


def _capabilities(form: Form, plugin: DevicePlugin) -> list[Need]:
    """Return the node labels by which GPU feature discovery shows a form's capabilities (internal/lm/mig-strategy.go, nvml.go).

    Slices are available by name, under strategy *mixed*, from nodes without feature discovery.
    """
    if form.partition is None:
        lacking = {Sharing.MPS: ["false"], Sharing.ANY: []}.get(form.sharing, ["true"])
        return [Need(MPS_CAPABLE, "NotIn", (value,)) for value in lacking]
    # Feature discovery fails on a node that has MIG on and is configured for MPS.
    without_mps = Need(MPS_CAPABLE, "NotIn", ("true",))
    if not plugin.single:
        strategies = (MigStrategy.SINGLE.value, "none")
        return [without_mps, Need(MIG_CAPABLE, "NotIn", ("false",)), Need(MIG_STRATEGY, "NotIn", strategies)]
    by_name = [Need(f"{PREFIX}mig-{form.partition}.{label}", "DoesNotExist") for label in _LABELS_BY_NAME]
    single = Need(MIG_STRATEGY, "In", (MigStrategy.SINGLE.value,))
    return [without_mps, Need(MIG_CAPABLE, "In", ("true",)), single, *by_name]


def _configurations(form: Form, plugin: DevicePlugin) -> Need:
    """The MIG configurations of the GPU operator that nodes of a form don't have.

    ``all-<profile>`` partitions all GPUs of a node equally, ``all-balanced`` into several profiles, which strategy *single* does
    not advertise, ``all-enabled`` leaves them uncut and unusable (mig-parted deployments/gpu-operator/config-default.yaml).
    Administrators may add others with any name.
    """
    others = [configuration_of(profile) for profile in DOCUMENTED if profile != form.partition]
    unequal = [] if form.partition and not plugin.single else ["all-balanced"]
    return Need(MIG_CONFIG, "NotIn", (*(["all-disabled"] if form.partition else []), "all-enabled", *unequal, *others))


def configuration_of(partition: str) -> str:
    """The MIG configuration that cuts all GPUs of a node into slices of one profile."""
    return f"all-{partition}"


@lru_cache(maxsize=1024)
def slice_labels(partition: str) -> tuple[Need, ...]:
    """The node labels of slices of a profile under MIG strategy *single*: how many parts of the GPU, and how much memory.

    GPU feature discovery internal/lm/resource.go. Profiles that differ by a suffix only have the same.
    """
    slices = str(read_profile(partition).slices)
    bounds = zip(("Gt", "Lt"), memory_bounds(partition), strict=True)
    return (
        Need(GPU_SLICES, "In", (slices,), in_affinity=True),
        Need(COMPUTE_SLICES, "In", (slices,), in_affinity=True),
        *(Need(MEMORY, operator, (str(bound),)) for operator, bound in bounds if bound is not None),
    )


def ambiguous(form: Form, plugin: DevicePlugin) -> str | None:
    """Why no nodes of a form are known, or can be distinguished from others, under the device plugin's settings, or ``None``."""
    if not plugin.single or form.partition is None or form.platform is Platform.GKE:
        return None
    if plugin.products and all(lacks(model, form.partition) for model in plugin.products):
        return (
            f'"{form}" has no nodes under migStrategy single: {lacking(plugin.products[0], form.partition)}, nor has any other '
            "model that devicePlugin.products lists; use a profile of a listed model, or add the model that has it to "
            "devicePlugin.products"
        )
    suffix = read_profile(form.partition).suffix
    if not suffix or any(need.key == PRODUCT for need in spell(form, plugin).needs):
        return None
    if plugin.products:
        return (
            f'"{form}" has no nodes under migStrategy single: with its suffix, every label value of devicePlugin.products would '
            f"have more than {LONGEST_VALUE} characters; use a form without {suffix}"
        )
    return (
        f'"{form}" needs devicePlugin.products under migStrategy single: only product names distinguish slices '
        f"of {form.partition} from those of {form.partition.removesuffix(suffix)}"
    )


def selects_products(nodes: NodeConstraints) -> bool:
    """Whether a pod runs on nodes of certain products only, each written down."""
    return nodes.mentions(PRODUCT) and not nodes.permits(PRODUCT, OTHER) and not nodes.permits(PRODUCT, ABSENT)


def shares(key: str, value: str) -> bool:
    """Whether a node label is only on nodes that share their GPUs."""
    if key == PRODUCT:
        return read_product(value).shared
    return key in (GKE_SHARING, GKE_CLIENTS) or (key == STRATEGY and value in SHARED_STRATEGIES)
