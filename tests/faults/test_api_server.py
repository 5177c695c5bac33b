"""The API server's faults under a real replica: what is known goes on deciding, nothing is guessed, and it catches up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.reviews import Json, a_pod, a_review
from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import event
from testing.stand_in.http_side import Behaviour
from tests.adapters.kubernetes import faults
from tests.cli.serving import Served
from tests.faults.cluster import login, parts, within
from tests.faults.long import LONG, only_long

REVIEW = a_review(a_pod(), namespace="team")
DEPLOYMENT: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "train"},
    "spec": {"template": a_pod()},
}
REVIEWS_EACH = 40
CATCH_UP = 30.0  # seconds: the back-off's longest pause is ten, and the machine may be busy


@pytest.fixture(scope="module")
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        stand_in.set_namespace("team", enforce="mps")
        yield stand_in


@pytest.fixture(scope="module")
def server(apiserver: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("api-server")
    with Served("--tls-self-signed", "--kubeconfig", login(folder, apiserver)) as served:
        within(CATCH_UP, lambda: served.ops("/readyz").code == 200, "ready")
        yield served
        assert not [line for line in served.log if line.get("raw") or line["event"] == "a periodic task failed"]


@contextmanager
def answering(apiserver: StandIn, behaviour: Behaviour) -> Iterator[None]:
    """Every request gets this instead of an answer, and the watches that are open are cut."""
    kinds = ("list", "look", "watch", "get", "object")
    for kind in kinds:
        apiserver.always(kind, behaviour)
    apiserver.cut()
    try:
        yield
    finally:
        for kind in kinds:
            apiserver.always(kind, None)


@contextmanager
def frozen(apiserver: StandIn) -> Iterator[None]:
    apiserver.freeze()
    try:
        yield
    finally:
        apiserver.thaw()


@contextmanager
def flapping(apiserver: StandIn) -> Iterator[None]:
    """Connections are cut all the time, and every other moment nobody answers."""
    stop = threading.Event()

    def flap() -> None:
        while not stop.wait(0.15):
            (apiserver.thaw if not apiserver.running.is_set() else apiserver.freeze)()
            apiserver.cut()

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        apiserver.thaw()


FAULTS: dict[str, Callable[[StandIn], object]] = {
    "connections are reset": lambda a: answering(a, faults.cut_off),
    "frozen": frozen,
    "410": lambda a: answering(a, faults.refusal(410, "too old resource version")),
    "429": lambda a: answering(a, faults.refusal(429, "too many requests")),
    "500": lambda a: answering(a, faults.refusal(500, "etcdserver: leader changed")),
    "401": lambda a: answering(a, faults.refusal(401, "Unauthorized")),
    "a proxy's page": lambda a: answering(a, faults.answer(b"<html>Bad gateway</html>")),
    "half a document": lambda a: answering(a, faults.answer(b'{"metadata": {"name": "unknown", "labels": {')),
    "another kind of document": lambda a: answering(a, faults.answer(b'{"items": null, "metadata": []}')),
    "an answer that never ends": lambda a: answering(a, faults.trickle),
}


SHORT = [n for n in FAULTS if LONG or n not in ("401", "410", "another kind of document", "an answer that never ends")]


@pytest.mark.parametrize("name", SHORT)
def test_what_is_known_decides_nothing_is_guessed_and_it_catches_up(
    server: Served, apiserver: StandIn, name: str
) -> None:
    unheard_of = f"new-{list(FAULTS).index(name)}"
    lost = wrong = 0
    with FAULTS[name](apiserver):  # type: ignore[attr-defined]  # each is a context manager
        apiserver.set_namespace(unheard_of, enforce="none")  # what nobody could tell
        with server.connect() as wire:
            for _ in range(REVIEWS_EACH):
                try:
                    answer = server.ask_on(wire, "/mutate", REVIEW)
                except (OSError, EOFError, AssertionError):
                    lost += 1
                else:
                    wrong += answer.applied_to(a_pod())["spec"].get("nodeSelector") != {
                        "nvidia.com/gpu.sharing-strategy": "mps"
                    }
        assert (lost, wrong) == (0, 0)
        # A namespace that is not known: an HTTP error, with which the API server does as failurePolicy says.
        for path in ("/validate", "/mutate"):
            refused = server.post(path, a_review(a_pod(), namespace=unheard_of))
            assert (refused.code, refused.headers["retry-after"]) == (503, "1")
            assert unheard_of in refused.body.decode()
        advised = server.ask("/advise", a_deployment(unheard_of))
        assert advised.allowed
        assert advised.warnings == []
        assert "error" in advised.annotations
    assert server.ops("/healthz").code == 200
    # It catches up with what happened meanwhile, and with what happens now; the control: a refusal that needs the label.
    within(
        CATCH_UP,
        lambda: server.post("/validate", a_review(a_pod(), namespace=unheard_of)).code == 200,
        "the new namespace known",
    )
    assert server.ask("/validate", a_review(a_pod(), namespace=unheard_of)).rules == ["gpu-not-permitted"]
    apiserver.set_namespace(unheard_of, enforce="any")
    within(
        CATCH_UP, lambda: server.ask("/validate", a_review(a_pod(), namespace=unheard_of)).allowed, "the label followed"
    )


def a_deployment(namespace: str) -> Json:
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    return a_review(DEPLOYMENT, namespace=namespace, kind=kind, requestKind=kind, name="train")


def test_a_flapping_server_costs_no_review_and_is_followed_in_the_end(server: Served, apiserver: StandIn) -> None:
    with flapping(apiserver), server.connect() as wire:
        answers = [server.ask_on(wire, "/mutate", REVIEW) for _ in range(REVIEWS_EACH * 5)]
        assert all(answer.patch for answer in answers)
        apiserver.set_namespace("team", enforce="none")
    within(CATCH_UP, lambda: server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"], "the label followed")
    apiserver.set_namespace("team", enforce="mps")
    within(CATCH_UP, lambda: server.ask("/validate", REVIEW).rules == ["not-rewritten"], "the label followed")


def test_an_event_from_the_past_of_a_lagging_replica_undoes_no_label(server: Served, apiserver: StandIn) -> None:
    old = apiserver.set_namespace("late", enforce="none")
    apiserver.set_namespace("late", enforce="any")
    review = a_review(a_pod(), namespace="late")
    within(CATCH_UP, lambda: server.ask("/validate", review).allowed, "the label followed")
    lists = apiserver.count("list")
    past: Json = {
        "metadata": {"name": "late", "resourceVersion": old, "labels": {"gpuwarden.io/enforce": "none"}},
    }
    apiserver.emit(event("MODIFIED", past))
    apiserver.wait_for_requests("list", lists + 1)  # whose past it is, only a list can tell
    assert server.ask("/validate", review).allowed
    assert server.metric('gpuwarden_namespace_watch_failures_total{fault="stale"}') >= 1


def test_a_restored_backup_is_noticed_when_the_watch_is_renewed(tmp_path: Path) -> None:
    with StandIn() as apiserver:
        apiserver.set_namespace("team", enforce="mps")
        with Served("--tls-self-signed", "--kubeconfig", login(tmp_path, apiserver)) as server:
            apiserver.wait_for_watches(1)
            apiserver.restore(10)
            # From here on a watch from where we were brings nothing: kube-apiserver is silent about the future.
            apiserver.set_namespace("team", enforce="none")
            apiserver.end_watches()
            within(
                CATCH_UP, lambda: server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"], "the backup believed"
            )
            assert server.metric('gpuwarden_namespace_watch_failures_total{fault="stale"}') == 3


def test_a_replica_that_never_heard_of_the_api_server_is_not_ready_and_decides_nothing(tmp_path: Path) -> None:
    with StandIn() as apiserver:
        apiserver.set_namespace("team", enforce="mps")
        apiserver.always("list", faults.refusal(500))
        apiserver.always("get", faults.refusal(500))
        with Served("--tls-self-signed", "--kubeconfig", login(tmp_path, apiserver)) as server:
            assert server.ops("/readyz").code == 503
            assert "have not been listed yet" in parts(server)["namespaces"]["message"]
            assert {server.post(path, REVIEW).code for path in ("/mutate", "/validate")} == {503}
            apiserver.always("list", None)
            apiserver.always("get", None)
            within(CATCH_UP, lambda: server.ops("/readyz").code == 200, "ready")
            assert server.ask("/validate", REVIEW).rules == ["not-rewritten"]


@only_long
@pytest.mark.parametrize("how", ["frozen", "a silent watch"])
def test_readiness_tells_the_truth_within_the_bound(tmp_path: Path, how: str) -> None:
    """Up to 150 s without a sign of life count as fresh; a watch that hangs is noticed after 70 s and taken up anew."""
    with StandIn() as apiserver:
        apiserver.set_namespace("team", enforce="mps")
        with Served("--tls-self-signed", "--kubeconfig", login(tmp_path, apiserver)) as server:
            within(CATCH_UP, lambda: server.ops("/readyz").code == 200, "ready")
            if how == "frozen":
                apiserver.freeze()
                took = within(170, lambda: server.ops("/readyz").code == 503, "unready", every=0.5)
                assert took > 140
                assert "nothing from the API server for" in parts(server)["namespaces"]["message"]
                assert server.ask("/mutate", REVIEW).patch
                apiserver.thaw()
                within(CATCH_UP, lambda: server.ops("/readyz").code == 200, "ready again")
            else:
                apiserver.bookmarks = False
                apiserver.script("watch", faults.silence)
                apiserver.end_watches()
                apiserver.wait_for_requests("watch", 2)
                apiserver.set_namespace("team", enforce="none")  # on a watch that says nothing
                took = within(
                    80, lambda: server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"], "followed", every=0.5
                )
                assert took > 60, "the control: the watch was silent"
                assert server.ops("/readyz").code == 200
