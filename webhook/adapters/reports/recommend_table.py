"""The text that ``gpuwarden recommend`` prints for people: each namespace with its workloads, then the cluster."""

from rich.console import Console
from rich.text import Text

from webhook.adapters.reports.grid import Grid
from webhook.adapters.reports.recommend_words import advice_lines, cluster_lines, criteria, used, verdict
from webhook.adapters.reports.text import printable
from webhook.application.recommendation.namespaces import NamespaceAdvice
from webhook.application.recommendation.recommend import Cluster, Line, Recommendation
from webhook.application.recommendation.verdicts import Kind

_STYLES = {
    Kind.UNKNOWN: "magenta",
    Kind.UNUSED: "bold red",
    Kind.FEWER: "yellow",
    Kind.BATCH: "yellow",
    Kind.SLICE: "green",
    Kind.SHARED: "green",
    Kind.EXCLUSIVE: "cyan",
    Kind.AS_IT_IS: "dim",
}
_MOST = 500  # workloads; nobody reads more of them in a terminal


def show(target: Console, found: Recommendation) -> None:
    """Print a recommendation."""
    lines: dict[str, list[Line]] = {}
    for line in found.workloads[:_MOST]:
        lines.setdefault(line.namespace, []).append(line)
    advice = {one.namespace: one for one in found.namespaces}
    for namespace, of_namespace in lines.items():
        target.print(Text(f"namespace {printable(namespace)}", style="bold"))
        head = ("workload", "used", "fits", "why")
        target.print(Grid(head, [_cells(line) for line in of_namespace], (3, 3, 2, 6)), crop=False)
        target.print(_advice(advice[namespace]))
    if len(found.workloads) > _MOST:
        more = len(found.workloads) - _MOST
        target.print(Text(f"and {more} more workloads; -o csv, json or html has all, -n narrows\n", style="yellow"))
    for note in found.notes:
        target.print(Text.assemble(("note: ", "yellow"), printable(note)))
    target.print(_cluster(found.cluster))


def _cells(line: Line) -> tuple[Text, ...]:
    what = Text.assemble((printable(line.named), "bold"), *(f"\n{printable(one)}" for one in line.requests))
    if line.running != 1:
        what.append(f"\n{line.running} pods run", style="dim")
    fits = Text(printable(verdict(line.verdict)), style=_STYLES[line.verdict.kind])
    why = Text("\n".join(map(printable, line.verdict.reasons)))
    if line.criteria:
        why.append(f"\n{criteria(line.criteria)}", style="dim")
    return what, Text("\n".join(used(line.used)) or "nothing known"), fits, why


def _advice(advice: NamespaceAdvice) -> Text:
    first, *more = advice_lines(advice)
    text = Text(f"{printable(first)}\n", style="bold green" if advice.policy else "magenta")
    for line in more:
        text.append(
            f"  {printable(line)}\n", style="not bold yellow" if line.startswith("would hurt") else "not bold default"
        )
    if advice.preview:
        text.append(f"  preview: {printable(advice.preview)}\n", style="not bold default")
        text.append(f"  set:     {printable(advice.label)}\n", style="not bold default")
    return text


def _cluster(cluster: Cluster) -> Text:
    return Text.assemble(("cluster: ", "bold"), "\n         ".join(map(printable, cluster_lines(cluster))))
