"""Checks of the configuration, labels, nodes and quotas."""

import dataclasses
from typing import Any

import pytest

from tests.application.diagnosis.world import (
    GPU,
    NAME_LABEL,
    SHARED,
    STRATEGY,
    a_node,
    a_quota,
    complete,
    configured,
    healthy,
    mutating,
    namespaces,
    results,
    the_result,
    troubled,
    validating,
)
from tests.builders import additions
from webhook.application.diagnosis.facts import BadConfiguration, NamespaceFacts
from webhook.application.diagnosis.results import CheckStatus
from webhook.engine.fleet.node_shapes import GpuNode
from webhook.engine.forms import parse
from webhook.engine.policy import Policy

HEADER = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
NEEDS_CONFIGURATION = {
    "guard",
    "failure-policies",
    "labels",
    "label-effects",
    "namespace-restrictions",
    "nodes",
    "rename-by-default",
    "mig-strategy",
    "quotas",
    "limitranges",
    "runtime-classes",
    "claim-templates",
    "claim-quotas",
    "waiting-pods",
}


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        (None, "there is no ConfigMap gpuwarden-system/gpuwarden"),
        (BadConfiguration(("mode: is wrong", "x: is not known")), "mode: is wrong; x: is not known"),
    ],
)
def test_a_configuration_that_cannot_be_used_fails_once_and_leaves_the_rest_unknown(
    configuration: Any, says: str
) -> None:
    facts = healthy(configuration=configuration)
    assert troubled(facts) == {
        "configuration": CheckStatus.FAIL,
        **dict.fromkeys(NEEDS_CONFIGURATION, CheckStatus.UNKNOWN),
    }
    assert says in the_result(facts, "configuration").observed


def labelled(**labels: str) -> NamespaceFacts:
    """One namespace, team-a, with labels of ours."""
    ours = {f"gpuwarden.io/{key}": value for key, value in labels.items()}
    there = dict(namespaces().labels)
    return NamespaceFacts(9, {**there, "team-a": {NAME_LABEL: "team-a", **ours}})


@pytest.mark.parametrize(
    ("labels", "status", "says"),
    [
        ({"enforce": "any"}, CheckStatus.OK, ""),
        (
            {"enforce": "mpss"},
            CheckStatus.FAIL,
            'metadata.labels[gpuwarden.io/enforce]: "mpss" is not a policy; did you mean "mps"',
        ),
        ({"warn": "mpss"}, CheckStatus.WARN, "metadata.labels[gpuwarden.io/warn]"),
        ({"audit": "gke-mps-99"}, CheckStatus.WARN, 'did you mean "gke-mps-48"?'),
    ],
)  # fmt: skip
def test_a_label_that_names_no_policy_is_found_with_the_nearest(
    labels: dict[str, str], status: CheckStatus, says: str
) -> None:
    (result,) = results(healthy(namespaces=labelled(**labels)), "labels")
    assert result.status is status
    assert says in result.observed
    assert complete([result])


@pytest.mark.parametrize(
    ("labels", "annotations", "says", "fix"),
    [
        (
            {"gpuwarden.io/enfroce": "mps"},
            {},
            'did you mean "gpuwarden.io/enforce"?',
            "kubectl label namespace team-a gpuwarden.io/enfroce-, and set the label that you meant",
        ),
        (
            {},
            {"gpuwarden.io/enforce": "mps"},
            "reads labels, not annotations",
            "kubectl annotate namespace team-a gpuwarden.io/enforce-, and set the label that you meant",
        ),
    ],
)
def test_a_mistyped_key_is_warned_of(labels: dict[str, str], annotations: dict[str, str], says: str, fix: str) -> None:
    found = NamespaceFacts(9, {**namespaces().labels, "team-a": labels}, {"team-a": annotations})
    (result,) = results(healthy(namespaces=found), "labels")
    assert (result.status, result.fix) == (CheckStatus.WARN, fix)
    assert says in result.observed
    assert result.impact == "it has no effect on the namespace's policy"


def test_hundreds_of_mistyped_keys_are_counted_after_the_first_as_warnings() -> None:
    there = {f"t{number}": {"gpuwarden.io/enfroce": "mps"} for number in range(300)}
    found = results(healthy(namespaces=NamespaceFacts(300, there)), "labels")
    assert {result.status for result in found} == {CheckStatus.WARN}
    assert found[-1].observed == "280 more labels name no policy or have no effect"


def test_labels_that_cannot_be_read_come_before_mistyped_keys() -> None:
    there = {"a": {"gpuwarden.io/enfroce": "mps"}, "b": {"gpuwarden.io/enforce": "mpss"}}
    found = results(healthy(namespaces=NamespaceFacts(2, there)), "labels")
    assert [result.status for result in found] == [CheckStatus.FAIL, CheckStatus.WARN]


def test_each_bad_label_of_a_namespace_is_found() -> None:
    found = results(healthy(namespaces=labelled(enforce="x", warn="y", audit="any")), "labels")
    assert [result.status for result in found] == [CheckStatus.FAIL, CheckStatus.WARN]


def test_hundreds_of_bad_labels_are_counted_after_the_first() -> None:
    found = results(healthy(namespaces=namespaces(**{f"t{n}": "mpss" for n in range(300)})), "labels")
    assert len(found) == 21
    assert found[-1].observed == "280 more labels name no policy or have no effect"
    assert {result.status for result in found} == {CheckStatus.FAIL}


def test_a_label_on_an_exempt_namespace_or_one_that_webhooks_leave_out_has_no_effect() -> None:
    facts = healthy(namespaces=namespaces(gpu_operator="mps"))
    assert the_result(facts, "label-effects").status is CheckStatus.WARN
    assert "is labelled, but exempt" in the_result(facts, "label-effects").observed
    selector = {"matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": ["team-b"]}]}
    facts = healthy(namespaces=namespaces(team_a="any", team_b="any"))
    facts = validating(mutating(facts, None, namespaceSelector=selector), None, namespaceSelector=selector)
    (result,) = results(facts, "label-effects")
    assert result.status is CheckStatus.WARN
    assert "team-a is labelled, but the webhooks' namespaceSelector excludes it" in result.observed


SHARING = a_node("s", {GPU: 0, SHARED: 8}, **{STRATEGY: "time-slicing"})
MPS = a_node("m", {SHARED: 8}, **{STRATEGY: "mps"})
WHOLE = a_node("w", {GPU: 8}, **{STRATEGY: "none"})
KEPT_NAME = a_node("k", {GPU: 32}, **{STRATEGY: "time-slicing", "nvidia.com/gpu.product": "A100-SHARED"})
PRODUCT_ONLY = a_node("p", {GPU: 32}, **{"nvidia.com/gpu.product": "Tesla-T4-SHARED"})
MIG = a_node("g", {"nvidia.com/mig-1g.5gb": 7})
MIG_KEPT = a_node("h", {"nvidia.com/mig-1g.5gb": 14}, **{"nvidia.com/mig-1g.5gb.sharing-strategy": "time-slicing"})
GKE = a_node("e", {GPU: 4}, **{
    "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
    "cloud.google.com/gke-max-shared-clients-per-gpu": "4",
})  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        ("shared", {"s", "m"}),
        ("mps", {"m"}),
        ("time-slicing", {"s"}),
        ("exclusive", {"w", "k", "p", "e"}),  # by the resource alone, where shared GPUs are renamed
        ("mig-1g.5gb", {"g", "h"}),
        ("mig-3g.20gb", set()),
        ("gke-time-sharing-4", {"e"}),
        ("gke-time-sharing-8", set()),
        ("any", None),
        ("none", None),
    ],
)
def test_some_node_must_offer_what_plain_requests_become(policy: str, fits: set[str] | None) -> None:
    for node in (SHARING, MPS, WHOLE, KEPT_NAME, PRODUCT_ONLY, MIG, MIG_KEPT, GKE):
        result = the_result(healthy(namespaces=namespaces(team_a=policy), nodes=[node]), "nodes")
        expected = CheckStatus.OK if fits is None or node.name in fits else CheckStatus.WARN
        assert result.status is expected, (node.name, result)


def test_the_warning_names_the_namespaces_the_resource_and_the_labels() -> None:
    result = the_result(healthy(namespaces=namespaces(team_a="mps", team_b="mps"), nodes=[SHARING]), "nodes")
    assert result.observed == (
        f'no node offers what policy "mps" requests: {SHARED}; {STRATEGY}: mps (1 node has {SHARED}, but not {STRATEGY}: mps '
        "(it is time-slicing))"
    )
    assert "namespaces team-a, team-b" in result.impact


def test_a_configured_policys_own_selector_counts_but_not_what_its_form_contradicts() -> None:
    mps = parse("mps")
    assert mps
    pool = Policy("pool", (mps,), additions=additions(node_selector={"pool": "gpu", STRATEGY: "time-slicing"}))
    facts = healthy(configuration=configured(policies={"pool": pool}), namespaces=namespaces(team_a="pool"))
    assert the_result(dataclasses.replace(facts, nodes=[MPS]), "nodes").status is CheckStatus.WARN
    in_pool = a_node("m", {SHARED: 8}, **{STRATEGY: "mps", "pool": "gpu"})
    assert the_result(dataclasses.replace(facts, nodes=[in_pool]), "nodes").status is CheckStatus.OK


def test_what_device_classes_or_an_autoscaler_offer_no_node_need_offer() -> None:
    facts = healthy(namespaces=namespaces(team_a="mps"), nodes=[WHOLE])
    assert the_result(facts, "nodes").status is CheckStatus.WARN
    assert the_result(dataclasses.replace(facts, classes=frozenset({SHARED})), "nodes").status is CheckStatus.OK
    expected = configured(HEADER + "fleet: {expected: [mps]}\n")
    assert the_result(dataclasses.replace(facts, configuration=expected), "nodes").status is CheckStatus.OK


def test_a_node_whose_mig_configuration_failed_is_warned_of() -> None:
    failed = a_node("broken", {"nvidia.com/mig-1g.5gb": 7}, **{"nvidia.com/mig.config.state": "failed"})
    result = the_result(healthy(nodes=[failed, MIG]), "mig-strategy")
    assert (result.status, complete([result])) == (CheckStatus.WARN, True)
    assert result.observed.startswith("the MIG manager could not configure node broken")


def test_the_default_policy_is_in_use_by_every_namespace_without_a_label() -> None:
    facts = healthy(configuration=configured(HEADER + "defaults: {enforce: mps}\n"))
    result = the_result(facts, "nodes")
    assert (result.status, "every unlabelled namespace" in result.impact) == (CheckStatus.WARN, True)


def test_exempt_namespaces_and_unreadable_labels_ask_for_no_node() -> None:
    facts = healthy(namespaces=namespaces(gpu_operator="mps", team_a="mpss"))
    assert the_result(facts, "nodes").status is CheckStatus.OK


@pytest.mark.parametrize(
    ("renames", "nodes", "status"),
    [
        (True, [], CheckStatus.OK),
        (False, [WHOLE, MIG, GKE], CheckStatus.OK),
        (True, [SHARING, MPS], CheckStatus.OK),
        (False, [SHARING, WHOLE], CheckStatus.FAIL),
        (False, [SHARING, KEPT_NAME], CheckStatus.WARN),
        (False, [KEPT_NAME, PRODUCT_ONLY, MIG_KEPT], CheckStatus.OK),
        (True, [KEPT_NAME], CheckStatus.FAIL),
        (True, [PRODUCT_ONLY], CheckStatus.FAIL),
        (True, [MIG_KEPT], CheckStatus.FAIL),
        (True, [SHARING, PRODUCT_ONLY], CheckStatus.WARN),
        (True, [a_node("down", {}, **{STRATEGY: "mps"})], CheckStatus.OK),
    ],
)
def test_rename_by_default_must_be_the_device_plugins(renames: bool, nodes: list[GpuNode], status: CheckStatus) -> None:  # noqa: FBT001 - a parameter of the table
    result = the_result(healthy(configuration=configured(plugin=renames), nodes=nodes), "rename-by-default")
    assert result.status is status, result
    assert complete([result])
    if status is CheckStatus.FAIL:
        assert result.fix.startswith(f"set config.devicePlugin.renameByDefault to {str(not renames).lower()}")


MODEL = "NVIDIA-A100-SXM4-40GB"
STRATEGY_LABEL = "nvidia.com/mig.strategy"
SLICED = a_node(
    "single",
    {GPU: 7},
    **{
        "nvidia.com/gpu.product": f"{MODEL}-MIG-1g.5gb",
        "nvidia.com/gpu.slices.gi": "1",
        "nvidia.com/gpu.slices.ci": "1",
        "nvidia.com/gpu.memory": "4864",
        STRATEGY_LABEL: "single",
    },
)
READY_FOR_SINGLE = a_node("ready", {GPU: 8}, **{"nvidia.com/gpu.product": MODEL, STRATEGY_LABEL: "single"})
UNUSABLE = a_node("unusable", {GPU: 0}, **{"nvidia.com/gpu.product": f"{MODEL}-MIG-INVALID"})
READY_FOR_MIXED = a_node("mixed", {GPU: 8}, **{STRATEGY_LABEL: "mixed"})
PLUGIN = "devicePlugin: {migStrategy: single, products: [%s]}"


@pytest.mark.parametrize(
    ("file", "nodes", "status", "says"),
    [
        ("", [], CheckStatus.OK, "no node has a MIG strategy label or MIG slices"),
        ("", [WHOLE, GKE], CheckStatus.OK, "no node has a MIG strategy label or MIG slices"),
        ("", [MIG, READY_FOR_MIXED], CheckStatus.OK, "migStrategy is mixed, as on the nodes (2)"),
        ("", [SLICED], CheckStatus.FAIL, "migStrategy is mixed in the configuration, and single on node single"),
        ("", [READY_FOR_SINGLE], CheckStatus.FAIL, "single on node ready"),
        ("", [MIG, SLICED], CheckStatus.FAIL, "single on node single"),
        (
            PLUGIN % "",
            [SLICED],
            CheckStatus.OK,
            f"to select slices by model set config.devicePlugin.products to [{MODEL}]",
        ),
        (PLUGIN % "", [READY_FOR_SINGLE], CheckStatus.OK, "no node has MIG enabled now"),
        ("", [UNUSABLE], CheckStatus.FAIL, "migStrategy is mixed in the configuration, and single on node unusable"),
        (
            PLUGIN % MODEL,
            [SLICED, UNUSABLE],
            CheckStatus.WARN,
            "the MIG configuration of node unusable is invalid under single",
        ),
        (PLUGIN % MODEL, [SLICED, READY_FOR_SINGLE], CheckStatus.OK, f"products are [{MODEL}]"),
        (PLUGIN % "NVIDIA-A30", [SLICED], CheckStatus.WARN, f"devicePlugin.products does not list {MODEL}"),
        (PLUGIN % "", [MIG], CheckStatus.FAIL, "migStrategy is single in the configuration, and mixed on node g"),
        (PLUGIN % "", [READY_FOR_MIXED], CheckStatus.FAIL, "mixed on node mixed"),
        (
            PLUGIN % "",
            [a_node("odd", {GPU: 1}, **{STRATEGY_LABEL: "none"})],
            CheckStatus.OK,
            "no node has a MIG strategy label or MIG slices",
        ),
    ],
)
def test_the_mig_strategy_must_be_the_nodes(file: str, nodes: list[GpuNode], status: CheckStatus, says: str) -> None:
    result = the_result(healthy(configuration=configured(HEADER + file), nodes=nodes), "mig-strategy")

    assert result.status is status, result
    assert says in result.observed
    assert complete([result])


def test_the_fix_of_another_mig_strategy_is_what_to_set() -> None:
    result = the_result(healthy(configuration=configured(HEADER), nodes=[SLICED]), "mig-strategy")
    assert result.fix == (
        f"set config.devicePlugin.migStrategy to single and config.devicePlugin.products to [{MODEL}]"
    )
    result = the_result(healthy(configuration=configured(HEADER + PLUGIN % ""), nodes=[MIG]), "mig-strategy")
    assert result.fix == "set config.devicePlugin.migStrategy to mixed, as in the device plugin's configuration"
    result = the_result(healthy(configuration=configured(HEADER + PLUGIN % MODEL), nodes=[MIG]), "mig-strategy")
    assert result.fix.endswith("as in the device plugin's configuration, and remove config.devicePlugin.products")
    result = the_result(healthy(configuration=configured(HEADER + PLUGIN % "B, A"), nodes=[SLICED]), "mig-strategy")
    assert result.fix == f"set config.devicePlugin.products to [A, B, {MODEL}]"


@pytest.mark.parametrize(
    ("policy", "fits"), [("mig-1g.5gb", True), ("mig-2g.10gb", False), ("exclusive", False), ("shared", False)]
)
def test_a_node_of_slices_offers_only_those_under_strategy_single(policy: str, *, fits: bool) -> None:
    facts = healthy(
        configuration=configured(HEADER + PLUGIN % ""), namespaces=namespaces(team_a=policy), nodes=[SLICED]
    )

    assert the_result(facts, "nodes").status is (CheckStatus.OK if fits else CheckStatus.WARN)


@pytest.mark.parametrize(
    ("policy", "hard", "missing"),
    [
        ("shared", {"requests.nvidia.com/gpu": "4"}, "requests.nvidia.com/gpu.shared"),
        ("mig-1g.5gb", {"requests.nvidia.com/gpu": "4"}, "requests.nvidia.com/mig-1g.5gb"),
        ("shared", {"requests.nvidia.com/gpu": "4", "requests.nvidia.com/gpu.shared": "4"}, None),
        ("shared", {"requests.nvidia.com/gpu.shared": "4"}, None),
        ("exclusive", {"requests.nvidia.com/gpu": "4"}, None),
        ("gke-mps-4", {"requests.nvidia.com/gpu": "4"}, None),
        ("any", {"requests.nvidia.com/gpu": "4"}, None),
        ("shared", {"requests.cpu": "4", "pods": "3"}, None),
        ("mpss", {"requests.nvidia.com/gpu": "4"}, None),
    ],
)
def test_a_quota_on_a_name_that_pods_no_longer_have_limits_nothing(
    policy: str, hard: dict[str, str], missing: str | None
) -> None:
    result = the_result(healthy(namespaces=namespaces(team_a=policy), quotas=[a_quota("team-a", **hard)]), "quotas")
    if missing is None:
        assert result.status is CheckStatus.OK
    else:
        assert (result.status, result.fix) == (CheckStatus.WARN, f"add {missing} to the ResourceQuota")


def test_two_quotas_of_a_namespace_count_together_and_those_of_exempt_ones_not() -> None:
    quotas = [a_quota("team-a", **{f"requests.{name}": "1"}) for name in (GPU, SHARED)]
    facts = healthy(namespaces=namespaces(team_a="shared"), quotas=quotas)
    assert the_result(facts, "quotas").status is CheckStatus.OK
    facts = healthy(
        namespaces=namespaces(gpu_operator="shared"), quotas=[a_quota("gpu-operator", **{f"requests.{GPU}": "1"})]
    )
    assert the_result(facts, "quotas").status is CheckStatus.OK


def test_the_default_policys_quotas_are_evaluated_in_namespaces_without_a_label() -> None:
    configuration = configured(HEADER + "defaults: {enforce: shared}\n")
    facts = healthy(configuration=configuration, nodes=[SHARING], quotas=[a_quota("plain", **{f"requests.{GPU}": "1"})])
    assert the_result(facts, "quotas").status is CheckStatus.WARN
