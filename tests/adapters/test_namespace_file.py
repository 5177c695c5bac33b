"""Namespaces from a file: everything that kubectl prints, and nothing that is cut off or means two things."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from testing.reviews import Json
from webhook.adapters.namespace_file import FileNamespaces, NamespaceFileError, parse
from webhook.engine.namespace_labels import UNLABELLED, NamespaceLabels


def a_namespace(name: str, **labels: Any) -> Json:
    keys = {f"gpuwarden.io/{mode}": value for mode, value in labels.items()}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **keys}, "uid": "1"},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def a_list(*items: Any, kind: str = "List") -> Json:
    return {"apiVersion": "v1", "items": list(items), "kind": kind, "metadata": {"resourceVersion": ""}}


TEAM = a_namespace("team", enforce="mps", warn="none", audit="shared")
BARE = a_namespace("bare")
WANTED = {"team": NamespaceLabels("mps", "none", "shared"), "bare": UNLABELLED}


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(a_list(TEAM, BARE)),
        json.dumps(a_list(TEAM, BARE), indent=4),
        yaml.safe_dump(a_list(TEAM, BARE, kind="NamespaceList")),
        yaml.safe_dump_all([TEAM, BARE]),
        yaml.safe_dump_all([None, TEAM, None, BARE]),
        yaml.safe_dump_all([a_list(TEAM), BARE]),
    ],
    ids=["kubectl -o yaml", "kubectl -o json", "as the API has it", "documents", "empty documents", "both"],
)
def test_every_way_to_write_namespaces_is_read(text: str) -> None:
    assert parse(text) == WANTED


def test_a_namespace_may_have_no_labels_at_all() -> None:
    text = "kind: Namespace\nmetadata: {name: a}\n---\nkind: Namespace\nmetadata: {name: b, labels: null}\n"

    assert parse(text) == {"a": UNLABELLED, "b": UNLABELLED}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, "must be text, not true; quote it"),
        (1.5, "must be text, not 1.5; quote it"),
        (None, "must be text, not null; write text"),
        ({"a": "b"}, "must be text, not a mapping; write text"),
    ],
)
def test_a_label_that_yaml_reads_as_something_else_is_named(value: Any, problem: str) -> None:
    with pytest.raises(NamespaceFileError) as caught:
        parse(yaml.safe_dump(a_namespace("odd", enforce=value)))

    assert str(caught.value) == f"document 1: metadata.labels[gpuwarden.io/enforce] of odd {problem}"


def test_another_label_without_a_value_is_the_empty_text_as_the_api_server_has_it() -> None:
    assert parse("kind: Namespace\nmetadata: {name: a, labels: {team: }}\n") == {"a": UNLABELLED}


def test_a_list_of_nothing_is_no_namespaces() -> None:
    assert parse(yaml.safe_dump(a_list())) == {}


@pytest.mark.parametrize("text", ["", "\n", "# soon\n", "---\n---\n", "null"])
def test_an_empty_file_is_not_the_news_that_no_namespace_has_labels(text: str) -> None:
    """``kubectl get namespaces -o yaml > file`` empties the file before it writes the first byte."""
    with pytest.raises(NamespaceFileError, match="is empty; use the output of kubectl get namespaces -o yaml"):
        parse(text)


def test_a_file_that_is_cut_off_is_never_read_as_fewer_namespaces() -> None:
    whole = yaml.safe_dump(a_list(TEAM, BARE))

    for end in range(len(whole) - len("kind: List\nmetadata:\n  resourceVersion: ''\n")):
        with pytest.raises(NamespaceFileError):
            parse(whole[:end])


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("[", "line 1: expected a value, found the end of the document"),
        ("\x00", r"line 1: the character U\+0000 is not allowed in YAML; remove it"),
        ("a: b\n\tc: d", "line 2: the line is indented with a tab; use spaces"),
        ("text", "document 1: is not a Namespace"),
        ("[]", "document 1: is not a Namespace"),
        ("kind: Pod\nmetadata: {name: a}", "document 1: is not a Namespace"),
        (yaml.safe_dump_all([TEAM, {"kind": "Pod"}]), "document 2: is not a Namespace"),
        (yaml.safe_dump(a_list(TEAM, {"kind": "Pod"})), r"document 1, items\[1\]: is not a Namespace"),
        (yaml.safe_dump(a_list(5)), r"document 1, items\[0\]: is not a Namespace"),
        ("kind: List\nitems: 5", "document 1: items is not a list; write its Namespaces with - before each"),
        ("kind: List\nitems: {a: b}", "document 1: items is not a list; write its Namespaces with - before each"),
        ("kind: Namespace", "document 1: metadata.name is missing"),
        ("kind: Namespace\nmetadata: []", "document 1: metadata.name is missing"),
        ("kind: Namespace\nmetadata: {name: 5}", "document 1: metadata.name must be text, not 5; quote it"),
        ("kind: Namespace\nmetadata: {name: no}", "document 1: metadata.name must be text, not false; quote it"),
        ("kind: Namespace\nmetadata: {name: 2026-01-01}", "metadata.name must be text, not 2026-01-01; quote it"),
        ("kind: Namespace\nmetadata: {name: [a]}", "document 1: metadata.name must be text, not a list"),
        ("kind: Namespace\nmetadata: {name: }", "document 1: metadata.name is missing"),
        (
            "kind: Namespace\nmetadata: {name: a, labels: [b]}",
            "document 1: metadata.labels of a must be a map, not a list; write a map",
        ),
        (yaml.safe_dump(a_list(TEAM, BARE, TEAM)), r"document 1, items\[2\]: namespace team is defined twice"),
        ("--- &a\nkind: List\nitems: *a", r"line 3: \*a contains itself"),
        (
            "kind: Namespace\nmetadata: {name: a, labels: {b: []}}",
            "document 1: metadata.labels.b. of a must be text, not a list",
        ),
        ("kind: []", "document 1: is not a Namespace"),
    ],
)
def test_what_is_no_namespace_is_named(document: str, problem: str) -> None:
    with pytest.raises(NamespaceFileError, match=problem) as caught:
        parse(document)
    assert "\n" not in str(caught.value)


_MERGED = "\n".join(f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}" for n in range(12))
# Each would end the process that loads it, or take its memory: hence the child.
BOMBS = {
    "[" * 200_000: "line 1: is nested deeper than 100 levels; write it with fewer levels",
    "{a: " * 200_000: "line 1: is nested deeper than 100 levels; write it with fewer levels",
    "- " * 200_000: "line 1: is nested deeper than 100 levels; write it with fewer levels",
    f"a0: &a0 {{k: v}}\n{_MERGED}": "line 5: aliases repeat more than 10000 values",
}
_CHILD = """
import sys
from webhook.adapters.namespace_file import NamespaceFileError, parse
try: parse(sys.stdin.read())
except NamespaceFileError as error: print(error)
"""


@pytest.mark.parametrize("bomb", BOMBS, ids=["lists", "mappings", "blocks", "merge keys"])
def test_a_file_that_would_end_the_process_is_refused_before_it_is_loaded(bomb: str) -> None:
    child = [sys.executable, "-c", _CHILD]
    done = subprocess.run(child, input=bomb, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert BOMBS[bomb] in done.stdout


async def test_a_namespace_that_is_not_in_the_file_has_no_labels() -> None:
    namespaces = FileNamespaces(WANTED)

    assert namespaces.cached("team") == WANTED["team"]
    assert namespaces.cached("elsewhere") == UNLABELLED
    assert await namespaces.fetch("elsewhere") == UNLABELLED
    assert FileNamespaces().cached("team") == UNLABELLED


def test_new_labels_decide_from_then_on() -> None:
    namespaces = FileNamespaces(WANTED)

    namespaces.labels = {"team": NamespaceLabels("none")}

    assert namespaces.cached("team").enforce == "none"
    assert namespaces.cached("bare") == UNLABELLED
