"""What a PromQL expression names: metrics, the labels that it selects or groups by, and the values that it wants.

No parser: promtool is that. This finds the names in expressions that promtool has accepted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(
    rf"\b(?P<metric>(?:[a-z]+|DCGM)_[A-Za-z0-9_]+)\b(?P<matchers>\{{(?:[^{{}}\"]|{_STRING})*\}})?(?!\s*\()"
)
_MATCHER = re.compile(rf"(?P<label>[a-zA-Z_]\w*)\s*(?P<how>=~|!~|!=|=)\s*(?P<value>{_STRING})")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)")
# Of functions such as label_replace; a string of a matcher is behind an operator.
_ARGUMENT = re.compile(rf",\s*{_STRING}")


@dataclass(frozen=True)
class Matcher:
    """One label that an expression selects by."""

    metric: str
    label: str
    how: str
    value: str


def metrics(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return {found["metric"] for found in _selectors(expression)}


def matchers(expression: str) -> Iterator[Matcher]:
    """The labels that it selects by."""
    for found in _selectors(expression):
        for one in _MATCHER.finditer(found["matchers"] or ""):
            yield Matcher(found["metric"], one["label"], one["how"], one["value"].strip('"'))


def grouped_by(expression: str) -> set[str]:
    """The labels that it groups by, or leaves out."""
    return {label.strip() for found in _GROUPING.finditer(expression) for label in found[1].split(",") if label.strip()}


def _selectors(expression: str) -> Iterator[re.Match[str]]:
    """Every selector; functions have a parenthesis after them, and labels stand in groupings."""
    return _SELECTOR.finditer(_ARGUMENT.sub("", _GROUPING.sub(" ", expression)))


def without_variables(expression: str) -> str:
    """An expression of a dashboard, with what Grafana puts in place of its variables."""
    for variable, value in (
        ("$cluster", ".*"),
        ("$job", "gpuwarden"),
        ("$namespace", ".*"),
        ("$__rate_interval", "5m"),
    ):
        expression = expression.replace(variable, value)
    assert "$" not in expression.replace('"$1"', "")
    return expression
