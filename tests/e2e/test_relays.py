"""The relays of these tests follow ``/readyz`` as kubelets do with the chart's probe."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from testing.control_plane.waiting import wait_for
from tests.e2e.relay import Relay


class Probed:
    """Something with a ``/readyz`` whose answers may be late."""

    def __init__(self) -> None:
        self.status = 200
        self.answered = threading.Event()
        self.answered.set()
        self.probes = 0
        probed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                probed.probes += 1
                probed.answered.wait()
                self.send_response(probed.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)


@pytest.fixture
def probed() -> Iterator[Probed]:
    made = Probed()
    made.thread.start()
    yield made
    made.answered.set()
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_one_late_answer_is_forgiven_and_two_in_a_row_are_not(probed: Probed) -> None:
    with Relay() as relayed:
        relayed.add(1, probed.port)
        wait_for("the backend", lambda: relayed.ready == {1})
        for _ in range(2):
            before = probed.probes
            probed.answered.clear()
            wait_for("the second probe", lambda before=before: probed.probes >= before + 2)  # type: ignore[misc]  # mypy can't infer a lambda's default
            assert relayed.ready == {1}
            probed.answered.set()
            wait_for("an answer", lambda before=before: probed.probes > before + 3)  # type: ignore[misc]  # mypy can't infer a lambda's default
            assert relayed.ready == {1}
        probed.answered.clear()
        wait_for("no backend", lambda: not relayed.ready)
        probed.answered.set()
        wait_for("the backend", lambda: relayed.ready == {1})


def test_an_answer_counts_at_once(probed: Probed) -> None:
    with Relay() as relayed:
        relayed.add(1, probed.port)
        wait_for("the backend", lambda: relayed.ready == {1})
        probed.status = 503
        wait_for("no backend", lambda: not relayed.ready, 20.0)
