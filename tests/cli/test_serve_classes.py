"""``gpuwarden serve`` and DeviceClasses: the resource names that they set are evaluated, and known before it is ready."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.reviews import TEAM, a_pod, a_review
from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import PATIENCE
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.serving import Served, replace_file

ACCEL = "example.com/accel"
POD = a_pod({"name": "train", "image": "i", "resources": {"limits": {ACCEL: "1"}, "requests": {ACCEL: "1"}}})


@pytest.fixture
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        stand_in.set_namespace(TEAM, enforce="none")
        yield stand_in


def served(apiserver: StandIn, folder: Path, *options: str) -> Served:
    kubeconfig = write_kubeconfig(folder / "kubeconfig", apiserver.url)
    return Served("--tls-self-signed", "--kubeconfig", str(kubeconfig), "--no-watch-nodes", *options)


def wait_until_ready(server: Served) -> None:
    until = time.monotonic() + PATIENCE
    while server.ops("/readyz").code != 200:
        assert time.monotonic() < until, server.ops("/readyz")
        time.sleep(0.05)


def part(server: Served) -> tuple[bool, str]:
    (one,) = (one for one in server.ops("/readyz").json()["parts"] if one["name"] == "device-classes")
    return one["ready"], one["message"]


def rules(server: Served) -> list[str]:
    return server.ask("/validate", a_review(POD)).rules


def wait_for_rules(server: Served, expected: list[str]) -> None:
    until = time.monotonic() + PATIENCE
    while rules(server) != expected:
        assert time.monotonic() < until, rules(server)
        time.sleep(0.05)


def test_a_replica_that_is_ready_knows_the_names(apiserver: StandIn, tmp_path: Path) -> None:
    apiserver.set_classes(**{"gpu.nvidia.com": ACCEL})
    with served(apiserver, tmp_path) as server:
        wait_until_ready(server)
        assert rules(server) == ["gpu-not-permitted"]
        assert part(server) == (True, "1 DeviceClasses set a resource name")


def test_until_the_api_server_has_answered_it_is_not_ready(apiserver: StandIn, tmp_path: Path) -> None:
    apiserver.set_classes(**{"gpu.nvidia.com": ACCEL})
    apiserver.always("classes", lambda handler: handler.say(503, status(503, "starting")))
    with served(apiserver, tmp_path) as server:
        server.wait_for("namespaces listed")
        server.wait_for("DeviceClass watch failed")
        assert server.ops("/readyz").code == 503
        ready, message = part(server)
        assert not ready
        assert message.startswith("DeviceClasses have not been listed yet; last problem: ")
        apiserver.always("classes", None)
        wait_until_ready(server)
        assert rules(server) == ["gpu-not-permitted"]


def test_classes_and_configuration_change_and_both_count(apiserver: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    header = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
    file.write_text(header)
    apiserver.set_classes()
    with served(apiserver, tmp_path, "--config", str(file)) as server:
        wait_until_ready(server)
        assert rules(server) == []
        apiserver.set_classes(cpu=ACCEL)
        server.wait_for("DeviceClasses listed")
        assert rules(server) == []
        replace_file(file, f"{header}claims: {{deviceClasses: {{cpu: exclusive}}}}\n")
        wait_for_rules(server, ["gpu-not-permitted"])
        apiserver.set_classes()
        wait_for_rules(server, [])


def test_without_the_right_to_list_them_names_are_evaluated_by_the_configuration_alone_and_that_is_said_once(
    apiserver: StandIn, tmp_path: Path
) -> None:
    apiserver.set_classes(**{"gpu.nvidia.com": ACCEL})
    apiserver.always("classes", lambda handler: handler.say(403, status(403, "deviceclasses is forbidden")))
    with served(apiserver, tmp_path) as server:
        wait_until_ready(server)
        apiserver.wait_for_requests("classes", 2)
        ready, message = part(server)
        assert ready
        assert message.startswith(
            "the resource names that DeviceClasses set are not known, so pods that request GPUs by"
        )
        assert rules(server) == []
        said = [line["event"] for line in server.log if line["logger"] == "gpuwarden.classes"]
        assert len(said) == 1
        assert "are not evaluated" in said[0]


def test_a_cluster_without_device_classes_is_ready(apiserver: StandIn, tmp_path: Path) -> None:
    with served(apiserver, tmp_path) as server:
        wait_until_ready(server)
        assert part(server) == (True, "0 DeviceClasses set a resource name")
        assert [line for line in server.log if line["logger"] == "gpuwarden.classes"] == []
