"""The CEL of ``updates.gpuwarden.io``, evaluated: whatever an update can make worse is sent, and nearly nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    PRODUCT,
    STRATEGY,
    a_container,
    a_policy,
    affinity,
    gpu,
    view,
)
from tests.deploy.chart import Chart, Json, Rendered
from tests.deploy.conditions import Asks, conditions_of
from webhook.engine.policy import ANY_POLICY, FindingAction
from webhook.engine.spelling import DevicePlugin
from webhook.engine.updates import decide_update

UPDATES = "updates.gpuwarden.io"
GATE = [{"name": "team.example/wait"}]
CDI = {"nvidia.cdi.k8s.io/pod": "nvidia.com/gpu=0"}


@pytest.fixture(scope="session")
def asks(rendered: Rendered) -> Asks:
    return conditions_of(rendered.webhooks[UPDATES])


def a_pod(*containers: Json, metadata: Json | None = None, **spec: Any) -> Json:
    written = list(containers) or [gpu()]
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": {"containers": written, **spec}}


GATED = a_pod(schedulingGates=GATE)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (a_pod(), GATED),
        (a_pod(schedulingGates=GATE[:0]), GATED),
        (a_pod(schedulingGates=GATE, metadata={"labels": {"a": "b"}, "finalizers": ["a/b"]}), GATED),
        (a_pod(metadata={"annotations": {"team": "a"}}), GATED),
        (a_pod(metadata={"annotations": {"team": "b"}}), a_pod(metadata={"annotations": {"team": "a"}})),
        (a_pod(metadata={"finalizers": []}), a_pod(metadata={"finalizers": ["a/b"]})),
        (a_pod(tolerations=[{"operator": "Exists"}]), GATED),
        (a_pod(a_container(), nodeSelector={"a": "b"}), a_pod(a_container(), schedulingGates=GATE)),
        (a_pod(nodeSelector={"a": "b"}, schedulingGates=GATE), a_pod(nodeSelector={"a": "b"}, schedulingGates=GATE)),
        (a_pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}), GATED),
        (a_pod(affinity={"podAntiAffinity": {}}), GATED),
        (a_pod(metadata={"annotations": CDI}), a_pod(metadata={"annotations": CDI})),
        (a_pod(metadata={"annotations": {**CDI, "team": "a"}}), a_pod(metadata={"annotations": CDI})),
        (a_pod(), a_pod(metadata={"annotations": CDI})),
        (a_pod(metadata={"annotations": CDI, "deletionTimestamp": "2026-01-01T00:00:00Z"}), GATED),
        (a_pod(nodeSelector={"a": "b"}, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), GATED),
    ],
)
def test_what_changes_no_decision_is_never_sent(asks: Asks, new: Json, old: Json) -> None:
    assert not asks(new, old)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (a_pod(nodeSelector={GKE_SHARING: "time-sharing"}), GATED),
        (a_pod(nodeSelector={GKE_SHARING: "time-sharing"}, schedulingGates=GATE), GATED),
        (a_pod(nodeSelector={"a": "b", "c": "d"}), a_pod(nodeSelector={"a": "b"}, schedulingGates=GATE)),
        (a_pod(affinity=affinity([("a", "Exists")])), GATED),
        (
            a_pod(affinity=affinity([("a", "Exists"), (STRATEGY, "In", "mps")])),
            a_pod(affinity=affinity([("a", "Exists")]), schedulingGates=GATE),
        ),
        (a_pod(a_container(), metadata={"annotations": CDI}), a_pod(a_container())),
        (a_pod(metadata={"annotations": CDI}), GATED),
        (a_pod(metadata={"annotations": CDI}), a_pod(metadata={"annotations": {next(iter(CDI)): "a.com/b=0"}})),
        (a_pod(metadata={"annotations": {"a": "b", **CDI}}), a_pod(metadata={"annotations": {"a": "b"}})),
    ],
)
def test_what_may_change_one_is(asks: Asks, new: Json, old: Json) -> None:
    assert asks(new, old)


def test_very_many_annotations_are_sent_without_looking_at_each(asks: Asks) -> None:
    many = {f"a{number}": "" for number in range(1001)}

    assert asks(a_pod(metadata={"annotations": many}), a_pod())
    assert not asks(a_pod(metadata={"annotations": many}), a_pod(metadata={"annotations": many}))


selectors = st.dictionaries(
    st.sampled_from([GKE_PARTITION, GKE_SHARING, STRATEGY, PRODUCT, "pool"]),
    st.sampled_from(["1g.5gb", "time-sharing", "mps", "A100-SHARED", "a"]),
    max_size=2,
)
requirements = st.tuples(
    st.sampled_from([STRATEGY, PRODUCT, GKE_SHARING]), st.just("In"), st.sampled_from(["mps", "A100-SHARED", "a"])
)
affinities: st.SearchStrategy[list[Any]] = st.lists(st.lists(requirements, min_size=1, max_size=2), max_size=2)
annotations = st.dictionaries(
    st.sampled_from(["cdi.k8s.io/a", "nvidia.cdi.k8s.io/pod", "devices.nri.io", "devices.crio.io/c", "team"]),
    st.sampled_from(["nvidia.com/gpu=0", "management.nvidia.com/gpu=all", "/dev/nvidia0", "a"]),
    max_size=2,
)
POLICIES = [
    ANY_POLICY,
    a_policy("exclusive", visible_devices=FindingAction.DENY),
    a_policy("gke-mig-1g.5gb", visible_devices=FindingAction.DENY),
]


@given(data=st.data(), count=st.integers(0, 2), policy=st.sampled_from(POLICIES))
def test_nothing_that_is_made_worse_is_ever_left_out(asks: Asks, data: st.DataObject, count: int, policy: Any) -> None:
    def drawn(**more: Any) -> Json:
        terms = data.draw(affinities)
        placed = {"affinity": affinity(*terms)} if terms else {}
        metadata = {"annotations": data.draw(annotations)}
        return a_pod(gpu(count, GPU), metadata=metadata, nodeSelector=data.draw(selectors), **placed, **more)

    old, new = drawn(schedulingGates=GATE), drawn()
    decision = decide_update(view(new), view(old), policy, DevicePlugin(), rewrites=True)

    assert asks(new, old) or not decision.findings


def test_it_fails_closed_unless_nothing_is_refused_anyway(chart: Chart) -> None:
    def policy(**values: Any) -> str:
        found: str = chart.render(values).webhooks[UPDATES]["failurePolicy"]
        return found

    assert policy() == "Fail"
    assert policy(install={"mode": "audit"}) == "Ignore"


def test_without_the_guard_only_nodes_are_evaluated(chart: Chart) -> None:
    asks = conditions_of(chart.render({"webhooks": {"guard": {"enabled": False}}}).webhooks[UPDATES])

    assert asks(a_pod(nodeSelector={"a": "b"}), GATED)
    assert not asks(a_pod(metadata={"annotations": CDI}), GATED)
