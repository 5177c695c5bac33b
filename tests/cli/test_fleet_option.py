"""``--fleet`` of ``check`` and ``audit``: nodes from a file or from the cluster, and what they add to the report."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.commands import deployment, run
from tests.cli.test_doctor import Cluster

NODES = "/api/v1/nodes"
CLASSES, SLICES = (f"/apis/resource.k8s.io/v1/{plural}" for plural in ("deviceclasses", "resourceslices"))
MPS = {"nvidia.com/gpu.sharing-strategy": "mps"}


def a_node(name: str = "n", resource: str = "nvidia.com/gpu", count: str = "8", **fields: Any) -> dict[str, Any]:
    status = {"capacity": {"cpu": "8", resource: count}, "allocatable": {"cpu": "8", resource: count}}
    ready = fields.pop("ready", "True")
    status["conditions"] = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}]  # type: ignore[assignment]
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **fields.pop("labels", {})}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": fields, "status": status}


def a_class(expression: str | None = "device.driver == 'gpu.nvidia.com'") -> dict[str, Any]:
    selectors = [{"cel": {"expression": expression}}] if expression else []
    metadata = {"name": "whole"}
    return {
        "kind": "DeviceClass",
        "metadata": metadata,
        "spec": {"extendedResourceName": "nvidia.com/gpu", "selectors": selectors},
    }


def a_slice(driver: str = "gpu.nvidia.com") -> dict[str, Any]:
    return {"kind": "ResourceSlice", "spec": {"driver": driver}}


def saved(folder: Path, *items: Any, kind: str = "List") -> Path:
    file = folder / "nodes.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": kind, "items": items}))
    return file


def found(command: str, policy: str, fleet: Path | str, *more: str) -> list[dict[str, Any]]:
    """What is found in one plain Deployment."""
    given = ["-", "--policy", policy] if command == "check" else ["-", "--assume", f"*={policy}"]
    ran = run(command, *given, "--fleet", fleet, "-o", "json", *more, stdin=deployment(namespace="team-a"))
    (line,) = json.loads(ran.out)["objects"]
    findings: list[dict[str, Any]] = line["findings"]
    return findings


@pytest.mark.parametrize("command", ["check", "audit"])
def test_a_form_that_no_node_of_the_file_offers_is_warned_of_at_its_field(command: str, tmp_path: Path) -> None:
    nodes = saved(tmp_path, a_node(), a_node("cpu", "cpu"))

    assert found(command, "exclusive", nodes) == []
    (finding,) = found(command, "mps", nodes)
    assert (finding["rule"], finding["severity"]) == ("form-not-offered", "warn")
    assert finding["path"] == "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"
    assert "no node has nvidia.com/gpu.shared; " in finding["message"]


@pytest.mark.parametrize(("kind", "number"), [("Deployment", 1), ("DaemonSet", 0)])
@pytest.mark.parametrize("command", ["check", "audit"])
def test_the_pods_of_a_daemon_set_run_on_cordoned_nodes(command: str, kind: str, number: int, tmp_path: Path) -> None:
    nodes = saved(tmp_path, a_node(unschedulable=True))
    assumed = ["--policy", "exclusive"] if command == "check" else ["--assume", "*=exclusive"]
    text = deployment().replace("kind: Deployment", f"kind: {kind}")
    (line,) = json.loads(run(command, "-", *assumed, "--fleet", nodes, "-o", "json", stdin=text).out)["objects"]
    assert len(line["findings"]) == number


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (a_node(unschedulable=True), "1 is cordoned"),
        (a_node(ready="Unknown"), "1 is not ready"),
        (
            a_node(taints=[{"key": "team", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}]),
            "taint team:NoSchedule",
        ),
    ],
)
def test_the_state_of_nodes_is_read(tmp_path: Path, node: Any, says: str) -> None:
    (finding,) = found("check", "exclusive", saved(tmp_path, node))
    assert says in finding["message"]


def test_a_list_of_the_api_server_and_a_single_node_are_nodes_too(tmp_path: Path) -> None:
    bare = {key: value for key, value in a_node().items() if key not in ("kind", "apiVersion")}
    assert found("check", "exclusive", saved(tmp_path, bare, kind="NodeList")) == []
    one = tmp_path / "one.json"
    one.write_text(json.dumps(a_node()))
    assert found("check", "exclusive", one) == []


@pytest.mark.parametrize(
    ("objects", "offered"),
    [
        ([a_class(), a_slice()], True),
        ([a_class(None), a_slice("other.example.com")], True),
        ([a_class(), a_slice("other.example.com")], False),
        ([a_class()], False),
        ([a_slice()], False),
    ],
)
def test_a_device_class_offers_its_resource_where_its_driver_has_devices(
    tmp_path: Path, objects: list[Any], *, offered: bool
) -> None:
    assert (found("check", "exclusive", saved(tmp_path, a_node(resource="cpu"), *objects)) == []) is offered


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: List", "is not what kubectl get nodes -o json prints: JSON is malformed"),
        ('{"kind": "Node", "metadata": {"labels": {"a": 1}}}', "Expected `str`, got `int`"),
        ('{"kind": "List", "items": [{"kind": "Pod"}]}', "holds no Node; use the output of kubectl get nodes -o json"),
    ],
)
def test_a_file_that_is_not_nodes_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "nodes.json"
    file.write_text(text)
    ran = run("check", "-", "--fleet", file, stdin=deployment())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: --fleet {file}: ")
    assert says in ran.err
    ran = run("check", "-", "--fleet", tmp_path / "none.json", stdin=deployment())
    assert (ran.code, "there is no such file or folder" in ran.err) == (2, True)


def test_a_configuration_says_what_a_finding_does_and_which_forms_are_expected(tmp_path: Path) -> None:
    config, nodes = tmp_path / "config.txt", saved(tmp_path, a_node())
    head = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"

    def with_config(text: str) -> tuple[int, list[dict[str, Any]]]:
        config.write_text(head + text)
        ran = run(
            "check", "-", "--policy", "mps", "--config", config, "--fleet", nodes, "-o", "json", stdin=deployment()
        )
        return ran.code, json.loads(ran.out)["objects"][0]["findings"]

    code, (finding,) = with_config("notOffered: deny\n")
    assert (code, finding["severity"]) == (1, "deny")
    assert with_config("notOffered: ignore\n") == (0, [])
    assert with_config("notOffered: deny\nfleet: {expected: [mps]}\n") == (0, [])
    two_days_ago = nodes.stat().st_mtime - 2 * 86400 - 60
    os.utime(nodes, (two_days_ago, two_days_ago))
    code, (finding,) = with_config("notOffered: deny\n")
    assert (code, finding["severity"]) == (0, "warn")
    assert finding["message"].endswith("(nodes as of 2 d ago)")
    config.write_text(f"{head}fleet: {{expected: [any, mig-1g5gb, mps, mps]}}\n")
    ran = run("check", "-", "--config", config, stdin=deployment())
    assert ran.code == 2
    assert 'fleet.expected[0]: "any" is not a form' in ran.err
    assert 'fleet.expected[1]: "mig-1g5gb" is not a policy; did you mean "mig-1g.5gb"?' in ran.err
    assert 'fleet.expected: "mps" is listed more than once' in ran.err


def test_the_labels_that_policies_select_by_are_compared(tmp_path: Path) -> None:
    config = tmp_path / "config.txt"
    config.write_text(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
        "policies: {pool: {forms: [exclusive], nodeSelector: {pool: a}}}\n"
    )
    for pool, findings in (("a", 0), ("b", 1)):
        nodes = saved(tmp_path, a_node(labels={"pool": pool}))
        assert len(found("check", "pool", nodes, "--config", str(config))) == findings


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """An API server that the commands find, with one node."""
    with Cluster() as there:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", there.url, token="t")  # noqa: S106 - a test's own
        monkeypatch.setenv("GPUWARDEN_KUBECONFIG", str(kubeconfig))
        there.lists(NODES, a_node(resource="nvidia.com/gpu.shared", labels=MPS))
        yield there


@pytest.mark.parametrize("command", ["check", "audit"])
@pytest.mark.usefixtures("cluster")
def test_the_nodes_of_the_cluster_are_listed(command: str) -> None:
    # Before 1.34 there are no DeviceClasses at that path: the stand-in answers 404.
    assert found(command, "mps", "live") == []
    assert [one["rule"] for one in found(command, "time-slicing", "live")] == ["form-not-offered"]


@pytest.mark.usefixtures("cluster")
def test_files_are_audited_with_the_nodes_of_the_cluster_that_an_option_names(tmp_path: Path) -> None:
    assert found("audit", "mps", "live", "--kubeconfig", str(tmp_path / "kubeconfig")) == []
    ran = run("audit", "-", "--kubeconfig", tmp_path / "kubeconfig", stdin=deployment())
    assert (ran.code, "can't be combined with files" in ran.err) == (2, True)
    ran = run("check", "-", "--kubeconfig", tmp_path / "kubeconfig", stdin=deployment())
    assert (ran.code, "--kubeconfig can be used only with --fleet live" in ran.err) == (2, True)


def test_the_device_classes_of_the_cluster_count(cluster: Cluster) -> None:
    cluster.lists(CLASSES, {"spec": {}}, a_class())
    cluster.lists(SLICES, a_slice())
    assert found("check", "exclusive", "live") == []
    cluster.lists(SLICES)
    assert [one["rule"] for one in found("check", "exclusive", "live")] == ["form-not-offered"]


def test_without_device_classes_nothing_is_denied_and_that_is_said(cluster: Cluster, tmp_path: Path) -> None:
    cluster.forbidden.add(CLASSES)
    config = tmp_path / "config.txt"
    config.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\nnotOffered: deny\n")
    ran = run("check", "-", "--policy", "exclusive", "--config", config, "--fleet", "live", stdin=deployment())
    assert ran.code == 0
    assert "note: DeviceClasses are not taken into account: " in ran.err
    assert "form-not-offered" in ran.out


def test_nodes_that_cannot_be_listed_are_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.forbidden.add(NODES)
    ran = run("check", "-", "--fleet", "live", stdin=deployment())
    assert (ran.code, ran.out) == (2, "")
    assert "error: --fleet live: the nodes can't be listed: " in ran.err
    monkeypatch.setenv("GPUWARDEN_KUBECONFIG", "/nowhere")
    ran = run("check", "-", "--fleet", "live", stdin=deployment())
    assert (ran.code, "error: --fleet live: " in ran.err) == (2, True)


def test_a_policys_own_answer_and_the_exit_code_of_audit(tmp_path: Path) -> None:
    config, nodes = tmp_path / "config.txt", saved(tmp_path, a_node())
    head = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
    config.write_text(head + "policies: {slots: {forms: [mps], notOffered: deny}}\n")
    given = ("--config", config, "--fleet", nodes)

    assert run("check", "-", "--policy", "slots", *given, stdin=deployment()).code == 1
    assert run("check", "-", "--policy", "mps", *given, stdin=deployment()).code == 0
    assert run("audit", "-", "--assume", "*=slots", *given, stdin=deployment()).code == 1
    config.write_text(head + "policies: {slots: {forms: [mps], notOffered: refuse}}\n")
    ran = run("check", "-", "--policy", "slots", *given, stdin=deployment())
    assert (ran.code, 'policies.slots.notOffered: "refuse"' in ran.err) == (2, True), ran.err
    assert run("audit", "-", "--fleet", tmp_path / "none.json", stdin=deployment()).code == 2


def test_templates_of_operators_kinds_are_held_against_the_nodes_too(tmp_path: Path) -> None:
    template = {"spec": {"containers": [{"name": "w", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 16}}}]}}
    group = {"groupName": "gpus", "replicas": 2, "template": template}
    ray = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "r", "namespace": "team-a"},
        "spec": {"workerGroupSpecs": [group]},
    }
    ran = run(
        "check", "-", "--policy", "exclusive", "--fleet", saved(tmp_path, a_node()), "-o", "json", stdin=json.dumps(ray)
    )
    (finding,) = json.loads(ran.out)["objects"][0]["findings"]
    assert finding["rule"] == "count-above-any-node"
    assert finding["path"].startswith("spec.workerGroupSpecs[0].template.spec.containers[0]")
