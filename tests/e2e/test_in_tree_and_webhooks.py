"""Admission policies and webhooks together: each pod is decided by one of them, and the common case by no webhook."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.builders import Json, a_pod, evaluate, gpu, messages
from tests.e2e.admission_policies import path_of
from tests.e2e.installation import CONFIGURATION_KINDS, Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, limits_of, replace
from tests.e2e.test_backstop import sendable
from webhook.application.configuration import Configuration
from webhook.application.in_tree_compiler import compiled
from webhook.application.in_tree_webhooks import beside

pytestmark = pytest.mark.e2e

PLAIN = sendable(a_pod(gpu("1")))
DENIED = sendable(a_pod(gpu("2")))
# A sidecar's request is the webhooks'.
OTHER = sendable(a_pod(gpu("1"), initContainers=[gpu("1", name="side", restartPolicy="Always")]))
MOUNTS: Json = {"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}  # noqa: S108 - a name to compare with
MOUNTED: Json = {"volumes": [{"name": "shm", "emptyDir": {}}]}
WARNED = sendable(a_pod(gpu("1", **MOUNTS), **MOUNTED))
MOUNT_WARNING = "mounts a volume at /dev/shm"
API = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module")
def together(
    control_plane: ControlPlane, installation: Installation, module_namespaces: Namespaces
) -> Iterator[Installation]:
    """Gpuwarden with its webhooks, beside the admission policies; both act when this returns."""
    made = compiled(Configuration())
    api = control_plane.api
    pods = {
        policy: f"/api/v1/namespaces/{module_namespaces.make({ENFORCE: policy})}/pods" for policy in ("shared", "mps")
    }

    def answer(pod: Json, policy: str = "shared") -> httpx.Response:
        return api.post(pods[policy], params={"dryRun": "All"}, json=pod)

    try:
        for each in made.objects:
            api.post(path_of(each), json=each).raise_for_status()
        for kind in CONFIGURATION_KINDS:
            for configuration in control_plane.get(f"{API}/{kind}")["items"]:
                path = f"{API}/{kind}/{configuration['metadata']['name']}"
                replace(control_plane, path, lambda found: beside(found, made))
        # While no replica answers, only the API server itself can have decided.
        with installation.down("/mutate"), installation.down("/validate"):
            wait_for("the policy to rewrite", lambda: limits_of(answer(PLAIN).json()) == [{SHARED: "1"}])
            wait_for("the policy to deny", lambda: answer(DENIED).status_code == httpx.codes.FORBIDDEN)
            wait_for("the policy to warn", lambda: MOUNT_WARNING in answer(WARNED, "mps").headers.get("Warning", ""))
        wait_for("the webhooks to act", lambda: limits_of(answer(OTHER).json()) == [{SHARED: "1"}])
        yield installation
    finally:
        for each in reversed(made.objects):
            api.delete(f"{path_of(each)}/{each['metadata']['name']}")


@pytest.fixture
def create(
    together: Installation, control_plane: ControlPlane, make_namespace: Callable[..., str]
) -> Callable[..., httpx.Response]:
    """Create a pod as a dry run, in a namespace with the policy ``shared`` and further labels."""
    made: dict[tuple[tuple[str, str], ...], str] = {}

    def create(pod: Json, item: Json | None = None, **labels: str) -> httpx.Response:
        key = tuple(labels.items())
        if key not in made:
            made[key] = make_namespace(
                {ENFORCE: "shared", **{f"gpuwarden.io/{name}": value for name, value in labels.items()}}
            )
            if item:
                limits = {"metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container", **item}]}}
                control_plane.api.post(f"/api/v1/namespaces/{made[key]}/limitranges", json=limits).raise_for_status()
        return control_plane.api.post(f"/api/v1/namespaces/{made[key]}/pods", params={"dryRun": "All"}, json=pod)

    return create


def test_the_common_case_goes_on_while_no_replica_answers(
    together: Installation, create: Callable[..., httpx.Response]
) -> None:
    with together.down("/mutate"), together.down("/validate"):
        assert limits_of(create(PLAIN).json()) == [{SHARED: "1"}]
        denied = create(DENIED)
        assert denied.status_code == httpx.codes.FORBIDDEN
        assert denied.json()["message"].endswith(messages(evaluate(DENIED, "shared"))[0])
        other = create(OTHER)
        assert other.status_code == httpx.codes.INTERNAL_SERVER_ERROR
        assert 'failed calling webhook "shared.validate.gpuwarden.io"' in other.json()["message"]


def test_every_other_pod_is_the_webhooks(create: Callable[..., httpx.Response]) -> None:
    made = create(OTHER).json()
    assert limits_of(made) == [{SHARED: "1"}]
    assert made["spec"]["initContainers"][0]["resources"]["limits"] == {SHARED: "1"}


@pytest.mark.parametrize(
    ("reaching", "warning"),
    [
        ({"securityContext": {"privileged": True}}, "is privileged"),
        (
            {"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]},
            "overrides what nvidia.com/gpu.shared: 1 is given",
        ),
    ],
    ids=["privileged", "by variable"],
)
def test_a_pod_that_may_reach_devices_is_rewritten_by_the_api_server_and_warned_about_by_the_webhooks(
    together: Installation, create: Callable[..., httpx.Response], reaching: Json, warning: str
) -> None:
    pod = sendable(a_pod(gpu("1", **reaching)))
    as_before = create(pod)
    with together.down("/mutate"):
        answer = create(pod)
        assert create(OTHER).status_code == httpx.codes.FORBIDDEN
    for each in (as_before, answer):
        assert limits_of(each.json()) == [{SHARED: "1"}]
        assert each.headers["Warning"].count(warning) == 1


def test_namespaces_with_a_warn_label_are_the_webhooks(create: Callable[..., httpx.Response]) -> None:
    answer = create(PLAIN, warn="mps")
    assert limits_of(answer.json()) == [{SHARED: "1"}]
    assert 'would become nvidia.com/gpu.shared: 1 by policy \\"mps\\"' in answer.headers["Warning"]


SIDECAR = gpu("1", name="side", restartPolicy="Always")


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(
    ("pod", "by_policy"),
    [
        (a_pod(gpu("1", **MOUNTS), **MOUNTED), True),
        # The webhook completes what the pod says of its form, and so makes it the common case.
        (a_pod(gpu("1", SHARED, **MOUNTS), **MOUNTED), True),
        (a_pod(gpu("1", **MOUNTS), initContainers=[SIDECAR], **MOUNTED), False),
    ],
    ids=["common", "common in the end", "not common"],
)
def test_a_warning_is_given_once(
    control_plane: ControlPlane,
    make_namespace: Callable[..., str],
    pod: Json,
    *,
    by_policy: bool,
) -> None:
    """By the admission policy, or by the webhook."""
    path = f"/api/v1/namespaces/{make_namespace({ENFORCE: 'mps'})}/pods"
    answer = control_plane.api.post(path, params={"dryRun": "All"}, json=sendable(pod))
    assert limits_of(answer.json()) == [{SHARED: "1"}]
    warned = [each for each in answer.headers.get_list("Warning") if MOUNT_WARNING in each]
    assert [each.startswith('299 - "Validation failed for ValidatingAdmissionPolicy') for each in warned] == [by_policy]


def test_what_a_limit_range_adds_to_a_renamed_request_is_removed(create: Callable[..., httpx.Response]) -> None:
    """As the mutating webhook does, which is not asked at the second pass because it was not at the first."""
    made = create(PLAIN, {"default": {GPU: "1"}}).json()
    assert "nvidia.com/gpu limit" in made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert limits_of(made) == [{SHARED: "1"}]
    assert made["spec"]["containers"][0]["resources"]["requests"] == {SHARED: "1"}
    assert made["metadata"]["annotations"]["gpuwarden.io/original-request"] == '{"train":{"nvidia.com/gpu":"1"}}'


def test_server_side_apply_again_and_by_another_manager(
    control_plane: ControlPlane, together: Installation, make_namespace: Callable[..., str]
) -> None:
    """The admission policies rewrite what is created, and the webhooks what is applied to it again."""
    path = f"/api/v1/namespaces/{make_namespace({ENFORCE: 'mps'})}/pods/job-0"
    headers = {"Content-Type": "application/apply-patch+yaml"}
    labelled = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}}
    for manager, manifest, code in (
        ("team", PLAIN, httpx.codes.CREATED),
        ("team", PLAIN, httpx.codes.OK),
        ("other", labelled, httpx.codes.OK),
        ("other", labelled, httpx.codes.OK),
        ("team", PLAIN, httpx.codes.OK),
    ):
        answer = control_plane.api.patch(path, params={"fieldManager": manager}, headers=headers, json=manifest)
        assert answer.status_code == code, answer.text
        assert limits_of(answer.json()) == [{SHARED: "1"}]
        assert answer.json()["spec"]["nodeSelector"] == {"nvidia.com/gpu.sharing-strategy": "mps"}


def test_a_container_that_another_policy_adds_later_is_rewritten_too(
    control_plane: ControlPlane, create: Callable[..., httpx.Response]
) -> None:
    """The pod is not the common case any more: the webhook is asked about what all admission policies have made."""
    for each in ADDS_A_CONTAINER:
        control_plane.api.post(path_of(each), json=each).raise_for_status()
    try:
        made = wait_for("it to act", lambda: [a for a in [create(PLAIN).json()] if len(a["spec"]["containers"]) == 2])[
            0
        ]
        assert limits_of(made) == [{SHARED: "1"}, {SHARED: "1"}]
    finally:
        for each in reversed(ADDS_A_CONTAINER):
            control_plane.api.delete(f"{path_of(each)}/{each['metadata']['name']}")


ADDED = (
    "!object.spec.containers.all(c, c.name != 'train') && object.spec.containers.all(c, c.name != 'side') ? "
    "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{name: 'side', image: 'example.test/x', "
    "resources: Object.spec.containers.resources{limits: {'nvidia.com/gpu': '1'}, requests: {'nvidia.com/gpu': '1'}}}}] : []"
)
ADDS_A_CONTAINER: list[Json] = [
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "zz-adds-a-container"},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {ENFORCE: "shared"}},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": ADDED}}],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "zz-adds-a-container"},
        "spec": {"policyName": "zz-adds-a-container"},
    },
]
