"""Verdicts: which form fits a workload, from what it used; never one from too little data."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from ...engine.forms import Sharing, parse
from ...engine.mig_profiles import is_profile
from ...engine.quantity import shown
from ...engine.rules.gpu_memory import ANNOTATION
from .measures import is_used
from .offers import (
    Offers,
    SharedForm,
    Slice,
    fitting,
    of_model,
)
from .servers import works_together
from .usage import MOST_GAPS, Metric
from .verdict_input import FULL, VerdictInput
from .workloads import Workload

_FILLED = 0.95
_LEAST_MEMORY = 1024  # MiB; every GPU and every slice has more
_CONTEXT = 512  # MiB; what a process has on a GPU before it does anything (its CUDA context) is less
_UNEVEN = 1.5
"""Above this ratio of the average over time to that of the samples, samples are uneven: partly used ten minutes count whole."""
_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})
_PROFILER = "; does another program use the GPU's profiler then?"
_FULL_AT_TIMES = "the slice is full at times, so it may need a larger one"
_ONE_POD_HAS_ALL = "without KUBERNETES_VIRTUAL_GPUS=true the exporter gives a shared GPU's series to one of its pods"


class VerdictKind(StrEnum):
    """What a verdict says."""

    UNKNOWN = "unknown"
    UNUSED = "not used"
    FEWER = "fewer GPUs"
    BATCH = "batch in one process"
    SLICE = "MIG slice"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"
    AS_IT_IS = "as it is"


class WorkloadVerdict(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What fits a workload, and why.

    Attributes:
        form: the form that fits; empty if the verdict names none.
        gpus: how many a pod needs, of that form.
        reasons: sentences.
        is_memory_unknown: all that is lacking is how much memory is needed.
    """

    kind: VerdictKind
    form: str = ""
    gpus: int = 1
    reasons: tuple[str, ...] = ()
    is_memory_unknown: bool = False


def evaluate(case: VerdictInput) -> WorkloadVerdict:
    """Return the verdict on a workload.

    The rules in order: too little data; not used; GPUs of a pod that are not used; GPUs that work together; what is shared
    already and can't be distinguished; shares of devices of several sizes; no samples of the last day; samples that are sparser
    while more is used; pods that policies skip; memory that is unknown; the smallest MIG slice that is offered and large
    enough; sharing, if the namespace is trusted; a whole GPU.
    """
    found = (
        _incomplete(case)
        or _too_little(case)
        or _unused(case)
        or _of_several(case)
        or _together(case)
        or _of_a_device(case)
        or _unknown(next(_why_unknown(case), ""))
        or _of_one(case)
    )
    return msgspec.structs.replace(found, reasons=(*found.reasons, *_left_out(case)))


def _left_out(case: VerdictInput) -> Iterator[str]:
    if number := case.measures.left_out:
        pods = "pod is" if number == 1 else "pods are"
        yield f"{number} earlier {pods} not counted: fewer than {case.workload.gpus} {_device(case)}s of a pod have series"


def _unknown(why: str) -> WorkloadVerdict | None:
    return WorkloadVerdict(VerdictKind.UNKNOWN, reasons=(why,)) if why else None


def _why_unknown(case: VerdictInput) -> Iterator[str]:
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


def _incomplete(case: VerdictInput) -> WorkloadVerdict | None:
    gpus = case.workload.gpus
    if gpus <= 1 or case.measures.used is not None:
        return None
    device, number = _device(case), case.measures.incomplete
    why = (
        f"a pod requests {gpus} {device}s, and {number} of its pods {'has' if number == 1 else 'have'} series of fewer: whether "
        f"all are used is unknown; either the exporter lacks {device}s, or the pods requested fewer before"
    )
    return WorkloadVerdict(VerdictKind.UNKNOWN, reasons=(why,))


def _too_little(case: VerdictInput) -> WorkloadVerdict | None:
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
            why += f"; {_ONE_POD_HAS_ALL}"
    return _unknown(why and f"too little data: {why}")


def _unused(case: VerdictInput) -> WorkloadVerdict | None:
    measures = case.measures
    if is_used(measures, case.thresholds):
        return None
    if unsure := _unsure(case, "not used"):
        return unsure
    if not measures.most and (memory := measures.memory or 0) >= _CONTEXT and not measures.flat:
        return _unknown(
            f"{', '.join(measures.metrics)} {'is' if len(measures.metrics) == 1 else 'are'} always 0, but the memory in use "
            f"changed, up to {_gib(memory)}: processes come and go; does the exporter's profiling work?"
        )
    reasons = [f"at most {percent(measures.most)} of the {_device(case)} in {measures.days:.0f} days"]
    if measures.shared_by > 1:
        reasons.append(f"device total over {measures.shared_by} pods: none of them used it")
    elif measures.memory:
        holds = "it still holds" if case.workload.running else "its pods held up to"
        reasons.append(f"{holds} {_gib(measures.memory)} of GPU memory")
    if measures.metrics == (Metric.GPU_UTIL,):
        reasons.append("by DCGM_FI_DEV_GPU_UTIL, which is sampled: very short bursts may be missed")
    if measures.engines is None:
        reasons.append(
            "it is not known whether it uses the video encoder or decoder: there is no series of DCGM_FI_DEV_ENC_UTIL"
        )
    reasons.append(f"{_freed(case.workload)}, or give its namespace the policy none once nothing in it needs a GPU")
    return WorkloadVerdict(VerdictKind.UNUSED, "none", 0, tuple(reasons))


def _freed(workload: Workload) -> str:
    """How to release the GPUs that a workload does not use."""
    if workload.kind == "Pod":
        return "delete it"
    if workload.kind in _SCALED and workload.running:
        return "scale it to 0"
    return "request no GPU in its template"


def _unsure(case: VerdictInput, seen: str) -> WorkloadVerdict | None:
    """Return the verdict if GPUs seem to be unused, but may have been used at times without samples."""
    measures, needed = case.measures, case.thresholds.unused_coverage
    if measures.unseen:
        gap = _unseen(case)
    elif measures.points < needed * measures.unbroken:
        gap = (
            f"between the first and the last sample {measures.points} of about {measures.unbroken} are there "
            f"({int(measures.points / measures.unbroken * 100)} %); {percent(needed)} are needed for a verdict"
        )
    else:
        return None
    return _unknown(f"{seen} as far as is known; {gap}")


def _unseen(case: VerdictInput) -> str:
    return (
        f"running pods without a sample in the last day: {case.measures.unseen} of {case.workload.running}; is the exporter on "
        "their nodes, and scraped?"
    )


def _of_several(case: VerdictInput) -> WorkloadVerdict | None:
    measures, gpus, used = case.measures, case.workload.gpus, case.measures.used
    if gpus <= 1 or used is None:
        return None
    form = str(case.form) if case.form.partition else case.whole
    if used < gpus:
        never_used = (
            f"{gpus - used} of {gpus} {_device(case)}s of a pod {'was' if gpus - used == 1 else 'were'} never used"
        )
        if unsure := _unsure(case, never_used):
            return unsure
        reasons = [f"{never_used}; request {used}"]
        if measures.held:
            reasons.append(f"{_gib(measures.held)} of GPU memory is held there; check first that no data is kept there")
        return WorkloadVerdict(VerdictKind.FEWER, form, used, tuple(reasons))
    return WorkloadVerdict(
        VerdictKind.EXCLUSIVE, form, gpus, (f"all {gpus} {_device(case)}s of a pod are used; several are never shared",)
    )


def _together(case: VerdictInput) -> WorkloadVerdict | None:
    workload = case.workload
    parallel = next((one.parallel for one in workload.programs if one.parallel), "")
    kinds = (*workload.between, workload.kind)
    pods = max(len(workload.pods), case.pods)  # those that have ended worked together, too
    why = next(filter(None, (works_together(kind, pods) for kind in kinds)), parallel)
    return (
        WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, (f"{why}; such GPUs are never shared or sliced",))
        if why
        else None
    )


def _of_a_device(case: VerdictInput) -> WorkloadVerdict | None:
    number = case.measures.shared_by
    if number > 1 and not case.form.shared and not case.workload.claimed:  # pods may share a claim
        device = _device(case)
        return _unknown(
            f"it requests a {device} of its own ({case.workload.form}), but shares it: its numbers are the device total over "
            f"{number} pods; does a scheduler or a node without the labels of sharing share it, or do pods use it without a "
            "request?"
        )
    if number > 1:
        why = f"shared now, and its numbers are the device total over {number} pods: no pod's share is known"
    elif case.measures.sharing_unknown:
        why = f"shared now, and its numbers may be the device total over other pods too: {_ONE_POD_HAS_ALL}"
    else:
        return None
    return WorkloadVerdict(VerdictKind.AS_IT_IS, case.workload.form, 1, (why,))


def _of_one(case: VerdictInput) -> WorkloadVerdict:
    """The verdict on a workload with one device of its own that it uses."""
    measures, sharing = case.measures, case.sharing
    used = _used(case)
    clients = sharing.clients if sharing else int(case.thresholds.clients)
    if why_unknown := _memory_unknown(case):
        return _by_compute(case, used, why_unknown, clients)
    why = [used, *_needs(case)]
    engines, no_slice = measures.engines or 0, _no_slice(case)
    if no_slice:
        why.append(no_slice)
    elif found := next(fitting(case.comparable, case.model, case.working, max(case.need, case.bandwidth_memory)), None):
        why.append(f"{found.form} has {_gib(found.memory or 0)} and {percent(found.share)} of a GPU's compute")
        why += _elsewhere(case, found)
        if found.form.partition == case.form.partition and max(measures.p95, case.bandwidth) >= _FILLED:
            why.append(_FULL_AT_TIMES)
        elif (most := measures.most * case.unit) > found.share:
            why.append(f"it uses up to {percent(most)} of a GPU at times, and would then take longer on the slice")
        return WorkloadVerdict(VerdictKind.SLICE, str(found.form), 1, tuple(why))
    own = case.offered.memory.get(case.model) if measures.profile else measures.capacity
    memory = (sharing.memory if sharing else None) or own
    most = max(case.share, engines, (measures.bandwidth or 0) * case.unit)
    at_once = case.working * min(case.pods, clients)
    fits = most < 1 / clients and at_once <= 1 and memory is not None and case.need <= memory / clients
    if fits and sharing and case.trusted:
        reasons = (*why, f"{clients} such pods fit a GPU", _suits(case, sharing), *_elsewhere(case, sharing))
        return WorkloadVerdict(VerdictKind.SHARED, str(sharing.form), 1, reasons)
    if sharing and case.trusted and not fits:
        why.append(_lacks(case, sharing))
    if forms := sorted({form for form, model in case.workload.unreachable if case.model in {model, ""}}):
        why.append(f"node selectors, affinity or taints keep its pods off all nodes that offer {', '.join(forms)}")
    why += _why_not_smaller(case, sharing if fits else None, no_slice=bool(no_slice))
    if case.form.partition or case.form.shared:
        return WorkloadVerdict(
            VerdictKind.AS_IT_IS, case.workload.form, 1, (*why, "no other form that is offered fits better")
        )
    return WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, tuple(why))


def _needs(case: VerdictInput) -> Iterator[str]:
    """The needs of the workload besides its usual use, for people."""
    if percent(case.working) != percent(case.usual):
        yield f"while it was active in the last day, it used {percent(case.working)} of a GPU on average"
    elif percent(case.working) != percent(case.share):
        yield f"while it is active, it uses {percent(case.working)} of a GPU on average"
    if case.growth:
        yield (
            f"its memory grew by {_gib(case.growth)} from the first half of the window to the second: the same growth "
            "is counted again; make sure that it stops"
        )
    memory = f"{_gib(case.measures.memory or 0)} of memory at most"
    if case.need == case.workload.memory:
        yield f"{memory}, but its annotation {ANNOTATION} requests {_gib(case.need)}; lower it if that is too much"
    else:
        yield f"{memory}, {_gib(case.need)} with {percent(case.thresholds.memory_headroom)} headroom"
    if case.bandwidth_memory > case.need and any(case.slices) and not _no_slice(case):
        yield (
            f"while it is active, it uses {percent(case.bandwidth)} of the {_device(case)}'s memory bandwidth; a slice with as "
            f"much has about {_gib(case.bandwidth_memory)} of memory"
        )


def _no_slice(case: VerdictInput) -> str:
    """Return why a MIG slice lacks what it uses besides compute and memory; empty if it does not."""
    if case.graphics and not case.form.partition:
        return f"{case.graphics}, which MIG slices do not have unless their profile is made for it"
    if (case.measures.engines or 0) >= case.thresholds.unused_below:
        engines = percent(case.measures.engines or 0)
        return f"it uses the video encoder or decoder (up to {engines}), of which MIG slices have few or none"
    return ""


def _elsewhere(case: VerdictInput, offer: Slice | SharedForm) -> Iterator[str]:
    """The advice if GPU models on which the numbers would differ have the form too."""
    others = sorted(offer.models - {case.model, ""})
    if case.model and others:
        yield (
            f"measured on {case.model}; {', '.join(others)} {'has' if len(others) == 1 else 'have'} {offer.form} too: select the "
            "model by the label nvidia.com/gpu.product"
        )


def _suits(case: VerdictInput, sharing: SharedForm) -> str:
    """Why a form of sharing suits it."""
    if case.graphics:
        return "time-slicing suits it: MPS is for CUDA only"
    suits = "bursts: time-slicing suits it" if case.is_bursty else "steady use: MPS suits it"
    if sharing.form.sharing not in {Sharing.ANY, Sharing.TIME_SLICING if case.is_bursty else Sharing.MPS}:
        suits += f" better, which no node of its model offers; {sharing.form} fits too"
    return suits


def _lacks(case: VerdictInput, sharing: SharedForm) -> str:
    """Which resource a share of a GPU has too little of for the workload."""
    engines = case.measures.engines or 0
    size = ""
    if case.share >= 1 / sharing.clients:
        lacks, size = "compute", f" ({percent(1 / sharing.clients)} of a GPU)"
    elif engines >= 1 / sharing.clients:
        lacks = f"of the video engines ({percent(engines)} used at most)"
    elif (bandwidth := (case.measures.bandwidth or 0) * case.unit) >= 1 / sharing.clients:
        lacks = f"memory bandwidth ({percent(bandwidth)} used 95 % of the time at most)"
    elif case.working * min(case.pods, sharing.clients) > 1:
        return (
            f"its {case.pods} pods may work at the same time, at {percent(case.working)} of a GPU each, and "
            f"{sharing.clients} pods share a GPU by {sharing.form}"
        )
    else:
        lacks = "memory"
        models = sorted(sharing.models - {""})
        there = f", the least of {', '.join(models)}" if len(models) > 1 else ""
        size = f" ({_gib(sharing.memory / sharing.clients)}{there})" if sharing.memory else ""
    return f"{sharing.clients} pods share a GPU by {sharing.form}, and that share{size} has too little {lacks} for it"


def _by_compute(case: VerdictInput, used: str, why_unknown: str, clients: int) -> WorkloadVerdict:
    """The verdict if the needed memory is unknown: compute use may show that no smaller form is enough."""
    smaller = sorted((one for one in case.slices if one.share < min(case.unit, FULL)), key=lambda one: one.share)
    enough = next((one for one in smaller if one.share >= case.share), None)
    largest = f" ({smaller[-1].form}: {percent(smaller[-1].share)} of a GPU)" if smaller else ""
    unknown = f"memory unknown: {why_unknown}"
    if case.form.partition and not enough:
        why = f"{used}: more than any smaller slice that is offered has{largest}"
        full = (_FULL_AT_TIMES,) if case.measures.p95 >= _FILLED else ()
        reasons = why if smaller else f"{used}; no smaller slice is offered", *full, unknown
        return WorkloadVerdict(VerdictKind.AS_IT_IS, case.workload.form, 1, reasons, is_memory_unknown=True)
    if not enough and case.share >= 1 / clients:
        share = f" ({case.sharing.form}: {percent(1 / clients)} of a GPU)" if case.sharing else ""
        why = f"{used}: more than any smaller form that is offered has{largest or share}"
        reasons = why if smaller or share else f"{used}; no smaller form of its GPU model is offered", unknown
        return WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, reasons)
    fits = enough or case.sharing
    less = f"; compute alone would fit {fits.form}" if fits else ""
    return WorkloadVerdict(VerdictKind.UNKNOWN, reasons=(unknown, used + less), is_memory_unknown=True)


def _device(case: VerdictInput) -> str:
    return "slice" if case.measures.profile or case.form.partition else "GPU"


def _used(case: VerdictInput) -> str:
    """How much compute was used nearly all the time, for people."""
    measures = case.measures
    of_gpu = f" ({percent(measures.p95 * case.unit)} of a GPU)" if measures.p95 and case.unit < FULL else ""
    used = f"95 % of the time at most {percent(measures.p95)} of the {_device(case)}{of_gpu}"
    partly = "" if measures.metrics == (Metric.GPU_UTIL,) else "partly "  # the metrics of some pods may have failed
    how = f" ({partly}by DCGM_FI_DEV_GPU_UTIL: the time in which anything ran, however little of the GPU it used)"
    more = measures.recent > measures.p95 and percent(measures.recent) != percent(measures.p95)
    recent = f", in the last day {percent(measures.recent)} on average" if more else ""
    return used + (how if Metric.GPU_UTIL in measures.metrics else "") + recent


def _memory_unknown(case: VerdictInput) -> str:
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
        why = f"{part} of the {_device(case)}'s memory is in use all the time, so the process seems to preallocate it"
    return why


def _why_not_smaller(case: VerdictInput, sharing: SharedForm | None, *, no_slice: bool) -> Iterator[str]:
    offered, model = case.comparable, case.model
    node = f"node{' that its pods may run on' if case.workload.unreachable else ''}"
    shares, slices = (_as_configured(offered, partition=partition) for partition in (False, True))
    if sharing and not case.trusted:
        yield (
            f"it would fit {sharing.form}; sharing isolates neither memory nor faults, so it is recommended only in "
            "namespaces declared trusted (--trusted)"
        )
    comparable = list(case.slices)
    if case.trusted and model and (offered.shared or shares) and not any(of_model(offered, model, offered.shared)):
        yield f"no {node} shares GPUs of {model}{shares}"
    if no_slice:
        return
    if case.measures.models_differ:
        yield "it ran on several GPU models, so its numbers can't be compared with what a smaller form has"
        return
    if not offered.is_known and not offered.slices:
        yield "the forms that nodes offer are not known; name those that count as offered with --offer"
    elif comparable and all(one.memory is None for one in comparable):
        yield "the memory of the MIG slices that are offered is not known, neither from nodes nor from measurements"
    elif comparable:
        yield f"no MIG slice that is offered has enough {_too_little_of(case, comparable)}"
    elif offered.slices and not model:
        yield "its GPU model is not known (label modelName), so compute can't be compared with that of MIG slices"
    elif offered.slices:
        yield f"no {node} offers MIG slices of {model}{slices}, and compute can't be compared with that of other GPU models"
    else:
        yield f"no {node} offers MIG slices{slices}"


def _too_little_of(case: VerdictInput, slices: Sequence[Slice]) -> str:
    """Which resource these slices have too little of, and how much they have."""
    compute = max(slices, key=lambda one: one.share)
    memory = max(slices, key=lambda one: one.memory or 0)
    if compute.share < case.working:
        return f"compute for it: {compute.form} has {percent(compute.share)} of a GPU's"
    if (memory.memory or 0) < max(case.need, case.bandwidth_memory):
        lacks = "memory bandwidth" if case.bandwidth_memory > case.need else "memory"
        return f"{lacks} for it: {memory.form} has {_gib(memory.memory or 0)} of memory"
    return "of both compute and memory for it"


def _as_configured(offered: Offers, *, partition: bool) -> str:
    """What to add to "no node offers": empty if no node has such forms, of slices or whole GPUs, under other names or labels."""
    differ = any(bool(form.partition) is partition for name in offered.mismatched if (form := parse(name)))
    return " in the way that the configuration's devicePlugin states (see the notes)" if differ else ""


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.1f} %" if 0 < share < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004 - of few, tenths count


def _gib(memory: float) -> str:
    return f"{memory / 1024:.1f} GiB"
