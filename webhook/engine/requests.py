"""Requests: which containers ask for GPUs, and how many."""

import msgspec

from webhook.engine.pods import Container, Place, PodSpec, containers
from webhook.engine.quantity import Quantity, shown, whole
from webhook.engine.resources import GpuResource, Unknown, classify


class Amount(msgspec.Struct, frozen=True):
    """What one container says of one GPU resource."""

    resource: GpuResource
    limit: Quantity
    request: Quantity
    in_limits: bool
    in_requests: bool

    @property
    def written(self) -> Quantity:
        """The quantity as the user wrote it."""
        return self.limit if self.in_limits else self.request

    @property
    def count(self) -> int:
        """The quantity as a number; 0 where a rule has yet to refuse it for being none."""
        return whole(self.written) or 0

    def __str__(self) -> str:
        return f"{self.resource.name}: {shown(self.written)}"


class Ask(msgspec.Struct, frozen=True):
    """A container that says anything about GPUs in its resources, other than that it wants none (0)."""

    place: Place
    container: Container
    amounts: tuple[Amount, ...]
    unknown: tuple[tuple[Unknown, str], ...] = ()

    @property
    def name(self) -> str:
        """The container, for people."""
        return f'container "{self.container.name}"'

    def field(self, amount: Amount) -> str:
        """The path of the amount's quantity, as Kubernetes writes paths."""
        return f"{self.place.field}.resources.{'limits' if amount.in_limits else 'requests'}[{amount.resource.name}]"


def read(spec: PodSpec) -> list[Ask]:
    """The containers that ask for GPUs, or for names that look like GPU resources, in start order."""
    found = []
    for section, index, container in containers(spec):
        resources = container.resources
        if resources is None:
            continue
        limits, requests = resources.limits or {}, resources.requests or {}
        amounts: list[Amount] = []
        unknown: list[tuple[Unknown, str]] = []
        for name in {**limits, **requests} if limits and requests else limits or requests:
            resource = classify(name)
            if resource is None:
                continue
            limit, request = limits.get(name), requests.get(name)
            if whole(limit) == 0 and whole(request) == 0:
                continue
            if isinstance(resource, Unknown):
                section_of_name = "limits" if name in limits else "requests"
                unknown.append((resource, f"spec.{section}[{index}].resources.{section_of_name}[{name}]"))
            else:
                amounts.append(Amount(resource, limit, request, name in limits, name in requests))
        if amounts or unknown:
            amounts.sort(key=lambda amount: amount.resource.name)
            found.append(Ask(Place(section, index), container, tuple(amounts), tuple(unknown)))
    return found


def pod_count(spec: PodSpec, counts: dict[Place, int]) -> int:
    """The GPUs that a pod needs at once, given the count of each container that asks.

    Mirrors k8s.io/component-helpers/resource PodRequests: init containers run one after another, sidecars (init containers
    that always restart) beside all that start after them.
    """
    sidecars = highest = 0
    for section, index, container in containers(spec):
        if section != "initContainers":
            continue
        count = counts.get(Place(section, index), 0)
        if container.restart_policy == "Always":
            sidecars += count
            highest = max(highest, sidecars)
        else:
            highest = max(highest, sidecars + count)
    return max(highest, sidecars + sum(count for place, count in counts.items() if place.section == "containers"))
