"""In a pod: over TLS that is checked against the pod's CA, with the pod's token, which is read anew when it rotates."""

import base64
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from testing.stand_in.apiserver import StandIn
from tests.adapters.kubernetes.support import Clock, Noted, eventually
from webhook.adapters.kubernetes import pod_login
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import Cluster
from webhook.adapters.kubernetes.errors import ApiError, Fault, KubeconfigError
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces
from webhook.engine.namespace_labels import NamespaceLabels

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


def environment(port: int, host: str = "127.0.0.1", **more: str) -> dict[str, str]:
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port), **more}


def pod(server: StandIn, account: Path, host: str = "127.0.0.1") -> Cluster:
    return Cluster(None, None, environment(server.port, host), account)


def test_the_token_is_sent(secure: StandIn, account: Path) -> None:
    secure.authorize = lambda header: header == "Bearer one"
    ApiServer(pod(secure, account)).call(ASK, timeout=5)
    (seen,) = secure.requests
    assert seen.headers["Authorization"] == "Bearer one"


def test_a_token_that_ends_in_a_newline_is_sent_without_it(secure: StandIn, account: Path) -> None:
    (account / "token").write_text("one\n")
    ApiServer(pod(secure, account)).call(ASK, timeout=5)
    assert secure.requests[0].headers["Authorization"] == "Bearer one"


def test_a_token_that_rotates_is_read_anew_after_a_minute(secure: StandIn, account: Path, clock: Clock) -> None:
    api = ApiServer(lambda: pod_login.log_in(environment(secure.port), account, clock))
    (account / "token").write_text("two")
    for seconds in (59, 2):
        clock.ahead += seconds
        api.call(ASK, timeout=5)
    assert [seen.headers["Authorization"] for seen in secure.requests] == ["Bearer one", "Bearer two"]


def test_a_token_that_is_refused_is_read_anew_at_once(secure: StandIn, account: Path) -> None:
    api = ApiServer(pod(secure, account))
    (account / "token").write_text("two")
    secure.authorize = lambda header: header == "Bearer two"
    api.call(ASK, timeout=5)
    assert [seen.headers["Authorization"] for seen in secure.requests] == ["Bearer one", "Bearer two"]


def test_namespaces_are_watched_across_a_rotation_of_the_token(secure: StandIn, account: Path, noted: Noted) -> None:
    namespaces = WatchedNamespaces(ApiServer(pod(secure, account)), noted)
    namespaces.start()
    secure.wait_for_watches()
    (account / "token").write_text("two")
    secure.authorize = lambda header: header == "Bearer two"
    secure.cut()
    secure.set_namespace("b", enforce="mps")
    eventually(lambda: namespaces.cached("b") == NamespaceLabels(enforce="mps"))
    namespaces.stop()
    assert not namespaces._watch._thread.is_alive()
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


UNUSABLE = "this pod's service account can't be used: {}; is automountServiceAccountToken off?"


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("token", None, "No such file or directory"),
        ("token", b"", "it is empty"),
        ("token", b"\n", "it is empty"),
        ("ca.crt", None, "No such file or directory"),
        ("ca.crt", b"", "it holds no certificate in PEM"),
        ("ca.crt", b"a certificate", "it holds no certificate in PEM"),
    ],
)
def test_an_account_that_is_not_mounted_is_told(
    secure: StandIn, account: Path, file: str, content: bytes | None, why: str
) -> None:
    path = account / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(KubeconfigError) as caught:
        ApiServer(pod(secure, account))
    assert str(caught.value) == UNUSABLE.format(f"{path}: {why}")


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_a_variable_of_the_kubelet_that_is_empty_is_told(account: Path, name: str) -> None:
    with pytest.raises(KubeconfigError, match=f"^{name} is not set or empty, which the kubelet sets; do not override"):
        Cluster(None, None, environment(443) | {name: ""}, account)()


def test_a_token_that_is_gone_later_is_a_failure_that_is_told(secure: StandIn, account: Path, clock: Clock) -> None:
    api = ApiServer(lambda: pod_login.log_in(environment(secure.port), account, clock))
    (account / "token").unlink()
    clock.ahead += 60
    with pytest.raises(ApiError) as caught:
        api.call(ASK, timeout=5)
    assert caught.value.fault is Fault.UNAUTHORIZED
    assert caught.value.detail.startswith(f"GET {ASK.path}: no credentials: this pod's service account can't be used: ")
    assert secure.requests == []


def test_a_refused_token_whose_file_is_gone_is_the_servers_own_answer(secure: StandIn, account: Path) -> None:
    api = ApiServer(pod(secure, account))
    secure.authorize = lambda _: False
    (account / "token").unlink()
    with pytest.raises(ApiError, match="401") as caught:
        api.call(ASK, timeout=5)
    assert caught.value.fault is Fault.UNAUTHORIZED


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.0.1", "https://10.0.0.1:6443"),
        ("fd00::1", "https://[fd00::1]:6443"),
        ("kubernetes.default.svc", "https://kubernetes.default.svc:6443"),
    ],
)
def test_the_address_is_the_kubelets(account: Path, host: str, url: str) -> None:
    assert pod_login.log_in(environment(6443, host), account).host == url


def test_an_ipv6_address_is_connected_to(authority: trustme.CA, account: Path) -> None:
    """The certificate is compared with the address without its brackets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("::1").configure_cert(context)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        answering = threading.Thread(target=answer)
        answering.start()
        api = ApiServer(lambda: pod_login.log_in(environment(listener.getsockname()[1], "::1"), account))
        assert api.call(ASK, timeout=5) == b"{}"
        answering.join()


PROXY = "http://127.0.0.1:3128"


def proxy_of(account: Path, host: str = "10.0.0.1", **variables: str) -> str | None:
    proxy = pod_login.log_in(environment(443, host, **variables), account).connections.proxy
    return proxy and proxy.url


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({}, False),
        ({"HTTPS_PROXY": PROXY}, True),
        ({"https_proxy": PROXY}, True),
        ({"ALL_PROXY": PROXY}, True),
        ({"HTTP_PROXY": PROXY}, False),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, False),
        ({"HTTPS_PROXY": "http://other:1", "https_proxy": PROXY}, True),
    ],
)
def test_the_proxy_is_the_environments(account: Path, variables: dict[str, str], proxied: bool) -> None:  # noqa: FBT001
    assert proxy_of(account, **variables) == (PROXY if proxied else None)


@pytest.mark.parametrize(
    ("host", "no_proxy", "proxied"),
    [
        ("10.0.0.1", "", True),
        ("10.0.0.1", "*", False),
        ("10.0.0.1", "10.0.0.2, 10.0.0.1", False),
        ("10.0.0.1", "10.0.0.1:443", False),
        ("10.0.0.1", "10.0.0.1:6443", True),
        ("10.0.0.1", "10.0.0.0/16", False),
        ("10.0.0.1", "10.1.0.0/16,,.", True),
        ("10.0.0.1", "0.0.1", False),
        ("fd00::1", "fd00::/8", False),
        ("fd00::1", "[fd00::1]:443", False),
        ("fd00::1", "10.0.0.0/8", True),
        ("kubernetes.default.svc", "svc", False),
        ("kubernetes.default.svc", ".svc", False),
        ("Kubernetes.default.SVC", "DEFAULT.svc", False),
        ("kubernetes.default.svc", "default.svc:443", False),
        ("kubernetes.default.svc", "ault.svc", True),
    ],
)
def test_hosts_of_no_proxy_are_connected_to_directly(account: Path, host: str, no_proxy: str, proxied: bool) -> None:  # noqa: FBT001
    variables = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert proxy_of(account, host, **variables) == (PROXY if proxied else None)
    # As the official client has it, for a kubeconfig.
    assert should_bypass_proxies(pod_login.log_in(environment(443, host), account).host, no_proxy) is not proxied


@pytest.mark.parametrize("proxy", ["127.0.0.1:3128", "socks5://me:s3cret@127.0.0.1:1080", "http://[", "http://:a"])
def test_a_proxy_that_can_not_be_used_is_told_without_its_password(account: Path, proxy: str) -> None:
    with pytest.raises(KubeconfigError) as caught:
        proxy_of(account, HTTPS_PROXY=proxy)
    assert str(caught.value) == (
        "HTTPS_PROXY or ALL_PROXY is not a URL of http or https; write one such as http://127.0.0.1:3128, or list 10.0.0.1 "
        "in NO_PROXY"
    )


@pytest.mark.parametrize(
    ("login", "sent"),
    [("", None), ("me:s3cret@", b"me:s3cret"), ("me:s%40%3acret@", b"me:s@:cret"), ("m%C3%A9:p@", "mé:p".encode())],
)
def test_a_proxy_is_asked_for_the_server(account: Path, login: str, sent: bytes | None) -> None:
    """With its own credentials, and never with ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        proxy = f"http://{login}127.0.0.1:{listener.getsockname()[1]}"
        api = ApiServer(lambda: pod_login.log_in(environment(443, "10.0.0.1", HTTPS_PROXY=proxy), account))
        with pytest.raises(ApiError) as caught:
            api.call(ASK, timeout=5)
        answering.join()
    assert caught.value.fault is Fault.UNREACHABLE
    assert heard[0].startswith(b"CONNECT 10.0.0.1:443 ")
    assert b"Bearer" not in heard[0]
    assert "s3cret" not in caught.value.detail
    said = [line for line in heard[0].lower().split(b"\r\n") if line.startswith(b"proxy-authorization: ")]
    assert said == ([b"proxy-authorization: basic " + base64.b64encode(sent).lower()] if sent else [])


def test_idle_connections_are_probed_as_often_as_by_the_official_client(account: Path) -> None:
    options = pod_login.log_in(environment(443), account).connections.connection_pool_kw["socket_options"]
    assert options == tcp_keepalive_socket_options()


def test_the_official_client_is_not_loaded(account: Path) -> None:
    """It costs every replica 8 MiB, and its start a third of a second."""
    program = f"""
import sys
from pathlib import Path
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import Cluster
ApiServer(Cluster(None, None, {environment(443)}, Path({str(account)!r})))
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    loaded = set(ran.stdout.split())
    assert "urllib3" in loaded
    assert not loaded & {"kubernetes", "requests", "dateutil", "websocket"}
