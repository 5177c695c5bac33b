"""Namespaces: denies labels that can't be read, and warns what a changed label will do."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from ..engine.fleet.fleet_findings import plain_request_unschedulable
from ..engine.fleet.prefer_offered import preferring
from ..engine.label_problems import ignored
from ..engine.namespace_labels import NamespaceLabels
from ..engine.pods import Metadata
from ..engine.policy import FindingAction, Policy
from ..engine.rules.fleet import no_node_offers
from . import response_messages, review
from .configuration import Configuration
from .fleet import FleetSource, NoFleet
from .review import Answering, Envelope, ReviewError

_SUB_RESOURCES = frozenset({"", "status", "finalize"})
"""The subresources through which labels can be written: an update of a namespace's status or finalizers writes all of its
metadata (kubernetes pkg/registry/core/namespace/strategy.go, ``PrepareForUpdate`` of the status and finalize strategies)."""


class _Metadata(Metadata, rename="camel"):
    labels: dict[str, str] | None = None


class _Namespace(msgspec.Struct):
    metadata: _Metadata | None = None


_NAMESPACE = msgspec.json.Decoder(_Namespace)


class Preview(Protocol):
    """The preview of a policy's effect on the workloads of a namespace."""

    async def preview(self, namespace: str, policy: Policy, seconds: float) -> list[str]:
        """Warnings: what would change or be denied when pods are next created, and what could not be checked in time.

        Never raises: what is not available becomes a warning.
        """


class NamespaceAdmission:
    """The answers to admission reviews of namespaces.

    Raises ``ReviewError`` for a review that can't be read.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        preview: Preview | None,
        nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    ) -> None:
        """Use the current configuration; ``preview`` is ``None`` if there is no cluster to read."""
        self._nodes = nodes
        self._configuration = configuration
        self._preview = preview

    def validate(self, body: bytes, seconds: float) -> Answering:
        """Deny labels that can't be read, unless they were set before; warn of what a change will do, and of mistyped keys.

        A namespace that is being deleted is never denied: nothing may keep its finalizers from being removed.

        ``seconds`` is how long the API server will still wait for the answer.
        """
        change = _read(body)
        return change if isinstance(change, bytes) else self._evaluate(change, seconds)

    def _evaluate(self, change: "_Change", seconds: float) -> Answering:
        configuration = self._configuration()
        request, name, warnings = change.request, change.name, change.warnings
        policies, before = configuration.policies.select(change.new), configuration.policies.select(change.old)
        # A bad label that was there before must not keep anyone from fixing another.
        problems = [problem for problem in policies.problems if problem not in before.problems]
        if problems:
            # In audit mode too: the mode is about pods, and the author of a mistyped label can fix it most easily now.
            message = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
            return review.invalid(request, message, problems)
        if name in configuration.exemptions.namespaces:
            if change.new != NamespaceLabels():
                warnings.append(f'namespace "{name}" is exempt from gpuwarden: its labels have no effect')
            return review.allowed(request, warnings=response_messages.within_budget(warnings))
        if policies.enforce != before.enforce or not change.of_old:
            warnings += self._on_nodes(policies.enforce, configuration)
        if self._preview and change.of_old and policies.enforce != before.enforce:
            # Half of the time is left for the response and for the rest of the API server's work.
            return _previewed(change, self._preview.preview(name, policies.enforce, seconds / 2))
        return review.allowed(request, warnings=response_messages.within_budget(warnings))

    def _on_nodes(self, policy: Policy, configuration: Configuration) -> list[str]:
        """A warning if no node offers what plain requests become from now on."""
        fleet = self._nodes.fleet
        if fleet is None or not policy.forms or policy.fleet_response is FindingAction.IGNORE:
            return []
        lacking = plain_request_unschedulable(
            preferring(policy, configuration.plugin, fleet), configuration.plugin, fleet
        )
        return [no_node_offers(policy, *lacking, fleet)] if lacking else []


class _Change(msgspec.Struct, gc=False):
    """The change of a namespace: the only part of a review that is kept while its workloads are checked.

    Attributes:
        request: its uid alone.
        of_old: whether the namespace existed before.
        warnings: of labels and annotations that gpuwarden does not read.
    """

    request: Envelope
    name: str
    old: NamespaceLabels
    new: NamespaceLabels
    of_old: bool
    warnings: list[str]


def _read(body: bytes) -> bytes | _Change:
    """The change in a review, or the answer if there is nothing to evaluate."""
    request = review.decode(body)
    if request.operation not in ("CREATE", "UPDATE") or request.sub_resource not in _SUB_RESOURCES:
        return review.allowed(request)
    if request.kind and request.kind.kind != "Namespace":
        raise ReviewError("request.kind", f'must be "Namespace", not "{request.kind.kind}"')
    if not request.has_object:
        raise ReviewError("request.object", "is missing; a CREATE or UPDATE carries the object")
    review.bound(body)
    metadata = _metadata(request.object, "request.object")
    before = _metadata(request.old_object, "request.oldObject") if request.has_old_object else _Metadata()
    if metadata.deletion_timestamp is not None:
        return review.allowed(request)
    told_before = set(ignored(before.labels, before.annotations))
    mistyped = [one for one in ignored(metadata.labels, metadata.annotations) if one not in told_before]
    warnings = [f"{problem.path}: {problem.message}" for problem in mistyped]
    old, new = NamespaceLabels.of(before.labels), NamespaceLabels.of(metadata.labels)
    if new == old and request.has_old_object:
        return review.allowed(request, warnings=response_messages.within_budget(warnings))
    name = metadata.name or request.name
    return _Change(Envelope(request.uid), name, old, new, request.has_old_object, warnings)


async def _previewed(change: _Change, preview: Awaitable[list[str]]) -> bytes:
    warnings = change.warnings + await preview
    return review.allowed(change.request, warnings=response_messages.within_budget(warnings))


def _metadata(raw: msgspec.Raw, root: str) -> _Metadata:
    return review.decode_json(_NAMESPACE, raw, root).metadata or _Metadata()
