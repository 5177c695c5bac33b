"""The recommendation: workloads, usage and fleet in; verdicts, advice for namespaces and the cluster's sum out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from ...engine.device_classes import NVIDIA_CLASSES, DeviceClasses
from ...engine.fleet.devices import Devices
from ...engine.fleet.fleet import Fleet
from ...engine.fleet.node_shapes import Shape
from ...engine.fleet.prefer_offered import preferring
from ...engine.form_guide import CRITERIA, guide_to
from ...engine.forms import Form, parse
from ...engine.namespace_labels import NamespaceLabels
from ...engine.policy import ANY_POLICY, Policy, PolicyBook
from ...engine.rules.placement import SELECTOR_CONFLICT
from ...engine.spelling import DevicePlugin
from ...engine.text import plural
from .batching import batched
from .candidates import EvaluatedWorkload
from .measures import Measures, measure
from .model_names import model_of
from .namespace_advice import NamespaceAdvice, advise
from .offers import Offers, offered_by_classes, offers
from .packing import Demand, PackingResult, gpus_of, pack
from .policy_effects import PolicyEffect
from .thresholds import Thresholds
from .unknown_verdicts import unknown_verdict, why_no_data
from .usage import Usage
from .verdict_input import VerdictInput
from .verdicts import VerdictKind, WorkloadVerdict
from .workload_verdicts import evaluate
from .workloads import Workload, attribute

SUPPORTED_GPUS = dict(CRITERIA)["supported_gpus"]
BUILT_IN_POLICIES = PolicyBook()
_EXEMPT = "the configuration exempts it, so a policy would have no effect"
_PODS_EXEMPT = "the configuration exempts its pods, so a policy would have no effect"
_KEPT = frozenset({VerdictKind.UNKNOWN, VerdictKind.AS_IT_IS, VerdictKind.BATCH})


class FormCriterion(msgspec.Struct, frozen=True, rename="camel"):
    """The rating of the recommended form by a criterion, and that of the workload's current form."""

    criterion: str
    value: str
    now: str


class WorkloadRecommendation(msgspec.Struct, rename="camel", omit_defaults=True):
    """A workload with what it used, what fits it, and what that form gives up or keeps by each criterion."""

    namespace: str
    kind: str
    name: str
    requests: tuple[str, ...]
    form: str
    gpus: int
    running: int
    verdict: WorkloadVerdict
    used: Measures | None = None
    criteria: tuple[FormCriterion, ...] = ()

    @property
    def named(self) -> str:
        """The workload, for people."""
        return f"{self.kind} {self.name}"


class FormCount(msgspec.Struct, frozen=True):
    """GPUs, slices or slots of one form that running pods request, as they are and as recommended."""

    form: str
    before: int
    after: int


class ClusterSum(msgspec.Struct, rename="camel", omit_defaults=True):
    """The sum over all workloads.

    Attributes:
        forms: what running pods request, by form.
        gpus: how many the nodes have; ``None`` if the nodes are not known, as are the packings.
    """

    forms: list[FormCount]
    gpus: int | None = None
    before: PackingResult | None = None
    after: PackingResult | None = None


class Recommendation(msgspec.Struct, rename="camel", omit_defaults=True):
    """All that is recommended.

    Attributes:
        thresholds: the values in use.
        window: how far back usage was read, in seconds.
        end: when that window ended, in seconds since 1970.
        notes: what is missing or could not be read, and what is left out.
    """

    workloads: list[WorkloadRecommendation]
    namespaces: list[NamespaceAdvice]
    cluster: ClusterSum
    thresholds: Thresholds
    window: float
    end: float
    notes: list[str]


def recommend(  # noqa: PLR0913 - what is known, and what is wanted
    workloads: Sequence[Workload],
    usage: Usage,
    shapes: Mapping[Shape, int] | None,
    labels: Mapping[str, NamespaceLabels],
    thresholds: Thresholds,
    *,
    trusted: Callable[[str], bool],
    plugin: DevicePlugin,
    expected: Iterable[Form] = (),
    exempt: Collection[str] = (),
    policies: PolicyBook = BUILT_IN_POLICIES,
    classes: DeviceClasses = NVIDIA_CLASSES,
    devices: Devices = Devices(),  # noqa: B008 - it is frozen
) -> Recommendation:
    """Return what fits.

    Args:
        workloads: those that request GPUs.
        usage: what was used.
        shapes: the nodes; ``None`` if they are not known.
        labels: of the namespaces.
        thresholds: the values in use.
        trusted: whether a namespace is declared trusted.
        plugin: the settings of the device plugin that the configuration states.
        expected: further forms that count as offered.
        exempt: namespaces in which no policy has an effect.
        policies: those that labels and the configuration's defaults can name.
        classes: the forms of DeviceClasses.
        devices: those of ResourceSlices, which pods get by the resource names of DeviceClasses.
    """
    expected = tuple(expected)
    of_classes = offered_by_classes(devices, plugin)
    offered = offers(shapes, expected, plugin, (model_of(one.model) for one in usage.series), of_classes)
    effect = PolicyEffect(ANY_POLICY, plugin, classes, offered)
    in_force = {
        name: policies.select(labels.get(name) or NamespaceLabels()).enforce
        for name in {one.namespace for one in workloads}
    }
    workloads = [
        _without_conflicts(_as_sent(_settled(one, offered), in_force[one.namespace]), effect) for one in workloads
    ]
    attributed = attribute(usage.series, workloads, usage.owners)
    measures = {one.key: measure(one, attributed.of.get(one.key, []), usage, thresholds) for one in workloads}
    verdicts = {}
    for one in workloads:
        if one.not_evaluated:
            verdicts[one.key] = unknown_verdict(one.not_evaluated)
        elif measured := measures[one.key]:
            verdicts[one.key] = _of_claims(
                one, evaluate(VerdictInput(one, measured, offered, thresholds, trusted(one.namespace)))
            )
        else:
            verdicts[one.key] = unknown_verdict(why_no_data(one, attributed.of.get(one.key, ()), usage))
    verdicts |= batched(workloads, measures, verdicts, thresholds, offered)
    lines = [
        WorkloadRecommendation(
            *(one.namespace, one.kind, one.name, one.requests, one.form, one.gpus, one.running),
            verdicts[one.key],
            measures[one.key],
            _criteria(one.form, verdicts[one.key].form),
        )
        for one in sorted(workloads, key=lambda one: one.key)
    ]
    also = (*expected, *(form for form, _ in of_classes))
    fleet = None if shapes is None else Fleet(shapes, labels=policies.node_labels, expected=also)

    def advice_for(name: str, evaluated: list[EvaluatedWorkload]) -> NamespaceAdvice:
        if name in exempt or not evaluated:
            why = _EXEMPT if name in exempt else _PODS_EXEMPT
            return NamespaceAdvice(name, "", trusted(name), len(evaluated), why_none=why)
        given = labels.get(name) or NamespaceLabels()
        policy = preferring(in_force[name], plugin, fleet) if fleet else in_force[name]
        now = msgspec.structs.replace(effect, policy=policy)
        return advise(name, evaluated, given, now, trusted=trusted(name))

    advice = [advice_for(name, evaluated) for name, evaluated in _by_namespace(workloads, verdicts).items()]
    notes = [*usage.missing, *(f"Prometheus: {one}" for one in usage.warnings)]
    if offered.mismatched:
        notes.append(
            f"some nodes have {', '.join(sorted(offered.mismatched))} under other names or labels than the configuration's "
            "devicePlugin states (--config; renameByDefault, migStrategy, products), so pods of such a policy would not run "
            "there, and these nodes do not count as offering it: gpuwarden doctor says what to set"
        )
    if offered.unavailable:
        notes.append(
            f"only nodes that take no pods now have {', '.join(sorted(offered.unavailable))} (not ready, cordoned, or MIG is "
            "being configured), so these forms do not count as offered"
        )
    if attributed.gone:
        pods = "deleted pod is counted with its workload", "deleted pods are counted with their workloads"
        notes.append(f"{plural(attributed.gone, *pods)}, by owner or name")
    if unknown := {name: pods for name, pods in attributed.unknown.items() if pods}:
        number = sum(map(len, unknown.values()))
        notes.append(
            f"{plural(number, 'pod has', 'pods have')} usage but no existing workload, in "
            f"{', '.join(sorted(unknown)[:5])}{' and more' if len(unknown) > 5 else ''}: not counted"  # noqa: PLR2004
        )
    return Recommendation(
        lines, advice, _cluster(lines, shapes, offered, thresholds), thresholds, usage.window, usage.end, notes
    )


def _by_namespace(
    workloads: Iterable[Workload], verdicts: Mapping[tuple[str, str, str], WorkloadVerdict]
) -> dict[str, list[EvaluatedWorkload]]:
    """The workloads of each namespace. Those whose pods the configuration exempts have no part in it: no policy changes them."""
    found: dict[str, list[EvaluatedWorkload]] = {}
    for one in sorted(workloads, key=lambda one: one.key):
        evaluated = found.setdefault(one.namespace, [])
        if not one.exempt:
            named = f"{one.kind} {one.name}"
            evaluated.append(EvaluatedWorkload(named, verdicts[one.key], one.form, one.templates, one.unreachable))
    return found


def _settled(workload: Workload, offered: Offers) -> Workload:
    """A workload with the one kind of sharing that there is, if none of its pods has a node and so its form names no kind."""
    form = parse(workload.form)
    return msgspec.structs.replace(workload, form=str(offered.settled(form))) if form else workload


def _as_sent(workload: Workload, policy: Policy) -> Workload:
    """A workload whose pods can get the form that they have, if the policy in force sends them there."""
    if not workload.running or not (policy.additions.tolerations or policy.additions.node_selector):
        return workload
    left = (one for one in workload.unreachable if one[0] != workload.form)
    return msgspec.structs.replace(workload, unreachable=tuple(left))


def _without_conflicts(workload: Workload, effect: PolicyEffect) -> Workload:
    """A workload to which forms are out of reach whose policies deny its pods because of their node selectors."""
    if not any(spec.node_selector or spec.terms for one in workload.templates if (spec := one.pod.spec)):
        return workload
    denied = {
        (form, one.model)
        for one in effect.offered.every
        if (denial := effect.of(form := str(one.form)).on(workload.templates, workload.form).denial)
        and denial.rule is SELECTOR_CONFLICT
    }
    return msgspec.structs.replace(
        workload, unreachable=(*workload.unreachable, *denied.difference(workload.unreachable))
    )


def _of_claims(workload: Workload, verdict: WorkloadVerdict) -> WorkloadVerdict:
    """A verdict with what to do about it, if a workload requests its GPUs by claims."""
    if not workload.claimed or not verdict.form or verdict.form == workload.form:
        return verdict
    why = "requested by a claim, which no policy rewrites: change the claim (its DeviceClass, selectors or count)"
    return msgspec.structs.replace(verdict, reasons=(*verdict.reasons, why))


def _criteria(now: str, then: str) -> tuple[FormCriterion, ...]:
    """The criteria that depend on the form; which GPUs support it does not matter for one that is offered."""
    before, after = parse(now), parse(then)
    if before is None or after is None:
        return ()
    pairs = zip(guide_to(before).criteria, guide_to(after).criteria, strict=True)
    return tuple(
        FormCriterion(title, new.value, old.value) for (title, old), (_, new) in pairs if title != SUPPORTED_GPUS
    )


def _cluster(
    lines: Sequence[WorkloadRecommendation], shapes: Mapping[Shape, int] | None, offered: Offers, thresholds: Thresholds
) -> ClusterSum:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    demands: tuple[list[Demand], list[Demand]] = ([], [])

    def demand(form: str, gpus: int, line: WorkloadRecommendation) -> Demand:
        model = model_of(line.used.model) if line.used else ""
        there = offered.for_model(model).shared
        clients = max((one.clients for one in there if str(one.form) == form), default=0) or int(thresholds.clients)
        return Demand(parse(form) or Form(), gpus, line.running, model, clients)

    for line in lines:
        if not line.running:
            continue
        before[line.form] += line.gpus * line.running
        demands[0].append(demand(line.form, line.gpus, line))
        if line.verdict.kind is VerdictKind.UNUSED:
            continue
        kept = line.verdict.kind in _KEPT
        form, gpus = (line.form, line.gpus) if kept else (line.verdict.form, line.verdict.gpus)
        after[form] += gpus * line.running
        demands[1].append(demand(form, gpus, line))
    forms = [FormCount(form, before[form], after[form]) for form in sorted({*before, *after})]
    if not shapes:
        return ClusterSum(forms)
    total = sum(gpus_of(shape) * number for shape, number in shapes.items() if shape.takes_pods)
    return ClusterSum(forms, total, pack(shapes, demands[0]), pack(shapes, demands[1]))
