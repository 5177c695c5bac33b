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
