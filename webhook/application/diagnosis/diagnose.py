"""The diagnosis: every check, in the order in which an engineer would look, and what each is about."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..certificates.tokens import masked
from . import (
    api_server,
    autoscaler,
    callers,
    dcgm_exporter,
    device_claims,
    device_plugin_config,
    failure_policies,
    guard,
    in_tree,
    karpenter,
    kueue,
    mig,
    namespace_restrictions,
    node_selectors,
    nodes,
    other_webhooks,
    policies,
    probe,
    quotas_and_limit_ranges,
    rbac,
    registration,
    replicas,
    runtime_classes,
    serving,
    shared_devices,
    waiting_pods,
)
from .facts import KUBE_SYSTEM, Facts, Unread, UnreadError
from .results import CheckOutcome, CheckStatus, Findings, skipped, unknown


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its id, the fact that holds where all is well, and how it evaluates the facts.

    ``in_tree``: whether it is made if the API server decides alone, without webhooks and replicas.
    """

    id: str
    about: str
    evaluate: Callable[[Facts], Findings]
    in_tree: bool = True


_webhook_check = partial(Check, in_tree=False)

CHECKS = (
    Check("kubernetes", "the API server has all features that gpuwarden uses", api_server.version),
    _webhook_check("webhooks", "the API server calls gpuwarden for pods", registration.present),
    _webhook_check(
        "rules", "new pods are sent to gpuwarden, and objects that it must not change are not", registration.rules
    ),
    _webhook_check(
        "calls",
        "calls have short timeouts and no side effects, and are repeated when another webhook changes the pod",
        registration.calls,
    ),
    _webhook_check(
        "failure-policies",
        "the failure policies deny what they should while no replica answers, and nothing else",
        failure_policies.failure_policies,
    ),
    _webhook_check(
        "exclusions",
        f"pods of gpuwarden and of {KUBE_SYSTEM} can be created while gpuwarden is down",
        failure_policies.exclusions,
    ),
    _webhook_check(
        "guard", "pods that reach GPUs without requesting them are denied whether gpuwarden answers or not", guard.guard
    ),
    _webhook_check(
        "match-conditions",
        "the webhooks are called for pods that may have GPUs, and not for pods that request only CPU, memory and the like",
        registration.match_conditions,
    ),
    Check("in-tree", "admission policies match the configuration", in_tree.same),
    _webhook_check("other-webhooks", "no other webhook changes pods after gpuwarden", other_webhooks.others),
    _webhook_check("endpoints", "the API server's calls reach a replica", serving.service),
    _webhook_check("ca-bundles", "every webhook has a valid CA in its caBundle", serving.bundles),
    _webhook_check(
        "trust", "the API server trusts the serving certificate for the DNS name that it calls", serving.trust
    ),
    _webhook_check("expiry", "certificates are renewed in time", serving.expiry),
    _webhook_check("path-tokens", "the replicas admit the paths that the webhooks call", callers.tokens),
    _webhook_check(
        "callers", "clients other than the API server get no answer, even if they can reach the port", callers.strangers
    ),
    _webhook_check("replicas", "a replica answers while another one restarts", replicas.deployed),
    _webhook_check("spread", "gpuwarden keeps answering when one node fails", replicas.spread),
    _webhook_check("disruption-budget", "gpuwarden keeps answering while nodes are drained", replicas.budget),
    _webhook_check("rights", "gpuwarden's ServiceAccount has the permissions that it needs", rbac.granted),
    Check("configuration", "the configuration is valid", policies.configuration),
    Check("labels", "every policy label names a policy, and none is mistyped", policies.labels),
    Check("label-effects", "every policy label has an effect", policies.effects),
    Check("nodes", "nodes offer what rewritten pods request", nodes.offered),
    Check("runtime-classes", "the runtime classes that policies add to pods exist", runtime_classes.there),
    _webhook_check("node-selectors", "gpuwarden sees every node with GPUs", node_selectors.selected),
    Check("rename-by-default", "renameByDefault matches the nodes", device_plugin_config.renaming),
    Check("mig-strategy", "migStrategy matches the nodes", mig.strategy),
    Check(
        "device-plugin-config",
        "the device plugin's configuration is valid and matches gpuwarden's",
        device_plugin_config.plugin_files,
    ),
    Check("shared-devices", "whole GPUs from DeviceClasses are used by one pod only", shared_devices.shared_devices),
    Check(
        "device-classes",
        "DeviceClasses of GPUs and their resource names count as GPUs, and only one class or device plugin offers a name",
        device_claims.names,
    ),
    _webhook_check(
        "waiting-pods",
        "no waiting pod requests a resource that its policy denies and that became a GPU resource after the pod was created",
        waiting_pods.waiting_pods,
    ),
    Check("claim-templates", "the claim templates that policies use exist and are valid", device_claims.templates),
    Check("claim-quotas", "quotas on claims for GPUs have room for new pods", device_claims.quotas),
    Check("cluster-autoscaler", "Cluster Autoscaler counts nodes with GPUs as ready", autoscaler.cluster_autoscaler),
    Check("karpenter", "Karpenter adds nodes for rewritten pods", karpenter.karpenter),
    Check("kueue", "Kueue has quota for rewritten pods", kueue.kueue),
    Check("dcgm-exporter", "GPU metrics include the pods that gpuwarden rewrites", dcgm_exporter.exporters),
    Check("quotas", "ResourceQuotas on GPUs count rewritten pods", quotas_and_limit_ranges.quotas),
    Check(
        "limitranges",
        "LimitRanges admit rewritten pods, and add no GPU to other pods",
        quotas_and_limit_ranges.limit_ranges,
    ),
    Check(
        "namespace-restrictions",
        "namespace annotations permit what gpuwarden adds to pods",
        namespace_restrictions.restrictions,
    ),
    Check("probe", "a new pod is handled as its namespace's policy requires", probe.evaluate),
)


def diagnose(facts: Facts) -> list[CheckOutcome]:
    """Run every check on the facts; a check that lacks a fact is unknown, never an error."""
    return [_reported(check, outcome) for check in CHECKS for outcome in _outcomes(check, facts)]


def _reported(check: Check, outcome: CheckOutcome) -> CheckOutcome:
    """The outcome with the check's id, and without tokens: some sentences name paths, and the API server quotes URLs."""
    texts = masked(outcome.observed), masked(outcome.impact or check.about), masked(outcome.fix)
    return CheckOutcome(outcome.status, *texts, check.id)


def _outcomes(check: Check, facts: Facts) -> list[CheckOutcome]:
    if not check.in_tree and in_tree.decides_alone(facts):
        return [in_tree.not_of_webhooks()]
    findings = check.evaluate(facts)
    found = []
    try:
        while True:
            found.append(next(findings))
    except UnreadError as error:
        return [_unread(check, error.unread)]
    except StopIteration as end:
        return found or ([CheckOutcome(CheckStatus.OK, end.value)] if end.value else [])


def _unread(check: Check, unread: Unread) -> CheckOutcome:
    if unread.absent:
        return skipped(
            f"not checked: the API server has no {unread.absent}",
            "nothing to check, unless it is installed in another version",
        )
    impact = f"doctor can't tell whether {check.about}"
    fix = (
        f"grant the user who runs doctor the permission: {unread.right}"
        if unread.forbidden
        else "fix what the API server reports, and run doctor again"
    )
    if not unread.right:
        fix = "fix check configuration first, or name the file with --config"
    return unknown(unread.detail, impact, fix)
