"""The labels and annotations of objects in manifests, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.label_problems import misplaced, of_namespace
from ..engine.policy import LabelProblem
from ..engine.rules.gpu_memory import ANNOTATION
from .configuration import Configuration
from .field_paths import mapping
from .kind_lookup import workload_of
from .workload_kinds import WorkloadKind, places


def label_problems(manifest: Mapping[str, Any], configuration: Configuration) -> Iterator[LabelProblem]:
    """Yield the problems with the labels and annotations of an object and, if it has one, of its pod template."""
    labels, annotations = labels_and_annotations(manifest)
    if is_namespace(manifest):
        yield from of_namespace(configuration.policies, labels, annotations)
        yield from unread_memory(annotations=annotations)
        return
    kind = manifest.get("kind")
    workload = workload_of(manifest.get("apiVersion"), kind, configuration.kinds)
    yield from misplaced(labels, annotations, str(kind))
    yield from unread_memory(labels, annotations if workload and gives_pods_no_annotations(workload) else None)
    for where, template in places(workload, manifest) if workload and not workload.is_pod else ():
        prefix = f"{where.field('')}."
        labels, annotations = labels_and_annotations(template)
        yield from misplaced(labels, annotations, str(kind), prefix)
        yield from unread_memory(labels, prefix=prefix)


def gives_pods_no_annotations(workload: WorkloadKind) -> bool:
    """Whether the pods of a kind have the annotations of their template only.

    Some operators copy those of their objects: KServe's InferenceService, Kubeflow's Notebook.
    """
    return workload.is_built_in and not workload.is_pod


def unread_memory(
    labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, prefix: str = ""
) -> Iterator[LabelProblem]:
    """Yield where the annotation for the GPU memory of pods is a label, or an annotation of something that is not a pod.

    ``prefix`` is the path of the object, with a dot at the end.
    """
    for section, entries in (("labels", labels), ("annotations", annotations)):
        if entries and ANNOTATION in entries:
            message = "it has no effect here; set it in metadata.annotations of the pod, or of the pod template"
            yield LabelProblem(f"{prefix}metadata.{section}[{ANNOTATION}]", entries[ANNOTATION], message, ignored=True)


def is_namespace(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a Namespace; one without an apiVersion, which kubectl rejects, is meant to be one."""
    return manifest.get("kind") == "Namespace" and manifest.get("apiVersion") in {"v1", None}


def labels_and_annotations(manifest: object) -> tuple[dict[str, str], dict[str, str]]:
    """The labels and annotations of an object or a pod template; none if there is no metadata to read."""
    metadata = mapping(mapping(manifest).get("metadata"))
    return _strings(metadata.get("labels")), _strings(metadata.get("annotations"))


def _strings(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in mapping(value).items()}
