"""The node view: what it takes from the watches of nodes, what it remembers, and what it is sure of."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import Handler
from tests.adapters.kubernetes.support import Clock, Noted, eventually
from tests.builders import additions
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import Fault
from webhook.adapters.kubernetes.fleet_watch import ALL_NODES_INTERVAL, CLASSES_INTERVAL, FleetWatch
from webhook.adapters.kubernetes.gpu_node_selectors import SELECTORS
from webhook.adapters.kubernetes.watched_namespaces import FRESHNESS_BOUND
from webhook.application.configuration import Configuration
from webhook.engine.fleet.fleet import Fleet, NodeRequest, Unschedulable, UnschedulableReason
from webhook.engine.forms import Form
from webhook.engine.node_constraints import NOTHING_SAID
from webhook.engine.policy import Policy, PolicyBook

GPU, MIG, SHARED = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"
PRESENT = {"nvidia.com/gpu.present": "true"}
ON_GKE = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
CLASSES, SLICES = (f"/apis/resource.k8s.io/v1/{plural}" for plural in ("deviceclasses", "resourceslices"))
DAY = 86400.0
Views = Callable[..., FleetWatch]


@pytest.fixture
def views(api: ApiServer, noted: Noted, clock: Clock) -> Iterator[Views]:
    made: list[FleetWatch] = []

    def view(*selectors: str) -> FleetWatch:
        backoff = lambda: Backoff(lambda: 0.0, first=0.01, cap=0.05)  # noqa: E731 - for this one use
        made.append(FleetWatch(api, noted, selectors or SELECTORS, monotonic=clock, backoff=backoff))
        made[-1].start()
        return made[-1]

    yield view
    for one in made:
        one.stop()


def seen(view: FleetWatch, configuration: Configuration | None = None) -> Fleet:
    """The view of now, once there is one."""
    eventually(lambda: view.poll(configuration or Configuration()) is not None, "a view")
    assert view.fleet
    return view.fleet


def node_request(resource: str, count: int = 1) -> NodeRequest:
    return NodeRequest(resource, count, NOTHING_SAID)


def comes_to(view: FleetWatch, resource: str, obstacle: UnschedulableReason | None) -> None:
    """Wait until this is what the view says of a request."""

    def holds() -> bool:
        unschedulable = seen(view).unschedulable(node_request(resource))
        return (unschedulable.reason if unschedulable else None) is obstacle

    eventually(holds, f"{resource}: {obstacle}")


class TestNodes:
    def test_nodes_are_known_by_either_label_and_counted_once_and_others_are_not_asked_for(
        self, apiserver: StandIn, views: Views
    ) -> None:
        apiserver.set_node("cpu")
        apiserver.set_node("unlabelled", gpus={GPU: 1})
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
        apiserver.set_node("two", gpus={GPU: 8}, labels=PRESENT)
        apiserver.set_node("gke", gpus={GPU: 1}, labels=ON_GKE)
        apiserver.set_node("both", gpus={GPU: 4}, labels=PRESENT | ON_GKE)
        fleet = seen(views())

        assert sorted((shape.offers[GPU], number) for shape, number in fleet.shapes.items()) == [(1, 1), (4, 1), (8, 2)]
        assert {one.query.get("labelSelector") for one in apiserver.seen("nodes-list")} == set(SELECTORS)
        assert fleet.is_certain

    def test_a_view_before_both_lists_is_no_view(self, apiserver: StandIn, views: Views, noted: Noted) -> None:
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)

        def refuse_gke(handler: Handler) -> None:
            query = dict(parse_qsl(urlsplit(handler.path).query))
            if query["labelSelector"] == SELECTORS[1]:
                handler.say(403, status(403, "nodes is forbidden"))
            else:
                handler.say(200, apiserver.page(query, nodes=True))

        apiserver.always("nodes-list", refuse_gke)
        view = views(SELECTORS[0], SELECTORS[1])
        noted.wait_for_failures(2)
        apiserver.wait_for_requests("nodes-watch", 1)
        assert view.poll(Configuration()) is None
        apiserver.always("nodes-list", None)
        seen(view)
        assert set(noted.faults) == {Fault.FORBIDDEN}

    def test_nodes_alike_share_one_object_however_they_came(self, apiserver: StandIn, views: Views) -> None:
        for name in "ab":
            apiserver.set_node(name, gpus={GPU: 8}, labels=PRESENT)
        view = views()
        seen(view)
        apiserver.set_node("c", gpus={GPU: 8}, labels=PRESENT)
        eventually(lambda: list(seen(view).shapes.values()) == [3])
        assert len({id(shape) for store in view._stores for shape in store.values().values()}) == 1

    def test_changes_are_followed(self, apiserver: StandIn, views: Views) -> None:
        apiserver.set_node("other", gpus={GPU: 1}, labels=PRESENT)
        view = views()
        comes_to(view, MIG, UnschedulableReason.RESOURCE)
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT)
        comes_to(view, MIG, None)
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT, cordoned=True)
        comes_to(view, MIG, UnschedulableReason.UNAVAILABLE)
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT, ready=False)
        eventually(
            lambda: (
                seen(view).unschedulable(node_request(MIG))
                == Unschedulable(UnschedulableReason.UNAVAILABLE, 1, not_ready=1)
            )
        )
        comes_to(view, SHARED, UnschedulableReason.RESOURCE)

    def test_an_event_that_changes_nothing_makes_no_new_shape(self, apiserver: StandIn, views: Views) -> None:
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
        view = views()
        (before,) = seen(view).shapes
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT, company={"images": [{"names": ["a"]}]})
        apiserver.set_node("two", gpus={GPU: 8}, labels=PRESENT)
        eventually(lambda: list(seen(view).shapes.values()) == [2])
        assert next(iter(seen(view).shapes)) is before

    def test_labels_that_policies_select_by_are_read_once_a_configuration_has_them(
        self, apiserver: StandIn, views: Views
    ) -> None:
        apiserver.set_node("one", gpus={GPU: 8}, labels={**PRESENT, "pool": "red"})
        view = views()
        assert all("pool" not in shape.labels for shape in seen(view).shapes)
        configuration = Configuration(
            PolicyBook({"red": Policy("red", (Form(),), additions=additions(node_selector={"pool": "red"}))})
        )
        eventually(lambda: all("pool" in shape.labels for shape in seen(view, configuration).shapes), "the label")
        apiserver.set_node("two", gpus={GPU: 8}, labels={**PRESENT, "pool": "blue"})
        eventually(lambda: len(seen(view, configuration).shapes) == 2)


class TestNoneSelected:
    def test_nothing_is_known_while_no_node_has_gpus(self, apiserver: StandIn, views: Views) -> None:
        apiserver.set_node("cpu")
        view = views()
        eventually(lambda: view.poll(Configuration()) is None and view.unselected is not None, "a look at all nodes")
        assert (view.unselected, view.selected_number) == ([], 0)
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT)
        comes_to(view, MIG, None)

    def test_nodes_without_such_labels_count_and_deny_nothing(
        self, apiserver: StandIn, views: Views, clock: Clock
    ) -> None:
        apiserver.set_node("cpu")
        apiserver.set_node("without feature discovery", gpus={GPU: 8})
        view = views()
        assert (seen(view).unschedulable(node_request(GPU)), seen(view).unschedulable(node_request(MIG))) == (
            None,
            Unschedulable(UnschedulableReason.RESOURCE),
        )
        assert not seen(view).is_certain
        assert [node.name for node in view.unselected or ()] == ["without feature discovery"]
        assert (view.selected, view.selected_number) == ([], 0)
        looks = apiserver.count("object")
        clock.ahead += ALL_NODES_INTERVAL - 30
        for store in view._stores:
            store.alive()
        assert ALL_NODES_INTERVAL - 60 < seen(view).age < ALL_NODES_INTERVAL
        assert apiserver.count("object") == looks, "too soon"

        apiserver.set_node("another", gpus={MIG: 7})
        clock.ahead += 60
        comes_to(view, MIG, None)

    def test_once_one_is_selected_only_such_nodes_count(self, apiserver: StandIn, views: Views) -> None:
        apiserver.set_node("without feature discovery", gpus={GPU: 8})
        view = views()
        assert list(seen(view).shapes.values()) == [1]
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT)
        eventually(lambda: [MIG in shape.offers for shape in seen(view).shapes] == [True])
        assert (view.unselected, view.selected_number) == (None, 1)
        assert [node.name for node in view.selected] == ["one"]

    def test_what_can_not_be_read_leaves_what_was_known(self, apiserver: StandIn, views: Views, clock: Clock) -> None:
        apiserver.set_node("without feature discovery", gpus={GPU: 8})
        view = views()
        seen(view)
        apiserver.always("object", lambda handler: handler.say(500, status(500, "overloaded")))
        clock.ahead += ALL_NODES_INTERVAL
        for store in view._stores:
            store.alive()
        assert seen(view).age >= ALL_NODES_INTERVAL


class TestMemory:
    def test_what_was_offered_within_a_day_still_is(self, apiserver: StandIn, views: Views, clock: Clock) -> None:
        apiserver.set_node("other", gpus={GPU: 1}, labels=PRESENT)
        apiserver.set_node("one", gpus={MIG: 7}, labels=PRESENT)
        view = views()
        comes_to(view, MIG, None)
        apiserver.delete_node("one")
        eventually(lambda: len(seen(view).shapes) == 1)
        assert seen(view).unschedulable(node_request(MIG)) is None
        assert seen(view).unschedulable(node_request(MIG, 8)) == Unschedulable(UnschedulableReason.RESOURCE)
        clock.ahead += DAY - 60
        assert seen(view).unschedulable(node_request(MIG)) is None
        clock.ahead += 120
        assert seen(view).unschedulable(node_request(MIG)) == Unschedulable(UnschedulableReason.RESOURCE)

    def test_a_node_whose_device_plugin_is_away_at_the_start_makes_it_uncertain_for_a_day(
        self, apiserver: StandIn, views: Views, clock: Clock
    ) -> None:
        apiserver.set_node("restarting", gpus={GPU: 0}, labels=PRESENT)
        view = views()
        assert not seen(view).is_certain
        clock.ahead += DAY
        for store in view._stores:
            store.alive()
        eventually(lambda: seen(view).is_certain)


class TestKnowledge:
    def test_after_long_silence_the_view_stays_with_its_age_and_is_no_longer_certain(
        self, apiserver: StandIn, views: Views, clock: Clock
    ) -> None:
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
        view = views()
        assert seen(view).is_certain
        assert seen(view).age == 0
        apiserver.freeze()
        clock.ahead += FRESHNESS_BOUND + 5
        stale = seen(view)
        assert not stale.is_certain
        assert FRESHNESS_BOUND < stale.age < FRESHNESS_BOUND + 30
        assert stale.unschedulable(node_request(GPU)) is None
        apiserver.thaw()

    def test_without_the_right_there_is_no_view_and_it_is_tried_again(
        self, apiserver: StandIn, views: Views, noted: Noted
    ) -> None:
        def forbidden(handler: Handler) -> None:
            handler.say(403, status(403, "nodes is forbidden"))

        apiserver.always("nodes-list", forbidden)
        view = views()
        noted.wait_for_failures(4)
        view.poll(Configuration())
        assert not view.fleet or not view.fleet.classes
        assert view.age() is None
        assert set(noted.faults) == {Fault.FORBIDDEN}

        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
        apiserver.always("nodes-list", None)
        assert list(seen(view).shapes.values()) == [1]

    def test_a_watch_that_lost_its_place_lists_again(self, apiserver: StandIn, views: Views, noted: Noted) -> None:
        apiserver.set_node("other", gpus={MIG: 1}, labels=PRESENT)
        view = views(SELECTORS[0])
        comes_to(view, GPU, UnschedulableReason.RESOURCE)
        apiserver.wait_for_requests("nodes-watch", 1)
        apiserver.compact()
        apiserver.end_watches()
        noted.wait_for_lists(2)
        apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
        comes_to(view, GPU, None)


CLASS = {"spec": {"extendedResourceName": GPU, "selectors": [{"cel": {"expression": 'driver == "gpu.nvidia.com"'}}]}}


class TestClasses:
    @pytest.fixture(autouse=True)
    def a_node(self, apiserver: StandIn) -> None:
        apiserver.set_node("other", gpus={MIG: 1}, labels=PRESENT)

    def test_a_device_class_offers_its_resource_where_its_driver_has_devices(
        self, apiserver: StandIn, views: Views, clock: Clock
    ) -> None:
        apiserver.objects[CLASSES] = {"metadata": {}, "items": [CLASS]}
        apiserver.objects[SLICES] = {"metadata": {}, "items": []}
        view = views()
        assert seen(view).unschedulable(node_request(GPU)) == Unschedulable(UnschedulableReason.RESOURCE)

        apiserver.objects[SLICES] = {"metadata": {}, "items": [{"spec": {"driver": "gpu.nvidia.com"}}]}
        assert seen(view).unschedulable(node_request(GPU)) is not None, "not yet looked at again"
        clock.ahead += CLASSES_INTERVAL
        assert seen(view).unschedulable(node_request(GPU)) is None

    def test_without_the_api_there_are_none(self, views: Views) -> None:
        fleet = seen(views())
        assert fleet.is_certain
        assert not fleet.classes

    def test_what_can_not_be_read_makes_the_view_uncertain(self, apiserver: StandIn, views: Views) -> None:
        def forbidden(handler: Handler) -> None:
            handler.say(403, status(403, "deviceclasses is forbidden"))

        apiserver.script("classes", forbidden)
        assert not seen(views()).is_certain


def test_a_view_stops_while_it_waits(views: Views, apiserver: StandIn, tmp_path: Path) -> None:
    apiserver.set_node("one", gpus={GPU: 8}, labels=PRESENT)
    view = views()
    seen(view)
    view.stop()
    assert not any(thread.is_alive() for thread in (one._thread for one in view._watches))
