"""LimitRanges in a namespace with a policy: which of its pods they deny, and what they add to others.

Mirrors plugin/pkg/admission/limitranger/admission.go and pkg/apis/core/v1/defaults.go SetDefaults_LimitRangeItem.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from webhook.engine.decision import decide
from webhook.engine.pods import Container, Pod, PodSpec, Resources
from webhook.engine.policy import Policy
from webhook.engine.quantity import Quantity, shown, whole
from webhook.engine.resources import GpuResource, classify
from webhook.engine.spelling import DevicePlugin, spell

_Amounts = dict[str, Quantity] | None
_SHOWN = 3


class Metadata(msgspec.Struct):
    """An object's metadata."""

    name: str = ""
    namespace: str = ""


class Item(msgspec.Struct, rename="camel"):
    """One of a LimitRange's ``limits``."""

    type: str = ""
    max: _Amounts = None
    min: _Amounts = None
    default: _Amounts = None
    default_request: _Amounts = None

    @property
    def adds(self) -> dict[str, Quantity]:
        """The limits that containers get; the API server has set them already, and requests with them."""
        return {**(self.max or {}), **(self.default or {})} if self.type == "Container" else {}

    @property
    def requests(self) -> dict[str, Quantity]:
        """The requests that containers get."""
        return {**(self.min or {}), **self.adds, **(self.default_request or {})} if self.type == "Container" else {}


class Spec(msgspec.Struct):
    """The spec of a LimitRange."""

    limits: list[Item] | None = None


class LimitRange(msgspec.Struct):
    """A LimitRange."""

    metadata: Metadata
    spec: Spec = msgspec.field(default_factory=Spec)

    @property
    def items(self) -> list[Item]:
        """Its items of type Container and Pod, the only ones that concern pods."""
        return [item for item in self.spec.limits or () if item.type in {"Container", "Pod"}]


class Effect(msgspec.Struct, frozen=True):
    """What an item of a LimitRange does to the pods of its namespace.

    Attributes:
        seen: the LimitRange, the item and the resource.
        means: what becomes of pods.
        fix: what to do.
    """

    seen: str
    means: str
    fix: str


def effects(ranges: Sequence[LimitRange], policy: Policy, plugin: DevicePlugin) -> list[Effect]:
    """What the LimitRanges of one namespace do under its policy, where that is not what anybody wants.

    Args:
        ranges: all LimitRanges of the namespace.
        policy: its enforce policy; under ``any``, LimitRanges do what they do without gpuwarden.
        plugin: the device plugin's settings.
    """
    if policy.permits_any:
        return []
    given = {spell(form, plugin).resource for form in policy.forms}
    # Where a container's default is 0, no container lacks the name.
    named = {name for one in ranges for item in one.items for name, count in item.adds.items() if whole(count) == 0}
    return [
        Effect(_seen(one, item, name, policy, given), means, _fix(item, name, given))
        for one in ranges
        for item in one.items
        for name in _names(item)
        if (means := _means(item, name, policy, given, plugin, named))
    ]


def warnings(subject: str, found: Sequence[Effect]) -> Iterator[str]:
    """Effects as warnings, the first few; ``subject`` is the namespace."""
    for effect in found[:_SHOWN]:
        yield f"{subject}: {effect.seen}: {effect.means}; {effect.fix}"
    if len(found) > _SHOWN:
        yield f"{subject}: {len(found) - _SHOWN} more of its LimitRanges' limits; gpuwarden doctor reports all"


def _names(item: Item) -> list[str]:
    """The GPU resources that an item names."""
    every = {**item.requests, **(item.max or {}), **(item.min or {})}
    return sorted(name for name in every if isinstance(classify(name), GpuResource))


def _means(  # noqa: PLR0913, PLR0917 - what it depends on
    item: Item, name: str, policy: Policy, given: set[str], plugin: DevicePlugin, named: set[str]
) -> str:
    """What an item does to pods by one name; empty where that is nothing, or what its author wants."""
    others = given - {name}
    container = item.type == "Container"
    added, requested = item.adds.get(name), item.requests.get(name)
    if name in named and not _least(item, name):
        return ""
    if others and (text := _demand(item, name)):
        return f'pods with {_listed(others)} are denied: "{text}"'
    if not container or (added is None and requested is None):
        return ""
    if added is None:
        return f"a container that does not name {name} gets it in requests alone, and Kubernetes denies its pod"
    gets = f"a container without a GPU request gets {name}: {shown(added)}, sidecars and init containers too"
    resources = Resources({name: added}, {name: requested})
    pod = Pod(spec=PodSpec(containers=[Container("default", resources=resources)]))
    if denials := decide(pod, policy, plugin, guarded=False).denials:
        return f"{gets}, and is denied ({denials[0].rule.value})"
    return gets if others else ""


def _demand(item: Item, name: str) -> str:
    """What LimitRanger says of a pod that lacks a name which the item limits."""
    if name in (item.max or {}):
        return f"maximum {name} usage per {item.type} is {shown((item.max or {})[name])}.  No limit is specified"
    if name in (item.min or {}):
        return f"minimum {name} usage per {item.type} is {shown((item.min or {})[name])}.  No request is specified"
    return ""


def _least(item: Item, name: str) -> bool:
    return whole((item.min or {}).get(name)) != 0


def _seen(one: LimitRange, item: Item, name: str, policy: Policy, given: set[str]) -> str:
    fields = [
        field
        for field, amounts in (
            ("max", item.max),
            ("min", item.min),
            ("default", item.default),
            ("defaultRequest", item.default_request),
        )
        if name in (amounts or {})
    ]
    pods = f"pods of policy {policy.name} have {_listed(given)}" if given else f"policy {policy.name} permits no GPU"
    return f"LimitRange {one.metadata.name} (type {item.type}) sets {', '.join(fields)} for {name}, and {pods}"


def _fix(item: Item, name: str, given: set[str]) -> str:
    quotas = _listed(f"requests.{resource}" for resource in given or {name})
    fix = f"remove {name} from it and limit GPUs by a ResourceQuota on {quotas}"
    return fix if _least(item, name) else f'{fix}, or set its Container default for {name} to "0"'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
