"""Live reads of single objects: in a thread, with a timeout, and shared by concurrent callers."""

import asyncio
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from .errors import ApiError

# Concurrent reads. A frozen API server blocks all of them for a second each; callers that wait still get an answer in time.
_THREADS = 4

FETCH_TIMEOUT = 1.0
"""Seconds for each live read: of a namespace that is not cached; of all the claims of a pod; of a pod that gets a claim."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LiveReads(Generic[K, V]):
    """Reads objects from the API server without blocking the event loop. For one event loop.

    Args:
        get: reads an object, in a thread; may raise ``ApiError``.
        unavailable: the error to raise for an object that could not be read, for a reason.
        timeout: seconds for a read; an admission, of which it is a part, has 2 to 5 seconds.
    """

    def __init__(self, get: Callable[[K], V], unavailable: Callable[[K, str], Exception], *, timeout: float) -> None:
        self._get = get
        self._unavailable = unavailable
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="live-read")
        self._running: dict[K, asyncio.Task[V]] = {}

    async def read(self, key: K) -> V:
        """Read an object, or join a read of it that is in progress.

        Raises:
            Exception: from ``unavailable``, if there was no answer in time; or what ``get`` raises deliberately.
        """
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._run(key))
            task.add_done_callback(lambda done: self._finished(key, done))
        # Shielded: a caller that stops waiting must not cancel the read for others.
        return await asyncio.shield(task)

    async def read_all(self, keys: Iterable[K]) -> list[V]:
        """Read several objects at once. If any can't be read, all reads end first.

        Raises:
            Exception: as ``read``, for the first of the keys that could not be read.
        """
        results = await asyncio.gather(*map(self.read, keys), return_exceptions=True)
        found: list[V] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            found.append(result)
        return found

    def close(self) -> None:
        """Start no more reads; those in progress end within their timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, key: K) -> V:
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._get, key)
        except TimeoutError:
            raise self._unavailable(key, f"the API server did not answer within {self._timeout:g} s") from None
        except ApiError as error:
            raise self._unavailable(key, error.detail) from error
        except RuntimeError as error:  # the threads are shut down, or none could be started
            raise self._unavailable(key, str(error)) from error

    def _finished(self, key: K, task: "asyncio.Task[V]") -> None:
        del self._running[key]  # success or failure: the next caller reads again
        if not task.cancelled():
            task.exception()  # retrieve the exception, in case nobody is waiting any more
