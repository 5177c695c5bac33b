"""``gpuwarden check`` in a repository: what is no manifest, what is left out, what is ignored, and one line for each finding."""

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.cli.commands import run

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: two
  annotations: {ANNOTATIONS}
spec:
  containers:
    - name: train
      image: train
      resources:
        limits:
          nvidia.com/gpu: 2
"""
ABOVE_ONE = "shared-request-above-one"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Manifests beside what else a repository has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "values.yaml").write_text("resources: {limits: {nvidia.com/gpu: 1}}\n")
    (tmp_path / "docker-compose.yaml").write_text("services: {a: {image: b}}\n")
    (tmp_path / "package.json").write_text('{"name": "a"}\n')
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    return tmp_path


def write(folder: Path, name: str, annotations: str = "{}") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(POD.replace("{ANNOTATIONS}", annotations))
    return path


def test_files_that_are_no_manifests_are_skipped_and_named(repository: Path) -> None:
    result = run("check", ".")
    files = "docker-compose.yaml, list.yaml, package.json, values.yaml"
    said = f"note: 4 files hold no Kubernetes object and were skipped: {files}\n"
    assert (result.code, result.err) == (0, said)
    assert json.loads(run("check", ".", "-o", "json").out)["skipped"] == [
        "docker-compose.yaml", "list.yaml", "package.json", "values.yaml",
    ]  # fmt: skip
    write(repository, "pod.yaml")
    assert run("check", ".", "--policy", "shared").code == 1
    assert run("check", ".", "--policy", "exclusive").code == 0


def test_strictly_nothing_evaluated_is_no_success(repository: Path) -> None:
    assert run("check", str(repository), "--strict").code == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: b\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", id="beside an object"),
        pytest.param("kind: [\n", id="no YAML"),
        pytest.param("{{ if a }}\nkind: Pod\n{{ end }}\n", id="a Helm template"),
        pytest.param("apiVersion: v1\nkind: List\nitems: [{a: b}]\n", id="in a List"),
    ],
)
def test_what_may_be_meant_as_a_manifest_is_not_skipped(repository: Path, text: str) -> None:
    (repository / "broken.yaml").write_text(text)
    assert run("check", ".").code == 2


def test_a_file_that_is_named_must_hold_an_object(repository: Path) -> None:
    assert run("check", str(repository / "values.yaml")).code == 2


@pytest.mark.parametrize(
    "glob", ["broken.yaml", "bro*", "charts", "charts/*", "*/templates", "charts/a/templates/*.yaml"]
)
def test_excluded_files_and_folders_are_not_read(repository: Path, glob: str) -> None:
    write(repository, "pod.yaml")
    broken = repository / "charts/a/templates/broken.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("{{ if a }}\n")
    assert run("check", ".").code == 2
    assert run("check", ".", "--exclude", glob).code == 0
    assert run("check", ".", "--exclude", "other", "--exclude", glob).code == 0
    assert run("rewrite", ".", "--exclude", glob).code == 0
    assert run("check", str(broken), "--exclude", glob).code == 2, "what is named is read"


def test_a_rule_is_ignored_by_option(repository: Path) -> None:
    write(repository, "pod.yaml")
    result = run("check", ".", "--policy", "shared", "--ignore", ABOVE_ONE, "-o", "json")
    [line] = json.loads(result.out)["objects"]
    assert (result.code, line["decision"], line["findings"], line["patch"]) == (0, "exempt", [], [])
    assert line["ignored"] == [f"{ABOVE_ONE} (--ignore)"]
    assert run("check", ".", "--policy", "none", "--ignore", ABOVE_ONE).code == 1, "another rule denies"


def test_a_rule_is_ignored_by_annotation_with_a_reason(repository: Path) -> None:
    write(repository, "pod.yaml", f'{{gpuwarden.io/ignore: "{ABOVE_ONE}, mixed-gpu-resources: until March"}}')
    result = run("check", ".", "--policy", "shared")
    assert result.code == 0
    assert f"ignored: {ABOVE_ONE} (until March)" in " ".join(result.out.split())
    assert result.out.endswith("before → after: 2 plain exempt\n")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (ABOVE_ONE, f'"{ABOVE_ONE}" gives no reason; write <rule>: <reason>; nothing is ignored'),
        (
            "shared-request-above: x",
            f'"shared-request-above" is not a rule; did you mean {ABOVE_ONE}?; nothing is ignored',
        ),
        ("zzz: x", '"zzz" is not a rule; docs/reference/policies.md lists the rules; nothing is ignored'),
    ],
)
def test_an_annotation_that_can_not_be_meant_ignores_nothing(repository: Path, value: str, said: str) -> None:
    write(repository, "pod.yaml", f'{{gpuwarden.io/ignore: "{value}"}}')
    result = run("check", ".", "--policy", "shared", "-o", "concise")
    assert result.code == 1
    assert f"pod.yaml:5:17: warning: metadata.annotations[gpuwarden.io/ignore]: {said}\n" in result.out


def test_an_unknown_rule_is_a_usage_error(repository: Path) -> None:
    result = run("check", str(repository), "--ignore", "shared-above-one")
    assert (result.code, result.err) == (
        2,
        f'error: --ignore: "shared-above-one" is not a rule; did you mean {ABOVE_ONE}?\n',
    )


@pytest.mark.programs
@pytest.mark.parametrize("path", [".", "./pod.yaml", "pod.yaml", "{}", "{}/pod.yaml"])
def test_git_applies_the_diff(repository: Path, path: str) -> None:
    path = path.format(repository)
    write(repository, "pod.yaml")
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    patch = run("check", path, "--policy", "mig-1g.5gb", "-o", "diff").out
    subprocess.run([*git, "apply", "-"], input=patch, text=True, check=True)
    assert "nvidia.com/mig-1g.5gb: 2" in (repository / "pod.yaml").read_text()


@pytest.mark.programs
def test_a_name_with_a_blank_ends_with_a_tab_as_git_has_it(repository: Path) -> None:
    write(repository, "a pod.yaml")
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    patch = run("check", ".", "--policy", "mig-1g.5gb", "-o", "diff").out
    assert patch.startswith("--- a/a pod.yaml\t\n+++ b/a pod.yaml\t\n")
    subprocess.run([*git, "apply", "-"], input=patch, text=True, check=True)
    assert "nvidia.com/mig-1g.5gb: 2" in (repository / "a pod.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("kind: Pod\nmetadata:\n  name: x\n   labels: {}\n", "4:10", id="a wrong indentation"),
        pytest.param("kind: Pod\nspec: *none\n", "2:7", id="an alias of nothing"),
        pytest.param("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: {}\n", "5:3", id="a field"),
        pytest.param("kind: [\n", "1", id="the end of the document"),
    ],
)
def test_what_can_not_be_read_has_its_place(repository: Path, text: str, place: str) -> None:
    (repository / "broken.yaml").write_text(text)
    found = run("check", "broken.yaml", "-o", "concise").out
    assert found.startswith(f"broken.yaml:{place}: not-read: ")
    line, _, column = place.partition(":")
    [problem] = json.loads(run("check", "broken.yaml", "-o", "json").out)["problems"]
    assert (problem["line"], problem["column"]) == (int(line), int(column) if column else None)


@pytest.mark.parametrize(
    ("head", "spec", "place"),
    [
        pytest.param("v1, kind: Pod", "{containers: [{name: a, resources: {limits:\n  {amd.com/gpu: 1}}}]}", "6:4", id="vendor"),
        pytest.param("v1, kind: Pod", "{containers: [{name: a,\n  limits: {nvidia.com/gpu: 1}}]}", "6:3", id="misplaced"),
        pytest.param("v1, kind: Pod", "{containers: [], resourceClaims: [\n  {name: c, resourceClaimName: c}]}", "6:3", id="DRA"),
        pytest.param("example.com/v1, kind: A", "{b: c,\n  gpuCount: 4}", "6:3", id="another kind"),
        pytest.param("v1, kind: pod", "{containers: []}", "3:1", id="a wrong kind"),
    ],
)  # fmt: skip
def test_what_is_not_evaluated_has_its_place(repository: Path, head: str, spec: str, place: str) -> None:
    api_version, _, kind = head.partition(", ")
    text = f"---\napiVersion: {api_version}\n{kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
    (repository / "a.yaml").write_text(text)
    out = run("check", "a.yaml", "-o", "concise").out
    assert f"a.yaml:{place}: not-evaluated: " in out
    [line] = json.loads(run("check", "a.yaml", "-o", "json").out)["objects"]
    assert f"{line['notEvaluatedLine']}:{line['notEvaluatedColumn']}" == place
    [result] = json.loads(run("check", "a.yaml", "-o", "sarif").out)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert f"{region['startLine']}:{region['startColumn']}" == place


def test_what_is_rewritten_in_an_operators_object_has_its_place(repository: Path) -> None:
    (repository / "a.yaml").write_text(
        "apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\nmetadata: {name: a}\nspec:\n  replicatedJobs:\n  - name: a\n"
        "    template: {spec: {template: {spec: {containers: [{name: a, resources: {limits:\n      {nvidia.com/gpu: 1}}}]}}}}\n"
    )
    assert run("check", "a.yaml", "--policy", "shared", "-o", "concise").out.startswith("a.yaml:8:8: rewritten: ")


def test_concise_is_a_line_with_the_place_of_each_finding(repository: Path) -> None:
    write(repository, "pod.yaml")
    (repository / "broken.yaml").write_text("kind: [\n")
    denied = run("check", ".", "--policy", "shared", "-o", "concise").out.splitlines()
    assert denied[0].startswith(f'pod.yaml:12:11: {ABOVE_ONE}: Pod default/two: container "train": nvidia.com/gpu: 2 ')
    assert denied[1].startswith("broken.yaml:1: not-read: ")
    assert len(denied) == 2
    rewritten = run("check", "pod.yaml", "--policy", "mig-1g.5gb", "-o", "concise").out
    assert run("check", "pod.yaml", "-o", "concise").out == ""
    assert rewritten.startswith("pod.yaml:12:11: ")


def test_github_gets_annotations_that_nothing_in_a_manifest_can_forge(repository: Path) -> None:
    write(repository, "a,b.yaml")
    result = run("check", ".", "--policy", "shared", "-o", "github").out
    assert result.startswith(f"::error file=a%2Cb.yaml,line=12,col=11,title=gpuwarden {ABOVE_ONE}::Pod default/two: ")
    assert result.count("\n") == 1
    (repository / "a,b.yaml").write_text(
        POD.replace("{ANNOTATIONS}", "{}").replace("name: two", 'name: "x\\n::stop::%"')
    )
    assert run("check", ".", "--policy", "shared", "-o", "github").out.count("\n") == 1
    job = POD.replace("{ANNOTATIONS}", "{}").replace("gpu: 2", "gpu: 1")
    (repository / "a,b.yaml").write_text(job)
    assert run("check", ".", "--policy", "shared", "-o", "github").out.startswith("::notice file=a%2Cb.yaml,line=12,")


IN_YAML = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n"
TWO = {"limits": {"nvidia.com/gpu": "2"}}
IN_JSON = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i", "resources": TWO}]},
}
CONTAINER = "  - name: c\n    image: i\n    resources:\n      limits:\n        nvidia.com/gpu: 2\n"


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("a.json", json.dumps(IN_JSON, indent=2), ["14:13"]),
        ("a.json", json.dumps(IN_JSON), ["1:141"]),
        (
            "a.json",
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [IN_JSON] * 2}, indent=1),
            ["18:9", "38:9"],
        ),
        ("a.json", "\n".join([json.dumps(IN_JSON, indent=1)] * 2), ["14:7", "34:7"]),
        ("a.yaml", "\ufeff" + IN_YAML + "  containers:\n" + CONTAINER, ["10:9"]),
        ("a.yaml", (IN_YAML + "  containers:\n" + CONTAINER).replace("\n", "\r\n"), ["10:9"]),
        ("a.yaml", "# one\n---\n# two\n---\n" + IN_YAML + "  containers:\n" + CONTAINER + "...\n", ["14:9"]),
        (
            "a.yaml",
            IN_YAML
            + "  containers:\n"
            + CONTAINER.replace("resources:", "resources: &r")
            + "  - {name: d, image: i, resources: *r}\n",
            ["10:9", "10:9"],  # where the anchor is
        ),
        (
            "a.yaml",
            IN_YAML + "  containers:\n" + CONTAINER.replace("- name", "- &c\n    name") + "  - <<: *c\n    name: d\n",
            ["11:9", "11:9"],
        ),
        (
            "a.yaml",
            IN_YAML + "  containers: [{name: c, image: i,\n    resources: {limits: {nvidia.com/gpu: 2}}}]\n",
            ["6:26"],
        ),
        (
            "a.yaml",
            "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: r}\nspec:\n  workerGroupSpecs:\n"
            "  - template: {spec: {containers: [{name: c, image: i}]}}\n"
            "  - template:\n      spec:\n        containers:\n" + textwrap.indent(CONTAINER, " " * 6),
            ["14:15"],
        ),
    ],
)
def test_the_place_is_that_of_the_field_in_every_notation(
    tmp_path: Path, name: str, text: str, places: list[str]
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    found = run("check", tmp_path / name, "--policy", "shared", "-o", "concise").out.splitlines()
    assert [line.removeprefix(f"{tmp_path / name}:").partition(": ")[0] for line in found] == places
