"""Fleets that were evaluated: rows as an audit makes them, from pods as people write them, and the report of them."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.builders import GPU, MIG, SHARED, Json, a_container, a_pod, gpu, view
from webhook.adapters.reports.audit import AuditInput, AuditReport, audit_report
from webhook.application.audit_rows import Row, rows
from webhook.application.auditing import Auditor, Owner, WorkloadObject
from webhook.application.configuration import Configuration
from webhook.engine.namespace_labels import NamespaceLabels

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

# One after the other; each is as likely as any other in a large fleet.
_POLICIES = ("shared", "mig-1g.5gb", "any", "time-slicing", "none", "gke-time-sharing-4", "exclusive", "mps")
_KINDS = ("Deployment", "StatefulSet", "Job", "CronJob", "DaemonSet")
_ASKS: tuple[Json, ...] = (
    gpu(1),
    gpu(1, SHARED),
    gpu(2),
    gpu(1, MIG),
    gpu(1, "nvidia.com/mig-3g.20gb"),
    a_container("train", {GPU: 1}, {GPU: 1}),
    gpu(3, MIG),
    gpu("0.5"),
)


def labelled(**enforce: str) -> dict[str, NamespaceLabels]:
    """Namespaces with their enforce labels; ``_`` is ``-``."""
    return {name.replace("_", "-"): NamespaceLabels(value) for name, value in enforce.items()}


def seen(
    pod: Json | None = None,
    *,
    namespace: str = "team-a",
    kind: str = "Deployment",
    name: str = "trainer",
    **fields: Any,
) -> WorkloadObject:
    """An object that holds a pod or template; a running pod if its kind is Pod, unless said otherwise."""
    versions = {
        "Pod": "v1",
        "PodTemplate": "v1",
        "ReplicationController": "v1",
        "Job": "batch/v1",
        "CronJob": "batch/v1",
    }
    fields.setdefault("running", kind == "Pod")
    return WorkloadObject(
        versions.get(kind, "apps/v1"), kind, namespace, name, pod=view(a_pod() if pod is None else pod), **fields
    )


def owned(by: str, name: str, version: str = "apps/v1") -> Owner:
    """A controller reference."""
    return Owner(version, by, name, f"uid-of-{name}")


def evaluated(
    objects: Iterable[WorkloadObject],
    labels: Mapping[str, NamespaceLabels],
    configuration: Configuration | None = None,
) -> list[Row]:
    """What an audit makes of objects."""
    auditor = Auditor(configuration or Configuration(), labels)
    return rows(found for one in objects if (found := auditor.keep(one)))


def reported(made: list[Row], **fields: Any) -> AuditReport:
    """The report of rows; ``fields`` are those of the input or arguments of ``audit_report``."""
    defaults: dict[str, Any] = {"now": NOW, "evaluated_by": "enforce"}
    given = AuditInput("https://10.0.0.1:6443", {}, made, {"pods": 9})
    for name in fields.keys() & {one.name for one in dataclasses.fields(AuditInput)}:
        setattr(given, name, fields.pop(name))
    return audit_report(given, **{**defaults, **fields})


def three() -> list[Row]:
    """One that is denied, one that is rewritten (with two pods of before), one that stays as it is."""
    labels = labelled(notebooks="shared", training="exclusive", inference="mig-1g.5gb")
    pod: dict[str, Any] = {"kind": "Pod", "namespace": "inference", "owner": owned("StatefulSet", "llm")}
    objects = [
        seen(a_pod(gpu(2, name="sweep")), namespace="notebooks", kind="Job", name="sweep"),
        seen(a_pod(gpu(1, name="vllm")), namespace="inference", kind="StatefulSet", name="llm"),
        seen(a_pod(gpu(4)), namespace="training", name="llama"),
        seen(a_pod(gpu(1, name="vllm")), name="llm-0", **pod),
        seen(a_pod(gpu(1, name="vllm")), name="llm-1", **pod),
    ]
    return evaluated(objects, labels)


def many(count: int, namespaces: int = 200) -> list[Row]:
    """A fleet of so many workloads, each with some pods."""
    labels = {f"team-{number:04}": NamespaceLabels(_POLICIES[number % len(_POLICIES)]) for number in range(namespaces)}
    objects = []
    for number in range(count):
        namespace, kind = f"team-{number % namespaces:04}", _KINDS[number % len(_KINDS)]
        name = f"workload-{number}"
        pod = a_pod(_ASKS[(number // namespaces + number) % len(_ASKS)])
        objects.append(seen(pod, namespace=namespace, kind=kind, name=name))
        objects += [
            seen(pod, namespace=namespace, kind="Pod", name=f"{name}-{replica}", owner=owned(kind, name))
            for replica in range(number % 4)
        ]
    return evaluated(objects, labels)
