"""Workloads as a recommendation needs them: what they request, what runs in them, and which pods are theirs."""

import re
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Annotated

import msgspec

from ...engine.quantity import exact
from ...engine.rules.gpu_memory import ANNOTATION
from .servers import ServerProgram, works_together
from .templates import PodTemplate
from .usage import Series

# k8s.io/apimachinery/pkg/util/rand: the characters of names that controllers generate.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
# How the pods of a kind are named (pkg/controller/controller_utils.go and the controllers): a Deployment's have its template's
# hash before the random end, a CronJob's the minute since 1970.
_ENDINGS = {
    "Deployment": re.compile(rf"-{_RANDOM}{{1,10}}-{_RANDOM}{{5}}"),
    "StatefulSet": re.compile(r"-[0-9]+"),
    "DaemonSet": re.compile(rf"-{_RANDOM}{{5}}"),
    "ReplicaSet": re.compile(rf"-{_RANDOM}{{5}}"),
    "ReplicationController": re.compile(rf"-{_RANDOM}{{5}}"),
    "Job": re.compile(rf"(-[0-9]+)?-{_RANDOM}{{5}}"),
    "CronJob": re.compile(rf"-[0-9]{{8,10}}(-[0-9]+)?-{_RANDOM}{{5}}"),
    "Pod": re.compile(""),
}


class LivePod(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pod of a workload that exists.

    Attributes:
        started: when it started, in seconds since 1970; 0 while it waits.
        over: it has ended.
        gpus: how many it requests; 0 in older files.
    """

    name: str
    started: float = 0
    over: bool = False
    gpus: int = 0


class Workload(msgspec.Struct, rename="camel", omit_defaults=True):
    """A workload that a user created, and its pods.

    Attributes:
        requests: the requests of a pod, for people: ``nvidia.com/gpu: 1``.
        gpus: how many GPUs, slots or slices a pod needs at once.
        form: the form that its pods request, as a policy names it; ``exclusive`` for a plain request that nothing rewrites.
        programs: the programs in the containers that request GPUs.
        between: the kinds of its objects between it and its pods, such as the RayCluster of a RayJob.
        templates: those of its next pods, each once, beginning with the one that requests the most GPUs: of its objects, or
            without any, its pods.
        claimed: it requests GPUs by claims (DRA).
        exempt: why policies skip its pods; empty if they do not.
        unreachable: forms, each with a GPU model, that are offered only by nodes on which its pods may not run.
        not_evaluated: why its usage can't be compared with its claims; empty if it can.
    """

    namespace: str
    kind: str
    name: str
    requests: tuple[str, ...] = ()
    gpus: Annotated[int, msgspec.Meta(ge=1)] = 1
    form: str = "exclusive"
    programs: tuple[ServerProgram, ...] = ()
    pods: list[LivePod] = []
    between: tuple[str, ...] = ()
    templates: tuple[PodTemplate, ...] = ()
    claimed: bool = False
    exempt: str = ""
    unreachable: tuple[tuple[str, str | None], ...] = ()
    not_evaluated: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Its identity."""
        return self.namespace, self.kind, self.name

    @property
    def memory(self) -> int:
        """The most memory in MiB that an annotation gpuwarden.io/gpu-memory of its templates requests; 0 without it."""
        annotations = ((one.pod.metadata and one.pod.metadata.annotations) or {} for one in self.templates)
        return max((ceil((exact(one.get(ANNOTATION, "")) or 0) / 2**20) for one in annotations), default=0)

    @property
    def running(self) -> int:
        """How many of the workload's pods run."""
        return sum(bool(pod.started) and not pod.over for pod in self.pods)

    def together(self, at_once: int) -> str:
        """Why its GPUs work with those of other pods; empty if there is no sign of it. ``at_once`` of its pods ran at once."""
        pods = max(len(self.pods), at_once)  # those that have ended worked together, too
        signs = (
            *(works_together(kind, pods) for kind in (*self.between, self.kind)),
            *(one.parallel for one in self.programs),
        )
        return next(filter(None, signs), "")


class AttributedSeries(msgspec.Struct):
    """Series by workload.

    Attributes:
        of: the series of each workload, by its key.
        gone: how many deleted pods were counted as a workload's.
        unknown: the series that belong to no workload, by namespace.
    """

    of: dict[tuple[str, str, str], list[Series]]
    gone: int
    unknown: dict[str, set[str]]


def attribute(
    series: Iterable[Series], workloads: Iterable[Workload], owners: Mapping[str, tuple[str, str]]
) -> AttributedSeries:
    """Give each series to its workload: by the existing pods, by recorded owners, else by the pod's name.

    A series is given to none if its pod's name fits two workloads.
    """
    found = AttributedSeries({}, 0, {})
    live: dict[tuple[str, str], Workload] = {}
    named: dict[tuple[str, str], list[Workload]] = {}
    for one in workloads:
        named.setdefault((one.namespace, one.name), []).append(one)
        live.update({(one.namespace, pod.name): one for pod in one.pods})
    by_pod: dict[tuple[str, str], Workload | None] = {}
    for one_series in series:
        pod = one_series.namespace, one_series.pod
        if pod not in by_pod:
            by_pod[pod] = live.get(pod) or _gone(pod, named, owners)
            found.gone += pod not in live and by_pod[pod] is not None
        workload = by_pod[pod]
        if workload:
            found.of.setdefault(workload.key, []).append(one_series)
        else:
            found.unknown.setdefault(pod[0], set()).add(pod[1])
    return found


def _gone(
    pod: tuple[str, str], named: Mapping[tuple[str, str], list[Workload]], owners: Mapping[str, tuple[str, str]]
) -> Workload | None:
    namespace, name = pod
    if recorded := owners.get(f"{namespace}/{name}"):
        kind, owner = recorded
        # Recorded kinds have no group: Volcano's Job is a Job, too.
        alike = [one for one in named.get((namespace, owner), ()) if kind in {one.kind, one.kind.partition(".")[0]}]
        return alike[0] if len(alike) == 1 else None
    parts = name.split("-")
    beginnings = ("-".join(parts[:number]) for number in range(len(parts) - 1, 0, -1))
    fitting = [
        one
        for beginning in (name, *beginnings)
        for one in named.get((namespace, beginning), ())
        if (ending := _ENDINGS.get(one.kind)) and ending.fullmatch(name.removeprefix(beginning))
    ]
    return fitting[0] if len(fitting) == 1 else None
