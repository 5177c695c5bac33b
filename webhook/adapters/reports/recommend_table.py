"""The text that ``gpuwarden recommend`` prints for people: each namespace with its workloads, then the cluster."""

import textwrap

from rich.console import Console
from rich.text import Text

from ...application.recommendation.namespace_advice import NamespaceAdvice
from ...application.recommendation.recommend import Recommendation, WorkloadRecommendation
from ...application.recommendation.verdicts import VerdictKind
from ...engine.text import plural
from .recommend_words import advice_lines, by_namespace, changes, cluster_lines, used, verdict
from .terminal import MORE_WORKLOADS
from .text import printable

_STYLES = {
    VerdictKind.UNKNOWN: "magenta",
    VerdictKind.UNUSED: "bold red",
    VerdictKind.FEWER: "yellow",
    VerdictKind.BATCH: "yellow",
    VerdictKind.SLICE: "green",
    VerdictKind.SHARED: "green",
    VerdictKind.EXCLUSIVE: "cyan",
    VerdictKind.AS_IT_IS: "dim",
}
_LABEL = 8  # characters of the labels of facts
_MOST = 500  # workloads; nobody reads more of them in a terminal


def show(target: Console, found: Recommendation) -> None:
    """Print a recommendation."""
    for advice, lines in by_namespace(found, _MOST):
        target.print(Text(f"namespace {printable(advice.namespace)}\n", style="bold underline"))
        for line in lines:
            target.print(_workload(line, target.width))
        target.print(_advice(advice, target.width))
    if len(found.workloads) > _MOST:
        target.print(Text(MORE_WORKLOADS.format(len(found.workloads) - _MOST), style="yellow"))
    for note in found.notes:
        target.print(Text(_filled("note", note, target.width, ""), style="yellow"))
    for sentence in cluster_lines(found.cluster):
        target.print(Text(_filled("cluster", sentence, target.width, "")))


def _workload(line: WorkloadRecommendation, width: int) -> Text:
    text = Text.assemble(
        (printable(line.named), "bold"), ": ", (printable(verdict(line.verdict)), _STYLES[line.verdict.kind])
    )
    pods = plural(line.running, "pod runs", "pods run")
    facts = [("asks", f"{', '.join(line.requests)}; {pods}")]
    if phrases := used(line.used):
        facts.append(("used", "; ".join(phrases)))
    facts += [("why" if number == 0 else "", reason) for number, reason in enumerate(line.verdict.reasons)]
    for label, fact in facts:
        text.append(f"\n{_filled(label, fact, width)}")
    for change in changes(line.criteria):
        text.append(f"\n{_filled('', change, width)}", style="dim")
    return text.append("\n")


def _filled(label: str, fact: str, width: int, indent: str = "  ") -> str:
    """A label and its text, wrapped to this width; all lines of the text are aligned."""
    lead = f"{indent}{label:<{_LABEL}}"
    return textwrap.fill(
        printable(fact), width, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    )


def _advice(advice: NamespaceAdvice, width: int) -> Text:
    first, *more = advice_lines(advice)
    text = Text.assemble((printable(first), "bold green" if advice.policy else "magenta"))
    for line in more:
        style = "yellow" if line.startswith(("would hurt", "would deny")) else ""
        text.append("\n").append(
            textwrap.fill(printable(line), width, initial_indent="  ", subsequent_indent="    "), style
        )
    if advice.preview:  # commands are not broken: they are to be copied
        text.append(f"\n  preview  {printable(advice.preview)}\n  set      {printable(advice.label)}")
    return text.append("\n")
