"""Fixtures of the end-to-end tests: a control plane and a fleet for the session, namespaces for each test."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.cluster import ControlPlane
from tests.e2e.fleet import Fleet
from tests.e2e.programs import NoControlPlaneError, Programs, find
from tests.e2e.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The control plane's programs; without them the test is skipped, or fails if GPUWARDEN_REQUIRE_E2E is 1."""
    try:
        return find(os.environ, REPOSITORY)
    except NoControlPlaneError as error:
        missing = str(error)
    if os.environ.get("GPUWARDEN_REQUIRE_E2E") == "1":
        pytest.fail(f"GPUWARDEN_REQUIRE_E2E is 1, and there is {missing}", pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane, without nodes. Every test of the session shares it."""
    with ControlPlane(programs, tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture(scope="session")
def fleet(control_plane: ControlPlane) -> Iterator[Fleet]:
    """The nodes of :data:`tests.e2e.fleet.FLEET`."""
    with Fleet(control_plane) as nodes:
        yield nodes


@pytest.fixture
def make_namespace(control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
    """Make namespaces that are deleted after the test: ``make_namespace(labels={...})`` answers the name.

    A pod can be made in it at once: its service account is there.
    """
    made: list[str] = []

    def make(labels: Mapping[str, str] | None = None) -> str:
        name = f"e2e-{uuid4().hex[:8]}"
        body = {"metadata": {"name": name, "labels": dict(labels or {})}}
        control_plane.api.post("/api/v1/namespaces", json=body).raise_for_status()
        made.append(name)
        wait_for(f"the service account of namespace {name}", lambda: pods_are_admitted(name))
        return name

    def pods_are_admitted(name: str) -> bool:
        account = control_plane.get(f"/api/v1/namespaces/{name}/serviceaccounts/default")
        # Until 1.20 admission asks for a token in a Secret too; from 1.21 on tokens are made for each pod.
        return control_plane.version >= (1, 21) or bool(account.get("secrets"))

    yield make
    for name in made:  # not waited for: the next test has namespaces of its own
        control_plane.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def namespace(make_namespace: Callable[..., str]) -> str:
    """A namespace without labels."""
    return make_namespace()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say once that there is no control plane; show the end of each component's log with a test that failed."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and "no control plane" in report.longrepr[2]:
        report.longrepr = (__file__, 0, report.longrepr[2])  # one place for all: pytest folds them into one line
    running = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and isinstance(running, ControlPlane):
        report.sections.extend((f"the end of {name}'s log", tail) for name, tail in running.tails().items())
    return report
