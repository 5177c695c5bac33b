"""The CEL of ``matchConditions``, evaluated: it lets through every pod that the engine acts on, and no pod without NVIDIA's."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy.chart import Json, Rendered
from webhook.engine import requests
from webhook.engine.pods import PodSpec

Matches = Callable[[Json], bool]


@pytest.fixture(scope="session")
def matches(rendered: Rendered) -> Matches:
    """Whether the API server would ask about a pod; an error fails the test, as it would refuse the pod."""
    expressions = {
        condition["expression"]
        for name in ("mutate.gpuwarden.io", "validate.gpuwarden.io")
        for condition in rendered.webhooks[name]["matchConditions"]
    }
    (expression,) = expressions  # both webhooks for pods that ask for GPUs have the same one
    # The variables of matchConditions, untyped there too.
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    compiled = cel.NewEnv(variables=variables).compile(expression)
    assert compiled.return_type() == cel.Type.BOOL

    def evaluate(spec: Json) -> bool:
        value = compiled.eval(data={"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}})
        assert value.type() == cel.Type.BOOL, value.value()
        return bool(value.value())

    return evaluate


def acts_on(spec: Json) -> bool:
    """Whether the engine finds anything in a pod that it would judge."""
    return bool(requests.read(msgspec.convert(spec, PodSpec)))


def a_container(**resources: Any) -> Json:
    return {"name": "c", "image": "i", "resources": resources}


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
        {"containers": [PLAIN], "initContainers": [PLAIN, a_container(limits={"amd.com/gpu": "1"})]},
        {"containers": [a_container(limits={"example.com/nvidia.com": "1"})]},
        {"containers": [a_container(limits={"nvidia.com.example.com/gpu": "1"})]},
        {"containers": [PLAIN], "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]},
        {"containers": [PLAIN], "resources": {"limits": {"cpu": "1"}}},
    ],
)
def test_other_pods_are_left_alone(matches: Matches, spec: Json) -> None:
    assert not acts_on(spec)
    assert not matches(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [a_container(limits={"nvidia.com/gpu": "0"})]},
        {"containers": [a_container(limits={"nvidia.com/gpumem": "1000"})]},  # HAMi's
        {"containers": [a_container(limits={"nvidia.com/hostdev": "1"})]},  # a network card's
    ],
)
def test_it_asks_about_all_of_nvidias_resources_though_the_engine_leaves_some_alone(
    matches: Matches, spec: Json
) -> None:
    assert not acts_on(spec)
    assert matches(spec)


# Names as the API server takes them: the part before the slash is a DNS name, in lower case.
resource_names = st.one_of(
    st.sampled_from(
        ["cpu", "memory", "amd.com/gpu", "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb"]
    ),
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
    assert asked or not acts_on(spec)
    names = {
        name
        for container in (*spec["containers"], *spec.get("initContainers", ()))
        for amounts in container.get("resources", {}).values()
        for name in amounts
    }
    assert asked is any(name.startswith("nvidia.com/") for name in names)
