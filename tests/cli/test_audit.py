"""``gpuwarden audit``: from a cluster or files to what people and programs read, and the exit code."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.faults import refusal
from tests.adapters.kubernetes.workload_server import DEFINITIONS, WorkloadServer
from tests.builders import SHARED, Json, a_pod, gpu
from tests.cli.commands import NIM, RAY, SERVICE, Ran, deployment, namespace, run

VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
OUTPUTS = ("table", "json", "junit", "sarif", "csv", "html")


@pytest.fixture(autouse=True)
def no_cluster_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has, a test sees none of it."""
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "GPUWARDEN_KUBECONFIG", "GPUWARDEN_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    """Three namespaces: one that shares, one that permits whole GPUs, one whose label is misspelled."""
    with WorkloadServer() as server:
        server.serves = {"wgpolicyk8s.io/v1alpha2"}
        server.set_namespace("team-a", enforce="shared", audit="mig-1g.5gb")
        server.set_namespace("team-b", enforce="exclusive")
        server.set_namespace("team-c", enforce="shred")
        server.add(
            *(pod(f"web-1-{number}", owner=("ReplicaSet", "web-1")) for number in range(30)),
            thing("ReplicaSet", "web-1", owner=("Deployment", "web")),
            thing("Deployment", "web"),
            thing("Deployment", "sweep", pods=a_pod(gpu(2))),
            thing("StatefulSet", "train", "team-b", pods=a_pod(gpu(8))),
            thing("Deployment", "site", "team-b", pods=a_pod({"name": "site"})),
        )
        yield server


@pytest.fixture
def kubeconfig(cluster: WorkloadServer, tmp_path: Path) -> Path:
    return write_kubeconfig(tmp_path / "kubeconfig", cluster.url, token="s3cret")  # noqa: S106 - a test's own


def test_claims_of_a_cluster_that_would_be_denied_are_listed_without_those_of_pods(
    cluster: WorkloadServer, kubeconfig: Path
) -> None:
    root = "/apis/resource.k8s.io"
    spec = {"devices": {"requests": [{"name": "gpu", "deviceClassName": "gpu.nvidia.com"}]}}
    made: Json = {
        "name": "made",
        "namespace": "team-b",
        "annotations": {"resource.kubernetes.io/pod-claim-name": "gpu"},
    }
    made["ownerReferences"] = [{"kind": "Pod", "uid": "1", "controller": True}]
    own = {"name": "own", "namespace": "team-b"}
    cluster.objects[root] = {"versions": [{"version": "v1beta1"}]}
    for plural, items in (
        ("resourceclaims", [{"metadata": own, "spec": spec}, {"metadata": made, "spec": spec}]),
        ("resourceclaimtemplates", [{"metadata": own, "spec": {"spec": spec}}]),
    ):
        cluster.lists[f"{root}/v1beta1/{plural}"] = [json.dumps(one).encode() for one in items]

    def denied(policy: str) -> list[tuple[str, str]]:
        options = ("--kubeconfig", kubeconfig, "--assume", f"team-b={policy}", "-o", "json")
        others = json.loads(run("audit", *options).out)["others"]
        return [(one["kind"], one["name"]) for one in others if "Claim" in one["kind"]]

    assert denied("none") == [("ResourceClaim", "own"), ("ResourceClaimTemplate", "own")]
    assert denied("exclusive") == [("ResourceClaim", "own")]  # pods can share it
    assert denied("shared") == []


def thing(
    kind: str, name: str, space: str = "team-a", *, pods: Json | None = None, owner: tuple[str, str] | None = None
) -> Json:
    metadata: Json = {"name": name, "namespace": space, "uid": f"uid-of-{name}"}
    if owner:
        kind_of, name_of = owner
        reference = {"apiVersion": "apps/v1", "kind": kind_of, "name": name_of, "uid": f"uid-of-{name_of}"}
        metadata["ownerReferences"] = [reference | {"controller": True}]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"template": pods or a_pod()}}


def pod(name: str, space: str = "team-a", *, owner: tuple[str, str] | None = None) -> Json:
    made = thing("Pod", name, space, owner=owner)
    return made | {"apiVersion": "v1", "spec": a_pod()["spec"], "status": {"phase": "Running"}}


def audited(*arguments: str | Path) -> Any:
    """The JSON report of an audit, whatever its exit code."""
    return json.loads(run("audit", *arguments, "-o", "json").out)


def outcomes(report: Any) -> dict[str, str]:
    return {f"{line['namespace']}/{line['kind']}/{line['name']}": line["decision"] for line in report["objects"]}


class TestCluster:
    def test_of_every_namespace_by_its_label_a_controller_a_line(self, kubeconfig: Path) -> None:
        report = audited("--kubeconfig", kubeconfig)

        assert outcomes(report) == {
            "team-a/Deployment/sweep": "denied",
            "team-a/Deployment/web": "rewritten",
            "team-b/StatefulSet/train": "unchanged",
        }
        web = report["objects"][1]
        assert web["pods"] == {"unchanged": 0, "rewritten": 30, "denied": 0, "exempt": 0, "notEvaluated": 0}
        assert (web["evaluated"], web["uid"], web["source"]) == ("template", "uid-of-web", None)
        assert web["patch"][0]["path"].startswith("/spec/template/spec/containers/0")
        assert report["totals"]["seen"]["pods"] == 30
        assert report["totals"]["workloads"] == {
            "unchanged": 1,
            "rewritten": 1,
            "denied": 1,
            "exempt": 0,
            "notEvaluated": 0,
        }
        assert report["origin"].startswith("http://127.0.0.1:")

    def test_who_decides_new_pods_is_said_of_each_policy(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        """By the labels that the namespaces have, whatever is assumed."""
        webhook = {"metadata": {"name": "gpuwarden"}, "webhooks": [{"name": "validate.gpuwarden.io"}]}
        cluster.lists[VALIDATING] = [json.dumps(webhook).encode()]
        report = audited("--kubeconfig", kubeconfig, "--assume", "team-a=mps")
        assert [(one["policy"], one["namespaces"], one["commonCase"]) for one in report["deciders"]] == [
            ("any", [], "webhooks"),
            ("exclusive", ["team-b"], "webhooks"),
            ("shared", ["team-a"], "webhooks"),
        ]
        assert "namespaces with GPU pods" in run("audit", "--kubeconfig", kubeconfig).out
        page = run("audit", "--kubeconfig", kubeconfig, "-o", "html").out
        assert "<td><bdi>team-a</bdi></td><td>webhooks</td>" in page

    def test_without_the_right_nobody_is_said_to_decide(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        cluster.refused[VALIDATING] = 403
        report = audited("--kubeconfig", kubeconfig)
        assert report["deciders"] is None
        (note,) = [note for note in report["notes"] if "decide" in note]
        assert note.startswith(
            "it is not known whether the API server or the webhooks decide: admission policies and webhoo"
        )
        assert "Who decides" not in run("audit", "--kubeconfig", kubeconfig, "-o", "html").out

    def test_of_one_namespace_looks_nowhere_else(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        assert list(outcomes(audited("--kubeconfig", kubeconfig, "-n", "team-b"))) == ["team-b/StatefulSet/train"]
        of_objects = [
            seen.path for seen in cluster.requests if seen.path.startswith(("/api/v1/", "/apis/apps/", "/apis/batch/"))
        ]
        assert all("/namespaces/team-b" in path for path in of_objects)

    def test_of_several_namespaces_looks_at_each(self, kubeconfig: Path) -> None:
        report = audited("--kubeconfig", kubeconfig, "-n", "team-b", "-n", "team-a", "-n", "team-b")
        assert len(outcomes(report)) == 3

    def test_what_if_one_namespace_had_another_policy(self, kubeconfig: Path) -> None:
        report = audited("--kubeconfig", kubeconfig, "--assume", "team-b=mig-1g.5gb")
        assert outcomes(report)["team-b/StatefulSet/train"] == "rewritten"
        assert outcomes(report)["team-a/Deployment/web"] == "rewritten", "by its own label"
        assert report["assumptions"] == ["team-b=mig-1g.5gb"]

    def test_what_if_all_had_and_one_another(self, kubeconfig: Path) -> None:
        report = audited("--kubeconfig", kubeconfig, "--assume", "team-b=none", "--assume", "*=exclusive")
        assert outcomes(report) == {
            "team-a/Deployment/sweep": "unchanged",
            "team-a/Deployment/web": "unchanged",
            "team-b/StatefulSet/train": "denied",
        }

    def test_by_another_label(self, kubeconfig: Path) -> None:
        report = audited("--kubeconfig", kubeconfig, "--mode", "audit")
        assert report["evaluatedBy"] == "audit"
        assert {line["policy"] for line in report["objects"]} == {"mig-1g.5gb", "any"}

    def test_tells_of_labels_that_name_no_policy(self, kubeconfig: Path) -> None:
        (note,) = audited("--kubeconfig", kubeconfig)["notes"]
        assert note.startswith(
            'namespace team-c: metadata.labels[gpuwarden.io/enforce]: "shred" is not a policy; did you mean'
        )

    def test_has_labels_that_name_no_policy_and_those_without_effect_beside_the_workloads(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.set_namespace("team-d", enfroce="shared")
        cluster.set_namespace("team-e", annotations={"gpuwarden.io/enforce": "shared", "team": "e"})
        report = audited("--kubeconfig", kubeconfig)

        told = [(line["name"], line["decision"], [f["rule"] for f in line["findings"]]) for line in report["others"]]
        assert told == [
            ("team-c", "denied", ["unreadable-label"]),
            ("team-d", "unchanged", ["ineffective-label"]),
            ("team-e", "unchanged", ["ineffective-label"]),
        ]
        assert (
            "0 exempt, 0 not evaluated; 1 namespace with a label that names no policy; 2 other objects with a label without "
            "effect; " in " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())
        )
        assert [note.partition(": ")[0] for note in report["notes"]] == [f"namespace team-{one}" for one in "cde"]
        assert "team-d: metadata.labels[gpuwarden.io/enfroce]: gpuwarden does not read this label" in " ".join(
            run("audit", "--kubeconfig", kubeconfig).out.split()
        )

    def test_tells_of_labels_that_belong_on_a_namespace(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        mislabelled = thing("Deployment", "mine", "team-b", pods=a_pod({"name": "site"}))
        made_by_it = pod("made", owner=("ReplicaSet", "web-1"))
        for one in (mislabelled, made_by_it):
            one["metadata"]["labels"] = {"gpuwarden.io/enforce": "shared", "team": "a"}
        cluster.add(mislabelled, made_by_it)
        report = audited("--kubeconfig", kubeconfig)
        told = [(line["kind"], line["namespace"], line["name"], line["policy"]) for line in report["others"]]
        assert told == [("Namespace", "team-c", "team-c", "shred"), ("Deployment", "team-b", "mine", "exclusive")]
        assert report["notes"][1].startswith(
            "Deployment team-b/mine: metadata.labels[gpuwarden.io/enforce]: it has no effect"
        )

    def test_says_which_kinds_were_looked_at_and_what_is_known_of_others(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        def scope() -> str:
            text = audited("--kubeconfig", kubeconfig)["scope"]
            assert isinstance(text, str)
            return text

        assert scope().startswith("checked: Pod, ReplicaSet, Job, ReplicationController, CronJob, DaemonSet, ")
        assert scope().endswith(" custom resources whose schemas have room for pods or GPU requests")
        of_ray = pod("ray-0")
        reference = {"apiVersion": "ray.io/v1", "kind": "RayPool", "name": "ray", "uid": "u", "controller": True}
        of_ray["metadata"]["ownerReferences"] = [reference]
        cluster.add(of_ray)
        report = audited("--kubeconfig", kubeconfig)
        assert outcomes(report)["team-a/RayPool/ray"] == "rewritten", "its running pods are evaluated"
        assert report["scope"].endswith("; only the pods of: RayPool.ray.io")
        for output in ("table", "html"):
            assert "only the pods of: RayPool.ray.io" in " ".join(
                run("audit", "--kubeconfig", kubeconfig, "-o", output).out.split()
            )

    def test_reports_kinds_that_are_not_looked_at_in_every_format_and_counts_them_apart(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.refused[cluster.define("RayPool", "raypools")] = 403
        report = audited("--kubeconfig", kubeconfig)
        (line,) = report["kinds"]
        assert (line["apiVersion"], line["kind"], line["name"], line["decision"]) == (
            "ray.io/v1",
            "RayPool",
            "*",
            "not-evaluated",
        )
        totals = report["totals"]
        assert (totals["kinds"], totals["others"]["notEvaluated"], totals["notEvaluated"]) == (1, 0, 1)
        for output in OUTPUTS:
            out = run("audit", "--kubeconfig", kubeconfig, "-o", output).out
            assert "RayPool.ray.io: its objects were not checked" in " ".join(out.split()), output
        out = " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())
        assert "RayPool: not evaluated: RayPool.ray.io: its objects" in out
        assert "1 unchanged, 0 exempt, 0 not evaluated; 1 kind of objects not evaluated; " in out

    @pytest.mark.parametrize("denied", [False, True], ids=["objects", "unknown kinds"])
    def test_with_kinds_that_are_not_looked_at_fails_when_strict(
        self, kubeconfig: Path, cluster: WorkloadServer, *, denied: bool
    ) -> None:
        arguments = ("audit", "--kubeconfig", kubeconfig, "--assume", "*=any", "-n", "team-b")
        assert run(*arguments, "--strict").code == 0
        path = cluster.define("RayPool", "raypools", {"metadata": {"name": "x", "namespace": "team-b"}})
        cluster.refused[path.replace("v1/", "v1/namespaces/team-b/")] = 403
        if denied:
            cluster.refused[DEFINITIONS] = 403
        assert run(*arguments).code == 0
        strictly = run(*arguments, "--strict")
        assert strictly.code == 1
        told = " ".join(strictly.out.split())
        assert ("grant list on customresourcedefinitions" in told) == denied

    def test_says_of_a_pod_without_a_controller_what_makes_it_anew(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.add(pod("notebook"), pod("waiting") | {"status": {"phase": "Pending"}})
        told = {line["name"]: line["becomes"] for line in audited("--kubeconfig", kubeconfig)["objects"]}
        for name in ("notebook", "waiting"):
            assert told[name][-1] == "this pod has no controller: only if it is created again"
        assert "controller" not in " ".join(told["web"])
        out = " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())
        assert "with 32 pods: " in out
        assert "running" not in out

    def test_has_a_label_of_a_workload_with_the_workload(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        mislabelled = thing("Deployment", "mine", "team-b")
        mislabelled["metadata"]["labels"] = {"gpuwarden.io/enforce": "shared"}
        cluster.add(mislabelled)
        report = audited("--kubeconfig", kubeconfig, "-n", "team-b")
        mine = next(line for line in report["objects"] if line["name"] == "mine")
        assert [finding["rule"] for finding in mine["findings"]] == ["ineffective-label"]
        assert report["others"] == []
        assert len(report["notes"]) == 1
        assert run("audit", "--kubeconfig", kubeconfig, "-n", "team-b", "--strict").code == 1

    def test_writes_nothing(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        run("audit", "--kubeconfig", kubeconfig)
        assert {seen.method for seen in cluster.requests} == {"GET"}

    def test_shows_no_bar_where_there_is_no_terminal(self, kubeconfig: Path) -> None:
        assert run("audit", "--kubeconfig", kubeconfig).err == ""

    def test_takes_the_context_that_is_asked_for(self, kubeconfig: Path) -> None:
        assert audited("--kubeconfig", kubeconfig, "--context", "here")["objects"]
        ran = run("audit", "--kubeconfig", kubeconfig, "--context", "there")
        assert (ran.code, "there" in ran.err) == (2, True)


class TestFiles:
    def test_are_evaluated_by_the_namespaces_among_them(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(
            deployment("web", namespace="team-a") + "---\n" + namespace("team-a", enforce="mps")
        )
        report = audited(tmp_path)
        (line,) = report["objects"]
        assert (line["decision"], line["policy"], line["evaluated"]) == ("rewritten", "mps", "template")
        assert (line["source"], line["line"]) == (str(tmp_path / "a.yaml"), 2)
        assert report["origin"] == "files"

    def test_are_evaluated_by_assumptions_and_given_namespaces(self, tmp_path: Path) -> None:
        manifest, namespaces = tmp_path / "m.yaml", tmp_path / "namespaces.yaml"
        manifest.write_text(deployment("a", namespace="team-a") + "---\n" + deployment("b", namespace="team-b"))
        namespaces.write_text(namespace("team-a", enforce="none"))
        report = audited(manifest, "--namespaces", namespaces, "--assume", "team-b=shared")
        assert outcomes(report) == {"team-a/Deployment/a": "denied", "team-b/Deployment/b": "rewritten"}

    def test_that_name_no_namespace_count_as_in_the_given_one_and_all_are_evaluated_as_by_check(
        self, tmp_path: Path
    ) -> None:
        manifest = tmp_path / "m.yaml"
        manifest.write_text(deployment("a", namespace="team-a") + "---\n" + deployment("b"))
        assert set(outcomes(audited(manifest, "-n", "team-a"))) == {"team-a/Deployment/a", "team-a/Deployment/b"}
        both = {"team-a/Deployment/a", "team-b/Deployment/b"}
        assert set(outcomes(audited(manifest, "-n", "team-b"))) == both
        checked = json.loads(run("check", manifest, "-n", "team-b", "-o", "json").out)["objects"]
        assert {f"{one['namespace']}/{one['kind']}/{one['name']}" for one in checked} == both
        assert set(outcomes(audited(manifest))) == {"team-a/Deployment/a", "default/Deployment/b"}

    def test_of_a_dump_are_grouped_by_controller(self) -> None:
        items = [
            *(pod(f"web-1-{number}", owner=("ReplicaSet", "web-1")) for number in range(3)),
            thing("ReplicaSet", "web-1", owner=("Deployment", "web")),
            thing("ReplicaSet", "web-0", owner=("Deployment", "web")),
            thing("Deployment", "web"),
            pod("done") | {"status": {"phase": "Succeeded"}},
        ]
        dump = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        ran = run("audit", "-", "--assume", "*=shared", "-o", "json", stdin=dump)
        (line,) = json.loads(ran.out)["objects"]
        assert (line["kind"], line["name"], line["pods"]["rewritten"]) == ("Deployment", "web", 3)

    def test_of_a_dump_count_once_whatever_their_labels_are(self) -> None:
        items = [
            pod("web-1-0", owner=("ReplicaSet", "web-1")),
            thing("ReplicaSet", "web-1", owner=("Deployment", "web")),
            thing("Deployment", "web"),
        ]
        for item in items:
            item["metadata"]["labels"] = {"gpuwarden.io/enforce": "shared"}
        dump = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        report = json.loads(run("audit", "-", "--assume", "*=shared", "-o", "json", stdin=dump).out)
        assert [line["name"] for line in (*report["objects"], *report["others"])] == ["web"]
        assert report["totals"]["pods"]["rewritten"] == 1

    def test_pods_in_manifests_are_not_running(self, tmp_path: Path) -> None:
        manifest = pod("notebook")
        del manifest["status"]
        (tmp_path / "pod.json").write_text(json.dumps(manifest))
        (line,) = audited(tmp_path, "--assume", "*=shared")["objects"]
        assert (line["evaluated"], sum(line["pods"].values())) == ("template", 0)

    def test_with_the_same_object_twice_are_two_lines(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text(deployment("web"))
        (tmp_path / "overlay.yaml").write_text(deployment("web", gpu=2))
        report = audited(tmp_path, "--assume", "*=shared")
        assert [line["decision"] for line in report["objects"]] == ["rewritten", "denied"]

    def test_that_are_not_evaluated_are_told_in_every_format_and_counted_apart(self, tmp_path: Path) -> None:
        (tmp_path / "m.yaml").write_text(f"{deployment()}---\n{NIM}---\n{SERVICE}")
        report = audited(tmp_path)
        (line,) = report["others"]
        assert (line["kind"], line["name"], line["line"], line["decision"]) == (
            "NIMService",
            "nim",
            16,
            "not-evaluated",
        )
        assert (report["totals"]["notEvaluated"], report["scope"]) == (1, "")
        for output in OUTPUTS:
            out = run("audit", tmp_path, "-o", output).out
            assert "NIMService.apps.nvidia.com: requests nvidia.com/gpu at" in " ".join(out.split()), output
        assert "1 workload requests GPUs, with 0 pods: " in run("audit", tmp_path).out
        assert "0 exempt, 0 not evaluated; 1 other object not evaluated; 3 objects checked" in " ".join(
            run("audit", tmp_path).out.split()
        )

    def test_of_operators_kinds_are_rows(self, tmp_path: Path) -> None:
        (tmp_path / "m.yaml").write_text(f"{RAY}---\n{NIM}")
        report = audited(tmp_path, "--assume", "*=shared")
        (line,) = report["objects"]
        assert (line["kind"], line["name"], line["decision"], line["line"]) == ("RayCluster", "ray", "rewritten", 1)
        assert line["requests"] == ["spec.workerGroupSpecs[0].template (6 pods): worker: nvidia.com/gpu: 1"]
        assert [one["kind"] for one in report["others"]] == ["NIMService"], "what is evaluated is said once"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("-n", "team-a", "-n", "team-b"), "--namespace can be given only once with files"),
            (("-n", "Team_A"), '--namespace: "Team_A" is not the name of a namespace'),
        ],
    )
    def test_have_one_namespace_for_what_names_none(self, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
        (tmp_path / "m.yaml").write_text(deployment("a"))
        ran = run("audit", tmp_path, *options)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err

    def test_that_are_not_evaluated_count_in_their_namespace(self, tmp_path: Path) -> None:
        (tmp_path / "m.yaml").write_text(NIM)
        assert audited(tmp_path, "-n", "team-a")["others"][0]["namespace"] == "team-a"
        (tmp_path / "m.yaml").write_text(NIM.replace("{name: nim}", "{name: nim, namespace: team-b}"))
        assert audited(tmp_path, "-n", "team-a")["others"][0]["namespace"] == "team-b"

    @pytest.mark.parametrize("output", OUTPUTS)
    @pytest.mark.parametrize(
        ("manifest", "code", "strictly"),
        [
            (SERVICE, 0, 0),
            (NIM, 0, 1),
            (namespace("team-a", enfroce="shared"), 0, 1),
            (namespace("team-a", enforce="sharde"), 1, 1),
        ],
        ids=["a service", "not evaluated", "a mistyped key", "no policy"],
    )
    def test_decide_the_exit_code_with_what_is_not_evaluated_and_labels(
        self, manifest: str, code: int, strictly: int, output: str
    ) -> None:
        assert run("audit", "-", "-o", output, stdin=manifest).code == code
        assert run("audit", "-", "-o", output, "--strict", stdin=manifest).code == strictly

    def test_come_with_the_labels_of_the_namespaces_file(self, tmp_path: Path) -> None:
        known = tmp_path / "namespaces.txt"
        known.write_text(namespace("team-a", enfroce="shared"))
        (note,) = json.loads(run("audit", "-", "--namespaces", known, "-o", "json", stdin=SERVICE).out)["notes"]
        assert note.startswith(f"{known}:1: namespace team-a: metadata.labels[gpuwarden.io/enfroce]: ")

    def test_never_ask_a_cluster(self, tmp_path: Path, kubeconfig: Path, cluster: WorkloadServer) -> None:
        (tmp_path / "m.yaml").write_text(deployment())
        run("audit", tmp_path / "m.yaml", "--kubeconfig", kubeconfig)
        assert cluster.requests == []


class TestOutput:
    def test_is_a_table_unless_something_else_is_asked_for(self, kubeconfig: Path) -> None:
        out = " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())
        assert "Deployment web" in out
        assert "30 rewritten" in out
        assert "StatefulSet train" not in out
        assert "3 workloads request GPUs, with 30 pods: 1 denied, 1 rewritten, 1 unchanged" in out
        assert "StatefulSet train" in run("audit", "--kubeconfig", kubeconfig, "--all").out

    def test_in_every_format_names_the_same_workloads(self, kubeconfig: Path) -> None:
        texts = {output: run("audit", "--kubeconfig", kubeconfig, "-o", output).out for output in OUTPUTS}

        suites = ET.fromstring(texts["junit"])  # noqa: S314 - our own document
        lines = list(csv.DictReader(io.StringIO(texts["csv"])))
        results = json.loads(texts["sarif"])["runs"][0]["results"]
        assert [case.get("name") for case in suites.iter("testcase")] == [
            "Deployment/sweep",
            "Deployment/web",
            "StatefulSet/train",
            "Namespace/team-c",
        ]
        assert [(line["name"], line["outcome"]) for line in lines] == [
            ("sweep", "denied"),
            ("web", "rewritten"),
            ("train", "unchanged"),
            ("team-c", "denied"),
        ]
        rules = [result["ruleId"] for result in results]
        assert rules == ["shared-request-above-one", "rewritten", "unreadable-label"]
        assert texts["html"].startswith("<!DOCTYPE html>")
        assert "30 would be rewritten" in texts["html"]

    def test_of_an_audit_without_a_gpu_is_whole_in_every_format(self) -> None:
        for output in OUTPUTS:
            ran = run("audit", "-", "-o", output, stdin=SERVICE)
            assert (ran.code, bool(ran.out)) == (0, True), output


class TestExitCode:
    @pytest.mark.parametrize(
        ("policy", "options", "code"),
        [
            ("any", (), 0),
            ("shared", (), 0),
            ("shared", ("--strict",), 1),
            ("none", (), 1),
            ("exclusive", ("--strict",), 0),
        ],
    )
    @pytest.mark.parametrize("output", OUTPUTS)
    def test_is_that_of_check_however_it_is_told(
        self, policy: str, options: tuple[str, ...], code: int, output: str
    ) -> None:
        ran = run("audit", "-", "--assume", f"*={policy}", "-o", output, *options, stdin=deployment())
        assert ran.code == code

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--assume", "*=shred"), '--assume "*=shred": "shred" is not a policy; did you mean "shared"?'),
            (("--assume", "shared"), 'error: --assume "shared" is not a valid assumption'),
            (("--kubeconfig", "nowhere"), "nowhere"),
            ((), "no cluster"),
            (("nowhere.yaml",), "nowhere.yaml"),
            (("-", "--namespaces", "nowhere.yaml"), "nowhere.yaml"),
            (("--namespaces", "x.yaml"), "--namespaces can be used only with files"),
            (("-", "--config", "nowhere.yaml"), "nowhere.yaml"),
            (("-", "-o", "xml"), "xml"),
            (("-", "--write-reports"), "--write-reports can't be combined with paths or --assume"),
            (("--assume", "*=shared", "--write-reports"), "it reports on the cluster as it is"),
        ],
    )
    def test_of_wrong_usage_is_2_and_the_message_says_what(self, arguments: tuple[str, ...], said: str) -> None:
        ran = run("audit", *arguments)
        assert ran.code == 2
        assert said in squeezed(ran)

    def test_of_a_namespace_that_is_not_there_is_2(self, kubeconfig: Path) -> None:
        ran = run("audit", "--kubeconfig", kubeconfig, "-n", "team-x")
        assert ran.code == 2
        assert 'namespaces "team-x" not found' in ran.err

    def test_of_an_assumption_on_a_namespace_that_is_not_there_is_2(self, kubeconfig: Path) -> None:
        ran = run("audit", "--kubeconfig", kubeconfig, "--assume", "team-aa=shared")
        assert (ran.code, ran.out) == (2, "")
        assert 'there is no namespace "team-aa"; did you mean "team-a"?' in ran.err

    def test_of_a_cluster_that_is_not_there_is_2(self, tmp_path: Path) -> None:
        ran = run("audit", "--kubeconfig", write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1"))
        assert (ran.code, ran.out) == (2, "")
        assert "the cluster can't be read: GET /api/v1/namespaces: no connection to http://127.0.0.1:1: " in ran.err
        assert ran.err.endswith(
            "; check the address of the server and its certificate authority in the kubeconfig, and the network\n"
        )

    def test_of_a_cluster_that_forbids_namespaces_is_2_with_the_way_out(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.always("list", refusal(403, "namespaces is forbidden"))
        ran = run("audit", "--kubeconfig", kubeconfig)
        assert ran.code == 2
        assert "name the namespaces that you may read with -n" in ran.err

    def test_of_a_cluster_that_forbids_a_kind_is_2_and_the_rest_is_told(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.refused["/api/v1/pods"] = 403
        ran = run("audit", "--kubeconfig", kubeconfig, "-o", "json")
        report = json.loads(ran.out)
        assert ran.code == 2
        assert [(problem["source"], problem["fatal"]) for problem in report["problems"]] == [("pods", True)]
        assert len(report["objects"]) == 3

    def test_of_files_that_cannot_be_read_is_2_and_the_rest_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "bad.yaml").write_text("a: [")
        (tmp_path / "good.yaml").write_text(deployment())
        ran = run("audit", tmp_path, "-o", "json")
        assert ran.code == 2
        assert len(json.loads(ran.out)["objects"]) == 1

    def test_of_a_pod_that_is_none_is_2(self) -> None:
        ran = run("audit", "-", stdin=deployment().replace("- name: main ", "- name: [main] "))
        assert ran.code == 2
        assert "spec.template.spec.containers" in squeezed(ran)

    def test_of_a_key_that_stands_twice_is_not_2(self) -> None:
        ran = run("audit", "-", stdin=deployment().replace("  name: web", "  name: web\n  name: site"))
        assert ran.code == 0
        assert '-:6: warning: "name" is defined twice' in ran.out
        assert "not read" not in ran.out


class TestWriteReports:
    def test_makes_a_report_a_namespace_and_one_of_the_namespaces(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")

        assert (ran.code, ran.out) == (0, ""), "what is denied stands in the reports; a CronJob has not failed"
        assert (
            ran.err
            == "policyreports and clusterpolicyreports of wgpolicyk8s.io: 3 created, 0 updated, 0 unchanged, 0 removed\n"
        )
        reports = cluster.reports()
        assert set(reports) == {("team-a", "gpuwarden"), ("team-b", "gpuwarden")}
        told = {(r["resources"][0]["name"], r["result"], r["rule"]) for r in reports["team-a", "gpuwarden"]["results"]}
        assert told == {
            ("sweep", "fail", "shared-request-above-one"),
            ("web", "pass", "rewritten"),
            ("web", "warn", "not-rewritten"),
        }
        (unreadable,) = cluster.reports("clusterpolicyreports")[None, "gpuwarden"]["results"]
        assert unreadable["resources"][0]["name"] == "team-c"

    def test_kinds_that_could_not_be_read_are_said(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        cluster.refused[cluster.define("RayPool", "raypools")] = 403
        first, _ = run("audit", "--kubeconfig", kubeconfig, "--write-reports").err.splitlines()
        assert first.startswith("not evaluated: RayPool.ray.io: its objects were not checked")
        cluster.refused[DEFINITIONS] = 403
        assert "not evaluated: custom resources: " in run("audit", "--kubeconfig", kubeconfig, "--write-reports").err

    def test_again_changes_nothing(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        before = {key: report["metadata"]["resourceVersion"] for key, report in cluster.reports().items()}
        assert "3 unchanged" in run("audit", "--kubeconfig", kubeconfig, "--write-reports").err
        assert {key: report["metadata"]["resourceVersion"] for key, report in cluster.reports().items()} == before

    def test_follows_a_namespaces_label(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        cluster.set_namespace("team-b", enforce="none")
        cluster.set_namespace("team-c", enforce="shared")
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        assert "0 created, 1 updated, 1 unchanged, 1 removed" in ran.err
        assert cluster.reports()["team-b", "gpuwarden"]["summary"]["fail"] == 1
        assert cluster.reports("clusterpolicyreports") == {}

    def test_of_one_namespace_leaves_the_others(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        cluster.lists.clear()
        for path in ("/api/v1/pods", "/apis/apps/v1/deployments"):
            cluster.lists[path] = []
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports", "-n", "team-a")
        assert "0 created, 0 updated, 0 unchanged, 1 removed" in ran.err
        assert set(cluster.reports()) == {("team-b", "gpuwarden")}
        assert cluster.reports("clusterpolicyreports")

    def test_prints_too_when_asked(self, kubeconfig: Path) -> None:
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports", "-o", "json")
        assert (ran.code, len(json.loads(ran.out)["objects"])) == (0, 3)

    def test_writes_the_successor_where_that_is_what_is_installed(
        self, kubeconfig: Path, cluster: WorkloadServer
    ) -> None:
        cluster.serves = {"openreports.io/v1alpha1"}
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        assert ran.err.startswith("reports and clusterreports of openreports.io: 3 created")
        report = cluster.reports("reports")["team-a", "gpuwarden"]
        assert (report["kind"], report["source"]) == ("Report", "gpuwarden")

    def test_without_an_api_for_reports_is_2_with_the_remedy(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        cluster.serves = set()
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        assert ran.code == 2
        assert "the cluster has no API for reports; install" in ran.err

    def test_where_something_could_not_be_read_writes_nothing(self, kubeconfig: Path, cluster: WorkloadServer) -> None:
        run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        cluster.requests.clear()
        cluster.refused["/api/v1/pods"] = 403
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        assert ran.code == 2
        assert "no report was written, because not everything could be read: pods: " in ran.err
        assert {seen.method for seen in cluster.requests} == {"GET"}

    def test_that_breaks_off_is_2(
        self, kubeconfig: Path, cluster: WorkloadServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_off(path: str, _: Json) -> Json:
            raise ConnectionResetError(path)

        monkeypatch.setattr(cluster, "store", break_off)
        ran = run("audit", "--kubeconfig", kubeconfig, "--write-reports")
        assert ran.code == 2
        assert "error: reports could not be written: POST /apis/wgpolicyk8s.io/v1alpha2/namespaces/team-a/" in ran.err


class TestCheck:
    """``check -o sarif`` and ``-o junit``: the same outputs."""

    def test_in_sarif_names_the_line(self, tmp_path: Path) -> None:
        (tmp_path / "m.yaml").write_text(deployment(gpu=2))
        ran = run("check", tmp_path / "m.yaml", "--policy", "shared", "-o", "sarif")
        (result,) = json.loads(ran.out)["runs"][0]["results"]
        assert ran.code == 1
        assert result["ruleId"] == "shared-request-above-one"
        assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 14, "startColumn": 13}

    def test_in_junit_has_a_case_an_object(self) -> None:
        ran = run("check", "-", "--policy", "shared", "-o", "junit", "--strict", stdin=deployment())
        root = ET.fromstring(ran.out)  # noqa: S314 - our own document
        assert (ran.code, root.get("tests"), root.get("failures")) == (1, "1", "1")

    def test_with_something_unreadable_says_so_in_both(self) -> None:
        sarif = json.loads(run("check", "-", "-o", "sarif", stdin="a: [").out)
        assert not sarif["runs"][0]["invocations"][0]["executionSuccessful"]
        root = ET.fromstring(run("check", "-", "-o", "junit", stdin="a: [").out)  # noqa: S314 - our own document
        assert root.get("errors") == "1"


def squeezed(ran: Ran) -> str:
    return re.sub(r"[\s│]+", " ", ran.out + ran.err)


def test_a_pod_that_is_spelled_as_the_policy_has_it_is_unchanged(kubeconfig: Path, cluster: WorkloadServer) -> None:
    made = thing("Pod", "right") | {"apiVersion": "v1", "spec": a_pod(gpu(1, SHARED))["spec"]}
    cluster.add(made)
    assert outcomes(audited("--kubeconfig", kubeconfig))["team-a/Pod/right"] == "unchanged"


class TestSince:
    def test_reports_what_changed(self, tmp_path: Path) -> None:
        manifest, before = tmp_path / "a.yaml", tmp_path / "before.json"
        manifest.write_text(deployment(), encoding="utf-8")
        before.write_text(run("audit", manifest, "-o", "json").out, encoding="utf-8")

        def changes(*assume: str) -> Any:
            report = json.loads(run("audit", manifest, *assume, "-o", "json", "--since", before).out)
            return [(line["change"], line["before"], line["after"]) for line in report["changes"]["workloads"]]

        assert changes() == []
        assert [line[0] for line in changes("--assume", "*=none")] == ["changed"]
        assert 'id="changes"' in run("audit", manifest, "-o", "html", "--since", before).out

    @pytest.mark.parametrize(
        ("text", "output", "words"),
        [
            (None, "json", "can't be read: No such file or directory"),
            ("{}", "json", "not the report of an audit (Object missing required field `kind`); name a file made by"),
            ("{}", "table", "--since can be used only with -o html or -o json"),
        ],
    )
    def test_an_unusable_file_or_output_is_a_usage_error(
        self, tmp_path: Path, text: str | None, output: str, words: str
    ) -> None:
        before = tmp_path / "before.json"
        if text is not None:
            before.write_text(text, encoding="utf-8")
        ran = run("audit", tmp_path, "-o", output, "--since", before)
        assert ran.code == 2
        assert words in ran.err


class TestTheNumberOfPods:
    def test_multiplies_the_gpus_of_files(self, tmp_path: Path) -> None:
        manifest = deployment().replace("spec:\n  template", "spec:\n  replicas: 4\n  template")
        (tmp_path / "a.yaml").write_text(manifest + "---\n" + RAY)
        found = json.loads(run("audit", tmp_path, "--assume", "*=shared", "-o", "json").out)
        (flow,) = found["totals"]["forms"]
        assert (flow["workloads"], flow["pods"], flow["gpus"]) == (2, 0, 10)
        assert found["notes"] == []

    def test_that_is_not_known_is_said(self, tmp_path: Path) -> None:
        scaler = (
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: s}\n"
            "spec: {minReplicaCount: 3, scaleTargetRef: {name: web}}\n"
        )
        (tmp_path / "a.yaml").write_text(deployment() + "---\n" + scaler)
        found = json.loads(run("audit", tmp_path, "--assume", "*=shared", "-o", "json").out)
        assert found["totals"]["forms"][0]["gpus"] == 3
        assert found["objects"][0]["uncounted"] == "ScaledObject s scales it, from 3"
        assert "Deployment web: ScaledObject s scales it, from 3" in found["notes"][0]
