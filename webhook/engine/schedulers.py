"""Other schedulers: the scheduler of a pod, and requests that only one of them reads."""

from collections.abc import Mapping

from .pods import PodSpec
from .requests import requests_any

DEFAULT = "default-scheduler"
HAMI = "hami-scheduler"
HAMI_RESOURCES = frozenset(
    {"nvidia.com/gpumem", "nvidia.com/gpumem-percentage", "nvidia.com/gpucores", "nvidia.com/priority"}
)
"""HAMi's own resources, by the default names of its chart (templates/scheduler/device-configmap.yaml). No node offers them."""

KAI_KEYS = ("gpu-fraction", "gpu-memory", "gpu-fraction-num-devices")
"""KAI Scheduler's annotations for a part of a GPU (docs/gpu-sharing; pkg/common/constants), without any resource."""


def kai_shares(annotations: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return the annotations for KAI Scheduler, key and value. It reads them in pods with its ``schedulerName`` only."""
    return [(key, annotations[key]) for key in KAI_KEYS if key in annotations] if annotations else []


def scheduler_of(spec: PodSpec) -> str | None:
    """The scheduler of a pod; ``None`` if it does not set one.

    HAMi's webhook sets ``schedulerName`` of pods without one (pkg/scheduler/webhook.go), after templates are checked. Its
    resources imply the same, because the default scheduler finds no node for them. Annotations (HAMi's
    ``nvidia.com/use-gputype``, KAI's ``gpu-fraction``) do not, because a pod with them also runs if no such scheduler is
    installed.
    """
    if spec.scheduler_name and spec.scheduler_name != DEFAULT:
        return spec.scheduler_name
    return HAMI if requests_any(spec, HAMI_RESOURCES) else spec.scheduler_name
