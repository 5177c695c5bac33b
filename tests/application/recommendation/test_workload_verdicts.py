"""Verdicts: which form fits, and where nothing is recommended."""

from typing import Any

import pytest
from msgspec import structs

from tests.application.recommendation.cases import A100, GIB, SHARED, SLICES, case, form, offered
from webhook.application.recommendation.offers import Offers, SharedForm, Slice
from webhook.application.recommendation.servers import recognise
from webhook.application.recommendation.thresholds import parse
from webhook.application.recommendation.usage import Metric
from webhook.application.recommendation.verdicts import VerdictKind
from webhook.application.recommendation.workload_verdicts import evaluate
from webhook.application.recommendation.workloads import LivePod

VLLM = recognise("vllm/vllm-openai:v1", ["--model", "llama"], {})
MIG: dict[str, Any] = {"form": "mig-3g.40gb", "requests": ("nvidia.com/mig-3g.40gb: 1",)}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        # Nothing is recommended from too little data, whatever it says.
        ({"used": {"points": 99}}, "too little data: 99 samples; 100 are needed"),
        ({"used": {"days": 2.9}}, "too little data: 2.9 days; 3 are needed"),
        (
            {"used": {"expected": 50_000, "most": 0.0, "p95": 0.0}},
            "20160 of about 50000 samples (40 %); 50 % are needed",
        ),
        (
            {"gpus": 2, "used": {"used": None, "incomplete": 3, "points": 1}},
            "a pod requests 2 GPUs, and 3 of its pods have series of fewer: whether all are used is unknown",
        ),
        # A pod that runs and is not seen may use its GPUs.
        (
            {"used": {"most": 0.0, "p95": 0.0, "unseen": 1}},
            "not used as far as is known; running pods without a sample in the last",
        ),
        # So may one of which much is missing.
        (
            {"used": {"most": 0.0, "p95": 0.0, "unbroken": 25_000}},
            "not used as far as is known; between the first and the last sample 20160 of about 25000 are there (80 %); 90 %",
        ),
        (
            {"gpus": 2, "used": {"used": 1, "unbroken": 25_000}},
            "1 of 2 GPUs of a pod was never used as far as is known; between",
        ),
        (
            {**MIG, "used": {"profile": "1g.10gb"}, "pods": [LivePod("w-1", 1.0)]},
            "it requests mig-3g.40gb, but its series are of 1g.10gb, so what it uses of its slice is unknown",
        ),
        # Processes come and go, though the metric is 0: it does not work. A context alone (below 512 MiB) is no use of a GPU.
        (
            {"used": {"most": 0.0, "p95": 0.0, "memory": 512, "moved": 512}},
            "not used as far as is known; DCGM_FI_PROF_SM_ACTIVE is always 0 there, but the memory in use changed, up to 0.5 GiB",
        ),
        (
            {"gpus": 2, "used": {"used": 1, "moved": 9 * GIB}},
            "1 of 2 GPUs of a pod was never used as far as is known; DCGM_FI_PROF_SM_ACTIVE is always 0 there",
        ),
        # A compute instance has a part of a slice's compute, and all of its memory.
        ({"used": {"profile": "1c.3g.40gb"}}, "its series are of 1c.3g.40gb, which is not a MIG profile"),
        (
            {"used": {"capacity": 80, "memory": 5}},
            "memory unknown: DCGM_FI_DEV_FB_USED and DCGM_FI_DEV_FB_FREE are less than",
        ),
        ({"gpus": 2, "used": {"used": 1, "unseen": 1}}, "1 of 2 GPUs of a pod was never used as far as is known"),
        # A share of a slice is none of a GPU.
        ({"used": {"sizes_differ": True}}, "it ran on whole GPUs and MIG slices, or on slices of several sizes"),
        (
            {"form": "mig-3g.40gb", "used": {"whole": True}},
            "it requests mig-3g.40gb, but its series are of whole GPUs (no label GPU_I_ID)",
        ),
        # What it used then is not known.
        (
            {"used": {"gaps": 0.06}},
            "DCGM_FI_PROF_SM_ACTIVE is missing for 6.0 % of the hours in which memory was measured",
        ),
        # Most samples are not most of the time.
        (
            {"used": {"mean": 0.05, "by_time": 0.09}},
            "its samples are sparser at times of more use: the average of the samples",
        ),
        (
            {"exempt": "scheduler"},
            "the configuration exempts its pods (scheduler), so no policy gives them another form",
        ),
        # Nor where it is unknown how much memory is needed.
        ({"used": {"memory": None}}, "memory unknown: there is no usable series of DCGM_FI_DEV_FB_USED"),
        (
            {"used": {"without_memory": 2}},
            "memory unknown: of 2 of its pods' GPUs or slices DCGM_FI_DEV_FB_USED is 0, or",
        ),
        # What its pods do now is not known; where some are seen, they speak for all.
        ({"used": {"unseen": 1}}, "running pods without a sample in the last day: 1 of 1; is the exporter on"),
        ({"used": {"capacity": None}}, "memory unknown: there is no series of DCGM_FI_DEV_FB_FREE"),
        (
            {"used": {"memory_shared": True}},
            "memory unknown: DCGM_FI_DEV_FB_USED is the total of all pods on the device",
        ),
        ({"program": VLLM}, "memory unknown: vLLM reserves a share of the GPU"),
        (
            {"used": {"memory": 60 * GIB, "flat": True}},
            "memory unknown: 75 % of the GPU's memory is in use all the time",
        ),
    ],
)
def test_unknown_where_it_must_be(given: dict[str, Any], why: str) -> None:
    verdict = evaluate(case(trusted=True, offers=offered(shared=SHARED), **given))
    assert (verdict.kind, verdict.form) == (VerdictKind.UNKNOWN, "")
    assert why in verdict.reasons[0]


@pytest.mark.parametrize(
    ("used", "fields", "kind"),
    [
        ({"most": 0.0, "p95": 0.0, "flat": True}, {}, VerdictKind.UNUSED),
        ({"used": 1}, {"gpus": 2}, VerdictKind.FEWER),
        ({"used": 2}, {"gpus": 2}, VerdictKind.EXCLUSIVE),
        ({}, {"program": recognise("a", ["--hostfile", "b"], {})}, VerdictKind.EXCLUSIVE),
        ({"shared_by": 2}, {"form": "mps"}, VerdictKind.AS_IT_IS),
    ],
)
def test_what_needs_no_comparison_is_known_in_spite_of_other_doubts(
    used: dict[str, Any], fields: dict[str, Any], kind: VerdictKind
) -> None:
    """The order of the table in docs/how-to/recommend.md."""
    doubts = {"sizes_differ": True, "by_time": 0.09, "memory": None}
    assert evaluate(case(used={**doubts, **used}, exempt="scheduler", **fields)).kind is kind


@pytest.mark.parametrize(
    ("given", "form", "why"),
    [
        # The smallest slice with enough of both, with 15 % more memory than was ever used.
        ({}, "mig-1g.10gb", "mig-1g.10gb has 9.5 GiB and 13 % of a GPU's compute"),
        ({"used": {"memory": 8.3 * GIB}}, "mig-2g.20gb", "8.3 GiB of memory at most, 9.5 GiB with 15 % headroom"),
        ({"used": {"p95": 0.2}}, "mig-2g.20gb", "95 % of the time at most 20 % of the GPU"),
        ({"used": {"p95": 0.38, "memory": 30 * GIB}}, "mig-3g.40gb", "38 % of the GPU"),
        # Idle most of the day: what it uses while it works counts, and at most its most.
        (
            {"used": {"p95": 0.0, "mean": 0.01, "idle": 0.96, "most": 0.9}},
            "mig-2g.20gb",
            "uses 25 % of a GPU on average",
        ),
        ({"used": {"p95": 0.0, "mean": 0.01, "idle": 0.99, "most": 0.12}}, "mig-1g.10gb", "uses 12 % of a GPU on av"),
        ({"used": {"p95": 0.0, "mean": 0.001, "idle": 1.0, "most": 0.38}}, "mig-3g.40gb", "uses 38 % of a GPU on av"),
        # A little all day, and much for an hour: its work is done in that hour.
        (
            {"used": {"p95": 0.02, "mean": 0.05, "working": 0.38, "most": 0.9}},
            "mig-3g.40gb",
            "38 % of a GPU on average",
        ),
        # Much since yesterday, of which the 95 % and the average know little.
        (
            {"used": {"p95": 0.02, "recent": 0.1, "recent_working": 0.38, "most": 0.9}},
            "mig-3g.40gb",
            "at most 2.0 % of the GPU, in the last day 10 % on average / while it was active in the last day, it used 38 % of a",
        ),
        ({"used": {"unseen": 1}, "pods": [LivePod("w-1", 1.0), LivePod("w-2", 1.0)]}, "mig-1g.10gb", "13 % of a GPU's"),
        ({"pods": []}, "mig-1g.10gb", "13 % of a GPU's"),  # none runs, so none lacks samples
        # Memory that grows may grow on; what rises by less than the headroom does not grow.
        (
            {"used": {"memory": 6 * GIB, "memory_earlier": 3 * GIB}},
            "mig-2g.20gb",
            "grew by 3.0 GiB from the first half",
        ),
        ({"used": {"memory": 8 * GIB, "memory_earlier": 7 * GIB}}, "mig-1g.10gb", "8.0 GiB of memory at most, 9.2 GiB"),
        # Also where the namespace is trusted: isolation first.
        ({"trusted": True, "offers": offered(shared=SHARED)}, "mig-1g.10gb", "13 % of a GPU's compute"),
        # What was measured on a slice is a share of the slice: 30 % of 3/7.
        ({"used": {"p95": 0.3, "profile": "3g.40gb", "capacity": 40_192}, **MIG}, "mig-1g.10gb", "30 % of the slice"),
        ({"used": {"p95": 0.97, "profile": "3g.40gb"}, **MIG}, "mig-3g.40gb", "the slice that it has is full at times"),
        # The exporter does not say of which profile the slice is; the workload does.
        ({"used": {"p95": 0.9, "profile": ""}, "form": "mig-1g.10gb"}, "mig-1g.10gb", "90 % of the slice"),
        # What is used at times is more than a slice has.
        (
            {"used": {"most": 0.98}},
            "mig-1g.10gb",
            "up to 98 % of a GPU at times, and would then take longer on the slice",
        ),
        # Its annotation requests more than it used; what it used is more than its annotation.
        ({"memory": 30 * GIB}, "mig-3g.40gb", "but its annotation gpuwarden.io/gpu-memory requests 30.0 GiB"),
        ({"memory": 4 * GIB}, "mig-1g.10gb", "5.0 GiB of memory at most, 5.8 GiB with 15 % headroom"),
        # A slice has fewer multiprocessors than its part of the GPU: 14 and 28 of 108 on an A100.
        ({"used": {"p95": 0.135}}, "mig-2g.20gb", "26 % of a GPU's compute"),
        ({"used": {"p95": 0.27}}, "mig-3g.40gb", "39 % of a GPU's compute"),
        # Flat memory is known where it is not most of the device.
        ({"used": {"flat": True}}, "mig-1g.10gb", "5.0 GiB of memory"),
    ],
)
def test_the_smallest_slice_that_fits(given: dict[str, Any], form: str, why: str) -> None:
    verdict = evaluate(case(**given))
    assert (verdict.kind, verdict.form) == (VerdictKind.SLICE, form)
    assert why in " / ".join(verdict.reasons)


def test_use_of_a_slice_is_a_share_of_the_multiprocessors_that_its_nodes_state() -> None:
    small, middle, large = SLICES
    used: dict[str, Any] = {"p95": 0.9, "profile": "3g.40gb"}
    assert evaluate(case(used=used, offers=offered((small, middle, large)), **MIG)).form == "mig-3g.40gb"
    stated = structs.replace(offered((small, middle, large)), stated_shares={("3g.40gb", A100): 28 / 108})
    assert evaluate(case(used=used, offers=stated, **MIG)).form == "mig-2g.20gb"


def test_use_of_a_slice_with_more_multiprocessors_than_its_part_is_not_taken_for_less_than_it_is() -> None:
    model = "H100-80GB-HBM3"
    sizes = {"mig-1g.10gb": 9984, "mig-1g.20gb": 20_096}
    slices = tuple(Slice(form(name), 0.1, memory, model) for name, memory in sizes.items())
    given: dict[str, Any] = {
        "form": "mig-1g.20gb",
        "requests": ("nvidia.com/mig-1g.20gb: 1",),
        "offers": offered(slices),
    }
    # 90 % of 26 multiprocessors are more than the 16 of 1g.10gb; 50 % are not.
    busy, half = ({"p95": p95, "model": model, "profile": "1g.20gb"} for p95 in (0.9, 0.5))
    assert evaluate(case(**given, used=busy)).form == "mig-1g.20gb"
    assert evaluate(case(**given, used=half)).form == "mig-1g.10gb"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"used": {"p95": 0.6}}, "no MIG slice that is offered has enough compute for it"),
        ({"used": {"memory": 60 * GIB}}, "no MIG slice that is offered has enough memory for it"),
        ({"used": {"model": "H100-80GB-HBM3"}}, "no node offers MIG slices of H100-80GB-HBM3"),
        ({"used": {"models_differ": True, "model": ""}}, "it ran on several GPU models"),
        (
            {"used": {"model": ""}, "offers": Offers(SLICES, memory={A100: 1, "Tesla-T4": 1}, whole=frozenset({A100}))},
            "its GPU model is not known (label modelName)",
        ),
        ({"offers": offered(())}, "no node offers MIG slices"),
        (
            {"offers": Offers()},
            "the forms that nodes offer are not known; name those that count as offered with --offer",
        ),
        ({"offers": offered((), SHARED)}, "it would fit mps; sharing isolates neither memory nor faults"),
        ({"trusted": True, "offers": offered((), SHARED), "used": {"p95": 0.26}}, "no node offers MIG slices"),
        ({"trusted": True, "offers": offered((), SHARED), "used": {"memory": 18 * GIB}}, "no node offers MIG slices"),
        ({"used": {"recent_working": 0.5}}, "no MIG slice that is offered has enough compute for it"),
        ({"trusted": True, "offers": offered((), SHARED), "used": {"recent": 0.3}}, "has too little compute for it"),
        (
            {
                "trusted": True,
                "offers": offered((), tuple(structs.replace(one, model="L4") for one in SHARED)),
            },
            f"no node shares GPUs of {A100}",
        ),
        ({"used": {"bandwidth": 0.9}}, "no MIG slice that is offered has enough memory bandwidth for it"),
        (
            {"used": {"bandwidth": 0.1, "bandwidth_working": 0.9}},
            "while it is active, it uses 90 % of the GPU's memory bandwidth",
        ),
        (
            {"trusted": True, "offers": offered((), SHARED), "used": {"bandwidth": 0.25}},
            "that share has too little memory bandwidth (25 % used 95 % of the time at most) for it",
        ),
        ({"used": {"engines": 0.4}}, "it uses the video encoder or decoder"),
        (
            {"trusted": True, "offers": offered((), SHARED), "used": {"engines": 0.9}},
            "that share has too little of the video engines (90 % used at most) for it",
        ),
        (
            {"program": recognise("", [], {"NVIDIA_DRIVER_CAPABILITIES": "graphics"})},
            "NVIDIA_DRIVER_CAPABILITIES=graphics requests graphics (OpenGL, Vulkan), which MIG slices do not have",
        ),
        (
            {"trusted": True, "offers": offered((), SHARED), "used": {"p95": 0.26}},
            "4 pods share a GPU in the form mps, and that share (25 % of a GPU) has too little compute for it",
        ),
        (
            {"trusted": True, "offers": offered((), SHARED), "used": {"memory": 18 * GIB, "most": 0.9}},
            "4 pods share a GPU in the form time-slicing, and that share has too little memory for it",
        ),
        # Compute alone says that nothing smaller will do.
        ({"program": VLLM, "used": {"p95": 0.5}}, "more than any smaller form that is offered has"),
        # GPUs that work together, and several GPUs of a pod.
        ({"program": recognise("", ["vllm", "--tensor-parallel-size=2"], {})}, "--tensor-parallel-size 2"),
        (
            {"kind": "PyTorchJob", "pods": [LivePod(str(n), 1) for n in range(4)]},
            "the 4 pods of a PyTorchJob work together",
        ),
        (
            {"kind": "PyTorchJob", "used": {"pods_at_once": 4}},  # one is left of them
            "the 4 pods of a PyTorchJob work together",
        ),
        (
            {"kind": "AppWrapper", "between": ("PyTorchJob",), "pods": [LivePod(str(n), 1) for n in range(4)]},
            "the 4 pods of a PyTorchJob work together",
        ),
        (
            {"gpus": 2, "used": {"used": 2}, "trusted": True},
            "all 2 GPUs of a pod are used; several are never shared",
        ),
    ],
)
def test_a_whole_gpu(given: dict[str, Any], why: str) -> None:
    verdict = evaluate(case(**given))
    assert (verdict.kind, verdict.form) == (VerdictKind.EXCLUSIVE, "exclusive")
    assert why in " / ".join(verdict.reasons)
    assert verdict.gpus == given.get("gpus", 1)


@pytest.mark.parametrize(
    ("used", "form", "why"),
    [
        ({"most": 0.9}, "time-slicing", "bursts: time-slicing suits it"),
        ({"most": 0.2}, "mps", "use stays below 50 %: MPS suits it"),
    ],
)
def test_sharing_where_the_namespace_is_trusted(used: dict[str, Any], form: str, why: str) -> None:
    verdict = evaluate(case(used=used, offers=offered((), SHARED), trusted=True))
    assert (verdict.kind, verdict.form) == (VerdictKind.SHARED, form)
    assert verdict.reasons[-2:] == ("4 such pods fit a GPU", why)


def test_a_metric_that_is_missing_for_a_few_hours_says_enough() -> None:
    assert evaluate(case(used={"gaps": 0.05})).kind is VerdictKind.SLICE


@pytest.mark.parametrize(("metrics", "asked"), [((Metric.GPU_UTIL,), False), (tuple(Metric), True)])
def test_profilers_are_asked_about_where_they_can_take_a_metric_away(
    metrics: tuple[Metric, ...], *, asked: bool
) -> None:
    (why,) = evaluate(case(used={"gaps": 0.06, "metrics": metrics})).reasons
    assert ("does another program use the GPU's profiler" in why) is asked


@pytest.mark.parametrize(
    ("metrics", "how"),
    [
        ((Metric.SM_ACTIVE, Metric.GR_ENGINE_ACTIVE), ""),
        ((Metric.SM_ACTIVE, Metric.GPU_UTIL), "(partly by DCGM_FI_DEV_GPU_UTIL: the time in which anything ran"),
        ((Metric.GPU_UTIL,), "(by DCGM_FI_DEV_GPU_UTIL: the time in which anything ran"),
    ],
)
def test_utilisation_is_named_as_the_metric_of_some_or_all_pods(metrics: tuple[Metric, ...], how: str) -> None:
    used = evaluate(case(used={"metrics": metrics})).reasons[0]
    assert how in used
    assert ("DCGM_FI_DEV_GPU_UTIL" in used) is bool(how)


def test_samples_a_little_sparser_say_enough() -> None:
    assert evaluate(case(used={"mean": 0.05, "by_time": 0.08})).kind is VerdictKind.SLICE


def test_forms_of_nodes_that_keep_its_pods_off_are_not_recommended() -> None:
    kept_off = (("mig-1g.10gb", A100),)
    assert evaluate(case(unreachable=kept_off)).form == "mig-2g.20gb"
    assert evaluate(case(unreachable=(("mig-1g.10gb", "L4"),))).form == "mig-1g.10gb"
    every = tuple((str(one.form), A100) for one in SLICES)
    verdict = evaluate(case(unreachable=every))
    assert (verdict.kind, verdict.form) == (VerdictKind.EXCLUSIVE, "exclusive")
    assert verdict.reasons[-2:] == (
        "node selectors, affinity or taints keep its pods off all nodes that offer mig-1g.10gb, mig-2g.20gb, mig-3g.40gb",
        "no node that its pods may run on offers smaller MIG slices of its GPU model",
    )
    shared = offered((), (SharedForm(form("time-slicing"), 4, None, A100),))
    assert evaluate(case(offers=shared, trusted=True)).form == "time-slicing"
    verdict = evaluate(case(offers=shared, trusted=True, unreachable=(("time-slicing", A100),)))
    assert (verdict.form, "keep its pods off all nodes that offer time-slicing" in " ".join(verdict.reasons)) == (
        "exclusive",
        True,
    )
    # Compute fits no less than a whole GPU where the smaller forms are out of reach.
    verdict = evaluate(case(program=VLLM, unreachable=every, used={"p95": 0.3, "most": 0.4}))
    assert (verdict.kind, verdict.form) == (VerdictKind.EXCLUSIVE, "exclusive")


def test_what_draws_is_never_told_to_share_by_mps() -> None:
    draws = recognise("", [], {"NVIDIA_DRIVER_CAPABILITIES": "all"})
    verdict = evaluate(case(program=draws, offers=offered((), SHARED), trusted=True))
    assert (verdict.form, verdict.reasons[-1]) == ("time-slicing", "time-slicing suits it: MPS is for CUDA only")
    assert evaluate(case(program=draws, offers=offered((), SHARED[:1]), trusted=True)).form == "exclusive"


@pytest.mark.parametrize(
    ("profile", "p95", "why"),
    [
        ("1g.10gb", 0.5, "50 % of the slice (6.5 % of a GPU); no smaller slice is offered"),
        ("1g.10gb", 0.98, "the slice that it has is full at times, so it may need a larger one"),
        (
            "2g.20gb",
            0.7,
            "70 % of the slice (18 % of a GPU): more than any smaller slice that is offered has (mig-1g.10gb: 13 % of a GPU)",
        ),
    ],
)
def test_a_slice_that_compute_needs_stays_though_its_memory_is_full(profile: str, p95: float, why: str) -> None:
    used = {"p95": p95, "profile": profile, "memory": 9 * GIB, "capacity": 10 * GIB, "flat": True}
    verdict = evaluate(case(used=used, form=f"mig-{profile}"))
    assert (verdict.kind, verdict.form, verdict.is_need_unknown) == (VerdictKind.AS_IT_IS, f"mig-{profile}", False)
    assert why in " / ".join(verdict.reasons)
    assert "memory unknown: 90 % of the slice's memory is in use all the time" in verdict.reasons[-1]


def test_a_full_slice_is_unknown_where_less_would_do_for_compute() -> None:
    full = {"memory": 9 * GIB, "capacity": 10 * GIB, "flat": True}
    small = evaluate(case(used={**full, "p95": 0.3, "profile": "2g.20gb"}, form="mig-2g.20gb"))
    assert small.kind is VerdictKind.UNKNOWN
    assert "compute alone would fit mig-1g.10gb" in small.reasons[1]
    shared: dict[str, Any] = {"form": "mig-1g.10gb", "offers": offered(shared=SHARED), "trusted": True}
    assert evaluate(case(used={**full, "profile": "1g.10gb"}, **shared)).kind is VerdictKind.AS_IT_IS


def test_compute_fits_nothing_less_where_nothing_less_is_offered() -> None:
    verdict = evaluate(case(program=VLLM, offers=offered(())))
    assert verdict.reasons[1] == "95 % of the time at most 10 % of the GPU"


@pytest.mark.parametrize(
    ("offers", "trusted", "why"),
    [
        (
            offered(),
            False,
            "90 % of the GPU: more than any smaller form that is offered has (mig-3g.40gb: 39 % of a GPU)",
        ),
        (
            offered((), SHARED),
            True,
            "90 % of the GPU: more than any smaller form that is offered has (mps: 25 % of a GPU)",
        ),
        (offered(()), False, "90 % of the GPU; no smaller form of its GPU model is offered"),
    ],
)
def test_a_whole_gpu_by_compute_names_the_largest_smaller_form(offers: Offers, trusted: bool, why: str) -> None:  # noqa: FBT001
    verdict = evaluate(case(program=VLLM, used={"p95": 0.9, "most": 0.4}, offers=offers, trusted=trusted))
    assert (verdict.kind, verdict.form) == (VerdictKind.EXCLUSIVE, "exclusive")
    assert why in verdict.reasons[0]
    assert verdict.reasons[1].startswith("memory unknown: vLLM reserves")


@pytest.mark.parametrize(
    ("used", "why"),
    [
        ({"p95": 0.6}, "no MIG slice that is offered has enough compute for it: mig-2g.20gb has 26 % of a GPU's"),
        (
            {"memory": 40 * GIB},
            "no MIG slice that is offered has enough memory for it: mig-1g.40gb has 39.2 GiB of memory",
        ),
        (
            {"bandwidth": 0.6},
            "no MIG slice that is offered has enough memory bandwidth for it: mig-1g.40gb has 39.2 GiB of memory",
        ),
        ({"p95": 0.2, "memory": 30 * GIB}, "no MIG slice that is offered has enough of both compute and memory for it"),
    ],
)
def test_what_the_offered_slices_have_is_said_where_it_is_too_little(used: dict[str, Any], why: str) -> None:
    large = Slice(form("mig-1g.40gb"), 1 / 7, 40_192, A100)
    assert evaluate(case(used=used, offers=offered((SLICES[1], large)))).reasons[-1] == why


def test_numbers_that_say_nothing_new_are_left_out() -> None:
    same = evaluate(case(used={"p95": 0.9, "recent": 0.904, "most": 0.95}))
    assert same.reasons[0] == "95 % of the time at most 90 % of the GPU"
    wide: dict[str, Any] = {"bandwidth": 0.2}
    bandwidth = "20 % of the GPU's memory bandwidth; a slice with as much has about 16.0 GiB of memory"
    assert f"while it is active, it uses {bandwidth}" in evaluate(case(used=wide)).reasons
    for other in (case(used=wide, offers=offered(())), case(used={**wide, "engines": 0.4})):
        assert not any("bandwidth" in one for one in evaluate(other).reasons)


def test_video_engines_say_how_much_and_do_not_hide_that_nothing_is_shared() -> None:
    other = SharedForm(form("mps"), 4, model="L4")
    reasons = evaluate(case(used={"engines": 0.4}, offers=offered(shared=(other,)), trusted=True)).reasons
    assert reasons[-2:] == (
        "it uses the video encoder or decoder (up to 40 %), of which MIG slices have few or none",
        f"no node shares GPUs of {A100}",
    )


@pytest.mark.parametrize(
    ("kind", "running", "why"),
    [
        ("StatefulSet", True, "scale it to 0, or give"),
        ("StatefulSet", False, "request no GPU in its template, or give"),
        ("CronJob", True, "request no GPU in its template, or give"),
        ("Pod", True, "delete it, or give"),
    ],
)
def test_how_an_unused_gpu_is_released(kind: str, running: bool, why: str) -> None:  # noqa: FBT001 - a state
    pods = [LivePod("w-1", 1.0)] if running else []
    verdict = evaluate(case(used={"flat": True, "p95": 0.0, "most": 0.0}, kind=kind, pods=pods))
    assert verdict.kind is VerdictKind.UNUSED
    assert verdict.reasons[-1].startswith(why)
    assert verdict.reasons[1] == f"{'it still holds' if running else 'its pods held up to'} 5.0 GiB of GPU memory"


def test_earlier_pods_that_are_not_counted_are_said() -> None:
    reasons = evaluate(case(gpus=2, used={"used": 2, "left_out": 1})).reasons
    assert reasons[-1] == "1 earlier pod is not counted: fewer than 2 GPUs of a pod have series"
    young = evaluate(case(gpus=2, used={"used": 2, "left_out": 2, "days": 1.0})).reasons
    assert young == (
        "too little data: 1.0 days; 3 are needed",
        "2 earlier pods are not counted: fewer than 2 GPUs of a pod have series",
    )


def test_samples_that_another_pod_got_are_not_just_missing() -> None:
    verdict = evaluate(case(used={"points": 9_999, "expected": 20_000, "sharing_unknown": True}))
    assert "(49 %); 50 % are needed; without KUBERNETES_VIRTUAL_GPUS=true" in verdict.reasons[0]


def test_a_gpu_that_was_not_used() -> None:
    assert evaluate(case(used={"most": 0.009, "p95": 0.009})).kind is VerdictKind.SLICE  # little, and always
    assert evaluate(case(used={"most": 0.003, "p95": 0.0})).kind is VerdictKind.SLICE  # a short request now and then
    held: dict[str, Any] = {"flat": True, "p95": 0.0, "most": 0.0}
    verdict = evaluate(case(used={**held, "most": 0.0009}))
    assert (verdict.kind, verdict.form, verdict.gpus) == (VerdictKind.UNUSED, "none", 0)
    assert verdict.reasons[:2] == (
        "at most 0.1 % of the GPU in 14 days",
        "it still holds 5.0 GiB of GPU memory",
    )
    sampled = evaluate(case(used={**held, "metrics": (Metric.GPU_UTIL,), "shared_by": 3}))
    assert "device total over 3 pods: none of them used it" in sampled.reasons
    assert any("DCGM_FI_DEV_ENC_UTIL" in one for one in sampled.reasons)
    assert not any("DCGM_FI_DEV_ENC_UTIL" in one for one in evaluate(case(used={**held, "engines": 0.0})).reasons)
    assert "by DCGM_FI_DEV_GPU_UTIL, which is sampled: very short bursts may be missed" in sampled.reasons


def test_gpus_of_a_pod_that_were_not_used() -> None:
    verdict = evaluate(case(gpus=4, used={"used": 1}))
    assert (verdict.kind, verdict.form, verdict.gpus) == (VerdictKind.FEWER, "exclusive", 1)
    assert verdict.reasons == ("3 of 4 GPUs of a pod were never used; request 1",)
    held = evaluate(case(gpus=2, used={"used": 1, "held": 60 * GIB}))
    assert held.reasons[1] == "60.0 GiB of GPU memory is held there; check first that no data is kept there"
    slices = evaluate(case(gpus=2, used={"used": 1}, form="mig-1g.10gb"))
    assert (slices.kind, slices.form) == (VerdictKind.FEWER, "mig-1g.10gb")


@pytest.mark.parametrize(
    ("used", "why"),
    [
        ({"shared_by": 3}, "the device total over 3 pods: no pod's share is known"),
        ({"sharing_unknown": True}, "without KUBERNETES_VIRTUAL_GPUS=true"),
    ],
)
def test_what_is_shared_and_can_not_be_told_apart_stays(used: dict[str, Any], why: str) -> None:
    verdict = evaluate(case(used=used, form="time-slicing", trusted=True))
    assert (verdict.kind, verdict.form, verdict.is_need_unknown) == (VerdictKind.AS_IT_IS, "time-slicing", True)
    assert why in verdict.reasons[0]


def test_the_form_of_a_device_that_is_shared_without_being_requested_so_is_unknown() -> None:
    verdict = evaluate(case(used={"shared_by": 3}, trusted=True))
    assert (verdict.kind, verdict.form) == (VerdictKind.UNKNOWN, "")
    assert verdict.reasons[0].startswith(
        "it requests a GPU of its own (exclusive), but shares it: its numbers are the device"
    )
    assert evaluate(case(used={"shared_by": 3, "profile": "3g.40gb"}, **MIG)).kind is VerdictKind.UNKNOWN
    assert evaluate(case(used={"shared_by": 3}, claimed=True)).kind is VerdictKind.AS_IT_IS  # a claim of several pods


def test_a_slice_that_nothing_smaller_can_replace_stays() -> None:
    verdict = evaluate(case(used={"p95": 0.9, "profile": "3g.40gb"}, offers=offered(()), **MIG))
    assert (verdict.kind, verdict.form) == (VerdictKind.AS_IT_IS, "mig-3g.40gb")
    assert verdict.reasons[-1] == "no other form that is offered fits better"


def test_forms_stay_on_their_platform() -> None:
    assert evaluate(case(used={"p95": 0.9}, form="gke-exclusive")).form == "gke-exclusive"


def test_thresholds_decide() -> None:
    assert evaluate(case(used={"days": 1}, thresholds=parse(["minimum-days=0.5"]))).kind is VerdictKind.SLICE
    assert (
        evaluate(case(used={"most": 0.04, "p95": 0}, thresholds=parse(["unused-below=0.05"]))).kind
        is VerdictKind.UNUSED
    )
    assert evaluate(case(used={"memory": 8.3 * GIB}, thresholds=parse(["memory-headroom=0"]))).form == "mig-1g.10gb"


def test_a_form_that_other_models_have_too_is_selected_by_model() -> None:
    def on(one: Slice | SharedForm, model: str) -> Any:
        return structs.replace(one, model=model)

    unlabelled = (*SLICES, *(on(one, "") for one in SLICES))
    assert "measured on" not in " / ".join(evaluate(case(offers=offered(unlabelled))).reasons)
    assert "measured on" not in " / ".join(evaluate(case(used={"model": ""})).reasons)
    says = "measured on A100-SXM4-80GB; Tesla-T4 has {} too: select the model by the label nvidia.com/gpu.product"
    # Each model counts by itself: a T4 is shared by more pods, and has less memory.
    shares = (SharedForm(form("mps"), 4, 81_920, A100), SharedForm(form("mps"), 10, 15_360, "Tesla-T4"))
    sharing = evaluate(case(offers=offered((), shares), trusted=True))
    assert (sharing.form, sharing.reasons[-1]) == ("mps", says.format("mps"))
    assert "4 such pods fit a GPU" in sharing.reasons
    on_t4 = case(used={"model": "Tesla T4", "capacity": 15 * GIB}, offers=offered((), shares), trusted=True)
    lacks = "10 pods share a GPU in the form mps, and that share (10 % of a GPU) has too little compute for it"
    assert lacks in evaluate(on_t4).reasons
    slices = (*SLICES, on(SLICES[0], "Tesla-T4"))
    assert says.format("mig-1g.10gb") in evaluate(case(offers=offered(slices))).reasons
    # Its pods can't run on the other one.
    unreachable = ("mig-1g.10gb", "Tesla-T4")
    assert "measured on" not in " / ".join(evaluate(case(offers=offered(slices), unreachable=(unreachable,))).reasons)


def test_a_slice_has_the_memory_that_it_has_on_the_model_of_the_workload() -> None:
    larger = Slice(form("mig-3g.40gb"), 60 / 132, 40_320, "H100-80GB-HBM3")
    used = {"model": "H100-80GB-HBM3", "memory": 35_000, "p95": 0.2}
    verdict = evaluate(case(used=used, offers=offered((*SLICES, larger))))
    assert (verdict.form, "mig-3g.40gb has 39.4 GiB and 45 % of a GPU's compute" in verdict.reasons) == (
        "mig-3g.40gb",
        True,
    )
    assert evaluate(case(used={**used, "model": A100}, offers=offered((*SLICES, larger)))).form == "exclusive"


def test_a_pod_must_fit_the_smallest_gpu_that_is_shared() -> None:
    small = SharedForm(form("time-slicing"), 4, 15_360, A100)
    assert evaluate(case(used={"most": 0.9}, offers=offered((), (small,)), trusted=True)).kind is VerdictKind.EXCLUSIVE
    fits = evaluate(case(used={"memory": 3 * GIB}, offers=offered((), (small,)), trusted=True))
    assert (fits.kind, fits.form) == (VerdictKind.SHARED, "time-slicing")
    assert fits.reasons[-1] == (
        "use stays below 50 %: MPS suits it better, which no node of its model offers; time-slicing fits too"
    )
    of_others = SharedForm(form("time-slicing"), 4, 81_920, "H200")
    assert evaluate(case(offers=offered((), (of_others,)), trusted=True)).kind is VerdictKind.EXCLUSIVE


def test_a_slice_that_was_selected_for_its_engines_is_kept() -> None:
    media = Slice(form("mig-1g.10gb.me"), 1 / 7, 9728, A100)
    offers = offered((*SLICES, media))
    for profile in ("1g.10gb+me", ""):
        verdict = evaluate(case(used={"profile": profile}, form="mig-1g.10gb.me", offers=offers))
        assert (verdict.kind, verdict.form) == (VerdictKind.SLICE, "mig-1g.10gb.me")
    assert evaluate(case(form="mig-1g.10gb.me")).kind is VerdictKind.AS_IT_IS
    assert evaluate(case(offers=offers)).form == "mig-1g.10gb"


def test_nothing_is_gained_by_a_slice_that_is_the_whole_gpu() -> None:
    whole = Slice(form("mig-7g.80gb"), 1.0, 80_896, A100)
    busy = {"p95": 0.9, "most": 1.0}
    assert evaluate(case(used=busy, offers=offered((*SLICES, whole)))).form == "exclusive"
    slices = evaluate(case(used={**busy, "profile": "7g.80gb"}, form="mig-7g.80gb", offers=offered((*SLICES, whole))))
    assert slices.form == "mig-7g.80gb"


def test_of_many_pods_only_as_many_as_share_a_gpu_may_be_busy_on_it() -> None:
    running = [LivePod(f"w-{number}", 1.0) for number in range(10)]
    used = {"working": 0.2, "most": 0.2}
    assert evaluate(case(used=used, pods=running, trusted=True, offers=offered((), SHARED))).kind is VerdictKind.SHARED


def test_a_workload_that_does_not_run_may_have_had_another_slice() -> None:
    used = {"profile": "1g.10gb", "capacity": 9728}
    verdict = evaluate(case(used=used, pods=[], form="mig-3g.40gb"))
    assert (verdict.kind, verdict.form) == (VerdictKind.SLICE, "mig-1g.10gb")


@pytest.mark.parametrize(("pods", "kind"), [(1, VerdictKind.SHARED), (2, VerdictKind.EXCLUSIVE)])
def test_pods_of_one_workload_may_be_busy_at_the_same_time(pods: int, kind: VerdictKind) -> None:
    bursts = {"p95": 0.0, "working": 0.9, "most": 0.9, "mean": 0.03}
    running = [*(LivePod(f"w-{number}", 1.0) for number in range(pods)), LivePod("ended", 1.0, over=True)]
    verdict = evaluate(case(used=bursts, pods=running, trusted=True, offers=offered((), SHARED)))
    assert verdict.kind is kind
    together = (
        "its 2 pods may work at the same time, at 90 % of a GPU each, and 4 pods share a GPU in the form time-slicing"
    )
    assert (together in verdict.reasons) is (kind is VerdictKind.EXCLUSIVE)


@pytest.mark.parametrize("used", [{"p95": 0.6, "most": 0.6}, {"memory": 50 * GIB}])
def test_a_share_that_is_too_small_leads_to_a_whole_gpu_where_one_is_offered(used: dict[str, Any]) -> None:
    verdict = evaluate(case(used=used, form="time-slicing", trusted=True, offers=offered((), SHARED)))
    assert (verdict.kind, verdict.form) == (VerdictKind.EXCLUSIVE, "exclusive")
    every_is_shared = structs.replace(offered((), SHARED), whole=frozenset({"Tesla-T4"}))
    verdict = evaluate(case(used=used, form="time-slicing", trusted=True, offers=every_is_shared))
    assert (verdict.kind, verdict.form, verdict.reasons[-1]) == (
        VerdictKind.AS_IT_IS,
        "time-slicing",
        "it may need a whole GPU, and no node offers one of its model",
    )
    # What is enough stays shared only where that is trusted.
    small = {"p95": 0.1, "memory": 5 * GIB}
    for trusted, kind in ((True, VerdictKind.SHARED), (False, VerdictKind.EXCLUSIVE)):
        verdict = evaluate(case(used=small, form="time-slicing", trusted=trusted, offers=offered((), SHARED)))
        assert verdict.kind is kind


def test_a_slice_that_is_too_small_with_headroom_leads_to_a_whole_gpu_where_one_is_offered() -> None:
    used = {"profile": "3g.40gb", "memory": 39_000, "capacity": 40_192}
    assert evaluate(case(used=used, **MIG)).form == "exclusive"
    no_whole = structs.replace(offered(), whole=frozenset())
    assert evaluate(case(used=used, offers=no_whole, **MIG)).form == "mig-3g.40gb"
    no_nodes = structs.replace(offered(()), whole=None)
    assert evaluate(case(used={**used, "memory": 20_000}, offers=no_nodes, **MIG)).form == "mig-3g.40gb"


def test_a_slice_that_is_full_most_of_the_time_need_not_be_enough() -> None:
    used = {"profile": "3g.40gb", "p95": 1.0, "mean": 0.97, "most": 1.0}
    verdict = evaluate(case(used=used, **MIG))
    assert (verdict.kind, verdict.form, verdict.is_need_unknown) == (VerdictKind.AS_IT_IS, "mig-3g.40gb", True)
    assert verdict.reasons[-1] == "the slice that it has is full most of the time, so it may need a larger one"
    smaller = evaluate(case(used={**used, "profile": "1g.10gb"}, form="mig-1g.10gb"))
    assert smaller.reasons[-1].endswith("full most of the time, so it may need a larger one (mig-2g.20gb is offered)")
    assert evaluate(case(used={**used, "mean": 0.5}, **MIG)).kind is VerdictKind.SLICE


def test_shares_of_slices_are_not_compared() -> None:
    verdict = evaluate(case(used={"profile": "3g.40gb"}, form="mig-3g.40gb-shared"))
    assert (verdict.kind, verdict.form) == (VerdictKind.AS_IT_IS, "mig-3g.40gb-shared")


def test_the_kind_of_sharing_that_suits_less_is_recommended_where_the_other_share_is_too_small() -> None:
    shared = (SharedForm(form("mps"), 8, 81_920, A100), SharedForm(form("time-slicing"), 4, 81_920, A100))
    verdict = evaluate(case(used={"memory": 15 * GIB}, offers=offered((), shared), trusted=True))
    assert (verdict.form, verdict.enough) == ("time-slicing", ("time-slicing",))
    assert "MPS suits it better, but its share is too small; time-slicing fits too" in verdict.reasons[-1]
    assert evaluate(case(offers=offered((), shared), trusted=True)).enough == ("mps", "time-slicing")


def test_graphics_say_why_mps_is_not_for_them() -> None:
    draws = recognise("", [], {"NVIDIA_DRIVER_CAPABILITIES": "all"})
    verdict = evaluate(case(program=draws, offers=offered((), SHARED[:1]), trusted=True))
    assert "it can't share by MPS, which is for CUDA only" in verdict.reasons
