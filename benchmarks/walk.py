"""The way of one request through the code, from the socket to the answer: ``python -m benchmarks.walk [--moves]``.

It counts the files of ours that a rewriting review passes through, the calls, and the moves from one file to another: what a
reader follows. It is no measure of time. The reviews are of

- the first pod of a process, in which no pod is remembered;
- a cold one, the first pod of a ReplicaSet, after one of another ReplicaSet under the same policy;
- a warm one, the next pod of that ReplicaSet.

What is recorded once the answer is written (metrics, the decision log) is counted apart.
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
from webhook.adapters.deferred_recording import DeferredRecording
from webhook.adapters.http.connection import Connection, Port
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.request_queue import RequestQueue
from webhook.adapters.metrics import Metrics
from webhook.adapters.namespace_file import FileNamespaces
from webhook.application.admission import Admission
from webhook.application.certificates.tokens import PATHS, PathTokens

_RECORDING = ("adapters/deferred_recording.py", "_record")
_PACKAGE = Path(__file__).resolve().parent.parent / "webhook"


class Walk:
    """The calls of our own code, in their order: until the answer is written, and those that record it then."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.recording: list[tuple[str, str]] = []

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
            call = str(file.relative_to(_PACKAGE)), frame.f_code.co_name
            (self.recording if self.recording or call == _RECORDING else self.calls).append(call)

    @property
    def files(self) -> list[str]:
        """Each file, where it was first come to."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    @property
    def recorded_by(self) -> list[str]:
        """The files that only the recording comes to."""
        return [file for file in dict.fromkeys(file for file, _ in self.recording) if file not in self.files]

    @property
    def moves(self) -> int:
        """How often the next call was in another file."""
        return sum(one[0] != other[0] for one, other in zip(self.calls, self.calls[1:], strict=False))


def _port(metrics: Metrics, log: DecisionLog) -> Port:
    """The admission port as ``gpuwarden serve`` puts it together, but for TLS."""
    listed = {"kind": "NamespaceList", "items": list(reviews.namespaces(20))}
    namespaces = FileNamespaces(namespace_file.parse(json.dumps(listed)))
    configuration = configuration_file.parse(json.dumps(reviews.configuration(5)))
    recorder = DeferredRecording(metrics.answered, metrics, log)
    endpoint = AdmissionEndpoint("/mutate", Admission(configuration, namespaces, recorder).mutate, recorder.answered)
    paths = PathTokens(PATHS.values())
    limiter = ConnectionLimiter(Limits(), Rejections("admission", lambda *_: None))
    return Port(lambda path: endpoint if paths.admits(path) == endpoint.path else None, limiter, RequestQueue())


async def walks() -> dict[str, Walk]:
    """The walks of reviews, by which they are."""
    metrics = Metrics()
    port = _port(metrics, DecisionLog())
    server = await asyncio.get_running_loop().create_server(lambda: Connection(port), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    found = {"first": Walk(), "cold": Walk(), "warm": Walk()}
    one, another = reviews.pod(reviews.ONE, 0), reviews.pod(reviews.ONE, 1)
    for number, (pod, walk) in enumerate(zip((one, another, another), found.values(), strict=True)):
        body = reviews.encode(reviews.review(pod, number))
        lines = ["POST /mutate?timeout=2s HTTP/1.1", "content-type: application/json", f"content-length: {len(body)}"]
        with walk.watched():
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0)  # it is recorded in the next turn of the loop
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ValueError(answer.decode())
        await reader.read(1 << 16)
    writer.close()
    server.close()
    return found


def main(arguments: list[str]) -> None:
    """Print the walks: their files, or with ``--moves`` every call."""
    for name, walk in asyncio.run(walks()).items():
        lines = [f"{name}: {len(walk.files)} files, {len(walk.calls)} calls, {walk.moves} moves from file to file"]
        lines += [f"{file}: {function}" for file, function in walk.calls] if "--moves" in arguments else walk.files
        lines.append(f"then recorded by {', '.join(walk.recorded_by)}")
        sys.stdout.write("\n    ".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
