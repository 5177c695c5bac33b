"""The diagnosis: every check, in the order in which an engineer would look, and what each is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webhook.application.diagnosis import (
    failing,
    gpus,
    guarding,
    limits,
    mig,
    order,
    policies,
    probing,
    registration,
    replicas,
    restrictions,
    rights,
    serving,
)
from webhook.application.diagnosis.facts import Facts, Unread, UnreadError
from webhook.application.diagnosis.results import Result, Verdict, unknown


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its id, what its being well means, and how it judges the facts."""

    id: str
    about: str
    judge: Callable[[Facts], list[Verdict]]


CHECKS = (
    Check("webhooks", "the API server asks gpuwarden about pods", registration.present),
    Check("rules", "new pods are sent to gpuwarden, and nothing that must not be changed", registration.rules),
    Check("calls", "calls are short, without side effects, and repeated when others change a pod", registration.calls),
    Check(
        "failure-policies",
        "while no replica answers, what should be refused is, and nothing else",
        failing.failure_policies,
    ),
    Check(
        "guard",
        "pods that reach GPUs without requesting them are denied whether gpuwarden answers or not",
        guarding.guard,
    ),
    Check("exclusions", "gpuwarden and the cluster itself can start while gpuwarden is down", failing.exclusions),
    Check("match-conditions", "pods without GPUs never depend on gpuwarden", registration.match_conditions),
    Check("other-webhooks", "what other webhooks do to pods afterwards", order.others),
    Check("endpoints", "the API server's calls arrive at a replica", serving.service),
    Check("ca-bundles", "the API server knows whom to trust", serving.bundles),
    Check("trust", "the API server trusts what is served, under the name that it calls", serving.trust),
    Check("expiry", "certificates are renewed in time", serving.expiry),
    Check("replicas", "somebody answers while one replica restarts", replicas.deployed),
    Check("spread", "the failure of one node does not take gpuwarden down", replicas.spread),
    Check("disruption-budget", "draining nodes does not take gpuwarden down", replicas.budget),
    Check("rights", "gpuwarden may do what it has to", rights.granted),
    Check("configuration", "the configuration says what is meant", policies.configuration),
    Check("labels", "every label names a policy, and none is mistyped", policies.labels),
    Check("label-effects", "every label has an effect", policies.effects),
    Check("nodes", "rewritten pods find a node", gpus.offered),
    Check("rename-by-default", "GPUs are called as the nodes call them", gpus.renaming),
    Check("mig-strategy", "MIG slices are requested as the nodes advertise them", mig.strategy),
    Check("quotas", "quotas on GPUs count rewritten pods", limits.quotas),
    Check("limitranges", "LimitRanges let rewritten pods through, and add no GPU to others", limits.limit_ranges),
    Check(
        "namespace-restrictions",
        "namespaces let through what gpuwarden adds to pods",
        restrictions.restrictions,
    ),
    Check("probe", "a pod that is created now becomes what its namespace's policy says", probing.judge),
)


def diagnose(facts: Facts) -> list[Result]:
    """Judge the facts by every check; what a check can't see makes it unknown, never an error."""
    return [result for check in CHECKS for result in _results(check, facts)]


def _results(check: Check, facts: Facts) -> Iterator[Result]:
    for one in _verdicts(check, facts):
        yield Result(check.id, one.status, one.seen, one.means or check.about, one.mend)


def _verdicts(check: Check, facts: Facts) -> list[Verdict]:
    try:
        return check.judge(facts)
    except UnreadError as error:
        return [_unread(check, error.unread)]


def _unread(check: Check, unread: Unread) -> Verdict:
    means = f"it can't be told whether {check.about}"
    mend = (
        f"the right that it takes: {unread.right}"
        if unread.forbidden
        else "see what the API server says, and try again"
    )
    if not unread.right:
        mend = "mend that check first, or give the file with --config"
    return unknown(unread.detail, means, mend)
