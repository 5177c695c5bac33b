"""Both ports against what they promise: requests generated from the OpenAPI document, and of any other kind."""

import asyncio
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given, settings
from hypothesis import strategies as st

from testing.reviews import TEAM, KnownNamespaces, Notes, read_answer
from tests.adapters.http.support import GOOD
from webhook.adapters.asgi.application import ReadinessPart, application
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration
from webhook.engine.namespace_labels import NamespaceLabels

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "GRILL")
PARTS = st.lists(
    st.builds(ReadinessPart, name=st.text(max_size=9), ready=st.booleans(), message=st.text(max_size=9)), max_size=3
)
QUERIES = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
TOKENS = st.from_regex(r"[A-Za-z][A-Za-z-]{0,9}", fullmatch=True)
HEADERS = st.dictionaries(
    TOKENS.filter(lambda name: name.lower() not in ("host", "content-length", "transfer-encoding")),
    st.from_regex(r"[!-~]{0,12}", fullmatch=True),
    max_size=3,
)


def ask(app: Any, method: str, path: str, **request: Any) -> Response:
    async def once() -> Response:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://here") as client:
            return await client.request(method, path, **request)

    return asyncio.run(once())


def document(*admission: AdmissionEndpoint) -> Any:
    return ask(application(list, lambda: b"", admission), "GET", "/openapi.json").json()


def keeps_to(schema: Any, method: str, path: str, answer: Response) -> None:
    """An answer is one of those that the document has for the operation: its code, its type and its content."""
    operation = schema["paths"][path].get(method.lower())
    if operation is None:
        assert answer.status_code == 405, (method, path)
        assert "GET" in answer.headers["allow"]
        return
    promised = operation["responses"][str(answer.status_code)]["content"]
    content_type = answer.headers["content-type"].partition(";")[0]
    assert content_type in promised, (method, path, content_type)
    if content_type == "application/json":
        jsonschema.validate(answer.json(), promised[content_type]["schema"])


def test_the_document_has_every_page_of_the_operations_port() -> None:
    assert set(document()["paths"]) == {"/healthz", "/readyz", "/metrics"}


def test_the_document_of_the_whole_application_has_admission_too() -> None:
    paths = document(*endpoints())["paths"]
    assert set(paths) == {"/healthz", "/readyz", "/metrics", "/mutate", "/validate"}
    assert set(paths["/mutate"]["post"]["responses"]) == {"200", "400", "413", "415", "500", "502", "503"}


@settings(max_examples=60, deadline=None)
@given(parts=PARTS, path=st.sampled_from(["/healthz", "/readyz", "/metrics"]), method=st.sampled_from(METHODS),
       query=QUERIES, headers=HEADERS, body=st.binary(max_size=20))  # fmt: skip
def test_the_operations_port_answers_as_its_document_says(  # noqa: PLR0913 - the parts of a request
    *, parts: list[ReadinessPart], path: str, method: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    app = application(lambda: parts, lambda: b"up 1\n")
    answer = ask(app, method, path, params=query, headers=headers, content=body)
    if method != "HEAD" or answer.status_code == 405:
        keeps_to(document(), method, path, answer)


def test_an_answer_that_the_document_lacks_is_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        keeps_to(document(), "GET", "/readyz", Response(200, json={"ready": "perhaps"}))
    with pytest.raises(KeyError):
        keeps_to(document(), "GET", "/healthz", Response(500, text="oh"))


def endpoints() -> list[AdmissionEndpoint]:
    admission = Admission(Configuration(), KnownNamespaces({TEAM: NamespaceLabels("mps")}), Notes())
    answers = {"/mutate": admission.mutate, "/validate": admission.validate}
    return [AdmissionEndpoint(path, answer, lambda *_: None) for path, answer in answers.items()]


def whole_app() -> FastAPI:
    return application(list, lambda: b"", endpoints())


BODIES = st.one_of(
    st.binary(max_size=60),
    st.just(GOOD),
    st.builds(
        lambda at, byte: GOOD[:at] + bytes([byte]) + GOOD[at + 1 :], st.integers(0, len(GOOD) - 1), st.integers(0, 255)
    ),
    st.builds(lambda at: GOOD[:at], st.integers(0, len(GOOD))),
)
TYPES = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain", "application/xml", ""]
)


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(["/mutate", "/validate", "/mutate/", "/Mutate", "/", "/nothing", "//mutate"]),
       method=st.sampled_from(["POST", "POST", *METHODS]), body=BODIES, kind=TYPES, query=QUERIES, headers=HEADERS)  # fmt: skip
def test_the_admission_port_answers_anything_by_a_review_or_a_refusal_in_words(  # noqa: PLR0913 - the parts of a request
    *, path: str, method: str, body: bytes, kind: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    given_headers = {name: value for name, value in headers.items() if name.lower() != "content-encoding"}
    answer = ask(whole_app(), method, path, content=body, params=query, headers={**given_headers, "content-type": kind})
    if path not in ("/mutate", "/validate"):
        assert answer.status_code in (404, 307)  # Starlette shows the way from /mutate/ to /mutate
        return
    if answer.status_code == 200:
        assert method == "POST"
        read_answer(answer.content, answer.json()["response"]["uid"])
        return
    assert answer.status_code in ({405} if method != "POST" else {400, 415, 503})
    if method != "HEAD":
        assert answer.json()
