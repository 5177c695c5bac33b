"""Fixtures of the end-to-end tests: a control plane and a fleet for the session, namespaces for each test."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from hack import tools
from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.programs import NoControlPlaneError, Programs, find
from tests.deploy.chart import Chart, Json
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation, render
from tests.e2e.objects import ENFORCE
from tests.e2e.release import Release
from tests.e2e.running import Running, prepare_probe

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


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart and the helm that renders it; without one the test is skipped, or fails as :func:`programs` does."""
    try:
        helm = tools.find("helm", os.environ)
    except tools.UnavailableError as error:
        missing = str(error)
    else:
        return Chart(helm, tmp_path_factory.mktemp("helm"))
    if os.environ.get("GPUWARDEN_REQUIRE_E2E") == "1":
        pytest.fail(f"GPUWARDEN_REQUIRE_E2E is 1, and there is {missing}", pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="module")
def values() -> Json:
    """The chart's values, which a file of tests replaces by its own."""
    return {}


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, values: Json, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Gpuwarden with ``values``, one replica, for the tests of a file."""
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values) as running:
        yield running


@pytest.fixture(scope="module")
def module_namespaces(control_plane: ControlPlane) -> Iterator[Namespaces]:
    """Namespaces that live as long as the tests of a file."""
    with Namespaces(control_plane) as namespaces:
        yield namespaces


@pytest.fixture
def make_namespace(control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
    """Make namespaces that are deleted after the test: ``make_namespace(labels={...})`` answers the name.

    A pod can be made in it at once: its service account is there.
    """
    with Namespaces(control_plane) as namespaces:
        yield namespaces.make


@pytest.fixture
def in_policy(make_namespace: Callable[..., str]) -> Callable[[str], str]:
    """Make a namespace with a policy."""
    return lambda policy: make_namespace({ENFORCE: policy})


@pytest.fixture
def namespace(make_namespace: Callable[..., str]) -> str:
    """A namespace without labels."""
    return make_namespace()


@pytest.fixture
def bare(control_plane: ControlPlane) -> ControlPlane:
    """A control plane without the namespace of gpuwarden's that other tests have left."""
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s", seconds=240)
    prepare_probe(control_plane)
    return control_plane


@pytest.fixture
def relayed(bare: ControlPlane, chart: Chart, tmp_path: Path) -> Iterator[Running]:
    """Relays; the replicas behind them are started by the tests, as a Deployment would."""
    with Running(bare, render(bare, chart, {"install": {"mode": "audit"}}), tmp_path) as started:
        yield started


@pytest.fixture
def release(bare: ControlPlane, relayed: Running, chart: Chart, tmp_path: Path) -> Iterator[Release]:
    """The release; gone after the test, however it ends."""
    home = tmp_path / "helm-home"
    home.mkdir()
    made = Release(tools.find("helm", os.environ), home, bare.kubeconfig(), relayed.ports)
    yield made
    bare.kubectl("delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "--all")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say once that there is no control plane; show the end of each component's log with a test that failed."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and "no control plane" in report.longrepr[2]:
        report.longrepr = (__file__, 0, report.longrepr[2])  # one place for all: pytest folds them into one line
    used = getattr(item, "funcargs", {}).values()
    for running in used if report.failed else ():
        if isinstance(running, ControlPlane | Running):
            report.sections.extend((f"the end of {name}'s log", tail) for name, tail in running.tails().items())
    return report
