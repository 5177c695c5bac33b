"""``gpuwarden serve --watch-in-tree``: admission policies that differ from the configuration are in metric, log, /readyz."""

import json
import math
from copy import deepcopy
from typing import Any, cast

import msgspec
import pytest
from structlog.testing import capture_logs

from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.metrics import Metrics
from webhook.application.configuration import Configuration, Mode
from webhook.application.in_tree_compiler import ANNOTATION, compiled
from webhook.application.in_tree_drift import KINDS
from webhook.application.in_tree_webhooks import WEBHOOK_KINDS, beside
from webhook.cli.in_tree_source import INTERVAL, InTreeWatch

Json = dict[str, Any]
NAMES = dict(zip(WEBHOOK_KINDS, ("zz-gpuwarden", "gpuwarden"), strict=True))
FOREIGN: Json = {"metadata": {"name": "other"}, "spec": {"variables": []}}


class Cluster:
    """An API server with the policies of the default configuration and one of someone else's, and a watch of them."""

    def __init__(self) -> None:
        self.objects = [deepcopy(each) for each in compiled(Configuration()).objects]
        self.webhooks: dict[str, Json] = {}
        self.configuration = Configuration()
        self.error: ApiError | None = None
        self.asked: list[str] = []
        self.now = 0.0
        self.metrics = Metrics()
        api = cast("ApiServer", self)
        self.watch = InTreeWatch(api, self.metrics, lambda: self.configuration, NAMES, lambda: self.now)

    def call(self, request: ApiRequest, *, timeout: float) -> bytes:
        assert timeout
        self.asked.append(request.path)
        if self.error:
            raise self.error
        if request.path in self.webhooks:
            return json.dumps(self.webhooks[request.path]).encode()
        if "webhookconfigurations" in request.path:
            raise ApiError(Fault.NOT_FOUND, "not there")
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
    assert len(cluster.asked) == len(KINDS) + len(NAMES)
    assert cluster.poll(INTERVAL - 1) == []
    assert len(cluster.asked) == len(KINDS) + len(NAMES)
    assert cluster.watch.part().message == "as the configuration has them"


def test_a_difference_is_said_once_and_its_end_too(cluster: Cluster) -> None:
    cluster.poll()
    gone = cluster.objects.pop()
    (said,) = cluster.poll()
    assert said.startswith("1 admission policy or binding in the API server differs from")
    assert (cluster.gauge, cluster.watch.part().ready, cluster.watch.part().message) == (1, True, said)
    assert cluster.poll() == []
    cluster.objects.append(gone)
    assert cluster.poll() == ["the admission policies are those of the configuration again"]
    assert cluster.gauge == 0


@pytest.mark.parametrize("all_of_them", [True, False])
def test_policies_that_are_gone_are_missed_where_the_webhooks_leave_out_their_common_case(
    cluster: Cluster,
    all_of_them: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A restarted replica has never seen them, and nothing else in the API server names them."""
    made = compiled(Configuration())
    whole = {"metadata": {"name": "gpuwarden"}, "webhooks": [{"name": "validate.gpuwarden.io"}]}
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gpuwarden"
    cluster.webhooks[path] = beside(whole, made)
    assert cluster.poll() == []
    kept = [] if all_of_them else [each for each in made.objects if not is_of(each, "shared")]
    cluster.objects = [deepcopy(each) for each in kept]
    (said,) = cluster.poll()
    assert said.startswith(f"{len(made.objects) - len(kept)} admission policies and bindings in the API server differ")
    assert cluster.gauge == 1
    cluster.webhooks[path] = whole
    assert cluster.poll() == ["the admission policies are those of the configuration again"]


def is_of(each: Json, policy: str) -> bool:
    return bool(each["metadata"]["annotations"][ANNOTATION] == policy)


def test_another_configuration_is_compared_at_once(cluster: Cluster) -> None:
    cluster.poll()
    cluster.configuration = msgspec.structs.replace(cluster.configuration, mode=Mode.AUDIT)
    assert len(cluster.poll(0)) == 1
    assert cluster.gauge == 1


def test_what_cannot_be_read_is_not_known_and_said_once(cluster: Cluster) -> None:
    cluster.poll()
    cluster.error = ApiError(Fault.FORBIDDEN, "no right")
    assert cluster.poll() == ["admission policies or webhooks can't be read, so whether they are outdated is unknown"]
    assert math.isnan(cluster.gauge)
    assert cluster.watch.part().ready
    assert cluster.poll() == []
    cluster.error = None
    assert cluster.poll() == []
    assert cluster.gauge == 0
