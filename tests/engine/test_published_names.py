"""Resource names that DeviceClasses publish (KEP-5004): which of them are GPUs, evaluated as claims of the class."""

import msgspec
import pytest

from tests.builders import Json, a_container, a_pod, policy_of, view
from webhook.engine import requests
from webhook.engine.claims import read
from webhook.engine.decision import Decision, decide
from webhook.engine.device_classes import IMPLICIT, DeviceClasses
from webhook.engine.other_gpus import BUILT_IN, NEVER_SENT, GpuNames
from webhook.engine.pods import PodSpec
from webhook.engine.policy import Policy
from webhook.engine.spelling import DevicePlugin

GPU, ACCEL, OTHER = "gpu.nvidia.com", "example.com/accel", "h100.example.com"
FORMS = {OTHER: "mig-1g.10gb", "cpu-gpus": "exclusive"}


def published(names: dict[str, str], gpu_names: GpuNames = BUILT_IN) -> dict[str, tuple[str, ...]]:
    return dict(DeviceClasses(FORMS, gpu_names).published(names))


@pytest.mark.parametrize("device_class", [GPU, "mig.nvidia.com", OTHER, "cpu-gpus", "unknown.example"])
def test_the_name_of_a_class_for_gpus_is_that_of_gpus(device_class: str) -> None:
    assert published({device_class: ACCEL}) == {ACCEL: (device_class,)}


def test_it_is_so_for_all_classes_that_have_it_and_for_each_name() -> None:
    names = {OTHER: ACCEL, GPU: ACCEL, "dra.cpu": ACCEL, "x": "example.com/x"}
    assert published(names) == {ACCEL: (GPU, OTHER), "example.com/x": ("x",)}


@pytest.mark.parametrize(
    ("device_class", "name"),
    [
        ("dra.cpu", "example.com/cpu"),
        ("compute-domain-daemon.nvidia.com", ACCEL),
        # These say themselves what they are.
        (GPU, "nvidia.com/gpu"),
        (OTHER, "nvidia.com/mig-1g.10gb.shared"),
        # The chart's conditions leave these out.
        *((GPU, name.replace("*", "x")) for name in NEVER_SENT),
        # Its name says enough.
        ("unknown.example", "nvidia.com/hostdev"),
    ],
)
def test_other_names_are_not(device_class: str, name: str) -> None:
    assert published({device_class: name}) == {}


@pytest.mark.parametrize("name", ["nvidia.com/hostdev", "nvidia.com/gpu-a100", "nvidia.com/gpus"])
def test_what_a_class_with_a_form_publishes_is_a_gpu_whatever_the_name_looks_like(name: str) -> None:
    assert published({OTHER: name}) == {name: (OTHER,)}


@pytest.mark.parametrize(
    "names",
    [
        GpuNames(gpus=(ACCEL,)),
        GpuNames(not_gpus=(ACCEL,)),
        GpuNames(not_gpus=("example.com/*",)),
    ],
)
def test_the_configuration_of_a_name_comes_first(names: GpuNames) -> None:
    assert published({GPU: ACCEL}, names) == {}


def test_a_class_that_the_configuration_excepts_publishes_none() -> None:
    names = GpuNames(not_gpus=(f"{IMPLICIT}unknown.example",))
    assert published({"unknown.example": ACCEL}, names) == {}


def test_names_know_their_classes() -> None:
    names = GpuNames(not_gpus=("nvidia.com/*",), published=((ACCEL, (GPU,)), ("nvidia.com/gpus", (GPU,))))
    assert names.is_gpu(ACCEL)
    assert names.is_gpu("nvidia.com/gpus")
    assert not names.is_gpu("example.com/accel2")
    assert not names.of_another_vendor(ACCEL)
    classes = DeviceClasses(names=names)
    assert [classes.of_resource(name) for name in (ACCEL, f"{IMPLICIT}x", "example.com/x")] == [(GPU,), ("x",), ()]


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("nvidia.com/hostdev", True),
        ("nvidia.com/gpu", False),
        (ACCEL, False),
        ("nvidia.com/x", False),
    ],
)
def test_some_names_are_known_to_be_something_else(name: str, *, otherwise: bool) -> None:
    assert BUILT_IN.is_something_else(name) is otherwise


def evaluated(policy: Policy, names: dict[str, str], *containers: Json) -> Decision:
    """What becomes of a pod where DeviceClasses have these names."""
    pod = view(a_pod(*containers))
    assert pod.spec
    classes = DeviceClasses(FORMS)
    gpu_names = GpuNames(published=classes.published(names))
    found = requests.read(pod.spec, gpu_names)
    claims = read(pod.spec, found, {}, msgspec.structs.replace(classes, names=gpu_names))
    return decide(pod, policy, DevicePlugin(), found=found, claims=claims)


def asking(count: int | str = 1, name: str = ACCEL, container: str = "train") -> Json:
    return a_container(container, {name: count})


@pytest.mark.parametrize(
    ("policy", "names", "rules"),
    [
        ("exclusive", {GPU: ACCEL}, []),
        ("any", {GPU: ACCEL}, []),
        ("none", {GPU: ACCEL}, ["gpu-not-permitted"]),
        ("mig-1g.10gb", {GPU: ACCEL}, ["form-not-permitted"]),
        ("mig-1g.10gb", {OTHER: ACCEL}, []),
        # The scheduler may take either class.
        ("exclusive", {GPU: ACCEL, OTHER: ACCEL}, ["form-not-permitted"]),
        ("mig-1g.10gb", {GPU: ACCEL, OTHER: ACCEL}, ["form-not-permitted"]),
        ("exclusive", {GPU: ACCEL, "unknown.example": ACCEL}, ["other-gpu-resource"]),
        ("exclusive", {"mig.nvidia.com": ACCEL}, ["other-gpu-resource"]),
        ("none", {}, []),
    ],
)
def test_a_name_is_evaluated_as_the_classes_that_publish_it(
    policy: str, names: dict[str, str], rules: list[str]
) -> None:
    decision = evaluated(policy_of(policy), names, asking())
    assert [finding.rule.id for finding in decision.findings] == rules
    assert decision.edits == ()


def test_limits_hold_for_it() -> None:
    policy = msgspec.structs.replace(policy_of("exclusive"), max_per_container=2, max_per_pod=3)
    assert evaluated(policy, {GPU: ACCEL}, asking(2)).findings == ()
    assert [one.rule.id for one in evaluated(policy, {GPU: ACCEL}, asking(3)).findings] == ["per-container-limit"]
    two = evaluated(policy, {GPU: ACCEL}, asking(2), asking(2, container="other"))
    assert [one.rule.id for one in two.findings] == ["per-pod-limit"]


def test_with_a_gpu_resource_in_one_container_it_is_mixed() -> None:
    container = a_container("train", {ACCEL: 1, "nvidia.com/gpu": 1})
    assert [one.rule.id for one in evaluated(policy_of("any"), {GPU: ACCEL}, container).findings] == [
        "mixed-gpu-resources"
    ]


def test_a_name_that_looks_misspelt_is_not_where_a_class_publishes_it() -> None:
    spec = PodSpec()
    assert requests.read(spec) == []
    misspelt = asking(name="nvidia.com/gpus")
    assert [one.rule.id for one in evaluated(policy_of("exclusive"), {}, misspelt).findings] == ["unknown-gpu-resource"]
    assert evaluated(policy_of("exclusive"), {GPU: "nvidia.com/gpus"}, misspelt).findings == ()
