"""Scenario 9: install, upgrade and uninstall by Helm, while pods are created all the time."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.certificates import bundles
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.installation import MUTATING, SECRET, VALIDATING, configuration_path, render
from tests.e2e.objects import ENFORCE, GPU, MIG
from tests.e2e.release import Release
from tests.e2e.running import PROBE, Running, is_forgotten
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

Json = dict[str, Any]

AUDIT = {"install": {"mode": "audit"}}
ENFORCED = {
    "install": {"mode": "enforce"},
    "config": {"policies": {"inference": {"forms": ["mig-1g.5gb"]}}},
    "webhooks": {"mutate": {"timeoutSeconds": 4}},
    "replicas": 3,
}
# What comes and goes by itself, or is this file's own.
PASSING = ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "pods", "namespaces")


def everything(control_plane: ControlPlane) -> set[str]:
    """Every object of the cluster, as ``namespace/kind/name``, but for what comes and goes and what is the tests' own."""
    known = control_plane.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    kinds = [kind for kind in known if kind not in PASSING]
    template = '{range .items[*]}{.metadata.namespace}/{.kind}/{.metadata.name}{"\\n"}{end}'
    listed = control_plane.kubectl("get", ",".join(kinds), "-A", "-o", f"jsonpath={template}")
    assert listed.returncode == 0, listed.stderr
    names = set(listed.stdout.split())
    # What Kubernetes itself puts into a namespace, it has put into the probe's too.
    given = {name.removeprefix(f"{PROBE}/") for name in names if name.startswith(f"{PROBE}/")}
    return {name for name in names if not name.startswith("e2e-") and name.removeprefix(f"{NAMESPACE}/") not in given}


def nothing_is_left(control_plane: ControlPlane, before: set[str]) -> None:
    """Wait until there is nothing that was not there before: the garbage collector takes what belonged to Deployments."""

    def gone() -> bool:
        left = everything(control_plane) - before
        if left:
            raise AssertionError(sorted(left))
        return True

    wait_for("everything to be gone", gone)


def test_pods_are_created_through_install_upgrade_and_uninstall_and_nothing_of_ours_is_left(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    before = everything(bare)
    unlabelled, labelled = make_namespace(), make_namespace({ENFORCE: "inference"})
    with ExitStack() as stack:
        without_gpu = stack.enter_context(PodStream(bare, unlabelled, resource="cpu", connections=2))
        plain = stack.enter_context(PodStream(bare, make_namespace(), connections=2))

        # As the chart advises: audit mode first, in which nobody depends on gpuwarden while it starts.
        assert "gpuwarden doctor" in release.install(AUDIT)
        relayed.wait_until_serving(relayed.start_replica(), relayed.start_replica())
        wait_for("gpuwarden to warn", relayed.acts)

        trusted = bundles(bare)
        assert "trusts no certificate" not in release.upgrade(ENFORCED), "it has a caBundle"
        assert bundles(bare) == trusted  # an upgrade takes no caBundle away
        changed = bare.get(configuration_path(MUTATING))["webhooks"][0]
        assert changed["timeoutSeconds"] == 4
        assert bare.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gpuwarden")["spec"]["replicas"] == 3
        relayed.reconfigure(render(bare, chart, ENFORCED))
        # Each replica reads its file when it has changed, not all in the same moment. Between them, a pod may meet two
        # policies and be refused as not rewritten; its controller then tries again.
        with PodStream(bare, labelled, connections=2) as settling:
            wait_for("the new policy to act", lambda: {attempt.asks for attempt in settling.attempts[-40:]} == {MIG})
        rewritten = stack.enter_context(PodStream(bare, labelled, connections=2))
        rewritten.wait_for_more(50)
        enforced = rewritten.attempts

        uninstalling = time.monotonic()
        release.uninstall()
        wait_for("the API server to forget the webhooks", lambda: is_forgotten(bare))
        gone = time.monotonic()
        for stream in (without_gpu, plain, rewritten):
            stream.wait_for_more(20)
    # Helm 3 deletes what answers before the webhook configurations, and the mutating one before the validating one.
    moment = (uninstalling, gone if release.helm_3 else uninstalling)
    for stream in (without_gpu, plain, rewritten):
        tell(stream.report())
        assert [f for f in stream.failures if not moment[0] < f.began < moment[1]] == [], stream.report()
    assert without_gpu.failures == []
    assert {attempt.asks for attempt in enforced} == {MIG}
    assert {attempt.asks for attempt in plain.attempts} == {GPU}
    assert {attempt.asks for attempt in rewritten.attempts[-4:]} == {GPU}
    nothing_is_left(bare, before)
    # The replicas, which have not been stopped yet, may not bring their Secret back.
    for replica in relayed.replicas:
        wait_for("a tick", lambda replica=replica: replica.metric("gpuwarden_certificate_failures_total") > 0)  # type: ignore[misc]  # mypy can't infer a lambda's default
    assert bare.api.get(SECRET).status_code == httpx.codes.NOT_FOUND
    nothing_is_left(bare, before)


def test_an_upgrade_that_sets_the_first_limit_adds_the_webhook_for_reservations_and_the_right_that_it_needs(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    without: Json = {"install": {"mode": "enforce"}}
    limited = without | {"config": {"policies": {"two": {"forms": ["any"], "maxPerPod": 2}}}}
    requests = [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]
    results = [{"request": "gpu", "driver": "gpu.nvidia.com", "pool": "node", "device": "gpu-0"}]
    claim = {"metadata": {"name": "gpu"}, "spec": {"devices": {"requests": requests}}}
    nobody = {"resource": "pods", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}
    given = {"status": {"allocation": {"devices": {"results": results}}, "reservedFor": [nobody]}}

    def rendered() -> tuple[bool, bool]:
        webhooks = bare.get(configuration_path(VALIDATING))["webhooks"]
        rules = bare.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuwarden")["rules"]
        return (
            "validate-reservation.gpuwarden.io" in {one["name"] for one in webhooks},
            any(rule["resources"] == ["pods"] and rule["verbs"] == ["get"] for rule in rules),
        )

    def says(namespace: str, expected: str) -> bool:
        """Whether the API server says this when a claim is given to a pod that does not exist."""
        claims = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
        answer = bare.api.patch(f"{claims}/gpu/status", headers=MERGE_PATCH, json=given, params={"dryRun": "All"})
        assert expected in answer.text, answer.text
        return True

    release.install(without)
    relayed.reconfigure(render(bare, chart, without))
    relayed.wait_until_serving(relayed.start_replica())
    wait_for("gpuwarden to act", relayed.acts)
    assert rendered() == (False, False)
    namespace = make_namespace({ENFORCE: "any"})
    bare.api.post(f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims", json=claim).raise_for_status()
    assert says(namespace, '"reservedFor"')

    release.upgrade(limited)
    assert rendered() == (True, True)
    relayed.reconfigure(render(bare, chart, limited))
    label = {"metadata": {"labels": {ENFORCE: "two"}}}
    at = f"/api/v1/namespaces/{namespace}"
    wait_for("the policy", lambda: bare.api.patch(at, headers=MERGE_PATCH, json=label).is_success)
    wait_for("reservations to be evaluated", lambda: says(namespace, "which does not exist"))

    release.upgrade(without)
    assert rendered() == (False, False)
    relayed.reconfigure(render(bare, chart, without))
    wait_for("reservations to be free again", lambda: says(namespace, '"reservedFor"'))


def test_a_release_whose_replicas_never_ran_is_uninstalled_and_leaves_nothing_failing_closed(
    bare: ControlPlane, release: Release, namespace: str
) -> None:
    before = everything(bare)
    with PodStream(bare, namespace, resource="cpu", connections=2) as without_gpu:
        release.install(ENFORCED)
        without_gpu.wait_for_more(50)
        assert without_gpu.failures == [], without_gpu.report()
        with PodStream(bare, namespace, connections=1) as refused:
            wait_for("pods with a GPU to be refused", lambda: refused.failures)
            release.uninstall()
            wait_for("them to be created again", lambda: refused.attempts[-1].asks == GPU)
            last = time.monotonic()
            refused.wait_for_more(20)
            assert [failure for failure in refused.failures if failure.began > last] == []
    nothing_is_left(bare, before)
