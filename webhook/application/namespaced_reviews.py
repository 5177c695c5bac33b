"""Reviews of objects that are judged by the labels of their namespace, and never need to look up claims."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from .claims import NoClaims
from .configuration import Configuration
from .fleet import FleetSource, NoFleet
from .lookups import NOTHING, Given, Labels, Wanted, fetched
from .namespaces import Namespaces
from .recorder import Recorder
from .review import Answering


class NamespacedReviews(ABC):
    """The answers to admission reviews of such objects."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        namespaces: Namespaces,
        recorder: Recorder,
        nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    ) -> None:
        """Decide by the current configuration, the labels of namespaces, and what the nodes and DeviceClasses offer."""
        self._configuration = configuration
        self._namespaces = namespaces
        self._recorder = recorder
        self._nodes = nodes

    def _answered(self, body: bytes) -> Answering:
        """The answer to a review, immediately if the labels are cached."""
        configuration = self._configuration()

        def answer(given: Given) -> bytes | Wanted:
            return self._answer(body, configuration, given.labels)

        found = answer(NOTHING)
        return found if isinstance(found, bytes) else fetched(self._namespaces, NoClaims(), found, answer)

    @abstractmethod
    def _answer(self, body: bytes, configuration: Configuration, labels: Labels | None) -> bytes | Wanted:
        """The answer by the labels that are given, or else by those that are cached; or whose labels it needs."""
