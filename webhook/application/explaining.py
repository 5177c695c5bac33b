"""Explanations of forms, policies and rules by their names, under one configuration."""

from collections.abc import Iterator, Mapping

import msgspec

from ..engine.form_guide import GUIDES, PLATFORM_TRAPS, FormGuide, FormKind, guide_to
from ..engine.forms import Form, parse
from ..engine.mig_memory import MEASURED, memory_range, without_suffix
from ..engine.mig_profiles import DOCUMENTED, SUFFIXES, read_profile
from ..engine.policy import EXAMPLES, Mismatch, Policy, Prefer, alike
from ..engine.rules.catalog import BY_ID
from ..engine.rules.gpu_memory import ANNOTATION
from ..engine.spelling import ambiguous, spell
from .configuration import Configuration
from .rule_texts import RULE_TEXTS

_KINDS = {kind.value: kind for kind in FormKind}


class ExplainedCriterion(msgspec.Struct, frozen=True):
    """One criterion by which forms are compared."""

    criterion: str
    value: str
    detail: str


class SliceMemory(msgspec.Struct, frozen=True):
    """The measured memory of a form's MIG profile on GPU models, in MiB."""

    gpu: str
    lowest: int
    highest: int
    source: str


class FormExplanation(msgspec.Struct, frozen=True, rename="camel"):
    """A form, or a kind of form (``mig``), which has no representation of its own.

    Attributes:
        resource: what a container requests.
        node_labels: what the pod requires of nodes, as node selectors or node affinity.
        unavailable: why the form cannot be used under the configuration.
    """

    name: str
    title: str
    description: str
    criteria: tuple[ExplainedCriterion, ...]
    suits: tuple[str, ...]
    traps: tuple[str, ...]
    sources: tuple[str, ...]
    resource: str | None = None
    node_labels: tuple[str, ...] = ()
    unavailable: str | None = None
    memory: tuple[SliceMemory, ...] = ()


class PolicyExplanation(msgspec.Struct, frozen=True, rename="camel"):
    """A policy.

    Attributes:
        permits: the forms and claims that it lists, in order, or ``any`` or ``none``.
        settings: its limits and additions, as the configuration names them.
        forms: the explanation of each form that it lists.
    """

    name: str
    description: str
    permits: tuple[str, ...]
    settings: Mapping[str, str]
    forms: tuple[FormExplanation, ...]


class RuleExplanation(msgspec.Struct, frozen=True):
    """A rule, or another id in reports. ``effect`` is what a finding does under enforce."""

    id: str
    title: str
    effect: str
    help: str
    source: str


Explanation = FormExplanation | PolicyExplanation | RuleExplanation


class UnknownNameError(Exception):
    """Nothing has the name; the message names the nearest."""


def explained(name: str, configuration: Configuration) -> Explanation:
    """Return the explanation of a name.

    Args:
        name: a form (``mig-1g.5gb``), a kind of form (``mig``), a policy of the configuration, ``any``, ``none``, or the id of a
            rule. A policy of the configuration takes precedence over a rule of the same name.
        configuration: decides how forms are represented in a pod, and which policies exist.

    Raises:
        UnknownNameError: nothing has this name.
    """
    if form := parse(name):
        return _form(form, configuration)
    if policy := configuration.policies.resolve(name):
        return _policy(policy, configuration)
    if kind := _KINDS.get(name):
        return _of(name, GUIDES[kind])
    if name in RULE_TEXTS:
        return _rule(name)
    known = [*configuration.policies.configured, *EXAMPLES, *_KINDS, *RULE_TEXTS]
    close = alike(name, known)
    fix = f'did you mean "{close}"?' if close else "use a form such as mps, a policy of the configuration, or a rule id"
    raise UnknownNameError(f'"{name}" is not a form, a policy or a rule; {fix}')


def _of(name: str, guide: FormGuide) -> FormExplanation:
    criteria = tuple(ExplainedCriterion(title, each.value, each.detail) for title, each in guide.criteria)
    return FormExplanation(name, guide.title, guide.description, criteria, guide.suits, guide.traps, guide.sources)


def _form(form: Form, configuration: Configuration) -> FormExplanation:
    guide = _of(str(form), guide_to(form))
    plugin = configuration.plugin
    traps = (*guide.traps, *PLATFORM_TRAPS[form.platform], *_engines(form), *_undocumented(form), *_unmeasured(form))
    guide = msgspec.structs.replace(guide, traps=traps, memory=_memory(form, plugin.products))
    if why := ambiguous(form, plugin):
        return msgspec.structs.replace(guide, unavailable=why)
    spelling = spell(form, plugin)
    count = "1" if form.shared else "N"
    return msgspec.structs.replace(
        guide, resource=f"{spelling.resource}: {count}", node_labels=tuple(map(str, spelling.needs))
    )


def _engines(form: Form) -> Iterator[str]:
    profile = read_profile(form.partition) if form.partition else None
    if profile and (engines := SUFFIXES.get(profile.suffix)):
        yield f"{form.partition}: the same slice as {without_suffix(form.partition or '')}, {engines}"


def _undocumented(form: Form) -> Iterator[str]:
    if form.partition and form.partition not in DOCUMENTED:
        yield (
            f"{form.partition} is not among the profiles that NVIDIA documents: a pod that requests it waits until a node "
            "offers it. Check the name with nvidia-smi mig -lgip."
        )


def _unmeasured(form: Form) -> Iterator[str]:
    if form.partition and memory_range(without_suffix(form.partition)) is None:
        yield f"How much memory {form.partition} has is not measured, so prefer: memory selects it for no pod."


def _memory(form: Form, models: tuple[str, ...]) -> tuple[SliceMemory, ...]:
    """Return the measured memory of a form's slices, on the models of the configuration if it lists any."""
    profile = without_suffix(form.partition or "")
    return tuple(
        SliceMemory(each.gpu, each.lowest, each.highest, each.source)
        for each in MEASURED
        if profile in each.profiles and (not models or any(map(each.is_of, models)))
    )


def _policy(policy: Policy, configuration: Configuration) -> PolicyExplanation:
    if policy.permits_any:
        description = (
            "Every form is permitted, and nothing is rewritten. Rules that are not about the policy still apply."
        )
    elif not policy.permitted:
        description = "No GPU may be requested."
    else:
        first, has_choice = policy.permitted[0], len(policy.permitted) > 1 or policy.prefer is Prefer.MEMORY
        description = (
            f"A plain request becomes {first}{_PREFERS[policy.prefer] if has_choice else ''}. "
            f"{_MISMATCHES[policy.mismatch].format(first=first)}"
        )
    permits = tuple(map(str, policy.permitted)) or (("any",) if policy.permits_any else ("none",))
    forms = tuple(_form(form, configuration) for form in policy.forms)
    return PolicyExplanation(policy.name, description, permits, dict(_settings(policy)), forms)


_PREFERS = {
    Prefer.FIRST: ", or, if the nodes that the pod selects can't have that, the next listed form that they can have",
    Prefer.OFFERED: ", or, if the nodes that the pod selects don't offer that, the first listed form that they offer",
    Prefer.MEMORY: f". With the pod's annotation {ANNOTATION}, it becomes the first listed form with as much memory",
}
_MISMATCHES = {
    Mismatch.REJECT: "A request for another form that is not listed is denied.",
    Mismatch.REWRITE: "A request for another form that is not listed becomes {first}.",
}


def _settings(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield the settings that have an effect, by their names in the configuration file."""
    if policy.permitted:
        yield "mismatch", policy.mismatch
        yield "prefer", policy.prefer
    for name, limit in (("maxPerContainer", policy.max_per_container), ("maxPerPod", policy.max_per_pod)):
        if limit is not None:
            yield name, str(limit)
    yield "visibleDevices", policy.guard
    yield "notOffered", policy.fleet_response
    if policy.admin_access:
        yield "adminAccess", "true"
    own = policy.additions
    if own.runtime_class_name:
        yield "runtimeClassName", own.runtime_class_name
    for section, added in (("nodeSelector", own.node_selector), ("env", own.env)):
        yield from ((f"{section}[{key}]", value) for key, value in added)
    for index, toleration in enumerate(own.tolerations):
        written = ", ".join(f"{key}: {value}" for key, value in msgspec.to_builtins(toleration).items())
        yield f"tolerations[{index}]", written


def _rule(name: str) -> RuleExplanation:
    text, rule = RULE_TEXTS[name], BY_ID.get(name)
    if rule and (rule.access or rule.fleet):
        setting = "visibleDevices" if rule.access else "notOffered"
        effect = f"ignore, warn or deny, as the policy's {setting} says; by default warn"
    else:
        effect = text.severity or "none, it appears only in reports"
    page = "guard.md" if rule and rule.access else "nodes.md" if rule and rule.fleet else "policies.md"
    return RuleExplanation(text.id, text.title, effect, text.help, f"docs/reference/{page}")
