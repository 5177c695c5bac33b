"""The guard: ways to GPUs without a request, each with what looks like it and is none."""

# ruff: noqa: S108 - paths are only names here

from typing import Any, ClassVar

import pytest

from tests.builders import (
    GPU,
    MIG,
    MIG_SHARED,
    SHARED,
    Json,
    a_container,
    a_pod,
    a_policy,
    evaluate,
    gpu,
    messages,
    rewritten,
    rules,
    view,
)
from webhook.engine import guard
from webhook.engine.decision import Decision, decide
from webhook.engine.findings import Severity
from webhook.engine.policy import FindingAction, Policy
from webhook.engine.spelling import DevicePlugin

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
DENY = a_policy("exclusive", visible_devices=FindingAction.DENY)
SECTIONS = ("containers", "initContainers", "ephemeralContainers")


def env(value: Any = None, name: str = VISIBLE, **more: Any) -> list[Json]:
    return [{"name": name, **({} if value is None else {"value": value}), **more}]


def found(pod: Json) -> list[str]:
    return rules(evaluate(pod, DENY))


def container(section: str, **fields: Any) -> Json:
    """A pod with a container of these fields in a section."""
    pod = a_pod(a_container())
    pod["spec"][section] = [a_container(**fields)]
    return pod


class TestEnv:
    @pytest.mark.parametrize("value", ["void", "none", "", " void ", None])
    def test_no_device_is_no_way(self, value: str | None) -> None:
        assert found(a_pod(a_container(env=env(value)))) == []

    @pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "nvidia_visible_devices"])
    def test_other_variables_are_none(self, name: str) -> None:
        assert found(a_pod(a_container(env=env("all", name)))) == []

    @pytest.mark.parametrize("section", SECTIONS)
    @pytest.mark.parametrize(
        "value", ["all", "0", "0,1", "GPU-5c1b", "MIG-1", "nvidia.com/gpu=all", "$(V)", "none,all", 0]
    )
    def test_any_device_is_one_in_every_kind_of_container(self, section: str, value: Any) -> None:
        decision = evaluate(container(section, env=env(value)), DENY)

        assert rules(decision) == ["visible-devices-env"]
        assert decision.denials[0].path == f"spec.{section}[0].env[0]"

    def test_what_comes_from_elsewhere_can_not_be_known(self) -> None:
        source = {"configMapKeyRef": {"name": "gpus", "key": "void"}}

        assert found(a_pod(a_container(env=env(valueFrom=source)))) == ["visible-devices-env"]
        assert found(a_pod(gpu(env=env(valueFrom=source)))) == ["visible-devices-env"]

    @pytest.mark.parametrize("resource", [GPU, SHARED, MIG, MIG_SHARED])
    def test_a_request_does_not_excuse_it_because_it_wins_over_the_device_plugins(self, resource: str) -> None:
        pod = a_pod(gpu(1, resource, env=env("all")))
        decision = evaluate(
            pod, a_policy("exclusive", "shared", "mig-1g.5gb", "mig-1g.5gb-shared", visible_devices=FindingAction.DENY)
        )

        assert rules(decision) == ["visible-devices-env"]
        assert f"overrides what {resource}: 1 is given" in messages(decision)[0]

    def test_of_two_the_harmless_one_does_not_excuse_the_other(self) -> None:
        assert found(a_pod(a_container(env=[*env("all"), *env("void")]))) == ["visible-devices-env"]

    def test_what_the_policy_itself_adds_is_no_fault(self) -> None:
        policy = a_policy("exclusive", env={VISIBLE: "0"}, visible_devices=FindingAction.DENY)

        assert rewritten(a_pod(), policy)["spec"]["containers"][0]["env"] == env("0")
        assert rules(evaluate(a_pod(gpu(env=env("1"))), policy)) == ["visible-devices-env"]

    def test_the_sentence_says_container_and_remedy(self) -> None:
        assert messages(evaluate(a_pod(a_container(env=env("0"))), DENY)) == [
            'container "train": env NVIDIA_VISIBLE_DEVICES=0 reaches GPUs without a request; remove it, or request nvidia.com/gpu'
        ]


class TestCudaVersion:
    """An image with this variable and neither of two others is an old CUDA image to the toolkit, and sees every GPU."""

    def test_alone_it_is_a_way(self) -> None:
        assert found(a_pod(a_container(env=env("12.2", "CUDA_VERSION")))) == ["visible-devices-env"]
        assert found(a_pod(a_container(env=env(None, "CUDA_VERSION", valueFrom={})))) == ["visible-devices-env"]
        both = [*env("12.2", "CUDA_VERSION"), *env("", "NVIDIA_REQUIRE_CUDA")]
        assert found(a_pod(a_container(env=both))) == ["visible-devices-env"]

    @pytest.mark.parametrize("beside", [env("void"), env("cuda>=11.0", "NVIDIA_REQUIRE_CUDA"), env("", "CUDA_VERSION")])
    def test_not_beside_what_takes_its_effect_away(self, beside: list[Json]) -> None:
        assert found(a_pod(a_container(env=[*env("12.2", "CUDA_VERSION"), *beside]))) == []

    def test_not_beside_a_request_for_which_the_device_plugin_sets_the_other(self) -> None:
        assert found(a_pod(gpu(env=env("12.2", "CUDA_VERSION")))) == []


class TestMount:
    @pytest.mark.parametrize(
        "path",
        ["/data", "/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/nvidia", "/nvidia-container-devices"],
    )
    def test_other_places_are_no_way(self, path: str) -> None:
        assert found(a_pod(a_container(volumeMounts=[{"name": "v", "mountPath": path}]))) == []

    @pytest.mark.parametrize("section", SECTIONS)
    @pytest.mark.parametrize(
        "path",
        [
            "/var/run/nvidia-container-devices/all",
            "/var/run/nvidia-container-devices/",
            "/run/nvidia-container-devices/0",
            "//var/./run//nvidia-container-devices/x/../GPU-1",
            "var/run/nvidia-container-devices/cdi/nvidia.com/gpu/all",
        ],
    )
    def test_the_place_is_one_however_it_is_written(self, section: str, path: str) -> None:
        pod = container(section, volumeMounts=[{"name": "v", "mountPath": "/data"}, {"name": "v", "mountPath": path}])

        assert found(pod) == ["visible-devices-mount"]


class TestCdiAnnotation:
    @pytest.mark.parametrize(
        "annotations",
        [
            None,
            {},
            {"cdi.k8s.io/net": "example.com/net=0"},
            {"cdi.k8s.io/net": "example-nvidia.com/net=0,my_nvidia.com/x=1"},
            {"team.io/cdi.k8s.io": "nvidia.com/gpu=0"},
            {"mycdi.k8s.io/a": "nvidia.com/gpu=0"},
            {"cdi.k8s.io.example.com/a": "nvidia.com/gpu=0"},
            {"io.kubernetes.cri-o.Devices": "/dev/fuse,/dev/net/tun"},
            {"devices.nri.io/pod": "- path: /dev/null\n  type: c\n"},
            {"scheduler.alpha.kubernetes.io/node-selector": "nvidia.com/gpu=true"},
        ],
    )
    def test_others_are_no_way(self, annotations: Json | None) -> None:
        assert found(a_pod(a_container(), annotations=annotations)) == []

    @pytest.mark.parametrize(
        "value",
        [
            *("nvidia.com/gpu=all", "example.com/net=0,nvidia.com/gpu=0", "runtime.nvidia.com/gpu=all"),
            *("management.nvidia.com/gpu=all", "k8s.device-plugin.nvidia.com/gpu=GPU-1", "NVIDIA.com/gpu=0"),
            *("k8s.gpu.nvidia.com/claim=1", "example.com/net=0, nvidia.com/mig=1", "nvidia.com/imex-channel=0"),
        ],
    )
    @pytest.mark.parametrize(
        "key",
        [
            *("cdi.k8s.io/a", "cdi.k8s.io", "nvidia.cdi.k8s.io/container.train", "nvidia.cdi.k8s.io/pod"),
            *("nvidia.cdi.k8s.io", "a.b.cdi.k8s.io/x", "cdi-devices.nri.io/container.train", "cdi.nri.io/pod"),
            "cdi-devices.noderesource.dev/pod",
        ],
    )
    def test_nvidias_devices_are(self, key: str, value: str) -> None:
        assert found(a_pod(a_container(), annotations={key: value})) == ["cdi-annotation"]
        assert found(a_pod(annotations={"team": "a", key: value})) == ["cdi-annotation"]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("io.kubernetes.cri-o.Devices", "/dev/fuse,/dev/nvidia0:/dev/x:rwm"),
            ("devices.crio.io", "/dev/dri/renderD128"),
            ("devices.crio.io/train", "/dev/nvidiactl"),
            ("devices.nri.io/container.train", '- path: "/dev/nvidia0"\n  type: c\n  major: 195\n'),
            ("devices.noderesource.dev/pod", "- path: /dev//nvidia0\n"),
            ("mounts.nri.io/pod", "- source: /run\n  destination: /host\n"),
            ("devices.nri.io/pod", "[{path: /dev/dri}]"),
            ("mounts.nri.io/pod", "- {destination: /host, source: /dev}"),
            ("devices.nri.io/pod", '- path: "\\x2fdev/nvidia0"'),
            ("cdi-devices.nri.io/pod", '- "nvidia\\x2ecom/gpu=0"'),
        ],
    )
    def test_so_are_device_nodes_by_their_paths(self, key: str, value: str) -> None:
        assert found(a_pod(a_container(), annotations={key: value})) == ["cdi-annotation"]


class TestRuntimeClass:
    @pytest.mark.parametrize("name", ["gvisor", "kata", "nvidiax", "", None])
    def test_others_are_no_way(self, name: str | None) -> None:
        assert found(a_pod(a_container(), runtimeClassName=name)) == []

    @pytest.mark.parametrize("name", ["nvidia", "nvidia-cdi", "nvidia-legacy"])
    def test_nvidias_is_one_without_a_request(self, name: str) -> None:
        assert found(a_pod(a_container(), runtimeClassName=name)) == ["nvidia-runtime-class"]
        assert found(a_pod(gpu(0), runtimeClassName=name)) == ["nvidia-runtime-class"]

    def test_the_policys_own_is_one_too(self) -> None:
        policy = a_policy("exclusive", runtime_class_name="gpus", visible_devices=FindingAction.DENY)

        assert rules(evaluate(a_pod(a_container(), runtimeClassName="gpus"), policy)) == ["nvidia-runtime-class"]
        assert rewritten(a_pod(), policy)["spec"]["runtimeClassName"] == "gpus"

    @pytest.mark.parametrize("resource", [GPU, SHARED, MIG, MIG_SHARED])
    def test_with_a_request_of_any_form_it_is_none(self, resource: str) -> None:
        policy = a_policy("exclusive", "shared", "mig-1g.5gb", "mig-1g.5gb-shared", visible_devices=FindingAction.DENY)

        assert rules(evaluate(a_pod(a_container("a"), gpu(1, resource), runtimeClassName="nvidia"), policy)) == []


def mounting(path: str) -> Json:
    return a_pod(a_container(), volumes=[{"name": "e", "emptyDir": {}}, {"name": "host", "hostPath": {"path": path}}])


class TestHostPath:
    @pytest.mark.parametrize(
        "path",
        [
            "/var/log",
            "/dev/null",
            "/dev/shm",
            "/data/dev/nvidia0",
            "/var/lib/kubelet/pods",
            "/var/lib/kubelet/pod-resources",
            "/run/systemd",
            "/etc/ssl",
            "/tmp/work",
            "/opt/nvidia",
            *("/dev/log", "/dev/net/tun", "/dev/infiniband", "/dev/drivers", "/dev/mapper", "/dev/hugepages"),
            *("/proc/sys", "/proc/sys/net", "/proc/self/mounts", "/proc/1/ns/net", "/proc/meminfo", "/proc/x/root"),
            *("/process/1/root", "/data/proc/1/root", "/sys", "/sys/fs/cgroup", "/sys/bus/pci", "/lib/modules"),
            *("/var/lib/kubelet/plugins/csi.example.com", "/var/lib/kubelet/config.yaml", "/var/lib/docker"),
            *("/etc/kubernetes/pki", "/etc/kubernetes/azure.json", "/etc/kubernetes/manifests-old", "/etc/os-release"),
            *("/etc/containerd/certs.d", "/etc/cni/net.d", "/opt/cni/bin", "/etc/cdi.bak", "/etc/docker/certs.d"),
            *("/home/kubernetes/bin/nvidia", "/usr/local/nvidia/lib64", "/run/containerd/s", "/run/podman/x"),
            *("/run/user/1000/pulse", "/run/user/1000/podman-x", "/run/user/x", "/run/users", "/run/user/1000/bus"),
            *(
                "/usr/bin/kubelet",
                "/etc/kubernetes/kubelet",
                "/data/run",
                "/data/containerd",
                "/mnt",
                "/home/u/.docker",
            ),
            *("/var/lib/rancher/k3s/storage", "/var/snap/microk8s/common/default-storage"),
        ],
    )
    def test_other_paths_are_no_way(self, path: str) -> None:
        assert found(mounting(path)) == []

    @pytest.mark.parametrize(
        "path",
        [
            *("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia0/"),
            *("//dev/../dev/nvidia0", "/dev//nvidia0", "/./dev/nvidia0", "dev/nvidia0", "/x/../dev/nvidia0"),
            *("/", "//", "/.", "/dev", "/dev/", "/run", "/var", "/var/run", "/var/lib", "/var/lib/kubelet", ""),
            *("/var/lib/kubelet/device-plugins", "/var/lib/kubelet/device-plugins/nvidia-gpu.sock"),
            *("/var/lib/k0s/kubelet/device-plugins", "/var/lib/kubelet/plugins/gpu.nvidia.com/dra.sock"),
            *("/run/nvidia/mps", "/var/run/nvidia/driver", "/run/nvidia-persistenced", "/tmp/nvidia-mps", "/tmp"),
            *("/etc/cdi", "/var/run/cdi/nvidia.yaml", "/var/run/docker.sock", "/run/containerd"),
            *("/proc", "/proc/", "//proc", "/proc/1", "/proc/self", "/proc/thread-self", "/proc/1234", "/proc/driver"),
            *("/proc/1/root", "/proc/self/root", "/proc/thread-self/root", "/proc/1234/root", "/proc/1/cwd"),
            *("/proc/1/root/etc/hostname", "/proc//1/./root/dev", "/proc/self/root/../..", "/proc/1/net/../root"),
            *("/proc/1/task/1/root", "/proc/self/fd/7", "/dev/fd/7", "/proc/1/map_files", "/proc/driver/nvidia/gpus"),
            *("/proc/driver/nvidia-caps", "/dev/dri", "/dev/dri/card0", "/dev/char", "/dev/char/195:0", "/dev/vfio/17"),
            *("/dev/nvidia-caps", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/dxg", "/var/run/../run/docker.sock"),
            *("/run/cri-dockerd.sock", "/var/run/cri-dockerd.sock", "/run/podman/podman.sock", "/run/podman"),
            *("/run/user/1000/podman/podman.sock", "/run/user/1000/docker.sock", "/run/k0s/containerd.sock"),
            # Every directory above the socket of a rootless runtime, for any user.
            *("/run/user", "/run/user/", "/var/run/user", "/run/user/0", "/run/user/1000", "/var/run/user/1000/"),
            *("/run/user/4294967294/podman", "/run/user/1000/docker", "/run/user/1000/docker/containerd"),
            *("/run/user/1000/containerd", "/run/user/1000/crio", "/run/user/1000/../1001", "/x/../run//user/."),
            *("/mnt/stateful_partition/var/lib/kubelet", "/mnt/var/lib/kubelet/plugins", "/rootfs/run/containerd"),
            "/data/run/crio",
            *("/run/k0s", "/run/k3s", "/run/k3s/containerd/containerd.sock", "/run/nri", "/var/run/nri/nri.sock"),
            *("/var/snap/microk8s/common/run/containerd.sock", "/var/snap", "/run/containerd/containerd.sock.ttrpc"),
            *("/var/snap/microk8s/common/run", "/run/crio/crio.sock", "/run/crio", "/opt/nri/plugins", "/etc/nri"),
            *("/run/dockershim.sock", "/run/isulad.sock", "/system/run/containerd", "/run/docker/containerd"),
            *(
                "/var/lib/kubelet/plugins_registry",
                "/var/lib/kubelet/plugins_registry/x.sock",
                "/var/lib/kubelet/plugins",
            ),
            *("/var/lib/k0s/kubelet/plugins_registry", "/var/lib/k0s", "/mnt/var/lib/kubelet/plugins_registry"),
            *("/var/snap/microk8s/common/var/lib/kubelet", "/etc", "/etc/kubernetes", "/etc/kubernetes/manifests"),
            *(
                "/etc/kubernetes/manifests/x.yaml",
                "/etc/kubernetes/static-pods",
                "/var/lib/rancher/k3s/server/manifests",
            ),
            *("/var/lib/rancher/rke2/agent/pod-manifests", "/var/lib/rancher", "/var/lib/k0s/manifests"),
            *("/etc/nvidia-container-runtime/config.toml", "/etc/containerd", "/etc/containerd/config.toml"),
            *("/etc/crio/crio.conf.d/99-nvidia.toml", "/etc/crio", "/var/lib/rancher/k3s/agent/etc/containerd"),
        ],
    )
    def test_what_leads_to_gpus_is_one_however_it_is_written(self, path: str) -> None:
        decision = evaluate(mounting(path), DENY)

        assert rules(decision) == ["gpu-host-path"]
        assert decision.denials[0].path == "spec.volumes[1].hostPath.path"

    @pytest.mark.parametrize(
        ("path", "exposed"),
        [
            ("/proc", "/proc/1/root of the node"),
            ("/etc/kubernetes", "/etc/kubernetes/manifests of the node"),
            ("/dev/dri", "GPUs of the node"),
            ("/proc/1/root/etc", "the root of the node"),
            ("/proc/self/cwd", "the root of the node"),
            ("/var/lib/kubelet/plugins_registry", "GPUs through the kubelet's device plugins"),
            ("/mnt/kubelet/device-plugins", "GPUs through the kubelet's device plugins"),
            ("/etc/kubernetes/manifests", "GPUs through manifests that bypass admission"),
            ("/etc/cdi", "GPUs through the container runtime's configuration"),
            ("/run/cri-dockerd.sock", "GPUs through the container runtime's socket"),
            ("/run/user/1000/docker.sock", "GPUs through the container runtime's socket"),
            ("/run/user", "/run/user/<uid>/podman/podman.sock of the node"),
            ("/run/user/1000", "/run/user/<uid>/podman/podman.sock of the node"),
            ("/mnt/var/lib/kubelet", "GPUs through the kubelet's device plugins"),
        ],
    )
    def test_the_sentence_says_what_is_exposed(self, path: str, exposed: str) -> None:
        assert messages(evaluate(mounting(path), DENY)) == [
            f"pod: hostPath {path} leads to {exposed}; mount less of it, or use an exempt namespace"
        ]

    def test_a_path_of_any_length_is_walked_in_time(self) -> None:
        assert found(mounting("/a" * 500_000)) == []
        assert found(mounting("/proc/1/root" + "/.." * 500_000)) == ["gpu-host-path"]

    def test_a_request_does_not_excuse_it(self) -> None:
        assert found(a_pod(volumes=[{"name": "d", "hostPath": {"path": "/dev/nvidia1"}}])) == ["gpu-host-path"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_privileged_container_is_a_way(section: str) -> None:
    assert found(container(section, securityContext={"privileged": True})) == ["privileged-container"]
    for harmless in ({"privileged": False}, {"privileged": None}, {}, None):
        assert found(container(section, securityContext=harmless)) == []


def test_a_node_of_the_users_choice_is_a_way() -> None:
    assert found(a_pod(a_container(), nodeName="gpu-1")) == ["node-name-set"]
    assert found(a_pod(nodeName="gpu-1")) == ["node-name-set"]
    assert found(a_pod(nodeName="", nodeSelector={"pool": "gpu"})) == []


EVERYTHING = a_pod(
    a_container(env=env("all"), securityContext={"privileged": True}),
    annotations={"cdi.k8s.io/a": "nvidia.com/gpu=0"},
    nodeName="n",
    runtimeClassName="nvidia",
    volumes=[{"name": "d", "hostPath": {"path": "/dev"}}],
)


class TestFix:
    """A request is a fix only where the policy permits one, and the container can have one and has none."""

    MOUNT: ClassVar[Json] = {"volumeMounts": [{"name": "v", "mountPath": "/var/run/nvidia-container-devices/all"}]}
    CDI: ClassVar[Json] = {"cdi.k8s.io/x": "nvidia.com/gpu=all"}
    REQUEST = "or request nvidia.com/gpu"

    @pytest.mark.parametrize("policy", [DENY, a_policy(permits_any=True, visible_devices=FindingAction.DENY)])
    @pytest.mark.parametrize(
        "pod",
        [
            a_pod(a_container(env=env("all"))),
            a_pod(a_container(env=env("12.2", "CUDA_VERSION"))),
            a_pod(a_container(**MOUNT)),
            a_pod(a_container(), annotations=CDI),
            a_pod(a_container(), runtimeClassName="nvidia"),
        ],
    )
    def test_a_request(self, pod: Json, policy: Policy) -> None:
        none = a_policy(visible_devices=FindingAction.DENY)

        assert [self.REQUEST in message for message in messages(evaluate(pod, policy))] == [True]
        assert [self.REQUEST in message for message in messages(evaluate(pod, none))] == [False]

    @pytest.mark.parametrize(
        "pod",
        [
            container("ephemeralContainers", env=env("all")),
            container("ephemeralContainers", env=env("12.2", "CUDA_VERSION")),
            container("ephemeralContainers", **MOUNT),
            a_pod(gpu(**MOUNT)),
            a_pod(gpu(), annotations=CDI),
        ],
    )
    def test_no_request(self, pod: Json) -> None:
        assert [self.REQUEST in message for message in messages(evaluate(pod, DENY))] == [False]


class TestEffect:
    def test_where_any_form_is_permitted_nothing_is_minded(self) -> None:
        assert evaluate(EVERYTHING, "any") == Decision()

    @pytest.mark.parametrize("policy", ["exclusive", "shared", "none"])
    def test_elsewhere_it_is_warned_of(self, policy: str) -> None:
        decision = evaluate(EVERYTHING, policy)

        assert len(decision.warnings) == 6
        assert (decision.denials, decision.edits, decision.gpu_containers) == ((), (), ())

    @pytest.mark.parametrize(
        ("setting", "severities"),
        [
            (FindingAction.IGNORE, set()),
            (FindingAction.WARN, {Severity.WARN}),
            (FindingAction.DENY, {Severity.DENY}),
        ],
    )
    @pytest.mark.parametrize("forms", [{"permits_any": True}, {}])
    def test_a_policy_may_say_it(self, setting: FindingAction, severities: set[Severity], forms: Json) -> None:
        decision = evaluate(EVERYTHING, a_policy(visible_devices=setting, **forms))

        assert {finding.severity for finding in decision.findings} == severities
        assert all(finding.rule.access for finding in decision.findings)

    def test_a_warning_keeps_no_request_from_being_rewritten(self) -> None:
        decision = evaluate(a_pod(gpu(env=env("all"))), "mig-1g.5gb")

        assert decision.edits
        assert rules(decision) == ["visible-devices-env"]

    def test_what_is_refused_is_not_rewritten(self) -> None:
        decision = evaluate(a_pod(gpu(env=env("all"))), a_policy("mig-1g.5gb", visible_devices=FindingAction.DENY))

        assert decision.edits == ()

    def test_it_is_not_evaluated_where_the_pod_is_not_final(self) -> None:
        assert decide(view(EVERYTHING), DENY, DevicePlugin(), guarded=False) == Decision()

    def test_a_mirror_pod_is_left_alone(self) -> None:
        mirror = {**EVERYTHING, "metadata": {"annotations": {"kubernetes.io/config.mirror": "1"}}}

        assert evaluate(mirror, DENY) == Decision()
        assert not guard.sees(view(mirror))

    def test_of_very_many_the_first_are_told(self) -> None:
        pod = a_pod(*(gpu(name=f"c{number}", env=env("all") * 1000) for number in range(10)))

        assert len([rule for rule in found(pod) if rule == "visible-devices-env"]) == 100

    def test_whatever_is_minded_is_seen_beforehand(self) -> None:
        assert guard.sees(view(EVERYTHING))
        assert not guard.sees(view(a_pod()))
        assert not guard.sees(view({"metadata": {}}))
        assert list(guard.findings(view({}), [], DENY)) == []


class TestNewEphemeralContainers:
    OLD = a_container("old", securityContext={"privileged": True})
    NEW = a_container("new", env=env("all"))

    def test_only_the_new_ones_are_evaluated(self) -> None:
        before, after = a_pod(ephemeralContainers=[self.OLD]), a_pod(ephemeralContainers=[self.OLD, self.NEW])
        told = list(guard.of_new_ephemeral_containers(view(after), view(before), DENY))

        assert [(finding.rule.id, finding.path) for finding in told] == [
            ("visible-devices-env", "spec.ephemeralContainers[1].env[0]")
        ]

    def test_the_request_of_another_container_is_not_theirs(self) -> None:
        (finding,) = guard.of_new_ephemeral_containers(view(a_pod(ephemeralContainers=[self.NEW])), view(a_pod()), DENY)

        assert "without a request" in finding.message

    def test_one_under_an_old_name_that_differs_is_new(self) -> None:
        before = a_pod(ephemeralContainers=[a_container("old")])
        after = a_pod(ephemeralContainers=[self.OLD])

        assert len(list(guard.of_new_ephemeral_containers(view(after), view(before), DENY))) == 1

    def test_nothing_is_evaluated_where_it_is_ignored_or_there_is_no_pod(self) -> None:
        after = view(a_pod(ephemeralContainers=[self.NEW]))

        assert list(guard.of_new_ephemeral_containers(after, view({}), a_policy(permits_any=True))) == []
        assert list(guard.of_new_ephemeral_containers(view({}), view({}), DENY)) == []


class TestOutsideContainers:
    @pytest.mark.parametrize("section", ["limits", "requests"])
    @pytest.mark.parametrize("resource", [GPU, SHARED, MIG])
    def test_a_gpu_of_the_pod_as_a_whole_is_refused(self, section: str, resource: str) -> None:
        decision = evaluate(a_pod(a_container(), resources={section: {"cpu": "1", resource: "1"}}), "any")

        assert [(finding.rule.id, finding.path) for finding in decision.denials] == [
            ("gpu-outside-containers", f"spec.resources.{section}[{resource}]")
        ]

    def test_so_is_that_of_an_ephemeral_container(self) -> None:
        decision = evaluate(a_pod(ephemeralContainers=[a_container(), gpu()]), "any")

        assert decision.denials[0].path == "spec.ephemeralContainers[1].resources.limits[nvidia.com/gpu]"

    @pytest.mark.parametrize("resources", [None, {}, {"limits": None}, {"limits": {"cpu": "1"}}])
    def test_other_resources_of_a_pod_are_none_of_our_business(self, resources: Json | None) -> None:
        assert evaluate(a_pod(a_container(), resources=resources), "any") == Decision()
