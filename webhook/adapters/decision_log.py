"""The decision log: a line for each rewrite, refusal and would-be one, written by a thread so that no request waits for it."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import structlog

from webhook.application.recorder import Recorded
from webhook.engine.decision import Outcome

_MOST_WAITING = 10_000
_END = None
_Line = tuple[str, dict[str, Any]]


class DecisionLog:
    """Writes decisions that change, refuse, or would.

    What a line says: the request's uid, namespace, kind, name or generateName and user, the policy, the mode, the outcome and
    the rules. Never the object: environments hold secrets. When lines come faster than they can be written, the newest are
    dropped and counted: an admission never waits for a log.
    """

    def __init__(self, dropped: Callable[[], None]) -> None:
        """Begin; ``dropped`` is told of each line that there was no room for."""
        self._dropped = dropped
        self._queue: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
        self._log = structlog.get_logger("gpuwarden.decisions")
        self._thread = threading.Thread(target=self._write_forever, name="decision-log", daemon=True)
        self._thread.start()

    def decided(self, recorded: Recorded) -> None:
        """Queue a decision's line."""
        if recorded.decision.outcome is Outcome.UNCHANGED:
            return
        if self._queue.qsize() < _MOST_WAITING:
            # The fields only: what is queued must not keep the request's body in memory.
            self._queue.put((_event(recorded), _fields(recorded)))
        else:
            self._dropped()

    def close(self) -> None:
        """Write what is queued, and end."""
        self._queue.put(_END)
        self._thread.join(timeout=5)

    def _write_forever(self) -> None:
        while (line := self._queue.get()) is not _END:
            event, fields = line
            self._log.info(event, **fields)


def _event(recorded: Recorded) -> str:
    verb = "rewritten" if recorded.decision.outcome is Outcome.REWRITTEN else "refused"
    return verb if recorded.acted else f"would be {verb}"


def _fields(recorded: Recorded) -> dict[str, Any]:
    request, metadata = recorded.request, recorded.pod.metadata
    name = request.name or (metadata and (metadata.name or metadata.generate_name)) or ""
    return {
        "uid": request.uid,
        "namespace": request.namespace,
        "kind": request.kind.kind if request.kind else "Pod",
        "name": name,
        "user": request.user_info.username,
        "mode": recorded.mode,
        "policy": recorded.policy.name,
        "path": recorded.path,
        "rules": list(dict.fromkeys(finding.rule.value for finding in recorded.decision.findings)),
        "dry_run": bool(request.dry_run),
    }
