"""The common case: pods of one policy whose decision depends on few fields, so that CEL can express it.

A pod of the common case requests one GPU resource, in whole numbers, in its containers, and has no selectors of forms except
those of a listed form. ``common_case`` calls the engine with one sample of each kind of pod to get the decision. Everything
else (other names, selectors of forms, claims, LimitRange defaults, devices that are reached without a request, warnings
without a ``Circumstance``) is not the common case, and gpuwarden's webhooks decide it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec

from .decision import Decision, decide
from .edits import (
    AddEnv,
    AddNeed,
    AddNodeSelector,
    AddToleration,
    Annotate,
    RenameResource,
    SetRuntimeClass,
)
from .findings import LONGEST_WARNINGS, Finding
from .forms import Form
from .mig_profiles import SUFFIXES
from .node_constraints import Need
from .pods import Pod
from .policy import NO_ADDITIONS, FindingAction, Policy, Prefer
from .products import PRODUCT
from .resources import GPU, resource_name
from .rules import device_access
from .spelling import LABELS_OF_FORMS, DevicePlugin, spell

_NAME = "«container»"
# Sample counts, which no message contains for other reasons.
_MANY, _MANY_READ = "987654321000m", "987654321"
MOST_COUNT = 999_999_999
"""A count of the common case has at most nine digits."""

# A profile that no GPU has, and the longest possible one.
_PROFILE, _LONGEST_PROFILE = "98g.7654gb", f"99g.9999gb{max(SUFFIXES, key=len)}"
# Nodes of any model can have a form without a partition, so these represent all models without a suffix.
_MODELS = ("NVIDIA-A100-SXM4-40GB", "Tesla-T4")
_EXPRESSIBLE = RenameResource | AddNeed | AddNodeSelector | AddToleration | SetRuntimeClass | AddEnv | Annotate
FEW = 16
"""The maximum number of containers, init containers, resources of a container, and terms or requirements of node affinity."""
MOST_FORMS = 16
"""The maximum number of forms in a policy: the API server rejects expressions of more than 100,000 characters."""
MOST_ADDED = 32
"""The maximum number of variables, tolerations or nodeSelectors that a policy adds."""
LONGEST_CEL_MESSAGE = 5 * 1024
"""A longer message of an admission policy is not shown (k8s.io/apiserver pkg/apis/cel MaxEvaluatedMessageExpressionSizeBytes)."""
BETWEEN = "; and "
"""The separator between several sentences in one message."""
_LONGEST_NAME = 63
DEVICE_VARIABLES = frozenset({device_access.VISIBLE_DEVICES, device_access.CUDA_VERSION})
"""Environment variables with which a container may reach GPUs that it does not request."""


class Sentence(msgspec.Struct, frozen=True):
    """The message of a rule about one container, or about the pod, and the rule's id.

    Attributes:
        parts: the texts between the container's name, the count and the MIG profile.
        gaps: which of these is between each text and the next: ``name``, ``count`` or ``profile``.
    """

    rule: str
    parts: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def longest(self) -> int:
        """Its maximum length in bytes, with a name and counts."""
        values = {"name": "x" * _LONGEST_NAME, "count": str(MOST_COUNT), "profile": _LONGEST_PROFILE}
        return len(self.filled(**values).encode())

    def filled(self, **values: str) -> str:
        """The sentence with a ``name``, a ``count`` and a ``profile``."""
        return "".join(text + values[gap] for text, gap in zip(self.parts, self.gaps, strict=False)) + self.parts[-1]


class Circumstance(Enum):
    """The reasons for warnings about pods of the common case, in the order of the rules.

    ``SEVERAL``: each container that requests more than one. ``NO_HOST_IPC``: the first container, in a pod without ``hostIPC``.
    ``SHM``: each container that mounts a volume at ``/dev/shm``.
    """

    SEVERAL = "several"
    NO_HOST_IPC = "hostIPC"
    SHM = "shm"


class RequestPattern(msgspec.Struct, frozen=True):
    """One way in which pods of the common case request GPUs, and the decision about them.

    Attributes:
        resource: the resource that every container with GPUs requests.
        selector, terms: the labels of forms in nodeSelector and required node affinity; there are no others.
        renamed: the new name of the resource, or the same name.
        needs: the node labels that are added.
        model: whether nodeSelector may also name a GPU model.
        most: the highest permitted count of a container; ``None`` for no limit.
        denial: the message for a container with more.
        denial_with_model: that message if nodeSelector names a GPU model and the message differs.
        only_one: pods with a higher count do not match this pattern.
        warnings: the messages about pods that are not denied, by circumstance, in the order of the rules.
    """

    resource: str
    selector: Mapping[str, str] = {}
    terms: tuple[Need, ...] = ()
    renamed: str = ""
    needs: tuple[Need, ...] = ()
    model: bool = False
    most: int | None = None
    denial: Sentence | None = None
    denial_with_model: Sentence | None = None
    only_one: bool = False
    warnings: Mapping[Circumstance, Sentence] = {}

    @property
    def renames(self) -> bool:
        """Whether the resource gets another name."""
        return self.renamed != self.resource

    @property
    def respells(self) -> bool:
        """Whether such pods are rewritten for their form."""
        return bool(self.needs) or self.renames

    @property
    def selectors(self) -> dict[str, str]:
        """The nodeSelectors that are added for the form."""
        return {need.key: need.values[0] for need in self.needs if not need.in_affinity}

    @property
    def requirements(self) -> tuple[Need, ...]:
        """The requirements of node affinity that are added for the form."""
        return tuple(need for need in self.needs if need.in_affinity)


class Slices(msgspec.Struct, frozen=True):
    """Requests for MIG slices in forms that the policy does not list: all are denied, or all are permitted.

    Attributes:
        listed: the names about which the decision differs: they have their own patterns, or are left to the webhooks.
        denials: the message for a container with more than a count, ordered by count; empty if they are permitted.
        only_one: pods with a higher count are left to the webhooks, which warn about them.
    """

    listed: tuple[str, ...] = ()
    denials: tuple[tuple[int, Sentence], ...] = ()
    only_one: bool = False


class CommonCase(msgspec.Struct, frozen=True):
    """The common case under one policy, and the decision about its pods.

    Attributes:
        policy: the policy.
        patterns: how its pods request GPUs; plain requests first.
        slices: the decision about MIG slices that it does not list, if it is the same for all.
        node_selector: the part of the policy's nodeSelector that is added to pods that do not set it.
        per_pod: the message for a pod with more GPUs than ``policy.max_per_pod``.
        only_requests: whether only what decides a rewrite is checked: pods that may reach GPUs without a request are included.
    """

    policy: Policy
    patterns: tuple[RequestPattern, ...]
    slices: Slices | None = None
    node_selector: Mapping[str, str] = {}
    per_pod: Sentence | None = None
    only_requests: bool = False

    @property
    def most_containers(self) -> int:
        """The highest number of containers, so that the messages about all of them fit into one, and into one warning."""
        warned = max((sum(_longest_of(pattern)) for pattern in self.patterns), default=0)
        denials = (each for pattern in self.patterns for each in (pattern.denial, pattern.denial_with_model) if each)
        fitting = self._fitting(denial.longest for denial in denials)
        return min(fitting, LONGEST_WARNINGS // warned) if warned else fitting

    @property
    def most_containers_of_slices(self) -> int:
        """The highest number of containers that request MIG slices which the policy does not list."""
        denials = self.slices.denials if self.slices else ()
        return min(self.most_containers, self._fitting(sentence.longest for _, sentence in denials))

    def _fitting(self, of_container: Iterable[int]) -> int:
        """The highest number of containers, given the longest message about one, in bytes."""
        rest = LONGEST_CEL_MESSAGE - (self.per_pod.longest if self.per_pod else 0)
        return min(FEW, rest // (max(of_container, default=0) + len(BETWEEN)))

    @property
    def warns(self) -> bool:
        """Whether there is a warning about some of its pods."""
        return any(pattern.warnings for pattern in self.patterns)

    @property
    def guarded(self) -> bool:
        """Whether pods that may reach GPUs without a request are excluded, because the policy checks them."""
        return not self.only_requests and self.policy.guard is not FindingAction.IGNORE

    @property
    def changed(self) -> "CommonCase":
        """The pods that the policy may change: no other slices; only plain requests, if it adds nothing of its own.

        If a container may have one GPU, these are requests for one. Pods that may reach GPUs without a request are included:
        that does not depend on how their requests are spelled, and rules about it are applied to the final pod.
        """
        patterns = self.patterns[:1] if self.policy.additions == NO_ADDITIONS else self.patterns
        patterns = tuple(
            msgspec.structs.replace(w, only_one=True, most=None, denial=None, denial_with_model=None, warnings={})
            if w.most == 1
            else msgspec.structs.replace(w, warnings={})
            for w in patterns
        )
        return msgspec.structs.replace(self, patterns=patterns, slices=None, only_requests=True)


def _longest_of(pattern: RequestPattern) -> Iterator[int]:
    """The maximum length of each warning about a container, in characters, including the separator."""
    return (sentence.longest + len(BETWEEN) for sentence in pattern.warnings.values())


class NotCommonError(Exception):
    """No pod of a policy is the common case; the message contains the reason."""


def common_case(policy: Policy, plugin: DevicePlugin) -> CommonCase:
    """Return the common case of a policy.

    Args:
        policy: one policy, as namespaces select it.
        plugin: the device plugin's settings.

    Raises:
        NotCommonError: the webhooks have to decide all of its pods.
    """
    if why := _undecidable(policy):
        raise NotCommonError(why)
    alone = msgspec.structs.replace(policy, max_per_pod=None)
    plain, node_selector = _sampled(alone, plugin, GPU, {}, ())
    patterns = [plain]
    for spelling in dict.fromkeys(spell(form, plugin) for form in policy.forms):
        selector = {need.key: need.values[0] for need in spelling.needs if not need.in_affinity}
        terms = tuple(need for need in spelling.needs if need.in_affinity)
        written_plainly = spelling.resource == GPU and not spelling.needs
        if not written_plainly:
            pattern, added = _sampled(alone, plugin, spelling.resource, selector, terms)
            if pattern.respells or added != node_selector:
                raise NotCommonError(f"{spelling.resource} in its own form would be rewritten")
            patterns.append(pattern)
    return CommonCase(policy, tuple(patterns), _slices(alone, plugin), node_selector, _per_pod(policy, plugin))


def _undecidable(policy: Policy) -> str:
    """The reason why the webhooks have to decide about every pod, or ``None``."""
    own = policy.additions
    watched = DEVICE_VARIABLES.intersection(name for name, _ in own.env)
    added = max(map(len, (own.env, own.tolerations, own.node_selector)))
    reasons = {
        "its label can't be read": policy.unreadable,
        "it lists claims, and CEL can't read ResourceClaimTemplates": policy.claim_forms,
        "prefer: offered depends on what nodes offer": policy.prefer is Prefer.OFFERED,
        "notOffered: deny depends on what nodes offer": policy.not_offered is FindingAction.DENY,
        f"its env sets {', '.join(sorted(watched))}, which no other pod may set": watched,
        f"it lists {len(policy.forms)} forms, and the size of CEL is limited; list at most {MOST_FORMS}": len(
            policy.forms
        )
        > MOST_FORMS,
        f"it adds {added} variables, tolerations or labels, and the cost of CEL is limited; add at most {MOST_ADDED} of "
        "each": added > MOST_ADDED,
        "its nodeSelector selects labels of GPU nodes, as forms do": any(
            key.startswith(LABELS_OF_FORMS) for key, _ in own.node_selector
        ),
    }
    return next((why for why, applies in reasons.items() if applies), "")


def _sample(  # noqa: PLR0913 - what samples differ in
    resource: str,
    selector: Mapping[str, str],
    terms: Iterable[Need],
    count: str = "1",
    *,
    ipc: bool = False,
    shm: bool = False,
) -> Pod:
    """A pod with one request, as the API server sends it to admission."""
    container: dict[str, Any] = {"name": _NAME, "resources": {s: {resource: count} for s in ("limits", "requests")}}
    if shm:
        container["volumeMounts"] = [{"mountPath": "/dev/shm"}]  # noqa: S108 - a name to compare with
    spec: dict[str, Any] = {"containers": [container], "nodeSelector": dict(selector), "hostIPC": ipc}
    expressions = [msgspec.to_builtins(need.expression) for need in terms]
    if expressions:
        required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return msgspec.convert({"metadata": {}, "spec": spec}, Pod)


def _sampled(
    policy: Policy, plugin: DevicePlugin, resource: str, selector: Mapping[str, str], terms: tuple[Need, ...]
) -> tuple[RequestPattern, dict[str, str]]:
    """The decision about pods like this, and the nodeSelector that the policy adds.

    Raises:
        NotCommonError: a pattern can't express the decision.
    """

    def evaluated(count: str = "1", **more: Any) -> Decision:
        return decide(_sample(resource, selector, terms, count, **more), policy, plugin, guarded=False)

    most = next((count - 1 for count in _counts(policy) if evaluated(str(count)).denials), None)
    denial = None if most is None else _sentence(evaluated(_MANY).denials, _MANY, _MANY_READ)
    decision = evaluated()
    if evaluated(ipc=True).warnings or not all(isinstance(edit, _EXPRESSIBLE) for edit in decision.edits):
        raise NotCommonError(f"what becomes of {resource} can't be stated in CEL")
    model = _takes_models(policy, plugin, resource, selector, terms, decision)
    with_model = None
    if model and denial:
        on_model = _sample(resource, {**selector, PRODUCT: _MODELS[0]}, terms, _MANY)
        with_model = _sentence(decide(on_model, policy, plugin, guarded=False).denials, _MANY, _MANY_READ)
    pattern = RequestPattern(
        resource,
        selector,
        terms,
        next((edit.new for edit in decision.edits if isinstance(edit, RenameResource)), resource),
        tuple(edit.need for edit in decision.edits if isinstance(edit, AddNeed)),
        model=model,
        most=most,
        denial=denial,
        denial_with_model=with_model if with_model != denial else None,
        warnings=_warnings(evaluated),
    )
    return pattern, {edit.key: edit.value for edit in decision.edits if isinstance(edit, AddNodeSelector)}


def _warnings(evaluated: Callable[..., Decision]) -> dict[Circumstance, Sentence]:
    """The warning about samples in each circumstance, for circumstances that cause one."""
    warned = {
        Circumstance.SEVERAL: evaluated(_MANY, ipc=True),
        Circumstance.NO_HOST_IPC: evaluated(),
        Circumstance.SHM: evaluated(ipc=True, shm=True),
    }
    return {
        circumstance: _sentence(decision.warnings, _MANY, _MANY_READ)
        for circumstance, decision in warned.items()
        if decision.warnings
    }


def _counts(policy: Policy) -> list[int]:
    """The counts above which a policy may deny a container, in order."""
    limit = policy.max_per_container or 1
    return sorted({1, 2, limit + 1, int(_MANY_READ)})


def _sentence(found: Iterable[Finding], *counts: str) -> Sentence:
    """The message of a finding in a sample, split at its variable parts; ``counts`` are the texts of the sample's count."""
    [finding] = found
    gaps = {_NAME: "name", _PROFILE: "profile", **dict.fromkeys(counts, "count")}
    texts = re.split(f"({'|'.join(map(re.escape, gaps))})", finding.message)
    return Sentence(finding.rule.id, tuple(texts[::2]), tuple(gaps[text] for text in texts[1::2]))


def _slices(policy: Policy, plugin: DevicePlugin) -> Slices | None:
    """The decision about MIG slices that a policy does not list, if all are denied or all are permitted."""
    listed = {form.partition for form in policy.forms if form.partition}

    def evaluated(profile: str, count: str) -> Decision:
        return decide(_sample(resource_name(profile, shared=False), {}, (), count), policy, plugin, guarded=False)

    counts = {count: f"{count}000m" for count in _counts(policy)}
    decisions = [evaluated(_PROFILE, text) for text in counts.values()]
    one = decisions[0]
    if not any(decision.denials for decision in decisions):
        as_it_is = not one.edits and not one.warnings
        only_one = any(decision.warnings for decision in decisions)
        return Slices(_names_of(listed), only_one=only_one) if as_it_is else None
    if not all(len(decision.findings) == len(decision.denials) == 1 for decision in decisions):
        return None
    said = {
        count: _sentence(decision.denials, text)
        for (count, text), decision in zip(counts.items(), decisions, strict=True)
    }

    def is_denied_alike(profile: str) -> bool:
        return all(
            [finding.message for finding in evaluated(profile, counts[count]).findings]
            == [sentence.filled(name=_NAME, count=counts[count], profile=profile)]
            for count, sentence in said.items()
        )

    denials: list[tuple[int, Sentence]] = []
    for count, sentence in said.items():
        if not denials or denials[-1][1] != sentence:
            denials.append((count - 1, sentence))
    return Slices(_names_of(profile for profile in listed if not is_denied_alike(profile)), tuple(denials))


def _names_of(profiles: Iterable[str]) -> tuple[str, ...]:
    return tuple(resource_name(profile, shared=False) for profile in sorted(profiles))


def _takes_models(  # noqa: PLR0913, PLR0917 - a sample, and what decides it
    policy: Policy,
    plugin: DevicePlugin,
    resource: str,
    selector: Mapping[str, str],
    terms: tuple[Need, ...],
    decision: Decision,
) -> bool:
    """Whether the decision stays the same if a pod selects a GPU model in its nodeSelector."""
    if any(form.partition for form in policy.forms):
        return False  # not every model has slices
    with_models = (
        decide(_sample(resource, {**selector, PRODUCT: model}, terms), policy, plugin, guarded=False)
        for model in _MODELS
    )
    return all((one.edits, one.findings) == (decision.edits, decision.findings) for one in with_models)


def _per_pod(policy: Policy, plugin: DevicePlugin) -> Sentence | None:
    """The message for a pod with more GPUs than the policy permits per pod. One that permits no GPU at all says only that."""
    if policy.max_per_pod is None or not (policy.permitted or policy.permits_any):
        return None
    unlimited = msgspec.structs.replace(policy, max_per_container=None, forms=(Form(),))
    return _sentence(decide(_sample(GPU, {}, (), _MANY), unlimited, plugin, guarded=False).denials, _MANY_READ)
