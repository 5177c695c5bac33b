"""What Argo CD makes of a rendered chart, as its source does it (argoproj/argo-cd v3.5).

It renders with ``helm template --api-versions …`` for every version and kind of the cluster (util/argo/argo.go
APIResourcesToStrings, util/helm/cmd.go), keeps the last of objects with one key (controller/state.go NormalizeTargetObjects),
and takes whatever carries a hook annotation out of what it installs (gitops-engine/pkg/sync/hook, controller/hook.go).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.deploy.chart import Json

# Versions with their kinds, of a cluster that has everything that the chart can use.
_RESOURCES = {
    "v1": ("ConfigMap", "Namespace", "ResourceQuota", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment",),
    "batch/v1": ("CronJob", "Job"),
    "policy/v1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "admissionregistration.k8s.io/v1": (
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ),
    "cert-manager.io/v1": ("Certificate", "Issuer", "ClusterIssuer"),
    "monitoring.coreos.com/v1": ("PrometheusRule", "ServiceMonitor"),
    "wgpolicyk8s.io/v1alpha2": ("PolicyReport", "ClusterPolicyReport"),
}
OPENSHIFT = ("security.openshift.io/v1", "security.openshift.io/v1/SecurityContextConstraints")
_CLUSTER_WIDE = {
    "ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "Namespace", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}  # fmt: skip
# gitops-engine/pkg/sync/hook/helm/type.go: what is run during a sync. controller/hook.go: what is run at deletion, since 2.10
# (post-delete) and 3.3 (pre-delete). Older ones, and every version with other hooks, install and run nothing of the kind.
_AT_SYNC = {"pre-install", "pre-upgrade", "post-install", "post-upgrade"}

Key = tuple[str, str, str, str]


def api_versions(more: Iterable[str] = ()) -> list[str]:
    """The options by which Argo CD tells ``helm template`` what the cluster has."""
    told = list(_RESOURCES)
    told += [f"{version}/{kind}" for version, kinds in _RESOURCES.items() for kind in kinds]
    return [word for version in sorted([*told, *more]) for word in ("--api-versions", version)]


def key(document: Json, namespace: str) -> Key:
    """Group, kind, namespace and name (gitops-engine/pkg/utils/kube ResourceKey): the version is not part of it."""
    group = document["apiVersion"].rpartition("/")[0]
    kind, metadata = document["kind"], document["metadata"]
    there = "" if kind in _CLUSTER_WIDE else metadata.get("namespace") or namespace
    return (group, kind, there, metadata["name"])


@dataclass(frozen=True)
class Application:
    """What Argo CD does with the objects.

    Attributes:
        installed: what it applies, compares and prunes.
        hooks: what it runs at a sync instead, and does not keep in sync.
        left_out: what it does not install: hooks of events that it does not have, or has at deletion only.
        repeated: keys that came more than once; each is a RepeatedResourceWarning, and all but the last are dropped.
    """

    installed: tuple[Json, ...]
    hooks: tuple[Json, ...]
    left_out: tuple[Json, ...]
    repeated: tuple[Key, ...]


def application(objects: Iterable[Json], namespace: str) -> Application:
    """Do what Argo CD does with rendered objects, for an application whose destination is a namespace."""
    last: dict[Key, Json] = {}
    repeated: list[Key] = []
    for document in objects:
        found = key(document, namespace)
        if found in last:
            repeated.append(found)
        last[found] = document
    installed, hooks, left_out = list[Json](), list[Json](), list[Json]()
    for document in last.values():
        events = set(_hook_events(document))
        place = installed if not events else hooks if events & _AT_SYNC else left_out
        place.append(document)
    return Application(tuple(installed), tuple(hooks), tuple(left_out), tuple(repeated))


def _hook_events(document: Json) -> Iterator[str]:
    annotations = document["metadata"].get("annotations") or {}
    yield from (e.strip() for e in annotations.get("argocd.argoproj.io/hook", "").split(",") if e)
    # helm/hook.go: helm's own way to mark a CustomResourceDefinition is no hook to it.
    helm = annotations.get("helm.sh/hook", "")
    yield from (e.strip() for e in helm.split(",") if e and helm != "crd-install")
