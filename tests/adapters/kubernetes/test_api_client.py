"""One request, or one stream: a limit on everything, and a fault with a name for whatever goes wrong."""

import json
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.http_side import Behaviour, Handler
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes import faults
from tests.adapters.kubernetes.support import Clock
from webhook.adapters.kubernetes import transport
from webhook.adapters.kubernetes.api_request import ApiRequest, path_of
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.errors import ApiError, Fault, KubeconfigError
from webhook.adapters.kubernetes.transport import Login

GET = ApiRequest("GET", "/api/v1/namespaces/a/secrets/b")
PUT = ApiRequest("PUT", GET.path, body=b'{"metadata": {}}')


def fault_of_call(api: ApiServer, request: ApiRequest = GET, timeout: float = 5) -> ApiError:
    with pytest.raises(ApiError) as caught:
        api.call(request, timeout=timeout)
    return caught.value


def test_a_request_arrives_as_it_was_made(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.objects[GET.path] = {"metadata": {"resourceVersion": "1"}, "data": {}}
    query = {"fieldManager": "gpuwarden", "a": "b&c=d"}
    answer = api.call(ApiRequest("PUT", GET.path, query, b'{"metadata": {"x": "\xc3\xa9"}}'), timeout=5)
    assert json.loads(answer)["metadata"]["x"] == "é"
    (seen,) = apiserver.requests
    assert (seen.method, seen.path, seen.query) == ("PUT", GET.path, query)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Authorization"] == "Bearer s3cret"
    assert seen.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (301, Fault.REJECTED),
        (400, Fault.REJECTED),
        (401, Fault.UNAUTHORIZED),
        (403, Fault.FORBIDDEN),
        (404, Fault.NOT_FOUND),
        (409, Fault.CONFLICT),
        (410, Fault.EXPIRED),
        (422, Fault.REJECTED),
        (429, Fault.THROTTLED),
        (500, Fault.SERVER_ERROR),
        (503, Fault.SERVER_ERROR),
    ],
)
def test_a_status_that_is_no_success_is_a_fault_with_the_servers_own_words(
    apiserver: StandIn, api: ApiServer, status: int, fault: Fault
) -> None:
    apiserver.always("object", faults.refusal(status, "because"))
    error = fault_of_call(api)
    assert error.fault is fault
    advice = "; log in again, or renew the credentials" if status == 401 else ""
    assert error.detail == f"GET /api/v1/namespaces/a/secrets/b: {status} because{advice}"
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0", 0.0), ("-1", None), ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_read_in_seconds(apiserver: StandIn, api: ApiServer, header: str, seconds: float | None) -> None:
    apiserver.script("object", faults.refusal(503, "later", header))
    assert fault_of_call(api).retry_after == seconds


def test_a_refusal_that_is_no_status_is_quoted(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.script("object", faults.answer(b"<h1>Bad Gateway</h1>" + b"x" * 1000, 502))
    error = fault_of_call(api)
    assert error.detail.startswith("GET /api/v1/namespaces/a/secrets/b: 502 <h1>Bad Gateway</h1>xxx")
    assert len(error.detail) < 150


def test_a_redirect_is_not_followed(apiserver: StandIn, api: ApiServer) -> None:
    with StandIn() as elsewhere:
        apiserver.script("object", lambda handler: handler.say(302, b"", {"Location": f"{elsewhere.url}/api/v1/x"}))
        assert fault_of_call(api).fault is Fault.REJECTED
        assert elsewhere.requests == []


@pytest.mark.parametrize("behaviour", [faults.silence, faults.trickle])
def test_an_answer_that_does_not_come_to_an_end_is_given_up_in_time(
    apiserver: StandIn, api: ApiServer, behaviour: Behaviour
) -> None:
    apiserver.script("object", behaviour)
    began = time.monotonic()
    assert fault_of_call(api, timeout=0.2).fault is Fault.SILENT
    assert time.monotonic() - began < 20


def test_an_answer_without_end_is_given_up(apiserver: StandIn, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_BODY", 100_000)
    apiserver.script("object", faults.answer(b" " * 200_000))
    assert fault_of_call(api).fault is Fault.GARBAGE


def test_a_line_without_end_is_given_up(apiserver: StandIn, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_LINE", 100_000)
    apiserver.script("object", faults.stream(b" " * 200_000))
    with api.stream(GET, silence=5) as stream, pytest.raises(ApiError) as caught:
        list(stream.lines())
    assert caught.value.fault is Fault.GARBAGE


def test_lines_come_whole_however_they_are_sent(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.script("object", faults.stream(b"o", b"ne\ntwo", b"\n\n\nthree\nfour", b"\n"))
    with api.stream(GET, silence=5) as stream:
        assert list(stream.lines()) == [b"one", b"two", b"three", b"four"]


def test_a_stream_that_breaks_gives_its_whole_lines_first(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.script("object", faults.stream(b"one\ntwo\nthr"))
    with api.stream(GET, silence=5) as stream:
        lines = stream.lines()
        assert [next(lines), next(lines)] == [b"one", b"two"]
        with pytest.raises(ApiError) as caught:
            next(lines)
    assert caught.value.fault is Fault.CUT


def test_a_stream_whose_connection_breaks_is_cut(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.script("object", faults.stream(b"one\n", end=False))
    with api.stream(GET, silence=5) as stream, pytest.raises(ApiError) as caught:
        list(stream.lines())
    assert caught.value.fault is Fault.CUT


def test_nobody_at_home_is_unreachable(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.close()
    error = fault_of_call(api)
    assert error.fault is Fault.UNREACHABLE
    assert ": connection refused" in error.detail


def test_a_get_is_tried_again_when_its_connection_breaks_and_a_write_is_not(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.objects[GET.path] = {"metadata": {"resourceVersion": "1"}}
    apiserver.script("object", faults.cut_off)
    api.call(GET, timeout=5)
    assert apiserver.count("object") == 2
    apiserver.script("object", faults.cut_off)
    assert fault_of_call(api, PUT).fault is Fault.CUT
    assert apiserver.count("object") == 3


def test_connections_are_kept_until_they_are_dropped(apiserver: StandIn, api: ApiServer) -> None:
    apiserver.objects[GET.path] = {"metadata": {}}
    for _ in range(3):
        api.call(GET, timeout=5)
    fault_of_call(api, ApiRequest("GET", "/api/v1/namespaces/a/secrets/missing"))
    assert len({seen.connection for seen in apiserver.requests}) == 1
    api.drop_connections()
    api.call(GET, timeout=5)
    assert len({seen.connection for seen in apiserver.requests}) == 2


def test_idle_connections_are_probed(api: ApiServer) -> None:
    options = api._login.connections.connection_pool_kw["socket_options"]
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options


class TestRefusedLogin:
    """A 401 makes us log in anew, once, and not again and again."""

    @pytest.fixture
    def tokens(self) -> list[str]:
        return ["old"]

    @pytest.fixture
    def renewing(self, apiserver: StandIn, clock: Clock, tokens: list[str]) -> ApiServer:
        import urllib3  # noqa: PLC0415

        apiserver.objects[GET.path] = {"metadata": {}}
        apiserver.authorize = lambda header: header == "new"

        def log_in() -> Login:
            if not tokens:
                raise KubeconfigError("the kubeconfig is gone")
            token = tokens.pop(0)
            return Login(apiserver.url, urllib3.PoolManager(), lambda: token)

        return ApiServer(log_in, monotonic=clock)

    def test_what_has_rotated_is_read_and_the_request_made_again(
        self, apiserver: StandIn, renewing: ApiServer, tokens: list[str]
    ) -> None:
        tokens.append("new")
        renewing.call(GET, timeout=5)
        assert [seen.headers["Authorization"] for seen in apiserver.requests] == ["old", "new"]

    def test_a_new_login_that_is_refused_too_is_a_failure_and_not_a_loop(
        self, apiserver: StandIn, renewing: ApiServer, tokens: list[str], clock: Clock
    ) -> None:
        tokens += ["also old", "new"]
        assert fault_of_call(renewing).fault is Fault.UNAUTHORIZED
        assert fault_of_call(renewing).fault is Fault.UNAUTHORIZED
        assert tokens == ["new"]
        assert apiserver.count("object") == 3
        clock.ahead += 10
        renewing.call(GET, timeout=5)

    def test_one_whose_login_another_thread_has_renewed_meanwhile_uses_that(
        self, apiserver: StandIn, renewing: ApiServer, tokens: list[str]
    ) -> None:
        tokens.append("new")
        apiserver.authorize = lambda _: True

        def overtaken(handler: Handler) -> None:
            apiserver.authorize = lambda header: header == "new"
            renewing.call(GET, timeout=5)
            handler.say(401, b"")

        apiserver.script("object", overtaken)
        renewing.call(GET, timeout=5)
        assert [seen.headers["Authorization"] for seen in apiserver.requests] == ["old", "old", "new", "new"]

    def test_a_login_that_can_not_be_had_leaves_the_old_one(
        self, apiserver: StandIn, renewing: ApiServer, tokens: list[str]
    ) -> None:
        error = fault_of_call(renewing)
        assert error.detail.endswith("401 Unauthorized; log in again, or renew the credentials")
        apiserver.authorize = lambda header: header == "old"
        renewing.call(GET, timeout=5)


@pytest.mark.parametrize("token", ["to\nken", "to\x00ken", "tökén"])
def test_a_token_that_can_be_no_header_is_refused_and_not_quoted(apiserver: StandIn, token: str) -> None:
    import urllib3  # noqa: PLC0415

    error = fault_of_call(ApiServer(lambda: Login(apiserver.url, urllib3.PoolManager(), lambda: token)))
    assert error.fault is Fault.UNAUTHORIZED
    assert "ken" not in error.detail.replace("token", "")
    assert apiserver.requests == []


def test_a_token_that_can_not_be_had_is_a_failure_like_any_other(apiserver: StandIn) -> None:
    import urllib3  # noqa: PLC0415

    def gone() -> str:
        raise FileNotFoundError("token")

    error = fault_of_call(ApiServer(lambda: Login(apiserver.url, urllib3.PoolManager(), gone)))
    assert error.fault is Fault.UNAUTHORIZED
    assert "no credentials" in error.detail


@pytest.mark.parametrize("parts", [("a", ""), ("a", "."), ("..", "a")])
def test_a_path_is_made_of_parts_that_are_something(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="invalid parts of a path"):
        path_of(*parts)


def test_the_parts_of_a_path_are_escaped() -> None:
    assert path_of("api", "a/b", "c?d", "e%2f") == "/api/a%2Fb/c%3Fd/e%252f"


def test_the_official_client_is_not_loaded_before_a_cluster_is_asked_for() -> None:
    modules = "connect, watched_namespaces, certificate_store"
    program = f"from webhook.adapters.kubernetes import {modules}; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "webhook.adapters.kubernetes.watch" in loaded
    assert not {"kubernetes", "urllib3"} & set(loaded)


def test_connect_gives_the_configured_server(apiserver: StandIn, api: ApiServer) -> None:
    assert api.host == apiserver.url
    with pytest.raises(KubeconfigError):
        connect(None, None, {})


def test_every_answers_date_is_told_with_the_time_that_it_took(apiserver: StandIn, tmp_path: Path) -> None:
    told: list[tuple[datetime, float]] = []
    config = write_kubeconfig(tmp_path / "config", apiserver.url, token="t")  # noqa: S106 - a test's own
    api = connect(config, None, {}, lambda said, took: told.append((said, took)))
    with pytest.raises(ApiError):
        api.call(ApiRequest("GET", "/api/v1/namespaces/nobody"), timeout=5)
    apiserver.script("get", no_date)
    with pytest.raises(ApiError):
        api.call(ApiRequest("GET", "/api/v1/namespaces/nobody"), timeout=5)
    api.drop_connections()
    [(said, took)] = told  # a date that is none says nothing
    assert abs(said - datetime.now(UTC)) < timedelta(minutes=1)
    assert 0 <= took < 5


def no_date(handler: Handler) -> None:
    handler.date_time_string = lambda timestamp=None: "yesterday"  # type: ignore[method-assign]  # of this connection
    handler.say(404, {})
