"""``gpuwarden check``: what becomes of the objects in manifests, told in three ways, and the exit code."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.cli.commands import NIM, RAY, SERVICE, Ran, deployment, namespace, run


def report(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    return found


def check(*arguments: str | Path, stdin: str = "") -> dict[str, Any]:
    return report(run("check", "-o", "json", *arguments, stdin=stdin))


class TestThePolicy:
    def test_is_the_option_s_for_every_object(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(deployment(namespace="team-a") + "---\n" + namespace("team-a", enforce="mps"))
        found = check(tmp_path, "--policy", "shared")
        assert {line["policy"] for line in found["objects"]} == {"shared"}

    def test_is_that_of_a_namespace_among_the_input_wherever_it_stands(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(deployment(namespace="team-a"))
        (tmp_path / "z.yaml").write_text(namespace("team-a", enforce="mps"))
        line = check(tmp_path)["objects"][0]
        assert (line["policy"], line["decision"]) == ("mps", "rewritten")

    def test_is_that_of_the_namespaces_file(self, tmp_path: Path) -> None:
        namespaces = tmp_path / "namespaces.txt"
        namespaces.write_text(namespace("team-a", enforce="mig-1g.5gb"))
        (tmp_path / "a.yaml").write_text(deployment(namespace="team-a"))
        assert check(tmp_path / "a.yaml", "--namespaces", namespaces)["objects"][0]["policy"] == "mig-1g.5gb"

    def test_of_the_input_wins_over_that_of_the_file(self, tmp_path: Path) -> None:
        namespaces = tmp_path / "namespaces.txt"
        namespaces.write_text(namespace("team-a", enforce="none"))
        (tmp_path / "a.yaml").write_text(deployment(namespace="team-a") + "---\n" + namespace("team-a", enforce="mps"))
        assert check(tmp_path / "a.yaml", "--namespaces", namespaces)["objects"][0]["policy"] == "mps"

    def test_is_the_configuration_s_default_where_nobody_says(self, tmp_path: Path) -> None:
        config = tmp_path / "config.txt"
        config.write_text(
            "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
            "defaults: {enforce: house}\npolicies: {house: {forms: [mps], env: {A: b}}}\n"
        )
        (tmp_path / "a.yaml").write_text(deployment())
        line = check(tmp_path / "a.yaml", "--config", config)["objects"][0]
        assert (line["policy"], line["decision"]) == ("house", "rewritten")

    def test_is_any_where_there_is_no_configuration_either(self) -> None:
        line = check("-", stdin=deployment())["objects"][0]
        assert (line["policy"], line["decision"], line["patch"]) == ("any", "unchanged", [])

    def test_option_must_be_a_policy(self) -> None:
        ran = run("check", "-", "--policy", "shraed")
        assert ran.code == 2
        assert 'did you mean "shared"?' in ran.err


class TestTheNamespace:
    def test_of_an_object_is_its_own(self) -> None:
        line = check("-", "-n", "other", stdin=deployment(namespace="team-a"))["objects"][0]
        assert line["namespace"] == "team-a"

    def test_of_an_object_that_names_none_is_the_option_s(self) -> None:
        manifests = deployment() + "---\n" + namespace("team-b", enforce="none")
        line = check("-", "-n", "team-b", stdin=manifests)["objects"][0]
        assert (line["namespace"], line["decision"]) == ("team-b", "denied")

    def test_is_default_where_nobody_says(self) -> None:
        assert check("-", stdin=deployment())["objects"][0]["namespace"] == "default"


class TestJson:
    def test_holds_every_object_with_all_that_was_decided(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(SERVICE + "---\n" + deployment(gpu=2))
        found = check(tmp_path, "--policy", "shared")
        service, web = found["objects"]
        assert service["decision"] == "unchanged"
        assert {key: web[key] for key in ("line", "kind", "namespace", "name", "policy", "decision", "patch")} == {
            "line": 9,
            "kind": "Deployment",
            "namespace": "default",
            "name": "web",
            "policy": "shared",
            "decision": "denied",
            "patch": [],
        }
        assert web["source"].endswith("a.yaml")
        assert web["requests"] == ["main: nvidia.com/gpu: 2"]
        (finding,) = web["findings"]
        assert (finding["rule"], finding["severity"]) == ("shared-request-above-one", "deny")
        assert finding["path"] == "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding["message"].startswith('container "main": nvidia.com/gpu: 2 cannot be shared')
        assert found["totals"] == {
            "objects": 2,
            "unchanged": 1,
            "rewritten": 0,
            "denied": 1,
            "exempt": 0,
            "notEvaluated": 0,
            "notRead": 0,
            "requesting": 1,
            "withoutRequest": 1,
            "unknownKind": 0,
            "unreadParts": 0,
            "problems": 0,
            "rules": {"shared-request-above-one": 1},
            "forms": [{"before": "plain", "after": "denied", "decision": "denied", "objects": 1, "gpus": 2}],
        }

    def test_holds_the_patch_of_the_object_not_of_its_pod(self) -> None:
        patch = check("-", "--policy", "shared", stdin=deployment())["objects"][0]["patch"]
        assert patch[0] == {
            "op": "move",
            "from": "/spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu",
            "path": "/spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu.shared",
        }

    def test_says_why_an_object_is_left_alone(self) -> None:
        line = check("-", "--policy", "none", stdin=deployment(namespace="kube-system"))["objects"][0]
        assert (line["decision"], line["exempt"], line["findings"]) == ("exempt", "namespace", [])

    def test_goes_on_after_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("kind: [\n")
        (tmp_path / "b.yaml").write_text(deployment())
        (tmp_path / "c.yaml").write_text(
            "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: 3}}}\n"
        )
        found = check(tmp_path)
        assert [(line["name"], line["decision"]) for line in found["objects"]] == [
            ("web", "unchanged"),
            ("", "not-read"),
        ]
        broken, wrong = found["problems"]
        assert (broken["source"].endswith("a.yaml"), broken["line"]) == (True, 1)
        assert wrong["line"] == 3
        assert "spec.template.spec.containers" in wrong["message"]


class TestNamespacesOfTheWrongType:
    @pytest.mark.parametrize(
        ("metadata", "line", "message"),
        [
            ("  name: 123\n", 4, "metadata.name: must be text, not the number 123; quote it"),
            ("  name: a\n  labels: [a]\n", 5, "metadata.labels: must be a map, not a list; write a map"),
            (
                "  name: a\n  labels:\n    gpuwarden.io/enforce: off\n",
                6,
                "metadata.labels[gpuwarden.io/enforce]: must be text, not the boolean false; quote it",
            ),
            (
                "  name: a\n  labels:\n    gpuwarden.io/enforce:\n",
                6,
                "metadata.labels[gpuwarden.io/enforce]: must be text, not empty; write text",
            ),
            (
                "  name: a\n  labels:\n    team: 7\n",
                6,
                "metadata.labels[team]: must be text, not the number 7; quote it",
            ),
        ],
    )
    @pytest.mark.parametrize("command", ["check", "audit"])
    @pytest.mark.parametrize("head", ["apiVersion: v1\nkind: Namespace\n", "# no version\nkind: Namespace\n"])
    def test_are_named_with_line_field_value_and_fix(  # noqa: PLR0913, PLR0917 - a table of three dimensions
        self, head: str, command: str, metadata: str, line: int, message: str, tmp_path: Path
    ) -> None:
        known, manifest = tmp_path / "known.txt", tmp_path / "m.yaml"
        manifest.write_text(deployment())
        known.write_text(f"{head}metadata:\n{metadata}")
        ran = run(command, manifest, "--namespaces", known)
        assert (ran.code, ran.out) == (2, "")
        assert f"--namespaces {known}:{line}: {message}" in ran.err
        ran = run(command, known)
        assert ran.code == 2
        assert f"{known}:{line}: not read: {message}" in " ".join(ran.out.split())


class TestKindOrVersion:
    def test_that_is_wrong_is_told_with_the_right_one(self) -> None:
        text = (
            deployment().replace("apps/v1", "v1") + "---\n" + namespace("a", enforce="none").replace("Namesp", "namesp")
        )
        ran = run("check", "-", "--strict", stdin=text)
        told = " ".join(ran.out.split())
        assert ran.code == 1
        assert "apiVersion: v1 has no kind: Deployment; write apiVersion: apps/v1" in told
        assert "kind: namespace of apiVersion: v1 is not a kind of Kubernetes; did you mean kind: Namespace" in told


class TestExemption:
    def test_for_resources_says_so(self) -> None:
        text = deployment().replace("nvidia.com/gpu: 1", "nvidia.com/gpumem: 3000")
        for command in ("check", "audit"):
            (line,) = json.loads(run(command, "-", "-o", "json", stdin=text).out)["objects"]
            assert (line["decision"], line["exempt"]) == ("exempt", "resources")
        out = " ".join(run("check", "-", stdin=text).out.split())
        assert "skipped: it requests HAMi's resources (nvidia.com/gpucores, nvidia.com/gpumem, " in out
        assert "its scheduler is exempt" not in out


class TestExitCode:
    @pytest.mark.parametrize(
        ("manifest", "policy", "options", "code"),
        [
            pytest.param(SERVICE, "none", (), 0, id="nothing asks"),
            pytest.param(deployment(), "exclusive", ("--strict",), 0, id="nothing changes, strictly"),
            pytest.param(deployment(), "shared", (), 0, id="rewritten"),
            pytest.param(deployment(), "shared", ("--strict",), 1, id="rewritten, strictly"),
            pytest.param(deployment(), "none", (), 1, id="denied"),
            pytest.param(deployment(gpu=2), "mig-1g.5gb", (), 0, id="warned"),
            pytest.param("kind: [", "none", (), 2, id="unreadable"),
            pytest.param(deployment() + "---\nkind: [\n", "none", (), 2, id="denied and unreadable"),
            pytest.param("image: {{ .Values.image }}\n", "any", (), 2, id="a template"),
        ],
    )
    @pytest.mark.parametrize("output", ["table", "diff", "json"])
    def test_is_the_same_however_it_is_told(
        self, manifest: str, policy: str, options: tuple[str, ...], code: int, output: str
    ) -> None:
        assert run("check", "-", "--policy", policy, "-o", output, *options, stdin=manifest).code == code

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (("check",), "PATH"),
            (("check", "nowhere.yaml"), "nowhere.yaml"),
            (("check", "-", "--output", "xml"), "xml"),
            (("check", "-", "--config", "nowhere.yaml"), "nowhere.yaml"),
            (("check", "-", "--namespaces", "nowhere.yaml"), "nowhere.yaml"),
            (
                ("check", "-", "--config", "nowhere.yaml"),
                "--config nowhere.yaml: there is no such file or folder; name one that exists",
            ),
            (("check", "x.yaml", "--config", "-"), "--config -: standard input is not read here; name a file, such as"),
            (("check", "-", "--config", "/"), "--config /: it is a folder; name a file"),
            (
                ("check", "-", "--namespaces", "nowhere.yaml"),
                "--namespaces nowhere.yaml: there is no such file or folder; name one that exists",
            ),
            (
                ("check", "-", "--namespace", "Team A"),
                '--namespace: "Team A" is not the name of a namespace; use at most 63',
            ),
            (("rewrite", "-", "-n", ""), '--namespace: "" is not the name of a namespace'),
            (("check", "-", "--namespaces", sys.executable), "it is not UTF-8 text (byte 0x"),
            (
                ("audit", "-", "--kubeconfig", "x", "--context", "y"),
                "--kubeconfig and --context can't be combined with files",
            ),
        ],
    )
    def test_of_wrong_usage_is_2_and_names_what_is_wrong(self, arguments: tuple[str, ...], named: str) -> None:
        ran = run(*arguments)
        assert ran.code == 2
        assert named in ran.out + ran.err

    def test_of_a_bad_configuration_comes_with_every_problem(self, tmp_path: Path) -> None:
        config = tmp_path / "config.yaml"
        config.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\nmod: audit\ndefaults: {warn: shard}\n")
        ran = run("check", "-", "--config", config)
        assert ran.code == 2
        assert 'did you mean "mode"?' in ran.err
        assert 'did you mean "shared"?' in ran.err


class TestLines:
    """Findings are at the line of their field, in every format."""

    TEXT = "# first\n" + deployment(gpu=2)
    LINE = TEXT[: TEXT.index("nvidia.com/gpu")].count("\n") + 1

    def test_of_a_refusal(self) -> None:
        refused = ("check", "-", "--policy", "shared")
        found = check("-", "--policy", "shared", stdin=self.TEXT)
        assert [finding["line"] for finding in found["objects"][0]["findings"]] == [self.LINE]
        table = " ".join(run(*refused, stdin=self.TEXT).out.split())
        assert f"(line {self.LINE})" in table
        assert run(*refused, "-o", "diff", stdin=self.TEXT).err.startswith(f"-:{self.LINE}: deny: ")
        assert run("rewrite", "-", "--policy", "shared", stdin=self.TEXT).err.startswith(
            f"-:{self.LINE}: Deployment/web is"
        )
        assert f' line="{self.LINE}"' in run(*refused, "-o", "junit", stdin=self.TEXT).out
        assert f'"startLine": {self.LINE}' in run(*refused, "-o", "sarif", stdin=self.TEXT).out

    def test_of_a_rewrite(self) -> None:
        text = "# first\n" + deployment()
        assert check("-", "--policy", "shared", stdin=text)["objects"][0]["patchLine"] == self.LINE

    def test_of_an_audit_of_files(self) -> None:
        ran = run("audit", "-", "--assume", "*=shared", "-o", "sarif", stdin=self.TEXT)
        assert f'"startLine": {self.LINE}' in ran.out

    def test_of_a_value_of_the_wrong_type(self) -> None:
        text = self.TEXT.replace("      containers:", "      nodeSelector:\n        gpu-count: 8\n      containers:")
        (problem,) = check("-", stdin=text)["problems"]
        assert problem["line"] == text[: text.index("gpu-count")].count("\n") + 1
        assert (
            problem["message"] == "spec.template.spec.nodeSelector[gpu-count]: must be text, not the number 8; quote it"
        )


class TestWithoutAPolicy:
    """Nothing is denied then, which must not pass for a check."""

    NOTE = 'note: no policy is given, so everything is evaluated under "any"'

    @pytest.mark.parametrize(
        ("text", "options"),
        [
            pytest.param(SERVICE, (), id="nothing requests a GPU"),
            pytest.param(deployment(), ("--policy", "any"), id="a policy"),
            pytest.param(namespace("default", enforce="any") + "---\n" + deployment(), (), id="a namespace"),
            pytest.param("kind: [", (), id="not read"),
        ],
    )
    def test_nothing_is_said_where_there_is_one_or_no_need(self, text: str, options: tuple[str, ...]) -> None:
        assert self.NOTE not in run("check", "-", *options, stdin=text).err

    @pytest.mark.parametrize("command", ["check", "rewrite"])
    def test_the_user_is_told(self, command: str) -> None:
        ran = run(command, "-", stdin=deployment())
        assert (ran.code, self.NOTE in ran.err, self.NOTE in ran.out) == (0, True, False)


class TestNothingToEvaluate:
    @pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n---\n", "null\n", "kind: List\nitems: []\n"])
    @pytest.mark.parametrize("command", ["check", "audit"])
    def test_is_told_and_no_success(self, command: str, text: str) -> None:
        ran = run(command, "-", stdin=text)
        assert ran.code == 2
        assert "-: not read: no Kubernetes object was found, so nothing was evaluated; pipe manifests in" in ran.out

    def test_is_an_empty_folder_too(self, tmp_path: Path) -> None:
        assert run("check", tmp_path).code == 2

    def test_is_no_empty_file_among_others(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("# later\n")
        (tmp_path / "b.yaml").write_text(SERVICE)
        assert run("check", tmp_path).code == 0


class TestHostileText:
    """Nothing in a manifest or in its name commands a terminal or a CI system, or forges a line."""

    EVIL = "x\\e[31m\\n::error file=a::b\\r##vso[task.complete]\\u202e"

    def evil(self, tmp_path: Path) -> Path:
        path = tmp_path / "::error::a\n\x1b[31m##vso[b].yaml"
        text = deployment(f'"{self.EVIL}"', 2, namespace=f'"{self.EVIL}"').replace(
            "name: main ", f'name: "{self.EVIL}" '
        )
        broken = deployment().replace(
            "spec:\n      cont", f'spec:\n      nodeSelector: {{"{self.EVIL}": 8}}\n      cont'
        )
        path.write_text(f"{text}---\n{broken}---\nkind: [\n---\n{deployment('rewritten')}      # ::error:: \u202e\n")
        return path

    @pytest.mark.parametrize(
        "arguments",
        [
            ("check", "--policy", "shared"),
            ("check", "--policy", "shared", "-o", "diff"),
            ("check", "--policy", "shared", "-o", "junit"),
            ("check", "--policy", "shared", "-o", "sarif"),
            ("audit", "--assume", "*=shared"),
            ("audit", "--assume", "*=shared", "-o", "csv"),
            ("audit", "-n", "y\n::error::\x1b[31m"),
            ("rewrite", "--policy", "shared"),
            ("rewrite", "-i", "--policy", "x\n::error::\x1b[31m"),
        ],
    )
    def test_is_escaped(self, arguments: tuple[str, ...], tmp_path: Path) -> None:
        ran = run(*arguments, self.evil(tmp_path))
        told = ran.out.replace("\r\n", "\n") + ran.err
        assert "\\x1b[31m" in told or "\\\\x1b[31m" in told
        assert not re.search(r"[\x1b\r\u202e]|##vso|^\s*::", told, re.MULTILINE)

    def test_makes_a_diff_say_that_it_does_not_apply(self) -> None:
        plain = run("check", "-", "--policy", "shared", "-o", "diff", stdin=deployment())
        assert plain.err == ""
        text = deployment().replace("# please", "# \u202e please")
        ran = run("check", "-", "--policy", "shared", "-o", "diff", stdin=text)
        assert r"# \u202e please" in ran.out
        assert "warning: the diff shows unsafe characters as escapes, so it can't be applied" in ran.err


class TestTable:
    def test_shows_what_each_object_asks_and_what_becomes_of_it_and_why(self) -> None:
        out = run("check", "-", "--policy", "shared", stdin=deployment() + "---\n" + deployment("batch", 2)).out
        flat = " ".join(out.split())
        assert "Deployment web" in out
        assert "main: nvidia.com/gpu: 1" in out
        assert "nvidia.com/gpu.shared: 1" in flat
        assert "shared-request-above-one" in out
        assert "2 objects: 1 denied, 1 rewritten, 0 unchanged, 0 exempt, 0 not evaluated, 0 not read" in out

    def test_leaves_out_objects_that_ask_for_nothing(self) -> None:
        out = run("check", "-", "--policy", "shared", stdin=SERVICE).out
        assert "Service" not in out
        assert (
            "1 object: 0 denied, 0 rewritten, 1 unchanged (1 without a GPU request), 0 exempt, 0 not evaluated, 0 not read"
            in out
        )

    def test_names_a_helm_template_and_how_to_render_it(self) -> None:
        out = " ".join(run("check", "-", stdin="kind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n").out.split())
        assert "helm template" in out

    def test_has_no_colours_where_there_is_no_terminal(self) -> None:
        assert "\x1b" not in run("check", "-", "--policy", "none", stdin=deployment()).out

    def test_shows_hostile_names_as_they_are(self) -> None:
        out = run("check", "-", "--policy", "none", stdin=deployment("'[red]boo[/red] [link=x]'")).out
        assert "[red]boo[/red]" in " ".join(out.split())


class TestDiff:
    def test_is_a_patch_of_the_manifest_with_everything_else_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "web.yaml"
        path.write_text(SERVICE + "---\n" + deployment())
        out = run("check", path, "--policy", "shared", "-o", "diff").out
        lines = out.splitlines()
        assert lines[0].startswith("--- a")
        assert [line for line in lines if line.startswith("-") and not line.startswith("---")] == [
            "-            nvidia.com/gpu: 1 # please"
        ]
        assert "+            nvidia.com/gpu.shared: 1 # please" in lines
        assert "Service" not in out

    def test_is_empty_where_nothing_changes(self) -> None:
        assert run("check", "-", "--policy", "exclusive", "-o", "diff", stdin=deployment()).out == ""

    def test_tells_refusals_beside_it_so_that_it_stays_a_patch(self) -> None:
        ran = run("check", "-", "--policy", "none", "-o", "diff", stdin=deployment())
        assert ran.out == ""
        assert "is not permitted" in ran.err

    def test_keeps_tabs_and_line_ends_as_they_are(self, tmp_path: Path) -> None:
        manifest = {"kind": "Pod", "metadata": {"name": "\u2028"}, "spec": {"containers": [{"name": "a"}]}}
        manifest["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 1}}  # type: ignore[index]
        path = tmp_path / "pod.json"
        path.write_text(json.dumps(manifest, indent="\t", ensure_ascii=False))
        out = run("check", path, "--policy", "shared", "-o", "diff").out
        assert '-\t\t\t\t\t\t"nvidia.com/gpu": 1' in out.splitlines()
        assert r"\u2028" in out
        assert "No newline" not in out, "a separator of Unicode ends no line"

    def test_keeps_long_lines_whole(self) -> None:
        long = deployment().replace("registry.example/main:1", "registry.example/" + "x" * 400)
        out = run("check", "-", "--policy", "shared", "-o", "diff", stdin=long).out
        assert out == "".join(f"{line}\n" for line in out.splitlines() if len(line) < 120 or "x" * 400 in line)


# Kinds that share their name with one that is evaluated, and one of Kubernetes' own in a version that there is not.
NAMESAKES = ["batch.volcano.sh/v1alpha1", "apps.kruise.io/v1beta1", "serving.knative.dev/v1", "v1", "apps"]


class TestWhatIsNotEvaluated:
    def test_is_said_with_kind_and_place_and_counted_apart(self) -> None:
        out = " ".join(run("check", "-", stdin=NIM + "---\n" + SERVICE).out.split())
        assert "not evaluated NIMService.apps.nvidia.com: requests nvidia.com/gpu at" in out
        assert "spec.resources.limits" in out
        assert "1 unchanged (1 without a GPU request), 0 exempt, 1 not evaluated, 0 not read" in out

    def test_is_in_json_with_the_reason(self) -> None:
        found = check("-", "--policy", "none", stdin=NIM)
        (line,) = found["objects"]
        assert (line["apiVersion"], line["kind"], line["decision"]) == (
            "apps.nvidia.com/v1alpha1",
            "NIMService",
            "not-evaluated",
        )
        assert line["notEvaluated"].startswith(
            "NIMService.apps.nvidia.com: requests nvidia.com/gpu at spec.resources.limits"
        )
        assert (found["totals"]["notEvaluated"], found["totals"]["unchanged"], found["totals"]["requesting"]) == (
            1,
            0,
            0,
        )

    def test_is_a_skipped_case_and_a_failed_one_when_strict(self) -> None:
        def case(*options: str) -> ET.Element:
            found = ET.fromstring(run("check", "-", "-o", "junit", *options, stdin=NIM).out).find(".//testcase")  # noqa: S314 - our own document
            assert found is not None
            return found

        skipped, failed = case().find("skipped"), case("--strict").find("failure")
        assert skipped is not None
        assert (skipped.get("message") or "").startswith(
            "not evaluated: NIMService.apps.nvidia.com: requests nvidia.com/gpu at"
        )
        assert failed is not None
        assert (failed.get("type"), case("--strict").find("skipped")) == ("not-evaluated", None)

    def test_is_a_note_of_sarif_s(self) -> None:
        (result,) = json.loads(run("check", "-", "-o", "sarif", stdin=NIM).out)["runs"][0]["results"]
        assert (result["ruleId"], result["level"]) == ("not-evaluated", "note")
        assert (
            "NIMService default/nim is not evaluated: NIMService.apps.nvidia.com: requests" in result["message"]["text"]
        )

    def test_is_told_beside_a_diff(self) -> None:
        ran = run("check", "-", "-o", "diff", stdin=NIM)
        assert ran.out == ""
        assert "-:5: not evaluated: NIMService.apps.nvidia.com" in ran.err

    @pytest.mark.parametrize("output", ["table", "diff", "json", "junit", "sarif"])
    def test_fails_only_when_strict(self, output: str) -> None:
        assert run("check", "-", "--policy", "none", "-o", output, stdin=NIM).code == 0
        assert run("check", "-", "--policy", "any", "-o", output, "--strict", stdin=NIM).code == 1

    @pytest.mark.parametrize("kind", ["Job", "StatefulSet", "Service", "Deployment"])
    @pytest.mark.parametrize("version", NAMESAKES)
    def test_is_never_taken_for_the_kind_of_the_same_name(self, version: str, kind: str) -> None:
        manifest = deployment().replace("apps/v1", version).replace("kind: Deployment", f"kind: {kind}")
        (line,) = check("-", "--policy", "shared", stdin=manifest)["objects"]
        # Volcano's Job has its pods elsewhere; the others have theirs here, or are in no row.
        is_evaluated = "." in version and (version, kind) != ("batch.volcano.sh/v1alpha1", "Job")
        assert (line["decision"], line["patch"]) == ("rewritten" if is_evaluated else "not-evaluated", [])

    @pytest.mark.parametrize("version", ["apps/v1", "apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"])
    def test_are_not_the_former_versions_of_a_workload(self, version: str) -> None:
        manifest = deployment().replace("apps/v1", version)
        assert check("-", "--policy", "none", stdin=manifest)["objects"][0]["decision"] == "denied"

    def test_is_found_in_a_list_too(self) -> None:
        items = "".join(f"- {text.replace(chr(10), chr(10) + '  ').rstrip()}\n" for text in (NIM, SERVICE))
        found = check("-", stdin=f"apiVersion: v1\nkind: List\nitems:\n{items}")
        assert [line["decision"] for line in found["objects"]] == ["not-evaluated", "unchanged"]

    def test_is_nothing_of_another_kind_in_which_there_are_no_pods(self) -> None:
        model = "apiVersion: kubeai.org/v1\nkind: Model\nmetadata: {name: m}\nspec: {resourceProfile: 'l4:1'}\n"
        ran = run("check", "-", "--strict", stdin=model)
        assert ran.code == 0
        assert "1 unchanged (1 of other kinds in which no pods were found), 0 exempt" in ran.out
        (line,) = check("-", stdin=model)["objects"]
        assert (line["decision"], line["notEvaluated"], line["unknownKind"]) == ("unchanged", None, True)
        case = ET.fromstring(run("check", "-", "-o", "junit", stdin=model).out).find(".//skipped")  # noqa: S314 - our own document
        assert case is not None

    def test_is_no_object_of_kubernetes_own_without_pods(self) -> None:
        (line,) = check("-", stdin=SERVICE)["objects"]
        assert (line["decision"], line["notEvaluated"], line["unknownKind"]) == ("unchanged", None, False)
        assert 'skipped="0"' in run("check", "-", "-o", "junit", stdin=SERVICE).out


class TestOperatorsKinds:
    def test_are_evaluated_with_the_place_and_the_number_of_their_pods(self) -> None:
        (line,) = check("-", "--policy", "shared", stdin=RAY)["objects"]
        assert (line["decision"], line["notEvaluated"], line["patch"]) == ("rewritten", None, [])
        assert line["requests"] == ["spec.workerGroupSpecs[0].template (6 pods): worker: nvidia.com/gpu: 1"]
        out = " ".join(run("check", "-", "--policy", "shared", stdin=RAY).out.split())
        assert 'spec.workerGroupSpecs[0].template (6 pods): container "worker": nvidia.com/gpu: 1 becomes' in out
        assert "note: Ray takes num-gpus from the template's limits" in out

    def test_are_denied_at_the_line_of_the_field(self) -> None:
        (line,) = check("-", "--policy", "shared", stdin=RAY.replace("gpu: 1", "gpu: 2"))["objects"]
        (finding,) = line["findings"]
        assert (line["decision"], finding["rule"], finding["line"]) == ("denied", "shared-request-above-one", 9)
        assert (
            finding["path"] == "spec.workerGroupSpecs[0].template.spec.containers[0].resources.limits[nvidia.com/gpu]"
        )
        assert finding["message"].startswith('spec.workerGroupSpecs[0].template: container "worker": nvidia.com/gpu: 2')

    def test_that_are_suspended_say_so(self) -> None:
        out = " ".join(run("check", "-", "--policy", "shared", stdin=f"{RAY}  suspend: true\n").out.split())
        assert "suspended by spec.suspend: no pod is created until that is false" in out

    def test_in_no_row_are_evaluated_by_their_shape(self) -> None:
        manifest = RAY.replace("ray.io/v1", "example.com/v1").replace("RayCluster", "Fleet")
        (line,) = check("-", "--policy", "shared", stdin=manifest)["objects"]
        assert line["requests"] == ["spec.workerGroupSpecs[0].template (by its shape): worker: nvidia.com/gpu: 1"]
        assert (line["decision"], line["notEvaluated"]) == ("rewritten", None)

    def test_without_gpus_are_without_a_request(self) -> None:
        totals = check("-", stdin=RAY.replace("nvidia.com/gpu", "cpu"))["totals"]
        assert (totals["unchanged"], totals["withoutRequest"], totals["unknownKind"]) == (1, 1, 0)

    @pytest.mark.parametrize("amount", ["{{inputs.parameters.gpus}}", "$(params.gpus)", "${GPUS}"])
    def test_with_a_count_that_is_yet_to_be_filled_in_are_not_evaluated(self, amount: str) -> None:
        (line,) = check("-", "--policy", "shared", stdin=RAY.replace("gpu: 1", f"gpu: '{amount}'"))["objects"]
        assert (line["decision"], line["findings"]) == ("not-evaluated", [])
        assert "spec.workerGroupSpecs[0].template.spec.containers[0].resources.limits" in line["notEvaluated"]

    def test_say_what_becomes_of_requests_outside_of_templates(self) -> None:
        (one,) = check("-", "--policy", "shared", stdin=NIM)["objects"]
        assert "evaluated when its pods are created: a pod that requests this would be rewritten" in one["notEvaluated"]
        (two,) = check("-", "--policy", "shared", stdin=NIM.replace("gpu: 1", "gpu: 2"))["objects"]
        assert (
            "would be denied (shared-request-above-one); note: The operator adds nvidia.com/gpu" in two["notEvaluated"]
        )

    def test_are_exempt_as_their_namespace_is(self) -> None:
        (line,) = check("-", "--policy", "shared", "-n", "kube-system", stdin=RAY.replace("gpu: 1", "gpu: 2"))[
            "objects"
        ]
        assert (line["decision"], line["findings"]) == ("exempt", [])


MISTYPED = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team-a\n  labels: {gpuwarden.io/enfroce: shared}\n"


class TestLabels:
    @pytest.mark.parametrize("output", ["table", "diff", "json", "junit", "sarif"])
    @pytest.mark.parametrize("key", ["enforce", "warn", "audit"])
    def test_that_name_no_policy_are_refused_as_the_webhook_refuses_them(self, key: str, output: str) -> None:
        ran = run("check", "-", "-o", output, stdin=namespace("team-a", **{key: "sharde"}))
        assert ran.code == 1
        said = " ".join((ran.out + ran.err).split()).replace("&quot;", '"').replace('\\"', '"')
        assert f'metadata.labels[gpuwarden.io/{key}]: "sharde" is not a policy; did you mean "shared"?' in said

    def test_come_with_their_place_and_their_namespace_s_own_policy(self) -> None:
        (service, line) = check("-", stdin=SERVICE + "---\n" + namespace("team-a", enforce="sharde"))["objects"]
        assert service["findings"] == []
        assert (line["source"], line["line"], line["namespace"], line["decision"]) == ("-", 8, "team-a", "denied")
        (finding,) = line["findings"]
        assert (finding["rule"], finding["severity"]) == ("unreadable-label", "deny")
        assert finding["path"] == "metadata.labels[gpuwarden.io/enforce]"

    def test_of_a_namespace_are_not_shown_as_in_it(self) -> None:
        out = run("check", "-", stdin=namespace("team-a", enforce="sharde")).out
        assert "Namespace team-a" in out
        assert "in team-a" not in out

    def test_may_name_a_policy_of_the_configuration_which_is_said_where_none_is_given(self, tmp_path: Path) -> None:
        file = tmp_path / "configuration.yaml"
        file.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {house: {forms: [mps]}}\n")
        named = namespace("team-a", enforce="house")

        assert "--config" in run("check", "-", stdin=named).err
        assert "--config" not in run("check", "-", "--config", str(file), stdin=named).err
        assert "--config" not in run("check", "-", stdin=namespace("team-a", enforce="mps")).err

    @pytest.mark.parametrize("output", ["table", "diff", "json", "junit", "sarif"])
    def test_that_are_mistyped_are_warned_of_and_fail_when_strict(self, output: str) -> None:
        ran = run("check", "-", "-o", output, stdin=MISTYPED)
        assert ran.code == 0
        said = " ".join((ran.out + ran.err).split()).replace("&quot;", '"').replace('\\"', '"')
        assert "metadata.labels[gpuwarden.io/enfroce]: gpuwarden does not read this label" in said
        assert 'did you mean "gpuwarden.io/enforce"?' in said
        strictly = run("check", "-", "-o", output, "--strict", stdin=MISTYPED)
        assert strictly.code == 1
        if output == "junit":
            assert '<failure message="metadata.labels[gpuwarden.io/enfroce]' in strictly.out

    @pytest.mark.parametrize(
        ("place", "path"),
        [
            ("metadata:\n", "metadata.labels"),
            ("  template:\n", "spec.template.metadata.labels"),
        ],
    )
    def test_on_a_workload_are_said_to_have_no_effect(self, place: str, path: str) -> None:
        labels = "labels: {gpuwarden.io/enforce: shared}"
        inserted = f"  {labels}\n" if place.startswith("metadata") else f"    metadata: {{{labels}}}\n"
        (line,) = check("-", stdin=deployment().replace(place, place + inserted))["objects"]
        (finding,) = line["findings"]
        assert (finding["rule"], finding["severity"]) == ("ineffective-label", "warn")
        assert finding["path"] == f"{path}[gpuwarden.io/enforce]"
        assert "it has no effect on a Deployment" in finding["message"]

    def test_of_the_namespaces_file_are_told_with_their_line(self, tmp_path: Path) -> None:
        known = tmp_path / "namespaces.txt"
        known.write_text(namespace("team-b", enforce="mps") + "---\n" + namespace("team-a", enforce="sharde"))
        ran = run("check", "-", "--namespaces", known, "-o", "json", stdin=SERVICE)
        assert ran.code == 1
        (line,) = [line for line in report(ran)["objects"] if line["kind"] == "Namespace"]
        assert (line["source"], line["line"], line["name"], line["decision"]) == (str(known), 8, "team-a", "denied")

    def test_of_a_namespaces_file_that_can_be_read_once_only_are_told_too(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that it can be written to, and what is written stays
        pipe.write_text(MISTYPED)
        ran = run("check", "-", "--namespaces", pipe, "--strict", stdin=SERVICE)
        os.close(reader)
        assert (ran.code, "ineffective-label" in ran.out) == (1, True)

    def test_of_others_are_left_alone(self) -> None:
        other = namespace("team-a", enforce="mps").replace("enforce: mps", "enforce: mps\n    kubewarden.io/enforce: x")
        found = check("-", "--strict", stdin=other)
        assert found["objects"][0]["findings"] == []
        assert run("check", "-", "--strict", stdin=other).code == 0


SCALED = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
"""


class TestTheNumberOfPods:
    def test_multiplies_the_gpus_before_and_after(self) -> None:
        given = "---\n".join(
            (
                deployment().replace("spec:\n  template", "spec:\n  replicas: 4\n  template"),
                deployment("two", gpu=2).replace("spec:\n  template", "spec:\n  replicas: 3\n  template"),
                RAY,
            )
        )
        found = check("-", "--policy", "shared", stdin=given)
        assert found["totals"]["forms"] == [
            {"before": "plain", "after": "denied", "decision": "denied", "objects": 1, "gpus": 6},
            {"before": "plain", "after": "shared", "decision": "rewritten", "objects": 2, "gpus": 10},
        ]
        shown = run("check", "-", "--policy", "shared", stdin=given).out
        assert "GPUs of all their pods, before → after: 10 plain → shared, 6 plain → denied" in shown
        assert "is not known" not in shown
        assert "after: 1 plain unchanged\n" in run("check", "-", "--policy", "any", stdin=deployment()).out

    def test_that_is_not_known_is_said(self) -> None:
        found = check("-", "--policy", "shared", stdin=deployment() + "---\n" + SCALED)
        assert found["objects"][0]["uncounted"] == "HorizontalPodAutoscaler web scales it, from 2"
        assert [form["gpus"] for form in found["totals"]["forms"]] == [2]
        shown = run("check", "-", "--policy", "shared", stdin=deployment() + "---\n" + SCALED).out
        assert "the number of pods of 1 object is not known" in shown
        assert "Deployment web: HorizontalPodAutoscaler web scales it, from 2" in " ".join(shown.split())
