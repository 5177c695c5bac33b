"""Offers: which smaller forms the nodes have, each with what a pod gets of a GPU there."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from ...engine.device_classes import admits, named_form
from ...engine.fleet.devices import Devices
from ...engine.fleet.fleet import Fleet, UnschedulableReason
from ...engine.fleet.fleet_findings import plain_request_unschedulable
from ...engine.fleet.node_shapes import Shape
from ...engine.forms import Form, Platform, Sharing, parse
from ...engine.mig_memory import lowest_memory
from ...engine.policy import Policy
from ...engine.quantity import whole
from ...engine.spelling import MEMORY, DevicePlugin, replicas_label
from .model_names import model_of, model_of_shape
from .slice_shares import labelled, share_of, stated_share

_PRODUCT = "gpu.nvidia.com/productName"  # of a device of NVIDIA's DRA driver
_ANY_SHARING = Form(sharing=Sharing.ANY)


class Slice(msgspec.Struct, frozen=True):
    """A MIG form that the nodes of one GPU model offer.

    Attributes:
        share: its share of a GPU's compute.
        memory: its memory in MiB: the lowest value that nodes report or that was measured; ``None`` without either.
        model: the GPU model, "" if the nodes do not report it; ``None`` for a form that is only expected.
    """

    form: Form
    share: float
    memory: int | None
    model: str | None = None


class SharedForm(msgspec.Struct, frozen=True):
    """A form of sharing that the nodes of one GPU model offer.

    Attributes:
        clients: how many pods share a GPU at most, 0 if that is not known.
        memory: the minimum memory of such a GPU in MiB; ``None`` if no node reports it.
        model: as that of a slice.
    """

    form: Form
    clients: int
    memory: int | None = None
    model: str | None = None


T = TypeVar("T", Slice, SharedForm)


class Offers(msgspec.Struct, frozen=True):
    """The forms below a whole GPU that nodes offer, each once for each GPU model.

    Attributes:
        slices: MIG forms, the smallest first.
        shared: forms of sharing of whole GPUs.
        memory: the memory of a whole GPU in MiB, by model.
        whole: the models of which nodes offer whole GPUs; ``None`` if the nodes are not known.
        mismatched: forms that nodes have, but under other names or labels than those that policies request, because the
            configuration states other settings of the device plugin.
        unavailable: forms that only nodes have that take no pods now.
        used_models: the models that were used, which need not be those that nodes state.
        stated_shares: the shares of slices that the labels of nodes state, by profile and model.
    """

    slices: tuple[Slice, ...] = ()
    shared: tuple[SharedForm, ...] = ()
    memory: Mapping[str, int] = {}
    whole: frozenset[str] | None = None
    mismatched: frozenset[str] = frozenset()
    unavailable: frozenset[str] = frozenset()
    used_models: frozenset[str] = frozenset()
    stated_shares: Mapping[tuple[str, str], float] = {}

    @property
    def is_known(self) -> bool:
        """Whether the nodes are known at all."""
        return self.whole is not None

    def has_whole(self, model: str) -> bool:
        """Whether nodes offer whole GPUs of a model, as far as is known."""
        return self.whole is None or not model or bool(self.whole & {model, ""})

    @property
    def every(self) -> "tuple[Slice | SharedForm, ...]":
        """Slices and shared forms."""
        return (*self.slices, *self.shared)

    def models_of(self, form: str) -> frozenset[str]:
        """The known models that a form is offered for."""
        return frozenset(one.model for one in self.every if one.model and str(one.form) == form)

    def share_of(self, profile: str, model: str) -> float:
        """The share of a GPU's compute that a MIG profile has on a model: by the nodes' labels, else as ``share_of``."""
        return self.stated_shares.get((profile.replace("+", "."), model)) or share_of(profile, model)

    def lacks(self, form: str) -> bool:
        """Whether nodes have a form, and none of them runs the pods that a policy gives it."""
        return form in self.mismatched and all(str(one.form) != form for one in self.every)

    def settled(self, form: Form) -> Form:
        """The form itself, or instead of ``shared`` the one kind of sharing that there is."""
        kinds = {one.form for one in self.shared if one.form.meet(form)}
        return kinds.pop() if form == _ANY_SHARING and len(kinds) == 1 else form

    def for_model(self, model: str) -> "Offers":
        """The offers to compare with measurements on a GPU model: those of the model, and those that are only expected.

        Models that are not known (empty) count as the same model if at most one is known.
        """
        known = {model, *self.memory, *self.used_models, *(one.model for one in self.every)} - {"", None}

        def of_model(forms: Iterable[T]) -> Iterator[T]:
            return (
                one
                for one in forms
                if one.model is None
                or (one.model == model and model)
                or (len(known) <= 1 and not (one.model and model))
            )

        # Where the nodes do not report their model, the share was that of the model with the least.
        slices = (
            one if one.model else msgspec.structs.replace(one, share=self.share_of(one.form.partition or "", model))
            for one in of_model(self.slices)
        )
        return msgspec.structs.replace(self, slices=_ordered(slices), shared=tuple(of_model(self.shared)))

    def without(self, unreachable: Collection[tuple[str, str | None]]) -> "Offers":
        """The offers without forms, each with a GPU model, that a workload can't get."""

        def left(forms: Iterable[T]) -> tuple[T, ...]:
            return tuple(one for one in forms if (str(one.form), one.model) not in unreachable)

        return (
            msgspec.structs.replace(self, slices=left(self.slices), shared=left(self.shared)) if unreachable else self
        )

    def fitting(self, share: float, memory: float) -> Iterator[Slice]:
        """Yield the slices, the smallest first, that have this share of compute and this much memory on any node."""
        small = {one.form for one in self.slices if one.share < share or (one.memory or 0) < memory}
        return (one for one in self.slices if one.form not in small)

    def shares(self, *, bursty: bool, gke: bool) -> list[SharedForm]:
        """The forms of sharing, the one that suits best first: time-slicing for bursts, MPS for steady use, or the offered one.

        ``gke``: it runs on GKE, whose forms are preferred then.
        """
        wanted = Sharing.TIME_SLICING if bursty else Sharing.MPS
        there = [one for one in self.shared if (one.form.platform is Platform.GKE) == gke] or self.shared
        worst: dict[Form, SharedForm] = {}
        for one in there:
            worst[one.form] = _worse_shared(worst[one.form], one) if one.form in worst else one
        return sorted(
            worst.values(), key=lambda one: (one.form.sharing is not wanted, one.form.sharing is not Sharing.ANY)
        )


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
    expected = tuple(expected)
    shares = _stated_shares(shapes or ())
    whole_gpus = {""} if Form() in expected else set[str]()
    mismatched: set[str] = set()
    unavailable: set[str] = set()
    found: list[tuple[Form, str | None, Shape | None]] = []
    for shape in shapes or ():
        model = model_of_shape(shape)
        for form in shape.forms.values():
            if not (form.partition or form.shared):
                if shape.takes_pods:
                    whole_gpus.add(model)
                continue
            if not _runs_on(form, shape, plugin):
                mismatched.add(str(form))
            elif shape.takes_pods:
                found.append((form, model, shape))
            else:
                unavailable.add(str(form))
    of_classes = tuple(of_classes)
    whole_gpus.update(model for form, model in of_classes if not (form.partition or form.shared))
    found += ((form, model, None) for form, model in of_classes)
    offered = {form for form, _, _ in found}
    found += ((form, None, None) for form in expected if form not in offered)
    slices: dict[tuple[Form, str | None], Slice] = {}
    shared: dict[tuple[Form, str | None], SharedForm] = {}
    for form, on_model, of_shape in found:
        key = form, on_model
        if form.partition and not form.shared:
            one = _slice(form, on_model, of_shape, shares)
            slices[key] = _worse_slice(slices[key], one) if key in slices else one
        elif form.shared and not form.partition:
            shares_gpu = _shared(form, on_model, of_shape)
            shared[key] = _worse_shared(shared[key], shares_gpu) if key in shared else shares_gpu
    return Offers(
        _ordered(slices.values()),
        tuple(sorted(shared.values(), key=lambda one: (str(one.form), one.model or ""))),
        _memory(shapes or ()),
        None if shapes is None else frozenset(whole_gpus),
        frozenset(mismatched),
        frozenset(unavailable.difference(str(form) for form, _, _ in found)),
        frozenset(used),
        shares,
    )


def _ordered(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    return tuple(sorted(slices, key=lambda one: (one.share, one.memory or 0, str(one.form), one.model or "")))


def _stated_shares(shapes: Iterable[Shape]) -> dict[tuple[str, str], float]:
    """The shares that the labels of nodes state, by profile and model: the lowest of each."""
    found: dict[tuple[str, str], float] = {}
    for shape in shapes:
        model = model_of_shape(shape)
        for form in shape.forms.values():
            if form.partition and (share := stated_share(form, model, shape)):
                key = form.partition, model
                found[key] = min(found.get(key, share), share)
    return found


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


def _shared(form: Form, model: str | None, shape: Shape | None) -> SharedForm:
    labels = shape.labels if shape else {}
    clients = form.clients or whole(labels.get(replicas_label(None))) or 0
    return SharedForm(form, clients, whole(labels.get(MEMORY)), model)


def _worse_shared(one: SharedForm, other: SharedForm) -> SharedForm:
    """The worst case of two offers of one form: the larger number of pods that share a GPU, and the smaller memory."""
    known = [amount for amount in (one.memory, other.memory) if amount]
    return SharedForm(one.form, max(one.clients, other.clients), min(known, default=None), one.model or other.model)


def _slice(form: Form, model: str | None, shape: Shape | None, shares: Mapping[tuple[str, str], float]) -> Slice:
    assert form.partition  # noqa: S101 - every slice has a profile
    memory = (shape and labelled(form, shape, "memory")) or lowest_memory(form.partition, [model] if model else ())
    share = shares.get((form.partition, model or "")) or share_of(form.partition, model or "")
    return Slice(form, share, memory, model)


def _worse_slice(one: Slice, other: Slice) -> Slice:
    known = one.memory is not None and other.memory is not None
    return msgspec.structs.replace(one, memory=min(one.memory or 0, other.memory or 0) if known else None)
