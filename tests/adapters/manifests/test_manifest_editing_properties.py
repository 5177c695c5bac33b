"""Any document, any edits: the edited text says what an independent JSON Patch library makes of the data."""

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import jsonpatch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.adapters.manifests.texts import KEYS, WORDS, Anchor, Scribe, Use, data
from webhook.adapters.manifests.editing import edit_text
from webhook.adapters.manifests.items import EditError, ManifestObject
from webhook.adapters.manifests.reading import read_text
from webhook.adapters.manifests.splicing.operations import Operation
from webhook.adapters.manifests.tree.values import same

Path = tuple[str | int, ...]
Place = tuple[Path, Any]
RANDOMS = st.randoms(use_true_random=False)
VALUES: tuple[Any, ...] = (*WORDS, 7, True, None, {}, [], {"k": "v", "yes": ["on", {"z": 1}]}, ["x", {"a": "b"}, [[1]]])


def said(text: str, index: int = 0) -> Any:
    """The object that a text says."""
    found = [item for item in read_text(text, "f") if isinstance(item, ManifestObject) and item.document == index]
    return found[0].object


def pointer(path: Path) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def places(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(place for key, member in members for place in places(member, (*path, key)))]


def added(random: Random, place: Place, _: Any, key: str) -> Operation | None:
    path, member = place
    if isinstance(member, list):
        key = random.choice(["-", "-", str(random.randint(0, len(member)))])
    return (
        {"op": "add", "path": pointer((*path, key)), "value": random.choice(VALUES)} if is_collection(member) else None
    )


def appended(random: Random, place: Place, _: Any, key: str) -> Operation | None:
    path, member = place
    key = "-" if isinstance(member, list) else f"new-{key}"
    return (
        {"op": "add", "path": pointer((*path, key)), "value": random.choice(VALUES)} if is_collection(member) else None
    )


def removed(_random: Random, place: Place, _: Any, _key: str) -> Operation | None:
    return {"op": "remove", "path": pointer(place[0])}


def replaced(random: Random, place: Place, _: Any, _key: str) -> Operation | None:
    return {"op": "replace", "path": pointer(place[0]), "value": random.choice(VALUES)}


def renamed(_random: Random, place: Place, _: Any, key: str) -> Operation | None:
    path = place[0]
    return (
        {"op": "move", "from": pointer(path), "path": pointer((*path[:-1], key))} if isinstance(path[-1], str) else None
    )


def renamed_anew(random: Random, place: Place, value: Any, key: str) -> Operation | None:
    return renamed(random, place, value, f"new-{key}")


def moved(random: Random, place: Place, value: Any, key: str) -> Operation | None:
    path = place[0]
    goal, container = random.choice(places(value))
    fits = isinstance(container, dict) and goal[: len(path)] != path
    return {"op": "move", "from": pointer(path), "path": pointer((*goal, key))} if fits else None


def is_collection(value: Any) -> bool:
    return isinstance(value, dict | list)


Kind = Callable[[Random, Place, Any, str], Operation | None]


def operations(random: Random, value: Any, kinds: tuple[Kind, ...]) -> tuple[list[Operation], Any]:
    """Some operations that fit the data one after the other, and what jsonpatch makes of it."""
    chosen: list[Operation] = []
    for number in range(random.randint(1, 4)):
        place = random.choice(places(value))
        kind = random.choice(kinds)
        if place[0] == ("kind",) or (place[0] == () and kind not in (added, appended)):
            continue
        key = f"{number}" if kinds == GROWTH else random.choice(KEYS)
        step = kind(random, place, value, key)
        if step is not None:
            chosen.append(step)
            value = jsonpatch.apply_patch(copy.deepcopy(value), [dict(step)])
    return chosen, value


ALL: tuple[Kind, ...] = (added, removed, replaced, renamed, moved)
GROWTH: tuple[Kind, ...] = (appended, renamed_anew)


@given(value=data(), random=RANDOMS, newline=st.sampled_from(["\n", "\r\n"]), mark=st.sampled_from(["", "\ufeff"]))
@settings(max_examples=100)
def test_edited_yaml_says_what_jsonpatch_makes_of_the_data(
    value: dict[str, Any], random: Random, newline: str, mark: str
) -> None:
    text = mark + Scribe(random).document(value).replace("\n", newline)
    assert same(said(text), value)
    chosen, expected = operations(random, value, ALL)

    new = edit_text(text, {(0, ""): chosen})

    assert same(said(new), expected)
    assert new.startswith(mark)
    assert new.count("\n") == new.count(newline)


@given(value=data(), random=RANDOMS)
@settings(max_examples=80)
def test_adding_and_renaming_loses_no_comment_and_no_line(value: dict[str, Any], random: Random) -> None:
    text = Scribe(random).document(value)
    chosen, _ = operations(random, value, GROWTH)

    new = edit_text(text, {(0, ""): chosen})

    assert re.findall(r"# c\d+\.", new) == re.findall(r"# c\d+\.", text)
    lost = [line for line in text.splitlines() if line not in new.splitlines()]
    assert len(lost) <= len(chosen)


@given(value=data(), random=RANDOMS)
@settings(max_examples=25)
def test_the_other_documents_stay_the_same_to_the_byte(value: dict[str, Any], random: Random) -> None:
    before, text, behind = (Scribe(random).document(value).rstrip("\n") + "\n" for _ in range(3))
    chosen, expected = operations(random, value, ALL)

    new = edit_text(f"{before}---\n{text}---\n{behind}", {(1, ""): chosen})

    assert new.startswith(before)
    assert new.endswith(f"---\n{behind}")
    assert same(said(new, 1), expected)


@given(
    value=data(),
    random=RANDOMS,
    layout=st.sampled_from([{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {}, {"separators": (",", ":")}]),
)
@settings(max_examples=60)
def test_edited_json_is_laid_out_as_it_was(value: dict[str, Any], random: Random, layout: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False, **layout)
    chosen, expected = operations(random, value, ALL)

    new = edit_text(text, {(0, ""): chosen})

    assert same(json.loads(new), expected)
    deep = "\n" in text  # a document of one line may need several now; the other way round, nothing can go wrong
    assert new == json.dumps(json.loads(new), ensure_ascii=False, **layout) or not deep


def shared(random: Random, depth: int, known: dict[str, Any]) -> Any:
    """Data in which anchored values are used again and merged."""
    if known and random.random() < 0.25:
        name = random.choice(list(known))
        return Use(name, known[name])
    if depth == 0 or random.random() < 0.3:
        value: Any = random.choice([1, "x", "yes", None])
    elif random.random() < 0.3:
        value = [shared(random, depth - 1, known) for _ in range(random.randint(0, 3))]
    else:
        value = {}
        for _ in range(random.randint(1, 3)):
            maps = [name for name, held in known.items() if held and isinstance(held, dict)]
            if maps and random.random() < 0.3:
                uses = [Use(name, known[name]) for name in random.sample(maps, min(len(maps), random.randint(1, 2)))]
                value["<<"] = uses[0] if len(uses) == 1 else uses
            value[random.choice(KEYS)] = shared(random, depth - 1, known)
    if random.random() < 0.4:
        known[name := f"n{len(known)}"] = plain(value)
        return Anchor(name, value)
    return value


def plain(value: Any) -> Any:
    """Shared data as what it means."""
    if isinstance(value, Anchor | Use):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(member) for member in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, member in value.items():
        held = plain(member)
        for part in (reversed(held) if isinstance(held, list) else [held]) if key == "<<" else [{key: held}]:
            result.update(part)
    return result


def edited_or_refused(text: str, chosen: list[Operation]) -> str | None:
    try:
        return edit_text(text, {(0, ""): chosen})
    except EditError as error:
        if "merge keys" not in str(error):
            raise
        return None


@given(random=RANDOMS)
@settings(max_examples=100)
def test_edits_of_shared_values_change_what_they_name_or_are_refused(random: Random) -> None:
    known: dict[str, Any] = {}
    written = {"kind": "Pod", **{f"k{n}": shared(random, 3, known) for n in range(3)}}
    text = Scribe(random).document(written)
    value = plain(written)
    found = list(read_text(text, "f"))
    assume(isinstance(found[0], ManifestObject) and same(found[0].object, value))
    chosen, expected = operations(random, value, ALL)

    new = edited_or_refused(text, chosen)

    assume(new is not None)
    assert same(said(new or ""), expected)
