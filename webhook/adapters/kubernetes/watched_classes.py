"""The resource names of DeviceClasses (KEP-5004), watched: a pod that requests one gets devices of the class."""

import random
import time
from collections.abc import Callable, Mapping

from .backoff import Backoff
from .client import ApiServer
from .documents import ObjectList
from .errors import Fault
from .nodes import CLASSES_PATH, ClassItem
from .object_store import Store
from .watch import Objects, Watch

# Seconds until it is noticed, at the latest, that a cluster now serves DeviceClasses or permits reading them.
_LONGEST_BACKOFF = 60.0
_CLASSES = Objects("DeviceClass", CLASSES_PATH, ClassItem, ObjectList[ClassItem], {})

Names = Mapping[str, str]
"""The ``extendedResourceName`` of each DeviceClass that has one."""


class _Store(Store[ClassItem, str]):
    """The resource name of each class; empty for one without."""

    def __init__(self, monotonic: Callable[[], float], changed: Callable[[Names], None]) -> None:
        super().__init__(monotonic)
        self._changed = changed
        self._reported: Names = {}

    def keep(self, item: ClassItem) -> str:
        """Pick the resource name."""
        return item.spec.extended_resource_name or ""

    def replace(self, kept: Mapping[str, str], revision: str) -> None:
        """Take a whole list."""
        super().replace(kept, revision)
        self._report()

    def put(self, item: ClassItem) -> None:
        """Take a class that was added or changed."""
        super().put(item)
        self._report()

    def drop(self, item: ClassItem) -> None:
        """Forget a class that was deleted."""
        super().drop(item)
        self._report()

    def _report(self) -> None:
        names = {device_class: name for device_class, name in self.values().items() if name}
        if names != self._reported:
            self._reported = names
            self._changed(names)


class WatchedClasses(Watch[ClassItem, str]):
    """The resource names of all DeviceClasses, from a watch.

    Args:
        api: the API server.
        changed: called with the names whenever they change, in the watch's thread. There are none before the first call.
        failed: called with each problem, in the watch's thread.
    """

    def __init__(
        self,
        api: ApiServer,
        changed: Callable[[Names], None],
        failed: Callable[[Fault, str], None],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(
            api,
            _CLASSES,
            _Store(time.monotonic, changed),
            self,
            backoff=backoff or Backoff(random.random, cap=_LONGEST_BACKOFF),
            monotonic=time.monotonic,
        )
        self._report_failure = failed
        self.answered = False
        """Whether the classes are known, or known to be unavailable (not served, or not permitted)."""

    # For the watch's thread.

    def listed(self, _number: int) -> None:
        """Record that the classes are known."""
        self.answered = True

    def watch_failed(self, fault: Fault, detail: str, _retry_in: float) -> None:
        """Record why the classes can't be read; the watch tries again."""
        self.answered |= fault in {Fault.FORBIDDEN, Fault.NOT_FOUND}
        self._report_failure(fault, detail)
