"""The usual way to write a webhook: FastAPI handlers with pydantic models, and here gpuwarden's own decision inside.

No metrics and no decision log: what is compared is the way in and out.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from pydantic import BaseModel, Field

from webhook.application.configuration import Configuration
from webhook.engine.decision import Decision, decide
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.patch import patch
from webhook.engine.pods import Pod
from webhook.engine.rules.not_rewritten import not_rewritten


class UserInfo(BaseModel):
    """``request.userInfo``."""

    username: str = ""
    groups: list[str] = []


class Request(BaseModel):
    """``request``."""

    uid: str
    operation: str
    namespace: str = ""
    user_info: UserInfo = Field(default_factory=UserInfo, alias="userInfo")
    object: dict[str, Any]


class Response(BaseModel):
    """``response``."""

    uid: str
    allowed: bool
    patch_type: str | None = Field(default=None, serialization_alias="patchType")
    patch: str | None = None
    status: dict[str, Any] | None = None


class Review(BaseModel):
    """The envelope, in."""

    request: Request


class Answer(BaseModel):
    """The envelope, out."""

    api_version: str = Field(default="admission.k8s.io/v1", serialization_alias="apiVersion")
    kind: str = "AdmissionReview"
    response: Response


def usual_app(configuration: Configuration, namespaces: Mapping[str, NamespaceLabels]) -> FastAPI:
    """The two webhooks."""
    app = FastAPI()

    def evaluate(request: Request) -> tuple[Pod, Decision]:
        pod = msgspec.convert(request.object, Pod)
        policy = configuration.policies.select(namespaces.get(request.namespace, NamespaceLabels())).enforce
        return pod, decide(pod, policy, configuration.plugin)

    @app.post("/mutate", response_model_exclude_none=True)
    async def mutate(review: Review) -> Answer:
        """The patch."""
        pod, decision = evaluate(review.request)
        response = Response(uid=review.request.uid, allowed=True)
        if decision.edits:
            operations = msgspec.to_builtins(patch(pod, decision.edits))
            response.patch_type = "JSONPatch"
            response.patch = base64.b64encode(json.dumps(operations).encode()).decode()
        return Answer(response=response)

    @app.post("/validate", response_model_exclude_none=True)
    async def validate(review: Review) -> Answer:
        """The verdict."""
        _, decision = evaluate(review.request)
        policy = configuration.policies.select(namespaces.get(review.request.namespace, NamespaceLabels())).enforce
        outstanding = not_rewritten(decision.edits, policy)
        denials = [finding.message for finding in decision.denials] + ([outstanding.message] if outstanding else [])
        status = {"code": 403, "message": "; ".join(denials)} if denials else None
        return Answer(response=Response(uid=review.request.uid, allowed=not denials, status=status))

    return app
