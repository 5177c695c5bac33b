"""What stands between the API server and the replicas in these tests: a TCP balancer that follows ``/readyz``.

It does what a Service does. A new connection goes to a ready replica, in turns; one that is there stays where it is, also
when its replica is no longer ready; where none is ready, connections are ended at once. TLS passes through untouched.
A replica that says that it is not ready is not at once; one that does not answer in time is not after as many probes as
in the chart, because on a busy machine any process may pause for a second: the replica's, or the tests', which has the relays.
"""

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

import httpx

from testing.control_plane.processes import free_port

T = TypeVar("T")

CHECK_SECONDS = 0.25  # between two looks at /readyz; a kubelet and kube-proxy together take longer
PROBE_SECONDS, UNANSWERED = 3.0, 2  # timeoutSeconds and failureThreshold of the chart's readinessProbe
_CHUNK = 1 << 16


class Relay:
    """A loopback port whose connections go to the ready ones of some backends. A context manager with its own thread.

    Attributes:
        port: where it listens.
        open: whether new connections are let through at all; False is a webhook that is down.
    """

    def __init__(self) -> None:
        """Choose a port; entering the context listens there."""
        self.port = free_port()
        self.open = True
        self._backends: dict[int, int | None] = {}  # port -> the port of its /readyz
        self._ready: frozenset[int] = frozenset()
        self._unanswered: Counter[int] = Counter()  # probes in a row, by backend
        self._turn = itertools.count()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"relay-{self.port}", daemon=True)

    def __enter__(self) -> Self:
        """Listen, and look after the backends."""
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._checking = asyncio.run_coroutine_threadsafe(self._check_forever(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection, and the thread."""
        self._checking.cancel()
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, port: int, ops_port: int | None = None) -> None:
        """Send connections to ``port`` too, while ``/readyz`` on ``ops_port`` says 200; without that port, always."""
        self._backends[port] = ops_port

    def remove(self, port: int) -> None:
        """Send no more new connections there; those that are there stay."""
        self._backends.pop(port, None)

    @property
    def ready(self) -> frozenset[int]:
        """The backends that new connections go to."""
        return self._ready

    def cut(self) -> None:
        """End every connection that is open, before this returns; new ones are let through."""
        self._run(self._abort())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _end(self) -> None:
        self._server.close()
        await self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _check_forever(self) -> None:
        async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False) as client:
            while True:
                backends = dict(self._backends)
                answers = await asyncio.gather(*(self._is_ready(client, *each) for each in backends.items()))
                self._ready = frozenset(port for port, ready in zip(backends, answers, strict=True) if ready)
                await asyncio.sleep(CHECK_SECONDS)

    async def _is_ready(self, client: httpx.AsyncClient, port: int, ops_port: int | None) -> bool:
        if ops_port is None:
            return True
        unanswered = self._unanswered.pop(port, 0) + 1
        try:
            return (await client.get(f"http://127.0.0.1:{ops_port}/readyz")).status_code == httpx.codes.OK
        except httpx.TimeoutException:
            self._unanswered[port] = unanswered
            return port in self._ready and unanswered < UNANSWERED
        except httpx.HTTPError:
            return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            # As it is now, and not as it was at the last look: a backend that was removed since gets nothing new.
            ready = sorted(self._ready & self._backends.keys())
            if ready and self.open:
                await self._connect(reader, writer, ready[next(self._turn) % len(ready)])
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        with suppress(OSError):  # nobody listens there any more: the API server sees its connection end
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass(reader, far_writer))
                    both.create_task(_pass(far_reader, writer))
            except* OSError:
                pass  # one side broke off; the other is told by the same
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes from one side to the other, to the end."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
