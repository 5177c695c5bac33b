"""Check of the guard: whether ``visibleDevices: deny`` also holds while no replica answers, without affecting other pods."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...engine.namespace_labels import ENFORCE, UNLABELLED, NamespaceLabels
from ...engine.policy import ANY, FindingAction, built_in
from ..certificates.tokens import VALIDATE
from ..configuration import Configuration, Mode
from .facts import KUBE_SYSTEM, NAME_LABEL, Facts, Unread
from .our_webhooks import UPDATES, OurWebhook, our_webhooks
from .results import CheckOutcome, Findings, fail, listed, warn

_DENY = FindingAction.DENY
_BUILT_IN = NamespaceLabels(enforce=ANY)
_UPGRADE = "run helm upgrade with the policies in the chart's values (config)"


class _Group(NamedTuple):
    """Namespaces whose policy denies.

    Attributes:
        name: the name of the group in messages.
        labels: the labels that all of them have.
        policy: the value of their label; ``any`` for every built-in policy, and empty if they have no label.
        one: whether the group is a single namespace of the cluster. Otherwise it is every namespace with the policy.
    """

    name: str
    labels: Mapping[str, str]
    policy: str = ""
    one: bool = False


def _names(groups: list[_Group]) -> str:
    """The groups' names, without single namespaces whose policy is already named."""
    policies = {group.policy for group in groups if not group.one}
    return listed(group.name for group in groups if not (group.one and group.policy in policies))


def guard(facts: Facts) -> Findings:
    """Pods that reach GPUs without a request are denied if the configuration denies them, also while no replica answers."""
    configuration = facts.usable_configuration()
    webhooks = [one for one in our_webhooks(facts) if _is_asked(one)]
    if configuration.mode is Mode.AUDIT:
        return "mode audit: nothing is denied"  # check failure-policies reports webhooks that are not open
    denying = _denying(facts, configuration)
    yield from _open(denying, webhooks)
    yield from _closed(facts, configuration, denying, webhooks)
    if not denying:
        return "no policy denies pods that reach GPUs without requesting them"
    return f"denied, also while no replica answers, in {_names(denying)}"


def _is_asked(one: OurWebhook) -> bool:
    """Whether it is called when pods that request no GPU are created."""
    every = one.path == VALIDATE and one.name != UPDATES and not one.webhook.match_conditions
    return one.webhook.covers("CREATE", "pods") and (one.is_guard or every)


def _denying(facts: Facts, found: Configuration) -> list[_Group]:
    """The namespaces whose policy denies: a group for each policy, and the namespaces of the cluster with other labels."""
    policies = found.policies
    groups = [
        _Group(f'namespaces with policy "{name}"', {ENFORCE: name}, name)
        for name, policy in sorted(policies.configured.items())
        if policy.guard is _DENY
    ]
    if policies.select(UNLABELLED).enforce.guard is _DENY:
        groups.append(_Group("namespaces without a label", {}))
    if policies.select(_BUILT_IN).enforce.guard is _DENY:
        groups.append(_Group("namespaces with a built-in policy", {ENFORCE: ANY}, ANY))
    labels = {} if isinstance(facts.namespaces, Unread) else facts.namespaces.labels
    for name, has in sorted(labels.items()):
        left_out = {facts.namespace, KUBE_SYSTEM, *found.exemptions.namespaces}
        if name in left_out or policies.select(NamespaceLabels.of(has)).enforce.guard is not _DENY:
            continue
        value = has.get(ENFORCE, "")
        groups.append(_Group(f"namespace {name}", has, ANY if built_in(value) else value, one=True))
    return groups


def _open(denying: list[_Group], webhooks: list[OurWebhook]) -> Iterator[CheckOutcome]:
    unasked = [one for one in denying if not any(each.webhook.selects(one.labels) for each in webhooks)]
    if any(not one.one for one in unasked):  # a namespace that is left out by its name: check label-effects
        yield fail(
            f"visibleDevices is deny in {_names(unasked)}, and no webhook receives these pods",
            "privileged pods and others that reach GPUs without requesting them are created",
            "set webhooks.guard.enabled to true and run helm upgrade",
        )
    closed = [one for one in webhooks if one.closed]
    left = [
        one for one in denying if one not in unasked and not any(each.webhook.selects(one.labels) for each in closed)
    ]
    if left:
        guards = sorted({str(each) for one in left for each in webhooks if each.webhook.selects(one.labels)})
        yield warn(
            f"visibleDevices is deny in {_names(left)}, and failurePolicy of {', '.join(guards)} is Ignore",
            "while no replica answers, or replicas shed load, privileged pods and others that reach GPUs are created there",
            f'set webhooks.guard.failurePolicy to "" and remove these namespaces from webhooks.guard.openNamespaces; {_UPGRADE}',
        )


def _closed(
    facts: Facts, found: Configuration, denying: list[_Group], webhooks: list[OurWebhook]
) -> Iterator[CheckOutcome]:
    """Warn of pods that depend on gpuwarden and need not: of exempt namespaces, and of all if nothing is denied."""
    guards = [one for one in webhooks if one.closed and one.is_guard]
    names = ", ".join(map(str, guards))
    if guards and not denying:
        yield warn(
            f"failurePolicy of {names} is Fail, and no policy denies pods that reach GPUs without requesting them",
            "while no replica answers, pods are denied that gpuwarden would only warn about, including the cluster's own",
            f'set webhooks.guard.failurePolicy to ""; {_UPGRADE}',
        )
    known = {} if isinstance(facts.namespaces, Unread) else facts.namespaces.labels
    exempt = [
        name
        for name in sorted(found.exemptions.namespaces - {facts.namespace, KUBE_SYSTEM})
        if any(one.webhook.selects({NAME_LABEL: name, **known.get(name, {})}) for one in guards)
    ]
    if exempt and denying:
        yield warn(
            f"{names}, whose failurePolicy is Fail, receives pods of exempt namespaces: {listed(exempt)}",
            "while no replica answers, privileged pods and pods with a hostPath are denied there",
            f"set config.exemptions.namespaces in the chart's values, not in the ConfigMap alone; {_UPGRADE}",
        )
