"""Checks of failure behaviour: failure policies, and the namespaces that never depend on gpuwarden."""

from collections.abc import Iterator, Mapping

from ..certificates.tokens import VALIDATE, VALIDATE_CLAIM, VALIDATE_NAMESPACE
from ..configuration import Mode
from .facts import KUBE_SYSTEM, NAME_LABEL, Facts, Unread
from .our_webhooks import MUTATING, RESERVATIONS, UPDATES, OurWebhook, our_webhooks
from .results import CheckOutcome, Findings, fail, warn

_REINSTALL = "reinstall with the install.mode that you want (helm upgrade, or kubectl apply -f deploy/gpuwarden.yaml)"

_WHILE = "while no replica answers,"
# For webhooks that should be closed and have matchConditions: the impact if they are open, and if they have no matchConditions.
_CLOSED_BY_NAME = {
    UPDATES: (
        f"{_WHILE} a pod with scheduling gates can be moved to GPUs that its namespace's policy denies",
        f"{_WHILE} no pod can be updated: finalizers stay, and so do deleted pods",
    ),
    RESERVATIONS: (
        f"{_WHILE} the claims (DRA) of a waiting pod can be replaced by claims that together exceed its namespace's limits",
        f"{_WHILE} no status of a claim (DRA) can be written: pods with claims do not start, and claims of deleted pods stay",
    ),
}
_CLOSED_BY_PATH = {
    VALIDATE_NAMESPACE: (
        f"{_WHILE} labels that name no policy are accepted",
        f"{_WHILE} no namespace can be created or changed, not even kube-system",
    ),
    VALIDATE_CLAIM: (
        f"{_WHILE} a claim (DRA) of a waiting pod can be replaced by one for GPUs that its namespace's policy denies",
        f"{_WHILE} no claim (DRA) can be created or changed, so no pod with claims starts",
    ),
}


def failure_policies(facts: Facts) -> Findings:
    """Mutating webhooks fail open, and validating ones that can deny fail closed. In audit mode, all fail open.

    In enforce mode, a guard may fail either way.
    """
    mode = facts.usable_configuration().mode
    webhooks = our_webhooks(facts)
    for one in webhooks:
        yield from _wrong_policy(one, mode)
    return f"mode {mode}: {', '.join(f'{one} {one.webhook.failure_policy}' for one in webhooks)}"


def _wrong_policy(one: OurWebhook, mode: Mode) -> Iterator[CheckOutcome]:
    observed = f"mode {mode}: failurePolicy of {one} is {one.webhook.failure_policy}"
    if mode is Mode.AUDIT:
        if one.closed:
            impact = "audit mode denies nothing, but this webhook denies requests while no replica answers"
            yield fail(observed, impact, _REINSTALL)
    elif one.is_guard:
        return
    elif impacts := _CLOSED_BY_NAME.get(one.name) or (one.kind != MUTATING and _CLOSED_BY_PATH.get(one.path)):
        # Closed, and only with matchConditions: they are not meant to be called for every object of their kinds.
        while_open, without_conditions = impacts
        if not one.closed:
            yield warn(observed, while_open, _REINSTALL)
        elif not one.webhook.match_conditions:
            yield fail(f"{observed}, without matchConditions", without_conditions, _REINSTALL)
    elif one.kind != MUTATING and one.path == VALIDATE:
        if not one.closed:
            impact = "while no replica answers, pods are created without any check of their namespaces' policies"
            yield fail(observed, impact, _REINSTALL)
    elif one.closed:
        impact = "while no replica answers, this denies requests, which only the validating webhook for pods should do"
        yield warn(observed, impact, _REINSTALL)


def exclusions(facts: Facts) -> Findings:
    """Our own namespace and kube-system never depend on gpuwarden."""
    why = {
        facts.namespace: "gpuwarden's own pods depend on gpuwarden: once all replicas are down, none may start again",
        KUBE_SYSTEM: "the cluster's own pods depend on gpuwarden: while it is down, the cluster may not recover",
    }
    webhooks = [one for one in our_webhooks(facts) if one.webhook.covers("CREATE", "pods")]
    for namespace, impact in why.items():
        labels = _labels(facts, namespace)
        for one in webhooks:
            if one.webhook.selects(labels):
                yield (fail if one.closed else warn)(
                    f"the namespaceSelector of {one} selects {namespace} (failurePolicy {one.webhook.failure_policy})",
                    impact,
                    f"exclude {namespace} by {NAME_LABEL} NotIn, as the chart does; {_REINSTALL}",
                )
    return f"{facts.namespace} and {KUBE_SYSTEM} are excluded from every webhook for pods"


def _labels(facts: Facts, namespace: str) -> Mapping[str, str]:
    """The labels of a namespace; those that the API server would set if it doesn't exist or can't be read."""
    if isinstance(facts.namespaces, Unread):
        return {NAME_LABEL: namespace}
    return facts.namespaces.labels.get(namespace, {NAME_LABEL: namespace})
