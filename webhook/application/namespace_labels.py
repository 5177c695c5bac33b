"""Namespaces: labels that can't be read are refused when they are written, and a change tells what it will do."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from webhook.application import review, telling
from webhook.application.configuration import Configuration
from webhook.application.review import Request, ReviewError
from webhook.engine.labels import NamespaceLabels
from webhook.engine.policy import LabelProblem, Policy


class _Metadata(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] | None = None


class _Namespace(msgspec.Struct):
    metadata: _Metadata | None = None


_NAMESPACE = msgspec.json.Decoder(_Namespace)


class Preview(Protocol):
    """Who can tell what a policy would do to the workloads of a namespace."""

    async def preview(self, namespace: str, policy: Policy, seconds: float) -> list[str]:
        """Warnings: what would change or be refused at the next restart, and what could not be looked at in time.

        Never raises: what can't be had is said as a warning.
        """
        ...


class NamespaceLabelling:
    """The answers to admission reviews of namespaces.

    Raises ``ReviewError`` for a review that can't be read.
    """

    def __init__(self, configuration: Callable[[], Configuration], preview: Preview | None) -> None:
        """Judge by the configuration of the moment; ``preview`` is ``None`` where there is no cluster to look at."""
        self._configuration = configuration
        self._preview = preview

    async def validate(self, body: bytes, seconds: float) -> bytes:
        """Refuse labels that can't be read, unless they stood there before; warn of what a change will do.

        Args:
            body: the review.
            seconds: how long the API server will still wait for the answer.
        """
        request = review.decode(body)
        if request.operation not in ("CREATE", "UPDATE") or request.sub_resource:
            return review.allowed(request)
        if request.kind and request.kind.kind != "Namespace":
            raise ReviewError("request.kind", f'must be "Namespace", not "{request.kind.kind}"')
        if not request.has_object:
            raise ReviewError("request.object", "is missing; a CREATE or UPDATE carries the object")
        metadata = _metadata(request.object, "request.object")
        old = (
            _labels(_metadata(request.old_object, "request.oldObject")) if request.has_old_object else NamespaceLabels()
        )
        new = _labels(metadata)
        if new == old and request.has_old_object:
            return review.allowed(request)
        return await self._judge(request, metadata.name or request.name, old, new, seconds)

    async def _judge(
        self, request: Request, name: str, old: NamespaceLabels, new: NamespaceLabels, seconds: float
    ) -> bytes:
        configuration = self._configuration()
        policies, before = configuration.policies.select(new), configuration.policies.select(old)
        # A bad label that stood there before must not keep anybody from mending another.
        problems = [problem for problem in policies.problems if problem not in before.problems]
        if problems:
            # In audit mode too: that is about pods, and a mistyped label is easiest to mend by whoever has just written it.
            return review.invalid(request, _message(problems), problems)
        if name in configuration.exemptions.namespaces:
            warning = f'namespace "{name}" is exempt from gpuwarden: its labels have no effect'
            return review.allowed(request, warnings=[warning] if new != NamespaceLabels() else None)
        warnings: list[str] = []
        if self._preview and request.has_old_object and policies.enforce != before.enforce:
            # Half of the time is left for the way back and for what else the API server has to do.
            warnings = await self._preview.preview(name, policies.enforce, seconds / 2)
        return review.allowed(request, warnings=telling.within_budget(warnings))


def _message(problems: list[LabelProblem]) -> str:
    return "; ".join(f"{problem.path}: {problem.message}" for problem in problems)


def _metadata(raw: msgspec.Raw, root: str) -> _Metadata:
    return review.decode_json(_NAMESPACE, raw, root).metadata or _Metadata()


def _labels(metadata: _Metadata) -> NamespaceLabels:
    return NamespaceLabels.of(metadata.labels)
