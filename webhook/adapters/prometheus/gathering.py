"""Gathers the usage of GPUs: the order of the steps, each of which has a file of its own."""

from collections.abc import Collection, Mapping
from functools import partial

from ...application.recommendation.usage import Metric, Usage
from ..kubernetes.lists import Progress
from . import by_process, dcgm, device_sharing, expressions, metric_choice, pod_devices
from .pod_numbers import numbers
from .query_batches import PrometheusServer, QueryBatches
from .usage_series import series


class Gatherer:
    """Gathers usage within a window of ``window`` seconds that ends at ``end`` (seconds since 1970).

    A sample below the share ``idle_below`` counts as idle. Only series with one of the values of each of ``labels`` count.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - where, when, and what counts
        self,
        server: PrometheusServer,
        end: float,
        window: float,
        idle_below: float,
        progress: Progress | None = None,
        labels: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._server = server
        self._idle = idle_below
        self._batches = QueryBatches(server, end, window, labels or {}, progress)

    def usage(self, namespaces: Collection[str] = ()) -> Usage:
        """Return the usage of the pods in these namespaces, or (if none is named) in all.

        Queries that are too much for the server are split; ``missing`` lists what can't be read even then.

        Raises:
            QueryError: nothing can be read.
        """
        batches = self._batches
        listed = pod_devices.find(batches, namespaces)
        found = listed.found
        sharing = device_sharing.sharing(batches, listed, all_namespaces=not namespaces)
        chosen = metric_choice.choose(found, sharing)
        compute = metric_choice.compute(batches, found, chosen, self._idle)
        memory = numbers(batches, "memory", found, found, lambda _, which: expressions.memory(which, batches.window))
        of_device_itself = partial(device_sharing.of_device_itself, batches, found)
        apart = {device for device, (_, is_device) in sharing[dcgm.USED].items() if not is_device}
        # Pods of namespaces that are not read may have memory there.
        empty = by_process.without_processes(memory) - apart
        held = of_device_itself(dcgm.USED, empty | apart)
        slots = {key for key, one in found.items() if one.is_slot}
        unseen = by_process.unseen(compute, chosen, empty, slots, partial(of_device_itself, Metric.GPU_UTIL))
        batches.notes += by_process.said(unseen)
        missing = list(listed.missing)
        if compute and not any("bandwidth" in one for one in memory.values()):
            missing.append(dcgm.NO_BANDWIDTH)
        if compute and not any({"encoder", "decoder"} & one.keys() for one in memory.values()):
            missing.append(dcgm.NO_ENGINES)
        return Usage(
            batches.end,
            batches.window,
            self._idle,
            [
                series(
                    key,
                    one,
                    None if key in unseen else chosen[key],
                    compute.get(key, {}),
                    memory.get(key, {}),
                    sharing,
                    held.get(key.device, 0),
                )
                for key, one in found.items()
            ],
            missing=[*missing, *dict.fromkeys(batches.notes)],
            warnings=list(self._server.warnings),
            queries=self._server.requests,
        )
