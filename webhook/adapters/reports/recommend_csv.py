"""The CSV of ``gpuwarden recommend``: one line per workload."""

from ...application.recommendation.measures import Measures
from ...application.recommendation.recommend import Recommendation, WorkloadRecommendation
from .recommend_words import criteria, verdict
from .text import csv_table

COLUMNS = (
    *("namespace", "kind", "name", "requests", "form", "gpus_per_pod", "running_pods"),
    *("verdict", "fits", "gpus_that_fit"),
    *("compute_p95", "compute_max", "compute_mean", "idle", "memory_max_mib", "memory_capacity_mib"),
    *("points", "points_expected", "days", "metrics", "device_total_over_pods", "reasons", "criteria"),
)


def csv(found: Recommendation) -> str:
    """Return the table; several values in one cell are separated by ``; ``."""
    return csv_table(COLUMNS, map(_values, found.workloads))


def _values(line: WorkloadRecommendation) -> tuple[str | float | None, ...]:
    fits = line.verdict
    return (
        *(line.namespace, line.kind, line.name, "; ".join(line.requests), line.form, line.gpus, line.running),
        *(fits.kind.value, verdict(fits), fits.gpus if fits.form else None),
        *(_numbers(line.used) if line.used else (None,) * 11),
        *("; ".join(fits.reasons), criteria(line.criteria)),
    )


def _numbers(used: Measures) -> tuple[str | float | None, ...]:
    return (
        *(round(used.p95, 4), round(used.most, 4), round(used.mean, 4), round(used.idle, 4)),
        *(_whole(used.memory), _whole(used.capacity), used.points, used.expected, round(used.days, 2)),
        "; ".join(used.metrics),
        used.shared_by if used.shared_by > 1 else None,
    )


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)
