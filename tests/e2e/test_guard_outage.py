"""The guard while nobody answers: ``deny`` holds, the cluster's own pods come, and with ``Ignore`` deny does not hold."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Json
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, create, pod
from webhook.cli.main import app

pytestmark = pytest.mark.e2e

STRICT = {"forms": ["exclusive"], "visibleDevices": "deny"}
LOOSE = {"forms": ["exclusive"], "visibleDevices": "warn"}
BY_POLICY: Json = {"config": {"policies": {"strict": STRICT, "loose": LOOSE}}}
EVERYWHERE: Json = {"config": {"visibleDevices": "deny", "policies": {"loose": LOOSE}}}
OPEN: Json = {**BY_POLICY, "webhooks": {"guard": {"failurePolicy": "Ignore"}}}
PRIVILEGED: Json = {"name": "c", "image": "example.test/c", "securityContext": {"privileged": True}}
HARMLESS: Json = {"name": "c", "image": "example.test/c"}
UNANSWERED = 'failed calling webhook "guard'


@pytest.fixture(scope="module", params=[BY_POLICY, EVERYWHERE, OPEN], ids=["by-policy", "everywhere", "ignore"])
def values(request: pytest.FixtureRequest) -> Json:
    found: Json = request.param
    return found


@pytest.fixture(scope="module")
def exempt(control_plane: ControlPlane) -> Iterator[None]:
    """Namespaces that are exempt, and whose network must not wait for gpuwarden, by the chart's defaults."""
    names = ("gpu-operator", "kube-flannel")
    for name in names:
        made = control_plane.api.post("/api/v1/namespaces", json={"metadata": {"name": name}})
        assert made.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}, made.text
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(f"the service account of {name}", lambda account=account: control_plane.get(account))  # type: ignore[misc]  # mypy can't infer a lambda's default
    yield
    for name in names:
        control_plane.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def strict(installation: Installation, values: Json, make_namespace: Callable[..., str]) -> str:
    """A namespace whose policy denies: a policy of its own, or a built-in one where all deny."""
    return make_namespace({ENFORCE: "shared" if values is EVERYWHERE else "strict"})


@pytest.fixture
def loose(installation: Installation, make_namespace: Callable[..., str]) -> str:
    return make_namespace({ENFORCE: "loose"})


@pytest.fixture
def dead(installation: Installation, strict: str, loose: str, exempt: None) -> Iterator[None]:
    """Nobody answers under any path."""
    with ExitStack() as stack:
        for path in installation.relays:
            stack.enter_context(installation.down(path))
        yield


def refusal(control_plane: ControlPlane, namespace: str, **spec: Any) -> str:
    """Why a privileged pod is refused; empty when it is not."""
    annotations = spec.pop("annotations", {})
    made = pod({"containers": [PRIVILEGED], "automountServiceAccountToken": False, **spec})
    made["metadata"]["annotations"] = annotations
    path = f"/api/v1/namespaces/{namespace}/pods"
    answer = control_plane.api.post(path, params={"dryRun": "All"}, json=made)
    return "" if answer.status_code == httpx.codes.CREATED else str(answer.json()["message"])


def test_deny_holds_as_long_as_it_is_not_ignored(
    control_plane: ControlPlane, values: Json, strict: str, loose: str, request: pytest.FixtureRequest
) -> None:
    assert "denied the request" in refusal(control_plane, strict)
    assert refusal(control_plane, loose) == ""
    request.getfixturevalue("dead")
    while_down = refusal(control_plane, strict)
    if values is OPEN:
        assert while_down == ""
    else:
        assert UNANSWERED in while_down
    assert refusal(control_plane, loose) == ""


def test_deny_holds_while_replicas_are_too_busy_to_answer(
    control_plane: ControlPlane, values: Json, installation: Installation, strict: str
) -> None:
    (replica,) = installation.replicas
    assert "denied the request" in refusal(control_plane, strict)
    replica.process.signal(signal.SIGSTOP)
    try:
        while_frozen = refusal(control_plane, strict)
    finally:
        replica.process.signal(signal.SIGCONT)
        installation.wait_until_serving(replica)  # a relay may have found it unready
    assert (UNANSWERED in while_frozen) is (values is not OPEN)
    assert values is not OPEN or while_frozen == ""


def test_a_namespace_without_a_label_depends_on_it_only_where_it_is_denied_there(
    control_plane: ControlPlane, values: Json, namespace: str, dead: None
) -> None:
    assert (UNANSWERED in refusal(control_plane, namespace)) is (values is EVERYWHERE)


def test_doctor_says_whether_it_holds(control_plane: ControlPlane, values: Json, installation: Installation) -> None:
    kubeconfig = str(control_plane.kubeconfig())
    result = CliRunner().invoke(app, ["doctor", "-o", "json", "--kubeconfig", kubeconfig])
    (found,) = (check for check in json.loads(result.stdout)["checks"] if check["id"] == "guard")
    assert found["status"] == ("warn" if values is OPEN else "ok"), found
    assert 'namespaces with policy "strict"' in found["seen"] or values is EVERYWHERE


@pytest.mark.parametrize("name", ["kube-system", NAMESPACE, "gpu-operator", "kube-flannel"])
def test_the_cluster_gets_its_own_pods(control_plane: ControlPlane, dead: None, name: str) -> None:
    for spec in ({}, {"volumes": [{"name": "d", "hostPath": {"path": "/"}}]}):
        refused = refusal(control_plane, name, **spec)
        # The release's namespace has a Pod Security Standard, which denies such pods by itself.
        assert "webhook" not in refused
        assert refused == "" or name == NAMESPACE


def test_what_is_exempt_does_not_depend_on_it(control_plane: ControlPlane, strict: str, dead: None) -> None:
    assert refusal(control_plane, strict, schedulerName="kai-scheduler") == ""
    mirror = {"kubernetes.io/config.mirror": "x"}
    assert refusal(control_plane, strict, annotations=mirror, nodeName="n") == ""


def test_pods_that_cannot_reach_gpus_do_not_depend_on_it(control_plane: ControlPlane, strict: str, dead: None) -> None:
    assert refusal(control_plane, strict, containers=[HARMLESS]) == ""


def test_a_running_pod_is_debugged_but_not_by_a_privileged_container(
    control_plane: ControlPlane, values: Json, strict: str, request: pytest.FixtureRequest
) -> None:
    # Another test may have left a scheduler running, which must not be faster.
    spec = {"containers": [HARMLESS], "automountServiceAccountToken": False, "schedulerName": "by-hand"}
    create(control_plane, strict, pod(spec))
    binding = {"metadata": {"name": "train"}, "target": {"kind": "Node", "name": "n"}}
    path = f"/api/v1/namespaces/{strict}/pods/train"
    control_plane.api.post(f"{path}/binding", json=binding).raise_for_status()
    request.getfixturevalue("dead")

    def debug(name: str, container: Json) -> httpx.Response:
        added = {"spec": {"ephemeralContainers": [{**container, "name": name}]}}
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        return control_plane.api.patch(f"{path}/ephemeralcontainers", content=json.dumps(added), headers=headers)

    assert control_plane.get(path)["spec"]["nodeName"] == "n"
    assert debug("a", HARMLESS).status_code == httpx.codes.OK
    privileged = debug("b", PRIVILEGED)
    if values is OPEN:
        assert privileged.status_code == httpx.codes.OK
    else:
        assert UNANSWERED in privileged.json()["message"]
    # No kubelet ends a pod of a node that is not there.
    control_plane.api.request("DELETE", path, json={"gracePeriodSeconds": 0}).raise_for_status()
