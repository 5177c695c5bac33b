"""Scenario 7: certificates come and go under a steady stream of pods, and what somebody damages by hand is mended."""

import base64
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from cryptography import x509

from tests.deploy.chart import Chart
from tests.e2e.cluster import ControlPlane
from tests.e2e.installation import MUTATING, SECRET, VALIDATING, Installation, configuration_path
from tests.e2e.objects import ENFORCE, SHARED
from tests.e2e.stream import PodStream
from tests.e2e.waiting import wait_for

pytestmark = pytest.mark.e2e

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
ROTATIONS = 3
# A rotation begins at two thirds of a CA's life, so there is one every 20 s.
QUICK = ["--ca-lifetime=30", "--leaf-lifetime=10", "--clock-skew=1", "--propagation=1.5"]
ROTATION_SECONDS = 60.0  # for one of them, on a machine that has other things to do
HEALING_SECONDS = 30.0


@pytest.fixture
def stream(control_plane: ControlPlane, make_namespace: Callable[..., str]) -> PodStream:
    """A stream of pods that are to be rewritten; it begins when the test enters it."""
    return PodStream(control_plane, make_namespace({ENFORCE: "shared"}))


def secret_data(control_plane: ControlPlane) -> dict[str, bytes]:
    """What the CA Secret holds."""
    return {key: base64.b64decode(value) for key, value in control_plane.get(SECRET)["data"].items()}


def current_ca(control_plane: ControlPlane) -> x509.Certificate:
    """The authority that signs now."""
    return x509.load_pem_x509_certificate(secret_data(control_plane)["ca.crt"])


def bundles(control_plane: ControlPlane) -> list[bytes]:
    """The ``caBundle`` of every webhook of ours."""
    webhooks = [
        webhook
        for kind in (MUTATING, VALIDATING)
        for webhook in control_plane.get(configuration_path(kind))["webhooks"]
    ]
    return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in webhooks]


def issuer_of_what_is_served(port: int) -> str:
    """Who signed the certificate that a replica serves."""
    served = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port), timeout=5).encode())
    return served.issuer.rfc4514_string()


def restart_the_oldest_replica(installation: Installation) -> None:
    """Start a replica and stop the oldest one, as a rolling update does."""
    oldest = installation.replicas[0]
    installation.wait_until_serving(installation.start_replica())
    assert oldest.process.stop() == 0
    installation.forget(oldest)


def test_the_ca_is_rotated_three_times_while_replicas_restart_and_no_admission_fails(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory, stream: PodStream
) -> None:
    directory = tmp_path_factory.mktemp("gpuwarden")
    with Installation(control_plane, chart, directory, replicas=2, options=QUICK) as installation, stream:
        seen = [current_ca(control_plane)]
        while len(seen) <= ROTATIONS:
            until = time.monotonic() + ROTATION_SECONDS
            while current_ca(control_plane) == seen[-1]:
                assert time.monotonic() < until, f"no rotation within {ROTATION_SECONDS} s\n{installation.tails()}"
                restart_the_oldest_replica(installation)
                assert stream.failures == [], stream.report()
            seen.append(current_ca(control_plane))
        stream.wait_for_more(100)
        print(stream.report())  # noqa: T201 - for who looks
        assert stream.failures == [], stream.report()
        assert {attempt.asks for attempt in stream.attempts} == {SHARED}
        # It was a rotation to the end: replicas serve under an authority of those seen last, the first is forgotten.
        recent = {ca.subject.rfc4514_string() for ca in seen[1:]}
        for replica in installation.replicas:
            assert issuer_of_what_is_served(replica.port) in recent
        for bundle in bundles(control_plane):
            assert seen[0] not in x509.load_pem_x509_certificates(bundle)


# --- what somebody damages by hand, with the lifetimes that everybody has ---------------------------------------------


def set_bundle(control_plane: ControlPlane, kind: str, bundle: bytes) -> None:
    """Write the ``caBundle`` of every webhook of one of our configurations."""
    value = base64.b64encode(bundle).decode()
    count = len(control_plane.get(configuration_path(kind))["webhooks"])
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": value} for number in range(count)
    ]
    control_plane.api.patch(configuration_path(kind), json=operations, headers=JSON_PATCH).raise_for_status()


def seconds_until(what: str, probe: Callable[[], bool]) -> float:
    """Wait for something that must come within the healing time; how long it took."""
    began = time.monotonic()
    wait_for(what, probe, HEALING_SECONDS)
    took = time.monotonic() - began
    print(f"{what}: {took:.1f} s")  # noqa: T201 - for who looks
    return took


@pytest.mark.parametrize("kind", [MUTATING, VALIDATING])
@pytest.mark.parametrize("bundle", [b"", trustme.CA().cert_pem.bytes()], ids=["emptied", "that of another CA"])
def test_a_damaged_bundle_is_mended(
    control_plane: ControlPlane, installation: Installation, stream: PodStream, kind: str, bundle: bytes
) -> None:
    whole = bundles(control_plane)
    with stream:
        set_bundle(control_plane, kind, bundle)
        took = seconds_until("the bundle to be mended", lambda: bundles(control_plane) == whole)
        wait_for("gpuwarden to act again", installation.acts)
        mended = len(stream.attempts)
        stream.wait_for_more(50)
    # The control: without a bundle that is right, pods are refused. Unless it was mended before one came along.
    assert stream.failures or took < 1
    assert [attempt for attempt in stream.attempts[mended + 4 :] if attempt.asks != SHARED] == []


def test_a_deleted_secret_is_made_anew_and_no_admission_fails(
    control_plane: ControlPlane, installation: Installation, stream: PodStream
) -> None:
    before = current_ca(control_plane)
    with stream:
        control_plane.api.delete(SECRET).raise_for_status()

        def anew() -> bool:
            return current_ca(control_plane) != before

        seconds_until("another CA in the Secret", anew)
        (replica,) = installation.replicas
        name = current_ca(control_plane).subject.rfc4514_string()
        seconds_until("it to be served under", lambda: issuer_of_what_is_served(replica.port) == name)
        stream.wait_for_more(50)
    assert stream.failures == [], stream.report()
    assert {attempt.asks for attempt in stream.attempts} == {SHARED}


def test_a_damaged_secret_is_mended_and_no_admission_fails(
    control_plane: ControlPlane, installation: Installation, stream: PodStream
) -> None:
    with stream:
        rubbish = {"data": {"ca.key": base64.b64encode(b"rubbish").decode()}}
        headers = {"Content-Type": "application/merge-patch+json"}
        control_plane.api.patch(SECRET, json=rubbish, headers=headers).raise_for_status()
        seconds_until("another key in the Secret", lambda: b"PRIVATE KEY" in secret_data(control_plane)["ca.key"])
        stream.wait_for_more(50)
    assert stream.failures == [], stream.report()
