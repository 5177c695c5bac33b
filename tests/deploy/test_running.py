"""The chart's own output, run: the real program with the container's command line, against a stand-in of the API server.

It must become ready, be trusted under the name that its webhook configurations dial, answer on every path that they name,
and ask the API server for exactly what the chart grants: nothing that RBAC would refuse, and no right is left unused.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from testing.control_plane.waiting import wait_for
from testing.reviews import a_pod, a_review, encode
from testing.stand_in.http_side import Seen
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.deploy.chart import Chart, Json, Rendered
from tests.deploy.replica import replica, wait_until_ready
from webhook.application.certificates.issue import SelfSigned, self_signed_pair
from webhook.application.certificates.tokens import without_token
from webhook.application.workload_kinds import BUILT_IN, WorkloadKind

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
PATHS = {
    "MutatingWebhookConfiguration": f"{REGISTRATION}/mutatingwebhookconfigurations/zz-gpuwarden",
    "ValidatingWebhookConfiguration": f"{REGISTRATION}/validatingwebhookconfigurations/gpuwarden",
}
SERVICE = "gpuwarden.gpuwarden-system.svc"
RESERVATIONS = "validate-reservation.gpuwarden.io"
KINDS = {row.plural: row for row in BUILT_IN}
_WHOLE = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}}
CLAIMS = {
    "resourceclaims": ("ResourceClaim", _WHOLE),
    "resourceclaimtemplates": ("ResourceClaimTemplate", {"spec": _WHOLE}),
}

# Who may what: verb, API group, resource, namespace (None: all, or none), name (None: any).
Right = tuple[str, str, str, str | None, str | None]


@pytest.fixture
def apiserver() -> Iterator[WorkloadServer]:
    with WorkloadServer() as stand_in:
        stand_in.set_namespace("team", enforce="mps")
        yield stand_in


@pytest.fixture(scope="session")
def issued() -> SelfSigned:
    """What cert-manager, or the user, would put into the Secret."""
    return self_signed_pair([SERVICE], [], datetime.now(UTC), timedelta(days=1))


def files(rendered: Rendered, issued: SelfSigned) -> dict[str, str]:
    """What the volumes hold."""
    mounted = {"/etc/gpuwarden/config/config.yaml": rendered.configuration_file}
    if any(volume["name"] == "tls" for volume in rendered.pod["volumes"]):
        secret = {
            "tls.crt": issued.leaf.certificate_pem,
            "tls.key": issued.leaf.key_pem,
            "ca.crt": issued.ca.certificate_pem,
        }
        mounted |= {f"/etc/gpuwarden/tls/{name}": pem.decode() for name, pem in secret.items()}
    return mounted


def install(apiserver: WorkloadServer, rendered: Rendered, bundle: bytes | None) -> None:
    """Put the webhook configurations there; ``bundle`` is what cert-manager injects."""
    for kind, path in PATHS.items():
        document = rendered.the(kind)
        for webhook in document["webhooks"]:
            if bundle:
                webhook["clientConfig"] = {**webhook["clientConfig"], "caBundle": base64.b64encode(bundle).decode()}
        apiserver.store(path, document)


def test_a_replica_runs_as_the_chart_starts_it_and_asks_for_what_it_is_granted(
    apiserver: WorkloadServer, in_each_mode: dict[str, Rendered], mode: str, issued: SelfSigned, tmp_path: Path
) -> None:
    rendered = in_each_mode[mode]
    install(apiserver, rendered, issued.ca.certificate_pem if mode == "cert-manager" else None)
    # Only where a DeviceClass offers a resource are ResourceSlices looked at.
    apiserver.set_classes(**{"gpu.nvidia.com": "nvidia.com/gpu"})
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", apiserver.url, token="t")  # noqa: S106 - a test's own
    with replica(rendered, kubeconfig, files(rendered, issued), tmp_path / "container") as running:
        wait_until_ready(running)
        unknown = encode(a_review(a_pod(), namespace="brand-new"))
        pods_are_evaluated = {"/mutate", "/validate"}
        for webhook in rendered.webhooks.values():
            trusted = trust(apiserver, webhook["name"])
            called = path_of(apiserver, webhook["name"])
            path = without_token(called)
            assert (path != called) is (mode == "self-managed")
            for request in requests_of(webhook):
                answer = running.review(called, encode(request), trusted, SERVICE)
                assert answer.status_code == 200, (path, answer.text)
            if webhook["name"] == "validate.gpuwarden.io":
                denied = running.review(called, encode(a_review(claiming(apiserver))), trusted, SERVICE)
                assert "form-not-permitted" in denied.text
            if path in pods_are_evaluated:
                assert running.review(called, unknown, trusted, SERVICE).status_code >= 500
            with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
                running.review(called, unknown, trusted, "gpuwarden.elsewhere.svc")
        wait_for("DeviceClasses to be read", lambda: any("resourceslices" in seen.path for seen in apiserver.requests))
    asked = {asked_for(seen) for seen in apiserver.requests}
    assert asked == granted(rendered)


def test_where_policies_have_limits_pods_that_are_given_claims_are_read(
    apiserver: WorkloadServer, chart: Chart, issued: SelfSigned, tmp_path: Path
) -> None:
    policies = {"two": {"forms": ["any"], "maxPerPod": 2}}
    rendered = chart.render({"config": {"policies": policies}})
    install(apiserver, rendered, None)
    apiserver.set_namespace("team", enforce="two")
    kind, _ = CLAIMS["resourceclaims"]
    exactly = {"deviceClassName": "gpu.nvidia.com", "count": 2}
    claim = {"metadata": {"name": "one"}, "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}}
    for name in ("one", "two"):
        apiserver.objects[f"/apis/resource.k8s.io/v1/namespaces/team/resourceclaims/{name}"] = {
            **claim,
            "metadata": {"name": name},
        }
    entries = [{"name": name, "resourceClaimName": name} for name in ("one", "two")]
    pod = a_pod({"name": "train"}, resourceClaims=entries)
    pod["metadata"] |= {"name": "train", "uid": "1"}
    apiserver.objects["/api/v1/namespaces/team/pods/train"] = pod
    version = {"group": "resource.k8s.io", "version": "v1", "kind": kind}
    given = {**claim, "status": {"reservedFor": [{"resource": "pods", "name": "train", "uid": "1"}]}}
    review = a_review(given, kind=version, name="one", operation="UPDATE", subResource="status", oldObject=claim)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", apiserver.url, token="t")  # noqa: S106 - a test's own
    with replica(rendered, kubeconfig, files(rendered, issued), tmp_path / "container") as running:
        wait_until_ready(running)
        called = path_of(apiserver, RESERVATIONS)
        trusted = trust(apiserver, RESERVATIONS)
        assert "per-pod-limit" in running.review(called, encode(review), trusted, SERVICE).text
        apiserver.refused["/api/v1/namespaces/team/pods/train"] = 403
        refused = running.review(called, encode(review), trusted, SERVICE)
        assert (refused.status_code, "train and its claims" in refused.text.replace('\\"', "")) == (502, True)
    asked = {asked_for(seen) for seen in apiserver.requests}
    pods_are_read = ("get", "", "pods", None, None)
    assert pods_are_read in granted(rendered) & asked
    assert asked <= granted(rendered)


def path_of(apiserver: WorkloadServer, name: str) -> str:
    """What the API server calls for a webhook now."""
    (found,) = (w for path in PATHS.values() for w in apiserver.objects[path]["webhooks"] if w["name"] == name)
    called: str = found["clientConfig"]["service"]["path"]
    return called


def trust(apiserver: WorkloadServer, name: str) -> str:
    """The PEM that a webhook's caBundle holds now."""
    (found,) = (w for path in PATHS.values() for w in apiserver.objects[path]["webhooks"] if w["name"] == name)
    return base64.b64decode(found["clientConfig"]["caBundle"]).decode()


def requests_of(webhook: Json) -> Iterator[Json]:
    """A review for every operation and resource that a webhook's rules name."""
    for rule in webhook["rules"]:
        for operation in rule["operations"]:
            for resource in rule["resources"]:
                plural, _, sub_resource = resource.partition("/")
                if plural in CLAIMS:
                    kind, spec = CLAIMS[plural]
                    version = {"group": rule["apiGroups"][0], "version": rule["apiVersions"][0], "kind": kind}
                    old = None if operation == "CREATE" else {"metadata": {"name": "one"}, "spec": spec}
                    claim = {"metadata": {"name": "one"}, "spec": spec}
                    yield a_review(claim, kind=version, operation=operation, subResource=None, oldObject=old)
                    continue
                workload = KINDS.get(plural)
                kind = workload.kind if workload else "Namespace"
                version = {"group": rule["apiGroups"][0], "version": rule["apiVersions"][0], "kind": kind}
                more = {"kind": version, "operation": operation, "subResource": sub_resource or None}
                if workload:
                    yield a_review(an_object(workload), **more)
                    continue
                # A change of its label, which makes gpuwarden look at what runs there.
                labels = {"gpuwarden.io/enforce": "shared"}
                old = None if operation == "CREATE" else {"metadata": {"name": "team"}}
                yield a_review({"metadata": {"name": "team", "labels": labels}}, oldObject=old, **more)


def claiming(apiserver: WorkloadServer) -> Json:
    """A pod with a claim of each kind, whose objects there are."""
    for plural, (_, spec) in CLAIMS.items():
        path = f"/apis/resource.k8s.io/v1/namespaces/team/{plural}/one"
        apiserver.objects[path] = {"metadata": {"name": "one"}, "spec": spec}
    entries = [{"name": name, f"{name}Name": "one"} for name in ("resourceClaim", "resourceClaimTemplate")]
    return a_pod({"name": "train"}, resourceClaims=entries)


def an_object(workload: WorkloadKind) -> Json:
    """A workload of a kind."""
    found: Json = a_pod()
    for step in reversed(workload.pods[0]):
        found = {step: found}
    return found


def asked_for(seen: Seen) -> Right:
    """A request as RBAC sees it (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go)."""
    match = re.fullmatch(
        r"/(?:api/v1|apis/(?P<group>[^/]+)/v1)"
        r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?",
        seen.path,
    )
    assert match, seen.path
    verb = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}.get(seen.method)
    if verb is None:
        verb = "watch" if "watch" in seen.query else "get" if match["name"] else "list"
    anywhere = match["resource"] in {"resourceclaims", "resourceclaimtemplates", "pods"}
    name = None if match["resource"] == "namespaces" or anywhere else match["name"]
    # What is looked at in whatever namespace gets another label, or pods with claims, needs the right in all.
    namespace = None if verb == "list" or anywhere else match["namespace"]
    return (verb, match["group"] or "", match["resource"], namespace, name)


def granted(rendered: Rendered) -> set[Right]:
    """Every right that the chart's roles give."""
    rights: set[Right] = set()
    for role in (*rendered.all("ClusterRole"), *rendered.all("Role")):
        for rule in role["rules"]:
            assert not {"*"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            rights |= {
                (verb, group, resource, role["metadata"].get("namespace"), name)
                for verb in rule["verbs"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for name in rule.get("resourceNames", [None])
            }
    return rights


def test_every_role_is_bound_to_the_service_account_and_to_nobody_else(
    in_each_mode: dict[str, Rendered], mode: str
) -> None:
    rendered = in_each_mode[mode]
    account = rendered.the("ServiceAccount")["metadata"]
    for kind in ("ClusterRole", "Role"):
        bound = {binding["roleRef"]["name"]: binding["subjects"] for binding in rendered.all(f"{kind}Binding")}
        assert set(bound) == {role["metadata"]["name"] for role in rendered.all(kind)}
        for subjects in bound.values():
            assert subjects == [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}]
