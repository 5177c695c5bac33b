"""The Secret and the bundles: what is read, what exactly is written, and that no write goes over another's."""

import base64
import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.http_side import Behaviour
from tests.adapters.kubernetes import faults
from webhook.adapters.kubernetes.certificate_store import KubernetesCertificateStore
from webhook.adapters.kubernetes.client import ApiServer
from webhook.application.certificates.store import ConflictError, RegisteredWebhooks, StoredSecret, StoreError

if TYPE_CHECKING:
    from webhook.application.certificates.store import CertificateStore

NAME = "gpuwarden-ca"
STORED = f"/api/v1/namespaces/gpu-system/secrets/{NAME}"
ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/gpu-system/roles/gpuwarden"
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{REGISTRATION}/mutatingwebhookconfigurations/gpuwarden"
VALIDATING = f"{REGISTRATION}/validatingwebhookconfigurations/gpuwarden"
PEM = b"-----BEGIN CERTIFICATE-----\n\xc3\xa9\n"


@pytest.fixture
def store(api: ApiServer) -> "CertificateStore":
    return KubernetesCertificateStore(
        api,
        namespace="gpu-system",
        secret=NAME,
        configurations=[("MutatingWebhookConfiguration", "gpuwarden"), ("ValidatingWebhookConfiguration", "gpuwarden")],
        labels={"app.kubernetes.io/managed-by": "gpuwarden"},
        timeout=30,
    )


@pytest.fixture
def owned(api: ApiServer) -> "CertificateStore":
    return KubernetesCertificateStore(
        api, namespace="gpu-system", secret=NAME, configurations=[], owner="gpuwarden", timeout=30
    )


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def webhook(name: str, bundle: bytes | None = None) -> dict[str, Any]:
    client_config: dict[str, Any] = {"service": {"name": "gpuwarden", "namespace": "gpu-system", "path": f"/{name}"}}
    if bundle is not None:
        client_config["caBundle"] = encoded(bundle)
    return {"name": name, "clientConfig": client_config, "failurePolicy": "Fail", "sideEffects": "None"}


def configuration(*webhooks: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "gpuwarden", "labels": {"a": "b"}},
        "webhooks": list(webhooks),
    }


class TestSecret:
    def test_there_may_be_none(self, store: "CertificateStore") -> None:
        assert store.read_secret() is None

    def test_its_data_is_read_as_bytes(self, apiserver: StandIn, store: "CertificateStore") -> None:
        data = {"ca.crt": encoded(PEM), "empty": "", "null": None}
        apiserver.store(STORED, {"kind": "Secret", "metadata": {"name": "gpuwarden-ca"}, "data": data})
        assert store.read_secret() == StoredSecret({"ca.crt": PEM, "empty": b"", "null": b""}, apiserver.revision)

    @pytest.mark.parametrize("document", [{}, {"data": None}])
    def test_it_may_be_empty(self, apiserver: StandIn, store: "CertificateStore", document: dict[str, Any]) -> None:
        apiserver.store(STORED, document)
        assert store.read_secret() == StoredSecret({}, apiserver.revision)

    def test_it_is_created_with_its_labels(self, apiserver: StandIn, store: "CertificateStore") -> None:
        store.write_secret({"ca.crt": PEM, "ca.key": b""}, None)
        created = apiserver.objects[STORED]
        assert created["metadata"].pop("resourceVersion")
        assert created == {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "gpuwarden-ca",
                "namespace": "gpu-system",
                "labels": {"app.kubernetes.io/managed-by": "gpuwarden"},
            },
            "type": "Opaque",
            "data": {"ca.crt": encoded(PEM), "ca.key": ""},
        }
        assert apiserver.requests[0].query == {"fieldManager": "gpuwarden"}

    def test_a_role_owns_it_from_its_creation_on(self, apiserver: StandIn, owned: "CertificateStore") -> None:
        apiserver.store(ROLE, {"metadata": {"name": "gpuwarden", "uid": "u-1"}})
        owned.write_secret({"ca.crt": PEM}, None)
        assert apiserver.objects[STORED]["metadata"]["ownerReferences"] == [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "name": "gpuwarden", "uid": "u-1"}
        ]

    def test_no_other_write_touches_the_owner(self, apiserver: StandIn, owned: "CertificateStore") -> None:
        apiserver.store(STORED, {"metadata": {"name": NAME}, "data": {}})
        owned.write_secret({"ca.crt": PEM}, apiserver.revision)
        assert "ownerReferences" not in apiserver.objects[STORED]["metadata"]
        assert [seen.method for seen in apiserver.requests] == ["PATCH"]

    @pytest.mark.parametrize("status", [403, 404])
    def test_a_role_that_can_not_be_had_keeps_it_from_nothing(
        self, apiserver: StandIn, owned: "CertificateStore", status: int
    ) -> None:
        apiserver.script("object", faults.refusal(status, "no"))
        owned.write_secret({"ca.crt": PEM}, None)
        assert "ownerReferences" not in apiserver.objects[STORED]["metadata"]

    def test_a_role_that_can_not_be_read_now_is_an_error(self, apiserver: StandIn, owned: "CertificateStore") -> None:
        """It would have no owner for good otherwise; the next look tries again."""
        apiserver.script("object", faults.refusal(500, "broken"))
        with pytest.raises(StoreError, match="500"):
            owned.write_secret({"ca.crt": PEM}, None)
        assert apiserver.objects == {}

    def test_it_is_not_created_over_another(self, apiserver: StandIn, store: "CertificateStore") -> None:
        store.write_secret({"ca.crt": b"theirs"}, None)
        with pytest.raises(ConflictError):
            store.write_secret({"ca.crt": b"ours"}, None)
        secret = store.read_secret()
        assert secret is not None
        assert secret.data == {"ca.crt": b"theirs"}

    def test_its_data_is_replaced_whole_and_nothing_else_is_touched(
        self, apiserver: StandIn, store: "CertificateStore"
    ) -> None:
        before = {
            "metadata": {"name": "gpuwarden-ca", "labels": {"a": "b"}, "annotations": {"c": "d"}},
            "type": "kubernetes.io/tls",
            "data": {"ca.crt": encoded(b"old"), "previous.crt": encoded(b"older")},
        }
        apiserver.store(STORED, copy.deepcopy(before))
        store.write_secret({"ca.crt": PEM}, apiserver.revision)
        after = apiserver.objects[STORED]
        assert after["metadata"].pop("resourceVersion") == apiserver.revision
        assert after == {**before, "data": {"ca.crt": encoded(PEM)}}

    def test_data_is_added_where_there_was_none(self, apiserver: StandIn, store: "CertificateStore") -> None:
        apiserver.store(STORED, {})
        store.write_secret({"ca.crt": PEM}, apiserver.revision)
        assert apiserver.objects[STORED]["data"] == {"ca.crt": encoded(PEM)}

    def test_it_is_not_written_over_a_later_state(self, apiserver: StandIn, store: "CertificateStore") -> None:
        apiserver.store(STORED, {"data": {}})
        read = apiserver.revision
        store.write_secret({"ca.crt": b"theirs"}, read)
        with pytest.raises(ConflictError, match="modified"):
            store.write_secret({"ca.crt": b"ours"}, read)
        assert apiserver.objects[STORED]["data"] == {"ca.crt": encoded(b"theirs")}

    def test_it_is_not_revived_once_it_is_gone(self, apiserver: StandIn, store: "CertificateStore") -> None:
        with pytest.raises(ConflictError, match="404"):
            store.write_secret({"ca.crt": b"ours"}, "5")
        assert apiserver.objects == {}

    def test_a_namespace_that_is_not_there_is_no_conflict_to_try_again_after(
        self, apiserver: StandIn, store: "CertificateStore"
    ) -> None:
        apiserver.script("object", faults.refusal(404, 'namespaces "gpu-system" not found'))
        with pytest.raises(StoreError, match="gpu-system") as caught:
            store.write_secret({}, None)
        assert not isinstance(caught.value, ConflictError)

    def test_it_is_never_written_without_a_condition(self, apiserver: StandIn, store: "CertificateStore") -> None:
        with pytest.raises(StoreError, match="conditional"):
            store.write_secret({}, "")
        assert apiserver.requests == []


class TestBundles:
    def test_they_are_read_by_the_webhooks_names(self, apiserver: StandIn, store: "CertificateStore") -> None:
        apiserver.store(MUTATING, configuration(webhook("mutate.gpuwarden.io", PEM), webhook("advise.gpuwarden.io")))
        first = apiserver.revision
        apiserver.store(VALIDATING, configuration(webhook("validate.gpuwarden.io", b"")))
        assert store.read_configurations() == (
            RegisteredWebhooks(
                "MutatingWebhookConfiguration",
                "gpuwarden",
                first,
                {"mutate.gpuwarden.io": PEM, "advise.gpuwarden.io": b""},
                {"mutate.gpuwarden.io": "/mutate.gpuwarden.io", "advise.gpuwarden.io": "/advise.gpuwarden.io"},
            ),
            RegisteredWebhooks(
                "ValidatingWebhookConfiguration",
                "gpuwarden",
                apiserver.revision,
                {"validate.gpuwarden.io": b""},
                {"validate.gpuwarden.io": "/validate.gpuwarden.io"},
            ),
        )

    def test_a_configuration_that_is_not_there_is_left_out(self, apiserver: StandIn, store: "CertificateStore") -> None:
        assert store.read_configurations() == ()
        apiserver.store(VALIDATING, {"metadata": {}, "webhooks": None})
        (only,) = store.read_configurations()
        assert only == RegisteredWebhooks("ValidatingWebhookConfiguration", "gpuwarden", apiserver.revision, {})

    def test_every_webhook_gets_the_bundle_and_nothing_else_is_touched(
        self, apiserver: StandIn, store: "CertificateStore"
    ) -> None:
        before = configuration(webhook("a.gpuwarden.io", b"old"), webhook("b.gpuwarden.io"))
        apiserver.store(MUTATING, copy.deepcopy(before))
        (read,) = store.read_configurations()
        store.write_bundle(read, PEM)
        after = apiserver.objects[MUTATING]
        assert after["metadata"].pop("resourceVersion") == apiserver.revision
        for entry in before["webhooks"]:
            entry["clientConfig"]["caBundle"] = encoded(PEM)
        assert after == before
        patch = json.loads(apiserver.requests[-1].body)
        assert {operation["path"].rpartition("/")[2] for operation in patch if operation["op"] != "test"} == {
            "resourceVersion",
            "caBundle",
        }

    def test_what_is_called_is_read_and_changed_with_the_bundle(
        self, apiserver: StandIn, store: "CertificateStore"
    ) -> None:
        by_url, by_path, without = webhook("a.gpuwarden.io"), webhook("b.gpuwarden.io"), webhook("c.gpuwarden.io")
        by_url["clientConfig"] = {"url": "https://x.example/validate"}
        by_path["clientConfig"]["service"]["path"] = "/advise"
        without["clientConfig"]["service"].pop("path", None)
        document = configuration(by_url, by_path, without)
        document["metadata"]["annotations"] = {"gpuwarden.io/path-token": "true"}
        apiserver.store(MUTATING, document)
        (read,) = store.read_configurations()
        assert read.tokened
        assert list(read.targets.values()) == ["https://x.example/validate", "/advise", ""]
        new = {"a.gpuwarden.io": "https://x.example/validate/t", "c.gpuwarden.io": "/validate/t"}
        store.write_bundle(read, PEM, new)
        (after,) = store.read_configurations()
        assert list(after.targets.values()) == ["https://x.example/validate/t", "/advise", "/validate/t"]
        assert set(after.bundles.values()) == {PEM}
        assert "url" not in apiserver.objects[MUTATING]["webhooks"][2]["clientConfig"]

    @pytest.mark.parametrize("annotations", [None, {}, {"gpuwarden.io/path-token": "false"}])
    def test_paths_are_ours_only_where_the_annotation_says_so(
        self, apiserver: StandIn, store: "CertificateStore", annotations: dict[str, str] | None
    ) -> None:
        document = configuration(webhook("a.gpuwarden.io"))
        document["metadata"]["annotations"] = annotations
        apiserver.store(MUTATING, document)
        (read,) = store.read_configurations()
        assert not read.tokened

    @pytest.mark.parametrize(
        "meanwhile",
        [
            pytest.param(lambda document: document, id="anything was written"),
            pytest.param(lambda document: {**document, "webhooks": document["webhooks"][::-1]}, id="another order"),
            pytest.param(lambda document: {**document, "webhooks": document["webhooks"][:1]}, id="one was taken away"),
        ],
    )
    def test_they_are_not_written_over_a_later_state(
        self, apiserver: StandIn, store: "CertificateStore", meanwhile: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        apiserver.store(MUTATING, configuration(webhook("a.gpuwarden.io", b"old"), webhook("b.gpuwarden.io", b"old")))
        (read,) = store.read_configurations()
        later = meanwhile(copy.deepcopy(apiserver.objects[MUTATING]))
        apiserver.store(MUTATING, copy.deepcopy(later))
        later["metadata"]["resourceVersion"] = apiserver.revision
        with pytest.raises(ConflictError):
            store.write_bundle(read, PEM)
        assert apiserver.objects[MUTATING] == later

    def test_a_configuration_that_is_gone_is_a_conflict(self, apiserver: StandIn, store: "CertificateStore") -> None:
        apiserver.store(MUTATING, configuration(webhook("a.gpuwarden.io")))
        (read,) = store.read_configurations()
        del apiserver.objects[MUTATING]
        with pytest.raises(ConflictError):
            store.write_bundle(read, PEM)

    def test_a_mistake_of_ours_is_no_conflict_and_changes_nothing(
        self, apiserver: StandIn, store: "CertificateStore"
    ) -> None:
        apiserver.store(MUTATING, configuration(webhook("a.gpuwarden.io", b"a"), webhook("b.gpuwarden.io", b"b")))
        (read,) = store.read_configurations()
        swapped = {"b.gpuwarden.io": b"b", "a.gpuwarden.io": b"a"}
        wrong = RegisteredWebhooks(read.kind, read.name, read.resource_version, swapped)
        with pytest.raises(StoreError, match="422") as caught:
            store.write_bundle(wrong, PEM)
        assert not isinstance(caught.value, ConflictError)
        assert apiserver.objects[MUTATING]["metadata"]["resourceVersion"] == read.resource_version


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(faults.refusal(403, "may not"), id="403"),
        pytest.param(faults.refusal(500, "etcd"), id="500"),
        pytest.param(faults.answer(b"<html>"), id="garbage"),
        pytest.param(faults.answer(b'{"metadata": {}}'), id="no resource version"),
        pytest.param(faults.answer(b'{"metadata": {"resourceVersion": "1"}, "data": {"a": "!"}}'), id="no base64"),
    ],
)
def test_what_can_not_be_read_is_an_error_and_not_an_absence(
    apiserver: StandIn, store: "CertificateStore", behaviour: Behaviour
) -> None:
    apiserver.always("object", behaviour)
    with pytest.raises(StoreError):
        store.read_secret()


def test_a_configuration_that_can_not_be_read_is_an_error(apiserver: StandIn, store: "CertificateStore") -> None:
    apiserver.always("object", faults.refusal(403, "may not"))
    with pytest.raises(StoreError, match="403 may not"):
        store.read_configurations()


def test_an_error_never_quotes_the_secret(apiserver: StandIn, store: "CertificateStore") -> None:
    document = b'{"metadata": {"resourceVersion": "1"}, "data": {"ca.key": "c3VwZXJzZWNyZXQ=", "x": 5}}'
    apiserver.script("object", faults.answer(document))
    with pytest.raises(StoreError) as caught:
        store.read_secret()
    assert "c3VwZX" not in str(caught.value)
