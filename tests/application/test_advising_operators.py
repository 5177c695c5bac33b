"""``/advise`` for operators' kinds: each row's pods are evaluated as created, and what the operator does besides is named."""

import json
from typing import Any

import msgspec
import pytest

from testing.reviews import TEAM, UID, Answered, KnownNamespaces, Notes, a_review, finish, read_answer
from tests.application.test_operator_kinds import at, merged
from webhook.application.advising import Advising
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.kind_lookup import ADVISED_OPERATORS, KINDS
from webhook.application.review import MOST_ELEMENTS, ReviewError
from webhook.application.workload_kinds import Template, WorkloadKind, table
from webhook.engine.namespace_labels import NamespaceLabels

Json = dict[str, Any]
GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"
ENFORCED = NamespaceLabels(enforce="shared")
TEMPLATES = [(kind, one) for kind in ADVISED_OPERATORS for one in kind.templates]
RESOURCES = [(kind, path) for kind in ADVISED_OPERATORS for path in kind.resources]


def spec(resource: str = GPU, count: int = 2, **more: Any) -> Json:
    limits = {resource: count}
    return {"containers": [{"name": "main", "image": "x", "resources": {"limits": limits}}], **more}


def advise(  # noqa: PLR0913 - each is one thing that decides
    kind: WorkloadKind,
    fields: Json,
    labels: NamespaceLabels = ENFORCED,
    *,
    configuration: Configuration | None = None,
    notes: Notes | None = None,
    metadata: Json | None = None,
    **request: Any,
) -> Answered:
    version = {"group": kind.group, "version": kind.versions[0], "kind": kind.kind}
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "x", **(metadata or {})},
        **fields,
    }
    advising = Advising(
        lambda: configuration or Configuration(),
        KnownNamespaces({TEAM: labels}),
        Notes() if notes is None else notes,
    )
    body = json.dumps(a_review(manifest, **{"kind": version, **request})).encode()
    answered = read_answer(finish(advising.advise(body)), UID)
    assert answered.allowed
    assert answered.patch is None
    return answered


def row(group: str, kind: str) -> WorkloadKind:
    return KINDS[group, kind]


RAY = row("ray.io", "RayCluster")
JOB_SET = row("jobset.x-k8s.io", "JobSet")


def ray(resource: str, count: int = 1, parameters: Json | None = None) -> Json:
    group = {"groupName": "g", "rayStartParams": parameters or {}, "template": {"spec": spec(resource, count)}}
    return {"spec": {"workerGroupSpecs": [group]}}


def job_set(resource: str = GPU, count: int = 1) -> Json:
    made: Json = at("spec.replicatedJobs[*].template.spec.template.spec", spec(resource, count))
    return made


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (RAY, ray("cpu")),
        (RAY, {"spec": {"workerGroupSpecs": "three"}}),
        (RAY, {"spec": {"workerGroupSpecs": [{"template": {"spec": {"containers": "one"}}}]}}),
        (RAY, {"spec": None}),
        (RAY, {}),
        (JOB_SET, job_set("{{gpus}}", 0)),
        (JOB_SET, job_set("nvidia.com/hostdev")),
        (row("trainer.kubeflow.org", "ClusterTrainingRuntime"), at("spec.template.spec.replicatedJobs[*]", spec())),
        (row("apps.nvidia.com", "NIMService"), {"spec": {"resources": {"limits": {"cpu": 4}}}}),
    ],
)
def test_an_object_without_gpus_or_pods_passes_without_a_word(kind: WorkloadKind, fields: Json) -> None:
    notes = Notes()
    answered = advise(kind, fields, notes=notes)
    assert (answered.warnings, answered.annotations, notes) == ([], {}, [])


def test_a_kind_that_is_in_no_row_passes(  # the API server sends none, but rules may be edited
) -> None:
    unknown = msgspec.structs.replace(RAY, group="example.com")
    assert advise(unknown, ray(GPU, 2)).warnings == []


def test_pods_that_will_be_rewritten_are_no_news_under_enforce() -> None:
    assert advise(JOB_SET, job_set()).warnings == []


@pytest.mark.parametrize(
    ("kind", "template"), TEMPLATES, ids=[f"{kind.kind}.{kind.group} {one.path}" for kind, one in TEMPLATES]
)
def test_every_template_of_every_row_is_evaluated_and_named(kind: WorkloadKind, template: Template) -> None:
    fields = at(template.path, spec())
    for count in template.replicas:
        fields = merged(fields, at(count, 3))
    warnings = advise(kind, fields).warnings
    path = template.path.replace("[*]", "[0]").replace("{*}", ".Worker")
    place = path.removesuffix("spec").removesuffix(".") if template.is_whole else path
    pods = 3 ** len(template.replicas)
    counted = "" if kind.passive or kind.uncounted else f" ({pods} {'pod' if pods == 1 else 'pods'})"
    title = f"{place or 'spec'}{counted}"
    assert warnings[0].startswith(f'{title}: would be denied: container "main": {GPU}: 2 cannot be shared'), warnings


@pytest.mark.parametrize(
    ("kind", "path"), RESOURCES, ids=[f"{kind.kind}.{kind.group} {path}" for kind, path in RESOURCES]
)
def test_every_request_outside_of_templates_is_evaluated_and_named(kind: WorkloadKind, path: str) -> None:
    value = {"name": GPU, "quantity": 2} if path.endswith(".gpu") else {"limits": {GPU: 2}}
    place = path.replace("[*]", "[0]").replace("{*}", ".Worker")
    (warning,) = advise(kind, at(path, value)).warnings
    assert warning.startswith(f'its pods, when they are created: would be denied: container "{place}": {GPU}: 2 cannot')


def test_each_template_is_named_and_those_that_will_run_are_not() -> None:
    groups = [{"replicas": number, "template": {"spec": spec(count=number)}} for number in (1, 2, 3)]
    first, second = advise(
        RAY, {"spec": {"headGroupSpec": {"template": {"spec": spec()}}, "workerGroupSpecs": groups}}
    ).warnings[1:]
    assert first.startswith("spec.workerGroupSpecs[1].template (2 pods): would be denied: ")
    assert second.startswith("spec.workerGroupSpecs[2].template (3 pods): would be denied: ")


def test_what_would_become_of_pods_is_said_under_warn() -> None:
    (warning,) = advise(JOB_SET, job_set(), NamespaceLabels(warn="shared")).warnings
    assert warning.startswith("spec.replicatedJobs[0].template.spec.template (1 pod): container")
    assert f"would become {SHARED}: 1" in warning


def test_a_dry_run_of_the_whole_cluster_says_what_would_become_of_pods() -> None:
    (warning,) = advise(JOB_SET, job_set(), configuration=Configuration(mode=Mode.AUDIT)).warnings
    assert f"would become {SHARED}: 1" in warning


def test_the_audit_log_has_the_worst_of_the_pods_and_no_patch_of_templates() -> None:
    groups = [{"template": {"spec": spec(count=number)}} for number in (1, 2)]
    notes = Notes()
    found = advise(
        RAY, {"spec": {"workerGroupSpecs": groups}}, NamespaceLabels(audit="shared"), notes=notes
    ).annotations
    assert found == {"audit-policy": "shared", "audit-outcome": "denied", "audit-rules": "shared-request-above-one"}
    evaluated = [note.evaluated for note in notes if note.evaluated.mode == "audit"]
    assert [(one.path, one.acted) for one in evaluated] == [("advise", False)] * 2


def test_exempt_pods_are_left_alone_one_by_one() -> None:
    exempt = {"template": {"spec": spec(runtimeClassName="kata")}}
    exemptions = Configuration(exemptions=Exemptions(runtime_classes=frozenset({"kata"})))
    assert advise(RAY, {"spec": {"workerGroupSpecs": [exempt]}}, configuration=exemptions).annotations == {
        "exempt": "runtimeClass"
    }
    both = {"spec": {"workerGroupSpecs": [exempt, {"template": {"spec": spec()}}]}}
    (warning,) = advise(RAY, both, configuration=exemptions).warnings
    assert warning.startswith("spec.workerGroupSpecs[1].template")


def test_an_exempt_namespace_is_left_alone() -> None:
    exemptions = Configuration(exemptions=Exemptions(namespaces=frozenset({TEAM})))
    answered = advise(RAY, ray(GPU, 2), configuration=exemptions)
    assert (answered.warnings, answered.annotations) == ([], {"exempt": "namespace"})


def test_a_name_that_is_yet_to_be_made_is_recorded_by_its_beginning() -> None:
    notes = Notes()
    advise(RAY, ray(GPU), notes=notes, metadata={"name": None, "generateName": "ray-"}, name="")
    assert {one.request.name for one in notes} == {"ray-"}


def test_a_huge_object_is_not_read() -> None:
    with pytest.raises(ReviewError, match="elements"):
        advise(RAY, {"spec": {"workerGroupSpecs": [{} for _ in range(MOST_ELEMENTS)]}})


def test_what_is_not_an_object_is_not_read() -> None:
    version = {"group": RAY.group, "version": "v1", "kind": RAY.kind}
    advising = Advising(Configuration, KnownNamespaces({TEAM: ENFORCED}), Notes())
    body = json.dumps({**a_review({}, kind=version)}).replace('"object": {}', '"object": []').encode()
    with pytest.raises(ReviewError, match=r"request\.object"):
        finish(advising.advise(body))


CONFIGURED = table(
    [
        WorkloadKind("example.com", ("v1",), "Training", "trainings", (Template("spec.workers[*].template.spec"),)),
        # Instead of gpuwarden's own.
        WorkloadKind("ray.io", ("v1",), "RayCluster", "rayclusters", (Template("spec.pod.spec"),)),
    ]
)


@pytest.mark.parametrize(("kind", "path"), [("Training", "spec.workers[0].template"), ("RayCluster", "spec.pod")])
def test_rows_of_the_configuration_are_evaluated_too_and_come_first(kind: str, path: str) -> None:
    configured = next(one for one in CONFIGURED.values() if one.kind == kind)
    fields = at(configured.templates[0].path, spec())
    (warning,) = advise(configured, fields, configuration=Configuration(kinds=CONFIGURED)).warnings
    assert warning.startswith(f"{path} (1 pod): would be denied")
    assert advise(configured, fields).warnings == []


# What operators and queues do besides.
NIM = row("apps.nvidia.com", "NIMService")
ISVC, RUNTIME = row("serving.kserve.io", "InferenceService"), row("serving.kserve.io", "ServingRuntime")
VOLCANO = row("batch.volcano.sh", "Job")
QUEUED = {"labels": {"kueue.x-k8s.io/queue-name": "team"}}


def isvc(resource: str, worker: str = GPU) -> Json:
    model = {"resources": {"limits": {resource: 1}}}
    return {"spec": {"predictor": {"model": model, "workerSpec": spec(worker, 1)}}}


def gpu_types(names: str) -> Json:
    return {"annotations": {"serving.kserve.io/gpu-resource-types": names}}


def without_worker(resource: str) -> Json:
    return {"spec": {"predictor": {"model": {"resources": {"limits": {resource: 1}}}}}}


def volcano(resource: str) -> Json:
    made: Json = at("spec.tasks[*].template.spec", spec(resource, 1))
    return made


LWS = row("leaderworkerset.x-k8s.io", "LeaderWorkerSet")


@pytest.mark.parametrize(
    ("kind", "fields", "metadata"),
    [
        (RAY, ray(GPU), {}),
        (RAY, ray("nvidia.com/mig-1g.5gb"), {}),
        (RAY, ray(SHARED, parameters={"num-gpus": "1"}), {}),
        (RAY, ray(SHARED, parameters={"num-gpus": "0"}), {}),
        (row("ray.io", "RayJob"), at("spec.submitterPodTemplate.spec", spec(SHARED, 1)), {}),
        (NIM, {"spec": {"resources": {"limits": {GPU: 1}}}}, {}),
        (ISVC, without_worker(SHARED), {}),
        (ISVC, isvc(GPU), {}),
        (ISVC, isvc(SHARED, SHARED), gpu_types(f'["{SHARED}"]')),
        (VOLCANO, volcano(SHARED), {}),
        (JOB_SET, job_set(), {}),
        (JOB_SET, job_set(SHARED), QUEUED),
        (LWS, at("spec.leaderWorkerTemplate.workerTemplate.spec", spec(GPU, 1)), QUEUED),
    ],
)
def test_an_object_that_no_operator_spoils_passes_without_a_word(
    kind: WorkloadKind, fields: Json, metadata: Json
) -> None:
    labels = NamespaceLabels(enforce="shared") if "mig" not in str(fields) else NamespaceLabels(enforce="mig-1g.5gb")
    assert advise(kind, fields, labels, metadata=metadata).warnings == []


@pytest.mark.parametrize(
    ("kind", "fields", "metadata", "said"),
    [
        (
            RAY,
            ray(SHARED),
            {},
            (f"spec.workerGroupSpecs[0].template: Ray would start with num-gpus 0, because it does not count {SHARED}; set "
            f"spec.workerGroupSpecs[0].rayStartParams.num-gpus, or request {GPU} and let gpuwarden rewrite the pods"),
        ),
        (
            row("ray.io", "RayService"),
            at("spec.rayClusterConfig.headGroupSpec.template.spec", spec(SHARED, 1)),
            {},
            (f"spec.rayClusterConfig.headGroupSpec.template: Ray would start with num-gpus 0, because it does not count "
            f"{SHARED}; set spec.rayClusterConfig.headGroupSpec.rayStartParams.num-gpus, or request {GPU} and "
            f"let gpuwarden rewrite the pods"),
        ),
        (
            NIM,
            {"spec": {"resources": {"limits": {SHARED: 1}}}},
            {},
            (f"spec.resources: the NIM operator adds {GPU} alongside {SHARED}, and such pods would be denied "
            f"(mixed-gpu-resources); request {GPU} and let gpuwarden rewrite the pods"),
        ),
        (
            ISVC,
            isvc(SHARED, SHARED),
            {},
            (f"spec.predictor.workerSpec: KServe would deny {SHARED}, because with workerSpec it permits only names "
            f"that it knows; request {GPU} and let gpuwarden rewrite the pods, or set "
            f"metadata.annotations[serving.kserve.io/gpu-resource-types] to '[\"{SHARED}\"]'"),
        ),
        (ISVC, isvc(GPU, SHARED), gpu_types('["other.example/gpu"]'), f"spec.predictor.workerSpec: KServe would deny {SHARED}"),
        (ISVC, isvc(GPU, SHARED), gpu_types("not JSON"), f"spec.predictor.workerSpec: KServe would deny {SHARED}"),
        (ISVC, isvc(GPU, SHARED), gpu_types("3"), f"spec.predictor.workerSpec: KServe would deny {SHARED}"),
        (
            RUNTIME,
            {"spec": {"containers": [{"resources": {"limits": {SHARED: 1}}}], "workerSpec": {"containers": []}}},
            {},
            f"spec.workerSpec: KServe would deny {SHARED}",
        ),
        (
            VOLCANO,
            volcano(GPU),
            {},
            (f"spec.tasks[0].template: Volcano counts {GPU} as the template requests it, and the pods would request {SHARED}; "
            f"if no node or quota offers {GPU}, no pod is ever created; request {SHARED} here"),
        ),
        (JOB_SET, job_set(), QUEUED, f"spec.replicatedJobs[0].template.spec.template: Kueue counts {GPU} as the template"),
        (
            row("trainer.kubeflow.org", "TrainJob"),
            {"spec": {"trainer": {"resourcesPerNode": {"limits": {GPU: 1}}}}},
            QUEUED,
            f"its pods: Kueue counts {GPU} as the template",
        ),
        (
            KINDS["batch", "Job"],
            {"spec": {"template": {"spec": spec(GPU, 1)}}},
            QUEUED,
            f"spec.template: Kueue counts {GPU} as the template requests it",
        ),
    ],
)  # fmt: skip
def test_what_an_operator_or_a_queue_makes_of_it_is_said(
    kind: WorkloadKind, fields: Json, metadata: Json, said: str
) -> None:
    (warning,) = advise(kind, fields, metadata=metadata).warnings
    assert warning.startswith(said)


def test_under_no_policy_a_queue_counts_what_pods_request() -> None:
    assert advise(VOLCANO, volcano(GPU), NamespaceLabels()).warnings == []
