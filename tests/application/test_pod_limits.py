"""Sizes of pods: where too much begins, and what counts."""

import pytest

from tests.builders import GPU, Json, a_container, a_pod, affinity, gpu, view
from webhook.application.pod_review import MOST_RESOURCES, MOST_SELECTED, sized
from webhook.application.review import ReviewError


def named(count: int, **fields: Json) -> list[Json]:
    return [a_container(f"c{n}", {f"example.com/{n}": 1}, {f"example.com/{n}": 1}, **fields) for n in range(count)]


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(),
        a_pod({"name": "bare"}),
        a_pod(*named(MOST_RESOURCES)),
        a_pod(*[gpu(name=f"c{n}") for n in range(2000)]),
        a_pod({"name": "bare"}, *[a_container(f"c{n}", {"cpu": 1, "memory": 1, GPU: 1}) for n in range(2000)]),
        a_pod(nodeSelector={f"k{n}": "v" for n in range(MOST_SELECTED)}),
        a_pod(affinity=affinity([("zone", "In", *map(str, range(MOST_SELECTED - 2)))])),
        a_pod(affinity={}),
    ],
)
def test_as_much_as_this_is_evaluated(pod: Json) -> None:
    seen = view(pod)

    assert sized(seen, "object") is seen


@pytest.mark.parametrize(
    ("pod", "field"),
    [
        (a_pod(*named(MOST_RESOURCES + 1)), "containers"),
        (a_pod(*named(MOST_RESOURCES), initContainers=[gpu()]), "containers"),
        (a_pod(nodeSelector={f"k{n}": "v" for n in range(MOST_SELECTED + 1)}), "affinity"),
        (a_pod(affinity=affinity([("zone", "In", *map(str, range(MOST_SELECTED - 1)))])), "affinity"),
        (a_pod(affinity=affinity(*[[("zone", "Exists")]] * (MOST_SELECTED // 2 + 1))), "affinity"),
        (a_pod(nodeSelector={"a": "b"}, affinity=affinity(*[[]] * MOST_SELECTED)), "affinity"),
    ],
)
def test_more_is_too_much_and_says_where(pod: Json, field: str) -> None:
    with pytest.raises(ReviewError) as rejected:
        sized(view(pod), "object")

    assert rejected.value.field == f"object.spec.{field}"
