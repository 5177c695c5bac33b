"""``gpuwarden check``: what becomes of the objects in manifests, told in three ways, and the exit code."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import SERVICE, Ran, deployment, namespace, run


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
        assert web["asks"] == ["main: nvidia.com/gpu: 2"]
        (finding,) = web["findings"]
        assert (finding["rule"], finding["severity"]) == ("shared-request-above-one", "deny")
        assert finding["path"] == "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"
        assert finding["message"].startswith('container "main": nvidia.com/gpu: 2 cannot be shared')
        assert found["totals"] == {
            "objects": 2,
            "asking": 1,
            "unchanged": 1,
            "rewritten": 0,
            "denied": 1,
            "exempt": 0,
            "problems": 0,
            "rules": {"shared-request-above-one": 1},
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
        assert (line["decision"], line["exempt"], line["findings"]) == ("unchanged", "namespace", [])

    def test_goes_on_after_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("kind: [\n")
        (tmp_path / "b.yaml").write_text(deployment())
        (tmp_path / "c.yaml").write_text(
            "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: 3}}}\n"
        )
        found = check(tmp_path)
        assert [line["name"] for line in found["objects"]] == ["web"]
        broken, wrong = found["problems"]
        assert (broken["source"].endswith("a.yaml"), broken["line"]) == (True, 2)
        assert wrong["line"] == 3
        assert "spec.template.spec.containers" in wrong["message"]


class TestExitCode:
    @pytest.mark.parametrize(
        ("manifest", "policy", "options", "code"),
        [
            pytest.param(SERVICE, "none", (), 0, id="nothing asks"),
            pytest.param(deployment(), "exclusive", ("--strict",), 0, id="nothing changes, strictly"),
            pytest.param(deployment(), "shared", (), 0, id="rewritten"),
            pytest.param(deployment(), "shared", ("--strict",), 1, id="rewritten, strictly"),
            pytest.param(deployment(), "none", (), 1, id="refused"),
            pytest.param(deployment(gpu=2), "mig-1g.5gb", (), 0, id="warned"),
            pytest.param("kind: [", "none", (), 2, id="unreadable"),
            pytest.param(deployment() + "---\nkind: [\n", "none", (), 2, id="refused and unreadable"),
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
            (("check",), "PATH..."),
            (("check", "nowhere.yaml"), "nowhere.yaml"),
            (("check", "-", "--output", "xml"), "xml"),
            (("check", "-", "--config", "nowhere.yaml"), "nowhere.yaml"),
            (("check", "-", "--namespaces", "nowhere.yaml"), "nowhere.yaml"),
            (("check", "-", "--config", "nowhere.yaml"), "--config nowhere.yaml: there is no such file or folder"),
            (("check", "-", "--config", "/"), "--config /: it is a folder; name a file"),
            (
                ("check", "-", "--namespaces", "nowhere.yaml"),
                "--namespaces nowhere.yaml: there is no such file or folder",
            ),
            (("check", "-", "--namespaces", sys.executable), "it is not UTF-8 text (byte 0x"),
            (
                ("audit", "-", "--kubeconfig", "x", "--context", "y"),
                "--kubeconfig and --context: no cluster is read where files",
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


class TestNothingToJudge:
    @pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n---\n", "null\n", "kind: List\nitems: []\n"])
    @pytest.mark.parametrize("command", ["check", "audit"])
    def test_is_told_and_no_success(self, command: str, text: str) -> None:
        ran = run(command, "-", stdin=text)
        assert ran.code == 2
        assert "-: not read: it holds no Kubernetes object: nothing was judged" in ran.out

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
        assert "warning: the diff shows unsafe characters as escapes, and does not apply" in ran.err


class TestTable:
    def test_shows_what_each_object_asks_and_what_becomes_of_it_and_why(self) -> None:
        out = run("check", "-", "--policy", "shared", stdin=deployment() + "---\n" + deployment("batch", 2)).out
        flat = " ".join(out.split())
        assert "Deployment web" in out
        assert "main: nvidia.com/gpu: 1" in out
        assert "nvidia.com/gpu.shared: 1" in flat
        assert "shared-request-above-one" in out
        assert "2 objects: 1 refused, 1 rewritten, 0 unchanged, 0 without a GPU request, 0 not read" in out

    def test_leaves_out_objects_that_ask_for_nothing(self) -> None:
        out = run("check", "-", "--policy", "shared", stdin=SERVICE).out
        assert "Service" not in out
        assert "1 object: 0 refused, 0 rewritten, 0 unchanged, 1 without a GPU request, 0 not read" in out

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
