"""The part of a report on who decides new pods: for each policy the API server, the webhooks or nobody."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from ...application.deciders import DecidedPolicy, Decider
from ...application.diagnosis.results import listed
from .check_report import Part
from .grid import Grid
from .text import printable


class DeciderLine(Part):
    """A policy, and who decides its common case and its other pods that request GPUs.

    ``common_case`` and ``other_pods`` are one of ``api-server``, ``webhooks``, ``both`` (the API server, and then the
    webhooks for its result), ``unchanged`` (neither, and the policy would change and deny nothing) and ``nobody``
    (neither, and pods are created as they are). Other pods that ``api-server`` decides are denied. ``namespaces`` are those with
    GPU pods (in an audit: with workloads) to which this applies; a policy has one line for each answer.
    """

    policy: str
    namespaces: list[str]
    common_case: str
    other_pods: str

    @property
    def where(self) -> str:
        """The namespaces, for people."""
        return listed(self.namespaces)

    @property
    def of_common_case(self) -> str:
        """Who decides the common case, for people."""
        return _WORDS[Decider(self.common_case)]

    @property
    def of_other_pods(self) -> str:
        """Who decides other pods, for people."""
        denied = "API server (denied)" if self.other_pods == Decider.API_SERVER else ""
        return denied or _WORDS[Decider(self.other_pods)]


_WORDS = {
    Decider.API_SERVER: "API server",
    Decider.WEBHOOKS: "webhooks",
    Decider.BOTH: "API server, then webhooks",
    Decider.UNCHANGED: "nothing to decide",
    Decider.NOBODY: "nobody (created as is)",
}


def decider_lines(policies: Iterable[DecidedPolicy]) -> list[DeciderLine]:
    """Policies with who decides, as lines."""
    return [
        DeciderLine(
            policy=each.policy,
            namespaces=list(each.namespaces),
            common_case=each.deciders.common_case.value,
            other_pods=each.deciders.other_pods.value,
        )
        for each in policies
    ]


def decider_grid(lines: Sequence[DeciderLine]) -> Grid:
    """The table for people."""
    head = ("policy", "namespaces with GPU pods", "common case", "other pods")
    rows = [
        tuple(
            Text(printable(each)) for each in (line.policy, line.where or "-", line.of_common_case, line.of_other_pods)
        )
        for line in lines
    ]
    return Grid(head, rows, (2, 3, 2, 2))
