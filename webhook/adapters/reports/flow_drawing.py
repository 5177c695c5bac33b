"""The drawing of a fleet by form: requested forms on the left, resulting forms on the right, and ribbons between them.

Lengths are pixels. The height of a bar is its share of all workloads; the slot around it has room for its label.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ...application.gpu_forms import DENIED
from ...engine.forms import parse
from .audit import FlowLine

BARS = 240.0  # all bars of one side together
SLOT = 56.0  # room for a label of three lines
GAP = 10.0
LEAST = 2.0  # a bar that anyone can see
MOST = 9  # nodes on a side; the smallest are combined
OTHERS = "other forms"


class Node(msgspec.Struct):
    """A form on one side: its label's slot, and its bar."""

    form: str
    workloads: int
    pods: int
    gpus: int
    top: float = 0.0
    height: float = 0.0
    bar_top: float = 0.0
    bar_height: float = 0.0
    joined: float = 0.0
    """The height of the bar that already has ribbons."""

    @property
    def unit(self) -> str:
        """The unit of its GPUs; a bar of several forms may have GPUs and slots."""
        return "GPUs or slots" if self.form in {DENIED, OTHERS} else unit(self.form, self.gpus)


def unit(form: str, number: int) -> str:
    """Return the unit of GPUs of a form: slots, if several pods share one; partitions, with MIG."""
    known = parse(form)
    word = "GPU"
    if known and known.shared:
        word = "slot"
    elif known and known.partition:
        word = "MIG partition"
    return word + ("" if number == 1 else "s")


class Ribbon(msgspec.Struct, frozen=True):
    """A flow as an SVG path, 100 wide, and the outcome of the workloads in it."""

    path: str
    outcome: str
    title: str


class Drawing(msgspec.Struct, frozen=True):
    """Everything that is drawn."""

    height: float
    before: list[Node]
    after: list[Node]
    ribbons: list[Ribbon]


def draw(flows: Sequence[FlowLine]) -> Drawing | None:
    """The drawing of flows; ``None`` if there are none."""
    total = sum(flow.workloads for flow in flows)
    if not total:
        return None
    before, left = _side((flow.before, flow) for flow in flows)
    after, right = _side((flow.after, flow) for flow in flows)
    height = max(_lay_out(before, total), _lay_out(after, total))
    for nodes in (before, after):
        _centre(nodes, height)
    merged: Counter[tuple[int, int, str]] = Counter()
    for flow in flows:
        merged[before.index(left[flow.before]), after.index(right[flow.after]), flow.outcome] += flow.workloads
    # From top to bottom on both sides, so that ribbons cross no more than they must.
    ribbons = [
        _ribbon(before[one], after[other], outcome, merged[one, other, outcome])
        for one, other, outcome in sorted(merged)
    ]
    return Drawing(height, before, after, ribbons)


def _side(flows: Iterable[tuple[str, FlowLine]]) -> tuple[list[Node], dict[str, Node]]:
    """The nodes of a side, the largest first and the denied last, and the node of each form."""
    nodes: dict[str, Node] = {}
    for form, flow in flows:
        node = nodes.setdefault(form, Node(form, 0, 0, 0))
        node.workloads += flow.workloads
        node.pods += flow.pods
        node.gpus += flow.gpus
    ordered = sorted(nodes.values(), key=lambda node: (node.form == DENIED, -node.workloads, node.form))
    if len(ordered) > MOST:
        kept = [node for node in ordered[: MOST - 2] if node.form != DENIED]
        denied = [node for node in ordered if node.form == DENIED]
        rest = [node for node in ordered if node not in kept and node not in denied]
        others = Node(OTHERS, *(sum(getattr(node, field) for node in rest) for field in ("workloads", "pods", "gpus")))
        nodes |= {node.form: others for node in rest}
        ordered = [*kept, others, *denied]
    return ordered, nodes


def _lay_out(nodes: list[Node], total: int) -> float:
    """Place nodes one below the other; return their total height."""
    top = 0.0
    for node in nodes:
        node.bar_height = max(BARS * node.workloads / total, LEAST)
        node.height = max(SLOT, node.bar_height)
        node.top = top
        node.bar_top = top + (node.height - node.bar_height) / 2
        top += node.height + GAP
    return top - GAP


def _centre(nodes: list[Node], height: float) -> None:
    shift = max(height - nodes[-1].top - nodes[-1].height, 0.0) / 2
    for node in nodes:
        node.top += shift
        node.bar_top += shift


def _ribbon(one: Node, other: Node, outcome: str, workloads: int) -> Ribbon:
    (top, bottom), (top_after, bottom_after) = _join(one, workloads), _join(other, workloads)
    path = (
        f"M0 {top:.1f}C50 {top:.1f} 50 {top_after:.1f} 100 {top_after:.1f}"
        f"V{bottom_after:.1f}C50 {bottom_after:.1f} 50 {bottom:.1f} 0 {bottom:.1f}Z"
    )
    what = f"{workloads:,} {'workload' if workloads == 1 else 'workloads'}"
    return Ribbon(path, outcome, f"{one.form} → {other.form}: {what} {outcome.replace('-', ' ')}")


def _join(node: Node, workloads: int) -> tuple[float, float]:
    """Return the top and bottom of the next free part of a node's bar, sized for so many workloads."""
    part = node.bar_height * workloads / node.workloads
    start = node.bar_top + node.joined
    node.joined += part
    return start, start + part
