"""Golden cases of the rules about what a policy permits, and how many: each just misses one that fires."""

from testing.reviews import GPU, Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table
from tests.golden.tables.policies import BY_MEMORY, needs

SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"
LIMITED: Json = {"policies": {"limited": {"forms": ["exclusive"], "maxPerContainer": 2, "maxPerPod": 3}}}


def fill(rules: Table) -> None:
    """Add the cases."""
    _permission(rules)
    _memory(rules)
    _other_names(rules)
    _claims(rules)
    _plain_claims(rules)
    _limits(rules)
    _final_pod(rules)


def _permission(rules: Table) -> None:
    rule = "gpu-not-permitted"
    rules.validate(f"{rule}.fires.none", "Policy none permits no GPU.", a_pod(), "none")
    rules.validate(
        f"{rule}.fires.unreadable-label",
        "A label that can't be read refuses GPUs; it never loosens anything.",
        a_pod(),
        "mig-1g5gb",
    )
    rules.validate(f"{rule}.near-miss.zero", "A count of 0 is not a request.", a_pod(a_gpu_container("0")), "none")
    rules.validate(
        f"{rule}.near-miss.unreadable-label-without-gpu",
        "A pod without a GPU is not touched by a bad label.",
        a_pod(a_container("web", {"cpu": "1"})),
        "mig-1g5gb",
    )
    rule = "form-not-permitted"
    slice_pod = a_pod(a_container("train", {MIG: "1"}))
    rules.validate(f"{rule}.fires.slice-in-shared", "An explicit request is a statement.", slice_pod, "shared")
    rules.validate(
        f"{rule}.fires.whole-gke-in-time-sharing",
        "GKE's selectors name a form as well.",
        a_pod(nodeSelector={"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}),
        "gke-time-sharing-4",
    )
    rules.validate(f"{rule}.fires.other-profile", "Another profile is another form.", slice_pod, "mig-2g.10gb")
    rules.validate(f"{rule}.near-miss.listed", "The form is the policy's.", slice_pod, "mig-1g.5gb")
    rules.validate(
        f"{rule}.near-miss.listed-second",
        "Any form that the policy lists will do.",
        slice_pod,
        "either",
        configuration={"policies": {"either": {"forms": ["shared", "mig-1g.5gb"]}}},
    )


def _memory(rules: Table) -> None:
    for case, about, amount, policy in (
        ("gpu-memory-invalid.fires.no-quantity", "A space is not part of a quantity.", "12 GB", "memory"),
        ("gpu-memory-invalid.fires.without-a-unit", "12 bytes are a mistake.", "12", "memory"),
        ("gpu-memory-invalid.near-miss.least", "The least that is read.", "1Mi", "memory"),
        ("gpu-memory-too-large.fires.no-slice", "No slice has the memory.", "39.3Gi", "memory"),
        ("gpu-memory-too-large.near-miss.largest", "The largest slice has as much.", "39.25Gi", "memory"),
        ("gpu-memory-ignored.fires.other-policy", "The policy does not select by memory.", "12Gi", "mig-1g.10gb"),
        ("gpu-memory-ignored.near-miss.any", "Nothing is selected under any.", "12 GB", "any"),
    ):
        rules.mutate(case, about, a_pod(annotations=needs(amount)), policy, configuration=BY_MEMORY)
    for rule, amount in (("gpu-memory-invalid", "12 GB"), ("gpu-memory-too-large", "39.3Gi")):
        pod = a_pod(annotations=needs(amount))
        rules.validate(f"{rule}.fires.denied", "The pod is denied.", pod, "memory", configuration=BY_MEMORY)


def _other_names(rules: Table) -> None:
    rule = "other-gpu-resource"
    card, sliced = {"nvidia.com/GA102GL_A10": "1"}, {"nvidia.com/gpu.sliced": "1", "nvidia.com/gpu.sliced.units": "4"}
    claimed = {"deviceclass.resource.kubernetes.io/h100.example.com": "1"}
    rules.validate(f"{rule}.fires.none", "KubeVirt's card is a GPU.", a_pod(a_container("vm", card)), "none")
    rules.validate(
        f"{rule}.fires.unreadable-label", "A bad label loosens nothing.", a_pod(a_container("vm", card)), "mig-1g5gb"
    )
    rules.validate(
        f"{rule}.fires.device-class",
        "DRA by the name of a class without a form is no listed form.",
        a_pod(a_container("a", claimed)),
        "mps",
    )
    rules.validate(
        f"{rule}.fires.beside-a-form",
        "One more name is more than the policy permits; a family of names is told once.",
        a_pod(a_container("train", {GPU: "1", **sliced})),
        "exclusive",
    )
    misspelt = a_pod(a_container("train", {"nvidia.com/gpu-shared": "1"}))
    unknown = "unknown-gpu-resource"
    rules.validate(f"{unknown}.fires.denied", "The denial names the nearest real name.", misspelt, "none")
    rules.validate(f"{unknown}.fires.denied-form", "The policy permits the form, not this name.", misspelt, "shared")
    rules.mutate(f"{rule}.fires.at-mutate", "Refusing is the other side's.", a_pod(a_container("vm", card)), "none")
    rules.validate(
        f"{rule}.fires.declared",
        "The configuration names another.",
        a_pod(a_container("train", {"amd.com/gpu": "1"})),
        "none",
        configuration={"resources": {"gpus": ["amd.com/*"]}},
    )
    rules.validate(f"{rule}.near-miss.any", "Policy any permits every GPU.", a_pod(a_container("vm", card)), "any")
    rules.validate(
        f"{rule}.near-miss.zero", "0 is not a request.", a_pod(a_container("vm", dict.fromkeys(card, "0"))), "none"
    )
    network = a_pod(a_container("train", {"nvidia.com/hostdev": "1", "rdma/hca_shared_devices_a": "1"}))
    rules.validate(f"{rule}.near-miss.network", "NVIDIA's networks are no GPUs.", network, "none")
    rules.validate(
        f"{rule}.near-miss.excepted",
        "The configuration excepts it.",
        a_pod(a_container("vm", card)),
        "none",
        configuration={"resources": {"notGPUs": ["nvidia.com/GA102*"]}},
    )


def _claims(rules: Table) -> None:
    using = {"name": "train", "image": "registry.example/train:1", "resources": {"claims": [{"name": "gpu"}]}}
    pod = a_pod(using, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}])
    whole = [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]
    strange = [{"name": "gpu", "exactly": {"deviceClassName": "h100.example.com"}}]
    rules.validate("gpu-not-permitted.fires.claim", "A claim is a request too.", pod, "none", template=whole)
    rules.validate("form-not-permitted.fires.claim", "A template gives a whole GPU.", pod, "shared", template=whole)
    rule = "claim-not-permitted"
    rules.validate(f"{rule}.fires.unknown-form", "The class may be any.", pod, "exclusive", template=strange)
    rules.validate(
        f"{rule}.fires.admin-access",
        "It is access to GPUs of others.",
        pod,
        "exclusive",
        template=[{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com", "adminAccess": True}}],
    )
    rules.validate(f"{rule}.near-miss.form", "The policy permits whole GPUs.", pod, "exclusive", template=whole)
    rules.validate(
        f"{rule}.near-miss.configured",
        "The configuration says what the class is.",
        pod,
        "exclusive",
        configuration={"claims": {"deviceClasses": {"h100.example.com": "exclusive"}}},
        template=strange,
    )
    rules.validate(f"{rule}.near-miss.any", "Policy any permits every GPU.", pod, "any", template=strange)
    rule = "claim-not-found"
    rules.validate(f"{rule}.fires.late", "The template may be made later, and be for GPUs.", pod, "none")
    rules.validate(
        f"{rule}.near-miss.network",
        "It is there, and not for GPUs.",
        pod,
        "none",
        template=[{"name": "nic", "exactly": {"deviceClassName": "dranet-ib"}}],
    )


def _plain_claims(rules: Table) -> None:
    forms = [{"claimTemplate": "one", "deviceClass": "gpu.nvidia.com"}]
    claims: Json = {"configuration": {"policies": {"claims": {"forms": forms}}}}
    whole = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}
    two = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2}}
    pod = a_pod(a_gpu_container("2"))
    rule = "claim-not-possible"
    rules.validate(f"{rule}.fires.count", "The template claims one.", pod, "claims", template=[whole], **claims)
    rules.mutate(f"{rule}.near-miss.count", "The template claims as many.", pod, "claims", template=[two], **claims)
    rules.mutate("claim-not-found.near-miss.plain", "A GPU by claim.", a_pod(), "claims", template=[whole], **claims)
    rules.validate("claim-not-found.fires.plain", "Nobody made the template.", a_pod(), "claims", **claims)


def _limits(rules: Table) -> None:
    rule = "per-container-limit"
    rules.validate(
        f"{rule}.fires.three-of-two",
        "maxPerContainer is 2.",
        a_pod(a_gpu_container("3")),
        "limited",
        configuration=LIMITED,
    )
    rules.validate(
        f"{rule}.near-miss.two-of-two",
        "maxPerContainer is 2.",
        a_pod(a_gpu_container("2")),
        "limited",
        configuration=LIMITED,
    )
    rule = "per-pod-limit"
    two = [a_gpu_container("2", "train"), a_gpu_container("2", "serve")]
    rules.validate(f"{rule}.fires.two-containers", "maxPerPod is 3.", a_pod(*two), "limited", configuration=LIMITED)
    sidecar = a_gpu_container("2", "cache", restartPolicy="Always")
    rules.validate(
        f"{rule}.fires.sidecar",
        "A sidecar runs beside the containers, so its GPUs count with theirs.",
        a_pod(a_gpu_container("2"), initContainers=[sidecar]),
        "limited",
        configuration=LIMITED,
    )
    rules.validate(
        f"{rule}.near-miss.init-container",
        "An init container has ended before the containers start.",
        a_pod(a_gpu_container("2"), initContainers=[a_gpu_container("2", "load")]),
        "limited",
        configuration=LIMITED,
    )


def _final_pod(rules: Table) -> None:
    rule = "not-rewritten"
    rules.validate(f"{rule}.fires.mutator-was-down", "The plain request arrives as the user wrote it.", a_pod(), "mps")
    spelled = a_pod(a_container("train", {SHARED: "1"}), nodeSelector={"nvidia.com/gpu.sharing-strategy": "mps"})
    rules.validate(
        f"{rule}.fires.selector-undone",
        "Another webhook took the node selector away.",
        a_pod(a_container("train", {SHARED: "1"})),
        "mps",
    )
    rules.validate(
        f"{rule}.near-miss.no-annotations",
        "Annotations inform; that they are missing refuses nothing, and nobody needs our toleration to be told what to say.",
        spelled,
        "mps",
    )
    rules.validate(
        f"{rule}.near-miss.plain-where-any",
        "Policy any rewrites nothing.",
        a_pod(a_container("train", {GPU: "2"})),
        "any",
    )
