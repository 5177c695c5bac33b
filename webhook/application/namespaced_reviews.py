"""Reviews of objects that are decided by the labels of their namespace, and never need to look up claims by reference."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from .claims import NoClaims
from .configuration import Configuration
from .fleet import FleetSource, NoFleet
from .lookups import NOTHING, LookupRequest, LookupResults, fetched
from .namespaces import Namespaces
from .recorder import Recorder
from .reservations import NoPods, PodSource
from .review import Answering


class NamespacedReviews(ABC):
    """The answers to admission reviews of such objects."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        namespaces: Namespaces,
        recorder: Recorder,
        nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
        pods: PodSource = NoPods(),  # noqa: B008 - it has no state
    ) -> None:
        """Take the sources of the configuration, of namespaces' labels, of what nodes offer, and of pods."""
        self._configuration = configuration
        self._namespaces = namespaces
        self._recorder = recorder
        self._nodes = nodes
        self._pods = pods

    def _answered(self, body: bytes) -> Answering:
        """The answer to a review, immediately if the labels are cached."""
        answer = partial(self._answer, body, self._configuration())
        found = answer(NOTHING)
        return found if isinstance(found, bytes) else fetched(self._namespaces, NoClaims(), found, answer, self._pods)

    @abstractmethod
    def _answer(self, body: bytes, configuration: Configuration, given: LookupResults) -> bytes | LookupRequest:
        """The answer from the look-ups given and the cached labels, or the next look-up that it needs."""
