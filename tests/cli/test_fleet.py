"""``gpuwarden fleet``: what it counts, why pods wait, its formats and exit codes, and the file that other commands read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.commands import deployment, run
from tests.cli.test_doctor import REGISTRATION, Cluster
from tests.cli.test_fleet_option import CLASSES, NODES, SLICES, a_class, a_node, a_slice, saved
from tests.cli.test_fleet_option import found as found_in
from webhook.application.configuration import Configuration
from webhook.application.in_tree_compiler import compiled
from webhook.application.in_tree_drift import KINDS
from webhook.application.in_tree_webhooks import beside
from webhook.cli.main import app  # noqa: F401 - what run() runs

GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"


UNDECIDED = (
    "it is not known whether the API server or the webhooks decide: the file has no webhooks and admission policies; save it "
    "with gpuwarden fleet -o json"
)


def a_pod(
    name: str, resource: str = GPU, count: int = 1, node: str = "", phase: str = "", **spec: Any
) -> dict[str, Any]:
    limits = {resource: str(count)}
    container = {"name": "c", "env": [{"name": "TOKEN", "value": "hush"}], "resources": {"limits": limits}}
    spec = {"containers": [container], **({"nodeName": node} if node else {}), **spec}
    metadata = {"name": name, "namespace": "team-a"}
    status = {"phase": phase or ("Running" if node else "Pending")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def a_namespace(policy: str = "exclusive") -> dict[str, Any]:
    metadata = {"name": "team-a", "labels": {"gpuwarden.io/enforce": policy, "owner": "alice"}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def shown(file: Path, *more: str) -> dict[str, Any]:
    ran = run("fleet", "-f", file, "-o", "json", *more)
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


def waiting(folder: Path, *items: Any, config: str = "") -> tuple[str, str, str]:
    """The form, rule and reason of the one kind of pod that waits."""
    options: list[str] = []
    if config:
        file = folder / "config.yaml"
        file.write_text(f"apiVersion: gpuwarden.io/v1\nkind: Configuration\n{config}\n")
        options = ["--config", str(file)]
    (line,) = shown(saved(folder, a_namespace(), *items), *options)["waiting"]
    return line["form"], line["rule"], line["reason"]


def test_pods_that_are_bound_and_have_not_ended_hold_gpus(tmp_path: Path) -> None:
    pods = [
        a_pod("runs", count=3, node="n"),
        a_pod("starts", count=1, node="n", phase="Pending"),
        a_pod("done", node="n", phase="Succeeded"),
        a_pod("broken", node="n", phase="Failed"),
        a_pod("no-gpu", "cpu", node="n"),
        a_pod("waits", count=2),
    ]
    (form,) = shown(saved(tmp_path, a_node(), a_namespace(), *pods))["forms"]
    assert {
        key: form[key] for key in ("form", "nodes", "offered", "inUse", "free", "blocked", "mostFree", "pending")
    } == {
        "form": "exclusive",
        "nodes": 1,
        "offered": 8,
        "inUse": 4,
        "free": 4,
        "blocked": 0,
        "mostFree": 4,
        "pending": 2,
    }


def test_a_pod_that_is_being_deleted_holds_its_gpus_and_waits_for_nothing(tmp_path: Path) -> None:
    bound, unbound = a_pod("bound", node="n"), a_pod("unbound")
    for one in (bound, unbound):
        one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = shown(saved(tmp_path, a_node(), bound, unbound))
    assert (found["forms"][0]["inUse"], found["waiting"]) == (1, [])


class TestWhyAPodWaits:
    def test_all_is_in_use(self, tmp_path: Path) -> None:
        items = [a_node(), a_pod("runs", count=7, node="n"), a_pod("waits", count=2)]
        assert waiting(tmp_path, *items) == ("exclusive", "", "in use: at most 1 free on one node that fits")

    def test_what_is_free_has_other_labels(self, tmp_path: Path) -> None:
        items = [
            a_node("full", labels={"nvidia.com/gpu.product": "Tesla-T4"}),
            a_node("empty", labels={"nvidia.com/gpu.product": "NVIDIA-L4"}),
            a_pod("runs", count=8, node="full"),
            a_pod("waits", nodeSelector={"nvidia.com/gpu.product": "Tesla-T4"}),
        ]
        assert waiting(tmp_path, *items)[2] == "in use: at most 0 free on one node that fits"

    def test_something_else(self, tmp_path: Path) -> None:
        assert "kubectl describe pod shows what else" in waiting(tmp_path, a_node(), a_pod("waits"))[2]

    def test_scheduling_gates(self, tmp_path: Path) -> None:
        gated = a_pod("waits", schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])
        assert waiting(tmp_path, a_node(), gated)[2] == "scheduling gates: not scheduled yet"

    def test_no_node_offers_it(self, tmp_path: Path) -> None:
        form, rule, reason = waiting(tmp_path, a_node(), a_pod("waits", SHARED))
        assert (form, rule) == ("shared", "form-not-offered")
        assert reason.startswith("no node offers shared (nvidia.com/gpu.shared); no node has nvidia.com/gpu.shared; ")

    def test_more_than_a_node_has(self, tmp_path: Path) -> None:
        assert waiting(tmp_path, a_node(), a_pod("waits", count=9))[1] == "count-above-any-node"

    def test_no_node_has_all(self, tmp_path: Path) -> None:
        pod = a_pod("waits")
        more = {"name": "d", "resources": {"limits": {SHARED: "1"}}}
        pod["spec"]["containers"].append(more)
        found = shown(saved(tmp_path, a_node(), a_node("other", SHARED, "4"), pod))["waiting"]
        assert {line["rule"] for line in found} == {"form-not-offered"}
        assert "; 1 pod waits, 1 for what no node offers" in run("fleet", "-f", tmp_path / "nodes.json").out
        assert all(
            line["reason"].startswith("no node offers exclusive and shared together (nvidia.com/gpu: 1; ")
            for line in found
        )

    def test_two_resources_of_one_container(self, tmp_path: Path) -> None:
        pod = a_pod("waits")
        pod["spec"]["containers"][0]["resources"]["limits"] |= {SHARED: "1"}
        node = a_node()
        for amounts in node["status"]["capacity"], node["status"]["allocatable"]:
            amounts[SHARED] = "4"
        found = shown(saved(tmp_path, node, pod))["waiting"]
        assert sorted(line["form"] for line in found) == ["exclusive", "shared"]

    def test_an_autoscaler_adds_it(self, tmp_path: Path) -> None:
        found = waiting(tmp_path, a_node(), a_pod("waits", SHARED), config="fleet: {expected: [shared]}")
        assert found == ("shared", "", "an autoscaler can add such a node (fleet.expected)")

    def test_a_device_class_offers_it(self, tmp_path: Path) -> None:
        bare = a_node(resource="cpu", labels={"nvidia.com/gpu.present": "true"})
        assert "a DeviceClass offers it" in waiting(tmp_path, bare, a_pod("waits"), a_class(), a_slice())[2]


def devices(*names: str, node: str = "n", generation: int = 1, **fields: Any) -> dict[str, Any]:
    """A ResourceSlice with GPUs."""
    found = [{"name": name, "attributes": {"type": {"string": "gpu"}}, **fields} for name in names]
    pool = {"name": node, "generation": generation}
    return {
        "kind": "ResourceSlice",
        "spec": {"driver": "gpu.nvidia.com", "pool": pool, "nodeName": node, "devices": found},
    }


def a_claim(*held: str, node: str = "n", **fields: Any) -> dict[str, Any]:
    results = [{"driver": "gpu.nvidia.com", "pool": node, "device": name, "request": "r", **fields} for name in held]
    return {"kind": "ResourceClaim", "status": {"allocation": {"devices": {"results": results}}}}


WHOLE_CLASS = a_class("device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'gpu'")
DRA_NODE = a_node(resource="cpu", labels={"nvidia.com/gpu.present": "true"})


class TestDevices:
    def counted(self, folder: Path, *items: Any) -> tuple[int, int, int, int, int]:
        (form,) = shown(saved(folder, a_pod("p", "cpu"), *items))["forms"]
        assert (form["form"], form["resource"]) == ("exclusive", GPU)
        return form["nodes"], form["offered"], form["inUse"], form["free"], form["blocked"]

    def test_those_that_claims_hold_are_in_use(self, tmp_path: Path) -> None:
        more = devices("a", node="m")
        items = [DRA_NODE, WHOLE_CLASS, devices("a", "b", "c"), more, a_claim("a", "b"), a_claim("c", adminAccess=True)]
        assert self.counted(tmp_path, *items) == (2, 4, 2, 2, 0)

    def test_what_a_node_plugin_offers_is_added(self, tmp_path: Path) -> None:
        items = [a_node("plugin"), a_pod("runs", node="plugin"), DRA_NODE, WHOLE_CLASS, devices("a"), a_claim("a")]
        assert self.counted(tmp_path, *items) == (2, 9, 2, 7, 0)

    def test_a_pod_that_got_its_device_by_name_is_no_loss(self, tmp_path: Path) -> None:
        found = shown(saved(tmp_path, DRA_NODE, WHOLE_CLASS, devices("a"), a_claim("a"), a_pod("runs", node="n")))
        assert found["notes"] == [UNDECIDED, "nvidia.com/gpu: 1 of them are devices of DeviceClass whole (DRA)"]

    def test_nodes_that_take_no_pods_block_theirs(self, tmp_path: Path) -> None:
        node = a_node("n", "cpu", unschedulable=True)
        assert self.counted(tmp_path, node, WHOLE_CLASS, devices("a", "b"), a_claim("a")) == (1, 2, 1, 0, 1)

    def test_only_the_newest_generation_of_a_pool_counts(self, tmp_path: Path) -> None:
        slices = [devices("a", "b"), devices("a", generation=2)]
        assert self.counted(tmp_path, DRA_NODE, WHOLE_CLASS, *slices) == (1, 1, 0, 1, 0)

    def test_parts_of_one_gpu_are_free_together_only_as_far_as_it_goes(self, tmp_path: Path) -> None:
        part = [{"counterSet": "gpu-0", "counters": {"memory": {"value": "20Gi"}}}]
        whole = devices("a", "b", "c", consumesCounters=part)
        whole["spec"]["sharedCounters"] = [{"name": "gpu-0", "counters": {"memory": {"value": "40Gi"}}}]
        items = [DRA_NODE, WHOLE_CLASS, whole]
        assert self.counted(tmp_path, *items, a_claim("a")) == (1, 3, 1, 2, 0)
        assert self.counted(tmp_path, *items, a_claim("a", "b")) == (1, 3, 2, 0, 1)
        *_, note = shown(saved(tmp_path, *items))["notes"]
        assert note.endswith("They overlap, so not all of them can be allocated at once")

    def test_the_newest_of_two_classes_with_one_name_is_used(self, tmp_path: Path) -> None:
        older, newer = a_class("device.driver == 'gpu.nvidia.com'"), a_class("device.driver == 'other'")
        older["metadata"]["creationTimestamp"], newer["metadata"]["creationTimestamp"] = "2026-01-01", "2026-02-01"
        for classes in ([older, newer], [newer, older]):
            assert shown(saved(tmp_path, DRA_NODE, *classes, devices("a")))["forms"] == []

    def test_selectors_that_can_not_be_read_are_said(self, tmp_path: Path) -> None:
        found = shown(saved(tmp_path, DRA_NODE, a_class("device.driver.startsWith('gpu.nvidia.com')"), devices("a")))
        assert found["forms"] == []
        assert found["notes"][-1] == (
            "nvidia.com/gpu: the selectors of DeviceClass whole can't be read here, so its devices are not counted"
        )

    def test_a_pod_waits_while_all_are_in_use(self, tmp_path: Path) -> None:
        items = [DRA_NODE, WHOLE_CLASS, devices("a", "b"), a_pod("waits", count=2)]
        assert "2 free on a node that fits" in waiting(tmp_path, *items)[2]
        assert waiting(tmp_path, *items, a_claim("a"))[2] == "in use: at most 1 free on one node that fits"

    def test_what_is_printed_can_be_read_again(self, tmp_path: Path) -> None:
        first = saved(tmp_path, DRA_NODE, WHOLE_CLASS, devices("a", "b"), a_claim("a"), a_pod("waits"))
        again = tmp_path / "again.json"
        again.write_text(run("fleet", "-f", first, "-o", "json").out)
        assert shown(again) == shown(first)

    def test_a_cluster_of_devices_only_has_gpus(self, tmp_path: Path) -> None:
        out = run("fleet", "-f", saved(tmp_path, a_node("n", "cpu"), WHOLE_CLASS, devices("a"))).out
        assert "no node has GPUs" not in out


def test_the_json_is_what_f_and_fleet_read_and_holds_no_secret(tmp_path: Path) -> None:
    first = saved(
        tmp_path, a_node(), a_node("cpu", "cpu"), a_namespace(), a_pod("runs", node="n"), a_pod("waits", SHARED)
    )
    again = tmp_path / "nodes.json"
    again.write_text(run("fleet", "-f", first, "-o", "json").out)

    assert shown(again) == shown(first)
    assert "hush" not in again.read_text()
    assert "alice" not in again.read_text()
    for command in (["check", "-", "--policy", "mps", "-o", "json"], ["audit", "-", "--assume", "*=mps", "-o", "csv"]):
        one, other = (
            run(*command, "--fleet", file, stdin=deployment(namespace="team-a")).out for file in (first, again)
        )
        assert one == other
        assert "form-not-offered" in one


def test_the_version_of_a_kubelet_which_says_what_the_api_server_adds_is_kept(tmp_path: Path) -> None:
    node = a_node(taints=[{"key": GPU, "effect": "NoSchedule"}])
    assert found_in("check", "exclusive", saved(tmp_path, node)) != []
    node["status"]["nodeInfo"] = {"kubeletVersion": "v1.34.1-eks-113cf36"}
    report = tmp_path / "report.json"
    report.write_text(run("fleet", "-f", saved(tmp_path, node), "-o", "json").out)
    assert found_in("check", "exclusive", report) == []


def test_the_age_is_that_of_the_report_wherever_it_was_copied(tmp_path: Path) -> None:
    report = json.loads(run("fleet", "-f", saved(tmp_path, a_node()), "-o", "json").out)
    report["generatedAt"] = "2026-01-01T00:00:00Z"
    copied = tmp_path / "copied.json"
    copied.write_text(json.dumps(report))
    begun = datetime.now(UTC)
    ran = run("check", "-", "--policy", "mps", "--fleet", copied, "-o", "json", stdin=deployment())
    days = {(at - datetime(2026, 1, 1, tzinfo=UTC)).days for at in (begun, datetime.now(UTC))}  # two, at midnight
    assert any(f"(nodes as of {number} d ago)" in ran.out for number in days)


def test_without_pods_what_is_in_use_is_not_known(tmp_path: Path) -> None:
    found = shown(saved(tmp_path, a_node()))
    assert (found["podsKnown"], found["forms"][0]["inUse"], found["forms"][0]["pending"]) == (False, None, None)
    assert "the file has no pods" in found["notes"][0]
    assert "?" in run("fleet", "-f", saved(tmp_path, a_node())).out


def test_without_namespaces_the_policy_is_not_known(tmp_path: Path) -> None:
    assert shown(saved(tmp_path, a_node(), a_pod("waits")))["waiting"][0]["policy"] == ""


def test_what_pods_hold_of_a_resource_that_their_node_lost_is_noted(tmp_path: Path) -> None:
    items = [a_node("a", SHARED), a_node("b", SHARED), a_pod("x", node="a"), a_pod("y", count=2, node="b")]
    assert shown(saved(tmp_path, *items))["notes"] == [
        UNDECIDED,
        "nvidia.com/gpu: pods hold 3 on nodes that no longer have it (a and 1 more)",
    ]


@pytest.mark.parametrize(("resource", "code"), [(SHARED, 1), (GPU, 0)])
def test_strict_fails_where_a_pod_waits_in_vain(tmp_path: Path, resource: str, code: int) -> None:
    file = saved(tmp_path, a_node(), a_pod("waits", resource))
    assert run("fleet", "-f", file).code == 0
    assert run("fleet", "-f", file, "--strict").code == code


def test_the_table_tells_states_apart(tmp_path: Path) -> None:
    taint = {"key": "team", "value": "a", "effect": "NoSchedule"}
    failed = {"nvidia.com/mig.config.state": "failed"}
    nodes = [a_node("a"), a_node("b"), a_node("c", unschedulable=True), a_node("d", ready="False")]
    nodes += [a_node("e", taints=[taint]), a_node("f", labels=failed), a_pod("waits", SHARED, count=2), a_namespace()]
    out = run("fleet", "-f", saved(tmp_path, *nodes)).out
    states = ("ready", "cordoned", "not ready", "tainted", "team=a:NoSchedule", "MIG failed")
    for words in (*states, "2 shared", "form-not-offered: "):
        assert words in out, words
    assert out.endswith("6 nodes with GPUs in 5 shapes; 1 pod waits, 1 for what no node offers\n")


def test_one_shape_is_one(tmp_path: Path) -> None:
    out = run("fleet", "-f", saved(tmp_path, a_node(), a_pod("p", "cpu"))).out
    assert "1 node with GPUs in 1 shape; " in out


def test_a_fleet_without_gpus_says_so(tmp_path: Path) -> None:
    assert "no node has GPUs" in run("fleet", "-f", saved(tmp_path, a_node("cpu", "cpu"), a_pod("p", "cpu"))).out


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is not what kubectl get nodes -o json prints"), ('{"kind": "List", "items": []}', "holds no Node")],
)
def test_a_file_that_is_something_else_is_wrong_usage(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    ran = run("fleet", "-f", file)
    assert ran.code == 2
    assert f"error: --file {file}: {says}" in ran.err


def test_a_file_that_is_not_there_and_a_cluster_beside_a_file_are_wrong_usage(tmp_path: Path) -> None:
    assert run("fleet", "-f", tmp_path / "missing.json").code == 2
    ran = run("fleet", "-f", saved(tmp_path, a_node()), "--context", "c")
    assert (ran.code, "--context: no cluster is read with --file" in ran.err) == (2, True)


PODS, NAMESPACES = "/api/v1/pods", "/api/v1/namespaces"
WEBHOOKS: dict[str, list[dict[str, Any]]] = {
    "mutatingwebhookconfigurations": [{"name": "mutate.gpuwarden.io", "clientConfig": {"caBundle": "hush"}}],
    "validatingwebhookconfigurations": [{"name": "validate.gpuwarden.io"}, {"name": "other.example.com"}],
}


def with_policies(cluster: Cluster, *, webhooks: bool) -> None:
    """Admission policies beside webhooks that leave the common case to them, or without any."""
    made = compiled(Configuration(), deny_others=not webhooks)
    for kind, plural in KINDS.items():
        cluster.lists(f"{REGISTRATION}/{plural}", *(each for each in made.objects if each["kind"] == kind))
    for plural, found in WEBHOOKS.items():
        configuration = {"metadata": {"name": "gpuwarden"}, "webhooks": found}
        cluster.lists(f"{REGISTRATION}/{plural}", *([beside(configuration, made)] if webhooks else []))


class TestOfACluster:
    @pytest.fixture
    def cluster(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
        with Cluster() as there:
            kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", there.url, token="t")  # noqa: S106 - a test's own
            monkeypatch.setenv("GPUWARDEN_KUBECONFIG", str(kubeconfig))
            there.lists(NODES, a_node())
            there.lists(PODS, a_pod("runs", count=5, node="n"), a_pod("waits", SHARED))
            there.set_namespace("team-a", enforce="shared")
            there.set_namespace("without-gpus", enforce="shared")
            for plural, webhooks in WEBHOOKS.items():
                there.lists(f"{REGISTRATION}/{plural}", {"metadata": {"name": "gpuwarden"}, "webhooks": webhooks})
            yield there

    def test_claims_that_can_not_be_listed_are_noted(self, cluster: Cluster) -> None:
        cluster.lists(CLASSES, WHOLE_CLASS)
        cluster.lists(SLICES, devices("a"))
        cluster.forbidden.add("/apis/resource.k8s.io/v1/resourceclaims")
        notes = json.loads(run("fleet", "-o", "json").out)["notes"]
        assert any(
            one.startswith("the devices in use are not known: ResourceClaims can't be listed: ") for one in notes
        )

    def test_everything_is_listed_and_can_be_saved(self, cluster: Cluster, tmp_path: Path) -> None:
        cluster.lists(CLASSES, a_class())
        cluster.lists(SLICES, a_slice(), a_slice())
        cluster.lists("/apis/resource.k8s.io/v1/resourceclaims", a_claim("a"), {"metadata": {"name": "unallocated"}})
        ran = run("fleet", "-o", "json")
        found = json.loads(ran.out)
        assert (ran.code, found["forms"][0]["inUse"], found["waiting"][0]["policy"]) == (0, 5, "shared")
        kinds = [one["kind"] for one in found["items"]]
        assert kinds == [
            "Node",
            "Pod",
            "Pod",
            "Namespace",
            "DeviceClass",
            "ResourceSlice",
            "ResourceSlice",
            "ResourceClaim",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ]
        assert found["notes"] == ["nvidia.com/gpu: 0 of them are devices of DeviceClass whole (DRA)"]
        file = tmp_path / "nodes.json"
        file.write_text(ran.out)
        assert shown(file) == found

    @pytest.mark.parametrize(
        ("path", "note"),
        [
            (PODS, "GPUs in use and waiting pods are not known: pods can't be listed: "),
            (NAMESPACES, "the policies of namespaces are not known: namespaces can't be listed: "),
        ],
    )
    def test_what_may_not_be_listed_is_noted(self, cluster: Cluster, path: str, note: str) -> None:
        cluster.forbidden.add(path)
        ran = run("fleet", "-o", "json")
        assert ran.code == 0
        (said,) = json.loads(ran.out)["notes"]
        assert said.startswith(note)

    def test_who_decides_is_said_of_each_policy(self, cluster: Cluster, tmp_path: Path) -> None:
        def said() -> list[tuple[str, str, str, str]]:
            ran = run("fleet", "-o", "json")
            assert (ran.code, json.loads(ran.out)["notes"], "hush" in ran.out) == (0, [], False)
            file = tmp_path / "nodes.json"
            file.write_text(ran.out)
            assert shown(file) == json.loads(ran.out)
            lines = json.loads(ran.out)["deciders"]
            return [(one["policy"], "".join(one["namespaces"]), one["commonCase"], one["otherPods"]) for one in lines]

        assert said() == [("any", "", "webhooks", "webhooks"), ("shared", "team-a", "webhooks", "webhooks")]
        with_policies(cluster, webhooks=True)
        assert said()[0] == ("any", "", "unchanged", "webhooks")
        assert ("mps", "", "api-server", "webhooks") in said()
        assert ("shared", "team-a", "api-server", "webhooks") in said()
        with_policies(cluster, webhooks=False)
        assert ("shared", "team-a", "api-server", "api-server") in said()

        out = [" ".join(line.split()) for line in run("fleet").out.splitlines()]
        assert "policy namespaces with GPU pods common case other pods" in out
        assert "shared team-a API server API server (denied)" in out
        assert "any - nothing to decide nobody (created as is)" in out
        page = run("fleet", "-o", "html").out
        assert "<td><bdi>team-a</bdi></td><td>API server</td><td>API server (denied)</td>" in page

    def test_a_file_with_a_binding_that_was_edited_is_wrong_usage(self, cluster: Cluster, tmp_path: Path) -> None:
        with_policies(cluster, webhooks=True)
        report = json.loads(run("fleet", "-o", "json").out)
        binding = next(one for one in report["items"] if one["kind"] == "MutatingAdmissionPolicyBinding")
        binding["spec"]["matchResources"] = {"namespaceSelector": "all"}
        file = tmp_path / "nodes.json"
        file.write_text(json.dumps(report))
        ran = run("fleet", "-f", file)
        assert (
            ran.code,
            f"error: --file {file}: is not what gpuwarden fleet -o json prints: a binding: " in ran.err,
        ) == (
            2,
            True,
        )

    @pytest.mark.parametrize("plural", [*KINDS.values(), *WEBHOOKS])
    def test_without_the_right_to_read_them_nobody_is_said_to_decide(self, cluster: Cluster, plural: str) -> None:
        cluster.forbidden.add(f"{REGISTRATION}/{plural}")
        found = json.loads(run("fleet", "-o", "json").out)
        (note,) = found["notes"]
        assert found["deciders"] is None
        assert note.startswith(
            "it is not known whether the API server or the webhooks decide: admission policies and webhooks can't be listed: "
        )
        assert plural in note
        assert "common case" not in run("fleet").out
        assert "Who decides" not in run("fleet", "-o", "html").out

    def test_device_classes_that_may_not_be_listed_are_said(self, cluster: Cluster) -> None:
        cluster.forbidden.add(CLASSES)
        ran = run("fleet")
        assert (ran.code, "note: DeviceClasses are not taken into account: " in ran.err) == (0, True)

    def test_nodes_that_cannot_be_listed_are_an_error_with_the_fix(self, cluster: Cluster) -> None:
        cluster.forbidden.add(NODES)
        ran = run("fleet")
        assert (ran.code, ran.out) == (2, "")
        assert "error: cluster: the nodes can't be listed: " in ran.err
        assert "use a user who may list nodes, or a file saved by gpuwarden fleet -o json" in ran.err

    @pytest.mark.usefixtures("cluster")
    def test_an_audit_reads_pods_for_its_page(self) -> None:
        ran = run("audit", "-", "--fleet", "live", "-o", "json", stdin=deployment())
        assert json.loads(ran.out)["fleet"]["forms"][0]["inUse"] == 5
        assert "5 of 8 in use, 3 free" in run("audit", "-", "--fleet", "live", "-o", "html", stdin=deployment()).out


def test_an_audit_without_nodes_shows_none() -> None:
    assert json.loads(run("audit", "-", "-o", "json", stdin=deployment()).out)["fleet"] is None
    assert "with GPUs, by form" not in run("audit", "-", "-o", "html", stdin=deployment()).out
