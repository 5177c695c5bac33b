"""``python -m benchmarks``: measures everything, writes JSON, plot and page, and says which bars are reached."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import checking, cluster, engine, on_the_wire, plot, report, results, start
from benchmarks.processes import Cores
from benchmarks.wrk import MissingError

_PARTS = ("wire", "engine", "start", "cluster", "check")
EXIT_BAR, EXIT_CANNOT = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench.

    Returns:
        0 where every bar is reached, 1 where one is not, 2 where something could not be measured. A quick run reaches no
        bar and fails none: its numbers are noise, and only show that everything can be measured.
    """
    options = _options(arguments)
    # Rows as they are: not wrapped to whatever a log takes for a width.
    console = Console(soft_wrap=True, highlight=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    began = time.monotonic()

    def tell(doing: str) -> None:
        errors.print(f"[dim]{time.monotonic() - began:4.0f} s[/] {doing}")

    try:
        with tempfile.TemporaryDirectory(prefix="gpuwarden-bench-") as folder:
            found = _measure(Path(folder), options, tell)
    except (MissingError, RuntimeError) as error:
        errors.print(f"[red]error:[/] {error}")
        return EXIT_CANNOT
    if options.json:
        options.json.write_bytes(results.encode(found))
    if options.svg:
        options.svg.write_text(plot.svg(found), encoding="utf-8")
    if options.bars:
        report.write_bars(options.bars, found)
    if options.tables:
        report.write_tables(options.tables, found)
    bars = found.bars()
    report.show(console, bars)
    if isinstance(found.cluster, str):
        console.print(f"in a cluster: not measured: {found.cluster}")
    return EXIT_BAR if not options.quick and not all(bar.passed for bar in bars) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds: no bar can fail")
    parser.add_argument("--only", choices=_PARTS, action="append", help="measure this part only; repeatable")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--svg", type=Path, help="write the plot here")
    parser.add_argument("--bars", type=Path, help="put the bars between the marks of this page")
    parser.add_argument("--tables", type=Path, help="put all other numbers between the marks of this page")
    return parser.parse_args(arguments)


def _measure(folder: Path, options: argparse.Namespace, tell: on_the_wire.Tell) -> results.Results:
    quick = options.quick
    parts = options.only or _PARTS
    cores = Cores()
    homes = {part: folder / part for part in parts}
    for home in homes.values():
        home.mkdir()
    wire_plan = on_the_wire.Plan(0, 1, 1, (16,)) if quick else on_the_wire.Plan(3, 6, 1)
    start_plan = start.Plan(1, 100, 100, 500, 0.2) if quick else start.Plan(7)
    return results.Results(
        machine=results.machine(),
        quick=quick,
        wire=on_the_wire.measure(cores, homes["wire"], wire_plan, tell) if "wire" in parts else None,
        engine=_engine(cores, quick=quick, tell=tell) if "engine" in parts else None,
        start=start.measure(cores, homes["start"], start_plan, tell) if "start" in parts else None,
        cluster=cluster.measure(cores, homes["cluster"], 1 if quick else 7, 5 if quick else 100, tell)
        if "cluster" in parts
        else None,
        check=checking.measure(homes["check"], 60 if quick else checking.MANIFESTS, 1 if quick else 3, tell)
        if "check" in parts
        else None,
    )


def _engine(cores: Cores, *, quick: bool, tell: on_the_wire.Tell) -> engine.Measured:
    tell("engine")
    return engine.measure(cores, 1 if quick else 7, 100 if quick else 4_000)


if __name__ == "__main__":
    sys.exit(main())
