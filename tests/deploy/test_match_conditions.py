"""The CEL of ``matchConditions``, evaluated: it lets through every pod that the engine acts on, and few others."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy.chart import Chart, Json, RefusedError, Rendered
from tests.deploy.gpu_pods import PERHAPS_WITH_GPU, WITH_GPU, WITHOUT_GPU
from webhook.application.configuration import Configuration
from webhook.engine import other_gpus, requests
from webhook.engine.other_gpus import BUILT_IN, GpuNames, fits
from webhook.engine.pods import PodSpec

Matches = Callable[[Json], bool]
# What a configuration adds to the names of GPUs, and takes from them.
GPUS, NOT_GPUS = (
    ["rdma/gpu", "vpc.amazonaws.com/gpu-*", "gpu.intel.com/*"],
    ["nvidia.com/*", "nvidia.com/my-network", "volcano.sh/vgpu-cores", "example.com/nic"],
)


@pytest.fixture(scope="session")
def matches(rendered: Rendered) -> Matches:
    """Whether the API server would ask about a pod; an error fails the test, as it would refuse the pod."""
    return matches_of(rendered)


@pytest.fixture(scope="session")
def configured(chart: Chart) -> Matches:
    """The same, where the configuration says more of the names of GPUs."""
    return matches_of(chart.render({"config": {"resources": {"gpus": GPUS, "notGPUs": NOT_GPUS}}}))


def matches_of(rendered: Rendered) -> Matches:
    expressions = {
        condition["expression"]
        for name in ("mutate.gpuwarden.io", "restore.gpuwarden.io")
        for condition in rendered.webhooks[name]["matchConditions"][:1]
    }
    (expression,) = expressions  # both webhooks that change pods have the same one
    # The variables of matchConditions, untyped there too.
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    compiled = cel.NewEnv(variables=variables).compile(expression)
    assert compiled.return_type() == cel.Type.BOOL

    def evaluate(spec: Json) -> bool:
        value = compiled.eval(data={"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}})
        assert value.type() == cel.Type.BOOL, value.value()
        return bool(value.value())

    return evaluate


def acts_on(spec: Json, names: GpuNames = BUILT_IN) -> bool:
    """Whether the engine finds anything in a pod that it would evaluate."""
    return bool(requests.read(msgspec.convert(spec, PodSpec), names))


def a_container(**resources: Any) -> Json:
    return {"name": "c", "image": "i", "resources": resources}


def a_name_of(pattern: str) -> str:
    """A resource that a pattern of the engine means."""
    return f"{pattern[:-1]}x" if pattern.endswith("*") else pattern


GPU = {"nvidia.com/gpu": "1"}
PLAIN: Json = {"name": "c", "image": "i"}


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [a_container(limits=GPU)]},
        {"containers": [a_container(requests=GPU)]},
        {"containers": [a_container(limits={"cpu": "1"}, requests=GPU)]},
        {"containers": [PLAIN, a_container(limits={"cpu": "1", "nvidia.com/mig-1g.5gb": "1"})]},
        {"containers": [PLAIN], "initContainers": [a_container(limits={"nvidia.com/gpu.shared": "2"})]},
        {"containers": [PLAIN], "initContainers": [PLAIN, {**a_container(requests=GPU), "restartPolicy": "Always"}]},
        {"containers": [a_container(limits={"nvidia.com/gpu-shared": "1"})]},
        {"containers": [a_container(limits={"nvidia.com/mig1g.5gb": "1"})]},
        {"containers": [a_container(limits={"nvidia.com/gpu": "0.5"})]},
        {"containers": [a_container(limits={"nvidia.com/gpumem": "1000"})]},
        *({"containers": [PLAIN, a_container(limits={a_name_of(pattern): "1"})]} for pattern in other_gpus.GPUS),
        *(
            {"containers": [PLAIN], "initContainers": [a_container(requests={a_name_of(p): "1"})]}
            for p in other_gpus.GPUS
        ),
    ],
)
def test_what_the_engine_acts_on_is_asked_about(matches: Matches, spec: Json) -> None:
    assert acts_on(spec)
    assert matches(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [PLAIN]},
        {"containers": [a_container()]},
        {"containers": [a_container(limits={}, requests={})]},
        {"containers": [a_container(limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": "500m"})]},
        {"containers": [PLAIN], "initContainers": []},
        {"containers": [a_container(limits={"hugepages-2Mi": "1Gi", "attachable-volumes-csi": "1"})]},
        {"containers": [PLAIN], "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]},
        {"containers": [PLAIN], "resources": {"limits": {"cpu": "1"}}},
        {"containers": [a_container(limits={"rdma/hca_shared_devices_a": "1", "vpc.amazonaws.com/pod-eni": "1"})]},
        *(
            {"containers": [PLAIN], "initContainers": [PLAIN, a_container(limits={a_name_of(pattern): "1"})]}
            for pattern in other_gpus.NEVER_SENT
        ),
    ],
)
def test_other_pods_are_left_alone(matches: Matches, spec: Json) -> None:
    assert not acts_on(spec)
    assert not matches(spec)


def test_the_pods_that_the_api_server_is_tried_with(matches: Matches) -> None:
    """Those of ``tests/e2e/test_chart.py``."""
    assert [matches(spec) for spec in (*WITH_GPU, *PERHAPS_WITH_GPU)] == [True] * 7
    assert [matches(spec) for spec in WITHOUT_GPU] == [False] * 5


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [a_container(limits={"nvidia.com/gpu": "0"})]},
        {"containers": [a_container(limits={"nvidia.com/hostdev": "1"})]},  # a network card's
        {"containers": [a_container(limits={"volcano.sh/rdma": "1"})]},
        {
            "containers": [a_container(limits={"tke.cloud.tencent.com/eni-ip-2": "1"})]
        },  # only its beginning is a network device's
        {"containers": [a_container(requests={"example.com/accel": "1"})]},
    ],
)
def test_it_asks_about_every_name_that_a_device_class_can_have_though_the_engine_leaves_most_alone(
    matches: Matches, spec: Json
) -> None:
    assert not acts_on(spec)
    assert matches(spec)


@pytest.mark.parametrize("name", [a_name_of(pattern) for pattern in GPUS])
def test_what_the_configuration_declares_is_asked_about(configured: Matches, name: str) -> None:
    names = GpuNames(tuple(GPUS), tuple(NOT_GPUS))
    for spec in (
        {"containers": [a_container(limits={name: "1"})]},
        {"containers": [a_container(requests={name: "1"})]},
    ):
        assert acts_on(spec, names)
        assert configured(spec)


@pytest.mark.parametrize(("name", "asked"), [("rdma/gpu", False), ("rdma/gpu2", False), ("vpc.amazonaws.com/x", False)])
def test_other_devices_are_not_asked_about_unless_the_configuration_declares_them(
    matches: Matches, configured: Matches, name: str, *, asked: bool
) -> None:
    spec = {"containers": [a_container(limits={name: "1"})]}
    assert matches(spec) is asked
    assert configured(spec) is (name in GPUS)


@pytest.mark.parametrize(
    ("name", "asked"), [("example.com/nic", False), ("volcano.sh/vgpu-cores", False), ("nvidia.com/my-network", True)]
)
def test_what_the_configuration_excepts_in_full_is_not_asked_about_but_for_nvidias(
    matches: Matches, configured: Matches, name: str, *, asked: bool
) -> None:
    """A prefix may have names of GPUs below it; of NVIDIA's names a misspelt one is denied."""
    spec = {"containers": [a_container(limits={name: "1"})]}
    assert not acts_on(spec, GpuNames(tuple(GPUS), tuple(NOT_GPUS)))
    assert matches(spec)
    assert configured(spec) is asked


def test_as_many_names_as_the_chart_takes_make_a_condition_that_works(chart: Chart) -> None:
    """The API server limits what conditions may cost (2,500,000 units a webhook), and each name is compared with each pattern."""
    names = [f"rdma/gpu-{number}-*" for number in range(101)]
    others = [f"example-{number}.com/nic" for number in range(100)]
    matches = matches_of(chart.render({"config": {"resources": {"gpus": names[:100], "notGPUs": others}}}))
    assert matches({"containers": [a_container(limits={"rdma/gpu-99-x": "1"})]})
    assert not matches({"containers": [a_container(limits={others[-1]: "1"})]})
    with pytest.raises(RefusedError):
        chart.render({"config": {"resources": {"gpus": names}}})


# Names as the API server takes them: the part before the slash is a DNS name, in lower case.
resource_names = st.one_of(
    st.sampled_from(
        ["cpu", "memory", "amd.com/gpu", "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb"]
    ),
    st.sampled_from([a_name_of(pattern) for pattern in (*other_gpus.GPUS, *other_gpus.NOT_GPUS, *GPUS, *NOT_GPUS)]),
    st.sampled_from([a_name_of(pattern) for pattern in other_gpus.NEVER_SENT]),
    st.from_regex(r"nvidia\.com/[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?", fullmatch=True),
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,10}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?", fullmatch=True),
)
amounts = st.dictionaries(resource_names, st.sampled_from(["0", "1", "2", "500m"]), max_size=3)
resources = st.fixed_dictionaries({}, optional={"limits": amounts, "requests": amounts})
containers = st.lists(
    st.fixed_dictionaries({"name": st.just("c")}, optional={"resources": resources}), min_size=1, max_size=3
)
specs = st.fixed_dictionaries({"containers": containers}, optional={"initContainers": containers})


@given(spec=specs)
def test_no_pod_that_the_engine_acts_on_is_ever_left_out(matches: Matches, spec: Json) -> None:
    asked = matches(spec)
    assert asked or not acts_on(spec, published_by_gpus(spec, GpuNames()))
    assert asked is may_request_gpus(spec)


@given(spec=specs)
def test_nor_one_that_it_acts_on_by_its_configuration(configured: Matches, spec: Json) -> None:
    names = GpuNames(tuple(GPUS), tuple(NOT_GPUS))
    assert configured(spec) or not acts_on(spec, published_by_gpus(spec, names))


def listed(spec: Json) -> set[str]:
    """All resources that a pod requests."""
    return {
        name
        for container in (*spec["containers"], *spec.get("initContainers", ()))
        for amounts in container.get("resources", {}).values()
        for name in amounts
    }


def may_request_gpus(spec: Json) -> bool:
    """Whether a pod requests a resource that a DeviceClass can hand out GPUs by."""
    others = other_gpus.NEVER_SENT
    return any("/" in name and not any(fits(one, name) for one in others) for name in listed(spec))


def published_by_gpus(spec: Json, names: GpuNames) -> GpuNames:
    """The names, where DeviceClasses that are known as GPUs publish every resource of a pod."""
    published = {f"gpu-{number}.example": name for number, name in enumerate(sorted(listed(spec)))}
    configuration = Configuration(names=names, device_classes=dict.fromkeys(published, "exclusive"))
    return configuration.with_classes(published).names


CLAIMS = [{"name": "nic", "resourceClaimTemplateName": "nic"}]


@pytest.mark.parametrize(
    ("spec", "operation", "asks"),
    [
        ({"containers": [PLAIN]}, "CREATE", False),
        ({"containers": [PLAIN], "resourceClaims": []}, "CREATE", False),
        ({"containers": [PLAIN], "resourceClaims": CLAIMS}, "UPDATE", False),
        ({"containers": [PLAIN], "resourceClaims": CLAIMS}, "CREATE", True),
        ({"containers": [a_container(limits=GPU)]}, "CREATE", True),
        ({"containers": [a_container(limits=GPU)]}, "UPDATE", True),
        ({"containers": [a_container(limits=GPU)], "resourceClaims": CLAIMS}, "CREATE", True),
    ],
)
def test_a_final_pod_with_claims_is_evaluated_once_as_it_is_created(
    rendered: Rendered, spec: Json, operation: str, *, asks: bool
) -> None:
    (condition,) = rendered.webhooks["validate.gpuwarden.io"]["matchConditions"]
    of_guard = rendered.webhooks["guard.gpuwarden.io"]["matchConditions"][0]
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    data = {
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec},
        "request": {"operation": operation},
    }
    values = [
        cel.NewEnv(variables=variables).compile(one["expression"]).eval(data=data).value()
        for one in (condition, of_guard)
    ]
    assert values == [asks, not asks]
