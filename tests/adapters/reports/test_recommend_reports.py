"""Recommendations as reports: one per namespace, apart from those of an audit."""

from datetime import UTC, datetime

from webhook.adapters.reports.recommend_reports import recommendation_reports
from webhook.adapters.reports.recommend_words import advice_lines
from webhook.application.recommendation.candidates import HarmedWorkload
from webhook.application.recommendation.namespace_advice import NamespaceAdvice
from webhook.application.recommendation.recommend import ClusterSum, Recommendation, WorkloadRecommendation
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.verdicts import VerdictKind, WorkloadVerdict
from webhook.application.report_api import LABEL, REPORT_APIS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_line(
    name: str, verdict: WorkloadVerdict, namespace: str = "team", form: str = "exclusive"
) -> WorkloadRecommendation:
    return WorkloadRecommendation(namespace, "Deployment", name, ("nvidia.com/gpu: 1",), form, 1, 1, verdict)


def reports(lines: list[WorkloadRecommendation], *advice: NamespaceAdvice) -> dict[str, dict[str, tuple[str, str]]]:
    """The results of each namespace's report: rule and result by the object's name."""
    found = Recommendation(lines, [*advice], ClusterSum([]), Thresholds(), 0, 0, [])
    written = [*recommendation_reports(REPORT_APIS[0], found, NOW)]
    assert all(one["metadata"]["name"] == "gpuwarden-recommendation" for one in written)
    assert all(one["metadata"]["labels"][LABEL] == "recommendation" for one in written)
    return {
        report["metadata"]["namespace"]: {
            result["resources"][0]["name"]: (result["rule"], result["result"]) for result in report["results"]
        }
        for report in written
    }


def test_advice_warns_what_fits_passes_and_what_is_unknown_is_skipped() -> None:
    advice = NamespaceAdvice(
        "team", "", trusted=False, workloads=4, policy="mig-1g.10gb", fits=1, label="kubectl label …"
    )
    lines = [
        a_line("sliced", WorkloadVerdict(VerdictKind.SLICE, "mig-1g.10gb")),
        a_line("whole", WorkloadVerdict(VerdictKind.EXCLUSIVE, "exclusive")),
        a_line("as-it-is", WorkloadVerdict(VerdictKind.AS_IT_IS)),
        a_line("idle", WorkloadVerdict(VerdictKind.UNUSED)),
        a_line("young", WorkloadVerdict(VerdictKind.UNKNOWN)),
    ]
    assert reports(lines, advice)["team"] == {
        "team": ("recommended-policy", "warn"),
        "sliced": ("mig-slice", "warn"),
        "whole": ("exclusive", "pass"),
        "as-it-is": ("as-it-is", "pass"),
        "idle": ("not-used", "warn"),
        "young": ("unknown", "skip"),
    }


def test_a_namespace_passes_with_the_policy_that_fits_and_is_skipped_without_one() -> None:
    lines = [a_line("a", WorkloadVerdict(VerdictKind.UNKNOWN), namespace) for namespace in ("one", "two", "three")]
    found = reports(
        lines,
        NamespaceAdvice("one", "mps", trusted=True, workloads=1, policy="mps", fits=1),
        NamespaceAdvice("two", "", trusted=True, workloads=1),
        NamespaceAdvice("three", "", trusted=True, workloads=1, policy="mps", fits=1),
    )
    assert found["one"]["one"] == found["three"]["three"] == ("recommended-policy", "pass")
    assert found["two"]["two"] == ("recommended-policy", "skip")


def test_the_result_of_a_namespace_has_the_commands_and_what_would_be_hurt() -> None:
    advice = NamespaceAdvice(
        *("team", ""),
        trusted=True,
        workloads=2,
        policy="shared",
        fits=1,
        hurts=(HarmedWorkload("Deployment b", "it needs 2 GPUs"),),
        denies=(HarmedWorkload("Deployment c", "request 1"),),
        before="select a model",
        label="kubectl label …",
        preview="gpuwarden audit …",
    )
    found = Recommendation(
        [a_line("b", WorkloadVerdict(VerdictKind.UNKNOWN))], [advice], ClusterSum([]), Thresholds(), 0, 0, []
    )
    [report] = recommendation_reports(REPORT_APIS[0], found, NOW)
    [result] = [one for one in report["results"] if one["rule"] == "recommended-policy"]
    assert result["message"] == (
        "policy shared: 1 of 2 workloads fits; would hurt Deployment b: it needs 2 GPUs; would deny Deployment c: request 1; "
        "select a model"
    )
    assert [*advice_lines(advice)][1:3] == [
        "would hurt Deployment b: it needs 2 GPUs",
        "would deny Deployment c: request 1",
    ]
    assert result["properties"] == {"policy": "shared", "label": "kubectl label …", "preview": "gpuwarden audit …"}


def test_what_to_do_before_a_label_is_set_is_said() -> None:
    advice = NamespaceAdvice(
        "team", "", trusted=False, workloads=1, policy="mps", fits=1, before="select a model", preview="x"
    )
    assert [*advice_lines(advice)] == ["policy mps: 1 of 1 workload fits", "select a model"]


def test_those_that_would_get_more_than_they_need_are_named() -> None:
    advice = NamespaceAdvice(
        "team", "", trusted=True, workloads=3, policy="mig-2g.20gb", fits=2, larger=("w",), preview="x"
    )
    assert [*advice_lines(advice)][1:] == ["would get more than they need: w"]


def test_what_else_a_policy_does_is_said() -> None:
    advice = NamespaceAdvice(
        *("team", "x"),
        trusted=True,
        workloads=4,
        policy="mps",
        fits=1,
        kept=("a",),
        acceptable=("b",),
        warns=(HarmedWorkload("c", "it needs hostIPC"),),
        label_problem="the label names no policy",
        preview="x",
    )
    assert [*advice_lines(advice)] == [
        "the label names no policy",
        "policy mps: 1 of 4 workloads fits",
        "would warn about c: it needs hostIPC",
        "would keep the form that they have (how much they need is not known): a",
        "would share in another way than suits them best, which is enough too: b",
    ]


def test_where_the_recommended_policy_is_in_force_the_report_says_what_selects_it() -> None:
    for labelled, by in (("mps", "its label"), ("", "the default of the configuration")):
        advice = NamespaceAdvice("team", labelled, trusted=True, workloads=1, policy="mps", fits=1)
        assert [*advice_lines(advice)][1:] == [f"{by} already names it"]
