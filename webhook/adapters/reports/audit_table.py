"""The tables that ``gpuwarden audit`` prints for people: what would change and why, then the totals."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...application.rule_texts import NOT_EVALUATED
from ...engine.decision import Outcome
from ...engine.text import plural
from .audit import ALL, OUTCOMES, AuditReport, FlowLine, Outcomes, WorkloadLine
from .check_report import ObjectLine
from .check_table import reasons, show_problems
from .deciders import decider_grid
from .grid import Grid
from .terminal import MORE_WORKLOADS, STYLES
from .text import printable

_AS_IT_IS = ("unchanged", "exempt")
_COLUMNS = ("unchanged", "rewritten", "denied", "exempt", NOT_EVALUATED)
_ALWAYS = _COLUMNS[:3]  # other columns are shown only if they count something, so that tables fit a terminal
_COUNTED = ("denied", "rewritten", "unchanged", "exempt", NOT_EVALUATED)
_MOST = 500  # workloads; nobody reads more of them in a terminal
_LONGEST = 40  # lines of a table of totals; longer ones are for spreadsheets


def show(target: Console, report: AuditReport, *, everything: bool = False) -> None:
    """Print a report.

    Unchanged workloads are listed only with ``everything``.
    """
    shown = [line for line in report.objects if everything or line.decision not in _AS_IT_IS or line.findings]
    shown.sort(key=lambda line: OUTCOMES.index(line.decision))
    if shown:
        target.print(_workloads(shown[:_MOST]), crop=False)
    if len(shown) > _MOST:
        target.print(Text(MORE_WORKLOADS.format(len(shown) - _MOST), style="yellow"))
    if report.objects:
        target.print(_totals("namespace", [(n.name, n.policy, n.workloads) for n in report.totals.namespaces]))
        target.print(_totals("policy", [(p.name, None, p.workloads) for p in report.totals.policies]))
        target.print(_forms(report.totals.forms))
    if report.deciders:
        target.print(decider_grid(report.deciders), crop=False)
    if report.totals.rules:
        target.print(_rules(report.totals.rules))
    for line in [line for line in (*report.others, *report.kinds) if line.not_evaluated][:_MOST]:
        target.print(
            Text.assemble(
                (f"{printable(place(line))}: ", "bold"),
                ("not evaluated: ", "magenta"),
                printable(line.not_evaluated or ""),
            )
        )
    show_problems(target, report.problems)
    for note in report.notes:
        target.print(Text(printable(note), style="yellow"))
    target.print(_summary(report))
    if report.scope:
        target.print(Text(report.scope, style="dim"))


def place(line: ObjectLine) -> str:
    """Return the place of an object, for people."""
    if line.name == ALL:
        return line.kind
    return line.named if line.source is None else f"{line.source}:{line.line}: {line.named}"


def worst_first(tally: Outcomes) -> tuple[int, int]:
    """A sort key: the most denied and rewritten first."""
    return -tally.denied, -tally.rewritten


def _workloads(lines: Sequence[WorkloadLine]) -> Grid:
    rows = []
    for line in lines:
        what = Text.assemble((printable(f"{line.kind} {line.name}"), "bold"), f"\nin {printable(line.namespace)}")
        if line.source is not None:
            what.append(f"\n{printable(line.source)}:{line.line}", style="dim")
        row = (
            what,
            Text(printable(line.policy)),
            Text("\n".join(map(printable, line.requests))),
            Text(_word(line.decision), style=STYLES[line.decision]),
            _pods(line.pods, "suspended" if line.suspended else "none"),
            Text("\n").join(reasons(line, line.becomes)),
        )
        rows.append(row)
    return Grid(("workload", "policy", "requests", "decision", "pods", "what and why"), rows, (3, 0, 2, 0, 0, 6))


def _pods(pods: Outcomes, otherwise: str) -> Text:
    counted = [(name, pods.number(name)) for name in _COLUMNS]
    lines = [Text(f"{number} {_word(name)}", style=STYLES[name]) for name, number in counted if number]
    return Text("\n").join(lines) if lines else Text(otherwise, style="dim")


def _word(outcome: str) -> str:
    return outcome.replace("-", " ")


def _totals(name: str, rows: Sequence[tuple[str, str | None, Outcomes]]) -> Table:
    """Workloads by name, the most denied and rewritten first."""
    has_policy = any(policy is not None for _, policy, _ in rows)
    columns = [each for each in _COLUMNS if each in _ALWAYS or any(tally.number(each) for _, _, tally in rows)]
    table = _table(name, *(["policy"] if has_policy else []), numbers=map(_word, columns))
    ordered = sorted(rows, key=lambda row: (*worst_first(row[2]), row[0]))
    for label, policy, tally in ordered[:_LONGEST]:
        numbers = [Text(str(n), style=STYLES[name] if n else "dim") for name in columns for n in (tally.number(name),)]
        table.add_row(Text(printable(label)), *((Text(printable(policy or "")),) if has_policy else ()), *numbers)
    if len(ordered) > _LONGEST:
        table.add_row(Text(f"and {len(ordered) - _LONGEST} more; list all with -o csv, json or html", style="dim"))
    return table


def _forms(flows: Sequence[FlowLine]) -> Table:
    table = _table("requested form", "becomes", "decision", numbers=("workloads", "pods", "GPUs"))
    for flow in sorted(flows, key=lambda flow: -flow.workloads)[:_LONGEST]:
        outcome = Text(_word(flow.outcome), style=STYLES[flow.outcome])
        forms = (Text(printable(form)) for form in (flow.before, flow.after))
        table.add_row(*forms, outcome, str(flow.workloads), str(flow.pods), str(flow.gpus))
    return table


def _rules(rules: dict[str, int]) -> Table:
    table = _table("rule", numbers=("workloads",))
    for rule, number in sorted(rules.items(), key=lambda counted: -counted[1]):
        table.add_row(rule, str(number))
    return table


def _table(*names: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _summary(report: AuditReport) -> Text:
    """The workloads by decision, then everything else that was checked or not read."""
    totals = report.totals
    tally = totals.workloads
    workloads = plural(tally.sum, "workload requests", "workloads request")
    summary = Text(f"{workloads} GPUs{report.otherwise}, with {plural(totals.pods.sum, 'pod')}: ")
    parts = [
        (f"{tally.number(name)} {_word(name)}", STYLES[name] if tally.number(name) else "dim") for name in _COUNTED
    ]
    summary.append_text(Text(", ").join(Text(words, style=style) for words, style in parts))
    if totals.suspended:
        summary.append(f"; {totals.suspended} of them suspended")
    others = totals.others
    labels = sum(line.kind == "Namespace" for line in report.others if line.decision == Outcome.DENIED)
    claims = others.denied - labels
    part = ("list",) if report.scope else ("file or document", "files or documents")
    for number, words, style in (
        (others.not_evaluated, f"{plural(others.not_evaluated, 'other object')} not evaluated", STYLES[NOT_EVALUATED]),
        (totals.kinds, f"{plural(totals.kinds, 'kind')} of objects not evaluated", STYLES[NOT_EVALUATED]),
        (labels, f"{plural(labels, 'namespace')} with a label that names no policy", STYLES["denied"]),
        (claims, f"{plural(claims, 'claim or template', 'claims or templates')} denied", STYLES["denied"]),
        (others.unchanged, f"{plural(others.unchanged, 'other object')} with a label without effect", "yellow"),
        (others.not_read, f"{plural(others.not_read, 'object')} not read", "red"),
        (totals.unread_parts, f"{plural(totals.unread_parts, *part)} not read", "red"),
    ):
        if number:
            summary.append("; ").append(words, style=style)
    return summary.append(f"; {plural(sum(totals.seen.values()), 'object')} checked", style="dim")
