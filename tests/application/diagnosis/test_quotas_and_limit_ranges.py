"""LimitRanges and quota keys: which deny the pods of a policy, which add GPUs that nobody asked for, and which count nothing."""

from typing import Any

import pytest

from tests.application.diagnosis.world import (
    GPU,
    SHARED,
    Json,
    a_limit_range,
    a_quota,
    complete,
    configured,
    healthy,
    namespaces,
    results,
    the_result,
)
from webhook.application.diagnosis.facts import Unread
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.application.limit_ranges import LimitRange
from webhook.engine.forms import Form
from webhook.engine.policy import Policy

MIG = "nvidia.com/mig-1g.5gb"
TOO = "sidecars and init containers too"


def container(**fields: Json) -> Json:
    return {"type": "Container", **fields}


def pod(**fields: Json) -> Json:
    return {"type": "Pod", **fields}


def found(policy: str, *ranges: LimitRange, **changes: Any) -> list[CheckOutcome]:
    facts = healthy(namespaces=namespaces(team_a=policy), limit_ranges=ranges, **changes)
    return results(facts, "limitranges")


@pytest.mark.parametrize(
    ("policy", "items"),
    [
        ("shared", []),
        ("shared", [container(max={"cpu": "4"}, default={"memory": "1Gi"}), pod(max={"cpu": "8"})]),
        ("shared", [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]),
        ("any", [container(max={GPU: "4"}), pod(max={GPU: "4"})]),
        ("exclusive", [container(max={GPU: "4"}), pod(max={GPU: "4"})]),
        ("exclusive", [container(default={GPU: "4"})]),
        ("gke-mps-4", [container(max={GPU: "1"})]),
        ("shared", [container(max={SHARED: "1"}), pod(max={SHARED: "1"})]),
        ("shared", [container(max={GPU: "4"}, default={GPU: "0"})]),
        ("shared", [container(max={GPU: "0"})]),
        ("shared", [container(max={GPU: "4"}, default={GPU: "0"}), pod(max={GPU: "8"}, min={GPU: "0"})]),
        ("none", [container(max={GPU: "0"}), pod(max={GPU: "0"})]),
        ("shared", [container(min={SHARED: "0"}, max={SHARED: "1"}), pod(min={SHARED: "1"}, max={SHARED: "1"})]),
        ("exclusive", [pod(min={GPU: "2"})]),
        ("exclusive", [container(maxLimitRequestRatio={GPU: "1"})]),
        ("any", [pod(max={GPU: "0"}), container(maxLimitRequestRatio={GPU: "1"})]),
    ],
)
def test_these_are_in_nobodys_way(policy: str, items: list[Json]) -> None:
    (result,) = found(policy, a_limit_range("team-a", *items))
    assert result.status is CheckStatus.OK, result


@pytest.mark.parametrize(
    ("policy", "item", "means"),
    [
        (
            "shared",
            container(max={GPU: "4"}),
            f'pods with {SHARED} are denied: "maximum {GPU} usage per Container is 4.  No limit is specified"',
        ),
        (
            "mig-1g.5gb",
            pod(max={GPU: "4"}),
            f'pods with {MIG} are denied: "maximum {GPU} usage per Pod is 4.  No limit is specified"',
        ),
        (
            "shared",
            pod(min={GPU: "1"}),
            f'pods with {SHARED} are denied: "minimum {GPU} usage per Pod is 1.  No request is specified"',
        ),
        (
            "shared",
            container(min={GPU: "1"}, defaultRequest={GPU: "1"}),
            f'pods with {SHARED} are denied: "minimum {GPU} usage per Container is 1.  No request is specified"',
        ),
        # Bounds of the name that pods have.
        (
            "shared",
            pod(max={SHARED: "0"}),
            f'pods with {SHARED} are denied: "maximum {SHARED} usage per Pod is 0, but limit is 1"',
        ),
        (
            "mig-1g.5gb",
            pod(max={MIG: "0"}),
            f'pods with {MIG} are denied: "maximum {MIG} usage per Pod is 0, but limit is 1"',
        ),
        (
            "exclusive",
            container(max={GPU: "0"}),
            f'pods with {GPU} are denied: "maximum {GPU} usage per Container is 0, but limit is 1"',
        ),
        (
            "shared",
            pod(min={SHARED: "2"}),
            f'pods with one container that have {SHARED} are denied: "minimum {SHARED} usage per Pod is 2, but request is 1"',
        ),
        (
            "mps",
            container(min={SHARED: "2"}),
            f'pods that have {SHARED} are denied: "minimum {SHARED} usage per Container is 2, but request is 1"',
        ),
        (
            "shared",
            pod(maxLimitRequestRatio={GPU: "1"}),
            (
                f'pods with {SHARED} are denied: "{GPU} max limit to request ratio per Pod is 1, but no request is specified or '
                'request is 0"'
            ),
        ),
        ("shared", container(default={GPU: "1"}), f"a container without a GPU request gets {GPU}: 1, {TOO}"),
        (
            "shared",
            container(default={GPU: "2"}),
            f"a container without a GPU request gets {GPU}: 2, {TOO}, and is denied (shared-request-above-one)",
        ),
        (
            "shared",
            container(max={SHARED: "2"}),
            f"a container without a GPU request gets {SHARED}: 2, {TOO}, and is denied (shared-request-above-one)",
        ),
        (
            "shared",
            container(default={MIG: "1"}),
            f"a container without a GPU request gets {MIG}: 1, {TOO}, and is denied (form-not-permitted)",
        ),
        (
            "none",
            container(max={GPU: "4"}),
            f"a container without a GPU request gets {GPU}: 4, {TOO}, and is denied (gpu-not-permitted)",
        ),
        (
            "exclusive",
            container(defaultRequest={GPU: "1"}),
            f"a container that does not name {GPU} gets it in requests alone, and Kubernetes denies its pod",
        ),
    ],
)
def test_what_is_in_the_way_is_told_with_what_becomes_of_pods(policy: str, item: Json, means: str) -> None:
    (result,) = found(policy, a_limit_range("team-a", item, name="gpus"))
    assert (result.status, result.impact) == (CheckStatus.WARN, means)
    assert result.observed.startswith(f"namespace team-a: LimitRange gpus (type {item['type']}) sets ")
    assert complete([result])


def test_the_fields_the_names_and_a_way_out_are_told() -> None:
    stored = container(max={GPU: "4"}, default={GPU: "4"}, defaultRequest={GPU: "4"})
    (result,) = found("shared", a_limit_range("team-a", stored))
    assert f"sets max, default, defaultRequest for {GPU}, and pods of policy shared have {SHARED}" in result.observed
    assert result.fix == (
        f"remove {GPU} from it and limit GPUs by a ResourceQuota on requests.{SHARED}, "
        f'or set its Container default for {GPU} to "0"'
    )


@pytest.mark.parametrize(
    ("item", "fix"),
    [
        (pod(max={SHARED: "0"}), f"set its max for {SHARED} to 1 or more, or permit no GPU by policy none"),
        (pod(min={SHARED: "2"}), f"set its min for {SHARED} to 1 or less"),
    ],
)
def test_a_bound_that_no_pod_is_within_comes_with_the_one_that_pods_are_within(item: Json, fix: str) -> None:
    (result,) = found("shared", a_limit_range("team-a", item))
    assert result.fix == fix


def test_a_ratio_is_not_met_by_a_default_of_nothing() -> None:
    item = container(default={GPU: "0"}, maxLimitRequestRatio={GPU: "1"})
    (result,) = found("shared", a_limit_range("team-a", item))
    assert result.status is CheckStatus.WARN
    assert "maxLimitRequestRatio for nvidia.com/gpu" in result.observed
    assert "default" not in result.fix


@pytest.mark.parametrize(("limit", "status"), [(2, CheckStatus.OK), (1, CheckStatus.WARN)])
def test_what_the_policy_permits_is_what_a_minimum_is_held_against(limit: int, status: CheckStatus) -> None:
    facts = healthy(
        configuration=configured(policies={"team": Policy("team", forms=(Form(),), max_per_pod=limit)}),
        namespaces=namespaces(team_a="team"),
        limit_ranges=(a_limit_range("team-a", pod(min={GPU: "2"})),),
    )
    (result,) = results(facts, "limitranges")
    assert result.status is status


def test_a_default_of_nothing_is_no_way_out_of_a_minimum() -> None:
    (result,) = found("shared", a_limit_range("team-a", pod(min={GPU: "1"})))
    assert "default" not in result.fix
    (result,) = found("none", a_limit_range("team-a", container(default={GPU: "1"})))
    assert f"ResourceQuota on requests.{GPU}, or" in result.fix


def test_a_default_of_nothing_in_one_limit_range_serves_the_others_but_for_a_minimum() -> None:
    zero = a_limit_range("team-a", container(default={GPU: "0"}), name="zero")
    assert found("shared", zero, a_limit_range("team-a", pod(max={GPU: "4"})))[0].status is CheckStatus.OK
    (result,) = found("shared", zero, a_limit_range("team-a", pod(min={GPU: "1"})))
    assert "minimum" in result.impact


CPU = container(default={"cpu": "1"})


@pytest.mark.parametrize(
    ("policy", "item", "other", "told"),
    [
        ("shared", container(default={SHARED: "1"}), CPU, True),
        ("shared", container(max={SHARED: "1"}), container(min={"memory": "1Gi"}), True),
        ("shared", container(default={SHARED: "0"}), CPU, False),
        ("shared", container(default={SHARED: "1"}), pod(max={"cpu": "8"}), False),
        ("shared", pod(max={SHARED: "1"}), CPU, False),
        ("exclusive", container(default={GPU: "1"}), CPU, False),
    ],
)
def test_a_default_of_the_policys_own_name_is_told_where_another_limit_range_hides_it(
    policy: str, item: Json, other: Json, *, told: bool
) -> None:
    """LimitRanger records on the pod what the last of them set, so the default can't be told from a request of the user's."""
    (result,) = found(policy, a_limit_range("team-a", item), a_limit_range("team-a", other, name="others"))
    assert (result.status is not CheckStatus.OK) is told
    if told:
        assert f"a container that requests {GPU} gets {SHARED} in addition, and its pod is denied" in str(result)
        assert "write all defaults of the namespace into one LimitRange" in result.fix


def test_namespaces_are_evaluated_apart_and_exempt_ones_not_at_all() -> None:
    ranges = [a_limit_range(name, container(max={GPU: "4"})) for name in ("team-b", "team-a", "plain", "gpu-operator")]
    facts = healthy(
        namespaces=namespaces(team_a="shared", team_b="exclusive", gpu_operator="shared"), limit_ranges=ranges
    )
    assert [result.observed.partition(":")[0] for result in results(facts, "limitranges")] == ["namespace team-a"]


def test_without_renaming_a_limit_range_counts_what_it_did() -> None:
    ranges = a_limit_range("team-a", container(max={GPU: "1"}))
    assert found("shared", ranges, configuration=configured(plugin=False))[0].status is CheckStatus.OK


def test_limit_ranges_that_cannot_be_read_are_unknown() -> None:
    (result,) = results(healthy(limit_ranges=Unread("list limitranges", "no", forbidden=True)), "limitranges")
    assert (result.status, result.fix) == (
        CheckStatus.UNKNOWN,
        "grant the user who runs doctor the permission: list limitranges",
    )


@pytest.mark.parametrize(
    ("hard", "instead"),
    [
        ({GPU: "4"}, f"requests.{GPU}"),
        ({f"limits.{GPU}": "4"}, f"requests.{GPU}"),
        ({MIG: "4", f"limits.{MIG}": "4", SHARED: "1"}, f"requests.{SHARED}, requests.{MIG}"),
    ],
)
@pytest.mark.parametrize("policy", ["any", "exclusive"])
def test_a_quota_key_that_counts_nothing_is_told_in_every_namespace(
    policy: str, hard: dict[str, str], instead: str
) -> None:
    facts = healthy(namespaces=namespaces(team_a=policy), quotas=[a_quota("team-a", **hard)])
    result = the_result(facts, "quotas")
    assert (result.status, result.fix) == (CheckStatus.WARN, f"set {instead} instead")
    assert result.observed == f"ResourceQuota q in namespace team-a sets {', '.join(sorted(hard))}"


@pytest.mark.parametrize(
    "hard", [{"limits.cpu": "4", "cpu": "4"}, {f"requests.{GPU}": "4"}, {"count/pods": "4"}, {"nvidia.com/nic": "1"}]
)
def test_keys_that_count_or_name_no_gpu_are_not(hard: dict[str, str]) -> None:
    facts = healthy(namespaces=namespaces(team_a="exclusive"), quotas=[a_quota("team-a", **hard)])
    assert the_result(facts, "quotas").status is CheckStatus.OK
