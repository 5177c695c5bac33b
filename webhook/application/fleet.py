"""The fleet as admission sees it: a look at what is known, never a question to the API server."""

from typing import Protocol

from webhook.engine.fleet.fleet import Fleet


class FleetSource(Protocol):
    """Where the nodes are known."""

    @property
    def fleet(self) -> Fleet | None:
        """What they offer, as of a moment ago; ``None`` where they are not known."""
        ...


class NoFleet:
    """No node is known, so that nothing is said of any."""

    fleet: None = None
