"""gpuwarden's reports in the cluster: finds their API, and creates, updates and deletes them.

They are recognized by their label. Other reports are never changed, even if they have the name of one of these: this is
reported instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ...application.report_api import CONTENT, LABEL, OF_AUDIT, REPORT_APIS, ReportApi, ReportOwner
from .api_request import ApiRequest, object_path, path_of
from .discovery import ServedResources
from .errors import ApiError, Fault
from .lists import Lister, Page, Progress, get
from .retrying import RetryingApi

Json = dict[str, Any]

# A report may have half a megabyte (reports.policyreport.LARGEST), and an answer 64 (transport.LARGEST_BODY).
_PAGE = 50
_MANAGER = {"fieldManager": "gpuwarden"}
# The API server's message for a write into a namespace that is being terminated (plugin/namespace/lifecycle).
_TERMINATING = "because it is being terminated"


class WriteResult(msgspec.Struct):
    """The result of writing reports.

    ``problems`` are sentences on reports that could not be written; the next run tries again.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    problems: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.created} created, {self.updated} updated, {self.unchanged} unchanged, {self.removed} removed"


class _Annotations(msgspec.Struct, rename={"content": CONTENT}):
    content: str | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    resource_version: str
    namespace: str | None = None
    annotations: _Annotations | None = None


class _Report(msgspec.Struct):
    metadata: _Metadata


class ReportStore:
    """The reports that one owner (such as ``gpuwarden audit``) keeps in the cluster."""

    def __init__(self, api: RetryingApi, progress: Progress, owner: ReportOwner = OF_AUDIT) -> None:
        self._api = api
        self._selector = {"labelSelector": f"{LABEL}={owner.label}"}
        self._lister = Lister(api, progress, limit=_PAGE)

    def find_api(self) -> ReportApi | None:
        """The first API for reports that is installed, with both of its kinds.

        Raises:
            ApiError: the server did not answer.
        """
        for api in REPORT_APIS:
            try:
                served = get(self._api, path_of("apis", api.group, api.version), ServedResources)
            except ApiError as error:
                if error.fault is not Fault.NOT_FOUND:
                    raise
                continue
            if {api.plural, api.cluster_plural} <= {resource.name for resource in served.resources}:
                return api
        return None

    def write(self, api: ReportApi, reports: Iterable[Json], namespaces: Sequence[str] = ()) -> WriteResult:
        """Create, update and delete reports, so that ours are exactly these.

        If ``namespaces`` are named, only their reports are changed, and the cluster's own report is not.

        Raises:
            ApiError: the server did not answer, or forbids it. What was written until then stays.
        """
        places = [(_path(api, name), name) for name in namespaces] or [(_path(api, None), "all namespaces")]
        found = [report for path, where in places for report in self._ours(f"{api.plural} in {where}", path)]
        if not namespaces:
            found += self._ours(api.cluster_plural, _cluster_path(api))
        old = {(report.metadata.namespace, report.metadata.name): report.metadata for report in found}
        written = WriteResult()
        for report in reports:
            metadata = report["metadata"]
            self._put(api, report, old.pop((metadata.get("namespace"), metadata["name"]), None), written)
        for metadata in old.values():
            self._remove(api, metadata, written)
        return written

    def _ours(self, what: str, path: str) -> list[_Report]:
        return self._lister.all(what, path, Page[_Report], lambda report: report, self._selector)

    def _put(self, api: ReportApi, report: Json, old: _Metadata | None, written: WriteResult) -> None:
        metadata = report["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        path = _path(api, namespace) if namespace else _cluster_path(api)
        if old is None:
            if self._done(ApiRequest("POST", path, _MANAGER, msgspec.json.encode(report)), written):
                written.created += 1
            return
        if old.annotations and old.annotations.content == metadata["annotations"][CONTENT]:
            written.unchanged += 1
            return
        # With the resource version of the report that was read, so that only gpuwarden's reports are overwritten.
        body = msgspec.json.encode({**report, "metadata": {**metadata, "resourceVersion": old.resource_version}})
        if self._done(ApiRequest("PUT", f"{path}{path_of(name)}", _MANAGER, body), written):
            written.updated += 1

    def _remove(self, api: ReportApi, old: _Metadata, written: WriteResult) -> None:
        path = _path(api, old.namespace) if old.namespace else _cluster_path(api)
        # Only the object that was checked to be ours, not another one that has its name now.
        seen: Mapping[str, object] = {"preconditions": {"uid": old.uid, "resourceVersion": old.resource_version}}
        request = ApiRequest("DELETE", f"{path}{path_of(old.name)}", {}, msgspec.json.encode(seen))
        if self._done(request, written):
            written.removed += 1

    def _done(self, request: ApiRequest, written: WriteResult) -> bool:
        """Make a write request, and return whether it succeeded. A conflict is added to the problems of ``written``."""
        try:
            self._api.call(request)
        except ApiError as error:
            gone = error.fault is Fault.NOT_FOUND or _TERMINATING in error.detail
            if error.fault is Fault.CONFLICT:
                whose = (
                    "another report with that name exists" if request.method == "POST" else "it was changed meanwhile"
                )
                written.problems.append(f"{request}: left as it is, {whose}: {error.detail}")
            elif not gone:
                raise
            return False
        return True


def _path(api: ReportApi, namespace: str | None) -> str:
    return object_path(api.group, api.version, api.plural, namespace)


def _cluster_path(api: ReportApi) -> str:
    return object_path(api.group, api.version, api.cluster_plural)
