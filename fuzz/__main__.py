"""Runs the fuzzer on one target after the other, and says what came of it: `python -m fuzz --seconds 600`.

New inputs that reach new code are kept below .cache/fuzz/, and the next run begins with them; inputs that break a promise go to
.cache/fuzz/crashes/. What is worth keeping for good moves from there to fuzz/corpus/ by hand, small and few.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
KEPT = ROOT / ".cache" / "fuzz"
NAMES = ("review", "pod", "label", "quantity", "configuration", "manifests")
_LONGEST_INPUT = 4096
_SLOWEST_SECONDS = 10
_MOST_MEGABYTES = 1024


@dataclass(frozen=True)
class Outcome:
    """What came of a target: how often it ran, how many inputs are kept since, and the inputs that broke it."""

    name: str
    executions: int
    new_units: int
    crashes: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.name:14} {self.executions:>12,} executions {self.new_units:>7,} new units {len(self.crashes):>3} crashes"


def fuzz(name: str, seconds: int) -> Outcome:
    """Fuzz one target in a process of its own: the fuzzer ends its process."""
    kept, crashes = KEPT / name, KEPT / "crashes" / name
    kept.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    before, broken = len(list(kept.iterdir())), set(crashes.iterdir())
    done = subprocess.run(
        [
            sys.executable, "-m", "fuzz", "--target", name, str(kept), str(HERE / "corpus" / name),
            f"-max_total_time={seconds}", f"-max_len={_LONGEST_INPUT}", f"-timeout={_SLOWEST_SECONDS}",
            f"-rss_limit_mb={_MOST_MEGABYTES}", f"-dict={HERE / 'words.dict'}", f"-artifact_prefix={crashes}/",
            "-print_final_stats=1",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    (KEPT / f"{name}.log").write_text(done.stdout)
    counted = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout)
    if counted is None:
        raise SystemExit(f"{name}: the fuzzer did not run:\n{done.stdout[-2000:]}")
    new = tuple(sorted(set(crashes.iterdir()) - broken))
    if done.returncode and not new:
        raise SystemExit(f"{name}: the fuzzer ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return Outcome(name, int(counted[1]), len(list(kept.iterdir())) - before, new)


def run_target(name: str, options: list[str]) -> None:
    """Be the fuzzer's process: never returns."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - there only for `make fuzz`

    with atheris.instrument_imports(include=["webhook"]):
        from fuzz.targets import TARGETS, as_any  # noqa: PLC0415 - imported under the instrumentation
    atheris.Setup([sys.argv[0], *options], as_any(TARGETS[name]))
    atheris.Fuzz()


def main() -> None:
    """Fuzz every target, or those that are named, for so many seconds in all; exit 1 where one broke."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (600)")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all unless given")
    known, options = parser.parse_known_args()
    if known.target:
        run_target(known.target, [*known.names, *options])
    if unknown := set(known.names) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: no such target; there are {', '.join(NAMES)}")
    names = known.names or NAMES
    outcomes = []
    for name in names:
        outcomes.append(fuzz(name, max(1, known.seconds // len(names))))
        print(outcomes[-1], flush=True)
    crashes = tuple(path for outcome in outcomes for path in outcome.crashes)
    print(Outcome("in all", sum(o.executions for o in outcomes), sum(o.new_units for o in outcomes), crashes))
    for path in crashes:
        print(f"broken by {path.relative_to(ROOT)}")
    sys.exit(bool(crashes))


if __name__ == "__main__":
    main()
