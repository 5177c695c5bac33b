"""Where the two ports listen, and how they run and end together."""

import asyncio
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

GRACE_SECONDS = 10
"""How long answers under way may take when a listener stops."""
# What the kernel keeps for a connection (twice as much, in fact). By itself it would keep up to several MiB, which count as
# the memory of the container (cgroup v2). What it has received is read at once, before others have their turn, and TLS keeps
# room for as much: little for strangers, for records of a byte each take a hundred times as long as others.
_KERNEL_BUFFERS = {socket.SO_RCVBUF: 8 * 1024, socket.SO_SNDBUF: 64 * 1024}
_WIDE = 32 * 1024


async def serve_all(*listeners: Coroutine[Any, Any, None]) -> None:
    """Serve on all listeners (by what their ``serve`` returns) until all are stopped; if one fails, the others stop."""
    async with asyncio.TaskGroup() as group:
        for serving in listeners:
            group.create_task(serving)


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound, and whose connections take little of the kernel's memory.

    Host ``""`` is every address, of both families where the machine has both; port 0 takes a free one.

    Raises:
        OSError: the port can't be bound.
    """
    if host != "":
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    elif socket.has_dualstack_ipv6():
        listening = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listening = socket.create_server(("", port))
    for buffer, size in _KERNEL_BUFFERS.items():
        listening.setsockopt(socket.SOL_SOCKET, buffer, size)
    return listening


def widen(connected: TransportSocket) -> None:
    """Let the kernel receive more at once: large pods in few round trips."""
    with suppress(OSError):  # it is gone already
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WIDE)
        if hasattr(socket, "TCP_WINDOW_CLAMP"):  # Linux, which may keep to what it began with
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, _WIDE)
