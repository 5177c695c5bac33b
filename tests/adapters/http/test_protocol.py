"""The protocol of the admission endpoints, each rule by bytes on a TLS connection to a real uvicorn."""

import json

import pytest

from testing.reviews import Json, a_container, a_gpu_container, a_pod, a_review, encode
from tests.adapters.http.support import GOOD, Serving, answer_of, running, status_of
from tests.logged import Logged
from tests.wire import PATIENCE, chunked, request
from webhook.adapters.http import connection
from webhook.adapters.http.limits import MAXIMUM_BODY

SECRET = "hunter2-is-in-the-environment"  # noqa: S105 - what must never be logged


def test_a_review_is_answered_with_a_review(serving: Serving) -> None:
    mutated = answer_of(serving.ask(request("/mutate", GOOD)))
    refused = answer_of(serving.ask(request("/validate", GOOD)))

    assert mutated.applied_to(a_pod())["spec"]["nodeSelector"] == {"nvidia.com/gpu.sharing-strategy": "mps"}
    assert refused.rules == ["not-rewritten"]


def test_the_timeout_that_the_api_server_puts_into_the_query_is_no_part_of_the_path(serving: Serving) -> None:
    answer_of(serving.ask(request("/mutate?timeout=10s", GOOD)))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_served(serving: Serving, method: str) -> None:
    reply = serving.ask(request("/mutate", GOOD, method=method))

    assert reply.code == 405
    assert reply.headers["allow"] == "POST"
    assert method in status_of(reply)["message"]


def test_an_answer_to_head_has_no_body(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", method="HEAD"))
        assert wire.reply(to_head=True).code == 405
        wire.send(request("/mutate", GOOD))
        answer_of(wire.reply())


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        " application/json ",
        "application/json ; a=b",
    ],
)
def test_json_is_taken_whatever_its_parameters(serving: Serving, content_type: str) -> None:
    answer_of(serving.ask(request("/mutate", GOOD, content_type=content_type)))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/json-patch+json",
        "application/jsonx",
        "text/json",
        "application/yaml",
        ";",
        "json",
    ],
)
def test_what_is_not_json_is_refused_unread(serving: Serving, content_type: str) -> None:
    reply = serving.ask(request("/mutate", GOOD, content_type=content_type))

    assert reply.code == 415
    assert reply.headers["connection"] == "close"
    assert "application/json" in status_of(reply)["message"]


def test_a_compressed_body_is_refused_and_an_uncompressed_one_may_say_so(serving: Serving) -> None:
    reply = serving.ask(request("/mutate", GOOD, content_encoding="gzip"))

    assert reply.code == 415
    assert "Content-Encoding" in status_of(reply)["message"]
    answer_of(serving.ask(request("/mutate", GOOD, content_encoding="Identity")))


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", content_length=str(MAXIMUM_BODY + 1)))
        reply = wire.reply()

        assert reply.code == 413
        assert reply.headers["connection"] == "close"
        assert str(MAXIMUM_BODY) in status_of(reply)["message"]
        assert wire.ended()
    serving.still_answers()


def test_a_body_that_turns_out_too_large_is_refused_while_it_comes(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", content_length="", transfer_encoding="chunked"))
        wire.flood(next(chunked(b" " * 65536)), 1000)
        reply = wire.reply()

        assert reply.code == 413
        assert status_of(reply)["reason"] == "RequestEntityTooLarge"
        assert wire.ended()
    serving.still_answers()


@pytest.fixture
def lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits long for a rejected client to read why: on a slow machine, megabytes take more than a second."""
    monkeypatch.setattr(connection, "_LINGER_SECONDS", PATIENCE)


@pytest.mark.usefixtures("lingering")
def test_a_client_that_sends_all_of_what_is_too_large_can_read_why_it_was_refused(serving: Serving) -> None:
    reply = serving.ask(request("/mutate", b" " * (MAXIMUM_BODY + 1)))

    assert reply.code == 413
    serving.still_answers()


@pytest.mark.usefixtures("lingering")
@pytest.mark.parametrize(
    ("size", "headers", "code"),
    [
        (3 * MAXIMUM_BODY, {}, 413),
        (MAXIMUM_BODY, {"content_type": "text/plain"}, 415),
        (MAXIMUM_BODY, {"method": "PUT"}, 405),
    ],
)
def test_it_can_read_it_without_tls_too_where_closing_early_would_reset_the_connection(
    size: int, headers: dict[str, str], code: int
) -> None:
    async def answer(body: bytes) -> bytes:
        raise AssertionError("nothing is answered that was refused unread")

    with running(None, {"/mutate": answer}) as plain:
        assert plain.ask(request("/mutate", b" " * size, **headers)).code == code


def test_a_body_of_exactly_the_most_is_read(serving: Serving) -> None:
    body = GOOD + b" " * (MAXIMUM_BODY - len(GOOD))

    answer_of(serving.ask(request("/mutate", body)))
    answer_of(serving.ask(request("/mutate", content_length="", transfer_encoding="chunked"), *chunked(body)))
    assert (
        serving.ask(request("/mutate", content_length="", transfer_encoding="chunked"), *chunked(body + b" ")).code
        == 413
    )


def without(*fields: str) -> bytes:
    """A good review but for fields of its request."""
    return encode(a_review(a_pod(), **dict.fromkeys(fields)))


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", "", "is not valid JSON"),
        (b"{", "", "is not valid JSON"),
        (b'{"kind": "\xff"}', "", "is not valid JSON"),
        (b"[" * 100_000, "", "got `array`"),
        (b'{"a":' * 100_000, "", "is nested too deeply"),
        (b"{}", "kind", 'must be "AdmissionReview"'),
        (GOOD.replace(b"AdmissionReview", b"TokenReview"), "kind", 'not "TokenReview"'),
        (GOOD.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"), "apiVersion", "v1beta1"),
        (b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}', "request", "is missing"),
        (without("uid"), "request.uid", "is missing"),
        (without("operation"), "request.operation", "is missing"),
        (without("object"), "request.object", "carries the object that is created or changed"),
        (encode(a_review({**a_pod(), "kind": "Node"})), "request.object.kind", 'must be "Pod"'),
        (encode(a_review(a_pod(containers=[5]))), "request.object.spec.containers[0]", "got `int`"),
        (GOOD.replace(b'"object": {', b'"object": ' + b"[" * 100_000, 1), "", "nested too deeply"),
    ],
)
def test_what_is_malformed_is_named_by_its_field(serving: Serving, body: bytes, field: str, says: str) -> None:
    for path in ("/mutate", "/validate"):
        reply = serving.ask(request(path, body))

        assert reply.code == 400
        status = status_of(reply)
        assert status["reason"] == "BadRequest"
        assert says in status["message"]
        if field:
            assert status["message"].startswith(f"{field}: ")
            assert [cause["field"] for cause in status["details"]["causes"]] == [field]
    serving.still_answers()


def test_of_equal_keys_the_last_decides_as_in_the_api_server(serving: Serving) -> None:
    body = GOOD.replace(b'"uid":', b'"uid": "no", "uid":', 1)

    answer_of(serving.ask(request("/mutate", body)))


def test_a_bug_of_ours_is_a_500_that_tells_nothing_and_a_traceback_without_data(
    serving: Serving, logged: Logged
) -> None:
    pod = a_pod(a_gpu_container(env=[{"name": "PASSWORD", "value": SECRET}]))
    before = len(serving.answers)

    reply = serving.ask(request("/broken", encode(a_review(pod))))

    assert reply.code == 500
    assert status_of(reply)["message"] == "internal error in gpuwarden; see its log"
    serving.answers.wait_for("/broken", 500, before)
    [line] = [line for line in logged() if line["event"] == "request failed"]
    assert line["path"] == "/broken"
    assert line["level"] == "error"
    assert "ZeroDivisionError" in json.dumps(line)
    assert "conftest.py" in json.dumps(line)
    assert not [line for line in logged() if SECRET in json.dumps(line) or "AdmissionReview" in json.dumps(line)]
    serving.still_answers()


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
def test_labels_that_cannot_be_had_are_a_503_that_the_api_server_retries(serving: Serving, path: str) -> None:
    reply = serving.ask(request(path, encode(a_review(a_pod(), namespace="dark"))))

    assert reply.code == 503
    assert reply.headers["retry-after"] == "1"
    assert 'namespace "dark"' in status_of(reply)["message"]
    assert "did not answer in 2 s" in status_of(reply)["message"]


def test_a_namespace_that_does_not_exist_is_a_503_as_well(serving: Serving) -> None:
    reply = serving.ask(request("/validate", encode(a_review(a_pod(), namespace="nowhere"))))

    assert reply.code == 503
    assert "does not exist" in status_of(reply)["message"]


@pytest.mark.parametrize(
    "path", ["/", "/mutate/", "/MUTATE", "/mutate%2f", "/readyz", "/metrics", "/docs", "/openapi.json"]
)
def test_there_is_nothing_else_on_the_admission_port(serving: Serving, path: str) -> None:
    assert serving.ask(request(path, GOOD)).code == 404
    assert serving.ask(request(path, method="GET")).code == 404


def test_an_escaped_path_is_the_same_path(serving: Serving) -> None:
    answer_of(serving.ask(request("/%6dutate", GOOD)))


def test_requests_share_a_connection_also_after_a_failure(serving: Serving) -> None:
    with serving.connect() as wire:
        for body, code in ((GOOD, 200), (b"{", 400), (GOOD, 200), (encode(a_review(a_pod(), namespace="dark")), 503)):
            wire.send(request("/mutate", body))
            reply = wire.reply()
            assert reply.code == code
            assert "connection" not in reply.headers
        wire.send(request("/broken", GOOD))
        assert wire.reply().code == 500
        wire.send(request("/mutate", GOOD))
        answer_of(wire.reply())


def test_a_client_may_ask_for_its_connection_to_end(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", GOOD, connection="close"))

        assert wire.reply().headers["connection"] == "close"
        assert wire.ended()


def test_every_answer_is_counted_by_path_and_code(serving: Serving) -> None:
    for path, body, code in (
        ("/mutate", GOOD, 200),
        ("/validate", GOOD, 200),
        ("/mutate", b"{", 400),
        ("/broken", b"", 500),
    ):
        before = len(serving.answers)
        serving.ask(request(path, body))
        serving.answers.wait_for(path, code, before)
    before = len(serving.answers)
    serving.ask(request("/mutate", GOOD, method="PUT"))
    serving.answers.wait_for("/mutate", 405, before)


def test_a_pod_without_a_gpu_and_an_update_are_answered_like_any_other(serving: Serving) -> None:
    bare: Json = {"uid": "u-1", "allowed": True}

    without_gpu = encode(a_review(a_pod(a_container("web", {"cpu": "1"})), uid="u-1"))
    update = encode(a_review(a_pod(), uid="u-1", operation="UPDATE", oldObject=a_pod()))

    for body in (without_gpu, update):
        assert serving.ask(request("/validate", body)).json()["response"] == bare
