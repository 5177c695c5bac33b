"""Scenario 7, first part: the CA is rotated again and again under a steady stream of pods, while replicas restart."""

import time
from collections.abc import Callable

import httpx
import pytest
from cryptography import x509

from testing.control_plane.cluster import ControlPlane
from tests.deploy.chart import Chart
from tests.e2e.certificates import bundles, current_ca, issuer_of_what_is_served, stranger_status, tokens
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, SHARED
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

ROTATIONS = 3
# A rotation begins at two thirds of a CA's life, so there is one every 20 s.
QUICK = ["--ca-lifetime=30", "--leaf-lifetime=10", "--clock-skew=1", "--propagation=1.5"]
ROTATION_SECONDS = 60.0  # for one of them, on a machine that has other things to do


def restart_the_oldest_replica(installation: Installation) -> None:
    """Start a replica and stop the oldest one, as a rolling update does."""
    oldest = installation.replicas[0]
    installation.wait_until_serving(installation.start_replica())
    assert oldest.process.stop() == 0
    installation.forget(oldest)


def rotations(
    control_plane: ControlPlane, installation: Installation, stream: PodStream, number: int
) -> list[x509.Certificate]:
    """Restart replicas until there were so many rotations; every CA that was seen to sign, the first included."""
    seen = [current_ca(control_plane)]
    while len(seen) <= number:
        until = time.monotonic() + ROTATION_SECONDS
        while current_ca(control_plane) == seen[-1]:
            assert time.monotonic() < until, f"no rotation within {ROTATION_SECONDS} s\n{installation.tails()}"
            restart_the_oldest_replica(installation)
            assert stream.failures == [], stream.report()
        seen.append(current_ca(control_plane))
    return seen


def test_the_ca_is_rotated_three_times_while_replicas_restart_and_no_admission_fails(
    control_plane: ControlPlane,
    chart: Chart,
    tmp_path_factory: pytest.TempPathFactory,
    make_namespace: Callable[..., str],
) -> None:
    directory, namespace = tmp_path_factory.mktemp("gpuwarden"), make_namespace({ENFORCE: "shared"})
    with (
        Installation(control_plane, chart, directory, replicas=2, options=QUICK) as installation,
        PodStream(control_plane, namespace) as stream,
    ):
        first = tokens(control_plane)
        seen = rotations(control_plane, installation, stream, ROTATIONS)
        stream.wait_for_more(100)
        tell(stream.report())
        assert stream.failures == [], stream.report()
        assert {attempt.asks for attempt in stream.attempts} == {SHARED}
        # Each went through to its end: replicas serve under later authorities, and the first one is forgotten.
        later = {ca.subject.rfc4514_string() for ca in seen[1:]}
        for replica in installation.replicas:
            assert issuer_of_what_is_served(replica.port) in later
        for bundle in bundles(control_plane):
            assert seen[0] not in x509.load_pem_x509_certificates(bundle)
        # So does the token in the paths, which strangers may have got hold of.
        assert len(first) == 1
        assert tokens(control_plane).isdisjoint(first)
        (old,) = first
        for replica in installation.replicas:
            assert stranger_status(replica.port, f"/mutate/{old}") == httpx.codes.NOT_FOUND
            assert httpx.codes.OK in {
                stranger_status(replica.port, f"/mutate/{token}") for token in tokens(control_plane)
            }, "the control"
