"""The log's reader stalls, its disk is full, it is closed; no file can be written: decisions go on, nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from testing.control_plane.processes import free_port
from testing.reviews import a_gpu_container, a_pod, a_review, encode, read_answer
from testing.stand_in.apiserver import StandIn
from tests.cli.serving import COMMAND, Served, environment
from tests.faults.cluster import login, managed, ready, refusals, register, replica, within
from tests.faults.long import LONG, only_long
from tests.wire import Wire, request

PATIENCE = 60.0
REFUSED = a_review(a_pod(a_gpu_container("0.5")), namespace="team")
# A long line each: the log's buffers are full after hundreds of refusals instead of ten thousand.
# Every field of a line is cut at 256 characters, and each of these takes six bytes in JSON.
_LONG = "\x01" * 300
LOUD = a_review(a_pod(a_gpu_container("0.5")), namespace="team", name=_LONG, userInfo={"username": _LONG})
DROPPED = "gpuwarden_log_lines_dropped_total"


class Mute:
    """A replica whose log nobody reads; it is known by its ports, which are chosen for it."""

    def __init__(self, folder: Path, apiserver: StandIn, log: int | IO[Any], *before: str) -> None:
        self.port, self.ops_port = free_port(), free_port()
        ports = ("--host", "127.0.0.1", "--port", str(self.port), "--ops-port", str(self.ops_port))
        options = map(str, managed(login(folder, apiserver)))
        self.process = subprocess.Popen([*before, *COMMAND, *ports, *options], stderr=log, env=environment())

    def ops(self, path: str) -> tuple[int, str]:
        """What the plain port says; 0 while it doesn't listen."""
        try:
            with Wire(self.ops_port) as wire:
                wire.send(request(path, method="GET", content_length="", content_type=""))
                reply = wire.reply()
                return reply.code, reply.body.decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.ops("/readyz")[0] == 200

    def dropped(self) -> float:
        lines = self.ops("/metrics")[1].splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{DROPPED} "))


@pytest.fixture
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        register(stand_in)
        stand_in.set_namespace("team", enforce="mps")
        yield stand_in


@contextmanager
def mute(folder: Path, apiserver: StandIn, log: int | IO[Any], *before: str) -> Iterator[Mute]:
    running = Mute(folder, apiserver, log, *before)
    try:
        within(PATIENCE, running.ready, "ready")
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def refuse(running: Mute, times: int, review: Any = REFUSED) -> list[float]:
    """Have so many refused, one after the other; the seconds that each took."""
    body = request("/validate", encode(review))
    took = []
    with Wire(running.port, insecure()) as wire:
        for _ in range(times):
            began = time.monotonic()
            wire.send(body)
            assert read_answer(wire.reply().body).rules == ["not-a-whole-number"]
            took.append(time.monotonic() - began)
    return took


def insecure() -> Any:
    return Served.trusting_nobody()


def end(running: Mute) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE) == 0


def test_while_the_logs_reader_stalls_everything_goes_on_and_what_is_dropped_is_counted(
    apiserver: StandIn, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    with mute(tmp_path, apiserver, writing) as running:
        os.close(writing)
        refuse(running, 2200, LOUD)  # 7 MB of lines, into a pipe of 64 KiB and a buffer of 4 MiB
        within(PATIENCE, lambda: running.dropped() > 0, "lines dropped")
        assert max(refuse(running, 20)) < 20
        # Nor do the threads wait that follow the cluster: what they would like to log is dropped too.
        apiserver.cut()
        apiserver.set_namespace("team", enforce="none")
        within(PATIENCE, lambda: verdict(running) == ["gpu-not-permitted"], "the label followed")
        assert running.ready()
        # The reader is back: what waited is written, and what is decided from now on.
        os.set_blocking(reading, False)
        within(PATIENCE, lambda: drained(reading), "what waited")
        before = running.dropped()
        refuse(running, 1)
        within(PATIENCE, lambda: b'"rules":["not-a-whole-number"]' in read_all(reading), "a new line")
        assert running.dropped() == before
        refuse(running, 2200, LOUD)  # and stalls again, while it is told to end
        end(running)
    os.close(reading)


def verdict(running: Mute) -> list[str]:
    with Wire(running.port, insecure()) as wire:
        wire.send(request("/validate", encode(a_review(a_pod(), namespace="team"))))
        return read_answer(wire.reply().body).rules


def read_all(descriptor: int) -> bytes:
    read = b""
    while True:
        try:
            piece = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return read
        if not piece:
            return read
        read += piece


def drained(descriptor: int) -> bool:
    """Whether nothing more comes for a moment."""
    if read_all(descriptor):
        return False
    time.sleep(0.3)
    return not read_all(descriptor)


KINDS = ["its disk is full", "closed, standard output too", *(["closed", "its reader is gone"] if LONG else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_can_not_be_written_is_counted_and_nothing_else(
    apiserver: StandIn, tmp_path: Path, kind: str
) -> None:
    closing = {"closed": "2>&-", "closed, standard output too": ">&- 2>&- <&-"}
    with Path("/dev/full").open("wb") as full:
        log: int | IO[Any] = full
        before: Sequence[str] = ("sh", "-c", f'exec "$@" {closing[kind]}', "sh") if kind in closing else ()
        if kind == "its reader is gone":
            reading, log = os.pipe()
            os.close(reading)
        with mute(tmp_path, apiserver, log, *before) as running:
            if isinstance(log, int):
                os.close(log)
            was = running.dropped()
            assert was > 0
            refuse(running, 25)
            within(PATIENCE, lambda: running.dropped() >= was + 25, "each line counted")
            assert running.ready()
            assert refusals(apiserver, running.port) == []
            end(running)


NO_DISK = (sys.executable, "-m", "tests.faults.without_a_disk", "serve")
READ_ONLY = """
mount --make-rprivate /
for folder in / /tmp /var/tmp /dev/shm; do mount --bind $folder $folder && mount -o remount,ro,bind $folder; done
cd . && ! touch /written /tmp/written /dev/shm/written 2>/dev/null && exec "$@"
"""


def test_where_no_file_can_be_written_certificates_are_made_renewed_and_served(
    apiserver: StandIn, tmp_path: Path
) -> None:
    renews_without_a_disk(apiserver, tmp_path, NO_DISK)


def test_the_control_there_a_file_can_not_be_written(tmp_path: Path) -> None:
    code = f"import sys; sys.argv[1:] = ['version']; open({str(tmp_path / 'x')!r}, 'w')"
    hooked = "import sys; sys.argv[1:] = ['--help']\ntry: import tests.faults.without_a_disk\nexcept SystemExit: pass\n"
    done = subprocess.run([sys.executable, "-c", hooked + code], capture_output=True, text=True, check=False)
    assert "Read-only file system" in done.stderr


@only_long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_on_a_root_that_is_mounted_read_only(apiserver: StandIn, tmp_path: Path) -> None:
    renews_without_a_disk(apiserver, tmp_path, ("unshare", "-m", "sh", "-c", READ_ONLY, "sh", *COMMAND))


def renews_without_a_disk(apiserver: StandIn, folder: Path, command: tuple[str, ...]) -> None:
    options = managed(login(folder, apiserver), leaf=8, skew=2)
    with replica(*options, command=command, TMPDIR="/nowhere") as served:
        within(PATIENCE, lambda: ready(served), "ready")
        done = "certificates changed"
        since = len(served.log)
        served.wait_for(done, since)  # the next certificate, some seconds later
        assert refusals(apiserver, served.said["port"]) == []
        assert ready(served)
