"""Scenario: whoever writes a namespace's label is told at once: of a mistyped value, and of what it will do to what runs."""

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, create, deployment, pod, pod_spec, stateful_set
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

AUDIT = "gpuwarden.io/audit"
MISTYPED = "shraed"


@pytest.fixture(scope="module")
def mistyped_before(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that had a label that can't be read before gpuwarden was there."""
    with Namespaces(control_plane) as namespaces:
        yield namespaces.make_bare({ENFORCE: MISTYPED})


@pytest.fixture(scope="module")
def serving(mistyped_before: str, installation: Installation) -> Installation:
    """Gpuwarden, installed after that."""
    assert mistyped_before
    return installation


@pytest.fixture
def team(control_plane: ControlPlane, serving: Installation, make_namespace: Callable[..., str]) -> str:
    """A namespace without labels, in which three workloads request GPUs and one does not."""
    assert serving.replicas
    namespace = make_namespace()
    none = pod_spec("cpu")
    create(
        control_plane,
        namespace,
        deployment(pod_spec(GPU, count=2), "pair"),
        stateful_set(pod_spec(GPU), "single"),
        pod(pod_spec(GPU), "notebook"),
        deployment(none, "web"),
    )
    return namespace


def label(control_plane: ControlPlane, *arguments: str) -> tuple[int, str, str]:
    done = control_plane.kubectl("label", "--overwrite", "namespace", *arguments)
    return done.returncode, done.stdout, done.stderr


def labels_of(control_plane: ControlPlane, namespace: str) -> dict[str, str]:
    found: dict[str, str] = control_plane.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels") or {}
    return found


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("key", [ENFORCE, "gpuwarden.io/warn", AUDIT])
def test_a_mistyped_policy_is_refused_with_the_one_that_was_meant(
    control_plane: ControlPlane, make_namespace: Callable[..., str], key: str
) -> None:
    namespace = make_namespace({ENFORCE: "mps"})
    code, _, said = label(control_plane, namespace, f"{key}={MISTYPED}")
    tell(said)
    assert code != 0
    assert f'metadata.labels[{key}]: "{MISTYPED}" is not a policy; did you mean "shared"?' in said
    assert labels_of(control_plane, namespace).get(key) == ("mps" if key == ENFORCE else None)


@pytest.mark.usefixtures("serving")
def test_a_new_namespace_with_a_mistyped_policy_is_not_made(control_plane: ControlPlane) -> None:
    body = {"metadata": {"generateName": "e2e-", "labels": {ENFORCE: MISTYPED}}}
    answer = control_plane.api.post("/api/v1/namespaces", json=body)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
    assert 'did you mean "shared"' in answer.json()["message"]


SUBRESOURCES = ["status", "finalize"]


def relabelled_through(
    control_plane: ControlPlane, namespace: str, subresource: str, **labels: str
) -> subprocess.CompletedProcess[str]:
    """Write labels through a subresource, as ``kubectl replace --raw`` does."""
    path = f"/api/v1/namespaces/{namespace}"
    body = control_plane.get(path)
    body["metadata"].setdefault("labels", {}).update(labels)
    return control_plane.kubectl("replace", "--raw", f"{path}/{subresource}", "-f", "-", stdin=json.dumps(body))


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("subresource", SUBRESOURCES)
def test_a_label_can_be_written_through_a_subresource_and_is_evaluated_there_too(
    control_plane: ControlPlane, make_namespace: Callable[..., str], subresource: str
) -> None:
    namespace = make_namespace()
    refused = relabelled_through(control_plane, namespace, subresource, **{ENFORCE: MISTYPED})
    tell(refused.stderr)
    assert refused.returncode != 0
    assert 'did you mean "shared"?' in refused.stderr
    assert ENFORCE not in labels_of(control_plane, namespace)
    assert relabelled_through(control_plane, namespace, subresource, **{ENFORCE: "shared"}).returncode == 0
    assert labels_of(control_plane, namespace)[ENFORCE] == "shared", "which is why it is evaluated"


def test_whether_gpuwarden_is_down_or_not_a_namespace_with_any_labels_can_be_deleted(
    control_plane: ControlPlane, serving: Installation, mistyped_before: str, make_namespace: Callable[..., str]
) -> None:
    plain = make_namespace({ENFORCE: "mps"})
    with Namespaces(control_plane) as namespaces:
        held = namespaces.make_bare({ENFORCE: "mps", "gpuwarden.io/enfroce": "mps"})
        with serving.down("/validate-namespace"):
            for subresource in SUBRESOURCES:  # no label changes
                assert relabelled_through(control_plane, mistyped_before, subresource).returncode == 0
            for name in (plain, held):
                control_plane.api.delete(f"/api/v1/namespaces/{name}").raise_for_status()
                wait_for(f"namespace {name} to be gone", partial(is_gone, control_plane, name))


def is_gone(control_plane: ControlPlane, namespace: str) -> bool:
    return control_plane.api.get(f"/api/v1/namespaces/{namespace}").status_code == httpx.codes.NOT_FOUND


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("key", ["gpuwarden.io/enfroce", "gpu-warden.io/enforce", "gpuwarden/Enforce"])
def test_a_mistyped_key_is_warned_of_and_stands_in_nobodys_way(
    control_plane: ControlPlane, make_namespace: Callable[..., str], key: str
) -> None:
    namespace = make_namespace()
    code, _, said = label(control_plane, namespace, f"{key}=shared")
    tell(said)
    assert code == 0
    assert f"Warning: metadata.labels[{key}]: gpuwarden does not read this label" in said
    assert f'did you mean "{ENFORCE}"?' in said
    annotated = control_plane.kubectl("annotate", "namespace", namespace, f"{key}=shared")
    assert (annotated.returncode, "reads labels, not annotations" in annotated.stderr) == (0, True)


@pytest.mark.usefixtures("serving")
def test_labels_of_others_are_not_asked_about(control_plane: ControlPlane, make_namespace: Callable[..., str]) -> None:
    code, _, said = label(
        control_plane, make_namespace(), "pod-security.kubernetes.io/enforce=baseline", "kubewarden.io/enforce=x"
    )
    assert (code, said) == (0, "")


@pytest.mark.usefixtures("serving")
def test_a_mistyped_policy_from_before_stands_in_nobodys_way_and_can_be_mended(
    control_plane: ControlPlane, mistyped_before: str
) -> None:
    assert label(control_plane, mistyped_before, "team=vision", f"{AUDIT}=shared")[0] == 0
    assert labels_of(control_plane, mistyped_before)[ENFORCE] == MISTYPED
    assert label(control_plane, mistyped_before, f"{ENFORCE}=shard")[0] != 0, "one that can't be read for another"
    assert label(control_plane, mistyped_before, f"{ENFORCE}=shared")[0] == 0


def test_a_relabel_tells_which_workloads_would_be_refused_and_which_rewritten(
    control_plane: ControlPlane, team: str
) -> None:
    code, _, said = label(control_plane, team, f"{ENFORCE}=shared")
    tell(said)
    assert code == 0
    refused = 'denied when their pods are next created: Deployment "pair" (shared-request-above-one)'
    pods = 'Pod "notebook" (only if it is created again), StatefulSet "single"'
    rewritten = f"rewritten when their pods are next created: {pods}"
    assert said.splitlines() == [
        f'Warning: namespace "{team}": 1 of 3 workloads with GPUs would be {refused}',
        f'Warning: namespace "{team}": 2 of 3 workloads with GPUs would be {rewritten}',
    ]
    assert label(control_plane, team, "team=vision")[2] == "", "of a change that leaves the policy as it is"
    assert label(control_plane, team, f"{ENFORCE}=any")[2] == "", "of a policy that changes nothing"


def label_all(control_plane: ControlPlane, change: str) -> tuple[str, list[str]]:
    """Try a label on every namespace; what is said of those that other tests have just deleted is left out."""
    _, out, said = label(control_plane, "--all", "--dry-run=server", change)
    tell(said)
    return out, [line for line in said.splitlines() if "NotFound" not in line]


def test_all_namespaces_can_be_tried_at_once_as_a_dry_run(control_plane: ControlPlane, team: str) -> None:
    out, said = label_all(control_plane, f"{ENFORCE}=exclusive")
    assert f"namespace/{team} labeled" in out
    assert said == [], "nobody would be changed by what they have already"
    out, said = label_all(control_plane, f"{ENFORCE}=none")
    assert (
        f'namespace "{team}": 3 of 3 workloads with GPUs would be denied when their pods are next created: '
        in "\n".join(said)
    )
    assert not [line for line in said if "not checked" in line]
    assert ENFORCE not in labels_of(control_plane, team)


def test_while_nobody_answers_no_other_change_of_a_namespace_is_kept_from_anybody(
    control_plane: ControlPlane, serving: Installation, team: str
) -> None:
    with serving.down("/validate-namespace"), Namespaces(control_plane) as namespaces:
        assert label(control_plane, team, "team=vision")[0] == 0
        patched = control_plane.api.patch(
            f"/api/v1/namespaces/{team}", json={"metadata": {"finalizers": None}}, headers=MERGE_PATCH
        )
        assert patched.status_code == httpx.codes.OK, patched.text
        namespaces.make_bare({"team": "new"})
        code, _, said = label(control_plane, team, f"{ENFORCE}=shared")
        assert code != 0, said
        assert label(control_plane, "kube-system", f"{ENFORCE}-")[0] == 0
    assert label(control_plane, team, f"{ENFORCE}=shared")[0] == 0
