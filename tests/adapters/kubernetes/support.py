"""A clock that stands still until it is put forward, an observer that remembers, and patience."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testing.stand_in.http_side import PATIENCE
from testing.stand_in.kubeconfig import write_kubeconfig
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.errors import Fault


class Clock:
    """Stands still, however slow the machine is, but for what a test puts it ahead. Whole seconds add up without rounding."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._start = float(int(time.monotonic()))

    def __call__(self) -> float:
        return self._start + self.ahead


class Noted:
    """An observer that remembers, and can be waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.lists: list[int] = []
        self.failures: list[tuple[Fault, str, float]] = []
        self.misses: list[str] = []

    def listed(self, number: int) -> None:
        with self._changed:
            self.lists.append(number)
            self._changed.notify_all()

    def watch_failed(self, fault: Fault, detail: str, retry_in: float) -> None:
        with self._changed:
            self.failures.append((fault, detail, retry_in))
            self._changed.notify_all()

    def missed(self, outcome: str) -> None:
        self.misses.append(outcome)

    @property
    def faults(self) -> list[Fault]:
        return [fault for fault, _, _ in self.failures]

    def wait_for_failures(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.failures) >= count, PATIENCE), self.failures

    def wait_for_lists(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lists) >= count, PATIENCE), self.failures


def eventually(holds: Callable[[], Any], what: str = "it") -> None:
    """Wait until something holds that tells nobody when it does."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, f"{what} did not come about"
        time.sleep(0.002)


@contextmanager
def reached(url: str, folder: Path) -> Iterator[ApiServer]:
    """A stand-in as the adapter comes to it: by a kubeconfig in this folder and the official client's configuration."""
    server = connect(write_kubeconfig(folder / "kubeconfig", url), None, {})
    try:
        yield server
    finally:
        server.drop_connections()
