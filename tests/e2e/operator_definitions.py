"""Definitions of operators' kinds, of our own, with the structure of the projects': only what leads to pods and GPUs is in them.

What a definition does not have the API server drops, as it does with the projects' own.
"""

from typing import Any

Json = dict[str, Any]

_INTEGER = {"type": "integer"}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_AMOUNTS = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
}
RESOURCES = {"type": "object", "properties": {"limits": _AMOUNTS, "requests": _AMOUNTS}}
_CONTAINER = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "command": {"type": "array", "items": {"type": "string"}},
        "resources": RESOURCES,
    },
}
_POD_SPEC = {
    "type": "object",
    "properties": {
        "containers": {"type": "array", "items": _CONTAINER},
        "initContainers": {"type": "array", "items": _CONTAINER},
        "nodeSelector": _STRINGS,
        "restartPolicy": {"type": "string"},
    },
}
OPAQUE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_POD = {"type": "object", "properties": {"metadata": OPAQUE, "spec": _POD_SPEC}}
_NAMED_GPUS = {"type": "object", "properties": {"name": {"type": "string"}, "quantity": _INTEGER}}


def structure(**properties: Json) -> Json:
    """The schema of a map with these fields."""
    return {"type": "object", "properties": properties}


def listed(item: Json) -> Json:
    """The schema of a list."""
    return {"type": "array", "items": item}


def mapped(value: Json) -> Json:
    """The schema of a map with keys of any name."""
    return {"type": "object", "additionalProperties": value}


def with_pod(**properties: Json) -> Json:
    """The schema of a PodSpec with further fields beside its own."""
    return {"type": "object", "properties": {**_POD_SPEC["properties"], **properties}}  # type: ignore[dict-item]  # schemas


def definition(group: str, version: str, kind: str, spec: Json, plural: str = "") -> Json:
    """The definition of a namespaced kind."""
    plural = plural or f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Groups that end in .k8s.io are protected (KEP 1111).
        "metadata": {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": structure(spec=spec)},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


_RAY_GROUP = {"rayStartParams": _STRINGS, "template": _POD}
RAY = structure(
    headGroupSpec=structure(**_RAY_GROUP),
    suspend={"type": "boolean"},
    workerGroupSpecs=listed(
        structure(
            groupName={"type": "string"}, replicas=_INTEGER, minReplicas=_INTEGER, numOfHosts=_INTEGER, **_RAY_GROUP
        )
    ),
)
_JOB = structure(parallelism=_INTEGER, completions=_INTEGER, template=_POD)
_JOBS = structure(
    replicatedJobs=listed(structure(name={"type": "string"}, replicas=_INTEGER, template=structure(spec=_JOB)))
)
_ARGO = structure(
    entrypoint={"type": "string"},
    templates=listed(
        structure(
            name={"type": "string"},
            container=_CONTAINER,
            script=_CONTAINER,
            podSpecPatch={"type": "string"},
            containerSet=structure(containers=listed(_CONTAINER)),
        )
    ),
)
_SPARK_ROLE: Json = {"cores": _INTEGER, "gpu": _NAMED_GPUS, "instances": _INTEGER, "template": OPAQUE}

DEFINITIONS = (
    definition("ray.io", "v1", "RayCluster", RAY),
    definition("ray.io", "v1", "RayJob", structure(entrypoint={"type": "string"}, rayClusterSpec=RAY)),
    definition(
        "kubeflow.org",
        "v1",
        "PyTorchJob",
        structure(pytorchReplicaSpecs=mapped(structure(replicas=_INTEGER, template=_POD))),
    ),
    definition(
        "trainer.kubeflow.org",
        "v1alpha1",
        "TrainJob",
        structure(runtimeRef=OPAQUE, trainer=structure(numNodes=_INTEGER, resourcesPerNode=RESOURCES)),
    ),
    definition("jobset.x-k8s.io", "v1alpha2", "JobSet", _JOBS),
    definition(
        "leaderworkerset.x-k8s.io",
        "v1",
        "LeaderWorkerSet",
        structure(
            replicas=_INTEGER, leaderWorkerTemplate=structure(size=_INTEGER, leaderTemplate=_POD, workerTemplate=_POD)
        ),
    ),
    definition(
        "serving.kserve.io",
        "v1beta1",
        "InferenceService",
        structure(
            predictor=with_pod(
                minReplicas=_INTEGER,
                model=structure(modelFormat=OPAQUE, storageUri={"type": "string"}, resources=RESOURCES),
                workerSpec=with_pod(pipelineParallelSize=_INTEGER, tensorParallelSize=_INTEGER),
            )
        ),
    ),
    definition("argoproj.io", "v1alpha1", "Workflow", _ARGO),
    definition("argoproj.io", "v1alpha1", "Rollout", structure(replicas=_INTEGER, template=_POD)),
    definition(
        "batch.volcano.sh",
        "v1alpha1",
        "Job",
        structure(
            minAvailable=_INTEGER, tasks=listed(structure(name={"type": "string"}, replicas=_INTEGER, template=_POD))
        ),
    ),
    definition(
        "sparkoperator.k8s.io",
        "v1beta2",
        "SparkApplication",
        structure(type={"type": "string"}, driver=structure(**_SPARK_ROLE), executor=structure(**_SPARK_ROLE)),
    ),
    definition("serving.knative.dev", "v1", "Service", structure(template=_POD)),
    definition("apps.nvidia.com", "v1alpha1", "NIMService", structure(replicas=_INTEGER, resources=RESOURCES)),
    definition(
        "e2e.example.com", "v1", "Training", structure(workers=listed(structure(replicas=_INTEGER, template=_POD)))
    ),
)
"""The definitions of twelve projects, and of a kind that is in the configuration."""
