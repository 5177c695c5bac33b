"""20,000 namespaces: how long gpuwarden takes to be ready, how much memory it has, and what a frozen API server does to it.

Minutes on two cores, so it runs when asked for: ``GPUWARDEN_E2E_SCALE=1``. It has a control plane of its own, without
controllers: they would give each namespace its service account, which is not what is measured here.
"""

import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import Programs
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.certificates import bundles
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.gpuwarden import Replica
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, pod, pod_spec
from tests.e2e.telling import tell
from webhook.adapters.kubernetes.watched_namespaces import FRESHNESS_BOUND

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        os.environ.get("GPUWARDEN_E2E_SCALE") != "1", reason="opt-in, takes minutes: GPUWARDEN_E2E_SCALE=1"
    ),
]

Json = dict[str, Any]

NAMESPACES = 20_000
WRITERS = 8
# As a cluster's namespaces are: labels and annotations by the dozen that are not ours.
LABELS = {f"platform.example.test/label-{number}": f"value-{number}" for number in range(8)}
NOTE = "a note of some length, as tools leave them in annotations; " * 3
ANNOTATIONS = {f"platform.example.test/note-{number}": NOTE for number in range(4)}

READY_SECONDS = 30.0
RELIST_SECONDS = 60.0
MEBIBYTE = 1 << 20
MOST_MEMORY = 128 * MEBIBYTE  # half the limit in the chart


@pytest.fixture(scope="module")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this file's own, in the place of the one that all others share."""
    with ControlPlane(programs, tmp_path_factory.mktemp("large")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """gpuwarden, installed when the cluster was small, with 20,000 namespaces since; every tenth has a policy."""
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden")) as running:
        control_plane.kill_controllers()
        began = time.monotonic()
        fill(control_plane)
        tell(f"{NAMESPACES} namespaces made in {time.monotonic() - began:.0f} s")
        yield running


def fill(control_plane: ControlPlane) -> None:
    """Make the namespaces, over several connections."""
    local = threading.local()
    clients: list[httpx.Client] = []

    def create(number: int) -> None:
        if not hasattr(local, "api"):
            local.api = control_plane.client()
            clients.append(local.api)
        labels = LABELS | ({ENFORCE: "shared"} if number % 10 == 0 else {})
        metadata = {"name": f"team-{number}", "labels": labels, "annotations": ANNOTATIONS}
        local.api.post("/api/v1/namespaces", json={"metadata": metadata}).raise_for_status()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(create, range(NAMESPACES)))
    for client in clients:
        client.close()


def review(replica: Replica, ca: bytes, namespace: str) -> httpx.Response:
    """Ask a replica directly, as the API server would, about a plain request in a namespace."""
    request = {
        "uid": "e2e",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": namespace,
        "object": pod(pod_spec(GPU)),
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    context = ssl.create_default_context(cadata=ca.decode())
    return httpx.post(
        f"https://127.0.0.1:{replica.port}/mutate", json=body, verify=context, timeout=30.0, trust_env=False
    )


def rewritten(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.OK and "patch" in answer.json()["response"]


def test_it_is_ready_within_seconds_and_small(installation: Installation) -> None:
    (followed,) = installation.replicas
    began = time.monotonic()
    listed = installation.start_replica()
    listed.wait_until_ready(READY_SECONDS)
    tell(
        f"{listed.metric('gpuwarden_namespaces'):.0f} namespaces listed: ready in {time.monotonic() - began:.1f} s, "
        f"{listed.resident_bytes / MEBIBYTE:.0f} MiB; followed one by one: {followed.resident_bytes / MEBIBYTE:.0f} MiB"
    )
    assert listed.metric("gpuwarden_namespaces") >= NAMESPACES
    for replica in (listed, followed):
        assert replica.resident_bytes < MOST_MEMORY


def test_a_frozen_api_server_is_noticed_and_what_is_known_still_answers(
    control_plane: ControlPlane, installation: Installation
) -> None:
    replica = installation.replicas[0]
    ca = bundles(control_plane)[0]
    assert rewritten(review(replica, ca, "team-10"))
    with control_plane.paused():
        frozen = time.monotonic()
        assert rewritten(review(replica, ca, "team-10"))
        assert not rewritten(review(replica, ca, "team-11"))
        unknown = review(replica, ca, "team-unknown")
        assert unknown.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "did not answer within 1 s" in unknown.json()["message"]
        wait_for("/readyz to say so", lambda: "namespaces" in replica.readiness(), FRESHNESS_BOUND + 30)
        unready = replica.readiness()["namespaces"]
        tell(f"unready {time.monotonic() - frozen:.0f} s after the freeze: {json.dumps(replica.readiness(), indent=1)}")
        assert "namespaces may be stale: nothing from the API server for" in unready
        assert rewritten(review(replica, ca, "team-10"))
    thawed = time.monotonic()
    wait_for("it to be ready again", lambda: not replica.readiness(), RELIST_SECONDS)
    tell(f"ready {time.monotonic() - thawed:.1f} s after the thaw, {replica.resident_bytes / MEBIBYTE:.0f} MiB")
    relabel(control_plane, "team-11")
    wait_for("a new label to act", lambda: rewritten(review(replica, ca, "team-11")), RELIST_SECONDS)


def relabel(control_plane: ControlPlane, namespace: str) -> None:
    change = {"metadata": {"labels": {ENFORCE: "shared"}}}
    control_plane.api.patch(f"/api/v1/namespaces/{namespace}", json=change, headers=MERGE_PATCH).raise_for_status()


def test_after_a_restart_of_the_api_server_all_is_listed_again_if_it_must(
    control_plane: ControlPlane, installation: Installation
) -> None:
    replica = installation.replicas[0]
    ca = bundles(control_plane)[0]
    assert not rewritten(review(replica, ca, "team-21"))
    control_plane.restart_apiserver(grace=0)
    began = time.monotonic()
    relabel(control_plane, "team-21")
    wait_for("a new label to act", lambda: rewritten(review(replica, ca, "team-21")), RELIST_SECONDS)
    tell(
        f"a new label acts {time.monotonic() - began:.1f} s after the restart, "
        f"{replica.resident_bytes / MEBIBYTE:.0f} MiB"
    )
    assert replica.resident_bytes < MOST_MEMORY
