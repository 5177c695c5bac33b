"""A steady stream of pods that ask for a GPU, from several connections: who is refused while something happens."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import httpx

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.objects import GPU, limits_of, pod, pod_spec

CREATED = httpx.codes.CREATED


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pod that was created, or not.

    Attributes:
        began: when it was sent, by the monotonic clock.
        ended: when the answer was there.
        status: the answer's HTTP status; 0 when there was none.
        asks: the resource that the pod asks for now, or whatever else was to be read; empty when it was not created.
        message: why it was not created.
    """

    began: float
    ended: float
    status: int
    asks: str
    message: str


def resource_of(pod: dict[str, Any]) -> str:
    """The resource that a pod's first container asks for."""
    return str(next(iter(limits_of(pod)[0])))


class PodStream:
    """Creates pods in one namespace, and deletes each at once. A context manager; every connection is a thread.

    The scheduler leaves the pods alone (``schedulerName``), so that the machine has its time for admission.
    """

    def __init__(  # noqa: PLR0913 - what makes a load
        self,
        control_plane: ControlPlane,
        namespace: str,
        *,
        resource: str = GPU,
        connections: int = 4,
        pause: float = 0.05,
        bursts: bool = False,
        read: Callable[[dict[str, Any]], str] = resource_of,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare a stream.

        Args:
            control_plane: where.
            namespace: of the pods.
            resource: what they ask for.
            connections: how many create pods at the same time.
            pause: seconds between two pods of one connection.
            bursts: whether all connections create their pods at the same moment: the API server then needs as many
                connections to the webhooks at once, and goes for new ones.
            read: what to note of a created pod.
            more: further fields of the pods' spec.
        """
        self._control_plane = control_plane
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._spec = pod_spec(resource) | {
            "schedulerName": "nobody",
            "automountServiceAccountToken": False,
            **(more or {}),
        }
        self._pause = pause
        self._read = read
        self._together = threading.Barrier(connections) if bursts else None
        self._stopping = threading.Event()
        self._attempts: list[Attempt] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"stream-{number}", daemon=True)
            for number in range(connections)
        ]

    def __enter__(self) -> Self:
        """Begin, and wait for the first pods."""
        for thread in self._threads:
            thread.start()
        self.wait_for_more(len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stopping.set()
        if self._together:
            self._together.abort()
        for thread in self._threads:
            thread.join()

    @property
    def attempts(self) -> list[Attempt]:
        """Every attempt so far."""
        return list(self._attempts)

    @property
    def failures(self) -> list[Attempt]:
        """Those that were not created."""
        return [attempt for attempt in self.attempts if attempt.status != CREATED]

    def wait_for_more(self, number: int, seconds: float = 120.0) -> None:
        """Wait until this many more pods have been tried."""
        target = len(self._attempts) + number
        wait_for(f"{number} more attempts", lambda: len(self._attempts) >= target, seconds)

    def report(self) -> str:
        """How many pods became what, how long that took, and the different failures: for assertions and for people."""
        attempts = self.attempts
        seconds = sorted(attempt.ended - attempt.began for attempt in attempts)
        took = attempts[-1].ended - attempts[0].began
        middle, longest = seconds[len(seconds) // 2], seconds[-1]
        lines = [
            f"{len(attempts)} pods in {took:.1f} s; half within {middle * 1000:.0f} ms, all within {longest * 1000:.0f} ms",
            f"they ask for {dict(Counter(attempt.asks for attempt in attempts))}",
        ]
        lines += [f"{count} times {message}" for message, count in Counter(a.message for a in self.failures).items()]
        return "\n".join(lines)

    def _run(self, number: int) -> None:
        with self._control_plane.client() as api:
            count = 0
            while not self._stopping.is_set():
                count += 1
                self._meet()
                self._attempts.append(self._attempt(api, f"load-{number}-{count}"))
                self._stopping.wait(self._pause)

    def _meet(self) -> None:
        if self._together:
            with suppress(threading.BrokenBarrierError):  # at the end, when it is broken for the last ones
                self._together.wait()

    def _attempt(self, api: httpx.Client, name: str) -> Attempt:
        began = time.monotonic()
        try:
            answer = api.post(self._path, json=pod(self._spec, name))
        except httpx.HTTPError as error:
            return Attempt(began, time.monotonic(), 0, "", repr(error))
        ended = time.monotonic()
        content: dict[str, Any] = answer.json()
        if answer.status_code != CREATED:
            return Attempt(began, ended, answer.status_code, "", str(content.get("message")))
        api.request("DELETE", f"{self._path}/{name}", json={"gracePeriodSeconds": 0})
        return Attempt(began, ended, CREATED, self._read(content), "")
