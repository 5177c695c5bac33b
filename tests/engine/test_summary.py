"""Summaries of decisions, for people, and the rule of the pod that should have been rewritten."""

import msgspec
import pytest

from tests.builders import (
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    MIG,
    NOT_RENAMED,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    evaluate,
    gpu,
    policy_of,
    rewritten,
)
from webhook.engine.pods import Toleration
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.products import PRODUCT
from webhook.engine.rules.not_rewritten import NOT_REWRITTEN, not_rewritten
from webhook.engine.spelling import DevicePlugin
from webhook.engine.summary import changes, requests


def told(pod: Json, policy: str | Policy, plugin: DevicePlugin = RENAMED, *, would: bool = False) -> list[str]:
    return list(changes(evaluate(pod, policy, plugin), would=would))


def test_what_is_asked_is_told_container_by_container() -> None:
    pod = a_pod(
        a_container("web"), a_container("a", limits={SHARED: 1, GPU: "2"}), initContainers=[gpu("1000m", MIG, name="b")]
    )

    assert requests(evaluate(pod, "any")) == [
        "b: nvidia.com/mig-1g.5gb: 1000m",
        "a: nvidia.com/gpu: 2 + nvidia.com/gpu.shared: 1",
    ]


TRAIN = 'container "train": nvidia.com/gpu: 1 becomes'
NOT_SHARED = "sharing-strategy NotIn [time-slicing, mps]"
CHANGES = [
    pytest.param(a_pod(gpu(1, SHARED)), "shared", RENAMED, [], id="nothing"),
    pytest.param(a_pod(), "shared", RENAMED, [f"{TRAIN} {SHARED}: 1"], id="a new name"),
    pytest.param(
        a_pod(), "mps", RENAMED, [f"{TRAIN} {SHARED}: 1 on nodes with {STRATEGY}: mps"], id="a name and a selector"
    ),
    pytest.param(
        a_pod(gpu("2")),
        "gke-mig-1g.5gb",
        RENAMED,
        [
            f'container "train": nvidia.com/gpu: 2 is placed on nodes with {GKE_PARTITION}: 1g.5gb, {GKE_SHARING} DoesNotExist'
        ],
        id="a selector",
    ),
    pytest.param(
        a_pod(),
        "exclusive",
        NOT_RENAMED,
        [f'container "train": {GPU}: 1 is placed on nodes with nvidia.com/gpu.{NOT_SHARED}'],
        id="a requirement",
    ),
    pytest.param(
        a_pod(nodeSelector={GKE_PARTITION: "1g.5gb"}),
        "mig-1g.5gb",
        RENAMED,
        [f"{TRAIN} {MIG}: 1, without node selector {GKE_PARTITION}"],
        id="a new name in place of a selector",
    ),
    pytest.param(
        a_pod(nodeSelector={STRATEGY: "mps"}),
        a_policy("exclusive", mismatch=Mismatch.REWRITE),
        RENAMED,
        [f'container "train": {GPU}: 1 stays, without node selector {STRATEGY}'],
        id="nothing in place of a selector",
    ),
    pytest.param(
        a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"}),
        "mps",
        RENAMED,
        [f"{TRAIN} {SHARED}: 1 on nodes with {STRATEGY}: mps, without node selector {GKE_SHARING}, {GKE_CLIENTS}"],
        id="one selector in place of two",
    ),
    pytest.param(
        a_pod(gpu(name="a"), a_container("web"), gpu(1, MIG, name="b")),
        a_policy("exclusive", "mig-1g.5gb"),
        NOT_RENAMED,
        [
            f'container "{name}": {gpu_containers}: 1 is placed on nodes with nvidia.com/gpu.{NOT_SHARED}, {MIG}.{NOT_SHARED}'
            for name, gpu_containers in (("a", GPU), ("b", MIG))
        ],
        id="two containers on one node",
    ),
    pytest.param(
        a_pod(gpu(name="a"), gpu(1, MIG, name="b")),
        a_policy("mig-1g.5gb"),
        RENAMED,
        ['container "a": nvidia.com/gpu: 1 becomes nvidia.com/mig-1g.5gb: 1'],
        id="the one of two containers that changes",
    ),
    pytest.param(
        a_pod(gpu(1, SHARED, name="a"), gpu(1, SHARED, name="b")),
        a_policy(
            "shared",
            env={"B": "2", "A": "1"},
            runtime_class_name="nvidia",
            node_selector={"pool": "gpu"},
            tolerations=(Toleration(operator="Exists"),),
        ),
        RENAMED,
        ['pod: gets node selector pool: gpu, toleration of every taint, runtime class "nvidia", env A, env B'],
        id="settings alone",
    ),
    pytest.param(
        a_pod(gpu(1, SHARED), nodeSelector={"nvidia.com/gpu.product": "A100-SHARED"}),
        "shared",
        RENAMED,
        ['pod: node selector nvidia.com/gpu.product: "A100-SHARED" becomes "A100"'],
        id="a product alone",
    ),
]


@pytest.mark.parametrize(("pod", "policy", "plugin", "sentences"), CHANGES)
def test_what_changes_is_told_container_by_container_or_for_the_pod(
    pod: Json,
    policy: str | Policy,
    plugin: DevicePlugin,
    sentences: list[str],
) -> None:
    assert told(pod, policy, plugin) == sentences


def test_what_would_change_is_told_in_the_conditional() -> None:
    assert told(a_pod(), "shared", would=True) == [
        'container "train": nvidia.com/gpu: 1 would become nvidia.com/gpu.shared: 1'
    ]
    assert told(a_pod(), a_policy("exclusive", env={"A": "1"}), would=True) == ["pod: would get env A"]


def test_gpus_by_other_names_are_told_and_what_changes_is_not_about_them() -> None:
    vgpu = a_container("vm", {"nvidia.com/vgpu": 1})
    decision = evaluate(a_pod(gpu(1), vgpu), "any")
    changed = evaluate(a_pod(gpu(1)), "mps")

    assert requests(decision) == ["train: nvidia.com/gpu: 1", "vm: nvidia.com/vgpu: 1"]
    both = msgspec.structs.replace(changed, gpu_containers=(*changed.gpu_containers, decision.gpu_containers[1]))
    assert list(changes(both)) == list(changes(changed))


def test_a_quantity_that_nobody_can_read_does_not_stop_the_telling() -> None:
    assert told(a_pod(gpu(10**5000)), "mig-1g.5gb") == [
        f'container "train": nvidia.com/gpu: {2**63 - 1} becomes nvidia.com/mig-1g.5gb: {2**63 - 1}'
    ]


class TestNotRewritten:
    """The mutating webhook was skipped, or another one undid its work."""

    def test_a_pod_that_is_rewritten_passes(self) -> None:
        assert not_rewritten(evaluate(rewritten(a_pod(), "mps"), "mps").edits, policy_of("mps")) is None

    def test_a_pod_whose_annotations_are_lost_passes(self) -> None:
        final = {**rewritten(a_pod(), "mps"), "metadata": {}}

        assert not_rewritten(evaluate(final, "mps").edits, policy_of("mps")) is None

    def test_annotations_alone_are_nothing_outstanding(self) -> None:
        annotations = evaluate(a_pod(), "shared").edits[-2:]

        assert not_rewritten(annotations, policy_of("shared")) is None

    def test_a_pod_that_is_not_is_refused_with_what_is_missing(self) -> None:
        finding = not_rewritten(evaluate(a_pod(), "shared").edits, policy_of("shared"))

        assert finding is not None
        assert finding.denies
        assert (finding.rule, finding.path) == (NOT_REWRITTEN, "spec")
        assert finding.message == (
            'pod: not rewritten as namespace policy "shared" requires (spec.containers[0]: nvidia.com/gpu becomes '
            "nvidia.com/gpu.shared; toleration nvidia.com/gpu NoSchedule); gpuwarden's mutating webhook did not answer or "
            "another webhook undid its change; create the pod again, and if that fails, contact the cluster's operators"
        )

    def test_a_selector_that_should_have_gone_is_told(self) -> None:
        pod = a_pod(nodeSelector={GKE_PARTITION: "1g.5gb"})
        finding = not_rewritten(evaluate(pod, "mig-1g.5gb").edits, policy_of("mig-1g.5gb"))

        assert finding
        assert f"without node selector {GKE_PARTITION}" in finding.reason

    def test_a_product_that_should_have_its_suffix_is_told(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: "Tesla-T4"})
        finding = not_rewritten(evaluate(pod, "shared", NOT_RENAMED).edits, policy_of("shared"))

        assert finding
        assert 'product "Tesla-T4" becomes "Tesla-T4-SHARED"' in finding.reason

    def test_three_edits_are_shown_and_the_rest_counted(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(name="b"), gpu(name="c"))
        three = not_rewritten(evaluate(a_pod(gpu(name="a"), gpu(name="b")), "shared").edits, policy_of("shared"))
        four = not_rewritten(evaluate(pod, "shared").edits, policy_of("shared"))

        assert three is not None
        assert four is not None
        assert "more)" not in three.reason
        assert three.reason.count(";") == 2
        assert four.reason.endswith("nvidia.com/gpu becomes nvidia.com/gpu.shared and 1 more)")
        assert four.reason.count(";") == 2
