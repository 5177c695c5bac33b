"""The check of DRA: whether a whole GPU by name may be a device that several pods get."""

from collections.abc import Collection

from ...engine.spelling import spell
from .facts import Facts, known
from .neighbours import DeviceClass
from .policies import enforced
from .results import Findings, listed, warn

_FIELD = "allowMultipleAllocations"


def shared_devices(facts: Facts) -> Findings:
    """No DeviceClass gives one device to several pods (KEP-5075) if a policy promises a GPU or slice that is not shared."""
    drivers = known(facts.neighbours.shared_by)
    classes = [one for one in known(facts.neighbours.device_classes) if _may_be_shared(one, drivers)]
    if not classes:
        return "no DeviceClass for a resource name gives one device to several pods"
    configuration = facts.usable_configuration()
    promised: dict[str, set[str]] = {}
    for policy, _ in enforced(facts).values():
        for form in policy.forms:
            if not form.shared:
                promised.setdefault(spell(form, configuration.plugin).resource, set()).add(policy.name)
    for one in classes:
        name = one.spec.extended_resource_name or ""
        if policies := promised.get(name):
            yield warn(
                f"DeviceClass {one.metadata.name} offers {name}, and devices of {listed(drivers)} have {_FIELD}: true",
                f"pods of policy {listed(policies)} may share their GPU with others, without isolation",
                f"let the class select devices without it (device.{_FIELD} == false), or give shared ones another "
                "extendedResourceName, such as nvidia.com/gpu.shared",
            )
    return "no policy promises a whole GPU that a DeviceClass gives to several pods"


def _may_be_shared(one: DeviceClass, drivers: Collection[str]) -> bool:
    """Whether a class selects devices of a driver that has shared ones, and its selectors do not test for that."""
    if not one.spec.extended_resource_name or any(_FIELD in each for each in one.expressions):
        return False
    return any(one.selects(driver) for driver in drivers)
