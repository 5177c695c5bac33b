"""The pages that ``gpuwarden audit -o html`` and ``gpuwarden fleet -o html`` print: each one file, no other.

What came from the cluster is escaped by the template engine, wherever it appears. Should that ever fail, the page's own
Content-Security-Policy permits exactly our script and our style, and no address to send anything to.
"""

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...application.gpu_forms import DENIED
from ...application.rule_texts import RULE_TEXTS, left_alone
from ...engine.findings import Severity
from .audit import OUTCOMES, AuditReport, FlowLine, NamespaceLine, Outcomes, WorkloadLine
from .audit_table import place
from .fleet_report import FleetReport
from .flow_drawing import draw, unit
from .heat_map import findings_by_namespace
from .text import printable
from .yaml_diff import yaml_diff

PLAIN_ROWS = 200
"""Workloads that are written as they are. The others are compressed: thousands would take megabytes, and seconds until anything
is shown. A script unpacks them."""
MOST_ROWS = 10_000
"""Workloads that a page shows, those that matter most first: a browser gets slow with more."""

# With the word for people.
_WORDS = {outcome: outcome.replace("-", " ") for outcome in OUTCOMES}
_RANK = {outcome: number for number, outcome in enumerate(OUTCOMES)}


def html(report: AuditReport) -> str:
    """The page of an audit."""
    templates = environment()
    style, script = (own(templates, name) for name in ("audit.css", "audit.js"))
    rows = sorted(report.objects, key=_by_group)
    kept = rows[:MOST_ROWS]
    rest = kept[PLAIN_ROWS:]
    return templates.get_template("audit.html.j2").render(
        report=report,
        version=__version__,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; style-src-attr 'unsafe-inline'; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        outcomes=_WORDS,
        rank=_RANK,
        tiles=[
            (
                outcome,
                word,
                report.totals.workloads.number(outcome),
                report.totals.pods.number(outcome),
                _gpus(report.totals.forms, outcome),
            )
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
        heat=findings_by_namespace(report.objects),
        data=_packed(json.dumps(report.model_dump(mode="json", by_alias=True), separators=(",", ":"))),
        drawing=draw(report.totals.forms),
        rules=sorted(
            ((RULE_TEXTS[rule], number) for rule, number in report.totals.rules.items()),
            key=lambda counted: (counted[0].severity is not Severity.DENY, -counted[1]),
        ),
        largest=max((line.workloads.sum for line in report.totals.namespaces), default=1),
        namespaces=sorted(report.totals.namespaces, key=_worst_first),
        rows=kept[:PLAIN_ROWS],
        packed=_packed(templates.get_template("workload_rows.html.j2").render(rows=rest, outcomes=_WORDS, rank=_RANK))
        if rest
        else "",
        packed_rows=len(rest),
        left_out=len(rows) - len(kept),
    )


def fleet_html(report: FleetReport) -> str:
    """The page of a fleet."""
    templates = environment()
    style = own(templates, "audit.css")
    return templates.get_template("fleet_page.html.j2").render(
        fleet=report,
        version=__version__,
        style=style,
        policy=style_policy(style),
    )


def style_policy(style: str) -> str:
    """Return the Content-Security-Policy of a page with this style and no script."""
    return f"default-src 'none'; style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"


def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=PackageLoader(__package__, "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )
    made.filters["count"] = "{:,}".format
    made.filters["diff"] = yaml_diff
    made.filters["left_alone"] = left_alone
    return made


def _printed(value: object) -> object:
    """Text for the page, without invisible characters and characters that change the reading order."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value


def own(templates: Environment, name: str) -> Markup:
    """Read one of the page's own files."""
    assert templates.loader is not None  # noqa: S101 - it was given one
    source, _, _ = templates.loader.get_source(templates, name)
    return Markup(source)  # noqa: S704 - from our own package


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _packed(text: str) -> str:
    """Text as base64 of gzip, for a script element that the page's script unpacks."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _by_group(line: WorkloadLine) -> tuple[int, bool, str, str, str, str]:
    """The sort key of workloads: outcome, then rule (those without one last), namespace and name."""
    rule = line.findings[0].rule if line.findings else ""
    return _RANK[line.decision], not rule, rule, line.namespace, line.name, line.kind


def _gpus(flows: Sequence[FlowLine], outcome: str) -> str:
    """The GPUs that workloads with an outcome request, before and after: ``3 GPUs → 3 slots``."""
    before, after = Counter[str](), Counter[str]()
    for flow in flows:
        if flow.outcome == outcome:
            before[unit(flow.before, 2)] += flow.gpus
            if flow.after != DENIED:
                after[unit(flow.after, 2)] += flow.gpus
    if not before.total():
        return ""
    was, becomes = _amounts(before), _amounts(after) or "none"
    return was if was == becomes else f"{was} → {becomes}"


def _amounts(numbers: Counter[str]) -> str:
    ordered = sorted(numbers.items())
    return ", ".join(
        f"{number:,} {unit.removesuffix('s') if number == 1 else unit}" for unit, number in ordered if number
    )


def _worst_first(line: NamespaceLine) -> tuple[int, int, str]:
    tally: Outcomes = line.workloads
    return -tally.denied, -tally.rewritten, line.name
