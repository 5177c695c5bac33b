"""Scenario 7, second part: what somebody damages by hand is mended, with the lifetimes that everybody has."""

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trustme

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.certificates import bundles, current_ca, issuer_of_what_is_served, stranger_status, targets, tokens
from tests.e2e.installation import MUTATING, SECRET, VALIDATING, Installation, configuration_path
from tests.e2e.objects import ENFORCE, SHARED
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
HEALING_SECONDS = 30.0
EMPTIED, ANOTHER_CA = b"", trustme.CA().cert_pem.bytes()


@pytest.fixture
def stream(control_plane: ControlPlane, make_namespace: Callable[..., str]) -> PodStream:
    """A stream of pods that are to be rewritten; it begins when the test enters it."""
    return PodStream(control_plane, make_namespace({ENFORCE: "shared"}))


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
    tell(f"{what}: {took:.1f} s")
    return took


@pytest.mark.parametrize(
    ("mutating", "validating"),
    [(EMPTIED, ANOTHER_CA), (ANOTHER_CA, EMPTIED)],
    ids=["the mutating one emptied, the validating one of another CA", "the other way round"],
)
def test_damaged_bundles_are_mended(
    control_plane: ControlPlane, installation: Installation, stream: PodStream, mutating: bytes, validating: bytes
) -> None:
    whole = bundles(control_plane)
    with stream:
        set_bundle(control_plane, MUTATING, mutating)
        set_bundle(control_plane, VALIDATING, validating)
        took = seconds_until("both bundles to be mended", lambda: bundles(control_plane) == whole)
        wait_for("gpuwarden to act again", installation.acts)
        mended = time.monotonic()
        stream.wait_for_more(50)
    # The control: without a bundle that is right, pods are refused; unless it was mended before one came along.
    assert stream.failures or took < 1
    assert {attempt.asks for attempt in stream.attempts if attempt.began > mended} == {SHARED}


@pytest.mark.parametrize("path", ["/validate", "/elsewhere", f"/validate/{'0' * 32}"])
def test_a_path_that_is_set_by_hand_is_set_back(
    control_plane: ControlPlane, installation: Installation, stream: PodStream, path: str
) -> None:
    whole = targets(control_plane)
    called = [webhook["name"] for webhook in control_plane.get(configuration_path(VALIDATING))["webhooks"]]
    host = whole["validate.gpuwarden.io"].partition("/validate")[0]
    operation = {
        "op": "add",
        "path": f"/webhooks/{called.index('validate.gpuwarden.io')}/clientConfig/url",
        "value": f"{host}{path}",
    }
    replica = installation.replicas[0]
    wait_for("plain paths to be closed", lambda: stranger_status(replica.port, "/validate") == httpx.codes.NOT_FOUND)
    with stream:
        stream.wait_for_more(20)
        patch = control_plane.api.patch(configuration_path(VALIDATING), json=[operation], headers=JSON_PATCH)
        patch.raise_for_status()
        took = seconds_until("the path to be set back", lambda: targets(control_plane) == whole)
        wait_for("gpuwarden to act again", installation.acts)
        mended = time.monotonic()
        stream.wait_for_more(50)
    # The control: meanwhile pods are refused, for that path leads nowhere; the first of them has the replica look.
    assert stream.failures or took < 1
    assert took < 5
    assert {attempt.asks for attempt in stream.attempts if attempt.began > mended} == {SHARED}


def test_a_deleted_secret_is_made_anew_and_no_admission_fails(
    control_plane: ControlPlane, installation: Installation, stream: PodStream
) -> None:
    before, carried = current_ca(control_plane), tokens(control_plane)
    with stream:
        control_plane.api.delete(SECRET).raise_for_status()
        seconds_until("another CA in the Secret", lambda: current_ca(control_plane) != before)
        (replica,) = installation.replicas
        name = current_ca(control_plane).subject.rfc4514_string()
        seconds_until("it to be served under", lambda: issuer_of_what_is_served(replica.port) == name)
        stream.wait_for_more(50)
    assert stream.failures == [], stream.report()
    assert {attempt.asks for attempt in stream.attempts} == {SHARED}
    assert tokens(control_plane) == carried, "which the replicas took over"
