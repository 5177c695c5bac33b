"""The references that are made from the code: they are up to date and complete, and documents fit their schemas."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hack import cli_reference, schemas
from hack.schemas import FOLDER
from hack.tools import ROOT
from tests.application.recommendation.cases import DAY, END, series, workload
from tests.cli.commands import run
from webhook.adapters.reports.doctor import doctor_report
from webhook.adapters.usage_file import SavedUsage, written
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.application.recommendation.usage import Usage

EXAMPLES = ROOT / "examples"
TYPO = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "policies": {"a": {"form": ["mps"]}}}
UNKNOWN = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "devicePlugin": {"migStrategy": "mixd"}}
NODE = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"nvidia.com/gpu.present": "true"}}}


def check(document: Any, name: str) -> None:
    jsonschema.Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text())).validate(document)


@pytest.mark.parametrize("script", ["hack.cli_reference", "hack.schemas"])
def test_the_files_are_what_the_code_says(script: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", script, "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("name", schemas.schemas())
def test_descriptions_name_fields_as_documents_have_them(name: str) -> None:
    text = json.dumps(schemas.schemas()[name])
    descriptions = re.findall(r'"description": "((?:[^"\\]|\\.)*)"', text)
    assert len(descriptions) > 2
    assert [one for one in descriptions if "``" in one or re.search(r"\b[a-z]+_[a-z]+\b", one)] == []


def test_every_value_of_prefer_but_the_first_is_described() -> None:
    prefer = schemas.schemas()["configuration"]["$defs"]["PolicySection"]["properties"]["prefer"]
    assert [one for one in ("offered", "memory") if f"({one})" not in prefer["description"]] == []


def test_every_option_of_every_command_is_on_the_page_and_in_the_man_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    page = cli_reference.PAGE.read_text()
    manual = cli_reference.MAN.read_text().replace("\\-", "-")
    commands = ["serve", "check", "audit", "rewrite", "compile", "doctor", "fleet"]
    commands += ["recommend", "explain", "certs self-signed", "completion"]
    assert re.findall(r"(?m)^## (.+)$", page) == commands
    assert re.findall(r"(?m)^\.SS (.+)$", manual) == commands
    for command in commands:
        said = run(*command.split(), "--help").out
        options = set(re.findall(r"--[a-z][a-z-]+", said))
        assert len(options) > 0
        assert {option for option in options if option not in page or option not in manual} == set()


def test_the_schema_of_the_configuration_takes_the_example_and_no_mistyped_field_or_value() -> None:
    check(yaml.safe_load((EXAMPLES / "configuration.yaml").read_text()), "configuration")
    for document in (TYPO, UNKNOWN):
        with pytest.raises(jsonschema.ValidationError):
            check(document, "configuration")


def test_what_is_printed_as_json_fits_the_schemas(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.json"
    nodes.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [NODE]}))
    usage = tmp_path / "usage.json"
    used = Usage(END, 14 * DAY, series=[series()])
    usage.write_bytes(written(SavedUsage(at="2027-01-15T08:00:00Z", usage=used, workloads=[workload()], nodes=[NODE])))
    read = {
        "check-report": ["check", str(EXAMPLES), "--policy", "shared", "-o", "json"],
        "audit-report": ["audit", str(EXAMPLES), "-o", "json"],
        "fleet-report": ["fleet", "-f", str(nodes), "-o", "json"],
        "recommend-report": ["recommend", "--usage", str(usage), "-o", "json"],
    }
    for name, arguments in read.items():
        document = json.loads(run(*arguments).out)
        check(document, name)
        required = schemas.schemas()[name]["required"]
        assert set(required) <= set(document)
        with pytest.raises(jsonschema.ValidationError):
            check({key: value for key, value in document.items() if key != required[0]}, name)
    result = doctor_report(
        [CheckOutcome(CheckStatus.FAIL, "a", "b", "c", "webhooks")], cluster="a", namespace="b", name="c"
    )
    check(json.loads(result.model_dump_json(by_alias=True)), "doctor-report")
