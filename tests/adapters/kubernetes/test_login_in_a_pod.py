"""In a pod: over TLS that is checked against the pod's CA, with the pod's token, which is read anew when it rotates."""

import datetime as dt
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from kubernetes.config import incluster_config

from testing.stand_in.apiserver import StandIn
from tests.adapters.kubernetes.support import Noted, eventually
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault, KubeconfigError
from webhook.adapters.kubernetes.login import Cluster
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces
from webhook.engine.labels import NamespaceLabels

ASK = ApiRequest("GET", "/api/v1/namespaces/a")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[StandIn]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with StandIn(context) as stand_in:
        stand_in.set_namespace("a", enforce="mps")
        yield stand_in


@pytest.fixture
def account(tmp_path: Path, authority: trustme.CA) -> Path:
    (tmp_path / "token").write_text("one")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


def pod(server: StandIn, account: Path, host: str = "127.0.0.1") -> Cluster:
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(server.port)}
    return Cluster(None, None, environ, account)


def test_the_token_is_sent(secure: StandIn, account: Path) -> None:
    # Version 36.0.0 of the official client sent none.
    secure.authorize = lambda header: header == "bearer one"
    ApiServer(pod(secure, account)).call(ASK, timeout=5)
    (seen,) = secure.requests
    assert seen.headers["Authorization"] == "bearer one"


def test_a_token_that_ends_in_a_newline_is_sent_without_it(secure: StandIn, account: Path) -> None:
    (account / "token").write_text("one\n")
    ApiServer(pod(secure, account)).call(ASK, timeout=5)
    assert secure.requests[0].headers["Authorization"] == "bearer one"


def test_a_token_that_rotates_is_read_anew_after_a_minute(
    secure: StandIn, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = ApiServer(pod(secure, account))
    (account / "token").write_text("two")
    api.call(ASK, timeout=5)

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(time.time() + 61, tz)

    with monkeypatch.context() as patched:
        patched.setattr(incluster_config, "datetime", SimpleNamespace(datetime=Later, timedelta=dt.timedelta))
        api.call(ASK, timeout=5)
    assert [seen.headers["Authorization"] for seen in secure.requests] == ["bearer one", "bearer two"]


def test_a_token_that_is_refused_is_read_anew_at_once(secure: StandIn, account: Path) -> None:
    api = ApiServer(pod(secure, account))
    (account / "token").write_text("two")
    secure.authorize = lambda header: header == "bearer two"
    api.call(ASK, timeout=5)
    assert [seen.headers["Authorization"] for seen in secure.requests] == ["bearer one", "bearer two"]


def test_namespaces_are_watched_across_a_rotation_of_the_token(secure: StandIn, account: Path, noted: Noted) -> None:
    namespaces = WatchedNamespaces(ApiServer(pod(secure, account)), noted)
    namespaces.start()
    secure.wait_for_watches()
    (account / "token").write_text("two")
    secure.authorize = lambda header: header == "bearer two"
    secure.cut()
    secure.set_namespace("b", enforce="mps")
    eventually(lambda: namespaces.cached("b") == NamespaceLabels(enforce="mps"))
    namespaces.stop()
    assert not namespaces._thread.is_alive()
    assert Fault.UNAUTHORIZED not in noted.faults
    assert secure.count("list") == 1


def test_a_server_of_another_authority_is_not_talked_to(secure: StandIn, account: Path) -> None:
    trustme.CA().cert_pem.write_to_path(account / "ca.crt")
    with pytest.raises(ApiError) as caught:
        ApiServer(pod(secure, account)).call(ASK, timeout=5)
    assert caught.value.fault is Fault.UNREACHABLE
    assert "certificate verify failed" in caught.value.detail
    assert secure.requests == []


def test_a_server_of_another_name_is_not_talked_to(secure: StandIn, account: Path) -> None:
    with pytest.raises(ApiError) as caught:
        ApiServer(pod(secure, account, host="localhost")).call(ASK, timeout=5)
    assert caught.value.fault is Fault.UNREACHABLE
    assert "Hostname mismatch" in caught.value.detail
    assert secure.requests == []


def test_a_new_authority_is_read_without_a_restart(secure: StandIn, account: Path, authority: trustme.CA) -> None:
    trustme.CA().cert_pem.write_to_path(account / "ca.crt")
    api = ApiServer(pod(secure, account))
    with pytest.raises(ApiError):
        api.call(ASK, timeout=5)
    authority.cert_pem.write_to_path(account / "ca.crt")
    api.call(ASK, timeout=5)


@pytest.mark.parametrize("file", ["token", "ca.crt"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_an_account_that_is_not_mounted_is_told(secure: StandIn, account: Path, file: str, how: str) -> None:
    if how == "missing":
        (account / file).unlink()
    else:
        (account / file).write_text("")
    with pytest.raises(KubeconfigError, match=r"this pod's service account can't be used: .*automountService"):
        ApiServer(pod(secure, account))


def test_a_token_that_is_gone_later_is_a_failure_that_is_told(
    secure: StandIn, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = ApiServer(pod(secure, account))
    secure.authorize = lambda _: False
    (account / "token").unlink()
    with pytest.raises(ApiError) as caught:
        api.call(ASK, timeout=5)
    assert caught.value.fault is Fault.UNAUTHORIZED
