"""Scenario: `kubectl apply` of an operator's object whose pods would be denied later says so at once, and is not denied itself."""

from collections.abc import Callable, Iterator

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, Json, as_list, container
from tests.e2e.operator_definitions import DEFINITIONS
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

BECAUSE = f"{GPU}: 2 cannot be shared under namespace policy"


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane, installation: Installation) -> Iterator[None]:
    """The definitions: they come after gpuwarden, whose rules name groups that the API server does not have until then."""
    assert installation.replicas
    done = control_plane.kubectl("apply", "-f", "-", stdin=as_list(DEFINITIONS))
    assert done.returncode == 0, done.stderr
    for one in DEFINITIONS:
        spec = one["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        wait_for(f"{one['metadata']['name']} to be served", lambda path=path: control_plane.api.get(path).is_success)  # type: ignore[misc]  # mypy can't infer a lambda's default
    yield
    control_plane.kubectl("delete", "--wait=false", "-f", "-", stdin=as_list(DEFINITIONS))


@pytest.fixture
def shared(kinds: None, make_namespace: Callable[..., str]) -> str:
    assert kinds is None
    return make_namespace({ENFORCE: "shared"})


def apply(control_plane: ControlPlane, namespace: str, *manifests: Json) -> list[str]:
    """The warnings of a ``kubectl apply`` that succeeds."""
    done = control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=as_list(manifests))
    tell(done.stderr)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("Warning: ") for line in done.stderr.splitlines() if line.startswith("Warning: ")]


def template(resource: str = GPU, count: int = 2) -> Json:
    return {"spec": {"containers": [container(resource, count)]}}


def an(api_version: str, kind: str, spec: Json) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "train"}, "spec": spec}


def ray_cluster(resource: str = GPU, count: int = 2) -> Json:
    workers = {"groupName": "gpu", "replicas": 3, "template": template(resource, count)}
    return an(
        "ray.io/v1", "RayCluster", {"headGroupSpec": {"template": template("cpu", 1)}, "workerGroupSpecs": [workers]}
    )


def test_a_ray_cluster_whose_workers_would_be_denied_says_so(control_plane: ControlPlane, shared: str) -> None:
    (warning,) = apply(control_plane, shared, ray_cluster())
    assert warning.startswith("spec.workerGroupSpecs[0].template (3 pods): would be denied: "), warning
    assert BECAUSE in warning
