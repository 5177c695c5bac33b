"""``gpuwarden doctor`` against a real cluster: well where all is well, and each thing that breaks is found by its check.

There is no kubelet: the suite marks the Deployment's pods Ready, while the process that answers runs beside the cluster.
"""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from hack.render_manifests import ACCOUNT, NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart, is_hook
from tests.e2e.certificates import stranger_status
from tests.e2e.fleet import MERGE_PATCH, Fleet
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import MUTATING, VALIDATING, Installation, configuration_path, render
from tests.e2e.objects import ENFORCE, replace
from tests.e2e.running import PROBE
from webhook.application.certificates.issue import self_signed_pair
from webhook.application.diagnosis.diagnose import CHECKS
from webhook.cli.main import app

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
BUDGET = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/gpuwarden"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpuwarden"


def doctor(control_plane: ControlPlane, *options: str, user: str = "admin") -> tuple[int, dict[str, list[Json]]]:
    """Run the command; answer its exit code and the results by the id of their check."""
    kubeconfig = str(control_plane.kubeconfig(user))
    result = CliRunner().invoke(app, ["doctor", "-o", "json", "--kubeconfig", kubeconfig, *options])
    assert result.exit_code in {0, 1}, (result.output, result.exception)
    found: dict[str, list[Json]] = {check.id: [] for check in CHECKS}
    for line in json.loads(result.stdout)["checks"]:
        found[line["id"]].append(line)
    return result.exit_code, found


def troubles(found: dict[str, list[Json]]) -> dict[str, set[str]]:
    """Each check that isn't well, with what it says."""
    statuses = {name: {line["status"] for line in lines} for name, lines in found.items()}
    fine = {"ok", "skipped"}  # neither Kueue nor Karpenter is installed
    return {name: seen - fine for name, seen in statuses.items() if seen - fine}


def seen(found: dict[str, list[Json]], check: str) -> str:
    return "; ".join(line["seen"] for line in found[check])


@pytest.fixture(scope="module")
def running(control_plane: ControlPlane, fleet: Fleet, installation: Installation) -> Installation:
    """The installation, with a Deployment that is as available as kubelets would make it, on two nodes."""
    spread_out(control_plane, fleet)
    for pod in replicas(control_plane):
        conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        control_plane.api.patch(
            f"{PODS}/{pod['metadata']['name']}/status",
            json={"status": {"phase": "Running", "conditions": conditions}},
            headers=MERGE_PATCH,
        ).raise_for_status()
    path = BUDGET
    # Where another test has just restarted the API server, the controllers look again only after a back-off of up to 30 s.
    wait_for("the disruption budget", lambda: budgeted(control_plane, path))
    wait_for("the Deployment", lambda: available(control_plane))
    (replica,) = installation.replicas
    wait_for("plain paths to be closed", lambda: stranger_status(replica.port, "/validate") == httpx.codes.NOT_FOUND)
    return installation


def available(control_plane: ControlPlane) -> bool:
    """Write the status that the Deployment's controller would: it may take minutes to look again after a cut-off."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    written = control_plane.api.patch(f"{DEPLOYMENT}/status", json={"status": counts}, headers=MERGE_PATCH)
    written.raise_for_status()
    return bool(control_plane.get(DEPLOYMENT)["status"].get("availableReplicas") == 2)


def budgeted(control_plane: ControlPlane, path: str) -> bool:
    """Write the status that the disruption controller would, for the same reason."""
    generation = control_plane.get(path)["metadata"]["generation"]
    counts = {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}
    status = {"status": {**counts, "observedGeneration": generation}}
    control_plane.api.patch(f"{path}/status", json=status, headers=MERGE_PATCH).raise_for_status()
    return bool(control_plane.get(path)["status"].get("disruptionsAllowed"))


def replicas(control_plane: ControlPlane) -> list[Json]:
    """The Deployment's pods, once there are two that have a node."""

    def bound() -> list[Json]:
        pods = [pod for pod in control_plane.get(PODS)["items"] if "deletionTimestamp" not in pod["metadata"]]
        return pods if len(pods) == 2 and all(pod["spec"].get("nodeName") for pod in pods) else []

    return wait_for("the Deployment's pods to be bound", bound)


def spread_out(control_plane: ControlPlane, fleet: Fleet) -> None:
    """Let the replicas stand on two nodes, which the scheduler does not promise."""
    first, second = (pod["spec"]["nodeName"] for pod in replicas(control_plane))
    if first == second:
        with fleet.cordoned(first):
            control_plane.api.delete(f"{PODS}/{replicas(control_plane)[0]['metadata']['name']}").raise_for_status()
            wait_for("them to be apart", lambda: len({p["spec"]["nodeName"] for p in replicas(control_plane)}) == 2)


@contextmanager
def changed(control_plane: ControlPlane, path: str, change: Callable[[Json], object]) -> Iterator[None]:
    """Change an object for the body of a ``with``; afterwards it is as it was before."""
    before = control_plane.get(path)

    def after(found: Json) -> Json:
        change(found)
        return found

    def as_before(found: Json) -> Json:
        version = found["metadata"]["resourceVersion"]
        return {**before, "metadata": {**before["metadata"], "resourceVersion": version}}

    replace(control_plane, path, after)
    try:
        yield
    finally:
        replace(control_plane, path, as_before)


@contextmanager
def gone(control_plane: ControlPlane, path: str) -> Iterator[None]:
    """Delete an object for the body of a ``with``; afterwards one like it is there."""
    before = control_plane.get(path)
    control_plane.api.delete(path).raise_for_status()
    try:
        yield
    finally:
        kept = ("name", "namespace", "labels")
        metadata = {key: before["metadata"][key] for key in kept if key in before["metadata"]}
        control_plane.api.post(path.rpartition("/")[0], json={**before, "metadata": metadata}).raise_for_status()


def test_all_is_well_with_a_new_installation(control_plane: ControlPlane, running: Installation) -> None:
    command: list[str | Path] = [
        PROGRAM,
        "doctor",
        "--strict",
        "--probe-namespace",
        PROBE,
        "--kubeconfig",
        control_plane.kubeconfig(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    code, found = doctor(control_plane, "--probe-namespace", PROBE)
    assert (code, troubles(found)) == (0, {})
    assert all(found.values()), "every check says something"
    assert "nvidia.com/gpu: 1 in e2e-probe is rewritten" in seen(found, "probe")
    assert "is denied by validate.gpuwarden.io" in seen(found, "probe")


def test_looking_leaves_nothing_behind(control_plane: ControlPlane, running: Installation) -> None:
    before = control_plane.get("/api/v1/pods")["items"], control_plane.get(configuration_path(MUTATING))
    doctor(control_plane, "--probe-namespace", PROBE)
    after = control_plane.get("/api/v1/pods")["items"], control_plane.get(configuration_path(MUTATING))
    assert [pod["metadata"]["uid"] for pod in after[0]] == [pod["metadata"]["uid"] for pod in before[0]]
    assert after[1] == before[1]


OTHER_RULES = [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]


@pytest.mark.parametrize(
    ("kind", "change", "check", "says"),
    [
        (VALIDATING, {"failurePolicy": "Ignore"}, "failure-policies", "validate.gpuwarden.io is Ignore"),
        (VALIDATING, {"namespaceSelector": {}}, "exclusions", "selects gpuwarden-system (failurePolicy Fail)"),
        (MUTATING, {"rules": OTHER_RULES}, "rules", "do not cover CREATE of pods"),
    ],
    ids=["open validator", "own namespace", "other rules"],
)
def test_a_changed_webhook_configuration_is_found(  # noqa: PLR0913, PLR0917 - fixtures, what is changed, who finds it
    control_plane: ControlPlane, running: Installation, kind: str, change: Json, check: str, says: str
) -> None:
    def change_the_one_for_gpu_pods(configuration: Json) -> None:
        for webhook in configuration["webhooks"]:
            if webhook["name"] in {"mutate.gpuwarden.io", "validate.gpuwarden.io"}:
                webhook.update(change)

    with changed(control_plane, configuration_path(kind), change_the_one_for_gpu_pods):
        code, found = doctor(control_plane)
    assert (code, troubles(found)) == (1, {check: {"fail"}})
    assert says in seen(found, check)


def test_webhooks_without_match_conditions_are_warned_of(control_plane: ControlPlane, running: Installation) -> None:
    def change(configuration: Json) -> None:
        for webhook in configuration["webhooks"]:
            webhook.pop("matchConditions", None)

    with changed(control_plane, configuration_path(VALIDATING), change):
        code, found = doctor(control_plane)
    # The webhook for namespaces fails closed, and must not do so without conditions.
    assert (code, troubles(found)) == (1, {"match-conditions": {"warn"}, "failure-policies": {"fail"}})


def test_a_webhook_configuration_that_is_gone_is_found(control_plane: ControlPlane, running: Installation) -> None:
    with gone(control_plane, configuration_path(MUTATING)):
        wait_for("the API server to know", lambda: not running.acts())
        code, found = doctor(control_plane, "--probe-namespace", PROBE)
    wait_for("gpuwarden to act on pods", running.acts)
    assert (code, troubles(found)) == (1, {"webhooks": {"fail"}, "probe": {"fail"}})
    assert "there is no MutatingWebhookConfiguration zz-gpuwarden" in seen(found, "webhooks")
    assert "not rewritten as namespace policy" in seen(found, "probe")


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
def test_nobody_answering_is_found(control_plane: ControlPlane, running: Installation, path: str) -> None:
    with running.down(path):
        code, found = doctor(control_plane, "--probe-namespace", PROBE)
    assert (code, troubles(found)) == (1, {"trust": {"fail"}, "probe": {"fail"}})
    assert "no TLS" in seen(found, "trust")


@contextmanager
def reachable_though_not_ready(running: Installation) -> Iterator[None]:
    """Let the relays lead to the replica whatever it says of itself, for it may notice before it is dialled."""
    (replica,) = running.replicas
    for relay in running.relays.values():
        relay.add(replica.port)
    try:
        yield
    finally:
        for relay in running.relays.values():
            relay.add(replica.port, replica.ops_port)


def test_a_foreign_ca_and_a_right_that_is_missing_are_found(control_plane: ControlPlane, running: Installation) -> None:
    """Without the right gpuwarden can't put its own CA back, or it would within seconds."""
    foreign = self_signed_pair(["elsewhere.example"], [], datetime.now(UTC), timedelta(days=1)).ca.certificate_pem
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuwarden"

    def read_only(found: Json) -> None:
        for rule in found["rules"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]

    def distrust(configuration: Json) -> None:
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"]["caBundle"] = base64.b64encode(foreign).decode()

    with changed(control_plane, role, read_only):
        wait_for("the right to be gone", lambda: "rights" in troubles(doctor(control_plane)[1]))
        with reachable_though_not_ready(running), changed(control_plane, configuration_path(VALIDATING), distrust):
            code, found = doctor(control_plane, "--probe-namespace", PROBE)
    wait_for("the right to be back", lambda: troubles(doctor(control_plane)[1]) == {})
    assert (code, troubles(found)) == (1, {"trust": {"fail"}, "rights": {"fail"}, "probe": {"fail"}})
    assert "none of the 1 trusted certificates issued" in seen(found, "trust")
    assert "cannot patch mutatingwebhookconfigurations/zz-gpuwarden" in seen(found, "rights")
    assert "x509" in seen(found, "probe")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/validate", "the path of validate.gpuwarden.io carries no token"),
        (f"/validate/{'0' * 32}", "does not admit the path of validate.gpuwarden.io"),
    ],
    ids=["plain", "another token"],
)
def test_a_path_that_is_not_admitted_is_found(
    control_plane: ControlPlane, running: Installation, path: str, says: str
) -> None:
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuwarden"

    def read_only(found: Json) -> None:
        for rule in found["rules"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]

    def mislead(configuration: Json) -> None:
        (client,) = (w["clientConfig"] for w in configuration["webhooks"] if w["name"] == "validate.gpuwarden.io")
        client["url"] = client["url"].partition("/validate")[0] + path

    with changed(control_plane, role, read_only):
        wait_for("the right to be gone", lambda: "rights" in troubles(doctor(control_plane)[1]))
        with changed(control_plane, configuration_path(VALIDATING), mislead):
            code, found = doctor(control_plane)
    wait_for("all to be well again", lambda: troubles(doctor(control_plane)[1]) == {})
    assert code == 1
    assert "fail" in troubles(found)["path-tokens"]
    assert says in seen(found, "path-tokens")
    assert "0" * 32 not in str(found)


def test_a_configuration_that_cannot_be_read_is_found(control_plane: ControlPlane, running: Installation) -> None:
    def garble(found: Json) -> None:
        found["data"]["config.yaml"] += "polices: {}\n"

    with changed(control_plane, f"/api/v1/namespaces/{NAMESPACE}/configmaps/gpuwarden", garble):
        code, found = doctor(control_plane)
    assert code == 1
    assert troubles(found)["configuration"] == {"fail"}
    assert 'polices: unknown field; did you mean "policies"?' in seen(found, "configuration")


def test_one_replica_without_a_budget_is_warned_of(control_plane: ControlPlane, running: Installation) -> None:
    with gone(control_plane, BUDGET):
        code, found = doctor(control_plane)
    assert (code, troubles(found)) == (0, {"disruption-budget": {"warn"}})
    assert doctor(control_plane, "--strict")[0] == 0
    wait_for("the disruption budget", lambda: control_plane.get(BUDGET).get("status"))


def unchecked_labels(control_plane: ControlPlane) -> AbstractContextManager[None]:
    """Nobody evaluates labels for the body of a ``with``: a namespace can get one that can't be read."""

    def change(configuration: Json) -> None:
        configuration["webhooks"] = [
            webhook for webhook in configuration["webhooks"] if not webhook["name"].startswith("validate-namespace.")
        ]

    return changed(control_plane, configuration_path(VALIDATING), change)


def test_labels_quotas_and_nodes_that_do_not_fit_are_found(
    control_plane: ControlPlane, running: Installation, make_namespace: Callable[..., str]
) -> None:
    with unchecked_labels(control_plane):
        bad = wait_for("a label that can't be read to be let through", lambda: make_namespace({ENFORCE: "mpss"}))
    far = make_namespace({ENFORCE: "mig-7g.80gb"})
    limited = make_namespace({ENFORCE: "shared"})
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "2", "nvidia.com/gpu": "2"}}}
    control_plane.api.post(f"/api/v1/namespaces/{limited}/resourcequotas", json=quota).raise_for_status()
    limits = {"metadata": {"name": "gpus"}, "spec": {"limits": [{"type": "Container", "max": {"nvidia.com/gpu": "4"}}]}}
    control_plane.api.post(f"/api/v1/namespaces/{limited}/limitranges", json=limits).raise_for_status()
    code, found = doctor(control_plane)
    warned = {check: {"warn"} for check in ("nodes", "quotas", "limitranges")}
    assert (code, troubles(found)) == (1, {"labels": {"fail"}, **warned})
    assert f'namespace {bad}: metadata.labels[{ENFORCE}]: "mpss" is not a policy; did you mean "mps"?' in seen(
        found, "labels"
    )
    assert "nvidia.com/mig-7g.80gb" in seen(found, "nodes")
    assert far in found["nodes"][0]["means"]
    assert [one["fix"] for one in found["quotas"]] == [
        "set requests.nvidia.com/gpu instead",
        "add requests.nvidia.com/gpu.shared to the ResourceQuota",
    ]
    assert "sets max, default, defaultRequest for nvidia.com/gpu" in seen(found, "limitranges")


def test_what_may_not_be_read_is_unknown_and_names_the_right(
    control_plane: ControlPlane, running: Installation, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(running.rendered.configuration_file)
    code, found = doctor(control_plane, "--config", str(tmp_path / "config.yaml"), user="passer-by")
    assert code == 0
    assert {status for statuses in troubles(found).values() for status in statuses} == {"unknown"}
    # Kubernetes lets everybody read its version.
    assert set(troubles(found)) == {check.id for check in CHECKS} - {"kubernetes", "configuration", "probe"}
    assert (
        found["webhooks"][0]["fix"]
        == "grant the user who runs doctor the permission: get mutatingwebhookconfigurations/zz-gpuwarden"
    )
    assert found["nodes"][0]["fix"] == "grant the user who runs doctor the permission: list nodes"
    assert found["replicas"][0]["fix"].endswith(f"get deployments/gpuwarden -n {NAMESPACE}")


def test_gpuwardens_own_account_can_look_at_what_it_serves(control_plane: ControlPlane, running: Installation) -> None:
    """It is who runs the command in a replica's pod: ``kubectl exec deploy/gpuwarden -- gpuwarden doctor``."""
    code, found = doctor(control_plane, user=ACCOUNT)
    assert code == 0
    assert {"webhooks", "rules", "calls", "exclusions", "ca-bundles", "trust", "expiry"} & set(troubles(found)) == set()


def test_helm_test_may_read_all_that_doctor_reads(
    control_plane: ControlPlane, running: Installation, chart: Chart
) -> None:
    rendered = render(control_plane, chart, {"helmTest": {"enabled": True}})
    hooks = [each for each in rendered.objects if is_hook(each) and each["kind"] != "Pod"]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": hooks})
    assert control_plane.kubectl("apply", "-f", "-", stdin=manifest).returncode == 0
    try:
        account = f"system:serviceaccount:{NAMESPACE}:gpuwarden-test"
        _, found = doctor(control_plane, user=account)
        missing = {line["fix"] for lines in found.values() for line in lines if line["status"] == "unknown"}
        assert missing == set()
        # Namespaces of other tests may end between two looks.
        wait_for("both to find the same", lambda: doctor(control_plane)[1] == doctor(control_plane, user=account)[1])
    finally:
        control_plane.kubectl("delete", "-f", "-", stdin=manifest)
