"""The client of Prometheus against servers that stall, lie, truncate and refuse, and what it sends them."""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
import urllib3
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from webhook.adapters.kubernetes import transport
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.prometheus.client import ATTEMPTS, PATIENCE, Prometheus, QueryError
from webhook.adapters.prometheus.connection import ConnectionOptionError, ServerAccess, basic, bearer, to_url

Answer = Callable[[BaseHTTPRequestHandler], None]
VECTOR = {"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1.0, "0.5"]}]}


class Liar(ThreadingHTTPServer):
    """A server that answers as a test says, and remembers what it was sent."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.seen: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Liar)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server.seen.append((self.path, dict(self.headers), parse_qs(body)))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        answer(self)

    def log_message(self, *_: object) -> None:
        pass


def says(status: int, body: Any, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def succeeds(data: Any, **more: Any) -> Answer:
    return says(200, {"status": "success", "data": data, **more})


def fails(status: int, kind: str, error: str) -> Answer:
    return says(status, {"status": "error", "errorType": kind, "error": error})


@contextmanager
def serving(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Liar]:
    server = Liar(*answers)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.url = server.url.replace("http://", "https://")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client(server: Liar, access: ServerAccess = ServerAccess(), timeout: float = 5.0, prefix: str = "") -> Prometheus:  # noqa: B008
    waits: list[float] = []
    made = Prometheus(
        to_url(server.url + prefix, access, 2), lambda: Backoff(lambda: 0.0), timeout=timeout, wait=waits.append
    )
    made.waits = waits  # type: ignore[attr-defined]
    return made


def failure(server: Liar, **options: Any) -> QueryError:
    with pytest.raises(QueryError) as caught:
        client(server, **options).query("up", 1.0)
    assert server.url in caught.value.detail
    return caught.value


def test_a_query_is_posted_with_its_time_and_its_vector_returned() -> None:
    with serving(succeeds(VECTOR)) as server:
        (sample,) = client(server, prefix="/prom/").query("up", 12.5)
    assert (sample.metric, sample.number) == ({"pod": "a"}, 0.5)
    path, headers, form = server.seen[0]
    assert (path, form) == ("/prom/api/v1/query", {"query": ["up"], "time": ["12.500"]})
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in headers


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(succeeds(VECTOR)) as server, serving(says(502, b"")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert client(server).query("up", 1)


def test_series_are_asked_for_within_a_time() -> None:
    with serving(succeeds([{"pod": "a"}])) as server:
        assert client(server).series(["up", "down"], 1, 2) == [{"pod": "a"}]
    assert server.seen[0][2] == {"match[]": ["up", "down"], "start": ["1.000"], "end": ["2.000"]}


def test_what_a_server_says_beside_its_answers_is_kept_once() -> None:
    partial = "fetch series for store-1: receive: context deadline exceeded"
    with serving(succeeds(VECTOR, warnings=[partial], infos=["a counter?"])) as server:
        prometheus = client(server)
        prometheus.query("up", 1)
        prometheus.query("up", 1)
    assert list(prometheus.warnings) == [partial, "a counter?"]


@pytest.mark.parametrize(
    ("answer", "says_why"),
    [
        (says(200, b"<html>login</html>"), "it begins b'<html>login</html>'"),
        (says(200, b'{"status": "succ'), "truncated"),
        (says(200, {"data": VECTOR}), "missing required field `status`"),
        (succeeds({"resultType": "matrix", "result": []}), "the answer is a matrix, not a vector"),
        (succeeds({"resultType": "vector", "result": [{"metric": {}, "value": [1, "plenty"]}]}), "not a number"),
        (succeeds({"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "1"]}]}), "str"),
        (succeeds(None), "object"),
        (fails(400, "bad_data", "parse error at char 3"), "bad_data: parse error at char 3"),
        (fails(400, "", " no kind\n"), ": no kind"),
        (fails(400, " bad_data", " what? "), ": bad_data: what?"),
        (says(200, {"status": "error"}), "200 without a reason"),
        (says(200, b"<html>login</html>"), "is this a Prometheus? give the URL up to /api/v1"),
        (says(200, b"{}", Content_Encoding="gzip"), "failed to decode it"),
        (
            says(401, b"who are\nyou?"),
            ": 401 who are you?; it rejects requests without credentials; see --prometheus-token-",
        ),
        (says(401, b""), ": 401; it rejects requests without credentials"),
        (fails(403, "forbidden", "no"), "forbidden: no; these credentials are not allowed to query it"),
        (
            says(403, {"status": "Failure", "message": "services/proxy is forbidden"}),
            ": services/proxy is forbidden; these",
        ),
        (says(404, b"no such page"), "give the URL up to /api/v1"),
        (says(405, b""), "405; it rejects POST requests"),
        (
            says(302, b"", Location="https://login.example/"),
            ": 302 to https://login.example/; redirects are not followed",
        ),
    ],
)
def test_a_wrong_answer_is_explained_and_not_asked_for_again(answer: Answer, says_why: str) -> None:
    with serving(answer) as server:
        error = failure(server)
        assert len(server.seen) == 1
    assert says_why in error.detail
    assert not error.too_much


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (fails(503, "unavailable", "starting"), "; try again when it is up, or read a saved file with --usage"),
        (
            says(429, b"slow down"),
            "; it limits the rate of requests; try again later, or read fewer namespaces at a time (-n)",
        ),
        (says(502, b"bad gateway"), "; try again when it is up, or read a saved file with --usage"),
    ],
)
def test_what_passes_is_asked_for_again_a_few_times(answer: Answer, fix: str) -> None:
    with serving(answer, succeeds(VECTOR)) as server:
        assert len(client(server).query("up", 1)) == 1
        assert len(server.seen) == 2
    with serving(answer) as server:
        assert failure(server).detail.endswith(fix)
        assert len(server.seen) == ATTEMPTS


def test_a_server_says_how_long_to_wait() -> None:
    with serving(says(429, b"", Retry_After="7"), succeeds(VECTOR)) as server:
        prometheus = client(server)
        prometheus.query("up", 1)
    assert prometheus.waits[0] >= 7  # type: ignore[attr-defined]


TOO_MUCH = "query processing would load too many samples"


@pytest.mark.parametrize(
    "answer",
    [
        fails(503, "timeout", TOO_MUCH),
        fails(422, "execution", TOO_MUCH),
        fails(422, "422", "cannot select more than -search.maxSamplesPerQuery=1000000000 samples"),  # VictoriaMetrics
        says(504, b"<html>504 Gateway Time-out</html>"),  # a proxy before it waits for less time
        says(413, b"<html>413 Request Entity Too Large</html>"),
    ],
)
def test_a_query_that_is_too_much_for_the_server_is_not_repeated_but_may_be_split(answer: Answer) -> None:
    with serving(answer) as server:
        assert failure(server).too_much
        assert len(server.seen) == 1


class _Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_is_silent_for_long_is_not_asked_again() -> None:
    stop, clock = threading.Event(), _Clock()

    def silent(_: BaseHTTPRequestHandler) -> None:
        stop.wait(60)

    with serving(silent) as server:
        login = to_url(server.url, ServerAccess(), 2)
        prometheus = Prometheus(login, lambda: Backoff(lambda: 0.0), timeout=0.1, monotonic=clock)
        for number in range(PATIENCE):
            clock.now = 0.1 * number
            with pytest.raises(QueryError, match="no answer in time") as caught:
                prometheus.query("up", 1)
            assert caught.value.too_much
        clock.now = 600
        with pytest.raises(QueryError, match="no answer to any request for 600 s; try again when it is up") as caught:
            prometheus.query("up", 1)
        assert (caught.value.too_much, prometheus.requests) == (False, PATIENCE)
        stop.set()


def test_a_proxy_that_gets_no_answer_for_long_is_not_asked_again_either() -> None:
    clock = _Clock()
    with serving(says(504, b"")) as server:
        login = to_url(server.url, ServerAccess(), 2)
        prometheus = Prometheus(login, lambda: Backoff(lambda: 0.0), timeout=60, monotonic=clock)
        for clock.now in (0, 60):
            with pytest.raises(QueryError, match=": 504"):
                prometheus.query("up", 1)
        clock.now = 60 * PATIENCE
        with pytest.raises(QueryError, match="no answer to any request for 240 s"):
            prometheus.query("up", 1)
        assert len(server.seen) == 2


@pytest.mark.parametrize("between", [succeeds(VECTOR), fails(422, "execution", TOO_MUCH), says(401, b"")])
def test_any_answer_ends_a_silence(between: Answer) -> None:
    stop, clock = threading.Event(), _Clock()

    def silent(_: BaseHTTPRequestHandler) -> None:
        stop.wait(60)

    with serving(silent, between, silent) as server:
        login = to_url(server.url, ServerAccess(), 2)
        prometheus = Prometheus(login, lambda: Backoff(lambda: 0.0), timeout=1, monotonic=clock)
        for clock.now in (0, PATIENCE - 0.5, PATIENCE + 1):
            with suppress(QueryError):
                prometheus.query("up", 1)
        assert prometheus.requests == 3
        stop.set()


def test_an_answer_that_stalls_ends_in_time() -> None:
    stop = threading.Event()

    def stalls(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        stop.wait(60)

    def silent(_: BaseHTTPRequestHandler) -> None:
        stop.wait(60)

    for answer in (stalls, silent):
        with serving(answer) as server:
            begun = time.monotonic()
            error = failure(server, timeout=0.3)
            assert error.too_much
            assert error.detail == f"{server.url}: POST /api/v1/query: no answer in time (0.3 s)"
            assert time.monotonic() - begun < 20
            stop.set()
        stop.clear()


def test_an_answer_that_drips_ends_in_time() -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(1000):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)

    with serving(drips) as server:
        begun = time.monotonic()
        assert failure(server, timeout=0.3).too_much
        assert time.monotonic() - begun < 20


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    def breaks(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"status": "success"')
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    with serving(breaks, succeeds(VECTOR)) as server:
        assert len(client(server).query("up", 1)) == 1
    with serving(breaks) as server:
        assert failure(server).detail.endswith(
            "the connection broke: the server closed it before the end of the answer"
        )


@pytest.mark.parametrize(
    ("line", "says_why"),
    [(b"", "the server closed it without an answer"), (b"220 mail.example ESMTP\r\n", "the answer is not HTTP")],
)
def test_what_is_not_http_is_explained_in_words(line: bytes, says_why: str) -> None:
    def answers(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(line)
        handler.close_connection = True

    with serving(answers) as server:
        assert failure(server).detail.endswith(f"the connection broke: {says_why}")


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_BODY", 1000)
    with serving(says(200, b"x" * 5000)) as server:
        error = failure(server)
    assert "an answer of more than 1000 bytes" in error.detail
    assert error.too_much


def test_credentials_come_from_files_that_are_read_each_time(tmp_path: Path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("one\n")
    password.write_text("päss\n")
    with serving(succeeds(VECTOR)) as server:
        prometheus = client(server, ServerAccess(authorization=bearer(token), headers={"X-Scope-OrgID": "team-a"}))
        prometheus.query("up", 1)
        token.write_text("two\n")
        prometheus.query("up", 1)
        client(server, ServerAccess(authorization=basic("me", password))).query("up", 1)
        token.unlink()
        with pytest.raises(QueryError, match=r"no credentials: .*token: there is no such file or folder"):
            prometheus.query("up", 1)
    sent = [headers["Authorization"] for _, headers, _ in server.seen]
    assert sent == ["Bearer one", "Bearer two", "Basic " + base64.b64encode("me:päss".encode()).decode()]
    assert server.seen[0][1]["X-Scope-OrgID"] == "team-a"


def test_a_token_that_no_header_can_hold_is_never_quoted(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sec\nret")
    with serving(succeeds(VECTOR)) as server:
        with pytest.raises(QueryError) as caught:
            client(server, ServerAccess(authorization=bearer(token))).query("up", 1)
        assert server.seen == []
    assert "ret" not in caught.value.detail


def test_tls_is_verified_with_the_authorities_of_a_file_and_our_certificate_is_shown(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ours = authority.issue_cert("us")
    ca, wrong, certificate, key = (tmp_path / name for name in ("ca", "wrong", "crt", "key"))
    authority.cert_pem.write_to_path(str(ca))
    other.cert_pem.write_to_path(str(wrong))
    ours.cert_chain_pems[0].write_to_path(str(certificate))
    ours.private_key_pem.write_to_path(str(key))
    with serving(succeeds(VECTOR), tls=context) as server:
        assert client(server, ServerAccess(ca=ca, certificate=certificate, key=key)).query("up", 1)
        for access in (
            ServerAccess(certificate=certificate, key=key),
            ServerAccess(ca=wrong, certificate=certificate, key=key),
        ):
            detail = failure(server, access=access).detail
            assert "certificate verify failed" in detail
            assert detail.endswith("; name the authority that signed its certificate with --prometheus-ca-file")
        assert failure(server, access=ServerAccess(ca=ca)).detail
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"identities": ["other.example"]}, "; use a URL with a name or an address that its certificate is for"),
        (
            {"not_after": datetime(2020, 1, 1, tzinfo=UTC)},
            "; renew its certificate, or correct the clock of this machine",
        ),
    ],
)
def test_a_certificate_that_is_not_valid_for_the_server_has_its_own_fix(
    options: dict[str, Any], fix: str, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identities = options.pop("identities", ["127.0.0.1"])
    authority.issue_cert(*identities, **options).configure_cert(context)
    with serving(succeeds(VECTOR), tls=context) as server:
        assert failure(server, access=ServerAccess(ca=tmp_path / "ca")).detail.endswith(fix)


def test_https_to_a_server_without_tls_is_explained() -> None:
    with serving(succeeds(VECTOR)) as server:
        server.url = server.url.replace("http://", "https://")
        detail = failure(server).detail
    assert detail.endswith("; this port does not speak TLS; is it a URL with http://?")


@pytest.mark.parametrize(
    "alert", ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"]
)
def test_a_server_that_wants_another_certificate_of_ours_is_explained(alert: str) -> None:
    """Alerts of Go's servers, such as Prometheus; ours closes the connection instead."""
    login = to_url("https://127.0.0.1:9", ServerAccess(), 1)

    def rejects(*_: object, **__: object) -> None:
        raise urllib3.exceptions.SSLError(f"[SSL: {alert}] (_ssl.c:2580)")

    login.connections.request = rejects  # type: ignore[method-assign,assignment]
    with pytest.raises(QueryError, match=f"{alert}.*; it requires a client certificate that it trusts; name one with"):
        Prometheus(login, lambda: Backoff(lambda: 0.0)).query("up", 1)


def test_a_connection_that_takes_too_long_is_explained_in_words() -> None:
    login = to_url("http://127.0.0.1:9", ServerAccess(), 1)

    def times_out(*_: object, **__: object) -> None:
        connection: Any = urllib3.connection.HTTPConnection("127.0.0.1", 9)
        raise urllib3.exceptions.ConnectTimeoutError(
            connection, "Connection to 127.0.0.1 timed out. (connect timeout=5.0)"
        )

    login.connections.request = times_out  # type: ignore[method-assign,assignment]
    with pytest.raises(
        QueryError, match=r"no connection to http://127\.0\.0\.1:9: Connection to 127\.0\.0\.1 timed out"
    ):
        Prometheus(login, lambda: Backoff(lambda: 0.0)).query("up", 1)


def test_a_server_that_is_not_there_is_named() -> None:
    with serving(succeeds(VECTOR)) as server:
        pass
    detail = failure(server).detail
    assert "connection refused; check the URL, and that it is up and can be reached from here, or read" in detail


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("prometheus:9090", "is not a URL"),
        ("ftp://a", "is not a URL"),
        ("http://me:secret@a", "use --prometheus-user"),
        ("http://me:secret@a:99999", "use --prometheus-user"),
        ("me:secret@a:9090", "use --prometheus-user"),
        ("http://a:99999", '--prometheus: "http://a:99999" is not a URL'),
        ("http://[::1", "is not a URL"),
        ("http://a b", "is not a URL"),
        ("http://a/?x=1", "has a query"),
    ],
)
def test_urls_that_can_not_be_used_are_explained(url: str, why: str) -> None:
    with pytest.raises(ConnectionOptionError, match=why) as caught:
        to_url(url, ServerAccess(), 1)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for option, access in (
        ("ca-file", ServerAccess(ca=gone)),
        ("client-cert", ServerAccess(certificate=gone, key=gone)),
    ):
        with pytest.raises(
            ConnectionOptionError, match=f"^--prometheus-{option} {gone}: there is no such file or folder"
        ):
            to_url("https://a", access, 1)
    with pytest.raises(ConnectionOptionError, match=f"^--prometheus-ca-file {tmp_path}: it is a folder; name a file"):
        to_url("https://a", ServerAccess(ca=tmp_path), 1)


def test_files_that_hold_something_else_are_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, other = authority.issue_cert("us"), authority.issue_cert("us")
    encrypted = load_pem_private_key(certificate.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    contents = {
        "crt": certificate.cert_chain_pems[0].bytes(),
        "key": certificate.private_key_pem.bytes(),
        "other": other.private_key_pem.bytes(),
        "encrypted": encrypted,
        "empty": b"",
    }
    files = {name: tmp_path / name for name in contents}
    for name, content in contents.items():
        files[name].write_bytes(content)
    for ca in ("key", "empty"):
        with pytest.raises(
            ConnectionOptionError, match=f"^--prometheus-ca-file .*/{ca}: it holds no certificate; write CA"
        ):
            to_url("https://a", ServerAccess(ca=files[ca]), 1)
    for key in ("crt", "other", "encrypted", "empty"):
        named = f"^--prometheus-client-cert .*/crt, --prometheus-client-key .*/{key}: they are not a certificate and its key; "
        with pytest.raises(ConnectionOptionError, match=named):
            to_url("https://a", ServerAccess(certificate=files["crt"], key=files[key]), 1)
    access = ServerAccess(ca=files["crt"], certificate=files["crt"], key=files["key"])
    assert to_url("https://a", access, 1).host == "https://a"
