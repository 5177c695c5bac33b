"""Golden cases of the rules about reaching GPUs without asking: each just misses one that fires."""

from typing import Any

from testing.reviews import GPU, Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

DENY: Json = {"visibleDevices": "deny"}
MOUNT = "/var/run/nvidia-container-devices/all"


def fill(rules: Table) -> None:
    """Add the cases."""
    _variables(rules)
    _mounts_and_annotations(rules)
    _of_the_pod(rules)
    _misplaced(rules)


def env(name: str, **source: Any) -> list[Json]:
    return [{"name": name, **source}]


def _variables(rules: Table) -> None:
    rule, name = "visible-devices-env", "NVIDIA_VISIBLE_DEVICES"
    everything = env(name, value="all")
    unknown = env(name, valueFrom={"configMapKeyRef": {"name": "gpus", "key": "all"}})
    cases = (
        ("fires.all", "The toolkit shows the container every GPU.", a_pod(a_container(env=everything))),
        ("fires.from-elsewhere", "What a ConfigMap will say is not known.", a_pod(a_container(env=unknown))),
        (
            "fires.cuda-version",
            "To the toolkit this is an old CUDA image.",
            a_pod(a_container(env=env("CUDA_VERSION", value="12.2"))),
        ),
        ("near-miss.void", "No device is asked for.", a_pod(a_container(env=env(name, value="void")))),
        (
            "near-miss.capabilities",
            "Another variable.",
            a_pod(a_container(env=env("NVIDIA_DRIVER_CAPABILITIES", value="all"))),
        ),
    )
    for case, about, pod in cases:
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)
    rules.validate(
        f"{rule}.fires.beyond-the-request",
        "What the container says wins over what the device plugin says.",
        a_pod(a_gpu_container(env=everything)),
        "exclusive",
        configuration=DENY,
    )
    rules.validate(f"{rule}.near-miss.where-any", "Where any form is permitted nothing is minded.", cases[0][2])


def _mounts_and_annotations(rules: Table) -> None:
    null = [{"name": "null", "hostPath": {"path": "/dev/null"}}]
    rule = "visible-devices-mount"
    for case, about, path in (
        ("fires.all", "The toolkit reads the mount's name as a GPU's.", MOUNT),
        ("fires.written-otherwise", "The same place by another name.", "var//run/../run/nvidia-container-devices/0"),
        ("near-miss.elsewhere", "Another place.", "/var/run/secrets/nvidia-container-devices"),
    ):
        pod = a_pod(a_container(volumeMounts=[{"name": "null", "mountPath": path}]), volumes=null)
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)
    rule = "cdi-annotation"
    for case, about, value in (
        ("fires.all", "The container runtime injects what the annotation names.", "nvidia.com/gpu=all"),
        ("near-miss.other-vendor", "Another vendor's devices.", "example.com/net=0"),
    ):
        pod = a_pod(a_container(), annotations={"cdi.k8s.io/devices": value})
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)


def _of_the_pod(rules: Table) -> None:
    rule = "nvidia-runtime-class"
    for case, about, pod in (
        ("fires.nvidia", "A CUDA image names all GPUs for itself.", a_pod(a_container(), runtimeClassName="nvidia")),
        ("near-miss.other", "Another runtime.", a_pod(a_container(), runtimeClassName="gvisor")),
        ("near-miss.with-request", "A request goes with it.", a_pod(runtimeClassName="nvidia")),
    ):
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)
    rule = "gpu-host-path"
    for case, about, path in (
        ("fires.device", "A device node of the host.", "/dev/nvidia0"),
        ("fires.parent", "The directory above it.", "//dev/"),
        ("fires.plugins", "Where device plugins listen.", "/var/lib/kubelet/device-plugins"),
        ("near-miss.logs", "Logs are no devices.", "/var/log"),
    ):
        pod = a_pod(a_container(), volumes=[{"name": "host", "hostPath": {"path": path}}])
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)
    rule = "privileged-container"
    for case, about, privileged in (
        ("fires.privileged", "It has every device of the node.", True),
        ("near-miss.not", "It is not.", False),
    ):
        pod = a_pod(a_container(securityContext={"privileged": privileged}))
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)
    rule = "node-name-set"
    for case, about, pod in (
        ("fires.set", "The scheduler never sees it.", a_pod(a_container(), nodeName="gpu-1")),
        ("near-miss.selector", "A selector asks the scheduler.", a_pod(a_container(), nodeSelector={"pool": "gpu"})),
    ):
        rules.validate(f"{rule}.{case}", about, pod, "exclusive", configuration=DENY)


def _misplaced(rules: Table) -> None:
    rule = "gpu-outside-containers"
    for case, about, limits in (
        ("fires.of-the-pod", "The pod as a whole has no GPU.", {GPU: "1"}),
        ("near-miss.cpu", "It may have CPUs.", {"cpu": "1"}),
    ):
        rules.validate(f"{rule}.{case}", about, a_pod(a_container(), resources={"limits": limits}))
