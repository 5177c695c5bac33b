"""Reads the facts of a diagnosis from the API server. What can't be read becomes a fact too. Never writes.

Reviews of access and dry runs are POST requests that store nothing.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import TypeVar

import msgspec

from ...application.diagnosis.documents import (
    Budget,
    Deployment,
    EndpointSlice,
    Metadata,
    Pod,
    Probed,
    Service,
)
from ...application.diagnosis.facts import Attempt, Maybe, NamespaceFacts, Permission, Unread
from ...application.diagnosis.namespace_restrictions import ANNOTATIONS
from ...application.diagnosis.our_webhooks import MUTATING, VALIDATING
from ...application.diagnosis.webhook_configurations import WebhookConfiguration
from ...application.fleet_view import GpuPod
from ...application.in_tree_drift import KINDS, InTreeObject
from ...application.limit_ranges import LimitRange
from ...application.quotas import Quota
from ...engine.fleet.node_shapes import GpuNode
from ...engine.label_problems import relevant
from . import nodes
from .api_request import ApiRequest, object_path, path_of
from .documents import decode
from .errors import ApiError, Fault
from .gpu_pods import PodItem
from .in_tree_objects import objects_of
from .lists import Lister, Page, Progress, get
from .nodes import NodeItem
from .retrying import RetryingApi

T = TypeVar("T")

_REGISTRATION = "admissionregistration.k8s.io"
_PLURALS = {MUTATING: "mutatingwebhookconfigurations", VALIDATING: "validatingwebhookconfigurations"}
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class _Namespace(msgspec.Struct):
    metadata: Metadata


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class _ReviewStatus(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _ReviewStatus


class FactReader:
    """Reads facts."""

    def __init__(self, api: RetryingApi, progress: Progress) -> None:
        self._api = api
        self._lister = Lister(api, progress)

    def version(self) -> Maybe[tuple[int, int]]:
        """The API server's version.

        Raises:
            ApiError: the server does not answer, or rejects us.
        """
        try:
            said = get(self._api, path_of("version"), _Version).git_version
        except ApiError as error:
            if error.fault is not Fault.FORBIDDEN:
                raise
            return unread("get /version", error)
        match = _VERSION.match(said)
        if match is None:
            return Unread("get /version", f"the API server says that its version is {said}", forbidden=False)
        return int(match[1]), int(match[2])

    def webhook_configuration(self, kind: str, name: str) -> Maybe[WebhookConfiguration | None]:
        """One of gpuwarden's webhook configurations."""
        return self._get(WebhookConfiguration, _REGISTRATION, _PLURALS[kind], name)

    def mutating_configurations(self) -> Maybe[list[WebhookConfiguration]]:
        """Everyone's mutating webhook configurations."""
        return self._list(Page[WebhookConfiguration], _REGISTRATION, _PLURALS[MUTATING])

    def in_tree(self) -> Maybe[list[InTreeObject]]:
        """Our admission policies and their bindings."""
        found: list[InTreeObject] = []
        for kind, plural in KINDS.items():
            right = str(Permission("list", plural, _REGISTRATION))
            listed = self._try(right, partial(objects_of, self._lister, kind))
            if isinstance(listed, Unread):
                return listed
            found += listed
        return found

    def service(self, namespace: str, name: str) -> Maybe[Service | None]:
        """A Service."""
        return self._get(Service, "", "services", name, namespace)

    def slices(self, namespace: str, service: str) -> Maybe[list[EndpointSlice]]:
        """The EndpointSlices of a Service."""
        selector = {"labelSelector": f"kubernetes.io/service-name={service}"}
        return self._list(Page[EndpointSlice], "discovery.k8s.io", "endpointslices", namespace, selector)

    def deployment(self, namespace: str, name: str) -> Maybe[Deployment | None]:
        """A Deployment."""
        return self._get(Deployment, "apps", "deployments", name, namespace)

    def pods(self, namespace: str) -> Maybe[list[Pod]]:
        """The pods of a namespace."""
        return self._list(Page[Pod], "", "pods", namespace)

    def waiting_pods(self, names: frozenset[str]) -> Maybe[list[GpuPod]]:
        """The pods of all namespaces that have no node yet and request one of these resources."""
        path = path_of("api", "v1", "pods")
        selector = {"fieldSelector": "spec.nodeName="}
        return self._try(
            "list pods",
            lambda: self._lister.all("waiting pods", path, Page[PodItem], lambda one: one.waiting_for(names), selector),
        )

    def budgets(self, namespace: str) -> Maybe[list[Budget]]:
        """The PodDisruptionBudgets of a namespace."""
        return self._list(Page[Budget], "policy", "poddisruptionbudgets", namespace)

    def quotas(self) -> Maybe[list[Quota]]:
        """Every ResourceQuota."""
        return self._list(Page[Quota], "", "resourcequotas")

    def limit_ranges(self) -> Maybe[list[LimitRange]]:
        """Every LimitRange."""
        return self._list(Page[LimitRange], "", "limitranges")

    def nodes(self, labels: Collection[str]) -> Maybe[list[GpuNode]]:
        """Every node with GPUs; ``labels`` are read in addition to those that distinguish forms."""
        return self._try(str(Permission("list", "nodes")), lambda: nodes.nodes(self._lister, labels))

    def selected_nodes(self, selectors: Iterable[str]) -> Maybe[frozenset[str]]:
        """The names of the nodes that one of these label selectors selects."""
        path = path_of("api", "v1", "nodes")

        def names() -> frozenset[str]:
            of_each = (
                self._lister.all("nodes", path, Page[NodeItem], lambda item: item.metadata.name, {"labelSelector": one})
                for one in selectors
            )
            return frozenset(chain.from_iterable(of_each))

        return self._try(str(Permission("list", "nodes")), names)

    def classes(self) -> Maybe[frozenset[str]]:
        """The resources that DeviceClasses offer."""
        right = str(Permission("list", "deviceclasses", "resource.k8s.io"))
        return self._try(right, lambda: nodes.offered(*nodes.class_items(self._lister)))

    def configuration_text(self, namespace: str, name: str) -> Maybe[str | None]:
        """The text of the configuration file in the ConfigMap."""
        data = self.config_map(namespace, name)
        return data.get("config.yaml") if isinstance(data, dict) else data

    def config_map(self, namespace: str, name: str) -> Maybe[dict[str, str] | None]:
        """The data of a ConfigMap; ``None`` if it does not exist."""
        found = self._get(_ConfigMap, "", "configmaps", name, namespace)
        return (found.data or {}) if isinstance(found, _ConfigMap) else found

    def namespaces(self, always: Iterable[str]) -> Maybe[NamespaceFacts]:
        """All namespaces but those that are being deleted.

        Includes the labels of namespaces that have one of our labels or a similar one, and of those in ``always``; and
        annotations that look like ours.
        """
        wanted = set(always)
        count = 0
        annotations: dict[str, Mapping[str, str]] = {}
        restricting: dict[str, Mapping[str, str]] = {}

        def keep(item: _Namespace) -> tuple[str, Mapping[str, str]] | None:
            nonlocal count
            if item.metadata.deletion_timestamp is not None:
                return None
            count += 1
            name, labels = item.metadata.name, item.metadata.labels or {}
            if found := relevant(item.metadata.annotations):
                annotations[name] = found
            if restricts := {k: v for k, v in (item.metadata.annotations or {}).items() if k in ANNOTATIONS}:
                restricting[name] = restricts
            return (name, labels) if found or relevant(labels) or name in wanted else None

        path = path_of("api", "v1", "namespaces")
        kept = self._try("list namespaces", lambda: self._lister.all("namespaces", path, Page[_Namespace], keep))
        return kept if isinstance(kept, Unread) else NamespaceFacts(count, dict(kept), annotations, restricting)

    def namespace_labels(self, name: str) -> Maybe[Mapping[str, str]]:
        """The labels of one namespace; none if it does not exist."""
        found = self._get(_Namespace, "", "namespaces", name)
        if isinstance(found, Unread):
            return found
        return (found.metadata.labels or {}) if found else {}

    def rights(self, user: str, rights: Iterable[Permission]) -> Maybe[dict[Permission, bool]]:
        """Return which of these rights a ServiceAccount has."""
        request_right = "create subjectaccessreviews.authorization.k8s.io"
        return self._try(request_right, lambda: {right: self._may(user, right) for right in rights})

    def dry_run(self, namespace: str, pod: Mapping[str, object]) -> Attempt:
        """Create a pod in a namespace, as a dry run."""
        path = path_of("api", "v1", "namespaces", namespace, "pods")
        request = ApiRequest("POST", path, {"dryRun": "All"}, msgspec.json.encode(pod))
        try:
            return Attempt(decode(self._api.call(request), Probed, str(request)))
        except ApiError as error:
            return Attempt(None, error.detail)

    def _may(self, user: str, right: Permission) -> bool:
        # The groups that the API server's own authentication gives a ServiceAccount (serviceaccount.MakeGroupNames).
        namespace = user.split(":")[2]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
            "namespace": right.namespace,
            "name": right.name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
        }
        path = path_of("apis", "authorization.k8s.io", "v1", "subjectaccessreviews")
        request = ApiRequest("POST", path, body=msgspec.json.encode(body))
        return decode(self._api.call(request), _Review, str(request)).status.allowed

    def _get(self, kind: type[T], group: str, plural: str, name: str, namespace: str = "") -> Maybe[T | None]:
        try:
            return get(self._api, object_path(group, "v1", plural, namespace, name), kind)
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                return None
            return unread(str(Permission("get", plural, group, namespace, name)), error)

    def _list(
        self,
        page: type[Page[T]],
        group: str,
        plural: str,
        namespace: str = "",
        selector: Mapping[str, str] | None = None,
    ) -> Maybe[list[T]]:
        path = object_path(group, "v1", plural, namespace)
        right = str(Permission("list", plural, group, namespace))
        return self._try(right, lambda: self._lister.all(plural, path, page, lambda item: item, selector))

    @staticmethod
    def _try(right: str, read: Callable[[], T]) -> Maybe[T]:
        try:
            return read()
        except ApiError as error:
            return unread(right, error)


def unread(right: str, error: ApiError) -> Unread:
    """A fact that can't be read, because a permission is missing or for another reason."""
    return Unread(right, error.detail, forbidden=error.fault is Fault.FORBIDDEN)
