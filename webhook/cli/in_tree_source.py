"""Compares the admission policies in the API server with the current configuration, once a minute."""

import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.client import ApiServer
from ..adapters.kubernetes.errors import ApiError
from ..adapters.kubernetes.in_tree_objects import objects_of, webhooks_named
from ..adapters.kubernetes.lists import Deadline, Lister
from ..adapters.metrics import Metrics
from ..application.configuration import Configuration
from ..application.deciders import Installed
from ..application.diagnosis.results import listed
from ..application.in_tree_drift import KINDS, Difference, InTreeObject, differences

INTERVAL = 60.0  # seconds
_TIMEOUT = 10.0
_FIX = "run gpuwarden doctor (check in-tree); compile the policies again and apply them (docs/how-to/in-tree.md)"
_log = structlog.get_logger("gpuwarden.in-tree")


class InTreeWatch:
    """Compares admission policies with the configuration, logs differences, and reports them in ``/readyz`` and a metric.

    ``webhooks`` are the names of gpuwarden's webhook configurations, by kind. Policies must decide the pods that these exclude.
    """

    def __init__(
        self,
        api: ApiServer,
        metrics: Metrics,
        configuration: Callable[[], Configuration],
        webhooks: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = Deadline(api, lambda: _TIMEOUT)
        self._lister = Lister(self._api)
        self._webhooks = webhooks
        self._metrics = metrics
        self._configuration = configuration
        self._monotonic = monotonic
        self._due_at = monotonic()
        # Compiling takes a while, so only what has changed is compared again.
        self._compared: tuple[list[InTreeObject], list[str], list[str], Configuration] | None = None
        self._different: list[str] = []
        self._unread = False
        self._message = "not known yet"
        metrics.in_tree_outdated(None)

    def poll(self) -> None:
        """Compare, if a comparison is due or the configuration has changed; log each new result once."""
        configuration = self._configuration()
        is_same = self._compared is None or configuration is self._compared[-1]
        if self._monotonic() < self._due_at and is_same:
            return
        self._due_at = self._monotonic() + INTERVAL
        try:
            objects = [each for kind in KINDS for each in objects_of(self._lister, kind)]
            webhooks = [*webhooks_named(self._api, self._webhooks)]
        except ApiError as error:
            self._not_read(error)
            return
        self._unread = False
        there = Installed(objects, webhooks)
        left_out, warned = there.left_out(configuration), there.asked_about_all()
        if self._compared != (objects, left_out, warned, configuration):
            self._compared = objects, left_out, warned, configuration
            self._compare(differences(objects, configuration, beside_webhooks=True, left_out=left_out, warned=warned))
        self._metrics.in_tree_outdated(bool(self._different))
        self._message = _outdated(len(self._different)) if self._different else "as the configuration has them"

    def _compare(self, found: Iterable[Difference]) -> None:
        before = self._different
        self._different = [str(one) for one in found]
        if self._different and self._different != before:
            _log.warning(_outdated(len(self._different)), differences=listed(self._different), fix=_FIX)
        elif before and not self._different:
            _log.info("the admission policies are those of the configuration again")

    def _not_read(self, error: ApiError) -> None:
        self._compared = None
        self._message = "not known: admission policies or webhooks can't be read"
        self._metrics.in_tree_outdated(None)
        if not self._unread:
            _log.warning(
                "admission policies or webhooks can't be read, so whether they are outdated is unknown",
                detail=error.detail,
            )
        self._unread = True

    def part(self) -> ReadinessPart:
        """Its part of ``/readyz``: always ready, because the webhooks decide by the configuration."""
        return ReadinessPart(name="in-tree", ready=True, message=self._message)


def _outdated(number: int) -> str:
    if number == 1:
        return "1 admission policy or binding in the API server differs from the configuration in use"
    return f"{number} admission policies and bindings in the API server differ from the configuration in use"
