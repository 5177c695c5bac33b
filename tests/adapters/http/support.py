"""A real server in a thread: a listener as ``gpuwarden serve`` has it, over TLS, with endpoints that a test chooses."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from queue import Queue

import trustme
import uvloop

from testing.reviews import Answered, Json, a_pod, a_review, encode, read_answer
from tests.wire import PATIENCE, Reply, Wire, request
from webhook.adapters.http.connection import Port
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.listeners import AdmissionListener
from webhook.adapters.http.request_queue import RequestQueue
from webhook.adapters.tls.serving import ServingCertificate
from webhook.application.certificates.pem import CertificatePair
from webhook.application.review import Answering

GOOD = encode(a_review(a_pod()))


class Answers:
    """Who is told how requests went."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, int]] = []
        self._changed = threading.Condition()

    def answered(self, path: str, code: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        with self._changed:
            self._seen.append((path, code))
            self._changed.notify_all()

    def wait_for(self, path: str, code: int, since: int) -> None:
        """Wait for an answer to be counted, which happens just after it is sent."""
        with self._changed:
            assert self._changed.wait_for(lambda: (path, code) in self._seen[since:], timeout=PATIENCE), self._seen[
                since:
            ]

    def __len__(self) -> int:
        return len(self._seen)


@dataclass
class Serving:
    """A server and how to come to it."""

    listener: AdmissionListener
    shared: Port
    authority: trustme.CA | None
    answers: Answers
    loop: asyncio.AbstractEventLoop

    def stop(self) -> None:
        """Let it begin to stop."""
        self.loop.call_soon_threadsafe(self.listener.stop)

    @cached_property
    def _trusting(self) -> ssl.SSLContext | None:
        return self.context() if self.authority else None

    def context(self) -> ssl.SSLContext:
        """A client's context that trusts the server's authority and nobody else."""
        assert self.authority is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    def connect(self) -> Wire:
        return Wire(self.listener.port, self._trusting)

    def ask(self, *pieces: bytes, to_head: bool = False) -> Reply:
        """One request on a connection of its own."""
        with self.connect() as wire:
            wire.send(*pieces)
            return wire.reply(to_head=to_head)

    def still_answers(self) -> None:
        """A good request gets the right answer, whatever came before."""
        reply = self.ask(request("/mutate", GOOD))
        assert answer_of(reply).patch is not None


def answer_of(reply: Reply) -> Answered:
    """The review in an answer."""
    assert reply.code == 200, reply
    assert reply.headers["content-type"] == "application/json"
    return read_answer(reply.body)


def status_of(reply: Reply) -> Json:
    """The ``metav1.Status`` of an answer that is no review."""
    status: Json = reply.json()
    assert reply.headers["content-type"] == "application/json"
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["code"] == reply.code
    return status


@contextmanager
def running(
    authority: trustme.CA | None, answers_of_paths: Mapping[str, Callable[[bytes], Answering]]
) -> Iterator[Serving]:
    """Serve while a block runs, by TLS if there is an authority; when it ends, the server has ended without an error."""
    answers = Answers()
    endpoints = {path: AdmissionEndpoint(path, answer, answers.answered) for path, answer in answers_of_paths.items()}
    shared = Port(
        endpoints.get, ConnectionLimiter(Limits(), Rejections("admission", lambda _port, _reason: None)), RequestQueue()
    )
    listener = AdmissionListener(shared, "127.0.0.1", 0, _certificate(authority).context if authority else None)
    failed: list[BaseException] = []
    loops: Queue[asyncio.AbstractEventLoop] = Queue()
    thread = threading.Thread(target=_serve, args=(listener, failed, loops))
    thread.start()
    serving = Serving(listener, shared, authority, answers, loops.get(timeout=PATIENCE))
    try:
        yield serving
    finally:
        with suppress(RuntimeError):  # it has ended already: the test has stopped it
            serving.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not failed


def _certificate(authority: trustme.CA) -> ServingCertificate:
    leaf = authority.issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    certificate = ServingCertificate(lambda: datetime.now(UTC))
    certificate.replace(CertificatePair.from_pem(chain, leaf.private_key_pem.bytes()))
    return certificate


def _serve(listener: AdmissionListener, failed: list[BaseException], loops: Queue[asyncio.AbstractEventLoop]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loops.put(runner.get_loop())
            runner.run(listener.serve())
    except BaseException as error:  # noqa: BLE001 - the test's own thread asserts that there was none
        failed.append(error)
