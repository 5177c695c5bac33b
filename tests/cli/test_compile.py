"""``gpuwarden compile``: what it prints, and what is wrong usage."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.commands import run

FILE = """
apiVersion: gpuwarden.io/v1
kind: Configuration
policies:
  team: {forms: [mps, exclusive], env: {A: "two\\nlines"}}
  offered: {forms: [shared, exclusive], prefer: offered}
"""
WEBHOOKS = """
apiVersion: v1
kind: Service
metadata: {name: gpuwarden}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: gpuwarden}
webhooks:
- {name: mutate.gpuwarden.io}
"""


def test_the_policies_are_printed_and_what_is_left_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE)
    ran = run("compile", "--config", tmp_path / "c.yaml", "--policy", "mig-1g.5gb")
    assert ran.code == 0
    names = [document["metadata"]["name"] for document in yaml.safe_load_all(ran.out)]
    assert names[:2] == ["gpuwarden-team", "gpuwarden-team"]
    assert "gpuwarden-mig-1g.5gb" in names
    assert "gpuwarden-offered" not in names
    assert ran.err == 'policy "offered": left to the webhooks; prefer: offered depends on what nodes offer\n'
    assert "expression: |-\n" in ran.out


def test_webhook_configurations_are_printed_with_the_common_case_left_out(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(WEBHOOKS)
    from_file = run("compile", "--webhooks", tmp_path / "all.yaml")
    assert from_file.code == 0
    assert run("compile", "--webhooks", "-", stdin=WEBHOOKS).out == from_file.out
    service, configuration, *policies = yaml.safe_load_all(from_file.out)
    assert service["kind"] == "Service"
    assert "shared.mutate.gpuwarden.io" in [webhook["name"] for webhook in configuration["webhooks"]]
    assert policies == [*yaml.safe_load_all(run("compile").out)]


CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: gpuwarden, annotations: {gpuwarden.io/configuration: abc}}
data: {config.yaml: "%s"}
"""


def test_a_value_for_the_chart_is_made_of_its_own_config_map() -> None:
    config = "apiVersion: gpuwarden.io/v1\\nkind: Configuration\\nmode: audit\\nexemptions: {usernames: [alice]}"
    ran = run("compile", "--chart", "-", "--policy", "mig-1g.5gb", stdin=f"[1]\n---\n{CONFIG_MAP % config}")
    assert ran.code == 0, ran.err
    value = yaml.safe_load(ran.out)["inTree"]["compiled"]
    assert value["configuration"] == "abc"
    policies = {each["policy"]: each for each in value["policies"]}
    assert {*policies["mig-1g.5gb"]} == {*("policy", "name", "commonCase", "mutating", "validating", "warns", "others")}
    assert {*policies["any"]} == {"policy", "name", "commonCase"}
    assert "alice" not in ran.out, "exemptions are the chart's"


def test_other_pods_are_denied_where_no_webhook_decides_them(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE)
    ran = run("compile", "--deny-others", "--config", tmp_path / "c.yaml")
    assert "gpuwarden-shared.others" in ran.out
    assert ran.err == (
        'policy "offered": not compiled, so nothing checks its pods; prefer: offered depends on what nodes offer\n'
    )
    assert "gpuwarden-shared.others" not in run("compile").out


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("--policy", "mpss"), "", '--policy: "mpss" is not a policy; did you mean "mps"?'),
        (("--config", "missing.yaml"), "", "missing.yaml"),
        (("--webhooks", "missing.yaml"), "", "--webhooks missing.yaml"),
        (("--webhooks", "-"), "a: [", "--webhooks -: "),
        (("--webhooks", "-"), "", "--webhooks -: has no webhook configuration"),
        (("--webhooks", "-"), "[1]", "--webhooks -: has no webhook configuration"),
        (("--chart", "missing.yaml"), "", "--chart missing.yaml"),
        (("--chart", "-"), WEBHOOKS, "--chart -: has no ConfigMap of gpuwarden's chart"),
        (("--chart", "-"), CONFIG_MAP % "kind: x", "--chart -: kind"),
        (("--chart", "-", "--deny-others"), WEBHOOKS, "remove --config, --webhooks and --deny-others"),
        (("--webhooks", "-", "--deny-others"), WEBHOOKS, "--deny-others: the webhooks decide these pods"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], stdin: str, said: str) -> None:
    ran = run("compile", *arguments, stdin=stdin)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


def test_what_is_printed_is_what_kubernetes_reads() -> None:
    documents = [*yaml.safe_load_all(run("compile").out)]
    assert json.loads(json.dumps(documents)) == documents
