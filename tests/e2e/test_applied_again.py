"""A bare pod that was rewritten, and its manifest applied again in the ways of people and of GitOps tools."""

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonpatch
import pytest
import yaml

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, container, limits_of, pod

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]

IMMUTABLE = "pod updates may not change fields other than"
SERVER_SIDE = ["apply", "--server-side"]
# GitOps tools apply under a name of their own, and take fields over.
FLUX = [*SERVER_SIDE, "--force-conflicts", "--field-manager=kustomize-controller"]
WAYS = [
    pytest.param(["apply"], id="kubectl apply"),
    pytest.param(SERVER_SIDE, id="server-side apply"),
    pytest.param(FLUX, id="server-side apply of a GitOps tool"),
]
PLAIN = {"containers": [container(GPU)], "terminationGracePeriodSeconds": 1}
# A manifest with lists that an apply replaces whole, and so without what a rewrite added to them.
PARTICULAR = {
    **PLAIN,
    "nodeSelector": {"topology.kubernetes.io/zone": "a"},
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
}


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """Run kubectl with a manifest in a namespace."""

    def run(namespace: str, command: list[str], manifest: Json, *more: str) -> subprocess.CompletedProcess[str]:
        return control_plane.kubectl(*command, *more, "-n", namespace, "-f", "-", stdin=json.dumps(manifest))

    return run


@pytest.fixture
def shared(installation: Installation, make_namespace: Callable[..., str]) -> str:
    """A namespace whose policy is ``shared``."""
    return make_namespace({ENFORCE: "shared"})


def made(control_plane: ControlPlane, namespace: str) -> Json:
    return control_plane.get(f"/api/v1/namespaces/{namespace}/pods/train")


def same_pod(one: Json, other: Json) -> bool:
    """Whether two states are of one pod whose spec nobody has changed but the scheduler."""
    return as_written(one) == as_written(other)


def as_written(found: Json) -> tuple[str, Json]:
    return found["metadata"]["uid"], {**found["spec"], "nodeName": None}


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("spec", [PLAIN, PARTICULAR], ids=["plain", "particular"])
@pytest.mark.parametrize("command", WAYS)
def test_a_manifest_that_is_applied_again_changes_nothing_and_shows_no_difference(
    control_plane: ControlPlane, make_namespace: Callable[..., str], kubectl: Kubectl, command: list[str], spec: Json
) -> None:
    namespace = make_namespace({ENFORCE: "mps"})  # another name, a node selector and a toleration
    assert kubectl(namespace, command, pod(spec)).returncode == 0
    first = made(control_plane, namespace)
    assert limits_of(first) == [{SHARED: "1"}]
    for _ in range(2):
        again = kubectl(namespace, command, pod(spec))
        assert again.returncode == 0, again.stderr
        assert same_pod(made(control_plane, namespace), first)
    dry = kubectl(namespace, command, pod(spec), "--dry-run=server", "-o", "json")
    assert dry.returncode == 0, dry.stderr
    assert same_pod(json.loads(dry.stdout), first)
    difference = kubectl(namespace, ["diff", *command[1:]], pod(spec))
    assert (difference.returncode, difference.stdout) == (0, ""), difference.stderr


@pytest.mark.parametrize("command", WAYS)
def test_what_may_change_of_a_pod_is_changed(
    control_plane: ControlPlane, shared: str, kubectl: Kubectl, command: list[str]
) -> None:
    assert kubectl(shared, command, pod(PLAIN)).returncode == 0
    newer = {**PLAIN, "containers": [{**container(GPU), "image": "example.test/train:2"}]}
    again = kubectl(shared, command, pod(newer))
    assert again.returncode == 0, again.stderr
    found = made(control_plane, shared)
    assert found["spec"]["containers"][0]["image"] == "example.test/train:2"
    assert limits_of(found) == [{SHARED: "1"}]


@pytest.mark.parametrize("command", WAYS)
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"containers": [container(GPU, 2)]}, id="another count"),
        pytest.param({**PLAIN, "hostNetwork": True}, id="another field"),
    ],
)
def test_what_may_not_change_is_denied_by_the_api_server(
    control_plane: ControlPlane, shared: str, kubectl: Kubectl, command: list[str], changed: Json
) -> None:
    assert kubectl(shared, command, pod(PLAIN)).returncode == 0
    first = made(control_plane, shared)
    again = kubectl(shared, command, pod(changed))
    assert again.returncode == 1
    assert IMMUTABLE in again.stderr
    assert same_pod(made(control_plane, shared), first)


def test_under_another_policy_it_is_denied_until_the_pod_is_made_again(
    control_plane: ControlPlane, shared: str, kubectl: Kubectl
) -> None:
    assert kubectl(shared, ["apply"], pod(PLAIN)).returncode == 0
    assert control_plane.kubectl("label", "--overwrite", "namespace", shared, f"{ENFORCE}=mig-1g.5gb").returncode == 0

    def denied() -> str:
        return kubectl(shared, ["apply"], pod(PLAIN)).stderr

    assert IMMUTABLE in wait_for("the new policy to act", denied)
    forced = kubectl(shared, ["replace", "--force"], pod(PLAIN))
    assert forced.returncode == 0, forced.stderr
    assert limits_of(made(control_plane, shared)) == [{"nvidia.com/mig-1g.5gb": "1"}]
    assert kubectl(shared, ["apply"], pod(PLAIN)).returncode == 0


@pytest.mark.parametrize("policy", [None, "shared"])
def test_a_pod_is_replaced_by_force_only_with_gpuwarden_as_without(
    control_plane: ControlPlane,
    installation: Installation,
    make_namespace: Callable[..., str],
    kubectl: Kubectl,
    policy: str | None,
) -> None:
    namespace = make_namespace({ENFORCE: policy} if policy else None)
    assert kubectl(namespace, ["apply"], pod(PLAIN)).returncode == 0
    first = made(control_plane, namespace)
    replaced = kubectl(namespace, ["replace"], pod(PLAIN))
    assert replaced.returncode == 1
    assert IMMUTABLE in replaced.stderr
    assert kubectl(namespace, ["replace", "--force"], pod(PLAIN)).returncode == 0
    second = made(control_plane, namespace)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert limits_of(second) == [{SHARED if policy else GPU: "1"}]


def test_another_field_manager_has_to_take_the_fields_over(
    control_plane: ControlPlane, shared: str, kubectl: Kubectl
) -> None:
    assert kubectl(shared, ["apply"], pod(PLAIN)).returncode == 0
    first = made(control_plane, shared)
    conflict = kubectl(shared, SERVER_SIDE, pod(PLAIN))
    assert conflict.returncode == 1
    assert 'conflict with "kubectl-client-side-apply"' in conflict.stderr
    assert "resources.limits.nvidia.com/gpu" in conflict.stderr
    assert kubectl(shared, SERVER_SIDE, pod(PLAIN), "--force-conflicts").returncode == 0
    assert same_pod(made(control_plane, shared), first)
    assert kubectl(shared, SERVER_SIDE, pod(PLAIN)).returncode == 0


@pytest.mark.parametrize("command", WAYS)
@pytest.mark.parametrize("spec", [PLAIN, PARTICULAR], ids=["plain", "particular"])
def test_a_manifest_that_gpuwarden_rewrote_is_applied_again_on_every_version(
    control_plane: ControlPlane, shared: str, tmp_path: Path, command: list[str], spec: Json
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(json.dumps(pod(spec)))
    rewrite = [str(PROGRAM), "rewrite", "--in-place", "--policy=shared", str(file)]
    done = subprocess.run(rewrite, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "nvidia.com/gpu.shared" in file.read_text()
    for _ in range(2):
        applied = control_plane.kubectl(*command, "-n", shared, "-f", str(file))
        assert applied.returncode == 0, applied.stderr
    first = made(control_plane, shared)
    last = control_plane.kubectl(*command, "-n", shared, "-f", str(file))
    assert last.returncode == 0, last.stderr
    assert same_pod(made(control_plane, shared), first)
    assert control_plane.kubectl("diff", *command[1:], "-n", shared, "-f", str(file)).returncode == 0


def ignored_by_argo_cd() -> list[str]:
    """The JSON pointers that the page tells Argo CD to ignore."""
    page = (Path(__file__).parents[2] / "docs/how-to/bare-pods.md").read_text()
    (example,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "ignoreDifferences" in block]
    (ignored,) = yaml.safe_load(example)["spec"]["ignoreDifferences"]
    pointers: list[str] = ignored["jsonPointers"]
    return pointers


@pytest.mark.parametrize("spec", [PLAIN, PARTICULAR], ids=["plain", "particular"])
def test_what_argo_cd_compares_is_the_same_without_the_fields_that_the_documentation_lists(
    control_plane: ControlPlane, shared: str, kubectl: Kubectl, spec: Json
) -> None:
    """Argo CD's own comparison is a strategic merge of the manifest into the pod; the API server makes it here."""
    assert kubectl(shared, ["apply"], pod(spec)).returncode == 0
    first = made(control_plane, shared)
    sent = copy.deepcopy(pod(spec))
    for pointer in ignored_by_argo_cd():
        try:
            sent = jsonpatch.apply_patch(sent, [{"op": "remove", "path": pointer}])
        except jsonpatch.JsonPatchConflict:
            assert spec is PLAIN, f"{pointer} is not in the manifest"
    path, headers = (
        f"/api/v1/namespaces/{shared}/pods/train",
        {"Content-Type": "application/strategic-merge-patch+json"},
    )
    answer = control_plane.api.patch(path, params={"dryRun": "All"}, content=json.dumps(sent), headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    assert same_pod(answer.json(), first)


def test_other_updates_of_a_rewritten_pod_never_reach_gpuwarden(
    control_plane: ControlPlane, installation: Installation, shared: str, kubectl: Kubectl
) -> None:
    def asked() -> float:
        (replica,) = installation.replicas
        return replica.metric("gpuwarden_request_duration_seconds_count", path="/mutate")

    assert kubectl(shared, ["apply"], pod(PLAIN)).returncode == 0
    before, path = asked(), f"/api/v1/namespaces/{shared}/pods/train"
    assert before > 0
    changes: list[tuple[str, Json]] = [
        (path, {"metadata": {"labels": {"team": "vision"}, "finalizers": ["gpuwarden.test/hold"]}}),
        (f"{path}/status", {"status": {"phase": "Running"}}),
        (path, {"metadata": {"annotations": {"note": "kept"}}}),
    ]
    api = control_plane.api
    for where, change in changes:
        assert api.patch(where, json=change, headers=MERGE_PATCH).status_code == httpx.codes.OK
    assert api.delete(path).status_code in (httpx.codes.OK, httpx.codes.ACCEPTED)
    released = api.patch(path, json={"metadata": {"finalizers": None}}, headers=MERGE_PATCH)
    assert released.status_code == httpx.codes.OK, released.text
    wait_for("the pod to be gone", lambda: api.get(path).status_code == httpx.codes.NOT_FOUND)
    assert asked() == before


def test_without_an_answer_the_api_server_denies_it_as_it_would_without_gpuwarden(
    control_plane: ControlPlane, installation: Installation, shared: str, kubectl: Kubectl
) -> None:
    assert kubectl(shared, ["apply"], pod(PLAIN)).returncode == 0
    with installation.down("/mutate"):
        again = kubectl(shared, ["apply"], pod(PLAIN))
        newer = {**PLAIN, "containers": [{**container(SHARED), "image": "example.test/train:2"}]}
        changed = kubectl(shared, ["apply"], pod(newer))
    assert again.returncode == 1
    assert IMMUTABLE in again.stderr
    assert changed.returncode == 0, changed.stderr
