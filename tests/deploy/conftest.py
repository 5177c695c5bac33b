"""Helm and the chart: without helm these tests are skipped, or fail if GPUWARDEN_REQUIRE_HELM is 1."""

import os

import pytest

from hack.tools import UnavailableError, find
from tests.deploy.chart import MODES, Chart, Rendered


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    try:
        helm = find("helm", os.environ)
    except UnavailableError as error:
        if os.environ.get("GPUWARDEN_REQUIRE_HELM") == "1":
            pytest.fail(f"GPUWARDEN_REQUIRE_HELM is 1, and there is {error}", pytrace=False)
        pytest.skip(str(error))
    return Chart(helm, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def rendered(chart: Chart) -> Rendered:
    """The chart with its defaults."""
    return chart.render()


@pytest.fixture(scope="session")
def in_each_mode(chart: Chart) -> dict[str, Rendered]:
    """The chart with each way to certificates."""
    return {mode: chart.render(values) for mode, values in MODES.items()}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Each way to certificates in turn."""
    name: str = request.param
    return name
