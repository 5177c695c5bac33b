"""Paths to fields of objects of one kind: ``spec.workers[*].template.spec``, ``spec.replicaSpecs{*}.replicas``.

``[*]`` is every item of a list, ``{*}`` every value of a map. A *place* is one field that a path leads to in one object: its
keys and indices.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from .type_mismatches import TypeMismatch, what

ITEMS, VALUES = "[*]", "{*}"
"""The steps that lead to every item of a list and to every value of a map."""

MOST_STEPS = 12
"""The maximum for a path. In objects of operators' kinds, the chart's matchConditions search four steps deeper for GPUs."""

Path = tuple[str, ...]
Place = tuple[str | int, ...]

_STEP = re.compile(r"\.([A-Za-z][A-Za-z0-9]*)|(\[\*\]|\{\*\})")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


# Paths come from the table of workload kinds, which is fixed, and those of a kind are used for each of its objects.
@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Return the steps of a path.

    Raises:
        ValueError: it is not a path; the message names the wrong part.
    """
    steps: list[str] = []
    rest = f".{text}"
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise ValueError(
                f'"{text}" is not a path: "{rest.removeprefix(".")}" is neither a field nor {ITEMS} nor {VALUES}; write it '
                "as in spec.workers[*].template.spec"
            )
        steps.append(match[1] or match[2])
        rest = rest[match.end() :]
    if len(steps) > MOST_STEPS:
        raise ValueError(f'"{text}" has {len(steps)} steps; use at most {MOST_STEPS}')
    return tuple(steps)


def bound(path: Path, place: Place) -> Place:
    """Return a path with its wildcards replaced by the keys and indices of a place that begins as the path does.

    ``spec.workers[*].replicas`` at ``spec.workers[2].template`` is ``spec.workers[2].replicas``.
    """
    return tuple(place[number] if step in {ITEMS, VALUES} else step for number, step in enumerate(path))


def leads_to(path: Path, place: Place) -> bool:
    """Return whether a place is one that a path may lead to."""
    return len(path) == len(place) and all(
        step in {ITEMS, VALUES} or step == at for step, at in zip(path, place, strict=True)
    )


def find(data: Any, path: Place, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Return every value that a path leads to in plain data or in a typed view, with its place; nulls are left out."""
    if data is None:
        return
    if not path:
        yield place, data
        return
    step, rest = path[0], path[1:]
    if step == ITEMS:
        for index, item in enumerate(data if isinstance(data, list) else ()):
            yield from find(item, rest, (*place, index))
    elif step == VALUES:
        for key, value in data.items() if isinstance(data, dict) else ():
            yield from find(value, rest, (*place, key))
    elif isinstance(step, int):
        yield from find(data[step], rest, (*place, step))
    else:
        yield from find(data.get(step) if isinstance(data, dict) else getattr(data, step, None), rest, (*place, step))


def mismatches(data: Any, path: Path, place: Place = ()) -> Iterator[TypeMismatch]:
    """Return the values that block a path through plain data, such as text if the next step is a field."""
    if data is None or not path:
        return
    step, rest = path[0], path[1:]
    a_kind = "a list" if step == ITEMS else "a map"
    if what(data) != a_kind:
        yield TypeMismatch(written(place), f"must be {a_kind}, not {what(data)}; write {a_kind}")
        return
    inner = enumerate(data) if step == ITEMS else data.items() if step == VALUES else [(step, data.get(step))]
    for key, value in inner:
        yield from mismatches(value, rest, (*place, key))


def written(place: Place) -> str:
    """Return a place as Kubernetes writes field paths."""
    steps = (f".{step}" if isinstance(step, str) and _PLAIN_KEY.fullmatch(step) else f"[{step}]" for step in place)
    return "".join(steps).removeprefix(".")


def mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is a map; otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}
