"""JobSet beside gpuwarden: its pods are rewritten or denied, itself and its Jobs are left as they are."""

from collections.abc import Callable, Iterator

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.e2e.neighbours.audit import audit
from tests.e2e.neighbours.jobsets import GIVEN_CERTIFICATES, JOBSETS, jobset
from tests.e2e.neighbours.manager import Manager
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    SHARED,
    as_list,
    event_messages,
    limits_of,
    node_of,
    pod_spec,
    pods_in,
)
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def manager(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with Manager(control_plane, "jobset", tmp_path_factory.mktemp("jobset"), GIVEN_CERTIFICATES) as running:
        yield running


@pytest.fixture
def apply(
    control_plane: ControlPlane, fleet: Fleet, manager: Manager, installation: Installation
) -> Callable[..., None]:
    """``kubectl apply`` that succeeds."""

    def apply(namespace: str, count: int) -> None:
        done = control_plane.kubectl(
            "apply", "-n", namespace, "-f", "-", stdin=as_list((jobset(pod_spec(GPU, count=count)),))
        )
        assert done.returncode == 0, done.stderr
        tell(done.stderr + done.stdout)

    return apply


def nodes(control_plane: ControlPlane, namespace: str) -> list[str]:
    return sorted(node_of(pod) for pod in pods_in(control_plane, namespace))


def test_pods_of_a_jobset_are_rewritten_in_a_labelled_namespace_and_in_no_other(
    control_plane: ControlPlane, apply: Callable[..., None], make_namespace: Callable[..., str]
) -> None:
    labelled, unlabelled = make_namespace({ENFORCE: "shared"}), make_namespace()
    for namespace in (labelled, unlabelled):
        apply(namespace, 1)
    wait_for("two pods", lambda: all(nodes(control_plane, unlabelled)) and len(nodes(control_plane, unlabelled)) == 2)
    assert [limits_of(pod) for pod in pods_in(control_plane, unlabelled)] == [[{GPU: "1"}]] * 2
    assert nodes(control_plane, unlabelled) == ["whole", "whole"]

    wait_for("two pods", lambda: all(nodes(control_plane, labelled)) and len(nodes(control_plane, labelled)) == 2)
    assert [limits_of(pod) for pod in pods_in(control_plane, labelled)] == [[{SHARED: "1"}]] * 2
    assert set(nodes(control_plane, labelled)) <= {"shared", "mps"}
    # Nothing that JobSet has immutable is changed: it can be applied again, and its pods stay.
    before = {pod["metadata"]["uid"] for pod in pods_in(control_plane, labelled)}
    apply(labelled, 1)
    (made,) = control_plane.get(JOBSETS.format(labelled))["items"]
    template = made["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    assert limits_of(template) == [{GPU: "1"}]
    assert {pod["metadata"]["uid"] for pod in pods_in(control_plane, labelled)} == before
    assert set(audit(control_plane, labelled).values()) == {"rewritten"}


def test_pods_of_a_jobset_that_are_denied_leave_their_job_without_pods_and_the_events_say_why(
    control_plane: ControlPlane, apply: Callable[..., None], make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    apply(namespace, 2)
    messages = wait_for("denials", lambda: event_messages(control_plane, namespace, "FailedCreate"))
    assert f"{GPU}: 2 cannot be shared" in messages[0]
    assert pods_in(control_plane, namespace) == []
    said = audit(control_plane, namespace)
    tell(str(said))
    assert said == {"JobSet/train": "denied"}
