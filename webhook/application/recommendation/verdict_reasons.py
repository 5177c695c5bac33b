"""The reasons of verdicts as sentences: what a workload uses and needs, and what smaller forms lack."""

from collections.abc import Iterator, Sequence

from ...engine.forms import Sharing, parse
from ...engine.mig_memory import suffix_of
from ...engine.rules.gpu_memory import ANNOTATION
from .offers import Offers, SharedForm, Slice
from .usage import Metric
from .verdict_input import FULL, VerdictInput

FILLED = 0.95
"""A device that is used by this share is full."""
_ITS_OWN = " that its pods may run on"
ONE_POD_HAS_ALL = "without KUBERNETES_VIRTUAL_GPUS=true the exporter gives a shared GPU's series to one of its pods"


def compute_used(case: VerdictInput) -> str:
    """How much compute was used nearly all the time, for people."""
    measures = case.measures
    of_gpu = f" ({percent(measures.p95 * case.unit)} of a GPU)" if measures.p95 and case.unit < FULL else ""
    used = f"95 % of the time at most {percent(measures.p95)} of the {device_noun(case)}{of_gpu}"
    partly = "" if measures.metrics == (Metric.GPU_UTIL,) else "partly "  # the metrics of some pods may have failed
    how = f" ({partly}by DCGM_FI_DEV_GPU_UTIL: the time in which anything ran, however little of the GPU it used)"
    more = measures.recent > measures.p95 and percent(measures.recent) != percent(measures.p95)
    recent = f", in the last day {percent(measures.recent)} on average" if more else ""
    return used + (how if Metric.GPU_UTIL in measures.metrics else "") + recent


def other_needs(case: VerdictInput) -> Iterator[str]:
    """The needs of the workload besides its usual use, for people."""
    if percent(case.working) != percent(case.usual):
        yield f"while it was active in the last day, it used {percent(case.working)} of a GPU on average"
    elif percent(case.working) != percent(case.share):
        yield f"while it is active, it uses {percent(case.working)} of a GPU on average"
    if case.growth:
        yield (
            f"its memory grew by {gib(case.growth)} from the first half of the window to the second: the same growth "
            "is counted again; make sure that it stops"
        )
    memory = f"{gib(case.measures.memory or 0)} of memory at most"
    if case.need == case.workload.memory:
        yield f"{memory}, but its annotation {ANNOTATION} requests {gib(case.need)}; lower it if that is too much"
    else:
        yield f"{memory}, {gib(case.need)} with {percent(case.thresholds.memory_headroom)} headroom"
    if case.bandwidth_memory > case.need and case.comparable.slices and not why_no_slice(case):
        yield (
            f"while it is active, it uses {percent(case.bandwidth)} of the {device_noun(case)}'s memory bandwidth; a slice with "
            f"as much has about {gib(case.bandwidth_memory)} of memory"
        )


def why_no_slice(case: VerdictInput) -> str:
    """Return why a MIG slice lacks what it uses besides compute and memory; empty if it does not."""
    if case.graphics and not case.form.partition:
        return f"{case.graphics}, which MIG slices do not have unless their profile is made for it"
    if (case.measures.engines or 0) >= case.thresholds.unused_below:
        use = f"it uses the video encoder or decoder (up to {percent(case.measures.engines or 0)})"
        if suffix := suffix_of(case.form.partition or ""):
            return f"{use}; of a GPU's slices, only the one with the suffix {suffix} has enough of them"
        return f"{use}, of which MIG slices have few or none"
    return ""


def other_models(case: VerdictInput, offer: Slice | SharedForm) -> Iterator[str]:
    """The advice if GPU models on which the numbers would differ have the form too."""
    others = sorted(case.reachable.models_of(str(offer.form)) - {case.model})
    if case.model and others:
        yield (
            f"measured on {case.model}; {', '.join(others)} {'has' if len(others) == 1 else 'have'} {offer.form} too: select the "
            "model by the label nvidia.com/gpu.product"
        )


def why_it_suits(case: VerdictInput, sharing: SharedForm) -> str:
    """Why a form of sharing suits it."""
    if case.graphics:
        return "time-slicing suits it: MPS is for CUDA only"
    suits = (
        "bursts: time-slicing suits it"
        if case.is_bursty
        else f"use stays below {percent(case.thresholds.burst)}: MPS suits it"
    )
    wanted = Sharing.TIME_SLICING if case.is_bursty else Sharing.MPS
    if sharing.form.sharing not in {Sharing.ANY, wanted}:
        is_offered = any(one.form.sharing is wanted for one in case.shares)
        lacks = "but its share is too small" if is_offered else "which no node of its model offers"
        suits += f" better, {lacks}; {sharing.form} fits too"
    return suits


def full_slice(case: VerdictInput, larger: str = "") -> str:
    """How often the slice that it has is full, and which ``larger`` one is offered; empty if it is not full."""
    if not case.form.partition or max(case.measures.p95, case.bandwidth) < FILLED:
        return ""
    often = "most of the time" if case.measures.mean >= FILLED else "at times"
    return f"the slice that it has is full {often}, so it may need a larger one{larger and f' ({larger} is offered)'}"


def what_a_share_lacks(case: VerdictInput, sharing: SharedForm) -> str:
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
            f"{sharing.clients} pods share a GPU in the form {sharing.form}"
        )
    else:
        lacks = "memory"
        size = f" ({gib(sharing.memory / sharing.clients)})" if sharing.memory else ""
    return f"{sharing.clients} pods share a GPU in the form {sharing.form}, and that share{size} has too little {lacks} for it"


def why_not_smaller(case: VerdictInput, sharing: SharedForm | None, *, no_slice: bool) -> Iterator[str]:
    """Why none of the smaller forms is recommended.

    Args:
        case: a workload that needs its whole device.
        sharing: the form of sharing that would fit it, if any does.
        no_slice: it needs what no MIG slice has (``why_no_slice``).
    """
    offered, model = case.offered, case.model
    if sharing and not case.trusted:
        yield (
            f"it would fit {sharing.form}; sharing isolates neither memory nor faults, so it is recommended only in "
            "namespaces declared trusted (--trusted)"
        )
    shares = _as_configured(offered, partition=False)
    if case.trusted and case.graphics and case.comparable.shared and not case.sharing:
        yield "it can't share by MPS, which is for CUDA only"
    if case.trusted and model and (offered.shared or shares) and not case.comparable.shared:
        yield f"no node{_ITS_OWN if offered.for_model(model).shared else ''} shares GPUs of {model}{shares}"
    if not no_slice:
        yield _why_no_smaller_slice(case)


def _why_no_smaller_slice(case: VerdictInput) -> str:
    offered, slices, model = case.offered, case.comparable.slices, case.model
    named = _as_configured(offered, partition=True)
    if case.measures.models_differ:
        why = "it ran on several GPU models, so its numbers can't be compared with what a smaller form has"
    elif not offered.is_known and not offered.slices:
        why = "the forms that nodes offer are not known; name those that count as offered with --offer"
    elif slices and all(one.memory is None for one in slices):
        why = "the memory of the MIG slices that are offered is not known, neither from nodes nor from measurements"
    elif slices:
        why = f"no MIG slice that is offered has enough {_too_little_of(case, slices)}"
    elif offered.for_model(model).slices:
        why = f"no node{_ITS_OWN} offers smaller MIG slices of its GPU model{named}"
    elif not offered.slices:
        why = f"no node offers MIG slices{named}"
    elif not model:
        why = "its GPU model is not known (label modelName), so compute can't be compared with that of MIG slices"
    else:
        why = (
            f"no node offers MIG slices of {model}{named}, and compute can't be compared with that of other GPU models"
        )
    return why


def _too_little_of(case: VerdictInput, slices: Sequence[Slice]) -> str:
    """Which resource these slices have too little of, and how much they have."""
    compute = max(slices, key=lambda one: one.share)
    memory = max(slices, key=lambda one: one.memory or 0)
    if compute.share < case.working:
        return f"compute for it: {compute.form} has {percent(compute.share)} of a GPU's"
    if (memory.memory or 0) < max(case.need, case.bandwidth_memory):
        lacks = "memory bandwidth" if case.bandwidth_memory > case.need else "memory"
        return f"{lacks} for it: {memory.form} has {gib(memory.memory or 0)} of memory"
    return "of both compute and memory for it"


def _as_configured(offered: Offers, *, partition: bool) -> str:
    """What to add to "no node offers": empty if no node has such forms, of slices or whole GPUs, under other names or labels."""
    differ = any(bool(form.partition) is partition for name in offered.mismatched if (form := parse(name)))
    return " in the way that the configuration's devicePlugin states (see the notes)" if differ else ""


def pods_left_out(case: VerdictInput) -> Iterator[str]:
    """How many earlier pods are not counted."""
    if number := case.measures.left_out:
        pods = "pod is" if number == 1 else "pods are"
        yield f"{number} earlier {pods} not counted: fewer than {case.workload.gpus} {device_noun(case)}s of a pod have series"


def device_noun(case: VerdictInput) -> str:
    """The word for what the workload has: a slice or a GPU."""
    return "slice" if case.measures.profile or case.form.partition else "GPU"


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.1f} %" if 0 < share < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004 - of few, tenths count


def gib(memory: float) -> str:
    """Memory in MiB, for people."""
    return f"{memory / 1024:.1f} GiB"
