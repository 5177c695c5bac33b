"""``gpuwarden doctor`` against a stand-in API server: what it asks, what it prints, how it ends."""

import base64
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from testing.control_plane.processes import free_port
from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import Handler, Seen
from testing.stand_in.kubeconfig import write_kubeconfig
from webhook.application.certificates.issue import self_signed_pair
from webhook.application.certificates.tokens import PATHS
from webhook.application.diagnosis.diagnose import CHECKS
from webhook.application.in_tree_drift import KINDS
from webhook.cli.main import app

Json = dict[str, Any]

TOKEN = "0123456789abcdef" * 2
MANIFEST = Path(__file__).parents[2] / "deploy" / "gpuwarden.yaml"
NAMESPACE = "gpuwarden-system"
HOST = "gpuwarden.gpuwarden-system.svc"
WITHIN = f"namespaces/{NAMESPACE}"
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
SERVICE = f"/api/v1/{WITHIN}/services/gpuwarden"
DEPLOYMENT = f"/apis/apps/v1/{WITHIN}/deployments/gpuwarden"
CONFIG = f"/api/v1/{WITHIN}/configmaps/gpuwarden"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
NAME_LABEL = "kubernetes.io/metadata.name"


class Cluster(StandIn):
    """A cluster with gpuwarden in it; ``forbidden`` and ``missing`` are paths, ``allows`` answers reviews of access."""

    def __init__(self) -> None:
        super().__init__()
        self._server.RequestHandlerClass = ClusterHandler
        self.forbidden: set[str] = set()
        self.allows = True
        self.refusals: dict[str, str] = {}
        self.store("/version", {"gitVersion": "v1.30.1-eks-abc"})

    def lists(self, path: str, *items: Json) -> None:
        """Have a list."""
        self.store(path, {"metadata": {}, "items": list(items)})


class ClusterHandler(Handler):
    """One connection."""

    def _get(self, path: str, seen: Seen) -> None:
        self._or_forbidden(path, lambda: super(ClusterHandler, self)._get(path, seen))

    def _list(self, path: str, seen: Seen) -> None:
        self._or_forbidden(path, lambda: super(ClusterHandler, self)._list(path, seen))

    def _object(self, path: str, seen: Seen) -> None:
        def answer() -> None:
            cluster = self.server.stand_in
            assert isinstance(cluster, Cluster)
            if path == REVIEWS:
                return self.say(201, {"status": {"allowed": cluster.allows}})
            if seen.method == "POST":
                pod = json.loads(seen.body)
                name = pod["metadata"]["name"]
                refusal = cluster.refusals.get(name)
                pod["metadata"]["annotations"] = {"gpuwarden.io/policy": "mps"}
                return self.say(*((403, status(403, refusal)) if refusal else (201, pod)))
            return super(ClusterHandler, self)._object(path, seen)

        self._or_forbidden(path, answer)

    def _or_forbidden(self, path: str, answer: Any) -> None:
        cluster = self.server.stand_in
        assert isinstance(cluster, Cluster)
        if path in cluster.forbidden:
            self.say(403, status(403, f"{path} is forbidden"))
        else:
            answer()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A healthy installation, with one endpoint that is really there, on loopback."""
    pairs = self_signed_pair([HOST], [], datetime.now(UTC), timedelta(days=7))
    (tmp_path / "tls.crt").write_bytes(pairs.leaf.certificate_pem)
    (tmp_path / "tls.key").write_bytes(pairs.leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with StandIn(context) as replica, Cluster() as there:
        for path in PATHS.values():
            replica.store(f"{path}/{TOKEN}", {"metadata": {}})  # what it admits
        install(there, pairs.ca.certificate_pem, replica.port)
        yield there


def install(cluster: Cluster, bundle: bytes, port: int) -> None:
    objects = list(yaml.safe_load_all(MANIFEST.read_text()))
    by_kind = {document["kind"]: document for document in objects}
    for kind, plural in (("Mutating", "mutating"), ("Validating", "validating")):
        document = by_kind[f"{kind}WebhookConfiguration"]
        for webhook in document["webhooks"]:
            webhook["clientConfig"]["caBundle"] = base64.b64encode(bundle).decode()
            webhook["clientConfig"]["service"]["path"] = f"{PATHS[webhook['name']]}/{TOKEN}"
        cluster.store(f"{REGISTRATION}/{plural}webhookconfigurations/{document['metadata']['name']}", document)
    cluster.lists(f"{REGISTRATION}/mutatingwebhookconfigurations", by_kind["MutatingWebhookConfiguration"])
    cluster.store(SERVICE, by_kind["Service"])
    endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]
    slice_ = {"metadata": {"name": "x"}, "endpoints": endpoints, "ports": [{"name": "https", "port": port}]}
    cluster.lists(f"/apis/discovery.k8s.io/v1/{WITHIN}/endpointslices", slice_)
    cluster.store(DEPLOYMENT, {**by_kind["Deployment"], "status": {"availableReplicas": 2}})
    cluster.store(CONFIG, by_kind["ConfigMap"])
    cluster.lists(f"/apis/policy/v1/{WITHIN}/poddisruptionbudgets", by_kind["PodDisruptionBudget"])
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods = [
        {"metadata": {"name": f"p-{node}", "labels": labels}, "spec": {"nodeName": node}, "status": ready}
        for node in ("n1", "n2")
    ]
    cluster.lists(f"/api/v1/{WITHIN}/pods", *pods)
    cluster.lists("/api/v1/resourcequotas")
    cluster.lists("/api/v1/limitranges")
    cluster.lists("/apis/apps/v1/daemonsets")
    cluster.lists("/apis/apps/v1/deployments")
    mps = {"nvidia.com/gpu.sharing-strategy": "mps", "nvidia.com/gpu.present": "true"}
    node = {"metadata": {"name": "n1", "labels": mps}, "status": {"allocatable": {"nvidia.com/gpu.shared": "8"}}}
    cluster.lists("/api/v1/nodes", node)
    cluster.set_node("n1", labels=mps)
    for name in (NAMESPACE, "kube-system"):
        cluster.set_namespace(name)
    cluster.set_namespace("team", enforce="mps")
    denied = 'admission webhook "validate.gpuwarden.io" denied the request: container "probe": …'
    cluster.refusals["gpuwarden-doctor-two-shared"] = denied


def run(cluster: StandIn | None, *options: str, folder: Path, environment: dict[str, str] | None = None) -> Result:
    url = cluster.url if cluster else f"http://127.0.0.1:{free_port()}"
    kubeconfig = write_kubeconfig(folder / "kubeconfig", url, token="t")  # noqa: S106 - a test's own
    terminal = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", **(environment or {})}
    return CliRunner(env=terminal).invoke(app, ["doctor", "--kubeconfig", str(kubeconfig), *options])


def report(cluster: Cluster, *options: str, folder: Path) -> tuple[int, Json]:
    result = run(cluster, "-o", "json", *options, folder=folder)
    return result.exit_code, json.loads(result.stdout)


def troubled(document: Json) -> set[tuple[str, str]]:
    return {(line["id"], line["status"]) for line in document["checks"] if line["status"] not in {"ok", "skipped"}}


def test_a_healthy_installation_is_well_in_every_check(cluster: Cluster, tmp_path: Path) -> None:
    code, document = report(cluster, "--strict", "--probe-namespace", "team", folder=tmp_path)
    assert (code, troubled(document)) == (0, set()), document
    assert {line["id"] for line in document["checks"]} == {check.id for check in CHECKS}
    assert {key: document[key] for key in ("apiVersion", "kind", "cluster", "namespace", "name")} == {
        "apiVersion": "gpuwarden.io/v1",
        "kind": "DoctorReport",
        "cluster": cluster.url,
        "namespace": NAMESPACE,
        "name": "gpuwarden",
    }
    # Kueue and Karpenter are not installed, and the API server is too old for DRA.
    skipped = [line["id"] for line in document["checks"] if line["status"] == "skipped"]
    assert skipped == ["shared-devices", "device-classes", "waiting-pods", "karpenter", "kueue"]
    well = len(document["checks"]) - len(skipped)
    assert document["totals"] == {"fail": 0, "warn": 0, "unknown": 0, "skipped": len(skipped), "ok": well}
    assert all(set(line) == {"id", "status", "seen", "means", "fix"} for line in document["checks"])


def test_nothing_is_written(cluster: Cluster, tmp_path: Path) -> None:
    """All that isn't read is a review of access, which is stored nowhere, or a dry run."""
    report(cluster, "--probe-namespace", "team", folder=tmp_path)
    others = [seen for seen in cluster.requests if seen.method != "GET"]
    assert {seen.method for seen in others} == {"POST"}
    assert {seen.path for seen in others} == {REVIEWS, "/api/v1/namespaces/team/pods"}
    assert all(seen.query == {"dryRun": "All"} for seen in others if seen.path != REVIEWS)


def test_secrets_are_not_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    report(cluster, folder=tmp_path)
    assert not [seen.path for seen in cluster.requests if "secrets" in seen.path]


def test_without_being_asked_to_no_pod_is_tried(cluster: Cluster, tmp_path: Path) -> None:
    _, document = report(cluster, folder=tmp_path)
    assert not [seen for seen in cluster.requests if seen.method == "POST" and seen.path != REVIEWS]
    assert "probe" not in {line["id"] for line in document["checks"]}


def test_the_rights_are_asked_for_in_the_accounts_name(cluster: Cluster, tmp_path: Path) -> None:
    report(cluster, folder=tmp_path)
    asked = [json.loads(seen.body)["spec"] for seen in cluster.requests if seen.path == REVIEWS]
    assert {spec["user"] for spec in asked} == {f"system:serviceaccount:{NAMESPACE}:gpuwarden"}
    assert all(f"system:serviceaccounts:{NAMESPACE}" in spec["groups"] for spec in asked)
    attributes = [spec["resourceAttributes"] for spec in asked]
    assert {"verb": "watch", "group": "", "resource": "namespaces", "namespace": "", "name": ""} in attributes
    assert {
        "verb": "patch", "group": "", "resource": "secrets", "namespace": NAMESPACE, "name": "gpuwarden-ca"
    } in attributes  # fmt: skip


def test_rights_that_are_refused_fail(cluster: Cluster, tmp_path: Path) -> None:
    cluster.allows = False
    code, document = report(cluster, folder=tmp_path)
    assert (code, troubled(document)) == (1, {("rights", "fail"), ("rights", "warn")})


FORBIDDEN = [
    (f"{REGISTRATION}/mutatingwebhookconfigurations", "other-webhooks", "list mutatingwebhookconfigurations"),
    (DEPLOYMENT, "replicas", f"get deployments/gpuwarden -n {NAMESPACE}"),
    (SERVICE, "endpoints", f"get services/gpuwarden -n {NAMESPACE}"),
    (CONFIG, "configuration", f"get configmaps/gpuwarden -n {NAMESPACE}"),
    (f"/api/v1/{WITHIN}/pods", "spread", f"list pods -n {NAMESPACE}"),
    (
        f"/apis/policy/v1/{WITHIN}/poddisruptionbudgets",
        "disruption-budget",
        f"list poddisruptionbudgets -n {NAMESPACE}",
    ),
    ("/api/v1/nodes", "nodes", "list nodes"),
    ("/api/v1/resourcequotas", "quotas", "list resourcequotas"),
    ("/api/v1/limitranges", "limitranges", "list limitranges"),
    ("/api/v1/namespaces", "labels", "list namespaces"),
    ("/apis/apps/v1/daemonsets", "dcgm-exporter", "list daemonsets"),
    ("/apis/apps/v1/daemonsets", "device-plugin-config", "list daemonsets"),
    ("/apis/apps/v1/deployments", "cluster-autoscaler", "list deployments"),
    ("/apis/karpenter.sh/v1/nodepools", "karpenter", "list nodepools"),
    ("/apis/kueue.x-k8s.io/v1beta2/localqueues", "kueue", "list localqueues"),
    ("/apis/resource.k8s.io/v1/resourceslices", "shared-devices", "list resourceslices"),
    ("/apis/resource.k8s.io/v1/deviceclasses", "device-classes", "list deviceclasses"),
    (REVIEWS, "rights", "create subjectaccessreviews.authorization.k8s.io"),
    ("/version", "kubernetes", "get /version"),
]


@pytest.mark.parametrize(("path", "check", "right"), FORBIDDEN, ids=[check for _, check, _ in FORBIDDEN])
def test_a_right_that_is_missing_makes_its_checks_unknown_and_is_named(
    cluster: Cluster, tmp_path: Path, path: str, check: str, right: str
) -> None:
    cluster.forbidden.add(path)
    code, document = report(cluster, folder=tmp_path)
    assert code == 0
    assert run(cluster, "--strict", folder=tmp_path).exit_code == 1
    assert (check, "unknown") in troubled(document)
    assert {state for _, state in troubled(document)} == {"unknown"}
    (line,) = (line for line in document["checks"] if line["id"] == check)
    assert line["fix"] == f"grant the user who runs doctor the permission: {right}"
    assert "is forbidden" in line["seen"]


def test_annotations_that_restrict_pods_are_read(cluster: Cluster, tmp_path: Path) -> None:
    listed = '[{"key": "dedicated", "operator": "Exists"}]'
    cluster.annotate_namespace("team", {"scheduler.alpha.kubernetes.io/tolerationsWhitelist": listed, "other": "x"})
    code, document = report(cluster, folder=tmp_path)
    assert (code, troubled(document)) == (0, {("namespace-restrictions", "warn")})


def test_a_cluster_that_lets_nothing_be_checked_is_no_success(cluster: Cluster, tmp_path: Path) -> None:
    cluster.forbidden.update(cluster.objects, *(path for path, _, _ in FORBIDDEN))
    cluster.forbidden.update({"/api/v1/namespaces", REVIEWS, f"{REGISTRATION}/mutatingwebhookconfigurations/gpuwarden"})
    cluster.forbidden.add(f"{REGISTRATION}/validatingwebhookconfigurations/gpuwarden")
    cluster.forbidden.update(f"{REGISTRATION}/{plural}" for plural in KINDS.values())
    for options in ((), ("--strict",)):
        result = run(cluster, *options, folder=tmp_path)
        assert result.exit_code == 2
        assert result.stderr == (
            "error: nothing could be checked: run it as a user with the permissions listed above\n"
        )
        assert " 0 ok" not in result.stdout
        assert "not checked" in result.stdout.splitlines()[-1]


def test_a_node_that_no_selector_selects_is_found(cluster: Cluster, tmp_path: Path) -> None:
    cluster.delete_node("n1")
    code, document = report(cluster, folder=tmp_path)
    assert (code, troubled(document)) == (0, {("node-selectors", "warn")})


def test_an_answer_that_is_none_makes_a_check_unknown(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store("/api/v1/nodes", {"items": [{"metadata": {"labels": {"a": 1}}}]})
    code, document = report(cluster, folder=tmp_path)
    assert code == 0
    assert troubled(document) == {
        (check, "unknown") for check in ("nodes", "node-selectors", "rename-by-default", "mig-strategy")
    }


def test_a_cluster_that_is_too_old_fails(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store("/version", {"gitVersion": "v1.29.14-eks-1"})
    code, document = report(cluster, folder=tmp_path)
    assert (code, troubled(document)) == (1, {("kubernetes", "fail")})


def test_an_installation_that_is_not_there_fails(cluster: Cluster, tmp_path: Path) -> None:
    code, document = report(cluster, "--gpuwarden-namespace", "elsewhere", "--name", "other", folder=tmp_path)
    assert code == 1
    seen = {line["id"]: line["seen"] for line in document["checks"] if line["status"] == "fail"}
    assert seen["replicas"] == "there is no Deployment elsewhere/other"
    assert seen["configuration"] == "there is no ConfigMap elsewhere/other with config.yaml"


def test_warnings_end_well_unless_strict(cluster: Cluster, tmp_path: Path) -> None:
    cluster.lists(f"/apis/policy/v1/{WITHIN}/poddisruptionbudgets")
    assert report(cluster, folder=tmp_path)[0] == 0
    assert report(cluster, "--strict", folder=tmp_path)[0] == 1


def test_a_configuration_file_takes_the_place_of_the_installed_one(cluster: Cluster, tmp_path: Path) -> None:
    cluster.set_namespace("team", enforce="ours")
    assert ("labels", "fail") in troubled(report(cluster, folder=tmp_path)[1])
    (tmp_path / "c.yaml").write_text(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {ours: {forms: [mps]}}\n"
    )
    assert troubled(report(cluster, "--config", str(tmp_path / "c.yaml"), folder=tmp_path)[1]) == set()


def test_mistyped_keys_are_found_among_labels_and_annotations(cluster: Cluster, tmp_path: Path) -> None:
    cluster.set_namespace("other", annotations={"pod-security.kubernetes.io/enforce": "x"}, team="a")
    assert troubled(report(cluster, folder=tmp_path)[1]) == {("labels", "warn")}, (
        "gpuwarden.io/team is no label of ours"
    )
    cluster.set_namespace("other", annotations={"gpuwarden.io/enforce": "mps"})
    assert troubled(report(cluster, folder=tmp_path)[1]) == {("labels", "warn")}
    cluster.set_namespace("other", annotations={"pod-security.kubernetes.io/enforce": "x"})
    assert troubled(report(cluster, folder=tmp_path)[1]) == set()


def test_a_namespace_that_is_being_deleted_is_left_out(cluster: Cluster, tmp_path: Path) -> None:
    cluster.set_namespace("leaving", enforce="rubbish")
    assert ("labels", "fail") in troubled(report(cluster, folder=tmp_path)[1])
    found = cluster.find("leaving")
    assert found
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert troubled(report(cluster, folder=tmp_path)[1]) == set()


def test_the_table_says_what_to_do_of_what_is_not_well(cluster: Cluster, tmp_path: Path) -> None:
    del cluster.objects[SERVICE]
    result = run(cluster, folder=tmp_path)
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    at = next(number for number, line in enumerate(lines) if line.startswith("endpoints fail"))
    assert lines[at] == "endpoints fail there is no Service gpuwarden-system/gpuwarden, which the webhooks name"
    assert lines[at + 1].startswith("no replica is reachable")
    assert any(line.startswith("→ reinstall") for line in lines)
    assert lines[-1].startswith(f"gpuwarden gpuwarden in {NAMESPACE}, at {cluster.url}: 1 fail, 1 not checked")


def test_text_of_others_cannot_command_the_terminal(cluster: Cluster, tmp_path: Path) -> None:
    cluster.refusals["gpuwarden-doctor-plain"] = "no \x1b]0;owned\x07 way"
    result = run(cluster, "--probe-namespace", "team", folder=tmp_path)
    assert "owned" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--gpuwarden-namespace", ".."],
        ["--name", ""],
        ["--probe-namespace", "."],
        ["--context", "there"],
        ["-o", "yaml"],
    ],
)
def test_wrong_usage_ends_with_2(cluster: Cluster, tmp_path: Path, options: list[str]) -> None:
    result = run(cluster, *options, folder=tmp_path)
    assert (result.exit_code, result.exception.__class__) == (2, SystemExit)
    assert not cluster.requests


def test_a_configuration_file_that_cannot_be_read_ends_with_2(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mode: loud\n")
    result = run(cluster, "--config", str(tmp_path / "c.yaml"), folder=tmp_path)
    assert result.exit_code == 2
    assert "mode" in result.stderr


def test_a_cluster_that_does_not_answer_ends_with_2_and_says_which(tmp_path: Path) -> None:
    result = run(None, folder=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: the cluster can't be read: GET /version:")
    assert "; check the address of the server and its certificate authority in the kubeconfig" in result.stderr


def test_a_cluster_that_does_not_know_us_ends_with_2(cluster: Cluster, tmp_path: Path) -> None:
    cluster.authorize = lambda _: False
    result = run(cluster, folder=tmp_path)
    assert result.exit_code == 2
    assert "401" in result.stderr
    assert "; log in again, or correct the credentials of the user in the kubeconfig" in result.stderr


CLASSES = "/apis/resource.k8s.io/v1/deviceclasses"


def a_pod(name: str, resource: str, namespace: str = "team", **spec: str) -> Json:
    containers = [{"name": "train", "resources": {"limits": {resource: "1"}}}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": containers, **spec}}


def test_pods_that_wait_for_the_name_of_a_class_are_found(cluster: Cluster, tmp_path: Path) -> None:
    spec = {"extendedResourceName": "example.com/accel"}
    cluster.lists(CLASSES, {"metadata": {"name": "gpu.nvidia.com"}, "spec": spec})
    others = a_pod("bound", "example.com/accel", nodeName="n1"), a_pod("other", "example.com/x")
    permitted = a_pod("permitted", "example.com/accel", "elsewhere")
    ended = {**a_pod("ended", "example.com/accel"), "status": {"phase": "Failed"}}
    ending = a_pod("ending", "example.com/accel")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.lists("/api/v1/pods", a_pod("late", "example.com/accel"), *others, permitted, ended, ending)
    _, document = report(cluster, folder=tmp_path)
    (line,) = (line for line in document["checks"] if line["id"] == "waiting-pods")
    assert (line["status"], line["seen"].partition(",")[0]) == (
        "warn",
        "pods late of namespace team wait for example.com/accel",
    )
    (seen,) = (seen for seen in cluster.requests if seen.path == "/api/v1/pods")
    assert seen.query["fieldSelector"] == "spec.nodeName="


def test_where_no_class_names_a_resource_no_pods_of_others_are_read(cluster: Cluster, tmp_path: Path) -> None:
    cluster.lists(CLASSES, {"metadata": {"name": "gpu.nvidia.com"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}})
    _, document = report(cluster, folder=tmp_path)
    assert "/api/v1/pods" not in {seen.path for seen in cluster.requests}
    (line,) = (line for line in document["checks"] if line["id"] == "waiting-pods")
    assert line["status"] == "ok"


def test_without_the_right_to_list_pods_it_is_not_known_which_wait(cluster: Cluster, tmp_path: Path) -> None:
    spec = {"extendedResourceName": "example.com/accel"}
    cluster.lists(CLASSES, {"metadata": {"name": "gpu.nvidia.com"}, "spec": spec})
    cluster.forbidden.add("/api/v1/pods")
    _, document = report(cluster, folder=tmp_path)
    (line,) = (line for line in document["checks"] if line["id"] == "waiting-pods")
    assert (line["status"], "permission: list pods" in line["fix"]) == ("unknown", True)
