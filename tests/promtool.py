"""Prometheus' own checker, promtool: what it says of metrics, of rules and of their tests.

Without it the tests are skipped, or fail if GPUWARDEN_REQUIRE_PROMTOOL is 1.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Promtool:
    """The program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def check_metrics(self, exposition: str) -> str:
        """What it says of an exposition; nothing when all is well."""
        return self._complaints("check", "metrics", given=exposition)

    def check_rules(self, rules: Path) -> str:
        """What it says of a file of rules; nothing when every expression can be read."""
        return self._complaints("check", "rules", "--lint-fatal", str(rules))

    def test_rules(self, tests: Path) -> str:
        """What it says of tests of rules; nothing when they pass."""
        return self._complaints("test", "rules", str(tests))

    def _complaints(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [self._program, *arguments], input=given, capture_output=True, text=True, timeout=300, check=False
        )
        return f"{done.stdout}\n{done.stderr}" if done.returncode else ""


def find() -> Promtool:
    """The program that is installed; ``GPUWARDEN_PROMTOOL`` names another. A test without it is skipped, or fails."""
    program = os.environ.get("GPUWARDEN_PROMTOOL") or shutil.which("promtool")
    if program is None:
        if os.environ.get("GPUWARDEN_REQUIRE_PROMTOOL") == "1":
            pytest.fail(
                "GPUWARDEN_REQUIRE_PROMTOOL is 1, and there is no promtool; on Debian: apt-get install prometheus"
            )
        pytest.skip("no promtool to check metrics and alerts with; on Debian: apt-get install prometheus")
    return Promtool(program)
