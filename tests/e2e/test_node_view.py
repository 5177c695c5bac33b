"""What the webhook says of requests that no node can run, on nodes of a real API server."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.fleet import Fleet, Node
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, create, deployment, pod, pod_spec, pods_in

pytestmark = pytest.mark.e2e

PROFILE = "nvidia.com/mig-1g.10gb"
MIG = Node("cut", {PROFILE: 7}, {"nvidia.com/gpu.present": "true", "nvidia.com/mig.strategy": "mixed"})
SHARED = Node(
    "sliced", {"nvidia.com/gpu.shared": 4}, {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.sharing-strategy": "mps"}
)
CONFIGURATION = {
    "policies": {
        "strict": {"forms": ["mig-1g.10gb"], "notOffered": "deny"},
        "offered": {"forms": ["mig-2g.20gb", "shared"], "prefer": "offered"},
    }
}
Speaks = Callable[[str, dict[str, Any]], str]


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[Fleet]:
    with Fleet(control_plane, (SHARED,)) as running:
        yield running


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, nodes: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with Installation(
        control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values={"config": CONFIGURATION}
    ) as running:
        yield running


@pytest.fixture
def dry_run(control_plane: ControlPlane, installation: Installation) -> Speaks:
    def said(namespace: str, manifest: dict[str, Any]) -> str:
        """What kubectl prints of an object that would be created."""
        options = ("create", "-n", namespace, "--dry-run=server", "-o", "name", "-f", "-")
        return control_plane.kubectl(*options, stdin=json.dumps(manifest)).stderr

    return said


def test_a_user_reads_a_warning_while_no_node_offers_the_form_and_none_once_one_does(
    control_plane: ControlPlane, nodes: Fleet, dry_run: Speaks, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "mig-1g.10gb"})
    strict = make_namespace({ENFORCE: "strict"})
    wanted = pod(pod_spec(GPU, tolerated=True))
    lacking = (
        'container "train": no node offers mig-1g.10gb (nvidia.com/mig-1g.10gb); no node has nvidia.com/mig-1g.10gb; the pod '
        "stays Pending unless an autoscaler adds such a node; the nearest offer is "
    )

    assert wait_for("a warning", lambda: dry_run(namespace, wanted)).startswith(f"Warning: {lacking}")
    assert f"Warning: {lacking}" in dry_run(namespace, deployment(pod_spec(GPU, tolerated=True)))
    assert f"denied the request: {lacking}" in dry_run(strict, wanted)
    assert "would be denied: " + lacking.partition(";")[0] in dry_run(strict, deployment(pod_spec(GPU, tolerated=True)))
    assert 'no node offers what policy "mig-1g.10gb" requests' in _relabelled(control_plane, make_namespace())

    nodes.add(MIG)
    try:
        wait_for("the warning to end", lambda: not dry_run(namespace, wanted))
        assert not dry_run(strict, wanted)
        eight = pod(pod_spec(GPU, count=8, tolerated=True))
        assert "nvidia.com/mig-1g.10gb: 8 is more than any one node has (7 at most)" in dry_run(namespace, eight)

        with nodes.cordoned(MIG.name):
            said = wait_for("a warning of the cordoned node", lambda: dry_run(namespace, wanted))
            assert "1 node has it, but 1 is cordoned" in said
            assert "1 is cordoned" in dry_run(strict, wanted)
            assert "denied" not in dry_run(strict, wanted)
    finally:
        nodes.remove(MIG.name)
    wait_for("what was offered lately to count", lambda: not dry_run(namespace, wanted))


def _relabelled(control_plane: ControlPlane, namespace: str) -> str:
    """What kubectl prints of a namespace that would get a label."""
    return control_plane.kubectl("label", "--dry-run=server", "namespace", namespace, f"{ENFORCE}=mig-1g.10gb").stderr


def test_a_plain_request_gets_the_first_form_that_nodes_offer_where_the_policy_says_so(
    control_plane: ControlPlane, nodes: Fleet, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "offered"})
    created = 0

    def limits() -> dict[str, str]:
        nonlocal created
        created += 1
        create(control_plane, namespace, pod(pod_spec(GPU, tolerated=True), f"train-{created}"))
        (found,) = [one for one in pods_in(control_plane, namespace) if one["metadata"]["name"] == f"train-{created}"]
        return dict(found["spec"]["containers"][0]["resources"]["limits"])

    wait_for("the second form", lambda: limits() == {"nvidia.com/gpu.shared": "1"})
    larger = Node("larger", {"nvidia.com/mig-2g.20gb": 3}, MIG.labels)
    nodes.add(larger)
    try:
        wait_for("the first form", lambda: limits() == {"nvidia.com/mig-2g.20gb": "1"})
    finally:
        nodes.remove(larger.name)
