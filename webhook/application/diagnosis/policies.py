"""Checks of the configuration file and of the labels of namespaces."""

from collections.abc import Iterator

from ...engine.forms import Form
from ...engine.label_problems import of_namespace
from ...engine.namespace_labels import ENFORCE, UNLABELLED, NamespaceLabels
from ...engine.policy import Policy
from ..configuration import Configuration
from ..deciders import Decider, Installed
from ..kind_lookup import KINDS
from ..workload_kinds import WorkloadKind
from . import in_tree
from .facts import BadConfiguration, Facts, NamespaceFacts, known
from .our_webhooks import OurWebhook, readable_webhooks
from .results import CheckOutcome, CheckStatus, Findings, fail, listed, warn

_SHOWN = 20  # namespaces with a label that can't be read; the rest is counted


def configuration(facts: Facts) -> Findings:
    """The configuration file can be read."""
    found = known(facts.configuration)
    if found is None:
        observed = f"there is no ConfigMap {facts.namespace}/{facts.name} with config.yaml"
        yield fail(observed, "gpuwarden's pods need it, and can't start", "reinstall, or name the file with --config")
        return ""
    if isinstance(found, BadConfiguration):
        impact = "running replicas keep their last valid configuration; a replica that starts now fails"
        yield fail("; ".join(found.problems), impact, "fix the file (in the chart: config)")
        return ""
    names = listed(found.policies.configured) or "none"
    plugin = f"renameByDefault {str(found.plugin.rename_by_default).lower()}, migStrategy {found.plugin.mig_strategy}"
    kinds = ", ".join(_of_kind(kind) for kind in found.kinds.values())
    return f"mode {found.mode}, {plugin}, configured policies: {names}{f'; workload kinds: {kinds}' if kinds else ''}"


def _of_kind(kind: WorkloadKind) -> str:
    replaced = " (instead of gpuwarden's own)" if (kind.group, kind.kind) in KINDS else ""
    return f"{kind.kind}.{kind.group}{replaced}"


def labels(facts: Facts) -> Findings:
    """Every policy label of a namespace names a policy, and none is mistyped."""
    namespaces = known(facts.namespaces)
    problems = list(_mislabelled(facts.usable_configuration(), namespaces))
    yield from problems[:_SHOWN]
    if left := problems[_SHOWN:]:
        outcome = fail if any(one.status is CheckStatus.FAIL for one in left) else warn
        observed = f"{len(left)} more labels name no policy or have no effect"
        yield outcome(observed, "as above", "run gpuwarden audit: it lists every such label")
    return (
        f"{len(namespaces.ours())} of {namespaces.count} namespaces have policy labels, and every label names a policy"
    )


def _mislabelled(found: Configuration, namespaces: NamespaceFacts) -> Iterator[CheckOutcome]:
    """Report the labels of namespaces that are wrong: those that can't be read first."""
    problems = [
        (name, problem)
        for name, labels in sorted(namespaces.labels.items())
        for problem in of_namespace(found.policies, labels, namespaces.annotations.get(name))
    ]
    for name, problem in sorted(problems, key=lambda one: one[1].ignored):
        observed = f"namespace {name}: {problem.path}: {problem.message}"
        key = problem.path.partition("[")[2].removesuffix("]")
        if problem.ignored:
            verb = "annotate" if problem.path.startswith("metadata.annotations") else "label"
            fix = f"kubectl {verb} namespace {name} {key}-, and set the label that you meant"
            yield warn(observed, "it has no effect on the namespace's policy", fix)
            continue
        fix = f"kubectl label --overwrite namespace {name} {key}=POLICY"
        if key == ENFORCE:
            yield fail(observed, "every pod there that requests a GPU is denied", fix)
        else:
            yield warn(observed, "the label counts as any: gpuwarden reports nothing there", fix)


def effects(facts: Facts) -> Findings:
    """Every policy label has an effect."""
    namespaces, configuration = known(facts.namespaces), facts.usable_configuration()
    webhooks = readable_webhooks(facts)
    yield from _without_effect(configuration, namespaces, webhooks)
    if not webhooks:
        yield from _undecided(configuration, namespaces, in_tree.installed(facts))
    return f"each of the {len(namespaces.ours())} labelled namespaces is checked"


def _without_effect(
    found: Configuration, namespaces: NamespaceFacts, webhooks: list[OurWebhook]
) -> Iterator[CheckOutcome]:
    impact = "the label has no effect: no policy applies there"
    asked = [one for one in webhooks if one.webhook.covers("CREATE", "pods")]
    for name in sorted(namespaces.ours()):
        if name in found.exemptions.namespaces:
            fix = "remove the label, or remove the namespace from exemptions.namespaces in the configuration"
            yield warn(f"namespace {name} is labelled, but exempt", impact, fix)
        elif asked and not any(one.webhook.selects(namespaces.labels[name]) for one in asked):
            fix = "remove the label, or remove the namespace from webhooks.excludedNamespaces in the chart's values"
            yield warn(f"namespace {name} is labelled, but the webhooks' namespaceSelector excludes it", impact, fix)


def _undecided(found: Configuration, namespaces: NamespaceFacts, there: Installed) -> Iterator[CheckOutcome]:
    """If the API server decides alone, namespaces with a policy that it does not have."""
    labelled = {name: ours for name, ours in namespaces.ours().items() if name not in found.exemptions.namespaces}
    for line in there.policies(found, labelled) if there.objects else ():
        if line.deciders.common_case is Decider.NOBODY and line.namespaces:
            yield warn(
                f"namespaces {listed(line.namespaces)}: there are no webhooks, and no admission policy for {line.policy}",
                "pods with GPUs are created there as they are",
                f"compile the policies again with --policy {line.policy} and apply them (docs/how-to/in-tree.md), or install the "
                "webhooks too (inTree.only=false)",
            )


def enforced(facts: Facts) -> dict[str, tuple[Policy, list[str]]]:
    """The enforce policies in use, by value, with the namespaces that carry each; one that can't be read permits no form.

    The policy of namespaces without a label is among them when the configuration sets one; it names no namespaces.
    """
    found, namespaces = facts.usable_configuration(), known(facts.namespaces)
    used: dict[str, tuple[Policy, list[str]]] = {}
    carriers = {name: ours for name, ours in namespaces.ours().items() if name not in found.exemptions.namespaces}
    default = found.policies.select(UNLABELLED).enforce
    if not default.permits_any:
        used[default.name] = (default, [])
    for name, ours in sorted(carriers.items()):
        if ENFORCE in namespaces.labels[name]:
            policy = found.policies.select(ours).enforce
            used.setdefault(policy.name, (policy, []))[1].append(name)
    return used


def forms_in_use(facts: Facts) -> set[Form]:
    """Every form that an enforce policy in use permits by name."""
    return {form for policy, _ in enforced(facts).values() for form in policy.forms}


def policy_of(facts: Facts, name: str) -> Policy:
    """The enforce policy of a namespace; ``any`` if it is exempt."""
    found, namespaces = facts.usable_configuration(), known(facts.namespaces)
    if name in found.exemptions.namespaces:
        return found.policies.select(NamespaceLabels(enforce="any")).enforce
    return found.policies.select(NamespaceLabels.of(namespaces.labels.get(name))).enforce
