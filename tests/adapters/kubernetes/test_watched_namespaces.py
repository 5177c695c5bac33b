"""The namespaces follow the API server's through everything that can come between the two."""

import time
from collections.abc import Iterator

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import event, namespace, status
from testing.stand_in.http_side import PATIENCE, Behaviour, Handler
from tests.adapters.kubernetes import faults
from tests.adapters.kubernetes.support import Clock, Noted, eventually
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import Fault
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces
from webhook.engine.namespace_labels import UNLABELLED, NamespaceLabels

MPS = NamespaceLabels(enforce="mps")
MIG = NamespaceLabels(enforce="mig-1g.5gb")


def start(namespaces: WatchedNamespaces, apiserver: StandIn) -> None:
    namespaces.start()
    wait_for_watch(namespaces, apiserver, 1)


def wait_for_watch(namespaces: WatchedNamespaces, apiserver: StandIn, number: int) -> None:
    """Wait until the server has opened its so-manieth watch and we know of it."""
    apiserver.wait_for_watches(number)
    eventually(lambda: namespaces._watch._stream is not None)


class TestListing:
    def test_all_namespaces_are_known_after_the_first_list(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.set_namespace("a", enforce="mps", warn="mig-1g.5gb", audit="none")
        apiserver.set_namespace("b")
        assert not namespaces.freshness()[0]
        assert namespaces.cached("a") is None
        start(namespaces, apiserver)
        assert namespaces.freshness()[0]
        assert namespaces.cached("a") == NamespaceLabels("mps", "mig-1g.5gb", "none")
        assert namespaces.cached("b") is UNLABELLED
        assert namespaces.cached("c") is None
        assert noted.lists == [2]
        assert noted.failures == []

    def test_a_long_list_comes_in_pages(self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted) -> None:
        apiserver.fill(1201)
        start(namespaces, apiserver)
        assert noted.lists == [1201]
        queries = [seen.query for seen in apiserver.seen("list")]
        assert [query["limit"] for query in queries] == ["500"] * 3
        assert ["continue" in query for query in queries] == [False, True, True]
        assert all("resourceVersion" not in query for query in queries)

    def test_a_list_whose_token_expires_starts_over_and_no_half_of_it_is_shown(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.fill(501)

        def expire(handler: Handler) -> None:
            assert not namespaces.freshness()[0]
            assert namespaces.cached("team-00000") is None
            handler.say(410, status(410, "The provided continue parameter is too old"))

        apiserver.script("list", lambda handler: handler.say(200, apiserver.page({"limit": "500"})), expire)
        start(namespaces, apiserver)
        assert noted.faults == [Fault.EXPIRED]
        assert noted.lists == [501]
        assert apiserver.count("list") == 4

    @pytest.mark.parametrize(
        ("behaviour", "fault"),
        [
            pytest.param(faults.refusal(500, "etcd is away"), Fault.SERVER_ERROR, id="500"),
            pytest.param(faults.refusal(403, "cannot list"), Fault.FORBIDDEN, id="403"),
            pytest.param(faults.refusal(429, retry_after="0"), Fault.THROTTLED, id="429"),
            pytest.param(faults.answer(b"<html>a proxy's login page"), Fault.GARBAGE, id="a page of HTML"),
            pytest.param(faults.answer(b'{"metadata": {}, "items": []}'), Fault.GARBAGE, id="no resource version"),
            pytest.param(faults.answer(b"{}"), Fault.GARBAGE, id="an empty object"),
            pytest.param(
                faults.answer(b'{"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {}}]}'),
                Fault.GARBAGE,
                id="no name",
            ),
            pytest.param(
                faults.answer(
                    b'{"metadata": {"resourceVersion": "5"},'
                    b' "items": [{"metadata": {"name": "a", "labels": {"gpuwarden.io/enforce": 1}}}]}'
                ),
                Fault.GARBAGE,
                id="a label that is a number",
            ),
        ],
    )
    def test_a_list_that_fails_is_tried_again_and_nothing_of_it_is_believed(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, behaviour: Behaviour, fault: Fault
    ) -> None:
        apiserver.set_namespace("a", enforce="mps")
        apiserver.script("list", behaviour, behaviour)
        start(namespaces, apiserver)
        assert noted.faults == [fault, fault]
        assert namespaces.cached("a") == MPS

    def test_a_list_that_is_cut_is_asked_for_again_at_once(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.script("list", faults.cut_off)
        start(namespaces, apiserver)
        assert noted.failures == []
        assert apiserver.count("list") == 2

    def test_a_list_that_is_cut_again_and_again_is_a_failure(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.script("list", faults.cut_off, faults.cut_off)
        start(namespaces, apiserver)
        assert noted.faults == [Fault.CUT]


class TestWatching:
    @pytest.fixture(autouse=True)
    def _started(self, apiserver: StandIn, namespaces: WatchedNamespaces) -> None:
        apiserver.set_namespace("a", enforce="mps")
        start(namespaces, apiserver)

    def test_the_watch_goes_on_from_the_list_and_asks_for_bookmarks_and_an_end(self, apiserver: StandIn) -> None:
        (watch,) = apiserver.seen("watch")
        assert watch.query == {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": apiserver.revision,
            "timeoutSeconds": "60",
        }
        assert watch.headers["Authorization"] == "Bearer s3cret"
        assert watch.headers["User-Agent"].startswith("gpuwarden/")

    def test_what_is_added_changed_and_deleted_is_known_at_once(
        self, apiserver: StandIn, namespaces: WatchedNamespaces
    ) -> None:
        apiserver.set_namespace("b", enforce="mig-1g.5gb")
        eventually(lambda: namespaces.cached("b") == MIG)
        apiserver.set_namespace("b", enforce="mps")
        eventually(lambda: namespaces.cached("b") == MPS)
        apiserver.set_namespace("b")
        eventually(lambda: namespaces.cached("b") is UNLABELLED)
        apiserver.delete_namespace("b")
        eventually(lambda: namespaces.cached("b") is None)
        assert namespaces.cached("a") == MPS
        assert apiserver.count("list") == 1

    def test_a_watch_that_ends_in_order_is_renewed_where_it_was_without_a_list(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, clock: Clock
    ) -> None:
        apiserver.bookmark()
        at = apiserver.revision
        eventually(lambda: namespaces._cache.revision == at)
        clock.ahead += 60  # what the server would have let pass
        apiserver.end_watches()
        apiserver.wait_for_requests("watch", 2)
        assert apiserver.seen("watch")[1].query["resourceVersion"] == at
        apiserver.set_namespace("a", enforce="mig-1g.5gb")
        eventually(lambda: namespaces.cached("a") == MIG)
        assert apiserver.count("list") == 1
        assert noted.failures == []

    def test_a_watch_that_ends_at_once_is_a_failure_and_not_a_hot_loop(self, apiserver: StandIn, noted: Noted) -> None:
        apiserver.end_watches()
        noted.wait_for_failures(1)
        assert noted.faults == [Fault.SHORT]
        apiserver.wait_for_requests("watch", 2)
        assert apiserver.count("list") == 1

    def test_the_pauses_after_failures_grow_to_a_cap_until_something_works(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.script("watch", *[faults.refusal(403)] * 4)
        apiserver.cut()
        noted.wait_for_failures(5)
        assert [pause for _, _, pause in noted.failures] == [0.01, 0.02, 0.04, 0.05, 0.05]
        apiserver.wait_for_watches(2)
        apiserver.bookmark()
        eventually(lambda: namespaces._cache.revision == apiserver.revision)
        apiserver.cut()
        noted.wait_for_failures(6)
        assert noted.failures[5][2] == 0.01

    @pytest.mark.parametrize("way", ["as an event", "as a status"])
    def test_410_leads_to_a_new_list_which_also_shows_what_was_deleted_meanwhile(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, way: str
    ) -> None:
        if way == "as a status":
            apiserver.script("watch", faults.refusal(410, "too old resource version"))
        apiserver.freeze()
        apiserver.cut()
        apiserver.delete_namespace("a")
        apiserver.set_namespace("b", enforce="mig-1g.5gb")
        apiserver.compact()
        apiserver.thaw()
        noted.wait_for_lists(2)
        assert noted.faults == [Fault.CUT, Fault.EXPIRED]
        assert namespaces.cached("a") is None
        assert namespaces.cached("b") == MIG

    def test_a_lost_place_is_listed_anew_at_once_but_not_for_ever(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.bookmark()
        eventually(lambda: namespaces._cache.revision == apiserver.revision)
        apiserver.script("watch", *[faults.refusal(410)] * 4)
        apiserver.cut()
        noted.wait_for_lists(5)
        assert noted.failures[0][2] == 0.01  # the cut
        assert [(fault, pause) for fault, _, pause in noted.failures[1:]] == [
            (Fault.EXPIRED, 0.0),
            (Fault.EXPIRED, 0.02),
            (Fault.EXPIRED, 0.04),
            (Fault.EXPIRED, 0.05),
        ]

    def test_a_connection_that_is_cut_is_taken_up_where_it_broke_without_a_list(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.freeze()
        apiserver.cut()
        apiserver.set_namespace("a", enforce="mig-1g.5gb")
        apiserver.thaw()
        eventually(lambda: namespaces.cached("a") == MIG)
        assert noted.faults == [Fault.CUT]
        assert apiserver.count("list") == 1

    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            pytest.param(b"{not json\n", Fault.GARBAGE, id="no JSON"),
            pytest.param(b"\xff\xfe\n", Fault.GARBAGE, id="no UTF-8"),
            pytest.param(event("RENAMED", namespace("x", "999")), Fault.GARBAGE, id="unknown type"),
            pytest.param(b'{"type": "ADDED"}\n', Fault.GARBAGE, id="no object"),
            pytest.param(b'{"type": "ADDED", "object": {"metadata": {}}}\n', Fault.GARBAGE, id="no name"),
            pytest.param(b'{"type": "ADDED", "object": {"metadata": {"name": "x"}}}\n', Fault.GARBAGE, id="no version"),
            pytest.param(b'{"type": "BOOKMARK", "object": {"metadata": {}}}\n', Fault.GARBAGE, id="empty bookmark"),
            pytest.param(event("ERROR", status(500, "internal")), Fault.SERVER_ERROR, id="error event 500"),
            pytest.param(event("ERROR", status(504, "Too large resource version")), Fault.SERVER_ERROR, id="504"),
            pytest.param(b'{"type": "ERROR", "object": {}}\n', Fault.REJECTED, id="error event without a code"),
        ],
    )
    def test_a_line_that_makes_no_sense_is_survived_by_listing_anew(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, line: bytes, fault: Fault
    ) -> None:
        apiserver.emit(line)
        noted.wait_for_lists(2)
        assert noted.faults == [fault]
        assert namespaces.cached("a") == MPS
        assert namespaces.cached("x") is None

    def test_a_line_that_is_broken_off_is_not_believed(self, apiserver: StandIn, noted: Noted) -> None:
        apiserver.emit(b'{"type": "ADDED"')
        apiserver.end_watches()
        noted.wait_for_failures(1)
        assert noted.faults == [Fault.CUT]

    def test_a_bug_of_ours_does_not_end_the_watch(
        self,
        apiserver: StandIn,
        namespaces: WatchedNamespaces,
        noted: Noted,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(namespaces._cache, "put", lambda _: 1 / 0)
            apiserver.set_namespace("b", enforce="mps")
            noted.wait_for_failures(1)
        assert noted.faults[0] is Fault.BUG
        assert "ZeroDivisionError" in noted.failures[0][1]
        eventually(lambda: namespaces.cached("b") == MPS)

    def test_429_is_obeyed_for_as_long_as_it_says(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.script("watch", faults.refusal(429, "too many", retry_after="60"))
        apiserver.cut()
        noted.wait_for_failures(2)
        fault, detail, pause = noted.failures[1]
        assert fault is Fault.THROTTLED
        assert "429 too many" in detail
        assert 60 <= pause < 61
        assert apiserver.count("watch") == 2
        began = time.monotonic()
        namespaces.stop()  # and stopping need not wait for it
        eventually(lambda: not namespaces._watch._thread.is_alive())
        assert time.monotonic() - began < 30

    def test_a_server_that_is_busy_for_a_day_is_asked_again_after_a_minute(
        self, apiserver: StandIn, noted: Noted
    ) -> None:
        apiserver.script("watch", faults.refusal(503, retry_after="86400"))
        apiserver.cut()
        noted.wait_for_failures(2)
        assert 60 <= noted.failures[1][2] < 61

    def test_stopping_does_not_wait_for_an_event(self, namespaces: WatchedNamespaces) -> None:
        began = time.monotonic()
        namespaces.stop()
        eventually(lambda: not namespaces._watch._thread.is_alive())
        assert time.monotonic() - began < 30


class TestOlderThanSeen:
    @pytest.mark.parametrize("kind", ["MODIFIED", "DELETED", "BOOKMARK"])
    def test_an_event_that_is_older_than_what_was_seen_is_not_applied_and_leads_to_a_list(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted, kind: str
    ) -> None:
        apiserver.set_namespace("a", enforce="mps")

        def behave(handler: Handler) -> None:
            at = apiserver.set_namespace("a", enforce="mig-1g.5gb")
            newer = event("MODIFIED", namespace("a", at, enforce="mig-1g.5gb"))
            older = event(kind, namespace("a", str(int(at) - 1), enforce="mps"))
            faults.stream(newer, older)(handler)

        apiserver.script("watch", behave)
        apiserver.script("list", lambda handler: handler.say(200, apiserver.page({})), faults.silence)
        namespaces.start()
        noted.wait_for_failures(1)
        assert noted.faults == [Fault.STALE]
        assert namespaces.cached("a") == MIG
        apiserver.wait_for_requests("list", 2)

    def test_a_list_that_is_older_than_what_was_seen_is_refused(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.set_namespace("a", enforce="mps")
        lagging = apiserver.page({})
        apiserver.set_namespace("a", enforce="mig-1g.5gb")
        start(namespaces, apiserver)
        apiserver.script("list", lambda handler: handler.say(200, lagging))
        apiserver.emit(b"garbage\n")
        noted.wait_for_lists(2)
        assert noted.faults == [Fault.GARBAGE, Fault.STALE]
        assert namespaces.cached("a") == MIG

    def test_a_server_that_was_restored_from_a_backup_is_believed_in_the_end(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.set_namespace("a", enforce="mps")
        start(namespaces, apiserver)
        apiserver.freeze()
        apiserver.cut()
        apiserver.set_namespace("a", enforce="mig-1g.5gb")
        apiserver.restore(50)
        apiserver.thaw()
        noted.wait_for_lists(2)
        assert noted.faults == [Fault.CUT, Fault.STALE, Fault.STALE, Fault.STALE]
        assert namespaces.cached("a") == MIG
        apiserver.wait_for_watches(2)
        apiserver.set_namespace("a", enforce="mps")  # at 51, which is older than what was seen before
        eventually(lambda: namespaces.cached("a") == MPS)


class TestSilence:
    @pytest.fixture
    def impatient(self, api: ApiServer, noted: Noted, clock: Clock) -> Iterator[WatchedNamespaces]:
        backoff = Backoff(lambda: 0.0, first=0.01, cap=0.05)
        watched = WatchedNamespaces(api, noted, watch_silence=0.3, monotonic=clock, backoff=backoff)
        yield watched
        watched.stop()

    def test_a_connection_that_is_silent_for_too_long_counts_as_dead(
        self, apiserver: StandIn, impatient: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.script("watch", faults.silence)
        start(impatient, apiserver)
        assert noted.faults[0] is Fault.SILENT
        assert apiserver.count("list") == 1

    def test_a_dead_connection_makes_us_forget_the_idle_ones_to_the_same_server(
        self, apiserver: StandIn, api: ApiServer, impatient: WatchedNamespaces, noted: Noted
    ) -> None:
        apiserver.set_namespace("a")
        start(impatient, apiserver)
        ask = ApiRequest("GET", "/api/v1/namespaces/a")

        def one_connection_for_two() -> bool:
            """Whether no connection was found dead between two requests."""
            api.call(ask, timeout=PATIENCE)
            api.call(ask, timeout=PATIENCE)
            return len({seen.connection for seen in apiserver.seen("get")[-2:]}) == 1

        eventually(one_connection_for_two)
        watches = apiserver.count("watch")
        noted.wait_for_failures(len(noted.failures) + 1)
        apiserver.wait_for_requests("watch", watches + 1)
        api.call(ask, timeout=PATIENCE)
        second, third = (seen.connection for seen in apiserver.seen("get")[-2:])
        assert second != third

    def test_a_frozen_server_is_survived_and_caught_up_with(
        self, apiserver: StandIn, impatient: WatchedNamespaces, noted: Noted, clock: Clock
    ) -> None:
        apiserver.set_namespace("a", enforce="mps")
        start(impatient, apiserver)
        assert impatient.freshness() == (True, "namespaces are synced, last heard of 0 s ago (bound 150 s)")
        apiserver.freeze()
        apiserver.set_namespace("a", enforce="mig-1g.5gb")
        noted.wait_for_failures(2)
        assert set(noted.faults) == {Fault.SILENT}
        clock.ahead += 149
        age = impatient.age()
        assert age is not None
        assert age >= 149
        assert impatient.cached("a") == MPS
        clock.ahead += 10
        fresh, sentence = impatient.freshness()
        assert not fresh
        assert sentence.startswith("namespaces may be stale: nothing from the API server for 1")
        assert "GET /api/v1/namespaces: no answer in time" in sentence
        apiserver.thaw()
        eventually(lambda: impatient.cached("a") == MIG)
        assert impatient.freshness()[0]
        assert apiserver.count("list") == 1

    def test_a_server_without_bookmarks_is_as_fresh_as_its_watch_is_new(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, clock: Clock, noted: Noted
    ) -> None:
        apiserver.bookmarks = False
        start(namespaces, apiserver)
        for watches in (2, 3, 4):
            clock.ahead += 60
            assert namespaces.freshness()[0]
            apiserver.end_watches()
            wait_for_watch(namespaces, apiserver, watches)
            eventually(lambda: namespaces.age() == 0)
        assert noted.failures == []


class TestFreshness:
    def test_namespaces_that_were_never_listed_are_not_fresh_and_the_reason_is_told(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, noted: Noted
    ) -> None:
        assert namespaces.age() is None
        assert namespaces.freshness() == (False, "namespaces have not been listed yet")
        apiserver.always("list", faults.refusal(403, 'namespaces is forbidden: User "x" cannot list resource'))
        namespaces.start()
        noted.wait_for_failures(1)
        fresh, sentence = namespaces.freshness()
        assert not fresh
        assert sentence.endswith('403 namespaces is forbidden: User "x" cannot list resource')

    def test_a_new_watch_is_a_sign_of_life_before_it_says_anything(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, clock: Clock
    ) -> None:
        start(namespaces, apiserver)
        clock.ahead += 200
        assert not namespaces.freshness()[0]
        apiserver.cut()
        wait_for_watch(namespaces, apiserver, 2)
        eventually(lambda: namespaces.freshness()[0])

    def test_a_bookmark_is_a_sign_of_life(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, clock: Clock
    ) -> None:
        start(namespaces, apiserver)
        clock.ahead += 100
        assert (namespaces.age() or 0) >= 100
        apiserver.bookmark()
        eventually(lambda: namespaces.age() == 0)

    def test_the_bound_is_the_callers_to_choose(
        self, apiserver: StandIn, namespaces: WatchedNamespaces, clock: Clock
    ) -> None:
        start(namespaces, apiserver)
        clock.ahead += 10
        assert namespaces.freshness(11 + 5)[0]
        assert not namespaces.freshness(9)[0]
