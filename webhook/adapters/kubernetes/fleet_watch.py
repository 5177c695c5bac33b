"""The node view: watches what the cluster's nodes offer, so that reviews of pods need no request to the API server."""

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from ...application.configuration import Configuration
from ...engine.fleet.fleet import Fleet
from ...engine.fleet.history import DAY, Memory
from ...engine.fleet.node_shapes import GpuNode, Shape
from .api_request import path_of
from .backoff import Backoff
from .client import ApiServer
from .documents import ObjectList
from .errors import ApiError
from .gpu_node_selectors import SELECTORS
from .lists import Deadline, Lister
from .nodes import NodeItem, class_items, nodes, offered
from .object_store import Store
from .watch import Objects, Watch, WatchObserver
from .watched_namespaces import FRESHNESS_BOUND

# No review waits for the nodes. Without permission to list them, listing is retried forever.
_LONGEST_BACKOFF = 60.0
# Nodes per page: a node has about 20 KiB, and a whole page is in memory.
_PAGE = 100
CLASSES_INTERVAL = 300.0  # seconds between reads of DeviceClasses, which administrators change by hand
_TIMEOUT = 10.0
# While no node is selected, all are read: this often, and at most for 2 % of the time.
ALL_NODES_INTERVAL = 300.0
_REST = 50.0
_DISTINCT_SHAPES = 1024


class NodeStore(Store[NodeItem, Shape | None]):
    """The shape of each node; ``None`` for one without GPUs. Nodes with equal shapes share one object."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(monotonic)
        self.labels: Collection[str] = frozenset()
        # Bounded, so that old shapes do not use memory.
        self._shared = lru_cache(maxsize=_DISTINCT_SHAPES)(lambda shape: shape)

    def keep(self, item: NodeItem) -> Shape | None:
        """Return the shape of a node."""
        node = item.gpu_node(self.labels)
        return self._shared(node.shape) if node else None


class FleetWatch:
    """The nodes with GPUs, watched by one or more label selectors.

    Attributes:
        fleet: what nodes offer, at most seconds old; ``None`` until the nodes have been listed, and if there was no node with
            GPUs within a day.
        unselected: nodes with GPUs that no selector selects; ``None`` if not searched: this is done only while no node is
            selected.
    """

    def __init__(
        self,
        api: ApiServer,
        observer: WatchObserver,
        selectors: Sequence[str] = SELECTORS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Callable[[], Backoff] = lambda: Backoff(random.random, cap=_LONGEST_BACKOFF),
    ) -> None:
        self.fleet: Fleet | None = None
        self.unselected: Sequence[GpuNode] | None = None
        self._unselected_at = 0.0
        self._api = api
        self._monotonic = monotonic
        self._began = monotonic()
        self._memory = Memory()
        self._labels: Collection[str] = frozenset()
        self._state: object = None
        self._changes: list[int] = []
        self._numbers: dict[int, int] = {}
        self._distinct: dict[int, Shape | None] = {}
        self._classes: frozenset[str] = frozenset()
        self._unread = ""
        self._classes_due = self._all_nodes_due = self._began
        self._stores = [NodeStore(monotonic) for _ in selectors]
        self._watches = [
            Watch(
                api,
                Objects(
                    "node", path_of("api", "v1", "nodes"), NodeItem, ObjectList[NodeItem], {"labelSelector": one}, _PAGE
                ),
                store,
                observer,
                backoff=backoff(),
                monotonic=monotonic,
            )
            for one, store in zip(selectors, self._stores, strict=True)
        ]

    def start(self) -> None:
        """Start to list and watch, once; return immediately."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """End the watches; wait a moment for them."""
        for watch in self._watches:
            watch.stop()

    def age(self) -> float | None:
        """Seconds since the last data from the API server, on the oldest watch; ``None`` before the first."""
        ages = [store.age() if store.synced() else None for store in self._stores]
        return None if None in ages else max(age for age in ages if age is not None)

    def poll(self, configuration: Configuration) -> Fleet | None:
        """Update ``fleet`` and return it; called about once a second, in its own thread."""
        labels = configuration.policies.node_labels
        if labels != self._labels:
            self._read_again(labels)
        if self._monotonic() >= self._classes_due:
            self._read_classes()
        age = self.age()
        if age is None:
            return None
        numbers = self._count()
        self._look_for_others()
        if self.unselected:
            age = self._monotonic() - self._unselected_at
        fresh = age <= FRESHNESS_BOUND
        # A new view only after changes, because results are cached with it.
        state = (
            numbers,
            self._unselected_at,
            (self._classes, self._unread, configuration.expected, labels),
            0 if fresh else age // 60,
            self._monotonic() // 60,
        )
        if state != self._state:
            self._state = state
            self._look(configuration, age=0.0 if fresh else age, fresh=fresh)
        return self.fleet

    @property
    def selected(self) -> list[GpuNode]:
        """The nodes with GPUs that a selector selects."""
        return [GpuNode(name, shape) for name, shape in self._by_name().items() if shape]

    @property
    def selected_number(self) -> int:
        """How many nodes were ``selected`` at the last update of the view."""
        return sum(self._numbers[identity] for identity, shape in self._distinct.items() if shape is not None)

    def _by_name(self) -> dict[str, Shape | None]:
        found: dict[str, Shape | None] = {}
        for store in self._stores:
            found |= store.values()
        return found

    def _count(self) -> dict[int, int]:
        """The number of nodes of each shape, by the identity of the shape object, because comparing shapes is slow."""
        changes = [store.changes for store in self._stores]
        if changes != self._changes:
            self._changes = changes
            by_name = self._by_name()
            self._numbers = Counter(map(id, by_name.values()))
            self._distinct = {id(shape): shape for shape in by_name.values()}
        return self._numbers

    def _look_for_others(self) -> None:
        """While no node is selected, read all nodes periodically, because GPU feature discovery may be missing."""
        began = self._monotonic()
        if self.selected_number:
            self.unselected = None
        elif began >= self._all_nodes_due:
            self._all_nodes_due = began + ALL_NODES_INTERVAL
            try:
                self.unselected = nodes(Lister(Deadline(self._api, lambda: _TIMEOUT), limit=_PAGE), self._labels)
            except ApiError:
                return  # the previous result is kept, and ages
            self._unselected_at = ended = self._monotonic()
            self._all_nodes_due = ended + max(ALL_NODES_INTERVAL, _REST * (ended - began))

    def _look(self, configuration: Configuration, *, age: float, fresh: bool) -> None:
        """Make the current view."""
        shapes = Counter(node.shape for node in self.unselected or ())
        for identity, shape in self._distinct.items():
            if shape is not None:
                shapes[shape] += self._numbers[identity]
        now = self._monotonic()
        remembered = self._memory.note(shapes, now)
        if not shapes and not remembered:
            # Autoscalers may add the first one.
            self.fleet = None
            return
        # A node without GPUs may have offered some before the start.
        silent = any(not shape.amounts for shape in shapes) and now - self._began < DAY
        self.fleet = Fleet(
            shapes,
            labels=self._labels,
            classes=self._classes,
            expected=configuration.expected,
            remembered=remembered,
            age=age,
            is_certain=fresh and not self._unread and not silent and not self.unselected,
        )

    def _read_again(self, labels: Collection[str]) -> None:
        """Keep these labels of the nodes from now on."""
        self._labels = labels
        self._all_nodes_due = self._monotonic()
        for store, watch in zip(self._stores, self._watches, strict=True):
            store.labels = labels
            watch.relist()

    def _read_classes(self) -> None:
        """Read the DeviceClasses. If they can't be read, the previous ones are kept, and nothing is denied."""
        try:
            found, drivers = class_items(Lister(Deadline(self._api, lambda: _TIMEOUT)))
            self._classes, self._unread = offered(found, drivers), ""
        except ApiError as error:
            self._unread = error.detail
        self._classes_due = self._monotonic() + CLASSES_INTERVAL
