"""Counts: whatever is put in, each object has exactly one decision, and in every format the numbers add up to the total."""

import csv
import io
import json
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.commands import NIM, SERVICE, deployment, namespace, run

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: team-a}
spec: {containers: [{name: c, image: i, resources: {limits: LIMITS}}]}
"""
CLAIMING = POD.replace("spec: {", "spec: {resourceClaims: [{name: gpu, resourceClaimName: x}], ")
# Each with its decision by check where *=shared; None is no object.
DOCUMENTS: dict[str, str | None] = {
    deployment(): "rewritten",
    deployment(gpu=2): "denied",
    deployment(namespace="kube-system"): "exempt",
    deployment(gpu=0): "unchanged",
    POD.replace("LIMITS", "{nvidia.com/gpu.shared: 1}"): "unchanged",
    POD.replace("LIMITS", "{nvidia.com/gpu: 1, nvidia.com/gpumem: 3000}"): "exempt",
    POD.replace("LIMITS", "{nvidia.com/gpu: [1]}"): "not-read",
    POD.replace("LIMITS", "{nvidia.com/gpu: 1}").replace(
        "name: c,", "name: 1, env: [{name: A, value: 1}],"
    ): "not-read",
    POD.replace("LIMITS", "{}").replace("kind: Pod", "kind: pod"): "not-evaluated",
    POD.replace("LIMITS", "{}"): "unchanged",
    POD.replace("LIMITS", "{}").replace("namespace: team-a", "labels: {gpuwarden.io/enforce: mps}"): "unchanged",
    POD.replace("LIMITS", "{nvidia.com/gpu: 1}").replace(
        "namespace: team-a", "labels: {gpuwarden.io/warn: mps}"
    ): "rewritten",
    CLAIMING.replace("LIMITS", "{}"): "not-evaluated",
    CLAIMING.replace("LIMITS", "{nvidia.com/gpu: 1}"): "rewritten",
    NIM: "not-evaluated",
    SERVICE: "unchanged",
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n": "unchanged",
    namespace("team-x", enforce="shred"): "denied",
    namespace("team-y", enfroce="shared"): "unchanged",
    namespace("team-z", enforce="off"): "not-read",
    "kind: [\n": None,
    "# nothing\n": None,
}
INPUTS = st.lists(st.sampled_from(sorted(DOCUMENTS)), min_size=1, max_size=8)
DECISIONS = ("denied", "rewritten", "unchanged", "exempt", "notEvaluated", "notRead")
GENERATED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def decisions(totals: Any) -> dict[str, int]:
    return {name: totals[name] for name in DECISIONS}


def in_words(summary: str) -> dict[str, int]:
    """The decisions of a summary, by their names in JSON."""
    words = {"not evaluated": "notEvaluated", "not read": "notRead"}
    counted = re.findall(r"(\d+) (denied|rewritten|unchanged|exempt|not evaluated|not read)\b", summary)
    return {words.get(word, word): int(number) for number, word in counted}


def cases(text: str) -> list[ET.Element]:
    root = ET.fromstring(text)  # noqa: S314 - our own document
    found = root.findall("testsuite/testcase")
    assert int(root.get("tests") or "") == len(found)
    return found


def properties(text: str) -> Counter[str]:
    counted = Counter[str]()
    for one in ET.fromstring(text).findall("testsuite/properties/property"):  # noqa: S314 - our own document
        counted[one.get("name") or ""] += int(one.get("value") or "")
    return counted


@GENERATED
@given(INPUTS)
def test_of_a_check_add_up_in_every_format(given_documents: list[str]) -> None:
    text = "---\n".join(given_documents)
    expected = Counter(filter(None, (DOCUMENTS[document] for document in given_documents)))
    ran = {output: run("check", "-", "--policy", "shared", "-o", output, stdin=text).out for output in OUTPUTS_OF_CHECK}
    report = json.loads(ran["json"])
    totals = report["totals"]
    assert Counter(line["decision"] for line in report["objects"]) == expected
    assert sum(decisions(totals).values()) == totals["objects"] == expected.total()
    assert totals["withoutRequest"] + totals["unknownKind"] <= totals["unchanged"]

    summary = " ".join(ran["table"].split()).rpartition(" objects: " if totals["objects"] != 1 else " object: ")
    of_objects, _, besides = summary[2].partition("; also, ")
    assert in_words(of_objects) == decisions(totals)
    assert summary[0].rpartition(" ")[2] == str(totals["objects"])
    assert bool(besides) == bool(totals["unreadParts"]) == ("kind: [\n" in given_documents)

    results = json.loads(ran["sarif"])["runs"][0]["properties"]
    assert results == {"objects": totals["objects"], "decisions": dict(expected)}
    assert properties(ran["junit"]) == expected
    assert len(cases(ran["junit"])) == totals["objects"] + totals["unreadParts"]
    errors = [case for case in cases(ran["junit"]) if case.find("error") is not None]
    assert len(errors) == totals["notRead"] + totals["unreadParts"]


@GENERATED
@given(INPUTS)
def test_of_an_audit_add_up_in_every_format(given_documents: list[str]) -> None:
    text = "---\n".join(given_documents)
    ran = {output: run("audit", "-", "--assume", "*=shared", "-o", output, stdin=text).out for output in OUTPUTS}
    report = json.loads(ran["json"])
    totals, workloads, others = report["totals"], report["objects"], report["others"]
    assert sum(totals["workloads"].values()) == len(workloads)
    assert Counter(line["decision"] for line in workloads) == +Counter(
        {name.replace("notEvaluated", "not-evaluated"): number for name, number in totals["workloads"].items()}
    )
    assert sum(totals["others"].values()) == len(others)
    places = [(line["source"], line["line"], line["kind"]) for line in (*workloads, *others)]
    assert len(set(places)) == len(places), "an object is a workload or another object, never both"
    objects = sum(DOCUMENTS[document] is not None for document in given_documents)
    assert sum(totals["seen"].values()) + totals["others"]["notRead"] == objects
    assert totals["notEvaluated"] == totals["workloads"]["notEvaluated"] + totals["others"]["notEvaluated"]

    summary = " ".join(ran["table"].split())
    head = re.search(r"(\d+) workloads? requests? GPUs.*?: ([^;]*)", summary)
    assert head is not None
    assert int(head[1]) == len(workloads) == sum(in_words(head[2]).values())
    assert in_words(head[2]) == totals["workloads"]
    assert len(cases(ran["junit"])) == len(places) + totals["unreadParts"]
    assert properties(ran["junit"]).total() == len(places)
    assert json.loads(ran["sarif"])["runs"][0]["properties"]["objects"] == len(places)
    assert len(list(csv.DictReader(io.StringIO(ran["csv"])))) == len(places)


OUTPUTS_OF_CHECK = ("json", "table", "junit", "sarif")
OUTPUTS = (*OUTPUTS_OF_CHECK, "csv")


@pytest.mark.parametrize("output", OUTPUTS_OF_CHECK)
def test_an_object_with_many_wrong_fields_is_one(output: str) -> None:
    text = POD.replace("LIMITS", "{}").replace(
        "name: c,", "name: 1, env: [{name: A, value: 1}, {name: B, value: off}],"
    )
    out = run("check", "-", "-o", output, stdin=text).out
    if output == "json":
        report = json.loads(out)
        assert (report["totals"]["notRead"], report["totals"]["problems"], len(report["objects"])) == (1, 3, 1)
    elif output == "junit":
        (case,) = cases(out)
        error = case.find("error")
        assert error is not None
        assert "env[0].value: must be text, not the number 1; quote it" in (error.get("message") or "")
    elif output == "table":
        assert "1 object: 0 denied, 0 rewritten, 0 unchanged, 0 exempt, 0 not evaluated, 1 not read" in out
    else:
        assert json.loads(out)["runs"][0]["properties"] == {"objects": 1, "decisions": {"not-read": 1}}
