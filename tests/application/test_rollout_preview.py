"""What another policy would make of a namespace's workloads, one by one, and in how few words it is told."""

from typing import Any

import pytest

from tests.adapters.reports.fleets import owned, seen
from tests.builders import a_container, a_pod, gpu
from webhook.application.auditing import WorkloadObject
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.rollout_preview import RolloutPreview
from webhook.engine.policy import ANY_POLICY, Policy, PolicyBook

SHARED = Policy("shared")
AUDIT = "gpuwarden audit -n team-a --assume 'team-a=shared'"


def restarts(
    *objects: WorkloadObject, policy: str = "shared", configuration: Configuration | None = None
) -> RolloutPreview:
    made = RolloutPreview(configuration or Configuration(), "team-a", Policy(policy))
    for one in objects:
        made.look(one)
    return made


def warnings(*objects: WorkloadObject, policy: str = "shared", configuration: Configuration | None = None) -> list[str]:
    return restarts(*objects, policy=policy, configuration=configuration).warnings()


def rewritten(name: str, kind: str = "Deployment", **fields: Any) -> WorkloadObject:
    return seen(kind=kind, name=name, **fields)


def refused(name: str, kind: str = "Deployment", **fields: Any) -> WorkloadObject:
    return seen(a_pod(gpu(2)), kind=kind, name=name, **fields)


def test_a_policy_that_changes_nothing_is_worth_no_word() -> None:
    assert warnings(rewritten("a"), policy="exclusive") == []
    assert warnings(rewritten("a"), policy="any") == []
    assert warnings() == []
    assert warnings(seen(a_pod(a_container("web", {"cpu": "1"})))) == []


def test_refused_and_rewritten_are_counted_and_a_few_are_named_with_their_rules() -> None:
    names = ("e", "d", "c", "b", "a")
    objects = [*(rewritten(name) for name in names), refused("sweep", "Job"), refused("big"), seen(a_pod(gpu("0.5")))]
    above_one = "shared-request-above-one"
    denied = f'Deployment "big" ({above_one}), Deployment "trainer" (not-a-whole-number), Job "sweep" ({above_one})'
    changed = 'Deployment "a", Deployment "b", Deployment "c" and 2 more'
    assert warnings(*objects) == [
        f'namespace "team-a": 3 of 8 workloads with GPUs would be denied when their pods are next created: {denied}',
        f'namespace "team-a": 5 of 8 workloads with GPUs would be rewritten when their pods are next created: {changed}',
    ]


def claiming(name: str, kind: str = "Deployment", **fields: Any) -> WorkloadObject:
    return seen(
        a_pod({"name": "c"}, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}]),
        kind=kind,
        name=name,
        **fields,
    )


def test_workloads_with_resource_claims_are_not_counted_among_those_with_gpus_and_are_named() -> None:
    with_gpu, of_claims = warnings(claiming("claiming"), refused("b"))
    assert "1 workload with GPUs would be denied" in with_gpu
    assert of_claims == (
        'namespace "team-a": 1 workload has resource claims (DRA), which are evaluated when their pods are next created: '
        'Deployment "claiming"'
    )


def test_a_few_of_them_are_named_and_pods_by_their_controller() -> None:
    pods = [claiming(f"p-{n}", "Pod", owner=owned("RayCluster", "ray")) for n in range(3)]
    (told,) = warnings(*(claiming(name) for name in "edcba"), *pods)
    assert "6 workloads have resource claims (DRA)" in told
    assert told.endswith('created: Deployment "a", Deployment "b", Deployment "c" and 3 more')


def test_claims_beside_a_request_are_named_too() -> None:
    both = seen(a_pod(gpu(1), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}]), name="both")
    with_gpu, of_claims = warnings(both)
    assert "rewritten" in with_gpu
    assert of_claims.endswith('"both"')


def test_of_claims_nothing_is_said_where_nothing_is_evaluated() -> None:
    under_any = RolloutPreview(Configuration(), "team-a", ANY_POLICY)
    under_any.look(claiming("a"))
    assert under_any.warnings() == []
    exempt = Configuration(exemptions=Exemptions(namespaces=frozenset({"team-a"})))
    assert warnings(claiming("a"), configuration=exempt) == []


def test_the_only_workload_is_one() -> None:
    assert warnings(rewritten("a")) == [
        'namespace "team-a": 1 workload with GPUs would be rewritten when their pods are next created: Deployment "a"'
    ]


def test_a_thousand_workloads_take_no_more_words() -> None:
    told = warnings(*(refused(f"w-{number}") for number in range(1000)))
    assert len(told) == 1
    assert len(told[0]) < 300


def test_the_template_of_a_controller_speaks_for_its_pods() -> None:
    """A pod was rewritten under the policy before: what it asks for now is not what its successor will ask for."""
    before = a_pod(gpu(1, "nvidia.com/mig-1g.5gb"))
    objects = [
        rewritten("trainer"),
        seen(kind="ReplicaSet", name="trainer-1", owner=owned("Deployment", "trainer")),
        *(seen(before, kind="Pod", name=f"p-{n}", owner=owned("ReplicaSet", "trainer-1")) for n in range(3)),
        seen(before, kind="Pod", name="q", owner=owned("StatefulSet", "s")),
    ]
    assert warnings(*objects) == warnings(rewritten("trainer"))


def test_a_pod_without_a_controller_speaks_for_itself() -> None:
    (told,) = warnings(refused("notebook", "Pod"))
    assert 'Pod "notebook" (shared-request-above-one, only if it is created again)' in told


def test_pods_of_a_controller_whose_template_nobody_knows_are_one_workload_by_the_worst_of_them() -> None:
    ray = owned("RayCluster", "ray", "ray.io/v1")
    objects = [rewritten("head", "Pod", owner=ray), *(refused(f"worker-{n}", "Pod", owner=ray) for n in range(5))]
    what = 'RayCluster.ray.io "ray" (shared-request-above-one)'
    expected = f'namespace "team-a": 1 workload with GPUs would be denied when their pods are next created: {what}'
    assert warnings(*objects) == [expected]
    assert warnings(*reversed(objects)) == [expected]


@pytest.mark.parametrize(("kind", "group"), [("Job", "batch.volcano.sh"), ("StatefulSet", "apps.kruise.io")])
def test_pods_of_a_controller_that_shares_its_kind_s_name_with_one_that_is_read_speak_for_themselves(
    kind: str, group: str
) -> None:
    pod = refused("x-0", "Pod", owner=owned(kind, "x", f"{group}/v1"))
    (told,) = warnings(rewritten("x", kind), pod)[:1]
    assert f'1 of 2 workloads with GPUs would be denied when their pods are next created: {kind}.{group} "x"' in told


def test_old_revisions_of_a_controller_of_others_do_not_count() -> None:
    rollout = owned("Rollout", "web", "argoproj.io/v1alpha1")
    objects = [
        refused("web-1", "ReplicaSet", owner=rollout, idle=True),
        rewritten("web-2", "ReplicaSet", owner=rollout),
    ]
    (told,) = warnings(*objects)
    assert told.endswith('would be rewritten when their pods are next created: Rollout.argoproj.io "web"')


@pytest.mark.parametrize("kind", ["Pod", "Job", "Deployment"])
def test_what_has_ended_is_not_looked_at(kind: str) -> None:
    assert warnings(refused("x", kind, over=True)) == []


def test_exempt_workloads_are_neither_refused_nor_rewritten() -> None:
    configuration = Configuration(exemptions=Exemptions(schedulers=frozenset({"kai-scheduler"})))
    exempt = seen(a_pod(gpu(2), schedulerName="kai-scheduler"), name="kai")
    assert warnings(exempt, configuration=configuration) == []
    (told,) = warnings(exempt, refused("x"), configuration=configuration)
    assert "1 of 2 workloads" in told


def test_a_configured_policy_decides_as_it_is_configured() -> None:
    book = PolicyBook({"team": Policy("team", max_per_pod=1, permits_any=True)})
    (told,) = warnings(refused("x"), policy="team", configuration=Configuration(policies=book))
    assert 'Deployment "x" (per-pod-limit)' in told


def test_what_was_not_seen_is_said_with_the_command_that_sees_it() -> None:
    assert restarts().warnings("out of time") == [
        f'namespace "team-a": not every workload was checked (out of time); {AUDIT} reports all'
    ]
    assert restarts(refused("x")).warnings("out of time")[1:] == restarts().warnings("out of time")
    assert restarts().unseen("too many") == [
        f'namespace "team-a": its workloads were not checked (too many); {AUDIT} reports what would change'
    ]


def test_in_audit_mode_nothing_would_be_refused_yet() -> None:
    (told,) = warnings(refused("x"), configuration=Configuration(mode=Mode.AUDIT))
    assert told.startswith('namespace "team-a", if mode were enforce: 1 workload with GPUs would be denied')
