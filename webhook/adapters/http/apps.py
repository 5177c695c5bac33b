"""The two FastAPI applications: admission on the TLS port, operations on the plain one."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webhook import __version__
from webhook.adapters.http.endpoint import Endpoint
from webhook.application.path_tokens import PathTokens

# The exposition format that every Prometheus reads; prometheus_client writes it.
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class AdmissionApp(FastAPI):
    """FastAPI with the admission endpoints in front of it.

    FastAPI's middleware around a route costs several times what a decision does, so the hot paths are looked up before it.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], doors: PathTokens | None = None) -> None:
        """Serve each endpoint under its path, where that is admitted."""
        super().__init__(title="gpuwarden", version=__version__, openapi_url=None)
        self._endpoints = dict(endpoints)
        self._doors = doors or PathTokens(self._endpoints)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        path = self._doors.admits(scope.get("path", ""))
        endpoint = self._endpoints.get(path) if path else None
        if endpoint is not None and scope["type"] == "http":
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Part(BaseModel):
    """One thing that readiness consists of."""

    name: str
    ready: bool
    message: str


class Readiness(BaseModel):
    """``/readyz``: ready when every part is."""

    ready: bool
    parts: list[Part]


_READINESS: dict[int | str, dict[str, Any]] = {
    code: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Readiness"}}}, "description": said}
    for code, said in ((200, "Ready"), (503, "Not ready"))
}


class _OperationsApp(FastAPI):
    """Routes without response models, for which FastAPI would load all of pydantic's version 1 (4 MiB) at start."""

    def openapi(self) -> dict[str, Any]:
        """The document, with the models that the routes only refer to."""
        document = super().openapi()
        _, models = models_json_schema([(Readiness, "serialization")], ref_template="#/components/schemas/{model}")
        document["components"] = {"schemas": models["$defs"]}
        return document


def operations_app(readiness: Callable[[], list[Part]], metrics: Callable[[], bytes]) -> FastAPI:
    """The application of the plain port.

    Args:
        readiness: what readiness consists of now.
        metrics: the metrics now, in the exposition format.
    """
    app = _OperationsApp(title="gpuwarden operations", version=__version__)

    @app.get("/healthz", response_model=None, response_class=PlainTextResponse)
    async def healthz() -> Response:
        """Alive: the event loop answers."""
        return PlainTextResponse("ok")

    @app.get("/readyz", response_model=None, responses=_READINESS)
    async def readyz() -> JSONResponse:
        """Ready to answer admission reviews, part by part."""
        parts = readiness()
        answer = Readiness(ready=all(part.ready for part in parts), parts=parts)
        return JSONResponse(answer.model_dump(), status_code=200 if answer.ready else 503)

    @app.get("/metrics", response_model=None, response_class=PlainTextResponse)
    async def exposition() -> Response:
        """Prometheus metrics."""
        return Response(metrics(), media_type=_EXPOSITION)

    return app
