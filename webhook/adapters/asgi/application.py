"""The FastAPI application: every endpoint, for the operations port, embedding programs and the OpenAPI description."""

from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ... import __version__
from ..http.answers import HEADERS, TOO_LARGE, Answer
from ..http.endpoint import AdmissionEndpoint, refusal
from ..http.limits import MAXIMUM_BODY
from ..optional_imports import deferred_models

with deferred_models():  # of OpenAPI, which only /openapi.json needs: 1.2 MiB of a replica, and 25 ms of its start
    from fastapi import FastAPI, Response
    from fastapi.responses import JSONResponse, PlainTextResponse


class AsgiEndpoint:
    """An admission endpoint as plain ASGI, with the same answers as our own protocol. All other limits are the server's."""

    def __init__(self, endpoint: AdmissionEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI), unless the client hangs up before its body is complete."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        rejected = refusal(scope["method"].encode(), headers, int(headers.get(b"content-length", b"0")))
        body = bytearray()
        more = rejected is None
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            rejected = TOO_LARGE if len(body) > MAXIMUM_BODY else None
            more = message.get("more_body", False) and rejected is None
        query = scope.get("query_string", b"")
        made = self._endpoint.refuse(rejected) if rejected else self._endpoint.answer(bytes(body), query)
        answer = made if isinstance(made, Answer) else await made
        added = HEADERS.get(answer.code, {}) | ({"connection": "close"} if answer.closes else {})
        await Response(answer.body, answer.code, added, "application/json")(scope, receive, send)


class ReadinessPart(BaseModel):
    """One part of readiness."""

    name: str
    ready: bool
    message: str


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_READINESS = {
    "type": "object",
    "required": ["ready", "parts"],
    "properties": {
        "ready": {"type": "boolean"},
        "parts": {"type": "array", "items": ReadinessPart.model_json_schema()},
    },
}
# Described only by its name, because validating every review with a model would cost more than the decision.
_REVIEW = {"type": "object", "title": "AdmissionReview", "description": "admission.k8s.io/v1"}
_STATUS = {"type": "object", "title": "Status", "description": "metav1.Status"}
_POST = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REVIEW}}},
    "responses": {
        "200": _json("The answer", _REVIEW),
        "400": _json("The review is invalid; the Status names the field", _STATUS),
        "413": _json("The body is too large", _STATUS),
        "415": _json("Content-Type is not application/json, or Content-Encoding is set", _STATUS),
        "500": _json("A bug in gpuwarden; see its log", _STATUS),
        "502": _json("A pod that gets a claim could not be read from the API server", _STATUS),
        "503": _json("Temporarily unavailable; try again after Retry-After seconds", _STATUS),
    },
}


def application(
    readiness: Callable[[], list[ReadinessPart]],
    metrics: Callable[[], bytes],
    admission: Collection[AdmissionEndpoint] = (),
) -> FastAPI:
    """The application.

    ``gpuwarden serve`` serves it on the plain port without the admission endpoints, which have their own port and protocol
    (``webhook.adapters.http.connection``). A program that embeds the application passes them, with the limits that it needs.
    """
    # Without response models, for which FastAPI would load all of pydantic's version 1 (4 MiB) at start.
    app = FastAPI(title="gpuwarden", version=__version__)
    without_admission = app.openapi

    def openapi() -> dict[str, Any]:
        """The OpenAPI document, including the paths that FastAPI does not serve."""
        document = without_admission()
        for path in (endpoint.path for endpoint in admission):
            described = {"operationId": path.strip("/"), "summary": f"Answer a review ({path.strip('/')})"}
            document["paths"][path] = {"post": _POST | described}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
    app.router.routes += [Route(endpoint.path, AsgiEndpoint(endpoint)) for endpoint in admission]

    @app.get("/healthz", response_model=None, response_class=PlainTextResponse)
    async def healthz() -> Response:
        """Report that the event loop works."""
        return PlainTextResponse("ok")

    @app.get(
        "/readyz", response_model=None, responses={200: _json("Ready", _READINESS), 503: _json("Not ready", _READINESS)}
    )
    async def readyz() -> JSONResponse:
        """Report whether gpuwarden can answer admission reviews, part by part."""
        parts = readiness()
        ready = all(part.ready for part in parts)
        answer = {"ready": ready, "parts": [part.model_dump() for part in parts]}
        return JSONResponse(answer, status_code=200 if ready else 503)

    @app.get("/metrics", response_model=None, response_class=PlainTextResponse)
    async def exposition() -> Response:
        """Prometheus metrics, in the format that every Prometheus reads and prometheus_client writes."""
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app
