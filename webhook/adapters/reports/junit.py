"""JUnit XML for CI systems: one test case per object, in a suite for its namespace; a denied object is a failure.

CI systems identify a test case by its class name and name, and keep only one of equal ones; GitLab shows neither the other
failures nor their number. So the name of an object in a file contains the file, and equal names are numbered. Names contain no
lines, so that edits above an object do not change its name.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...application.rule_texts import INEFFECTIVE_LABEL, NOT_EVALUATED, NOT_READ, REWRITTEN, left_alone
from ...engine.decision import Outcome
from ..manifests.items import ManifestProblem
from .check_report import FindingLine, ObjectLine
from .text import printable


def junit(objects: Iterable[ObjectLine], problems: Sequence[ManifestProblem], *, strict: bool = False) -> str:
    """The document.

    Args:
        objects: what was evaluated. Each is one test case; the properties of its suite count the decisions.
        problems: what is wrong with the input; a file or document that could not be read is a test case with an error, in a
            suite of its own.
        strict: whether rewrites and objects that are not evaluated are failures too, as with ``--strict``.
    """
    root = Element("testsuites", name="gpuwarden")
    names = _Names()
    suites: dict[str, list[ObjectLine]] = {}
    for line in objects:
        suites.setdefault(line.namespace, []).append(line)
    for namespace, lines in suites.items():
        suite = SubElement(root, "testsuite", name=printable(namespace) or "-")
        properties = SubElement(suite, "properties")
        for decision, number in Counter(line.decision for line in lines).items():
            SubElement(properties, "property", name=decision, value=str(number))
        for line in lines:
            _case(suite, names, line, strict=strict)
    unread = [problem for problem in problems if problem.is_unread_part]
    if unread:
        suite = SubElement(root, "testsuite", name="not read")
        for problem in unread:
            case = SubElement(
                suite, "testcase", name=names.unique("not read", printable(problem.where)), classname="not read"
            )
            SubElement(case, "error", message=printable(problem.message), type=NOT_READ)
    for suite in root:
        _count(suite, suite.findall("testcase"))
    _count(root, root.findall("testsuite/testcase"))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


class _Names:
    """The names of test cases that are used, by class name."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, str]]()

    def unique(self, classname: str, name: str) -> str:
        """A name that no other test case of the class has: the name itself, or with a number after it."""
        self._counts[classname, name] += 1
        number = self._counts[classname, name]
        return name if number == 1 else self.unique(classname, f"{name} #{number}")


def _case(suite: Element, names: _Names, line: ObjectLine, *, strict: bool) -> None:
    classname = printable(line.namespace) or "-"
    where = "" if line.source is None else f" in {'stdin' if line.source == '-' else line.source}"
    name = names.unique(classname, printable(f"{line.kind}/{line.name}{where}"))
    case = SubElement(suite, "testcase", name=name, classname=classname)
    if line.source is not None:
        case.set("file", printable(line.source))
        if number := _line(line):
            case.set("line", str(number))
    failure = _failure(line, strict=strict)
    told = [printable(_sentence(one)) for one in line.reported() if one.rule != line.decision or one.rule == REWRITTEN]
    if line.not_read:
        SubElement(case, "error", message=printable(line.not_read), type=NOT_READ)
    elif failure:
        element = SubElement(case, "failure", message=printable(failure.message), type=failure.rule)
        element.text = "\n".join(told)
    elif skipped := _skipped(line):
        SubElement(case, "skipped", message=printable(skipped))
    if told and not failure:
        SubElement(case, "system-out").text = "\n".join(told)


def _sentence(one: FindingLine) -> str:
    if one.rule == REWRITTEN:
        return one.message
    place = f" ({one.path}{f', line {one.line}' if one.line else ''})" if one.path else ""
    return f"{one.rule}: {one.message}{place}"


def _line(line: ObjectLine) -> int | None:
    """Return the line of the first finding that denies, or of what would be rewritten, or of the object."""
    denied = next((finding.line for finding in line.findings if finding.severity == "deny"), None)
    return denied or line.patch_line or line.line


def _failure(line: ObjectLine, *, strict: bool) -> FindingLine | None:
    """Return why a case has failed; ``None`` if it has not."""
    reported = list(line.reported())
    if line.decision == Outcome.DENIED:
        return next(one for one in reported if one.severity == "deny")
    failing = (REWRITTEN, NOT_EVALUATED, INEFFECTIVE_LABEL) if strict and not line.exempt else ()
    return next((one for rule in failing for one in reported if one.rule == rule), None)


def _skipped(line: ObjectLine) -> str | None:
    """Return why a case is skipped, because its object was not evaluated; ``None`` if it was."""
    if line.exempt:
        return left_alone(line.exempt)
    if line.not_evaluated:
        return f"not evaluated: {line.not_evaluated}"
    return "of a kind that gpuwarden does not know, and no pods were found in it" if line.unknown_kind else None


def _count(element: Element, cases: Sequence[Element]) -> None:
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
