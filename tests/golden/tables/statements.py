"""Golden cases of explicit requests: permitted, narrowed, translated, or rewritten where the policy says so."""

from testing.reviews import GPU, Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"
PRODUCT = "nvidia.com/gpu.product"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
GKE_SLOT = {
    "cloud.google.com/gke-gpu-sharing-strategy": "mps",
    "cloud.google.com/gke-max-shared-clients-per-gpu": "4",
}
NOT_RENAMED: Json = {"devicePlugin": {"renameByDefault": False}}


def fill(statements: Table) -> None:
    """Add the cases."""
    slot, piece = a_pod(a_container("train", {SHARED: "1"})), a_pod(a_container("train", {MIG: "1"}))
    statements.mutate("permitted", "An already correct pod gets no patch.", slot, "shared")
    statements.mutate("narrowed-to-mps", "The policy is more specific: the selector is added.", slot, "mps")
    statements.mutate(
        "wider-policy",
        "The pod is more specific than the policy, which covers it.",
        _on(STRATEGY, "mps", slot),
        "shared",
    )
    statements.mutate("translated-to-gke", "The same slice as GKE spells it.", piece, "gke-mig-1g.5gb")
    statements.mutate(
        "translated-from-gke",
        "The same slice as the device plugin spells it.",
        a_pod(nodeSelector={GKE_PARTITION: "1g.5gb"}),
        "mig-1g.5gb",
    )
    statements.mutate(
        "translated-slot-from-gke", "GKE's selectors go with the spelling.", a_pod(nodeSelector=GKE_SLOT), "mps"
    )
    rewriting: Json = {"policies": {"slices": {"forms": ["mig-1g.5gb"], "mismatch": "rewrite"}}}
    statements.mutate(
        "mismatch-rewritten", "A policy may rewrite what it does not list.", slot, "slices", configuration=rewriting
    )
    statements.mutate(
        "mismatch-at-mutate",
        "Refused by the validating side; the mutating side says so only to the audit log.",
        slot,
        "mig-1g.5gb",
    )
    _products(statements)
    statements.mutate(
        "plain-beside-explicit",
        "A plain request gets the form that the same node hands out.",
        a_pod(a_container("train", {SHARED: "1"}), a_gpu_container("1", "serve")),
        "mixed",
        configuration={"policies": {"mixed": {"forms": ["exclusive", "shared"]}}},
    )


def _products(statements: Table) -> None:
    shared_product = a_pod(nodeSelector={PRODUCT: "NVIDIA-A100-SXM4-40GB-SHARED"})
    statements.mutate(
        "product-suffix-permitted",
        "The suffix -SHARED names the form, which is permitted; what all of its nodes say is added.",
        shared_product,
        "shared",
        configuration=NOT_RENAMED,
    )
    statements.validate("product-suffix-refused", "The same where only whole GPUs are.", shared_product, "exclusive")
    statements.mutate(
        "product-suffix-respelled",
        "Spelled anew, the suffix goes from the value.",
        a_pod(nodeSelector={PRODUCT: "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"}),
        "mig-1g.5gb",
    )
    statements.mutate(
        "product-without-suffix",
        "A product alone names no form: the request is plain.",
        a_pod(a_container("train", {GPU: "1"}), nodeSelector={PRODUCT: "NVIDIA-A100-SXM4-40GB"}),
        "mig-1g.5gb",
    )


def _on(key: str, value: str, pod: Json) -> Json:
    return {**pod, "spec": {**pod["spec"], "nodeSelector": {key: value}}}
