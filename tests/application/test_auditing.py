"""Auditing: one row a controller, what becomes of its next pod, and what would become of its running pods."""

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, owned, seen, three
from tests.builders import GPU, MIG, SHARED, a_container, a_pod, gpu
from webhook.application.audit_rows import Row
from webhook.application.audit_totals import Flow, totals
from webhook.application.auditing import Auditor
from webhook.application.configuration import Configuration, Exemptions
from webhook.application.gpu_forms import GpuForm
from webhook.engine.decision import Outcome
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import ClaimForm, Policy, PolicyBook

SHARED_TEAM = labelled(team_a="shared")
CLAIMING = a_pod(a_container("web"), resourceClaims=[{"name": "gpu", "resourceClaimName": "one"}])
NO_GPU = a_pod(a_container("web", {"cpu": "1"}))


def names(made: list[Row]) -> list[tuple[str, str]]:
    return [(row.kind, row.name) for row in made]


def a_row(made: list[Row]) -> Row:
    assert len(made) == 1, names(made)
    return made[0]


def pods(row: Row) -> dict[str, int]:
    return dict(row.outcomes)


class TestWhoseRow:
    def test_a_deployment_of_300_replicas_is_one(self) -> None:
        replicas = [
            seen(kind="Pod", name=f"trainer-1-{number}", owner=owned("ReplicaSet", "trainer-1"))
            for number in range(300)
        ]
        replica_set = seen(kind="ReplicaSet", name="trainer-1", owner=owned("Deployment", "trainer"))

        row = a_row(evaluated([*replicas, replica_set, seen(uid="uid-of-trainer")], SHARED_TEAM))

        assert (row.kind, row.name, row.namespace, row.api_version, row.uid) == (
            "Deployment",
            "trainer",
            "team-a",
            "apps/v1",
            "uid-of-trainer",
        )
        assert row.template is not None
        assert row.template.outcome is Outcome.REWRITTEN
        assert pods(row) == {"rewritten": 300}

    def test_a_cron_job_is_one_with_its_jobs_and_their_pods(self) -> None:
        objects = [
            seen(kind="Pod", name="nightly-1-x", owner=owned("Job", "nightly-1", "batch/v1")),
            seen(kind="Pod", name="nightly-2-x", owner=owned("Job", "nightly-2", "batch/v1")),
            seen(kind="Job", name="nightly-1", owner=owned("CronJob", "nightly", "batch/v1")),
            seen(kind="Job", name="nightly-2", owner=owned("CronJob", "nightly", "batch/v1")),
            seen(kind="CronJob", name="nightly"),
        ]
        row = a_row(evaluated(objects, SHARED_TEAM))
        assert (row.kind, row.name, pods(row)) == ("CronJob", "nightly", {"rewritten": 2})

    @pytest.mark.parametrize(
        "kind", ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "PodTemplate"]
    )
    def test_a_template_without_pods_is_a_row(self, kind: str) -> None:
        row = a_row(evaluated([seen(kind=kind)], SHARED_TEAM))
        assert (row.kind, row.verdict.outcome, row.pods) == (kind, Outcome.REWRITTEN, {})

    def test_a_pod_without_a_controller_is_a_row(self) -> None:
        row = a_row(evaluated([seen(kind="Pod", name="notebook")], SHARED_TEAM))
        assert (row.kind, row.name, row.template, pods(row)) == ("Pod", "notebook", None, {"rewritten": 1})

    def test_pods_of_a_controller_that_is_no_workload_of_ours_are_its_row(self) -> None:
        objects = [
            seen(kind="Pod", name=f"ray-{number}", owner=owned("RayCluster", "ray", "ray.io/v1")) for number in range(3)
        ]
        row = a_row(evaluated(objects, SHARED_TEAM))
        assert (row.api_version, row.kind, row.name, pods(row)) == ("ray.io/v1", "RayCluster", "ray", {"rewritten": 3})

    @pytest.mark.parametrize(
        ("kind", "version"),
        [
            ("Job", "batch.volcano.sh/v1alpha1"),
            ("StatefulSet", "apps.kruise.io/v1beta1"),
            ("Deployment", "apps.example.com/v1"),
        ],
    )
    def test_a_controller_is_not_taken_for_another_one_of_the_same_name(self, kind: str, version: str) -> None:
        objects = [
            seen(a_pod(gpu(2)), kind="Pod", name="x-0", owner=owned(kind, "x", version)),
            seen(kind="Pod", name="x-1", owner=owned(kind, "x", "batch/v1" if kind == "Job" else "apps/v1")),
            seen(kind=kind, name="x", owner=owned("CronJob", "c", "batch/v1") if kind == "Job" else None),
        ]
        made = {(row.api_version, row.kind, row.name): pods(row) for row in evaluated(objects, SHARED_TEAM)}
        ours = ("batch/v1", "CronJob", "c") if kind == "Job" else ("apps/v1", kind, "x")
        assert made == {(version, kind, "x"): {"denied": 1}, ours: {"rewritten": 1}}

    def test_a_replica_set_of_another_controller_lends_that_its_template(self) -> None:
        rollout = owned("Rollout", "web", "argoproj.io/v1alpha1")
        objects = [
            seen(kind="ReplicaSet", name="web-1", owner=rollout, idle=True, pod=a_pod(gpu(2))),
            seen(kind="ReplicaSet", name="web-2", owner=rollout),
        ]
        row = a_row(evaluated(objects, SHARED_TEAM))
        assert (row.kind, row.name) == ("Rollout", "web")
        assert row.verdict.outcome is Outcome.REWRITTEN, "not the old revision's, which has no pods"

    def test_a_stateful_set_of_an_operator_is_a_row_of_its_own(self) -> None:
        objects = [
            seen(kind="StatefulSet", name="lws-0", owner=owned("LeaderWorkerSet", "lws")),
            seen(kind="Pod", name="lws-0-0", owner=owned("StatefulSet", "lws-0")),
        ]
        row = a_row(evaluated(objects, SHARED_TEAM))
        assert (row.kind, row.name, pods(row)) == ("StatefulSet", "lws-0", {"rewritten": 1})

    def test_a_pod_whose_replica_set_nobody_saw_is_the_replica_sets(self) -> None:
        row = a_row(evaluated([seen(kind="Pod", name="x-1", owner=owned("ReplicaSet", "x"))], SHARED_TEAM))
        assert (row.kind, row.name) == ("ReplicaSet", "x")

    def test_the_same_name_in_two_namespaces_is_two_rows(self) -> None:
        made = evaluated([seen(namespace="a"), seen(namespace="b")], labelled(a="shared", b="none"))
        assert [(row.namespace, row.verdict.outcome) for row in made] == [
            ("a", Outcome.REWRITTEN),
            ("b", Outcome.DENIED),
        ]

    def test_controllers_that_own_each_other_in_a_circle_end_somewhere(self) -> None:
        objects = [
            seen(kind="Pod", name="p", owner=owned("ReplicaSet", "a")),
            seen(kind="ReplicaSet", name="a", owner=owned("ReplicaSet", "b")),
            seen(kind="ReplicaSet", name="b", owner=owned("ReplicaSet", "a")),
        ]
        assert evaluated(objects, SHARED_TEAM)

    def test_rows_stand_in_the_order_of_namespace_kind_and_name(self) -> None:
        objects = [seen(name="b"), seen(name="a"), seen(kind="CronJob", name="z"), seen(namespace="a", name="z")]
        assert [(row.namespace, row.kind, row.name) for row in evaluated(objects, {})] == [
            ("a", "Deployment", "z"),
            ("team-a", "CronJob", "z"),
            ("team-a", "Deployment", "a"),
            ("team-a", "Deployment", "b"),
        ]


class TestWhatCounts:
    @pytest.mark.parametrize("kind", ["Pod", "Deployment"])
    def test_what_asks_for_no_gpu_does_not(self, kind: str) -> None:
        assert evaluated([seen(NO_GPU, kind=kind)], SHARED_TEAM) == []

    @pytest.mark.parametrize("kind", ["Pod", "Deployment"])
    def test_resource_claims_do_as_not_evaluated(self, kind: str) -> None:
        row = a_row(evaluated([seen(CLAIMING, kind=kind)], SHARED_TEAM))
        assert (row.verdict.decision, row.verdict.claims, row.verdict.requests) == ("not-evaluated", ("gpu",), ())
        assert totals([row]).workloads == {"not-evaluated": 1}

    def test_what_is_denied_or_rewritten_beside_them_counts_as_that(self) -> None:
        both = a_pod(gpu(1), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}])
        (row,) = evaluated([seen(both)], SHARED_TEAM)
        assert (row.verdict.decision, row.verdict.not_evaluated is None) == ("rewritten", False)
        (row,) = evaluated([seen(both)], labelled(team_a="none"))
        assert (row.verdict.decision, row.verdict.not_evaluated is None) == ("denied", False)

    def test_an_exempt_pod_with_claims_is_exempt(self) -> None:
        exempt = a_pod(
            a_container("web"),
            schedulerName="kai-scheduler",
            resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}],
        )
        row = a_row(evaluated([seen(exempt)], SHARED_TEAM))
        assert totals([row]).workloads == {"exempt": 1}

    def test_running_pods_with_claims_are_counted_apart(self) -> None:
        pods = [seen(CLAIMING, kind="Pod", name=f"t-{n}", owner=owned("StatefulSet", "t")) for n in range(3)]
        row = a_row(evaluated(pods, SHARED_TEAM))
        assert row.outcomes == {"not-evaluated": 3}

    def test_a_misspelt_gpu_resource_does(self) -> None:
        row = a_row(evaluated([seen(a_pod(gpu(1, "nvidia.com/gpus")))], SHARED_TEAM))
        assert [finding.rule.id for finding in row.verdict.findings] == ["unknown-gpu-resource"]
        assert row.verdict.requests == ("train: nvidia.com/gpus: 1",)

    def test_a_misspelt_vendor_does(self) -> None:
        row = a_row(evaluated([seen(a_pod(gpu(1, "nvida.com/gpu")))], SHARED_TEAM))
        assert [finding.rule.id for finding in row.verdict.findings] == ["unknown-gpu-resource"]
        assert row.verdict.requests == ("train: nvida.com/gpu",)

    def test_a_device_of_another_vendor_does_and_is_not_evaluated(self) -> None:
        row = a_row(evaluated([seen(a_pod(gpu(1, "amd.com/gpu")))], SHARED_TEAM))
        assert (row.verdict.decision, row.verdict.findings) == ("not-evaluated", ())
        assert "containers[0].resources.limits[amd.com/gpu]: not NVIDIA's" in (row.verdict.not_evaluated or "")

    def test_a_share_of_kais_does(self) -> None:
        pod = {**a_pod({"name": "c"}), "metadata": {"annotations": {"gpu-fraction": "0.5"}}}
        other = {**a_pod({"name": "c"}), "metadata": {"annotations": {"gpu-memory": "2000"}}}
        first, second = evaluated([seen(pod, name="a"), seen(other, name="b")], SHARED_TEAM)
        assert (first.verdict.decision, first.verdict.requests) == ("not-evaluated", ("annotation gpu-fraction: 0.5",))
        assert second.verdict.requests == ("annotation gpu-memory: 2000",)

    @pytest.mark.parametrize("kind", ["Pod", "Job"])
    def test_what_has_ended_does_not(self, kind: str) -> None:
        assert evaluated([seen(kind=kind, over=True)], SHARED_TEAM) == []

    def test_the_pods_of_a_job_that_is_ending_still_lead_to_its_cron_job(self) -> None:
        objects = [
            seen(kind="Pod", name="n-1-x", owner=owned("Job", "n-1")),
            seen(kind="Job", name="n-1", owner=owned("CronJob", "n"), over=True),
        ]
        assert names(evaluated(objects, SHARED_TEAM)) == [("CronJob", "n")]

    def test_a_deployment_scaled_to_nothing_does_because_it_will_be_scaled_up_again(self) -> None:
        assert names(evaluated([seen(idle=True)], SHARED_TEAM)) == [("Deployment", "trainer")]

    def test_a_mirror_pod_does_not(self) -> None:
        mirror = a_pod(annotations={"kubernetes.io/config.mirror": "abc"})
        assert evaluated([seen(mirror, kind="Pod")], SHARED_TEAM) == []

    def test_a_pod_without_a_spec_does_not(self) -> None:
        assert evaluated([seen({"metadata": {}}, kind="Pod")], SHARED_TEAM) == []

    def test_a_pod_in_a_manifest_is_one_to_come_and_not_a_running_one(self) -> None:
        row = a_row(evaluated([seen(kind="Pod", running=False, source="a.yaml", line=3)], SHARED_TEAM))
        assert row.template is not None
        assert (row.pods, row.source, row.line) == ({}, "a.yaml", 3)


class TestWhatBecomesOfIt:
    def test_is_what_becomes_of_the_template_whatever_its_running_pods_are(self) -> None:
        made_before = seen(kind="Pod", name="x", owner=owned("StatefulSet", "trainer"))
        template = seen(a_pod(gpu(1, SHARED)), kind="StatefulSet")

        row = a_row(evaluated([made_before, template], SHARED_TEAM))

        assert (row.verdict.outcome, pods(row)) == (Outcome.UNCHANGED, {"rewritten": 1})

    def test_is_the_worst_of_its_pods_where_there_is_no_template(self) -> None:
        ray = owned("RayCluster", "ray")
        objects = [
            seen(a_pod(gpu(1, SHARED)), kind="Pod", name="a", owner=ray),
            seen(a_pod(gpu(2)), kind="Pod", name="b", owner=ray),
            seen(a_pod(gpu(1)), kind="Pod", name="c", owner=ray),
            seen(a_pod(gpu(1)), kind="Pod", name="d", owner=ray),
        ]
        row = a_row(evaluated(objects, SHARED_TEAM))
        assert row.verdict.outcome is Outcome.DENIED
        assert pods(row) == {"unchanged": 1, "rewritten": 2, "denied": 1}

    def test_is_that_of_its_pods_where_the_template_asks_for_no_gpu_and_something_adds_one(self) -> None:
        injected = seen(kind="Pod", name="x", owner=owned("StatefulSet", "trainer"))
        row = a_row(evaluated([injected, seen(NO_GPU, kind="StatefulSet")], SHARED_TEAM))
        assert (row.template, row.verdict.outcome) == (None, Outcome.REWRITTEN)

    def test_comes_with_the_patch_of_the_object_and_the_paths_in_it(self) -> None:
        rewritten = a_row(evaluated([seen(kind="CronJob")], SHARED_TEAM)).verdict
        refused = a_row(evaluated([seen(a_pod(gpu(2)), kind="CronJob")], SHARED_TEAM)).verdict

        template = "/spec/jobTemplate/spec/template"
        assert {operation["path"].startswith(template) for operation in rewritten.operations} == {True}
        assert rewritten.becomes == ('container "train": nvidia.com/gpu: 1 would become nvidia.com/gpu.shared: 1',)
        assert refused.findings[0].path.startswith("spec.jobTemplate.spec.template.spec.containers[0]")
        assert refused.operations == ()

    def test_is_nothing_where_it_is_exempt(self) -> None:
        configuration = Configuration(exemptions=Exemptions(namespaces=frozenset({"team-a"})))
        row = a_row(evaluated([seen(a_pod(gpu(2)))], SHARED_TEAM, configuration))
        assert (row.verdict.exempt, row.verdict.requests, row.verdict.findings) == (
            "namespace",
            ("train: nvidia.com/gpu: 2",),
            (),
        )

    def test_differs_for_two_pods_that_differ_only_in_the_scheduler_that_is_exempt(self) -> None:
        objects = [seen(name="a"), seen(a_pod(schedulerName="kai-scheduler"), name="b")]
        assert [row.verdict.exempt for row in evaluated(objects, SHARED_TEAM)] == [None, "scheduler"]

    def test_refuses_every_gpu_where_the_label_names_no_policy(self) -> None:
        row = a_row(evaluated([seen()], labelled(team_a="shred")))
        assert [finding.rule.id for finding in row.verdict.findings] == ["gpu-not-permitted"]
        assert row.verdict.policy == "shred"

    def test_patches_annotations_that_are_there_and_those_that_are_not(self) -> None:
        objects = [seen(name="a"), seen(a_pod(annotations={"x": "y"}), name="b")]
        first, second = (row.verdict.operations[-1]["path"] for row in evaluated(objects, SHARED_TEAM))
        assert first.endswith("/metadata/annotations")
        assert second.endswith("/metadata/annotations/gpuwarden.io~1policy")


class TestForms:
    @pytest.mark.parametrize(
        ("pod", "policy", "forms"),
        [
            (a_pod(gpu()), "shared", (("plain", "shared", 1),)),
            (a_pod(gpu()), "exclusive", (("plain", "exclusive", 1),)),
            (a_pod(gpu()), "any", (("plain", "plain", 1),)),
            (a_pod(gpu(2)), "shared", (("plain", "denied", 2),)),
            (a_pod(gpu("0.5")), "shared", (("plain", "denied", 0),)),
            (a_pod(gpu(1, MIG)), "gke-mig-1g.5gb", (("mig-1g.5gb", "gke-mig-1g.5gb", 1),)),
            (a_pod(gpu(1, SHARED)), "mps", (("shared", "mps", 1),)),
            (a_pod(gpu(), gpu(1, name="other")), "shared", (("plain", "shared", 2),)),
            (a_pod(gpu(), gpu(1, SHARED, name="other")), "shared", (("plain", "shared", 1), ("shared", "shared", 1))),
            (a_pod(gpu()), "shred", (("plain", "denied", 1),)),
        ],
    )
    def test_are_what_is_asked_for_and_what_results(
        self, pod: dict[str, object], policy: str, forms: tuple[tuple[str, str, int], ...]
    ) -> None:
        assert a_row(evaluated([seen(pod)], labelled(team_a=policy))).verdict.forms == tuple(
            GpuForm(*form, planned=form[2]) for form in forms
        )

    def test_may_be_a_claim(self) -> None:
        form = ClaimForm("one", "gpu.nvidia.com")
        book = PolicyBook({"claims": Policy("claims", claim_forms=(form,), plain_claim=form)})
        row = a_row(evaluated([seen(a_pod(gpu()))], labelled(team_a="claims"), Configuration(policies=book)))
        assert row.verdict.forms == (GpuForm("plain", 'a claim of ResourceClaimTemplate "one"', 1, 1),)

    def test_stay_where_the_pod_is_exempt(self) -> None:
        row = a_row(evaluated([seen(namespace="kube-system")], labelled(kube_system="shared")))
        assert row.verdict.forms == (GpuForm("plain", "plain", 1, 1),)


class TestMemory:
    def test_pods_that_are_alike_share_one_verdict(self) -> None:
        made = evaluated([seen(kind="Pod", name=f"p{number}") for number in range(50)], SHARED_TEAM)
        assert len({id(row.verdict) for row in made}) == 1

    def test_so_do_pods_that_each_name_their_node(self) -> None:
        def on(node: str) -> dict[str, object]:
            field = {"key": "metadata.name", "operator": "In", "values": [node]}
            terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
            return a_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})

        made = evaluated([seen(on(f"node-{n}"), kind="Pod", name=f"p{n}") for n in range(5)], SHARED_TEAM)
        assert len({id(row.verdict) for row in made}) == 1

    def test_pods_of_different_policies_do_not(self) -> None:
        auditor = Auditor(Configuration(), labelled(a="shared", b="none"))
        verdicts = [auditor.verdict(seen(namespace=name)) for name in "ab"]
        assert [verdict and verdict.outcome for verdict in verdicts] == [Outcome.REWRITTEN, Outcome.DENIED]

    def test_nor_do_those_of_namespaces_of_which_one_is_exempt(self) -> None:
        auditor = Auditor(Configuration(), labelled(a="shared", kube_system="shared"))
        verdicts = [auditor.verdict(seen(namespace=name)) for name in ("a", "kube-system")]
        assert [verdict and verdict.exempt for verdict in verdicts] == [None, "namespace"]

    def test_nor_do_those_of_which_one_has_annotations_already(self) -> None:
        auditor = Auditor(Configuration(), SHARED_TEAM)
        pods = (a_pod(), a_pod(annotations={}), a_pod(annotations={"gpuwarden.io/policy": "mps"}))
        patches = [auditor.verdict(seen(pod)) for pod in pods]
        ends = [[operation["op"] for operation in verdict.operations[-2:]] for verdict in patches if verdict]
        paths = [verdict.operations[-1]["path"].rpartition("metadata/")[2] for verdict in patches if verdict]
        assert paths == ["annotations", *["annotations/gpuwarden.io~1policy"] * 2]
        assert ends[1:] == [["add", "add"], ["add", "replace"]]

    def test_of_a_pod_only_the_verdict_is_kept(self) -> None:
        found = Auditor(Configuration(), SHARED_TEAM).keep(seen(kind="Pod"))
        assert found is not None
        assert found.workload.pod is None

    def test_a_replica_set_that_no_pod_names_is_forgotten(self) -> None:
        auditor = Auditor(Configuration(), SHARED_TEAM)
        replica_set = {"kind": "ReplicaSet", "owner": owned("Deployment", "d")}
        assert auditor.keep(seen(name="old", **replica_set)) is None  # type: ignore[arg-type]  # keywords as they are
        auditor.keep(seen(kind="Pod", name="p", owner=owned("ReplicaSet", "new")))
        assert auditor.keep(seen(name="new", **replica_set)) is not None  # type: ignore[arg-type]  # likewise

    def test_an_object_that_is_seen_twice_because_a_list_started_over_counts_as_its_lists_do(self) -> None:
        auditor = Auditor(Configuration(), SHARED_TEAM)
        first, again = auditor.keep(seen()), auditor.keep(seen())
        assert first is not None
        assert again is not None
        assert first.verdict is again.verdict


class TestTotals:
    def test_count_workloads_by_their_next_pod_and_pods_by_what_would_become_of_each(self) -> None:
        counted = totals(three())

        assert counted.workloads == {"unchanged": 1, "rewritten": 1, "denied": 1}
        assert counted.pods == {"rewritten": 2}
        assert counted.namespaces == {
            "inference": {"rewritten": 1},
            "notebooks": {"denied": 1},
            "training": {"unchanged": 1},
        }
        assert list(counted.namespaces) == sorted(counted.namespaces)
        assert counted.policies["mig-1g.5gb"] == {"rewritten": 1}
        assert counted.rules == {"shared-request-above-one": 1}
        assert counted.flows == {
            ("plain", "mig-1g.5gb", "rewritten"): Flow(1, 2, 2),
            ("plain", "denied", "denied"): Flow(1, 0, 2),
            ("plain", "exclusive", "unchanged"): Flow(1, 0, 4),
        }

    def test_count_a_rule_once_a_workload(self) -> None:
        twice = a_pod(gpu(2), gpu(2, name="other"))
        assert totals(evaluated([seen(twice)], SHARED_TEAM)).rules == {"shared-request-above-one": 1}

    def test_count_what_is_exempt_as_that_only(self) -> None:
        made = evaluated([seen(namespace="kube-system"), seen(kind="Pod", name="p", namespace="kube-system")], {})
        counted = totals(made)
        assert (counted.workloads, counted.pods) == ({"exempt": 2}, {"exempt": 1})

    def test_add_up(self) -> None:
        made = many(400, 20)
        counted = totals(made)
        assert counted.workloads.total() == len(made) == 400
        assert sum(tally.total() for tally in counted.namespaces.values()) == 400
        assert sum(tally["denied"] for tally in counted.policies.values()) == counted.workloads["denied"]
        assert sum(flow.workloads for flow in counted.flows.values()) == 400

    def test_of_nothing_are_nothing(self) -> None:
        assert totals([]).workloads.total() == 0


def test_a_namespace_without_a_label_is_evaluated_by_the_configurations_default() -> None:
    configuration = Configuration(policies=PolicyBook(defaults=NamespaceLabels("none")))
    assert a_row(evaluated([seen(a_pod(gpu(1, GPU)))], {}, configuration)).verdict.outcome is Outcome.DENIED
