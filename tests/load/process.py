"""A serving process under load: what it uses, whom it refused, and clients that misbehave on loopback."""

import contextlib
import socket
import ssl
import time
from pathlib import Path

from testing.reviews import a_pod, a_review, encode, read_answer
from tests.cli.serving import Served
from tests.wire import PATIENCE, request

GOOD = request("/mutate", encode(a_review(a_pod())))

# Half a client's first words in TLS: the header of a record, and no record.
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def answers(server: Served) -> None:
    """Require that a review on a connection of its own is answered."""
    with server.connect() as wire:
        wire.send(GOOD)
        assert read_answer(wire.reply().body).allowed


def tls(server: Served) -> socket.socket:
    """A TLS connection that says nothing."""
    return server.context.wrap_socket(raw(server), server_hostname="localhost")


def refused(server: Served, reason: str, port: str = "admission") -> int:
    """How many were turned away for a reason, by the server's own count."""
    sample = f'gpuwarden_rejected_total{{port="{port}",reason="{reason}"}} '
    lines = server.ops("/metrics").body.decode().splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample)))


def wait_until_refused(server: Served, reason: str, more_than: int = 0, port: str = "admission") -> None:
    """Wait for one more to be turned away."""
    until = time.monotonic() + PATIENCE
    while refused(server, reason, port) <= more_than:
        assert time.monotonic() < until, f"nobody was refused for {reason!r}"
        time.sleep(0.05)


def raw(server: Served, port: str = "port") -> socket.socket:
    """A TCP connection that says nothing."""
    return socket.create_connection(("127.0.0.1", server.said[port]), timeout=PATIENCE)


def hung_up(connection: socket.socket) -> bool:
    """Whether the server has hung up, without waiting for it."""
    connection.settimeout(0.0)
    try:
        while piece := connection.recv(65536):
            assert piece
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def seconds_until_hung_up(connection: socket.socket, drip: bytes = b"", pause: float = 0.1) -> float:
    """Send a byte now and then until the server hangs up; how long that took."""
    began = time.monotonic()
    sending = iter(drip)
    while not hung_up(connection):
        assert time.monotonic() < began + PATIENCE, "the server never hung up"
        with contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            connection.sendall(bytes([byte]) if (byte := next(sending, None)) is not None else b"")
        time.sleep(pause)
    return time.monotonic() - began


def descriptors(server: Served) -> int:
    """How many files it has open."""
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def threads(server: Served) -> int:
    """How many threads it has."""
    return int(_status(server, "Threads"))


def resident_mib(server: Served) -> float:
    """How much memory it has now."""
    return int(_status(server, "VmRSS").split()[0]) / 1024


def wait_until_resident_below(server: Served, mib: float) -> None:
    """Wait until it has given back what it needed for a moment."""
    until = time.monotonic() + PATIENCE
    while (now := resident_mib(server)) >= mib:
        assert time.monotonic() < until, f"{now:.0f} MiB, not below {mib:.0f}"
        time.sleep(0.05)


def _status(server: Served, field: str) -> str:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:")), "0 kB")


def wait_until_descriptors(server: Served, most: int) -> None:
    """Wait until no more than so many files are open: what was closed takes a turn of the event loop to go."""
    until = time.monotonic() + PATIENCE
    while descriptors(server) > most:
        assert time.monotonic() < until, f"{descriptors(server)} descriptors are open"
        time.sleep(0.05)


def peak_mib(server: Served) -> float:
    """The most memory that it has had since ``reset_peak``."""
    return int(_status(server, "VmHWM").split()[0]) / 1024


def reset_peak(server: Served) -> None:
    """Count the most memory from now on (proc_pid_clear_refs(5))."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def waited_for_processor(pid: int) -> float:
    """Seconds in which a process's main thread could have run, and others had the processors (sched-stats; 0 without them)."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # a kernel without it, or the process has ended
        return 0.0
