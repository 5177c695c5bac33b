"""Twice what it can serve: the excess is shed at once, who is served is served in time, nothing is lost, and it ends."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from testing.reviews import UID, a_gpu_container, a_pod, a_review, encode, read_answer
from tests.cli.serving import Served
from tests.load.process import refused, resident_mib
from tests.wire import request

CONFIGURATION = "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: mps}\n"
# Dear for the server, some milliseconds, and cheap for the client beside it: the answer is short.
PLAIN_REQUESTS = a_pod(*(a_gpu_container(name=f"c{number}") for number in range(900)))
DEAR = request("/validate", encode(a_review(PLAIN_REQUESTS)))
CONNECTIONS = 150
SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """What came for one request."""

    code: int
    headers: bytes
    body: bytes
    seconds: float


class Client:
    """A connection that asks when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self) -> Answer:
        began = time.monotonic()
        self._writer.write(DEAR)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        return Answer(int(head[9:12]), head, body, time.monotonic() - began)

    async def ask_at(self, times: list[float]) -> list[Answer]:
        answers = []
        for moment in times:
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            answers.append(await self.ask())
        return answers

    async def close(self) -> None:
        self._writer.transport.abort()


async def connect(server: Served) -> Client:
    return Client(
        *await asyncio.open_connection(
            "127.0.0.1", server.said["port"], ssl=server.context, server_hostname="localhost"
        )
    )


async def capacity(clients: list[Client]) -> float:
    """Answers a second, when as many ask as are needed to keep it busy."""
    began = time.monotonic()
    until = began + 1.0

    async def keep_asking(client: Client) -> int:
        count = 0
        while time.monotonic() < until:
            assert (await client.ask()).code == 200
            count += 1
        return count

    counts = await asyncio.gather(*map(keep_asking, clients[:4]))
    return sum(counts) / (time.monotonic() - began)


async def offered(clients: list[Client], rate: float) -> list[Answer]:
    """Ask at a steady rate, whether or not answers come; everything that was answered."""
    start, count = time.monotonic() + 0.1, int(rate * SECONDS)
    times = [start + number / rate for number in range(count)]
    answers = await asyncio.gather(
        *(client.ask_at(times[index :: len(clients)]) for index, client in enumerate(clients))
    )
    assert sum(map(len, answers)) == count
    return [answer for some in answers for answer in some]


async def health(server: Served, asked: list[float]) -> None:
    while True:
        began = time.monotonic()
        assert (await asyncio.to_thread(server.ops, "/healthz")).code == 200
        assert (await asyncio.to_thread(server.ops, "/readyz")).code == 200
        asked.append(time.monotonic() - began)
        await asyncio.sleep(0.2)


async def test_twice_what_it_can_serve(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGURATION)
    with Served("--tls-self-signed", "--config", config, "--max-lag", "0.2") as server:
        clients = [await connect(server) for _ in range(CONNECTIONS)]
        sustained = await capacity(clients)
        assert refused(server, "overload") == 0, "what it can serve it serves"
        memory = resident_mib(server)

        looks: list[float] = []
        looking = asyncio.create_task(health(server, looks))
        # Twice, and as much again: what this machine has to spare changes from one second to the next.
        answers = await offered(clients, 4 * sustained)
        looking.cancel()

        served = [answer for answer in answers if answer.code == 200]
        shed = [answer for answer in answers if answer.code != 200]
        told = (
            f"{sustained:.0f} a second are sustained; of {len(answers)} in {SECONDS} s {len(served)} were served, the "
            f"slowest in {max(answer.seconds for answer in served):.2f} s, and {len(shed)} shed, in at most "
            f"{max((answer.seconds for answer in shed), default=0):.2f} s; {resident_mib(server) - memory:+.0f} MiB"
        )
        print(told)  # noqa: T201 - shown when the test fails
        assert all(read_answer(answer.body, UID).rules == ["not-rewritten"] for answer in served)
        assert {answer.code for answer in shed} == {503}
        assert all(b"\r\nretry-after: 1\r\n" in answer.headers for answer in shed)
        assert refused(server, "overload") == len(shed)
        assert len(served) > sustained * SECONDS / 3
        assert max(answer.seconds for answer in answers) < 8
        assert looks
        assert max(looks) < 8, "two questions, each on a connection of its own"
        assert resident_mib(server) < memory + 120

        since = refused(server, "overload")
        for _ in range(20):
            assert (await clients[0].ask()).code == 200
        assert refused(server, "overload") == since, "it is over when the load is"
        for client in clients:
            await client.close()


def test_one_dear_request_costs_nobody_else_an_answer(tmp_path: Path) -> None:
    """The control: a turn that lasts is no overload, as long as it is only one request that takes so long."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGURATION)
    with Served("--tls-self-signed", "--config", config, "--max-lag", "0.2") as server:
        with server.connect() as dear, server.connect() as other:
            dear.send(request("/mutate", encode(a_review(PLAIN_REQUESTS))))
            for _ in range(20):
                other.send(request("/mutate", encode(a_review(a_pod()))))
                assert other.reply().code == 200
            assert dear.reply().code == 200
        assert refused(server, "overload") == 0
