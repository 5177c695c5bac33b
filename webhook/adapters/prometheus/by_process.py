"""Detects pods whose processes dcgm-exporter does not see, by comparison with the series of the device itself.

Source: NVIDIA/dcgm-exporter internal/pkg/transformation (since 4.5.1, with KUBERNETES_VIRTUAL_GPUS): the exporter finds a pod's
processes only with ``hostPID: true``, and without it writes 0 for all pods.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from ...application.recommendation.usage import Metric
from ...engine.text import plural
from .dcgm import Key, MeasuredDevice

Numbers = Mapping[Key, Mapping[str, Sequence[float]]]


def without_processes(memory: Numbers) -> set[MeasuredDevice]:
    """Return the devices of which no pod ever had memory."""
    used = dict.fromkeys((key.device for key in memory), False)
    for key, numbers in memory.items():
        used[key.device] |= not numbers.get("used") or any(numbers["used"])
    return {device for device, is_used in used.items() if not is_used}


def unseen(
    compute: Numbers,
    chosen: Mapping[Key, Metric | None],
    empty: Collection[MeasuredDevice],
    slots: Collection[Key],
    most: Callable[[Collection[MeasuredDevice]], Mapping[MeasuredDevice, float]],
) -> set[Key]:
    """Return the containers whose utilisation was not measured: all pods of the device have 0, but it was or may have been used.

    Args:
        compute: the numbers of the metrics that were chosen.
        chosen: the metric of each container.
        empty: devices of which no pod ever had memory.
        slots: containers on slots of shared devices.
        most: returns the highest utilisation of devices, whichever pods used them.
    """
    keys = {
        key
        for key, metric in chosen.items()
        if metric is Metric.GPU_UTIL and key.device in empty and not any(compute.get(key, {}).get("max", ()))
    }
    found = most({key.device for key in keys})
    return {key for key in keys if found.get(key.device, 0) > 0 or (key in slots and key.device not in found)}


def said(keys: Collection[Key]) -> list[str]:
    """Return a note about the containers whose processes the exporter does not see, if there are any."""
    pods = sorted({f"{key.namespace}/{key.pod}" for key in keys})
    if not pods:
        return []
    note = (
        f"DCGM_FI_DEV_GPU_UTIL and DCGM_FI_DEV_FB_USED of {pods[0]} are 0, although its GPU was or may have been in use: the "
        f"exporter does not see the processes of pods; set hostPID: true for it ({plural(len(pods), 'pod')})"
    )
    return [note]
