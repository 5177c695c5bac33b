"""LimitRanges in a namespace with a policy: which of its pods they deny, and what they add to others.

Mirrors plugin/pkg/admission/limitranger/admission.go and pkg/apis/core/v1/defaults.go SetDefaults_LimitRangeItem.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..engine.decision import decide
from ..engine.pods import Container, Pod, PodSpec, Resources
from ..engine.policy import Policy
from ..engine.quantity import Quantity, shown, whole
from ..engine.resources import GPU, GpuResource, classify
from ..engine.spelling import DevicePlugin, spell

_Amounts = dict[str, Quantity] | None
_SHOWN = 3
_UNRECORDED = (
    f"a container that requests {GPU} gets {{}} in addition, and its pod is denied (mixed-gpu-resources) if another LimitRange "
    "of the namespace changes it too, because Kubernetes records only the last one"
)
_FIX_UNRECORDED = "write all defaults of the namespace into one LimitRange, or limit GPUs by a ResourceQuota"


class ObjectMetadata(msgspec.Struct):
    """An object's metadata."""

    name: str = ""
    namespace: str = ""


class LimitRangeItem(msgspec.Struct, rename="camel"):
    """One of a LimitRange's ``limits``."""

    type: str = ""
    max: _Amounts = None
    min: _Amounts = None
    default: _Amounts = None
    default_request: _Amounts = None
    max_limit_request_ratio: _Amounts = None

    @property
    def adds(self) -> dict[str, Quantity]:
        """The limits that containers get; the API server has set them already, and requests with them."""
        return {**(self.max or {}), **(self.default or {})} if self.type == "Container" else {}

    @property
    def requests(self) -> dict[str, Quantity]:
        """The requests that containers get."""
        return {**(self.min or {}), **self.adds, **(self.default_request or {})} if self.type == "Container" else {}


class LimitRangeSpec(msgspec.Struct):
    """The spec of a LimitRange."""

    limits: list[LimitRangeItem] | None = None


class LimitRange(msgspec.Struct):
    """A LimitRange."""

    metadata: ObjectMetadata
    spec: LimitRangeSpec = msgspec.field(default_factory=LimitRangeSpec)

    @property
    def items(self) -> list[LimitRangeItem]:
        """Its items of type Container and Pod, the only ones that concern pods."""
        return [item for item in self.spec.limits or () if item.type in {"Container", "Pod"}]


class LimitRangeEffect(msgspec.Struct, frozen=True):
    """The effect of an item of a LimitRange on the pods of its namespace."""

    observed: str
    impact: str
    fix: str


def effects(ranges: Sequence[LimitRange], policy: Policy, plugin: DevicePlugin) -> list[LimitRangeEffect]:
    """Return the unwanted effects of the LimitRanges of one namespace under its policy.

    Under ``any``, LimitRanges do what they do without gpuwarden.
    """
    if policy.permits_any:
        return []
    given = {spell(form, plugin).resource for form in policy.forms}
    # If a container's default is 0, no container lacks the name.
    named = {name for one in ranges for item in one.items for name, count in item.adds.items() if whole(count) == 0}
    most = {name: _most(policy, plugin, name) for name in given}
    found: list[LimitRangeEffect] = []
    for one in ranges:
        for item in one.items:
            for name in _names(item):
                effect = _bound(item, name, most)
                if not effect and (impact := _impact(item, name, policy, given, plugin, named)):
                    effect = impact, _fix(item, name, given)
                if not effect and name in given - {GPU} and whole(item.adds.get(name)) and _is_overwritten(one, ranges):
                    effect = _UNRECORDED.format(name), _FIX_UNRECORDED
                if effect:
                    found.append(LimitRangeEffect(_observed(one, item, name, policy, given), *effect))
    return found


def _is_overwritten(one: LimitRange, ranges: Sequence[LimitRange]) -> bool:
    """Whether another LimitRange changes pods too, so that LimitRanger's annotation may name that one alone."""
    return any(item.requests for other in ranges if other is not one for item in other.items)


def warnings(subject: str, found: Sequence[LimitRangeEffect]) -> Iterator[str]:
    """Effects as warnings, the first few; ``subject`` is the namespace."""
    for effect in found[:_SHOWN]:
        yield f"{subject}: {effect.observed}: {effect.impact}; {effect.fix}"
    if len(found) > _SHOWN:
        yield f"{subject}: {len(found) - _SHOWN} more of its LimitRanges' limits; gpuwarden doctor reports all"


def _names(item: LimitRangeItem) -> list[str]:
    every = {**item.requests, **(item.max or {}), **(item.min or {}), **(item.max_limit_request_ratio or {})}
    return sorted(name for name in every if isinstance(classify(name), GpuResource))


def _most(policy: Policy, plugin: DevicePlugin, name: str) -> dict[str, int | None]:
    """The maximum of a resource for a container, and for a pod with one such container; ``None`` if there is no limit."""
    shared = all(form.shared for form in policy.forms if spell(form, plugin).resource == name)
    of_container = policy.max_per_container or (1 if shared else None)
    return {"Container": of_container, "Pod": policy.max_per_pod or of_container}


def _bound(item: LimitRangeItem, name: str, most: dict[str, dict[str, int | None]]) -> tuple[str, str] | None:
    """Return an item's effect on pods that request its resource, and the fix, if no permitted amount is within its bounds.

    admission.go maxConstraint, minConstraint.
    """
    if name not in most:
        return None
    highest, lowest, possible = (item.max or {}).get(name), (item.min or {}).get(name), most[name][item.type]
    if highest is not None and whole(highest) == 0:
        return (
            f'pods with {name} are denied: "maximum {name} usage per {item.type} is {shown(highest)}, but limit is 1"',
            f"set its max for {name} to 1 or more, or permit no GPU by policy none",
        )
    if lowest is not None and possible is not None and (whole(lowest) or 0) > possible:
        each = " with one container" if item.type == "Pod" else ""
        text = f"minimum {name} usage per {item.type} is {shown(lowest)}, but request is {possible}"
        return f'pods{each} that have {name} are denied: "{text}"', f"set its min for {name} to {possible} or less"
    return None


def _impact(  # noqa: PLR0913, PLR0917 - what it depends on
    item: LimitRangeItem, name: str, policy: Policy, given: set[str], plugin: DevicePlugin, named: set[str]
) -> str:
    """Return the effect of an item on pods by one name; empty if there is none, or it is intended."""
    others = given - {name}
    container = item.type == "Container"
    added, requested = item.adds.get(name), item.requests.get(name)
    if name in named and not _least(item, name):
        return ""
    if others and (text := _demand(item, name)):
        return f'pods with {listed(others)} are denied: "{text}"'
    if not container or (added is None and requested is None):
        return ""
    if added is None:
        return f"a container that does not name {name} gets it in requests alone, and Kubernetes denies its pod"
    gets = f"a container without a GPU request gets {name}: {shown(added)}, sidecars and init containers too"
    resources = Resources({name: added}, {name: requested})
    pod = Pod(spec=PodSpec(containers=[Container("default", resources=resources)]))
    if denials := decide(pod, policy, plugin, guarded=False).denials:
        return f"{gets}, and is denied ({denials[0].rule.id})"
    return gets if others else ""


def _demand(item: LimitRangeItem, name: str) -> str:
    """Return LimitRanger's message for a pod that lacks a name which the item limits."""
    if name in (item.max or {}):
        return f"maximum {name} usage per {item.type} is {shown((item.max or {})[name])}.  No limit is specified"
    if name in (item.min or {}):
        return f"minimum {name} usage per {item.type} is {shown((item.min or {})[name])}.  No request is specified"
    if name in (ratios := item.max_limit_request_ratio or {}):
        return (
            f"{name} max limit to request ratio per {item.type} is {shown(ratios[name])}, but no request is specified or "
            "request is 0"
        )
    return ""


def _least(item: LimitRangeItem, name: str) -> bool:
    """Whether an item requires more than 0, so that a default of 0 does not satisfy it."""
    return whole((item.min or {}).get(name)) != 0 or name in (item.max_limit_request_ratio or {})


def _observed(one: LimitRange, item: LimitRangeItem, name: str, policy: Policy, given: set[str]) -> str:
    amounts: dict[str, _Amounts] = msgspec.to_builtins(item)
    fields = [field for field in amounts if field != "type" and name in (amounts[field] or {})]
    pods = f"pods of policy {policy.name} have {listed(given)}" if given else f"policy {policy.name} permits no GPU"
    return f"LimitRange {one.metadata.name} (type {item.type}) sets {', '.join(fields)} for {name}, and {pods}"


def _fix(item: LimitRangeItem, name: str, given: set[str]) -> str:
    quotas = listed(f"requests.{resource}" for resource in given or {name})
    fix = f"remove {name} from it and limit GPUs by a ResourceQuota on {quotas}"
    return fix if _least(item, name) else f'{fix}, or set its Container default for {name} to "0"'


def listed(names: Iterable[str]) -> str:
    """Return names in order, for a sentence."""
    return ", ".join(sorted(names))
