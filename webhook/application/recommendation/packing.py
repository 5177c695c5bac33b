"""Packing: how many GPUs of the fleet the workloads need, as they are and as recommended.

First fit decreasing, the same for both: whole GPUs first (those of pods with several on one node), then MIG slices from the
largest, then pods that share. A GPU is whole, cut into slices or shared. Slices fit a GPU while their compute slices are at
most the GPU's, and their nominal memory at most the GPU's; NVIDIA's placement rules permit nearly all such combinations of
documented profiles. Any GPU that has MIG counts as one that can be partitioned again.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ...engine.fleet.node_shapes import Shape
from ...engine.forms import Form
from ...engine.gpu_models import sizes_of
from ...engine.mig_profiles import read_profile
from ...engine.products import PRODUCT, read_product
from ...engine.quantity import whole
from ...engine.spelling import replicas_label
from .model_names import model_of_shape
from .slice_shares import slices_of

_COUNTS = ("nvidia.com/gpu.count", "cloud.google.com/gke-accelerator-count")


class Demand(msgspec.Struct, frozen=True):
    """Equal pods: how many, what each needs, and the GPU model that they ran on (empty: any)."""

    form: Form
    gpus: int
    pods: int
    model: str = ""
    clients: int = 1


class PackingResult(msgspec.Struct, frozen=True, rename="camel"):
    """The result.

    Attributes:
        gpus: how many GPUs are needed.
        free: how many are not, and on how many nodes nothing runs.
        without_room: how many pods fit nowhere.
    """

    gpus: int
    free: int
    free_nodes: int
    without_room: int


class _Gpu(msgspec.Struct):
    form: Form | None = None
    compute: int = 0
    memory: int = 0
    clients: int = 0


class _Node(msgspec.Struct):
    model: str
    gpus: list[_Gpu]

    @property
    def empty(self) -> list[_Gpu]:
        return [one for one in self.gpus if one.form is None]


def gpus_of(shape: Shape) -> int:
    """How many GPUs a node has, whether whole, shared or partitioned.

    Under MIG strategy single, the label counts slices (GPU feature discovery, internal/lm/mig-strategy.go).
    """
    for key in () if read_product(shape.labels.get(PRODUCT, "")).partition else _COUNTS:
        if count := whole(shape.labels.get(key)):
            return count
    found = 0
    slices: dict[Form, int] = {}
    for name, form in shape.forms.items():
        number = shape.offers[name]
        if form.partition:
            slices[form] = slices.get(form, 0) + number
        elif form.shared:
            clients = form.clients or whole(shape.labels.get(replicas_label(None))) or 1
            found += -(-number // clients)
        else:
            found += number
    return found + _cut(model_of_shape(shape), slices)


def _cut(model: str, slices: Mapping[Form, int]) -> int:
    """How many GPUs of a model are cut into these slices: they are placed from the largest, as in ``pack``."""
    known = model if sizes_of(model) != () else ""  # it has slices, whatever is known of it
    node = _Node(known, [_Gpu() for _ in range(sum(slices.values()))])
    for form in sorted(slices, key=lambda one: _order(one, 1)):
        _slices([node], Demand(form, 1, slices[form]))
    return sum(one.form is not None for one in node.gpus)


def pack(shapes: Mapping[Shape, int], demands: Iterable[Demand]) -> PackingResult:
    """Place pods on the nodes that take pods, as if nothing ran there."""
    nodes = [
        _Node(model_of_shape(shape), [_Gpu() for _ in range(gpus_of(shape))])
        for shape, number in shapes.items()
        if shape.takes_pods
        for _ in range(number)
    ]
    # Thousands of workloads have few different kinds of pods, so equal pods are placed together.
    alike: dict[Demand, int] = {}
    for one in demands:
        kind = msgspec.structs.replace(one, pods=0)
        alike[kind] = alike.get(kind, 0) + one.pods
    every = (msgspec.structs.replace(kind, pods=pods) for kind, pods in alike.items())
    # Those whose model is unknown come last: they may go anywhere, and must not keep others from the only GPUs that fit.
    ordered = sorted(every, key=lambda one: (not one.model, _order(one.form, one.gpus)))
    left = 0
    for demand in ordered:
        mine = [node for node in nodes if not demand.model or not node.model or node.model == demand.model]
        mine.sort(key=lambda node: len(node.empty))
        place = _slices if demand.form.partition else _clients if demand.form.shared else _wholes
        left += place(mine, demand)
    used = sum(one.form is not None for node in nodes for one in node.gpus)
    total = sum(len(node.gpus) for node in nodes)
    return PackingResult(used, total - used, sum(len(node.empty) == len(node.gpus) > 0 for node in nodes), left)


def _order(form: Form, gpus: int) -> tuple[int, int, int]:
    if form.partition:
        profile = read_profile(form.partition)
        return 1, -profile.slices, -profile.gigabytes
    return (2, 0, 0) if form.shared else (0, -gpus, 0)


def _wholes(nodes: list[_Node], demand: Demand) -> int:
    left = demand.pods
    for node in nodes:
        empty = node.empty
        fit = min(left, len(empty) // demand.gpus)
        for one in empty[: fit * demand.gpus]:
            one.form = demand.form
        left -= fit
    return left


def _slices(nodes: list[_Node], demand: Demand) -> int:
    assert demand.form.partition  # noqa: S101 - the caller has checked it
    profile = read_profile(demand.form.partition)
    left = demand.pods * demand.gpus
    # Begin with GPUs that are cut already.
    for is_open in (True, False):
        for node in nodes:
            sizes = sizes_of(node.model)
            if sizes == ():
                continue
            compute, memory = slices_of(node.model), _nominal(node.model)
            for one in node.gpus:
                if left and (one.form is None) != is_open and (one.form is None or one.form.partition):
                    by_memory = (memory - one.memory) // profile.gigabytes if memory else left
                    fit = max(0, min(left, (compute - one.compute) // profile.slices, by_memory))
                    if fit:
                        one.form = demand.form
                        one.compute += fit * profile.slices
                        one.memory += fit * profile.gigabytes
                        left -= fit
    return -(-left // demand.gpus)


def _nominal(model: str) -> int:
    """A GPU's memory in the gigabytes of profiles' names; 0 if no profile of the model is known."""
    return max((read_profile(one).gigabytes for one in sizes_of(model) or ()), default=0)


def _clients(nodes: list[_Node], demand: Demand) -> int:
    left = demand.pods
    most = max(1, demand.clients)
    for is_open in (True, False):
        for node in nodes:
            for one in node.gpus:
                if left and (one.form is None) != is_open and (one.form is None or one.form.shared):
                    fit = max(0, min(left, most - one.clients))
                    if fit:
                        one.form = demand.form
                        one.clients += fit
                        left -= fit
    return left
