"""JUnit XML: one test case an object, denied is failed, and counts that CI systems add up."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.builders import MIG, a_pod, gpu
from webhook.adapters.manifests.items import ManifestProblem
from webhook.adapters.reports.audit import WorkloadLine
from webhook.adapters.reports.junit import junit

SHARED_TEAM = labelled(team_a="shared")


def parsed(objects: list[WorkloadLine], *problems: ManifestProblem, strict: bool = False) -> ET.Element:
    return ET.fromstring(junit(objects, problems, strict=strict))  # noqa: S314 - our own document


def lines(*pods: Any, **fields: Any) -> list[WorkloadLine]:
    objects = [seen(pod, name=f"w{number}", **fields) for number, pod in enumerate(pods)]
    return reported(evaluated(objects, SHARED_TEAM)).objects


def a_case(objects: list[WorkloadLine], *, strict: bool = False) -> ET.Element:
    case = parsed(objects, strict=strict).find("testsuite/testcase")
    assert case is not None
    return case


def test_there_is_a_suite_a_namespace_and_a_case_an_object() -> None:
    root = parsed(reported(three()).objects)

    assert [(suite.get("name"), len(suite.findall("testcase"))) for suite in root] == [
        ("inference", 1),
        ("notebooks", 1),
        ("training", 1),
    ]
    assert [case.get("name") for case in root.iter("testcase")] == ["StatefulSet/llm", "Job/sweep", "Deployment/llama"]
    assert {case.get("classname") for case in root.iter("testcase")} == {"inference", "notebooks", "training"}


def test_what_is_refused_has_failed_by_its_rule() -> None:
    failure = a_case(lines(a_pod(gpu(2)))).find("failure")
    assert failure is not None
    assert failure.get("type") == "shared-request-above-one"
    assert (failure.get("message") or "").startswith('container "train": nvidia.com/gpu: 2 cannot be shared')
    assert "(spec.template.spec.containers[0]" in (failure.text or "")


def test_what_would_be_rewritten_has_passed_and_says_so() -> None:
    case = a_case(lines(a_pod(gpu(1))))
    assert case.find("failure") is None
    assert case.findtext("system-out") == 'train: nvidia.com/gpu: 1: would be rewritten by policy "shared"'


def test_what_would_be_rewritten_has_failed_when_strict() -> None:
    case = a_case(lines(a_pod(gpu(1))), strict=True)
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "rewritten"
    assert case.find("system-out") is None


def test_what_is_exempt_is_skipped() -> None:
    skipped = a_case(lines(a_pod(gpu(2)), namespace="kube-system")).find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "skipped: its namespace is exempt"


def test_a_warning_is_output_of_a_case_that_has_passed() -> None:
    made = evaluated([seen(a_pod(gpu(3, MIG)))], labelled(team_a="mig-1g.5gb"))
    case = a_case(reported(made).objects)
    assert case.find("failure") is None
    assert "mig-count-above-one" in (case.findtext("system-out") or "")


def test_an_object_of_a_file_has_its_place() -> None:
    case = a_case(lines(a_pod(gpu(2)), source="deploy/web.yaml", line=12))
    assert (case.get("file"), case.get("line")) == ("deploy/web.yaml", "12")


def test_an_object_of_a_cluster_has_none() -> None:
    assert a_case(lines(a_pod(gpu(2)))).get("file") is None


def test_names_are_unique_however_alike_objects_are() -> None:
    alike = [
        *lines(a_pod(gpu(2)), source="base/web.yaml", line=1),
        *lines(a_pod(gpu(2)), source="base/web.yaml", line=30),
        *lines(a_pod(gpu(2)), source="overlay/web.yaml", line=1),
        *lines(a_pod(gpu(2)), source="-", line=1),
        *lines(a_pod(gpu(2))),
        *lines(a_pod(gpu(2))),
    ]
    unread = [ManifestProblem(source="a.yaml", line=None, message=message) for message in ("one", "two")]
    root = parsed(alike, *unread)
    assert [case.get("name") for case in root.iter("testcase")] == [
        "Deployment/w0 in base/web.yaml",
        "Deployment/w0 in base/web.yaml #2",
        "Deployment/w0 in overlay/web.yaml",
        "Deployment/w0 in stdin",
        "Deployment/w0",
        "Deployment/w0 #2",
        "a.yaml",
        "a.yaml #2",
    ]
    assert root.get("failures") == "6"


def test_a_name_does_not_change_with_the_line() -> None:
    one, other = (a_case(lines(a_pod(gpu(2)), source="web.yaml", line=line)).get("name") for line in (1, 99))
    assert one == other


def test_a_line_in_a_name_forges_none() -> None:
    objects = lines(a_pod(gpu(2, name="c\n::error::x")))
    text = parsed(objects).findtext("testsuite/testcase/failure")
    assert text is not None
    assert len(text.splitlines()) == 1


def test_what_could_not_be_read_is_an_error_and_what_is_only_odd_is_not() -> None:
    root = parsed(
        [],
        ManifestProblem(source="a.yaml", line=3, message="is no YAML"),
        ManifestProblem(source="b.yaml", line=1, message="twice", fatal=False),
    )
    assert [case.get("name") for case in root.iter("testcase")] == ["a.yaml:3"]
    assert (root.get("errors"), root.get("tests")) == ("1", "1")


@pytest.mark.parametrize("strict", [False, True])
def test_counts_add_up(strict: bool) -> None:  # noqa: FBT001 - a parameter of the test
    report = reported(many(200, 20))
    root = parsed(report.objects, strict=strict)
    tally = report.totals.workloads
    failures = tally.denied + (tally.rewritten if strict else 0)
    assert (root.get("tests"), root.get("failures")) == ("200", str(failures))
    for attribute in ("tests", "failures", "errors", "skipped"):
        assert sum(int(suite.get(attribute) or "") for suite in root) == int(root.get(attribute) or "")


def test_of_nothing_is_an_empty_document() -> None:
    root = parsed([])
    assert (root.tag, root.get("tests"), len(root)) == ("testsuites", "0", 0)


@pytest.mark.parametrize("hostile", ["\x00\x1b[2J", "</testcase><x>", "]]>", "\u202e", "\ufffe", "&amp;"])
def test_no_text_breaks_the_document(hostile: str) -> None:
    objects = lines(a_pod(gpu(2, name=hostile)), source=f"{hostile}.yaml", line=1)
    failure = a_case(objects).find("failure")
    assert failure is not None
    if hostile.isprintable():
        assert hostile in (failure.get("message") or "")
