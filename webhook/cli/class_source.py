"""Watches the cluster's DeviceClasses for their resource names."""

from collections.abc import Callable

import structlog

from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.client import ApiServer
from ..adapters.kubernetes.errors import Fault
from ..adapters.kubernetes.watched_classes import Names, WatchedClasses

_log = structlog.get_logger("gpuwarden.classes")
_UNKNOWN = (
    "the resource names that DeviceClasses set are not known, so pods that request GPUs by them are not evaluated"
)


class ClassSource:
    """Runs the watch of DeviceClasses, logs its events, and reports its readiness."""

    def __init__(self, api: ApiServer, use: Callable[[Names], None]) -> None:
        """Call ``use`` with the names whenever they change."""
        self._use = use
        self._watched = WatchedClasses(api, self._changed, self._failed)
        self._number = 0
        self._fault: Fault | None = None

    def start(self) -> None:
        """Start the watch."""
        self._watched.start()

    def stop(self) -> None:
        """End the watch."""
        self._watched.stop()

    def part(self) -> ReadinessPart:
        """Its part of ``/readyz``: ready when the classes are known, or known to be unavailable.

        What is known stays in use while the API server can't be reached.
        """
        watched = self._watched
        if not watched.answered:
            said = f"; last problem: {watched.problem}" if watched.problem else ""
            return ReadinessPart(
                name="device-classes", ready=False, message=f"DeviceClasses have not been listed yet{said}"
            )
        if self._fault is Fault.FORBIDDEN and watched.problem:
            return ReadinessPart(name="device-classes", ready=True, message=f"{_UNKNOWN}; {watched.problem}")
        return ReadinessPart(
            name="device-classes", ready=True, message=f"{self._number} DeviceClasses set a resource name"
        )

    def _changed(self, names: Names) -> None:
        self._number = len(names)
        _log.info("DeviceClasses listed", resource_names=dict(names))
        self._use(names)

    def _failed(self, fault: Fault, detail: str) -> None:
        before, self._fault = self._fault, fault
        if fault is Fault.FORBIDDEN and before is not Fault.FORBIDDEN:
            _log.warning(_UNKNOWN, detail=detail)
        elif fault not in {Fault.FORBIDDEN, Fault.NOT_FOUND}:
            _log.warning("DeviceClass watch failed", fault=fault.value, detail=detail)
