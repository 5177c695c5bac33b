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


@pytest.mark.parametrize(
    ("release", "namespace", "command"),
    [
        ("gpuwarden", "gpuwarden-system", "gpuwarden doctor"),
        ("gpuwarden", "gpus", "gpuwarden doctor --gpuwarden-namespace=gpus"),
        ("team", "gpus", "gpuwarden doctor --gpuwarden-namespace=gpus --name=team-gpuwarden"),
    ],
)
@pytest.mark.parametrize("values", [{}, {"inTree": {"only": True}}])
def test_the_command_that_checks_the_installation_finds_it(
    chart: Chart, values: Json, release: str, namespace: str, command: str
) -> None:
    said = chart.notes(values, release=release, namespace=namespace)

    _, _, after = said.partition("heck the installation: ")
    assert f"{command} " in f"{after.partition(' 2. ')[0].partition(' In an emergency')[0]} "
    assert said.count("gpuwarden doctor") == 1


def test_without_webhooks_the_policy_that_is_named_is_one_that_is_installed(chart: Chart) -> None:
    shared = chart.notes({"inTree": {"only": True}})
    assert "become requests for a shared GPU: kubectl label namespace NAME gpuwarden.io/enforce=shared These" in shared

    digest = chart.render().the("ConfigMap")["metadata"]["annotations"]["gpuwarden.io/configuration"]
    compiled = {"configuration": digest, "policies": [{"policy": "mps", "name": "gpuwarden-mps"}]}
    said = chart.notes({"inTree": {"only": True, "compiled": compiled}})
    assert "namespace: kubectl label namespace NAME gpuwarden.io/enforce=mps These" in said
