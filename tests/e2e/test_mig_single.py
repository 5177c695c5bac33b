"""Forms that only node labels tell apart, put to a real scheduler: MIG slices under strategy single, and GKE's node pools.

Every node here offers ``nvidia.com/gpu``. The taint keeps them from pods of other tests.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from testing.control_plane.cluster import ControlPlane
from tests.e2e.fleet import Fleet, Node
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, MIG, Json, create, node_of_the_only_pod, pod, pod_spec
from webhook.cli.main import app

pytestmark = pytest.mark.e2e

MODEL = "NVIDIA-A100-SXM4-40GB"


def _sliced(name: str, profile: str, slices: str, memory: str) -> Node:
    """A node as GPU feature discovery labels it where all its GPUs are cut alike."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": f"{MODEL}-MIG-{profile}",
        "nvidia.com/gpu.slices.gi": slices,
        "nvidia.com/gpu.slices.ci": slices,
        "nvidia.com/gpu.memory": memory,
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.strategy": "single",
    }
    return Node(name, {GPU: 56}, labels)


INVALID = f"{MODEL}-MIG-INVALID"


def _gke(name: str, **labels: str) -> Node:
    return Node(
        name, {GPU: 56}, {f"cloud.google.com/gke-{key.replace('_', '-')}": value for key, value in labels.items()}
    )


NODES = (
    _sliced("slices-1g-5gb", "1g.5gb", "1", "4864"),
    _sliced("slices-1g-10gb", "1g.10gb", "1", "9856"),
    _sliced("slices-2g-10gb", "2g.10gb", "2", "9856"),
    Node(
        "uncut",
        {GPU: 8},
        {
            "nvidia.com/gpu.product": MODEL,
            "nvidia.com/gpu.memory": "40536",
            "nvidia.com/gpu.sharing-strategy": "none",
            "nvidia.com/mig.strategy": "single",
        },
    ),
    Node("invalid", {GPU: 0}, {"nvidia.com/gpu.product": INVALID, "nvidia.com/mig.strategy": "single"}),
    _gke("pool-mig-shared", gpu_partition_size="2g.10gb", gpu_sharing_strategy="mps", max_shared_clients_per_gpu="4"),
    _gke("pool-mig", gpu_partition_size="2g.10gb"),
    _gke("pool-shared", gpu_sharing_strategy="mps", max_shared_clients_per_gpu="4"),
)


@pytest.fixture(scope="module", autouse=True)
def nodes(control_plane: ControlPlane) -> Iterator[None]:
    with Fleet(control_plane, NODES):
        yield


@pytest.fixture(scope="module", params=["by size", "by product"])
def values(request: pytest.FixtureRequest) -> Json:
    products = [MODEL] if request.param == "by product" else []
    return {"config": {"devicePlugin": {"migStrategy": "single", "products": products}}}


@pytest.mark.parametrize(
    "case",
    [
        ("mig-1g.5gb", GPU, "slices-1g-5gb"),
        ("mig-1g.10gb", GPU, "slices-1g-10gb"),
        ("mig-2g.10gb", GPU, "slices-2g-10gb"),
        ("mig-1g.5gb", MIG, "slices-1g-5gb"),
        ("gke-mig-2g.10gb", GPU, "pool-mig"),
        ("gke-mig-2g.10gb-mps-4", GPU, "pool-mig-shared"),
        ("gke-mps-4", GPU, "pool-shared"),
    ],
)
def test_a_pod_lands_on_the_one_node_that_has_its_form(
    control_plane: ControlPlane,
    installation: Installation,
    make_namespace: Callable[..., str],
    case: tuple[str, str, str],
) -> None:
    policy, resource, node = case
    namespace = make_namespace({ENFORCE: policy})
    create(control_plane, namespace, pod(pod_spec(resource, tolerated=True)))

    assert node_of_the_only_pod(control_plane, namespace) == node


def test_a_whole_gpu_is_no_slice(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "exclusive"})
    create(control_plane, namespace, pod(pod_spec(GPU, count=8, tolerated=True)))
    (found,) = control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    terms = found["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert terms == {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "nvidia.com/gpu.slices.gi", "operator": "DoesNotExist"}]}]
    }
    assert not node_of_the_only_pod(control_plane, namespace).startswith("slices-")


def test_a_pod_that_selected_its_slices_by_product_stays_as_it_is(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "mig-1g.10gb"})
    selector = {"nvidia.com/gpu.product": f"{MODEL}-MIG-1g.10gb"}
    create(control_plane, namespace, pod(pod_spec(GPU, tolerated=True, selector=selector)))
    (found,) = control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]

    assert found["spec"]["nodeSelector"] == selector
    assert "affinity" not in found["spec"]
    assert "gpuwarden.io/policy" not in found["metadata"].get("annotations", {})
    assert node_of_the_only_pod(control_plane, namespace) == "slices-1g-10gb"


@pytest.mark.parametrize(
    ("product", "why"),
    [("Tesla-T4", "Tesla-T4 has no MIG profile 1g.5gb (it has no MIG)"), (INVALID, f"offer no GPU; select {MODEL}")],
)
def test_a_product_of_no_node_with_slices_is_denied(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str], product: str, why: str
) -> None:
    namespace = make_namespace({ENFORCE: "mig-1g.5gb"})
    wanted = pod(pod_spec(GPU, tolerated=True, selector={"nvidia.com/gpu.product": product}))
    answer = control_plane.api.post(f"/api/v1/namespaces/{namespace}/pods", json=wanted)

    assert answer.is_error
    assert f"is not on nodes with nvidia.com/gpu.product: {product}, which the pod selects" in answer.text
    assert why in answer.text


def _strategy(control_plane: ControlPlane, configuration: Path) -> dict[str, str]:
    """What doctor says of the MIG strategy, by its status. The command must fail where that does."""
    options = ["-o", "json", "--kubeconfig", str(control_plane.kubeconfig("admin")), "--config", str(configuration)]
    result = CliRunner().invoke(app, ["doctor", *options])
    found = {one["status"]: one["seen"] for one in json.loads(result.stdout)["checks"] if one["id"] == "mig-strategy"}
    assert result.exit_code == 1 or "fail" not in found
    return found


@pytest.fixture
def configuration(installation: Installation, tmp_path: Path) -> Path:
    """The file of what is installed, to be changed."""
    file = tmp_path / "config.yaml"
    file.write_text(installation.rendered.configuration_file)
    return file


def test_doctor_fails_where_the_nodes_have_strategy_single_and_the_configuration_mixed(
    control_plane: ControlPlane, configuration: Path
) -> None:
    configuration.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\n")
    found = _strategy(control_plane, configuration)

    assert found.keys() == {"fail"}
    assert found["fail"].startswith("migStrategy is mixed in the configuration, and single on node ")
    assert "invalid" in found["fail"]


def test_doctor_fails_where_the_nodes_have_strategy_mixed_and_the_configuration_single(
    control_plane: ControlPlane, configuration: Path
) -> None:
    mixed = Node("cut-mixed", {MIG: 7}, {"nvidia.com/gpu.product": MODEL, "nvidia.com/mig.strategy": "mixed"})
    with Fleet(control_plane, (mixed,)):
        found = _strategy(control_plane, configuration)

    assert found.keys() == {"fail"}
    assert found["fail"].startswith("migStrategy is single in the configuration, and mixed on node cut-mixed")
