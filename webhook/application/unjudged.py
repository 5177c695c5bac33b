"""Objects that gpuwarden does not judge: of which kind they are, and what in them leads to pods."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webhook.application.structural_search import Traces, search
from webhook.application.workloads import group_of, qualified

# Their objects quote pods and templates, as a pattern, a record or a schema, and make none.
_QUOTING_GROUPS = ("kyverno.io", "gatekeeper.sh", "kubewarden.io")
_QUOTING_KINDS = frozenset(
    {"ConfigMap", "Secret", "ControllerRevision.apps", "CustomResourceDefinition.apiextensions.k8s.io"}
)
_PATHS_SHOWN = 2


class Unjudged(msgspec.Struct, frozen=True):
    """An object of a kind that gpuwarden does not judge.

    Attributes:
        kind: the kind with its group, as in ``RayCluster.ray.io``.
        traces: what in it leads to pods.
        built_in: whether it is a kind of Kubernetes' own, of which no pod is made.
    """

    kind: str
    traces: Traces
    built_in: bool

    @property
    def message(self) -> str:
        """Why it is not judged, for people."""
        traces = self.traces
        if traces.requests:
            fact = f"requests {_listed(traces.resources)} at {_places(traces.requests, traces.counts[0])}"
        elif traces.templates:
            fact = (
                f"has containers at {_places(traces.templates, traces.counts[1])}, and no GPU request was found in it"
            )
        elif not traces.complete:
            fact = "is too large to be searched for pods"
        else:
            return f"{self.kind}: neither a pod template nor a GPU request was found in it"
        return (
            f"{self.kind}: {fact}; gpuwarden judges the pods that are created from it, not objects of this kind; "
            "check its pods, or run gpuwarden audit in their cluster"
        )


def unjudged(manifest: Mapping[str, Any]) -> Unjudged:
    """What is known of an object that ``workload_of`` does not know."""
    api_version, kind = manifest.get("apiVersion"), str(manifest.get("kind") or "")
    group = group_of(api_version)
    name = qualified(api_version, kind)
    quotes = name in _QUOTING_KINDS or any(group == one or group.endswith(f".{one}") for one in _QUOTING_GROUPS)
    traces = Traces() if quotes else search(manifest)
    return Unjudged(name, traces, built_in=_is_built_in(group))


def _is_built_in(group: str) -> bool:
    """Whether a group is Kubernetes' own: ``apps``, ``rbac.authorization.k8s.io``; not ``jobset.x-k8s.io``."""
    return "." not in group or group.endswith(".k8s.io")


def _places(paths: Sequence[str], count: int) -> str:
    shown, more = ", ".join(paths[:_PATHS_SHOWN]), count - _PATHS_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more {'place' if more == 1 else 'places'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
