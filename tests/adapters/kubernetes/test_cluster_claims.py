"""Resource claims and their templates, as an audit of a cluster reads them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.builders import Json
from webhook.adapters.kubernetes.audit_reader import AuditReader
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice
from webhook.engine.claims import CLAIM, TEMPLATE, Reference

GROUP = "/apis/resource.k8s.io"
REQUEST: Json = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2}}
GPUS = Claim((DeviceRequest("gpu", (RequestedDevice("gpu.nvidia.com", 2),)),))


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def reader(cluster: WorkloadServer, tmp_path: Path) -> Iterator[AuditReader]:
    with reached(cluster.url, tmp_path) as server:
        yield AuditReader(Patient(server), Silent())


class Patient:
    """An API server that is asked once."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def call(self, request: object) -> bytes:
        return self._server.call(request, timeout=5.0)  # type: ignore[arg-type]


class Silent:
    def read(self, what: str, done: int, total: int | None) -> None: ...


def serve(cluster: WorkloadServer, version: str, within: str = "", **kinds: list[Json]) -> None:
    cluster.objects[GROUP] = {"versions": [{"version": version}, {"version": "v1alpha2"}]}
    for plural in ("resourceclaims", "resourceclaimtemplates"):
        cluster.lists[f"{GROUP}/{version}{within}/{plural}"] = [
            json.dumps(one).encode() for one in kinds.get(plural, [])
        ]


def an_object(name: str, spec: Json) -> Json:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": spec}


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1", "v1alpha3"])
def test_both_kinds_are_read_in_the_servers_version(cluster: WorkloadServer, reader: AuditReader, version: str) -> None:
    spec = {"devices": {"requests": [REQUEST]}}
    serve(
        cluster,
        version,
        resourceclaims=[an_object("one", spec), an_object("classic", {"resourceClassName": "gpu"})],
        resourceclaimtemplates=[an_object("one", {"spec": spec})],
    )
    found = reader.claims()
    assert found.known == {("team", Reference(CLAIM, "one")): GPUS, ("team", Reference(TEMPLATE, "one")): GPUS}
    assert found.notes == []


def test_the_claims_that_kubernetes_made_for_pods_are_known(cluster: WorkloadServer, reader: AuditReader) -> None:
    made, of_group = (an_object(name, {"devices": {"requests": [REQUEST]}}) for name in ("made", "of-group"))
    for one, kind in ((made, "Pod"), (of_group, "PodGroup")):
        one["metadata"]["annotations"] = {"resource.kubernetes.io/pod-claim-name": "gpu"}
        one["metadata"]["ownerReferences"] = [{"kind": kind, "uid": "1", "controller": True}]
    serve(cluster, "v1", resourceclaims=[made, an_object("own", {}), of_group])
    assert reader.claims().of_one_pod == {("team", Reference(CLAIM, "made"))}


CLASSES = f"{GROUP}/v1/deviceclasses"


@pytest.fixture
def claimed(cluster: WorkloadServer) -> WorkloadServer:
    """A cluster with a template."""
    template = an_object("one", {"spec": {"devices": {"requests": [REQUEST]}}})
    serve(cluster, "v1", resourceclaimtemplates=[template])
    return cluster


@pytest.mark.parametrize("claims", [True, False])
def test_device_classes_with_a_name_are_read(
    cluster: WorkloadServer, claimed: WorkloadServer, reader: AuditReader, *, claims: bool
) -> None:
    if not claims:
        serve(cluster, "v1")
    named = {"slices": "nvidia.com/mig-1g.10gb", "fpga": "example.com/fpga", "plain": None}
    claimed.lists[CLASSES] = [
        json.dumps({"metadata": {"name": name}, "spec": {"extendedResourceName": one}}).encode()
        for name, one in named.items()
    ]
    found = reader.claims()
    assert (found.classes, found.notes) == (
        {"slices": "nvidia.com/mig-1g.10gb", "fpga": "example.com/fpga"},
        [],
    )


def test_device_classes_that_may_not_be_listed_are_noted(claimed: WorkloadServer, reader: AuditReader) -> None:
    claimed.refused[CLASSES] = 403
    found = reader.claims()
    assert len(found.known) == 1
    assert found.notes[0].startswith(
        "DeviceClasses: their forms and other resource names are known only from the configuration ("
    )


def test_another_failure_with_device_classes_is_the_clusters(claimed: WorkloadServer, reader: AuditReader) -> None:
    claimed.refused[CLASSES] = 401
    with pytest.raises(ApiError):
        reader.claims()


def test_in_the_namespaces_that_are_named(cluster: WorkloadServer, reader: AuditReader) -> None:
    serve(
        cluster,
        "v1",
        "/namespaces/team",
        resourceclaimtemplates=[an_object("one", {"spec": {"devices": {"requests": [REQUEST]}}})],
    )
    assert reader.claims(["team"]).known == {("team", Reference(TEMPLATE, "one")): GPUS}


def test_a_cluster_without_the_api_has_none(reader: AuditReader) -> None:
    found = reader.claims()
    assert (found.known, found.notes) == ({}, [])


def test_a_cluster_with_a_version_that_is_not_read_has_none(cluster: WorkloadServer, reader: AuditReader) -> None:
    serve(cluster, "v1alpha2", resourceclaims=[an_object("one", {"devices": {"requests": [REQUEST]}})])
    found = reader.claims()
    assert (found.known, found.notes) == ({}, [])


def test_what_may_not_be_listed_is_noted(cluster: WorkloadServer, reader: AuditReader) -> None:
    serve(cluster, "v1")
    cluster.refused[f"{GROUP}/v1/resourceclaimtemplates"] = 403
    found = reader.claims()
    assert found.known == {}
    assert found.notes[0].startswith("resource claims: pods with claims (DRA) are not evaluated (")


def test_another_failure_is_the_clusters(cluster: WorkloadServer, reader: AuditReader) -> None:
    cluster.refused[GROUP] = 401
    with pytest.raises(ApiError) as failed:
        reader.claims()
    assert failed.value.fault is not Fault.FORBIDDEN
