"""Golden cases of configured policies: what they add to a pod, and what they never overwrite."""

from testing.reviews import Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

# A configuration with something in every field.
CONFIGURATION: Json = {
    "policies": {
        "inference": {
            "forms": ["mig-1g.5gb", "gke-mig-1g.5gb"],
            "mismatch": "reject",
            "maxPerContainer": 1,
            "maxPerPod": 4,
            "nodeSelector": {"pool": "inference"},
            "tolerations": [{"key": "pool", "operator": "Equal", "value": "inference", "effect": "NoSchedule"}],
            "runtimeClassName": "nvidia",
            "env": {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"},
        }
    }
}
# Policies by memory: of every measured GPU, and of one.
BY_MEMORY: Json = {
    "policies": {
        "memory": {"forms": ["mig-1g.10gb", "mig-2g.20gb", "mig-3g.40gb"], "prefer": "memory"},
        "memory-on-h100": {
            "forms": ["mig-1g.10gb", "mig-2g.20gb"],
            "prefer": "memory",
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        },
    }
}
OWN_ENV = [{"name": "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "value": "50"}]


def fill(policies: Table) -> None:
    """Add the cases."""
    policies.mutate("adds", "Everything that the policy has.", a_pod(), "inference", configuration=CONFIGURATION)
    policies.mutate(
        "never-overwrites",
        "What the pod sets stays as it is.",
        a_pod(
            a_gpu_container(env=OWN_ENV),
            a_container("web", {"cpu": "1"}),
            nodeSelector={"pool": "mine"},
            runtimeClassName="kata",
            tolerations=[{"operator": "Exists"}],
        ),
        "inference",
        configuration=CONFIGURATION,
    )
    policies.mutate(
        "adds-beside-what-is-there",
        "Lists grow at their end.",
        a_pod(a_gpu_container(env=[{"name": "MODEL", "value": "small"}]), nodeSelector={"zone": "a"}),
        "inference",
        configuration=CONFIGURATION,
    )
    policies.mutate(
        "not-to-pods-without-gpu",
        "Only pods that ask for a GPU are the policy's.",
        a_pod(a_container("web", {"cpu": "1"})),
        "inference",
        configuration=CONFIGURATION,
    )
    policies.validate(
        "several-findings",
        "Every finding is told, each with its field.",
        a_pod(a_gpu_container("2"), a_gpu_container("0.5", "serve")),
        "inference",
        configuration=CONFIGURATION,
    )
    _by_memory(policies)


def _by_memory(policies: Table) -> None:
    sliced = a_pod(a_container("train", {"nvidia.com/mig-2g.20gb": "1"}), annotations=needs("12Gi"))
    small = a_pod(a_container("train", {"nvidia.com/mig-1g.10gb": "1"}), annotations=needs("12Gi"))
    for name, about, amount, policy in (
        ("first", "Without the annotation, a plain request becomes the first form.", None, "memory"),
        ("enough", "The first slice that has the memory.", "12Gi", "memory"),
        ("less-than-its-name", "A slice has less memory than its name says.", "10Gi", "memory"),
        ("lowest-of-all", "9.7Gi is more than 1g.10gb has on an A100.", "9.7Gi", "memory"),
        ("lowest-of-the-model", "An H100 has as much.", "9.7Gi", "memory-on-h100"),
    ):
        pod = a_pod(annotations=needs(amount) if amount else None)
        policies.mutate(f"by-memory.{name}", about, pod, policy, configuration=BY_MEMORY)
    policies.validate(
        "by-memory.rewritten", "What was written is permitted.", sliced, "memory", configuration=BY_MEMORY
    )
    policies.validate(
        "by-memory.too-small", "An explicit slice is too small.", small, "memory", configuration=BY_MEMORY
    )


def needs(amount: str) -> Json:
    """The annotation."""
    return {"gpuwarden.io/gpu-memory": amount}
