"""What one run of the bench found: everything that is written down as JSON."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks import bars, checking, cluster, engine, on_the_wire, start
from benchmarks.bars import Bar


class Machine(msgspec.Struct, frozen=True):
    """Where and with what it was measured."""

    date: str
    processor: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """A run; what was not measured is null, ``cluster`` is a sentence where there was none."""

    machine: Machine
    quick: bool
    wire: list[on_the_wire.Measured] | None
    engine: engine.Measured | None
    start: start.Measured | None
    cluster: cluster.Measured | str | None
    check: checking.Measured | None

    def bars(self) -> list[Bar]:
        """The bars of everything that was measured."""
        return [
            *(bars.on_wire(self.wire) if self.wire else ()),
            *(bars.of_engine(self.engine) if self.engine else ()),
            *(bars.of_start(self.start) if self.start else ()),
            *(bars.of_cluster(self.cluster) if isinstance(self.cluster, cluster.Measured) else ()),
            *(bars.of_checking(self.check) if self.check else ()),
        ]


def machine() -> Machine:
    """This machine."""
    packages = ("uvicorn", "uvloop", "httptools", "fastapi", "pydantic", "msgspec")
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        processor=_processor(),
        cores=os.cpu_count() or 0,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=".".join(map(str, sys.version_info[:3])),
        packages={package: version(package) for package in packages},
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def encode(results: Results) -> bytes:
    """The JSON of a run, its bars included."""
    built = msgspec.to_builtins(results)
    built["bars"] = [{**msgspec.to_builtins(bar), "passed": bar.passed} for bar in results.bars()]
    return msgspec.json.format(msgspec.json.encode(built), indent=1) + b"\n"
