"""The count of pods with GPUs: read periodically, page by page, from a list of all pods, because a watch would cost more.

No selector finds the pods with GPUs, so all that have not ended are listed. Only a pod's part of the count is kept.
"""

import time
from collections.abc import Callable

from ...application.fleet_view import PodCount
from .api_request import path_of
from .client import ApiServer
from .gpu_pods import PodItem
from .lists import Deadline, Lister, Page

INTERVAL = 300.0  # seconds between two counts, at least
REST = 50.0  # the least pause after a count, as a multiple of its duration, so that counts take at most 2 % of the time
RETRY = 60.0
# Pods per page: a whole page is in memory, and no review is answered while it is decoded.
_PAGE = 100
_TIMEOUT = 10.0
_NOT_ENDED = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


class PodCounts:
    """Counts the pods with GPUs of a cluster, if a count is due.

    Args:
        api: the API server.
        monotonic: seconds of a clock that only goes forward.
    """

    def __init__(self, api: ApiServer, monotonic: Callable[[], float] = time.monotonic) -> None:
        # A list that begins again would count its first pods twice.
        self._lister = Lister(Deadline(api, lambda: _TIMEOUT), limit=_PAGE, starts=1)
        self._monotonic = monotonic
        self._due_at = monotonic()

    @property
    def due(self) -> bool:
        """Whether pods are to be counted now."""
        return self._monotonic() >= self._due_at

    def read(self) -> PodCount:
        """Count the pods.

        Raises:
            ApiError: they can't be listed; the next attempt is due in a minute.
        """
        found = PodCount()

        def count(item: PodItem) -> None:
            if pod := item.trimmed():
                found.add(pod.pod)

        began = self._monotonic()
        self._due_at = began + RETRY
        self._lister.all("pods", path_of("api", "v1", "pods"), Page[PodItem], count, _NOT_ENDED)
        ended = self._monotonic()
        self._due_at = ended + max(INTERVAL, REST * (ended - began))
        return found
