"""The chart's ValidatingAdmissionPolicy on a real API server, alone: no replica of gpuwarden runs and no webhook is asked."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.builders import GKE_CLIENTS, GKE_SHARING, STRATEGY, a_pod, affinity, evaluate, gpu, messages
from tests.deploy.backstop.conftest import CONFIGURED, configured
from tests.deploy.backstop.test_verdicts import ABOVE_ONE, MIXED, UNTOUCHED
from tests.deploy.chart import Chart
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.installation import VALUES, render
from tests.e2e.objects import ENFORCE, Json

pytestmark = pytest.mark.e2e

KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
API = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/gpuwarden"
BY_US = "ValidatingAdmissionPolicy 'gpuwarden' with binding 'gpuwarden' denied request: "
REFUSED = a_pod(gpu("2", "nvidia.com/gpu.shared"))


def sendable(pod: Json) -> Json:
    """A pod that the API server takes: with names and images."""
    spec = {**pod["spec"], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    for section in ("containers", "initContainers"):
        listed = [{**one, "image": "example.test/train"} for one in spec.get(section) or []]
        if listed:
            spec[section] = listed
    return {**pod, "apiVersion": "v1", "kind": "Pod", "spec": spec}


def create(control_plane: ControlPlane, namespace: str, pod: Json) -> httpx.Response:
    """Create a pod as a dry run: all admission, nothing stored."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    return control_plane.api.post(path, params={"dryRun": "All"}, json=sendable(pod))


def said(answer: httpx.Response) -> str:
    """The sentence of a denial by the policy; empty when the pod was let through."""
    if answer.status_code == httpx.codes.CREATED:
        return ""
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    before, by_us, sentence = answer.json()["message"].partition(BY_US)
    assert by_us, before
    return str(sentence)


@pytest.fixture(scope="module")
def backstop(control_plane: ControlPlane, chart: Chart, module_namespaces: Namespaces) -> Iterator[ControlPlane]:
    """The policy and its binding, applied; the API server acts by them when this returns."""
    values = {**VALUES, "backstop": {"enabled": True}, "config": {"policies": CONFIGURED}}
    rendered = render(control_plane, chart, values)
    objects = [o for o in rendered.objects if o["kind"] in KINDS]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    applied = control_plane.kubectl("apply", "-f", "-", stdin=manifest)
    assert applied.returncode == 0, applied.stderr
    try:
        namespace = module_namespaces.make()
        wait_for("the policy to act", lambda: said(create(control_plane, namespace, REFUSED)))
        yield control_plane
    finally:
        control_plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest)


@pytest.fixture(scope="module")
def unlabelled(backstop: ControlPlane, module_namespaces: Namespaces) -> str:
    return module_namespaces.make()


def test_the_api_server_finds_nothing_wrong_with_the_expressions(backstop: ControlPlane) -> None:
    def checked() -> Json | None:
        status: Json = backstop.get(API).get("status", {})
        return status if "observedGeneration" in status else None

    status = wait_for("the type check", checked)
    assert status is not None
    assert "expressionWarnings" not in status.get("typeChecking", {})


@pytest.mark.parametrize("pod", UNTOUCHED)
def test_what_no_hard_rule_speaks_of_is_created(backstop: ControlPlane, unlabelled: str, pod: Json) -> None:
    assert said(create(backstop, unlabelled, pod)) == ""


@pytest.mark.parametrize("pod", [*MIXED, *ABOVE_ONE])
def test_what_a_hard_rule_refuses_is_refused_in_the_engines_words(
    backstop: ControlPlane, unlabelled: str, pod: Json
) -> None:
    sentence = said(create(backstop, unlabelled, pod))
    assert sentence
    ours = messages(evaluate(pod, "any"))[0]
    canonical = all(text not in str(pod) for text in ("2k", "1Ki", "000000"))  # as the API server writes it, 2k is 2k
    if canonical and len(pod["spec"]["containers"][0]["resources"]["limits"]) < 3:
        assert sentence == ours


def test_the_rest_that_the_engine_refuses_everywhere_kubernetes_refuses_by_itself(
    backstop: ControlPlane, unlabelled: str
) -> None:
    """``not-a-whole-number`` and ``limits-requests-differ`` need no backstop."""
    for resources in (
        {"limits": {"nvidia.com/gpu": "1500m"}},
        {"limits": {"nvidia.com/gpu.shared": "2"}, "requests": {"nvidia.com/gpu.shared": "1"}},
        {"requests": {"nvidia.com/gpu": "1"}},
    ):
        answer = create(backstop, unlabelled, a_pod({"name": "train", "resources": resources}))
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text


@pytest.mark.parametrize("policy", ["shared", "mps", "gke-mps-4", "exclusive", "any", *CONFIGURED])
def test_the_namespaces_policy_is_heard(
    backstop: ControlPlane, make_namespace: Callable[..., str], policy: str
) -> None:
    namespace = make_namespace({ENFORCE: policy})
    pods = [
        a_pod(gpu("1")),
        a_pod(gpu("2")),
        a_pod(gpu("4", "nvidia.com/gpu.shared")),
        a_pod(gpu("2"), nodeSelector={STRATEGY: "mps"}),
        a_pod(gpu("2"), nodeSelector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
        a_pod(gpu("2"), affinity=affinity([(STRATEGY, "In", "none")])),
    ]
    for pod in pods:
        decision = evaluate(pod, configured(policy) if policy in CONFIGURED else policy)
        if said(create(backstop, namespace, pod)):
            assert decision.denials or decision.edits, pod
        else:
            assert "shared-request-above-one" not in [finding.rule.id for finding in decision.denials], pod


def test_an_exempt_pod_is_left_alone(backstop: ControlPlane, unlabelled: str) -> None:
    exempt = {**REFUSED, "spec": {**REFUSED["spec"], "schedulerName": "kai-scheduler"}}
    assert said(create(backstop, unlabelled, exempt)) == ""
    assert said(create(backstop, unlabelled, REFUSED)) != ""


def test_a_long_node_affinity_stays_within_the_api_servers_budget(backstop: ControlPlane, unlabelled: str) -> None:
    values = [*(f"value-{number}" for number in range(5)), "mps"]
    terms = [[(key, "In", *values) for key in (STRATEGY, "a", "b", "c", "d")] for _ in range(1000)]
    assert said(create(backstop, unlabelled, a_pod(gpu("1"), affinity=affinity(*terms)))) == ""
    assert said(create(backstop, unlabelled, a_pod(gpu("2"), affinity=affinity(*terms)))) != ""


def gated(backstop: ControlPlane, namespace: str, pod: Json) -> str:
    """Store a pod with a scheduling gate; answer its path."""
    name = f"gated-{uuid4().hex[:8]}"
    spec = {**pod["spec"], "schedulingGates": [{"name": "team.example/wait"}]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = sendable({**pod, "metadata": {"name": name}, "spec": spec})
    backstop.api.post(path, json=made).raise_for_status()
    return f"{path}/{name}"


def test_an_update_is_refused_that_moves_a_gated_pod_to_slots(backstop: ControlPlane, unlabelled: str) -> None:
    path = gated(backstop, unlabelled, a_pod(gpu("2")))

    def patched(change: Json) -> httpx.Response:
        return backstop.api.patch(path, json=change, headers=MERGE_PATCH)

    time_shared: Json = {"nodeSelector": {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}}
    for spec in (time_shared, {**time_shared, "schedulingGates": None}, {"nodeSelector": {STRATEGY: "mps"}}):
        refused = patched({"spec": spec})
        assert refused.status_code == httpx.codes.FORBIDDEN
        assert BY_US in refused.json()["message"]
    for harmless in ({"nodeSelector": {"pool": "a"}}, {"schedulingGates": None}):
        assert patched({"spec": harmless}).status_code == httpx.codes.OK
    assert patched({"metadata": {"finalizers": ["team.example/hold"], "labels": {"a": "b"}}}).is_success
    assert backstop.api.delete(path).is_success
    assert patched({"metadata": {"finalizers": None}}).is_success


def test_what_a_gated_pod_broke_before_blocks_no_update(
    backstop: ControlPlane, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace()
    path = gated(backstop, namespace, a_pod(gpu("2")))
    backstop.kubectl("label", "namespace", namespace, f"{ENFORCE}=shared")
    wait_for("the label to be seen", lambda: said(create(backstop, namespace, a_pod(gpu("2")))))
    change = {"spec": {"nodeSelector": {"pool": "a"}, "schedulingGates": None}}

    answer = backstop.api.patch(path, json=change, headers=MERGE_PATCH)
    assert answer.is_success, answer.text


def test_an_update_of_a_long_node_affinity_stays_within_the_budget(backstop: ControlPlane, unlabelled: str) -> None:
    values = [*(f"value-{number}" for number in range(5)), "mps"]
    terms = [[(key, "In", *values) for key in ("a", "b", "c", "d")] for _ in range(1000)]
    path = gated(backstop, unlabelled, a_pod(gpu("2"), affinity=affinity(*terms)))

    for selector, allowed in (({"pool": "a"}, True), ({STRATEGY: "mps"}, False)):
        answer = backstop.api.patch(path, json={"spec": {"nodeSelector": selector}}, headers=MERGE_PATCH)
        assert answer.is_success is allowed, answer.text
        assert allowed or BY_US in answer.text


def test_the_audit_log_says_which_rule_refused(backstop: ControlPlane, unlabelled: str) -> None:
    assert said(create(backstop, unlabelled, REFUSED))

    def told() -> set[str | None]:
        events = [event for event in backstop.audit_events() if event["objectRef"].get("namespace") == unlabelled]
        return {event.get("annotations", {}).get("gpuwarden/denied-by") for event in events}

    wait_for("the audit log", lambda: "shared-request-above-one" in told())


def test_in_audit_mode_it_only_warns(backstop: ControlPlane, unlabelled: str) -> None:
    """As the chart binds it then; tests/deploy/backstop/ has that it does."""
    binding = f"{API.rpartition('policies')[0]}policybindings/gpuwarden"

    def bind(*actions: str) -> None:
        change = {"spec": {"validationActions": list(actions)}}
        backstop.api.patch(binding, json=change, headers=MERGE_PATCH).raise_for_status()

    bind("Warn", "Audit")
    try:
        wait_for("the warning", lambda: not said(create(backstop, unlabelled, REFUSED)))
        warned = create(backstop, unlabelled, REFUSED).headers["Warning"]
        assert "is more than one slot of a shared GPU" in warned
        assert "Warning" not in create(backstop, unlabelled, a_pod(gpu("1"))).headers
    finally:
        bind("Deny")
        wait_for("the denial", lambda: said(create(backstop, unlabelled, REFUSED)))
