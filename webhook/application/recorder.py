"""The interface that admission reports decisions to: one value per decision, for metrics and the log."""

from typing import Protocol

import msgspec

from webhook.application.review import Envelope
from webhook.engine.decision import Decision
from webhook.engine.pods import Pod
from webhook.engine.policy import Policy


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A decision that was made.

    Attributes:
        mode: ``enforce``, ``warn`` or ``audit``: which label's policy decided.
        acted: whether the decision had its effect; a ``warn`` or ``audit`` decision never has.
    """

    mode: str
    policy: Policy
    decision: Decision
    acted: bool
    path: str
    request: Envelope
    pod: Pod


class Recorder(Protocol):
    """Records decisions."""

    def decided(self, recorded: Recorded) -> None:
        """Record a decision. Called in the request path: no I/O, nothing slow."""
