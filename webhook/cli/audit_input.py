"""The input of an audit: a cluster's API server, or files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..adapters.kubernetes.audit_reader import AuditReader, UnreadList
from ..adapters.kubernetes.discovery import UnknownKindsError
from ..adapters.kubernetes.errors import ApiError, Fault
from ..adapters.manifests.items import ManifestObject, ManifestProblem
from ..adapters.manifests.lines import Lines
from ..adapters.reports.audit import FILES, AuditInput
from ..application.audit_rows import rows
from ..application.auditing import AuditEntry, Auditor, Owner, WorkloadObject, is_denied_claim
from ..application.claims import KnownClaims, known_claims, resource_names
from ..application.evaluation import Evaluation
from ..application.field_paths import mapping
from ..application.kind_lookup import Kinds, qualified, workload_of
from ..application.operator_objects import QUEUE
from ..application.other_kinds import OtherKind
from ..application.pod_counts import Autoscalers, autoscalers, pod_count
from ..application.text_fields import wrong_types
from ..application.type_mismatches import TypeMismatch
from ..application.workload_kinds import WorkloadPod, is_idle, is_suspended
from ..application.workload_pods import pods_of
from ..engine.namespace_labels import NamespaceLabels
from .cluster_options import unreadable
from .manifest_input import KnownNamespaces, mismatch_problems, read_paths, say_skipped
from .messages import usage_error

Labels = Mapping[str, NamespaceLabels]
_ENDS = frozenset({"Complete", "Completed", "Succeeded", "Failed", "Error", "Stopped", "Terminated", "Aborted"})
_OfOperator = tuple[AuditEntry, Evaluation | None]
NewAuditor = Callable[[Labels, KnownClaims, Mapping[str, str], Autoscalers], Auditor]
"""Makes an auditor from the namespaces' labels, the claims, the resource names of DeviceClasses, and the autoscalers."""


def from_cluster(reader: AuditReader, host: str, names: Sequence[str], auditor_of: NewAuditor) -> AuditInput:
    """Evaluate the objects of a cluster, called ``host``, in the namespaces of these names or (if none is named) in all.

    Raises:
        typer.Exit: 2, after printing why, if the cluster can't be read.
    """
    try:
        labels = reader.namespaces(names)
        claims = reader.claims(list(labels) if names else ())
        auditor = auditor_of(labels, claims.known, claims.classes, {})
        gathered = AuditInput(host, labels, [], reader.counts, notes=claims.notes)
        found: list[AuditEntry] = []
        for one in reader.workloads(list(labels) if names else (), auditor.keep):
            if isinstance(one, AuditEntry):
                found.append(one)
            else:
                _unread(one, gathered)
        for custom in (reader.operators, reader.others):
            found += _custom(custom.objects(list(labels) if names else (), partial(_of_operator, auditor)), gathered)
    except ApiError as error:
        raise usage_error(_unreadable(error, names)) from error
    gathered.rows = rows(found)
    known = map(auditor.identify, (*reader.namespace_manifests, *reader.mislabelled.values()))
    gathered.seen = reader.counts | reader.operators.counts | reader.others.counts
    gathered.others += [(None, None, one) for one in known if one.label_problems]
    claims_of_users = {key: claim for key, claim in claims.known.items() if key not in claims.of_one_pod}
    gathered.others += [(None, None, one) for one in auditor.denied_claims(claims_of_users)]
    return gathered


def _of_operator(auditor: Auditor, manifest: dict[str, Any]) -> _OfOperator:
    """The entry of an object of a custom kind, and its evaluation if it can't be read or is mislabelled.

    An object without GPUs has an entry too, so that a Deployment that it owns counts as part of it.
    """
    workload = _workload_object(manifest, "", auditor.kinds)
    mismatches = wrong_types(manifest, auditor.kinds)
    if mismatches:
        return AuditEntry(workload, None), auditor.unreadable(manifest, mismatches)
    known = auditor.identify(manifest)
    counts = (
        not workload.over and not (workload.idle and workload.is_between) and (_is_row(known) or known.not_evaluated)
    )
    if not workload.namespace:
        return AuditEntry(workload, None), known.of_the_cluster if counts else None
    mislabelled = known.label_problems and not workload.owner
    return auditor.found(workload, known) if counts else AuditEntry(workload, None), known if mislabelled else None


def _custom(objects: Iterator[_OfOperator | OtherKind], into: AuditInput) -> Iterator[AuditEntry]:
    """Yield the entries of objects of custom kinds; add their evaluations and the unread kinds to the results."""
    try:
        for kept in objects:
            if isinstance(kept, OtherKind):
                into.kinds.append(kept)
            else:
                yield kept[0]
                into.others += [(None, None, kept[1])] if kept[1] else []
    except UnknownKindsError as error:
        into.kinds_unknown = str(error)


def _unread(unread: UnreadList, into: AuditInput) -> None:
    if unread.served:
        into.problems.append(ManifestProblem(unread.what, None, unread.detail))
    else:
        into.notes.append(f"{unread.what}: the API server has none ({unread.detail})")


def _unreadable(error: ApiError, names: Sequence[str]) -> str:
    if error.fault is Fault.NOT_FOUND and names:
        return f"--namespace: {error.detail}"
    narrower = error.fault is Fault.FORBIDDEN and not names
    return unreadable(error, "name the namespaces that you may read with -n" if narrower else "")


def from_files(
    paths: Sequence[str], known: KnownNamespaces, names: Sequence[str], auditor_of: NewAuditor
) -> AuditInput:
    """Evaluate all objects in files.

    An object that names no namespace counts as being in the one of ``names``, as in ``kubectl apply``.

    Raises:
        typer.Exit: 2, after printing the reason, if several namespaces are named.
    """
    if len(names) > 1:
        raise usage_error(
            "--namespace can be given only once with files, because it is the namespace of objects that name none; leave out the "
            "others"
        )
    given = read_paths(paths)
    say_skipped(given.skipped)
    labels = {**known.labels, **given.namespaces()}
    default = names[0] if names else "default"
    scaled = autoscalers(given.manifests, default)
    auditor = auditor_of(labels, known_claims(given.manifests, default), resource_names(given.manifests), scaled)
    problems = given.problems + given.nothing_found()
    gathered = AuditInput(FILES, labels, [], {}, problems=problems)
    for item in known.objects:
        _note(item, auditor, default, (), gathered)
    objects: list[WorkloadObject] = []
    operators: list[AuditEntry] = []
    for source, items in given.sources:
        lines = Lines(source.text)
        for item in items:
            place = item.source, item.line
            gathered.places[place] = None if place in gathered.places else lines.of(item)
            mismatches = wrong_types(item.object, auditor.kinds)
            gathered.problems += mismatch_problems(item, lines, mismatches)
            evaluated = _note(item, auditor, default, mismatches, gathered)
            if mismatches:
                continue
            kind = qualified(item.object.get("apiVersion"), item.object["kind"])
            gathered.seen[kind] = gathered.seen.get(kind, 0) + 1
            workload = workload_of(item.object.get("apiVersion"), item.object["kind"])
            if workload and workload.is_built_in:
                one = _workload_object(item.object, default, auditor.kinds, item.source, item.line)
                where = next((where for where, _ in pods_of(workload, item.object)), WorkloadPod(()))
                one.count = pod_count(workload, item.object, where, scaled.get((one.namespace, *one.key)))
                objects.append(one)
            elif _is_row(evaluated):
                operators.append(
                    auditor.found(
                        _workload_object(item.object, default, auditor.kinds, item.source, item.line), evaluated
                    )
                )
    # A file may hold objects in any order. Pods come first, so that their links to controllers are known.
    objects.sort(key=lambda one: one.kind != "Pod")
    gathered.rows = rows([*(found for one in objects if (found := auditor.keep(one))), *operators])
    return gathered


def _note(
    item: ManifestObject,
    auditor: Auditor,
    default: str,
    mismatches: Sequence[TypeMismatch],
    into: AuditInput,
) -> Evaluation:
    """Evaluate an object, and add it to ``into.others`` if it is not evaluated, can't be read, or has wrong labels."""
    metadata = mapping(item.object.get("metadata"))
    placed = {**item.object, "metadata": {**metadata, "namespace": metadata.get("namespace") or default}}
    known = auditor.unreadable(placed, mismatches) if mismatches else auditor.identify(placed)
    # Objects made by a controller have the labels of its template, and are counted with the controller.
    mislabelled = known.label_problems and not _owner(metadata)
    if (known.not_evaluated and not _is_row(known)) or mislabelled or mismatches or is_denied_claim(known):
        into.others.append((item.source, item.line, known))
    return known


def _is_row(known: Evaluation) -> bool:
    """Whether an object of an operator's kind gets a row, which then also reports what is not evaluated in it."""
    return bool(known.pods and (known.requests or known.findings))


def _workload_object(
    manifest: Mapping[str, Any], default: str, kinds: Kinds, source: str | None = None, line: int | None = None
) -> WorkloadObject:
    """An object for the audit, with its pod if its kind is built in. ``default`` is its namespace, if it names none."""
    of_kind = workload_of(manifest.get("apiVersion"), manifest.get("kind"), kinds)
    is_built_in = of_kind is not None and of_kind.is_built_in
    metadata, status = mapping(manifest.get("metadata")), mapping(manifest.get("status"))
    return WorkloadObject(
        api_version=str(manifest.get("apiVersion") or ""),
        kind=str(manifest["kind"]),
        namespace=str(metadata.get("namespace") or default),
        name=str(metadata.get("name") or metadata.get("generateName") or ""),
        uid=str(metadata.get("uid") or ""),
        owner=_owner(metadata),
        pod=next((pod for _, pod in pods_of(of_kind, manifest)), None) if of_kind and is_built_in else None,
        running=of_kind is not None
        and of_kind.is_pod
        and bool(status.get("phase")),  # in a dump of a cluster, not in a manifest
        over="deletionTimestamp" in metadata or _ended(status),
        idle=of_kind is not None and is_idle(of_kind, manifest),
        suspended=of_kind is not None and is_suspended(of_kind, manifest),
        queue=str(mapping(metadata.get("labels")).get(QUEUE) or ""),
        source=source,
        line=line,
    )


def _owner(metadata: Mapping[str, Any]) -> Owner | None:
    references = metadata.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, Mapping) and reference.get("controller") is True:
            texts = (str(reference.get(key) or "") for key in ("apiVersion", "kind", "name", "uid"))
            return Owner(*texts)
    return None


def _ended(status: Mapping[str, Any]) -> bool:
    """Whether a pod or a job has finished, in a dump of a cluster."""
    conditions = status.get("conditions")
    done = (
        mapping(condition).get("status") == "True" and mapping(condition).get("type") in _ENDS
        for condition in (conditions if isinstance(conditions, list) else ())
    )
    # Pods, Argo and AppWrapper; Ray; Volcano; Spark.
    phases = (
        status.get("phase"),
        status.get("jobStatus"),
        mapping(status.get("state")).get("phase"),
        mapping(status.get("applicationState")).get("state"),
    )
    return any(isinstance(phase, str) and phase.capitalize() in _ENDS for phase in phases) or any(done)
