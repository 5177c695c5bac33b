"""Pods as people write them, policies, and the engine asked about both; patches are applied by a library that is not ours."""

from collections.abc import Iterable, Mapping
from typing import Any

import jsonpatch
import msgspec
import pytest

from webhook.engine.decision import Decision, decide
from webhook.engine.forms import Form, parse
from webhook.engine.patch import patch
from webhook.engine.pods import Pod, PodSpec
from webhook.engine.policy import Policy, PolicyAdditions, PolicyBook
from webhook.engine.spelling import DevicePlugin, MigStrategy

Json = dict[str, Any]
Labels = Mapping[str, str]

GPU = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"
MIG_SHARED = "nvidia.com/mig-1g.5gb.shared"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
MIG_STRATEGY = "nvidia.com/mig-1g.5gb.sharing-strategy"
PRODUCT = "nvidia.com/gpu.product"
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"

GPU_SLICES = "nvidia.com/gpu.slices.gi"
COMPUTE_SLICES = "nvidia.com/gpu.slices.ci"
MEMORY = "nvidia.com/gpu.memory"

RENAMED = DevicePlugin(rename_by_default=True)
NOT_RENAMED = DevicePlugin(rename_by_default=False)
BOTH_SETTINGS = [pytest.param(RENAMED, id="renamed"), pytest.param(NOT_RENAMED, id="not renamed")]
# MIG strategy single, with and without the models by name.
MODELS = ("A100-SXM4-40GB", "A100-PCIE-40GB")
SINGLE = DevicePlugin(mig_strategy=MigStrategy.SINGLE)
SINGLE_NOT_RENAMED = DevicePlugin(rename_by_default=False, mig_strategy=MigStrategy.SINGLE)
SINGLE_BY_PRODUCT = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=MODELS)
SINGLE_BY_PRODUCT_NOT_RENAMED = DevicePlugin(False, MigStrategy.SINGLE, MODELS)  # noqa: FBT003 - named by its name
EVERY_SETTING = {
    "renamed": RENAMED,
    "not renamed": NOT_RENAMED,
    "single": SINGLE,
    "single, not renamed": SINGLE_NOT_RENAMED,
    "single by product": SINGLE_BY_PRODUCT,
    "single by product, not renamed": SINGLE_BY_PRODUCT_NOT_RENAMED,
}
AUTOPILOT = DevicePlugin(gke_autopilot=True)
# The toleration that goes with a renamed resource: nodes are tainted under the name that their GPUs had before.
GPU_TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}

_BUILT_IN = PolicyBook()


def a_container(name: str = "train", limits: Json | None = None, requests: Json | None = None, **fields: Any) -> Json:
    """A container, with as much of ``resources`` as is given."""
    resources = {"limits": limits, "requests": requests}
    written = {section: amounts for section, amounts in resources.items() if amounts is not None}
    return {"name": name, **({"resources": written} if written else {}), **fields}


def gpu(count: Any = 1, resource: str = GPU, name: str = "train", **fields: Any) -> Json:
    """A container that asks for so many of a GPU resource, as templates do: in limits only."""
    return a_container(name, {resource: count}, **fields)


def a_pod(*containers: Json, annotations: Json | None = None, **spec: Any) -> Json:
    """A pod of these containers; one plain request unless given. Keywords are fields of the spec, by their JSON names."""
    metadata: Json = {"name": "job-0", "labels": {"app": "job"}}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": list(containers) or [gpu()], **spec}}


def affinity(*terms: Iterable[tuple[str, ...]]) -> Json:
    """Required node affinity: each term is an alternative of ``(key, operator, *values)``."""
    written = [{"matchExpressions": [expression(*requirement) for requirement in term]} for term in terms]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": written}}}


def expression(key: str, operator: str, *values: str) -> Json:
    """One node selector requirement."""
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def selecting(*requirements: tuple[str, ...], resource: str = GPU, count: Any = 1) -> Json:
    """A pod with one request whose node affinity has one term, of these requirements."""
    return a_pod(gpu(count, resource), affinity=affinity(requirements))


def a_policy(*forms: str, name: str = "team", **settings: Any) -> Policy:
    """A configured policy; what it adds is given as in the configuration file, with maps for labels and variables."""
    added = {field: settings.pop(field) for field in PolicyAdditions.__struct_fields__ if field in settings}
    return Policy(name, tuple(a_form(form) for form in forms), additions=additions(**added), **settings)


def additions(
    *, node_selector: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None, **others: Any
) -> PolicyAdditions:
    """What a policy adds, from maps."""
    return PolicyAdditions(tuple((node_selector or {}).items()), env=tuple((env or {}).items()), **others)


def policy_of(value: str) -> Policy:
    """The policy behind a built-in value."""
    policy = _BUILT_IN.resolve(value)
    assert policy is not None, value
    return policy


def a_form(value: str) -> Form:
    """The form that a policy value names."""
    form = parse(value)
    assert form is not None, value
    return form


def view(pod: Mapping[str, Any]) -> Pod:
    """The engine's view of a pod."""
    return msgspec.convert(pod, Pod)


def spec_of(pod: Mapping[str, Any]) -> PodSpec:
    """The engine's view of a pod's spec."""
    spec = view(pod).spec
    assert spec is not None
    return spec


def evaluate(pod: Mapping[str, Any], policy: str | Policy, plugin: DevicePlugin = RENAMED) -> Decision:
    """The decision on a pod."""
    return decide(view(pod), policy_of(policy) if isinstance(policy, str) else policy, plugin)


def applied(pod: Mapping[str, Any], decision: Decision) -> Json:
    """The pod with a decision's patch applied."""
    changed: Json = jsonpatch.apply_patch(_copy(pod), patch(view(pod), decision.edits), in_place=True)
    return changed


def _copy(value: Any) -> Any:
    """A copy in which nothing is shared, as JSON would come out: ``copy.deepcopy`` keeps two names of one object so."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def rewritten(pod: Mapping[str, Any], policy: str | Policy, plugin: DevicePlugin = RENAMED) -> Json:
    """The pod that a policy makes of a pod, which must not be refused, and must be what it makes of the result."""
    decision = evaluate(pod, policy, plugin)
    assert not decision.denials, [finding.message for finding in decision.denials]
    result = applied(pod, decision)
    again = evaluate(result, policy, plugin)
    assert (again.edits, again.denials) == ((), ())
    return result


def rules(decision: Decision) -> list[str]:
    """The ids of a decision's findings, in order."""
    return [finding.rule.id for finding in decision.findings]


def messages(decision: Decision) -> list[str]:
    """The sentences of a decision's findings, in order."""
    return [finding.message for finding in decision.findings]
