"""``gpuwarden rewrite``: manifests in their new form, or nothing at all."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.commands import NIM, RAY, SERVICE, deployment, namespace, run

REWRITTEN = deployment().replace("nvidia.com/gpu: 1 # please", "nvidia.com/gpu.shared: 1 # please")


def test_prints_the_new_form_with_comments_order_and_quotes_kept() -> None:
    ran = run("rewrite", "-", "--policy", "shared", stdin=SERVICE + "---\n" + deployment())
    assert ran.code == 0
    kept = [line for line in ran.out.splitlines() if line in (SERVICE + "---\n" + REWRITTEN).splitlines()]
    assert kept == (SERVICE + "---\n" + REWRITTEN).splitlines()
    pod = list(yaml.safe_load_all(ran.out))[1]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu.shared": 1}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    "text", [SERVICE, deployment(), "", "# nothing but a comment\n", SERVICE.replace("\n", "\r\n")]
)
def test_prints_what_needs_no_change_as_it_came(text: str) -> None:
    ran = run("rewrite", "-", "--policy", "exclusive", stdin=text)
    assert (ran.code, ran.out) == (0, text)


@pytest.mark.parametrize(
    ("text", "told"), [(SERVICE, ""), ("", "no Kubernetes object was found"), ("# x\n", "no Kubernetes object")]
)
def test_input_without_any_object_is_reported_and_is_no_error(text: str, told: str) -> None:
    ran = run("rewrite", "-", "--policy", "exclusive", stdin=text)
    assert (ran.code, told in ran.err, bool(ran.err)) == (0, True, bool(told))


@pytest.mark.parametrize("before", ["---# as for kubectl\n", "---\n\ufeff", "--- # joined\r\n"])
def test_what_is_before_a_document_stays(before: str) -> None:
    ran = run("rewrite", "-", "--policy", "shared", stdin=SERVICE + before + deployment())
    assert ran.code == 0
    assert ran.out.startswith(SERVICE + before + "# The web tier.\n")
    assert "nvidia.com/gpu.shared: 1 # please" in ran.out


def test_braces_that_are_no_json_stay_braces() -> None:
    text = '{"kind": Pod, spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}\n'
    ran = run("rewrite", "-", "--policy", "shared", stdin=text)
    assert ran.code == 0
    assert ran.out.startswith(
        '{"kind": Pod, spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu.shared: 1}}}]'
    )
    assert "-:1: warning: kubectl reads a file that begins with" in ran.err


def test_rewriting_again_changes_nothing_more() -> None:
    once = run("rewrite", "-", "--policy", "mps", stdin=deployment()).out
    assert run("rewrite", "-", "--policy", "mps", stdin=once).out == once


def test_what_it_prints_is_what_check_finds_right() -> None:
    once = run("rewrite", "-", "--policy", "gke-time-sharing-4", stdin=deployment()).out
    assert run("check", "-", "--policy", "gke-time-sharing-4", "--strict", stdin=once).code == 0


def test_a_refused_object_stops_it_with_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(deployment())
    (tmp_path / "b.yaml").write_text(deployment("batch", 2))
    ran = run("rewrite", "-i", tmp_path, "--policy", "shared")
    assert (ran.code, ran.out) == (1, "")
    assert "Deployment/batch is denied" in ran.err
    assert "nothing was written" in ran.err
    assert (tmp_path / "a.yaml").read_text() == deployment()


def test_what_cannot_be_read_stops_it_with_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(deployment())
    (tmp_path / "b.yaml").write_text("kind: [\n")
    ran = run("rewrite", "-i", tmp_path, "--policy", "shared")
    assert (ran.code, ran.out) == (2, "")
    assert (tmp_path / "a.yaml").read_text() == deployment()


def test_in_place_edits_only_the_files_that_change(tmp_path: Path) -> None:
    changed, same = tmp_path / "a.yaml", tmp_path / "b.yaml"
    changed.write_text(deployment())
    changed.chmod(0o640)
    same.write_text(SERVICE)
    before = same.stat().st_mtime_ns
    ran = run("rewrite", "--in-place", tmp_path, "--policy", "shared")
    assert (ran.code, ran.out) == (0, "")
    assert "nvidia.com/gpu.shared: 1 # please" in changed.read_text()
    assert changed.stat().st_mode & 0o777 == 0o640
    assert same.stat().st_mtime_ns == before


def test_standard_input_cannot_be_edited_in_place() -> None:
    ran = run("rewrite", "-i", "-", "--policy", "shared", stdin=deployment())
    assert ran.code == 2
    assert "leave out -i" in ran.err


def test_several_files_come_out_as_one_stream(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(deployment("a").rstrip("\n"))
    (tmp_path / "b.yaml").write_text("---\n" + deployment("b"))
    out = run("rewrite", tmp_path, "--policy", "shared").out
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(out)] == ["a", "b"]


def test_json_stays_json() -> None:
    manifest = json.dumps(yaml.safe_load(deployment()), indent=2)
    out = run("rewrite", "-", "--policy", "shared", stdin=manifest).out
    limits = json.loads(out)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"nvidia.com/gpu.shared": 1}


def test_the_policy_is_that_of_the_namespace() -> None:
    manifests = namespace("team-a", enforce="mig-1g.5gb") + "---\n" + deployment(namespace="team-a")
    assert "nvidia.com/mig-1g.5gb: 1 # please" in run("rewrite", "-", stdin=manifests).out


def test_what_is_not_evaluated_and_labels_without_effect_are_told_and_written_as_they_are() -> None:
    mistyped = namespace("team-a", enfroce="shared")
    ran = run("rewrite", "-", "--policy", "shared", stdin=NIM + "---\n" + mistyped)
    assert (ran.code, ran.out) == (0, NIM + "---\n" + mistyped)
    not_evaluated, label = ran.err.splitlines()
    assert not_evaluated.startswith(
        "-:5: not evaluated: NIMService.apps.nvidia.com: requests nvidia.com/gpu at spec.resources.limits"
    )
    assert label.startswith("-:12: metadata.labels[gpuwarden.io/enfroce]: gpuwarden does not read this label")


def test_an_operators_kind_is_written_as_it_is_and_that_is_said() -> None:
    ran = run("rewrite", "-", "--policy", "shared", stdin=RAY)
    assert (ran.code, ran.out) == (0, RAY)
    assert ran.err.startswith(
        "-:1: unchanged: RayCluster is an operator's kind, and its pods are rewritten on admission; "
        "--kinds RayCluster.ray.io rewrites its templates here\n"
    )


def test_its_templates_are_written_where_that_is_wanted_and_what_is_special_is_said() -> None:
    ran = run("rewrite", "-", "--policy", "shared", "--kinds", "JobSet.jobset.x-k8s.io,RayCluster.ray.io", stdin=RAY)
    assert ran.code == 0
    assert ran.err.startswith("-:1: RayCluster/")
    assert "its templates are rewritten; Ray takes num-gpus from the template's limits" in ran.err
    assert "unchanged" not in ran.err
    written = yaml.safe_load(ran.out)
    assert "nvidia.com/gpu.shared" in str(written)
    assert "annotations" not in str(written)
    again = run("rewrite", "-", "--policy", "shared", "--kinds", "RayCluster.ray.io", stdin=ran.out)
    assert again.out == ran.out


ISVC = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: llm
spec:
  predictor:
    minReplicas: 1
    containers:
      - name: kserve-container # a spec of pods without metadata
        image: llm
        resources: {limits: {nvidia.com/gpu: 1}}
    model:
      resources: {limits: {nvidia.com/gpu: 1}}
"""


def test_a_template_that_is_a_spec_alone_is_written_and_what_is_in_none_is_not() -> None:
    ran = run("rewrite", "-", "--policy", "shared", "--kinds", "InferenceService.serving.kserve.io", stdin=ISVC)
    assert ran.code == 0
    predictor = yaml.safe_load(ran.out)["spec"]["predictor"]
    assert predictor["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu.shared": 1}
    assert predictor["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert predictor["model"]["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert "# a spec of pods without metadata" in ran.out
    assert "not evaluated: InferenceService.serving.kserve.io" in ran.err


def test_a_kind_of_the_configuration_is_written_too(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    row = {"group": "example.com", "versions": ["v1"], "kind": "Training", "plural": "trainings"}
    kinds = [{**row, "templates": [{"path": "spec.pods{*}.spec"}]}]
    config.write_text(
        yaml.safe_dump({"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "workloadKinds": kinds})
    )
    pod = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}
    manifest = {
        "apiVersion": "example.com/v1",
        "kind": "Training",
        "metadata": {"name": "x"},
        "spec": {"pods": {"a/b": pod}},
    }
    options = ("--policy", "shared", "--config", config, "--kinds", "Training.example.com")
    ran = run("rewrite", "-", *options, stdin=yaml.safe_dump(manifest))
    assert (ran.code, ran.err.strip()) == (0, "-:1: Training/x: its templates are rewritten")
    assert "nvidia.com/gpu.shared" in str(yaml.safe_load(ran.out)["spec"]["pods"]["a/b"])


@pytest.mark.parametrize(
    ("kinds", "fix"),
    [
        ("RayCluster", "did you mean RayCluster.ray.io?"),
        (
            "SparkApplication",
            "did you mean SparkApplication.sparkoperator.k8s.io or SparkApplication.spark.apache.org?",
        ),
        ("RayClustr.ray.io", "did you mean RayCluster.ray.io?"),
        ("", "write a kind from docs/reference/workload-kinds.md"),
    ],
)
def test_a_kind_that_is_not_one_is_named_with_the_fix(kinds: str, fix: str) -> None:
    ran = run("rewrite", "-", "--kinds", kinds, stdin=RAY)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip() == f'error: --kinds: "{kinds}" is not an operator\'s kind that gpuwarden knows; {fix}'


def test_nothing_is_edited_in_place_where_one_of_the_sources_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(deployment())

    ran = run("rewrite", "-i", "--policy", "mps", file, "-", stdin=SERVICE)

    assert ran.code == 2
    assert "- can't be edited in place; leave out -i to print it; nothing was written" in ran.err
    assert file.read_text() == deployment()


@pytest.mark.parametrize("kinds", ["Deployment.apps", "Deployment", "Pod"])
def test_kubernetes_own_kinds_need_not_be_named(kinds: str) -> None:
    ran = run("rewrite", "-", "--kinds", kinds, stdin=RAY)
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err.strip()
        == f'error: --kinds: "{kinds}" is one of Kubernetes\' own kinds, which are rewritten anyway; remove it'
    )
