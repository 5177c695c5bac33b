"""A control plane for the neighbours alone: their webhooks and CRDs are in no other test's way."""

from collections.abc import Iterator

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import Programs
from tests.e2e.fleet import Fleet


@pytest.fixture(scope="session")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane, without nodes."""
    with ControlPlane(programs, tmp_path_factory.mktemp("neighbours")) as running:
        yield running


@pytest.fixture(scope="session")
def fleet(control_plane: ControlPlane) -> Iterator[Fleet]:
    """Its nodes: those of :data:`tests.e2e.fleet.FLEET`."""
    with Fleet(control_plane) as nodes:
        yield nodes
