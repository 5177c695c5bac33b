"""Scenario: claims of PodGroups, which all pods of a group use (``DRAWorkloadResourceClaims``, alpha and off in Kubernetes 1.36).

The claim is made when the group is created. A pod of the group names only the template, which may be another one by then.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.programs import Programs
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.claims import (
    CLAIM,
    OF_TEMPLATE,
    TEMPLATE,
    Json,
    an_object,
    claiming,
    claims_in,
    denied,
    drivers,
    exactly,
    patch,
    path,
    post,
)
from tests.e2e.dra_driver import GPUS, NICS, NODE, create_before, devices, skip_before_1_36
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, node_of, pod, pod_spec, pods_in

pytestmark = pytest.mark.e2e

API = "scheduling.k8s.io/v1alpha2"
FEATURES = ("GenericWorkload", "GangScheduling", "DRAWorkloadResourceClaims")


@pytest.fixture(scope="module")
def cluster(
    programs: Programs, chart: Chart, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A control plane with the feature, devices that a driver hands out, and gpuwarden."""
    skip_before_1_36(control_plane)
    folder = tmp_path_factory.mktemp("pod-groups")
    served = [f"--runtime-config={API}=true"]
    with (
        ControlPlane(programs, folder / "control-plane", apiserver_flags=served, features=FEATURES) as running,
        Installation(running, chart, folder) as installation,
        devices(running, installation, {}),
    ):
        yield running


@pytest.fixture
def namespace_of(cluster: ControlPlane) -> Iterator[Callable[[str], str]]:
    """Make a namespace with a policy."""
    with Namespaces(cluster) as namespaces:
        yield lambda policy: namespaces.make({ENFORCE: policy})


def a_group(cluster: ControlPlane, namespace: str, **source: str) -> Json:
    spec = {"schedulingPolicy": {"basic": {}}, "resourceClaims": [{"name": "device", **source}]}
    made = {"apiVersion": API, "kind": "PodGroup", "metadata": {"name": "group"}, "spec": spec}
    answer = cluster.api.post(f"/apis/{API}/namespaces/{namespace}/podgroups", json=made)
    answer.raise_for_status()
    created: Json = answer.json()
    return created


def a_member(kind: str, name: str = "one") -> Json:
    whole = pod_spec(GPU, tolerated=True, selector={"kubernetes.io/hostname": NODE})
    return {**whole, **claiming(kind, name), "schedulingGroup": {"podGroupName": "group"}}


def create(cluster: ControlPlane, namespace: str, spec: Json, name: str = "train") -> Any:
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(spec, name))


def refusals(cluster: ControlPlane) -> int:
    """How often a claim that the controller makes was denied."""
    return cluster.files.log("kube-controller-manager").read_text().count("validate-claim.gpuwarden.io")


def test_a_group_gets_no_claim_by_a_template_that_is_replaced_before_its_pods_are_made(
    cluster: ControlPlane, namespace_of: Callable[[str], str]
) -> None:
    """The template is older than the policy. The group is created with it, and its pods with one for network cards."""
    namespace, before = namespace_of("none"), refusals(cluster)
    create_before(cluster, namespace, an_object(TEMPLATE))
    a_group(cluster, namespace, resourceClaimTemplateName="one")
    wait_for("its claim to be denied", lambda: refusals(cluster) > before)
    cluster.api.delete(path(TEMPLATE, namespace, "one")).raise_for_status()
    post(cluster, namespace, an_object(TEMPLATE, exactly(NICS))).raise_for_status()
    create(cluster, namespace, a_member(TEMPLATE)).raise_for_status()
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    assert drivers(cluster, namespace) == {NICS}


def test_a_claim_from_before_is_not_used_by_a_group(cluster: ControlPlane, namespace_of: Callable[[str], str]) -> None:
    namespace = namespace_of("none")
    create_before(cluster, namespace, an_object(CLAIM))
    group = a_group(cluster, namespace, resourceClaimName="one")
    denied(create(cluster, namespace, a_member(CLAIM)))
    owner = {"apiVersion": API, "kind": "PodGroup", "name": "group", "uid": group["metadata"]["uid"]}
    for kind in ("PodGroup", "Pod"):
        given = {
            "annotations": {OF_TEMPLATE: "device"},
            "ownerReferences": [{**owner, "kind": kind, "controller": True}],
        }
        denied(patch(cluster, path(CLAIM, namespace, "one"), {"metadata": given}))


@pytest.mark.parametrize(("policy", "shares"), [("exclusive", False), ("shared", True), ("any", True)])
def test_the_pods_of_a_group_share_its_claim(
    cluster: ControlPlane, namespace_of: Callable[[str], str], policy: str, *, shares: bool
) -> None:
    """So it is denied where GPUs are exclusive."""
    namespace, before = namespace_of(policy), refusals(cluster)
    create_before(cluster, namespace, an_object(TEMPLATE))
    a_group(cluster, namespace, resourceClaimTemplateName="one")
    if not shares:
        wait_for("its claim to be denied", lambda: refusals(cluster) > before)
        assert claims_in(cluster, namespace) == []
        return
    wait_for("its claim", lambda: claims_in(cluster, namespace))
    for name in ("a", "b"):
        answer = create(cluster, namespace, a_member(TEMPLATE), name)
        if policy == "shared":  # a pod's own claim by such a template is exclusive: which one it gets is not known
            denied(answer, "form-not-permitted")
        else:
            answer.raise_for_status()
    if policy == "any":
        wait_for("their nodes", lambda: {node_of(one) for one in pods_in(cluster, namespace)} == {NODE})
        [shared] = claims_in(cluster, namespace)
        assert drivers(cluster, namespace) == {GPUS}
        assert [one["resource"] for one in shared["status"]["reservedFor"]] == ["podgroups"]
