"""The verdict on a workload: which form fits it, from what it used."""

from collections.abc import Sequence

import msgspec

from .measures import is_used
from .offers import SharedForm, Slice
from .unknown_verdicts import incomplete, perhaps_used, too_little, unknown_verdict, why_memory_unknown, why_unknown
from .usage import Metric
from .verdict_input import FULL, VerdictInput
from .verdict_reasons import (
    FILLED,
    ONE_POD_HAS_ALL,
    compute_used,
    device_noun,
    full_slice,
    gib,
    other_models,
    other_needs,
    percent,
    pods_left_out,
    what_a_share_lacks,
    why_it_suits,
    why_no_slice,
    why_not_smaller,
)
from .verdicts import VerdictKind, WorkloadVerdict
from .workloads import Workload

_OF_DRIVER = 64  # MiB; what is in use on a GPU without any process is less
_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})


def evaluate(case: VerdictInput) -> WorkloadVerdict:
    """Return the verdict on a workload.

    The rules in order: too little data; not used; GPUs of a pod that are not used; GPUs that work together; what is shared
    already and can't be distinguished; shares of devices of several sizes; no samples of the last day; samples that are sparser
    while more is used; pods that policies skip; memory that is unknown; the smallest MIG slice that is offered and large
    enough; sharing, if the namespace is trusted; a whole GPU.
    """
    found = (
        incomplete(case)
        or too_little(case)
        or _unused(case)
        or _of_several(case)
        or _together(case)
        or _of_a_device(case)
        or next(map(unknown_verdict, why_unknown(case)), None)
        or _of_one(case)
    )
    return msgspec.structs.replace(found, reasons=(*found.reasons, *pods_left_out(case)))


def _unused(case: VerdictInput) -> WorkloadVerdict | None:
    measures = case.measures
    if is_used(measures, case.thresholds):
        return None
    if unsure := perhaps_used(case, "not used"):
        return unsure
    reasons = [f"at most {percent(measures.most)} of the {device_noun(case)} in {measures.days:.0f} days"]
    if measures.shared_by > 1:
        reasons.append(f"device total over {measures.shared_by} pods: none of them used it")
    elif (measures.memory or 0) > _OF_DRIVER:
        holds = "it still holds" if case.workload.running else "its pods held up to"
        reasons.append(f"{holds} {gib(measures.memory or 0)} of GPU memory")
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


def _of_several(case: VerdictInput) -> WorkloadVerdict | None:
    measures, gpus, used = case.measures, case.workload.gpus, case.measures.used
    if gpus <= 1 or used is None:
        return None
    form = str(case.form) if case.form.partition else case.whole
    if used < gpus:
        never_used = (
            f"{gpus - used} of {gpus} {device_noun(case)}s of a pod {'was' if gpus - used == 1 else 'were'} never used"
        )
        if unsure := perhaps_used(case, never_used):
            return unsure
        reasons = [f"{never_used}; request {used}"]
        if measures.held:
            reasons.append(f"{gib(measures.held)} of GPU memory is held there; check first that no data is kept there")
        return WorkloadVerdict(VerdictKind.FEWER, form, used, tuple(reasons))
    return WorkloadVerdict(
        VerdictKind.EXCLUSIVE,
        form,
        gpus,
        (f"all {gpus} {device_noun(case)}s of a pod are used; several are never shared",),
    )


def _together(case: VerdictInput) -> WorkloadVerdict | None:
    why = case.workload.together(case.pods)
    return (
        WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, (f"{why}; such GPUs are never shared or sliced",))
        if why
        else None
    )


def _of_a_device(case: VerdictInput) -> WorkloadVerdict | None:
    number = case.measures.shared_by
    if number > 1 and not case.form.shared and not case.workload.claimed:  # pods may share a claim
        device = device_noun(case)
        return unknown_verdict(
            f"it requests a {device} of its own ({case.workload.form}), but shares it: its numbers are the device total over "
            f"{number} pods; does a scheduler or a node without the labels of sharing share it, or do pods use it without a "
            "request?"
        )
    if number > 1:
        why = f"shared now, and its numbers are the device total over {number} pods: no pod's share is known"
    elif case.measures.sharing_unknown:
        why = f"shared now, and its numbers may be the device total over other pods too: {ONE_POD_HAS_ALL}"
    elif case.form.partition and case.form.shared:
        why = "it shares a slice, and no verdict compares shares of slices"
    else:
        return None
    return WorkloadVerdict(VerdictKind.AS_IT_IS, case.workload.form, 1, (why,), is_need_unknown=True)


def _of_one(case: VerdictInput) -> WorkloadVerdict:
    """The verdict on a workload with one device of its own that it uses."""
    used = compute_used(case)
    clients = case.sharing.clients if case.sharing else int(case.thresholds.clients)
    if why_unknown := why_memory_unknown(case):
        return _by_compute(case, used, why_unknown, clients)
    why = [used, *other_needs(case)]
    slices = list(case.comparable.fitting(case.working, max(case.need, case.bandwidth_memory)))
    if no_slice := why_no_slice(case):
        why.append(no_slice)
    elif slices:
        return _of_slices(case, why, slices)
    shares = [one for one in case.shares if case.fits(one)]
    if shares and case.trusted:
        sharing = shares[0]
        why += f"{sharing.clients} such pods fit a GPU", why_it_suits(case, sharing), *other_models(case, sharing)
        enough = dict.fromkeys(str(one.form) for one in shares)
        return WorkloadVerdict(VerdictKind.SHARED, str(sharing.form), 1, tuple(why), tuple(enough))
    if case.sharing and case.trusted:
        why.append(what_a_share_lacks(case, case.sharing))
    return _of_its_device(case, why, shares[0] if shares else None, no_slice=bool(no_slice))


def _of_slices(case: VerdictInput, why: Sequence[str], slices: Sequence[Slice]) -> WorkloadVerdict:
    """The verdict on a workload that these slices fit; its own, if it is full most of the time, need not be enough."""
    found = slices[0]
    larger = next(
        (str(one.form) for one in slices if one.form.partition not in {found.form.partition, case.form.partition}), ""
    )
    full = full_slice(case, larger if found.form.partition == case.form.partition else "")
    reasons = [*why, f"{found.form} has {gib(found.memory or 0)} and {percent(found.share)} of a GPU's compute"]
    reasons += other_models(case, found)
    if full:
        reasons.append(full)
    elif (most := case.measures.most * case.unit) > found.share:
        reasons.append(f"it uses up to {percent(most)} of a GPU at times, and would then take longer on the slice")
    enough = tuple(dict.fromkeys(str(one.form) for one in slices))
    if case.measures.mean >= FILLED and found.form.partition == case.form.partition:
        kept = VerdictKind.AS_IT_IS, case.workload.form
        return WorkloadVerdict(*kept, 1, tuple(reasons), enough, is_need_unknown=True)
    return WorkloadVerdict(VerdictKind.SLICE, str(found.form), 1, tuple(reasons), enough)


def _of_its_device(
    case: VerdictInput, why: Sequence[str], sharing: SharedForm | None, *, no_slice: bool
) -> WorkloadVerdict:
    """The verdict on a workload that no smaller form fits: a whole GPU, or its slice."""
    why = list(why)
    if forms := sorted({form for form, model in case.workload.unreachable if case.model in {model, ""}}):
        why.append(f"node selectors, affinity or taints keep its pods off all nodes that offer {', '.join(forms)}")
    why += why_not_smaller(case, sharing, no_slice=no_slice)
    if case.form.partition and (no_slice or case.need <= (case.measures.capacity or 0)):
        kept = "no other form that is offered fits better"
    elif (case.form.partition or case.form.shared) and not case.offered.has_whole(case.model):
        kept = "it may need a whole GPU, and no node offers one of its model"
    else:
        return WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, tuple(why))
    return WorkloadVerdict(VerdictKind.AS_IT_IS, case.workload.form, 1, (*why, kept))


def _by_compute(case: VerdictInput, used: str, why_unknown: str, clients: int) -> WorkloadVerdict:
    """The verdict if the needed memory is unknown: compute use may show that no smaller form is enough."""
    smaller = sorted(
        (one for one in case.comparable.slices if one.share < min(case.unit, FULL)), key=lambda one: one.share
    )
    enough = next((one for one in smaller if one.share >= case.share), None)
    largest = f" ({smaller[-1].form}: {percent(smaller[-1].share)} of a GPU)" if smaller else ""
    unknown = f"memory unknown: {why_unknown}"
    if case.form.partition and not enough:
        why = f"{used}: more than any smaller slice that is offered has{largest}"
        reasons = why if smaller else f"{used}; no smaller slice is offered", *filter(None, [full_slice(case)]), unknown
        return WorkloadVerdict(VerdictKind.AS_IT_IS, case.workload.form, 1, reasons, is_memory_unknown=True)
    if not enough and case.share >= 1 / clients and (not case.form.shared or case.offered.has_whole(case.model)):
        share = f" ({case.sharing.form}: {percent(1 / clients)} of a GPU)" if case.sharing else ""
        why = f"{used}: more than any smaller form that is offered has{largest or share}"
        reasons = why if smaller or share else f"{used}; no smaller form of its GPU model is offered", unknown
        return WorkloadVerdict(VerdictKind.EXCLUSIVE, case.whole, 1, reasons)
    fits = enough or case.sharing
    less = f"; compute alone would fit {fits.form}" if fits else ""
    return WorkloadVerdict(VerdictKind.UNKNOWN, reasons=(unknown, used + less), is_memory_unknown=True)
