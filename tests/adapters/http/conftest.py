"""A server for the tests of a module: admission in a namespace with policy ``mps``, and endpoints that fail."""

from collections.abc import Callable, Iterator

import pytest
import trustme

from testing.reviews import TEAM, KnownNamespaces, Notes
from tests.adapters.http.support import Serving, running
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.review import Answering
from webhook.engine.namespace_labels import NamespaceLabels


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> Iterator[Serving]:
    namespaces = KnownNamespaces({TEAM: NamespaceLabels("mps")})
    namespaces.unknown["dark"] = NamespaceUnavailable("dark", "the API server did not answer in 2 s")
    admission = Admission(Configuration(), namespaces, Notes())

    def broken(body: bytes) -> bytes:
        password = body.decode()
        raise ZeroDivisionError("division by " + password[:0] + "zero")

    paths: dict[str, Callable[[bytes], Answering]] = {
        "/mutate": admission.mutate,
        "/validate": admission.validate,
        "/broken": broken,
    }
    with running(authority, paths) as server:
        yield server
