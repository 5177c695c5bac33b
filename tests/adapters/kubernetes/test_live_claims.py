"""The claims of a pod, read live: each once, in time, and nothing is remembered."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import cast

import pytest

from tests.builders import Json
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.claim_documents import VERSIONS
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.live_claims import LiveClaims
from webhook.application.claims import ClaimUnavailable
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice
from webhook.engine.claims import CLAIM, TEMPLATE, Reference

GROUP = "/apis/resource.k8s.io"
ROOT = f"{GROUP}/v1"
DEVICES: Json = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}}
GPUS = Claim((DeviceRequest("gpu", (RequestedDevice("gpu.nvidia.com"),)),))
ONE, BY_NAME = Reference(TEMPLATE, "one"), Reference(CLAIM, "one")


class Api:
    """An API server that serves what it is given by path, and notes what it is asked."""

    def __init__(self, *, served: bool = True) -> None:
        self.documents: dict[str, Json | ApiError] = {}
        self.versions: tuple[str, ...] = ()
        if served:
            self.serve("v1", "v1beta1")
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None

    def serve(self, *versions: str) -> None:
        self.versions = versions
        self.documents[GROUP] = {"versions": [{"version": version} for version in versions]}

    def absence(self, path: str) -> ApiError:
        """What it says of a path that leads to nothing: that the object does not exist, or nothing that is read."""
        version, _, name = path.removeprefix(f"{GROUP}/").partition("/")
        return ApiError(Fault.NOT_FOUND, "404", missing=name.rpartition("/")[2] if version in self.versions else "")

    def template(self, name: str = "one", namespace: str = "team", **metadata: str) -> None:
        path = f"{ROOT}/namespaces/{namespace}/resourceclaimtemplates/{name}"
        self.documents[path] = {"metadata": {"name": name, **metadata}, "spec": {"spec": DEVICES}}

    def claim(self, name: str = "one", namespace: str = "team") -> None:
        path = f"{ROOT}/namespaces/{namespace}/resourceclaims/{name}"
        self.documents[path] = {"metadata": {"name": name}, "spec": DEVICES, "status": {"allocation": {}}}

    def call(self, request: ApiRequest, *, timeout: float) -> bytes:
        assert timeout > 0
        self.asked.append(request.path)
        self.before()
        found = self.documents.get(request.path) if request.path in self.documents else self.absence(request.path)
        if isinstance(found, ApiError):
            raise found
        return json.dumps(found).encode()


def nobody(_sentence: str) -> None:
    """Is told."""


def fetched(
    api: Api, *references: Reference, timeout: float = 5.0, told: list[str] | None = None, times: int = 1
) -> dict[Reference, Claim | None]:
    """What is found for references in the namespace ``team``, the last of several times."""

    async def fetch() -> dict[Reference, Claim | None]:
        claims = LiveClaims(cast("ApiServer", api), (told if told is not None else []).append, timeout=timeout)
        found: dict[Reference, Claim | None] = {}
        try:
            for _ in range(times):
                found = await claims.fetch("team", references)
        finally:
            claims.close()
        return found

    return asyncio.run(fetch())


def test_both_kinds_are_read_from_the_pods_namespace() -> None:
    api = Api()
    api.template()
    api.claim()
    assert fetched(api, ONE, BY_NAME) == {ONE: GPUS, BY_NAME: GPUS}
    assert sorted(api.asked) == [
        f"{ROOT}/namespaces/team/resourceclaims/one",
        f"{ROOT}/namespaces/team/resourceclaimtemplates/one",
    ]


def test_one_of_another_namespace_is_not_the_pods() -> None:
    api = Api()
    api.template(namespace="other")
    assert fetched(api, ONE) == {ONE: None}


def test_one_that_is_not_there_is_nothing_and_is_asked_for_again() -> None:
    api = Api()
    assert fetched(api, ONE, times=2) == {ONE: None}
    assert api.asked == [f"{ROOT}/namespaces/team/resourceclaimtemplates/one"] * 2


def test_what_is_there_is_read_each_time() -> None:
    api = Api()
    api.template()
    assert fetched(api, ONE, times=3) == {ONE: GPUS}
    assert len(api.asked) == 3


@pytest.mark.parametrize("name", ["../secrets/x", "Upper", "a..b", "a" * 254, "-a", "."])
def test_a_name_that_no_object_has_is_not_asked_for(name: str) -> None:
    api = Api()
    assert fetched(api, Reference(TEMPLATE, name)) == {Reference(TEMPLATE, name): None}
    assert api.asked == []


def test_a_cluster_without_the_api_is_told_of_once_and_nothing_is_known() -> None:
    told: list[str] = []
    api = Api(served=False)
    assert fetched(api, ONE, BY_NAME, told=told, times=3) == {}
    assert told == [
        (
            "the API server does not serve resource.k8s.io in a version of v1, v1beta2, v1beta1, v1alpha3: the claims (DRA) of "
            "pods are not evaluated"
        )
    ]


def test_a_cluster_with_a_version_that_is_not_read_is_one_without_the_api() -> None:
    told: list[str] = []
    api = Api()
    api.serve("v1alpha2")
    assert fetched(api, ONE, told=told) == {}
    assert len(told) == 1


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1", "v1alpha3"])
def test_an_older_cluster_is_read_in_its_own_version_and_after_an_upgrade_in_the_new_one(version: str) -> None:
    told: list[str] = []
    api = Api()
    api.serve("v1alpha2", version)
    api.template()
    path = f"{GROUP}/{version}/namespaces/team/resourceclaimtemplates/one"
    now = f"{ROOT}/namespaces/team/resourceclaimtemplates/one"
    api.documents[path] = api.documents.pop(now)
    assert fetched(api, ONE, told=told, times=2) == {ONE: GPUS}
    assert api.asked == [now, GROUP, path, path]
    assert fetched(api, BY_NAME, told=told) == {BY_NAME: None}
    assert told == []

    api.asked.clear()
    upgraded = api.documents[path]

    def upgrade() -> None:
        if len(api.asked) == 4:
            api.serve("v1")
            api.documents[now] = upgraded
            del api.documents[path]

    api.before = upgrade
    assert fetched(api, ONE, told=told, times=2) == {ONE: GPUS}
    assert api.asked == [now, GROUP, path, path, GROUP, now]


@pytest.mark.parametrize("path", [f"{ROOT}/namespaces/team/resourceclaimtemplates/one", GROUP])
@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.SERVER_ERROR, Fault.UNREACHABLE, Fault.GARBAGE])
def test_a_failure_is_never_taken_for_nothing(path: str, fault: Fault) -> None:
    told: list[str] = []
    api = Api(served=path != GROUP)
    api.documents[path] = ApiError(fault, "why")
    with pytest.raises(ClaimUnavailable, match='ResourceClaimTemplate "one" could not be read: why'):
        fetched(api, ONE, told=told)
    assert told == []


class Mixed(Api):
    """API servers of several versions behind one address: which of them answers is different from request to request."""

    def __init__(self, *versions: tuple[str, ...]) -> None:
        super().__init__(served=False)
        self.turns = itertools.cycle(versions)
        self.objects: set[str] = set()

    def call(self, request: ApiRequest, *, timeout: float) -> bytes:
        self.serve(*next(self.turns))
        for name in ("one", "two"):
            for version in ("v1", "v1beta1"):
                self.documents.pop(f"{GROUP}/{version}/namespaces/team/resourceclaimtemplates/{name}", None)
        for version in self.versions:
            for name in self.objects:
                path = f"{GROUP}/{version}/namespaces/team/resourceclaimtemplates/{name}"
                self.documents[path] = {"metadata": {"name": name}, "spec": {"spec": DEVICES}}
        return super().call(request, timeout=timeout)


OLD, NEW, BOTH = ("v1beta1",), ("v1",), ("v1", "v1beta1")


@pytest.mark.parametrize(
    "turns", [(OLD, BOTH), (BOTH, OLD), (OLD, BOTH, BOTH), (BOTH, BOTH, OLD), (OLD, OLD, BOTH), (OLD, BOTH, OLD)]
)
def test_while_api_servers_are_upgraded_or_rolled_back_what_exists_is_found(turns: tuple[tuple[str, ...], ...]) -> None:
    api, told = Mixed(*turns), list[str]()
    api.objects = {"one"}
    assert fetched(api, ONE, told=told, times=6) == {ONE: GPUS}
    api.objects.clear()
    assert fetched(api, ONE, told=told, times=6) == {ONE: None}
    assert told == []


@pytest.mark.parametrize("exists", [True, False])
def test_api_servers_without_any_common_version_are_a_failure_and_no_endless_search(exists: bool) -> None:  # noqa: FBT001
    api = Mixed(OLD, NEW)
    api.objects = {"one"} if exists else set()
    with pytest.raises(ClaimUnavailable, match=r"do not agree on the versions of resource\.k8s\.io; try again"):
        fetched(api, ONE)
    assert len(api.asked) == 2 * len(VERSIONS)


def test_an_api_that_was_served_and_is_not_any_more_is_a_failure() -> None:
    """One of several API servers may be older than any that has it; the claims of pods must be evaluated nevertheless."""
    api = Api()
    api.template()

    def stop() -> None:
        if len(api.asked) == 2:
            api.documents.clear()
            api.versions = ()

    api.before = stop
    with pytest.raises(ClaimUnavailable, match="no version that is read is served any more"):
        fetched(api, ONE, times=2)


def test_an_answer_that_is_another_object_is_none() -> None:
    api = Api()
    api.template()
    path = f"{ROOT}/namespaces/team/resourceclaimtemplates/one"
    api.documents[path] = {"metadata": {"name": "other"}, "spec": {"spec": DEVICES}}
    with pytest.raises(ClaimUnavailable, match='gave "other"'):
        fetched(api, ONE)


def test_a_server_that_does_not_answer_keeps_nobody_longer_than_the_time() -> None:
    api, released = Api(), threading.Event()
    api.before = lambda: released.wait(60.0)
    references = [Reference(TEMPLATE, f"t{n}") for n in range(32)]
    started = time.monotonic()
    with pytest.raises(ClaimUnavailable, match=r"did not answer within 0\.2 s"):
        fetched_and(released, api, references)
    assert time.monotonic() - started < 20.0


def fetched_and(released: threading.Event, api: Api, references: list[Reference]) -> None:
    async def fetch() -> None:
        claims = LiveClaims(cast("ApiServer", api), nobody, timeout=0.2)
        try:
            await claims.fetch("team", references)
        finally:
            released.set()
            claims.close()

    asyncio.run(fetch())


def test_pods_that_are_created_at_once_share_a_read() -> None:
    api, released = Api(), threading.Event()
    api.template()
    api.before = lambda: released.wait(60.0)

    async def fetch() -> list[dict[Reference, Claim | None]]:
        claims = LiveClaims(cast("ApiServer", api), nobody, timeout=60.0)
        tasks = [asyncio.create_task(claims.fetch("team", [ONE])) for _ in range(50)]
        await asyncio.sleep(0.05)
        released.set()
        try:
            return await asyncio.gather(*tasks)
        finally:
            claims.close()

    assert asyncio.run(fetch()) == [{ONE: GPUS}] * 50
    assert len(api.asked) == 1
