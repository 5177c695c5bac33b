"""Verdicts without a form, because too little is known; never a form from too little data."""

from collections.abc import Iterator, Sequence

from ...engine.forms import parse
from ...engine.mig_profiles import is_profile
from ...engine.quantity import shown
from .usage import MOST_GAPS, Metric, Series, Usage
from .verdict_input import VerdictInput
from .verdict_reasons import ONE_POD_HAS_ALL, device_noun, gib, percent
from .verdicts import VerdictKind, WorkloadVerdict
from .workloads import Workload

_CONTEXT = 512  # MiB; what a process has on a GPU before it does anything (its CUDA context) is less
_LEAST_MEMORY = 1024  # MiB; every GPU and every slice has more
_PROFILER = "; does another program use the GPU's profiler then?"
_UNEVEN = 1.5
"""Above this ratio of the average over time to that of the samples, samples are uneven; the first is of fewer values."""


def unknown_verdict(why: str) -> WorkloadVerdict:
    """The verdict without a form, with its reason."""
    return WorkloadVerdict(VerdictKind.UNKNOWN, reasons=(why,))


def why_no_data(workload: Workload, series: Sequence[Series], usage: Usage) -> str:
    """Why a workload has no measures."""
    form = parse(workload.form)
    if any(one.is_slice for one in series):
        why = (
            "its MIG slice has no DCGM_FI_PROF_SM_ACTIVE or DCGM_FI_PROF_GR_ENGINE_ACTIVE, and DCGM_FI_DEV_GPU_UTIL says "
            "nothing about MIG slices; enable them in the exporter's counters"
        )
    elif series:
        why = "its series include no usable metric of compute"
    elif not usage.series:
        why = "no series of GPUs has a pod; see the notes"
    elif workload.claimed:
        why = "the exporter names the pods of claims (DRA) only with KUBERNETES_ENABLE_DRA=true"
    elif form and form.shared:
        why = "the exporter gives a shared GPU's series to one of its pods; set KUBERNETES_VIRTUAL_GPUS=true"
    elif not workload.running:
        why = "no pod of it ran within the window"
    else:
        why = "no series names its pods; is the exporter on their nodes, and scraped?"
    return f"no usage data: {why}"


def incomplete(case: VerdictInput) -> WorkloadVerdict | None:
    """Return the verdict if fewer devices of a pod have series than it requests; ``None`` if all have."""
    gpus = case.workload.gpus
    if gpus <= 1 or case.measures.used is not None:
        return None
    device, number = device_noun(case), case.measures.incomplete
    why = (
        f"a pod requests {gpus} {device}s, and {number} of its pods {'has' if number == 1 else 'have'} series of fewer: whether "
        f"all are used is unknown; either the exporter lacks {device}s, or the pods requested fewer before"
    )
    return unknown_verdict(why)


def too_little(case: VerdictInput) -> WorkloadVerdict | None:
    """Return the verdict if there are too few samples; ``None`` if there are enough."""
    measures, thresholds = case.measures, case.thresholds
    why = ""
    if measures.points < thresholds.minimum_points:
        why = f"{measures.points} samples; {thresholds.minimum_points:g} are needed"
    elif measures.days < thresholds.minimum_days:
        why = f"{measures.days:.1f} days; {thresholds.minimum_days:g} are needed"
    elif measures.coverage < thresholds.minimum_coverage:
        why = (
            f"{measures.points} of about {measures.expected} samples ({int(measures.coverage * 100)} %); "
            f"{percent(thresholds.minimum_coverage)} are needed"
        )
        if measures.sharing_unknown:
            why += f"; {ONE_POD_HAS_ALL}"
    return unknown_verdict(f"too little data: {why}") if why else None


def why_unknown(case: VerdictInput) -> Iterator[str]:
    """Why no form can be recommended for a workload that uses one device of its own, although there are enough samples."""
    measures, workload = case.measures, case.workload
    if measures.sizes_differ:
        yield (
            "it ran on whole GPUs and MIG slices, or on slices of several sizes, so its numbers can't be added up; if that "
            "has changed, set --window to the time since then"
        )
    profile = measures.profile.replace("+", ".")
    if profile and not is_profile(profile):
        yield f"its series are of {shown(profile)}, which is not a MIG profile, so its share of a GPU is not known"
    if profile and case.form.partition and workload.running and profile != case.form.partition:
        yield f"it requests {workload.form}, but its series are of {profile}, so what it uses of its slice is unknown"
    if case.form.partition and measures.whole:  # it ran on whole GPUs before, or the exporter does not know the slices
        yield (
            f"it requests {case.workload.form}, but its series are of whole GPUs (no label GPU_I_ID), so what it uses of a slice "
            "is unknown"
        )
    if 0 < workload.running <= measures.unseen:  # what it uses may have changed since then
        yield _unseen(case)
    if measures.gaps > MOST_GAPS:
        profiled = measures.metrics != (Metric.GPU_UTIL,)
        yield (
            f"{', '.join(measures.metrics)} {'is' if len(measures.metrics) == 1 else 'are'} missing for "
            f"{percent(measures.gaps)} of the hours in which memory was measured{_PROFILER if profiled else ''}"
        )
    # Where samples are sparser while more is used, what most samples say is not said of most of the time.
    if measures.by_time > _UNEVEN * measures.mean + case.thresholds.idle_below:
        yield (
            f"its samples are sparser at times of more use: the average of the samples is {percent(measures.mean)}, that of the "
            f"time {percent(measures.by_time)}; if the scrape interval has changed, set --window to the time since then"
        )
    if workload.exempt:  # its scheduler may share GPUs by itself
        yield f"the configuration exempts its pods ({workload.exempt}), so no policy gives them another form"


def perhaps_used(case: VerdictInput, seen: str) -> WorkloadVerdict | None:
    """Return the verdict if GPUs seem to be unused, but may have been used at times without samples."""
    measures, needed = case.measures, case.thresholds.unused_coverage
    if measures.unseen:
        gap = _unseen(case)
    elif measures.points < needed * measures.unbroken:
        gap = (
            f"between the first and the last sample {measures.points} of about {measures.unbroken} are there "
            f"({int(measures.points / measures.unbroken * 100)} %); {percent(needed)} are needed for a verdict"
        )
    elif measures.moved >= _CONTEXT:
        gap = (
            f"{', '.join(measures.metrics)} {'is' if len(measures.metrics) == 1 else 'are'} always 0 there, but the memory in "
            f"use changed, up to {gib(measures.moved)}: processes come and go; does the exporter's profiling work?"
        )
    else:
        return None
    return unknown_verdict(f"{seen} as far as is known; {gap}")


def _unseen(case: VerdictInput) -> str:
    return (
        f"running pods without a sample in the last day: {case.measures.unseen} of {case.workload.running}; is the exporter on "
        "their nodes, and scraped?"
    )


def why_memory_unknown(case: VerdictInput) -> str:
    """Return why it is unknown how much memory a workload needs; empty if it is known."""
    measures, thresholds = case.measures, case.thresholds
    why = ""
    if measures.memory is None:
        why = "there is no usable series of DCGM_FI_DEV_FB_USED"
    elif number := measures.without_memory:
        why = (
            f"of {number} of its pods' GPUs or slices DCGM_FI_DEV_FB_USED is 0, or has fewer than "
            f"{percent(thresholds.minimum_coverage)} as many samples as the metric of compute"
        )
    elif measures.memory_shared:
        why = "DCGM_FI_DEV_FB_USED is the total of all pods on the device"
    elif reserves := next((one.reserves for one in case.workload.programs if one.reserves), ""):
        why = reserves
    elif measures.capacity is None:
        why = "there is no series of DCGM_FI_DEV_FB_FREE, so the device's memory is not known"
    elif measures.capacity < _LEAST_MEMORY:
        why = "DCGM_FI_DEV_FB_USED and DCGM_FI_DEV_FB_FREE are less than 1 GiB together, so they are not in MiB"
    elif measures.flat and measures.memory >= thresholds.preallocated_memory * measures.capacity:
        part = percent(measures.memory / measures.capacity)
        why = (
            f"{part} of the {device_noun(case)}'s memory is in use all the time, so the process seems to preallocate it"
        )
    return why
