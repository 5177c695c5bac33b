"""Makes workloads, usage and offers for the tests of recommendations."""

from collections.abc import Mapping
from typing import Any

from tests.builders import a_pod, applied, evaluate, gpu, view
from webhook.application.recommendation.candidates import EvaluatedWorkload
from webhook.application.recommendation.measures import Measures
from webhook.application.recommendation.offers import Offers, SharedForm, Slice
from webhook.application.recommendation.servers import ServerProgram
from webhook.application.recommendation.slice_shares import share_of
from webhook.application.recommendation.templates import PodTemplate, reduced
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.usage import Metric, Series
from webhook.application.recommendation.verdict_input import VerdictInput
from webhook.application.recommendation.verdicts import WorkloadVerdict
from webhook.application.recommendation.workloads import LivePod, Workload
from webhook.engine.claim_objects import RequestedDevice
from webhook.engine.claims import NO_CLAIMS, Alternative, Claimed, Claims
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.forms import Form, parse
from webhook.engine.other_gpus import BUILT_IN
from webhook.engine.pods import Place
from webhook.engine.policy import Policy

DAY = 86400.0
END = 1_800_000_000.0
A100 = "A100-SXM4-80GB"
GIB = 1024


def form(text: str) -> Form:
    found = parse(text)
    assert found
    return found


def template(
    stated: str = "",
    gpus: int = 1,
    *,
    memory: int = 0,
    claimed: bool = False,
    more: Mapping[str, Any] | None = None,
) -> PodTemplate:
    """A template with one container, which requests GPUs of a form, or (if none is named) any.

    ``memory`` is in MiB, and ``more`` fields of the spec. With ``claimed``, a claim requests a GPU of the form instead.
    """
    written = {"gpuwarden.io/gpu-memory": f"{memory}Mi"} if memory else {}
    pod = a_pod({"name": "main"} if claimed else gpu(gpus), annotations=written, **more or {})
    if stated and not claimed:
        pod = applied(pod, evaluate(pod, Policy(stated, (form(stated),))))
    seen, claims = view(pod), NO_CLAIMS
    if claimed:
        alternative = Alternative(RequestedDevice("gpu.nvidia.com"), form(stated))
        users = (Place("containers", 0),)
        claims = Claims(
            (Claimed('claim "gpu"', "request gpu", "spec.resourceClaims[0]", (alternative,), users, ("claims",)),)
        )
    return reduced(seen, claims, BUILT_IN)


def evaluated(
    name: str, stated: str, verdict: WorkloadVerdict, now: str = "", *off: tuple[str, str | None], **fields: Any
) -> EvaluatedWorkload:
    """A workload; ``stated`` is the form that its template names, ``off`` what its pods can't get."""
    return EvaluatedWorkload(name, verdict, now, (template(stated, **fields),), off)


def workload(name: str = "w", **fields: Any) -> Workload:
    """A Deployment with a pod that runs since long ago; ``memory`` is what its template requests, in MiB."""
    fields.setdefault("pods", [LivePod(f"{name}-1", END - 30 * DAY)])
    fields.setdefault("templates", (template(gpus=fields.get("gpus", 1), memory=fields.pop("memory", 0)),))
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
    Slice(form(f"mig-{profile}"), share_of(profile, A100), memory, A100)
    for profile, memory in (("1g.10gb", 9728), ("2g.20gb", 19_968), ("3g.40gb", 40_192))
)
SHARED = (SharedForm(form("mps"), 4), SharedForm(form("time-slicing"), 4))


def offered(slices: tuple[Slice, ...] = SLICES, shared: tuple[SharedForm, ...] = ()) -> Offers:
    return Offers(slices, shared, {A100: 80 * GIB}, whole=frozenset({A100}))


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
