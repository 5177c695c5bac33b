"""Gathering: which labels name the pod, which metric counts, what restarts and shared devices make of it."""

import re
from collections.abc import Mapping, Sequence

import pytest

from webhook.adapters.prometheus.client import QueryError, Sample
from webhook.adapters.prometheus.dcgm import FAMILIES, NO_BANDWIDTH, NO_ENGINES, family_of, node_of
from webhook.adapters.prometheus.expressions import STAT, compute, matching, of_namespaces
from webhook.adapters.prometheus.gathering import Gatherer
from webhook.application.recommendation.usage import Metric, Series

SM, GR, UTIL = Metric.SM_ACTIVE, Metric.GR_ENGINE_ACTIVE, Metric.GPU_UTIL
USED = "DCGM_FI_DEV_FB_USED"
Labels = Mapping[str, str]
COMPUTE = {
    "p95": 0.4,
    "p95_by_time": 0.3,
    "max": 0.5,
    "mean": 0.2,
    "by_time": 0.3,
    "deviation": 0.1,
    "points": 100,
    "idle": 0.1,
} | {
    "first": 10,
    "last": 20,
    "hourly": 120,
    "recent_mean": 0.3,
    "recent_deviation": 0.4,
    "recent_points": 30,
}
MEMORY = {"used": 3000, "earlier": 2000, "low": 1000, "counted": 90, "free": 70_000, "reserved": 500}


class Fake:
    """A server that has series by metric, and the same numbers for each of them but for what a test says."""

    def __init__(
        self, series: Mapping[str, Sequence[Labels]], sharing: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self.having = series
        self.sharing = sharing or {}
        self.requests = 0
        self.warnings: dict[str, None] = {}
        self.queries: list[str] = []
        self.selectors: list[str] = []
        self.numbers: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        self.itself: dict[str, float] = {}
        self.hours: dict[str, tuple[float, ...]] = {}
        self.by_instance: dict[str, dict[str, float]] = {}
        self.gaps: Mapping[str, float] = {}
        self.gaps_since_first: Mapping[str, float] = {}
        self.zeros: Mapping[str, float] = {}
        self.by_metric: Mapping[str, Mapping[str, float]] = {}

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        self.selectors += selectors
        return [
            dict(one) for name, found in self.having.items() if selectors[0].startswith(f"{name}{{") for one in found
        ]

    def query(self, expression: str, at: float) -> list[Sample]:
        self.queries.append(expression)
        metric = next(name for name in (*Metric, USED) if f"{name}{{" in expression)
        found = self.having.get(metric, ())
        gaps = self.gaps_since_first if "and count_over_time" in expression else self.gaps
        for stat, shares in (("gaps", gaps), ("zeros", self.zeros)):
            if f'"{stat}"' in expression:
                values = [value for name, value in shares.items() if name == metric]
                return [Sample({**one, STAT: stat}, (at, str(value))) for one in found for value in values]
        if "count by (UUID, GPU_I_ID)" in expression:
            devices = {(one["UUID"], one.get("GPU_I_ID", "")) for one in found}
            return [
                Sample({"UUID": uuid, "GPU_I_ID": number, STAT: stat}, (at, str(value)))
                for uuid, number in devices
                for stat, value in self.sharing.get(metric, {"pods": 1}).items()
            ]
        if expression.startswith("max by (UUID, GPU_I_ID)"):
            itself = {name: value for name, value in self.itself.items() if name == metric}.values()
            return [Sample({"UUID": "GPU-1"}, (at, str(value))) for value in itself]
        if expression.startswith("label_replace(min by (UUID, GPU_I_ID"):
            return [
                Sample({**one, STAT: stat}, (at, str(value)))
                for one in found
                for stat, value in zip(("first", "last"), self.hours.get(one["exported_pod"], (10, 20)), strict=False)
            ]
        usual = {**MEMORY, **self.memory} if metric == USED else COMPUTE
        stats = {
            **usual,
            **{stat: value for stat, value in self.numbers.items() if (stat in COMPUTE) is (usual is COMPUTE)},
        }
        stats |= self.by_metric.get(metric, {})
        return [
            Sample({**one, STAT: stat}, (at, str(value)))
            for one in found
            for stat, value in {**stats, **self.by_instance.get(one.get("instance", ""), {})}.items()
        ]


def labels(pod: str = "p", **more: str) -> dict[str, str]:
    return {"UUID": "GPU-1", "exported_pod": pod, "exported_namespace": "a", "modelName": "NVIDIA L4", **more}


def gathered(server: Fake, *namespaces: str) -> list[Series]:
    return Gatherer(server, 1000.0, 500.0, 0.01).usage(namespaces).series


def test_the_best_metric_counts_and_utilisation_is_a_percentage() -> None:
    (one,) = gathered(Fake({SM: [labels()], GR: [labels()], UTIL: [labels()], USED: [labels()]}))
    assert (one.metric, one.p95, one.most, one.mean, one.idle) == (SM, 0.4, 0.5, 0.2, 0.1)
    assert one.by_time == 0.3
    assert one.working == pytest.approx(0.25)  # (0.2² + 0.1²) / 0.2
    assert [one.recent, one.recent_working] == pytest.approx([0.3, 0.25 / 0.3])
    assert (one.points, one.interval, one.first, one.last) == (100, 30, 10, 20)
    assert (one.memory, one.memory_low, one.capacity, one.engines) == (3000, 1000, 73_500, None)
    assert (one.memory_earlier, one.memory_points) == (2000, 90)
    (two,) = gathered(Fake({GR: [labels()], UTIL: [labels()]}))
    assert (two.metric, two.memory) == (GR, None)
    server = Fake({UTIL: [labels()]})
    server.numbers = {"p95": 30, "p95_by_time": 40, "max": 50, "mean": 20, "by_time": 45, "encoder": 30, "decoder": 0}
    (three,) = gathered(server)
    assert (three.metric, three.p95, three.most, three.mean, three.by_time) == (UTIL, 0.4, 0.5, 0.2, 0.45)
    assert any("< bool 1)" in query for query in server.queries)


@pytest.mark.parametrize("engine", ["encoder", "decoder"])
def test_missing_video_engines_are_reported(engine: str) -> None:
    server = Fake({SM: [labels()], USED: [labels()]})
    assert NO_ENGINES in Gatherer(server, 1000.0, 500.0, 0.01).usage().missing
    server.memory = {engine: 0}
    assert NO_ENGINES not in Gatherer(server, 1000.0, 500.0, 0.01).usage().missing
    assert NO_ENGINES not in Gatherer(Fake({}), 1000.0, 500.0, 0.01).usage().missing


def test_a_pod_with_a_slot_of_a_shared_device_is_known_to_have_its_own_series() -> None:
    assert [one.is_slot for one in gathered(Fake({SM: [labels()]}))] == [False]
    assert [one.is_slot for one in gathered(Fake({SM: [labels(vgpu="0")]}))] == [True]


@pytest.mark.parametrize(
    ("of_pod", "itself", "metric"),
    [
        ({"vgpu": "0"}, {}, None),  # the device's own series are not there, so pods may be blind
        ({"vgpu": "0"}, {UTIL: 60.0}, None),
        ({"vgpu": "0"}, {UTIL: 0.0}, UTIL),
        ({}, {}, UTIL),  # no slot: the series are the device's
    ],
)
def test_a_slot_without_use_is_compared_with_its_device(
    of_pod: Labels, itself: dict[str, float], metric: str | None
) -> None:
    server = Fake({UTIL: [labels(**of_pod)], USED: [labels(**of_pod)]})
    server.numbers = {"p95": 0, "p95_by_time": 0, "max": 0, "mean": 0, "by_time": 0, "deviation": 0}
    server.memory, server.itself = {"used": 0}, itself
    usage = Gatherer(server, 1000.0, 500.0, 0.01).usage()
    assert [one.metric for one in usage.series] == [metric]
    assert any("the exporter does not see the processes of pods" in one for one in usage.missing) is (metric is None)


def test_memory_bandwidth_is_weighted_by_its_work_and_missing_bandwidth_is_reported() -> None:
    server = Fake({SM: [labels()], USED: [labels()]})
    assert NO_BANDWIDTH in Gatherer(server, 1000.0, 500.0, 0.01).usage().missing
    assert [(one.bandwidth, one.bandwidth_working) for one in gathered(server)] == [(None, 0)]
    server.memory = {"bandwidth": 0.3, "bandwidth_mean": 0.2, "bandwidth_deviation": 0.1, "bandwidth_points": 10}
    assert NO_BANDWIDTH not in Gatherer(server, 1000.0, 500.0, 0.01).usage().missing
    (one,) = gathered(server)
    assert [one.bandwidth, one.bandwidth_working] == pytest.approx([0.3, 0.25])
    server.memory["bandwidth_mean"] = 9.2e18
    (one,) = gathered(server)
    assert (one.bandwidth, one.memory) == (None, None)


def test_memory_bandwidth_of_a_shared_gpu_is_not_its_pods_own() -> None:
    pods = [labels("p"), labels("q")]
    server = Fake({SM: pods, USED: pods}, {SM: {"pods": 2, "together": 9, "apart": 0.1}})
    server.memory = {"bandwidth": 0.3}
    assert {(one.bandwidth, one.bandwidth_working) for one in gathered(server)} == {(None, 0)}


@pytest.mark.parametrize(("apart", "util", "seen"), [(0, 60, False), (0, 0, True), (0, 9e18, True), (5, 60, True)])
def test_processes_are_seen_if_the_device_is_idle_or_another_namespace_has_memory_there(
    apart: float, util: float, *, seen: bool
) -> None:
    server = Fake({UTIL: [labels()], USED: [labels()]}, {USED: {"pods": 2, "together": 9, "apart": apart}})
    server.numbers = {"max": 0, "p95": 0, "mean": 0}
    server.memory = {"used": 0, "free": 5_000}
    server.itself = {UTIL: util, USED: 9_000}
    server.hours = {"p": ()}
    found = Gatherer(server, 1000.0, 500.0, 0.01).usage(["a"])
    assert [(one.metric is not None, one.capacity) for one in found.series] == [(seen, 14_500)]
    assert any("set hostPID: true for it (1 pod)" in one for one in found.missing) is not seen


def test_utilisation_says_nothing_of_a_slice() -> None:
    slice_ = labels(GPU_I_ID="3", GPU_I_PROFILE="1g.5gb")
    (one,) = gathered(Fake({UTIL: [slice_]}))
    assert (one.metric, one.points, one.profile, one.slice, one.by_time) == (None, 0, "1g.5gb", "3", None)
    (two,) = gathered(Fake({UTIL: [slice_], GR: [slice_]}))
    assert two.metric == GR


def test_series_of_one_pod_and_device_are_put_together() -> None:
    restarted = [labels(instance="a"), labels(instance="b")]
    server = Fake({SM: restarted})
    server.by_instance = {"b": {"first": 20, "last": 30}}
    (one,) = gathered(server)
    assert (one.points, one.p95) == (200, 0.4)
    assert one.mean == pytest.approx(0.2)
    two = gathered(Fake({SM: [labels(), labels(UUID="GPU-2")]}))
    assert {each.uuid for each in two} == {"GPU-1", "GPU-2"}


def test_samples_of_two_scrapes_of_one_exporter_count_once() -> None:
    server = Fake({SM: [labels(instance="a"), labels(instance="b")]})
    server.by_instance = {"b": {"first": 11, "last": 19, "points": 80, "mean": 0.8, "max": 0.7}}
    (one,) = gathered(server)
    assert (one.points, one.most) == (100, 0.7)
    assert one.mean == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("metric", "numbers", "known"),
    [
        (SM, {"max": 1.2}, (True, True)),
        (UTIL, {"max": 100, "p95": 99}, (True, True)),
        (UTIL, {"max": 0.9, "p95": 0.8}, (False, True)),
        (UTIL, {"max": 1, "p95": 0.8}, (True, True)),
        (SM, {"max": 9.2e18}, (False, True)),
        (SM, {"p95": float("inf")}, (False, True)),
        (SM, {"mean": float("nan")}, (False, True)),
        (SM, {"low": float("nan")}, (True, False)),
        (UTIL, {"mean": 9.2e18}, (False, True)),
        (SM, {"used": 9.2e18}, (True, False)),
        (SM, {"decoder": 9.2e18}, (True, False)),
    ],
)
def test_numbers_that_no_gpu_can_have_are_not_counted_and_said(
    metric: Metric, numbers: Mapping[str, float], known: tuple[bool, bool]
) -> None:
    server = Fake({metric: [labels()], USED: [labels()]})
    server.numbers = dict(numbers)
    usage = Gatherer(server, 1000.0, 500.0, 0.01).usage()
    (one,) = usage.series
    assert (one.metric is not None, one.memory is not None) == known
    assert any("of a/p has the value" in note for note in usage.missing) is (known != (True, True))


@pytest.mark.parametrize(
    "other", [{"cluster": "b"}, {}, {"cluster": "a", "k8s_cluster": "x"}], ids=["two", "one-without", "by-another"]
)
def test_series_of_several_clusters_are_not_mixed(other: Labels) -> None:
    server = Fake({SM: [labels(cluster="a"), labels("q", UUID="GPU-2", **other)]})
    with pytest.raises(QueryError, match=r"come from several clusters, (k8s_)?cluster: .*--prometheus-label"):
        gathered(server)


def test_the_cluster_that_is_named_is_asked_for_everywhere() -> None:
    server = Fake({SM: [labels(cluster="a"), labels("q", cluster='b"')], USED: [labels(cluster="a")]})
    names = {"cluster": ["a", 'b"']}
    Gatherer(server, 1000.0, 500.0, 0.01, labels=names).usage()
    assert len(server.queries) > 3
    for query in (*server.queries, *server.selectors):
        assert query.count("{") == query.count(r',cluster=~"a|b\\\""}')
    nothing = Fake({})
    Gatherer(nothing, 1000.0, 500.0, 0.01, labels=names).usage()
    assert nothing.selectors[-1] == USED + r'{cluster=~"a|b\\\""}'


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        # One value for all: the device's.
        ({SM: {"pods": 2, "together": 9, "apart": 0}}, (SM, 2, True)),
        ({SM: {"pods": 2, "together": 9, "apart": float("nan")}}, (SM, 2, True)),
        # Utilisation by process differs, so it is the pods' own.
        ({SM: {"pods": 2, "together": 9, "apart": 0}, UTIL: {"pods": 2, "together": 9, "apart": 5}}, (UTIL, 2, False)),
        # One pod after another, seen together within a few minutes.
        ({SM: {"pods": 2, "together": 2, "apart": 0}}, (SM, 1, False)),
    ],
)
def test_shared_devices(sharing: Mapping[str, Mapping[str, float]], expected: tuple[Metric, int, bool]) -> None:
    both = [labels("p"), labels("q")]
    server = Fake({SM: both, UTIL: both}, sharing)
    server.numbers = {"max": 1}
    one, two = gathered(server)
    for each in (one, two):
        assert (each.metric, each.pods, each.compute_of_device) == expected


def test_many_pods_one_after_another_share_nothing() -> None:
    pods = [labels(f"p{number}") for number in range(10)]
    for together, shared in ((3 * 9 - 1, 1), (3 * 9, 2)):
        found = gathered(Fake({SM: pods}, {SM: {"pods": 2, "together": together, "apart": 0}}))
        assert {one.pods for one in found} == {shared}


def test_devices_of_one_pod_are_not_asked_about_unless_other_namespaces_are_unseen() -> None:
    alone = Fake({SM: [labels()]})
    gathered(alone)
    assert not any("count by" in query for query in alone.queries)
    others = Fake({SM: [labels(), labels("q", exported_namespace="b")]})
    gathered(others, "a")
    assert any("count by" in query for query in others.queries)


@pytest.mark.parametrize(
    ("p", "q", "asked"),
    [
        ((10, 20), (20, 30), False),
        ((10, 20), (30, 40), False),
        ((10, 21), (20, 30), True),
        ((10, 40), (20, 30), True),
        # Both were there within an hour: at once, or one after the other.
        ((10, 20), (20, 20), True),
        ((10, 10), (10, 20), True),
        ((10, 10), (10, 10), True),
        # It came and went between two full hours.
        ((10, 20), (), True),
    ],
)
def test_pods_that_follow_one_another_are_not_looked_at_closely(
    p: tuple[float, ...], q: tuple[float, ...], *, asked: bool
) -> None:
    server = Fake({SM: [labels("p"), labels("q")]}, {SM: {"pods": 2, "together": 9, "apart": 0}})
    server.hours = {"p": p, "q": q}
    assert {one.pods for one in gathered(server)} == {2 if asked else 1}
    assert any("count by" in query for query in server.queries) is asked


@pytest.mark.parametrize(
    ("found", "pod"),
    [
        (
            {"exported_pod": "p", "exported_namespace": "a", "pod": "dcgm-exporter-1", "namespace": "gpu"},
            "exported_pod",
        ),
        ({"pod": "p", "namespace": "a", "container": "main"}, "pod"),
        ({"pod_name": "p", "pod_namespace": "a", "pod": "dcgm-exporter-1", "namespace": ""}, "pod_name"),
        ({"pod": "dcgm-exporter-1", "namespace": "gpu", "container": "nvidia-dcgm-exporter"}, None),
        ({"pod": "nvidia-dcgm-exporter-1", "namespace": "gpu"}, None),
        ({"pod": "", "namespace": "gpu"}, None),
        ({}, None),
    ],
)
def test_the_labels_that_name_the_pod(found: Labels, pod: str | None) -> None:
    family = family_of(found)
    assert (family.pod if family else None) == pod


def test_the_node() -> None:
    assert node_of({"hostname": "a", "Hostname": "b"}) == "a"
    assert node_of({"Hostname": "b", "instance": "c"}) == "b"
    assert node_of({"instance": "c"}) == "c"


def test_names_can_not_leave_their_place_in_a_query() -> None:
    text = matching(FAMILIES[0].namespace, FAMILIES[0].pod, {("a", 'x"} or up{y="\\'), ("a", "web-1.z")})
    assert text == r"""{exported_namespace=~"a",exported_pod=~"web-1\\.z|x\\\"\\} or up\\{y\\=\\\"\\\\"}"""
    assert of_namespaces("M", FAMILIES[1], ["b", "a"]) == 'M{pod!="",namespace=~"a|b"}'


def test_many_pods_are_asked_for_in_batches() -> None:
    server = Fake({SM: [labels(f"p{number}", UUID=f"GPU-{number}") for number in range(250)]})
    assert len(gathered(server)) == 250
    assert sum(f"quantile_over_time(0.95, {SM}" in query for query in server.queries) == 3


def test_an_error_that_less_would_not_help_is_raised() -> None:
    server = Fake({SM: [labels()]})

    def fails(expression: str, at: float) -> list[Sample]:
        raise QueryError("no")

    server.query = fails  # type: ignore[method-assign]
    with pytest.raises(QueryError, match="no"):
        gathered(server)


@pytest.mark.parametrize("too_much", [True, False])
def test_series_that_are_too_many_to_list_are_to_be_read_in_parts(*, too_much: bool) -> None:
    server = Fake({})

    def fails(selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        raise QueryError("an answer of more than 64 MiB", too_much=too_much)

    server.series = fails  # type: ignore[method-assign]
    with pytest.raises(QueryError) as caught:
        gathered(server)
    assert ("-n" in caught.value.detail) is too_much


def test_a_little_above_all_of_a_device_is_all_of_it() -> None:
    server = Fake({SM: [labels()]})
    server.numbers = {"p95": 1.02, "max": 1.1, "mean": 1.01, "deviation": 0.1}
    (one,) = gathered(server)
    assert (one.p95, one.most, one.mean, one.working) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("gaps", "since_first", "known", "asked"),
    [
        ({SM: 0}, {SM: 0.9}, 0, 1),  # without gaps, the hours before the first sample do not matter
        ({SM: 0.3}, {SM: 0.04}, 0.04, 2),
        ({SM: 0.3}, {}, 0.3, 2),
        ({}, {}, 0, 1),
    ],
)
def test_gaps_of_the_chosen_metric_are_read_since_its_first_sample(
    gaps: Mapping[str, float], since_first: Mapping[str, float], known: float, asked: int
) -> None:
    server = Fake({SM: [labels()], USED: [labels()]})
    server.gaps, server.gaps_since_first = gaps, since_first
    assert gathered(server)[0].gaps == known
    assert sum('"gaps"' in query for query in server.queries) == asked


def test_looks_at_idle_time_meet_hourly_work_as_often_as_it_runs() -> None:
    query = compute(SM, "{}", 14 * 86_400, 0.01)
    found = re.search(r"< bool 0\.01\)\[1209600s:(\d+)s\]", query)
    assert found
    looks = range(0, 14 * 86_400, int(found[1]))
    met = sum(at % 3600 < 240 for at in looks) / len(looks)  # 4 minutes from the full hour
    assert met == pytest.approx(240 / 3600, abs=0.01)


@pytest.mark.parametrize(
    ("zeros", "more", "counts"),
    [
        ({SM: 1, GR: 1}, {}, UTIL),
        ({SM: 1, GR: 0}, {}, GR),
        ({SM: 0.06, GR: 0.05}, {}, GR),
        ({SM: 0.05, GR: 1}, {}, SM),
        ({}, {}, SM),  # the lesser ones are always 0, too
        ({SM: 1, GR: 1}, {"GPU_I_ID": "3"}, GR),  # of slices, utilisation says nothing
    ],
)
def test_a_metric_that_is_0_for_hours_in_which_a_lesser_one_is_not_is_replaced(
    zeros: Mapping[str, float], more: Labels, counts: Metric
) -> None:
    server = Fake({metric: [labels(**more)] for metric in Metric})
    server.zeros = zeros
    server.by_metric = {GR: {"max": 0.6}, UTIL: {"max": 60, "p95": 50}}
    found = Gatherer(server, 1000.0, 500.0, 0.01).usage()
    (one,) = found.series
    assert (one.metric, one.most) == (counts, 0.5 if counts is SM else 0.6)
    notes = [note for note in found.missing if "of the hours in which its GPU was in use" in note]
    percent = round(zeros.get(SM, 0) * 100)
    start, end = f"{SM} of a/p is 0 for {percent} % ", f"so {counts} counts; "
    assert [start in note and end in note for note in notes] == [True] * (counts is not SM)


@pytest.mark.parametrize(
    ("gaps", "zeros", "counts", "why"),
    [
        (
            {SM: 0.06},
            {},
            GR,
            f"{SM} of a/p is missing for 6 % of the hours in which memory was measured, so {GR} counts",
        ),
        ({SM: 0.06}, {SM: 0.1}, GR, f"{SM} of a/p is 0 for 10 % of the hours"),
        (
            {SM: 0.06},
            {GR: 1},
            UTIL,
            f"{SM} of a/p is missing for 6 % of the hours in which memory was measured, so {UTIL}",
        ),
        ({SM: 0.05, GR: 0.9}, {}, SM, ""),
        ({SM: 0.05, GR: 0.9}, {SM: 0.05}, SM, ""),
        ({SM: 0.9, GR: 0.9, UTIL: 0.8}, {}, UTIL, f"so {UTIL} counts"),  # there is no better one
    ],
)
def test_a_metric_that_is_missing_for_hours_is_replaced_if_there_is_another(
    gaps: Mapping[str, float], zeros: Mapping[str, float], counts: Metric, why: str
) -> None:
    server = Fake({metric: [labels()] for metric in (*Metric, USED)})
    server.gaps = server.gaps_since_first = gaps
    server.zeros = zeros
    server.by_metric = {UTIL: {"max": 60, "p95": 50}}
    found = Gatherer(server, 1000.0, 500.0, 0.01).usage()
    assert [(one.metric, one.gaps) for one in found.series] == [(counts, gaps.get(counts, 0))]
    notes = [note for note in found.missing if " counts; " in note]
    assert [why in note for note in notes] == [True] * bool(why)


def test_a_metric_is_compared_with_all_lesser_ones_that_are_meaningful() -> None:
    server = Fake({metric: [labels(), labels("s", UUID="GPU-2", GPU_I_ID="3")] for metric in Metric})
    gathered(server)
    compared = sorted(
        (tuple(metric for metric in Metric if f"{metric}{{" in query), set(re.findall('exported_pod=~"(.)"', query)))
        for query in server.queries
        if '"zeros"' in query
    )
    assert compared == [((SM, GR), {"s"}), ((SM, GR, UTIL), {"p"})]


@pytest.mark.parametrize(("idle", "idle_below", "compared"), [(0.1, 0.01, True), (0, 0.01, False), (0, 0, True)])
def test_a_metric_that_is_never_0_is_not_compared(idle: float, idle_below: float, *, compared: bool) -> None:
    server = Fake({metric: [labels()] for metric in Metric})
    server.numbers = {"idle": idle}
    Gatherer(server, 1000.0, 500.0, idle_below).usage()
    assert any('"zeros"' in query for query in server.queries) is compared


def test_no_metric_is_left_if_the_one_that_replaces_another_has_impossible_values() -> None:
    server = Fake({SM: [labels()], UTIL: [labels()]})
    server.zeros = {SM: 1}
    server.by_metric = {UTIL: {"max": 9.2e18}}
    assert [one.metric for one in gathered(server)] == [None]
