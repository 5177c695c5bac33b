"""The fleet as ``gpuwarden fleet`` shows it: what nodes offer and pods hold, and the pods that wait, with the reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from ..engine.decision import Decision, Outcome, decide
from ..engine.findings import Finding
from ..engine.fleet.devices import Devices
from ..engine.fleet.fleet import Fleet, NodeRequest
from ..engine.fleet.fleet_findings import node_requests, not_together
from ..engine.fleet.node_shapes import GpuNode
from ..engine.fleet.usage import FormUse, ShapeUse, Share, by_form, by_shape, merged, requested, without_devices
from ..engine.forms import Form
from ..engine.namespace_labels import NamespaceLabels
from ..engine.pods import Pod, PodSpec
from ..engine.policy import ANY_POLICY, Policy
from ..engine.rules.fleet import not_offered
from ..engine.text import first_of
from .configuration import Configuration


class GpuPod(msgspec.Struct, frozen=True):
    """A pod with GPUs that has not ended.

    Attributes:
        node: where it is bound; empty while it waits.
        gated: it has scheduling gates, so no scheduler considers it yet.
        ending: it is being deleted. It holds its GPUs until it is gone, and does not wait for any.
    """

    namespace: str
    name: str
    spec: PodSpec
    node: str = ""
    gated: bool = False
    ending: bool = False


class PodCount:
    """Pods with GPUs, counted one by one: what those on nodes hold, and those that wait. Equal pods are kept once.

    Attributes:
        held: how many of each resource pods hold, by node.
    """

    def __init__(self, pods: Iterable[GpuPod] = ()) -> None:
        self.held: dict[str, Counter[str]] = {}
        self._waiting: dict[tuple[str, bool, bytes], GpuPod] = {}
        self._numbers: Counter[tuple[str, bool, bytes]] = Counter()
        for pod in pods:
            self.add(pod)

    def add(self, pod: GpuPod) -> None:
        """Count a pod."""
        if pod.node:
            self.held.setdefault(pod.node, Counter()).update(requested(pod.spec))
        elif not pod.ending:
            alike = pod.namespace, pod.gated, msgspec.msgpack.encode(pod.spec)
            self._waiting.setdefault(alike, pod)
            self._numbers[alike] += 1

    @property
    def waiting(self) -> Iterator[tuple[GpuPod, int]]:
        """The pods that wait: one of each kind of equal pods, and their number."""
        return ((pod, self._numbers[alike]) for alike, pod in self._waiting.items())


class Waiting(msgspec.Struct, frozen=True):
    """Equal pods that wait for GPUs.

    Attributes:
        policy: their namespace's, by name; empty if the namespace is not known.
        count: what each requests at once.
        rule: the rule that explains it, if no node can ever run them as the fleet is; otherwise empty.
        reason: why they wait, for people.
    """

    namespace: str
    policy: str
    form: str
    resource: str
    count: int
    rule: str
    reason: str


class FleetView(msgspec.Struct):
    """Everything that is shown.

    Attributes:
        waiting: how many equal pods wait, for each resource that they request.
        pods_waiting, pods_in_vain: how many pods wait, and how many of them for a resource that no node offers.
        pods_known: whether the pods were read; without them, usage and waiting pods are not known.
    """

    shapes: list[ShapeUse]
    forms: list[FormUse]
    waiting: dict[Waiting, int]
    pods_waiting: int
    pods_in_vain: int
    pods_known: bool
    notes: list[str]

    @property
    def waits_in_vain(self) -> bool:
        """Whether a pod waits for what no node offers."""
        return any(one.rule for one in self.waiting)

    @property
    def allocated(self) -> dict[Form, int]:
        """The number of GPUs that pods hold on nodes that accept new pods, by form: the part of ``Fleet.offered`` in use."""
        found: Counter[Form] = Counter()
        for use in self.shapes:
            if use.shape.takes_pods:
                for name, share in use.shares.items():
                    found[use.shape.forms[name]] += share.used
        return found

    @property
    def pending(self) -> dict[str, int]:
        """The number of GPUs that waiting pods request, by form; 0 for a form that nodes have and no pod waits for."""
        found = Counter({str(row.form): 0 for row in self.forms})
        for one, pods in self.waiting.items():
            found[one.form] += one.count * pods
        return found


def view(  # noqa: PLR0913, PLR0917 - what was read from a cluster
    configuration: Configuration,
    fleet: Fleet,
    nodes: Sequence[GpuNode],
    pods: PodCount | None,
    namespaces: Mapping[str, NamespaceLabels] | None,
    devices: Devices = Devices(),  # noqa: B008 - it is frozen
) -> FleetView:
    """The fleet, and the pods that wait for it.

    ``fleet`` has the nodes as rules see them, ``nodes`` the same by name. ``pods`` and the labels of ``namespaces`` are ``None``
    if they are not known. ``devices`` are those of ResourceSlices that resource names request.
    """
    held = pods.held if pods else {}
    shapes = by_shape(nodes, held)
    of_classes = list(devices.uses())
    left = {use.resource: use.share for use, _ in of_classes}
    waiting: Counter[Waiting] = Counter()
    pods_waiting = pods_in_vain = 0
    for pod, number in pods.waiting if pods else ():
        found = [*_waits(configuration, fleet, shapes, left, pod, namespaces)]
        waiting.update(dict.fromkeys(found, number))
        pods_waiting += number
        pods_in_vain += number if any(one.rule for one in found) else 0
    ordered = sorted(waiting.items(), key=lambda one: (not one[0].rule, -one[1] * one[0].count, one[0].namespace))
    lost = without_devices(nodes, held)
    # A pod that requests a name of a DeviceClass gets a claim, and no node has the name.
    notes = [_lost(name, on) for name, on in lost.items() if name not in fleet.classes]
    notes += [note for _, note in of_classes]
    return FleetView(
        shapes,
        merged([*by_form(shapes), *(use for use, _ in of_classes if use.nodes)]),
        dict(ordered),
        pods_waiting,
        pods_in_vain,
        pods is not None,
        notes,
    )


def _lost(name: str, on: Mapping[str, int]) -> str:
    return f"{name}: pods hold {sum(on.values())} on nodes that no longer have it ({first_of([*on], 1)})"


def _waits(  # noqa: PLR0913, PLR0917 - the request, and the fleet
    configuration: Configuration,
    fleet: Fleet,
    shapes: Sequence[ShapeUse],
    left: Mapping[str, Share],
    pod: GpuPod,
    namespaces: Mapping[str, NamespaceLabels] | None,
) -> Iterator[Waiting]:
    """Return what a pod waits for, by its requests as they are, because existing pods are not rewritten."""
    labels = (namespaces or {}).get(pod.namespace)
    policy = configuration.policies.select(labels or NamespaceLabels()).enforce
    every = [*node_requests(_as_it_is(pod, policy, configuration), pod.spec)]
    apart = next(not_together(every, fleet, policy), None)
    for node_request, _, form in every:
        rule, reason = _why(fleet, shapes, left, pod, node_request, form, policy, apart)
        name = "" if labels is None else policy.name
        yield Waiting(pod.namespace, name, str(form), node_request.resource, node_request.count, rule, reason)


def _as_it_is(pod: GpuPod, policy: Policy, configuration: Configuration) -> Decision:
    """A decision without edits, with the form of each request: the policy's, or the one that the pod states."""
    decision = decide(Pod(spec=pod.spec), policy, configuration.plugin)
    if decision.outcome is not Outcome.UNCHANGED:
        decision = decide(Pod(spec=pod.spec), ANY_POLICY, configuration.plugin)
    return replace(decision, edits=())


def _why(  # noqa: PLR0913, PLR0917 - the request, and the fleet
    fleet: Fleet,
    shapes: Sequence[ShapeUse],
    left: Mapping[str, Share],
    pod: GpuPod,
    node_request: NodeRequest,
    form: Form,
    policy: Policy,
    apart: Finding | None,
) -> tuple[str, str]:
    """The rule that explains why a pod waits, if there is one, and the reason for people.

    ``apart`` is the finding that nodes offer each of its requests, and no node offers all of them.
    """
    unschedulable = fleet.unschedulable(node_request)
    if unschedulable is not None and fleet.expects(form):
        return "", "an autoscaler can add such a node (fleet.expected)"
    if unschedulable is not None:
        apart = not_offered("", "pod", form, node_request, unschedulable, fleet, policy)
    if apart:
        return apart.rule.id, apart.message.removeprefix("pod: ")
    if pod.gated:
        return "", "scheduling gates: not scheduled yet"
    fitting = [use for use in shapes if fleet.alone(use.shape).unschedulable(node_request) is None]
    most = max(
        (use.shares[node_request.resource].most for use in fitting if node_request.resource in use.shares), default=0
    )
    share = left.get(node_request.resource, Share())
    if max(most, share.most) < node_request.count:
        if node_request.resource in fleet.classes and not share.offered:
            return "", "a DeviceClass offers it; kubectl describe pod shows what keeps it pending"
        return "", f"in use: at most {max(most, share.most)} free on one node that fits"
    most = max(most, share.most)
    return "", f"{most} free on a node that fits; kubectl describe pod shows what else keeps it pending"
