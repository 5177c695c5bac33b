"""Clients that attack a server, in a process of their own: ``python -m tests.load.attackers NAME PORT OPS_PORT SECONDS NICE``.

They import nothing of the project, so that they start at once, and run at a low priority: a real attacker has a machine of its
own and takes no processor from the server or from the caller beside it. They print "ready" when they are prepared, begin with
a line on standard input, and at the end print what they did, as JSON.
"""

import asyncio
import hmac
import itertools
import json
import os
import socket
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

BODY = 6_900_000
"""Bytes that fill a body nearly to its limit of 7 MiB."""
_PIECE = 1 << 18
_UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
_GPU = b'{"name":"train","resources":{"limits":{"nvidia.com/gpu":"1"},"requests":{"nvidia.com/gpu":"1"}}}'


@dataclass
class Target:
    """The server, for how long to attack it once everything is prepared, and what was done to it."""

    port: int
    ops_port: int
    seconds: float
    did: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def connection(
        self, *, plain: bool = False, window: int = 0, context: ssl.SSLContext | None = None
    ) -> AsyncIterator["Connection"]:
        """A connection: to the admission port by TLS, or to the operations port.

        Args:
            plain: to the operations port.
            window: the receive buffer, which bounds what the server can send to a client that does not read.
            context: of TLS.
        """
        with socket.socket() as raw:
            raw.setblocking(False)  # noqa: FBT003 - the standard library's
            if window:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.ops_port if plain else self.port))
            connection = Connection(raw, tls=not plain, context=context)
            await connection.shake_hands()
            self.did["connected"] += 1
            yield connection


class Connection:
    """A connection that reads only when it is asked to: asyncio's own reads ahead, and answers a goodbye by itself."""

    def __init__(self, raw: socket.socket, *, tls: bool, context: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context or _CLIENT
        self._tls = client.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost") if tls else None
        self._unread = bytearray()

    async def shake_hands(self) -> None:
        while self._tls:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._loop.sock_sendall(self._raw, self._outgoing.read())
                self._incoming.write(await self._received())
            else:
                await self._loop.sock_sendall(self._raw, self._outgoing.read())
                return

    async def write(self, said: bytes) -> None:
        view = memoryview(said)
        for at in range(0, len(said), _PIECE):
            piece = view[at : at + _PIECE]
            if self._tls:
                self._tls.write(piece)
            await self._loop.sock_sendall(self._raw, self._outgoing.read() if self._tls else piece)

    @property
    def cipher(self) -> str:
        assert self._tls is not None
        name, _, _ = self._tls.cipher() or ("", "", 0)
        return name

    async def write_raw(self, said: bytes) -> None:
        """Write past TLS, which can write no more after it, and at once."""
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_sendall(self._raw, said)

    async def write_apart(self, said: bytes) -> None:
        """Each byte in a record of its own, all in one go."""
        assert self._tls is not None
        for byte in said:
            self._tls.write(bytes([byte]))
        await self._loop.sock_sendall(self._raw, self._outgoing.read())

    async def say_goodbye(self) -> None:
        """Say that nothing more comes."""
        assert self._tls is not None
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._loop.sock_sendall(self._raw, self._outgoing.read())

    async def read_until(self, end: bytes) -> bytes:
        while (at := self._unread.find(end)) < 0:
            self._unread += await self._read_some()
        return await self.read(at + len(end))

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            EOFError: the server has hung up before.
        """
        while len(self._unread) < size:
            self._unread += await self._read_some()
        read = bytes(self._unread[:size])
        del self._unread[:size]
        return read

    async def hung_up(self) -> None:
        """Wait until the server has; what it says until then is thrown away."""
        with suppress(EOFError):
            while await self._read_some():
                pass

    async def _read_some(self) -> bytes:
        while self._tls:
            try:
                if read := self._tls.read(_PIECE):
                    return read
            except ssl.SSLWantReadError:
                self._incoming.write(await self._received())
            else:
                raise EOFError
        return await self._received()

    async def _received(self) -> bytes:
        if received := await self._loop.sock_recv(self._raw, _PIECE):
            return received
        raise EOFError


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_CLIENT = trusting_anybody()


# --- what is sent -------------------------------------------------------------------------------------------------


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-type: application/json", *headers]
    if not any(header.startswith("transfer-encoding") for header in headers):
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def review(of: bytes, named: str = "Pod", **request: Any) -> bytes:
    """A review of an object that is JSON already, of a kind."""
    fields = {
        "uid": _UID,
        "kind": {"group": "", "version": "v1", "kind": named},
        "resource": {"group": "", "version": "v1", "resource": f"{named.lower()}s"},
        "name": "train-0",
        "namespace": "team",
        "operation": "CREATE",
        "userInfo": {"username": "alice@example.com"},
        "object": "@",
    } | request
    outer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": fields}
    return json.dumps(outer).encode().replace(b'"@"', of)


def pod(spec: bytes, metadata: bytes = b'"name":"train-0","namespace":"team"') -> bytes:
    return b'{"apiVersion":"v1","kind":"Pod","metadata":{%s},"spec":{%s}}' % (metadata, spec)


def _list_of(item: bytes) -> bytes:
    """Items that fill a body."""
    return (item + b",") * (BODY // (len(item) + 1) - 1) + item


def _map_of(value: bytes, key: bytes = b"%d") -> bytes:
    """Entries that fill a body."""
    return b",".join(b'"' + key % number + b'":' + value for number in range(BODY // (len(value) + len(key) + 9)))


_ONE = b'"containers":[' + _GPU + b"]"


def trees() -> dict[str, Callable[[], bytes]]:
    """Bodies that are small on the wire and large when they are decoded, by what they are made of."""
    terms = (
        b'"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[%s]}}},'
        + _ONE
    )
    in_a_container = b'"containers":[' + _GPU + b',{"name":"b",%s}]'
    return {
        "containers": lambda: pod(b'"containers":[%s]' % _list_of(b"{}")),
        "initContainers": lambda: pod(b'"initContainers":[%s],' % _list_of(b"{}") + _ONE),
        "ephemeralContainers": lambda: pod(b'"ephemeralContainers":[%s],' % _list_of(b"{}") + _ONE),
        "tolerations": lambda: pod(b'"tolerations":[%s],' % _list_of(b"{}") + _ONE),
        "volumes": lambda: pod(b'"volumes":[%s],' % _list_of(b"{}") + _ONE),
        "env": lambda: pod(in_a_container % (b'"env":[%s]' % _list_of(b"{}"))),
        "env values": lambda: pod(in_a_container % (b'"env":[{"name":"a","value":[%s]}]' % _list_of(b"[]"))),
        "volumeMounts": lambda: pod(in_a_container % (b'"volumeMounts":[%s]' % _list_of(b"{}"))),
        "limits": lambda: pod(in_a_container % (b'"resources":{"limits":{%s}}' % _map_of(b'"1"'))),
        "nodeSelector": lambda: pod(b'"nodeSelector":{%s},' % _map_of(b'""') + _ONE),
        "annotations": lambda: pod(_ONE, b'"name":"a","annotations":{%s}' % _map_of(b'""')),
        "terms": lambda: pod(terms % _list_of(b"{}")),
        "expressions": lambda: pod(terms % (b'{"matchExpressions":[%s]}' % _list_of(b"{}"))),
        "values": lambda: pod(terms % (b'{"matchExpressions":[{"values":[%s]}]}' % _list_of(b'""'))),
        "matchFields": lambda: pod(terms % (b'{"matchFields":[%s]}' % _list_of(b"[]"))),
    }


def _chunked(body: bytes, size: int = 16) -> bytes:
    """A body in chunks so small that their frames are a large part of it."""
    view = memoryview(body)
    pieces = (b"%x\r\n%s\r\n" % (len(view[at : at + size]), view[at : at + size]) for at in range(0, len(body), size))
    return b"".join((*pieces, b"0\r\n\r\n"))


# --- how it is sent -----------------------------------------------------------------------------------------------


async def crowd(target: Target, count: int, client: Callable[[int], Awaitable[None]]) -> None:
    """So many clients at once, each of which begins again when it has ended or was cut off, until time is up."""

    async def again_and_again(number: int) -> None:
        while True:
            with suppress(OSError, EOFError, ValueError):
                await client(number)
            await asyncio.sleep(0.01)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    clients = asyncio.gather(*map(again_and_again, range(count)))
    await asyncio.sleep(target.seconds)
    for _ in range(30):  # on a busy machine an attack takes longer to be one
        if target.did["sent"] < count / 4:
            await asyncio.sleep(target.seconds / 20)
    clients.cancel()
    with suppress(asyncio.CancelledError):
        await clients


async def send(target: Target, connection: Connection, said: bytes) -> None:
    """Send it, as far as the server takes it: it counts as soon as it has begun, for the server may cut it off."""
    target.did["sent"] += 1
    await connection.write(said)


async def read(target: Target, connection: Connection) -> None:
    head = (await connection.read_until(b"\r\n\r\n")).lower()
    await connection.read(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    target.did[head[9:12].decode()] += 1


async def asking(target: Target, requests: Iterable[bytes], *, plain: bool = False, ahead: int = 1) -> None:
    """A client that asks and reads; ``ahead`` is how many it sends before it reads."""
    asked = iter(requests)
    async with target.connection(plain=plain) as connection:
        while some := list(itertools.islice(asked, ahead)):
            sending = asyncio.ensure_future(send(target, connection, b"".join(some)))
            try:
                for _ in some:
                    await read(target, connection)
                await sending
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


async def unread(target: Target, requests: Iterable[bytes], *, plain: bool = False) -> None:
    """A client that asks, as long as it is let, and never reads."""
    async with target.connection(plain=plain, window=4096) as connection:
        for one in requests:
            await send(target, connection, one)


async def holding(target: Target, said: bytes, *, plain: bool = False, window: int = 0) -> None:
    """A client that says something and then nothing, until it is hung up on; with a small window it does not even notice."""
    async with target.connection(plain=plain, window=window) as connection:
        await send(target, connection, said)
        await (asyncio.sleep(60) if window else connection.hung_up())


# --- the attacks --------------------------------------------------------------------------------------------------


async def unread_echoes(target: Target) -> None:
    """Answers that repeat what was sent."""
    long, small = "x" * BODY, pod(_ONE)
    asked = [
        post("/mutate", review(small, operation=long)),
        post("/validate", review(small, uid=long)),
        post("/mutate", review(small).replace(b"admission.k8s.io/v1", long.encode(), 1)),
        post("/advise", review(small).replace(b"AdmissionReview", long.encode(), 1)),
        post("/validate", review(small, kind={"group": "", "version": "v1", "kind": long})),
    ]
    await crowd(target, 20, lambda number: unread(target, itertools.cycle(asked[number % 5 :] + asked[: number % 5])))


async def unread_denials(target: Target) -> None:
    """Refusals for twenty containers whose names are long."""
    bad = b'{"name":"%s","resources":{"limits":{"nvidia.com/gpu":"0.5"}}}'
    containers = b",".join(bad % (b"%02d" % number + b"x" * (BODY // 20 - 100)) for number in range(20))
    asked = post("/validate", review(pod(b'"containers":[%s]' % containers)))
    await crowd(target, 20, lambda _: unread(target, itertools.repeat(asked)))


async def unread_patches(target: Target) -> None:
    """Patches of as many GPU containers as are taken, of a pod that is legal and not large."""
    containers = b",".join(_GPU.replace(b"train", b"c%d" % number) for number in range(900))
    asked = post("/mutate", review(pod(b'"containers":[%s]' % containers)))
    await crowd(target, 20, lambda _: unread(target, itertools.repeat(asked)))


def namespace(entries: bytes, section: bytes = b"labels") -> bytes:
    body = review(b'{"metadata":{"name":"team","%s":{%s}}}' % (section, entries), "Namespace", operation="UPDATE")
    return post("/validate-namespace?timeout=3s", body)


async def label_values(target: Target) -> None:
    """Namespaces whose labels have values of 6.9 MB, each another."""
    numbers = itertools.count()

    def labelled() -> Iterator[bytes]:
        while True:
            yield namespace(b'"gpuwarden.io/enforce":"%d%s"' % (next(numbers), b"v" * BODY))

    await crowd(target, 4, lambda _: asking(target, labelled()))


async def label_keys(target: Target) -> None:
    """Namespaces with many labels that are nearly ours, each another."""
    asked = [namespace(_map_of(b'""', key)) for key in (b"gpuwardem.io/enforc%d", b"gpuwarden.io/x%d", b"%d")]
    await crowd(target, 3, lambda number: asking(target, itertools.repeat(asked[number])))


def head(of: int, header: bytes = b"a:\r\n") -> bytes:
    """A head of so many bytes, that lacks its end."""
    return b"POST /mutate HTTP/1.1\r\nhost: localhost\r\n" + header * (of // len(header))


async def heads(target: Target) -> None:
    """Heads of many short headers that stop just before their end; most of them in one piece, which begins a request."""
    said = [head(117 * 1024, b"a:b\r\n"), head(117 * 1024), head(150 * 1024, b"A:b\r\n"), head(63 * 1024, b"ab:cd\r\n")]
    await crowd(target, 40, lambda number: holding(target, said[number % 4]))


async def heads_of_many(target: Target) -> None:
    """The same from 400 connections."""
    said = [head(60 * 1024), head(117 * 1024, b"a:b\r\n")]
    await crowd(target, 400, lambda number: holding(target, said[number % 2]))


async def heads_on_the_operations_port(target: Target) -> None:
    await crowd(
        target, 60, lambda number: holding(target, head((117, 63, 150)[number % 3] * 1024, b"a:b\r\n"), plain=True)
    )


async def refused_heads(target: Target) -> None:
    """Heads that are too large, from clients that neither read the refusal nor hang up."""
    await crowd(target, 200, lambda number: holding(target, head(200 * 1024) + b"\r\n", window=4096))


async def decoding(target: Target, connections: int, *kinds: str) -> None:
    """Large trees, again and again, to every endpoint."""
    paths = itertools.cycle(("/mutate", "/validate", "/mutate", "/validate", "/advise"))
    asked = [post(next(paths), review(trees()[kind]())) for kind in kinds]
    await crowd(
        target, connections, lambda number: asking(target, itertools.cycle(asked[number % len(asked) :] + asked))
    )


async def old_objects(target: Target) -> None:
    """Updates whose both objects are trees of half the size."""
    half = pod(b'"tolerations":[%s],' % (b"{}," * (BODY // 6) + b"{}") + _ONE)
    asked = post("/validate", review(half, operation="UPDATE", oldObject="~").replace(b'"~"', half))
    await crowd(target, 6, lambda _: asking(target, itertools.repeat(asked)))


async def in_small_chunks(target: Target) -> None:
    """A tree of a third of the size, in chunks of sixteen bytes."""
    tree = pod(b'"containers":[%s]' % (b"{}," * (BODY // 15) + b"{}"))
    asked = post("/mutate", _chunked(review(tree)), "transfer-encoding: chunked")
    await crowd(target, 6, lambda _: asking(target, itertools.repeat(asked)))


async def pipelined(target: Target) -> None:
    """Many large trees in one go on each connection."""
    asked = [post("/mutate", review(trees()[kind]())) for kind in ("containers", "env")]
    await crowd(target, 4, lambda _: asking(target, itertools.cycle(asked), ahead=6))


async def half_bodies(target: Target) -> None:
    """Bodies that begin and do not end."""
    said = post("/mutate", b" " * 1_000_000, length=7_000_000)
    await crowd(target, 300, lambda _: holding(target, said))


async def dripping_bodies(target: Target) -> None:
    """Bodies whose every byte is a chunk of its own, and that do not end."""
    said = post("/mutate", b"1\r\n \r\n" * 150_000, "transfer-encoding: chunked")
    await crowd(target, 60, lambda _: holding(target, said))


async def large_bodies(target: Target) -> None:
    """A hundred bodies of 7 MiB at the same time; nothing in them is large to decode."""
    asked = post("/mutate", review(pod(_ONE)) + b" " * BODY)
    await crowd(target, 100, lambda _: asking(target, itertools.repeat(asked)))


async def user_names(target: Target) -> None:
    """Decisions that are logged with a user name of 6.6 MB."""
    refused = pod(b'"containers":[%s]' % _GPU.replace(b'"1"', b'"0.5"'))
    asked = [
        post(path, review(of, userInfo={"username": "u" * 6_600_000}))
        for path, of in (("/mutate", pod(_ONE)), ("/validate", refused))
    ]
    await crowd(target, 32, lambda number: asking(target, itertools.cycle(asked[number % 2 :] + asked)))


async def names_in_the_log(target: Target) -> None:
    """Everything else that a line of the log repeats."""
    long = "n" * 1_300_000
    refused = pod(b'"containers":[%s]' % _GPU.replace(b'"1"', b'"0.5"'))
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    asked = post("/validate", review(refused, name=long, namespace=long, uid=long, kind=kind))
    await crowd(target, 16, lambda _: asking(target, itertools.repeat(asked)))


def hello(name: bytes) -> bytes:
    """A ClientHello with a server name of any bytes."""
    written = ssl.MemoryBIO()
    wanted = "a" * len(name)
    client = trusting_anybody().wrap_bio(ssl.MemoryBIO(), written, server_hostname=wanted)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return written.read().replace(wanted.encode(), name)


async def long_hellos(target: Target) -> None:
    """ClientHellos as long as OpenSSL takes them, that lack their end; and bodies in what memory there is beside them."""
    size = 131_000
    said = b"\x01" + size.to_bytes(3, "big") + b"\x03\x03" + b"r" * 32 + b"\x00\x00\x02\x13\x01\x01\x00"
    said += bytes(size - len(said))
    record = 1 << 14
    pieces = (said[at : at + record] for at in range(0, size, record))
    records = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    body = post("/mutate", b" " * 6_800_000, length=7_000_000)

    async def greet(number: int) -> None:
        if number < 9:
            await holding(target, body)
        with socket.socket() as raw:
            raw.setblocking(False)  # noqa: FBT003 - the standard library's
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", target.port))
            connection = Connection(raw, tls=False)
            await send(target, connection, records)
            await connection.hung_up()

    await crowd(target, 490, greet)


async def farewells(target: Target) -> None:
    """Records of a byte each behind what the server hangs up on."""
    behind = b"POST /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    async def part(_: int) -> None:
        async with target.connection() as connection:
            await send(target, connection, behind)
            await asyncio.sleep(0.3)
            await connection.write_apart(b"x" * 3000)
            await connection.hung_up()

    await crowd(target, 100, part)


async def small_records(target: Target) -> None:
    """Bodies in records of a byte each, from as many as may connect."""
    begun = post("/mutate", b"", length=100_000)

    async def drip(_: int) -> None:
        async with target.connection() as connection:
            await send(target, connection, begun)
            await connection.write_apart(b" " * 4000)
            await connection.hung_up()

    await crowd(target, 480, drip)


def key_updates(secret: bytes, cipher: str) -> Iterator[bytes]:
    """TLS 1.3 key updates without end, each a record, as the first that a client says after its handshake (RFC 8446, 4.6.3, 7.2).

    Args:
        secret: the client's first application traffic secret.
        cipher: one of AES-GCM, by its name.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - no other attack needs it

    digest, key_size = ("sha384", 32) if cipher == "TLS_AES_256_GCM_SHA384" else ("sha256", 16)

    def derived(label: bytes, length: int) -> bytes:
        full = b"tls13 " + label
        return hmac.digest(secret, b"\0%c%c%b\0\1" % (length, len(full), full), digest)[:length]

    head = b"\x17\x03\x03\0\x16"
    while True:
        yield head + AESGCM(derived(b"key", key_size)).encrypt(derived(b"iv", 12), b"\x18\0\0\1\0\x16", head)
        secret = derived(b"traffic upd", len(secret))


async def key_update_flood(target: Target, folder: str, number: int) -> None:
    """Send TLS records that never become data, until the server hangs up."""
    context, keys = trusting_anybody(), f"{folder}/{number}"
    context.keylog_filename = keys
    async with target.connection(context=context) as connection:
        with open(keys) as logged:  # noqa: ASYNC230, PTH123 - a few lines
            [secret] = [line.split()[2] for line in logged if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")]
        os.unlink(keys)  # noqa: PTH108 - likewise
        for update in key_updates(bytes.fromhex(secret), connection.cipher):
            target.did["sent"] += 1
            await connection.write_raw(update)
            await asyncio.sleep(0)


async def key_update_floods(target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await crowd(target, 30, lambda number: key_update_flood(target, folder, number))


async def half_closed(target: Target) -> None:
    """Pods that take long to decide, of all clients at once, each of which says that it sends no more."""
    containers = b",".join(_GPU.replace(b"train", b"c%d" % number) for number in range(900))
    asked = post("/mutate", review(pod(b'"containers":[%s]' % containers)))

    async def ask(_: int) -> None:
        async with target.connection() as connection:
            await connection.write(asked[:-1])
            await asyncio.sleep(1 - time.time() % 1)
            await send(target, connection, asked[-1:])
            await connection.say_goodbye()
            await connection.hung_up()

    await crowd(target, 100, ask)


async def at_the_same_moment(target: Target, count: int, requests: Sequence[bytes]) -> None:
    """Requests of all clients that are complete within the same second, as those are that a busy server reads late."""

    async def ask(number: int) -> None:
        said = requests[number % len(requests)]
        async with target.connection() as connection:
            await connection.write(said[:-1])
            await asyncio.sleep(1 - time.time() % 1)
            await send(target, connection, said[-1:])
            await read(target, connection)

    await crowd(target, count, ask)


def gpu_pod() -> bytes:
    return pod(_ONE)


async def user_names_at_once(target: Target) -> None:
    """Decisions that keep most of a body until they are logged, of as many bodies as there is memory for."""
    asked = post("/mutate", review(pod(_ONE), userInfo={"username": "u" * BODY}))
    await at_the_same_moment(target, 9, [asked])


def deployment(spec: bytes) -> bytes:
    template = b'{"metadata":{"labels":{"a":"b"}},"spec":{%s}}' % spec
    described = b'{"metadata":{"name":"train"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":%s}}' % template
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    return post("/advise", review(described, "Deployment", kind=kind))


async def templates_at_once(target: Target) -> None:
    """Small bodies that are large trees, whose answers are tasks."""
    containers = b'"containers":[%s]' % (_GPU + b",{}" * 24_000)
    tolerations = b'"tolerations":[%s{}],' % (b"{}," * 24_000) + _ONE
    await at_the_same_moment(target, 100, [deployment(containers), deployment(tolerations)])


async def labels_at_once(target: Target) -> None:
    """Namespaces, whose answers are tasks."""
    asked = [namespace(b'"gpuwarden.io/enforce":"%d%s"' % (number, b"v" * BODY)) for number in range(9)]
    await at_the_same_moment(target, 9, asked)


async def server_names(target: Target) -> None:
    """Server names that are not ASCII, not UTF-8, not names."""
    hellos = [
        hello(name) for name in (b"\xff" * 40, "bücher.example".encode(), b"\x80\xfe.example", b"nul\x00.example.com")
    ]

    async def greet(number: int) -> None:
        with socket.create_connection(("127.0.0.1", target.port)) as raw:
            raw.setblocking(False)  # noqa: FBT003 - the standard library's
            connection = Connection(raw, tls=False)
            await send(target, connection, hellos[number % len(hellos)])
            await asyncio.wait_for(connection.hung_up(), 0.3)

    await crowd(target, 20, greet)


async def small_requests(target: Target) -> None:
    asked = [post(path, review(pod(_ONE))) for path in ("/mutate", "/validate", "/advise")]
    await crowd(target, 150, lambda number: asking(target, itertools.repeat(asked[number % 3])))


async def small_requests_ahead(target: Target) -> None:
    """The same, sixty before an answer is read."""
    asked = post("/mutate", review(pod(_ONE)))
    await crowd(target, 50, lambda _: asking(target, itertools.repeat(asked), ahead=60))


async def handshakes(target: Target) -> None:
    async def greet(_: int) -> None:
        async with target.connection():
            target.did["sent"] += 1

    await crowd(target, 100, greet)


async def slow_readers(target: Target) -> None:
    """Answers of some hundred kilobytes that are read a few bytes at a time, by 200."""
    containers = b",".join(_GPU.replace(b"train", b"c%d" % number) for number in range(600))
    asked = post("/mutate", review(pod(b'"containers":[%s]' % containers)))

    async def sip(_: int) -> None:
        async with target.connection(window=4096) as connection:
            await send(target, connection, asked)
            for _ in range(1000):
                await connection.read(100)
                await asyncio.sleep(0.2)

    await crowd(target, 200, sip)


async def operations_port(target: Target) -> None:
    """Silent connections, half heads, and metrics that nobody reads, all on the operations port."""
    metrics = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"

    async def one(number: int) -> None:
        if number % 3 == 0:
            await holding(target, b"", plain=True)
        elif number % 3 == 1:
            await holding(target, metrics[:20], plain=True)
        else:
            await unread(target, itertools.repeat(metrics * 50), plain=True)

    await crowd(target, 200, one)


async def bodies_on_the_operations_port(target: Target) -> None:
    """What nobody reads, sent where nothing is read."""
    said = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n" + b" " * 3_000_000
    chunks = (
        b"POST /nothing HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 300_000
    )
    await crowd(target, 60, lambda number: holding(target, (said, chunks)[number % 2], plain=True))


async def paths(target: Target) -> None:
    """Long paths, unknown ones, and queries, which FastAPI would route."""
    asked = [
        post("/" + "a/" * 30_000, b"{}"),
        post("/" + "%" * 1_000, b"{}"),
        post("/validate-namespace?" + "timeout=1s&" * 5_000, review(pod(_ONE))),
        post("/nothing", b" " * BODY),
    ]
    await crowd(target, 12, lambda number: asking(target, itertools.repeat(asked[number % len(asked)]), ahead=3))


async def durations(target: Target) -> None:
    """Times that the caller says it waits, long and short ones that are nearly readable."""
    said = [b"1" * 900, b"1." * 400, b"9" * 12_000, b"1m" * 450]
    asked = [post(f"/validate-namespace?timeout={each.decode()}", review(pod(_ONE))) for each in said]
    await crowd(target, 40, lambda number: asking(target, itertools.repeat(asked[number % len(asked)])))


async def long_names(target: Target) -> None:
    """Names of all sorts of 6.5 MB, each another: nothing may remember them."""
    numbers = itertools.count()
    shapes = (
        b'"containers":[{"name":"c","resources":{"limits":{"nvidia.com/%s":"1","nvidia.com/gpu":"1"}}}]',
        b'"containers":[{"name":"c","resources":{"limits":{"nvidia.com/mig-%s":"1"}}}]',
        b'"containers":[{"name":"c","resources":{"limits":{"nvidia.com/gpu":"%s"}}}]',
        b'"nodeSelector":{"nvidia.com/gpu.product":"%s"},' + _ONE,
        b'"nodeSelector":{"nvidia.com/%s":"a"},' + _ONE,
        b'"runtimeClassName":"%s",' + _ONE,
        b'"containers":[{"name":"c","env":[{"name":"NVIDIA_VISIBLE_DEVICES","value":"%s"}]}]',
        b'"volumes":[{"name":"v","hostPath":{"path":"/dev/%s"}}],"containers":[{"name":"c"}]',
    )

    def named() -> Iterator[bytes]:
        while True:
            number = next(numbers)
            name = b"%d" % (10**9 + number) + b"1" * 6_500_000
            yield post(("/mutate", "/validate")[number // 8 % 2], review(pod(shapes[number % 8].replace(b"%s", name))))

    await crowd(target, 4, lambda _: asking(target, named()))


async def wide_strings(target: Target) -> None:
    """Texts of which one character makes the interpreter keep four bytes for each of all the others, unread."""
    long = "x" * BODY + "\U0001f600"
    wide = json.dumps(long, ensure_ascii=False).encode()
    asked = [
        post("/validate", review(pod(_ONE), uid="~").replace(b'"~"', wide)),
        post("/mutate", review(pod(_ONE), operation="~").replace(b'"~"', wide)),
        post("/validate", review(pod(_ONE.replace(b'"1"', b'"0.5"').replace(b'"train"', wide)))),
        namespace(b'"gpuwarden.io/enforce":' + wide),
    ]
    await crowd(target, 20, lambda number: unread(target, itertools.cycle(asked[number % 4 :] + asked)))


async def raw_connections(target: Target) -> None:
    """Connections that never shake hands, from more than there is room for, again as soon as they are hung up on."""

    async def silent(_: int) -> None:
        with socket.socket() as raw:
            raw.setblocking(False)  # noqa: FBT003 - the standard library's
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", target.port))
            target.did["sent"] += 1
            await Connection(raw, tls=False).hung_up()

    await crowd(target, 400, silent)


async def metrics(target: Target) -> None:
    """Everything that the operations port has, ten times in one go, by as many as may connect."""
    asked = [b"GET /%s HTTP/1.1\r\nhost: localhost\r\n\r\n" % path for path in (b"metrics", b"readyz", b"openapi.json")]
    await crowd(target, 60, lambda number: asking(target, itertools.repeat(asked[number % 3]), plain=True, ahead=10))


async def unknown_namespaces(target: Target) -> None:
    """Large trees in namespaces that nobody knows: each waits for the API server, which does not answer."""
    tree = trees()["tolerations"]()
    numbers = itertools.count()

    def scattered() -> Iterator[bytes]:
        while True:
            yield post("/mutate", review(tree, namespace=f"ns-{next(numbers)}"))

    await crowd(target, 12, lambda _: asking(target, scattered()))


async def namespace_names(target: Target) -> None:
    """Namespaces whose name is most of the body, which the failure to find them repeats, unread."""
    asked = post("/validate", review(pod(_ONE), namespace="n" * BODY))
    await crowd(target, 20, lambda _: unread(target, itertools.repeat(asked)))


@dataclass(frozen=True)
class Attack:
    """How an attack is made."""

    clients: Callable[[Target], Coroutine[Any, Any, None]]
    processes: int = 1
    unread_log: bool = False
    """Whether the reader of the server's log stalls meanwhile."""
    silent_cluster: bool = False
    """Whether the server watches a cluster whose API server has stopped to answer."""


_MIXED = ("containers", "env", "tolerations", "terms", "limits")


def _trees_of(*kinds: str) -> Attack:
    return Attack(lambda target: decoding(target, 6, *kinds))


ATTACKS: dict[str, Attack] = {
    "unread echoes": Attack(unread_echoes),
    "unread denials": Attack(unread_denials),
    "unread patches": Attack(unread_patches),
    "label values": Attack(label_values),
    "label keys": Attack(label_keys),
    "heads": Attack(heads),
    "heads of many": Attack(heads_of_many),
    "heads on the operations port": Attack(heads_on_the_operations_port),
    "refused heads": Attack(refused_heads),
    "trees of containers": _trees_of("containers", "initContainers", "ephemeralContainers"),
    "trees of tolerations": _trees_of("tolerations"),
    "trees in containers": _trees_of("env", "env values", "volumeMounts"),
    "trees of map entries": _trees_of("limits", "nodeSelector", "annotations"),
    "trees of affinity": _trees_of("terms", "expressions", "values", "matchFields"),
    "trees from 2": Attack(lambda target: decoding(target, 2, *_MIXED)),
    "trees from 32": Attack(lambda target: decoding(target, 32, *_MIXED)),
    "trees in updates": Attack(old_objects),
    "trees in small chunks": Attack(in_small_chunks),
    "trees pipelined": Attack(pipelined),
    "half bodies": Attack(half_bodies),
    "dripping bodies": Attack(dripping_bodies),
    "large bodies": Attack(large_bodies),
    "user names": Attack(user_names, unread_log=True),
    "names in the log": Attack(names_in_the_log, unread_log=True),
    "server names": Attack(server_names, unread_log=True),
    "long hellos": Attack(long_hellos),
    "farewells": Attack(farewells),
    "half closed": Attack(half_closed),
    "user names at once": Attack(user_names_at_once),
    "templates at once": Attack(templates_at_once),
    "labels at once": Attack(labels_at_once),
    "key updates": Attack(key_update_floods, processes=2),
    "small records": Attack(small_records),
    "small requests": Attack(small_requests, processes=2),
    "small requests ahead": Attack(small_requests_ahead),
    "handshakes": Attack(handshakes, processes=2),
    "slow readers": Attack(slow_readers),
    "operations port": Attack(operations_port),
    "bodies on the operations port": Attack(bodies_on_the_operations_port),
    "paths": Attack(paths),
    "durations": Attack(durations),
    "long names": Attack(long_names),
    "wide strings": Attack(wide_strings),
    "unknown namespaces": Attack(unknown_namespaces, silent_cluster=True),
    "namespace names": Attack(namespace_names, silent_cluster=True),
    "raw connections": Attack(raw_connections, processes=2),
    "metrics": Attack(metrics),
}

TOGETHER = (
    "unread echoes",
    "unread denials",
    "label values",
    "heads of many",
    "heads on the operations port",
    "trees of containers",
    "trees of affinity",
    "half bodies",
    "large bodies",
    "user names",
    "server names",
    "long hellos",
    "farewells",
    "half closed",
    "small requests",
    "handshakes",
    "slow readers",
    "long names",
)
"""The worst of each kind, for all at once."""


def main(name: str, port: str, ops_port: str, seconds: str, nice: str) -> None:
    os.nice(int(nice))
    target = Target(int(port), int(ops_port), float(seconds))
    asyncio.run(ATTACKS[name].clients(target))
    sys.stdout.write(json.dumps(target.did))


if __name__ == "__main__":
    main(*sys.argv[1:])
