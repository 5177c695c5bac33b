"""The CEL of ``guard.gpuwarden.io``, evaluated: it lets through every pod that a rule of the guard minds, and few others."""

# ruff: noqa: S108 - paths are only names here

from collections.abc import Callable
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_policy, view
from tests.deploy.chart import Chart, Json, Rendered
from webhook.engine.decision import decide
from webhook.engine.policy import FindingAction
from webhook.engine.rules import device_access
from webhook.engine.spelling import DevicePlugin

GUARD, VALIDATE, ADVISE = "guard.gpuwarden.io", "validate.gpuwarden.io", "advise.gpuwarden.io"
CLASS = "our-gpus"
POLICY = a_policy("exclusive", runtime_class_name=CLASS, visible_devices=FindingAction.DENY)
VALUES: Json = {"config": {"policies": {"team": {"forms": ["exclusive"], "runtimeClassName": CLASS}}}}
Asks = Callable[..., bool]


@pytest.fixture(scope="session")
def asks(chart: Chart) -> Asks:
    """Whether the API server would ask one of the webhooks about an object; an error in an expression fails the test."""
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    environment = cel.NewEnv(variables=variables)
    conditions = {
        name: [environment.compile(condition["expression"]) for condition in webhook["matchConditions"]]
        for name, webhook in chart.render(VALUES).webhooks.items()
        if name in (GUARD, VALIDATE, ADVISE)
    }

    def evaluate(webhook: str, of: Json, operation: str = "CREATE") -> bool:
        data = {"object": of, "oldObject": None, "request": {"operation": operation}}
        values = [compiled.eval(data=data) for compiled in conditions[webhook]]
        assert all(value.type() == cel.Type.BOOL for value in values), [value.value() for value in values]
        return all(value.value() for value in values)

    return evaluate


def a_pod(*containers: Json, annotations: Json | None = None, **spec: Any) -> Json:
    metadata: Json = {"name": "p"} if annotations is None else {"name": "p", "annotations": annotations}
    written = list(containers) or [a_container()]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": written, **spec}}


def a_container(**fields: Any) -> Json:
    return {"name": "c", "image": "i", **fields}


def minds(pod: Json) -> bool:
    """Whether a rule refuses the pod, where everything that the guard sees is refused."""
    return bool(decide(view(pod), POLICY, DevicePlugin()).findings)


REACHING = [
    a_pod(a_container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}])),
    a_pod(
        a_container(
            env=[
                {"name": "A"},
                {"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]
        )
    ),
    a_pod(a_container(env=[{"name": "CUDA_VERSION", "value": "12"}])),
    a_pod(initContainers=[a_container(securityContext={"privileged": True})]),
    a_pod(ephemeralContainers=[a_container(securityContext={"privileged": True})]),
    a_pod(a_container(volumeMounts=[{"name": "n", "mountPath": "/var/run/nvidia-container-devices/0"}])),
    a_pod(a_container(volumeMounts=[{"name": "n", "mountPath": "var//./run/nvidia-container-devices"}])),
    a_pod(annotations={"cdi.k8s.io/a": "nvidia.com/gpu=0"}),
    a_pod(annotations={"nvidia.cdi.k8s.io/container.c": "management.nvidia.com/gpu=all"}),
    a_pod(annotations={"nvidia.cdi.k8s.io": "nvidia.com/gpu=all"}),
    a_pod(annotations={"cdi-devices.nri.io/pod": "- runtime.nvidia.com/gpu=0"}),
    a_pod(annotations={"devices.noderesource.dev/pod": "- path: /dev/nvidia0"}),
    a_pod(annotations={"io.kubernetes.cri-o.Devices": "/dev/nvidia0"}),
    a_pod(annotations={"devices.crio.io/c": "/dev/nvidia0"}),
    a_pod(runtimeClassName="nvidia"),
    a_pod(runtimeClassName="nvidia-cdi"),
    a_pod(runtimeClassName=CLASS),
    a_pod(volumes=[{"name": "d", "hostPath": {"path": "//dev"}}]),
    a_pod(nodeName="gpu-1"),
    a_pod(resources={"limits": {"nvidia.com/gpu": "1"}}),
]


@pytest.mark.parametrize("pod", REACHING)
def test_what_a_rule_minds_is_asked_about(asks: Asks, pod: Json) -> None:
    assert minds(pod)
    assert asks(GUARD, pod)
    assert asks(ADVISE, {"kind": "Deployment", "metadata": {}, "spec": {"template": pod}})


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(),
        a_pod(nodeName="", runtimeClassName="gvisor"),
        a_pod(a_container(env=[{"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"}], securityContext={})),
        a_pod(a_container(securityContext={"privileged": False}, volumeMounts=[{"name": "t", "mountPath": "/data"}])),
        a_pod(volumes=[{"name": "e", "emptyDir": {}}], annotations={"k8s.io/cdi": "nvidia.com/gpu=0"}),
        a_pod(resources={"limits": {"cpu": "1"}}, nodeSelector={"nvidia.com/gpu.present": "true"}),
    ],
)
def test_ordinary_pods_are_left_alone(asks: Asks, pod: Json) -> None:
    assert not minds(pod)
    assert not asks(GUARD, pod)
    assert not asks(ADVISE, {"kind": "Deployment", "metadata": {}, "spec": {"template": pod}})


def test_the_chart_has_the_engines_table_of_annotations(chart: Chart) -> None:
    table = str([*device_access.DEVICE_ANNOTATIONS])
    webhooks = chart.render(VALUES).webhooks

    for name in (GUARD, ADVISE, "updates.gpuwarden.io"):
        assert any(table in condition["expression"] for condition in webhooks[name]["matchConditions"])


def test_very_many_annotations_are_asked_about_without_looking_at_each(asks: Asks) -> None:
    assert asks(GUARD, a_pod(annotations={f"a{number}": "" for number in range(1001)}))
    assert not asks(GUARD, a_pod(annotations={f"a{number}": "" for number in range(1000)}))


def test_a_pod_with_a_request_is_asked_about_once_by_the_webhook_that_fails_closed(asks: Asks) -> None:
    pod = a_pod(a_container(resources={"limits": {"nvidia.com/gpu": "1"}}), nodeName="gpu-1")

    assert (asks(VALIDATE, pod), asks(GUARD, pod)) == (True, False)


PATHS = [
    *("/proc/1/root", "/proc", "/dev/dri", "/run/nri/nri.sock", "/etc/kubernetes/manifests", "/proc/sys"),
    *("/run/user", "/run/user/1000", "/var/run/user/1000", "/run/user/1000/pulse", "/mnt/var/lib/kubelet"),
    "/",
    "/dev",
    "//dev/../dev/nvidia0",
    "/dev/nvidia0/",
    "/var/log",
    "/run",
    "/tmp",
    "/var/lib/kubelet",
    "/opt/data",
]
MOUNTS = [
    "/data",
    "/var/run/nvidia-container-devices/all",
    "/run/nvidia-container-devices",
    "//var/run/./nvidia-container-devices",
]
VARIABLES = ["NVIDIA_VISIBLE_DEVICES", "CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "PATH"]
resources = st.fixed_dictionaries(
    {},
    optional={
        section: st.dictionaries(
            st.sampled_from(["cpu", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb.shared"]), st.just("1"), max_size=2
        )
        for section in ("limits", "requests")
    },
)
variables = st.fixed_dictionaries(
    {"name": st.sampled_from(VARIABLES)},
    optional={"value": st.sampled_from(["", "void", "none", "all", "0"]), "valueFrom": st.just({"fieldRef": {}})},
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("c")},
        optional={
            "env": st.lists(variables, max_size=3),
            "resources": resources,
            "securityContext": st.fixed_dictionaries({}, optional={"privileged": st.booleans()}),
            "volumeMounts": st.lists(st.fixed_dictionaries({"mountPath": st.sampled_from(MOUNTS)}), max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
)
volumes = st.one_of(
    st.just({"name": "v", "emptyDir": {}}),
    st.fixed_dictionaries({"name": st.just("v"), "hostPath": st.fixed_dictionaries({"path": st.sampled_from(PATHS)})}),
)
specs = st.fixed_dictionaries(
    {"containers": containers},
    optional={
        "initContainers": containers,
        "ephemeralContainers": containers,
        "volumes": st.lists(volumes, max_size=3),
        "nodeName": st.sampled_from(["", "gpu-1"]),
        "runtimeClassName": st.sampled_from(["nvidia", "nvidia-legacy", CLASS, "gvisor", "kata-nvidia"]),
        "resources": resources,
    },
)
annotations = st.dictionaries(
    st.one_of(
        st.sampled_from(["cdi.k8s.io/x", "team", "mycdi.k8s.io/x"]),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["", "nvidia.", "a.b.", "x"]),
            st.sampled_from([*device_access.DEVICE_ANNOTATIONS, "example.com"]),
            st.sampled_from(["", "/", "/pod", "/container.c", ".example.com/x"]),
        ),
    ),
    st.sampled_from(["nvidia.com/gpu=all", "a.com/b=0,management.nvidia.com/gpu=all", "/dev/nvidia0", "a"]),
    max_size=2,
)


@given(spec=specs, annotations=annotations)
def test_no_pod_that_a_rule_minds_is_ever_left_out(asks: Asks, spec: Json, annotations: Json) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": annotations}, "spec": spec}

    guarded, validated = asks(GUARD, pod), asks(VALIDATE, pod)

    assert guarded or validated or not minds(pod)
    assert not (guarded and validated)


def test_it_can_be_left_out(chart: Chart) -> None:
    rendered: Rendered = chart.render({"webhooks": {"guard": {"enabled": False}}})

    assert GUARD not in rendered.webhooks
    advise = rendered.webhooks[ADVISE]["matchConditions"]
    assert not any("hostPath" in condition["expression"] for condition in advise)
