"""The login of a pod at a real API server: with a token that it issues, until that is revoked, and with the next one."""

from pathlib import Path

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import Cluster
from webhook.adapters.kubernetes.documents import decode
from webhook.adapters.kubernetes.errors import ApiError, Fault

pytestmark = pytest.mark.e2e

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
# Everyone who is authenticated may ask this (ClusterRole system:basic-user).
REVIEW = ApiRequest(
    "POST",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body=b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}',
)


def issue(control_plane: ControlPlane, name: str, folder: Path) -> None:
    """Create the account and write what the kubelet mounts for it."""
    control_plane.api.post(ACCOUNTS, json={"metadata": {"name": name}}).raise_for_status()
    answer = control_plane.api.post(f"{ACCOUNTS}/{name}/token", json={"spec": {"expirationSeconds": 600}})
    answer.raise_for_status()
    (folder / "token").write_text(answer.json()["status"]["token"])


def test_a_pod_is_its_service_account_and_reads_a_new_token_when_the_old_one_is_refused(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_bytes(control_plane.files.ca.read_bytes())
    issue(control_plane, "pod-login-one", tmp_path)
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(control_plane.port)}
    api = ApiServer(Cluster(None, None, environ, tmp_path))

    def user() -> str:
        name: str = decode(api.call(REVIEW, timeout=10), dict, "review")["status"]["userInfo"]["username"]
        return name

    assert user() == "system:serviceaccount:default:pod-login-one"

    issue(control_plane, "pod-login-two", tmp_path)
    assert user() == "system:serviceaccount:default:pod-login-one"  # a token is read again after a minute
    control_plane.api.delete(f"{ACCOUNTS}/pod-login-one").raise_for_status()
    # The API server remembers for ten seconds that a token was good.
    wait_for("the next token", lambda: user() == "system:serviceaccount:default:pod-login-two")

    (tmp_path / "token").write_text("none.of.its")
    with pytest.raises(ApiError) as caught:
        ApiServer(Cluster(None, None, environ, tmp_path)).call(REVIEW, timeout=10)
    assert caught.value.fault is Fault.UNAUTHORIZED
