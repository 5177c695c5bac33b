"""Audit mode on a cluster: what would be done is said, nothing is done, and nobody depends on gpuwarden."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, Json, limits_of, pod, pod_spec

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def values() -> Json:
    return {"install": {"mode": "audit"}}


def attempt(control_plane: ControlPlane, namespace: str, count: int) -> httpx.Response:
    path = f"/api/v1/namespaces/{namespace}/pods"
    return control_plane.api.post(path, json=pod(pod_spec(GPU, count=count), f"train-{count}"))


def is_creation(event: dict[str, Any], namespace: str) -> bool:
    """Whether an audit event is the creation of a pod in a namespace."""
    what = event["objectRef"]
    return event["verb"] == "create" and (what["resource"], what.get("namespace")) == ("pods", namespace)


def test_a_pod_that_would_be_rewritten_is_created_as_it_is_with_a_warning_and_in_the_audit_log(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    created = attempt(control_plane, namespace, 1)
    assert created.status_code == httpx.codes.CREATED, created.text
    assert limits_of(created.json()) == [{GPU: "1"}]
    assert "would become nvidia.com/gpu.shared" in created.headers["Warning"]
    (event,) = (event for event in control_plane.audit_events() if is_creation(event, namespace))
    annotations = event["annotations"]
    assert annotations["mutate.gpuwarden.io/mode"] == "audit"
    assert annotations["mutate.gpuwarden.io/enforce-policy"] == "shared"
    assert "nvidia.com~1gpu.shared" in annotations["mutate.gpuwarden.io/enforce-patch"]


def test_a_pod_that_would_be_refused_is_created_with_a_warning(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    created = attempt(control_plane, namespace, 2)
    assert created.status_code == httpx.codes.CREATED, created.text
    assert "would be denied" in created.headers["Warning"]


def test_without_the_label_nothing_is_said(
    control_plane: ControlPlane, installation: Installation, namespace: str
) -> None:
    assert "Warning" not in attempt(control_plane, namespace, 2).headers


def test_nobody_answering_affects_nobody(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    with installation.down("/mutate"), installation.down("/validate"):
        for count in (1, 2):
            created = attempt(control_plane, namespace, count)
            assert created.status_code == httpx.codes.CREATED, created.text
            assert "Warning" not in created.headers
