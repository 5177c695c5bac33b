"""Scenario 3: dry runs, server-side apply, and other webhooks that write pods after gpuwarden."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e import other_webhook
from tests.e2e.installation import MUTATING, Installation, configuration_path
from tests.e2e.objects import ENFORCE, GPU, SHARED, container, deployment, limits_of, pod, pod_spec, pods_in
from tests.e2e.other_webhook import patching, serving

pytestmark = pytest.mark.e2e

Json = dict[str, Any]

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
NOT_REWRITTEN = (
    'pod: not rewritten as namespace policy "shared" requires '
    "(spec.containers[{number}]: nvidia.com/gpu becomes nvidia.com/gpu.shared"
)
CREATING = (["create"], ["apply", "--server-side"])


@pytest.fixture
def shared(installation: Installation, make_namespace: Callable[..., str]) -> str:
    """A namespace whose policy is ``shared``."""
    return make_namespace({ENFORCE: "shared"})


@pytest.mark.parametrize("command", CREATING, ids=" ".join)
def test_a_dry_run_shows_the_rewritten_pod_and_leaves_nothing_behind(
    control_plane: ControlPlane, shared: str, command: list[str]
) -> None:
    more = ("--dry-run=server", "-o", "json", "-n", shared, "-f", "-")
    done = control_plane.kubectl(*command, *more, stdin=json.dumps(pod(pod_spec(GPU))))
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert limits_of(shown) == [{SHARED: "1"}]
    assert shown["metadata"]["annotations"]["gpuwarden.io/policy"] == "shared"
    assert pods_in(control_plane, shared) == []


@pytest.mark.parametrize("command", CREATING, ids=" ".join)
def test_a_dry_run_is_refused_as_the_real_one_would_be(
    control_plane: ControlPlane, shared: str, command: list[str]
) -> None:
    manifest = json.dumps(pod(pod_spec(GPU, count=2)))
    dry = control_plane.kubectl(*command, "--dry-run=server", "-n", shared, "-f", "-", stdin=manifest)
    real = control_plane.kubectl(*command, "-n", shared, "-f", "-", stdin=manifest)
    assert dry.returncode == real.returncode == 1
    assert "maximum request size for shared resources is 1; found 2" in real.stderr
    assert dry.stderr == real.stderr


@pytest.mark.parametrize("command", CREATING, ids=" ".join)
def test_without_the_label_a_dry_run_shows_what_was_written(
    control_plane: ControlPlane, installation: Installation, namespace: str, command: list[str]
) -> None:
    more = ("--dry-run=server", "-o", "json", "-n", namespace, "-f", "-")
    done = control_plane.kubectl(*command, *more, stdin=json.dumps(pod(pod_spec(GPU))))
    assert limits_of(json.loads(done.stdout)) == [{GPU: "1"}]


def test_a_pod_by_server_side_apply_is_rewritten(control_plane: ControlPlane, shared: str) -> None:
    done = control_plane.kubectl(
        "apply", "--server-side", "-n", shared, "-f", "-", stdin=json.dumps(pod(pod_spec(GPU)))
    )
    assert done.returncode == 0, done.stderr
    assert [limits_of(one) for one in pods_in(control_plane, shared)] == [[{SHARED: "1"}]]


def test_a_deployment_is_applied_again_without_a_conflict_and_without_a_new_rollout(
    control_plane: ControlPlane, shared: str
) -> None:
    manifest = json.dumps(deployment(pod_spec(GPU)))
    for _ in range(2):
        done = control_plane.kubectl("apply", "--server-side", "-n", shared, "-f", "-", stdin=manifest)
        assert done.returncode == 0, done.stderr
    wait_for("the Deployment's pod", lambda: pods_in(control_plane, shared))
    applied = control_plane.get(f"/apis/apps/v1/namespaces/{shared}/deployments/train")
    assert applied["metadata"]["generation"] == 1
    assert limits_of(applied["spec"]["template"]) == [{GPU: "1"}]  # a template is its author's


# --- other webhooks --------------------------------------------------------------------------------------------------

Later = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def later(control_plane: ControlPlane, shared: str, tmp_path: Path) -> Later:
    """Register a webhook that changes the pods of ``shared`` after gpuwarden has, by a function from pod to patch.

    Mutating webhooks are called in the order of their configurations' names: another ``name`` may come before gpuwarden's.
    """

    @contextmanager
    def register(make: Callable[[Json], Sequence[Json]], name: str = "zz-later", **more: str) -> Iterator[None]:
        authority = control_plane.authority

        def patch(found: Json) -> list[Json]:
            return [*marked(found), *([] if found["metadata"].get("name") == "mark" else make(found))]

        with (
            serving(authority, tmp_path, patching(patch)) as url,
            other_webhook.registered(
                control_plane, other_webhook.MUTATING, name, namespace=shared, url=url, authority=authority, **more
            ),
        ):
            mark = {"metadata": {"name": "mark"}, "spec": pod_spec("cpu")}
            wait_for("the later webhook to be called", lambda: LATER in annotations(control_plane, shared, mark))
            yield

    return register


LATER = "gpuwarden.test/later"


def annotations(control_plane: ControlPlane, namespace: str, manifest: Json) -> Json:
    """The annotations that a pod would be created with."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    created = control_plane.api.post(path, params={"dryRun": "All"}, json=manifest).raise_for_status().json()
    found: Json = created["metadata"].get("annotations", {})
    return found


def marked(found: Json) -> list[Json]:
    """The patch that leaves the later webhook's mark."""
    if "annotations" in found["metadata"]:
        return [{"op": "add", "path": f"/metadata/annotations/{LATER.replace('/', '~1')}", "value": "was here"}]
    return [{"op": "add", "path": "/metadata/annotations", "value": {LATER: "was here"}}]


def with_sidecar(found: Json) -> list[Json]:
    """The patch that adds a sidecar with a GPU, once."""
    has_one = any(one["name"] == "sidecar" for one in found["spec"]["containers"])
    more = [{"op": "add", "path": "/spec/containers/-", "value": container(GPU, name="sidecar")}]
    return [] if has_one else more


def undone(found: Json) -> list[Json]:
    """The patch that makes every shared GPU a whole one again."""
    return [
        {"op": "replace", "path": f"/spec/containers/{number}/resources", "value": {"limits": {GPU: "1"}}}
        for number, limits in enumerate(limits_of(found))
        if SHARED in limits
    ]


def create_pod(control_plane: ControlPlane, namespace: str, *options: str, resource: str = GPU) -> str:
    """Create a pod; what kubectl says when it is refused, nothing when it is not."""
    manifest = json.dumps(pod(pod_spec(resource)))
    done = control_plane.kubectl("create", *options, "-n", namespace, "-f", "-", stdin=manifest)
    return done.stderr if done.returncode else ""


def test_a_gpu_sidecar_that_a_later_webhook_adds_is_rewritten_too(
    control_plane: ControlPlane, shared: str, later: Later
) -> None:
    with later(with_sidecar):
        assert create_pod(control_plane, shared) == ""
    (only,) = pods_in(control_plane, shared)
    assert [one["name"] for one in only["spec"]["containers"]] == ["train", "sidecar"]
    assert limits_of(only) == [{SHARED: "1"}, {SHARED: "1"}]


def test_without_reinvocation_the_sidecar_would_be_refused(
    control_plane: ControlPlane, shared: str, later: Later
) -> None:
    def refusal() -> str:
        return create_pod(control_plane, shared, "--dry-run=server")

    with later(with_sidecar):
        assert refusal() == ""
        set_reinvocation(control_plane, "Never")
        try:
            said = wait_for("a refusal", refusal)
        finally:
            set_reinvocation(control_plane, "IfNeeded")
        wait_for("pods to be rewritten again", lambda: not refusal())
    assert NOT_REWRITTEN.format(number=1) in said


def set_reinvocation(control_plane: ControlPlane, policy: str) -> None:
    """Give gpuwarden's own mutating webhook another reinvocation policy."""
    operations = [{"op": "replace", "path": "/webhooks/0/reinvocationPolicy", "value": policy}]
    control_plane.api.patch(configuration_path(MUTATING), json=operations, headers=JSON_PATCH).raise_for_status()


def test_a_gpu_sidecar_added_to_a_pod_without_a_gpu_never_slips_through(
    control_plane: ControlPlane, shared: str, later: Later
) -> None:
    """Where matchConditions left gpuwarden out at first, the API server does not call it for the first time later."""
    with later(with_sidecar):
        refusal = create_pod(control_plane, shared, resource="cpu")
    assert NOT_REWRITTEN.format(number=1) in refusal
    assert pods_in(control_plane, shared) == []


@pytest.mark.parametrize("name", ["vgpu-webhook", "spark-operator-webhook"])
def test_a_gpu_that_a_webhook_of_a_usual_name_adds_is_rewritten(
    control_plane: ControlPlane, shared: str, later: Later, name: str
) -> None:
    """HAMi's, the Spark operator's: they come before gpuwarden's, so that it is asked about what they added."""
    with later(with_sidecar, name):
        assert create_pod(control_plane, shared, resource="cpu") == ""
    assert [limits_of(one) for one in pods_in(control_plane, shared)] == [[{"cpu": "1"}, {SHARED: "1"}]]


def with_scheduler(found: Json) -> list[Json]:
    """The patch that hands a pod with a GPU to HAMi's scheduler."""
    has_gpu = any(GPU in limits for limits in limits_of(found))
    return [{"op": "replace", "path": "/spec/schedulerName", "value": "hami-scheduler"}] if has_gpu else []


def test_one_webhook_adds_a_gpu_the_next_hands_it_to_its_scheduler_and_gpuwarden_comes_last(
    control_plane: ControlPlane, shared: str, later: Later
) -> None:
    """The Spark operator's and HAMi's: a pod that requests a GPU of HAMi is exempt, which only the last webhook can see."""
    manifest = {"metadata": {"name": "train"}, "spec": pod_spec("cpu")}
    path = f"/api/v1/namespaces/{shared}/pods"

    def created() -> Json:
        done = control_plane.api.post(path, params={"dryRun": "All"}, json=manifest)
        found: Json = done.raise_for_status().json()
        return found

    with later(with_sidecar, "spark-operator-webhook"):
        assert limits_of(created()) == [{"cpu": "1"}, {SHARED: "1"}]
        with later(with_scheduler, "vgpu-webhook"):
            found = wait_for(
                "HAMi's webhook", lambda: (one := created())["spec"]["schedulerName"] != "default-scheduler" and one
            )
    assert limits_of(found) == [{"cpu": "1"}, {GPU: "1"}]


def test_what_a_later_webhook_undoes_once_is_done_again(control_plane: ControlPlane, shared: str, later: Later) -> None:
    with later(undone):
        assert create_pod(control_plane, shared) == ""
    (only,) = pods_in(control_plane, shared)
    assert limits_of(only) == [{SHARED: "1"}]
    assert LATER in only["metadata"]["annotations"]


def test_a_webhook_that_undoes_the_rewrite_every_time_has_its_pods_refused(
    control_plane: ControlPlane, shared: str, later: Later
) -> None:
    with later(undone, reinvocationPolicy="IfNeeded"):
        refusal = create_pod(control_plane, shared)
    assert 'admission webhook "validate.gpuwarden.io" denied the request: ' in refusal
    assert NOT_REWRITTEN.format(number=0) in refusal
    assert "another webhook undid its change" in refusal
    assert pods_in(control_plane, shared) == []
    wait_for("pods to be created as soon as it is gone", lambda: create_pod(control_plane, shared) == "")
