"""Scenario: a namespace has a policy and a LimitRange on GPUs. LimitRanger runs before gpuwarden, and again after it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.installation import MUTATING, Installation, configuration_path
from tests.e2e.objects import ENFORCE, GPU, MIG, SHARED, container, limits_of, pod, pod_spec
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
Make = Callable[[str, Json], str]

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
NAMES_IT = 'A LimitRange of the namespace, not the pod, set nvidia.com/gpu for container "{}"; limit GPUs by'
IDLE = {"name": "proxy", "image": "example.test/proxy"}


@pytest.fixture
def team(control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]) -> Make:
    """Make a namespace with a policy, and with a LimitRange of one item, which LimitRanger knows of by then."""
    assert installation.replicas

    def make(policy: str, item: Json) -> str:
        namespace = make_namespace({ENFORCE: policy})
        limits = {"metadata": {"name": "gpus"}, "spec": {"limits": [{"type": "Container", **item}]}}
        control_plane.api.post(f"/api/v1/namespaces/{namespace}/limitranges", json=limits).raise_for_status()

        def known() -> bool:
            answer = create(control_plane, namespace, IDLE)
            return answer.status_code != httpx.codes.CREATED or "limit-ranger" in answer.text

        wait_for("LimitRanger to know the LimitRange", known)
        return namespace

    return make


def create(control_plane: ControlPlane, namespace: str, *containers: Json) -> httpx.Response:
    """What becomes of a pod: a dry run, which passes all of admission."""
    manifest = pod({**pod_spec(GPU), "containers": list(containers)})
    path = f"/api/v1/namespaces/{namespace}/pods"
    return control_plane.api.post(path, params={"dryRun": "All"}, json=manifest)


def warnings(answer: httpx.Response) -> str:
    return "\n".join(answer.headers.get_list("warning"))


ADMITTED = [
    ("shared", {"default": {GPU: "1"}}, [{SHARED: "1"}]),
    ("shared", {"default": {GPU: "4"}}, [{SHARED: "1"}]),
    ("shared", {"default": {GPU: "4", "cpu": "1"}}, [{SHARED: "1", "cpu": "1"}]),
    ("shared", {"defaultRequest": {GPU: "1"}}, [{SHARED: "1"}]),
    ("shared", {"max": {SHARED: "1"}}, [{SHARED: "1"}]),
    ("shared", {"max": {SHARED: "3"}}, [{SHARED: "1"}]),
    ("shared", {"max": {GPU: "4"}, "default": {GPU: "0"}}, [{SHARED: "1", GPU: "0"}]),
    ("mps", {"default": {GPU: "1"}}, [{SHARED: "1"}]),
    ("mig-1g.5gb", {"default": {GPU: "1"}}, [{MIG: "1"}]),
    ("exclusive", {"max": {GPU: "4"}}, [{GPU: "1"}]),
    ("exclusive", {"type": "Pod", "max": {GPU: "4"}}, [{GPU: "1"}]),
    ("any", {"max": {GPU: "4"}}, [{GPU: "1"}]),
]


@pytest.mark.parametrize(("policy", "item", "limits"), ADMITTED)
def test_a_pod_that_asks_for_one_gpu_has_the_policys_form_and_no_other(
    control_plane: ControlPlane, team: Make, policy: str, item: Json, limits: list[Json]
) -> None:
    answer = create(control_plane, team(policy, item), container(GPU))
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made = answer.json()
    assert limits_of(made) == limits
    assert all(one["resources"]["requests"] == one["resources"]["limits"] for one in made["spec"]["containers"])
    if policy not in {"exclusive", "any"}:
        assert made["metadata"]["annotations"]["gpuwarden.io/original-request"].startswith(
            '{"train":{"nvidia.com/gpu":"1"'
        )


def test_the_removal_is_told(control_plane: ControlPlane, team: Make) -> None:
    said = warnings(create(control_plane, team("shared", {"default": {GPU: "4"}}), container(GPU)))
    tell(said)
    assert "a LimitRange added nvidia.com/gpu: 4 alongside nvidia.com/gpu.shared: 1, and it is removed" in said


def test_a_container_that_asks_for_nothing_gets_the_default_in_the_policys_form(
    control_plane: ControlPlane, team: Make
) -> None:
    answer = create(control_plane, team("shared", {"default": {GPU: "1"}}), container(GPU), IDLE)
    assert limits_of(answer.json()) == [{SHARED: "1"}, {SHARED: "1"}], answer.text


DENIED_BY_LIMIT_RANGER = [
    ({"max": {GPU: "4"}}, "maximum nvidia.com/gpu usage per Container is 4"),
    ({"max": {GPU: "4"}, "default": {GPU: "1"}}, "maximum nvidia.com/gpu usage per Container is 4"),
    ({"min": {GPU: "1"}}, "minimum nvidia.com/gpu usage per Container is 1"),
]


@pytest.mark.parametrize(("item", "says"), DENIED_BY_LIMIT_RANGER)
def test_a_max_or_min_still_denies_the_renamed_pod_and_the_warning_says_why(
    control_plane: ControlPlane, team: Make, item: Json, says: str
) -> None:
    answer = create(control_plane, team("shared", item), container(GPU))
    tell(f"{answer.json()['message']}\n{warnings(answer)}")
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert says in answer.json()["message"]
    assert "mixed-gpu-resources" not in answer.text
    assert "if the LimitRange has a max or min for nvidia.com/gpu, it then denies the pod; limit GPUs by" in warnings(
        answer
    )


def test_a_limit_of_pods_denies_the_renamed_pod(control_plane: ControlPlane, team: Make) -> None:
    answer = create(control_plane, team("shared", {"type": "Pod", "max": {GPU: "4"}}), container(GPU))
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert "maximum nvidia.com/gpu usage per Pod is 4.  No limit is specified" in answer.json()["message"]


@pytest.mark.parametrize(
    ("policy", "containers", "who", "says"),
    [
        ("shared", [container(GPU), IDLE], "proxy", "nvidia.com/gpu: 4 cannot be shared"),
        ("none", [IDLE], "proxy", "nvidia.com/gpu: 4 is not permitted"),
        ("any", [container(SHARED)], "train", "requests nvidia.com/gpu and nvidia.com/gpu.shared"),
    ],
)
def test_a_denial_of_a_default_names_the_limit_range(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    control_plane: ControlPlane, team: Make, policy: str, containers: list[Json], who: str, says: str
) -> None:
    answer = create(control_plane, team(policy, {"default": {GPU: "4"}}), *containers)
    tell(answer.json()["message"])
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert f'container "{who}": {says}' in answer.json()["message"]
    assert NAMES_IT.format(who) in answer.json()["message"]


def test_without_reinvocation_the_denial_says_what_a_limit_range_added(control_plane: ControlPlane, team: Make) -> None:
    """The chart's configuration is ``IfNeeded``: nothing else here asks for the second call."""
    namespace = team("shared", {"default": {GPU: "4"}})
    found = control_plane.get(configuration_path(MUTATING))
    assert [webhook["reinvocationPolicy"] for webhook in found["webhooks"]] == ["IfNeeded", "IfNeeded"]
    set_reinvocation(control_plane, "Never")
    try:
        said = wait_for("a denial", lambda: denial(control_plane, namespace))
    finally:
        set_reinvocation(control_plane, "IfNeeded")
    assert "(spec.containers[0]: without nvidia.com/gpu, which a LimitRange added)" in said
    wait_for("pods to be made again", lambda: not denial(control_plane, namespace))


def denial(control_plane: ControlPlane, namespace: str) -> str:
    answer = create(control_plane, namespace, container(GPU))
    return "" if answer.status_code == httpx.codes.CREATED else str(answer.json()["message"])


def set_reinvocation(control_plane: ControlPlane, policy: str) -> None:
    operations = [{"op": "replace", "path": "/webhooks/0/reinvocationPolicy", "value": policy}]
    control_plane.api.patch(configuration_path(MUTATING), json=operations, headers=JSON_PATCH).raise_for_status()


def test_a_relabel_tells_what_the_limit_range_will_do(control_plane: ControlPlane, team: Make) -> None:
    namespace = team("any", {"max": {GPU: "4"}})
    done = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"{ENFORCE}=shared")
    tell(done.stderr)
    assert done.returncode == 0
    assert f'namespace "{namespace}": LimitRange gpus (type Container) sets max, default, defaultRequest' in done.stderr
    assert 'denied: "maximum nvidia.com/gpu usage per Container is 4.  No limit is specified"' in done.stderr
    done = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"{ENFORCE}=exclusive")
    assert "LimitRange" not in done.stderr
