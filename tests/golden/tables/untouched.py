"""Golden cases of what is skipped: pods that are none of our business, exemptions, other operations."""

from testing.reviews import Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

EXEMPT: Json = {
    "exemptions": {
        "namespaces": ["team"],
        "usernames": ["system:serviceaccount:kube-system:daemon-set-controller"],
        "runtimeClasses": ["kata"],
        "schedulers": ["kai-scheduler"],
    }
}
NOT_EXEMPT: Json = {"exemptions": {name: ["other"] for name in EXEMPT["exemptions"]}}
NOT_THE_NAMESPACE: Json = {"exemptions": {**EXEMPT["exemptions"], "namespaces": []}}


def fill(untouched: Table) -> None:
    """Add the cases."""
    half = a_pod(a_gpu_container("0.5"))
    untouched.mutate("no-gpu", "A pod without a GPU.", a_pod(a_container("web", {"cpu": "1"})), "mps")
    untouched.mutate("zero", "A count of 0 is not a request.", a_pod(a_gpu_container("0")), "mps")
    untouched.mutate("no-resources", "A container without any resources.", a_pod(a_container("web")), "mps")
    mirror = a_pod(a_gpu_container("0.5"), annotations={"kubernetes.io/config.mirror": "0f3a"})
    untouched.mutate("mirror-pod", "A mirror pod shows what already runs.", mirror, "mps")
    untouched.validate("mirror-pod-validated", "And is not refused either.", mirror, "none")
    untouched.validate("no-label", "Without a label or a default the policy is any.", a_pod())
    _exemptions(untouched)
    untouched.validate(
        "update",
        "Other operations are allowed whatever they carry.",
        half,
        "none",
        operation="UPDATE",
        oldObject=a_pod(),
    )
    _updates(untouched)
    untouched.validate(
        "delete", "A DELETE carries no object.", half, "none", operation="DELETE", object=None, oldObject=half
    )
    untouched.validate(
        "subresource",
        "Ephemeral containers can't have resources.",
        half,
        "none",
        operation="UPDATE",
        subResource="ephemeralcontainers",
    )
    untouched.validate(
        "create-subresource",
        "A binding is no pod.",
        {"apiVersion": "v1", "kind": "Binding"},
        "none",
        subResource="binding",
    )


def _updates(untouched: Table) -> None:
    slices = {"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}
    gated = a_pod(a_gpu_container("2"), nodeSelector=slices, schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])
    for case, about, selector in (
        ("update.of-a-gated-pod", "A queue places it among the nodes of its form.", {"pool": "a"}),
        (
            "update.of-a-gated-pod.made-worse",
            "Slices do not become slots of a shared GPU.",
            {"cloud.google.com/gke-gpu-sharing-strategy": "time-sharing"},
        ),
    ):
        placed = a_pod(a_gpu_container("2"), nodeSelector={**slices, **selector})
        untouched.validate(case, about, placed, "any", operation="UPDATE", oldObject=gated)
    untouched.validate(
        "update.of-a-pod-that-broke-a-rule-before",
        "The label is younger than the pod, which can still be placed.",
        a_pod(a_gpu_container("2"), nodeSelector={**slices, "pool": "a"}),
        "none",
        operation="UPDATE",
        oldObject=gated,
    )


def _exemptions(untouched: Table) -> None:
    two = a_gpu_container("2")
    untouched.validate("exempt.namespace", "Left alone, and recorded.", a_pod(two), "none", configuration=EXEMPT)
    user = {"username": EXEMPT["exemptions"]["usernames"][0]}
    more: Json = {"configuration": NOT_THE_NAMESPACE}
    untouched.validate("exempt.user", "Left alone, and recorded.", a_pod(two), "none", userInfo=user, **more)
    untouched.validate(
        "exempt.runtime-class", "Left alone, and recorded.", a_pod(two, runtimeClassName="kata"), "none", **more
    )
    untouched.mutate(
        "exempt.scheduler", "Left alone, and recorded.", a_pod(two, schedulerName="kai-scheduler"), "none", **more
    )
    hami = a_pod(a_container("train", {"nvidia.com/gpu": "2", "nvidia.com/gpumem": "3000"}))
    untouched.mutate("exempt.hami", "HAMi's resources say its scheduler, which is exempt by default.", hami, "none")
    untouched.validate(
        "exempt.nobody",
        "The same pod, user, class and scheduler where others are exempt.",
        a_pod(two, runtimeClassName="kata", schedulerName="kai-scheduler"),
        "none",
        userInfo=user,
        configuration=NOT_EXEMPT,
    )
