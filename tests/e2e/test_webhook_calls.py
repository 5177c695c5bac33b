"""The API server reaches a webhook of the tests' by URL, on loopback, and only if it trusts its certificate."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trustme

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e import other_webhook
from tests.e2e.other_webhook import VALIDATING, refusing, serving

pytestmark = pytest.mark.e2e


@pytest.fixture
def webhook(control_plane: ControlPlane, tmp_path: Path) -> Iterator[str]:
    """The URL of a webhook that refuses everything; its certificate is signed by the control plane's authority."""
    with serving(control_plane.authority, tmp_path, refusing("refused by the test")) as url:
        yield url


def registered(
    control_plane: ControlPlane, namespace: str, url: str, authority: trustme.CA
) -> AbstractContextManager[None]:
    """Register a webhook for the pods of one namespace."""
    return other_webhook.registered(
        control_plane, VALIDATING, "refuse", namespace=namespace, url=url, authority=authority
    )


def why_a_pod_is_refused(control_plane: ControlPlane, namespace: str) -> str:
    """Try to create a pod without leaving one; what kubectl says when it is refused, nothing when it is not."""
    run = ("run", "train", "--image=example.test/train", "--restart=Never", "--dry-run=server")
    done = control_plane.kubectl(*run, "-n", namespace)
    return done.stderr if done.returncode else ""


def test_a_webhook_by_url_decides_about_pods(control_plane: ControlPlane, namespace: str, webhook: str) -> None:
    assert why_a_pod_is_refused(control_plane, namespace) == ""
    with registered(control_plane, namespace, webhook, control_plane.authority):
        refusal = wait_for("the webhook to be called", lambda: why_a_pod_is_refused(control_plane, namespace))
        assert 'admission webhook "refuse.gpuwarden.test" denied the request: refused by the test' in refusal
        assert why_a_pod_is_refused(control_plane, "default") == ""
    wait_for("the webhook to be forgotten", lambda: not why_a_pod_is_refused(control_plane, namespace))


def test_a_webhook_whose_certificate_another_authority_signed_is_not_asked(
    control_plane: ControlPlane, namespace: str, webhook: str
) -> None:
    with registered(control_plane, namespace, webhook, trustme.CA()):
        refusal = wait_for("the webhook to be called", lambda: why_a_pod_is_refused(control_plane, namespace))
        assert "failed calling webhook" in refusal
        assert "x509: certificate signed by unknown authority" in refusal
        assert "refused by the test" not in refusal
