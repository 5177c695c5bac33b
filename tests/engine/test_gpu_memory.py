"""``prefer: memory``: the annotation of a pod selects the first slice that has as much memory, whatever the nodes offer."""

import pytest

from tests.builders import (
    EVERY_SETTING,
    RENAMED,
    Json,
    a_form,
    a_pod,
    a_policy,
    applied,
    evaluate,
    gpu,
    messages,
    rules,
    view,
)
from webhook.engine.common_case import common_case
from webhook.engine.common_case_pods import is_common
from webhook.engine.policy import Mismatch, Policy, Prefer
from webhook.engine.rules.gpu_memory import lowest_of
from webhook.engine.spelling import DevicePlugin, MigStrategy

BY_MEMORY = a_policy("mig-1g.10gb", "mig-2g.20gb", "mig-3g.40gb", prefer=Prefer.MEMORY)
A100, H100 = "NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3"


def needing(amount: str, *containers: Json) -> Json:
    return a_pod(*containers, annotations={"gpuwarden.io/gpu-memory": amount})


def form_of(pod: Json, policy: Policy = BY_MEMORY, plugin: DevicePlugin = RENAMED) -> str | None:
    [choice] = evaluate(pod, policy, plugin).choices.values()
    return str(choice.form) if choice.form else None


@pytest.mark.parametrize("policy", ["any", "none"])
def test_the_annotation_means_nothing_where_no_form_is_chosen(policy: str) -> None:
    assert evaluate(needing("12Gi"), policy).findings == evaluate(a_pod(), policy).findings


def test_a_pod_without_a_gpu_is_untouched() -> None:
    decision = evaluate(needing("12 GB", gpu(0)), BY_MEMORY)
    assert (decision.edits, decision.findings) == ((), ())


def test_without_the_annotation_the_first_form_is_given() -> None:
    assert form_of(a_pod()) == "mig-1g.10gb"
    assert form_of(a_pod(annotations={"other": "12Gi"})) == "mig-1g.10gb"


@pytest.mark.parametrize(
    ("amount", "form"),
    [
        ("1Mi", "mig-1g.10gb"),
        ("9728Mi", "mig-1g.10gb"),
        ("9729Mi", "mig-2g.20gb"),
        ("10Gi", "mig-2g.20gb"),
        ("10G", "mig-1g.10gb"),
        ("10200547328", "mig-1g.10gb"),
        ("10200547329", "mig-2g.20gb"),
        ("19.5Gi", "mig-2g.20gb"),
        ("20Gi", "mig-3g.40gb"),
        ("39.25Gi", "mig-3g.40gb"),
    ],
)
def test_the_first_slice_with_enough_memory_is_given(amount: str, form: str) -> None:
    assert form_of(needing(amount)) == form


def test_the_order_is_the_policys() -> None:
    policy = a_policy("mig-3g.40gb", "mig-1g.10gb", prefer=Prefer.MEMORY)
    assert form_of(needing("1Gi"), policy) == "mig-3g.40gb"


def test_every_gpu_model_of_the_policy_has_enough() -> None:
    by_model = a_policy(
        "mig-1g.10gb", "mig-2g.20gb", prefer=Prefer.MEMORY, node_selector={"nvidia.com/gpu.product": H100}
    )
    assert form_of(needing("9.7Gi"), by_model) == "mig-1g.10gb"
    assert form_of(needing("9.7Gi")) == "mig-2g.20gb"
    single = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100,))
    assert form_of(needing("9.7Gi"), plugin=single) == "mig-1g.10gb"
    both = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100, A100))
    assert form_of(needing("9.7Gi"), plugin=both) == "mig-2g.20gb"
    without = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100, "NVIDIA-A30"))  # an A30 lacks the profile
    assert form_of(needing("9.7Gi"), plugin=without) == "mig-1g.10gb"


def test_a_form_that_is_not_measured_is_never_given() -> None:
    policy = a_policy("mig-1g.23gb", "mig-3g.40gb", prefer=Prefer.MEMORY)
    assert lowest_of(a_form("mig-1g.23gb"), policy, RENAMED) is None
    assert form_of(needing("1Gi"), policy) == "mig-3g.40gb"
    [finding] = evaluate(needing("90Gi"), policy).findings
    assert "the lowest measured memory is: mig-3g.40gb 40192Mi; " in finding.message


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
def test_deciding_again_changes_nothing(plugin: DevicePlugin) -> None:
    policy = a_policy("mig-1g.5gb", "mig-2g.10gb", prefer=Prefer.MEMORY)
    for amount in ("4Gi", "9Gi"):
        pod = needing(amount)
        once = applied(pod, evaluate(pod, policy, plugin))
        assert once != pod
        again = evaluate(once, policy, plugin)
        assert (again.edits, again.findings) == ((), ())


def test_an_explicit_slice_is_permitted_if_it_has_enough_and_denied_if_not() -> None:
    assert evaluate(needing("12Gi", gpu(1, "nvidia.com/mig-3g.40gb")), BY_MEMORY).findings == ()
    assert messages(evaluate(needing("12Gi", gpu(1, "nvidia.com/mig-1g.10gb")), BY_MEMORY)) == [
        (
            'container "train": nvidia.com/mig-1g.10gb: 1 requests form "mig-1g.10gb", which namespace policy "team" does '
            "not permit for a pod with its annotation gpuwarden.io/gpu-memory; it permits mig-2g.20gb, mig-3g.40gb; request "
            "that, or nvidia.com/gpu without selectors, which becomes mig-2g.20gb"
        )
    ]
    rewriting = a_policy("mig-1g.10gb", "mig-2g.20gb", prefer=Prefer.MEMORY, mismatch=Mismatch.REWRITE)
    assert form_of(needing("12Gi", gpu(1, "nvidia.com/mig-1g.10gb")), rewriting) == "mig-2g.20gb"


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("", '"" is not an amount of memory'),
        (" 12Gi ", '" 12Gi " is not an amount of memory'),
        *((one, f"{one} is not an amount of memory") for one in ("12 GB", "12GB", "1e999", "²")),
        *((one, f"{one} is less than 1Mi") for one in ("-12Gi", "0", "12", "800m", "100Ki")),
    ],
)
def test_what_is_no_amount_of_memory_is_denied_by_name(amount: str, says: str) -> None:
    decision = evaluate(needing(amount), BY_MEMORY)
    [finding] = decision.findings
    assert (finding.rule.id, finding.path) == ("gpu-memory-invalid", "metadata.annotations[gpuwarden.io/gpu-memory]")
    assert finding.message == (
        f"pod: annotation gpuwarden.io/gpu-memory: {says}; MIG slices are selected by it; write a "
        "quantity of at least 1Mi, such as 12Gi, or remove it"
    )
    assert decision.edits == ()


def test_more_than_any_slice_has_is_denied_with_the_table() -> None:
    assert messages(evaluate(needing("80Gi"), BY_MEMORY)) == [
        (
            'pod: annotation gpuwarden.io/gpu-memory: 80Gi is more than any slice of namespace policy "team" has; '
            "the lowest measured memory is: mig-1g.10gb 9728Mi, mig-2g.20gb 19968Mi, mig-3g.40gb 40192Mi; request at most "
            "40192Mi, or use a namespace whose policy permits larger slices"
        )
    ]


def test_other_policies_warn_that_it_has_no_effect() -> None:
    decision = evaluate(needing("12Gi"), "mig-1g.10gb")
    assert rules(decision) == ["gpu-memory-ignored"]
    assert decision.edits
    assert messages(decision) == [
        (
            'pod: annotation gpuwarden.io/gpu-memory: 12Gi has no effect under namespace policy "mig-1g.10gb"; only a policy '
            "with prefer: memory selects slices by memory; remove it, or use such a policy"
        )
    ]


def test_a_pod_with_the_annotation_is_not_the_common_case() -> None:
    for policy in (BY_MEMORY, a_policy("mps")):
        case = common_case(policy, RENAMED)
        ready = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}
        pod = {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": ready}]}}
        assert is_common(view(pod), case)
        assert not is_common(view(pod | {"metadata": {"annotations": {"gpuwarden.io/gpu-memory": "1Gi"}}}), case)
