"""The tables: for the terminal, and in Markdown: the bars for docs/performance.md, everything else for benchmarks/README.md."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import cluster, engine, on_the_wire, start
from benchmarks.bars import Bar
from benchmarks.on_the_wire import MUTATE
from benchmarks.results import Machine, Results
from benchmarks.samples import Spread

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_Row = Sequence[str]


def show(console: Console, bars: Sequence[Bar]) -> None:
    """Print the bars."""
    table = Table("what", "measured", "bar", "")
    for bar in bars:
        verdict = "[green]pass[/]" if bar.passed else "[bold red]FAIL[/]"
        table.add_row(
            bar.name, _value(bar.measured, bar.unit), f"{bar.relation} {_value(bar.wanted, bar.unit)}", verdict
        )
    console.print(table)


def write_bars(page: Path, results: Results) -> None:
    """Put the bars of a run between the marks of a page; the prose around them stays.

    Raises:
        ValueError: the page has no marks.
    """
    bars = [_bar(bar) for bar in results.bars()]
    _write(page, [_machine(results.machine), "", *_markdown(("bar", "measured", "wanted", ""), bars)])


def write_tables(page: Path, results: Results) -> None:
    """Put all other numbers of a run between the marks of a page; the prose around them stays.

    Raises:
        ValueError: the page has no marks.
    """
    _write(page, list(_tables(results)))


def _write(page: Path, lines: Sequence[str]) -> None:
    text = page.read_text(encoding="utf-8")
    between = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"{page} lacks the lines {BEGIN} and {END}")
    numbers = "\n".join(lines)
    page.write_text(between.sub(lambda _: f"{BEGIN}\n{numbers}\n{END}", text), encoding="utf-8")


def _tables(results: Results) -> Iterator[str]:
    yield _machine(results.machine)
    if results.wire:
        yield from _heading("On the wire")
        yield from _wire(results.wire)
    if results.engine:
        yield from _heading("The engine alone")
        yield from _engine(results.engine)
    if results.start:
        yield from _heading("Start and memory")
        yield from _markdown(("what", "measured"), list(_start(results.start)))
    if results.cluster:
        yield from _heading("In a cluster")
        yield from _cluster(results.cluster)
    if results.check:
        yield from _heading("Checking manifests")
        rows = [(name, _spread(spread, "")) for name, spread in results.check.a_second.items()]
        yield from _markdown(("report", "manifests a second"), rows)


def _machine(machine: Machine) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    where = f"{machine.cores} cores ({machine.processor}), {machine.system}"
    return f"Measured on {machine.date}: {where}, Python {machine.python}, {packages}."


def _heading(text: str) -> tuple[str, str, str]:
    return "", f"### {text}", ""


def _bar(bar: Bar) -> _Row:
    wanted = f"{bar.relation} {_value(bar.wanted, bar.unit)}"
    return bar.name, _value(bar.measured, bar.unit), wanted, "pass" if bar.passed else "**fail**"


def _wire(measured: Sequence[on_the_wire.Measured]) -> Iterator[str]:
    head = ("path", "pod", "connections", "server", "reviews/s", "of the wire", "p50 µs", "p99 µs", "CPU µs")
    rows = [
        (
            f"/{each.path}", each.case, str(each.connections), each.server, _spread(each.throughput, ""),
            _value(each.of_wire.median, ""), _spread(each.p50, ""), _spread(each.p99, ""),
            _value(each.cpu.median, ""),
        )
        for each in sorted(measured, key=lambda each: (each.path != MUTATE, each.connections))
    ]  # fmt: skip
    yield from _markdown(head, rows)


def _engine(measured: engine.Measured) -> Iterator[str]:
    rows = [
        (name, _spread(spread, "µs"), _spread(measured.recorded[name], "µs")) for name, spread in measured.cases.items()
    ]
    yield from _markdown(("pod", "decode, decide, encode", "with metrics and decision log"), rows)
    for what, found in (("configured policies", measured.policies), ("cached namespaces", measured.namespaces)):
        yield ""
        yield from _markdown((what, "1 container"), [(f"{int(n):,}", _spread(each, "µs")) for n, each in found.items()])


def _start(measured: start.Measured) -> Iterator[_Row]:
    yield "process start to ready, without a cluster", _spread(measured.ready_seconds, "s")
    yield "resident, ready", _value(measured.idle, "MiB")
    yield "resident after warming up", _value(measured.warm, "MiB")
    yield f"resident after {measured.reviews:,} more reviews", _value(measured.after, "MiB")
    yield f"resident with {measured.namespaces:,} namespaces", _value(measured.namespaces_idle, "MiB")
    yield (
        f"process start to ready with {measured.namespaces:,} namespaces",
        _value(measured.namespaces_ready_seconds, "s"),
    )


def _cluster(measured: cluster.Measured | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    yield f"Kubernetes {measured.version}, {measured.pods:,} pods each."
    yield ""
    without = measured.milliseconds[cluster.WITHOUT].median
    rows = [
        (way, _spread(spread, "ms"), f"{spread.median - without:+.2f} ms")
        for way, spread in measured.milliseconds.items()
    ]
    yield from _markdown(("a pod is created", "takes", "adds"), rows)
    for sentence in measured.skipped:
        yield ""
        yield f"Skipped: {sentence}."


def _markdown(head: _Row, rows: Sequence[_Row]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _spread(spread: Spread, unit: str) -> str:
    return f"{_value(spread.median, unit)} ({_value(spread.low, '')} to {_value(spread.high, '')})"


def _value(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits
    return f"{text} {unit}".rstrip()
