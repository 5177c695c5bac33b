"""The ValidatingAdmissionPolicy on updates: what moves a gated pod to slots of a shared GPU, beside the engine."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.builders import GKE_CLIENTS, GKE_PARTITION, GKE_SHARING, SHARED, STRATEGY, Json, a_pod, gpu, policy_of, view
from tests.deploy.backstop.evaluator import Backstop, Verdict
from tests.deploy.backstop.stored import stored
from tests.engine.strategies import sound_pods
from webhook.engine.namespace_labels import ENFORCE
from webhook.engine.spelling import DevicePlugin
from webhook.engine.updates import decide_update

GATE = [{"name": "team.example/wait"}]
TIME_SHARED = {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}


def as_stored(pod: Json) -> Json:
    taken = stored(pod)
    assert taken is not None
    return taken


def gated(*containers: Json, **spec: Any) -> Json:
    return as_stored(a_pod(*containers, schedulingGates=GATE, **spec))


def moved(backstop: Backstop, old: Json, selector: Json, labels: Json | None = None, **metadata: Any) -> Verdict:
    """The verdict on an update that adds to the pod's nodeSelector and removes its gates."""
    spec = {key: value for key, value in old["spec"].items() if key != "schedulingGates"}
    spec["nodeSelector"] = {**spec.get("nodeSelector", {}), **selector}
    return backstop.evaluate({"metadata": {**old["metadata"], **metadata}, "spec": spec}, labels, before=old)


TWO = gated(gpu(2), nodeSelector={GKE_PARTITION: "1g.5gb"})


def test_slices_do_not_become_shared_slots(backstop: Backstop) -> None:
    assert moved(backstop, TWO, TIME_SHARED).rules == ("shared-request-above-one",)
    assert moved(backstop, gated(gpu(2)), {STRATEGY: "mps"}).rules == ("shared-request-above-one",)


def test_of_several_containers_the_one_is_named_that_gets_worse(backstop: Backstop) -> None:
    old = gated(gpu(2, SHARED, name="old"), gpu(2, name="new"))

    (message,) = moved(backstop, old, {STRATEGY: "mps"}).messages
    assert message.startswith('container "new"')


@pytest.mark.parametrize(
    ("old", "labels"),
    [
        (gated(gpu(2, SHARED)), {}),
        (gated(gpu(2)), {ENFORCE: "shared"}),
        (gated(gpu(2), nodeSelector=TIME_SHARED), {}),
        (gated({"name": "c", "resources": {"limits": {SHARED: "1", "nvidia.com/gpu": "1"}}}), {}),
    ],
)
def test_what_a_pod_broke_before_blocks_nothing(backstop: Backstop, old: Json, labels: Json) -> None:
    verdict = moved(backstop, old, {"pool": "a"}, labels)

    assert verdict.asked
    assert verdict.messages == ()


def test_gates_finalizers_and_pods_that_go_are_not_asked_about(backstop: Backstop) -> None:
    assert not moved(backstop, TWO, {}, finalizers=[]).asked
    assert not moved(backstop, TWO, TIME_SHARED, deletionTimestamp="2026-01-01T00:00:00Z").asked
    ungated = as_stored(a_pod(gpu(2)))
    assert not moved(backstop, ungated, TIME_SHARED).asked
    assert not moved(backstop, gated({"name": "c"}), TIME_SHARED).asked


@settings(max_examples=300, deadline=None)
@given(old=sound_pods, new=sound_pods)
def test_nothing_is_ever_refused_that_the_engine_lets_through(backstop: Backstop, old: Json, new: Json) -> None:
    """The nodes of one pod for the containers of another: more than Kubernetes lets change."""
    before, nodes = stored(old), stored(new)
    if before is None or nodes is None:
        return
    before["spec"]["schedulingGates"] = GATE
    chosen = {key: nodes["spec"][key] for key in ("nodeSelector", "affinity") if key in nodes["spec"]}
    kept = {key: value for key, value in before["spec"].items() if key not in ("nodeSelector", "affinity")}
    after = {**before, "spec": {**kept, **chosen}}
    if backstop.evaluate(after, before=before).messages:
        assert decide_update(view(after), view(before), policy_of("any"), DevicePlugin(), rewrites=True).denials
