"""The decision log: a line for each rewrite, denial and would-be one, written by a thread so that no request waits for it."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ..application.recorder import DecisionSummary, RecordedDecision
from ..engine.decision import DENIED, REWRITTEN, UNCHANGED
from ..engine.text import cut

_LOGGER = "gpuwarden.decisions"
# Lines that wait, in bytes: some ten thousand.
_MOST_WAITING = 4 << 20
# Characters of a field. Kubernetes limits all but the user name; other fields that are longer are not genuine. Reviews are read
# with uids of at most 128 characters and operations of Kubernetes only.
_LONGEST = 256
# Seconds in which lines gather. Waking a thread for each line would cost a request more than its decision, and so would encoding
# the lines in the thread, because the interpreter's lock then changes hands often.
_GATHERING = 0.1
# Lines that are written at once, some 100 kB: larger buffers leave holes in the process's memory.
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


class DecisionLog:
    """Writes decisions that change or deny something, or would.

    A line has the request's uid, operation, namespace, kind, name (or generateName, which ends in "-") and user, the policy, the
    mode, the outcome and the rules. It never contains the object, because environment variables hold secrets. Each outcome is one
    line: an enforced denial is logged by ``/validate``, which denies, and what a dry run would do by ``/mutate``, where the pod
    arrives. When lines come faster than they can be written, the newest are dropped and counted, so that no admission waits for
    the log.
    """

    def __init__(self, dropped: Callable[[], None]) -> None:
        """Start the thread; ``dropped`` is called for each line that did not fit in the queue."""
        self._dropped = dropped
        self._waiting: deque[bytes] = deque()
        # Bytes. Each number is written by only one thread, the event loop's and ours; their difference is what waits.
        self._queued = self._taken = 0
        self._some = threading.Event()
        self._closing = threading.Event()
        self._log = logging.getLogger(_LOGGER)
        self._thread = threading.Thread(target=self._write_forever, name="decision-log", daemon=True)
        self._thread.start()

    def decided(self, recorded: RecordedDecision) -> None:
        """Queue a decision's line."""
        event = _event(recorded.judged)
        if not event:
            return
        line = _encode(_line(recorded, event))
        if self._queued - self._taken + len(line) > _MOST_WAITING:
            self._dropped()
            return
        self._queued += len(line)
        self._waiting.append(line)
        if not self._some.is_set():
            self._some.set()

    def close(self) -> None:
        """Write what is queued, and end."""
        self._closing.set()
        self._some.set()
        self._thread.join(timeout=5)

    def _write_forever(self) -> None:
        last = False
        while not last:
            self._some.wait()
            last = self._closing.wait(_GATHERING)
            self._some.clear()
            self._write()

    def _write(self) -> None:
        """Write all lines that wait, as records of several lines (see ``logs``)."""
        while self._waiting:
            lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._taken += sum(map(len, lines))
            self._log.info("decisions", extra={"lines": lines})


@lru_cache(maxsize=1024)
def _event(judged: DecisionSummary) -> str:
    """The event of a decision's line; empty if it has none, or if the other of ``/mutate`` and ``/validate`` logs it."""
    if judged.outcome is UNCHANGED:
        return ""
    # Only ``/validate`` sees who reaches GPUs without requesting them.
    if judged.path == "validate" and not judged.acted and not judged.denies_access:
        return ""
    if judged.path == "mutate" and judged.acted and judged.outcome is DENIED:
        return ""
    verb = "rewritten" if judged.outcome is REWRITTEN else "denied"
    return verb if judged.acted else f"would be {verb}"


def _line(recorded: RecordedDecision, event: str) -> _Line:
    """Copy the fields, so that a waiting line does not keep the request's body in memory."""
    judged, request, metadata = recorded.judged, recorded.request, recorded.metadata
    texts = (
        request.namespace or (metadata and metadata.namespace) or "",
        request.kind.kind if request.kind else "Pod",
        request.name or (metadata and (metadata.name or metadata.generate_name)) or "",
        request.user_info.username,
        judged.policy,
    )
    namespace, kind, name, user, policy = (
        texts if max(map(len, texts)) <= _LONGEST else [cut(text, _LONGEST) for text in texts]
    )
    return _Line(
        event,
        request.uid,
        judged.operation,
        namespace,
        kind,
        name,
        user,
        judged.mode,
        policy,
        judged.path,
        judged.rules,
        bool(request.dry_run),
        datetime.now(UTC),
    )
