"""The labels and annotations of objects in manifests, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.label_problems import misplaced, of_namespace
from ..engine.policy import LabelProblem
from .configuration import Configuration
from .field_paths import mapping
from .workload_kinds import places
from .workloads import workload_of


def label_problems(manifest: Mapping[str, Any], configuration: Configuration) -> Iterator[LabelProblem]:
    """Yield the problems with the labels and annotations of an object and, if it has one, of its pod template."""
    labels, annotations = labels_and_annotations(manifest)
    if is_namespace(manifest):
        yield from of_namespace(configuration.policies, labels, annotations)
        return
    kind = manifest.get("kind")
    workload = workload_of(manifest.get("apiVersion"), kind, configuration.kinds)
    yield from misplaced(labels, annotations, str(kind))
    for where, template in places(workload, manifest) if workload and not workload.is_pod else ():
        yield from misplaced(*labels_and_annotations(template), str(kind), f"{where.field('')}.")


def is_namespace(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a Namespace; one without an apiVersion, which kubectl rejects, is meant to be one."""
    return manifest.get("kind") == "Namespace" and manifest.get("apiVersion") in {"v1", None}


def labels_and_annotations(manifest: object) -> tuple[dict[str, str], dict[str, str]]:
    """The labels and annotations of an object or a pod template; none where there is no metadata to read."""
    metadata = mapping(mapping(manifest).get("metadata"))
    return _strings(metadata.get("labels")), _strings(metadata.get("annotations"))


def _strings(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in mapping(value).items()}
