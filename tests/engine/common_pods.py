"""Pods at the edge of the common case, and policies of every kind, for tests of the predicate, its CEL and a real API server."""

from random import Random
from typing import Any

from tests.builders import GKE_CLIENTS, GKE_PARTITION, GKE_SHARING, GPU, MIG, PRODUCT, SHARED, STRATEGY, Json, affinity
from webhook.engine.common_case import FEW, MOST_ADDED, MOST_FORMS
from webhook.engine.common_case_pods import LONGEST_PATH, MANY

# As a configuration file has them.
CONFIGURED: dict[str, Json] = {
    "plain-shared": {"forms": ["shared"]},
    "several": {"forms": ["time-slicing", "exclusive", "mig-1g.5gb"], "maxPerContainer": 4, "maxPerPod": 5},
    "slots": {"forms": ["mps"], "maxPerContainer": 3, "maxPerPod": 4},
    "whole": {"forms": ["exclusive", "shared"], "maxPerContainer": 2, "mismatch": "rewrite"},
    "adding": {
        "forms": ["shared", "mps"],
        "nodeSelector": {"pool": "gpu", "team.example/tier": "a.b_c"},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"},
            {"key": "team", "value": "ml"},
            {"operator": "Exists", "effect": "PreferNoSchedule"},
            {"key": "team", "value": "ml", "effect": "NoExecute", "tolerationSeconds": 9},
            {"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
        ],
        "runtimeClassName": "nvidia",
        "env": {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25", "QUOTED": 'it\'s "a\\b"\nüñ', "LONG": "x" * 100},
    },
    "only-adding": {"forms": ["exclusive"], "env": {"TEAM": "ml"}, "visibleDevices": "ignore"},
    "on-gke": {"forms": ["gke-time-sharing-4", "gke-exclusive", "gke-mig-1g.5gb"], "maxPerPod": 2},
    "gke-slots": {"forms": ["gke-mps-4"], "maxPerContainer": 2},
    "slices": {"forms": ["mig-1g.5gb", "gke-mig-1g.5gb"]},
    "nothing": {"forms": ["none"], "maxPerPod": 2, "maxPerContainer": 1},
}
BUILT_IN = (
    "exclusive",
    "shared",
    "time-slicing",
    "mps",
    "none",
    "any",
    "mig-1g.5gb",
    "mig-1g.5gb-shared",
    "gke-exclusive",
)

_SLICES = (MIG, "nvidia.com/mig-3g.20gb", "nvidia.com/mig-12g.3456gb.me.all")
_RESOURCES = (*(GPU,) * 6, SHARED, *_SLICES, f"{MIG}.shared", "nvidia.com/gpumem", "nvidia.com/hostdev")
_SELECTORS: tuple[Json, ...] = (
    {"zone": "a"},
    {"pool": "cpu"},
    {STRATEGY: "mps"},
    {STRATEGY: "time-slicing"},
    {STRATEGY: "none"},
    {PRODUCT: "NVIDIA-A100-SXM4-40GB"},
    {PRODUCT: "Tesla-T4-SHARED"},
    {PRODUCT: "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "zone": "a"},
    {PRODUCT: "Tesla-T4-shared"},
    {PRODUCT: ""},
    {"cloud.google.com/gke-accelerator": "nvidia-l4"},
    {"cloud.google.com/gke-accelerator": "nvidia-l4", GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"},
    {GKE_SHARING: "mps", GKE_CLIENTS: "4"},
    {GKE_PARTITION: "1g.5gb"},
    {"nvidia.com/gpu.present": "true"},
)
_AFFINITIES: tuple[Json, ...] = (
    affinity([("zone", "In", "a", "b")]),
    affinity([("zone", "In", "a")], [("zone", "NotIn", "b"), ("disk", "Exists")]),
    affinity([("zone", "In", "a"), ("zone", "In", "b")]),
    affinity([("pool", "DoesNotExist")]),
    affinity([(STRATEGY, "In", "mps")]),
    affinity([(STRATEGY, "NotIn", "time-slicing", "mps")]),
    affinity([(PRODUCT, "In", "Tesla-T4")]),
    affinity([(GKE_PARTITION, "DoesNotExist")]),
    affinity([(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]),
    affinity(
        [("zone", "In", "a"), (GKE_PARTITION, "DoesNotExist")], [(GKE_PARTITION, "DoesNotExist"), ("disk", "Exists")]
    ),
    affinity([("zone", "In", "a"), (GKE_PARTITION, "DoesNotExist"), (GKE_SHARING, "DoesNotExist")]),
    affinity([("zone", "In", "a"), (GKE_PARTITION, "DoesNotExist")], [("zone", "In", "b")]),
    affinity([("cores", "Gt", "3")]),
    {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}},
    affinity([("zone", "In", "a")], [("zone", "Exists")]) | {"podAntiAffinity": {}},
    {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [{"key": "zone", "operator": "Exists"}],
                        "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}],
                    }
                ]
            }
        }
    },
    {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": STRATEGY, "operator": "Exists"}]}}
            ]
        }
    },
    {"podAntiAffinity": {}},
)
_TOLERATIONS: tuple[Json, ...] = (
    {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
    {"key": GPU, "operator": "Exists"},
    {"key": GPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"},
    {"operator": "Exists"},
    {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"},
    {"key": "team", "value": "ml"},
    {"key": "team", "value": "ml", "effect": "NoExecute", "tolerationSeconds": 9},
    {"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1},
    {"key": GPU, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9},
)
_ANNOTATIONS: tuple[Json, ...] = (
    {"team": "ml"},
    {"gpuwarden.io/policy": "mine", "gpuwarden.io/original-request": "{}"},
    {"cdi.k8s.io/x": "nvidia.com/gpu=all"},
    {"kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container train"},
    {"kubernetes.io/limit-ranger": "LimitRanger plugin set: nvidia.com/gpu limit for container train"},
)
_ENVIRONMENTS: tuple[list[Json], ...] = (
    [{"name": "A", "value": "b"}],
    [{"name": "TEAM", "value": "mine"}, {"name": "QUOTED", "value": "mine"}],
    [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}],
    [{"name": "CUDA_VERSION", "value": "12.4"}],
)


_MOUNTS = ("/dev/shm", "/dev/shm/", "/data")  # noqa: S108 - names to compare with


def a_random_pod(random: Random) -> Json:  # noqa: C901 - one field after the other
    """A pod as a client sends it: mostly the common case, with something that may or may not matter added now and then."""

    def now_and_then(choices: Any, chance: float = 0.12) -> Any:
        return random.choice(choices) if random.random() < chance else None

    def a_container(name: str, resource: str | None) -> Json:
        container: Json = {"name": name, "image": "example.test/train"}
        limits: Json = {}
        if resource:
            limits[resource] = random.choice(["1", "1", "1", "1", "2", "3", "4", "8", "0", 1, "1000m", "1k"])
        if extra := now_and_then([*_RESOURCES, "cpu", "memory", "hugepages-2Mi", "rdma/hca"], 0.2):
            limits.setdefault(extra, "1Mi" if extra.startswith(("memory", "hugepages")) else "1")
        if "hugepages-2Mi" in limits:
            limits |= {"cpu": "1", "hugepages-2Mi": "2Mi"}
        if limits:
            container["resources"] = {"limits": limits}
            if now_and_then([True]):
                container["resources"]["requests"] = dict(limits)
        if environment := now_and_then(_ENVIRONMENTS, 0.2):
            container["env"] = environment
        if now_and_then([True], 0.05):
            container["securityContext"] = {"privileged": True}
        if path := now_and_then(_MOUNTS, 0.15):
            container["volumeMounts"] = [{"name": "v", "mountPath": path}]
        return container

    resource = random.choice(_RESOURCES)
    containers = [a_container("train", resource)]
    if second := now_and_then([None, resource, resource, GPU, SHARED, MIG], 0.3):
        containers.append(a_container("side", second))
    elif now_and_then([True]):
        containers.append(a_container("side", None))
    spec: Json = {"containers": containers, "automountServiceAccountToken": False}
    if now_and_then([True]):
        spec["initContainers"] = [a_container("init", now_and_then(_RESOURCES, 0.3))]
    mounts = [
        mount
        for section in ("containers", "initContainers")
        for c in spec.get(section, ())
        for mount in c.get("volumeMounts", ())
    ]
    if mounts:
        spec["volumes"] = [
            {"name": "v", **random.choice([{"emptyDir": {}}, {"emptyDir": {}}, {"hostPath": {"path": "/x"}}])}
        ]
    for field, choices in (
        ("nodeSelector", _SELECTORS),
        ("affinity", _AFFINITIES),
        ("hostIPC", [True]),
        ("runtimeClassName", ["nvidia"]),
        ("schedulerName", ["kai-scheduler", "other"]),
        ("schedulingGates", [[{"name": "example.test/wait"}]]),
    ):
        if chosen := now_and_then(choices, 0.25 if field == "nodeSelector" else 0.12):
            spec[field] = chosen
    if chosen := now_and_then(_TOLERATIONS, 0.2):
        spec["tolerations"] = [chosen]
    if now_and_then([True], 0.02):
        spec["nodeName"] = "node-1"
    metadata: Json = {"name": "job-0"}
    if annotations := now_and_then(_ANNOTATIONS):
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


_FORMS = (
    *(
        "exclusive",
        "shared",
        "time-slicing",
        "mps",
        "mig-1g.5gb",
        "mig-2g.10gb",
        "mig-1g.5gb-shared",
        "mig-3g.20gb-mps",
    ),
    *("gke-exclusive", "gke-time-sharing-4", "gke-mps-2", "gke-mig-1g.5gb", "gke-mig-1g.5gb-time-sharing-2"),
)
_ADDED: dict[str, tuple[Any, ...]] = {
    "nodeSelector": ({"pool": "gpu"}, {"zone": "a", "pool": "gpu"}),
    "tolerations": ([{"key": "team", "value": "ml"}], [{"operator": "Exists"}, {"key": GPU, "operator": "Exists"}]),
    "env": ({"TEAM": 'it\'s "mine"'}, {"A": "", "B": "two\nlines", "C": "\\"}),
    "runtimeClassName": ("nvidia",),
    "maxPerContainer": (1, 2, 4, 20),
    "maxPerPod": (1, 3, 8),
    "mismatch": ("rewrite", "reject"),
    "visibleDevices": ("ignore", "warn", "deny"),
}


def a_random_policy(random: Random) -> Json:
    """A policy as a configuration file has it; some are not valid."""
    policy: Json = {"forms": random.sample(_FORMS, random.choice((1, 1, 2, 3, 4)))}
    for field, choices in _ADDED.items():
        if random.random() < 0.3:
            policy[field] = random.choice(choices)
    return policy


def a_large_pod(containers: int, count: str = "1", resource: str = GPU, *, requirements: int = FEW) -> Json:
    """A pod whose lists are all as long as the common case permits, as the API server has it at admission.

    ``requirements`` is how many each term of its node affinity has.
    """

    def a_container(name: str) -> Json:
        return {
            "name": name.ljust(63, "x"),
            "image": "example.test/train",
            "env": [{"name": f"VARIABLE_{number:03}", "value": "x"} for number in range(MANY)],
            "volumeMounts": [{"name": f"v{number}", "mountPath": f"/data/{number:03}"} for number in range(MANY)],
            "resources": {
                s: {f"hugepages-{2**n}Mi": f"{2**n}Mi" for n in range(FEW - 2)} | {"cpu": "1"} for s in _SECTIONS
            },
        }

    main = [a_container(f"train-{number}-") for number in range(containers)]
    for container in main:
        for section in _SECTIONS:
            container["resources"][section][resource] = count
    terms = [[(f"zone-{term}-{number}", "In", "a", "b") for number in range(requirements)] for term in range(FEW)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job-0", "annotations": {f"example.test/note-{number:03}": "x" for number in range(MANY)}},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": main,
            "initContainers": [a_container(f"init-{number}-") for number in range(FEW)],
            "nodeSelector": {f"example.test/label-{number:03}": "x" for number in range(MANY)},
            "tolerations": [{"key": f"example.test/taint-{n:03}", "operator": "Exists"} for n in range(MANY)],
            "volumes": [
                {"name": f"v{number}", "hostPath": {"path": "/data/".ljust(LONGEST_PATH, "x"), "type": ""}}
                for number in range(MANY)
            ],
            "affinity": affinity(*terms),
        },
    }


_SECTIONS = ("limits", "requests")
# As a configuration file has it: every list as long as CEL permits.
A_LARGE_POLICY: Json = {
    "forms": ["shared", "exclusive", *(f"gke-time-sharing-{clients}" for clients in range(2, MOST_FORMS))],
    "maxPerContainer": 3,
    "maxPerPod": 8,
    "env": {f"ADDED_{number:03}": "x" * 200 for number in range(MOST_ADDED)},
    "nodeSelector": {f"example.test/added-{number:03}": "x" for number in range(MOST_ADDED)},
    "tolerations": [{"key": f"example.test/added-{number:03}", "value": "x"} for number in range(MOST_ADDED)],
    "runtimeClassName": "nvidia",
}
