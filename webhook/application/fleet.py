"""The fleet as admission sees it: known nodes only, never a call to the API server."""

from collections.abc import Iterable
from typing import Protocol

from ..engine.fleet.fleet import Fleet
from ..engine.fleet.fleet_findings import plain_request_unschedulable
from ..engine.fleet.prefer_offered import preferring
from ..engine.forms import Form
from ..engine.namespace_labels import NamespaceLabels
from ..engine.policy import Policy
from .configuration import Configuration


class FleetSource(Protocol):
    """A source of nodes."""

    @property
    def fleet(self) -> Fleet | None:
        """What the nodes offer, as of the last update; ``None`` if that is not known."""


class NoFleet:
    """A source without nodes, so that no rule mentions any."""

    fleet: None = None


def plain_forms_offered(
    fleet: Fleet, configuration: Configuration, labels: Iterable[NamespaceLabels]
) -> dict[tuple[Policy, Form], bool]:
    """Whether nodes now offer the form of plain requests, by the enforce policies that labels of namespaces select.

    What an autoscaler can add counts as offered; what nodes offered lately does not.
    """
    found: dict[tuple[Policy, Form], bool] = {}
    present, plugin = fleet.at_present, configuration.plugin
    for policy in {configuration.policies.select(one).enforce for one in labels}:
        if policy.forms:
            acting = preferring(policy, plugin, present)
            found[policy, acting.forms[0]] = plain_request_unschedulable(acting, plugin, present) is None
    return found
