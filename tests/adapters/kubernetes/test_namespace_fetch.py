"""A namespace that is not cached is read live, once, in time, and a failure is never taken for an answer."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import namespace
from testing.stand_in.http_side import Behaviour, Handler
from tests.adapters.kubernetes import faults
from tests.adapters.kubernetes.support import Clock, Noted, eventually
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable
from webhook.engine.namespace_labels import NamespaceLabels

MPS = NamespaceLabels(enforce="mps")


async def test_a_namespace_that_is_not_cached_is_read_from_the_api_server(
    apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
) -> None:
    apiserver.set_namespace("a", enforce="mps")
    assert namespaces.cached("a") is None
    assert await namespaces.fetch("a") == MPS
    assert noted.misses == ["found"]
    (get,) = apiserver.seen("get")
    assert get.path == "/api/v1/namespaces/a"
    assert get.headers["Authorization"] == "Bearer s3cret"


async def test_all_who_ask_at_once_share_one_read(apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
    apiserver.set_namespace("a", enforce="mps")
    assert await asyncio.gather(*(namespaces.fetch("a") for _ in range(50))) == [MPS] * 50
    assert apiserver.count("get") == 1


async def test_different_namespaces_are_read_each_for_itself(apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
    for name in ("a", "b", "c", "d", "e", "f"):
        apiserver.set_namespace(name, enforce=name)
    answers = await asyncio.gather(*(namespaces.fetch(name) for name in "abcdef"))
    assert [labels.enforce for labels in answers] == list("abcdef")
    assert apiserver.count("get") == 6


async def test_an_answer_stands_in_for_a_moment_and_no_longer(
    apiserver: StandIn, namespaces: WatchedNamespaces, clock: Clock
) -> None:
    apiserver.set_namespace("a", enforce="mps")
    await namespaces.fetch("a")
    await namespaces.fetch("a")
    assert namespaces.cached("a") == MPS
    assert apiserver.count("get") == 1
    clock.ahead += 1
    assert namespaces.cached("a") is None
    apiserver.set_namespace("a", enforce="shared")
    assert await namespaces.fetch("a") == NamespaceLabels(enforce="shared")
    assert apiserver.count("get") == 2


async def test_what_is_cached_is_not_read(apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted) -> None:
    apiserver.set_namespace("a", enforce="mps")
    namespaces.start()
    eventually(lambda: namespaces.freshness()[0])
    assert await namespaces.fetch("a") == MPS
    assert apiserver.count("get") == 0
    assert noted.misses == []


async def test_a_namespace_that_does_not_exist_is_not_found_each_time_it_is_asked_for(
    apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
) -> None:
    for _ in range(2):
        with pytest.raises(NamespaceNotFound, match=r'^namespace "a" does not exist$'):
            await namespaces.fetch("a")
    assert apiserver.count("get") == 2
    apiserver.set_namespace("a", enforce="mps")
    assert await namespaces.fetch("a") == MPS
    assert noted.misses == ["not-found", "not-found", "found"]


@pytest.mark.parametrize(
    ("behaviours", "reason"),
    [
        pytest.param([faults.refusal(500, "etcd is away")], "GET /api/v1/namespaces/a: 500 etcd is away", id="500"),
        pytest.param([faults.refusal(429, "busy", "1")], "GET /api/v1/namespaces/a: 429 busy", id="429"),
        pytest.param([faults.refusal(403, "may not")], "GET /api/v1/namespaces/a: 403 may not", id="403"),
        pytest.param([faults.answer(b"<html>")], 'namespace "a" is not what the API promises', id="garbage"),
        pytest.param([faults.answer(b'{"metadata": {"name": "b"}}')], 'gave the namespace "b"', id="another one"),
        pytest.param([faults.cut_off] * 2, "the connection broke", id="cut twice"),
    ],
)
async def test_a_read_that_fails_is_unavailable_and_is_not_remembered(
    apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, behaviours: list[Behaviour], reason: str
) -> None:
    apiserver.set_namespace("a", enforce="mps")
    apiserver.script("get", *behaviours)
    with pytest.raises(NamespaceUnavailable) as caught:
        await namespaces.fetch("a")
    assert reason in caught.value.reason
    assert caught.value.name == "a"
    assert namespaces.cached("a") is None
    assert await namespaces.fetch("a") == MPS
    assert noted.misses == ["unavailable", "found"]


@pytest.fixture
def impatient(api: ApiServer, noted: Noted, clock: Clock) -> Iterator[WatchedNamespaces]:
    """As ``namespaces``, but for a live read of at most 0.3 s: for tests in which each read takes too long."""
    watched = WatchedNamespaces(api, noted, fetch_timeout=0.3, monotonic=clock)
    yield watched
    watched.stop()


@pytest.mark.parametrize("behaviour", [faults.silence, faults.trickle])
async def test_a_read_that_takes_too_long_is_unavailable_and_is_not_remembered(
    apiserver: StandIn, impatient: WatchedNamespaces, noted: Noted, behaviour: Behaviour
) -> None:
    apiserver.set_namespace("a", enforce="mps")
    apiserver.script("get", behaviour)
    with pytest.raises(NamespaceUnavailable) as caught:
        await impatient.fetch("a")
    assert caught.value.reason == "the API server did not answer within 0.3 s"
    assert impatient.cached("a") is None
    assert noted.misses == ["unavailable"]


async def test_a_connection_that_the_server_dropped_while_it_was_idle_is_no_failure(
    apiserver: StandIn, namespaces: WatchedNamespaces
) -> None:
    apiserver.set_namespace("a", enforce="mps")
    apiserver.script("get", faults.cut_off)
    assert await namespaces.fetch("a") == MPS
    assert apiserver.count("get") == 2


class TestFrozen:
    @pytest.fixture(autouse=True)
    async def _frozen(self, apiserver: StandIn) -> AsyncIterator[None]:
        apiserver.set_namespace("a", enforce="mps")
        apiserver.freeze()
        yield
        apiserver.thaw()

    async def test_nobody_waits_longer_than_the_limit_however_many_ask(self, impatient: WatchedNamespaces) -> None:
        began = time.monotonic()
        names = [f"a{number}" for number in range(400)]  # one after the other, the threads would need half a minute
        answers = await asyncio.gather(*map(impatient.fetch, names), return_exceptions=True)
        assert time.monotonic() - began < 10
        assert {type(answer) for answer in answers} == {NamespaceUnavailable}

    async def test_the_event_loop_goes_on_meanwhile(self, apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
        waiting = asyncio.create_task(namespaces.fetch("a"))
        await asyncio.to_thread(apiserver.wait_for_requests, "get", 1)
        assert not waiting.done()
        apiserver.thaw()
        assert await waiting == MPS

    async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(
        self, apiserver: StandIn, namespaces: WatchedNamespaces
    ) -> None:
        first, second = (asyncio.create_task(namespaces.fetch("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        apiserver.thaw()
        assert await second == MPS
        assert apiserver.count("get") == 1

    async def test_a_failure_that_nobody_waits_for_any_more_is_no_error(self, impatient: WatchedNamespaces) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(impatient.fetch("a"))
        await asyncio.sleep(0)
        (flight,) = impatient._reads._running.values()
        task.cancel()
        await asyncio.wait([flight, task])
        assert impatient._reads._running == {}
        del flight, task
        gc.collect()  # now an exception that nobody took note of is told
        assert told == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../secrets", "a/b", "a%2fb", "A", "-a", "a-", "a.b", "a" * 64, "a\n", "a?watch=1", "é"],
)
async def test_a_name_that_no_namespace_can_have_is_not_found_without_asking(
    apiserver: StandIn, namespaces: WatchedNamespaces, name: str
) -> None:
    with pytest.raises(NamespaceNotFound):
        await namespaces.fetch(name)
    assert apiserver.requests == []


async def test_a_name_of_63_characters_is_asked_for(apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
    apiserver.set_namespace("a" * 63, enforce="mps")
    assert await namespaces.fetch("a" * 63) == MPS


async def test_a_namespace_that_is_deleted_while_it_is_read_is_not_revived(
    apiserver: StandIn, namespaces: WatchedNamespaces
) -> None:
    namespaces.start()
    apiserver.wait_for_watches()

    def too_late(handler: Handler) -> None:
        revision = apiserver.set_namespace("a", enforce="mps")
        apiserver.delete_namespace("a")
        eventually(lambda: namespaces._cache.revision == apiserver.revision)
        handler.say(200, namespace("a", revision, enforce="mps"))

    apiserver.script("get", too_late)
    assert await namespaces.fetch("a") == MPS  # true when it was asked
    assert namespaces.cached("a") is None


async def test_after_stopping_nothing_is_read_any_more(apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
    namespaces.stop()
    with pytest.raises(NamespaceUnavailable, match="shutdown"):
        await namespaces.fetch("a")
    assert apiserver.requests == []
