"""``gpuwarden serve`` as a process: what it takes, what it reads again while it runs, and how it ends."""

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml

from testing.reviews import UID, Answered, Json, a_gpu_container, a_pod, a_review, encode, read_answer
from tests.adapters.test_yaml_loader import NESTED_ALIASES
from tests.cli.serving import Served, pair_options, replace_file, write_pair
from tests.wire import Wire, request

CONFIGURATION = "apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {house: {forms: [%s]}}\n"
AUTHORITY = trustme.CA()
REVIEW = a_review(a_pod())


def namespaces(**enforced: str) -> str:
    items: list[Json] = [
        {"kind": "Namespace", "metadata": {"name": name, "labels": {"gpuwarden.io/enforce": value}}}
        for name, value in enforced.items()
    ]
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})


def mount(folder: Path, version: str, **files: str) -> None:
    """Write files as the kubelet mounts a ConfigMap: links to ``..data``, which is renamed over at each change."""
    data = folder / f"..{version}"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text, encoding="utf-8")
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data", name))
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").replace(folder / "..data")


class Files:
    """The files of the server, and their first content."""

    def __init__(self, folder: Path) -> None:
        self.configuration = folder / "configuration.yaml"
        self.namespaces = folder / "namespaces.yaml"
        self.pair = folder
        self.reset()
        write_pair(folder, AUTHORITY.issue_cert("localhost"))

    def reset(self) -> None:
        replace_file(self.configuration, CONFIGURATION % "mps")
        replace_file(self.namespaces, namespaces(team="house"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def server(files: Files) -> Iterator[Served]:
    """One server for all tests that leave it as they found it; it is told everything by its environment."""
    variables = {
        "GPUWARDEN_CONFIG": str(files.configuration),
        "GPUWARDEN_NAMESPACES": str(files.namespaces),
        "GPUWARDEN_LOG_LEVEL": "debug",
        **pair_options(files.pair),
    }
    with Served(authority=AUTHORITY, **variables) as served:
        yield served
        assert not [line for line in served.log if line.get("raw")], "every line is a JSON object"


def selector(server: Served) -> Json:
    """The node selector that a plain request gets in the namespace ``team``."""
    selected: Json = server.ask("/mutate", REVIEW).applied_to(a_pod())["spec"].get("nodeSelector", {})
    return selected


STRATEGY = "nvidia.com/gpu.sharing-strategy"


def test_it_answers_on_both_ports_as_its_environment_says(server: Served) -> None:
    assert selector(server) == {STRATEGY: "mps"}
    assert server.ask("/validate", a_review(a_pod(a_gpu_container("0.5")))).rules == ["not-a-whole-number"]
    assert server.ops("/healthz").body == b"ok"
    ready = server.ops("/readyz")
    assert ready.code == 200
    assert {part["name"] for part in ready.json()["parts"]} >= {"serving", "configuration", "namespaces", "certificate"}


def test_what_is_on_one_port_is_not_on_the_other(server: Served) -> None:
    with server.connect() as wire:
        wire.send(request("/metrics", method="GET"))
        assert wire.reply().code == 404
    with Wire(server.said["ops_port"]) as wire:
        wire.send(request("/mutate", encode(REVIEW)))
        assert wire.reply().code == 404


def test_labels_of_namespaces_are_evaluated_without_a_cluster_too_and_nobody_looks_at_workloads(server: Served) -> None:
    def relabelled(value: str) -> Answered:
        new, old = ({"metadata": {"name": "team", "labels": {"gpuwarden.io/enforce": one}}} for one in (value, "mps"))
        kind = {"group": "", "version": "v1", "kind": "Namespace"}
        return server.ask("/validate-namespace", a_review(new, kind=kind, operation="UPDATE", oldObject=old))

    assert 'did you mean "shared"?' in relabelled("shraed").response["status"]["message"]
    assert relabelled("none").response == {"uid": UID, "allowed": True}


def test_metrics_tell_of_decisions_and_answers(server: Served) -> None:
    labels = 'acted="true",mode="enforce",operation="CREATE",outcome="denied",path="validate",policy="house"'
    sample = f"gpuwarden_decisions_total{{{labels}}}"
    server.ask("/validate", REVIEW)
    before = server.metric(sample)

    server.ask("/validate", REVIEW)

    assert server.metric(sample) == before + 1
    labels = 'acted="true",mode="enforce",path="validate",rule="not-rewritten",severity="deny"'
    assert server.metric(f"gpuwarden_findings_total{{{labels}}}") > 0
    assert server.metric('gpuwarden_request_duration_seconds_count{code="200",path="/validate"}') > 0


def test_no_answer_puts_what_a_pod_holds_into_the_log(server: Served) -> None:
    secret = "hunter2-is-in-the-environment"  # noqa: S105 - what must never be logged
    pods = (
        a_pod(a_gpu_container(env=[{"name": "PASSWORD", "value": secret}])),
        a_pod(a_gpu_container("2", env=[{"name": "PASSWORD", "value": secret}])),
        a_pod(a_gpu_container(env=[{"name": 5, "value": secret}])),
    )
    since = len(server.log)

    codes = [server.post(path, a_review(pod)).code for pod in pods for path in ("/mutate", "/validate")]

    assert codes == [200, 200, 200, 200, 400, 400]
    server.wait_for("denied", since, path="validate")
    assert not [line for line in server.log if secret in json.dumps(line) or "PASSWORD" in json.dumps(line)]


def test_a_stranger_to_the_authority_and_another_name_are_not_served(server: Served) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Wire(server.said["port"], ssl.create_default_context())
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(trusting)
    with pytest.raises(ssl.SSLCertVerificationError):
        Wire(server.said["port"], trusting, "elsewhere")
    Wire(server.said["port"], trusting).close()


def test_a_configuration_is_read_again_and_a_bad_one_keeps_the_old_until_it_is_mended(
    server: Served, files: Files
) -> None:
    failing = 'gpuwarden_reload_failing{file="configuration"}'
    try:
        since = len(server.log)
        replace_file(files.configuration, CONFIGURATION % "time-slicing")
        server.wait_for("file reloaded", since, file="configuration")
        assert selector(server) == {STRATEGY: "time-slicing"}

        since = len(server.log)
        replace_file(files.configuration, CONFIGURATION % "tame-slicing")
        told = server.wait_for("file not reloaded, the last valid content stays in use", since, file="configuration")
        assert 'policies.house.forms[0]: "tame-slicing" is not a policy; did you mean "time-slicing"?' in told["reason"]
        assert selector(server) == {STRATEGY: "time-slicing"}
        assert server.metric(failing) == 1
        ready = server.ops("/readyz")
        assert ready.code == 200
        assert "tame-slicing" in ready.body.decode()

        since = len(server.log)
    finally:
        files.reset()
    server.wait_for("file reloaded", since, file="configuration")
    assert selector(server) == {STRATEGY: "mps"}
    assert server.metric(failing) == 0


def test_namespaces_are_read_again_and_an_empty_file_takes_no_label_away(server: Served, files: Files) -> None:
    try:
        since = len(server.log)
        replace_file(files.namespaces, "")
        server.wait_for("file not reloaded, the last valid content stays in use", since, file="namespaces")
        assert selector(server) == {STRATEGY: "mps"}

        since = len(server.log)
        replace_file(files.namespaces, namespaces(team="none", other="house"))
        server.wait_for("file reloaded", since, file="namespaces")
        assert server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"]
        assert server.ask("/validate", a_review(a_pod(), namespace="other")).rules == ["not-rewritten"]
        assert server.ask("/validate", a_review(a_pod(), namespace="unheard-of")).allowed
        since = len(server.log)
    finally:
        files.reset()
    server.wait_for("file reloaded", since, file="namespaces")


def test_a_certificate_is_read_again_under_open_connections(server: Served, files: Files) -> None:
    def presented() -> bytes:
        with server.connect() as wire:
            return wire.certificate()

    first = presented()
    with server.connect() as open_connection:
        since = len(server.log)
        (files.pair / "tls.crt").write_bytes(b"half a cert")
        server.wait_for("certificate not reloaded, the old one stays in use", since)
        assert presented() == first

        write_pair(files.pair, AUTHORITY.issue_cert("localhost", "gpuwarden.example"))
        server.wait_for("certificate reloaded", since)
        assert presented() != first

        open_connection.send(request("/mutate", encode(REVIEW)))
        assert read_answer(open_connection.reply().body).patch is not None
        assert open_connection.certificate() == first


def test_files_that_the_kubelet_mounts_are_read_again_when_it_swaps_them(tmp_path: Path) -> None:
    mount(tmp_path, "1", config=CONFIGURATION % "mps", namespaces=namespaces(team="house"))
    options = ("--tls-self-signed", "--config", tmp_path / "config", "--namespaces", tmp_path / "namespaces")

    with Served(*options) as server:
        assert selector(server) == {STRATEGY: "mps"}
        mount(tmp_path, "2", config=CONFIGURATION % "mig-1g.5gb", namespaces=namespaces(team="house", more="none"))
        for file in ("configuration", "namespaces"):
            server.wait_for("file reloaded", file=file)

        assert server.ask("/validate", a_review(a_pod(), namespace="more")).rules == ["gpu-not-permitted"]
        resources = server.ask("/mutate", REVIEW).applied_to(a_pod())["spec"]["containers"][0]["resources"]
        assert resources["limits"] == {"nvidia.com/mig-1g.5gb": "1"}
        server.terminate()
        assert server.wait() == 0


def test_when_told_to_end_it_is_unready_and_goes_on_answering_for_the_delay() -> None:
    with Served("--tls-self-signed", "--shutdown-delay", "300") as server, server.connect() as kept:
        kept.send(request("/mutate", encode(REVIEW)))
        assert "connection" not in kept.reply().headers
        server.terminate()
        assert server.wait_for("stopping")["delay_seconds"] == 300

        unready = server.ops("/readyz")
        assert unready.code == 503
        assert {"name": "serving", "ready": False, "message": "shutting down"} in unready.json()["parts"]
        assert server.ops("/healthz").code == 200
        for wire in (kept, server.connect()):
            with wire:
                wire.send(request("/mutate", encode(REVIEW)))
                reply = wire.reply()
                assert (reply.code, reply.headers["connection"]) == (200, "close")
                assert wire.ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_the_delay_it_closes_idle_connections_and_ends_well(number: signal.Signals) -> None:
    with Served("--tls-self-signed", "--shutdown-delay", "0.1") as server, server.connect() as idle:
        server.terminate(number)

        assert idle.ended()
        idle.close()  # as Go's client does; one that does not is waited for, and cut off after the listeners' grace
        assert server.wait() == 0
        assert server.log[-1]["event"] == "stopped"
        assert not [line for line in server.log if line.get("level") == "error" or line.get("raw")]


def test_without_a_source_of_namespaces_the_default_decides_for_all(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIGURATION % "mps" + "defaults: {enforce: none}\n", encoding="utf-8")

    with Served("--tls-self-signed", "--config", config) as server:
        assert server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"]


def test_a_configuration_whose_aliases_multiply_is_refused_and_the_server_still_ends_when_told(tmp_path: Path) -> None:
    """444 bytes such as these kept the reload busy for ever, unseen, and SIGTERM with it."""
    file = tmp_path / "configuration.yaml"
    file.write_text(CONFIGURATION % "mps", encoding="utf-8")
    with Served("--tls-self-signed", "--config", file) as served:
        replace_file(file, CONFIGURATION % "mps" + NESTED_ALIASES)
        told = served.wait_for("file not reloaded, the last valid content stays in use", file="configuration")
        assert "aliases repeat more than" in told["reason"]
        assert served.metric('gpuwarden_reload_failing{file="configuration"}') == 1
        assert served.ask("/mutate", REVIEW).allowed

        served.terminate()
        assert served.wait() == 0


def test_a_poll_that_never_returns_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    file = tmp_path / "configuration.yaml"
    file.write_text(CONFIGURATION % "mps", encoding="utf-8")
    with Served("--tls-self-signed", "--config", file, "--shutdown-delay", "0.1") as served:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        pipe.rename(file)  # opening it waits for a writer
        time.sleep(1.5)

        served.terminate()
        assert served.wait() == 0
        assert served.log[-1]["event"] == "stopped"
