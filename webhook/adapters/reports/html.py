"""The pages that ``gpuwarden audit -o html`` and ``gpuwarden fleet -o html`` print: each one file, no other.

What came from the cluster is escaped by the template engine, wherever it appears. Should that ever fail, the page's own
Content-Security-Policy permits exactly our script and our style, and no address to send anything to.
"""

import base64
import hashlib
import json
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from webhook import __version__
from webhook.adapters.reports.audit import OUTCOMES, AuditReport, NamespaceLine, Outcomes
from webhook.adapters.reports.audit_table import place
from webhook.adapters.reports.fleet_report import FleetReport
from webhook.adapters.reports.flow_drawing import draw
from webhook.adapters.reports.text import printable
from webhook.application.rule_texts import RULE_TEXTS, left_alone
from webhook.engine.findings import Severity

MOST_ROWS = 10_000
"""Workloads that a page shows, those that matter most first: a browser gets slow with more."""

# With the word for people.
_WORDS = {outcome: outcome.replace("-", " ") for outcome in OUTCOMES}
_RANK = {outcome: number for number, outcome in enumerate(OUTCOMES)}


def html(report: AuditReport) -> str:
    """The page of an audit."""
    environment = _environment()
    style, script = (_own(environment, name) for name in ("audit.css", "audit.js"))
    rows = sorted(report.objects, key=lambda line: (_RANK[line.decision], line.namespace, line.name, line.kind))
    return environment.get_template("audit.html.j2").render(
        report=report,
        version=__version__,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; style-src-attr 'unsafe-inline'; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        outcomes=_WORDS,
        rank=_RANK,
        tiles=[
            (outcome, word, report.totals.workloads.number(outcome), report.totals.pods.number(outcome))
            for outcome, word in _WORDS.items()
        ],
        troubles=[
            *(f"{problem.where}: {problem.message}" for problem in report.problems),
            *report.notes,
            *(
                f"{place(line)}: not judged: {line.not_judged}"
                for line in (*report.others, *report.kinds)
                if line.not_judged
            ),
        ],
        drawing=draw(report.totals.forms),
        rules=sorted(
            ((RULE_TEXTS[rule], number) for rule, number in report.totals.rules.items()),
            key=lambda counted: (counted[0].severity is not Severity.DENY, -counted[1]),
        ),
        largest=max((line.workloads.sum for line in report.totals.namespaces), default=1),
        namespaces=sorted(report.totals.namespaces, key=_worst_first),
        rows=rows[:MOST_ROWS],
        left_out=max(len(rows) - MOST_ROWS, 0),
    )


def fleet_html(report: FleetReport) -> str:
    """The page of a fleet."""
    environment = _environment()
    style = _own(environment, "audit.css")
    return environment.get_template("fleet_page.html.j2").render(
        fleet=report,
        version=__version__,
        style=style,
        policy=f"default-src 'none'; style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'",
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("webhook.adapters.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["patch"] = _patch
    environment.filters["left_alone"] = left_alone
    return environment


def _printed(value: object) -> object:
    """Text for the page, without invisible characters and characters that change the reading order."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value


def _own(environment: Environment, name: str) -> Markup:
    """Read one of the page's own files."""
    assert environment.loader is not None  # noqa: S101 - it was given one
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source)  # noqa: S704 - from our own package


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _patch(operations: Sequence[object]) -> str:
    """A JSON Patch for people: one operation per line."""
    lines = ",\n ".join(json.dumps(operation, ensure_ascii=False) for operation in operations)
    return f"[{lines}]"


def _worst_first(line: NamespaceLine) -> tuple[int, int, str]:
    tally: Outcomes = line.workloads
    return -tally.denied, -tally.rewritten, line.name
