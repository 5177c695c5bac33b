"""``gpuwarden serve --watch-in-tree``: admission policies that differ from the configuration are in metric, log, /readyz."""

import json
import math
from copy import deepcopy
from typing import Any, cast

import msgspec
import pytest
from structlog.testing import capture_logs

from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.request import ApiRequest
from webhook.adapters.metrics import Metrics
from webhook.application.configuration import Configuration, Mode
from webhook.application.in_tree import compiled
from webhook.application.in_tree_drift import KINDS
from webhook.cli.in_tree_source import INTERVAL, InTreeWatch

Json = dict[str, Any]
FOREIGN: Json = {"metadata": {"name": "other"}, "spec": {"variables": []}}


class Cluster:
    """An API server with the policies of the default configuration and one of someone else's, and a watch of them."""

    def __init__(self) -> None:
        self.objects = [deepcopy(each) for each in compiled(Configuration()).objects]
        self.configuration = Configuration()
        self.error: ApiError | None = None
        self.asked: list[str] = []
        self.now = 0.0
        self.metrics = Metrics()
        api = cast("ApiServer", self)
        self.watch = InTreeWatch(api, self.metrics, lambda: self.configuration, lambda: self.now)

    def call(self, request: ApiRequest, *, timeout: float) -> bytes:
        assert timeout
        self.asked.append(request.path)
        if self.error:
            raise self.error
        (kind,) = [kind for kind, plural in KINDS.items() if request.path.endswith(f"/{plural}")]
        items = [FOREIGN, *(each for each in self.objects if each["kind"] == kind)]
        return json.dumps({"metadata": {}, "items": items}).encode()

    def poll(self, after: float = INTERVAL) -> list[str]:
        """Poll later; what is logged."""
        self.now += after
        with capture_logs() as logged:
            self.watch.poll()
        return [str(line["event"]) for line in logged]

    @property
    def gauge(self) -> float:
        value = self.metrics.registry.get_sample_value("gpuwarden_in_tree_outdated")
        assert value is not None
        return value


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_policies_as_the_configuration_has_them_are_read_once_a_minute_and_nothing_is_said(cluster: Cluster) -> None:
    assert math.isnan(cluster.gauge)
    assert cluster.poll() == []
    assert cluster.gauge == 0
    assert len(cluster.asked) == len(KINDS)
    assert cluster.poll(INTERVAL - 1) == []
    assert len(cluster.asked) == len(KINDS)
    assert cluster.watch.part().message == "as the configuration has them"


def test_a_difference_is_said_once_and_its_end_too(cluster: Cluster) -> None:
    cluster.poll()
    gone = cluster.objects.pop()
    (said,) = cluster.poll()
    assert said.startswith("1 admission policies and bindings in the API server differ")
    assert (cluster.gauge, cluster.watch.part().ready, cluster.watch.part().message) == (1, True, said)
    assert cluster.poll() == []
    cluster.objects.append(gone)
    assert cluster.poll() == ["the admission policies are those of the configuration again"]
    assert cluster.gauge == 0


def test_another_configuration_is_compared_at_once(cluster: Cluster) -> None:
    cluster.poll()
    cluster.configuration = msgspec.structs.replace(cluster.configuration, mode=Mode.AUDIT)
    assert len(cluster.poll(0)) == 1
    assert cluster.gauge == 1


def test_what_cannot_be_read_is_not_known_and_said_once(cluster: Cluster) -> None:
    cluster.poll()
    cluster.error = ApiError(Fault.FORBIDDEN, "no right")
    assert cluster.poll() == ["admission policies can't be listed, so whether they are outdated is unknown"]
    assert math.isnan(cluster.gauge)
    assert cluster.watch.part().ready
    assert cluster.poll() == []
    cluster.error = None
    assert cluster.poll() == []
    assert cluster.gauge == 0
