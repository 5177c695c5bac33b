"""An API server that stands in for the real one, the way to it, and the namespaces watched there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.http_side import PATIENCE
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.support import Clock, Noted
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces


@pytest.fixture
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def api(apiserver: StandIn, tmp_path: Path) -> Iterator[ApiServer]:
    """The stand-in as the adapter comes to it: by a kubeconfig and the official client's configuration."""
    server = connect(write_kubeconfig(tmp_path / "kubeconfig", apiserver.url, token="s3cret"), None, {})  # noqa: S106 - a test's own
    yield server
    server.drop_connections()


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def namespaces(api: ApiServer, noted: Noted, clock: Clock) -> Iterator[WatchedNamespaces]:
    """Not started; a short pause after failures, and more patience for live reads than any test needs."""
    backoff = Backoff(lambda: 0.0, first=0.01, cap=0.05)
    watched = WatchedNamespaces(api, noted, fetch_timeout=PATIENCE, monotonic=clock, backoff=backoff)
    yield watched
    watched.stop()
