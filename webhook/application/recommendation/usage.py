"""Usage: what each container did on each GPU or MIG slice within a window, as numbers of a monitoring system."""

from enum import StrEnum
from typing import Annotated

import msgspec

MOST_GAPS = 0.05
"""The highest share of hours in which a metric may fail: with more, nothing is known about 95 % of the time."""

_YEAR_10000 = 253_402_300_800  # in seconds since 1970; dates of reports end before it


class Metric(StrEnum):
    """The metric that a series' compute numbers come from, by its name in dcgm-exporter; the best first."""

    SM_ACTIVE = "DCGM_FI_PROF_SM_ACTIVE"
    GR_ENGINE_ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
    GPU_UTIL = "DCGM_FI_DEV_GPU_UTIL"
    """Never of a MIG slice: it is 0 or absent there, on purpose (NVIDIA/dcgm-exporter issues 50 and 216)."""


class Series(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The usage of one device by one container of one pod.

    Shares are from 0 to 1 of the device: of the slice, for a MIG slice. Memory is in MiB.

    Attributes:
        node: the node's name as the exporter writes it.
        uuid, slice: the GPU, and the number of the MIG instance on it; empty for a whole GPU.
        profile: the slice's MIG profile.
        model: the GPU model as the exporter writes it.
        metric: which metric the shares are from; ``None`` if no metric is meaningful for this device.
        points: how many samples there are.
        interval: the shortest time between two samples, in seconds.
        first, last: the times of the first and the last sample, rounded up to a full hour, in seconds since 1970; 0 for a pod
            that came and went since the last full hour.
        gaps: the share of the measured hours since the first sample in which there are samples of memory, but none of the
            metric.
        p95, most, mean: the share in use 95 % of the time at most, its maximum and its average over all samples. The first is
            that of the samples, or of a value every ten minutes if that is higher: samples may be sparser at times of more use.
        by_time: the average share over time, of a value every ten minutes; ``None`` in older files.
        working: the average share while it works: each sample is weighted by its value.
        recent, recent_working: ``mean`` and ``working`` of the last day of the window; 0 without samples in it.
        idle: the share of the time in which less than the idle threshold was in use.
        engines: the maximum use of its video encoder or decoder; ``None`` if unknown.
        bandwidth, bandwidth_working: memory bandwidth, as ``p95`` and ``working``; the first is ``None`` if unknown, as on a
            device that several pods share.
        memory, memory_low: the maximum memory in use, and the amount that was exceeded 95 % of the time.
        memory_earlier: the maximum memory in use in the first half of the window.
        memory_points: how many samples of memory there are; ``None`` in older files.
        capacity: the device's memory.
        pods: the maximum number of pods with series of this device at the same time.
        is_slot: all pods of the shared device have series, so with one pod, the numbers are those of the pod.
        compute_of_device, memory_of_device: all pods always had equal values, which are therefore the total of the device.
    """

    namespace: str
    pod: str
    container: str = ""
    node: str = ""
    uuid: str = ""
    slice: str = ""
    profile: str = ""
    model: str = ""
    metric: Metric | None = None
    points: int = 0
    interval: float = 0
    first: float = 0
    last: float = 0
    gaps: float = 0
    p95: float = 0
    most: float = 0
    mean: float = 0
    by_time: float | None = None
    working: float = 0
    recent: float = 0
    recent_working: float = 0
    idle: float = 0
    engines: float | None = None
    bandwidth: float | None = None
    bandwidth_working: float = 0
    memory: float | None = None
    memory_earlier: float | None = None
    memory_low: float | None = None
    memory_points: int | None = None
    capacity: float | None = None
    pods: int = 1
    is_slot: bool = False
    compute_of_device: bool = False
    memory_of_device: bool = False

    @property
    def is_slice(self) -> bool:
        """Whether the device is a MIG slice."""
        return bool(self.slice or self.profile)


class Usage(msgspec.Struct, rename="camel"):
    """All that was read.

    Attributes:
        end: when the window ends, in seconds since 1970.
        window: its length in seconds.
        idle_below: the share below which a sample counts as idle.
        owners: the controllers of deleted pods, by namespace and name: kind and name, as kube-state-metrics recorded them.
        missing: why numbers are missing, in sentences.
        warnings: the warnings that Prometheus returned with its results, verbatim.
        queries: how many requests were sent.
    """

    end: Annotated[float, msgspec.Meta(ge=0, lt=_YEAR_10000)]
    window: float
    idle_below: float = 0.01
    series: list[Series] = []
    owners: dict[str, tuple[str, str]] = {}
    missing: list[str] = []
    warnings: list[str] = []
    queries: int = 0
