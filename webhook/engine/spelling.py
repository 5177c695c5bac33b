"""Spellings: what a form looks like in a pod, under the device plugin's settings."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.nodes import ABSENT, OTHER, Label, NodeConstraints
from webhook.engine.pods import Expression
from webhook.engine.profiles import PROFILE
from webhook.engine.resources import GPU, PREFIX, resource_name

# NVIDIA GPU feature discovery, docs/gpu-feature-discovery/README.md
STRATEGY = "nvidia.com/gpu.sharing-strategy"
PRODUCT = "nvidia.com/gpu.product"
SHARED_STRATEGIES = (Sharing.TIME_SLICING.value, Sharing.MPS.value)
# https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
GKE_KEYS = (GKE_SHARING, GKE_CLIENTS, GKE_PARTITION)
# Every label that tells forms apart begins with one of these.
LABELS_OF_FORMS = (PREFIX, "cloud.google.com/gke-")
GKE_STRATEGIES = {Sharing.TIME_SLICING: "time-sharing", Sharing.MPS: "mps"}


def strategy_label(partition: str | None) -> str:
    """The label under which GPU feature discovery tells how nodes share a resource: whole GPUs, or slices of a profile."""
    return f"{PREFIX}mig-{partition}.sharing-strategy" if partition else STRATEGY


_PRODUCT = re.compile(rf"(?P<base>.+?)(?:-MIG-(?P<partition>{PROFILE}))?(?P<shared>-SHARED)?")


class DevicePlugin(msgspec.Struct, frozen=True, cache_hash=True):
    """The device plugin's own settings, by their own names, where they change a spelling."""

    rename_by_default: bool = True


class Need(msgspec.Struct, frozen=True, cache_hash=True):
    """A node label that a form needs; a nodeSelector where ``operator`` is ``In`` with one value."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    @property
    def is_selector(self) -> bool:
        """Whether a nodeSelector can say it."""
        return self.operator == "In" and len(self.values) == 1

    @property
    def expression(self) -> Expression:
        """As a node selector requirement."""
        return Expression(self.key, self.operator, list(self.values) or None)

    def admits(self, value: str | None) -> bool:
        """Whether a node with this value of the label will do."""
        if self.operator == "DoesNotExist":
            return value is ABSENT
        return (value in self.values) == (self.operator == "In")

    def is_met_by(self, nodes: NodeConstraints) -> bool:
        """Whether the pod's own constraints let no other node through."""
        if not nodes.mentions(self.key):
            return nodes.nowhere
        return nodes.nowhere or not any(
            label.admits(value) and not self.admits(value)
            for label in nodes.labels(self.key)
            for value in _cases(label, self)
        )

    def __str__(self) -> str:
        if self.is_selector:
            return f"{self.key}: {self.values[0]}"
        return (
            f"{self.key} {self.operator} [{', '.join(self.values)}]" if self.values else f"{self.key} {self.operator}"
        )


def possible(needs: Iterable[Need], nodes: NodeConstraints) -> bool:
    """Whether the pod's own constraints let any node through that has all of what is needed."""
    needed: dict[str, list[Need]] = {}
    for need in needs:
        needed.setdefault(need.key, []).append(need)
    in_question = [key for key, together in needed.items() if len(together) > 1 or nodes.mentions(key)]
    return any(
        all(_fits(needed[key], label) for key, label in zip(in_question, labels, strict=True))
        for labels in nodes.alternatives(in_question)
    )


def _fits(needs: Sequence[Need], label: Label) -> bool:
    """Whether some value of a label is let through and will do for all that is needed of it."""
    return any(label.admits(value) and all(need.admits(value) for need in needs) for value in _cases(label, *needs))


def _cases(label: Label, *needs: Need) -> list[str | None]:
    """The values that tell constraints apart: those that someone writes down, one that stands for all others, and none."""
    return [ABSENT, OTHER, *(label.listed or ()), *(value for need in needs for value in need.values)]


class Spelling(msgspec.Struct, frozen=True, cache_hash=True):
    """A form's resource name, the node labels it needs, and the node labels it merely goes with.

    ``needs`` are written into the pod. ``implies`` are never written: they are true of every node that has the form, so a
    pod that excludes them can never run.
    """

    resource: str
    needs: tuple[Need, ...] = ()
    implies: tuple[Need, ...] = ()
    product_suffix: str = ""


@lru_cache(maxsize=1024)
def spell(form: Form, plugin: DevicePlugin) -> Spelling:
    """The spelling of a form.

    Args:
        form: a form as policies name it, nothing left open.
        plugin: with ``renameByDefault`` the resource's name tells shared devices from whole ones; without it the node
            label ``sharing-strategy`` does, which GPU feature discovery sets per resource (``nvidia.com/gpu.…`` for whole
            GPUs, ``nvidia.com/mig-<profile>.…`` for slices).
    """
    return _gke(form) if form.platform is Platform.GKE else _device_plugin(form, plugin)


def _gke(form: Form) -> Spelling:
    needs = []
    if form.partition:
        needs.append(Need(GKE_PARTITION, "In", (form.partition,)))
    if form.shared:
        needs.append(Need(GKE_SHARING, "In", (GKE_STRATEGIES[form.sharing],)))
        needs.append(Need(GKE_CLIENTS, "In", (str(form.clients),)))
    if not needs:
        needs += [Need(GKE_SHARING, "DoesNotExist"), Need(GKE_PARTITION, "DoesNotExist")]
    needed = {need.key for need in needs}
    implies = [Need(key, "DoesNotExist") for key in GKE_KEYS if key not in needed]
    return Spelling(GPU, tuple(needs), (*implies, Need(STRATEGY, "DoesNotExist")))


def _device_plugin(form: Form, plugin: DevicePlugin) -> Spelling:
    renamed = form.shared and plugin.rename_by_default
    strategy = strategy_label(form.partition)
    means = SHARED_STRATEGIES if form.sharing is Sharing.ANY else (form.sharing.value,)
    of_form = Need(strategy, "In", means) if form.shared else Need(strategy, "NotIn", SHARED_STRATEGIES)
    named_by_resource = plugin.rename_by_default and form.sharing in (Sharing.NONE, Sharing.ANY)
    not_gke = tuple(Need(key, "DoesNotExist") for key in GKE_KEYS)
    suffix = "-SHARED" if form.shared and not renamed and not form.partition else ""
    return Spelling(
        resource_name(form.partition, shared=renamed),
        () if named_by_resource else (of_form,),
        (of_form, *not_gke) if named_by_resource else not_gke,
        suffix,
    )


def read_product(value: str) -> tuple[str, str | None, bool]:
    """What a ``nvidia.com/gpu.product`` value says: the product, the MIG profile and whether it is shared.

    GPU feature discovery appends ``-MIG-<profile>`` under MIG strategy *single* and ``-SHARED`` where sharing does not
    rename the resource (internal/lm/resource.go).
    """
    match = _PRODUCT.fullmatch(value)
    return (match["base"], match["partition"], match["shared"] is not None) if match else (value, None, False)
