"""Batching: servers of one model, each with a GPU of its own, that one process could serve."""

from collections.abc import Iterable, Mapping

from .measures import Measures
from .model_names import model_of
from .offers import Offers
from .servers import SERVERS
from .thresholds import Thresholds
from .verdict_reasons import percent
from .verdicts import VerdictKind, WorkloadVerdict
from .workloads import Workload

Key = tuple[str, str, str]


def batched(
    workloads: Iterable[Workload],
    measures: Mapping[Key, Measures | None],
    verdicts: Mapping[Key, WorkloadVerdict],
    thresholds: Thresholds,
    offered: Offers,
) -> dict[Key, WorkloadVerdict]:
    """Return the verdicts on workloads that serve one model with the same arguments in one namespace and use little of a GPU.

    A workload with too little data, one that is not used, and one whose pods have several GPUs or work together are left alone,
    and so is every server of a model of which one has too little data.
    """
    groups: dict[tuple[str, str, int], list[Workload]] = {}
    for one in workloads:
        measured = measures.get(one.key)
        if one.gpus > 1 or one.together(measured.pods_at_once if measured else 1):
            continue
        for program in one.programs:
            if program.name in SERVERS and program.model:
                groups.setdefault((one.namespace, program.model, program.arguments), []).append(one)
    found: dict[Key, WorkloadVerdict] = {}
    for (_, model, _), group in groups.items():
        known = [(one, measured) for one in group if (measured := measures.get(one.key))]
        number = sum(max(1, one.running) for one in group)
        if number < 2 or len(known) < len(group):  # noqa: PLR2004 - a single server can't be batched
            continue
        if any(not _is_evaluated(verdicts[one.key]) for one in group):
            continue
        if len({measured.model for _, measured in known}) > 1 or any(measured.models_differ for _, measured in known):
            continue  # shares of different GPU models can't be added
        # An autoscaled one had more pods at its busiest than run now.
        used = sum(_share(measured, offered) * max(1, one.running, measured.pods_at_once) for one, measured in known)
        if used >= thresholds.batch_together:
            continue
        reason = (
            f"{number} servers of {model} in this namespace use {percent(used)} of one GPU together (p95, or the average of the "
            "last day): one process can batch their requests, and hold the model once; keep a second one if it is for "
            "availability, or to try a new version"
        )
        found |= {
            one.key: WorkloadVerdict(VerdictKind.BATCH, "", 1, (reason, *verdicts[one.key].reasons)) for one in group
        }
    return found


def _is_evaluated(verdict: WorkloadVerdict) -> bool:
    return verdict.kind in {VerdictKind.EXCLUSIVE, VerdictKind.SLICE, VerdictKind.SHARED} or verdict.is_memory_unknown


def _share(measures: Measures, offered: Offers) -> float:
    unit = offered.share_of(measures.profile, model_of(measures.model)) if measures.profile else 1
    return max(measures.p95, measures.recent) * unit
