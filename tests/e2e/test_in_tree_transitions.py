"""Webhooks, webhooks with admission policies, admission policies alone, and back by helm, while pods are created all the time."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.cli.commands import run
from tests.deploy.chart import Chart
from tests.e2e.installation import CONFIGURATION_KINDS, MUTATING, configuration_path, render
from tests.e2e.objects import ENFORCE, GPU, SHARED, container, pod, pod_spec
from tests.e2e.release import Release
from tests.e2e.running import Running, is_forgotten
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell
from tests.e2e.test_doctor import doctor, seen, troubles
from webhook.application.certificates.tokens import path_of

pytestmark = pytest.mark.e2e

WEBHOOKS: Mapping[str, Any] = {"inTree": {"enabled": False}}  # without any value, helm takes the last ones
BOTH = {"inTree": {"enabled": True}}
ALONE = {"inTree": {"only": True}}
POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
# A sidecar's request is the webhooks'.
SIDECAR = {"initContainers": [container(GPU, name="side") | {"restartPolicy": "Always"}]}


def webhooks(control_plane: ControlPlane) -> list[dict[str, Any]]:
    """Gpuwarden's webhooks, as the API server has them."""
    found = [control_plane.get(configuration_path(kind)) for kind in CONFIGURATION_KINDS]
    return [webhook for configuration in found for webhook in configuration["webhooks"]]


def are_trusted(control_plane: ControlPlane) -> bool:
    """Whether each webhook has its caBundle and its path."""
    configs = {webhook["name"]: webhook["clientConfig"] for webhook in webhooks(control_plane)}
    return all(
        "caBundle" in config and config["service"].get("path", "").startswith(f"{path_of(name)}/")
        for name, config in configs.items()
    )


def leaves_out(control_plane: ControlPlane) -> bool:
    """Whether the webhook for pods is not asked about the common case of ``shared``."""
    (whole,) = [each for each in webhooks(control_plane) if each["name"] == "mutate.gpuwarden.io"]
    return any("shared" in each.get("values", ()) for each in whole["namespaceSelector"]["matchExpressions"])


def test_no_pod_is_lost_or_undecided_on_the_way_to_the_api_server_and_back(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    namespace, elsewhere = make_namespace({ENFORCE: "shared"}), make_namespace({ENFORCE: "shared"})
    relayed.reconfigure(render(bare, chart, WEBHOOKS))
    with ExitStack() as stack:
        stack.callback(release.uninstall)
        release.install(WEBHOOKS)
        relayed.wait_until_serving(relayed.start_replica())
        wait_for("gpuwarden to act", relayed.acts)
        common = stack.enter_context(PodStream(bare, namespace, connections=2))
        with PodStream(bare, elsewhere, connections=1, more=SIDECAR) as others:
            assert "run the same helm upgrade again" in release.upgrade(BOTH)
            assert not leaves_out(bare), "the policies may not act yet"
            wait_for("the new parts to be trusted", lambda: are_trusted(bare))
            said = release.upgrade(BOTH)
            assert leaves_out(bare)
            assert "decides the common case of every policy without calling the webhooks" in said
            assert "run the same helm upgrade again" not in said
            others.wait_for_more(20)
        all_decided(others)

        said = release.upgrade(ALONE)
        assert "only admission policies are installed, and no replicas" in said
        assert "rollout status" not in said, "there is no Deployment"
        assert bare.api.get(configuration_path(MUTATING)).status_code == httpx.codes.NOT_FOUND
        relayed.kill_all()
        common.wait_for_more(20)
        # Of validating policies the API server counts denials, as invalid_error, and errors only.
        denied = bare.api.post(f"/api/v1/namespaces/{elsewhere}/pods", json=pod(pod_spec(GPU, count=2)))
        assert denied.status_code == httpx.codes.FORBIDDEN
        metrics = bare.api.get("/metrics").text
        for kind, more in (
            ("mutating", 'error_type="no_error",'),
            ("validating", 'enforcement_action="deny",error_type="invalid_error",'),
        ):
            for name in ("check_total", "check_duration_seconds_bucket"):
                series = f"apiserver_{kind}_admission_policy_{name}{{{more}"
                found = [line for line in metrics.splitlines() if line.startswith(f"apiserver_{kind}_admission_policy")]
                assert series in metrics, f"the dashboard and the alert go by it: {found[:9]}"

        wait_for("doctor to find all well", lambda: all_is_well(bare))

        release.upgrade(BOTH)
        assert leaves_out(bare), "else the common case would depend on replicas that are not there yet"
        relayed.wait_until_serving(relayed.start_replica())
        wait_for("the webhooks to be trusted", lambda: are_trusted(bare))
        wait_for("gpuwarden to act", relayed.acts)
        with PodStream(bare, elsewhere, connections=1, more=SIDECAR) as others:
            common.wait_for_more(20)
            release.upgrade(WEBHOOKS)
            only_webhooks(bare, relayed)
            common.wait_for_more(40)
        all_decided(others)
    all_decided(common)
    wait_for("the API server to forget all of it", lambda: is_forgotten(bare))


def test_no_pod_is_lost_or_undecided_while_helm_rolls_back(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    """Each way back of docs/how-to/in-tree.md: what helm applies was rendered before, for the cluster of that time."""
    namespace, elsewhere = make_namespace({ENFORCE: "shared"}), make_namespace({ENFORCE: "shared"})
    relayed.reconfigure(render(bare, chart, WEBHOOKS))

    def to_both() -> None:
        """Both steps, each a revision of its own."""
        release.upgrade(BOTH)
        assert not leaves_out(bare), "the policies may not act yet"
        wait_for("the new parts to be trusted", lambda: are_trusted(bare))
        release.upgrade(BOTH)
        assert leaves_out(bare)

    with ExitStack() as stack:
        stack.callback(release.uninstall)
        release.install(WEBHOOKS)  # revision 1
        relayed.wait_until_serving(relayed.start_replica())
        wait_for("gpuwarden to act", relayed.acts)
        common = stack.enter_context(PodStream(bare, namespace, connections=2))

        with PodStream(bare, elsewhere, connections=1, more=SIDECAR) as others:
            to_both()  # revisions 2 and 3
            common.wait_for_more(20)
            assert who_decides(bare)["shared"] == ("api-server", "webhooks")
            release.rollback()  # to revision 2
            assert who_decides(bare)["shared"] == ("both", "webhooks")
            common.wait_for_more(20)
            release.rollback(1)
            only_webhooks(bare, relayed)
            common.wait_for_more(40)

            to_both()  # revisions 6 and 7
            common.wait_for_more(20)
        all_decided(others)
        release.upgrade(ALONE)
        relayed.kill_all()
        common.wait_for_more(20)
        assert who_decides(bare)["shared"] == ("api-server", "nobody")

        release.rollback()  # to revision 7: the API server decides the common case while no replica is there
        assert leaves_out(bare)
        common.wait_for_more(20)
        relayed.wait_until_serving(relayed.start_replica())
        wait_for("the webhooks to be trusted", lambda: are_trusted(bare))
        wait_for("gpuwarden to act", relayed.acts)
        with PodStream(bare, elsewhere, connections=1, more=SIDECAR) as others:
            common.wait_for_more(20)
            release.rollback(1)
            only_webhooks(bare, relayed)
            common.wait_for_more(40)
        all_decided(others)
    all_decided(common)
    wait_for("the API server to forget all of it", lambda: is_forgotten(bare))


def only_webhooks(control_plane: ControlPlane, relayed: Running) -> None:
    """The webhooks are asked about every pod, and there are no admission policies."""
    assert control_plane.get(POLICIES)["items"] == []
    assert {*who_decides(control_plane).values()} == {("webhooks", "webhooks")}
    assert {each["name"] for each in webhooks(control_plane)} == {*relayed.rendered.webhooks}


def who_decides(control_plane: ControlPlane) -> dict[str, tuple[str, str]]:
    """What ``gpuwarden fleet`` says of each policy: who decides the common case, and who other pods."""
    ran = run("fleet", "--kubeconfig", control_plane.kubeconfig(), "-o", "json")
    assert ran.code == 0, ran.err
    return {line["policy"]: (line["commonCase"], line["otherPods"]) for line in json.loads(ran.out)["deciders"]}


def all_is_well(control_plane: ControlPlane) -> bool:
    """Whether doctor finds that the API server decides by the configuration, and skips what is not installed."""
    code, found = doctor(control_plane)
    statuses = {name: {line["status"] for line in found[name]} for name in ("in-tree", "webhooks", "replicas")}
    tell(f"doctor: {code}, {troubles(found)}, {seen(found, 'in-tree')}")
    return code == 0 and statuses == {"in-tree": {"ok"}, "webhooks": {"skipped"}, "replicas": {"skipped"}}


def all_decided(stream: PodStream) -> None:
    """Every pod of a stream was rewritten, and none was denied."""
    tell(stream.report())
    assert stream.failures == [], stream.report()
    assert {attempt.asks for attempt in stream.attempts} == {SHARED}, stream.report()
