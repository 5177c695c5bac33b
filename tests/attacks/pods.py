"""Pods by which a user tries to talk the way out of a policy, and what is to become of each: written once, for every level."""

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]

GPU, SHARED, MIG = "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb"
POLICY = "mig-1g.5gb"
CONFIGURATION: Json = {"visibleDevices": "deny"}
"""The namespace's policy, and the configuration, of all of them."""


class Verdict(Enum):
    """What is to become of a pod."""

    REFUSED = "refused"
    REWRITTEN = "rewritten"  # it has one slice of the policy's in the end
    UNTOUCHED = "untouched"  # it has no GPU, in the end as in the beginning


@dataclass(frozen=True)
class Attack:
    """A pod as JSON text, and its verdict.

    Attributes:
        rule: the id of the rule that refuses it, or warns of it.
        invalid: a real API server itself refuses the pod, or drops the field that it does not know.
        here_only: a real API server is busy with it for minutes, before any webhook is asked.
    """

    name: str
    text: str
    verdict: Verdict
    rule: str | None = None
    invalid: bool = field(default=False, kw_only=True)
    here_only: bool = field(default=False, kw_only=True)


def a_pod(container: Json | None = None, metadata: Json | None = None, **spec: Any) -> Json:
    """A pod of one container, which makes one plain request unless given."""
    containers = [
        {"name": "c", "image": "i", **({"resources": {"limits": {GPU: "1"}}} if container is None else container)}
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **(metadata or {})},
        "spec": {"containers": containers, **spec},
    }


def limits(**amounts: Any) -> Json:
    return {"resources": {"limits": amounts}}


def _written(name: str, pod: Json, verdict: Verdict, rule: str | None = None, *, invalid: bool = False) -> Attack:
    return Attack(name, json.dumps(pod), verdict, rule, invalid=invalid)


def _twice(name: str, first: str, second: str, verdict: Verdict, rule: str | None = None) -> Attack:
    """The pod's container has a field twice: the decoder here takes the last, and an API server sends it only once.

    The API server's own decoder lays maps over each other; what it makes of them is what it sends, and stores.
    """
    text = json.dumps(a_pod({"TWICE": 0})).replace('"TWICE": 0', f"{first}, {second}")
    return Attack(name, text, verdict, rule)


_PLAIN, _NONE = f'"resources": {{"limits": {{"{GPU}": "1"}}}}', '"resources": {"limits": {"cpu": "1"}}'
_SLOTS = f'"resources": {{"limits": {{"{SHARED}": "2"}}}}'
_FORGED = {"gpuwarden.io/original-request": f'{{"c":{{"{GPU}":"1"}}}}', "gpuwarden.io/policy": "any"}

REWRITTEN = [
    _written("forged annotations", a_pod(metadata={"annotations": _FORGED}), Verdict.REWRITTEN),
    _written("own labels", a_pod(metadata={"labels": {"gpuwarden.io/enforce": "any"}}), Verdict.REWRITTEN),
    _written(
        "labels as annotations", a_pod(metadata={"annotations": {"gpuwarden.io/enforce": "any"}}), Verdict.REWRITTEN
    ),
    _written("a name that is exempt elsewhere", a_pod(metadata={"name": "kube-system"}), Verdict.REWRITTEN),
    _written("a name to be made", a_pod(metadata={"name": None, "generateName": "kube-system-"}), Verdict.REWRITTEN),
    _written("a scheduler that is none of the exempt", a_pod(schedulerName="kai-scheduler-2"), Verdict.REWRITTEN),
    _written("a runtime class that is not exempt", a_pod(runtimeClassName=None), Verdict.REWRITTEN),
    *(
        _written(f"one as {quantity}", a_pod(limits(**{GPU: quantity})), Verdict.REWRITTEN)
        for quantity in ("1e0", "1000m", "+1", "1.0", "0.1e1", "1.", "01", "1000000u")
    ),
    _written("one as a number", a_pod(limits(**{GPU: 1})), Verdict.REWRITTEN),
    _twice("resources twice, a request last", _NONE, _PLAIN, Verdict.REWRITTEN),
    Attack(
        "an escaped name",
        json.dumps(a_pod()).replace("nvidia.com/gpu", "\\u006evidia.com\\/gp\\u0075"),
        Verdict.REWRITTEN,
    ),
]
REFUSED = [
    _written(
        "forged annotations for slots",
        a_pod(limits(**{SHARED: "2"}), {"annotations": _FORGED}),
        Verdict.REFUSED,
        "form-not-permitted",
    ),
    _written("another form", a_pod(limits(**{"nvidia.com/mig-7g.40gb": "1"})), Verdict.REFUSED, "form-not-permitted"),
    _written(
        "a selector of another form",
        a_pod(nodeSelector={"nvidia.com/gpu.product": "A100-SHARED"}),
        Verdict.REFUSED,
        "form-not-permitted",
    ),
    _written(
        "in an init container",
        a_pod(limits(cpu="1"), initContainers=[{"name": "i", "image": "i", **limits(**{SHARED: "1"})}]),
        Verdict.REFUSED,
        "form-not-permitted",
    ),
    _written("capitals in the name", a_pod(limits(**{"nvidia.com/GPU": "1"})), Verdict.REFUSED, "unknown-gpu-resource"),
    _twice("resources twice, slots last", _NONE, _SLOTS, Verdict.REFUSED, "form-not-permitted"),
    _written(
        "requests without limits",
        a_pod({"resources": {"requests": {GPU: "1"}}}),
        Verdict.REFUSED,
        "limits-requests-differ",
        invalid=True,
    ),
    _written(
        "limits of zero",
        a_pod({"resources": {"limits": {GPU: "0"}, "requests": {GPU: "1"}}}),
        Verdict.REFUSED,
        "limits-requests-differ",
        invalid=True,
    ),
    _written("two at once", a_pod(limits(**{GPU: "1", SHARED: "1"})), Verdict.REFUSED, "mixed-gpu-resources"),
    *(
        _written(
            f"a count of {quantity}",
            a_pod(limits(**{GPU: quantity})),
            Verdict.REFUSED,
            "not-a-whole-number",
            invalid=True,
        )
        for quantity in ("0x1", "1e", "\uff11", "1_0", "1 0", "-1", "0.5", "1e-1", "0.999999999", "NaN", "Infinity", "")
    ),
    Attack(
        "a count beyond all time",
        json.dumps(a_pod(limits(**{GPU: "1e400000000"}))),
        Verdict.REFUSED,
        "not-a-whole-number",
        here_only=True,
    ),
    _written("a count beyond all numbers", a_pod(limits(**{GPU: "9" * 400})), Verdict.REFUSED, "not-a-whole-number"),
    _written(
        "of the pod as a whole",
        a_pod(limits(cpu="1"), resources={"limits": {GPU: "1"}}),
        Verdict.REFUSED,
        "gpu-outside-containers",
        invalid=True,
    ),
    _written(
        "an exempt scheduler that never sees it",
        a_pod(limits(**{SHARED: "2"}), schedulerName="hami-scheduler", nodeName="n"),
        Verdict.REFUSED,
        "form-not-permitted",
    ),
    _written(
        "a variable",
        a_pod({"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}),
        Verdict.REFUSED,
        "visible-devices-env",
    ),
    _written(
        "a variable beside a request",
        a_pod({**limits(**{MIG: "1"}), "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "0"}]}),
        Verdict.REFUSED,
        "visible-devices-env",
    ),
    _twice(
        "a variable twice",
        '"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]',
        '"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void", "value": "all"}]',
        Verdict.REFUSED,
        "visible-devices-env",
    ),
    _written(
        "a device node",
        a_pod({}, volumes=[{"name": "d", "hostPath": {"path": "/dev//nvidia0/"}}]),
        Verdict.REFUSED,
        "gpu-host-path",
    ),
    *(
        _written(
            f"the host by {path}",
            a_pod({}, volumes=[{"name": "d", "hostPath": {"path": path}}]),
            Verdict.REFUSED,
            "gpu-host-path",
        )
        for path in (
            *("/proc/1/root", "/proc/self/root/", "/proc//thread-self/root", "/proc/1/cwd", "/proc"),
            *("/run/cri-dockerd.sock", "/var/run/nri/nri.sock", "/run/podman", "/run/k0s/containerd.sock"),
            *("/run/user", "/run/user/1000", "/var/run/user/1000/podman"),
            *("/var/snap/microk8s/common/run/containerd.sock", "/var/lib/kubelet/plugins_registry"),
            *("/etc/kubernetes/manifests", "/dev/dri", "/dev/char/195:0"),
        )
    ),
    _written("privilege", a_pod({"securityContext": {"privileged": True}}), Verdict.REFUSED, "privileged-container"),
    _written("a node", a_pod({}, nodeName="n"), Verdict.REFUSED, "node-name-set"),
    _written(
        "an annotation",
        a_pod({}, {"annotations": {"cdi.k8s.io/a": "nvidia.com/gpu=0"}}),
        Verdict.REFUSED,
        "cdi-annotation",
    ),
    *(
        _written(f"an annotation {key}", a_pod({}, {"annotations": {key: value}}), Verdict.REFUSED, "cdi-annotation")
        for key, value in (
            ("nvidia.cdi.k8s.io/container.c", "management.nvidia.com/gpu=all"),
            ("nvidia.cdi.k8s.io", "runtime.nvidia.com/gpu=0"),
            ("cdi.k8s.io/b", "example.com/net=0,k8s.device-plugin.nvidia.com/gpu=0"),
            ("cdi-devices.nri.io/pod", "- nvidia.com/gpu=0"),
            ("io.kubernetes.cri-o.Devices", "/dev/fuse,/dev/nvidia0:/dev/x:rwm"),
        )
    ),
    _written(
        "a mount",
        a_pod(
            {"volumeMounts": [{"name": "n", "mountPath": "/run/nvidia-container-devices/all"}]},
            volumes=[{"name": "n", "hostPath": {"path": "/dev/null"}}],
        ),
        Verdict.REFUSED,
        "visible-devices-mount",
    ),
]
UNTOUCHED = [
    # No device plugin offers these, and no runtime reads them: such a pod has no GPU, or never starts.
    _written(
        "Cyrillic letters",
        a_pod(limits(**{"nvidi\u0430.com/gpu": "1"})),
        Verdict.UNTOUCHED,
        "unknown-gpu-resource",
        invalid=True,
    ),
    _written(
        "a width of nothing",
        a_pod(limits(**{"nvidia.com/gpu\u200b": "1"})),
        Verdict.UNTOUCHED,
        "unknown-gpu-resource",
        invalid=True,
    ),
    _written("full width", a_pod(limits(**{"nvidia.com/\uff47pu": "1"})), Verdict.UNTOUCHED, invalid=True),
    _written(
        "capitals in the domain",
        a_pod(limits(**{"NVIDIA.com/gpu": "1"})),
        Verdict.UNTOUCHED,
        "unknown-gpu-resource",
        invalid=True,
    ),
    _written("capitals in a field", a_pod({"resources": {"Limits": {GPU: "1"}}}), Verdict.UNTOUCHED),
    _written(
        "capitals in the containers",
        {**a_pod({}), "Spec": {"Containers": [{"resources": {"limits": {GPU: "1"}}}]}},
        Verdict.UNTOUCHED,
    ),
    _written("nothing, negatively", a_pod(limits(**{GPU: "-0"})), Verdict.UNTOUCHED),
    _written("no device", a_pod({"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]}), Verdict.UNTOUCHED),
    _twice("resources twice, none last", _PLAIN, _NONE, Verdict.UNTOUCHED),
    _twice("resources twice, null last", _PLAIN, '"resources": null', Verdict.UNTOUCHED),
]
ATTACKS = [*REWRITTEN, *REFUSED, *UNTOUCHED]
