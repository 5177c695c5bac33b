"""Scenario 8: a replica that is told to stop takes no admission with it.

The API server keeps its connections, so a replica that has just started has none: all are the old one's, and when that
one goes all have to be made anew, which is when admissions are lost if they ever are.
"""

import signal
from collections.abc import Callable

import pytest

from testing.control_plane.cluster import ControlPlane
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, SHARED, Json
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

ROUNDS, MOST_ROUNDS = 3, 20
ENDING_SECONDS = 60.0


@pytest.fixture(scope="module")
def values() -> Json:
    return {"shutdownDelaySeconds": 2}


def stream_to(control_plane: ControlPlane, namespace: str) -> PodStream:
    return PodStream(control_plane, namespace, connections=12, pause=0.0, bursts=True)


def replace_the_replica(installation: Installation, stream: PodStream, number: signal.Signals, *options: str) -> int:
    """Start a second replica, as a rolling update does, and end the first by a signal; its exit code."""
    (old,) = installation.replicas
    installation.wait_until_serving(installation.start_replica(*options))
    old.process.signal(number)
    code = old.process.wait(ENDING_SECONDS)
    stream.wait_for_more(50)
    installation.forget(old)
    stream.wait_for_more(50)
    return code


def test_replicas_are_replaced_under_load_and_no_admission_fails(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    with stream_to(control_plane, make_namespace({ENFORCE: "shared"})) as stream:
        codes = [replace_the_replica(installation, stream, signal.SIGTERM) for _ in range(ROUNDS)]
    tell(stream.report())
    assert stream.failures == [], stream.report()
    assert {attempt.asks for attempt in stream.attempts} == {SHARED}
    assert codes == [0] * ROUNDS


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGTERM, ["--shutdown-delay=0"]), (signal.SIGKILL, [])],
    ids=["without the delay", "killed"],
)
def test_ended_without_grace_it_takes_admissions_with_it(
    control_plane: ControlPlane,
    installation: Installation,
    make_namespace: Callable[..., str],
    number: signal.Signals,
    options: list[str],
) -> None:
    """The control of the test above: the load is enough to notice a replica that ends at once."""
    with stream_to(control_plane, make_namespace({ENFORCE: "shared"})) as stream:
        for _ in range(MOST_ROUNDS):
            replace_the_replica(installation, stream, number, *options)
            if stream.failures:
                break
    assert stream.failures
    tell(stream.report())
    for failure in stream.failures:
        assert "failed calling webhook" in failure.message or "not rewritten" in failure.message
