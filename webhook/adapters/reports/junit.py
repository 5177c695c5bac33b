"""JUnit XML, as CI systems read it: one test case an object, in a suite for its namespace; refused is failed."""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from webhook.adapters.reports.model import ObjectLine, ProblemLine
from webhook.adapters.reports.text import printable
from webhook.application.rule_texts import INEFFECTIVE_LABEL, NOT_JUDGED
from webhook.engine.decision import Outcome


def junit(objects: Iterable[ObjectLine], problems: Sequence[ProblemLine], *, strict: bool = False) -> str:
    """The document.

    Args:
        objects: what was judged.
        problems: what is wrong with the input; what could not be read is a test case with an error, in a suite of its own.
        strict: whether what would be rewritten or is not judged has failed too, as ``--strict`` has it.
    """
    root = Element("testsuites", name="gpuwarden")
    suites: dict[str, list[ObjectLine]] = {}
    for line in objects:
        suites.setdefault(line.namespace, []).append(line)
    for namespace, lines in suites.items():
        suite = SubElement(root, "testsuite", name=printable(namespace) or "-")
        for line in lines:
            _case(suite, line, strict=strict)
    unread = [problem for problem in problems if problem.fatal]
    if unread:
        suite = SubElement(root, "testsuite", name="not read")
        for problem in unread:
            case = SubElement(suite, "testcase", name=printable(problem.where), classname="not read")
            SubElement(case, "error", message=printable(problem.message), type="not-read")
    for suite in root:
        _count(suite, list(suite))
    _count(root, [case for suite in root for case in suite])
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, line: ObjectLine, *, strict: bool) -> None:
    case = SubElement(
        suite, "testcase", name=printable(f"{line.kind}/{line.name}"), classname=printable(line.namespace) or "-"
    )
    if line.source is not None:
        case.set("file", printable(line.source))
        if line.line:
            case.set("line", str(line.line))
    told = [f"{finding.rule}: {finding.message} ({finding.path})" for finding in line.findings]
    asks = "; ".join(line.asks)
    if line.exempt:
        SubElement(case, "skipped", message=f"left alone: its {line.exempt} is exempt")
    elif line.not_judged and strict:
        _failure(case, line.not_judged, NOT_JUDGED, [line.not_judged, *told])
    elif line.not_judged:
        SubElement(case, "skipped", message=printable(f"not judged: {line.not_judged}"))
    elif line.decision == Outcome.DENIED:
        first = next(finding for finding in line.findings if finding.severity == "deny")
        _failure(case, first.message, first.rule, told)
    elif line.decision == Outcome.REWRITTEN:
        message = f'{asks}: would be rewritten by policy "{line.policy}"'
        if strict:
            _failure(case, message, "rewritten", [message, *told])
        else:
            told.insert(0, message)
    elif line.unknown_kind:
        SubElement(case, "skipped", message="of a kind that gpuwarden does not know, and no pods were found in it")
    if strict and any(finding.rule == INEFFECTIVE_LABEL for finding in line.findings) and case.find("failure") is None:
        first = next(finding for finding in line.findings if finding.rule == INEFFECTIVE_LABEL)
        for skipped in case.findall("skipped"):
            case.remove(skipped)
        _failure(case, first.message, first.rule, told)
    if told and line.decision != Outcome.DENIED and case.find("failure") is None:
        SubElement(case, "system-out").text = printable("\n".join(told))


def _failure(case: Element, message: str, rule: str, told: list[str]) -> None:
    SubElement(case, "failure", message=printable(message), type=rule).text = printable("\n".join(told))


def _count(element: Element, cases: Sequence[Element]) -> None:
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
