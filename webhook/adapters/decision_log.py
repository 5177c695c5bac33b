"""The decision log: a line for each rewrite and denial, enforced or not."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ..application.recorder import DecisionSummary, RecordedDecision
from ..engine.decision import DENIED, REWRITTEN, UNCHANGED
from ..engine.text import cut

_LOGGER = "gpuwarden.decisions"
# Characters of a field. Kubernetes limits all but the user name; other fields that are longer are not genuine. Reviews are read
# with uids of at most 128 characters and operations of Kubernetes only.
_LONGEST = 256
# Seconds for which lines are collected: a record for each line, and waking the writer for each, would take longer than a
# decision.
_GATHERING = 0.1
# Lines that are written at once, some 100 kB: larger buffers fragment the process's memory.
_AT_ONCE = 250


_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, gc=False):
    """A line, with the fields that every line of the log has."""

    event: str
    uid: str
    operation: str
    namespace: str
    kind: str
    name: str
    user: str
    mode: str
    policy: str
    path: str
    rules: tuple[str, ...]
    dry_run: bool
    timestamp: datetime
    level: str = "info"
    logger: str = _LOGGER


def _in_the_loop(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class DecisionLog:
    """Logs decisions that change or deny something, or would; called in the event loop.

    A line has the request's uid, operation, namespace, kind, name (or generateName, which ends in "-") and user, the policy, the
    mode, the outcome and the rules. It never contains the object, because environment variables hold secrets. Each outcome is one
    line: an enforced denial is logged by ``/validate``, which denies, and what a dry run would do by ``/mutate``, where the pod
    arrives. ``LogWriter`` keeps admission from waiting for the log, and drops and counts lines that come too fast.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], None] = _in_the_loop) -> None:
        """``later`` calls a function after a delay in seconds."""
        self._later = later
        self._waiting: list[bytes] = []
        self._log = logging.getLogger(_LOGGER)

    def decided(self, recorded: RecordedDecision) -> None:
        """Add a decision's line to those that are written soon."""
        event = _event(recorded.evaluated)
        if not event:
            return
        if not self._waiting:
            self._later(_GATHERING, self.write)
        self._waiting.append(_encode(_line(recorded, event)))
        if len(self._waiting) >= _AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write all lines that wait, as one record (see ``logs``)."""
        lines, self._waiting = self._waiting, []
        if lines:
            self._log.info("decisions", extra={"lines": lines})


@lru_cache(maxsize=1024)
def _event(evaluated: DecisionSummary) -> str:
    """The event of a decision's line; empty if it has none, or if the other of ``/mutate`` and ``/validate`` logs it."""
    if evaluated.outcome is UNCHANGED:
        return ""
    # Only ``/validate`` checks access to GPUs without a request.
    if evaluated.path == "validate" and not evaluated.acted and not evaluated.denies_access:
        return ""
    if evaluated.path == "mutate" and evaluated.acted and evaluated.outcome is DENIED:
        return ""
    verb = "rewritten" if evaluated.outcome is REWRITTEN else "denied"
    return verb if evaluated.acted else f"would be {verb}"


def _line(recorded: RecordedDecision, event: str) -> _Line:
    """Copy the fields, so that a waiting line does not keep the request's body in memory."""
    evaluated, request, metadata = recorded.evaluated, recorded.request, recorded.metadata
    texts = (
        request.namespace or (metadata and metadata.namespace) or "",
        request.kind.kind if request.kind else "Pod",
        request.name or (metadata and (metadata.name or metadata.generate_name)) or "",
        request.user_info.username,
        evaluated.policy,
    )
    namespace, kind, name, user, policy = (
        texts if max(map(len, texts)) <= _LONGEST else [cut(text, _LONGEST) for text in texts]
    )
    return _Line(
        event,
        request.uid,
        evaluated.operation,
        namespace,
        kind,
        name,
        user,
        evaluated.mode,
        policy,
        evaluated.path,
        evaluated.rules,
        bool(request.dry_run),
        datetime.now(UTC),
    )
