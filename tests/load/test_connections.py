"""More connections than there is room for: who calls in earnest gets in, and descriptors never run out for good."""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from testing.reviews import a_pod, a_review, encode
from tests.cli.serving import COMMAND, Served, environment
from tests.load.process import (
    GOOD,
    answers,
    descriptors,
    hung_up,
    raw,
    refused,
    resident_mib,
    tls,
    wait_until_descriptors,
    wait_until_refused,
    wait_until_resident_below,
)
from tests.wire import request

MOST = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server with room for few, which ends with as many files open as it began with."""
    with Served("--tls-self-signed", "--max-connections", str(MOST), "--max-memory", "8") as served:
        answers(served)
        before = descriptors(served)
        yield served
        answers(served)
        wait_until_descriptors(served, before)


def test_who_comes_last_is_served_and_who_idled_longest_makes_room(server: Served) -> None:
    before, files = refused(server, "connections"), descriptors(server)
    with ExitStack() as stack:
        crowd = [stack.enter_context(tls(server)) for _ in range(3 * MOST)]
        answers(server)
        assert descriptors(server) <= files + MOST + 5
        assert refused(server, "connections") >= before + 2 * MOST
        assert [hung_up(connection) for connection in crowd[:MOST]] == [True] * MOST
        assert not hung_up(crowd[-1])


def test_who_calls_now_and_then_stays_while_others_crowd_in(server: Served) -> None:
    with ExitStack() as stack, server.connect() as kept:
        for _ in range(8):
            for _ in range(MOST // 4):
                stack.enter_context(tls(server))
            kept.send(GOOD)
            assert kept.reply().code == 200


def test_those_who_never_shake_hands_make_room_too(server: Served) -> None:
    with ExitStack() as stack:
        for _ in range(5 * MOST):
            stack.enter_context(raw(server))
        began = time.monotonic()
        answers(server)
        assert time.monotonic() - began < 5
        assert descriptors(server) < 3 * MOST


def test_health_is_told_while_both_ports_are_flooded(server: Served) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(raw(server))
            stack.enter_context(raw(server, "ops_port"))
        assert server.ops("/healthz").code == 200
        assert server.ops("/readyz").code == 200
        assert refused(server, "connections", "operations") > 100


def test_bodies_that_do_not_come_to_an_end_make_room_for_one_that_does(server: Served) -> None:
    """Sixty of 1 MiB each, where 8 MiB are allowed; a good one of 4 MiB finds its place."""
    before, memory = refused(server, "memory"), resident_mib(server)
    with ExitStack() as stack:
        slow = [stack.enter_context(tls(server)) for _ in range(MOST - 5)]
        for connection in slow:
            with suppress(OSError):
                connection.sendall(request("/mutate", content_length="3000000") + b" " * 1_000_000)
        wait_until_refused(server, "memory", before + 20)
        body = encode(a_review(a_pod()))
        with server.connect() as wire:
            wire.send(request("/mutate", body + b" " * (4_000_000 - len(body))))
            assert wire.reply().code == 200
        assert hung_up(slow[0])
        # What was read and decrypted for those that are being hung up on goes with them.
        wait_until_resident_below(server, memory + 40)


def test_a_flood_of_noise_is_counted_in_full_and_logged_in_a_line(server: Served) -> None:
    before, since = refused(server, "handshake"), len(server.log)
    for _ in range(300):
        with raw(server) as connection, suppress(OSError):
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            connection.recv(1)
    wait_until_refused(server, "handshake", before + 299)
    assert len([line for line in server.log[since:] if line["event"] == "rejected"]) <= 10
    assert not [line for line in server.log if line.get("raw") or line["level"] == "error"]


def test_without_descriptors_it_lets_others_go_and_recovers() -> None:
    with Served("--tls-self-signed") as server, ExitStack() as stack:
        answers(server)
        usual = descriptors(server)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (usual + 20, usual + 20))
        crowd = [stack.enter_context(raw(server)) for _ in range(60)]
        answers(server)  # by now it knows, and has some to spare; until then the operations port resets whoever comes
        wait_until_refused(server, "descriptors")
        for _ in range(3):
            answers(server)
        assert server.ops("/readyz").code == 200
        assert descriptors(server) <= usual + 20
        for connection in crowd:
            connection.close()
        wait_until_descriptors(server, usual)
        answers(server)
        assert not [line for line in server.log if line["level"] == "error"]


def with_files(number: int) -> tuple[str, ...]:
    """The command, for a process that may open so many files."""
    limit = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({number}, {number}))"
    program = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
    return (sys.executable, "-c", program, *COMMAND)


def test_where_few_files_may_be_opened_it_takes_fewer_connections() -> None:
    with Served("--tls-self-signed", command=with_files(192)) as server, ExitStack() as stack:
        for _ in range(250):
            stack.enter_context(raw(server))
        answers(server)
        assert descriptors(server) < 192
        assert refused(server, "connections") > 100
        assert refused(server, "descriptors") == 0
        assert server.ops("/healthz").code == 200


def test_connections_that_make_room_for_others_in_a_flood_take_no_descriptors_from_anything_else() -> None:
    """They are closed a moment later. Where descriptors ran out, fewer connections would be accepted afterwards."""
    with Served("--tls-self-signed", command=with_files(192)) as server:
        with ExitStack() as stack:
            for _ in range(32):
                stack.enter_context(raw(server, "ops_port"))
            for _ in range(20):
                with ExitStack() as flood:
                    for _ in range(300):
                        one = flood.enter_context(socket.socket())
                        one.setblocking(False)  # noqa: FBT003 - the standard library's
                        with suppress(BlockingIOError):
                            one.connect(("127.0.0.1", server.said["port"]))
                    time.sleep(0.02)
        answers(server)
        assert refused(server, "connections") > 1000
        assert refused(server, "descriptors") == 0


def test_where_too_few_may_be_opened_it_says_so_and_does_not_start() -> None:
    command = [*with_files(100), "--tls-self-signed", "--port", "0", "--ops-port", "0"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 2
    assert "this process may open 100 files; allow it at least 192" in done.stderr
