"""Findings by namespace and rule: how many workloads of each namespace have a finding of each rule."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from .audit import WorkloadLine

MOST = 50
"""Namespaces that are shown, those with most findings first."""


class HeatMap(msgspec.Struct, frozen=True):
    """The table: rules (columns), and the numbers of each namespace (rows)."""

    rules: list[str]
    rows: list[tuple[str, list[int]]]
    left_out: int
    largest: int

    def level(self, number: int) -> int:
        """Return the shade of a number, from 1 (light) to 3 (dark), by its share of the largest."""
        return min(3 * number // (self.largest + 1) + 1, 3)


def findings_by_namespace(lines: Iterable[WorkloadLine]) -> HeatMap | None:
    """Count workloads, once for each rule; ``None`` if none has a finding."""
    cells: Counter[tuple[str, str]] = Counter()
    for line in lines:
        cells.update({(line.namespace, finding.rule) for finding in line.findings})
    if not cells:
        return None
    rules: Counter[str] = Counter()
    namespaces: Counter[str] = Counter()
    for (namespace, rule), number in cells.items():
        rules[rule] += number
        namespaces[namespace] += number
    columns = sorted(rules, key=lambda rule: (-rules[rule], rule))
    ordered = sorted(namespaces, key=lambda name: (-namespaces[name], name))
    rows = [(name, [cells[name, rule] for rule in columns]) for name in ordered[:MOST]]
    return HeatMap(columns, rows, max(len(ordered) - MOST, 0), max(cells.values()))
