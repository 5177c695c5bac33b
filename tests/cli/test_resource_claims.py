"""Resource claims (DRA) in ``check``, ``audit`` and ``rewrite``: evaluated by the objects among the input, or said not to be."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.builders import GPU, Json, a_container, a_pod, gpu
from tests.cli.commands import SERVICE, run

CHECKED = ("table", "diff", "json", "junit", "sarif")
AUDITED = ("table", "json", "junit", "sarif", "csv", "html")
NOT_EVALUATED = 'claim gpu not evaluated; ResourceClaimTemplate "one-gpu" of namespace default was not found'
CLAIMS: Json = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]}
CLAIMING = a_container("train", resources={"claims": [{"name": "gpu"}]})

TEMPLATES = [
    ("v1", "Pod", ()),
    ("v1", "PodTemplate", ("template",)),
    ("apps/v1", "Deployment", ("spec", "template")),
    ("batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template")),
]
# Before v1alpha3.
UNREADABLE = (
    "apiVersion: resource.k8s.io/v1alpha2\nkind: ResourceClaim\nmetadata: {name: one}\nspec: {resourceClassName: gpu}\n"
)
REQUEST = "{name: gpu, exactly: {deviceClassName: gpu.nvidia.com}}"
TEMPLATE = """\
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: one-gpu}
spec: {spec: {devices: {requests: [REQUEST]}}}
"""
CLAIM = """\
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: one}
spec: {devices: {requests: [REQUEST]}}
"""


def beside(*manifests: str, request: str = REQUEST) -> str:
    """Documents, with this request in their claims."""
    return "\n---\n".join(manifests).replace("REQUEST", request)


def manifest(version: str = "v1", kind: str = "Pod", steps: tuple[str, ...] = (), **pod: Any) -> str:
    """An object whose pod has these containers and fields, as JSON."""
    inner: Any = pod or a_pod(CLAIMING, **CLAIMS)
    for step in reversed(steps):
        inner = {step: inner}
    return json.dumps({**inner, "apiVersion": version, "kind": kind, "metadata": {"name": "p"}})


def document(command: str, *options: str, stdin: str, code: int = 0) -> Any:
    ran = run(command, "-", *options, "-o", "json", stdin=stdin)
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def words_in(sentence: str, out: str) -> bool:
    """Whether each word of a sentence is there: a table breaks it into lines of a column."""
    return all(word in out for word in sentence.split())


def said(command: str, output: str, *options: str, stdin: str) -> str:
    ran = run(command, "-", "-o", output, *options, stdin=stdin)
    return " ".join((ran.out + ran.err).split())


@pytest.mark.parametrize(
    "pod", [a_pod(CLAIMING), a_pod(CLAIMING, resourceClaims=[]), a_pod(CLAIMING, resourceClaims=None)]
)
def test_a_pod_without_claims_is_evaluated(pod: dict[str, Any]) -> None:
    (line,) = document("check", "--strict", stdin=manifest(**pod))["objects"]
    assert (line["decision"], line["notEvaluated"], line["claims"]) == ("unchanged", None, [])


CLASS = """\
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: slices.example.com}
spec: {extendedResourceName: NAME}
"""


@pytest.mark.parametrize(
    ("name", "resource", "exclusive", "none"),
    [
        ("gpu.nvidia.com", "example.com/accel", [], ["gpu-not-permitted"]),
        ("slices.example.com", "example.com/accel", ["other-gpu-resource"], ["other-gpu-resource"]),
        ("dra.cpu", "example.com/accel", [], []),
        ("gpu.nvidia.com", "example.com/another", [], []),
    ],
)
@pytest.mark.parametrize("command", ["check", "audit"])
def test_a_device_class_among_the_input_makes_its_resource_name_one_of_gpus(
    command: str, name: str, resource: str, exclusive: list[str], none: list[str]
) -> None:
    pod = manifest(**a_pod(gpu(resource="example.com/accel")))
    stdin = beside(pod, CLASS.replace("slices.example.com", name).replace("NAME", resource))
    for policy, rules in (("exclusive", exclusive), ("none", none)):
        options = ["--policy", policy] if command == "check" else ["--assume", f"*={policy}"]
        found = json.loads(run(command, "-", *options, "-o", "json", stdin=stdin).out)
        lines = [one for one in found["objects"] if one["kind"] == "Pod"]
        assert [one["rule"] for line in lines for one in line["findings"]] == rules


@pytest.mark.parametrize(
    ("device_class", "rules"),
    [
        (CLASS.replace("NAME", "nvidia.com/mig-1g.10gb"), []),
        (CLASS.replace("NAME", "nvidia.com/gpu"), ["form-not-permitted"]),
        (CLASS.replace("NAME", "example.com/fpga"), ["claim-not-permitted"]),
        (CLASS.replace("NAME", "[nvidia.com/gpu]"), ["claim-not-permitted"]),
        (CLASS.replace("slices.example.com", "other"), ["claim-not-permitted"]),
        (CLASS.replace("resource.k8s.io/v1", "example.com/v1"), ["claim-not-permitted"]),
        ("apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: []\n", ["claim-not-permitted"]),
    ],
)
@pytest.mark.parametrize("command", ["check", "audit"])
def test_a_device_class_among_the_input_says_its_form(command: str, device_class: str, rules: list[str]) -> None:
    request = REQUEST.replace("gpu.nvidia.com", "slices.example.com")
    stdin = beside(manifest(), TEMPLATE, device_class.replace("NAME", "nvidia.com/mig-1g.10gb"), request=request)
    options = ["--policy", "mig-1g.10gb"] if command == "check" else ["--assume", "*=mig-1g.10gb"]
    ran = run(command, "-", *options, "-o", "json", stdin=stdin)
    found = json.loads(ran.out)
    (line,) = (one for one in found["objects"] if one["kind"] == "Pod")
    assert [one["rule"] for one in line["findings"] if one["rule"].endswith("permitted")] == rules


@pytest.mark.parametrize(("version", "kind", "steps"), TEMPLATES)
def test_a_pod_with_claims_is_not_evaluated(version: str, kind: str, steps: tuple[str, ...]) -> None:
    found = document("check", stdin=manifest(version, kind, steps))
    (line,) = found["objects"]
    field = ".".join((*steps, "spec.resourceClaims[0]"))
    assert (line["decision"], line["claims"], line["requests"]) == ("not-evaluated", ["gpu"], [])
    assert line["notEvaluated"].startswith(f"{field}: {NOT_EVALUATED}")
    assert (found["totals"]["notEvaluated"], found["totals"]["unchanged"], found["totals"]["requesting"]) == (1, 0, 0)


@pytest.mark.parametrize("output", CHECKED)
@pytest.mark.parametrize("stdin", [manifest(), UNREADABLE])
def test_check_says_it_in_every_format_and_fails_when_strict(output: str, stdin: str) -> None:
    out = said("check", output, stdin=stdin)
    assert words_in("may be for GPUs", out)
    assert words_in("check", out)
    assert run("check", "-", "-o", output, stdin=stdin).code == 0
    assert run("check", "-", "-o", output, "--strict", stdin=stdin).code == 1


@pytest.mark.parametrize("output", AUDITED)
@pytest.mark.parametrize("stdin", [manifest(), UNREADABLE])
def test_audit_says_it_in_every_format_and_fails_when_strict(output: str, stdin: str) -> None:
    out = said("audit", output, stdin=stdin)
    assert words_in("may be for GPUs", out)
    assert words_in("check", out)
    assert run("audit", "-", "-o", output, stdin=stdin).code == 0
    assert run("audit", "-", "-o", output, "--strict", stdin=stdin).code == 1


def test_the_summary_never_counts_it_among_those_without_a_request() -> None:
    items = ",".join(manifest(*each) for each in TEMPLATES)
    stdin = f'{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}\n---\n{SERVICE}---\n{UNREADABLE}'
    out = said("check", "table", stdin=stdin)
    assert "0 rewritten, 1 unchanged (1 without a GPU request), 0 exempt, 5 not evaluated, 0 not read" in out


def test_what_else_the_pod_requests_is_evaluated_and_told() -> None:
    both = manifest(**a_pod(gpu(1), **CLAIMS))
    (rewritten,) = document("check", "--policy", "shared", stdin=both)["objects"]
    (denied,) = document("check", "--policy", "none", stdin=both, code=1)["objects"]
    (unchanged,) = document("check", "--policy", "exclusive", stdin=both)["objects"]
    decisions = [line["decision"] for line in (rewritten, denied, unchanged)]
    assert decisions == ["rewritten", "denied", "not-evaluated"]
    assert all(NOT_EVALUATED in line["notEvaluated"] for line in (rewritten, denied, unchanged))
    assert all(line["requests"] == [f"train: {GPU}: 1"] for line in (rewritten, denied, unchanged))
    assert rewritten["patch"]
    assert [finding["rule"] for finding in denied["findings"]] == ["gpu-not-permitted"]
    for output in CHECKED:
        for policy in ("shared", "none", "exclusive"):
            out = said("check", output, "--policy", policy, stdin=both)
            assert words_in("claim gpu not evaluated; ResourceClaimTemplate was not found", out), (output, policy)


def test_each_object_counts_once() -> None:
    both = manifest(**a_pod(gpu(1), **CLAIMS))
    out = said("check", "table", "--policy", "none", stdin=f"{both}\n---\n{manifest()}")
    assert "2 objects: 1 denied, 0 rewritten, 0 unchanged, 0 exempt, 1 not evaluated" in out
    out = said("check", "table", "--policy", "exclusive", stdin=f"{both}\n---\n{manifest(**a_pod(gpu(1)))}")
    assert "2 objects: 0 denied, 0 rewritten, 1 unchanged, 0 exempt, 1 not evaluated, 0 not read" in out


def test_an_exempt_pod_is_left_alone_and_not_counted_as_without_a_request() -> None:
    exempt = manifest(**a_pod(CLAIMING, schedulerName="kai-scheduler", **CLAIMS))
    (line,) = document("check", "--strict", stdin=exempt)["objects"]
    assert (line["exempt"], line["decision"], line["notEvaluated"], line["claims"]) == (
        "scheduler",
        "exempt",
        None,
        ["gpu"],
    )
    out = said("check", "table", stdin=exempt)
    assert "exempt skipped: its scheduler is exempt" in out
    assert "0 unchanged, 1 exempt, 0 not evaluated" in out


def test_a_junit_case_is_skipped_unless_strict() -> None:
    def case(*options: str) -> ET.Element:
        found = ET.fromstring(run("check", "-", "-o", "junit", *options, stdin=manifest()).out).find(".//testcase")  # noqa: S314 - our own document
        assert found is not None
        return found

    skipped, failed = case().find("skipped"), case("--strict").find("failure")
    assert skipped is not None
    assert NOT_EVALUATED in (skipped.get("message") or "")
    assert failed is not None
    assert failed.get("type") == "not-evaluated"


def test_an_audit_counts_it_apart() -> None:
    both = manifest("apps/v1", "Deployment", ("spec", "template"), **a_pod(gpu(1), **CLAIMS))
    found = document("audit", stdin=f"{manifest()}\n---\n{both}\n---\n{UNREADABLE}")
    assert {line["kind"]: line["decision"] for line in found["objects"]} == {
        "Pod": "not-evaluated",
        "Deployment": "not-evaluated",
    }
    assert [line["kind"] for line in found["others"]] == ["ResourceClaim"]
    none = {"unchanged": 0, "rewritten": 0, "denied": 0, "exempt": 0}
    assert found["totals"]["workloads"] == {**none, "notEvaluated": 2}
    assert found["totals"]["notEvaluated"] == 3
    assert [flow["outcome"] for flow in found["totals"]["forms"]] == ["not-evaluated"]
    out = said("audit", "table", stdin=manifest())
    assert "1 workload requests GPUs, or has resource claims, with 0 pods: " in out
    assert "0 unchanged, 0 exempt, 1 not evaluated" in out


def test_rewrite_says_it_and_writes(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(manifest(**a_pod(gpu(1), **CLAIMS)))
    ran = run("rewrite", tmp_path / "p.json", "--policy", "shared")
    assert ran.code == 0
    assert f"not evaluated: spec.resourceClaims[0]: {NOT_EVALUATED}" in ran.err
    assert "nvidia.com/gpu.shared" in ran.out


@pytest.mark.parametrize("command", ["check", "audit"])
@pytest.mark.parametrize(("version", "kind", "steps"), TEMPLATES)
def test_a_claim_is_evaluated_by_its_template_among_the_input(
    command: str, version: str, kind: str, steps: tuple[str, ...]
) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {gpuwarden.io/enforce: POLICY}}\n"
    stdin = beside(manifest(version, kind, steps), TEMPLATE, namespace)
    (denied,) = [
        line
        for line in document(command, stdin=stdin.replace("POLICY", "none"), code=1)["objects"]
        if line["kind"] == kind
    ]
    assert (denied["decision"], denied["notEvaluated"]) == ("denied", None)
    (finding,) = denied["findings"]
    assert (finding["rule"], finding["path"]) == ("gpu-not-permitted", ".".join((*steps, "spec.resourceClaims[0]")))
    assert (denied["claims"], denied["requests"]) == (["gpu"], ["claim gpu: gpu.nvidia.com: 1"])
    permitted = document(command, "--strict", stdin=stdin.replace("POLICY", "exclusive"))
    (line,) = [line for line in permitted["objects"] if line["kind"] == kind]
    assert (line["decision"], line["notEvaluated"]) == ("unchanged", None)


def test_a_claim_by_name_is_one_that_pods_share() -> None:
    pod = manifest(**a_pod(CLAIMING, resourceClaims=[{"name": "gpu", "resourceClaimName": "one"}]))
    for policy, decision in (("shared", "unchanged"), ("exclusive", "denied"), ("none", "denied")):
        found = document("check", "--policy", policy, stdin=beside(CLAIM, pod), code=int(decision == "denied"))
        assert [line["decision"] for line in found["objects"]] == [decision, decision]


@pytest.mark.parametrize(
    ("template", "policy", "rules"),
    [
        (True, "exclusive", []),
        (False, "exclusive", ["form-not-permitted"]),
        (True, "none", ["gpu-not-permitted"]),
        (False, "none", ["gpu-not-permitted"]),
    ],
)
def test_claims_and_templates_are_evaluated_themselves(template: bool, policy: str, rules: list[str]) -> None:  # noqa: FBT001 - a column
    found = document("check", "--policy", policy, stdin=beside(TEMPLATE if template else CLAIM), code=len(rules))
    [line] = found["objects"]
    assert [finding["rule"] for finding in line["findings"]] == rules
    assert line["decision"] == ("denied" if rules else "unchanged")
    assert line["requests"] == [f"{line['kind']} {line['name']}: gpu.nvidia.com: 1"]


def test_a_claim_of_the_cluster_that_belongs_to_a_pod_is_evaluated_as_its_template() -> None:
    metadata = (
        "{name: one, annotations: {resource.kubernetes.io/pod-claim-name: gpu}, "
        "ownerReferences: [{kind: Pod, uid: '1', controller: true}]}"
    )
    owned = CLAIM.replace("{name: one}", metadata)
    document("check", "--policy", "exclusive", stdin=beside(owned))
    document("check", "--policy", "none", stdin=beside(owned), code=1)
    document(
        "check",
        "--policy",
        "exclusive",
        stdin=beside(CLAIM.replace("{name: one}", "{name: one, ownerReferences: 1}")),
        code=1,
    )


def test_a_template_of_another_namespace_is_not_the_pods() -> None:
    elsewhere = TEMPLATE.replace("one-gpu}", "one-gpu, namespace: other}")
    found = document("check", "--policy", "none", stdin=beside(elsewhere, manifest()), code=1)
    assert [line["decision"] for line in found["objects"]] == ["denied", "not-evaluated"]
    found = document("check", "--policy", "none", "-n", "other", stdin=beside(elsewhere, manifest()), code=1)
    assert [line["decision"] for line in found["objects"]] == ["denied", "denied"]
    found = document("audit", "-n", "other", "--assume", "other=none", stdin=beside(elsewhere, manifest()), code=1)
    assert [line["decision"] for line in found["objects"]] == ["denied"]


OWNED = (
    "{name: one, annotations: {resource.kubernetes.io/pod-claim-name: gpu}, "
    "ownerReferences: [{kind: Pod, uid: '1', controller: true}]}"
)


@pytest.mark.parametrize(
    ("objects", "policy", "listed"),
    [
        (CLAIM, "shared", []),
        (TEMPLATE, "exclusive", []),
        (CLAIM.replace("REQUEST", "{name: nic, exactly: {deviceClassName: dranet-ib}}"), "none", []),
        (CLAIM.replace("name: one}", "name: one, namespace: kube-system}"), "none", []),  # exempt
        (CLAIM.replace("{name: one}", OWNED), "none", []),  # Kubernetes made it for a pod
        (CLAIM, "exclusive", [("ResourceClaim", "one", "form-not-permitted")]),
        (TEMPLATE, "none", [("ResourceClaimTemplate", "one-gpu", "gpu-not-permitted")]),
    ],
)
def test_an_audit_lists_the_claims_and_templates_that_would_be_denied(
    objects: str, policy: str, listed: list[tuple[str, str, str]]
) -> None:
    stdin = beside(objects)
    found = document("audit", "--assume", f"*={policy}", stdin=stdin, code=int(bool(listed)))
    others = [(one["kind"], one["name"], each["rule"]) for one in found["others"] for each in one["findings"]]
    assert others == listed
    assert found["totals"]["others"]["denied"] == len(listed)
    out = said("audit", "table", "--assume", f"*={policy}", stdin=stdin)
    for kind, name, _ in listed:
        assert words_in(f'namespace default: {kind} "{name}": request gpu: DeviceClass', out)
    assert ("1 claim or template denied" in out) == bool(listed)
    assert "label that names no policy" not in out


def test_an_audit_evaluates_pods_that_are_alike_by_the_templates_of_their_namespaces() -> None:
    pods = [json.loads(manifest()) for _ in range(2)]
    for pod, namespace in zip(pods, ("a", "b"), strict=True):
        pod["metadata"]["namespace"] = namespace
    templates = [TEMPLATE.replace("one-gpu}", f"one-gpu, namespace: {namespace}}}") for namespace in "ab"]
    network = templates[1].replace("REQUEST", "{name: nic, exactly: {deviceClassName: dranet-ib}}")
    stdin = beside(templates[0], network, *map(json.dumps, pods))
    found = document("audit", "--assume", "*=none", stdin=stdin, code=1)
    assert {line["namespace"]: line["decision"] for line in found["objects"]} == {"a": "denied", "b": "unchanged"}


def test_what_is_known_is_evaluated_and_what_is_not_is_said_beside_it() -> None:
    claims = [
        {"name": "gpu", "resourceClaimTemplateName": "one-gpu"},
        {"name": "x", "resourceClaimTemplateName": "x"},
        {"name": "y", "resourceClaimName": "y"},
    ]
    stdin = beside(manifest(**a_pod(CLAIMING, resourceClaims=claims)), TEMPLATE)
    claim = "spec.resourceClaims[1]: claim x and 1 more not evaluated"
    said = f'{claim}; ResourceClaimTemplate "x" of namespace default was not found'
    for policy, decision in (("exclusive", "not-evaluated"), ("shared", "denied")):
        (line, _) = document("check", "--policy", policy, stdin=stdin, code=int(decision == "denied"))["objects"]
        assert line["decision"] == decision
        assert line["notEvaluated"].startswith(said)


def test_a_class_of_the_configuration_has_its_form(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\nclaims: {deviceClasses: {h100.example.com: mig-1g.10gb}}\n"
    )
    stdin = beside(manifest(), TEMPLATE, request="{name: gpu, exactly: {deviceClassName: h100.example.com, count: 2}}")
    (line, _) = document("check", "--policy", "mig-1g.10gb", "--config", str(tmp_path / "c.yaml"), stdin=stdin)[
        "objects"
    ]
    assert (line["decision"], line["requests"]) == ("unchanged", ["claim gpu: h100.example.com: 2"])
    (line, _) = document("check", "--policy", "mig-1g.10gb", stdin=stdin, code=1)["objects"]
    assert [finding["rule"] for finding in line["findings"]] == ["claim-not-permitted"]


def test_alternatives_and_all_devices_are_named() -> None:
    request = """{name: gpu, firstAvailable: [
        {name: a, deviceClassName: gpu.nvidia.com, allocationMode: All}, {name: b, deviceClassName: mig.nvidia.com, count: 2}]}"""
    (line, _) = document("check", stdin=beside(manifest(), TEMPLATE, request=request))["objects"]
    assert line["requests"] == ["claim gpu: gpu.nvidia.com: all or mig.nvidia.com: 2"]


def test_an_implicit_resource_is_told_once() -> None:
    pod = manifest(**a_pod(gpu(1, "deviceclass.resource.kubernetes.io/gpu.nvidia.com")))
    (line,) = document("check", "--policy", "exclusive", stdin=pod)["objects"]
    assert (line["decision"], line["requests"]) == (
        "unchanged",
        ["train: deviceclass.resource.kubernetes.io/gpu.nvidia.com: 1"],
    )


def test_the_claims_of_an_operators_pods_are_evaluated_too() -> None:
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j"},
        "spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 2, "template": a_pod(CLAIMING, **CLAIMS)}}},
    }
    path = "spec.pytorchReplicaSpecs.Worker.template.spec.resourceClaims[0]"
    (line,) = document("check", "--policy", "none", stdin=json.dumps(job))["objects"]
    assert (line["decision"], line["claims"]) == ("not-evaluated", ["gpu"])
    assert line["notEvaluated"].startswith(f"{path}: {NOT_EVALUATED}")
    (line, _) = document("check", "--policy", "none", stdin=beside(json.dumps(job), TEMPLATE), code=1)["objects"]
    assert (line["decision"], line["notEvaluated"]) == ("denied", None)
    assert [(finding["rule"], finding["path"]) for finding in line["findings"]] == [("gpu-not-permitted", path)]
    (line, _) = document("check", "--policy", "exclusive", "--strict", stdin=beside(json.dumps(job), TEMPLATE))[
        "objects"
    ]
    assert line["decision"] == "unchanged"


CONFIGURATION = """\
apiVersion: gpuwarden.io/v1
kind: Configuration
policies: {claims: {forms: [{claimTemplate: one-gpu, deviceClass: gpu.nvidia.com}]}}
"""


def test_a_request_becomes_a_claim_by_the_template_among_the_input_or_it_is_said_that_it_was_not_looked_at(
    tmp_path: Path,
) -> None:
    configuration = tmp_path / "config.yaml"
    configuration.write_text(CONFIGURATION)
    options = ("--policy", "claims", "--config", str(configuration))
    pod = manifest(**a_pod(gpu(2)))
    two = "{name: gpu, exactly: {deviceClassName: gpu.nvidia.com, count: 2}}"
    found = document("check", *options, stdin=beside(pod, TEMPLATE, request=two))["objects"][0]
    assert (found["decision"], found["notEvaluated"]) == ("rewritten", None)
    found = document("check", *options, stdin=beside(pod, TEMPLATE), code=1)["objects"][0]
    assert [one["rule"] for one in found["findings"]] == ["claim-not-possible"]
    [found] = document("check", *options, stdin=pod)["objects"]
    assert found["notEvaluated"] == (
        'spec.containers[0]: nvidia.com/gpu becomes a claim, but ResourceClaimTemplate "one-gpu" of namespace default, which '
        "sets the number of GPUs, was not found; check both together"
    )
