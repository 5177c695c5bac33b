"""The diagnosis: every check, in the order in which an engineer would look, and what each is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..certificates.tokens import masked
from . import (
    autoscaler,
    callers,
    device_claims,
    device_plugin_config,
    exporters,
    failure_policies,
    guard,
    in_tree,
    karpenter,
    kueue,
    limits,
    mig,
    namespace_restrictions,
    node_selectors,
    nodes,
    other_webhooks,
    policies,
    probe,
    registration,
    replicas,
    rights,
    runtime_classes,
    server,
    serving,
    shared_devices,
)
from .facts import KUBE_SYSTEM, Facts, Unread, UnreadError
from .results import CheckOutcome, Result, skipped, unknown


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its id, the fact that holds where all is well, and how it judges the facts.

    ``in_tree``: whether it is made where the API server decides alone, without webhooks and replicas.
    """

    id: str
    about: str
    judge: Callable[[Facts], list[CheckOutcome]]
    in_tree: bool = True


CHECKS = (
    Check("kubernetes", "the API server has all that gpuwarden uses", server.version),
    Check("webhooks", "the API server calls gpuwarden for pods", registration.present, in_tree=False),
    Check(
        "rules",
        "new pods are sent to gpuwarden, and nothing that it must not change",
        registration.rules,
        in_tree=False,
    ),
    Check(
        "calls",
        "calls are short, have no side effects, and are repeated when another webhook changes the pod",
        registration.calls,
        in_tree=False,
    ),
    Check(
        "failure-policies",
        "the failure policies deny what they should while no replica answers, and nothing else",
        failure_policies.failure_policies,
        in_tree=False,
    ),
    Check(
        "exclusions",
        f"pods of gpuwarden and of {KUBE_SYSTEM} can be created while gpuwarden is down",
        failure_policies.exclusions,
        in_tree=False,
    ),
    Check(
        "guard",
        "pods that reach GPUs without requesting them are denied whether gpuwarden answers or not",
        guard.guard,
        in_tree=False,
    ),
    Check(
        "match-conditions", "pods without GPUs never depend on gpuwarden", registration.match_conditions, in_tree=False
    ),
    Check("in-tree", "admission policies are those of the configuration", in_tree.same),
    Check("other-webhooks", "no other webhook changes pods after gpuwarden", other_webhooks.others, in_tree=False),
    Check("endpoints", "the API server's calls reach a replica", serving.service, in_tree=False),
    Check("ca-bundles", "every webhook has a valid CA in its caBundle", serving.bundles, in_tree=False),
    Check(
        "trust",
        "the API server trusts the serving certificate, for the name that it calls",
        serving.trust,
        in_tree=False,
    ),
    Check("expiry", "certificates are renewed in time", serving.expiry, in_tree=False),
    Check("path-tokens", "the replicas admit the paths that the webhooks call", callers.tokens, in_tree=False),
    Check("callers", "a stranger who only reaches the port gets no answer", callers.strangers, in_tree=False),
    Check("replicas", "a replica answers while another one restarts", replicas.deployed, in_tree=False),
    Check("spread", "gpuwarden keeps answering when one node fails", replicas.spread, in_tree=False),
    Check("disruption-budget", "gpuwarden keeps answering while nodes are drained", replicas.budget, in_tree=False),
    Check("rights", "gpuwarden's ServiceAccount has the permissions that it needs", rights.granted, in_tree=False),
    Check("configuration", "the configuration is valid", policies.configuration),
    Check("labels", "every policy label names a policy, and none is mistyped", policies.labels),
    Check("label-effects", "every policy label has an effect", policies.effects),
    Check("nodes", "nodes offer what rewritten pods request", nodes.offered),
    Check("runtime-classes", "the runtime classes that policies add to pods exist", runtime_classes.there),
    Check("node-selectors", "gpuwarden sees every node with GPUs", node_selectors.selected, in_tree=False),
    Check("rename-by-default", "renameByDefault matches the nodes", nodes.renaming),
    Check("mig-strategy", "migStrategy matches the nodes", mig.strategy),
    Check(
        "device-plugin-config",
        "the device plugin's configuration is valid and matches gpuwarden's",
        device_plugin_config.plugin_files,
    ),
    Check("shared-devices", "whole GPUs that DeviceClasses give belong to one pod", shared_devices.shared_devices),
    Check(
        "device-classes",
        "each resource name is offered by one DeviceClass or by a device plugin, and is judged as a GPU if the class is",
        device_claims.names,
    ),
    Check("claim-templates", "the templates that policies make claims of can be used", device_claims.templates),
    Check("claim-quotas", "quotas on claims of GPUs leave room for new pods", device_claims.quotas),
    Check("cluster-autoscaler", "Cluster Autoscaler counts nodes with GPUs as ready", autoscaler.cluster_autoscaler),
    Check("karpenter", "Karpenter adds nodes for rewritten pods", karpenter.karpenter),
    Check("kueue", "Kueue has quota for rewritten pods", kueue.kueue),
    Check("dcgm-exporter", "GPU metrics name the pods that gpuwarden rewrites", exporters.exporters),
    Check("quotas", "ResourceQuotas on GPUs count rewritten pods", limits.quotas),
    Check("limitranges", "LimitRanges admit rewritten pods, and add no GPU to other pods", limits.limit_ranges),
    Check(
        "namespace-restrictions",
        "namespace annotations permit what gpuwarden adds to pods",
        namespace_restrictions.restrictions,
    ),
    Check("probe", "a new pod is handled as its namespace's policy says", probe.judge),
)


def diagnose(facts: Facts) -> list[Result]:
    """Run every check on the facts; a check that lacks a fact is unknown, never an error."""
    return [result for check in CHECKS for result in _results(check, facts)]


def _results(check: Check, facts: Facts) -> Iterator[Result]:
    for one in _verdicts(check, facts):
        # Paths are named here and there, and the API server quotes the URLs of calls that failed.
        yield Result(check.id, one.status, masked(one.seen), masked(one.means or check.about), masked(one.fix))


def _verdicts(check: Check, facts: Facts) -> list[CheckOutcome]:
    if not check.in_tree and in_tree.decides_alone(facts):
        return [in_tree.not_of_webhooks()]
    try:
        return check.judge(facts)
    except UnreadError as error:
        return [_unread(check, error.unread)]


def _unread(check: Check, unread: Unread) -> CheckOutcome:
    if unread.absent:
        return skipped(
            f"not checked: the API server has no {unread.absent}",
            "nothing to check, unless it is installed in another version",
        )
    means = f"doctor can't tell whether {check.about}"
    fix = (
        f"grant the user who runs doctor the permission: {unread.right}"
        if unread.forbidden
        else "fix what the API server reports, and run doctor again"
    )
    if not unread.right:
        fix = "fix check configuration first, or name the file with --config"
    return unknown(unread.detail, means, fix)
