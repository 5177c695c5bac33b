"""What the kernel holds for the connections of a port (sock_diag(7)).

A memory cgroup (v2, and v1 with kmem.tcp) counts it to the process whose sockets these are, but no field of /proc does.
"""

import socket
import struct
from collections.abc import Iterator

_SOCK_DIAG = 4  # linux/netlink.h, NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # linux/sock_diag.h, SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # linux/netlink.h, NLM_F_REQUEST | NLM_F_DUMP
_MEMORY = 7  # linux/inet_diag.h, INET_DIAG_SKMEMINFO
_ERROR, _DONE = 2, 3  # linux/netlink.h, NLMSG_ERROR, NLMSG_DONE
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_MESSAGE = 72  # sizeof(struct inet_diag_msg)
_EVERY_STATE = 0xFFF


def socket_bytes(*ports: int) -> int:
    """Bytes that the kernel holds, received or to be sent, for the connections that were accepted on ports."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as asking:
        return sum(sum(_of_port(asking, port)) for port in ports)


def _of_port(asking: socket.socket, port: int) -> Iterator[int]:
    wanted = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (_MEMORY - 1), _EVERY_STATE)
    request = wanted + struct.pack("!HH", port, 0) + bytes(44)
    asking.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
    while True:
        answer = asking.recv(1 << 18)
        while answer:
            length, kind, *_ = _HEADER.unpack_from(answer)
            if kind in (_ERROR, _DONE):
                return
            yield _memory(answer[_HEADER.size + _MESSAGE : length])
            answer = answer[(length + 3) & ~3 :]


def _memory(attributes: bytes) -> int:
    while attributes:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _MEMORY:
            # Received, sent and not acknowledged, reserved (linux/sock_diag.h: SK_MEMINFO_*).
            received, _, _, _, reserved, queued = struct.unpack_from("=6I", attributes, 4)
            return int(received + reserved + queued)
        attributes = attributes[(length + 3) & ~3 :]
    return 0
