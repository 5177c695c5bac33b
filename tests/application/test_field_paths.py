"""Paths with wildcards: what they lead to, and what is in the way."""

from typing import Any

import pytest

from webhook.application.field_paths import bound, find, mismatches, parse, written

OBJECT = {
    "spec": {
        "workers": [{"replicas": 2}, {"replicas": None}, {}],
        "specs": {"Worker": {"replicas": 3}, "a.b/c": {"replicas": 4}},
    }
}


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("spec.nothing", []),
        ("spec.workers[*].replicas[*]", []),
        ("spec.specs[*]", []),
        ("spec.workers{*}", []),
        ("spec.workers[*].replicas", ["spec.workers[0].replicas"]),
        ("spec.specs{*}.replicas", ["spec.specs.Worker.replicas", "spec.specs[a.b/c].replicas"]),
    ],
)
def test_a_path_leads_to_every_value_that_is_set(path: str, places: list[str]) -> None:
    assert [written(place) for place, _ in find(OBJECT, parse(path))] == places


@pytest.mark.parametrize("text", ["", ".spec", "spec.", "spec..a", "spec[0]", "spec[*", "spec.{a}", "a b", "spec.a-b"])
def test_what_is_no_path_is_named_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a path: .*; write it as in spec.workers\[\*\].template.spec"):
        parse(text)


def test_the_count_beside_a_template_is_found_by_the_place_of_the_template() -> None:
    (place, _), *_ = find(OBJECT, parse("spec.specs{*}"))
    assert list(find(OBJECT, bound(parse("spec.specs{*}.replicas"), place))) == [
        (("spec", "specs", "Worker", "replicas"), 3)
    ]
    (place, _), *_ = find(OBJECT, parse("spec.workers[*]"))
    assert list(find(OBJECT, bound(parse("spec.workers[*].replicas"), place))) == [
        (("spec", "workers", 0, "replicas"), 2)
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"spec": None}, ""),
        ({"spec": {"workers": [None, {"template": 8}]}}, ""),
        ({"spec": "x"}, "spec: must be a map, not text; write a map"),
        ({"spec": {"workers": {}}}, "spec.workers: must be a list, not a map; write a list"),
        ({"spec": {"workers": [{}, 8]}}, "spec.workers[1]: must be a map, not a number; write a map"),
    ],
)
def test_what_is_in_the_way_is_named(data: Any, message: str) -> None:
    found = [f"{one.field}: {one.message}" for one in mismatches(data, parse("spec.workers[*].template"))]
    assert found == ([message] if message else [])
