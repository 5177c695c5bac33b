"""Checks of namespaces whose annotations restrict tolerations or nodes, against what gpuwarden adds to pods there.

The annotations act only where the API server runs the admission plugins PodTolerationRestriction and PodNodeSelector, which it
does not report; so nothing here is more than a warning.
"""

from collections.abc import Iterator, Mapping

import msgspec

from ...engine.node_constraints import Need
from ...engine.pods import Toleration
from ...engine.policy import Policy
from ...engine.resources import GPU
from ...engine.spelling import GPU_TOLERATION, spell
from ..configuration import Configuration
from .facts import Facts, known
from .policies import policy_of
from .results import CheckOutcome, Findings, listed, warn

# k8s.io/kubernetes plugin/pkg/admission/podtolerationrestriction and podnodeselector.
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
ANNOTATIONS = frozenset({TOLERATIONS, NODE_SELECTOR})


def restrictions(facts: Facts) -> Findings:
    """No namespace's annotation forbids what a rewritten pod has."""
    namespaces = known(facts.namespaces)
    configuration = facts.usable_configuration()
    for name, annotations in sorted(namespaces.restricting.items()):
        policy = policy_of(facts, name)
        if policy.forms:
            yield from _against(name, annotations, policy, configuration)
    return f"no annotation conflicts with a policy ({len(namespaces.restricting)} namespaces restrict tolerations or nodes)"


def _against(
    name: str, annotations: Mapping[str, str], policy: Policy, configuration: Configuration
) -> Iterator[CheckOutcome]:
    spelling = spell(policy.forms[0], configuration.plugin)
    if (text := annotations.get(TOLERATIONS)) is not None:
        added = [GPU_TOLERATION] if spelling.resource != GPU else []
        yield from _tolerations(name, text, [*added, *policy.additions.tolerations], policy)
    if (text := annotations.get(NODE_SELECTOR)) is not None:
        own = [Need(key, "In", (value,)) for key, value in policy.additions.node_selector]
        yield from _nodes(name, text, [*spelling.needs, *own], policy)


def _tolerations(name: str, text: str, added: list[Toleration], policy: Policy) -> Iterator[CheckOutcome]:
    try:
        permitted = msgspec.json.decode(text or "[]", type=list[Toleration])
    except msgspec.DecodeError:
        yield warn(
            f"namespace {name}: annotation {TOLERATIONS} is not a list of tolerations in JSON",
            "with PodTolerationRestriction, the API server denies every pod there",
            "fix or remove the annotation",
        )
        return
    # An empty list permits everything (pkg/util/tolerations VerifyAgainstWhitelist).
    denied = [one for one in added if permitted and not any(_covers(other, one) for other in permitted)]
    if denied:
        written = listed(msgspec.json.encode(one).decode() for one in denied)
        yield warn(
            f'namespace {name}: annotation {TOLERATIONS} does not list {written}, which policy "{policy.name}" adds',
            "with PodTolerationRestriction, the API server denies every pod that gpuwarden rewrites there",
            f"add {written} to the annotation",
        )


def _covers(wider: Toleration, one: Toleration) -> bool:
    """As pkg/util/tolerations isSuperset in Kubernetes."""
    if wider == one:
        return True
    exists = wider.operator == "Exists"
    if (wider.key or None) != (one.key or None) and (wider.key or not exists):
        return False
    if wider.effect and wider.effect != one.effect:
        return False
    if wider.effect == "NoExecute" and wider.toleration_seconds is not None:
        seconds = one.toleration_seconds
        if seconds is None or seconds > wider.toleration_seconds:
            return False
    return exists or (one.operator == "Equal" and (wider.value or "") == (one.value or ""))


def _nodes(name: str, text: str, needs: list[Need], policy: Policy) -> Iterator[CheckOutcome]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    selected = {key.strip(): value.lstrip("=").strip() for key, _, value in pairs}
    for need in needs:
        if need.key in selected and not need.admits(selected[need.key]):
            yield warn(
                f"namespace {name}: annotation {NODE_SELECTOR} selects {need.key}={selected[need.key]}, and policy "
                f'"{policy.name}" needs {need}',
                "with PodNodeSelector, the API server denies every pod that gpuwarden rewrites there",
                f"remove {need.key} from the annotation, or label the namespace with another policy",
            )
