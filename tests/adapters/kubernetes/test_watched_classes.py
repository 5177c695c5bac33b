"""The watch of DeviceClasses: which resource names they have, and when that is known."""

from collections.abc import Callable, Iterator

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import event, status
from testing.stand_in.http_side import CLASSES, Handler
from tests.adapters.kubernetes.support import eventually
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import Fault
from webhook.adapters.kubernetes.watched_classes import Names, WatchedClasses


class Watched:
    """What a watch has reported."""

    def __init__(self, api: ApiServer) -> None:
        self.names: list[Names] = []
        self.faults: list[Fault] = []
        backoff = Backoff(lambda: 0.0, first=0.01, cap=0.05)
        self.classes = WatchedClasses(
            api, self.names.append, lambda fault, _: self.faults.append(fault), backoff=backoff
        )
        self.classes.start()

    def have(self, names: Names) -> None:
        eventually(lambda: self.names[-1:] == [names], f"{names}")


@pytest.fixture
def watch(api: ApiServer) -> Iterator[Callable[[], Watched]]:
    made: list[Watched] = []

    def begin() -> Watched:
        made.append(Watched(api))
        return made[-1]

    yield begin
    for one in made:
        one.classes.stop()


def test_names_are_those_of_now(apiserver: StandIn, watch: Callable[[], Watched]) -> None:
    apiserver.set_classes(a="example.com/a", none="")
    watched = watch()
    watched.have({"a": "example.com/a"})
    assert watched.classes.answered
    apiserver.set_classes(b="nvidia.com/gpu")
    watched.have({"b": "nvidia.com/gpu"})
    apiserver.set_classes()
    watched.have({})


def test_events_are_taken_one_by_one(apiserver: StandIn, watch: Callable[[], Watched]) -> None:
    def changes(handler: Handler) -> None:
        handler.begin()
        metadata = {"name": "a", "resourceVersion": "201"}
        made = {"metadata": metadata, "spec": {"extendedResourceName": "example.com/a"}}
        renamed = {
            "metadata": {**metadata, "resourceVersion": "202"},
            "spec": {"extendedResourceName": "example.com/b"},
        }
        same = {**renamed, "metadata": {**metadata, "resourceVersion": "203"}}
        for kind, one in (("ADDED", made), ("MODIFIED", renamed), ("MODIFIED", same), ("DELETED", same)):
            handler.chunk(event(kind, one))
        handler.chunk(b"")

    def listed(handler: Handler) -> None:
        handler.say(200, {"metadata": {"resourceVersion": "200"}, "items": []})

    apiserver.set_classes()
    apiserver.script("classes", listed, changes)
    watched = watch()
    eventually(lambda: len(watched.names) >= 3, "the events")
    assert watched.names == [{"a": "example.com/a"}, {"a": "example.com/b"}, {}]


@pytest.mark.parametrize(
    ("code", "fault", "answered"), [(403, Fault.FORBIDDEN, True), (500, Fault.SERVER_ERROR, False)]
)
def test_what_can_not_be_had_is_reported_and_tried_again(
    apiserver: StandIn, watch: Callable[[], Watched], code: int, fault: Fault, *, answered: bool
) -> None:
    apiserver.always("classes", lambda handler: handler.say(code, status(code, "no")))
    watched = watch()
    eventually(lambda: len(watched.faults) > 1, "a failure")
    assert {*watched.faults} == {fault}
    assert watched.classes.answered is answered
    assert str(code) in watched.classes.problem
    assert watched.names == []


def test_a_cluster_without_device_classes_has_answered_and_may_have_them_later(
    apiserver: StandIn, watch: Callable[[], Watched]
) -> None:
    watched = watch()
    eventually(lambda: watched.classes.answered, "an answer")
    assert watched.faults[0] is Fault.NOT_FOUND
    apiserver.set_classes(a="example.com/a")
    watched.have({"a": "example.com/a"})
    assert apiserver.objects[CLASSES]
