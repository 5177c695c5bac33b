"""Devices of ResourceSlices: which a DeviceClass admits, and how they are counted."""

import pytest

from webhook.engine.device_classes import Attributes, admits
from webhook.engine.fleet.devices import Device, Devices, NamedClass
from webhook.engine.fleet.usage import Share
from webhook.engine.forms import Form, Sharing

A_SLICE: Attributes = {
    "driver": "gpu.nvidia.com",
    "allowMultipleAllocations": False,
    "gpu.nvidia.com/type": "mig",
    "gpu.nvidia.com/profile": "1g.10gb",
    "gpu.nvidia.com/index": 1,
    "gpu.nvidia.com/ecc": True,
}
OF = "device.attributes['gpu.nvidia.com']"


@pytest.mark.parametrize(
    ("selectors", "admitted"),
    [
        ([], True),
        (["device.driver == 'gpu.nvidia.com'"], True),
        (['device.driver == "gpu.nvidia.com"', f"{OF}.type == 'mig'"], True),
        ([f"device.driver == 'gpu.nvidia.com' && {OF}.profile == '1g.10gb'"], True),
        ([f"{OF}.index == 1 && {OF}.ecc == true && device.allowMultipleAllocations == false"], True),
        (["device.driver == 'other'"], False),
        ([f"{OF}.type == 'gpu'"], False),
        ([f"{OF}.type == 'mig'", "device.driver == 'other'"], False),
        ([f"{OF}.none == 'x'"], False),
        (["device.attributes['other.example'].type == 'mig'"], False),
        ([f"{OF}.ecc == 1"], False),
        ([f"{OF}.index == true"], False),
        ([f"{OF}.index == one"], False),
        ([f"{OF}.type != 'gpu'"], None),
        ([f"{OF}.type == 'gpu' || true"], None),
        (["device.driver == 'other'", "true"], None),
    ],
)
def test_selectors_of_equalities_are_read(selectors: list[str], *, admitted: bool | None) -> None:
    assert admits(selectors, A_SLICE) is admitted


def a_device(name: str, node: str = "n", **consumed: int) -> Device:
    consumes = {("d", "p", "set", counter): amount for counter, amount in consumed.items()}
    return Device(("d", "p", name), {"driver": "d"}, node, consumes)


def test_each_device_is_in_use_free_or_blocked() -> None:
    devices = [a_device("a"), a_device("b"), a_device("c"), a_device("d", "away"), a_device("e", "m")]
    classes = [NamedClass("x", "nvidia.com/gpu.shared"), NamedClass("fpga", "example.com/fpga")]
    ((use, note),) = Devices(classes, devices, allocated={("d", "p", "a")}, unavailable={"away"}).uses()
    assert (use.form, use.resource, use.nodes) == (Form(sharing=Sharing.ANY), "nvidia.com/gpu.shared", 3)
    assert use.share == Share(5, 1, 3, 1, most=2)
    assert note == "nvidia.com/gpu.shared: 5 of them are devices of DeviceClass x (DRA)"


def test_what_is_allocated_leaves_less_of_a_gpu_to_the_others() -> None:
    devices = [a_device("a", memory=20), a_device("b", memory=30), a_device("c", memory=20), a_device("d", other=1)]
    everything = Devices(
        [NamedClass("x", "nvidia.com/mig-1g.5gb")], devices, {("d", "p", "set", "memory"): 40}, {("d", "p", "a")}
    )
    ((use, note),) = everything.uses()
    assert (use.form, use.share) == (Form("1g.5gb"), Share(4, 1, 1, 2, most=1))
    assert note.endswith("They overlap, so not all of them can be allocated at once")


def test_selectors_that_can_not_be_read_count_nothing() -> None:
    ((use, note),) = Devices([NamedClass("x", "nvidia.com/gpu", ("true",))], [a_device("a")]).uses()
    assert (use.nodes, use.share) == (0, Share())
    assert "can't be read here" in note
