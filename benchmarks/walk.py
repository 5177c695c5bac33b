"""The way of one request through the code, from the socket to the patch: ``python -m benchmarks.walk [--moves]``.

It counts the files of ours that a rewriting review passes through, cold (the first of a ReplicaSet) and warm (the next of it),
the calls, and the moves from one file to another: what a reader follows. It is no measure of time.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import reviews
from webhook.adapters import namespace_file
from webhook.adapters.configuration import file as configuration_file
from webhook.adapters.decision_log import DecisionLog
from webhook.adapters.http.connection import Connection, Port
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.turns import Turns
from webhook.adapters.metrics import Metrics
from webhook.adapters.namespace_file import FileNamespaces
from webhook.application.admission import Admission
from webhook.application.certificates.tokens import PATHS, PathTokens
from webhook.application.recorder import Recorded

_PACKAGE = Path(__file__).resolve().parent.parent / "webhook"


class Walk:
    """The calls of our own code, in their order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take note of every call in the body."""
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and _PACKAGE in file.parents:
            self.calls.append((str(file.relative_to(_PACKAGE)), frame.f_code.co_name))

    @property
    def files(self) -> list[str]:
        """Each file, where it was first come to."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    @property
    def moves(self) -> int:
        """How often the next call was in another file."""
        return sum(one[0] != other[0] for one, other in zip(self.calls, self.calls[1:], strict=False))


class _Recorders:
    def __init__(self, metrics: Metrics, log: DecisionLog) -> None:
        self._all = metrics, log

    def decided(self, recorded: Recorded) -> None:
        """As the server has it."""
        for recorder in self._all:
            recorder.decided(recorded)


def _port(metrics: Metrics, log: DecisionLog) -> Port:
    """The admission port as ``gpuwarden serve`` puts it together, but for TLS."""
    listed = {"kind": "NamespaceList", "items": list(reviews.namespaces(20))}
    namespaces = FileNamespaces(namespace_file.parse(json.dumps(listed)))
    admission = Admission(
        configuration_file.parse(json.dumps(reviews.configuration(5))), namespaces, _Recorders(metrics, log)
    )
    endpoint = AdmissionEndpoint("/mutate", admission.mutate, metrics.answered)
    paths = PathTokens(PATHS.values())
    limiter = ConnectionLimiter(Limits(), Rejections("admission", lambda *_: None))
    return Port(lambda path: endpoint if paths.admits(path) == endpoint.path else None, limiter, Turns())


async def walks() -> tuple[Walk, Walk]:
    """The reviews of the first and the second pod of a ReplicaSet."""
    metrics = Metrics()
    log = DecisionLog(lambda: None)
    port = _port(metrics, log)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(port), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    cold, warm = Walk(), Walk()
    pod = reviews.pod(reviews.ONE, 0)
    for number, walk in enumerate((cold, warm)):
        body = reviews.encode(reviews.review(pod, number))
        lines = ["POST /mutate?timeout=2s HTTP/1.1", "content-type: application/json", f"content-length: {len(body)}"]
        with walk.watched():
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ValueError(answer.decode())
        await reader.read(1 << 16)
    writer.close()
    server.close()
    log.close()
    return cold, warm


def main(arguments: list[str]) -> None:
    """Print both walks: their files, or with ``--moves`` every call."""
    for name, walk in zip(("cold", "warm"), asyncio.run(walks()), strict=True):
        lines = [f"{name}: {len(walk.files)} files, {len(walk.calls)} calls, {walk.moves} moves from file to file"]
        passed = [f"{file}: {function}" for file, function in walk.calls] if "--moves" in arguments else walk.files
        sys.stdout.write("\n    ".join([*lines, *passed]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
