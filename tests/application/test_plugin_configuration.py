"""The device plugin's configuration: what is right stays unsaid, and each thing that the plugin ignores or rejects is found."""

from typing import Any

import pytest

from webhook.application.plugin_configuration import faults, is_plugin_configuration
from webhook.engine.spelling import DevicePlugin

GPU = "nvidia.com/gpu"
RENAMED, KEPT = DevicePlugin(rename_by_default=True), DevicePlugin(rename_by_default=False)


def slicing(*resources: dict[str, Any], strategy: str = "timeSlicing", **fields: Any) -> dict[str, Any]:
    section = {
        "renameByDefault": True,
        "failRequestsGreaterThanOne": True,
        "resources": list(resources) or [{"name": GPU, "replicas": 4}],
    }
    return {"version": "v1", "sharing": {strategy: {**section, **fields}}}


@pytest.mark.parametrize(
    "data",
    [
        {"version": "v1"},
        {"version": "v1", "flags": {"migStrategy": "mixed", "plugin": {"passDeviceSpecs": True}}, "resources": None},
        {"version": "v1", "sharing": None},
        slicing(),
        slicing({"name": "gpu", "replicas": 2}, {"name": "nvidia.com/mig-1g.5gb", "replicas": 2}),
        slicing({"name": GPU, "replicas": 2, "rename": f"{GPU}.shared", "devices": "all"}),
        slicing(strategy="mps", failRequestsGreaterThanOne=None),
        {**slicing(strategy="mps"), "flags": {"migStrategy": "mixed"}},
        {**slicing(), "flags": {"migStrategy": "single"}},
    ],
)
def test_nothing_is_said_of_what_is_right(data: dict[str, Any]) -> None:
    assert faults(data, RENAMED) == []


@pytest.mark.parametrize(
    ("data", "field", "says", "rejected"),
    [
        ({"version": "v2", "flags": {}}, "version", "unknown version", True),
        ({"version": "v1", "flags": {"migStrategy": "mix"}}, "flags.migStrategy", "only none, single and mixed", False),
        ({**slicing(), "resources": {"gpus": [{"pattern": "*", "name": "x"}]}}, "resources", "ignores", False),
        ({**slicing(), "renameByDefault": True}, "renameByDefault", "sharing.timeSlicing.renameByDefault", False),
        ({**slicing(), "flags": {"renameByDefault": True}}, "flags.renameByDefault", "ignores", False),
        (
            {**slicing(), "flags": {"plugin": {"failRequestsGreaterThanOne": True}}},
            "flags.plugin.failRequestsGreaterThanOne",
            "ignores",
            False,
        ),
        (
            slicing({"name": GPU, "replicas": 2, "renameByDefault": True}, strategy="mps"),
            "sharing.mps.resources[0].renameByDefault",
            "move it to sharing.mps.renameByDefault",
            False,
        ),
        (
            {"sharing": {**slicing()["sharing"], "renameByDefault": True}},
            "sharing.renameByDefault",
            "no effect",
            False,
        ),
        ({"sharing": {"timeSlicing": []}}, "sharing.timeSlicing", "not a map", True),
        (
            {"sharing": {**slicing()["sharing"], **slicing(strategy="mps")["sharing"]}},
            "sharing",
            "shares by MPS and ignores timeSlicing",
            False,
        ),
        (
            {**slicing(strategy="mps"), "flags": {"migStrategy": "single"}},
            "sharing.mps",
            "does not share MIG slices by MPS",
            False,
        ),
        (
            slicing({"name": "mig-1g.5gb", "replicas": 2}, strategy="mps"),
            "sharing.mps.resources[0]",
            "sharing using MPS is not supported for MIG devices",
            True,
        ),
        (slicing(renameByDefault="yes"), "sharing.timeSlicing.renameByDefault", "boolean", True),
        (slicing(renameByDefault=False), "sharing.timeSlicing.renameByDefault", "is false; gpuwarden's", False),
        (
            slicing(failRequestsGreaterThanOne=None),
            "sharing.timeSlicing.failRequestsGreaterThanOne",
            "is not set, so it is false",
            False,
        ),
        (slicing(resources=[]), "sharing.timeSlicing.resources", "no resources specified", True),
        (slicing({"replicas": 2}), "sharing.timeSlicing.resources[0].name", "no resource name specified", True),
        (slicing({"name": GPU}), "sharing.timeSlicing.resources[0].replicas", "no replicas specified", True),
        (
            slicing({"name": GPU, "replicas": 4}, {"name": "nvidia.com/mig-1g.5gb", "replicas": 1}),
            "sharing.timeSlicing.resources[1].replicas",
            "number of replicas must be >= 2",
            True,
        ),
        (
            slicing({"name": GPU, "replicas": "4"}),
            "sharing.timeSlicing.resources[0].replicas",
            "write 2 or more, without quotes",
            True,
        ),
        (
            slicing({"name": GPU, "replicas": 2, "rename": "nvidia.com/slot"}),
            "sharing.timeSlicing.resources[0].rename",
            "ignores",
            False,
        ),
        (
            slicing({"name": GPU, "replicas": 2, "devices": ["0"]}),
            "sharing.timeSlicing.resources[0].devices",
            "shares all",
            False,
        ),
    ],
)
def test_each_fault_is_found_alone(data: dict[str, Any], field: str, says: str, *, rejected: bool) -> None:
    (fault,) = faults(data, RENAMED)
    assert (fault.field, fault.rejected) == (field, rejected)
    assert says in str(fault)


def test_the_name_is_compared_only_where_gpuwardens_is_known() -> None:
    without = slicing()
    del without["sharing"]["timeSlicing"]["renameByDefault"]
    assert [fault.field for fault in faults(without, RENAMED)] == ["sharing.timeSlicing.renameByDefault"]
    assert "is not set, so it is false" in str(faults(without, RENAMED)[0])
    assert faults(without, KEPT) == faults(without) == []


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (slicing(), True),
        ({"version": "v1", "flags": {"migStrategy": "none"}}, True),
        ({"flags": {"renameByDefault": True}, "sharing": {"mps": None}}, True),
        ({"apiVersion": "v1", "kind": "ConfigMap", "sharing": {"mps": {}}}, False),
        ({"version": "v1", "mig-configs": {"all-disabled": []}}, False),
        ({"sharing": {"enabled": True}}, False),
        ({"version": "v1"}, False),
        ("sharing", False),
        (None, False),
    ],
)
def test_what_is_one(data: object, *, is_one: bool) -> None:
    assert is_plugin_configuration(data) is is_one
