"""Checks of ResourceQuotas and LimitRanges, which limit GPUs by name, against the names that rewritten pods request."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeVar

from .. import limit_ranges as ranges
from .. import quotas as quotas_of
from ..quotas import PREFIX, Quota, is_gpu
from .facts import Facts, known
from .policies import policy_of
from .results import CheckOutcome, Findings, listed, warn

_LIMITS = "limits."
_T = TypeVar("_T", Quota, ranges.LimitRange)


def quotas(facts: Facts) -> Findings:
    """Quotas on GPUs name the resources that pods are charged for: those that they have after gpuwarden."""
    found = known(facts.quotas)
    yield from _counting_nothing(found)
    yield from _uncounted(facts, found)
    return "every quota on GPUs counts rewritten pods"


def _counting_nothing(quotas: Iterable[Quota]) -> Iterator[CheckOutcome]:
    """Keys that the API server stores and no evaluator counts (pkg/quota/v1/evaluator/core/pods.go: ``requests.`` alone)."""
    for quota in quotas:
        keys = [key for key in quota.spec.hard or {} if is_gpu(key.removeprefix(_LIMITS))]
        if keys:
            instead = listed({f"{PREFIX}{key.removeprefix(_LIMITS)}" for key in keys})
            yield warn(
                f"ResourceQuota {quota.metadata.name} in namespace {quota.metadata.namespace} sets {listed(keys)}",
                "Kubernetes ignores such a key for GPUs: it limits no pod",
                f"set {instead} instead",
            )


def _uncounted(facts: Facts, quotas: Iterable[Quota]) -> Iterator[CheckOutcome]:
    plugin = facts.usable_configuration().plugin
    for name, its in _by_namespace(quotas):
        policy = policy_of(facts, name)
        if gap := quotas_of.gap(its, policy, plugin):
            yield warn(
                f"namespace {name} has a quota on {gap.limited}, and its policy is {policy.name}: its pods request "
                f"{gap.requested}",
                f"a quota counts pods as gpuwarden has rewritten them: nothing limits {gap.lacking} there",
                f"add {gap.keys} to the ResourceQuota",
            )


def limit_ranges(facts: Facts) -> Findings:
    """No LimitRange denies the pods of its namespace's policy, or gives GPUs to containers that request none."""
    plugin = facts.usable_configuration().plugin
    for name, its in _by_namespace(known(facts.limit_ranges)):
        for effect in ranges.effects(its, policy_of(facts, name), plugin):
            yield warn(f"namespace {name}: {effect.observed}", effect.impact, effect.fix)
    return "no LimitRange on GPUs conflicts with a policy"


def _by_namespace(objects: Iterable[_T]) -> Iterator[tuple[str, list[_T]]]:
    ordered = sorted(objects, key=lambda one: one.metadata.namespace)
    return ((name, list(its)) for name, its in groupby(ordered, key=lambda one: one.metadata.namespace))
