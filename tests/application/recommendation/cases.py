"""Makes workloads, usage and offers for the tests of recommendations."""

from collections.abc import Mapping
from typing import Any

from webhook.application.recommendation.measures import Measures
from webhook.application.recommendation.offers import Offers, SharedForm, Slice
from webhook.application.recommendation.servers import ServerProgram
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.usage import Metric, Series
from webhook.application.recommendation.verdict_input import VerdictInput
from webhook.application.recommendation.workloads import LivePod, Workload
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.forms import Form, parse

DAY = 86400.0
END = 1_800_000_000.0
A100 = "A100-SXM4-80GB"
GIB = 1024


def form(text: str) -> Form:
    found = parse(text)
    assert found
    return found


def workload(name: str = "w", **fields: Any) -> Workload:
    """A Deployment with a pod that runs since long ago."""
    fields.setdefault("pods", [LivePod(f"{name}-1", END - 30 * DAY)])
    return Workload(
        **{"namespace": "a", "kind": "Deployment", "name": name, "requests": ("nvidia.com/gpu: 1",), **fields}
    )


def series(pod: str = "w-1", **fields: Any) -> Series:
    """Two weeks of a sample a minute on a whole A100."""
    usual: dict[str, Any] = {
        "namespace": "a",
        "uuid": "GPU-1",
        "node": "n",
        "model": f"NVIDIA {A100}",
        "metric": Metric.SM_ACTIVE,
        "points": 20_160,
        "interval": 60,
        "first": END - 14 * DAY,
        "last": END,
        "p95": 0.1,
        "most": 0.2,
        "mean": 0.05,
        "memory": 5 * GIB,
        "memory_low": 1 * GIB,
        "capacity": 80 * GIB,
    }
    return Series(pod=pod, **{**usual, **fields})


def measures(**fields: Any) -> Measures:
    """Plenty of data on a whole A100, little used."""
    usual: dict[str, Any] = {
        "metrics": (Metric.SM_ACTIVE,),
        "days": 14,
        "points": 20_160,
        "expected": 20_160,
        "p95": 0.1,
        "most": 0.2,
        "mean": 0.05,
        "memory": 5 * GIB,
        "capacity": 80 * GIB,
        "used": 1,
        "model": A100,
    }
    return Measures(**{**usual, **fields})


SLICES = tuple(
    Slice(form(name), share, memory, frozenset({A100}))
    for name, share, memory in (
        ("mig-1g.10gb", 1 / 7, 9728),
        ("mig-2g.20gb", 2 / 7, 19_968),
        ("mig-3g.40gb", 3 / 7, 40_192),
    )
)
SHARED = (SharedForm(form("mps"), 4), SharedForm(form("time-slicing"), 4))


def offered(slices: tuple[Slice, ...] = SLICES, shared: tuple[SharedForm, ...] = ()) -> Offers:
    return Offers(slices, shared, {A100: 80 * GIB}, is_known=True)


def case(
    *,
    used: Mapping[str, Any] | None = None,
    offers: Offers | None = None,
    trusted: bool = False,
    program: ServerProgram | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008 - it is frozen
    **fields: Any,
) -> VerdictInput:
    programs = (program,) if program else ()
    return VerdictInput(
        workload(programs=programs, **fields), measures(**(used or {})), offers or offered(), thresholds, trusted
    )


def node(
    count: int = 8, resource: str = "nvidia.com/gpu", more: Mapping[str, str] | None = None, **labels: str
) -> Shape:
    """A node of A100s."""
    usual = {"nvidia.com/gpu.product": f"NVIDIA-{A100}", "nvidia.com/gpu.memory": "81920"}
    written = {f"nvidia.com/{name.replace('__', '-').replace('_', '.')}": value for name, value in labels.items()}
    amounts = {resource: str(count), **(more or {})}
    shape = shape_of({**usual, **written}, amounts, amounts)
    assert shape
    return shape
