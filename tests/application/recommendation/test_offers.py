"""Offers: what nodes have below a whole GPU."""

import pytest

from tests.application.recommendation.cases import A100, form, node
from webhook.application.recommendation.model_names import model_of
from webhook.application.recommendation.offers import Offers, SharedForm, Slice, offered_by_classes, offers
from webhook.application.recommendation.slice_shares import share_of, slices_of
from webhook.engine.fleet.devices import Device, Devices, NamedClass
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.spelling import DevicePlugin, MigStrategy

PLUGIN = DevicePlugin()
SINGLE = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(f"NVIDIA-{A100}",))
SAME_NAME = DevicePlugin(rename_by_default=False)


def best(found: Offers, model: str, *, bursty: bool, gke: bool) -> SharedForm | None:
    """The form of sharing that suits best."""
    return next(iter(found.for_model(model).shares(bursty=bursty, gke=gke)), None)


def test_without_nodes_nothing_is_known_but_what_is_expected() -> None:
    assert not offers(None, (), PLUGIN).is_known
    assert offers({}, (), PLUGIN).is_known
    found = offers(None, [form("mig-1g.10gb"), form("shared"), form("mig-1g.10gb-shared"), form("gke-mps-3")], PLUGIN)
    assert found.slices == (Slice(form("mig-1g.10gb"), 16 / 132, 9728),)
    assert {(str(one.form), one.clients) for one in found.shared} == {("shared", 0), ("gke-mps-3", 3)}


def test_slices_have_the_memory_that_nodes_say_else_what_is_measured() -> None:
    mixed = {"nvidia.com/mig-1g.10gb": "7", "nvidia.com/mig-3g.40gb": "1"}
    shape = shape_of(
        {"nvidia.com/gpu.product": f"NVIDIA-{A100}", "nvidia.com/mig-1g.10gb.memory": "9900"}, mixed, mixed
    )
    assert shape
    found = {str(one.form): one for one in offers({shape: 1}, (), PLUGIN).slices}
    assert (found["mig-1g.10gb"].memory, found["mig-1g.10gb"].share) == (9900, 14 / 108)
    assert (found["mig-3g.40gb"].memory, found["mig-3g.40gb"].model) == (40_192, A100)


def test_under_strategy_single_the_gpus_memory_is_the_slices() -> None:
    labels = {"nvidia.com/gpu.product": f"NVIDIA-{A100}-MIG-1g.10gb", "nvidia.com/gpu.memory": "9856"}
    shape = shape_of(labels, {"nvidia.com/gpu": "7"}, {"nvidia.com/gpu": "7"})
    assert shape
    found = offers({shape: 1}, (), SINGLE)
    (one,) = found.slices
    assert (str(one.form), one.memory) == ("mig-1g.10gb", 9856)
    assert (found.memory, found.mismatched) == ({}, frozenset())


def test_forms_of_device_classes_are_offered_with_the_models_of_their_devices() -> None:
    def device(number: int, model: str, kind: str) -> Device:
        names = {"gpu.nvidia.com/productName": model, "gpu.nvidia.com/type": kind}
        return Device(("gpu.nvidia.com", "node", f"gpu-{number}"), names)

    def selects(kind: str) -> tuple[str]:
        return (f"device.attributes['gpu.nvidia.com'].type == '{kind}'",)

    devices = Devices(
        [
            NamedClass("small", "nvidia.com/mig-1g.10gb", selects("mig")),
            NamedClass("shared", "nvidia.com/gpu.shared", selects("gpu")),
            NamedClass("middle", "nvidia.com/mig-2g.20gb", ("device.attributes['gpu.nvidia.com'].memory > 1",)),
            NamedClass("other", "example.com/accelerator"),
        ],
        [device(0, "NVIDIA A100-SXM4-80GB", "mig"), device(1, "NVIDIA L4", "gpu")],
    )
    of_classes = offered_by_classes(devices, PLUGIN)
    assert of_classes == {(form("mig-1g.10gb"), A100), (form("shared"), "L4")}
    found = offers({}, [form("mig-1g.10gb")], PLUGIN, (), of_classes)
    assert found.slices == (Slice(form("mig-1g.10gb"), 14 / 108, 9728, A100),)
    assert found.shared == (SharedForm(form("shared"), 0, 0, "L4"),)
    shape = shape_of({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}, {"nvidia.com/mig-1g.10gb": "7"}, {})
    assert shape
    both = offers({shape: 1}, (), PLUGIN, (), of_classes)
    assert [(one.share, one.model) for one in both.slices] == [(16 / 132, "H100-80GB-HBM3"), (14 / 108, A100)]
    assert both.models_of("mig-1g.10gb") == {A100, "H100-80GB-HBM3"}
    # Under strategy single, policies select slices by node labels.
    assert offered_by_classes(devices, SINGLE) == {(form("shared"), "L4")}


@pytest.mark.parametrize(
    ("resource", "labels", "plugin", "fitting_plugin", "mismatched"),
    [
        ("gpu", {"gpu.product": f"NVIDIA-{A100}-MIG-1g.10gb"}, PLUGIN, SINGLE, "mig-1g.10gb"),
        ("mig-1g.10gb", {"gpu.product": f"NVIDIA-{A100}"}, SINGLE, PLUGIN, "mig-1g.10gb"),
        ("gpu", {"gpu.product": "NVIDIA-H200-MIG-1g.18gb"}, SINGLE, None, "mig-1g.18gb"),  # not in products
        ("gpu", {"gpu.sharing-strategy": "mps"}, PLUGIN, SAME_NAME, "mps"),
        ("gpu.shared", {"gpu.sharing-strategy": "mps"}, SAME_NAME, PLUGIN, "mps"),
    ],
)
def test_nodes_do_not_offer_a_form_whose_pods_would_not_run_there(
    resource: str, labels: dict[str, str], plugin: DevicePlugin, fitting_plugin: DevicePlugin | None, mismatched: str
) -> None:
    amounts = {f"nvidia.com/{resource}": "7"}
    shape = shape_of({f"nvidia.com/{name}": value for name, value in labels.items()}, amounts, amounts)
    assert shape
    found = offers({shape: 1}, (), plugin)
    assert (found.slices, found.shared, found.mismatched) == ((), (), frozenset({mismatched}))
    assert found.lacks(mismatched)
    expected = offers({shape: 1}, [form(mismatched)], plugin)  # an autoscaler adds others
    assert expected.slices or expected.shared
    assert not expected.lacks(mismatched)
    if fitting_plugin:
        there = offers({shape: 1}, (), fitting_plugin)
        assert {str(one.form) for one in there.slices} | {str(one.form) for one in there.shared} == {mismatched}
        assert not there.mismatched


def test_nodes_that_take_no_pods_offer_nothing() -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/mig-1g.10gb.multiprocessors": "18"}

    def shape(*resources: str, ready: bool = True, cordoned: bool = False) -> Shape:
        amounts = {f"nvidia.com/{one}": "1" for one in resources}
        found = shape_of(labels, amounts, amounts, ready=ready, cordoned=cordoned)
        assert found
        return found

    cordoned = shape("mig-1g.10gb", "mig-4g.40gb", "gpu.shared", cordoned=True)
    found = offers({cordoned: 1, shape("mig-3g.40gb", ready=False): 1, shape("mig-1g.10gb"): 1}, (), PLUGIN)
    assert [str(one.form) for one in found.every] == ["mig-1g.10gb"]
    assert found.unavailable == {"mig-3g.40gb", "mig-4g.40gb", "shared"}
    # An autoscaler may add others; and what their slices are is known all the same.
    assert offers({cordoned: 1}, [form("mig-1g.10gb")], PLUGIN).unavailable == {"mig-4g.40gb", "shared"}
    assert offers({cordoned: 1}, (), PLUGIN).share_of("1g.10gb", "H100-80GB-HBM3") == 18 / 132


def test_a_slice_of_unknown_memory_fits_nothing() -> None:
    amounts = {"nvidia.com/mig-1g.23gb": "7"}
    shape = shape_of({"nvidia.com/gpu.product": "NVIDIA-B200"}, amounts, amounts)
    assert shape
    found = offers({shape: 1}, (), PLUGIN)
    assert found.slices[0].memory is None
    assert list(found.for_model("B200").fitting(0.01, 1)) == []


def test_one_name_on_two_models_has_what_it_has_on_each() -> None:
    amounts = {"nvidia.com/mig-1g.24gb": "4"}
    shapes = {}
    for product in ("NVIDIA-H100-NVL", "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "unknown"):
        shape = shape_of({"nvidia.com/gpu.product": product} if product != "unknown" else {}, amounts, amounts)
        assert shape
        shapes[shape] = 1
    found = offers(shapes, (), PLUGIN)
    sizes = {one.model: (one.share, one.memory) for one in found.slices}
    assert sizes["H100-NVL"] == (26 / 132, 22_016)
    assert len(sizes) == 3
    assert [one.model for one in found.for_model("H100-NVL").slices] == ["H100-NVL"]


def test_a_form_fits_if_it_fits_on_all_nodes_that_may_be_of_the_model() -> None:
    stated = {"nvidia.com/gpu.product": f"NVIDIA-{A100}", "nvidia.com/mig-1g.10gb.memory": "9800"}
    amounts = {"nvidia.com/mig-1g.10gb": "4"}
    one, other = (shape_of(labels, amounts, amounts) for labels in (stated, {"nvidia.com/mig-1g.10gb.memory": "9000"}))
    assert one
    assert other
    found = offers({one: 1, other: 1}, (), PLUGIN).for_model(A100)
    assert [each.share for each in found.slices] == [14 / 108, 14 / 108]
    assert {str(each.form) for each in found.fitting(0.1, 8900)} == {"mig-1g.10gb"}
    assert list(found.fitting(0.1, 9500)) == []


@pytest.mark.parametrize(
    ("model", "profile", "share"),
    [
        ("H100-80GB-HBM3", "1g.10gb", 16 / 132),
        ("H100-80GB-HBM3", "1g.20gb", 26 / 132),  # the memory of two parts, and more multiprocessors than one
        ("H100-80GB-HBM3", "1g.20gb.me", 26 / 132),
        ("H100-NVL", "1g.12gb", 16 / 132),
        ("H100-NVL", "1g.24gb", 26 / 132),
        ("H200", "1g.35gb", 26 / 132),
        ("GH200-480GB", "1g.12gb", 16 / 132),
        ("GH200-480GB", "1g.24gb", 26 / 132),
        ("GH200-480GB", "3g.48gb", 60 / 132),
        # Not on these.
        ("H100-PCIe", "1g.20gb", 14 / 114),
        ("H100-PCIe", "3g.40gb", 46 / 114),
        (A100, "1g.20gb", 14 / 108),
        ("A100-SXM4-40GB", "1g.10gb", 14 / 108),
        # Models whose multiprocessors are not known have as few as any that is known.
        ("B200", "1g.23gb", 16 / 132),
        ("B200", "3g.90gb", 42 / 108),
        ("X1000", "1g.20gb", 16 / 132),
        ("B200", "7g.180gb", 1),
        # Where a GPU has four slices, they are quarters.
        ("A30", "1g.6gb", 1 / 4),
    ],
)
def test_a_slice_has_the_multiprocessors_of_its_model(model: str, profile: str, share: float) -> None:
    assert share_of(profile, model) == share


def sliced(model: str, profile: str, multiprocessors: str, resource: str = "") -> Shape:
    """A node with slices; with a ``resource``, they are under strategy single."""
    product, stated = (f"{model}-MIG-{profile}", "gpu") if resource else (model, f"mig-{profile}")
    labels = {"nvidia.com/gpu.product": product, f"nvidia.com/{stated}.multiprocessors": multiprocessors}
    amounts = {resource or f"nvidia.com/mig-{profile}": "7"}
    shape = shape_of(labels, amounts, amounts)
    assert shape
    return shape


@pytest.mark.parametrize(
    ("model", "profile", "multiprocessors", "share"),
    [
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb", "18", 18 / 132),  # not the 16 of the table
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb.me", "18", 18 / 132),
        ("NVIDIA-B200", "3g.90gb", "70", 70 / 148),
        ("NVIDIA-A30", "1g.6gb", "13", 13 / 56),
        # What can't be, or can't be compared with the whole GPU.
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb", "0", 16 / 132),
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb", "many", 16 / 132),
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb", "133", 16 / 132),
        ("NVIDIA-X1000", "1g.10gb", "18", 16 / 132),
        # A slice that is a whole GPU has fewer multiprocessors, and is one all the same.
        (f"NVIDIA-{A100}", "7g.80gb", "98", 1.0),
    ],
)
def test_the_multiprocessors_that_nodes_state_win_over_the_table(
    model: str, profile: str, multiprocessors: str, share: float
) -> None:
    single = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(model,))
    for shape, plugin in (
        (sliced(model, profile, multiprocessors), PLUGIN),
        (sliced(model, profile, multiprocessors, "nvidia.com/gpu"), single),
    ):
        found = offers({shape: 1}, (), plugin)
        assert found.slices[0].share == found.share_of(profile, model_of(model)) == share
        assert found.for_model(model_of(model)).slices[0].share == share
        assert found.share_of(profile.replace(".me", "+me"), model_of(model)) == share


def test_the_least_that_nodes_of_a_model_state_counts_and_only_for_that_model() -> None:
    h100, a100 = "NVIDIA-H100-80GB-HBM3", f"NVIDIA-{A100}"
    shapes = (sliced(h100, "1g.10gb", "18"), sliced(h100, "1g.10gb", "17"), sliced(a100, "1g.10gb", ""))
    for order in (shapes, shapes[::-1]):
        found = offers(dict.fromkeys(order, 1), (), PLUGIN)
        for model, share in (("H100-80GB-HBM3", 17 / 132), (A100, 14 / 108)):
            (one,) = found.for_model(model).slices
            assert one.share == found.share_of("1g.10gb", model) == share


def test_the_smallest_that_is_large_enough_comes_first_and_of_the_same_model() -> None:
    amounts = {f"nvidia.com/mig-{profile}": "1" for profile in ("3g.40gb", "1g.10gb", "2g.20gb", "1g.20gb")}
    shape = shape_of({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, amounts, amounts)
    assert shape
    found = offers({shape: 1}, (), PLUGIN)
    assert [str(one.form) for one in found.for_model(A100).fitting(0.1, 9000)] == [
        "mig-1g.10gb", "mig-1g.20gb", "mig-2g.20gb", "mig-3g.40gb",
    ]  # fmt: skip
    assert str(next(found.for_model(A100).fitting(0.1, 10_000)).form) == "mig-1g.20gb"
    assert str(next(found.for_model(A100).fitting(0.2, 10_000)).form) == "mig-2g.20gb"
    assert list(found.for_model("H100-NVL").fitting(0.1, 10)) == []


def test_sharing_is_what_nodes_offer() -> None:
    sliced = node(8, "nvidia.com/gpu.shared")
    found = offers({sliced: 1}, (), PLUGIN)
    assert [(str(one.form), one.clients) for one in found.shared] == [("shared", 0)]
    labels = {"cloud.google.com/gke-accelerator": "nvidia-l4", "cloud.google.com/gke-gpu-sharing-strategy": "mps",
              "cloud.google.com/gke-max-shared-clients-per-gpu": "3"}  # fmt: skip
    gke = shape_of(labels, {"nvidia.com/gpu": "3"}, {"nvidia.com/gpu": "3"})
    assert gke
    both = offers({sliced: 1, gke: 1}, (), PLUGIN)
    for on_gke, name, model in ((True, "gke-mps-3", "L4"), (False, "shared", A100)):
        one = best(both, model, bursty=False, gke=on_gke)
        assert one
        assert str(one.form) == name
    assert best(offers({}, (), PLUGIN), "", bursty=True, gke=False) is None


def test_a_form_is_left_out_for_the_models_whose_nodes_are_out_of_reach() -> None:
    amounts = {"nvidia.com/mig-1g.10gb": "7"}
    shapes = {
        shape: 1
        for model in (A100, "H100-80GB-HBM3")
        if (shape := shape_of({"nvidia.com/gpu.product": f"NVIDIA-{model}"}, amounts, amounts))
    }
    every = offers(shapes, [form("time-slicing")], PLUGIN)
    assert every.without(()) is every
    (left,) = every.without([("mig-1g.10gb", A100)]).slices
    assert left.model == "H100-80GB-HBM3"
    both = [("mig-1g.10gb", A100), ("mig-1g.10gb", "H100-80GB-HBM3")]
    nothing = every.without([*both, ("time-slicing", "")])
    assert (nothing.slices, nothing.shared) == ((), every.shared)  # what is only expected is on no node
    assert every.without([*both, ("time-slicing", None)]).every == ()  # but a policy may deny the pods


def test_models() -> None:
    assert model_of("NVIDIA A100-SXM4-80GB") == model_of("NVIDIA-A100-SXM4-80GB") == A100
    assert (slices_of("A30"), slices_of(A100), slices_of("something"), slices_of("Tesla-T4")) == (4, 7, 7, 7)


def test_a_gpu_of_another_model_is_shared_by_others() -> None:
    amounts = {"nvidia.com/gpu.shared": "4"}
    labels = {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.memory": "15360", "nvidia.com/gpu.replicas": "4"}
    t4 = shape_of(labels, amounts, amounts)
    assert t4
    found = offers({t4: 1, node(8, "nvidia.com/gpu.shared"): 1}, (), PLUGIN)
    (of_t4,) = (one for one in found.shared if one.model == "Tesla-T4")
    assert (of_t4.clients, of_t4.memory) == (4, 15_360)
    assert best(found, "Tesla-T4", bursty=True, gke=False) == of_t4
    ten = shape_of({**labels, "nvidia.com/gpu.replicas": "10"}, amounts, amounts)
    assert ten
    (worst,) = offers({t4: 1, ten: 1}, (), PLUGIN).shared  # a policy does not select the number of pods
    assert (worst.clients, worst.memory) == (10, 15_360)
    assert best(found, "H200", bursty=True, gke=False) is None


def test_a_node_that_does_not_say_its_model_may_have_any() -> None:
    amounts = {"nvidia.com/gpu.shared": "4"}
    bare = shape_of({}, amounts, amounts)
    assert bare
    alone, beside = offers({bare: 1}, (), PLUGIN), offers({bare: 1, node(8): 1}, (), PLUGIN)
    for found, model, is_comparable in (
        (alone, "Tesla-T4", True),
        (alone, "", True),
        (beside, A100, True),
        (beside, "", True),
        (beside, "Tesla-T4", False),
    ):
        assert bool(best(found, model, bursty=True, gke=False)) is is_comparable, model
    labels = {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.memory": "15360"}
    t4 = shape_of(labels, {"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"})
    assert t4
    several = offers({bare: 1, node(8): 1, t4: 1}, (), PLUGIN)
    assert [best(several, one, bursty=True, gke=False) for one in (A100, "Tesla-T4", "")] == [None] * 3
