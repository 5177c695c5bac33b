"""Golden cases of the rules about quantities and names: each just misses one that fires."""

from testing.reviews import GPU, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"


def fill(rules: Table) -> None:
    """Add the cases."""
    _quantities(rules)
    _limits_and_requests(rules)
    _names(rules)


def _quantities(rules: Table) -> None:
    rule = "not-a-whole-number"
    rules.validate(f"{rule}.fires.half", "Half a GPU is refused in every namespace.", a_pod(a_gpu_container("0.5")))
    rules.validate(f"{rule}.fires.milli", "1500m is one and a half.", a_pod(a_gpu_container("1500m")), "exclusive")
    rules.validate(f"{rule}.fires.negative", "A negative count is no count.", a_pod(a_gpu_container("-1")), "exclusive")
    rules.mutate(
        f"{rule}.near-miss.thousand-milli",
        "1000m is 1, and keeps its spelling.",
        a_pod(a_gpu_container("1000m")),
        "mig-1g.5gb",
    )
    rules.validate(
        f"{rule}.near-miss.two-thousand",
        "2k is 2000, a whole number, and whole GPUs may be many.",
        a_pod(a_gpu_container("2k")),
        "exclusive",
    )


def _limits_and_requests(rules: Table) -> None:
    rule = "limits-requests-differ"
    differ = {**a_gpu_container(), "resources": {"limits": {GPU: "2"}, "requests": {GPU: "1"}}}
    requests_only = {**a_gpu_container(), "resources": {"requests": {GPU: "1"}}}
    limits_only = {**a_gpu_container(), "resources": {"limits": {GPU: "1"}}}
    same = {**a_gpu_container(), "resources": {"limits": {GPU: "1"}, "requests": {GPU: "1000m"}}}
    rules.validate(f"{rule}.fires.differ", "Kubernetes does not overcommit GPUs.", a_pod(differ))
    rules.validate(f"{rule}.fires.requests-only", "A request without a limit counts for nothing.", a_pod(requests_only))
    rules.mutate(f"{rule}.near-miss.same-number", "1 and 1000m are the same number.", a_pod(same), "shared")
    rules.mutate(f"{rule}.near-miss.limits-only", "Limits alone are enough.", a_pod(limits_only), "shared")


_ADDED = {
    "kubernetes.io/limit-ranger": f"LimitRanger plugin set: {GPU} request for container train; {GPU} limit for container train"
}


def _names(rules: Table) -> None:
    rule = "mixed-gpu-resources"
    rules.validate(
        f"{rule}.fires.two-in-one-container",
        "One container would be charged for both.",
        a_pod(a_container("train", {GPU: "1", MIG: "1"})),
    )
    rules.validate(
        f"{rule}.near-miss.two-containers",
        "Two containers may ask for one each.",
        a_pod(a_gpu_container(), a_container("slice", {MIG: "1"})),
    )
    rules.validate(
        f"{rule}.near-miss.second-is-zero",
        "A count of 0 is not a request.",
        a_pod(a_container("train", {GPU: "1", MIG: "0"})),
    )
    rule = "limit-range-default"
    rules.mutate(
        f"{rule}.fires.added-after-the-rewrite",
        "A LimitRange's default is added again after the rewrite, and is removed again.",
        a_pod(a_container("train", {SHARED: "1", GPU: "4"}), annotations=_ADDED),
        "shared",
    )
    rules.mutate(
        f"{rule}.near-miss.the-only-request",
        "Where it is all that the container asks for, the default is its request.",
        a_pod(a_gpu_container(), annotations=_ADDED),
        "shared",
    )
    rule = "unknown-gpu-resource"
    rules.mutate(
        f"{rule}.fires.dash-for-dot",
        "The nearest real name is told.",
        a_pod(a_container("train", {"nvidia.com/gpu-shared": "1"})),
    )
    rules.mutate(
        f"{rule}.fires.mig-without-dash",
        "The nearest real name is told.",
        a_pod(a_container("train", {"nvidia.com/mig1g.5gb": "1"})),
    )
    rules.validate(
        f"{rule}.fires.beside-a-real-one",
        "The real one is evaluated as ever.",
        a_pod(a_container("train", {SHARED: "1", "nvidia.com/GPU": "1"})),
    )
    rules.mutate(
        f"{rule}.near-miss.names-of-other-projects",
        "nos' and Kata's names begin alike and are spelled right.",
        a_pod(a_container("train", {"nvidia.com/gpu-10gb": "1", "nvidia.com/pgpu": "1"})),
        "any",
    )
