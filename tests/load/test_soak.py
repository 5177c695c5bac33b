"""A long life in short: reviews of every kind, over connections old and new, and nothing grows.

``GPUWARDEN_SOAK=1`` makes it a million reviews (a quarter of an hour or more), another number that many; without it they
are few enough for every run.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

from testing.reviews import a_container, a_gpu_container, a_pod, a_review, encode
from tests.cli.serving import Served
from tests.load.process import (
    HALF_A_HELLO,
    descriptors,
    raw,
    resident_mib,
    threads,
    wait_until_descriptors,
)
from tests.wire import Wire, request

ASKED = int(os.environ.get("GPUWARDEN_SOAK", "4000"))
REVIEWS = 1_000_000 if ASKED == 1 else ASKED
CONFIGURATION = """\
apiVersion: gpuwarden.io/v1
kind: Configuration
policies: {house: {forms: [mps], env: {A: b}, tolerations: [{key: gpu, operator: Exists}]}}
defaults: {enforce: house, warn: exclusive, audit: none}
"""
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "train"},
    "spec": {"template": {"spec": a_pod()["spec"]}},
}
KINDS: dict[str, tuple[str, object]] = {
    "rewritten": ("/mutate", a_review(a_pod())),
    "refused": ("/validate", a_review(a_pod(a_gpu_container("2")))),
    "not rewritten": ("/validate", a_review(a_pod())),
    "no GPU": ("/mutate", a_review(a_pod(a_container()))),
    "many containers": ("/mutate", a_review(a_pod(*(a_gpu_container(name=f"c{n}") for n in range(20))))),
    "update": ("/validate", a_review(a_pod(), operation="UPDATE")),
    "template": ("/advise", a_review(DEPLOYMENT, kind={"group": "apps", "version": "v1", "kind": "Deployment"})),
    "malformed": ("/mutate", {"kind": "AdmissionReview"}),
    "no JSON": ("/validate", "{"),
    "unknown path": ("/nothing", {}),
}


def unlike_each_other(number: int) -> bytes:
    """A review that no other is like: names, namespaces, users and uids that a cache might keep."""
    pod = a_pod(a_gpu_container(name=f"c-{number}"))
    review = a_review(pod, uid=f"uid-{number}", namespace=f"ns-{number}", userInfo={"username": f"user-{number}"})
    return request("/mutate", encode(review))


def requests() -> Iterator[bytes]:
    """Requests without end."""
    same = [request(path, encode(review)) for path, review in KINDS.values()]
    for number, sent in enumerate(cycle(same)):
        yield sent
        if number % 5 == 0:
            yield unlike_each_other(number)


def strangers(server: Served) -> None:
    """Connections that come to nothing."""
    for said in (b"", HALF_A_HELLO, b"noise\r\n\r\n"):
        with raw(server) as connection, suppress(OSError):
            connection.sendall(said)
    with server.connect() as wire:
        wire.send(request("/mutate", content_length="1000") + b"{")
    with server.connect() as wire, suppress(OSError, EOFError):
        wire.send(b"\0noise\r\n\r\n")
        wire.reply()


def live(server: Served, sent: Iterator[bytes], count: int, between: Callable[[], None]) -> None:
    """Ask so many times, on four connections that are replaced now and then; every one is answered."""
    wires: list[Wire] = []
    for start in range(0, count, 500):
        while len(wires) < 4:
            wires.append(server.connect())
        for wire, one in zip(cycle(wires), islice(sent, min(500, count - start)), strict=False):
            wire.send(one)
            assert wire.reply().code in (200, 400, 404)
        wires.pop(0).close()
        between()
    for wire in wires:
        wire.close()


def test_nothing_grows(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGURATION)
    with Served("--tls-self-signed", "--config", config) as server:
        sent = requests()

        def between() -> None:
            strangers(server)
            server.ops("/metrics")
            server.forget_log()

        live(server, sent, REVIEWS // 4, between)
        files, at_work, memory = descriptors(server), threads(server), resident_mib(server)
        began = time.monotonic()
        live(server, sent, REVIEWS, between)
        rate = REVIEWS / (time.monotonic() - began)
        grown = resident_mib(server) - memory
        print(f"{REVIEWS} reviews at {rate:.0f} a second: {memory:.1f} MiB, then {grown:+.1f} MiB")  # noqa: T201 - for the long run
        wait_until_descriptors(server, files)
        assert threads(server) <= at_work + 1
        assert grown < 8
        assert server.ops("/readyz").code == 200
