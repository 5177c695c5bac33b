"""The CEL by which the API server sends updates of pods: only where a pod that was rewritten gets another spec."""

from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so

from tests.deploy.chart import Json, Rendered

REWRITTEN = {"annotations": {"gpuwarden.io/policy": "shared"}}
SHARED = {"nvidia.com/gpu.shared": "1"}


def a_pod(metadata: Json, limits: Json | None = None, **spec: Any) -> Json:
    container = {"name": "train", "image": "train:1", "resources": {"limits": limits or SHARED}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


LIVE = a_pod(REWRITTEN)


@pytest.fixture(scope="module")
def conditions(rendered: Rendered) -> dict[str, Any]:
    """The compiled conditions, by name; each is of type bool."""
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    environment = cel.NewEnv(variables=variables)
    written = rendered.webhooks["restore.gpuwarden.io"]["matchConditions"]
    return {condition["name"]: environment.compile(condition["expression"]) for condition in written}


@pytest.mark.parametrize(
    ("pod", "before", "missed"),
    [
        pytest.param(a_pod(REWRITTEN, {"nvidia.com/gpu": "1", **SHARED}), LIVE, [], id="a manifest applied again"),
        pytest.param(a_pod(REWRITTEN, nodeSelector={"a": "b"}), LIVE, [], id="another node selector"),
        pytest.param(LIVE, LIVE, ["changes-the-spec"], id="the same"),
        pytest.param(a_pod({**REWRITTEN, "finalizers": ["x"]}), LIVE, ["changes-the-spec"], id="a finalizer"),
        pytest.param({**LIVE, "status": {"phase": "Failed"}}, LIVE, ["changes-the-spec"], id="status"),
        pytest.param(
            a_pod({}, {"nvidia.com/gpu": "1"}),
            a_pod({}),
            ["was-rewritten"],
            id="a pod from before, without annotations",
        ),
        pytest.param(
            a_pod({}, {"nvidia.com/gpu": "1"}), a_pod({"annotations": {"note": "x"}}), ["was-rewritten"], id="another's"
        ),
        pytest.param(a_pod(REWRITTEN, {"cpu": "1"}), LIVE, ["requests-gpu-resources"], id="no GPU any more"),
    ],
)
def test_what_is_sent(conditions: dict[str, Any], pod: Json, before: Json, missed: list[str]) -> None:
    values = {name: compiled.eval(data={"object": pod, "oldObject": before}) for name, compiled in conditions.items()}
    assert all(value.type() == cel.Type.BOOL for value in values.values()), values
    assert [name for name, value in values.items() if not value.value()] == missed
