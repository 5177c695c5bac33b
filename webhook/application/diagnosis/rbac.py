"""Checks of what gpuwarden's ServiceAccount may do: enough for the verbs that ``gpuwarden serve`` uses."""

from collections.abc import Collection

from ..claims import GROUP, PLURALS
from ..in_tree_drift import KINDS
from ..workload_kinds import PREVIEWED
from .documents import Deployment
from .facts import Facts, Permission, known
from .results import Findings, fail, warn

_REGISTRATION, _RBAC = "admissionregistration.k8s.io", "rbac.authorization.k8s.io"
# What it reads when a namespace's label changes (webhook/adapters/kubernetes/preview.py).
_PREVIEWED = tuple(
    Permission("list", resource, group)
    for group, resource in (
        ("", "limitranges"),
        ("", "resourcequotas"),
        *((kind.group, kind.plural) for kind in PREVIEWED),
    )
)
_HOLDERS = Permission("get", "pods")
_NODES = (Permission("list", "nodes"), Permission("watch", "nodes"))
_CLASSES = (Permission("list", "deviceclasses", GROUP), Permission("watch", "deviceclasses", GROUP))
_SLICES = Permission("list", "resourceslices", GROUP)
_IN_TREE = tuple(Permission("list", plural, _REGISTRATION) for plural in KINDS.values())
_CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def account(deployment: Deployment, namespace: str) -> str:
    """The replicas' user name at the API server."""
    return f"system:serviceaccount:{namespace}:{deployment.spec.template.spec.service_account_name}"


def needed(deployment: Deployment, namespace: str, *, limits: bool) -> list[Permission]:
    """Return the rights that ``gpuwarden serve`` needs with the Deployment's command line.

    ``limits``: whether policies limit the number of GPUs. One test compares the result with what the chart grants, and another
    compares it with the requests that replicas make.
    """
    rights: list[Permission] = []
    if deployment.option("--namespaces") is None:
        rights += [Permission(verb, "namespaces") for verb in ("get", "list", "watch")]
        rights += [Permission("get", plural, GROUP) for plural in PLURALS.values()]
        rights += _CLASSES
        rights += (_HOLDERS,) if limits else ()
        rights += _PREVIEWED
        rights += _IN_TREE if deployment.option("--watch-in-tree") is not None else ()
        rights += (*_NODES, _SLICES) if deployment.option("--no-watch-nodes") is None else ()
    manages = deployment.option("--manage-certificates") is not None
    writes = manages or deployment.option("--ca-bundle-file") is not None
    if name := deployment.option("--webhook-configuration"):
        verbs = ("get", "patch") if writes else ("get",)
        names = (deployment.option("--mutating-webhook-configuration") or name, name)
        rights += [
            Permission(verb, resource, _REGISTRATION, name=named)
            for resource, named in zip(_CONFIGURATIONS, names, strict=True)
            for verb in verbs
        ]
    if manages:
        secret = deployment.option("--ca-secret") or "gpuwarden-ca"
        rights += [Permission(verb, "secrets", namespace=namespace, name=secret) for verb in ("get", "patch")]
        rights.append(Permission("create", "secrets", namespace=namespace))
        if owner := deployment.option("--ca-secret-owner"):
            rights.append(Permission("get", _OWNERS, _RBAC, namespace, owner))
    return rights


# What gpuwarden can't do without the rights to a resource.
_VITAL = {
    "namespaces": "gpuwarden can't read the labels of namespaces: it never becomes ready, or applies outdated labels",
    "resourceclaims": "gpuwarden can't read what pods claim (DRA): those that name a ResourceClaim are denied where policies act",
    "deviceclasses": "gpuwarden can't read the resource names of DeviceClasses (DRA): pods that request GPUs by these names get "
    "them under every policy",
    "resourceclaimtemplates": "gpuwarden can't read what pods claim (DRA): those with a template are denied where policies act",
    "mutatingwebhookconfigurations": "gpuwarden can't read or update the caBundle: it does not become ready",
    "validatingwebhookconfigurations": "gpuwarden can't read or update the caBundle: it does not become ready",
    "secrets": "gpuwarden can't store its CA: it has no certificate, or none once the current one expires",
    "pods": "gpuwarden can't read pods that are given claims (DRA): if policies have limits, none of these pods gets a node",
}
_OWNERS = "roles"
# What is lost without rights that everything else works without.
_OPTIONAL: tuple[tuple[Collection[Permission], str], ...] = (
    (_PREVIEWED, "users get no warning about what a changed namespace label does to workloads"),
    (_NODES, "pods that no node can run are not reported, and prefer: offered gives the first form"),
    (
        (_SLICES,),
        "the resources of DeviceClasses are not known: pods that request them may be reported, and notOffered: deny only warns",
    ),
    (_IN_TREE, "admission policies that differ from the configuration are not reported (gpuwarden_in_tree_outdated)"),
)


def granted(facts: Facts) -> Findings:
    """The ServiceAccount may do all that the command line needs."""
    deployment = known(facts.deployment)
    if deployment is None:
        return "there is no Deployment (see check replicas), so no ServiceAccount to check"
    rights = known(facts.rights)
    user = account(deployment, facts.namespace)
    lacking = [right for right, given in rights.items() if not given]
    losses = [
        ([one for one in lacking if one.resource == name and one not in _PREVIEWED], loss, fail)
        for name, loss in _VITAL.items()
    ]
    losses += [
        ([one for one in lacking if one in these], f"{loss}; everything else works", warn) for these, loss in _OPTIONAL
    ]
    owner = "the CA's Secret is not deleted when gpuwarden is uninstalled; everything else works"
    losses.append(([one for one in lacking if one.resource == _OWNERS], owner, warn))
    for missing, loss, outcome in losses:
        if missing:
            yield outcome(
                f"{user} cannot {', '.join(map(str, missing))}",
                loss,
                "reinstall with its roles and bindings (chart: templates/rbac.yaml), and verify with: "
                f"kubectl auth can-i {missing[0]} --as={user}",
            )
    return f"{user} has the {len(rights)} permissions that it needs"
