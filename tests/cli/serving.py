"""A real ``gpuwarden serve``: a process with its options, its log as values, and the way to both of its ports."""

import base64
import fcntl
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from testing.reviews import Answered, Json, encode, read_answer
from tests.wire import PATIENCE, Reply, Wire, request

COMMAND = (sys.executable, "-m", "webhook", "serve")
# What would make a server here look for a cluster, or take options that a test did not give.
_FOREIGN = ("GPUWARDEN_", "KUBERNETES_")


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that is told nothing but ``more``."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)} | more


class Served:
    """A server that runs while a block does."""

    def __init__(
        self,
        *options: str | Path,
        authority: trustme.CA | None = None,
        command: Sequence[str] | None = None,
        **variables: str,
    ) -> None:
        """Start it and wait until it says that it serves.

        Args:
            options: of the command line; ports are free ones and the address is this machine's own, unless given.
            authority: whom to trust on the TLS port; ``None`` takes the ``ca_bundle`` that a trial logs.
            command: what to start, before the options.
            command: what runs, before the options; ``gpuwarden serve`` unless given.
            variables: of the environment, in full.
        """
        defaults = {"GPUWARDEN_HOST": "127.0.0.1", "GPUWARDEN_PORT": "0", "GPUWARDEN_OPS_PORT": "0"}
        self._process = subprocess.Popen(
            [*(command or COMMAND), *map(str, options)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**(defaults | variables)),
        )
        self._lines: list[Json] = []
        self._heard = threading.Condition()
        self._reading = threading.Event()
        self._reading.set()
        self._ended = False
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        try:
            self.said = self.wait_for("serving")
            self._context = self._trusting(authority)
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def context(self) -> ssl.SSLContext:
        """A client's, which trusts the server."""
        return self._context

    @property
    def log(self) -> list[Json]:
        """The lines so far."""
        with self._heard:
            return self._lines[:]

    def forget_log(self) -> None:
        """Keep no lines from before: a test that asks for a million things need not remember what was said of each."""
        with self._heard:
            self._lines.clear()

    def stall_log(self) -> None:
        """Read no more of what it writes to standard error, from the next line on; the pipe then takes one page."""
        assert self._process.stderr is not None
        fcntl.fcntl(self._process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        self._reading.clear()

    def read_log(self) -> None:
        """Go on reading."""
        self._reading.set()

    def wait_for(self, event: str, since: int = 0, **fields: Any) -> Json:
        """The first line with this event and these fields, once it is written; ``since`` skips so many lines."""

        def found() -> Json | None:
            wanted = fields | {"event": event}
            return next((line for line in self._lines[since:] if wanted.items() <= line.items()), None)

        with self._heard:
            self._heard.wait_for(lambda: found() or self._ended, PATIENCE)
            line = found()
        assert line is not None, f"never said {event!r} {fields}: {self._lines[since:]}"
        return line

    def connect(self) -> Wire:
        """A connection to the TLS port."""
        return Wire(self.said["port"], self._context)

    def post(self, path: str, review: Any) -> Reply:
        """One request on a connection of its own."""
        with self.connect() as wire:
            wire.send(request(path, encode(review)))
            return wire.reply()

    def ask(self, path: str, review: Json) -> Answered:
        """The review that answers one."""
        with self.connect() as wire:
            return self.ask_on(wire, path, review)

    def ask_on(self, wire: Wire, path: str, review: Json) -> Answered:
        """The same, on a connection that is there."""
        wire.send(request(path, encode(review)))
        reply = wire.reply()
        assert reply.code == 200, reply
        return read_answer(reply.body, review["request"]["uid"])

    def ops(self, path: str) -> Reply:
        """What the plain port says."""
        with Wire(self.said["ops_port"]) as wire:
            wire.send(request(path, method="GET", content_length="", content_type=""))
            return wire.reply()

    def metric(self, sample: str) -> float:
        """The value of a metric's sample, named as the exposition writes it."""
        lines = self.ops("/metrics").body.decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} "))

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, as the kubelet does, or a terminal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        return code

    def kill(self) -> None:
        """End it, however it stands."""
        self._process.kill()
        self.read_log()
        self.wait()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._reading.wait()
                with self._heard:
                    try:
                        self._lines.append(json.loads(line))
                    except ValueError:
                        self._lines.append({"event": line.rstrip("\n"), "raw": True})
                    self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    @staticmethod
    def trusting_nobody() -> ssl.SSLContext:
        """A client that looks at whatever is presented."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _trusting(self, authority: trustme.CA | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if authority:
            authority.configure_trust(context)
        else:
            context.load_verify_locations(cadata=_pem(self.log))
        return context


def _pem(log: list[Json]) -> str:
    [bundle] = [line["ca_bundle"] for line in log if "ca_bundle" in line]
    return base64.b64decode(bundle).decode()


def replace_file(path: Path, content: str | bytes) -> None:
    """Replace a file that a server polls at once, as the kubelet and editors do: it never reads half of what is written."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.replace(path)


def write_pair(folder: Path, leaf: trustme.LeafCert) -> None:
    """Write a serving pair as a TLS Secret holds it."""
    (folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))


def pair_options(folder: Path) -> Mapping[str, str]:
    """The environment variables that name a pair."""
    return {
        "GPUWARDEN_TLS_CERT_FILE": str(folder / "tls.crt"),
        "GPUWARDEN_TLS_PRIVATE_KEY_FILE": str(folder / "tls.key"),
    }
