"""Users can't talk their way out of a policy: each attack at a real API server, by what it has stored in the end."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from tests.attacks.pods import ATTACKS, CONFIGURATION, MIG, POLICY, SHARED, Attack, Verdict, a_pod, limits
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, Json

pytestmark = pytest.mark.e2e
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def values() -> Json:
    """Gpuwarden refuses GPUs which are reached without asking."""
    return {"config": CONFIGURATION}


@pytest.fixture(scope="module")
def team(installation: Installation, module_namespaces: Namespaces) -> str:
    """A namespace with the policy that all of them are up against."""
    return module_namespaces.make({ENFORCE: POLICY})


def create(control_plane: ControlPlane, namespace: str, text: str) -> httpx.Response:
    """Ask for a pod by JSON text as it is; nothing is stored."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    return control_plane.api.post(path, content=text, headers=JSON, params={"dryRun": "All"})


@pytest.mark.parametrize("attack", [a for a in ATTACKS if not a.here_only], ids=lambda attack: attack.name)
def test_a_pod_gets_what_it_is_to_get(control_plane: ControlPlane, team: str, attack: Attack) -> None:
    answer = create(control_plane, team, attack.text)
    told = answer.json()

    if attack.invalid and not answer.is_success:
        assert answer.status_code in (400, 403, 422), told
        return
    if attack.verdict is Verdict.REFUSED and not attack.invalid:
        assert answer.status_code == httpx.codes.FORBIDDEN, told
        assert attack.rule in [cause["reason"] for cause in told["details"]["causes"]]
        return
    assert answer.status_code == httpx.codes.CREATED, told
    assert "resources" not in told["spec"]
    found = {name: float(count) for name, count in limits_of(told).items() if name.lower().startswith("nvidia.com/")}
    if attack.verdict is Verdict.REWRITTEN:
        assert found == {MIG: 1}
    else:
        # Of two maps that stand for one the API server makes one: what one of them asks for is asked for.
        assert {name for name, count in found.items() if count} <= {MIG, "nvidia.com/GPU"}


def limits_of(pod: dict[str, Any]) -> dict[str, str]:
    """The limits of a pod's one container."""
    limits: dict[str, str] = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    return limits


def test_a_namespace_that_looks_exempt_is_not(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: POLICY, "gpu-operator": "true", "name": "kube-system"})
    answer = create(control_plane, namespace, json.dumps(a_pod(limits(**{SHARED: "2"}))))

    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "form-not-permitted" in answer.text


def test_a_pod_does_not_choose_the_namespace_that_it_is_evaluated_by(control_plane: ControlPlane, team: str) -> None:
    pod = a_pod(limits(**{SHARED: "2"}), {"namespace": "kube-system"})

    assert create(control_plane, team, json.dumps(pod)).status_code == httpx.codes.BAD_REQUEST


def test_a_forged_mirror_pod_is_left_alone_and_must_name_a_node_which_never_runs_it(
    control_plane: ControlPlane, team: str
) -> None:
    forged = {"annotations": {"kubernetes.io/config.mirror": "x"}}

    assert create(control_plane, team, json.dumps(a_pod(metadata=forged))).status_code in (403, 422)
    assert create(control_plane, team, json.dumps(a_pod(metadata=forged, nodeName="n"))).is_success


def test_an_ephemeral_container_is_evaluated_and_what_was_there_before_is_not(
    control_plane: ControlPlane, team: str
) -> None:
    path = f"/api/v1/namespaces/{team}/pods"
    control_plane.api.post(path, json=a_pod({}, {"name": "debugged"})).raise_for_status()

    def debug(name: str, **fields: Any) -> httpx.Response:
        added = {"spec": {"ephemeralContainers": [{"name": name, "image": "i", **fields}]}}
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        return control_plane.api.patch(f"{path}/debugged/ephemeralcontainers", json=added, headers=headers)

    refused = debug("a", securityContext={"privileged": True})
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert "spec.ephemeralContainers[0].securityContext.privileged" in refused.text
    assert debug("b").is_success


def test_a_warning_is_told_once(control_plane: ControlPlane, team: str) -> None:
    """Both webhooks are asked about the pod; of GPUs that it reaches otherwise only one of them speaks."""
    pod = a_pod({**limits(**{MIG: "2"})})
    answer = create(control_plane, team, json.dumps(pod))

    assert answer.is_success
    told = [warning for warning in answer.headers.get_list("warning") if "2 MIG slices" in warning]
    assert len(told) == 1
