"""Measures: series of a workload together, and how much of what should be there is there."""

from typing import Any

import pytest

from tests.application.recommendation.cases import DAY, END, GIB, series, workload
from webhook.application.recommendation.measures import Measures, measure
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.usage import Metric, Series, Usage
from webhook.application.recommendation.workloads import LivePod, Workload

USAGE = Usage(END, 14 * DAY)


def measured(one: Workload, *found: Series) -> Measures:
    result = measure(one, found, USAGE, Thresholds())
    assert result
    return result


def test_nothing_is_measured_without_a_metric_or_samples() -> None:
    assert measure(workload(), [], USAGE, Thresholds()) is None
    assert measure(workload(), [series(metric=None), series(points=0)], USAGE, Thresholds()) is None


def test_the_highest_counts_and_averages_are_of_all_samples() -> None:
    one = workload(pods=[LivePod("w-1", END - 30 * DAY), LivePod("w-2", END - 30 * DAY)])
    quiet = series("w-2", uuid="GPU-2", points=10_080, p95=0.5, most=0.9, mean=0.5, idle=0.3, memory=9 * GIB)
    found = measured(one, series(idle=0.0), quiet)
    assert (found.p95, found.most, found.memory) == (0.5, 0.9, 9 * GIB)
    assert (round(found.mean, 3), round(found.idle, 3)) == (0.2, 0.1)
    assert (found.points, found.expected, found.coverage) == (30_240, 40_320, 0.75)
    assert (found.days, found.model, found.metrics) == (14, "NVIDIA A100-SXM4-80GB", (Metric.SM_ACTIVE,))


def test_all_time_counts_alike_where_that_is_known() -> None:
    known, older = series(mean=0.1, by_time=0.4), series(uuid="GPU-2", mean=0.1, points=10_080)
    assert measured(workload(), known, older).by_time == pytest.approx(0.3)


def test_memory_counts_where_each_device_has_enough_samples_of_it() -> None:
    def without(*lacking: Series) -> int:
        return measured(workload(gpus=2), series(memory_points=20_160), *lacking).without_memory

    assert without() == without(series(uuid="GPU-2", memory_points=10_080)) == without(series(uuid="GPU-2")) == 0
    assert without(series(uuid="GPU-2", memory_points=10_079)) == 1
    # A process that computes has memory: a driver that says 0 does not know it.
    assert without(series(uuid="GPU-2", memory=0.0), series(uuid="GPU-3", memory=None)) == 2


def test_gaps_count_by_the_samples_that_exist() -> None:
    assert measured(workload(), series(gaps=0.3), series("w-2", points=60_480)).gaps == pytest.approx(0.075)


def test_the_last_day_is_that_of_the_device_that_did_most_in_it() -> None:
    found = measured(workload(), series(recent=0.1, recent_working=0.9), series("w-2", recent=0.2, recent_working=0.3))
    assert (found.recent, found.recent_working) == (0.2, 0.9)


def test_pods_at_once_are_those_whose_samples_overlap() -> None:
    four = [series(f"w-{n}", first=END - 14 * DAY, last=END - (2 * DAY if n else 0)) for n in range(4)]
    assert measured(workload(), *four).pods_at_once == 4
    # One after another, as a CronJob's or those of a restart: the next begins in the hour in which the last ended.
    days = [series(f"w-{n}", first=END - (14 - n) * DAY, last=END - (13 - n) * DAY) for n in range(14)]
    assert measured(workload(), *days).pods_at_once == 1
    two = [series(uuid="GPU-1"), series(uuid="GPU-2")]  # of one pod
    assert measured(workload(gpus=2), *two).pods_at_once == 1


def test_samples_are_expected_while_a_pod_runs_and_of_one_that_is_gone_from_first_to_last() -> None:
    young = workload(pods=[LivePod("w-1", END - DAY)])
    gone = series("w-0", uuid="GPU-0", points=60, first=END - 10 * DAY, last=END - 10 * DAY + 3600)
    short = series("w-9", uuid="GPU-9", points=3, first=0, last=0)
    found = measured(young, series(points=1440, first=END - DAY), gone, short)
    assert found.expected == 1440 + 60 + 3
    assert found.days == 10
    assert found.unbroken == found.expected
    late = measured(workload(), series(points=1440, first=END - DAY))  # Prometheus keeps no more
    assert (late.expected, late.unbroken) == (20_160, 1440)
    over = workload(pods=[LivePod("w-1", END - DAY, over=True)])
    assert measured(over, series(points=60, first=END - DAY, last=END - DAY + 3600)).expected == 60


def test_a_pod_that_was_created_again_under_its_name_counts_twice() -> None:
    again = workload(pods=[LivePod("w-1", END - 7 * DAY)])
    before = series(points=10_080, last=END - 7 * DAY, uuid="GPU-0", node="m")
    found = measured(again, before, series(points=1000, first=END - 7 * DAY))
    assert found.expected == 20_160
    # It went to another GPU and came back.
    there, away = (
        series(points=10_080),
        series(points=10_080, uuid="GPU-2", node="m", first=END - 12 * DAY, last=END - 5 * DAY),
    )
    assert measured(again, there, away).expected == 20_160
    # It ran on in the series of the one before it.
    assert measured(again, series(points=20_160)).expected == 20_160


def test_devices_in_use_are_counted_by_node() -> None:
    two = workload(gpus=2)

    def on(node: str, *most: float) -> list[Series]:
        return [series(uuid=f"{node}{number}", node=node, most=each, p95=each) for number, each in enumerate(most)]

    assert measured(two, *on("a", 0.5, 0.5)).used == 2
    assert measured(two, *on("a", 0.5, 0.0)).used == 1
    assert measured(two, *on("a", 0.5, 0.0), *on("b", 0.0, 0.5)).used == 1
    assert measured(two, *on("a", 0.5, 0.0), *on("b", 0.5, 0.5)).used == 2
    assert measured(two, *on("a", 0.5)).used is None
    # Created again on the same node, it may have had others: not more than it asks for.
    assert measured(two, *on("a", 0.5, 0.5, 0.5)).used == 2


def test_pods_from_before_a_request_grew_are_not_counted() -> None:
    change = END - 4 * DAY

    def of(pod: str, *uuids: str, **fields: Any) -> list[Series]:
        return [series(pod, uuid=uuid, **fields) for uuid in uuids]

    now = workload(gpus=2, pods=[LivePod("w-2", change, gpus=2)])
    old, new = of("w-1", "a", last=change, memory=50 * GIB), of("w-2", "b", "c", first=change, points=5760)
    grown = measured(now, *old, *new)
    assert (grown.used, grown.left_out, grown.incomplete, grown.days, grown.points) == (2, 1, 0, 4, 11_520)
    assert (grown.memory, grown.coverage) == (5 * GIB, 1.0)
    # Pods of both templates ran for a while, or the old one on another node under the same name.
    assert measured(now, *of("w-1", "a", last=change + 3600), *new).left_out == 1
    again = measured(now, *of("w-2", "a", last=change, node="m"), *new)
    assert (again.used, again.left_out, again.days) == (2, 0, 4)
    # One GPU of an earlier pod that ran beside the others has no series, or all have fewer.
    for other in (of("w-1", "a"), of("w-1", "a", first=0, last=0)):
        beside = measured(now, *other, *new)
        assert (beside.used, beside.left_out, beside.incomplete) == (None, 0, 1)
    assert measured(now, *old).incomplete == 1


def test_pods_of_one_workload_may_request_different_numbers() -> None:
    ray = workload(gpus=2, pods=[LivePod("head", END - 7 * DAY, gpus=1), LivePod("w", END - 7 * DAY, gpus=2)])
    week: dict[str, Any] = {"first": END - 7 * DAY, "points": 10_080}
    found = measured(ray, series("head", **week), series("w", uuid="a", **week), series("w", uuid="b", **week))
    assert (found.used, found.incomplete, found.expected) == (2, 0, 3 * 10_080)
    assert measured(ray, series("head", **week), series("w", uuid="a", **week)).used is None


def test_memory_that_is_held_on_a_device_that_is_not_used() -> None:
    used = series(memory=9 * GIB)
    assert measured(workload(gpus=2), used, series(uuid="GPU-2", most=0.0, p95=0.0, memory=7 * GIB)).held == 7 * GIB
    assert measured(workload(), used).held == 0


def test_memory_that_moves_on_a_device_whose_compute_is_always_0() -> None:
    used = series(uuid="GPU-1")
    cases: list[tuple[dict[str, Any], float]] = [
        ({"memory": 7 * GIB, "memory_low": 1 * GIB}, 7 * GIB),
        ({"memory": 7 * GIB, "memory_low": 6.9 * GIB}, 0),  # a model that nobody asks
        ({"memory": 7 * GIB, "memory_low": 1 * GIB, "engines": 0.2}, 0),
        ({"memory": 7 * GIB, "memory_low": 1 * GIB, "most": 0.0005}, 0),
    ]
    for fields, moved in cases:
        idle = series(**{"uuid": "GPU-2", "most": 0.0, "p95": 0.0, **fields})
        assert measured(workload(gpus=2), used, idle).moved == moved, fields
    assert measured(workload(), used).moved == 0


def test_pods_that_run_and_are_not_seen_now() -> None:
    def unseen(started: float, over: bool = False, **fields: float) -> int:  # noqa: FBT001, FBT002 - a pod's state
        pods = [LivePod("w-1", END - 30 * DAY), LivePod("w-2", started, over)]
        return measured(workload(pods=pods), series(), *([series("w-2", **fields)] if fields else [])).unseen

    assert unseen(END - 30 * DAY) == 1
    assert unseen(END - 30 * DAY, last=END - 2 * DAY) == 1
    assert unseen(END - 30 * DAY, last=END - DAY / 2) == 0
    # It waits, has just begun, or has ended.
    assert unseen(0) == unseen(END - 60) == unseen(END - 30 * DAY, over=True) == 0


def test_devices_of_several_models() -> None:
    assert measured(workload(), series(), series("w-0", model="Tesla T4")).models_differ
    assert not measured(workload(), series(), series("w-0", model="")).models_differ


def test_flat_memory() -> None:
    assert measured(workload(), series(memory_low=4.9 * GIB)).flat
    assert not measured(workload(), series(memory_low=4 * GIB)).flat
    assert not measured(workload(), series(memory=0.0, memory_low=0.0)).flat


def test_shared_devices() -> None:
    slot = workload(form="time-slicing")
    assert measured(slot, series()).sharing_unknown
    assert not measured(slot, series(is_slot=True)).sharing_unknown
    assert measured(slot, series(is_slot=True), series(pod="w-2")).sharing_unknown
    apart = measured(slot, series(pods=3))
    assert (apart.sharing_unknown, apart.shared_by) == (False, 1)
    total = measured(slot, series(pods=3, compute_of_device=True, memory_of_device=True))
    assert (total.shared_by, total.memory_shared) == (3, True)
    assert not measured(workload(), series()).sharing_unknown


def test_the_share_at_which_work_was_done_is_of_the_work_not_of_the_time() -> None:
    quiet = series("w-2", uuid="GPU-2", mean=0.1, working=0.2)
    assert measured(workload(), series(mean=0.3, working=0.6), quiet).working == pytest.approx(0.5)
    assert measured(workload(), series(mean=0.0, working=0.0)).working == 0


def test_devices_of_several_sizes() -> None:
    whole, of_1g = series(), series(slice="1", profile="1g.10gb")
    assert measured(workload(), whole, of_1g).sizes_differ
    assert measured(workload(), of_1g, series(slice="1", profile="3g.40gb")).sizes_differ
    assert not measured(workload(), of_1g, series(slice="2", profile="1g.10gb")).sizes_differ


def test_a_device_with_the_number_of_a_slice_is_not_a_whole_gpu() -> None:
    assert measured(workload(), series()).whole
    assert not measured(workload(), series(slice="1")).whole
    assert not measured(workload(), series(), series("w-2", slice="1", profile="1g.10gb")).whole


def test_memory_earlier_is_the_most_of_any_device() -> None:
    early, late = series(memory_earlier=3 * GIB), series("w-2", uuid="GPU-2")
    assert measured(workload(), early, late).memory_earlier == 3 * GIB
    assert measured(workload(), late).memory_earlier is None
