"""Offers: which smaller forms the nodes have, each with what a pod gets of a GPU there."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec

from ...engine.device_classes import admits, named_form
from ...engine.fleet.devices import Devices
from ...engine.fleet.fleet import Fleet, UnschedulableReason
from ...engine.fleet.fleet_findings import plain_request_unschedulable
from ...engine.fleet.node_shapes import GKE_ACCELERATOR, Shape
from ...engine.forms import Form, Platform, Sharing, parse
from ...engine.gpu_models import sizes_of
from ...engine.mig_memory import lowest_memory, without_suffix
from ...engine.mig_profiles import read_profile
from ...engine.policy import Policy
from ...engine.products import PRODUCT, read_product
from ...engine.quantity import whole
from ...engine.resources import PREFIX
from ...engine.spelling import MEMORY, DevicePlugin, replicas_label

# https://cloud.google.com/kubernetes-engine/docs/how-to/gpus: values of the label, with the models as drivers call them.
_GKE_MODELS = {
    "nvidia-tesla-t4": "Tesla-T4",
    "nvidia-l4": "L4",
    "nvidia-tesla-a100": "A100-SXM4-40GB",
    "nvidia-a100-80gb": "A100-SXM4-80GB",
    "nvidia-h100-80gb": "H100-80GB-HBM3",
    "nvidia-h100-mega-80gb": "H100-80GB-HBM3",
    "nvidia-h200-141gb": "H200",
    "nvidia-b200": "B200",
    "nvidia-rtx-pro-6000": "RTX-PRO-6000-Blackwell-Server-Edition",
}
# Streaming multiprocessors (SMs) of models, of their slices of one to four parts (less than their part of the GPU, or more), and
# of those of one part with the memory of two (1g.20gb), which on an H100 other than PCIe have more SMs than one part.
# NVIDIA MIG user guide, tables of profiles ("SM" of nvidia-smi mig -lgip), and the same listing of H100 PCIe, H100 NVL and GH200
# nodes. H200: as the H100 and GH200, which are the same chip.
_MULTIPROCESSORS = (
    ("A[18]00-.*|A100X", 108, (14, 28, 42, 56), 14),
    ("H[18]00-(.*HBM3|NVL)|G?H200(-.*)?", 132, (16, 32, 60, 64), 26),
    ("H[18]00-PCIe", 114, (14, 30, 46, 62), 14),
)
# Those of further models, whose slices are known only from nodes: multiProcessorCount of CUDA's device properties.
_MULTIPROCESSORS_OF_GPUS = (("A30", 56), ("B200", 148), ("RTX-PRO-6000-Blackwell-.*", 188))
_PRODUCT = "gpu.nvidia.com/productName"  # of a device of NVIDIA's DRA driver
_ANY_SHARING = Form(sharing=Sharing.ANY)
_USUAL_SLICES = 7  # compute slices of a GPU; a profile of the whole GPU has as many


def model_of(name: str) -> str:
    """A GPU model without its maker, whether it comes from a node's label or an exporter: ``A100-SXM4-80GB``."""
    return name.strip().replace(" ", "-").removeprefix("NVIDIA-")


def model_of_shape(shape: Shape) -> str:
    """The model of a node's GPUs; empty if no label names it."""
    if product := shape.labels.get(PRODUCT):
        return model_of(read_product(product).model)
    return _GKE_MODELS.get(shape.labels.get(GKE_ACCELERATOR, ""), "")


def slices_of(model: str) -> int:
    """How many compute slices a GPU model has: 7, or 4 (NVIDIA MIG user guide, "Supported MIG Profiles")."""
    sizes = sizes_of(model)
    return max((read_profile(one).slices for one in sizes), default=_USUAL_SLICES) if sizes else _USUAL_SLICES


@lru_cache(maxsize=1024)
def share_of(profile: str, model: str) -> float:
    """The share of a GPU's compute that a MIG profile has: by multiprocessors if they are known, else by slices.

    For an unknown model with seven slices, it is the smallest share of any known model: no model has exact sevenths.
    """
    slices, every = read_profile(profile).slices, slices_of(model)
    has_memory_of_two = slices == 1 and without_suffix(f"2{profile[1:]}") in (sizes_of(model) or ())
    known = [each for each in _MULTIPROCESSORS if re.fullmatch(each[0], model)] or _MULTIPROCESSORS
    shares = (
        (with_memory_of_two if has_memory_of_two else parts[slices - 1]) / whole_gpu
        for _, whole_gpu, parts, with_memory_of_two in known
        if slices <= len(parts) and every == _USUAL_SLICES
    )
    return min(shares, default=slices / every)


def _stated_share(form: Form, model: str, shape: Shape) -> float | None:
    """The share of a GPU's compute that a MIG form has by the labels of a node; ``None`` if it does not follow from them."""
    known = (*((names, whole_gpu) for names, whole_gpu, _, _ in _MULTIPROCESSORS), *_MULTIPROCESSORS_OF_GPUS)
    whole_gpu = next((number for names, number in known if re.fullmatch(names, model)), None)
    number = _labelled(form, shape, "multiprocessors")
    if not (form.partition and whole_gpu and number) or number > whole_gpu:
        return None
    # The slice that is a whole GPU has fewer on an A100: 98.
    return number / whole_gpu if read_profile(form.partition).slices < slices_of(model) else None


class Slice(msgspec.Struct, frozen=True):
    """A MIG form that is offered.

    Attributes:
        share: its share of a GPU's compute; the smallest of the models that offer it.
        shares: by model, the least that the labels of its nodes say.
        memory: its memory in MiB: the lowest value that nodes report or that was measured; ``None`` without either.
        models: the models that offer it, "" among them if a node does not report its own; none for one that is only expected.
    """

    form: Form
    share: float
    memory: int | None
    models: frozenset[str] = frozenset()
    shares: Mapping[str, float] = {}


class SharedForm(msgspec.Struct, frozen=True):
    """A form of sharing that is offered.

    Attributes:
        clients: how many pods share a GPU at most, 0 if that is not known.
        memory: the minimum memory of such a GPU in MiB; ``None`` if no node reports it.
        models: the models that are shared in this form, as in ``models`` of a slice.
    """

    form: Form
    clients: int
    memory: int | None = None
    models: frozenset[str] = frozenset()


T = TypeVar("T", Slice, SharedForm)


class Offers(msgspec.Struct, frozen=True):
    """The forms below a whole GPU that nodes offer.

    Attributes:
        slices: MIG forms, the smallest first.
        shared: forms of sharing of whole GPUs.
        memory: the memory of a whole GPU in MiB, by model.
        is_known: whether the nodes are known at all.
        mismatched: forms that nodes have, but under other names or labels than those that policies request, because the
            configuration states other settings of the device plugin.
        used_models: the models that were used, which need not be those that nodes state.
    """

    slices: tuple[Slice, ...] = ()
    shared: tuple[SharedForm, ...] = ()
    memory: Mapping[str, int] = {}
    is_known: bool = False
    mismatched: frozenset[str] = frozenset()
    used_models: frozenset[str] = frozenset()

    @property
    def every(self) -> "tuple[Slice | SharedForm, ...]":
        """Slices and shared forms."""
        return (*self.slices, *self.shared)

    def share_of(self, profile: str, model: str) -> float:
        """The share of a GPU's compute that a MIG profile has on a model: by the nodes' labels, else as ``share_of``."""
        slices = (one for one in self.slices if one.form.partition == profile.replace("+", "."))
        return next((one.shares[model] for one in slices if model in one.shares), None) or share_of(profile, model)

    def lacks(self, form: str) -> bool:
        """Whether nodes have a form, and none of them runs the pods that a policy gives it."""
        return form in self.mismatched and all(str(one.form) != form for one in self.every)

    def settled(self, form: Form) -> Form:
        """The form itself, or instead of ``shared`` the one kind of sharing that there is."""
        kinds = [one.form for one in self.shared if one.form.meet(form)]
        return kinds[0] if form == _ANY_SHARING and len(kinds) == 1 else form


def offers(
    shapes: Mapping[Shape, int] | None,
    expected: Iterable[Form],
    plugin: DevicePlugin,
    used: Iterable[str] = (),
    of_classes: Iterable[tuple[Form, str]] = (),
) -> Offers:
    """Return what nodes offer.

    Args:
        shapes: the nodes; ``None`` if they are not known.
        expected: further forms that count as offered.
        plugin: the settings of the device plugin that the configuration states.
        used: the models that were used.
        of_classes: forms of DeviceClasses, as of ``offered_by_classes``.
    """
    mismatched: set[str] = set()
    found: list[tuple[Form, str, Shape | None]] = []
    slices: dict[Form, Slice] = {}
    shared: dict[Form, SharedForm] = {}
    for shape in shapes or ():
        model = model_of_shape(shape)
        for form in shape.forms.values():
            if (form.partition or form.shared) and not _runs_on(form, shape, plugin):
                mismatched.add(str(form))
            else:
                found.append((form, model, shape))
    found += ((form, model, None) for form, model in of_classes)
    for form, model, of_shape in found:
        if form.partition and not form.shared:
            one = _slice(form, model, of_shape)
            slices[form] = _least(slices[form], one) if form in slices else one
        elif form.shared and not form.partition:
            shares = _shared(form, model, of_shape)
            shared[form] = _both(shared[form], shares) if form in shared else shares
    for form in expected:
        if form.partition and not form.shared:
            slices.setdefault(form, msgspec.structs.replace(_slice(form, "", None), models=frozenset()))
        elif form.shared and not form.partition:
            shared.setdefault(form, SharedForm(form, form.clients or 0))
    ordered = sorted(slices.values(), key=lambda one: (one.share, one.memory or 0, str(one.form)))
    every = sorted(shared.values(), key=lambda one: str(one.form))
    known = shapes is not None
    return Offers(tuple(ordered), tuple(every), _memory(shapes or ()), known, frozenset(mismatched), frozenset(used))


def _memory(shapes: Iterable[Shape]) -> dict[str, int]:
    """The least memory that nodes with whole GPUs, shared or not, report of each model, in MiB."""
    found: dict[str, int] = {}
    for shape in shapes:
        amount = whole(shape.labels.get(MEMORY))
        if amount and not all(form.partition for form in shape.forms.values()):
            model = model_of_shape(shape)
            found[model] = min(found.get(model, amount), amount)
    return found


def offered_by_classes(devices: Devices, plugin: DevicePlugin) -> frozenset[tuple[Form, str]]:
    """The forms that pods get by the resource names of DeviceClasses, each with a GPU model of its devices.

    A form that policies select by node labels is not among them, nor one of a class whose selectors can't be read.
    """
    found = set[tuple[Form, str]]()
    for one in devices.classes:
        form = parse(named_form(one.resource) or "")
        fleet = Fleet({}, classes=(one.resource,))
        if form and plain_request_unschedulable(Policy(str(form), (form,)), plugin, fleet) is None:
            own = (device.attributes for device in devices.devices if admits(one.selectors, device.attributes))
            found.update((form, model_of(str(each.get(_PRODUCT, "")))) for each in own)
    return frozenset(found)


def _runs_on(form: Form, shape: Shape, plugin: DevicePlugin) -> bool:
    """Whether such a node, if it takes pods, runs those that a policy gives a form."""
    lacking = plain_request_unschedulable(Policy(str(form), (form,)), plugin, Fleet({shape: 1}))
    return lacking is None or lacking[1].reason is UnschedulableReason.UNAVAILABLE


def of_a_model(one: Slice, model: str) -> Slice:
    """A slice with the share of compute that it has on a model; unchanged if the model is not known."""
    assert one.form.partition  # noqa: S101 - what has one is a slice
    share = one.shares.get(model) or share_of(one.form.partition, model)
    return msgspec.structs.replace(one, share=share) if model else one


def _shared(form: Form, model: str, shape: Shape | None) -> SharedForm:
    labels = shape.labels if shape else {}
    clients = form.clients or whole(labels.get(replicas_label(None))) or 0
    return SharedForm(form, clients, whole(labels.get(MEMORY)), frozenset({model}))


def _both(one: SharedForm, other: SharedForm) -> SharedForm:
    """The worst case of two offers of one form: the larger number of pods that share a GPU, and the smaller memory."""
    known = [amount for amount in (one.memory, other.memory) if amount]
    return SharedForm(one.form, max(one.clients, other.clients), min(known, default=None), one.models | other.models)


def _slice(form: Form, model: str, shape: Shape | None) -> Slice:
    assert form.partition  # noqa: S101 - every slice has a profile
    memory = (shape and _labelled(form, shape, "memory")) or lowest_memory(form.partition, [model] if model else ())
    share = shape and _stated_share(form, model, shape)
    return Slice(
        form,
        share or share_of(form.partition, model),
        memory,
        frozenset({model}),
        {model: share} if share else {},
    )


def _labelled(form: Form, shape: Shape, what: str) -> int | None:
    """What the labels of a node state about a slice: its ``memory`` in MiB, or its ``multiprocessors``.

    Under MIG strategy mixed each profile has its labels; under single, the GPU's labels are the slice's.
    """
    single = read_product(shape.labels.get(PRODUCT, "")).partition
    return whole(shape.labels.get(f"{PREFIX}{'gpu' if single else f'mig-{form.partition}'}.{what}"))


def _least(one: Slice, other: Slice) -> Slice:
    both = one.memory is not None and other.memory is not None
    memory = min(one.memory or 0, other.memory or 0) if both else None
    shares = {
        model: min(each.shares[model] for each in (one, other) if model in each.shares)
        for model in {*one.shares, *other.shares}
    }
    return Slice(one.form, min(one.share, other.share), memory, one.models | other.models, shares)


def without(offered: Offers, unreachable: Collection[tuple[str, str]]) -> Offers:
    """Return offers without forms, each with a GPU model, that a workload can't get."""

    def left(forms: Iterable[T]) -> tuple[T, ...]:
        reduced = (
            msgspec.structs.replace(
                one, models=one.models - {model for form, model in unreachable if form == str(one.form)}
            )
            for one in forms
        )
        return tuple(new for new, one in zip(reduced, forms, strict=True) if new.models or not one.models)

    if not unreachable:
        return offered
    return msgspec.structs.replace(offered, slices=left(offered.slices), shared=left(offered.shared))


def of_model(offered: Offers, model: str, forms: Iterable[T]) -> Iterator[T]:
    """Yield the forms to compare with measurements on a GPU model: those of the model, and those that are only expected.

    Models that are not known (empty) count as the same model if at most one is known.
    """
    models = frozenset({model, *offered.memory, *offered.used_models}).union(
        *(each.models for each in offered.slices), *(each.models for each in offered.shared)
    )
    is_one = len(models - {""}) <= 1
    for one in forms:
        if not one.models or (model and model in one.models) or (is_one and (not model or "" in one.models)):
            yield one


def fitting(offered: Offers, model: str, share: float, memory: float) -> Iterator[Slice]:
    """Yield the slices, the smallest first, of the same model, that have this share of compute and this much memory."""
    for one in of_model(offered, model, offered.slices):
        if one.share >= share and (one.memory or 0) >= memory:
            yield one


def shared_form(offered: Offers, model: str, *, bursty: bool, gke: bool) -> SharedForm | None:
    """The offered form of sharing of a model that suits best: time-slicing for bursts, MPS for steady use, or the offered one."""
    wanted = Sharing.TIME_SLICING if bursty else Sharing.MPS
    comparable = list(of_model(offered, model, offered.shared))
    there = [one for one in comparable if (one.form.platform is Platform.GKE) == gke] or comparable
    return max(there, key=lambda one: (one.form.sharing is wanted, one.form.sharing is Sharing.ANY), default=None)
