"""Checks of DRA: DeviceClasses with a resource name, the templates that policies make claims of, and quotas on claims."""

from collections.abc import Iterable, Iterator, Sequence

from ...engine.device_classes import IMPLICIT
from ...engine.fleet.node_shapes import GpuNode
from ...engine.policy import ClaimForm, Policy
from ...engine.quantity import exact
from ...engine.resources import GpuResource, classify
from ...engine.rules.plain_claims import otherwise
from ..configuration import Configuration
from ..quotas import Quota
from .facts import ALL_NODES, Facts, Unread, known
from .neighbours import DeviceClass
from .policies import enforced, policy_of
from .results import CheckOutcome, Findings, fail, listed, warn

_COUNT = "count/resourceclaims.resource.k8s.io"
_DRIVER = "gpu.nvidia.com"
# After the name of a class (pkg/quota/v1/evaluator/core/resource_claims.go).
_DEVICES = ".deviceclass.resource.k8s.io/devices"


def names(facts: Facts) -> Findings:
    """Classes that hand out GPUs count as such; a resource name belongs to one, and a node offers it in one way."""
    every = known(facts.neighbours.device_classes)
    if every:
        yield from _unnoticed(facts, every)
    classes = [one for one in every if one.spec.extended_resource_name]
    if not classes:
        return "no DeviceClass has a resource name"
    yield from _unknown(facts.usable_configuration(), classes)
    yield from _twice(classes)
    yield from _both_ways(facts, classes)
    return (
        f"each resource name belongs to one of {len(classes)} DeviceClasses, and no device plugin offers the same name"
    )


def _of_name(one: DeviceClass) -> str:
    return one.spec.extended_resource_name or ""


def _unnoticed(facts: Facts, classes: Iterable[DeviceClass]) -> Iterator[CheckOutcome]:
    """Classes that are known to be something else by their names, and that admit GPUs all the same."""
    configuration = facts.usable_configuration()
    if _DRIVER not in known(facts.neighbours.devices_on):
        return
    for one in classes:
        name, is_open = one.metadata.name, not one.expressions
        is_other = not configuration.classes.provides_gpus(name)
        excepted = configuration.names.configured(f"{IMPLICIT}{name}")
        if is_other and one.selects(_DRIVER) and (is_open or not excepted):
            yield warn(
                f"DeviceClass {name} does not count as a GPU, but "
                + ("has no selectors, so it admits GPUs" if is_open else f"its selectors name driver {_DRIVER}"),
                "pods get GPUs by claims for this class in every namespace, even under the policy none",
                f"add a selector for its own driver, such as device.driver == 'dra.net', or set the form of {name} in "
                "claims.deviceClasses of the configuration and of the chart's values",
            )


def _unknown(configuration: Configuration, classes: Sequence[DeviceClass]) -> Iterator[CheckOutcome]:
    """Classes for GPUs whose resource names are not evaluated, or denied because their form is not known."""
    configuration = configuration.with_classes({one.metadata.name: _of_name(one) for one in classes})
    gpus, names = configuration.classes, configuration.names
    for one in classes:
        name, its = one.metadata.name, _of_name(one)
        known_name = isinstance(classify(its), GpuResource) or names.is_gpu(its) or names.configured(its)
        if name in names.classes(its) and gpus.form(name, None) is None:
            yield warn(
                f"DeviceClass {name} counts as a GPU by its extendedResourceName {its}, and its form is not known",
                f"pods that request {its} are denied, except under the policy any",
                f"set the form of {name} in claims.deviceClasses of the configuration, or, if it is not a GPU, add {its} to "
                "resources.notGPUs",
            )
        elif gpus.provides_gpus(name) and not known_name:
            yield warn(
                f"DeviceClass {name} counts as a GPU, and its extendedResourceName {its} does not",
                f"pods that request {its} get its devices in every namespace, even under the policy none",
                f"add {its} to resources.gpus in the configuration, or to resources.notGPUs if it is not a GPU",
            )


def _twice(classes: Iterable[DeviceClass]) -> Iterator[CheckOutcome]:
    """Warn of two classes with one name: the newer is used, or else the first by name (DeviceClassSpec, KEP-5004)."""
    by_name: dict[str, list[DeviceClass]] = {}
    for one in sorted(classes, key=lambda one: one.metadata.name):
        by_name.setdefault(_of_name(one), []).append(one)
    for name, its in sorted(by_name.items()):
        if len(its) > 1:
            used = max(its, key=lambda one: one.metadata.creation_timestamp).metadata.name
            others = [one.metadata.name for one in its if one.metadata.name != used]
            yield warn(
                f"DeviceClasses {listed(one.metadata.name for one in its)} have one extendedResourceName, {name}",
                f"pods that request it get devices of {used}, the newest; never of {listed(others)}",
                f"remove extendedResourceName from {listed(others)}, or give each class a name of its own, and restart "
                f"kube-scheduler: until then, pods that request {name} can stay Pending, and pods can still get devices of a "
                "class by its former name (kubernetes/kubernetes#141103)",
            )


def _both_ways(facts: Facts, classes: Iterable[DeviceClass]) -> Iterator[CheckOutcome]:
    """Nodes where the device plugin and a DRA driver hand out the same name: neither knows what the other handed out."""
    devices_on = known(facts.neighbours.devices_on)
    nodes = known(facts.nodes)
    for one in sorted(classes, key=lambda one: (_of_name(one), one.metadata.name)):
        drivers = {driver: where for driver, where in devices_on.items() if one.selects(driver)}
        having = frozenset().union(*drivers.values())
        both = [node.name for node in nodes if _allocatable(node, _of_name(one)) and {node.name, ALL_NODES} & having]
        if both:
            yield warn(
                f"node {listed(both)} offers {_of_name(one)} by a device plugin and by DeviceClass {one.metadata.name} "
                f"({listed(drivers)})",
                "a GPU there can be handed out twice: requests by name get it from the device plugin, claims from the driver",
                "remove the device plugin or the DRA driver from these nodes",
            )


def _allocatable(node: GpuNode, name: str) -> bool:
    """Whether a device plugin offers a resource on a node. DRA does not change a node's allocatable resources."""
    return any(allocatable > 0 for resource, _, allocatable in node.shape.amounts if resource == name)


def templates(facts: Facts) -> Findings:
    """The template and the DeviceClass of every policy that turns requests into claims exist."""
    used = [pair for pair in enforced(facts).values() if pair[0].claim_forms]
    if not used:
        return "no policy in use lists a claim"
    policies = listed(policy.name for policy, _ in used)
    if isinstance(facts.neighbours.claim_templates, Unread) and facts.neighbours.claim_templates.absent:
        yield fail(
            f"{facts.neighbours.claim_templates.detail}, and policy {policies} lists claims",
            "requests that become claims get no GPU there",
            "use these policies on Kubernetes 1.34 or later, or list forms by name",
        )
        return ""
    yield from _without_class(facts, used)
    yield from _without_template(facts, used)
    return f"the templates of policy {policies} are in their namespaces"


def _without_class(facts: Facts, used: Iterable[tuple[Policy, list[str]]]) -> Iterator[CheckOutcome]:
    there = {one.metadata.name for one in known(facts.neighbours.device_classes)}
    for policy, _ in used:
        if missing := {form.device_class for form in policy.claim_forms} - there:
            yield warn(
                f'policy "{policy.name}" lists claims of DeviceClass {listed(missing)}, which does not exist',
                "pods with such a claim stay Pending",
                "install the DRA driver that has it, create it, or correct deviceClass in the configuration",
            )


def _without_template(facts: Facts, used: Iterable[tuple[Policy, list[str]]]) -> Iterator[CheckOutcome]:
    found = known(facts.neighbours.claim_templates)
    for policy, namespaces in used:
        form = policy.plain_claim
        if form is None:
            continue  # nothing becomes a claim: pods that name a template are decided by it
        absent = [name for name in namespaces if (name, form.template) not in found]
        impact = "pods that request nvidia.com/gpu there are denied"
        if absent:
            yield warn(
                f'there is no ResourceClaimTemplate {form.template} in namespace {listed(absent)} with policy "{policy.name}"',
                f"{impact} (claim-not-found)",
                f"create it there, with a request for DeviceClass {form.device_class}",
            )
        for name in namespaces:
            if (name, form.template) in found and (what := _wrong(facts, name, form)):
                yield warn(
                    f'ResourceClaimTemplate {name}/{form.template} {what}, and policy "{policy.name}" names '
                    f"DeviceClass {form.device_class}",
                    f"{impact} (claim-not-permitted)",
                    "delete the template and create it again with that class: its spec can't be changed",
                )


def _wrong(facts: Facts, namespace: str, form: ClaimForm) -> str:
    template = known(facts.neighbours.claim_templates)[namespace, form.template]
    return "can't be read" if template is None else otherwise(template, form)


def quotas(facts: Facts) -> Findings:
    """No quota on claims of GPUs is used up: a claim is charged after its pod was created, which then stays Pending."""
    configuration = facts.usable_configuration()
    known(facts.namespaces)
    for quota in known(facts.quotas):
        yield from _used_up(facts, configuration, quota)
    return "no quota on claims of GPUs is used up"


def _used_up(facts: Facts, configuration: Configuration, quota: Quota) -> Iterator[CheckOutcome]:
    namespace = quota.metadata.namespace
    policy = policy_of(facts, namespace)
    used, hard = quota.status.used or {}, quota.status.hard or {}
    for key in sorted(hard):
        if not _limits_claims(key, configuration, policy):
            continue
        most, now = exact(hard[key]), exact(used.get(key, 0))
        if most is not None and now is not None and now >= most and (most or _lists(policy, key)):
            yield warn(
                f"ResourceQuota {quota.metadata.name} in namespace {namespace} is used up: {key}: {used.get(key, 0)} of "
                f"{hard[key]}",
                'more pods with such claims are created and stay Pending ("exceeded quota" in their events)',
                "raise the quota, or delete pods or ResourceClaims that are not needed",
            )


def _lists(policy: Policy, key: str) -> bool:
    """Whether a policy lists claims that a key counts, so that a quota of 0 is a mistake."""
    return key in {_COUNT, *(f"{form.device_class}{_DEVICES}" for form in policy.claim_forms)}


def _limits_claims(key: str, configuration: Configuration, policy: Policy) -> bool:
    """Whether a key counts claims of GPUs; one that counts all claims does if the policy permits claims."""
    if key == _COUNT:
        return bool(policy.claim_forms)
    return key.endswith(_DEVICES) and configuration.classes.provides_gpus(key.removesuffix(_DEVICES))
