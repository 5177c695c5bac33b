"""Tolerations: the one that goes with a renamed resource, and which of a pod's own cover one."""

from .pods import PodSpec, Toleration
from .resources import GPU

# Nodes are tainted under the name that their GPUs had before renaming, by users and by GKE alike.
GPU_TOLERATION = Toleration(key=GPU, operator="Exists", effect="NoSchedule")


def tolerated(spec: PodSpec, wanted: Toleration) -> bool:
    """Whether the pod's own tolerations already cover a wanted one."""
    for own in spec.tolerations or ():  # noqa: SIM110 - any() with a generator takes twice the time, for every pod
        if _covers(own, wanted):
            return True
    return False


def _covers(own: Toleration, wanted: Toleration) -> bool:
    """Whether one toleration tolerates everything that another does (k8s.io/api/core/v1/toleration.go ToleratesTaint)."""
    if own.effect and own.effect != wanted.effect:
        return False
    if own.toleration_seconds is not None and own.toleration_seconds != wanted.toleration_seconds:
        return False
    if own.operator == "Exists":
        return not own.key or own.key == wanted.key
    equal = (own.operator or "Equal") == (wanted.operator or "Equal")
    return equal and own.key == wanted.key and (own.value or "") == (wanted.value or "")
