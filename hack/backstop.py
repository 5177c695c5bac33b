"""Writes the CEL of the chart's ValidatingAdmissionPolicy from the engine's own definitions and sentences.

The names of resources and labels, the values that mean sharing, and the sentences all come from the code that decides, so
that the policy and the code can't drift apart. `make manifests` writes it; with `--check` nothing is written, and it is an
error when the file is not what would be written. tests/deploy/backstop/ evaluates the CEL on pods, and compares it with the
engine.

What the chart's values decide (which policies share, who is exempt) is not here but in validatingadmissionpolicy.yaml.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from textwrap import indent

import msgspec

from hack import generated
from hack.cel import admits, admits_none, every_alternative, has_bounds, says_shared
from hack.tools import ROOT
from webhook.engine.cel import listed, quoted
from webhook.engine.findings import Finding, Rule
from webhook.engine.forms import Form, Platform, Sharing, parse
from webhook.engine.mig_profiles import PROFILE
from webhook.engine.pods import PodSpec
from webhook.engine.policy import ANY, ANY_POLICY, Policy
from webhook.engine.products import PRODUCT, read_product
from webhook.engine.requests import GpuContainer, read
from webhook.engine.resources import GPU, PREFIX, GpuResource, classify, resource_name
from webhook.engine.rules.container import MIXED_GPU_RESOURCES, mixed_gpu_resources
from webhook.engine.rules.sharing import SHARED_REQUEST_ABOVE_ONE, shared_request_above_one
from webhook.engine.schedulers import DEFAULT, HAMI_RESOURCES
from webhook.engine.spelling import (
    COMPUTE_SLICES,
    GKE_CLIENTS,
    GKE_KEYS,
    GKE_SHARING,
    GKE_STRATEGIES,
    GPU_SLICES,
    MIG_CAPABLE,
    MIG_CONFIG,
    MIG_STRATEGY,
    MPS_CAPABLE,
    SHARED_STRATEGIES,
    replicas_label,
    strategy_label,
)

TEMPLATE = ROOT / "deploy/chart/templates/_backstop.tpl"
HEAD = "{{/* Written by `make manifests` from the engine's rules; edit hack/backstop.py, not this. */}}\n"
# Placeholders for a count while a sentence is split, as it is written and read: no sentence contains them otherwise.
_WRITTEN, _COUNT = "987654321000m", "987654321"
# Other signs that nodes lack a form, so that a plain request gets another form of the policy.
_CAPABILITIES = (MPS_CAPABLE, MIG_CAPABLE, MIG_STRATEGY, MIG_CONFIG, replicas_label(None))
_NAMES = ("nvidia.com/mig-8g.8888gb", "nvidia.com/mig-9g.9999gb")
_SHARED, _STRATEGY, _REPLICAS = ".shared", ".sharing-strategy", ".replicas"
CONTAINERS = """((has(object.spec.initContainers) ? object.spec.initContainers : []) +
(has(object.spec.containers) ? object.spec.containers : []))"""
_REQUIRED = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"


def resource_pattern() -> str:
    """What the engine treats as a GPU resource, as a regular expression that Go, C++ and Python read in the same way."""
    pattern = f"^{re.escape(PREFIX)}(gpu|mig-{PROFILE})({re.escape(_SHARED)})?$"
    names = (
        resource_name(profile, shared=shared)
        for profile in (None, "1g.5gb", "1g.24gb.me.all")
        for shared in (False, True)
    )
    for name in names:
        gpu = classify(name)
        if not isinstance(gpu, GpuResource) or not re.fullmatch(pattern, name):
            raise SystemExit(f"{name}: the pattern and the engine disagree")
        if gpu.shared is not name.endswith(_SHARED) or (
            not gpu.shared and strategy_label(gpu.partition) != name + _STRATEGY
        ):
            raise SystemExit(f"{name}: shared resources and strategy labels are no longer named as the CEL reads them")
    return pattern


def shared_value_pattern() -> str:
    """The policy values that name a shared form, as a regular expression (for Helm too); client counts are not checked."""
    fixed = [value for value in ("exclusive", "shared", "time-slicing", "mps", "gke-exclusive") if _is_shared(value)]
    gke = f"gke(-mig-{PROFILE})?-(time-sharing|mps)-[0-9]+"
    pattern = f"^({'|'.join(fixed)}|mig-{PROFILE}-shared|{gke})$"
    for value in ("mig-1g.5gb", "mig-1g.5gb-shared", "gke-mig-1g.5gb", "gke-mig-1g.5gb-mps-4", "gke-time-sharing-48"):
        if (re.fullmatch(pattern, value) is not None) is not _is_shared(value):
            raise SystemExit(f"{value}: the pattern and the engine disagree")
    return pattern


def _is_shared(value: str) -> bool:
    form = parse(value)
    return form is not None and form.shared


def left_to_hami() -> str:
    """Whether a pod's resources leave it to HAMi's scheduler, as CEL (webhook/engine/schedulers.py)."""
    return f"""(!has(object.spec.schedulerName) || object.spec.schedulerName in ['', {quoted(DEFAULT)}]) &&
{CONTAINERS}.exists(c, has(c.resources) && has(c.resources.limits) && c.resources.limits.exists(n,
  n in {listed(sorted(HAMI_RESOURCES))} &&
  quantity(string(c.resources.limits[n])).isGreaterThan(quantity('0'))))"""


# --- sentences ------------------------------------------------------------------------------------------------------


def sentence(finding: Finding | None, values: Mapping[str, str]) -> str:
    """A rule's own sentence as CEL, with CEL in the place of each marker."""
    if finding is None:
        raise SystemExit("the rule finds nothing wrong any more with what breaks it")
    parts = re.split(f"({'|'.join(map(re.escape, values))})", finding.message)
    missing = [marker for marker in values if marker not in parts]
    if missing:
        raise SystemExit(f"{finding.rule.id}: the sentence lacks {missing}")
    return " + ".join(values.get(part, quoted(part)) for part in parts if part)


def _gpu_container(*names: str) -> GpuContainer:
    limits = dict.fromkeys(names, _WRITTEN)
    [found] = read(msgspec.convert({"containers": [{"name": "«container»", "resources": {"limits": limits}}]}, PodSpec))
    return found


def mixed_sentence() -> str:
    """The message about a container that requests two GPU resources: it names the first and the last of them."""
    first = "variables.mixed[0].gpus.filter(n, variables.mixed[0].gpus.all(m, n <= m))[0]"
    last = "variables.mixed[0].gpus.filter(n, variables.mixed[0].gpus.all(m, n >= m))[0]"
    finding = mixed_gpu_resources(_gpu_container(*_NAMES))
    return sentence(finding, {"«container»": "variables.mixed[0].name", _NAMES[0]: first, _NAMES[1]: last})


def shared_sentence() -> str:
    """The message about more than one slot, in the kubelet's words on the platform, and with the policy if there is one."""
    gpu_container = _gpu_container(_NAMES[0])
    found = "variables.aboveOne[0]"
    written = f"string({found}.limits[{found}.gpus[0]])"
    values = {"«container»": f"{found}.name", _NAMES[0]: f"{found}.gpus[0]", _WRITTEN: written}
    counted = {_COUNT: f"string(quantity({written}).asInteger())"}

    def of(form: Form, policy: Policy, more: Mapping[str, str]) -> str:
        of_platform = {} if form.platform is Platform.GKE else counted
        amount = gpu_container.amounts[0]
        finding, selecting = (
            shared_request_above_one(gpu_container, amount, form, policy, selects=selects) for selects in (False, True)
        )
        if finding is None or selecting is None or not selecting.message.startswith(finding.message):
            raise SystemExit(
                f"{SHARED_REQUEST_ABOVE_ONE.id}: what is said about the pod's labels is no longer at the end"
            )
        labels = quoted(selecting.message.removeprefix(finding.message))
        return f"{sentence(finding, {**values, **of_platform, **more})} + (variables.selects ? {labels} : '')"

    forms = {
        "variables.gkeTimeSharing": Form(sharing=Sharing.TIME_SLICING, platform=Platform.GKE),
        "variables.gke": Form(sharing=Sharing.MPS, platform=Platform.GKE),
        "": Form(sharing=Sharing.ANY),
    }
    named = Policy("«policy»", (Form(sharing=Sharing.ANY),))
    lines = []
    for condition, form in forms.items():
        of_named = of(form, named, {"«policy»": "variables.policy"})
        by_policy = f"variables.policy == {quoted(ANY)} ? {of(form, ANY_POLICY, {})} : {of_named}"
        lines.append(f"{condition} ? ({by_policy}) :" if condition else f"({by_policy})")
    return "\n".join(lines)


# --- the policy -----------------------------------------------------------------------------------------------------


def variables() -> Iterator[tuple[str, str, str]]:
    """Name, comment and CEL of each variable; each may use those before it, and `variables.policy` and what the chart adds."""
    gpu, sharing, clients, product = quoted(GPU), quoted(GKE_SHARING), quoted(GKE_CLIENTS), quoted(PRODUCT)
    gke_values = [GKE_STRATEGIES[means] for means in (Sharing.TIME_SLICING, Sharing.MPS)]
    time_sharing, mps = (quoted(value) for value in gke_values)
    if not read_product("A-SHARED").shared or read_product("-SHARED").shared:
        raise SystemExit("shared products are no longer named as the CEL reads them")
    yield (
        "asks",
        "Each container that requests GPUs. Kubernetes itself requires requests to equal limits.",
        f"""{CONTAINERS}
.filter(c, has(c.resources) && has(c.resources.limits))
.map(c, {{'name': dyn(c.name), 'limits': dyn(c.resources.limits), 'gpus': dyn(c.resources.limits.filter(n,
  n.matches(r'{resource_pattern()}') &&
  quantity(string(c.resources.limits[n])).isGreaterThan(quantity('0'))))}})
.filter(ask, size(ask.gpus) > 0)""",
    )
    yield (
        "mixed",
        f"Rule {MIXED_GPU_RESOURCES.id}. Updates can't change the requests of a pod.",
        "request.operation == 'CREATE' ? variables.asks.filter(ask, size(ask.gpus) > 1) : []",
    )
    yield (
        "selected",
        "nodeSelector, in the format of node affinity requirements.",
        """has(object.spec.nodeSelector) ? object.spec.nodeSelector.map(key,
  {'key': dyn(key), 'operator': dyn('In'), 'values': dyn([object.spec.nodeSelector[key]])}) : []""",
    )
    yield (
        "terms",
        "The terms of the required node affinity that can match a node.",
        f"""has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && has({_REQUIRED}) ?
{_REQUIRED}.nodeSelectorTerms.filter(term,
  (has(term.matchExpressions) && size(term.matchExpressions) > 0) ||
  (has(term.matchFields) && size(term.matchFields) > 0)) : []""",
    )
    yield (
        "alternatives",
        "The requirements on node labels: one list per term, because terms are alternatives.",
        """size(variables.terms) == 0 ? [variables.selected] : variables.terms.map(term, variables.selected +
  (has(term.matchExpressions) ? term.matchExpressions.map(e, {'key': dyn(e.key), 'operator': dyn(e.operator),
    'values': dyn(has(e.values) ? e.values : [])}) : []))""",
    )
    mentions = f"e.key in {listed(GKE_KEYS)}"
    yield (
        "saysGke",
        "Whether the pod's selectors contain any of GKE's labels.",
        f"variables.alternatives.exists(a, a.exists(e, {mentions}))",
    )
    perhaps = " ||\n".join(
        [f"!{admits_none('a', sharing)}", *(admits("a", sharing, each) for each in (time_sharing, mps))]
    )
    counted = f"!{admits_none('a', clients)} && (\n{perhaps})"
    yield (
        "gkeShared",
        "Whether GKE's labels select sharing, or only the number of clients.",
        f"variables.saysGke && (\n{every_alternative(says_shared('a', sharing, gke_values))} ||\n{every_alternative(counted)})",
    )
    only = f"!{admits_none('a', sharing)} && {admits('a', sharing, time_sharing)} &&\n!{admits('a', sharing, mps)}"
    yield (
        "gkeTimeSharing",
        "GKE's time-sharing rejects a second slot, whatever the policy permits.",
        f"variables.saysGke ? {every_alternative(only)} :\nvariables.policy.matches(r'^gke-(.+-)?{gke_values[0]}-[0-9]+$')",
    )
    yield (
        "gke",
        "Whether the message is that of a GKE node.",
        "variables.saysGke || variables.policy.startsWith('gke-')",
    )
    # If every form is permitted, slices among them are no alternative: the pod may still land on a shared GPU.
    slice_of = f"(variables.policy == {quoted(ANY)} && v.matches(r'.-MIG-{PROFILE}$'))"
    shared_product = (
        f"a.exists(r, r.key == {product} && r.operator == 'In' &&\n"
        f"  r.values.exists(v, v.matches('.-SHARED$') && {admits('a', product, 'v')}) &&\n"
        f"  r.values.all(v, v.matches('.-SHARED$') || {slice_of} ||\n    !{admits('a', product, 'v')}))"
    )
    yield "sharedProduct", "Whether the pod selects only shared products.", every_alternative(shared_product)
    strategy = says_shared("a", f"ask.gpus[0] + {quoted(_STRATEGY)}", SHARED_STRATEGIES, ("none",))
    yield (
        "selectsMps",
        "Whether the pod selects only nodes that share by MPS according to feature discovery.",
        every_alternative(_selects_mps()),
    )
    replicas = f"ask.gpus[0] + {quoted(_REPLICAS)}"
    several = (
        f"!{admits_none('a', replicas)} && !{has_bounds('a', replicas)} &&\n"
        f"!{admits('a', replicas, quoted('0'))} && !{admits('a', replicas, quoted('1'))} &&\n({_may_be_shared('ask.gpus[0]')})"
    )
    says_how = listed((*GKE_KEYS, strategy_label(None), PRODUCT, GPU_SLICES, COMPUTE_SLICES, *_CAPABILITIES))
    of_a_resource = " || ".join(f"e.key == n + {quoted(label)}" for label in (_STRATEGY, _REPLICAS))
    yield (
        "selects",
        "Whether the pod has selectors that distinguish forms.",
        f"""variables.alternatives.exists(a, a.exists(e, e.key in {says_how} ||
  variables.asks.exists(ask, ask.gpus.exists(n, {of_a_resource}))))""",
    )
    yield (
        "silent",
        "Whether the pod has only plain requests, and no selector of a form.",
        f"variables.asks.all(ask, ask.gpus.all(n, n == {gpu})) && !variables.selects",
    )
    yield (
        "slots",
        f"Rule {SHARED_REQUEST_ABOVE_ONE.id}: because of the policy, the resource's name, or the selected nodes.",
        f"""variables.asks.filter(ask, size(ask.gpus) == 1 &&
  quantity(string(ask.limits[ask.gpus[0]])).isGreaterThan(quantity('1')) && (
  variables.lifted ? ask.gpus[0] == {gpu} && variables.saysGke && variables.gkeTimeSharing :
  variables.sharesOnly || (variables.sharesFirst && variables.silent) ||
  ask.gpus[0].endsWith({quoted(_SHARED)}) ||
  (ask.gpus[0] == {gpu} && (variables.gkeShared || (!variables.saysGke && variables.sharedProduct))) ||
  (ask.gpus[0] == {gpu} && !variables.saysGke && variables.selectsMps) ||
  ((ask.gpus[0] != {gpu} || !variables.saysGke) && ({every_alternative(strategy)} ||
    {every_alternative(several)}))))""",
    )


def _may_be_shared(resource: str) -> str:
    """Whether a resource may be shared, according to the sharing strategy that the pod selects for it."""
    key = f"{resource} + {quoted(_STRATEGY)}"
    shared = " ||\n".join(admits("a", key, quoted(value)) for value in SHARED_STRATEGIES)
    return f"{shared} ||\n!({admits_none('a', key)} || {admits('a', key, quoted(Sharing.NONE.value))})"


def _selects_mps() -> str:
    key = quoted(MPS_CAPABLE)
    only_listed = f"a.exists(r, r.key == {key} && r.operator == 'In')"
    true, false = (admits("a", key, quoted(value)) for value in ("true", "false"))
    return f"{only_listed} && {true} && !{false} &&\n({_may_be_shared(quoted(GPU))})"


_BEFORE = "before"


def of_updates() -> Iterator[tuple[str, str, str]]:
    """The variables that detect what an update makes worse: those of the existing pod, and the findings that it did not have."""
    yield _BEFORE, "The existing pod.", "oldObject == null ? object : oldObject"
    of_a_pod = list(variables())
    names = "|".join(name for name, _, _ in of_a_pod)
    for name, _, cel in of_a_pod:
        if name == "mixed":
            continue
        of_before = re.sub(rf"\bvariables\.({names})\b", lambda found: f"variables.{_of_before(found[1])}", cel)
        of_before = re.sub(r"\bobject\.", f"variables.{_BEFORE}.", of_before)
        yield _of_before(name), "The same for the existing pod.", of_before
    yield (
        "aboveOne",
        "An update is denied only for new findings.",
        f"""request.operation == 'CREATE' ? variables.slots :
variables.slots.filter(ask, !variables.{_of_before("slots")}.exists(had, had.name == ask.name))""",
    )


def _of_before(name: str) -> str:
    """The name of the variable about the existing pod that corresponds to this one about the final pod."""
    return f"{_BEFORE}{name[0].upper()}{name[1:]}"


def validations() -> Iterator[tuple[Rule, str, str]]:
    """Rule, CEL and the CEL of the sentence of each validation, in the order of the rules."""
    yield MIXED_GPU_RESOURCES, "size(variables.mixed) == 0", mixed_sentence()
    yield SHARED_REQUEST_ABOVE_ONE, "size(variables.aboveOne) == 0", shared_sentence()


def template() -> str:
    """The text of the chart's file."""
    lines = [HEAD]
    lines.append(f'{{{{- define "gpuwarden.sharedValue" -}}}}\n{shared_value_pattern()}\n{{{{- end -}}}}\n\n')
    lines.append(f'{{{{- define "gpuwarden.leftToHami" -}}}}\n{left_to_hami()}\n{{{{- end -}}}}\n\n')
    lines.append('{{- define "gpuwarden.backstopVariables" -}}\n')
    for name, comment, cel in (*variables(), *of_updates()):
        lines.append(f"# {comment}\n- name: {name}\n  expression: |-\n{indent(cel, '    ')}\n")
    lines.append('{{- end -}}\n\n{{- define "gpuwarden.backstopValidations" -}}\n')
    for rule, cel, message in validations():
        lines.append(
            f"# {rule.id}\n- expression: {cel}\n  reason: Forbidden\n  messageExpression: |-\n{indent(message, '    ')}\n"
        )
    lines.append("{{- end -}}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(generated.write(TEMPLATE, template(), "manifests", sys.argv[1:]))
