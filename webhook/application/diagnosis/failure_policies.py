"""Checks of failure behaviour: failure policies, and the namespaces that never depend on gpuwarden."""

from collections.abc import Iterator, Mapping

from ..certificates.tokens import VALIDATE, VALIDATE_CLAIM, VALIDATE_NAMESPACE
from ..configuration import Configuration, Mode
from .facts import KUBE_SYSTEM, NAME_LABEL, Facts, Unread
from .ours import MUTATING, OurWebhook, our_webhooks
from .results import CheckOutcome, fail, verdicts, warn

_REINSTALL = "reinstall with the install.mode that you want (helm upgrade, or kubectl apply -f deploy/gpuwarden.yaml)"

_WHILE = "while no replica answers,"
# What it means that webhooks which should be closed and have matchConditions are open, and that they have none.
_UPDATES = (
    f"{_WHILE} a pod with scheduling gates can be moved to GPUs that its namespace's policy denies",
    f"{_WHILE} no pod can be updated: finalizers stay, and so do deleted pods",
)
_RESERVATIONS = (
    f"{_WHILE} the claims (DRA) of a pod that waits can be replaced by ones that exceed its namespace's limits together",
    f"{_WHILE} no status of a claim (DRA) can be written: no pod with claims starts, and claims of deleted pods stay reserved",
)
_CLOSED = {
    VALIDATE_NAMESPACE: (
        f"{_WHILE} labels that name no policy are accepted",
        f"{_WHILE} no namespace can be created or changed, not even kube-system",
    ),
    VALIDATE_CLAIM: (
        f"{_WHILE} a claim (DRA) of a pod that waits can be replaced by one for GPUs that its namespace's policy denies",
        f"{_WHILE} no claim (DRA) can be created or changed, so no pod with claims starts",
    ),
}


def failure_policies(facts: Facts) -> list[CheckOutcome]:
    """Mutate open, validate closed; in audit mode all open."""
    configuration = facts.usable_configuration()
    return verdicts(
        _wrong_policies(our_webhooks(facts), configuration),
        lambda: (
            f"mode {configuration.mode}: "
            + ", ".join(f"{one} {one.webhook.failure_policy}" for one in our_webhooks(facts))
        ),
    )


def _wrong_policies(webhooks: list[OurWebhook], configuration: Configuration) -> Iterator[CheckOutcome]:
    for one in webhooks:
        seen = f"mode {configuration.mode}: failurePolicy of {one} is {one.webhook.failure_policy}"
        if configuration.mode is Mode.AUDIT:
            if one.closed:
                yield fail(
                    seen,
                    "audit mode denies nothing, but this webhook denies requests while no replica answers",
                    _REINSTALL,
                )
        elif one.is_guard:
            continue
        elif one.is_of_updates or one.is_of_reservations:
            yield from _wrong_where_closed(one, seen, *(_UPDATES if one.is_of_updates else _RESERVATIONS))
        elif one.kind == MUTATING or one.path not in {VALIDATE, *_CLOSED}:
            if one.closed:
                means = "while no replica answers, this denies requests, which only the validating webhook for pods should do"
                yield warn(seen, means, _REINSTALL)
        elif not one.closed and one.path == VALIDATE:
            means = "while no replica answers, pods are created without any check of their namespaces' policies"
            yield fail(seen, means, _REINSTALL)
        elif one.path in _CLOSED:
            yield from _wrong_where_closed(one, seen, *_CLOSED[one.path])


def _wrong_where_closed(one: OurWebhook, seen: str, while_open: str, without_conditions: str) -> Iterator[CheckOutcome]:
    """Closed, and only with matchConditions: these webhooks are not meant to be called for every object of their kinds."""
    if not one.closed:
        yield warn(seen, while_open, _REINSTALL)
    elif not one.webhook.match_conditions:
        yield fail(f"{seen}, without matchConditions", without_conditions, _REINSTALL)


def exclusions(facts: Facts) -> list[CheckOutcome]:
    """Our own namespace and kube-system never depend on gpuwarden."""
    return verdicts(
        _included(facts), lambda: f"{facts.namespace} and {KUBE_SYSTEM} are excluded from every webhook for pods"
    )


def _included(facts: Facts) -> Iterator[CheckOutcome]:
    why = {
        facts.namespace: "gpuwarden's own pods depend on gpuwarden: once all replicas are down, none may start again",
        KUBE_SYSTEM: "the cluster's own pods depend on gpuwarden: while it is down, the cluster may not recover",
    }
    webhooks = our_webhooks(facts)
    for namespace, means in why.items():
        labels = _labels(facts, namespace)
        asked = [one for one in webhooks if one.webhook.covers("CREATE", "pods") and one.webhook.selects(labels)]
        for one in asked:
            seen = f"the namespaceSelector of {one} selects {namespace} (failurePolicy {one.webhook.failure_policy})"
            fix = f"exclude {namespace} by {NAME_LABEL} NotIn, as the chart does; {_REINSTALL}"
            yield (fail if one.closed else warn)(seen, means, fix)


def _labels(facts: Facts, namespace: str) -> Mapping[str, str]:
    """The labels of a namespace; those that the API server would set where it isn't there or can't be read."""
    if isinstance(facts.namespaces, Unread):
        return {NAME_LABEL: namespace}
    return facts.namespaces.labels.get(namespace, {NAME_LABEL: namespace})
