"""Updates of a pod: what they make worse is denied, and what the pod had before blocks nothing."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import (
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    MIG,
    PRODUCT,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    affinity,
    gpu,
    policy_of,
    rewritten,
    view,
)
from tests.engine.strategies import plugins, pods, policies, sound_pods
from webhook.engine.decision import Decision
from webhook.engine.policy import FindingAction, Mismatch, Policy, Prefer
from webhook.engine.spelling import DevicePlugin
from webhook.engine.updates import decide_update, matters

MEMORY = "gpuwarden.io/gpu-memory"
CDI, OTHER_CDI = "cdi.k8s.io/a", "nvidia.cdi.k8s.io/container.train"
DENY = a_policy("exclusive", visible_devices=FindingAction.DENY)


def changed(pod: Json, annotations: Json | None = None, **spec: Any) -> Json:
    """The pod with fields of its spec replaced, and annotations added."""
    after = copy.deepcopy(pod)
    after["spec"] |= spec
    if annotations:
        after["metadata"] = {**after.get("metadata", {}), "annotations": annotations}
    return after


def named(policy: Policy | str) -> Policy:
    return policy_of(policy) if isinstance(policy, str) else policy


def worse(before: Json, after: Json, policy: Policy | str, *, rewrites: bool = True) -> list[str]:
    decision = decide_update(view(after), view(before), named(policy), DevicePlugin(), rewrites=rewrites)
    assert decision.edits == ()
    return [finding.rule.id for finding in decision.denials]


GATED = a_pod(gpu(), schedulingGates=[{"name": "team.example/wait"}])
TWO = a_pod(gpu(2), nodeSelector={GKE_PARTITION: "1g.5gb"})


class TestWhatBlocksNothing:
    @pytest.mark.parametrize("policy", ["any", "exclusive", "shared", "mig-1g.5gb", "gke-time-sharing-4", "none"])
    def test_nodes_that_are_chosen_among_those_of_the_form(self, policy: str) -> None:
        before = GATED if policy in ("any", "none") else rewritten(GATED, policy)
        selector = {**before["spec"].get("nodeSelector", {}), "pool": "a"}

        assert worse(before, changed(before, nodeSelector=selector, schedulingGates=[]), policy) == []

    @pytest.mark.parametrize("policy", ["shared", "mig-1g.5gb", "gke-mps-4", "none"])
    def test_a_pod_that_is_older_than_its_namespaces_label(self, policy: str) -> None:
        """Its policy denies it, or would rewrite it; it runs or waits all the same, and so its queue may place it."""
        assert worse(GATED, changed(GATED, nodeSelector={"pool": "a"}), policy) == []
        two = a_pod(gpu(2))
        assert worse(two, changed(two, nodeSelector={"pool": "a"}), policy) == []

    def test_what_the_pod_reached_before(self) -> None:
        before = a_pod(
            a_container(securityContext={"privileged": True}),
            annotations={CDI: "nvidia.com/gpu=0"},
            volumes=[{"name": "d", "hostPath": {"path": "/dev"}}],
        )

        assert worse(before, changed(before, {CDI: "nvidia.com/gpu=0", "team": "b"}), DENY) == []

    def test_a_device_annotation_that_goes(self) -> None:
        before = a_pod(annotations={CDI: "nvidia.com/gpu=0"})

        assert worse(before, changed(before, {"team": "a"}), DENY) == []
        assert worse(before, a_pod(), DENY) == []

    def test_devices_of_other_vendors(self) -> None:
        assert worse(a_pod(), changed(a_pod(), {CDI: "example.com/net=0"}), DENY) == []

    def test_a_mirror_pod(self) -> None:
        mirror = a_pod(gpu(2), annotations={"kubernetes.io/config.mirror": "x"})

        assert worse(mirror, changed(mirror, {"kubernetes.io/config.mirror": "x", CDI: "nvidia.com/gpu=0"}), DENY) == []

    def test_how_much_memory_it_needs_is_read_when_a_pod_is_created(self) -> None:
        """Added, raised, lowered, unreadable or removed, alone or with what is evaluated: the slice stays what it is."""
        policy = a_policy("mig-1g.10gb", "mig-2g.20gb", prefer=Prefer.MEMORY)
        plain = rewritten({**GATED, "metadata": {"annotations": {MEMORY: "12Gi"}}}, policy)
        for amount in ("1Gi", "15Gi", "30Gi", "300Gi", "twelve", None):
            after = changed(plain, nodeSelector={"pool": "a"}, schedulingGates=[])
            after["metadata"] = {"annotations": {} if amount is None else {MEMORY: amount}}
            for before in (plain, {**plain, "metadata": {}}):
                assert not matters(view({**before, "metadata": after["metadata"]}), view(before))
                assert worse(before, after, policy) == []
                assert worse(before, after, "mig-2g.20gb") == []
        # What else the update makes worse is denied all the same.
        denying = replace(policy, visible_devices=FindingAction.DENY)
        assert worse(plain, changed(plain, {MEMORY: "1Gi", CDI: "nvidia.com/gpu=0"}), denying) == ["cdi-annotation"]


class TestWhatIsDenied:
    def test_slices_that_become_slots_of_a_shared_gpu(self) -> None:
        selector = {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing"}

        for policy in ("any", "gke-mig-1g.5gb"):
            assert worse(TWO, changed(TWO, nodeSelector=selector), policy) != []
        assert worse(TWO, changed(TWO, nodeSelector=selector), "any") == ["shared-request-above-one"]

    def test_the_same_by_node_affinity(self) -> None:
        before = a_pod(gpu(2))
        after = changed(before, affinity=affinity([(STRATEGY, "In", "mps")]))

        assert worse(before, after, "any") == ["shared-request-above-one"]

    def test_what_the_kubelet_would_refuse_even_where_the_policy_denied_the_form_before(self) -> None:
        after = changed(TWO, nodeSelector={GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing"})

        assert worse(TWO, after, "exclusive") == ["shared-request-above-one"]
        assert worse(TWO, after, "none") == ["shared-request-above-one"]

    def test_a_form_that_the_policy_does_not_list(self) -> None:
        assert worse(GATED, changed(GATED, nodeSelector={STRATEGY: "mps"}), "exclusive") == ["form-not-permitted"]

    def test_a_form_that_the_policy_would_rewrite(self) -> None:
        policy = a_policy("exclusive", mismatch=Mismatch.REWRITE)
        after = changed(GATED, nodeSelector={STRATEGY: "mps"})

        assert worse(GATED, after, policy) == ["not-rewritten"]
        assert worse(GATED, after, policy, rewrites=False) == []

    def test_its_sentence_says_what_can_be_done(self) -> None:
        policy = a_policy("exclusive", mismatch=Mismatch.REWRITE, name="whole")
        after = changed(GATED, nodeSelector={STRATEGY: "mps"})
        (finding,) = decide_update(view(after), view(GATED), policy, DevicePlugin(), rewrites=True).findings

        assert finding.message == (
            'pod: this update would have to be rewritten under namespace policy "whole" '
            f"(without node selector {STRATEGY}); the resources of a pod can't change once it is created; leave its "
            "nodeSelector and node affinity as they are, or delete the pod and create it with them"
        )

    @pytest.mark.parametrize("key", [CDI, OTHER_CDI])
    @pytest.mark.parametrize("pod", [a_pod(), a_pod(a_container()), a_pod(annotations={"team": "a"})])
    def test_a_device_annotation_that_comes(self, pod: Json, key: str) -> None:
        assert worse(pod, changed(pod, {key: "nvidia.com/gpu=0"}), DENY) == ["cdi-annotation"]

    def test_one_that_changes(self) -> None:
        before = a_pod(annotations={CDI: "nvidia.com/gpu=0"})

        assert worse(before, changed(before, {CDI: "nvidia.com/gpu=all"}), DENY) == ["cdi-annotation"]

    def test_another_beside_one_that_was_there(self) -> None:
        before = a_pod(annotations={CDI: "nvidia.com/gpu=0"})
        after = changed(before, {CDI: "nvidia.com/gpu=0", OTHER_CDI: "nvidia.com/gpu=1"})
        decision = decide_update(view(after), view(before), DENY, DevicePlugin(), rewrites=True)

        assert [finding.path for finding in decision.findings] == [f"metadata.annotations[{OTHER_CDI}]"]
        assert [gpu_container.amounts[0].resource.name for gpu_container in decision.gpu_containers] == [GPU]

    def test_where_it_is_only_warned_of_it_is_a_warning(self) -> None:
        decision = decide_update(
            view(changed(a_pod(), {CDI: "nvidia.com/gpu=0"})),
            view(a_pod()),
            policy_of("exclusive"),
            DevicePlugin(),
            rewrites=True,
        )

        assert [finding.rule.id for finding in decision.warnings] == ["cdi-annotation"]


class TestMatters:
    @pytest.mark.parametrize(
        "after",
        [
            GATED,
            changed(GATED, schedulingGates=[], nodeSelector={}, affinity={"podAffinity": {}}),
            changed(GATED, {"team": "a"}, tolerations=[{"operator": "Exists"}]),
            changed(GATED, nodeName="n"),
            {**GATED, "status": {"phase": "Pending"}},
            {**GATED, "metadata": {**GATED["metadata"], "finalizers": ["a/b"], "labels": {"a": "b"}}},
            {
                **changed(GATED, {CDI: "nvidia.com/gpu=0"}, nodeSelector={"a": "b"}),
                "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": {CDI: "nvidia.com/gpu=0"}},
            },
        ],
    )
    def test_nothing_else_is_evaluated(self, after: Json) -> None:
        assert not matters(view(after), view(GATED))

    @pytest.mark.parametrize(
        "after",
        [
            changed(GATED, nodeSelector={PRODUCT: "A100-SXM4-40GB-SHARED"}),
            changed(GATED, affinity=affinity([("a", "Exists")])),
            changed(GATED, {CDI: "example.com/net=0"}),
        ],
    )
    def test_what_decisions_read_is(self, after: Json) -> None:
        assert matters(view(after), view(GATED))


def test_without_the_pod_as_it_was_all_of_it_is_new() -> None:
    assert worse({}, a_pod(gpu(2, SHARED)), "any") == ["shared-request-above-one"]
    assert worse({}, a_pod(gpu(1, MIG)), "none") == ["gpu-not-permitted"]
    assert decide_update(view({}), view({}), DENY, DevicePlugin(), rewrites=True) == Decision()


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@settings(max_examples=300, deadline=None)
@given(pod=pods | sound_pods, policy=policies, plugin=plugins, rewrites=st.booleans())
def test_placing_a_pod_by_a_label_of_no_form_is_never_denied(
    pod: Json, policy: Policy, plugin: DevicePlugin, *, rewrites: bool
) -> None:
    """Whatever is wrong with the pod already: this is what queues do when they let a pod go."""
    before, after = view(pod), view(pod)
    assert before.spec is not None
    assert after.spec is not None
    after.spec.node_selector = {**(after.spec.node_selector or {}), "team.example/pool": "a"}

    for new in (before, after):
        assert decide_update(new, before, policy, plugin, rewrites=rewrites) == Decision()
