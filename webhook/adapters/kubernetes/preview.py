"""Preview of a relabelled namespace's workloads, read from the API server within an admission's timeout.

It limits the load on the API server (two namespaces at a time, one request after another, small pages), the delay of admission
(the thread works in short bursts, because it shares the interpreter lock with the event loop), and memory (one page of pods).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from ...application.auditing import WorkloadObject
from ...application.configuration import Configuration
from ...application.limit_ranges import LimitRange
from ...application.quotas import Quota
from ...application.rollout_preview import RolloutPreview
from ...application.workload_kinds import PREVIEWED, WorkloadKind
from ...engine.policy import Policy
from .api_request import path_of
from .audit_reader import AuditReader
from .client import ApiServer
from .errors import ApiError, Fault
from .lists import Deadline, Lister, Page

T = TypeVar("T")

AT_ONCE = 2  # namespaces
MOST = 3000  # objects of a kind
PAGE = 100  # objects: some 600 kB of pods, decoded in 1 to 2 ms
# Seconds of work, and of rest after it.
BURST, REST = 0.001, 0.001
OUT_OF_TIME = "out of time"

_log = structlog.get_logger("gpuwarden.preview")


class WorkloadPreview:
    """Reads the workloads of namespaces (``webhook.application.namespace_admission.Preview``). For one event loop.

    Args:
        rest: waits the given number of seconds, in a thread.
    """

    def __init__(
        self,
        api: ApiServer,
        configuration: Callable[[], Configuration],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._configuration = configuration
        self._monotonic = monotonic
        self._rest = rest
        # Without a free thread, calls wait in the queue.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="preview")

    async def preview(self, namespace: str, policy: Policy, seconds: float) -> list[str]:
        """Warnings: what would change or be denied when pods are next created, and what could not be checked in time.

        Never raises, and answers within ``seconds`` whatever the API server does.
        """
        restarts = RolloutPreview(self._configuration(), namespace, policy)
        look = _Look(restarts, namespace, self._monotonic() + seconds, self._monotonic, self._rest)
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, look.run, self._api)
        except RuntimeError as error:  # the threads are shut down, or none could be started
            return restarts.unseen(str(error))
        done, _ = await asyncio.wait((looking,), timeout=seconds)
        if done and (bug := looking.exception()):
            _log.error("preview failed", namespace=namespace, exc_info=bug)
            return restarts.unseen("an internal error in gpuwarden, see its log")
        if done:
            return looking.result()
        looking.cancel()  # a preview that waits for a thread; one that has a thread ends in time anyway
        if not look.begun:
            return restarts.unseen("other label changes used up the time")
        return [*restarts.warnings(OUT_OF_TIME), *look.limits]

    def close(self) -> None:
        """Start no more previews; those in progress end within their timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Look:
    """One preview of one namespace, in a thread.

    Attributes:
        begun: whether a thread has started it.
        limits: the warnings about the namespace's LimitRanges and ResourceQuotas.
    """

    def __init__(
        self,
        restarts: RolloutPreview,
        namespace: str,
        until: float,
        monotonic: Callable[[], float],
        rest: Callable[[float], None],
    ) -> None:
        self.begun = False
        self.limits: list[str] = []
        self._missing: list[str] = []  # why not everything was checked
        self._forbidden: list[str] = []  # kinds
        self._restarts = restarts
        self._namespace = namespace
        self._until = until
        self._monotonic = monotonic
        self._rest = rest
        self._burst = 0.0
        self._count = 0

    def run(self, api: ApiServer) -> list[str]:
        """Check LimitRanges, ResourceQuotas and every kind, within the time and size limits, and return the warnings."""
        self.begun = True
        hurried = Deadline(api, lambda: self._until - self._monotonic())
        reader = AuditReader(hurried, limit=PAGE)
        try:
            self._look_at_limits(Lister(hurried, limit=PAGE))
            for kind in PREVIEWED:
                self._list(reader, kind)
        except _OutOfTimeError:
            self._missing.append(OUT_OF_TIME)
        except ApiError as error:
            in_time = self._monotonic() < self._until
            self._missing.append(f"the API server: {error.fault.replace('-', ' ')}" if in_time else OUT_OF_TIME)
            _log.warning("preview incomplete", namespace=self._namespace, detail=error.detail)
        if self._forbidden:
            self._missing.append(f"gpuwarden may not list {', '.join(self._forbidden)}")
        return [*self._restarts.warnings("; ".join(self._missing)), *self.limits]

    def _look_at_limits(self, lister: Lister) -> None:
        if not self._restarts.meets_limits:
            return
        self._look_at_limit(lister, "LimitRange", Page[LimitRange], self._restarts.limits)
        self._look_at_limit(lister, "ResourceQuota", Page[Quota], self._restarts.quotas)

    def _look_at_limit(
        self, lister: Lister, kind: str, page: type[Page[T]], evaluate: Callable[[list[T]], list[str]]
    ) -> None:
        plural = f"{kind.lower()}s"
        path = path_of("api", "v1", "namespaces", self._namespace, plural)
        try:
            self.limits += evaluate(lister.all(plural, path, page, lambda one: one))
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                return
            if error.fault is not Fault.FORBIDDEN:
                raise
            self.limits += self._restarts.unseen_limits(kind, f"gpuwarden may not list {plural}")

    def _list(self, reader: AuditReader, kind: WorkloadKind) -> None:
        self._count = 0
        self._burst = self._monotonic()
        try:
            for one in reader.workloads((self._namespace,), self._keep, (kind,)):
                if one.served:  # only unreadable lists are returned, because nothing is kept
                    self._forbidden.append(kind.plural)
        except _EnoughError:
            self._missing.append(f"more than {MOST} {kind.plural}")

    def _keep(self, seen: WorkloadObject) -> None:
        now = self._monotonic()
        if now > self._until:
            raise _OutOfTimeError
        if now - self._burst > BURST:
            self._rest(REST)
            self._burst = self._monotonic()
        self._count += 1
        if self._count > MOST:
            raise _EnoughError
        self._restarts.look(seen)


class _EnoughError(Exception):
    """The limit of objects per kind is reached."""


class _OutOfTimeError(Exception):
    """The deadline has passed."""
