"""The pages that ``gpuwarden audit -o html`` and ``gpuwarden fleet -o html`` print, each a single file.

The template engine escapes everything that came from the cluster. In case that fails, the page's Content-Security-Policy permits
only our script and our style, and no requests.
"""

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...application.gpu_forms import DENIED
from ...application.rule_texts import RULE_TEXTS, left_alone
from ...engine.findings import Severity
from .audit import OUTCOMES, AuditReport, FlowLine, WorkloadLine
from .audit_table import place, worst_first
from .fleet_report import FleetReport
from .flow_drawing import draw, unit
from .heat_map import findings_by_namespace
from .text import printable
from .yaml_diff import yaml_diff

PLAIN_ROWS = 200
"""Workloads that are plain HTML. The others are compressed and unpacked by a script: thousands would take megabytes, and seconds
until anything is shown."""
MOST_ROWS = 10_000
"""Workloads on a page, the most severe first: a browser gets slow with more."""

# With the word for people.
_WORDS = {outcome: outcome.replace("-", " ") for outcome in OUTCOMES}
_RANK = {outcome: number for number, outcome in enumerate(OUTCOMES)}


def html(report: AuditReport) -> str:
    """The page of an audit."""
    rows = sorted(report.objects, key=_by_group)
    kept = rows[:MOST_ROWS]
    packed = kept[PLAIN_ROWS:]
    return page(
        "audit.html.j2",
        "audit.js",
        report=report,
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
                f"{place(line)}: not evaluated: {line.not_evaluated}"
                for line in (*report.others, *report.kinds)
                if line.not_evaluated
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
        namespaces=sorted(report.totals.namespaces, key=lambda line: (*worst_first(line.workloads), line.name)),
        rows=kept[:PLAIN_ROWS],
        packed=packed and _packed(_rendered("workload_rows.html.j2", rows=packed, outcomes=_WORDS, rank=_RANK)),
        packed_rows=len(packed),
        left_out=len(rows) - len(kept),
    )


def fleet_html(report: FleetReport) -> str:
    """The page of a fleet."""
    return page("fleet_page.html.j2", fleet=report)


def page(template: str, script: str = "", **values: object) -> str:
    """Render a template with our style and one of our scripts, and a Content-Security-Policy that permits nothing else."""
    style = _own("audit.css")
    code = _own(script) if script else Markup()
    scripts = f"style-src-attr 'unsafe-inline'; script-src {_hash(code)}; " if script else ""
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; {scripts}img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _rendered(template, style=style, script=code, policy=policy, version=__version__, **values)


def _rendered(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
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
    """Escape invisible characters in a text, and characters that change the reading order."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value


def _own(name: str) -> Markup:
    """One of the page's own files."""
    return Markup((resources.files(__package__) / "page" / name).read_text(encoding="utf-8"))  # noqa: S704 - from our own package


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
    """The GPUs of the workloads with an outcome, before and after: ``3 GPUs → 3 slots``."""
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
