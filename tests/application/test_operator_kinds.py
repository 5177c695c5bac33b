"""The rows of operators' kinds: an object of each is evaluated where the row says, and objects as projects write them are too."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import policy_of
from webhook.application.checking import Checker
from webhook.application.configuration import Configuration
from webhook.application.evaluation import Evaluation
from webhook.application.field_paths import ITEMS, VALUES, find, parse
from webhook.application.kind_lookup import workload_of
from webhook.application.operator_kinds import OPERATORS
from webhook.application.operator_traps import OPERATOR_TRAP
from webhook.application.workload_kinds import Template, WorkloadKind
from webhook.engine.decision import Outcome

GPU = {"limits": {"nvidia.com/gpu": 1}}
SPEC: dict[str, Any] = {"containers": [{"name": "main", "image": "x", "resources": GPU}]}
TEMPLATES = [(kind, template) for kind in OPERATORS for template in kind.templates]
RESOURCES = [(kind, path) for kind in OPERATORS for path in kind.resources]


def evaluated(kind: WorkloadKind, fields: dict[str, Any]) -> Evaluation:
    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}, **fields}
    return Checker(Configuration(), {}, policy=policy_of("shared")).evaluate(manifest)


def at(path: str, value: Any) -> Any:
    """An object with a value where a path leads to: in a list of one, in a map under Worker."""
    for step in reversed(parse(path)):
        value = [value] if step == ITEMS else {"Worker": value} if step == VALUES else {step: value}
    return value


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: merged(one.get(key), other.get(key)) for key in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0])]
    return other if one is None else one


def of(kind: WorkloadKind, path: str) -> str:
    return f"{kind.kind}.{kind.group} {path}"


@pytest.mark.parametrize(("kind", "template"), TEMPLATES, ids=[of(kind, one.path) for kind, one in TEMPLATES])
def test_the_pods_of_a_row_are_evaluated_and_counted(kind: WorkloadKind, template: Template) -> None:
    manifest = at(template.path, SPEC)
    for count in template.replicas:
        manifest = merged(manifest, at(count, 3))
    found = evaluated(kind, manifest)
    assert (found.outcome, found.not_evaluated) == (Outcome.REWRITTEN, None)
    number = 3 ** len(template.replicas)
    counted = "" if kind.passive or kind.uncounted else f" ({number} {'pod' if number == 1 else 'pods'})"
    (ask,) = found.requests
    assert ask.endswith(f"{counted}: main: nvidia.com/gpu: 1")
    path = template.path.replace(ITEMS, "[0]").replace(VALUES, ".Worker")
    place = path.removesuffix("spec").removesuffix(".") if template.is_whole else path
    assert ask.startswith(f"{place or 'spec'}{counted}: ")
    assert found.operations == ()


@pytest.mark.parametrize(("kind", "path"), RESOURCES, ids=[of(kind, path) for kind, path in RESOURCES])
def test_what_a_row_requests_outside_of_templates_is_said_with_the_verdict(kind: WorkloadKind, path: str) -> None:
    value = {"name": "nvidia.com/gpu", "quantity": 1} if path.endswith(".gpu") else GPU
    found = evaluated(kind, at(path, value))
    assert found.outcome is Outcome.UNCHANGED
    place = path.replace(ITEMS, "[0]").replace(VALUES, ".Worker")
    assert f"requests nvidia.com/gpu at {place}" in (found.not_evaluated or "")
    assert "a pod that requests this would be rewritten" in (found.not_evaluated or "")


# As the projects' own examples have them; the names and images are ours.
WRITTEN = {
    (
        "kind: PyTorchJob\napiVersion: kubeflow.org/v1\n"
        "spec: {pytorchReplicaSpecs: {Master: {replicas: 1, template: {spec: SPEC}}}}"
    ): "spec.pytorchReplicaSpecs.Master.template (1 pod)",
    "kind: Job\napiVersion: batch.volcano.sh/v1alpha1\nspec: {tasks: [{replicas: 2, name: a, template: {spec: SPEC}}]}": (
        "spec.tasks[0].template (2 pods)"
    ),
    "kind: Service\napiVersion: serving.knative.dev/v1\nspec: {template: {spec: SPEC}}": "spec.template (1 pod)",
    (
        "kind: InferenceService\napiVersion: serving.kserve.io/v1beta1\n"
        "spec: {predictor: {minReplicas: 2, containers: CONTAINERS}}"
    ): "spec.predictor (2 pods)",
    (
        "kind: JobSet\napiVersion: jobset.x-k8s.io/v1alpha2\n"
        "spec: {replicatedJobs: [{replicas: 2, template: {spec: {parallelism: 4, template: {spec: SPEC}}}}]}"
    ): "spec.replicatedJobs[0].template.spec.template (8 pods)",
    (
        "kind: LeaderWorkerSet\napiVersion: leaderworkerset.x-k8s.io/v1\n"
        "spec: {replicas: 2, leaderWorkerTemplate: {size: 4, workerTemplate: {spec: SPEC}}}"
    ): "spec.leaderWorkerTemplate.workerTemplate (8 pods)",
    "kind: Notebook\napiVersion: kubeflow.org/v1\nspec: {template: {spec: SPEC}}": "spec.template (1 pod)",
    "kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {replicas: 5, template: {spec: SPEC}}": "spec.template (5 pods)",
    "kind: PodClique\napiVersion: grove.io/v1alpha1\nspec: {replicas: 2, podSpec: SPEC}": "spec.podSpec (2 pods)",
    "kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {replicas: '5', template: {spec: SPEC}}": "spec.template",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_an_object_as_its_project_writes_it_is_evaluated(text: str) -> None:
    containers = "[{name: main, image: x, resources: {limits: {nvidia.com/gpu: 2}}}]"
    manifest = yaml.safe_load(text.replace("SPEC", f"{{containers: {containers}}}").replace("CONTAINERS", containers))
    kind = workload_of(manifest["apiVersion"], manifest["kind"])
    assert kind is not None
    found = evaluated(kind, manifest)
    assert found.requests == (f"{WRITTEN[text]}: main: nvidia.com/gpu: 2",)
    assert [finding.rule.id for finding in found.findings] == ["shared-request-above-one"]


def test_kinds_of_one_name_are_told_apart_by_their_group() -> None:
    for kind, groups in (
        ("Job", {"batch", "batch.volcano.sh"}),
        ("SparkApplication", {"sparkoperator.k8s.io", "spark.apache.org"}),
    ):
        found = [workload_of(f"{group}/v1", kind) for group in groups]
        assert {one.group for one in found if one} == groups


keys = st.text("abcdefg", min_size=1, max_size=6).map(lambda text: f"x{text}")
steps = st.lists(st.one_of(keys, st.integers(0, 3)), max_size=6)


@given(steps=steps, inline=st.booleans())
def test_a_pod_is_found_by_its_shape_however_deep_it_is(steps: list[str | int], *, inline: bool) -> None:
    value: Any = SPEC if inline else {"spec": SPEC}
    for step in reversed(steps):
        value = {step: value} if isinstance(step, str) else [*[{}] * step, value]
    kind = WorkloadKind("example.com", ("v1",), "Fleet", "fleets", ())
    found = evaluated(kind, {"spec": {"deep": value}})
    assert (found.outcome, found.not_evaluated) == (Outcome.REWRITTEN, None)
    (pod,) = found.pods
    assert [data for _, data in find({"spec": {"deep": value}}, pod.where.place)] == [
        SPEC if inline else {"spec": SPEC}
    ]


@given(steps=steps)
def test_what_requests_gpus_and_has_no_shape_is_never_called_without_a_request(steps: list[str | int]) -> None:
    value: Any = {"resources": GPU}
    for step in reversed(steps):
        value = {step: value} if isinstance(step, str) else [*[{}] * step, value]
    kind = WorkloadKind("example.com", ("v1",), "Fleet", "fleets", ())
    assert "requests nvidia.com/gpu at spec.deep" in (evaluated(kind, {"spec": {"deep": value}}).not_evaluated or "")


@pytest.mark.parametrize("skipped", ["status", "metadata"])
def test_what_only_records_a_pod_is_not_evaluated_as_one(skipped: str) -> None:
    kind = WorkloadKind("example.com", ("v1",), "Fleet", "fleets", ())
    assert evaluated(kind, {skipped: {"name": "x", "annotations": {}, "template": {"spec": SPEC}}}).pods == ()


@pytest.mark.parametrize("kind", [kind for kind in OPERATORS if kind.by_shape], ids=lambda kind: of(kind, ""))
def test_pods_of_a_row_without_paths_are_found_by_their_shape(kind: WorkloadKind) -> None:
    found = evaluated(
        kind, {"spec": {"components": [{"template": {"kind": "Job", "spec": {"template": {"spec": SPEC}}}}]}}
    )
    assert (found.outcome, found.not_evaluated) == (Outcome.REWRITTEN, None)
    assert found.requests == ("spec.components[0].template.spec.template (by its shape): main: nvidia.com/gpu: 1",)
    device = evaluated(kind, {"spec": {"domain": {"devices": {"gpus": [{"deviceName": "nvidia.com/GA102GL_A10"}]}}}})
    assert "requests nvidia.com/GA102GL_A10 at spec.domain.devices.gpus[0].deviceName" in (device.not_evaluated or "")


def test_what_an_operator_makes_of_it_comes_instead_of_the_note_on_its_kind() -> None:
    ray = next(kind for kind in OPERATORS if kind.kind == "RayCluster")
    path = "spec.headGroupSpec.template.spec"
    assert evaluated(ray, at(path, SPEC)).notes == (f"note: {ray.note.removesuffix('.')}",)
    shared = {"containers": [{"name": "main", "image": "x", "resources": {"limits": {"nvidia.com/gpu.shared": 1}}}]}
    found = evaluated(ray, at(path, shared))
    trap = next(finding for finding in found.findings if finding.rule is OPERATOR_TRAP)
    assert (trap.path, trap.denies, found.notes) == ("spec.headGroupSpec.template", False, ())
    assert trap.message.startswith("spec.headGroupSpec.template: Ray would start with num-gpus 0")


def test_the_same_of_a_request_outside_of_templates() -> None:
    nim = next(kind for kind in OPERATORS if kind.kind == "NIMService")
    found = evaluated(nim, {"spec": {"resources": {"limits": {"nvidia.com/gpu.shared": 1}}}})
    (trap,) = found.findings
    assert (trap.rule, trap.path) == (OPERATOR_TRAP, "spec.resources")
    assert trap.message.startswith(
        "spec.resources: the NIM operator adds nvidia.com/gpu alongside nvidia.com/gpu.shared"
    )
    assert "note: " not in (found.not_evaluated or "")


def test_the_patch_of_templates_has_places_in_maps_and_lists() -> None:
    job = next(kind for kind in OPERATORS if kind.kind == "PyTorchJob")
    found = evaluated(job, {"spec": {"pytorchReplicaSpecs": {"a/b~c": {"template": {"spec": SPEC}}}}})
    assert found.operations == ()
    assert {
        operation["path"].partition("/spec/")[2].partition("/template/")[0] for operation in found.of_templates
    } == {"pytorchReplicaSpecs/a~1b~0c"}


@pytest.mark.parametrize(("queue", "said"), [({}, False), ({"kueue.x-k8s.io/queue-name": "team"}, True)])
def test_of_a_job_it_is_said_what_a_queue_counts(queue: dict[str, str], *, said: bool) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "x", "labels": queue},
        **at("spec.template.spec", SPEC),
    }
    found = Checker(Configuration(), {}, policy=policy_of("shared")).evaluate(job)
    assert [one.message.partition(" as the template")[0] for one in found.findings] == (
        ["spec.template: Kueue counts nvidia.com/gpu"] if said else []
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("NIMService", {"spec": {"image": {"repository": "x"}}}),
        ("NIMPipeline", {"spec": {"services": [{"spec": {}}]}}),
        (
            "Workspace",
            {"resource": {"instanceType": "Standard_NC24ads_A100_v4"}, "inference": {"preset": {"name": "phi"}}},
        ),
    ],
)
def test_a_gpu_that_only_the_operator_requests_is_said(kind: str, fields: dict[str, Any]) -> None:
    row = next(one for one in OPERATORS if one.kind == kind and one.implicit)
    told = evaluated(row, fields).not_evaluated or ""
    assert (
        "names no GPU, and its operator requests nvidia.com/gpu for its pods; evaluated when its pods are created"
        in told
    )
    assert "a pod that requests this would be rewritten" in told


def test_it_is_not_said_of_an_object_that_names_its_gpus() -> None:
    nim = next(one for one in OPERATORS if one.kind == "NIMService")
    for spec in ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, {"draResources": [{"resourceClaimName": "a"}]}):
        assert "names no GPU" not in (evaluated(nim, {"spec": spec}).not_evaluated or "")
    kaito = next(one for one in OPERATORS if one.kind == "Workspace" and one.group == "kaito.sh")
    container = {"name": "a", "image": "b", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    assert evaluated(kaito, {"inference": {"template": {"spec": {"containers": [container]}}}}).not_evaluated is None
