"""The bound of memory does not depend on the processor.

A server that gets little of it, beside others who take it, finds much complete at the same moment. To be stopped altogether is
the same in its worst form, and it is the same each time.
"""

import asyncio
import os
import signal
from pathlib import Path

from tests.cli.serving import Served
from tests.load.attackers import BODY, Target, deployment, gpu_pod, namespace, post, read, review
from tests.load.process import answers, peak_mib, reset_peak, resident_mib
from tests.load.under_attack import CONFIGURATION

# As many large bodies as there is memory for (``--max-memory``).
AT_ONCE = 9
MOST_MORE_MIB = 20
"""Beyond what has come and is counted: what is decoded of one body, with room for the next."""

TREE = b'"containers":[{"resources":{"limits":{"nvidia.com/gpu":"1"}}}%s]' % (b",{}" * 24_000)
COMPLETE = {
    "templates": deployment(TREE + b',"x":"%s"' % (b"x" * (BODY - 100_000))),
    "namespaces": namespace(b'"gpuwarden.io/enforce":"%s"' % (b"x" * BODY)),
    "users": post("/mutate", review(gpu_pod(), userInfo={"username": "u" * BODY})),
}


def test_what_is_complete_at_the_same_moment_is_not_decoded_at_the_same_moment(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGURATION)
    with Served("--tls-self-signed", "--config", config, "--max-lag", "60") as server:  # or most would be shed unread
        answers(server)
        more = {what: asyncio.run(more_when_complete_at_once(server, asked)) for what, asked in COMPLETE.items()}
    print(more)  # noqa: T201 - the numbers, to compare
    assert max(more.values()) < MOST_MORE_MIB


async def resident_when_it_has_read(server: Served) -> float:
    """How much memory it has, once that grows no more."""
    while True:
        before = resident_mib(server)
        await asyncio.sleep(0.3)
        if (now := resident_mib(server)) <= before:
            return now


async def more_when_complete_at_once(server: Served, asked: bytes) -> float:
    """Send all but the last byte of requests, and that while the server is stopped; how much more memory it then needs."""
    target = Target(server.said["port"], server.said["ops_port"], 0.0)
    sent, going = asyncio.Barrier(AT_ONCE + 1), asyncio.Event()

    async def ask() -> None:
        async with target.connection() as connection:
            await connection.write(asked[:-1])
            await sent.wait()
            await going.wait()
            await connection.write(asked[-1:])
            await sent.wait()
            await read(target, connection)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask())
        await sent.wait()
        before = await resident_when_it_has_read(server)
        os.kill(server.pid, signal.SIGSTOP)
        reset_peak(server)
        going.set()
        await sent.wait()
        os.kill(server.pid, signal.SIGCONT)
    assert target.did["200"] == AT_ONCE
    return peak_mib(server) - before
