"""Whose usage it is: by pods that are there, by recorded owners, by names."""

import pytest

from tests.application.recommendation.cases import series, workload
from webhook.application.recommendation.workloads import LivePod, attribute

THERE = [
    workload("web", pods=[LivePod("odd-name", 1)]),
    workload("web-api", pods=[]),
    workload("db", kind="StatefulSet", pods=[]),
    workload("agent", kind="DaemonSet", pods=[]),
    workload("nightly", kind="CronJob", pods=[]),
    workload("import", kind="Job", pods=[]),
    workload("bare", kind="Pod", pods=[]),
    workload("train", kind="PyTorchJob", pods=[]),
]


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        ("web-api-server", ""),
        ("web-7d4b9c6f5d", ""),
        ("db-x", ""),
        ("train-worker-0", ""),
        ("nightly-xvw2z", ""),
        ("odd-name", "web"),
        ("web-7d4b9c6f5d-xvw2z", "web"),
        ("web-api-7d4b9c6f5d-xvw2z", "web-api"),
        ("db-11", "db"),
        ("agent-xvw2z", "agent"),
        ("nightly-28000000-xvw2z", "nightly"),
        ("nightly-28000000-3-xvw2z", "nightly"),
        ("import-xvw2z", "import"),
        ("import-0-xvw2z", "import"),
        ("bare", "bare"),
    ],
)
def test_pods_that_are_gone_are_their_workloads_by_name(pod: str, name: str) -> None:
    found = attribute([series(pod)], THERE, {})
    assert [key[2] for key in found.of] == ([name] if name else [])
    assert found.gone == bool(name and pod != "odd-name")
    assert found.unknown == ({} if name else {"a": {pod}})


def test_a_name_that_could_be_of_two_workloads_is_nobodys() -> None:
    two = [workload("web", kind="Job", pods=[]), workload("web", kind="DaemonSet", pods=[])]
    assert attribute([series("web-xvw2z")], two, {}).of == {}


def test_a_recorded_owner_comes_before_the_name() -> None:
    owners = {"a/train-worker-0": ("PyTorchJob", "train"), "a/db-1": ("StatefulSet", "gone")}
    found = attribute([series("train-worker-0"), series("db-1")], THERE, owners)
    assert [key[2] for key in found.of] == ["train"]
    assert found.unknown == {"a": {"db-1"}}


def test_what_was_recorded_of_a_kind_names_no_group() -> None:
    gang = workload("gang", kind="Job.batch.volcano.sh", pods=[])
    owners = {"a/gang-worker-0": ("Job", "gang")}
    assert [*attribute([series("gang-worker-0")], [gang], owners).of] == [gang.key]
    both = [gang, workload("gang", kind="Job", pods=[])]
    assert attribute([series("gang-worker-0")], both, owners).of == {}


def test_another_namespace_is_another_workload() -> None:
    assert attribute([series("db-1", namespace="b")], THERE, {}).of == {}


def test_pods_that_have_ended_worked_together_too() -> None:
    ended = [LivePod(f"rank-{n}", 1.0, over=True) for n in range(2)]
    assert workload(kind="PyTorchJob", pods=ended).together(1) == "the 2 pods of a PyTorchJob work together"
    assert workload(kind="PyTorchJob", pods=ended[:1]).together(2) == "the 2 pods of a PyTorchJob work together"
    assert workload(kind="PyTorchJob", pods=ended[:1]).together(1) == ""
