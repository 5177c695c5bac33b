"""Reports for the cluster: what each result says, and that no report is larger than a cluster takes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, owned, seen, three
from tests.builders import MIG, SHARED, a_container, a_pod, gpu
from webhook.adapters.reports import policyreport
from webhook.adapters.reports.policyreport import cluster_reports, namespace_reports
from webhook.application.audit_rows import Row
from webhook.application.report_api import CONTENT, LABEL, OMITTED, REPORT_APIS
from webhook.engine.policy import LabelProblem

Json = dict[str, Any]

WGPOLICY, OPENREPORTS = REPORT_APIS
NOW = datetime(2026, 3, 1, 12, 30, 15, 999_999, tzinfo=UTC)
SHARED_TEAM = labelled(team_a="shared")


def reports(made: list[Row], api: Any = WGPOLICY, now: datetime = NOW) -> list[Json]:
    return namespace_reports(api, "team-a", made, now)


def results(*objects: Any, policy: str = "shared") -> list[Json]:
    return [result for report in reports(evaluated(objects, labelled(team_a=policy))) for result in report["results"]]


def told(*objects: Any, policy: str = "shared") -> list[tuple[str, str]]:
    return [(result["result"], result["rule"]) for result in results(*objects, policy=policy)]


def pods_of(kind: str, count: int, pod: Json) -> list[Any]:
    return [seen(pod, kind="Pod", name=f"p{number}", owner=owned(kind, "trainer")) for number in range(count)]


class TestResult:
    def test_of_what_is_refused_is_fail(self) -> None:
        (result,) = results(seen(a_pod(gpu(2))))

        assert result == {
            "source": "gpuwarden",
            "policy": "gpuwarden",
            "rule": "shared-request-above-one",
            "category": "GPU requests",
            "severity": "high",
            "result": "fail",
            "scored": True,
            "message": result["message"],
            "resources": [{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "team-a", "name": "trainer"}],
            "properties": {
                "policy": "shared",
                "requests": "train: nvidia.com/gpu: 2",
                "pods": "0",
                "field": "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]",
            },
            "timestamp": {"seconds": 1772368215, "nanos": 0},
        }
        assert result["message"].startswith('container "train": nvidia.com/gpu: 2 cannot be shared')

    def test_of_what_a_rule_warns_of_is_warn(self) -> None:
        found = results(seen(a_pod(gpu(3, MIG))), policy="mig-1g.5gb")
        assert [(r["result"], r["rule"], r["severity"]) for r in found] == [("warn", "mig-count-above-one", "medium")]

    def test_of_what_is_as_it_should_be_is_pass(self) -> None:
        assert told(seen(a_pod(gpu(1, SHARED)))) == [("pass", "unchanged")]

    def test_of_resource_claims_is_skip_beside_what_was_evaluated(self) -> None:
        claims: Json = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]}
        skipped = ("skip", "not-evaluated")
        assert told(seen(a_pod({"name": "c"}, **claims))) == [skipped]
        assert told(seen(a_pod(gpu(1), **claims))) == [skipped, ("pass", "rewritten")]
        assert told(seen(a_pod(gpu(1), **claims)), policy="exclusive") == [skipped]
        assert told(seen(a_pod(gpu(1), **claims)), policy="none") == [("fail", "gpu-not-permitted"), skipped]

    def test_of_a_template_that_becomes_so_at_admission_is_pass_with_the_patch(self) -> None:
        (result,) = results(seen())
        assert (result["result"], result["rule"], result["severity"]) == ("pass", "rewritten", "info")
        assert result["message"] == 'container "train": nvidia.com/gpu: 1 would become nvidia.com/gpu.shared: 1'
        operations = json.loads(result["properties"]["patch"])
        assert operations[0]["path"].startswith("/spec/template/spec/containers/0/resources/limits/")

    def test_of_running_pods_that_are_not_spelled_so_is_warn(self) -> None:
        objects = [*pods_of("Deployment", 2, a_pod()), seen()]
        warned, passed = results(*objects)
        assert (warned["result"], warned["rule"]) == ("warn", "not-rewritten")
        assert warned["message"].startswith("2 pods are not compliant with the policy: ")
        assert warned["properties"]["pods"] == "2"
        assert passed["rule"] == "rewritten"

    def test_of_running_pods_that_are_is_nothing_more(self) -> None:
        assert told(*pods_of("Deployment", 2, a_pod(gpu(1, SHARED))), seen()) == [("pass", "rewritten")]

    def test_of_one_running_pod_is_said_of_one(self) -> None:
        message = results(*pods_of("Deployment", 1, a_pod()), seen())[0]["message"]
        assert message.startswith("1 pod is not compliant")

    def test_of_running_pods_that_would_be_refused_now_while_their_template_is_right_is_warn(self) -> None:
        found = results(*pods_of("Deployment", 1, a_pod(gpu(2))), seen(a_pod(gpu(1, SHARED))))
        assert [(r["result"], r["rule"]) for r in found] == [
            ("warn", "shared-request-above-one"),
            ("pass", "unchanged"),
        ]
        assert "not permitted by the current policy" in found[0]["message"]

    def test_of_a_refused_template_says_nothing_of_its_pods_too(self) -> None:
        assert told(*pods_of("Deployment", 3, a_pod(gpu(2))), seen(a_pod(gpu(2)))) == [
            ("fail", "shared-request-above-one")
        ]

    def test_of_pods_without_a_template_is_theirs(self) -> None:
        assert told(*pods_of("RayCluster", 2, a_pod())) == [("warn", "not-rewritten")]
        assert told(*pods_of("RayCluster", 2, a_pod(gpu(2)))) == [("fail", "shared-request-above-one")]

    def test_of_what_is_exempt_is_skip(self) -> None:
        (result,) = results(seen(a_pod(gpu(2), schedulerName="kai-scheduler")))
        assert (result["result"], result["rule"]) == ("skip", "exempt")
        assert result["message"] == "skipped: its scheduler is exempt"

    def test_names_the_object_by_its_uid_where_that_is_known(self) -> None:
        (result,) = results(seen(uid="u-1"))
        assert result["resources"][0]["uid"] == "u-1"


class TestReport:
    def test_is_one_a_namespace_and_counts_its_results(self) -> None:
        (report,) = reports(three())
        assert report["apiVersion"] == "wgpolicyk8s.io/v1alpha2"
        assert report["kind"] == "PolicyReport"
        assert (report["metadata"]["namespace"], report["metadata"]["name"]) == ("team-a", "gpuwarden")
        assert report["metadata"]["labels"][LABEL] == "audit"
        assert report["scope"] == {"apiVersion": "v1", "kind": "Namespace", "name": "team-a"}
        assert report["summary"] == {"pass": 2, "fail": 1, "warn": 1, "error": 0, "skip": 0}
        assert "source" not in report

    def test_of_the_successor_says_its_source_as_a_whole(self) -> None:
        (report,) = reports(three(), OPENREPORTS)
        assert (report["apiVersion"], report["kind"], report["source"]) == (
            "openreports.io/v1alpha1",
            "Report",
            "gpuwarden",
        )

    def test_of_nothing_is_none(self) -> None:
        assert reports([]) == []
        assert cluster_reports(WGPOLICY, {}, NOW) == []

    def test_has_only_values_that_both_definitions_take(self) -> None:
        for report in reports(many(400, 20)):
            for result in report["results"]:
                assert result["result"] in {"pass", "fail", "warn", "error", "skip"}
                assert result["severity"] in {"critical", "high", "medium", "low", "info"}
                assert all(type(key) is type(value) is str for key, value in result["properties"].items())
                assert {type(part) for part in result["timestamp"].values()} == {int}

    def test_has_the_same_digest_at_another_time_and_another_for_other_results(self) -> None:
        later = NOW.replace(year=2027)
        digests = [
            report["metadata"]["annotations"][CONTENT]
            for report in (*reports(three()), *reports(three(), now=later), *reports(three()[:2]))
        ]
        assert digests[0] == digests[1] != digests[2]

    def test_tells_of_namespaces_whose_labels_name_no_policy(self) -> None:
        problem = LabelProblem("metadata.labels[gpuwarden.io/enforce]", "shred", '"shred" is not a policy')
        (report,) = cluster_reports(WGPOLICY, {"team-b": (problem,)}, NOW)
        assert report["kind"] == "ClusterPolicyReport"
        assert "namespace" not in report["metadata"]
        (result,) = report["results"]
        assert (result["result"], result["rule"]) == ("fail", "unreadable-label")
        assert result["resources"] == [{"apiVersion": "v1", "kind": "Namespace", "name": "team-b"}]
        assert result["message"] == 'metadata.labels[gpuwarden.io/enforce]: "shred" is not a policy'
        (report,) = cluster_reports(OPENREPORTS, {"team-b": (problem,)}, NOW)
        assert report["kind"] == "ClusterReport"

    def test_warns_of_labels_that_have_no_effect(self) -> None:
        problem = LabelProblem("metadata.labels[gpuwarden.io/enfroce]", "shared", "is not read", ignored=True)
        (report,) = cluster_reports(WGPOLICY, {"team-b": (problem,)}, NOW)
        (result,) = report["results"]
        assert (result["result"], result["rule"]) == ("warn", "ineffective-label")


class TestSize:
    def test_a_long_patch_is_cut_between_operations_and_says_so(self) -> None:
        containers = [gpu(1, name=f"container-{number}") for number in range(60)]
        (result,) = results(seen(a_pod(*containers)))
        properties = result["properties"]
        kept = json.loads(properties["patch"])
        assert len(properties["patch"].encode()) <= policyreport.LARGEST_PATCH
        assert kept
        whole = evaluated([seen(a_pod(*containers))], SHARED_TEAM)[0].verdict.operations
        assert kept == list(whole[: len(kept)])
        assert properties["patchOmitted"] == str(len(whole) - len(kept))

    def test_a_short_patch_is_whole(self) -> None:
        assert "patchOmitted" not in results(seen())[0]["properties"]

    def test_long_texts_are_cut(self) -> None:
        (result, *_) = results(seen(a_pod(*(gpu(2, name="n" * 60 + str(number)) for number in range(40)))))
        assert max(map(len, result["properties"].values())) <= 512
        assert len(result["message"]) <= policyreport.LONGEST_RESULT_MESSAGE

    def test_a_namespace_with_more_than_one_report_takes_has_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policyreport, "LARGEST", 20_000)
        made = evaluated([seen(name=f"w{number}") for number in range(50)], SHARED_TEAM)

        parts = reports(made)

        assert [part["metadata"]["name"] for part in parts] == [
            "gpuwarden",
            *(f"gpuwarden-{n}" for n in range(2, len(parts) + 1)),
        ]
        assert len(parts) > 1
        assert sum(part["summary"]["pass"] for part in parts) == 50
        assert all(len(json.dumps(part["results"])) < 25_000 for part in parts)
        assert not any(OMITTED in part["metadata"]["annotations"] for part in parts)

    def test_beyond_the_most_parts_what_passes_is_left_out_first_and_it_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(policyreport, "LARGEST", 5_000)
        monkeypatch.setattr(policyreport, "MOST_PARTS", 2)
        objects = [seen(name=f"w{number}") for number in range(50)]
        objects += [seen(a_pod(gpu(2)), name=f"bad{number}") for number in range(3)]

        parts = reports(evaluated(objects, SHARED_TEAM))

        assert len(parts) == 2
        assert sum(part["summary"]["fail"] for part in parts) == 3
        written = sum(len(part["results"]) for part in parts)
        assert parts[0]["metadata"]["annotations"][OMITTED] == str(53 - written)

    def test_5_000_workloads_of_one_namespace_fit(self) -> None:
        made = evaluated([seen(a_pod(gpu(2)), name=f"w{number:05}") for number in range(5_000)], SHARED_TEAM)
        parts = reports(made)
        assert sum(part["summary"]["fail"] for part in parts) == 5_000
        assert all(len(json.dumps(part)) < 1_000_000 for part in parts), "etcd takes 1.5 MiB"


def test_a_container_that_asks_for_nothing_is_nowhere() -> None:
    assert results(seen(a_pod(a_container("web", {"cpu": "1"})))) == []
