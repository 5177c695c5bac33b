"""The fleet: which pods some node can run, what is said of the others, and that an independent scheduler agrees."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import (
    COMPUTE_SLICES,
    EVERY_SETTING,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    MEMORY,
    MIG,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE_BY_PRODUCT,
    STRATEGY,
    Json,
    a_form,
    a_pod,
    a_policy,
    applied,
    evaluate,
    gpu,
    policy_of,
    selecting,
    spec_of,
    view,
)
from tests.engine.cluster import chosen, nodes
from tests.engine.strategies import plugins, pods, policies
from webhook.engine.decision import Decision
from webhook.engine.findings import Severity
from webhook.engine.fleet.fleet import Fleet, NodeRequest
from webhook.engine.fleet.fleet_findings import plain_request_unschedulable, with_fleet_findings
from webhook.engine.fleet.history import Memory
from webhook.engine.fleet.node_shapes import DAEMONS, Shape, Taint, shape_of
from webhook.engine.fleet.reconfiguration import Reconfiguration
from webhook.engine.forms import Platform
from webhook.engine.node_constraints import NOTHING_SAID, NodeConstraints
from webhook.engine.pods import Toleration
from webhook.engine.policy import FindingAction, Mismatch, Policy, PolicyBook
from webhook.engine.rules.fleet import no_node_offers
from webhook.engine.spelling import DevicePlugin, MigStrategy

PLAIN_REQUEST = NodeRequest(GPU, 1, NOTHING_SAID)
GPU_TAINT = Taint(GPU, "present", "NoSchedule")


def a_shape(allocatable: Mapping[str, int], capacity: Mapping[str, int] | None = None, **fields: Any) -> Shape:
    """A shape with these GPUs; ``labels`` and the rest as ``shape_of`` takes them."""
    labels = fields.pop("labels", {})
    shape = shape_of(labels, allocatable if capacity is None else capacity, allocatable, **fields)
    assert shape
    return shape


SLOTS = a_shape({SHARED: 8}, labels={STRATEGY: "time-slicing"})
MPS = a_shape({SHARED: 8}, labels={STRATEGY: "mps"})
WHOLE = a_shape({GPU: 8}, labels={STRATEGY: "none"})
SLICES = a_shape({MIG: 7})
GKE = a_shape({GPU: 4}, labels={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"})


def told(pod: Json, policy: str | Policy, *fleet: Shape, plugin: DevicePlugin = RENAMED, **known: Any) -> Decision:
    """The decision on a pod in a cluster of these nodes."""
    counts = {shape: fleet.count(shape) for shape in fleet}
    found = policy_of(policy) if isinstance(policy, str) else policy
    return with_fleet_findings(evaluate(pod, found, plugin), view(pod), found, Fleet(counts, **known))


def messages(decision: Decision) -> list[tuple[str, str]]:
    return [(one.rule.id, one.message) for one in decision.findings if one.rule.fleet]


@pytest.mark.parametrize(
    ("policy", "pod", "fleet"),
    [
        ("shared", a_pod(), [SLOTS]),
        ("shared", a_pod(), [WHOLE, MPS]),
        ("time-slicing", a_pod(), [MPS, SLOTS]),
        ("exclusive", a_pod(gpu(8)), [WHOLE]),
        ("mig-1g.5gb", a_pod(gpu(7)), [SLICES]),
        ("gke-time-sharing-4", a_pod(), [GKE]),
        ("any", a_pod(), [WHOLE]),
        ("any", a_pod(gpu(1, MIG)), [SLICES]),
        ("any", a_pod(gpu(0)), []),
        ("mps", a_pod(gpu(0)), []),
        ("any", {"metadata": {}}, []),
        # Allocatable is 0 while the device plugin restarts, and capacity stays.
        ("exclusive", a_pod(), [a_shape({GPU: 0}, {GPU: 8})]),
        # A node that is being reconfigured may offer anything afterwards.
        ("mig-1g.5gb", a_pod(), [a_shape({}, labels={"nvidia.com/mig.config.state": "pending"})]),
        ("mig-1g.5gb", a_pod(), [a_shape({}, labels={"nvidia.com/mig.config.state": "rebooting"})]),
        # A pod that names its node is not scheduled.
        ("exclusive", a_pod(nodeName="n"), []),
        # Labels that say nothing of GPUs are not known.
        ("exclusive", a_pod(nodeSelector={"disk": "fast"}), [WHOLE]),
        # Init containers run one after another.
        ("exclusive", a_pod(gpu(8), initContainers=[gpu(8, name="init")]), [WHOLE]),
    ],
)  # fmt: skip
def test_nothing_is_said_where_some_node_can_run_the_pod(policy: str, pod: Json, fleet: list[Shape]) -> None:
    before = evaluate(pod, policy)

    assert told(pod, policy, *fleet) == before


def test_nothing_is_said_of_what_a_device_class_offers_or_an_autoscaler_adds() -> None:
    assert messages(told(a_pod(), "mig-1g.5gb", WHOLE, classes=[MIG])) == []
    assert messages(told(a_pod(), "mps", WHOLE, expected=[a_form("mps")])) == []
    assert messages(told(a_pod(), "shared", WHOLE, expected=[a_form("mps")])) == []
    assert messages(told(a_pod(), "mps", WHOLE, expected=[a_form("time-slicing")])) != []


@pytest.mark.parametrize(
    ("policy", "pod", "fleet", "says"),
    [
        (
            "mig-1g.5gb",
            a_pod(),
            [WHOLE, WHOLE],
            (f'container "train": no node offers mig-1g.5gb ({MIG}); no node has {MIG}; the pod stays Pending unless an '
            "autoscaler adds such a node; the nearest offer is exclusive (2 nodes)"),
        ),
        (
            "mps",
            a_pod(),
            [SLOTS, WHOLE],
            (f'container "train": no node offers mps ({SHARED}; {STRATEGY}: mps); 1 node has {SHARED}, but not '
            f"{STRATEGY}: mps (it is time-slicing); the pod stays Pending unless an autoscaler adds such a node; the nearest "
            "offer is time-slicing (1 node)"),
        ),
        (
            "any",
            a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"}),
            [SLOTS],
            (f'container "train": no node offers mps ({SHARED}; {STRATEGY}: mps); 1 node has {SHARED}, but not '
            f"{STRATEGY}: mps (it is time-slicing); the pod stays Pending unless an autoscaler adds such a node; the nearest "
            "offer is time-slicing (1 node)"),
        ),
        (
            "exclusive",
            a_pod(),
            [],
            (f'container "train": no node offers exclusive ({GPU}); no node has {GPU}; the pod stays Pending unless an '
            "autoscaler adds such a node; no node offers any GPU"),
        ),
        (
            "exclusive",
            a_pod(gpu(8, name="a"), gpu(1, name="b")),
            [WHOLE, a_shape({GPU: 4})],
            (f"pod: {GPU}: 9 is more than any one node has (8 at most); a pod runs on one node, so it stays Pending; "
            "request at most 8"),
        ),
        (
            "exclusive",
            a_pod(gpu(16)),
            [WHOLE],
            (f'container "train": {GPU}: 16 is more than any one node has (8 at most); a pod runs on one node, so it stays '
            "Pending; request at most 8"),
        ),
        (
            "mig-1g.5gb",
            a_pod(),
            [WHOLE, a_shape({GPU: 1}, labels={"nvidia.com/mig.config.state": "failed"})],
            (f'container "train": no node offers mig-1g.5gb ({MIG}); no node has {MIG}; the MIG configuration of 1 node '
            "failed (nvidia.com/mig.config.state: failed)"),
        ),
        (
            "mig-1g.5gb",
            a_pod(),
            [a_shape({}, labels={"nvidia.com/mig.config.state": "failed"})] * 2,
            (f'container "train": no node offers mig-1g.5gb ({MIG}); no node has {MIG}; the MIG configuration of 2 nodes '
            "failed (nvidia.com/mig.config.state: failed)"),
        ),
        (
            "mig-1g.5gb",
            a_pod(),
            [a_shape({GPU: 7}, labels={PRODUCT: "A100-MIG-1g.5gb"})],
            (f'container "train": no node offers mig-1g.5gb ({MIG}); no node has {MIG}; the pod stays Pending unless an '
            f"autoscaler adds such a node; the nearest offer is mig-1g.5gb ({GPU}: 1 node)"),
        ),
        (
            "exclusive",
            a_pod(nodeSelector={PRODUCT: "Tesla-T4"}),
            [a_shape({GPU: 1}, labels={PRODUCT: f"Model-{n}"}) for n in range(5)],
            (f'container "train": no node offers exclusive ({GPU}; {PRODUCT}: Tesla-T4); 5 nodes have {GPU}, but not '
            f"{PRODUCT}: Tesla-T4 (it is Model-0 or Model-1 or Model-2 and 2 more); the pod stays Pending unless an "
            "autoscaler adds such a node; the nearest offer is exclusive (5 nodes)"),
        ),
        (
            "any",
            a_pod(affinity=selecting((PRODUCT, "NotIn", "a"))["spec"]["affinity"]),
            [a_shape({GPU: 1}, labels={PRODUCT: "a"})],
            (f'container "train": no node offers exclusive ({GPU}; {PRODUCT} as the pod requires it); 1 node has {GPU}, but '
            f"not {PRODUCT} as the pod requires it (it is a); the pod stays Pending unless an autoscaler adds such a node; the "
            "nearest offer is exclusive (1 node)"),
        ),
        (
            "gke-mig-1g.5gb",
            a_pod(),
            [WHOLE],
            (f'container "train": no node offers gke-mig-1g.5gb ({GPU}; {GKE_PARTITION}: 1g.5gb; {GKE_SHARING} DoesNotExist); '
            f"1 node has {GPU}, but not {GKE_PARTITION}: 1g.5gb (no such label); the pod stays Pending unless an autoscaler "
            "adds such a node; the nearest offer is exclusive (1 node)"),
        ),
        (
            "gke-time-sharing-4",
            a_pod(),
            [
                a_shape({GPU: 1}, labels={GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"}),
                a_shape({GPU: 1}, labels={GKE_SHARING: "mps", GKE_CLIENTS: "4"}),
            ],
            (f'container "train": no node offers gke-time-sharing-4 ({GPU}; {GKE_SHARING}: time-sharing; {GKE_CLIENTS}: 4; '
            f"{GKE_PARTITION} DoesNotExist); 2 nodes have {GPU}, but not with all of the labels together; the pod stays Pending "
            "unless an autoscaler adds such a node; the nearest offer is gke-time-sharing-2 (1 node)"),
        ),
    ],
)  # fmt: skip
def test_what_no_node_offers_is_named_with_what_is_nearest(
    policy: str, pod: Json, fleet: list[Shape], says: str
) -> None:
    decision = told(pod, policy, *fleet)

    rule = "count-above-any-node" if "more than any one node" in says else "form-not-offered"
    assert messages(decision) == [(rule, says)]
    assert decision.outcome is evaluate(pod, policy).outcome
    assert decision.edits == evaluate(pod, policy).edits


def test_nodes_that_take_no_pods_now_are_told_apart_from_none() -> None:
    cordoned, unready = a_shape({GPU: 8}, cordoned=True), a_shape({GPU: 8}, ready=False)
    tainted = a_shape({GPU: 8}, taints=[GPU_TAINT])
    said = messages(told(a_pod(), "exclusive", cordoned, unready, unready, tainted))

    assert said == [
        (
            "form-not-offered",
            (
                f'container "train": no node offers exclusive ({GPU}); 4 nodes have it, but 1 is cordoned, 2 are not ready, '
                f"1 has taint {GPU}=present:NoSchedule, which the pod does not tolerate; the pod stays Pending meanwhile; add "
                "the toleration, or ask an administrator"
            ),
        )
    ]
    said = messages(told(a_pod(), "exclusive", tainted, tainted, cordoned, cordoned, a_shape({MIG: 1}), age=7300))
    assert "4 nodes have it, but 2 are cordoned, 2 have taint" in said[0][1]
    assert said[0][1].endswith("ask an administrator (nodes as of 2 h ago)")
    said = messages(told(a_pod(), "exclusive", unready))
    assert said[0][1].endswith(
        "1 node has it, but 1 is not ready; the pod stays Pending meanwhile; ask an administrator"
    )


@pytest.mark.parametrize(
    ("toleration", "runs"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": GPU, "operator": "Exists"}, False),
    ],
)
def test_a_cordoned_node_takes_the_pods_that_tolerate_it(toleration: dict[str, str], *, runs: bool) -> None:
    pod = a_pod(gpu(1), tolerations=[toleration])
    assert bool(messages(told(pod, "exclusive", a_shape({GPU: 8}, cordoned=True)))) is not runs
    said = messages(told(pod, "exclusive", a_shape({GPU: 8}, cordoned=True, ready=False)))
    everything = "key" not in toleration
    expected = [] if everything else [(not runs, runs)]
    assert [("1 is cordoned" in message, "1 is not ready" in message) for _, message in said] == expected


@pytest.mark.parametrize(
    ("tolerations", "runs"),
    [
        ([], False),
        ([{"operator": "Exists"}], True),
        ([{"operator": "Exists", "effect": "NoExecute"}], False),
        ([{"key": f"node.kubernetes.io/{name}", "operator": "Exists"} for name in ("not-ready", "unreachable")], True),
        # One of the two says nothing of nodes that the other taint is on.
        ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}], False),
    ],
)
def test_a_node_that_is_not_ready_takes_the_pods_that_tolerate_it(tolerations: list[Json], *, runs: bool) -> None:
    pod = a_pod(tolerations=tolerations)
    assert (messages(told(pod, "exclusive", a_shape({GPU: 8}, ready=False))) == []) is runs
    tainted = a_shape({GPU: 8}, ready=False, taints=[Taint("team", "ml", "NoSchedule")])
    assert (messages(told(pod, "exclusive", tainted)) == []) is (runs and "key" not in tolerations[0])


def test_the_tolerations_that_pods_get_when_they_are_created_count() -> None:
    decision, pod, fleet = evaluate(a_pod(), "exclusive"), view(a_pod()), Fleet({a_shape({GPU: 8}, cordoned=True): 1})
    found = with_fleet_findings(decision, pod, policy_of("exclusive"), fleet)
    assert [rule for rule, _ in messages(found)] == ["form-not-offered"]
    assert with_fleet_findings(decision, pod, policy_of("exclusive"), fleet, DAEMONS) == decision


@pytest.mark.parametrize(
    ("tolerations", "taint", "runs"),
    [
        ([], GPU_TAINT, False),
        ([{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}], GPU_TAINT, True),
        ([{"key": GPU, "operator": "Exists"}], GPU_TAINT, True),
        ([{"key": GPU, "operator": "Equal", "value": "present"}], GPU_TAINT, True),
        ([{"key": GPU, "value": "absent"}], GPU_TAINT, False),
        ([{"key": GPU, "operator": "Exists", "effect": "NoExecute"}], GPU_TAINT, False),
        ([{"key": "team", "operator": "Exists"}], GPU_TAINT, False),
        ([{"operator": "Exists"}], GPU_TAINT, True),
        ([{"key": "team"}], Taint("team", None, "NoExecute"), True),
        ([], Taint("team", None, "PreferNoSchedule"), True),
        ([], Taint("node.kubernetes.io/unschedulable", None, "NoSchedule"), True),
    ],
)
def test_a_taint_keeps_out_the_pods_that_do_not_tolerate_it(tolerations: list[Json], taint: Taint, runs: bool) -> None:  # noqa: FBT001 - a parameter of the table
    pod = a_pod(tolerations=tolerations)

    assert (messages(told(pod, "exclusive", a_shape({GPU: 1}, taints=[taint]))) == []) is runs


def test_the_toleration_that_comes_with_renaming_or_that_a_policy_or_gke_adds_counts() -> None:
    taints = [Taint(GPU, None, "NoSchedule")]
    assert messages(told(a_pod(), "shared", a_shape({SHARED: 1}, taints=taints))) == []
    on_gke = a_shape({GPU: 4}, labels={"cloud.google.com/gke-accelerator": "l4"}, taints=taints)
    assert messages(told(a_pod(), "gke-exclusive", on_gke)) == []
    team = Taint("team", None, "NoSchedule")
    assert "taint team:NoSchedule" in messages(told(a_pod(), "exclusive", a_shape({GPU: 1}, taints=[team])))[0][1]


@pytest.mark.parametrize(
    ("node", "adds"),
    [
        ({}, False),
        ({"kubelet": "v1.34.1"}, False),
        ({"kubelet": "v1.34.1-eks-113cf36"}, True),
        ({"kubelet": "v1.34.1", "labels": {"kubernetes.azure.com/cluster": "MC_a"}}, True),
        ({"labels": {"cloud.google.com/gke-accelerator": "l4"}}, True),
    ],
)
def test_the_tolerations_that_an_api_server_adds_count(node: dict[str, Any], *, adds: bool) -> None:
    taints = [Taint(GPU, None, "NoSchedule")]
    offers = a_shape({GPU: 4, MIG: 7}, taints=taints, **node)
    assert (messages(told(a_pod(), "any", offers)) == []) is adds
    # Of a taint with another name than that of the resource, it adds none.
    assert len(messages(told(a_pod(gpu(1, MIG)), "any", offers))) == 1
    both = a_pod(gpu(1, name="a"), gpu(1, MIG, name="b"))
    assert (messages(told(both, "any", offers)) == []) is adds
    evicting = a_shape({GPU: 4}, taints=[Taint(GPU, None, "NoExecute")], **node)
    assert len(messages(told(a_pod(), "any", evicting))) == 1


def test_the_products_that_a_pod_will_select_count_and_not_those_that_it_selected() -> None:
    labels = {PRODUCT: "A100-SXM4-40GB-MIG-1g.5gb", GPU_SLICES: "1", COMPUTE_SLICES: "1", MEMORY: "4864"}
    sliced = a_shape({GPU: 7}, labels=labels)
    pod = a_pod(nodeSelector={PRODUCT: "A100-SXM4-40GB"})

    decision = told(pod, "mig-1g.5gb", sliced, plugin=SINGLE_BY_PRODUCT)
    assert f'product "A100-SXM4-40GB" becomes "{labels[PRODUCT]}"' in map(str, decision.edits)
    assert messages(decision) == []
    assert messages(told(pod, "exclusive", sliced, plugin=SINGLE_BY_PRODUCT)) != []
    by_size = EVERY_SETTING["single"]
    assert messages(told(a_pod(), "mig-1g.5gb", sliced, plugin=by_size)) == []
    large = messages(told(a_pod(), "mig-1g.20gb", sliced, plugin=by_size))
    assert f"but not {MEMORY} Gt [18176] and {MEMORY} Lt [20469] (it is 4864)" in large[0][1]


def test_a_label_that_is_taken_away_no_longer_counts() -> None:
    policy = a_policy("exclusive", mismatch=Mismatch.REWRITE)
    pod = a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"})

    assert f"without node selector {STRATEGY}" in map(str, evaluate(pod, policy).edits)
    assert messages(told(pod, policy, WHOLE)) == []


def test_a_policys_own_selector_counts_where_its_label_is_known() -> None:
    pool = a_policy("exclusive", node_selector={"pool": "a"})
    book = PolicyBook({"team": pool})
    labels = {"pool": "b"}
    elsewhere = a_shape({GPU: 1}, labels=labels, others=book.node_labels)

    assert book.node_labels == {"pool"}
    assert "pool: a (it is b)" in messages(told(a_pod(), pool, elsewhere, labels=book.node_labels))[0][1]
    assert messages(told(a_pod(), pool, a_shape({GPU: 1}, labels=labels))) == []


@pytest.mark.parametrize(
    ("response", "certain", "fleet", "severity"),
    [
        (None, True, [], Severity.WARN),
        (FindingAction.WARN, True, [], Severity.WARN),
        (FindingAction.DENY, True, [], Severity.DENY),
        (FindingAction.DENY, True, [a_shape({GPU: 1})], Severity.DENY),
        (FindingAction.DENY, False, [], Severity.WARN),
        (FindingAction.DENY, True, [a_shape({GPU: 2}, cordoned=True)], Severity.WARN),
    ],
)
def test_only_a_view_that_is_certain_denies_and_only_what_no_node_has(
    response: FindingAction | None, *, certain: bool, fleet: list[Shape], severity: Severity
) -> None:
    policy = a_policy("exclusive", not_offered=response, env={"A": "b"})
    decision = told(a_pod(gpu(2)), policy, *fleet, is_certain=certain)

    (finding,) = decision.findings
    assert finding.severity is severity
    assert bool(decision.edits) is (severity is Severity.WARN)


def test_a_policy_that_ignores_it_and_a_pod_that_is_denied_already_say_nothing() -> None:
    assert messages(told(a_pod(), a_policy("mps", not_offered=FindingAction.IGNORE))) == []
    assert messages(told(a_pod(gpu(2)), "mps")) == []


def test_the_books_setting_holds_where_a_policy_has_none() -> None:
    policies = {"a": a_policy("mps", name="a"), "b": a_policy("mps", name="b", not_offered=FindingAction.IGNORE)}
    book = PolicyBook(policies, not_offered=FindingAction.DENY)

    said = [policy.fleet_response for value in ("a", "b", "mps") if (policy := book.resolve(value))]
    assert said == [FindingAction.DENY, FindingAction.IGNORE, FindingAction.DENY]
    assert policy_of("mps").fleet_response is FindingAction.WARN


@pytest.mark.parametrize(
    ("age", "says"), [(0, ""), (59, ""), (60, " (nodes as of 1 min ago)"), (200000, " (nodes as of 2 d ago)")]
)
def test_how_old_the_knowledge_is_is_said(age: float, says: str) -> None:
    for pod in (a_pod(), a_pod(gpu(16))):
        ((_, message),) = messages(told(pod, "exclusive", a_shape({GPU: 1} if pod != a_pod() else {MIG: 1}), age=age))
        assert message.endswith(f"(1 node){says}" if pod == a_pod() else f"at most 1{says}")


def test_a_node_without_gpus_has_no_shape_and_leftover_keys_count_for_nothing() -> None:
    assert shape_of({"pool": "a"}, {"cpu": 8, GPU: 0}, {"cpu": 8, GPU: "0"}, others=["pool"]) is None
    assert a_shape({"cpu": 8, GPU: 0, SHARED: 8}).offers == {SHARED: 8}
    volatile = {"nvidia.com/gfd.timestamp": "1", "nvidia.com/gpu.deploy.dcgm": "true", "host": "a"}
    assert a_shape({GPU: 1}, labels=volatile) == a_shape({GPU: 1})


def test_what_takes_no_pods_now_is_no_nearest_offer() -> None:
    fleet = [a_shape({GPU: 1}, cordoned=True), a_shape({GPU: 1}, ready=False)]
    ((_, message),) = messages(told(a_pod(), "mig-1g.5gb", *fleet))
    assert message.endswith("no node offers any GPU")


@pytest.mark.parametrize(
    ("labels", "resource", "form"),
    [
        ({}, GPU, "exclusive"),
        ({STRATEGY: "none"}, GPU, "exclusive"),
        ({STRATEGY: "mps"}, GPU, "mps"),
        ({PRODUCT: "Tesla-T4-SHARED"}, GPU, "shared"),
        ({}, SHARED, "shared"),
        ({STRATEGY: "time-slicing"}, SHARED, "time-slicing"),
        ({}, MIG, "mig-1g.5gb"),
        ({STRATEGY: "time-slicing", PRODUCT: "Tesla-T4-SHARED"}, MIG, "mig-1g.5gb"),
        ({f"{MIG}.sharing-strategy": "time-slicing"}, MIG, "mig-1g.5gb-shared"),
        ({}, f"{MIG}.shared", "mig-1g.5gb-shared"),
        ({PRODUCT: "A100-SXM4-40GB-MIG-1g.5gb"}, GPU, "mig-1g.5gb"),
        ({PRODUCT: "A100-SXM4-40GB-MIG-1g.5gb", STRATEGY: "time-slicing"}, SHARED, "mig-1g.5gb-shared"),
        ({"cloud.google.com/gke-accelerator": "l4"}, GPU, "gke-exclusive"),
        ({GKE_PARTITION: "1g.5gb"}, GPU, "gke-mig-1g.5gb"),
        ({GKE_PARTITION: "1g.5gb", GKE_SHARING: "mps", GKE_CLIENTS: "3"}, GPU, "gke-mig-1g.5gb-mps-3"),
    ],
)
def test_the_form_that_a_node_offers_is_the_one_that_is_spelled_so(
    labels: dict[str, str], resource: str, form: str
) -> None:
    assert a_shape({resource: 1}, labels=labels).forms == {resource: a_form(form)}


def test_whole_gpus_beside_renamed_shared_ones_are_not_shared() -> None:
    forms = a_shape({GPU: 1, SHARED: 4}, labels={STRATEGY: "time-slicing"}).forms
    assert forms == {GPU: a_form("exclusive"), SHARED: a_form("time-slicing")}


def test_two_resources_of_one_pod_are_each_evaluated() -> None:
    pod = a_pod(gpu(1, MIG, name="a"), gpu(1, "nvidia.com/mig-2g.10gb", name="b"))
    said = messages(told(pod, "any", SLICES))

    assert [message.partition(";")[0] for _, message in said] == [
        'container "b": no node offers mig-2g.10gb (nvidia.com/mig-2g.10gb)'
    ]


TOGETHER = (
    "pod: no node offers exclusive and mig-1g.5gb together (nvidia.com/gpu: 1; nvidia.com/mig-1g.5gb: 2); only different nodes "
    "offer them; the pod stays Pending unless an autoscaler adds a node with all of them; use a pod for each"
)
PARTLY = a_shape({GPU: 1, MIG: 2})


@pytest.mark.parametrize(
    ("fleet", "known", "says"),
    [
        ([WHOLE, SLICES], {}, TOGETHER),
        ([WHOLE, SLICES, a_shape({GPU: 1, MIG: 1})], {}, TOGETHER),
        ([WHOLE, SLICES, PARTLY], {}, ""),
        ([WHOLE, SLICES], {"remembered": [PARTLY]}, ""),
        ([WHOLE, SLICES], {"classes": [MIG]}, ""),
        ([WHOLE, SLICES], {"expected": [a_form("mig-1g.5gb")]}, ""),
        ([WHOLE, SLICES, a_shape({}, labels={"nvidia.com/mig.config.state": "pending"})], {}, ""),
        ([WHOLE, SLICES, a_shape({GPU: 1, MIG: 2}, cordoned=True)], {}, "1 node has all of them, but 1 is cordoned; the"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_init", [True, False])
def test_two_resources_of_one_pod_need_one_node(
    fleet: list[Shape],
    known: dict[str, Any],
    says: str,
    in_init: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    first, second = gpu(1, name="a"), gpu(2, MIG, name="b")
    pod = a_pod(second, initContainers=[first]) if in_init else a_pod(first, second)
    if in_init:  # whichever is read first is named first
        says = says.replace("exclusive and mig-1g.5gb together (nvidia.com/gpu: 1; nvidia.com/mig-1g.5gb: 2)", "")
        says = says.removeprefix("pod: no node offers ")
    said = messages(told(pod, "any", *fleet, **known))
    assert len(said) == bool(says)
    assert all(rule == "form-not-offered" and says in message for rule, message in said)


def test_only_what_no_node_has_together_is_denied() -> None:
    policy = a_policy("exclusive", "mig-1g.5gb", not_offered=FindingAction.DENY)
    pod = a_pod(gpu(1, name="a"), gpu(2, MIG, name="b"))
    assert [one.message for one in told(pod, policy, WHOLE, SLICES).denials] == [TOGETHER]
    assert told(pod, policy, WHOLE, SLICES, a_shape({GPU: 1, MIG: 2}, ready=False)).denials == ()


def test_the_form_of_a_request_that_is_denied_is_that_of_its_resource() -> None:
    container = gpu(1, MIG)
    container["resources"] = {"limits": {MIG: "1", "nvidia.com/mig-2g.10gb": "1"}}
    container["resources"]["requests"] = container["resources"]["limits"]
    pod = a_pod(container)
    assert list(evaluate(pod, "any").requested(spec_of(pod))) == [(a_form("mig-1g.5gb"), 1), (a_form("mig-2g.10gb"), 1)]


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
)
@given(pods, policies, plugins, st.sampled_from(Platform), st.lists(st.integers(0, 10**6), max_size=6))
def test_an_independent_scheduler_agrees(
    pod: Json, policy: Policy, plugin: DevicePlugin, platform: Platform, drawn: list[int]
) -> None:
    decision = evaluate(pod, policy, plugin)
    assume(decision.gpu_containers and not decision.denials)
    final = applied(pod, decision)
    seen = NodeConstraints(spec := view(final).spec or assume(condition=False))
    assume(not seen.nowhere and not spec.node_name)
    every = nodes(platform, plugin)
    fleet = [every[number % len(every)] for number in drawn]
    others = {*seen.mentioned, *dict(policy.additions.node_selector)}
    shapes = {a_shape(dict.fromkeys(node.offers, 10**12), labels=node.labels, others=others): 1 for node in fleet}

    names = {
        name
        for gpu_container in evaluate(final, policy_of("any"), plugin).gpu_containers
        for name in (a.resource.name for a in gpu_container.amounts)
    }
    lacking = {
        name for name in names if not any(name in node.offers and chosen(final["spec"], node.labels) for node in fleet)
    }
    found = with_fleet_findings(decision, view(pod), policy, Fleet(shapes, labels=others))
    runs = any(names <= {*node.offers} and chosen(final["spec"], node.labels) for node in fleet)
    assert len([one for one in found.findings if one.rule.fleet]) == (len(lacking) or int(not runs))


class TestMemory:
    def test_a_shape_is_remembered_for_a_day_after_the_last_node_had_it(self) -> None:
        memory = Memory()
        assert set(memory.note([SLOTS], 0)) == {SLOTS}
        assert set(memory.note([SLOTS, MPS], 1000)) == {SLOTS, MPS}
        assert set(memory.note([MPS], 86400 + 999)) == {SLOTS, MPS}
        assert set(memory.note([], 86400 + 1000)) == {MPS}

    def test_what_offers_nothing_or_is_being_changed_is_not_remembered_and_all_else_as_if_it_took_pods(self) -> None:
        changing = a_shape({MIG: 7}, labels={"nvidia.com/mig.config.state": "pending"})
        empty = a_shape({}, labels={"nvidia.com/gpu.present": "true"})
        cordoned = a_shape({SHARED: 8}, labels={STRATEGY: "time-slicing"}, cordoned=True, ready=False)
        assert set(Memory().note([changing, empty, cordoned], 0)) == {SLOTS}

    @pytest.mark.parametrize(
        ("pod", "remembered", "lacks"),
        [
            pytest.param(a_pod(), SLOTS, False, id="as many"),
            pytest.param(a_pod(gpu(8, MIG)), SLICES, True, id="more than it had"),
            pytest.param(selecting((STRATEGY, "In", "mps"), resource=SHARED), SLOTS, True, id="with another label"),
            pytest.param(
                a_pod(gpu(1, SHARED)),
                a_shape({SHARED: 8}, taints=[Taint("team", "a", "NoSchedule")]),
                True,
                id="tainted",
            ),
        ],
    )
    def test_what_is_remembered_counts_as_offered(self, pod: Json, remembered: Shape, lacks: bool) -> None:  # noqa: FBT001 - a parameter of the table
        policy = "shared" if pod == a_pod() else "any"
        assert bool(messages(told(pod, policy, remembered=[remembered]))) == lacks
        assert messages(told(pod, policy, remembered=[])) != []

    def test_a_node_that_is_there_and_takes_no_pods_is_told_whatever_is_remembered(self) -> None:
        cordoned = a_shape({SHARED: 8}, cordoned=True)
        ((_, said),) = messages(told(a_pod(), "shared", cordoned, remembered=[SLOTS]))
        assert "1 is cordoned" in said


def test_what_nodes_offer_is_summed_up_by_form_and_what_takes_no_pods_left_out() -> None:
    shapes = {SLOTS: 3, MPS: 1, SLICES: 2, a_shape({GPU: 8}, cordoned=True): 5, a_shape({GPU: 8}, ready=False): 5}
    fleet = Fleet(shapes, remembered=[a_shape({"nvidia.com/mig-2g.10gb": 3})])
    assert {str(form): number for form, number in fleet.offered.items()} == {
        "time-slicing": 24,
        "mps": 8,
        "mig-1g.5gb": 14,
    }
    node_request = NodeRequest("nvidia.com/mig-2g.10gb", 1, NOTHING_SAID)
    assert fleet.unschedulable(node_request) is None
    assert fleet.at_present.unschedulable(node_request) is not None


def test_what_was_found_for_one_pod_is_remembered_for_the_next_and_long_tolerations_are_not() -> None:
    fleet = Fleet({SLOTS: 1})
    for _ in range(2):
        assert fleet.unschedulable(PLAIN_REQUEST) == fleet.unschedulable(
            NodeRequest(GPU, 1, NOTHING_SAID, (), tuple([Toleration("a")] * 17))
        )
    assert fleet._find_once.cache_info().hits == 1
    assert fleet._find_once.cache_info().currsize == 1


def test_what_a_policy_makes_of_plain_requests_is_named_where_no_node_offers_it() -> None:
    policy, fleet = policy_of("mig-1g.5gb"), Fleet({SLOTS: 1}, age=7200)
    lacking = plain_request_unschedulable(policy, RENAMED, fleet)
    assert lacking
    assert no_node_offers(policy, *lacking, fleet) == (
        'no node offers what policy "mig-1g.5gb" requests: nvidia.com/mig-1g.5gb (no node has nvidia.com/mig-1g.5gb); pods that '
        "request a GPU stay Pending, unless an autoscaler adds such nodes (nodes as of 2 h ago)"
    )
    assert plain_request_unschedulable(policy_of("shared"), RENAMED, fleet) is None
    assert plain_request_unschedulable(policy, RENAMED, Fleet({}, expected=policy.forms)) is None


class TestWhatAPodRequests:
    def test_a_renamed_request_counts_under_its_new_form(self) -> None:
        pod = a_pod(gpu(1), gpu(1, name="other"))

        assert requests_of(pod, "shared") == [("shared", 2)]

    def test_resources_count_apart_and_init_containers_by_their_peak(self) -> None:
        pod = a_pod(gpu(1), gpu(1, MIG, name="slice"), initContainers=[gpu(2, name="first")])

        assert requests_of(pod, "any") == [("exclusive", 2), ("mig-1g.5gb", 1)]

    def test_a_pod_without_gpus_requests_none(self) -> None:
        assert requests_of(a_pod(gpu(1, "cpu")), "shared") == []


def requests_of(pod: Json, policy: str) -> list[tuple[str, int]]:
    return [(str(form), count) for form, count in evaluate(pod, policy).requested(spec_of(pod))]


A100 = "NVIDIA-A100-SXM4-40GB"
CONFIG, MIG_STRATEGY = "nvidia.com/mig.config", "nvidia.com/mig.strategy"
SLICES_ONLY_2G = a_shape({"nvidia.com/mig-2g.10gb": 3})


def changing(config: str = "custom", strategy: str = "mixed", sharing: str = "none") -> Shape:
    """A node of A100s that the MIG manager is changing. Without ``sharing``, nothing says how whole GPUs are shared."""
    base = {PRODUCT: A100, CONFIG: config, MIG_STRATEGY: strategy, "nvidia.com/mig.config.state": "pending"}
    return a_shape({}, labels={**base, **({STRATEGY: sharing} if sharing else {})})


class TestReconfiguration:
    """A node that the MIG manager changes leaves open only what it may offer afterwards."""

    @pytest.mark.parametrize(
        ("policy", "node"),
        [
            ("mig-1g.5gb", changing()),
            ("mig-1g.5gb", changing("all-balanced")),
            ("mig-1g.5gb", changing("all-1g.5gb")),
            ("mig-1g.5gb-shared", changing()),
            ("exclusive", changing()),
            ("exclusive", changing("all-disabled")),
            ("shared", changing(sharing="mps")),
            ("mps", changing("all-disabled", sharing="mps")),
            # GPU feature discovery says nothing about the sharing of whole GPUs on nodes with slices.
            ("shared", changing(sharing="")),
        ],
    )
    def test_what_it_may_offer_is_unknown(self, policy: str, node: Shape) -> None:
        assert messages(told(a_pod(), policy, SLICES_ONLY_2G, node)) == []

    @pytest.mark.parametrize(
        ("policy", "node"),
        [
            ("shared", changing()),
            ("mps", changing()),
            ("mps", changing(sharing="time-slicing")),
            ("mig-1g.10gb", changing("all-1g.5gb")),
            ("mig-1g.5gb", changing("all-disabled")),
            ("mig-1g.24gb", changing()),
            ("exclusive", changing("all-1g.5gb")),
            ("mig-1g.5gb", changing(strategy="single")),
            ("gke-mig-1g.5gb", changing()),
        ],
    )
    def test_what_it_can_not_offer_is_reported(self, policy: str, node: Shape) -> None:
        ((rule, _),) = messages(told(a_pod(), policy, SLICES_ONLY_2G, node))
        assert rule == "form-not-offered"

    @pytest.mark.parametrize(
        ("selects", "node", "unknown"),
        [
            ({PRODUCT: A100}, changing(), True),
            ({PRODUCT: "NVIDIA-L4"}, changing(), False),
            ({"nvidia.com/gpu.family": "ampere"}, changing(), False),
            ({"nvidia.com/gpu.memory": "4864"}, changing(), True),
        ],
    )
    def test_of_its_labels_only_those_that_follow_the_configuration_may_change(
        self, selects: dict[str, str], node: Shape, *, unknown: bool
    ) -> None:
        pod = a_pod(gpu(1, MIG), nodeSelector=selects)
        assert (messages(told(pod, "any", SLICES_ONLY_2G, node)) == []) is unknown

    @pytest.mark.parametrize(
        ("policy", "config", "unknown"),
        [
            ("mig-1g.5gb", "all-1g.5gb", True),
            ("mig-1g.5gb", "custom", True),
            ("mig-2g.10gb", "all-1g.5gb", False),
            ("mig-1g.5gb", "all-disabled", False),
            ("exclusive", "all-disabled", True),
            ("exclusive", "all-1g.5gb", False),
        ],
    )
    @pytest.mark.parametrize("plugin", [SINGLE_BY_PRODUCT, DevicePlugin(mig_strategy=MigStrategy.SINGLE)])
    def test_under_strategy_single(self, policy: str, config: str, plugin: DevicePlugin, *, unknown: bool) -> None:
        if plugin.products:
            plugin = replace(plugin, products=(A100,))
        node = changing(config, "single")
        other = a_shape({GPU: 1}, labels={PRODUCT: "X", GPU_SLICES: "9", COMPUTE_SLICES: "9"})
        assert (messages(told(a_pod(), policy, other, node, plugin=plugin)) == []) is unknown

    def test_it_offers_nothing_but_gpus(self) -> None:
        assert not Reconfiguration(changing()).may_offer("example.com/fpga")
