"""Checks of our webhook configurations: what is sent to gpuwarden, and how."""

import re
from collections.abc import Callable, Iterator

from ...engine.other_gpus import ANY_SUFFIX, NEVER_SENT, GpuNames, fits
from ..certificates.tokens import ADVISE, MUTATE, VALIDATE, VALIDATE_CLAIM, VALIDATE_NAMESPACE
from ..claims import GROUP, PLURALS
from ..configuration import Configuration
from ..kind_lookup import ADVISED_OPERATORS
from ..workload_kinds import ADVISED
from .facts import Facts, known
from .our_webhooks import (
    MUTATING,
    OPERATORS,
    RESERVATIONS,
    RESTORE,
    UPDATES,
    VALIDATING,
    OurWebhook,
    configurations,
    name_of,
    our_webhooks,
)
from .results import CheckOutcome, Findings, fail, listed, warn

# For each path: the kind of configuration that it belongs to.
_EXPECTED = {MUTATE: MUTATING, VALIDATE: VALIDATING}
# For each path that is not for pods: what should be sent to it, as API group and resource, and the impact if it is not.
_REPORTING: dict[str, tuple[list[tuple[str, str]], str]] = {
    ADVISE: (
        [(kind.group, kind.plural) for kind in ADVISED],
        "kubectl apply of a workload does not warn that its pods will be denied",
    ),
    VALIDATE_NAMESPACE: (
        [("", "namespaces"), ("", "namespaces/status"), ("", "namespaces/finalize")],
        "a label that names no policy is accepted, and users get no warning about what a changed label does to workloads",
    ),
    VALIDATE_CLAIM: (
        [(GROUP, plural) for plural in PLURALS.values()],
        "a claim (DRA) of a waiting pod can be replaced by one for GPUs that the policy of its namespace denies",
    ),
}
_RESERVED = [(GROUP, "resourceclaims/status")]
_UNLIMITED = "the claims (DRA) of a waiting pod can be replaced by claims that together exceed the limits of its policy"
_PATHS = {*_EXPECTED, *_REPORTING}
_REINSTALL = "reinstall (helm upgrade, or kubectl apply -f deploy/gpuwarden.yaml)"
_SLOW = 10  # seconds; several webhooks that take so long exceed the 34 s that a request may take
_NEVER_SENT = "pods that request them are never sent to gpuwarden, so nothing denies them"
# As gpuwarden.mayBeGpu of the chart (templates/_conditions.tpl) writes them.
_ANY_NAME = "name.contains('/')"
_LEFT_OUT = re.compile(r"(!name\.startsWith\(|name != )'([^']+)'")
_NAMED = re.compile(r"((?<!!)name\.startsWith\(|name == )'([^']+)'")
# With a timeout of a second or less, any hiccup counts as a failure; the chart has 2 and 3.
_HASTY = 1


def present(facts: Facts) -> Findings:
    """Both configurations exist, with the expected webhooks."""
    for kind, configuration in configurations(facts):
        if known(configuration) is None:
            yield fail(
                f"there is no {kind} {name_of(facts, kind)}",
                "the API server does not call gpuwarden: no pod is rewritten (mutating) or denied (validating)",
                f"{_REINSTALL}; if the installation has another name, set --name",
            )
    webhooks = our_webhooks(facts)
    if waiting := [str(one) for one in webhooks if one.awaits_path]:
        yield fail(
            f"no path is written yet for {listed(waiting)}",
            "the API server's calls fail: GPU pods are denied, or admitted unchecked if the failurePolicy is Ignore",
            f"a replica writes the paths once it is ready: see check replicas, and kubectl -n {facts.namespace} get pods",
        )
    yield from _uncalled(facts, webhooks)
    for one in webhooks:
        if one.path not in _PATHS or _EXPECTED.get(one.path, VALIDATING) != one.kind:
            yield fail(
                f"webhook {one} of the {one.kind} calls {one.webhook.client_config.path or 'no path'}",
                "gpuwarden does not serve that path to this kind of webhook: the calls fail",
                _REINSTALL,
            )
    return listed(f"{one} {one.webhook.client_config.path}" for one in webhooks)


def _uncalled(facts: Facts, webhooks: list[OurWebhook]) -> Iterator[CheckOutcome]:
    """Paths that no webhook of the existing configurations calls."""
    there = {kind for kind, configuration in configurations(facts) if configuration is not None}
    whole = {
        (one.kind, one.path)
        for one in webhooks
        if not one.is_guard and one.name not in {UPDATES, RESTORE, OPERATORS, RESERVATIONS}
    }
    for path, kind in _EXPECTED.items():
        if kind in there and (kind, path) not in whole:
            yield fail(
                f"no webhook of {kind} {name_of(facts, kind)} calls {path}",
                "no pod is rewritten" if path == MUTATE else "no pod is denied",
                _REINSTALL,
            )
    if VALIDATING not in there:
        return
    for path, (_, impact) in _REPORTING.items():
        if (VALIDATING, path) not in whole:
            yield warn(f"no webhook of {VALIDATING} {facts.name} calls {path}", impact, _REINSTALL)
    if _has_limits(facts) and not any(one.name == RESERVATIONS for one in webhooks):
        yield warn(
            f"{VALIDATING} {facts.name} has no webhook {RESERVATIONS}, and the configuration has policies with limits",
            _UNLIMITED,
            "set config.policies in the chart's values and run helm upgrade, so that the chart knows the limits too",
        )


def _has_limits(facts: Facts) -> bool:
    """Whether the configuration has policies with limits, as far as it is known."""
    return isinstance(facts.configuration, Configuration) and facts.configuration.policies.has_limits


def rules(facts: Facts) -> Findings:
    """CREATE of pods is sent to both, and UPDATE only to the webhook that restores rewritten pods."""
    webhooks = our_webhooks(facts)
    yield from _updates_not_evaluated(webhooks)
    for one in webhooks:
        yield from _wrong_rules(facts, one)
    return "CREATE of pods is sent to gpuwarden, and updates are not mutated"


def _wrong_rules(facts: Facts, one: OurWebhook) -> Iterator[CheckOutcome]:
    webhook = one.webhook
    if one.name == RESTORE:
        if not webhook.covers("UPDATE", "pods"):
            impact = "kubectl apply of a bare pod's manifest is denied once the pod has been rewritten"
            yield warn(f"the rules of {one} do not cover UPDATE of pods (v1)", impact, _REINSTALL)
    elif one.path in _EXPECTED and one.name != UPDATES and not webhook.covers("CREATE", "pods"):
        yield fail(
            f"the rules of {one} do not cover CREATE of pods (v1)",
            "new pods are neither rewritten nor denied",
            _REINSTALL,
        )
    if one.name == OPERATORS:
        yield from _operators_not_sent(facts, one)
    elif one.path in _REPORTING and (lacking := _not_covered(one)):
        impact = _UNLIMITED if one.name == RESERVATIONS else _REPORTING[one.path][1]
        yield warn(f"the rules of {one} do not cover {', '.join(lacking)}", impact, _REINSTALL)
    if one.kind == MUTATING and one.name != RESTORE and webhook.covers("UPDATE", "pods"):
        yield fail(
            f"the rules of {one} cover UPDATE of pods",
            "a pod's resources are immutable, so a mutated update fails: finalizers can't be removed, and deleted pods stay",
            _REINSTALL,
        )
    if webhook.object_selector and not webhook.object_selector.is_empty:
        yield warn(
            f"{one} has an objectSelector",
            "users can bypass gpuwarden with labels on their pods",
            f"remove the objectSelector; {_REINSTALL}",
        )


def _updates_not_evaluated(webhooks: list[OurWebhook]) -> Iterator[CheckOutcome]:
    """Updates of pods are sent too, as far as they may change a decision."""
    validating = [one.webhook for one in webhooks if one.path == VALIDATE]
    if validating and not any(webhook.covers("UPDATE", "pods") for webhook in validating):
        yield warn(
            "no webhook receives updates of pods",
            "a pod with scheduling gates can be moved to other GPUs after it was checked, and an annotation can add devices",
            _REINSTALL,
        )


def _operators_not_sent(facts: Facts, one: OurWebhook) -> Iterator[CheckOutcome]:
    """Operators' kinds that are missing in the rules, which the chart makes from its table and its values."""
    found = facts.configuration
    configured = found.kinds.values() if isinstance(found, Configuration) else ()
    kinds = [*ADVISED_OPERATORS, *(kind for kind in configured if not kind.cluster_scoped)]
    lacking = [
        f"{kind.plural}.{kind.group}"
        for kind in kinds
        if not one.webhook.covers("CREATE", kind.plural, kind.group, kind.versions[0])
    ]
    if lacking:
        yield warn(
            f"the rules of {one} do not cover {listed(dict.fromkeys(lacking))}",
            "kubectl apply of these objects does not warn that their pods will be denied",
            f"set config.workloadKinds in the chart's values to those of the configuration; {_REINSTALL}",
        )


def _not_covered(one: OurWebhook) -> list[str]:
    """The requests that a report-only webhook should receive but does not."""
    sent = _RESERVED if one.name == RESERVATIONS else _REPORTING[one.path][0]
    return [
        f"{operation} of {resource}"
        for group, resource in sent
        for operation in (("UPDATE",) if "/" in resource else ("CREATE", "UPDATE"))
        if not one.webhook.covers(operation, resource, group)
    ]


def calls(facts: Facts) -> Findings:
    """Side effects, versions, match policy, reinvocation and timeouts."""
    webhooks = our_webhooks(facts)
    for one in webhooks:
        for field, value, impact, outcome in _wrong_fields(one):
            yield outcome(f"{field} of {one} is {value}", impact, _REINSTALL)
        timeout = one.webhook.timeout_seconds
        if not _HASTY < timeout <= _SLOW:
            yield warn(
                f"timeoutSeconds of {one} is {timeout}",
                "a short delay of gpuwarden already counts as no answer"
                if timeout <= _HASTY
                else "while gpuwarden hangs, every pod waits that long, and the API server fails a request after 34 s",
                "set 2 to 5 s (chart: webhooks.*.timeoutSeconds)",
            )
    return listed(f"{one} {one.webhook.timeout_seconds} s" for one in webhooks) + ", no side effects"


def _wrong_fields(one: OurWebhook) -> Iterator[tuple[str, str, str, Callable[[str, str, str], CheckOutcome]]]:
    """The fields that differ from the chart's: name, value, impact and severity."""
    webhook = one.webhook
    if webhook.side_effects not in {"None", "NoneOnDryRun"}:
        impact = "the API server rejects every dry run of a pod (kubectl diff, --dry-run=server)"
        yield "sideEffects", webhook.side_effects, impact, fail
    versions = webhook.admission_review_versions or ()
    if "v1" not in versions:
        impact = "gpuwarden supports admission.k8s.io/v1 only, so the calls fail"
        yield "admissionReviewVersions", ", ".join(versions) or "empty", impact, fail
    if webhook.match_policy != "Equivalent":
        impact = "objects written through another version of their API are not checked"
        yield "matchPolicy", webhook.match_policy, impact, warn
    if one.kind == MUTATING and webhook.reinvocation_policy != "IfNeeded":
        impact = (
            "a GPU container that another webhook adds later is not rewritten, so its pod is denied (not-rewritten)"
        )
        yield "reinvocationPolicy", webhook.reinvocation_policy, impact, warn


def match_conditions(facts: Facts) -> Findings:
    """The webhooks are called for pods that may have GPUs, and not for those that request only CPU, memory and the like."""
    webhooks = our_webhooks(facts)
    yield from _unconditional(webhooks)
    yield from _left_out(facts, webhooks)
    return "every webhook has matchConditions"


def _unconditional(webhooks: list[OurWebhook]) -> Iterator[CheckOutcome]:
    for one in webhooks:
        if not one.webhook.match_conditions:
            impact = (
                "the API server also sends objects that do not concern gpuwarden, and denies them while no replica answers"
                if one.closed
                else "the API server also sends objects that do not concern gpuwarden, and waits for the answer"
            )
            yield warn(f"{one} has no matchConditions", impact, _REINSTALL)


def _left_out(facts: Facts, webhooks: list[OurWebhook]) -> Iterator[CheckOutcome]:
    """Resource names that count as GPUs in the configuration, but not in the webhooks' conditions (of the chart's values)."""
    if not isinstance(facts.configuration, Configuration):
        return
    for one in webhooks:
        if one.path not in {VALIDATE, MUTATE} or one.is_guard or not one.webhook.match_conditions:
            continue
        said = " ".join(condition.expression for condition in one.webhook.match_conditions)
        if _ANY_NAME not in said:
            yield warn(
                f"the matchConditions of {one} come from an older chart: they omit resource names that are GPUs only "
                "according to the configuration or a DeviceClass",
                _NEVER_SENT,
                _REINSTALL,
            )
        elif names := _unknown_to(said, facts.configuration.names):
            yield warn(
                f"the matchConditions of {one} leave out {listed(names)}, but resources in the configuration does not",
                _NEVER_SENT,
                "set config.resources in the chart's values and run helm upgrade, so that both say the same",
            )


def _unknown_to(said: str, names: GpuNames) -> list[str]:
    """Names that conditions leave out, but that may be GPUs according to the configuration."""
    left_out = _patterns(_LEFT_OUT, said)
    named = {*_patterns(_NAMED, said)}
    hidden = [
        gpu
        for gpu in names.gpus
        if gpu not in named
        and any(
            fits(each, gpu.removesuffix(ANY_SUFFIX)) or fits(gpu, each.removesuffix(ANY_SUFFIX)) for each in left_out
        )
    ]
    return [*hidden, *(each for each in left_out if each not in NEVER_SENT and each not in names.not_gpus)]


def _patterns(tests: re.Pattern[str], said: str) -> list[str]:
    """The names that conditions test for, each once; a prefix ends in ``*``."""
    found = ((name + ANY_SUFFIX if "startsWith" in test else name) for test, name in tests.findall(said))
    return list(dict.fromkeys(found))
