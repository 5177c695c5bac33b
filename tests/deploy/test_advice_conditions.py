"""The CEL of ``advise.gpuwarden.io``, evaluated: templates with NVIDIA resources wherever a kind has them, and no others."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.chart import Json, Rendered
from tests.deploy.conditions import Asks, conditions_of
from tests.deploy.test_match_conditions import GPU, PLAIN, a_container, acts_on, may_request_gpus, specs
from webhook.application.workload_kinds import BUILT_IN

KINDS = {row.kind: row for row in BUILT_IN if row.kind != "Pod"}


@pytest.fixture(scope="session")
def asks(rendered: Rendered) -> Asks:
    return conditions_of(rendered.webhooks["advise.gpuwarden.io"])


def a_workload(kind: str, spec: Json, owner: Json | None = None, metadata: Json | None = None) -> Json:
    """An object of a kind whose template has this spec, as the API server has it at admission."""
    inner: Any = {"metadata": {"creationTimestamp": None}, "spec": spec}
    for step in reversed(KINDS[kind].pods[0]):
        inner = {step: inner, **({"replicas": 1} if step == "template" and kind == "Deployment" else {})}
    owners = {"ownerReferences": [owner]} if owner else {}
    return {"kind": kind, "metadata": {"name": "x", **owners, **(metadata or {})}, **inner, "status": {}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_of_every_kind_is_asked_about_for_its_gpus_alone(asks: Asks, kind: str) -> None:
    with_gpu = {"containers": [PLAIN, a_container(limits=GPU)]}
    assert asks(a_workload(kind, with_gpu), None)
    assert asks(a_workload(kind, {"containers": [PLAIN], "initContainers": [a_container(requests=GPU)]}), None)
    assert asks(a_workload(kind, with_gpu), a_workload(kind, {"containers": [PLAIN]})), "an update"
    assert not asks(a_workload(kind, {"containers": [PLAIN]}), None)
    assert not asks(a_workload(kind, {"containers": [PLAIN]}), a_workload(kind, with_gpu))


@settings(max_examples=200)
@given(kind=st.sampled_from(sorted(KINDS)), spec=specs)
def test_no_template_that_the_engine_acts_on_is_ever_left_out(asks: Asks, kind: str, spec: Json) -> None:
    asked = asks(a_workload(kind, spec), None)
    assert asked or not acts_on(spec)
    assert asked is may_request_gpus(spec)


@pytest.mark.parametrize(
    "workload",
    [
        {"kind": "ReplicationController", "metadata": {"name": "x"}, "spec": {"replicas": 1}},
        {"kind": "PodTemplate", "metadata": {"name": "x"}, "template": {"metadata": {}}},
        {"kind": "CronJob", "metadata": {"name": "x"}, "spec": {"jobTemplate": {}}},
        {"kind": "CronJob", "metadata": {"name": "x"}, "spec": {"jobTemplate": {"spec": {}}}},
        {"kind": "PodTemplate", "metadata": {"name": "x"}},
    ],
)
def test_a_workload_without_a_template_is_left_alone_and_no_error(asks: Asks, workload: Json) -> None:
    assert not asks(workload, None)


@pytest.mark.parametrize(
    ("kind", "owner", "asked"),
    [
        ("ReplicaSet", {"kind": "Deployment", "controller": True}, False),
        ("Job", {"kind": "CronJob", "controller": True}, False),
        ("ReplicaSet", {"kind": "Rollout", "controller": True}, False),
        ("StatefulSet", {"kind": "LeaderWorkerSet", "controller": True}, False),
        ("StatefulSet", {"kind": "Database", "controller": True}, True),
        ("Job", {"kind": "CronJob", "controller": False}, True),
        ("Job", {"kind": "CronJob"}, True),
    ],
)
def test_what_another_workload_made_was_asked_about_there(asks: Asks, kind: str, owner: Json, *, asked: bool) -> None:
    assert asks(a_workload(kind, {"containers": [a_container(limits=GPU)]}, owner), None) is asked
