"""Resource claims (DRA) in ``check``, ``audit`` and ``rewrite``: nothing reads them, and every report says so."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.builders import GPU, Json, a_container, a_pod, gpu
from tests.cli.commands import SERVICE, run

CHECKED = ("table", "diff", "json", "junit", "sarif")
AUDITED = ("table", "json", "junit", "sarif", "csv", "html")
NOT_LOOKED_AT = "resource claim gpu not checked; gpuwarden checks GPU requests by resource name"
CLAIMS: Json = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]}
CLAIMING = a_container("train", resources={"claims": [{"name": "gpu"}]})

TEMPLATES = [
    ("v1", "Pod", ()),
    ("v1", "PodTemplate", ("template",)),
    ("apps/v1", "Deployment", ("spec", "template")),
    ("batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template")),
]
CLAIM = "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: one}\nspec: {devices: {requests: []}}\n"


def manifest(version: str = "v1", kind: str = "Pod", steps: tuple[str, ...] = (), **pod: Any) -> str:
    """An object whose pod has these containers and fields, as JSON."""
    inner: Any = pod or a_pod(CLAIMING, **CLAIMS)
    for step in reversed(steps):
        inner = {step: inner}
    return json.dumps({**inner, "apiVersion": version, "kind": kind, "metadata": {"name": "p"}})


def document(command: str, *options: str, stdin: str, code: int = 0) -> Any:
    ran = run(command, "-", *options, "-o", "json", stdin=stdin)
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def words_in(sentence: str, out: str) -> bool:
    """Whether each word of a sentence is there: a table breaks it into lines of a column."""
    return all(word in out for word in sentence.split())


def said(command: str, output: str, *options: str, stdin: str) -> str:
    ran = run(command, "-", "-o", output, *options, stdin=stdin)
    return " ".join((ran.out + ran.err).split())


@pytest.mark.parametrize(
    "pod", [a_pod(CLAIMING), a_pod(CLAIMING, resourceClaims=[]), a_pod(CLAIMING, resourceClaims=None)]
)
def test_a_pod_without_claims_is_judged(pod: dict[str, Any]) -> None:
    (line,) = document("check", "--strict", stdin=manifest(**pod))["objects"]
    assert (line["decision"], line["notJudged"], line["claims"]) == ("unchanged", None, [])


@pytest.mark.parametrize(("version", "kind", "steps"), TEMPLATES)
def test_a_pod_with_claims_is_not_judged(version: str, kind: str, steps: tuple[str, ...]) -> None:
    found = document("check", stdin=manifest(version, kind, steps))
    (line,) = found["objects"]
    field = ".".join((*steps, "spec.resourceClaims"))
    assert (line["decision"], line["claims"], line["asks"]) == ("not-judged", ["gpu"], [])
    assert line["notJudged"].startswith(f"{field}: {NOT_LOOKED_AT}")
    assert (found["totals"]["notJudged"], found["totals"]["unchanged"], found["totals"]["asking"]) == (1, 0, 0)


@pytest.mark.parametrize("output", CHECKED)
@pytest.mark.parametrize("stdin", [manifest(), CLAIM])
def test_check_says_it_in_every_format_and_fails_when_strict(output: str, stdin: str) -> None:
    out = said("check", output, stdin=stdin)
    assert words_in("not checked; gpuwarden checks GPU requests by resource name", out)
    assert run("check", "-", "-o", output, stdin=stdin).code == 0
    assert run("check", "-", "-o", output, "--strict", stdin=stdin).code == 1


@pytest.mark.parametrize("output", AUDITED)
@pytest.mark.parametrize("stdin", [manifest(), CLAIM])
def test_audit_says_it_in_every_format_and_fails_when_strict(output: str, stdin: str) -> None:
    out = said("audit", output, stdin=stdin)
    assert words_in("not checked; gpuwarden checks GPU requests by resource name", out)
    assert run("audit", "-", "-o", output, stdin=stdin).code == 0
    assert run("audit", "-", "-o", output, "--strict", stdin=stdin).code == 1


def test_the_summary_never_counts_it_among_those_without_a_request() -> None:
    items = ",".join(manifest(*each) for each in TEMPLATES)
    stdin = f'{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}\n---\n{SERVICE}---\n{CLAIM}'
    out = said("check", "table", stdin=stdin)
    assert "0 rewritten, 1 unchanged (1 without a GPU request), 0 exempt, 5 not judged, 0 not read" in out


def test_what_else_the_pod_requests_is_judged_and_told() -> None:
    both = manifest(**a_pod(gpu(1), **CLAIMS))
    (rewritten,) = document("check", "--policy", "shared", stdin=both)["objects"]
    (denied,) = document("check", "--policy", "none", stdin=both, code=1)["objects"]
    (unchanged,) = document("check", "--policy", "exclusive", stdin=both)["objects"]
    decisions = [line["decision"] for line in (rewritten, denied, unchanged)]
    assert decisions == ["rewritten", "denied", "not-judged"]
    assert all(NOT_LOOKED_AT in line["notJudged"] for line in (rewritten, denied, unchanged))
    assert all(line["asks"] == [f"train: {GPU}: 1"] for line in (rewritten, denied, unchanged))
    assert rewritten["patch"]
    assert [finding["rule"] for finding in denied["findings"]] == ["gpu-not-permitted"]
    for output in CHECKED:
        for policy in ("shared", "none", "exclusive"):
            assert words_in(NOT_LOOKED_AT, said("check", output, "--policy", policy, stdin=both)), (output, policy)


def test_each_object_counts_once() -> None:
    both = manifest(**a_pod(gpu(1), **CLAIMS))
    out = said("check", "table", "--policy", "none", stdin=f"{both}\n---\n{manifest()}")
    assert "2 objects: 1 denied, 0 rewritten, 0 unchanged, 0 exempt, 1 not judged" in out
    out = said("check", "table", "--policy", "exclusive", stdin=f"{both}\n---\n{manifest(**a_pod(gpu(1)))}")
    assert "2 objects: 0 denied, 0 rewritten, 1 unchanged, 0 exempt, 1 not judged, 0 not read" in out


def test_an_exempt_pod_is_left_alone_and_not_counted_as_without_a_request() -> None:
    exempt = manifest(**a_pod(CLAIMING, schedulerName="kai-scheduler", **CLAIMS))
    (line,) = document("check", "--strict", stdin=exempt)["objects"]
    assert (line["exempt"], line["decision"], line["notJudged"], line["claims"]) == (
        "scheduler",
        "exempt",
        None,
        ["gpu"],
    )
    out = said("check", "table", stdin=exempt)
    assert "exempt skipped: its scheduler is exempt" in out
    assert "0 unchanged, 1 exempt, 0 not judged" in out


def test_a_junit_case_is_skipped_unless_strict() -> None:
    def case(*options: str) -> ET.Element:
        found = ET.fromstring(run("check", "-", "-o", "junit", *options, stdin=manifest()).out).find(".//testcase")  # noqa: S314 - our own document
        assert found is not None
        return found

    skipped, failed = case().find("skipped"), case("--strict").find("failure")
    assert skipped is not None
    assert NOT_LOOKED_AT in (skipped.get("message") or "")
    assert failed is not None
    assert failed.get("type") == "not-judged"


def test_an_audit_counts_it_apart() -> None:
    both = manifest("apps/v1", "Deployment", ("spec", "template"), **a_pod(gpu(1), **CLAIMS))
    found = document("audit", stdin=f"{manifest()}\n---\n{both}\n---\n{CLAIM}")
    assert {line["kind"]: line["decision"] for line in found["objects"]} == {
        "Pod": "not-judged",
        "Deployment": "not-judged",
    }
    assert [line["kind"] for line in found["others"]] == ["ResourceClaim"]
    none = {"unchanged": 0, "rewritten": 0, "denied": 0, "exempt": 0}
    assert found["totals"]["workloads"] == {**none, "notJudged": 2}
    assert found["totals"]["notJudged"] == 3
    assert [flow["outcome"] for flow in found["totals"]["forms"]] == ["not-judged"]
    out = said("audit", "table", stdin=manifest())
    assert "1 workload requests GPUs, or has resource claims, with 0 pods: " in out
    assert "0 unchanged, 0 exempt, 1 not judged" in out


def test_rewrite_says_it_and_writes(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(manifest(**a_pod(gpu(1), **CLAIMS)))
    ran = run("rewrite", tmp_path / "p.json", "--policy", "shared")
    assert ran.code == 0
    assert f"not judged: spec.resourceClaims: {NOT_LOOKED_AT}" in ran.err
    assert "nvidia.com/gpu.shared" in ran.out
