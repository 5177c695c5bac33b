"""What gpuwarden does while it can't reach the API server, though the API server reaches it; and when the server freezes."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from hack.render_manifests import ACCOUNT
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, limits_of, pod, pod_spec
from tests.e2e.relay import Relay
from webhook.adapters.kubernetes.namespace_cache import FETCHED_LIFE

pytestmark = pytest.mark.e2e

# The backoff's longest pause is what it may take until gpuwarden tries again.
RECOVERY_SECONDS = 30.0


@pytest.fixture(scope="module")
def way() -> Iterator[Relay]:
    """What stands between gpuwarden and the API server."""
    with Relay() as relay:
        yield relay


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, way: Relay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Gpuwarden with one replica, which reaches the API server through ``way``."""
    directory = tmp_path_factory.mktemp("gpuwarden")
    way.add(control_plane.port)
    wait_for("the way to be open", lambda: way.ready)
    configuration = json.loads(control_plane.kubeconfig(ACCOUNT).read_text())
    configuration["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{way.port}"
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(json.dumps(configuration))
    with Installation(control_plane, chart, directory, kubeconfig=kubeconfig) as running:
        yield running


def attempt(control_plane: ControlPlane, namespace: str, resource: str = GPU) -> httpx.Response:
    spec: dict[str, Any] = pod_spec(resource) | {"automountServiceAccountToken": False}
    return control_plane.api.post(f"/api/v1/namespaces/{namespace}/pods", params={"dryRun": "All"}, json=pod(spec))


def test_cut_off_it_evaluates_by_what_it_knows_and_refuses_gpus_where_it_knows_nothing(
    control_plane: ControlPlane, installation: Installation, way: Relay, make_namespace: Callable[..., str]
) -> None:
    (replica,) = installation.replicas
    known = make_namespace({ENFORCE: "shared"})

    def is_cached() -> bool:
        """Whether the watch has brought the namespace: a live read is remembered for a second only."""
        found = {"name": "gpuwarden_namespace_cache_misses_total", "outcome": "found"}
        before = replica.metric(**found)
        time.sleep(FETCHED_LIFE)
        assert limits_of(attempt(control_plane, known).json()) == [{SHARED: "1"}]
        return replica.metric(**found) == before

    wait_for("the namespace to be cached", is_cached)
    way.open = False
    way.cut()
    try:
        unknown = make_namespace({ENFORCE: "shared"})
        assert limits_of(attempt(control_plane, known).json()) == [{SHARED: "1"}]
        refused = attempt(control_plane, unknown)
        assert refused.status_code == httpx.codes.INTERNAL_SERVER_ERROR
        assert 'failed calling webhook "validate.gpuwarden.io"' in refused.json()["message"]
        # The API server asks again until the webhook's time is over, and then tells of that alone; gpuwarden tells more.
        assert replica.metric("gpuwarden_namespace_cache_misses_total", outcome="unavailable") > 0
        assert attempt(control_plane, unknown, "cpu").status_code == httpx.codes.CREATED
    finally:
        way.open = True
    # What failed was not remembered as "no policy", nor as anything.
    assert limits_of(attempt(control_plane, unknown).json()) == [{SHARED: "1"}]
    relabelled = control_plane.kubectl("label", "--overwrite", "namespace", known, f"{ENFORCE}=exclusive")
    assert relabelled.returncode == 0, relabelled.stderr
    wait_for(
        "the watch to go on",
        lambda: limits_of(attempt(control_plane, known).json()) == [{GPU: "1"}],
        RECOVERY_SECONDS,
    )


def test_after_a_frozen_api_server_goes_on_so_does_gpuwarden(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    with control_plane.paused():
        (replica,) = installation.replicas
        assert replica.readiness() == {}  # for a moment nobody can tell frozen from quiet
    relabelled = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"{ENFORCE}=exclusive")
    assert relabelled.returncode == 0, relabelled.stderr
    wait_for("the label to act", lambda: limits_of(attempt(control_plane, namespace).json()) == [{GPU: "1"}])
    replica.wait_until_ready()


def test_a_restarted_api_server_is_followed_again(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    control_plane.restart_apiserver(grace=0)
    wait_for("gpuwarden to be called again", installation.acts)
    relabelled = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"{ENFORCE}=exclusive")
    assert relabelled.returncode == 0, relabelled.stderr
    wait_for(
        "the label to act",
        lambda: limits_of(attempt(control_plane, namespace).json()) == [{GPU: "1"}],
        RECOVERY_SECONDS,
    )
