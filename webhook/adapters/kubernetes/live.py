"""One live read of one namespace: in a thread, in time, and shared by all who ask at the same moment."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from webhook.adapters.kubernetes.documents import Namespace, decode
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.request import Request, path_of
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable

if TYPE_CHECKING:
    from webhook.adapters.kubernetes.client import ApiServer

# Reads at once. A frozen API server occupies them all, for a second each; who waits behind them is told in time too.
_THREADS = 4
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label: what a namespace's name is


class LiveReads:
    """Reads namespaces from the API server without blocking the event loop. For one event loop.

    Args:
        api: the API server.
        timeout: seconds for a read; it is part of an admission, which itself has 2 to 5.
    """

    def __init__(self, api: "ApiServer", *, timeout: float) -> None:
        self._api = api
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="namespace-read")
        self._flights: dict[str, asyncio.Task[Namespace]] = {}

    async def read(self, name: str) -> Namespace:
        """Read a namespace, or join the read of it that is under way.

        Raises:
            NamespaceNotFound: there is none of that name.
            NamespaceUnavailable: no answer, or none in time.
        """
        if not _NAME.fullmatch(name):
            raise NamespaceNotFound(name)  # nor can there be
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.create_task(self._fly(name))
            flight.add_done_callback(lambda done: self._landed(name, done))
        # Shielded: one who stops waiting must not take the answer from the others.
        return await asyncio.shield(flight)

    def close(self) -> None:
        """Begin no more reads; those under way end within their time."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fly(self, name: str) -> Namespace:
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._get, name)
        except TimeoutError:
            reason = f"the API server did not answer within {self._timeout:g} s"
            raise NamespaceUnavailable(name, reason) from None
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                raise NamespaceNotFound(name) from error
            raise NamespaceUnavailable(name, error.detail) from error
        except RuntimeError as error:  # the threads are shut down, or none could be started
            raise NamespaceUnavailable(name, str(error)) from error

    def _get(self, name: str) -> Namespace:
        request = Request("GET", path_of("api", "v1", "namespaces", name))
        namespace = decode(self._api.call(request, timeout=self._timeout), Namespace, f'namespace "{name}"')
        if namespace.metadata.name != name:
            raise ApiError(Fault.GARBAGE, f'{request} gave the namespace "{namespace.metadata.name}"')
        return namespace

    def _landed(self, name: str, flight: "asyncio.Task[Namespace]") -> None:
        del self._flights[name]  # success or failure: the next one asks again
        if not flight.cancelled():
            flight.exception()  # taken note of, should nobody be waiting any more
