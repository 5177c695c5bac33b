"""The chart with the backstop and policies of every kind, rendered once, and its expressions compiled."""

import pytest

from tests.builders import Json, a_policy
from tests.deploy.backstop.evaluator import Backstop
from tests.deploy.chart import Chart
from webhook.engine.policy import Mismatch, Policy

# As the chart's values and as the engine has them.
CONFIGURED: dict[str, Json] = {
    "slots": {"forms": ["mps", "gke-mps-4", "gke-time-sharing-4"], "maxPerContainer": 4},
    "time-shared": {"forms": ["gke-time-sharing-4"]},
    "only-shared": {"forms": ["shared", "mig-1g.5gb-shared"], "mismatch": "rewrite"},
    "shared-first": {"forms": ["shared", "exclusive", "mig-1g.5gb"], "maxPerContainer": 8},
    "whole-first": {"forms": ["exclusive", "shared"], "mismatch": "rewrite"},
    "slices": {"forms": ["mig-1g.5gb", "gke-mig-1g.5gb"], "maxPerContainer": 2},
}


def configured(name: str) -> Policy:
    """A configured policy as the engine has it."""
    values = CONFIGURED[name]
    mismatch = Mismatch(values.get("mismatch", "reject"))
    return a_policy(*values["forms"], name=name, mismatch=mismatch, max_per_container=values.get("maxPerContainer"))


@pytest.fixture(scope="session")
def backstop(chart: Chart) -> Backstop:
    """The policy as it is rendered for an enforcing installation."""
    return Backstop(chart.render({"backstop": {"enabled": True}, "config": {"policies": CONFIGURED}}))
