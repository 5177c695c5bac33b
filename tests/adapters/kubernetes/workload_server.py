"""The stand-in API server with workloads and reports: lists in pages, and objects that can be made, changed and removed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import Handler, Seen

Json = dict[str, Any]

_ROOTS = {"v1": "/api/v1", "apps/v1": "/apis/apps/v1", "batch/v1": "/apis/batch/v1"}
_PLURALS = {
    "LimitRange": "limitranges",
    "ResourceQuota": "resourcequotas",
    "Pod": "pods",
    "PodTemplate": "podtemplates",
    "ReplicationController": "replicationcontrollers",
    "ReplicaSet": "replicasets",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "Job": "jobs",
    "CronJob": "cronjobs",
}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REPORTS = {
    "wgpolicyk8s.io/v1alpha2": ("policyreports", "clusterpolicyreports"),
    "openreports.io/v1alpha1": ("reports", "clusterreports"),
}


class WorkloadServer(StandIn):
    """Workloads by ``add``, custom resources by ``define``; reports of the APIs that ``serves`` names.

    ``refused`` are paths that are answered with a status.
    """

    def __init__(self) -> None:
        super().__init__()
        self._server.RequestHandlerClass = WorkloadHandler
        self.lists: dict[str, list[bytes]] = {f"{_ROOTS[root]}/{plural}": [] for root, plural in _served()}
        self.serves: set[str] = set()
        self.resources: dict[str, list[Json]] = {}
        self.terminating: set[str] = set()
        self.refused: dict[str, int] = {}
        self.tells_remaining = True
        self._uids = 0

    def add(self, *documents: Json) -> None:
        """Have these objects; each must name its kind and namespace."""
        for document in documents:
            path = f"{_ROOTS[document['apiVersion']]}/{_PLURALS[document['kind']]}"
            encoded = json.dumps(document).encode()
            with self.changed:
                self.lists[path].append(encoded)
                self.lists.setdefault(_within(path, document["metadata"]["namespace"]), []).append(encoded)

    def define(
        self, kind: str, plural: str, *objects: Json, schema: Json | None = None, scope: str = "Namespaced"
    ) -> str:
        """Have a custom resource of ``ray.io/v1`` with objects, one in each namespace that they name; the path of its list."""
        path = f"/apis/ray.io/v1/{plural}"
        versions = [
            {"name": "v1alpha1", "served": False, "storage": False},
            {
                "name": "v1",
                "served": True,
                "storage": True,
                **({"schema": {"openAPIV3Schema": schema}} if schema else {}),
            },
        ]
        spec = {"group": "ray.io", "scope": scope, "names": {"kind": kind, "plural": plural}, "versions": versions}
        resource = {"name": plural, "kind": kind, "namespaced": scope == "Namespaced", "verbs": ["get", "list"]}
        with self.changed:
            self.resources.setdefault("ray.io/v1", []).append(resource)
            self.lists.setdefault(DEFINITIONS, []).append(json.dumps({"spec": spec}).encode())
            self.lists[path] = []
            for one in objects:
                encoded = json.dumps(one).encode()
                self.lists[path].append(encoded)
                if namespace := one["metadata"].get("namespace"):
                    self.lists.setdefault(_within(path, namespace), []).append(encoded)
        return path

    def serve(self, api_version: str, plural: str, *objects: Json) -> str:
        """Serve a resource, known by discovery only, with objects; the path of its list in all namespaces."""
        path = f"/apis/{api_version}/{plural}"
        with self.changed:
            self.resources.setdefault(api_version, []).append({"name": plural})
            self.lists[path] = []
            for one in objects:
                encoded = json.dumps({"apiVersion": api_version, **one}).encode()
                self.lists[path].append(encoded)
                self.lists.setdefault(_within(path, one["metadata"]["namespace"]), []).append(encoded)
        return path

    def discovered(self, path: str) -> Json | None:
        """What discovery answers at a path, as far as ``serve`` says; ``None`` where it is not asked."""
        if path == "/apis":
            groups: dict[str, list[Json]] = {}
            for one in self.resources:
                group, _, version = one.partition("/")
                groups.setdefault(group, []).append({"groupVersion": one, "version": version})
            return {"groups": [{"name": name, "versions": versions} for name, versions in groups.items()]}
        resources = self.resources.get(path.removeprefix("/apis/"))
        return None if resources is None else {"resources": resources}

    def listed(self, path: str, query: Mapping[str, str]) -> bytes | None:
        """A page of a list; ``None`` when the token is too old."""
        with self.changed:
            items = self.lists.get(path, [])
            start, revision = 0, self._revision
            if token := query.get("continue"):
                revision, start = map(int, token.split("-"))
                if revision < self._oldest:
                    return None
            end = start + int(query.get("limit", len(items)))
            metadata: Json = {"resourceVersion": str(revision)}
            if end < len(items):
                metadata["continue"] = f"{revision}-{end}"
                if self.tells_remaining:
                    metadata["remainingItemCount"] = len(items) - end
        return b'{"kind":"List","metadata":%s,"items":[%s]}' % (
            json.dumps(metadata).encode(),
            b",".join(items[start:end]),
        )

    def reports(self, plural: str = "policyreports") -> dict[tuple[str | None, str], Json]:
        """The reports there are, by namespace and name."""
        with self.changed:
            found = [(path, document) for path, document in self.objects.items() if f"/{plural}/" in path]
        return {(d["metadata"].get("namespace"), d["metadata"]["name"]): d for _, d in found}

    def store(self, path: str, document: Json) -> Json:
        with self.changed:
            self._uids += 1
            document.setdefault("metadata", {}).setdefault("uid", f"uid-{self._uids}")
        return super().store(path, document)


class WorkloadHandler(Handler):
    """One connection."""

    do_DELETE = Handler.do_GET  # noqa: N815 - the base calls it so

    def _object(self, path: str, seen: Seen) -> None:  # noqa: PLR0911 - one for each answer
        server = self.server.stand_in
        assert isinstance(server, WorkloadServer)
        if code := server.refused.get(path):
            return self.say(code, status(code, f"{path} is refused"))
        if seen.method == "GET" and (path in server.lists or _namespaced(path) in server.lists):
            page = server.listed(path, seen.query)
            return self.say(*((410, status(410, "token too old")) if page is None else (200, page)))
        if found := server.discovered(path):
            return self.say(200, found)
        version = path.removeprefix("/apis/")
        if version in REPORTS:
            if version not in server.serves:
                return self.say(404, b"404 page not found\n")
            return self.say(200, {"kind": "APIResourceList", "resources": [{"name": n} for n in REPORTS[version]]})
        if seen.method == "GET" and path.rpartition("/")[2] in {name for names in REPORTS.values() for name in names}:
            return self.say(200, _reports(server, path, seen.query))
        if seen.method == "DELETE":
            return self._delete(server, path, json.loads(seen.body)["preconditions"])
        if seen.method == "POST" and any(f"/namespaces/{name}/" in path for name in server.terminating):
            message = "forbidden: unable to create new content in namespace x because it is being terminated"
            return self.say(403, status(403, message))
        return super()._object(path, seen)

    def _delete(self, server: WorkloadServer, path: str, wanted: Mapping[str, str]) -> None:
        with server.changed:
            stored = server.objects.get(path)
            if stored is None:
                return self.say(404, status(404, f"{path} not found"))
            if any(stored["metadata"][key] != value for key, value in wanted.items()):
                return self.say(409, status(409, "the preconditions do not hold"))
            del server.objects[path]
            return self.say(200, status(200, "Success"))


def _reports(server: WorkloadServer, path: str, query: Mapping[str, str]) -> Json:
    root, _, plural = path.rpartition("/")
    key, _, value = query.get("labelSelector", "").partition("=")
    with server.changed:
        items = [
            document
            for at, document in server.objects.items()
            if at.startswith(root) and f"/{plural}/" in at
            if not key or (document["metadata"].get("labels") or {}).get(key) == value
        ]
    return {"kind": "List", "metadata": {"resourceVersion": server.revision}, "items": items}


def _served() -> Iterable[tuple[str, str]]:
    apps = {"ReplicaSet", "Deployment", "StatefulSet", "DaemonSet"}
    for kind, plural in _PLURALS.items():
        yield "apps/v1" if kind in apps else "batch/v1" if kind in {"Job", "CronJob"} else "v1", plural


def _within(path: str, namespace: str) -> str:
    root, _, plural = path.rpartition("/")
    return f"{root}/namespaces/{namespace}/{plural}"


def _namespaced(path: str) -> str:
    """The same list in all namespaces: one namespace that has none still has the list."""
    root, _, rest = path.partition("/namespaces/")
    return f"{root}/{rest.partition('/')[2]}"
