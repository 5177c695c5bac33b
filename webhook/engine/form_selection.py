"""Form selection: the form that requests name, by resource and the pod's selectors, and the form that they get under a policy.

A plain request names no form.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from .forms import Form, Platform, Sharing, meet_sharing
from .mig_profiles import DOCUMENTED, PROFILE
from .node_constraints import ABSENT, OTHER, Need, NodeConstraints, fits
from .policy import Mismatch, Policy
from .products import PRODUCT, read_product
from .requests import Amount, GpuContainer
from .resources import GPU, GpuResource
from .rules.placement import incompatible
from .spelling import (
    COMPUTE_SLICES,
    GKE_CLIENTS,
    GKE_KEYS,
    GKE_PARTITION,
    GKE_SHARING,
    GKE_STRATEGIES,
    GPU_SLICES,
    MIG_CONFIG,
    MPS_CAPABLE,
    SLICE_LABELS,
    DevicePlugin,
    configuration_of,
    replicas_label,
    selects_products,
    slice_labels,
    spell,
    strategy_label,
)

_CONFIGURATION = re.compile(configuration_of(f"(?P<profile>{PROFILE})"))


class Statements:
    """The forms that requests name, given the selectors of a pod."""

    def __init__(self, nodes: NodeConstraints, plugin: DevicePlugin, listed: tuple[Form, ...] = ()) -> None:
        """Take the selectors.

        ``listed`` are the forms of the policy. Node labels with a slice's size name the first profile that fits. A pod that
        only excludes some of GKE's nodes does not name a form.
        """
        self._nodes = nodes
        self._known = tuple(dict.fromkeys(form.partition for form in listed if form.partition)) if plugin.single else ()
        self._slices = (_slices(nodes, self._known) if plugin.single else None) or _configured(nodes)
        self._gke = _gke(nodes, listed)
        self._lists_gke = any(form.platform is Platform.GKE for form in listed)
        self._on_gke: dict[str | None, list[Form]] = {}
        for form in self._gke:
            self._on_gke.setdefault(form.partition, []).append(form)
        self._named, self.models = _products(nodes)

    def of(self, resource: GpuResource) -> tuple[Form, ...]:
        """The forms that a request names; none for a plain request (any GPU).

        Several where selectors list alternatives (``gke-gpu-partition-size In [1g.5gb, 2g.10gb]``): the pod accepts any of
        them.
        """
        if self._gke and resource.name == GPU:
            meant = self._lists_gke or any(not self._nodes.permits(key, ABSENT) for key in GKE_KEYS)
            # On other platforms, labels of the device plugin's nodes are more specific than the exclusion of some of GKE's
            # nodes.
            return self._gke if meant else self._gpu(resource) or self._gke
        by_name = _mig(resource.partition, resource, self._nodes) if resource.partition else self._gpu(resource)
        # GKE never renames a resource: a renamed resource with GKE's selectors names a GKE form only if both mean the same.
        agreed = (
            form.meet(gke, across_platforms=True) for form in by_name for gke in self._on_gke.get(form.partition, ())
        )
        return tuple(form for form in agreed if form) or by_name

    def in_part(self, resource: GpuResource) -> tuple[Form, ...]:
        """The forms that some of the pod's products name, if it permits models as well (``In [A100-MIG-2g.10gb, Tesla-T4]``).

        Such a request is for one of these forms, or for any form of one of the ``models``. Called if it names nothing else.
        """
        return self._of_products(resource, None) if resource.name == GPU and self.models else ()

    def names_only_a_partition(self, resource: GpuResource) -> bool:
        """Whether a request names a MIG profile, but neither it nor the pod names the sharing."""
        if resource.shared:
            return False
        if resource.partition is None:
            named = bool(self._slices) and self._slices != (None,) and not self._products
            return named and _said_to_share(self._nodes, None) is None
        if resource.partition in self._on_gke:
            return False
        return _said_to_share(self._nodes, resource.partition) is None

    def _gpu(self, resource: GpuResource) -> tuple[Form, ...]:
        """The forms of ``nvidia.com/gpu`` and its shared name: whole GPUs, unless product names or labels of slices differ.

        Under MIG strategy *single*, a request that only names the sharing may be for a GPU or for a slice.
        """
        strategy = _said_to_share(self._nodes, None)
        products = self._products
        if not resource.shared and strategy is None and not products and self._slices is None:
            return ()
        if products:
            return self._of_products(resource, strategy)
        slices = () if strategy is Sharing.MPS else self._known  # the device plugin has no MPS on slices
        partitions = (None, *slices) if self._slices is None else self._slices
        sharing = _combined(Sharing.ANY if resource.shared else None, strategy)
        return tuple(Form(partition, sharing) for partition in partitions)

    @property
    def _products(self) -> tuple[tuple[str | None, bool], ...]:
        """Return the forms that products name, if each of them names one."""
        return () if self.models else self._named

    def _of_products(self, resource: GpuResource, strategy: Sharing | None) -> tuple[Form, ...]:
        return tuple(
            Form(partition, _combined(Sharing.ANY if resource.shared or shared else None, strategy))
            for partition, shared in self._named
        )


def _mig(partition: str, resource: GpuResource, nodes: NodeConstraints) -> tuple[Form, ...]:
    strategy = _said_to_share(nodes, partition)
    return (Form(partition, _combined(Sharing.ANY if resource.shared else None, strategy)),)


def _slices(nodes: NodeConstraints, known: tuple[str, ...]) -> tuple[str | None, ...] | None:
    """The partitions that labels of slices name, ``(None,)`` for whole GPUs; ``None`` if they name none.

    They name the known profiles if they admit no other nodes; otherwise all known or documented profiles that they admit.
    """
    if not any(nodes.mentions(key) for key in (GPU_SLICES, COMPUTE_SLICES)):
        return None
    if nodes.permits(GPU_SLICES, ABSENT) and nodes.permits(COMPUTE_SLICES, ABSENT):
        return None if nodes.permits(GPU_SLICES, OTHER) or nodes.values(GPU_SLICES) else (None,)
    named = tuple(profile for profile in known if all(need.is_met_by(nodes) for need in slice_labels(profile)))
    return named or _let_through(nodes, dict.fromkeys((*known, *DOCUMENTED))) or None


def _configured(nodes: NodeConstraints) -> tuple[str, ...] | None:
    """The profiles into which the selected MIG configurations partition GPUs of a node; ``None`` if one is not of this kind."""
    if not nodes.mentions(MIG_CONFIG) or nodes.permits(MIG_CONFIG, ABSENT) or nodes.permits(MIG_CONFIG, OTHER):
        return None
    named = [_CONFIGURATION.fullmatch(value) for value in nodes.values(MIG_CONFIG)]
    return tuple(dict.fromkeys(match["profile"] for match in named if match)) if named and all(named) else None


def _let_through(nodes: NodeConstraints, profiles: Iterable[str]) -> tuple[str, ...]:
    """The profiles for whose slices some alternative admits a node. Each of the alternatives is read once."""
    of_slices: dict[str, dict[tuple[Need, ...], list[str]]] = {}
    for profile in profiles:
        (slices,), memory = slice_labels(profile)[0].values, slice_labels(profile)[2:]
        of_slices.setdefault(slices, {}).setdefault(memory, []).append(profile)
    found: set[str] = set()
    for gpu_slices, compute_slices, memory_label in nodes.alternatives(SLICE_LABELS):
        for slices, left in of_slices.items():
            if gpu_slices.admits(slices) and compute_slices.admits(slices):
                for memory in [memory for memory in left if fits(memory, memory_label)]:
                    found.update(left.pop(memory))
    return tuple(profile for profile in profiles if profile in found)


def _combined(named: Sharing | None, strategy: Sharing | None) -> Sharing:
    """The sharing that name and label define together. If they contradict, the name is used, and a rule denies the pod."""
    if named is None or strategy is None:
        return named or strategy or Sharing.NONE
    return meet_sharing(named, strategy) or named


def _sharing(nodes: NodeConstraints, key: str, time_slicing: str, none: str | None) -> Sharing | None:
    """Return the sharing strategy that the pod selects by a label; ``None`` if it selects none or an unknown one."""
    if not nodes.mentions(key):
        return None
    permitted = nodes.permits(key, time_slicing), nodes.permits(key, "mps")
    unshared = nodes.permits(key, ABSENT) or (none is not None and nodes.permits(key, none))
    if unshared:
        return None if any(permitted) else Sharing.NONE
    return {
        (True, True): Sharing.ANY,
        (True, False): Sharing.TIME_SLICING,
        (False, True): Sharing.MPS,
        (False, False): None,
    }[permitted]


def _said_to_share(nodes: NodeConstraints, partition: str | None) -> Sharing | None:
    """How GPUs, or slices of a profile, are shared according to selected labels of the device plugin; ``None`` if not shared."""
    strategy = _sharing(nodes, strategy_label(partition), "time-slicing", "none")
    if strategy in (None, Sharing.ANY) and partition is None and _selects_mps(nodes):
        return Sharing.MPS
    if strategy is None and _selects_replicas(nodes, replicas_label(partition)):
        return Sharing.ANY
    return strategy


def _selects_replicas(nodes: NodeConstraints, key: str) -> bool:
    """Whether a pod runs only on nodes with several slots of each GPU (GPU feature discovery internal/lm/resource.go)."""
    return nodes.mentions(key) and not any(nodes.permits(key, value) for value in (ABSENT, "0", "1"))


def _selects_mps(nodes: NodeConstraints) -> bool:
    """Whether a pod runs only on nodes that share by MPS according to feature discovery (internal/lm/nvml.go)."""
    return "true" in nodes.values(MPS_CAPABLE) and not any(
        nodes.permits(MPS_CAPABLE, value) for value in (ABSENT, OTHER, "false")
    )


def _products(nodes: NodeConstraints) -> tuple[tuple[tuple[str | None, bool], ...], tuple[str, ...]]:
    """The partitions and sharing that the product selector's suffixes name, and the permitted products without a suffix.

    Nodes with an invalid MIG configuration offer no GPU, so their product names no form.
    """
    if not selects_products(nodes):
        return (), ()
    every = [(value, read_product(value)) for value in nodes.values(PRODUCT)]
    offering = [(value, product) for value, product in every if not product.invalid]
    named = [(product.partition, product.shared) for _, product in offering if product.partition or product.shared]
    return tuple(dict.fromkeys(named)), tuple(v for v, product in offering if not (product.partition or product.shared))


def _gke(nodes: NodeConstraints, listed: tuple[Form, ...]) -> tuple[Form, ...]:
    if not any(nodes.mentions(key) for key in GKE_KEYS):
        return ()
    sharing = _sharing(nodes, GKE_SHARING, GKE_STRATEGIES[Sharing.TIME_SLICING], None)
    counts_clients = nodes.mentions(GKE_CLIENTS) and not nodes.permits(GKE_CLIENTS, ABSENT)
    partitions = _gke_partitions(nodes)
    if sharing is None and not counts_clients and partitions is None:
        return ()
    if not counts_clients and sharing in (None, Sharing.NONE) and partitions in (None, (None,)):
        # It only excludes nodes: those that share, or those with slices.
        left = (
            form
            for form in listed
            if form.platform is Platform.GKE and not ((sharing and form.shared) or (partitions and form.partition))
        )
        return tuple(dict.fromkeys(left)) or (Form(platform=Platform.GKE),)
    if sharing is None:
        sharing = Sharing.ANY if counts_clients else Sharing.NONE
    counts = nodes.values(GKE_CLIENTS) if counts_clients and not nodes.permits(GKE_CLIENTS, OTHER) else []
    number = counts[0] if len(counts) == 1 and counts[0].isascii() and counts[0].isdigit() else ""
    clients = int(number[:9]) if number and sharing is not Sharing.NONE else None
    return tuple(Form(partition, sharing, Platform.GKE, clients) for partition in partitions or (None,))


def _gke_partitions(nodes: NodeConstraints) -> tuple[str | None, ...] | None:
    """The partition sizes that the pod permits, ``(None,)`` for unpartitioned GPUs; ``None`` if it selects none."""
    if not nodes.mentions(GKE_PARTITION) or nodes.permits(GKE_PARTITION, OTHER):
        return None
    values = tuple(nodes.values(GKE_PARTITION))
    if nodes.permits(GKE_PARTITION, ABSENT):
        return None if values else (None,)
    return values or None


class How(StrEnum):
    """The way in which the form of a request was selected."""

    PLAIN = "plain"
    STATED = "stated"
    NARROWED = "narrowed"
    TRANSLATED = "translated"
    MISMATCHED = "mismatched"


class Choice(msgspec.Struct, frozen=True):
    """The forms that requests for a resource name in a pod, and the form that they get; ``None`` if none is permitted."""

    resource: GpuResource
    stated: tuple[Form, ...]
    form: Form | None
    how: How

    @property
    def replaces_spelling(self) -> bool:
        """Whether the requests named another form or platform, whose selectors have to be removed."""
        return self.how in (How.TRANSLATED, How.MISMATCHED)


class GpuRequest(msgspec.Struct, frozen=True, gc=False):
    """A well-formed request of one container, and the form that it gets."""

    gpu_container: GpuContainer
    amount: Amount
    choice: Choice


def choose(
    resources: Iterable[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> tuple[Choice, ...]:
    """Choose the form that requests get, under a policy that permits at least one form."""
    statements = Statements(nodes, plugin, policy.forms)
    choices = [_answer(resource, statements, policy, plugin) for resource in resources]
    if all(choice.stated for choice in choices):
        return tuple(choices)
    plain = _plain(policy, list(dict.fromkeys(choice.form for choice in choices if choice.form)), plugin)
    return tuple(choice if choice.stated else Choice(choice.resource, (), plain, How.PLAIN) for choice in choices)


def _answer(resource: GpuResource, statements: Statements, policy: Policy, plugin: DevicePlugin) -> Choice:
    """Return the forms that requests for a resource name, the form that they get, and how it was chosen."""
    stated = statements.of(resource)
    if not stated:
        in_part = () if policy.permits_any else statements.in_part(resource)
        if not in_part:
            return Choice(resource, (), None, How.PLAIN)
        return _in_part(resource, in_part, statements.models, policy, plugin)
    form, how = _explicit(stated, policy)
    if how is How.MISMATCHED and not plugin.rename_by_default and statements.names_only_a_partition(resource):
        # Shared slices then have the same name as unshared ones, so the name alone does not exclude sharing.
        shared, narrowed = _explicit(tuple(replace(form, sharing=Sharing.ANY) for form in stated), policy)
        if narrowed is not How.MISMATCHED:
            return Choice(resource, stated, shared, narrowed)
    return Choice(resource, stated, form, how)


def _in_part(
    resource: GpuResource, stated: tuple[Form, ...], models: tuple[str, ...], policy: Policy, plugin: DevicePlugin
) -> Choice:
    """Return the form for products that name forms, or otherwise for one of the models listed with them."""
    form, how = _explicit(stated, policy)
    if how is How.MISMATCHED:
        for listed in policy.forms:
            if any(map(spell(listed, plugin).products.of, models)):
                return Choice(resource, stated, listed, How.NARROWED)
    return Choice(resource, stated, form, how)


def _explicit(stated: tuple[Form, ...], policy: Policy) -> tuple[Form | None, How]:
    """The form that an explicit request gets, and how it was chosen.

    An explicit request is accepted if a listed form covers it, narrowed to a listed form that is more specific, or translated
    to the same form on the other platform. Otherwise it is denied, unless the policy rewrites.
    """
    if policy.permits_any:
        return next((form for form in stated if form.shared), stated[0]), How.STATED
    pairs = [(form, listed) for form in stated for listed in policy.forms]
    for form, listed in pairs:
        if form.meet(listed) == form:
            return form, How.STATED
    for form, listed in pairs:
        if met := form.meet(listed):
            return met, How.NARROWED
    for form, listed in pairs:
        if met := form.meet(listed, across_platforms=True):
            return met, How.TRANSLATED
    return (policy.forms[0] if policy.mismatch is Mismatch.REWRITE else None), How.MISMATCHED


def _plain(policy: Policy, explicit: list[Form], plugin: DevicePlugin) -> Form:
    """The policy's first form. In a pod with explicit requests, the first form that the same node can offer."""
    if policy.permits_any:
        return Form()
    if not explicit:
        return policy.forms[0]
    fits = (form for form in policy.forms if not any(incompatible(form, other, plugin) for other in explicit))
    return next(fits, policy.forms[0])
