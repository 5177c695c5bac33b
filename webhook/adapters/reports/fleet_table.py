"""The tables that ``gpuwarden fleet`` prints for people: forms, nodes by shape, and pods that wait."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from ...engine.fleet.node_shapes import State
from ...engine.text import plural
from .deciders import decider_grid
from .fleet_report import FleetReport, FormLine, ShapeLine, WaitingLine
from .grid import Grid
from .text import printable

_STYLES = {
    State.READY: "green",
    State.TAINTED: "yellow",
    State.MIG_FAILED: "bold red",
    State.NO_DEVICES: "yellow",
    State.RECONFIGURING: "yellow",
    State.CORDONED: "yellow",
    State.NOT_READY: "red",
}
_UNKNOWN = "?"


def show(target: Console, report: FleetReport) -> None:
    """Print a fleet."""
    if report.forms:
        head = ("form", "nodes", "offered", "in use", "free", "blocked", "pending")
        target.print(Grid(head, [_form(line) for line in report.forms], (1, 0, 0, 0, 0, 0, 0)), crop=False)
    if report.shapes:
        head = ("nodes", "state", "product", "form", "offered", "in use", "free")
        target.print(Grid(head, [_shape(line) for line in report.shapes], (0, 3, 4, 3, 0, 0, 0)), crop=False)
    if report.waiting:
        columns = ("pods", "waiting for", "namespace", "policy", "why")
        target.print(Grid(columns, [_waiting(line) for line in report.waiting], (0, 2, 2, 2, 5)), crop=False)
    if report.deciders:
        target.print(decider_grid(report.deciders), crop=False)
    for note in report.notes:
        target.print(Text.assemble(("note: ", "yellow"), printable(note)))
    target.print(_summary(report))


def _number(number: int | None) -> Text:
    return Text(_UNKNOWN if number is None else str(number), style="" if number else "dim")


def _form(line: FormLine) -> tuple[Text, ...]:
    name = Text.assemble((printable(line.form), "bold"), (f"\n{printable(line.resource)}", "dim"))
    in_vain = line.pending and not line.offered
    pending = Text(_number(line.pending).plain, style="bold red" if in_vain else "" if line.pending else "dim")
    numbers = (line.offered, line.in_use, line.free, line.blocked)
    return (name, _number(line.nodes), *map(_number, numbers), pending)


def _shape(line: ShapeLine) -> tuple[Text, ...]:
    state = Text("\n".join([line.state, *map(printable, line.taints)]), style=_STYLES[State(line.state)])

    def column(values: Iterable[object]) -> Text:
        return Text("\n".join(map(str, values)))

    resources = line.resources
    return (
        Text(str(line.nodes)),
        state,
        Text(printable(line.product) or "-"),
        column(printable(one.form) for one in resources) if resources else Text("none now", style="dim"),
        column(one.offered for one in resources),
        column(_UNKNOWN if one.in_use is None else one.in_use for one in resources),
        column(one.free for one in resources),
    )


def _waiting(line: WaitingLine) -> tuple[Text, ...]:
    each = f"{line.count} {line.form}" if line.count > 1 else line.form
    why = Text(printable(line.reason))
    if line.rule:
        why = Text.assemble((f"{line.rule}: ", "yellow"), why)
    return Text(str(line.pods)), Text(printable(each)), Text(printable(line.namespace)), Text(line.policy or "?"), why


def _summary(report: FleetReport) -> Text:
    nodes, shapes = report.nodes, len(report.shapes)
    if not nodes and not any(line.offered for line in report.forms):
        return Text("no node has GPUs; is the NVIDIA device plugin (or GKE's) running?")
    text = f"{plural(nodes, 'node')} with GPUs in {plural(shapes, 'shape')}"
    if report.pods_known:
        waiting, in_vain = report.pods_waiting, report.pods_in_vain
        text += f"; {plural(waiting, 'pod waits', 'pods wait')}"
        text += f", {in_vain} for what no node offers" if in_vain else ""
    return Text(text)
