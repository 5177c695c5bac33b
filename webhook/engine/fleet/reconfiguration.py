"""MIG reconfiguration: what a node may offer after the MIG manager has changed it."""

import re
from collections.abc import Callable, Iterable

from ..gpu_models import lacks
from ..mig_profiles import PROFILE, read_profile
from ..products import PRODUCT, SHARED_SUFFIX, read_product
from ..resources import PREFIX, GpuResource, classify
from ..spelling import (
    GPU_SLICES,
    MIG_CAPABLE,
    MIG_CONFIG,
    MIG_STATE,
    MIG_STRATEGY,
    MPS_CAPABLE,
    SHARED_STRATEGIES,
    MigStrategy,
    configuration_of,
    strategy_label,
)
from .node_shapes import Shape

# The MIG manager's label on the node: the name of a configuration. Names with one profile, and with none, have a fixed meaning
# (NVIDIA/mig-parted, deployments/gpu-operator config-default.yaml). Any other name may mean anything.
_OF_ONE_PROFILE = re.compile(configuration_of(f"({PROFILE})"))
_WHOLE = "all-disabled"
# Labels that do not change. All others of NVIDIA may depend on the MIG configuration (GPU feature discovery, internal/lm).
_STAY = (
    "nvidia.com/cuda.",
    "nvidia.com/gpu.compute.",
    "nvidia.com/gpu.family",
    "nvidia.com/gpu.machine",
    "nvidia.com/gpu.mode",
    "nvidia.com/gpu.present",
    MIG_CONFIG,
    MIG_CAPABLE,
    MIG_STRATEGY,
    MPS_CAPABLE,
)
_SOME_PROFILE = "1g.1gb"  # no GPU has it: any profile that a pod does not name


class Reconfiguration:
    """What a node may offer afterwards."""

    def __init__(self, shape: Shape) -> None:
        """Take the shape of the node while it is being reconfigured, with the labels that it had before."""
        self._labels = labels = shape.labels
        config = labels.get(MIG_CONFIG, "")
        match = _OF_ONE_PROFILE.fullmatch(config)
        self._profile = match[1] if match else None
        self._is_whole = config == _WHOLE
        self._model = read_product(labels[PRODUCT]).model if PRODUCT in labels else None
        self._strategy = labels.get(MIG_STRATEGY)
        # The device plugin's sharing does not change. For slices, GPU feature discovery does not report the sharing of whole
        # GPUs.
        had_slices = GPU_SLICES in labels or any(key.startswith("nvidia.com/mig-") for key in labels)
        self._sharing = None if had_slices else labels.get(strategy_label(None))

    def may_offer(self, resource: str) -> bool:
        """Whether it may offer a GPU resource."""
        found = classify(resource)
        if not isinstance(found, GpuResource):
            return False
        if found.partition:
            named = self._strategy != MigStrategy.SINGLE and not self._is_whole
            return named and self._may_have(found.partition)
        if self._profile and self._strategy == MigStrategy.MIXED:
            return False
        return not found.shared or self._sharing is None or self._sharing in SHARED_STRATEGIES

    def may_have(self, key: str, admits: Callable[[str | None], bool], mentioned: Iterable[str]) -> bool:
        """Whether it may have a node label with a value that a pod ``admits``; ``None`` means a node without the label.

        ``mentioned`` are the values that the pod names.
        """
        if key == PRODUCT and self._model:
            return any(map(admits, self._products(mentioned)))
        if key == GPU_SLICES and self._is_whole:
            return admits(None)
        if key == GPU_SLICES and self._profile and self._strategy == MigStrategy.SINGLE:
            return admits(str(read_profile(self._profile).slices))
        if key == strategy_label(None) and self._sharing is not None:
            return admits(self._sharing)
        stays = not key.startswith(PREFIX) or (key.startswith(_STAY) and key != MIG_STATE)
        return not stays or admits(self._labels.get(key))

    def _may_have(self, partition: str) -> bool:
        if self._profile:
            return partition == self._profile
        return self._model is None or not lacks(self._model, partition)

    def _products(self, mentioned: Iterable[str]) -> Iterable[str]:
        """The products that it may have: of the same model, with any suffix that its configuration permits."""
        own = [value for value in mentioned if read_product(value).model == self._model]
        every = [f"{self._model}", f"{self._model}-MIG-{self._profile or _SOME_PROFILE}", *own]
        return [each for value in every if self._may_be_cut(value) for each in (value, value + SHARED_SUFFIX)]

    def _may_be_cut(self, product: str) -> bool:
        partition = read_product(product).partition
        if self._is_whole:
            return partition is None
        return partition == self._profile or not (self._profile and self._strategy == MigStrategy.SINGLE)
