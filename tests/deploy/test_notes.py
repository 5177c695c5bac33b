"""What ``helm install`` says at its end. What it says after an upgrade is in the tests of the release."""

import pytest

from tests.deploy.chart import Chart, Json

FAILS_CLOSED = "the API server can't call the webhooks, and they fail closed"


@pytest.mark.parametrize(("mode", "fails_closed"), [("enforce", True), ("audit", False)])
def test_the_first_install_says_what_is_denied_until_a_replica_is_ready(
    chart: Chart, mode: str, *, fails_closed: bool
) -> None:
    said = chart.notes({"install": {"mode": mode}})

    assert (FAILS_CLOSED in said) is fails_closed
    assert "gpuwarden doctor" in said


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"compiled": {"configuration": "x", "policies": []}},
            "inTree.compiled has no effect: neither inTree.enabled nor",
        ),
        ({}, None),
    ],
)
def test_compiled_policies_that_are_not_installed_are_not_silent(chart: Chart, values: Json, says: str | None) -> None:
    said = chart.notes({"inTree": values})

    assert "inTree" not in said if says is None else says in said
