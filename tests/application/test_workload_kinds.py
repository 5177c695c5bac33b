"""The table of workload kinds: its rows are checked, and objects are read by them."""

import msgspec
import pytest

from webhook.application.workload_kinds import BUILT_IN, TableError, Template, WorkloadKind, places, table
from webhook.application.workload_views import pods, view
from webhook.engine.pods import Metadata

JOB = WorkloadKind(
    "x.example.com",
    ("v1",),
    "Job",
    "jobs",
    (
        Template("spec.workers[*].template.spec", ("spec.workers[*].replicas", "spec.workers[*].hosts")),
        Template("spec.specs{*}.template.spec", ("spec.specs{*}.replicas",)),
        Template("spec.predictor", ("spec.predictor.minReplicas",)),
        Template("spec.predictor.workerSpec"),
        Template("spec.dask.spec", ("spec.dask.replicas",)),
    ),
)


class Item(msgspec.Struct):
    """An object with nothing but its metadata."""

    metadata: Metadata | None = None


def a_row(**changes: object) -> WorkloadKind:
    return msgspec.structs.replace(JOB, **changes)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_a_row_of_the_table_is_right(kind: WorkloadKind) -> None:
    assert table([kind])


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (a_row(templates=(Template("spec..x"),)), r'Job.x.example.com: "spec..x" is not a path'),
        (a_row(templates=(Template("spec", ("spec[0]",)),)), r'Job.x.example.com: "spec\[0\]" is not a path'),
        (a_row(suspend="?"), r'Job.x.example.com: "\?" is not a path'),
        (
            a_row(templates=()),
            "Job.x.example.com: a row needs a kind, a plural, a version, and templates or resources",
        ),
        (a_row(versions=()), "Job.x.example.com: a row needs"),
        (
            a_row(templates=(Template("spec.a[*].spec", ("spec.b[*].replicas",)),)),
            r"Job.x.example.com: spec.b\[\*\].replicas does not count the pods of spec.a\[\*\].spec",
        ),
    ],
)
def test_a_wrong_row_is_named(row: WorkloadKind, fault: str) -> None:
    with pytest.raises(TableError, match=fault):
        table([row])


def test_a_kind_is_in_the_table_once() -> None:
    assert table([JOB, a_row(group="y.example.com")])
    with pytest.raises(TableError, match=r"Job.x.example.com is defined twice; remove one row"):
        table([JOB, a_row(plural="others")])


CONTAINERS = [{"name": "c"}]
OBJECT = {
    "metadata": {"name": "x"},
    "spec": {
        "workers": [
            {
                "replicas": 2,
                "hosts": 4,
                "template": {"metadata": {"annotations": {"a": "b"}}, "spec": {"containers": []}},
            },
            {"template": {"spec": {"containers": CONTAINERS}}},
        ],
        "specs": {"Worker": {"template": {"spec": {"containers": CONTAINERS}}}, "Launcher": {"template": None}},
        "predictor": {"minReplicas": 3, "containers": CONTAINERS, "workerSpec": {"containers": CONTAINERS}},
        "dask": {"replicas": 3, "spec": {"containers": CONTAINERS}},
    },
}
FIELDS = [
    "spec.workers[0].template.spec.containers",
    "spec.workers[1].template.spec.containers",
    "spec.specs.Worker.template.spec.containers",
    "spec.predictor.containers",
    "spec.predictor.workerSpec.containers",
    "spec.dask.spec.containers",
]


def test_every_pod_of_an_object_is_found_in_its_order_as_plain_data_and_as_a_typed_view() -> None:
    assert [where.field("spec.containers") for where, _ in places(JOB, OBJECT)] == FIELDS
    item = msgspec.json.decode(msgspec.json.encode(OBJECT), type=view(JOB, Item))
    found = list(pods(JOB, item))
    assert [where.field("spec.containers") for where, _ in found] == FIELDS
    names = [[one.name for one in (pod.spec and pod.spec.containers) or ()] for _, pod in found]
    assert names == [[], *[["c"]] * 5]
    assert found[0][1].metadata
    assert found[0][1].metadata.annotations == {"a": "b"}


def test_a_pod_that_is_the_object_itself_has_the_objects_metadata() -> None:
    pod = next(kind for kind in BUILT_IN if kind.is_pod)
    item = msgspec.json.decode(b'{"metadata": {"name": "x"}, "spec": {"hostIPC": true}}', type=view(pod, Item))
    ((where, found),) = pods(pod, item)
    assert (where.pointer, where.field("spec.containers[0]")) == ("", "spec.containers[0]")
    assert found.metadata
    assert found.metadata.name == "x"
    assert found.spec
    assert found.spec.host_ipc
