"""Golden cases of the forms: a plain request under every kind of policy value."""

from testing.reviews import Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

# Every form, with a profile or a client count of its own where it takes one.
VALUES = (
    "exclusive",
    "shared",
    "time-slicing",
    "mps",
    "mig-1g.5gb",
    "mig-1g.24gb.me.all",
    "mig-2g.10gb-shared",
    "gke-exclusive",
    "gke-time-sharing-2",
    "gke-mps-48",
    "gke-mig-1g.5gb",
    "gke-mig-1g.5gb-time-sharing-3",
    "gke-mig-3g.20gb-mps-7",
    "any",
    "none",
)
NOT_RENAMED: Json = {"devicePlugin": {"renameByDefault": False}}
SINGLE: dict[str, Json] = {
    "mig-single": {},
    "mig-single-not-renamed": {"renameByDefault": False},
    "mig-single-by-product": {"products": ["NVIDIA-A100-SXM4-40GB", "NVIDIA-A30"]},
}
SPELLED_BY_NODES = ("exclusive", "shared", "time-slicing", "mps", "mig-1g.5gb", "mig-1g.5gb-shared")


def fill(forms: Table) -> None:
    """Add the cases."""
    for value in VALUES:
        forms.mutate(value, f"A plain request in a namespace with policy {value}.", a_pod(), value)
    for value in SPELLED_BY_NODES:
        forms.mutate(
            f"{value}.not-renamed",
            f"The same under {value} where the device plugin does not rename shared resources.",
            a_pod(),
            value,
            configuration=NOT_RENAMED,
        )
    for value in SPELLED_BY_NODES:
        for name, settings in SINGLE.items():
            forms.mutate(
                f"{value}.{name}",
                f"The same under {value} where MIG slices are called nvidia.com/gpu too ({name.replace('-', ' ')}).",
                a_pod(),
                value,
                configuration={"devicePlugin": {"migStrategy": "single", **settings}},
            )
    for value in ("gke-exclusive", "gke-mig-1g.5gb", "gke-time-sharing-2"):
        forms.mutate(
            f"{value}.autopilot",
            f"The same under {value} on GKE Autopilot, which takes node affinity on few labels.",
            a_pod(),
            value,
            configuration={"gke": {"autopilot": True}},
        )
    _pods(forms)


def _pods(forms: Table) -> None:
    containers = [a_gpu_container("1", "train"), a_container("proxy", {"cpu": "1"}), a_gpu_container("1", "serve")]
    inits = [a_gpu_container("1", "load"), a_gpu_container("1", "cache", restartPolicy="Always")]
    forms.mutate(
        "pod.every-kind-of-container",
        "Init containers, sidecars and containers are spelled alike; one without a GPU is left alone.",
        a_pod(*containers, initContainers=inits),
        "mps",
    )
    forms.mutate(
        "pod.several-whole-gpus", "N GPUs become N slices of GKE's.", a_pod(a_gpu_container("3")), "gke-mig-1g.5gb"
    )
    forms.mutate(
        "pod.own-selector-and-toleration",
        "What the pod sets stays, and its toleration is enough.",
        a_pod(
            nodeSelector={"zone": "a"},
            tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        ),
        "time-slicing",
    )
    forms.mutate(
        "pod.affinity-of-two-alternatives",
        "What the form needs goes into every alternative of the node affinity.",
        a_pod(
            affinity={
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
                            for zone in ("a", "b")
                        ]
                    }
                }
            }
        ),
        "gke-exclusive",
    )
    forms.mutate(
        "pod.annotations-of-its-own",
        "The pod's annotations stay, and ours go beside them.",
        a_pod(annotations={"team/owner": "ml"}),
        "shared",
    )
