"""The operations port: alive, ready part by part, metrics, and nothing of admission."""

from collections.abc import AsyncIterator

import pytest
from httpx import ASGITransport, AsyncClient

from webhook.adapters.asgi.application import ReadinessPart, application


class State:
    def __init__(self) -> None:
        self.parts = [ReadinessPart(name="serving", ready=True, message="accepting connections")]


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
async def client(state: State) -> AsyncIterator[AsyncClient]:
    app = application(lambda: state.parts, lambda: b"# HELP up\nup 1\n")
    async with AsyncClient(transport=ASGITransport(app), base_url="http://ops") as client:
        yield client


async def test_it_is_alive_whatever_is_ready(client: AsyncClient, state: State) -> None:
    state.parts = [ReadinessPart(name="serving", ready=False, message="starting")]

    answer = await client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


async def test_it_is_ready_when_every_part_is_and_says_what_each_is_about(client: AsyncClient, state: State) -> None:
    ready = await client.get("/readyz")
    state.parts = [*state.parts, ReadinessPart(name="namespaces", ready=False, message="not listed yet")]
    unready = await client.get("/readyz")

    assert (ready.status_code, unready.status_code) == (200, 503)
    assert ready.json()["ready"] is True
    assert unready.json() == {
        "ready": False,
        "parts": [
            {"name": "serving", "ready": True, "message": "accepting connections"},
            {"name": "namespaces", "ready": False, "message": "not listed yet"},
        ],
    }


async def test_metrics_come_as_prometheus_reads_them(client: AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.text == "# HELP up\nup 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", ["/mutate", "/validate", "/"])
async def test_there_is_no_admission_on_this_port(client: AsyncClient, path: str) -> None:
    answer = await client.post(path, json={})

    assert answer.status_code == 404


async def test_it_is_only_read(client: AsyncClient) -> None:
    answer = await client.post("/healthz")

    assert answer.status_code == 405
