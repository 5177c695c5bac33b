"""Checks of what gpuwarden's ServiceAccount may do: enough for the verbs that ``gpuwarden serve`` uses."""

from ..claims import GROUP, PLURALS
from ..in_tree_drift import KINDS
from ..workload_kinds import PREVIEWED
from .documents import Deployment
from .facts import Facts, Permission, known
from .results import CheckOutcome, fail, ok, warn

_REGISTRATION, _RBAC = "admissionregistration.k8s.io", "rbac.authorization.k8s.io"
# What a change of a namespace's label makes it look at, as API group and plural (webhook/adapters/kubernetes/preview.py).
_PREVIEWED = (("", "limitranges"), ("", "resourcequotas"), *((kind.group, kind.plural) for kind in PREVIEWED))
_HOLDERS = Permission("get", "pods")
_NODES = (Permission("list", "nodes"), Permission("watch", "nodes"))
_CLASSES = (Permission("list", "deviceclasses", GROUP), Permission("watch", "deviceclasses", GROUP))
_SLICES = Permission("list", "resourceslices", GROUP)
_IN_TREE = tuple(Permission("list", plural, _REGISTRATION) for plural in KINDS.values())
_CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def account(deployment: Deployment, namespace: str) -> str:
    """The user that the replicas are to the API server."""
    return f"system:serviceaccount:{namespace}:{deployment.spec.template.spec.service_account_name}"


def needed(deployment: Deployment, namespace: str, *, limits: bool) -> list[Permission]:
    """Return the rights that ``gpuwarden serve`` needs with the Deployment's command line.

    ``limits``: whether policies limit the number of GPUs. A test compares the result with what the chart grants, and another one
    that with the requests that are made.
    """
    rights: list[Permission] = []
    if deployment.option("--namespaces") is None:
        rights += [Permission(verb, "namespaces") for verb in ("get", "list", "watch")]
        rights += [Permission("get", plural, GROUP) for plural in PLURALS.values()]
        rights += _CLASSES
        rights += (_HOLDERS,) if limits else ()
        rights += [Permission("list", resource, group) for group, resource in _PREVIEWED]
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
            rights.append(Permission("get", "roles", _RBAC, namespace, owner))
    return rights


_EFFECTS = {
    "namespaces": "gpuwarden can't read the labels of namespaces: it never becomes ready, or applies outdated labels",
    "resourceclaims": "gpuwarden can't read what pods claim (DRA): those that name a ResourceClaim are denied where policies act",
    "deviceclasses": "gpuwarden can't read by which resource names DeviceClasses hand out GPUs (DRA): pods that request GPUs by "
    "them get them under every policy",
    "resourceclaimtemplates": "gpuwarden can't read what pods claim (DRA): those with a template are denied where policies act",
    "mutatingwebhookconfigurations": "gpuwarden can't read or update the caBundle: it does not become ready",
    "validatingwebhookconfigurations": "gpuwarden can't read or update the caBundle: it does not become ready",
    "secrets": "gpuwarden can't store its CA: it has no certificate, or none once the present one expires",
}


def granted(facts: Facts) -> list[CheckOutcome]:
    """The ServiceAccount may do all that the command line needs."""
    deployment = known(facts.deployment)
    if deployment is None:
        return [ok("there is no Deployment (see check replicas), so no ServiceAccount to check")]
    rights = known(facts.rights)
    user = account(deployment, facts.namespace)
    lacking = [right for right, given in rights.items() if not given]
    if not lacking:
        return [ok(f"{user} has the {len(rights)} permissions that it needs")]
    found = [
        fail(*_told(user, of_resource, effect))
        for resource, effect in _EFFECTS.items()
        if (of_resource := [right for right in lacking if right.resource == resource])
    ]
    if _HOLDERS in lacking:
        effect = "gpuwarden can't read pods that are given claims (DRA): where policies have limits, none of them gets a node"
        found.append(fail(*_told(user, [_HOLDERS], effect)))
    previewed = [right for right in lacking if right.verb == "list" and (right.group, right.resource) in _PREVIEWED]
    if previewed:
        effect = "changing a namespace label gives no warning about its effect on workloads; everything else works"
        found.append(warn(*_told(user, previewed, effect)))
    for rights_of_one, effect in (
        (_NODES, "pods that no node can run are not reported, and prefer: offered gives the first form"),
        (
            (_SLICES,),
            "what DeviceClasses offer is not known: pods that use it may be reported, and notOffered: deny only warns",
        ),
        (
            _IN_TREE,
            "admission policies that differ from the configuration are not reported (gpuwarden_in_tree_outdated)",
        ),
    ):
        if missing := [right for right in lacking if right in rights_of_one]:
            found.append(warn(*_told(user, missing, f"{effect}; everything else works")))
    if owner := [right for right in lacking if right.resource == "roles"]:
        effect = "the CA's Secret is not deleted when gpuwarden is uninstalled; everything else works"
        found.append(warn(*_told(user, owner, effect)))
    return found


def _told(user: str, lacking: list[Permission], effect: str) -> tuple[str, str, str]:
    """Report the missing rights, what that means, and how to fix it."""
    see = f"kubectl auth can-i {lacking[0]} --as={user}"
    fix = f"reinstall with its roles and bindings (chart: templates/rbac.yaml), and verify with: {see}"
    return f"{user} cannot {', '.join(map(str, lacking))}", effect, fix
