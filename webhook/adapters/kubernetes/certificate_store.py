"""Certificates in the cluster: one Secret, and the ``caBundle`` and paths of our webhook configurations.

Every write is rejected by the API server when the object is not the one that was read: a JSON Patch that sets
``metadata.resourceVersion`` is an update with that precondition (store.go: ``OptimisticLockErrorMsg``, status 409).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import msgspec

from ...application.certificates.store import ConflictError, RegisteredWebhooks, StoredSecret, StoreError
from ...application.certificates.tokens import ANNOTATION, masked
from .api_request import ApiRequest, path_of
from .client import ApiServer
from .documents import decode
from .errors import ApiError, Fault

T = TypeVar("T")

TIMEOUT = 10.0  # seconds for each request
_JSON_PATCH = "application/json-patch+json"
# Our name in managedFields, whatever the User-Agent is, so that users see who set a caBundle.
_QUERY = {"fieldManager": "gpuwarden"}
_RBAC = "rbac.authorization.k8s.io"
_RESOURCES = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str
    annotations: dict[str, str] | None = None


class _Identity(msgspec.Struct):
    uid: str


class _Role(msgspec.Struct):
    metadata: _Identity


class _Secret(msgspec.Struct):
    metadata: _Metadata
    data: dict[str, bytes | None] | None = None  # bytes are base64 in JSON, to msgspec as to Go


class _Service(msgspec.Struct):
    path: str | None = None


class _ClientConfig(msgspec.Struct, rename="camel"):
    url: str | None = None
    service: _Service | None = None
    ca_bundle: bytes | None = None

    @property
    def target(self) -> str:
        return self.url or (self.service and self.service.path) or ""


class _Webhook(msgspec.Struct, rename="camel"):
    name: str
    client_config: _ClientConfig


class _Configuration(msgspec.Struct):
    metadata: _Metadata
    webhooks: list[_Webhook] | None = None


class KubernetesCertificateStore:
    """A ``webhook.application.certificates.store.CertificateStore`` in the API server. Its calls block, so use it in a thread.

    Args:
        configurations: kind and name of each webhook configuration whose bundles we write.
        labels: the labels of a Secret that is created.
        owner: the Role that owns a Secret that is created: the garbage collector deletes the Secret with the Role, after which
            no replica may create it again. Empty: none.
    """

    def __init__(  # noqa: PLR0913 - which objects, and how they are reached
        self,
        api: ApiServer,
        *,
        namespace: str,
        secret: str,
        configurations: Sequence[tuple[str, str]],
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._api = api
        self._secrets = path_of("api", "v1", "namespaces", namespace, "secrets")
        self._secret = path_of("api", "v1", "namespaces", namespace, "secrets", secret)
        self._metadata = {"name": secret, "namespace": namespace, "labels": dict(labels or {})}
        self._owner = owner
        self._namespace = namespace
        self._configurations = tuple(configurations)
        self._timeout = timeout

    def read_configurations(self) -> tuple[RegisteredWebhooks, ...]:
        """Read our webhook configurations, see `CertificateStore.read_configurations`."""
        found = (self._read_configuration(kind, name) for kind, name in self._configurations)
        return tuple(configuration for configuration in found if configuration is not None)

    def read_secret(self) -> StoredSecret | None:
        """Read the Secret, see `CertificateStore.read_secret`."""
        secret = self._read(self._secret, _Secret)
        if secret is None:
            return None
        data = {key: value or b"" for key, value in (secret.data or {}).items()}
        return StoredSecret(data, secret.metadata.resource_version)

    def write_secret(self, data: Mapping[str, bytes], resource_version: str | None) -> None:
        """Write or create the Secret, see `CertificateStore.write_secret`."""
        if resource_version is None:
            metadata = {**self._metadata, **self._owned()}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
            self._write(ApiRequest("POST", self._secrets, _QUERY, msgspec.json.encode(secret)), {Fault.CONFLICT})
        else:
            # "add" replaces a value, or adds it if there is none.
            self._patch(self._secret, resource_version, [{"op": "add", "path": "/data", "value": data}])

    def _owned(self) -> Mapping[str, object]:
        """The metadata that names the owner; none if there is no such Role, or it can't be read.

        Used only on creation: with OwnerReferencesPermissionEnforcement (as on OpenShift), changing the owners of an existing
        object requires permission to delete it.
        """
        if not self._owner:
            return {}
        path = path_of("apis", _RBAC, "v1", "namespaces", self._namespace, "roles", self._owner)
        try:
            role = decode(self._api.call(ApiRequest("GET", path), timeout=self._timeout), _Role, f"GET {path}")
        except ApiError as error:
            if error.fault in {Fault.NOT_FOUND, Fault.FORBIDDEN}:
                return {}  # the Secret then stays after an uninstall; everything else works
            raise StoreError(error.detail) from error
        owner = {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "name": self._owner, "uid": role.metadata.uid}
        return {"ownerReferences": [owner]}

    def write_bundle(
        self, configuration: RegisteredWebhooks, bundle: bytes, targets: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Write a configuration's bundles and targets, see `CertificateStore.write_bundle`."""
        operations: list[Mapping[str, object]] = []
        for index, name in enumerate(configuration.bundles):
            # The index of a webhook can't have changed while the resource version has not. If it differs anyway, the test
            # operation fails the whole patch.
            operations += [
                {"op": "test", "path": f"/webhooks/{index}/name", "value": name},
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle},
            ]
            if target := targets.get(name):
                field = "url" if "://" in target else "service/path"
                operations.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/{field}", "value": target})
        try:
            self._patch(_path(configuration.kind, configuration.name), configuration.resource_version, operations)
        except ConflictError:
            raise
        except StoreError:
            # A test that fails because of a concurrent write is a conflict too, but the status is 422, as for other errors.
            now = self._read_configuration(configuration.kind, configuration.name)
            if now is None or now.resource_version != configuration.resource_version:
                raise ConflictError(f"{configuration} has changed since it was read") from None
            raise

    def _read_configuration(self, kind: str, name: str) -> RegisteredWebhooks | None:
        found = self._read(_path(kind, name), _Configuration)
        if found is None:
            return None
        # In the order of the list.
        bundles = {webhook.name: webhook.client_config.ca_bundle or b"" for webhook in found.webhooks or []}
        targets = {webhook.name: webhook.client_config.target for webhook in found.webhooks or []}
        tokened = (found.metadata.annotations or {}).get(ANNOTATION) == "true"
        return RegisteredWebhooks(kind, name, found.metadata.resource_version, bundles, targets, tokened)

    def _read(self, path: str, kind: type[T]) -> T | None:
        try:
            return decode(self._api.call(ApiRequest("GET", path), timeout=self._timeout), kind, f"GET {path}")
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                return None
            raise StoreError(error.detail) from error

    def _patch(self, path: str, resource_version: str, operations: Sequence[Mapping[str, object]]) -> None:
        if not resource_version:
            raise StoreError(f"{path}: without a resource version the write would not be conditional")
        precondition = {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}
        body = msgspec.json.encode([precondition, *operations])
        self._write(ApiRequest("PATCH", path, _QUERY, body, _JSON_PATCH), {Fault.CONFLICT, Fault.NOT_FOUND})

    def _write(self, request: ApiRequest, conflicts: set[Fault]) -> None:
        try:
            self._api.call(request, timeout=self._timeout)
        except ApiError as error:
            # The API server may quote what it rejects, which includes a token.
            raise (ConflictError if error.fault in conflicts else StoreError)(masked(error.detail)) from error


def _path(kind: str, name: str) -> str:
    return path_of("apis", "admissionregistration.k8s.io", "v1", _RESOURCES[kind], name)
