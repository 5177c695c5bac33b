"""Sizes of pods: where too much begins, and what counts."""

import msgspec
import pytest

from tests.builders import GPU, Json, a_container, a_pod, affinity, gpu, view
from webhook.engine.limitranger import ANNOTATION, additions
from webhook.engine.size import MOST_RESOURCES, MOST_SELECTED, too_much
from webhook.engine.text import LONGEST_NAME, cut


def found(pod: Json) -> tuple[str, str] | None:
    spec = view(pod).spec
    assert spec is not None
    return too_much(spec)


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
def test_as_much_as_this_is_judged(pod: Json) -> None:
    assert found(pod) is None


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
    problem = found(pod)

    assert problem is not None
    assert problem[0] == field


@pytest.mark.parametrize("field", [{"nodeName": "x"}, {"nodeSelector": {"k": "x"}}, {"runtimeClassName": "x"}])
def test_a_name_as_long_as_the_longest_key_is_read_and_a_longer_one_is_an_error(field: Json) -> None:
    def stretched(length: int) -> Json:
        return {key: {"k": "x" * length} if isinstance(value, dict) else "x" * length for key, value in field.items()}

    view(a_pod(**stretched(LONGEST_NAME)))
    with pytest.raises(msgspec.ValidationError, match=f"length <= {LONGEST_NAME}"):
        view(a_pod(**stretched(LONGEST_NAME + 1)))


def test_an_annotation_of_limit_ranger_longer_than_kubernetes_keeps_is_none() -> None:
    def written(more: int) -> Json:
        text = "LimitRanger plugin set: cpu limit for container a"
        return a_pod(annotations={ANNOTATION: text + "; x" * ((more - len(text)) // 3)})

    assert additions(view(written(200_000))).entries
    assert not additions(view(written(300_000))).entries


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("abc", "abc"), ("abcd", "abc…")])
def test_a_text_is_cut_where_it_is_longer(text: str, shown: str) -> None:
    assert cut(text, 3) == shown
