"""HTTP as bytes on a socket, for tests that say exactly what a client sends and see exactly what comes back."""

import contextlib
import json
import select
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

PATIENCE = 60.0
"""Seconds after which a test gives up on an answer; no test waits so long unless it fails."""


@dataclass(frozen=True)
class Reply:
    """One HTTP response; header names in lower case."""

    version: str
    code: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(
        self, port: int, context: ssl.SSLContext | None = None, name: str = "localhost", patience: float = PATIENCE
    ) -> None:
        """Connect to a port of this machine, by TLS if there is a context; ``patience`` is for each read and write."""
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        if context is not None:
            try:
                self._socket = context.wrap_socket(self._socket, server_hostname=name)
            except BaseException:
                self._socket.close()
                raise
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def certificate(self) -> bytes:
        """What the server presented, in DER."""
        assert isinstance(self._socket, ssl.SSLSocket)
        presented = self._socket.getpeercert(binary_form=True)
        assert presented is not None
        return presented

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send bytes, each piece by itself."""
        for piece in pieces:
            self._socket.sendall(piece)

    def flood(self, piece: bytes, times: int) -> None:
        """Send a piece many times, until the server answers or hangs up.

        In one thread: the ssl module lets two use a connection at the same time, and then breaks it (before Python 3.13).
        """
        with contextlib.suppress(OSError):
            for _ in range(times):
                if select.select([self._socket], [], [], 0)[0]:
                    return
                self._socket.sendall(piece)

    def reply(self, *, to_head: bool = False) -> Reply:
        """Read one response; ``to_head`` if it is to a HEAD, which has no body."""
        version, code, _ = self._line().split(" ", 2)
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "transfer-encoding" in headers:
            raise AssertionError("an answer of known length comes in pieces")
        body = b"" if to_head or int(code) < 200 else self._file.read(int(headers["content-length"]))
        return Reply(version, int(code), headers, body)

    def ended(self) -> bool:
        """Whether the server hangs up, with nothing more to say."""
        try:
            return self._file.read(1) == b""
        except (ConnectionResetError, ssl.SSLError):
            return True

    def _line(self) -> str:
        line = self._file.readline(65536)
        if not line:
            raise EOFError("the server hung up without an answer")
        return line.decode("latin-1").rstrip("\r\n")


def request(path: str, body: bytes = b"", *, method: str = "POST", **headers: str) -> bytes:
    """A request as bytes; keyword arguments are headers, ``_`` for ``-``, an empty one takes the default away."""
    fields = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes, size: int = 65536) -> Iterator[bytes]:
    """A body in chunks, with the end."""
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
