"""Install, upgrade and uninstall on a real API server, by Helm and by kubectl: nothing of ours is left, and pods go on.

No kubelet runs what is installed. What gpuwarden writes at run time (its CA, the bundles) is written by the test, so that
upgrades can be seen to leave it alone and uninstalling to remove it.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hack.render_manifests import CHART, NAMESPACE, render
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import Programs
from testing.control_plane.waiting import wait_for
from tests.deploy.argo import api_versions, application
from tests.deploy.chart import Chart, Json, RefusedError, merged
from tests.deploy.gpu_pods import PERHAPS_WITH_GPU, WITH_GPU, WITHOUT_GPU, a_spec
from webhook.application.certificates.tokens import ANNOTATION, PATHS

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS = (f"{REGISTRATION}/validatingwebhookconfigurations", f"{REGISTRATION}/mutatingwebhookconfigurations")
OURS = (f"{CONFIGURATIONS[0]}/gpuwarden", f"{CONFIGURATIONS[1]}/zz-gpuwarden")
NAMESPACED = (
    f"/api/v1/namespaces/{NAMESPACE}/services",
    f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    f"/api/v1/namespaces/{NAMESPACE}/secrets",
    f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    f"/api/v1/namespaces/{NAMESPACE}/resourcequotas",
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
    f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies",
)
CLUSTER_WIDE = (
    *CONFIGURATIONS,
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
)
TOKEN = "0123456789abcdef" * 2
BUNDLE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"
# Nobody answers here.
HARMLESS: Json = {"install": {"mode": "audit"}}


@pytest.fixture(scope="module")
def cluster(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: an installation that nobody answers for is in no other test's way."""
    with ControlPlane(programs, tmp_path_factory.mktemp("cluster")) as running:
        for name in ("kube-system", NAMESPACE):
            running.kubectl("create", "namespace", name)
        yield running


def ours(cluster: ControlPlane, paths: tuple[str, ...]) -> set[str]:
    """The objects that are there because of us."""
    return {
        f"{path.rpartition('/')[2]}/{item['metadata']['name']}"
        for path in paths
        for item in cluster.get(path)["items"]
        if "gpuwarden" in item["metadata"]["name"]
    }


def written_at_run_time(cluster: ControlPlane) -> None:
    """Do what a replica does: make the CA's Secret, and set every bundle and path."""
    role = cluster.get(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/gpuwarden")
    owner = {"apiVersion": role["apiVersion"], "kind": "Role", "name": "gpuwarden", "uid": role["metadata"]["uid"]}
    secret = {"metadata": {"name": "gpuwarden-ca", "ownerReferences": [owner]}, "data": {"ca.crt": BUNDLE}}
    cluster.api.post(f"/api/v1/namespaces/{NAMESPACE}/secrets", json=secret).raise_for_status()
    for path in OURS:
        patch = [
            {"op": "add", "path": f"/webhooks/{number}/clientConfig/{field}", "value": value}
            for number, webhook in enumerate(cluster.get(path)["webhooks"])
            for field, value in (("caBundle", BUNDLE), ("service/path", f"{PATHS[webhook['name']]}/{TOKEN}"))
        ]
        headers = {"Content-Type": "application/json-patch+json"}
        cluster.api.patch(path, json=patch, headers=headers).raise_for_status()


def bundles(cluster: ControlPlane) -> set[str | None]:
    """What the webhooks trust: one and the same, where all is well, and so are the paths that a replica has written."""
    webhooks = [webhook for path in OURS for webhook in cluster.get(path)["webhooks"]]
    for webhook in webhooks:
        written = f"{PATHS[webhook['name']]}/{TOKEN}" if "caBundle" in webhook["clientConfig"] else None
        assert webhook["clientConfig"]["service"].get("path") == written
    return {webhook["clientConfig"].get("caBundle") for webhook in webhooks}


def wait_for_pods(cluster: ControlPlane) -> None:
    """Wait until the Deployment's pods have been admitted: no quota, standard or webhook stands in their way."""

    def admitted() -> bool:
        deployment = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpuwarden")
        return bool(deployment.get("status", {}).get("updatedReplicas") == 2)

    wait_for("the Deployment's pods", admitted)


@contextmanager
def order_of_deletion(cluster: ControlPlane, names: dict[str, int]) -> Iterator[None]:
    """Note the revision at which each of our objects was deleted for the first time."""
    paths = (*CONFIGURATIONS, *NAMESPACED)
    revisions = {path: cluster.get(path)["metadata"]["resourceVersion"] for path in paths}
    yield
    for path, revision in revisions.items():
        query = {"watch": "1", "resourceVersion": revision, "timeoutSeconds": "1"}
        for line in cluster.api.get(path, params=query).text.splitlines():
            event = json.loads(line)
            metadata = event["object"]["metadata"]
            if event["type"] == "DELETED" and metadata["name"] in {"gpuwarden", "zz-gpuwarden", "gpuwarden-ca"}:
                names.setdefault(f"{path.rpartition('/')[2]}/{metadata['name']}", int(metadata["resourceVersion"]))


@contextmanager
def pods_created_throughout(cluster: ControlPlane) -> Iterator[list[str]]:
    """Create pods without a GPU all the while, and list what refused them."""
    namespace = f"other-{uuid4().hex[:8]}"
    cluster.api.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()

    def pods_are_admitted() -> bool:
        return bool(cluster.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))

    wait_for("the service account", pods_are_admitted)
    stop, refused, made = threading.Event(), list[str](), list[str]()

    def create() -> None:
        with cluster.client() as api:
            while not stop.is_set():
                pod = {
                    "metadata": {"generateName": "p-"},
                    "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "nowhere"},
                }
                answer = api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
                (made if answer.status_code == 201 else refused).append(answer.text)
                stop.wait(0.05)

    thread = threading.Thread(target=create)
    thread.start()
    try:
        yield refused
    finally:
        stop.set()
        thread.join()
        cluster.api.delete(f"/api/v1/namespaces/{namespace}")
    assert len(made) > 5


def test_helm_installs_upgrades_and_uninstalls_and_leaves_nothing(chart: Chart, cluster: ControlPlane) -> None:
    kubeconfig = cluster.kubeconfig()

    def helm(*arguments: str, values: Json) -> None:
        chart.helm(*arguments, "--namespace", NAMESPACE, values=values, kubeconfig=kubeconfig)

    before = ours(cluster, (*NAMESPACED, *CLUSTER_WIDE))
    deleted: dict[str, int] = {}
    with pods_created_throughout(cluster) as refused:
        helm("install", "gpuwarden", str(CHART), "--values", "-", values=HARMLESS)
        assert ours(cluster, CLUSTER_WIDE) == {
            "validatingwebhookconfigurations/gpuwarden", "mutatingwebhookconfigurations/zz-gpuwarden",
            "clusterroles/gpuwarden", "clusterrolebindings/gpuwarden",
        }  # fmt: skip
        assert bundles(cluster) == {None}
        written_at_run_time(cluster)
        changed = {**HARMLESS, "webhooks": {"validate": {"timeoutSeconds": 5}}, "commonLabels": {"team": "gpu"}}
        helm("upgrade", "gpuwarden", str(CHART), "--values", "-", values=changed)
        validating = cluster.get(f"{CONFIGURATIONS[0]}/gpuwarden")
        assert validating["webhooks"][0]["timeoutSeconds"] == 5
        assert validating["metadata"]["labels"]["team"] == "gpu"
        assert bundles(cluster) == {BUNDLE}
        with order_of_deletion(cluster, deleted):
            helm("uninstall", "gpuwarden", values={})
            # The garbage collector takes the Secret when its owner is gone.
            wait_for("everything to go", lambda: ours(cluster, (*NAMESPACED, *CLUSTER_WIDE)) == before)
    assert refused == []
    assert before == set()
    if not chart.helm("version", "--short").startswith("v3"):  # which removes these two last, a tenth of a second later
        first = sorted(deleted, key=deleted.__getitem__)
        assert first[:2] == ["validatingwebhookconfigurations/gpuwarden", "mutatingwebhookconfigurations/zz-gpuwarden"]
    # When it goes, no replica that still runs is allowed to make it anew.
    assert deleted["secrets/gpuwarden-ca"] > deleted["rolebindings/gpuwarden"] > deleted["deployments/gpuwarden"]


def test_an_upgrade_from_the_mutating_configurations_former_name_removes_it_and_leaves_the_other_trusted(
    chart: Chart, cluster: ControlPlane
) -> None:
    """Releases before it sorted last called both configurations by the release's name."""
    former = {**HARMLESS, "webhooks": {"mutate": {"configurationName": "gpuwarden"}}}

    def helm(*arguments: str, values: Json) -> None:
        chart.helm(*arguments, "--namespace", NAMESPACE, values=values, kubeconfig=cluster.kubeconfig())

    helm("install", "gpuwarden", str(CHART), "--values", "-", values=former)
    try:
        names = "validatingwebhookconfigurations/gpuwarden", "mutatingwebhookconfigurations/gpuwarden"
        assert ours(cluster, CONFIGURATIONS) == {*names}
        count = len(cluster.get(OURS[0])["webhooks"])
        patch = [{"op": "add", "path": f"/webhooks/{n}/clientConfig/caBundle", "value": BUNDLE} for n in range(count)]
        headers = {"Content-Type": "application/json-patch+json"}
        cluster.api.patch(OURS[0], json=patch, headers=headers).raise_for_status()
        helm("upgrade", "gpuwarden", str(CHART), "--values", "-", values=HARMLESS)
        assert ours(cluster, CONFIGURATIONS) == {names[0], "mutatingwebhookconfigurations/zz-gpuwarden"}
        bundles_of = [{w["clientConfig"].get("caBundle") for w in cluster.get(path)["webhooks"]} for path in OURS]
        assert bundles_of == [{BUNDLE}, {None}]  # the other's is written by the first replica of the new release
    finally:
        helm("uninstall", "gpuwarden", values={})
    assert ours(cluster, CONFIGURATIONS) == set()


def test_paths_change_hands_in_two_upgrades_and_a_rollback_gives_them_back(chart: Chart, cluster: ControlPlane) -> None:
    kubeconfig, there = cluster.kubeconfig(), ("--namespace", NAMESPACE)
    plain, tokens = ({"pathToken": {"enabled": enabled}} for enabled in (False, True))

    def upgrade(values: Json) -> None:
        chart.helm("upgrade", "gpuwarden", str(CHART), *there, "--values", "-", values=values, kubeconfig=kubeconfig)

    def registered() -> list[tuple[str, dict[str, str]]]:
        found = [cluster.get(path) for path in OURS]
        return [
            (
                one["metadata"]["annotations"].get(ANNOTATION),
                {w["name"]: w["clientConfig"]["service"].get("path", "") for w in one["webhooks"]},
            )
            for one in found
        ]

    chart.helm("install", "gpuwarden", str(CHART), *there, "--values", "-", values=plain, kubeconfig=kubeconfig)
    try:
        for path in OURS:  # as charts from before it left them
            patch = {"metadata": {"annotations": {ANNOTATION: None}}}
            headers = {"Content-Type": "application/merge-patch+json"}
            cluster.api.patch(path, json=patch, headers=headers).raise_for_status()
        with pytest.raises(RefusedError, match=r"pathToken\.enabled: the running replicas do not support tokens"):
            upgrade(tokens)
        upgrade(HARMLESS | plain)  # the negative control: what differs is the setting
        upgrade(plain)
        assert [(said, paths == {name: PATHS[name] for name in paths}) for said, paths in registered()] == [
            ("false", True)
        ] * 2
        upgrade(tokens)
        assert [(said, set(paths.values())) for said, paths in registered()] == [("true", {""})] * 2
        chart.helm("rollback", "gpuwarden", *there, kubeconfig=kubeconfig)
        assert [(said, paths == {name: PATHS[name] for name in paths}) for said, paths in registered()] == [
            ("false", True)
        ] * 2
    finally:
        chart.helm("uninstall", "gpuwarden", *there, kubeconfig=kubeconfig)
    wait_for("everything to go", lambda: ours(cluster, (*NAMESPACED, *CLUSTER_WIDE)) == set())


@pytest.mark.parametrize("reuse", ["--reuse-values", "--reset-then-reuse-values"])
def test_an_older_charts_release_is_upgraded_with_its_values(
    chart: Chart, cluster: ControlPlane, tmp_path: Path, reuse: str
) -> None:
    kubeconfig = cluster.kubeconfig()
    older = tmp_path / "chart"
    shutil.copytree(CHART, older)
    shutil.copy(ROOT / "tests/deploy/older_values/first.yaml", older / "values.yaml")
    there = ("--namespace", NAMESPACE)
    chart.helm("install", "gpuwarden", str(older), *there, "--values", "-", values=HARMLESS, kubeconfig=kubeconfig)
    try:
        written_at_run_time(cluster)
        chart.helm("upgrade", "gpuwarden", str(CHART), *there, reuse, "--set", "log.level=debug", kubeconfig=kubeconfig)
        pod = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpuwarden")["spec"]["template"]["spec"]
        assert "--log-level=debug" in pod["containers"][0]["args"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert bundles(cluster) == {BUNDLE}
        validating = cluster.get(f"{CONFIGURATIONS[0]}/gpuwarden")["webhooks"]
        assert validating[0]["failurePolicy"] == "Ignore"  # audit mode, as it was installed
    finally:
        chart.helm("uninstall", "gpuwarden", *there, kubeconfig=kubeconfig)
    wait_for("everything to go", lambda: ours(cluster, (*NAMESPACED, *CLUSTER_WIDE)) == set())


@pytest.mark.parametrize("how", [("--server-side", "--force-conflicts"), ()], ids=["server-side", "client-side"])
def test_a_gitops_tool_applies_it_again_and_again_and_sees_no_difference(
    chart: Chart, cluster: ControlPlane, how: tuple[str, ...]
) -> None:
    """As Argo CD: what it would install of what it renders; and after that, what is in Git and what is stored agree."""
    version = cluster.get("/version")["gitVersion"]
    backstop = {"backstop": {"enabled": True}}
    rendered = chart.render(merged(HARMLESS, EVERYTHING, backstop), kubernetes=version, more=api_versions())
    installed = [o for o in application(rendered.objects, NAMESPACE).installed if "coreos" not in o["apiVersion"]]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": installed})

    def kubectl(*arguments: str) -> str:
        done = cluster.kubectl(*arguments, "-f", "-", stdin=manifest)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        kubectl("apply", *how)
        wait_for_pods(cluster)
        written_at_run_time(cluster)
        for document in installed:
            assert differences(document, stored(cluster, document)) == []
        again = kubectl("apply", *how)  # what self-healing does
        assert bundles(cluster) == {BUNDLE}
        assert "created" not in again
        diff = cluster.kubectl("diff", *(o for o in how if o == "--server-side"), "-f", "-", stdin=manifest)
        assert (diff.returncode, diff.stdout) == (0, ""), diff.stdout + diff.stderr
    finally:
        kubectl("delete", "--wait=true")
    wait_for("everything to go", lambda: ours(cluster, (*NAMESPACED, *CLUSTER_WIDE)) == set())


EVERYTHING: Json = {
    "audit": {"report": {"enabled": True}},
    "monitoring": {"dashboard": {"create": True}},
}


def stored(cluster: ControlPlane, document: Json) -> Json:
    """An object as the API server has it, at the version in which it was written."""
    done = cluster.kubectl("get", "-o", "json", "-f", "-", stdin=json.dumps(document))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    found: Json = answer["items"][0] if answer["kind"] == "List" else answer
    return found


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where an object does not have what was written; defaults and what is written at run time are no difference."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [d for key, value in wanted.items() for d in differences(value, found.get(key), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [d for number, (one, other) in pairs for d in differences(one, other, f"{path}[{number}]")]
    return [] if wanted == found else [f"{path}: {wanted!r} is {found!r}"]


def test_a_pod_of_ours_may_be_created_whatever_answers_reviews(chart: Chart, cluster: ControlPlane) -> None:
    """Nobody answers here and the validating webhook fails closed; the Deployment's pods must come all the same."""
    kubeconfig = cluster.kubeconfig()
    chart.helm("install", "gpuwarden", str(CHART), "--namespace", NAMESPACE, kubeconfig=kubeconfig)

    def outcome(namespace: str) -> int:
        pod = {"metadata": {"name": "p"}, "spec": WITH_GPU[0]}
        return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", json=pod).status_code

    try:
        wait_for_pods(cluster)
        # The negative control: what is refused elsewhere is not even asked about here, where it needs no exception.
        wait_for("a pod elsewhere to be refused", lambda: outcome("default") == 500)
        assert outcome(NAMESPACE) == 201
    finally:
        chart.helm("uninstall", "gpuwarden", "--namespace", NAMESPACE, kubeconfig=kubeconfig)
    wait_for("the API server to forget the webhooks", lambda: outcome("default") == 201)


def test_the_api_server_leaves_out_pods_without_gpus(chart: Chart, cluster: ControlPlane) -> None:
    """Nobody answers here, so the pods that it would ask about are those that it refuses, and no others."""
    kubeconfig = cluster.kubeconfig()
    chart.helm("install", "gpuwarden", str(CHART), "--namespace", NAMESPACE, kubeconfig=kubeconfig)

    def outcome(spec: Json) -> int:
        pod = {"metadata": {"name": "p"}, "spec": spec}
        return cluster.api.post("/api/v1/namespaces/default/pods?dryRun=All", json=pod).status_code

    try:
        wait_for("the webhooks to be asked", lambda: outcome(WITH_GPU[0]) == 500)
        assert {outcome(spec) for spec in (*WITH_GPU, *PERHAPS_WITH_GPU)} == {500}
        assert [outcome(spec) for spec in WITHOUT_GPU] == [201] * len(WITHOUT_GPU)
        if cluster.version >= (1, 34):  # before, a DeviceClass is not the name of a resource
            assert outcome(a_spec({"deviceclass.resource.kubernetes.io/gpu.nvidia.com": "1"})) == 500
    finally:
        chart.helm("uninstall", "gpuwarden", "--namespace", NAMESPACE, kubeconfig=kubeconfig)
    every = (*WITH_GPU, *PERHAPS_WITH_GPU, *WITHOUT_GPU)
    wait_for("the API server to forget the webhooks", lambda: {outcome(spec) for spec in every} == {201})


def test_kubectl_applies_the_manifest_again_and_deletes_it(chart: Chart, cluster: ControlPlane) -> None:
    manifest = render(chart.program)

    def kubectl(*arguments: str) -> None:
        done = cluster.kubectl(*arguments, "-f", "-", stdin=manifest)
        assert done.returncode == 0, done.stderr

    kubectl("apply")
    wait_for_pods(cluster)
    written_at_run_time(cluster)
    kubectl("apply")
    assert bundles(cluster) == {BUNDLE}
    deleted: dict[str, int] = {}
    with order_of_deletion(cluster, deleted):
        kubectl("delete", "--wait=true")
    first = sorted(deleted, key=deleted.__getitem__)
    assert first[:2] == ["validatingwebhookconfigurations/gpuwarden", "mutatingwebhookconfigurations/zz-gpuwarden"]
    assert ours(cluster, CLUSTER_WIDE) == set()
    wait_for("the namespace to go", lambda: cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}").status_code == 404)
