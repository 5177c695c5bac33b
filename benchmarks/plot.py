"""The plot: an SVG of bars, written by hand.

A plotting library would bring tens of megabytes for rectangles and words, and write fixed colours: this picture follows the
reader's light or dark setting, by a style sheet of its own.
"""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

import msgspec

from benchmarks.cluster import Measured as InCluster
from benchmarks.on_the_wire import BAR_CONNECTIONS, MUTATE
from benchmarks.results import Results
from benchmarks.reviews import CASES
from benchmarks.servers import GPUWARDEN, USUAL, WIRE

_WIDTH, _LABEL, _VALUE, _MARGIN = 760, 250, 90, 16
_ROW, _BAR, _HEAD, _GAP = 22, 14, 34, 18
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 }
.ground { fill: #ffffff }
.quiet { fill: #59636e }
.own { fill: #1a7f37 }
.rival { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .ground { fill: #0d1117 }
  .quiet { fill: #9198a1 }
  .own { fill: #3fb950 }
  .rival { fill: #656c76 }
}
"""


class _Line(msgspec.Struct, frozen=True):
    """One bar: its label, its length, its value in words; ``own`` is gpuwarden's colour. No length: a line of words."""

    label: str
    value: float
    told: str
    own: bool


class _Panel(msgspec.Struct, frozen=True):
    title: str
    lines: Sequence[_Line]


def svg(results: Results) -> str:
    """The picture of a run."""
    panels = [panel for panel in _panels(results) if panel.lines]
    height = sum(_HEAD + _ROW * len(panel.lines) + _GAP for panel in panels)
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{-_MARGIN} 0 {_WIDTH + 2 * _MARGIN} {height}",
            "width": str(_WIDTH + 2 * _MARGIN),
            "height": str(height),
            "role": "img",
        },
    )
    ET.SubElement(root, "title").text = "gpuwarden's performance"
    ET.SubElement(root, "style").text = _STYLE
    # A ground of its own: a page may be light where the system, which the style sheet asks, is dark.
    ground = {"x": str(-_MARGIN), "width": str(_WIDTH + 2 * _MARGIN), "height": str(height), "class": "ground"}
    ET.SubElement(root, "rect", ground)
    top = 0
    for panel in panels:
        top = _draw(root, panel, top)
    return ET.tostring(root, encoding="unicode") + "\n"


def _draw(root: ET.Element, panel: _Panel, top: int) -> int:
    """Draw a panel below ``top``; where it ends."""
    _text(root, 0, top + 20, panel.title, "head")
    top += _HEAD
    longest = max(line.value for line in panel.lines)
    for line in panel.lines:
        middle = top + _ROW / 2 + 4
        _text(root, 0, middle, line.label, "" if line.own else "quiet")
        length = (_WIDTH - _LABEL - _VALUE) * line.value / longest
        box = {"x": str(_LABEL), "y": str(top + (_ROW - _BAR) / 2), "width": f"{length:.1f}", "height": str(_BAR)}
        ET.SubElement(root, "rect", {**box, "rx": "2", "class": "own" if line.own else "rival"})
        _text(root, _LABEL + length + 8, middle, line.told, "")
        top += _ROW
    return top + _GAP


def _text(root: ET.Element, x: float, y: float, words: str, kind: str) -> None:
    attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}"} | ({"class": kind} if kind else {})
    ET.SubElement(root, "text", attributes).text = words


def _panels(results: Results) -> Iterator[_Panel]:
    wire = [each for each in results.wire or () if each.path == MUTATE and each.connections == BAR_CONNECTIONS]
    names = {GPUWARDEN: "gpuwarden", WIRE: "the wire (a constant answer)", USUAL: "FastAPI with pydantic"}
    for case in CASES:
        found = {each.server: each for each in wire if each.case == case.name}
        lines = [
            _Line(
                names[server],
                found[server].throughput.median,
                f"{found[server].throughput.median:,.0f}",
                server == GPUWARDEN,
            )
            for server in (WIRE, GPUWARDEN, USUAL)
            if server in found
        ]
        yield _Panel(f"Reviews a second: {case.name} (TLS, {BAR_CONNECTIONS} connections, one core)", lines)
    if results.engine:
        costs = [
            _Line(name, spread.median, f"{spread.median:.1f} µs", own=True)
            for name, spread in results.engine.cases.items()
        ]
        yield _Panel("Decode, decide and encode one review", costs)
    if isinstance(results.cluster, InCluster):
        ways = [
            _Line(way, spread.median, f"{spread.median:.2f} ms", way.startswith("gpuwarden"))
            for way, spread in results.cluster.milliseconds.items()
        ]
        yield _Panel(f"Creating a pod (Kubernetes {results.cluster.version})", ways)
