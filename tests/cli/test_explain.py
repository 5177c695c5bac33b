"""``gpuwarden explain``: text and JSON of forms, policies and rules, under a configuration."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.commands import run
from webhook.adapters.reports.explanation import explanation_text
from webhook.application.configuration import Configuration
from webhook.application.explaining import explained

FILE = """
apiVersion: gpuwarden.io/v1
kind: Configuration
devicePlugin: {renameByDefault: false}
policies:
  team: {forms: [mps, gke-mps-4, mig-1g.5gb], maxPerPod: 4}
"""


@pytest.mark.parametrize("width", [60, 100])
def test_an_explanation_has_lines_as_short_as_the_terminal(width: int) -> None:
    text = explanation_text(explained("mig-1g.24gb", Configuration()), width)
    long = [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1]
    assert long == []
    whole = explanation_text(explained("mig-1g.24gb", Configuration()), sys.maxsize)
    assert text.split() == whole.split()


def test_a_form_is_explained_in_lines_that_a_pipe_gets_unwrapped() -> None:
    ran = run("explain", "mig-1g.24gb")
    assert (ran.code, ran.err) == (0, "")
    assert "mig-1g.24gb (form): MIG slices" in ran.out
    assert "\n  nvidia.com/mig-1g.24gb: N\n" in ran.out
    assert "\n  RTX PRO 6000 Blackwell: 23675 MiB to 24192 MiB (" in ran.out
    assert "\n  Memory isolation: yes. " in ran.out
    assert max(map(len, ran.out.splitlines())) > 100
    assert "selects nodes" not in ran.out
    # A label of nodes is not taken for something that a container requests.
    assert (
        "\n  nvidia.com/gpu.shared: 1\n\nThe pod selects nodes with:\n  nvidia.com/gpu.sharing-strategy: mps\n"
        in run("explain", "mps").out
    )


def test_a_policy_is_explained_form_by_form_and_a_kind_of_form_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE)
    ran = run("explain", "team", "--config", tmp_path / "c.yaml")
    assert ran.out.startswith("team (policy): permits mps, gke-mps-4, mig-1g.5gb\n")
    assert "\n  maxPerPod: 4\n" in ran.out
    assert ran.out.count("A fatal GPU fault of one client") == 1
    assert ran.out.count("GKE never renames the resource") == 1
    assert ran.out.count("\n  nvidia.com/gpu: 1\n") == 2


def test_a_rule_is_explained() -> None:
    ran = run("explain", "shared-request-above-one")
    assert ran.out.startswith(
        "shared-request-above-one: More than one slot of a shared GPU\n\nUnder enforce:\n  deny\n"
    )


def test_json_names_what_it_explains(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE)
    documents = [
        json.loads(run("explain", name, "--config", tmp_path / "c.yaml", "-o", "json").out)
        for name in ("mps", "team", "selector-conflict")
    ]
    assert [document["kind"] for document in documents] == ["Form", "Policy", "Rule"]
    assert documents[0]["nodeLabels"] == ["nvidia.com/gpu.sharing-strategy: mps"]
    assert [form["name"] for form in documents[1]["forms"]] == ["mps", "gke-mps-4", "mig-1g.5gb"]
    assert documents[2]["effect"] == "deny"


def test_a_form_that_is_not_available_says_why(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE.replace("renameByDefault: false", "migStrategy: single").split("policies")[0])
    ran = run("explain", "mig-1g.5gb.me", "--config", tmp_path / "c.yaml")
    assert "Not available with this configuration:\n  " in ran.out


def test_an_unknown_name_is_wrong_usage() -> None:
    ran = run("explain", "mig-1g.6bg")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == 'error: "mig-1g.6bg" is not a form, a policy or a rule; did you mean "mig-1g.6gb"?\n'
