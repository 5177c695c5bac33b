"""Scenario: DeviceClasses hand out GPUs by resource names of their own (``extendedResourceName``), which are no GPU's otherwise.

Bypasses are counted: pods that were allocated a GPU that their namespace's policy does not permit.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.claims import (
    CLAIM,
    OF_RESOURCES,
    OF_TEMPLATE,
    Json,
    a_waiting_pod,
    an_object,
    claims_in,
    denied,
    drivers,
    exactly,
    of_pod,
    patch,
    post,
    ungate,
)
from tests.e2e.dra_driver import GPUS, NODE, ROOT, devices
from tests.e2e.dra_driver import NICS as NETWORK
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, container, deployment, node_of, pod, pod_spec, pods_in
from tests.e2e.telling import tell
from tests.e2e.test_claim_reservations import denied as reservation_denied
from tests.e2e.test_claim_reservations import gpus, of, replace, using
from webhook.engine.other_gpus import NEVER_SENT

pytestmark = pytest.mark.e2e

InPolicy = Callable[[str], str]
WHOLE, UNKNOWN, LATE = (f"{name}.gpu.example.com" for name in ("whole", "unknown", "late"))
ACCEL, STRANGE = "example.com/accel", "example.com/strange"
CARDS = "example.com/cards"
POLICIES: Json = {
    "two": {"forms": ["exclusive"], "maxPerPod": 2},
    "two-of-any": {"forms": ["any"], "maxPerPod": 2},
    "one-each": {"forms": ["any"], "maxPerContainer": 1},
}


@pytest.fixture(scope="module")
def values() -> Json:
    return {"config": {"policies": POLICIES, "claims": {"deviceClasses": dict.fromkeys((WHOLE, LATE), "exclusive")}}}


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose DeviceClasses have resource names: of two for GPUs one has a form, and another is for network cards."""
    classes = {WHOLE: ACCEL, UNKNOWN: STRANGE, "sriov.example.com": CARDS}
    with devices(control_plane, installation, classes) as ready:
        known = pod({**pod_spec(GPU), "containers": [container(STRANGE)]})
        at = "/api/v1/namespaces/default/pods"
        label(ready, "default", "none")
        wait_for(
            "the names to be known", lambda: ready.api.post(at, params={"dryRun": "All"}, json=known).is_client_error
        )
        label(ready, "default", None)
        yield ready


def label(cluster: ControlPlane, namespace: str, policy: str | None) -> None:
    at = f"/api/v1/namespaces/{namespace}"
    labels = {"metadata": {"labels": {ENFORCE: policy}}}
    cluster.api.patch(at, headers=MERGE_PATCH, json=labels).raise_for_status()


def spec_of(*containers: Json, **fields: Any) -> Json:
    whole = pod_spec(GPU, tolerated=True, selector={"kubernetes.io/hostname": NODE})
    return {**whole, "containers": [*containers], **fields}


def create(cluster: ControlPlane, namespace: str, spec: Json, name: str = "train", **params: str) -> httpx.Response:
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", params=params, json=pod(spec, name))


def in_requests_alone() -> Json:
    """A container that names the resource in its requests; the API server rejects such a pod, whatever the webhooks answer."""
    made = container(ACCEL)
    made["resources"] = {"requests": {ACCEL: "1"}}
    return made


PLAIN = {"name": "plain", "image": "example.test/plain"}


@pytest.mark.parametrize(
    "spec",
    [
        spec_of(container(ACCEL)),
        spec_of(container(STRANGE)),
        spec_of(container(ACCEL, 8)),
        spec_of(PLAIN, container(ACCEL)),
        spec_of(container(CARDS), container(ACCEL, name="second")),
        spec_of(PLAIN, initContainers=[container(ACCEL, name="init")]),
        spec_of(PLAIN, initContainers=[{**container(ACCEL, name="sidecar"), "restartPolicy": "Always"}]),
        spec_of(container(ACCEL), schedulingGates=[{"name": "example.com/wait"}]),
        spec_of(container(ACCEL), schedulerName="another-scheduler"),
        spec_of(container(ACCEL), nodeName=NODE),
    ],
)
def test_under_none_no_pod_gets_a_gpu_by_such_a_name(cluster: ControlPlane, in_policy: InPolicy, spec: Json) -> None:
    namespace = in_policy("none")
    for params in ({"dryRun": "All"}, {}):
        answer = create(cluster, namespace, spec, **params)
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
        tell(answer.json()["message"])
    assert (pods_in(cluster, namespace), claims_in(cluster, namespace)) == ([], [])


def test_under_none_a_request_without_a_limit_is_no_pod(cluster: ControlPlane, in_policy: InPolicy) -> None:
    assert create(cluster, in_policy("none"), spec_of(in_requests_alone())).is_client_error


def test_what_it_says_names_the_class(cluster: ControlPlane, in_policy: InPolicy) -> None:
    said = denied(create(cluster, in_policy("none"), spec_of(container(ACCEL))))
    assert f'container "train": {ACCEL}: 1: DeviceClass {WHOLE} is not permitted under namespace policy "none"' in said
    said = denied(create(cluster, in_policy("none"), spec_of(container(STRANGE))), "other-gpu-resource")
    assert f"{STRANGE}: 1 counts as a GPU" in said


def test_another_device_by_such_a_name_is_created_and_allocated(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("none")
    create(cluster, namespace, spec_of(container(CARDS))).raise_for_status()
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    assert drivers(cluster, namespace) == {NETWORK}


def test_a_form_that_the_policy_lists_is_permitted_and_allocated(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("exclusive")
    answer = create(cluster, namespace, spec_of(container(ACCEL, 2)))
    answer.raise_for_status()
    assert "warning" not in answer.headers
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    assert gpus(cluster, namespace) == 2
    [made] = pods_in(cluster, namespace)
    assert made["spec"]["containers"][0]["resources"]["limits"] == {ACCEL: "2"}


@pytest.mark.parametrize(
    ("policy", "resource", "rule"),
    [
        ("shared", ACCEL, "form-not-permitted"),
        ("mig-1g.10gb", ACCEL, "form-not-permitted"),
        ("exclusive", STRANGE, "other-gpu-resource"),
    ],
)
def test_other_forms_are_denied(
    cluster: ControlPlane, in_policy: InPolicy, policy: str, resource: str, rule: str
) -> None:
    denied(create(cluster, in_policy(policy), spec_of(container(resource))), rule)


@pytest.mark.parametrize("resource", [ACCEL, STRANGE])
def test_under_any_each_is_permitted(cluster: ControlPlane, in_policy: InPolicy, resource: str) -> None:
    create(cluster, in_policy("any"), spec_of(container(resource))).raise_for_status()


@pytest.mark.parametrize(
    ("policy", "containers", "rules"),
    [
        ("two", [container(ACCEL, 2)], ()),
        ("two", [container(ACCEL, 3)], ("per-pod-limit",)),
        ("two", [container(ACCEL, 2), container(ACCEL, name="second")], ("per-pod-limit",)),
        ("two", [container(ACCEL, 2), container(GPU, name="second")], ("per-pod-limit",)),
        ("one-each", [container(ACCEL, 2)], ("per-container-limit",)),
        ("one-each", [container(STRANGE, 2)], ("per-container-limit",)),
        ("one-each", [container(ACCEL), container(STRANGE, name="second")], ()),
    ],
)
def test_limits_hold(
    cluster: ControlPlane, in_policy: InPolicy, policy: str, containers: list[Json], rules: tuple[str, ...]
) -> None:
    answer = create(cluster, in_policy(policy), spec_of(*containers))
    if rules:
        denied(answer, *rules)
    else:
        answer.raise_for_status()


def test_a_claim_that_replaces_another_counts_with_them(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("two-of-any")
    post(cluster, namespace, an_object(CLAIM, exactly(NETWORK), name="a")).raise_for_status()
    listed = [container(ACCEL, 2, name="named"), using("a")]
    a_waiting_pod(cluster, namespace, containers=listed, resourceClaims=of(CLAIM, a="a"))
    replace(cluster, namespace, CLAIM, a=exactly(WHOLE))
    assert "for 3 GPUs at once" in reservation_denied(cluster, namespace)


@pytest.mark.parametrize("quantity", ["3000m", "3e0", "0.003k"])
def test_however_a_number_is_written(cluster: ControlPlane, in_policy: InPolicy, quantity: str) -> None:
    asking = container(ACCEL)
    asking["resources"] = {"limits": {ACCEL: quantity}}
    denied(create(cluster, in_policy("two"), spec_of(asking)), "per-pod-limit")


@pytest.mark.parametrize("other", [f"deviceclass.resource.kubernetes.io/{WHOLE}", STRANGE])
def test_several_names_in_one_container_count_together(cluster: ControlPlane, in_policy: InPolicy, other: str) -> None:
    asking = container(ACCEL)
    asking["resources"]["limits"][other] = "2"
    denied(create(cluster, in_policy("two-of-any"), spec_of(asking)), "per-pod-limit")


def test_a_name_that_a_limit_range_adds_is_denied_too(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("none")
    limits = [{"type": "Container", "default": {ACCEL: "1"}, "defaultRequest": {ACCEL: "1"}}]
    made = {"metadata": {"name": "added"}, "spec": {"limits": limits}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/limitranges", json=made).raise_for_status()
    wait_for("it", lambda: create(cluster, namespace, spec_of(PLAIN), dryRun="All").is_client_error)
    denied(create(cluster, namespace, spec_of(PLAIN)))


def test_an_exempt_scheduler_exempts_no_pod_that_names_its_node(cluster: ControlPlane, in_policy: InPolicy) -> None:
    placed = spec_of(container(ACCEL), schedulerName="kai-scheduler", nodeName=NODE)
    denied(create(cluster, in_policy("none"), placed))


def test_a_waiting_pod_with_such_a_name_can_be_updated(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("exclusive")
    a_waiting_pod(cluster, namespace, containers=[container(ACCEL)])
    changed = {"spec": {"nodeSelector": {"kubernetes.io/hostname": NODE, "example.com/zone": "a"}}}
    patch(cluster, f"/api/v1/namespaces/{namespace}/pods/train", changed).raise_for_status()


@pytest.mark.parametrize("mark", [OF_RESOURCES, OF_TEMPLATE])
@pytest.mark.parametrize("request_name", ["device", "container-0-request-0"])
def test_a_claim_that_a_user_marks_as_the_one_for_the_name_hands_out_no_more(
    cluster: ControlPlane, in_policy: InPolicy, mark: str, request_name: str
) -> None:
    """The scheduler deletes what it did not make itself, or leaves it alone."""
    namespace = in_policy("two-of-any")
    waiting = a_waiting_pod(cluster, namespace, containers=[container(ACCEL)])
    more = exactly(WHOLE, count=2) | {"name": request_name}
    post(cluster, namespace, an_object(CLAIM, more, name="mine", **of_pod(waiting, mark))).raise_for_status()
    ungate(cluster, namespace, starts=mark == OF_TEMPLATE)
    if mark == OF_RESOURCES:
        wait_for("it to be gone", lambda: not claims_in(cluster, namespace))
    assert gpus(cluster, namespace) == (1 if mark == OF_TEMPLATE else 0)


@contextmanager
def a_class(cluster: ControlPlane, name: str, resource: str) -> Iterator[str]:
    """A DeviceClass for GPUs with a resource name; its path."""
    selectors = [{"cel": {"expression": f"device.driver == '{GPUS}'"}}]
    made = {"metadata": {"name": name}, "spec": {"selectors": selectors, "extendedResourceName": resource}}
    cluster.api.post(f"{ROOT}/deviceclasses", json=made).raise_for_status()
    yield f"{ROOT}/deviceclasses/{name}"
    cluster.api.delete(f"{ROOT}/deviceclasses/{name}").raise_for_status()


def test_a_class_that_is_new_renamed_or_gone_is_known_at_once(cluster: ControlPlane, in_policy: InPolicy) -> None:
    """Within the time that a watch takes, which here is far less than a second."""
    namespace = in_policy("none")
    first, second = "example.com/first", "example.com/second"

    def is_denied(resource: str) -> bool:
        return create(cluster, namespace, spec_of(container(resource)), dryRun="All").is_client_error

    assert not is_denied(first)
    with a_class(cluster, LATE, first) as at:
        wait_for("the new name", lambda: is_denied(first), 30.0)
        renamed = {"spec": {"extendedResourceName": second}}
        cluster.api.patch(at, headers=MERGE_PATCH, json=renamed).raise_for_status()
        wait_for("the other name", lambda: is_denied(second) and not is_denied(first), 30.0)
    wait_for("none", lambda: not is_denied(second), 30.0)


def test_where_the_policy_has_limits_pods_that_waited_for_a_class_are_evaluated_as_they_get_its_devices(
    cluster: ControlPlane, in_policy: InPolicy
) -> None:
    namespace = in_policy("two")
    late = "example.com/late"
    a_waiting_pod(cluster, namespace, containers=[container(late, 3)])
    with a_class(cluster, LATE, late):
        other = in_policy("none")
        wait_for("the name", lambda: create(cluster, other, spec_of(container(late)), dryRun="All").is_client_error)
        assert "for 3 GPUs at once" in reservation_denied(cluster, namespace)


def test_before_a_class_has_a_name_audit_lists_the_pods_that_wait_for_it(
    cluster: ControlPlane, in_policy: InPolicy, tmp_path: Path
) -> None:
    namespace, late = in_policy("none"), "example.com/listed-first"
    a_waiting_pod(cluster, namespace, containers=[container(late)])
    configuration = tmp_path / "gpuwarden.yaml"
    content = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "resources": {"gpus": [late]}}
    configuration.write_text(json.dumps(content))
    command = [str(PROGRAM), "audit", "-o", "json", "-n", namespace, f"--kubeconfig={cluster.kubeconfig()}"]
    for options, outcome in (([], []), ([f"--config={configuration}"], ["denied"])):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        listed = [one["decision"] for one in json.loads(done.stdout)["objects"] if one["requests"]]
        assert listed == outcome, done.stderr


def audited(cluster: ControlPlane, namespace: str) -> list[str]:
    """What becomes of the pods that an audit of the cluster lists."""
    command = [str(PROGRAM), "audit", "-o", "json", "-n", namespace, f"--kubeconfig={cluster.kubeconfig()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [one["decision"] for one in json.loads(done.stdout)["objects"] if one["requests"]]


def diagnosed(cluster: ControlPlane, namespace: str) -> list[str]:
    """How to fix what doctor reports about waiting pods of a namespace."""
    command = [str(PROGRAM), "doctor", "-o", "json", f"--kubeconfig={cluster.kubeconfig()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [one for one in json.loads(done.stdout)["checks"] if one["id"] == "waiting-pods"]
    assert {one["status"] for one in lines} <= {"ok", "warn"}, lines
    return [one["fix"] for one in lines if f"of namespace {namespace} wait" in one["seen"]]


def test_a_pod_that_already_waits_for_a_name_is_reported_until_it_is_deleted(
    cluster: ControlPlane, in_policy: InPolicy
) -> None:
    """A policy applies when a pod is created; the class has its name only later."""
    namespace, late = in_policy("none"), "example.com/waited-for"
    a_waiting_pod(cluster, namespace, containers=[container(late)])
    assert (audited(cluster, namespace), diagnosed(cluster, namespace)) == ([], [])
    with a_class(cluster, LATE, late):
        assert audited(cluster, namespace) == ["denied"]
        (fix,) = diagnosed(cluster, namespace)
        delete = f"kubectl delete pod -n {namespace} train"
        assert fix.startswith(f"{delete} (")
        cluster.kubectl(*delete.split()[1:]).check_returncode()
        wait_for("the pod to be gone", lambda: not pods_in(cluster, namespace))
        assert (audited(cluster, namespace), diagnosed(cluster, namespace)) == ([], [])
        denied(create(cluster, namespace, spec_of(container(late))))


def test_a_pod_that_was_given_a_gpu_by_a_later_name_is_still_listed_by_audit(
    cluster: ControlPlane, in_policy: InPolicy
) -> None:
    namespace, late = in_policy("none"), "example.com/given-later"
    a_waiting_pod(cluster, namespace, containers=[container(late)])
    with a_class(cluster, LATE, late):
        ungate(cluster, namespace)
        assert gpus(cluster, namespace) == 1
        assert (audited(cluster, namespace), diagnosed(cluster, namespace)) == (["denied"], [])


def test_of_two_classes_with_one_name_each_must_be_permitted(cluster: ControlPlane, in_policy: InPolicy) -> None:
    namespace = in_policy("exclusive")
    with a_class(cluster, "another.gpu.example.com", ACCEL):
        wait_for(
            "both", lambda: create(cluster, namespace, spec_of(container(ACCEL)), dryRun="All").is_client_error, 5.0
        )
    wait_for("one", lambda: create(cluster, namespace, spec_of(container(ACCEL)), dryRun="All").is_success, 30.0)


def test_a_workload_is_advised_of_it(cluster: ControlPlane, in_policy: InPolicy) -> None:
    template = spec_of(container(ACCEL))
    at = "/apis/apps/v1/namespaces/{}/deployments"
    for policy, warns in (("none", True), ("exclusive", False)):
        answer = cluster.api.post(at.format(in_policy(policy)), params={"dryRun": "All"}, json=deployment(template))
        answer.raise_for_status()
        assert ("would be denied" in answer.headers.get("warning", "")) is warns, answer.headers


OTHERS = [pattern.replace("*", "x") for pattern in NEVER_SENT if not pattern.startswith("kubernetes.io/")]


def test_while_no_replica_answers_pods_with_known_other_devices_are_created(
    cluster: ControlPlane, installation: Installation, in_policy: InPolicy
) -> None:
    """Under ``none`` too; others are denied, as their names may be those of GPUs."""
    namespace = in_policy("none")
    with installation.down("/validate"), installation.down("/mutate"):
        for resource in OTHERS:
            answer = create(cluster, namespace, spec_of(container(resource)), dryRun="All")
            assert answer.status_code == httpx.codes.CREATED, (resource, answer.text)
        every = [container(resource, name=f"c{number}") for number, resource in enumerate(OTHERS)]
        create(cluster, namespace, spec_of(*every), dryRun="All").raise_for_status()
        for resource in (CARDS, ACCEL, GPU, "example.com/intel.com"):
            assert "validate.gpuwarden.io" in create(cluster, namespace, spec_of(container(resource))).text


def test_a_class_for_gpus_with_the_name_of_another_device_is_reported(
    cluster: ControlPlane, in_policy: InPolicy
) -> None:
    """No pod that requests it is sent, so doctor says that the name is a bad one."""
    namespace, name = in_policy("none"), "intel.com/accel"
    with a_class(cluster, LATE, name):
        create(cluster, namespace, spec_of(container(name)), dryRun="All").raise_for_status()
        command = [str(PROGRAM), "doctor", "-o", "json", f"--kubeconfig={cluster.kubeconfig()}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seen = [one["seen"] for one in json.loads(done.stdout)["checks"] if one["id"] == "device-classes"]
    assert f"DeviceClass {LATE} counts as a GPU, and its extendedResourceName {name} does not" in seen


def test_very_many_containers_with_the_last_of_them_are_created(cluster: ControlPlane, in_policy: InPolicy) -> None:
    """Each name is compared with every pattern, which costs less than the API server permits."""
    last = max(OTHERS)
    many = [container(last, name=f"c{number}") for number in range(300)]
    namespace = in_policy("none")
    create(cluster, namespace, spec_of(*many), dryRun="All").raise_for_status()
    denied(create(cluster, namespace, spec_of(*many, container(ACCEL))))


def test_very_many_containers_are_still_sent(cluster: ControlPlane, in_policy: InPolicy) -> None:
    """What the condition costs stays below what the API server permits."""
    plain = [
        {**PLAIN, "name": f"c{number}", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}} for number in range(900)
    ]
    answer = create(cluster, in_policy("none"), spec_of(*plain, container(ACCEL)))
    denied(answer)
