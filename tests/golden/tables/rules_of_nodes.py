"""Golden cases of the rules about sharing, slices and nodes: each just misses one that fires."""

from testing.reviews import GPU, Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
SHM = "/dev/shm"  # noqa: S108 - a name to compare with
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"


def fill(rules: Table) -> None:
    """Add the cases."""
    _sharing(rules)
    _conflicts(rules)
    _advice(rules)
    _shared_memory(rules)


def _sharing(rules: Table) -> None:
    rule = "shared-request-above-one"
    two_plain, two_slots = a_pod(a_gpu_container("2")), a_pod(a_container("train", {SHARED: "2"}))
    slots: Json = {"policies": {"slots": {"forms": ["mps"], "maxPerContainer": 2}}}
    time_sharing = {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}
    rules.validate(f"{rule}.fires.plain", "Two slots are not two GPUs.", two_plain, "shared")
    rules.mutate(
        f"{rule}.fires.plain-at-mutate",
        "The mutating side lets it through unchanged: refusing is the other's.",
        two_plain,
        "shared",
    )
    rules.validate(f"{rule}.fires.where-any", "The rule holds in every namespace.", two_slots)
    rules.validate(f"{rule}.fires.gke", "GKE's own words.", a_pod(a_gpu_container("2"), nodeSelector=time_sharing))
    rules.validate(f"{rule}.near-miss.one-slot", "One slot is had.", a_pod(a_container("train", {SHARED: "1"})))
    rules.validate(f"{rule}.near-miss.whole", "Two whole GPUs are two.", two_plain, "exclusive")
    rules.mutate(
        f"{rule}.near-miss.raised",
        "A policy of shared forms alone may raise the limit.",
        two_slots,
        "slots",
        configuration=slots,
    )


def _conflicts(rules: Table) -> None:
    rule = "selector-conflict"
    slot = a_container("train", {SHARED: "1"})
    rules.validate(
        f"{rule}.fires.node-selector",
        "No node that shares GPUs says that it shares none.",
        a_pod(slot, nodeSelector={STRATEGY: "none"}),
        "shared",
    )
    excludes = _affinity([{"key": STRATEGY, "operator": "NotIn", "values": ["time-slicing", "mps"]}])
    rules.validate(
        f"{rule}.fires.node-affinity",
        "The affinity excludes every node that shares.",
        a_pod(slot, affinity=excludes),
        "shared",
    )
    rules.validate(
        f"{rule}.fires.two-platforms",
        "No node hands out GKE's slices and the device plugin's slots.",
        a_pod(a_container("train", {MIG: "1"}), a_container("serve", {SHARED: "1"})),
        "both",
        configuration={"policies": {"both": {"forms": ["gke-mig-1g.5gb", "shared"]}}},
    )
    rules.validate(
        f"{rule}.near-miss.same-selector",
        "The pod says what the form needs.",
        a_pod(slot, nodeSelector={STRATEGY: "mps"}),
        "mps",
    )
    one_of_two = _affinity(
        [{"key": STRATEGY, "operator": "DoesNotExist"}], [{"key": "zone", "operator": "In", "values": ["a"]}]
    )
    rules.mutate(
        f"{rule}.near-miss.one-alternative-fits",
        "Terms are alternatives: one that fits is enough.",
        a_pod(slot, affinity=one_of_two),
        "shared",
    )


def _advice(rules: Table) -> None:
    rule = "mig-count-above-one"
    rules.mutate(
        f"{rule}.fires.two-slices",
        "Two GPUs become two slices, of which CUDA uses one: /validate warns.",
        a_pod(a_gpu_container("2")),
        "mig-1g.5gb",
    )
    rules.validate(f"{rule}.fires.where-any", "Told in every namespace.", a_pod(a_container("train", {MIG: "2"})))
    rules.mutate(
        f"{rule}.near-miss.a-slice-each",
        "Two containers with a slice each use both.",
        a_pod(a_gpu_container("1", "train"), a_gpu_container("1", "serve")),
        "mig-1g.5gb",
    )
    rule = "gke-selectors-incomplete"
    rules.mutate(f"{rule}.fires.no-clients", "Autopilot wants both.", a_pod(nodeSelector={GKE_SHARING: "time-sharing"}))
    rules.mutate(f"{rule}.fires.no-strategy", "Autopilot wants both.", a_pod(nodeSelector={GKE_CLIENTS: "4"}))
    rules.mutate(
        f"{rule}.near-miss.completed",
        "The policy adds the other.",
        a_pod(nodeSelector={GKE_SHARING: "time-sharing"}),
        "gke-time-sharing-4",
    )
    rule = "gke-mps-needs-host-ipc"
    rules.mutate(f"{rule}.fires.without", "Never set: it weakens the pod. /validate warns.", a_pod(), "gke-mps-4")
    rules.validate(
        f"{rule}.fires.final",
        "The warning, of the rewritten pod.",
        a_pod(
            nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"},
            affinity=_affinity([{"key": "cloud.google.com/gke-gpu-partition-size", "operator": "DoesNotExist"}]),
        ),
        "gke-mps-4",
    )
    rules.mutate(f"{rule}.near-miss.with", "The pod sets it itself.", a_pod(hostIPC=True), "gke-mps-4")
    rules.mutate(
        f"{rule}.near-miss.mps-elsewhere",
        "The device plugin's MPS needs no host IPC.",
        a_pod(a_container("train", {GPU: "1"})),
        "mps",
    )


def _shared_memory(rules: Table) -> None:
    rule = "mps-shm-mount"

    def mounting(path: str, resource: str = GPU, **spec: Json) -> Json:
        mounts = [{"name": "shm", "mountPath": path}]
        volumes = [{"name": "shm", "emptyDir": {"medium": "Memory"}}]
        return a_pod(a_container("train", {resource: "1"}, volumeMounts=mounts), volumes=volumes, **spec)

    rules.mutate(
        f"{rule}.fires.rewritten", "The volume hides what MPS needs: /validate warns.", mounting(f"{SHM}/"), "mps"
    )
    rules.validate(
        f"{rule}.fires.final",
        "The warning, of the rewritten pod.",
        mounting(SHM, SHARED, nodeSelector={STRATEGY: "mps"}),
        "mps",
    )
    rules.mutate(f"{rule}.near-miss.elsewhere", "Another directory hides nothing.", mounting(f"{SHM}/cache"), "mps")
    rules.mutate(f"{rule}.near-miss.shared", "Whether it is MPS is not known.", mounting(f"{SHM}/"), "shared")


def _affinity(*alternatives: list[Json]) -> Json:
    terms = [{"matchExpressions": expressions} for expressions in alternatives]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
