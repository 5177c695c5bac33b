"""Edits in YAML: what must not change, then what each change looks like."""

import pytest

from tests.adapters.manifests.editing import add, edited, move, remove, replace
from webhook.adapters.manifests import editing
from webhook.adapters.manifests.editing import edit_text
from webhook.adapters.manifests.items import EditError
from webhook.adapters.manifests.splicing.layout import Splice
from webhook.adapters.manifests.splicing.operations import Operation

POD = """\
# A pod.  It has trailing spaces:  \n\
---

apiVersion: v1
kind:   "Pod"
metadata: {name: a,   labels: { 'x' : "y" }}   # flow
spec:
    containers:
      # the main one
      - name: main   # aligned
        resources:
          limits:

            nvidia.com/gpu: 1      # one whole GPU
            "cpu": '0.50'
            # the end of the limits
      -   name: other
          args: ["-c",
                 'x']   # over two lines
          command:
          - |
            echo   # no comment

          - >-
            folded
            text
    # what remains
    hostIPC: yes
...
"""

UNTOUCHED = {
    "nothing": "",
    "a comment": "# x\n",
    "a pod": POD,
    "a pod with CRLF": POD.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + POD,
    "several documents": POD + POD + "---\n- not: [ an, object ]\n---\nb: c: d\n---\n{{ x }}\n",
    "JSON": '{ "kind":"Pod",\n\n"a" : [1,2.50,\t3] }\n\n',
    "no line break at the end": "kind: Pod",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=list(UNTOUCHED))
def test_a_text_without_edits_stays_the_same_to_the_byte(text: str) -> None:
    assert edit_text(text, {}) == text
    assert edit_text(text, {(0, ""): []}) == text


@pytest.mark.parametrize(
    "operations",
    [
        [replace("/spec/hostIPC", True)],  # noqa: FBT003 - it is data
        [add("/kind", "Pod")],
        [add("/x", 1), remove("/x")],
        [move("/kind", "/kind")],
        [move("/kind", "/x"), move("/x", "/kind")],
        [replace("/metadata/labels", {"x": "y"})],
    ],
    ids=str,
)
def test_edits_that_change_no_data_leave_the_document_as_it_is(operations: list[Operation]) -> None:
    assert edit_text(POD, {(1, ""): operations}) == POD


def lines_that_differ(old: str, new: str) -> tuple[list[str], list[str]]:
    """Lines only in the old and only in the new text, which share a beginning and an end."""
    before, after = old.splitlines(), new.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return before, after


GPU = "/spec/containers/0/resources/limits/nvidia.com~1gpu"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_renamed_key_keeps_its_place_and_its_comment(newline: str) -> None:
    text = POD.replace("\n", newline)

    new = edit_text(text, {(1, ""): [move(GPU, GPU + ".shared")]})

    assert lines_that_differ(text, new) == (
        ["            nvidia.com/gpu: 1      # one whole GPU"],
        ["            nvidia.com/gpu.shared: 1      # one whole GPU"],
    )
    assert new.count("\n") == new.count(newline)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_is_added_stands_behind_its_siblings_and_before_the_comment_of_the_next(newline: str) -> None:
    text = POD.replace("\n", newline)
    limit = add("/spec/containers/0/resources/limits/memory", "1Gi")

    new = edit_text(text, {(1, ""): [limit]})

    assert lines_that_differ(text, new) == ([], ["            memory: '1Gi'"])
    assert "'0.50'\n            memory: '1Gi'\n            # the end of the limits".replace("\n", newline) in new


def test_only_the_edited_documents_change() -> None:
    text = POD + POD

    new = edit_text(text, {(3, ""): [move(GPU, GPU + ".shared")]})

    assert new.startswith(POD + "# A pod.")
    assert new == POD + edit_text(POD, {(1, ""): [move(GPU, GPU + ".shared")]})


def test_the_items_of_a_list_are_edited_by_their_pointers() -> None:
    text = "kind: List\nitems:\n- kind: A # one\n- kind: B\n\n  # two\n- {kind: C}\n"

    new = edit_text(text, {(0, "/items/0"): [add("/a", 1)], (0, "/items/2"): [add("/a", 1)]})

    assert new == "kind: List\nitems:\n- kind: A # one\n  a: 1\n- kind: B\n\n  # two\n- {kind: C, a: 1}\n"


TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists"}
INDENTED = """\
a:
  - b
c:
  nodeAffinity:
    terms:
      - matchExpressions:
          - key: a
            values:
              - b
              - c
"""
NOT_INDENTED = """\
a:
- b
c:
  nodeAffinity:
    terms:
    - matchExpressions:
      - key: a
        values:
        - b
        - c
"""
AFFINITY = {"nodeAffinity": {"terms": [{"matchExpressions": [{"key": "a", "values": ["b", "c"]}]}]}}

# what is edited, the operations, what comes out
ADDED: dict[str, tuple[str, list[Operation], str]] = {
    "a map into a map": ("a:\n  b: 1\n", [add("/c", {"d": {"e": 1}})], "a:\n  b: 1\nc:\n  d:\n    e: 1\n"),
    "indentation of four": ("a:\n    b: 1\n", [add("/c", {"d": 1})], "a:\n    b: 1\nc:\n    d: 1\n"),
    "lists as in the neighbourhood, indented": (
        "a:\n  - b\n",
        [add("/c", AFFINITY)],
        INDENTED,
    ),
    "lists as in the neighbourhood, not indented": (
        "a:\n- b\n",
        [add("/c", AFFINITY)],
        NOT_INDENTED,
    ),
    "wide dashes": ("a:\n-   b: 1\n", [add("/a/-", {"c": 1, "d": 2})], "a:\n-   b: 1\n-   c: 1\n    d: 2\n"),
    "an item": ("a:\n- b # x\n# y\n", [add("/a/-", "c")], "a:\n- b # x\n- c\n# y\n"),
    "an item in front": ("a:\n- b # x\n", [add("/a/0", "c")], "a:\n- c\n- b # x\n"),
    "an item in between": ("a:\n- b\n- d\n", [add("/a/1", {"c": 1})], "a:\n- b\n- c: 1\n- d\n"),
    "an item like its neighbours in braces": (
        "a:\n- {b: c}\n",
        [add("/a/-", TOLERATION)],
        "a:\n- {b: c}\n- {key: nvidia.com/gpu, operator: Exists}\n",
    ),
    "quotes like the neighbours'": ("a:\n  b: 'c'\n", [add("/a/d", "e")], "a:\n  b: 'c'\n  d: 'e'\n"),
    "quotes like most neighbours'": ('a:\n  b: "c"\n  d: e\n', [add("/a/f", "g")], 'a:\n  b: "c"\n  d: e\n  f: g\n'),
    "quotes only for text": ("a:\n  b: 'c'\n", [add("/a/d", 1)], "a:\n  b: 'c'\n  d: 1\n"),
    "quotes around keys like the neighbours'": ('a:\n  "b": 1\n', [add("/a/c", 1)], 'a:\n  "b": 1\n  "c": 1\n'),
    "quotes in a list of maps": (
        'a:\n- key: "b"\n  n: 1\n',
        [add("/a/-", TOLERATION)],
        'a:\n- key: "b"\n  n: 1\n- key: "nvidia.com/gpu"\n  operator: "Exists"\n',
    ),
    "quotes where Kubernetes needs them": (
        "a: b\n",
        [add("/c", {"yes": "on", "n": "1_000", "f": ".5", "t": "2001-01-01", "s": "1:30", "e": "", "x": "nil"})],
        'a: b\nc:\n  "yes": "on"\n  "n": "1_000"\n  f: ".5"\n  t: "2001-01-01"\n  s: "1:30"\n  e: ""\n  x: nil\n',
    ),
    "text that needs escapes": (
        "a: b\n",
        [add("/c", 'x\n\ty"\u2028\x07')],
        'a: b\nc: "x\\n\\ty\\"\\L\\a"\n',
    ),
    "text with a colon and a hash": ("a: 'b'\n", [add("/c", ["d: e", "f #g"])], "a: 'b'\nc:\n- 'd: e'\n- 'f #g'\n"),
    "long text": ("a: b\n", [add("/c", "d " * 100 + "e")], "a: b\nc: " + "d " * 100 + "e\n"),
    "empty collections": ("a: b\n", [add("/c", {}), add("/d", [])], "a: b\nc: {}\nd: []\n"),
    "nothing": ("a: b\n", [add("/c", None)], "a: b\nc:\n"),
    "behind nothing": ("a:\n  b:\n", [add("/a/c", 1)], "a:\n  b:\n  c: 1\n"),
    "behind a comment on nothing": ("a:\n  b: # x\n", [add("/a/c", 1)], "a:\n  b: # x\n  c: 1\n"),
    "without a line break at the end": ("a:\n  b: 1", [add("/a/c", 1), add("/d", 1)], "a:\n  b: 1\n  c: 1\nd: 1"),
    "behind a comment without a line break": ("a: 1 # x", [add("/b", 1)], "a: 1 # x\nb: 1"),
    "to several maps that end on one line": (
        "a:\n  b:\n    c: 1\n",
        [add("/a/b/d", 1), add("/a/e", 1), add("/f", 1)],
        "a:\n  b:\n    c: 1\n    d: 1\n  e: 1\nf: 1\n",
    ),
    "before an end marker": ("---\na: 1\n...\n", [add("/b", 1)], "---\na: 1\nb: 1\n...\n"),
    "below a directive": ("%YAML 1.1\n---\na: 1\n", [add("/b", 1)], "%YAML 1.1\n---\na: 1\nb: 1\n"),
    "behind a byte order mark": ("\ufeffa: 1\n", [add("/b", 1)], "\ufeffa: 1\nb: 1\n"),
    "behind a literal": ("a: |\n  x\n\n# y\n", [add("/b", 1)], "a: |\n  x\nb: 1\n\n# y\n"),
    "behind a literal without a line break": ("a: |\n  x", [add("/b", 1)], "a: |\n  x\nb: 1"),
    "behind a literal that keeps its end": ("a: |+\n  x\n\n\n", [add("/b", 1)], "a: |+\n  x\n\n\nb: 1\n"),
    "behind a literal that keeps its end, with CRLF": (
        "a: |+\r\n  x\r\n\r\n",
        [add("/b", 1)],
        "a: |+\r\n  x\r\n\r\nb: 1\r\n",
    ),
    "behind a literal that ends in spaces": ("a: |\n  x\n    \n\n", [add("/b", 1)], "a: |\n  x\n    \nb: 1\n\n"),
    "behind a literal with an indicator": ("a: |2\n   x\n\n", [add("/b", 1)], "a: |2\n   x\nb: 1\n\n"),
    "behind text over two lines": ("a: x\n  y # z\n", [add("/b", 1)], "a: x\n  y # z\nb: 1\n"),
    "behind quotes over two lines": ('a: "x\n\n  y" # z\n', [add("/b", 1)], 'a: "x\n\n  y" # z\nb: 1\n'),
    "below a question mark": ("? a\n: b: 1\n", [add("/a/c", 1), add("/d", 1)], "? a\n: b: 1\n  c: 1\nd: 1\n"),
    "into nothing": ("a:\nb: 1\n", [replace("/a", {"c": 1})], "a:\n  c: 1\nb: 1\n"),
    "into nothing, with a comment": ("a: # x\nb: 1\n", [replace("/a", [1])], "a: # x\n- 1\nb: 1\n"),
    "into nothing in a list": ("a:\n-\n- 1\n", [replace("/a/0", {"b": 1, "c": 2})], "a:\n- b: 1\n  c: 2\n- 1\n"),
    "into empty braces": ("a: {} # x\n", [add("/a/b", 1)], "a: # x\n  b: 1\n"),
    "into empty brackets": ("a:\n  b: [] # x\n", [add("/a/b/-", 1)], "a:\n  b: # x\n  - 1\n"),
}

IN_BRACKETS: dict[str, tuple[str, list[Operation], str]] = {
    "an entry": ("a: {b: 1}\n", [add("/a/c", 1)], "a: {b: 1, c: 1}\n"),
    "an entry with spaces inside": ("a: { b: 1 }\n", [add("/a/c", 1)], "a: { b: 1, c: 1 }\n"),
    "an entry without spaces": ("a: {b: 1,c: 2}\n", [add("/a/d", 1)], "a: {b: 1,c: 2,d: 1}\n"),
    "a map": ("a: {b: 1}\n", [add("/a/c", {"d": [1, {"e": 2}]})], "a: {b: 1, c: {d: [1, {e: 2}]}}\n"),
    "a text with brackets": ("a: {b: 1}\n", [add("/a/c", "d, [e]")], 'a: {b: 1, c: "d, [e]"}\n'),
    "an entry behind a comma": ("a: {b: 1 , }\n", [add("/a/c", 1)], "a: {b: 1, c: 1 , }\n"),
    "an item in front": ("a: [b]\n", [add("/a/0", 1)], "a: [1, b]\n"),
    "an entry over lines": ("a: {\n  b: 1\n}\n", [add("/a/c", 1)], "a: {\n  b: 1,\n  c: 1\n}\n"),
    "an entry over lines, with a last comma": (
        "a: {\n  b: 1, # x\n}\n",
        [add("/a/c", 1), add("/a/d", 1)],
        "a: {\n  b: 1, # x\n  c: 1,\n  d: 1,\n}\n",
    ),
    "an entry over lines, with a comment": (
        "a: {\n  b: 1 # x\n}\n",
        [add("/a/c", 1)],
        "a: {\n  b: 1, # x\n  c: 1\n}\n",
    ),
    "an entry over lines, closed on the last": (
        "a: {b: 1,\n  c: 1}\n",
        [add("/a/d", 1)],
        "a: {b: 1,\n  c: 1,\n  d: 1}\n",
    ),
    "a second key in a list": ("a: [b: 1]\n", [add("/a/0/c", 2)], "a: [{b: 1, c: 2}]\n"),
    "a value for a key alone": ("a: {b, c: }\n", [replace("/a/b", 1), replace("/a/c", 2)], "a: {b: 1, c: 2 }\n"),
    "a renamed key": ("a: {b: 1, 'c': 2}\n", [move("/a/b", "/a/x"), move("/a/c", "/a/y")], "a: {x: 1, 'y': 2}\n"),
    "a removed entry": ("a: {b: 1, c: 2, d: 3}\n", [remove("/a/c")], "a: {b: 1, d: 3}\n"),
    "the first removed": ("a: { b: 1, c: 2 }\n", [remove("/a/b")], "a: { c: 2 }\n"),
    "the last removed": ("a: [1, 2 ]\n", [remove("/a/1")], "a: [1 ]\n"),
    "all removed": ("a: [1]\n", [remove("/a/0")], "a: []\n"),
    "one removed, one added": ("a: [1, 2, 3]\n", [remove("/a/1"), add("/a/-", 4)], "a: [1, 3, 4]\n"),
}

REMOVED: dict[str, tuple[str, list[Operation], str]] = {
    "an entry": ("a: 1\n# x\nb: 2 # y\n# z\nc: 3\n", [remove("/b")], "a: 1\n# x\n# z\nc: 3\n"),
    "the first entry": ("a: 1\nb: 2\n", [remove("/a")], "b: 2\n"),
    "the first entry behind a marker": ("---\na: 1\nb: 2\n", [remove("/a")], "---\nb: 2\n"),
    "the last entry": ("a: 1\nb: 2", [remove("/b")], "a: 1"),
    "an entry over lines": ("a: 1\nb:\n  c:\n  - |\n    x\nd: 1\n", [remove("/b")], "a: 1\nd: 1\n"),
    "with CRLF": ("a: 1\r\nb: 2\r\nc: 3\r\n", [remove("/b")], "a: 1\r\nc: 3\r\n"),
    "the only entry": ("a:\n  # x\n  b: 1\nc: 1\n", [remove("/a/b")], "a: {}\nc: 1\n"),
    "the only entry, with a comment at the key": ("a: # x\n  b: 1\n", [remove("/a/b")], "a: {} # x\n"),
    "the only item": ("a:\n- 1 # x\n", [remove("/a/0")], "a: []\n"),
    "the first entry behind a dash": ("- a: 1\n  b: 2\n  c: 3\n", [remove("/0/a")], "- b: 2\n  c: 3\n"),
    "two entries behind a dash": ("- a: 1\n  b: 2\n  c: 3\n", [remove("/0/a"), remove("/0/b")], "- c: 3\n"),
    "all entries behind a dash": ("- a: 1\n  b: 2\n- c\n", [remove("/0/a"), remove("/0/b")], "- {}\n- c\n"),
    "an item": ("a:\n  - 1\n  # x\n  - 2\n  - 3\n", [remove("/a/1")], "a:\n  - 1\n  # x\n  - 3\n"),
    "the last, with one added to the outer map": (
        "a:\n  b: 1\n  c: 2\n",
        [remove("/a/c"), add("/d", 1)],
        "a:\n  b: 1\nd: 1\n",
    ),
}

REPLACED: dict[str, tuple[str, list[Operation], str]] = {
    "a number": ("a:   1   # x\n", [replace("/a", 2)], "a:   2   # x\n"),
    "a text in quotes by a number": ("a: '1'\n", [replace("/a", 2)], "a: 2\n"),
    "a number by a text": ("a: 1\n", [replace("/a", "1")], 'a: "1"\n'),
    "text over lines": ("a: x\n  y # z\nb: 1\n", [replace("/a", "w")], "a: w # z\nb: 1\n"),
    "a literal": ("a: | # x\n  y\n\nb: 1\n", [replace("/a", "w")], "a: w\n\nb: 1\n"),
    "a literal by a map": ("a: |\n  y\nb: 1\n", [replace("/a", {"c": 1})], "a:\n  c: 1\nb: 1\n"),
    "a map by a text": ("a: # x\n  b: 1 # y\nc: 1\n", [replace("/a", "w")], "a: w # x\nc: 1\n"),
    "a map by a list": ("a: # x\n  b: 1\nc: 1\n", [replace("/a", [1])], "a: # x\n- 1\nc: 1\n"),
    "a text by a map": ("a: b # x\n", [replace("/a", {"c": 1})], "a: # x\n  c: 1\n"),
    "an item by a map": ("- a # x\n- b\n", [replace("/0", {"c": 1})], "- c: 1 # x\n- b\n"),
    "an item that is a map by a number": ("- a: 1\n  b: 2 # x\n- c\n", [replace("/0", 3)], "- 3 # x\n- c\n"),
    "a map by another with the same key": ("a:\n  b: 1 # x\n  c: 2\n", [replace("/a", {"b": 3})], "a:\n  b: 3 # x\n"),
    "something with a tag": ("a: !!str 1\n", [replace("/a", 2)], "a: 2\n"),
    "a value and its key": ("a: 1 # x\n", [move("/a", "/b"), replace("/b", 2)], "b: 2 # x\n"),
    "a key in quotes": ("'a' : 1\n", [move("/a", "/b")], "'b' : 1\n"),
    "a key by one that needs quotes": ("a: 1\n", [move("/a", "/yes")], '"yes": 1\n'),
    "a key below a question mark": ("? a\n: 1\n", [move("/a", "/b")], "? b\n: 1\n"),
    "a key with an anchor": ("&k a: 1\n", [move("/a", "/b")], "&k b: 1\n"),
    "the place of a value": ("a:\n  b: {c: 1}\nd: 1\n", [move("/a/b", "/e")], "a: {}\nd: 1\ne:\n  c: 1\n"),
}


@pytest.mark.parametrize(("text", "operations", "result"), ADDED.values(), ids=list(ADDED))
def test_what_is_added_looks_like_its_neighbours(text: str, operations: list[Operation], result: str) -> None:
    assert edited(text, *operations) == result


@pytest.mark.parametrize(("text", "operations", "result"), IN_BRACKETS.values(), ids=list(IN_BRACKETS))
def test_what_stands_in_brackets_stays_there(text: str, operations: list[Operation], result: str) -> None:
    assert edited(text, *operations) == result


@pytest.mark.parametrize(("text", "operations", "result"), REMOVED.values(), ids=list(REMOVED))
def test_what_is_removed_takes_only_its_own_lines(text: str, operations: list[Operation], result: str) -> None:
    assert edited(text, *operations) == result


@pytest.mark.parametrize(("text", "operations", "result"), REPLACED.values(), ids=list(REPLACED))
def test_what_is_replaced_leaves_its_surroundings(text: str, operations: list[Operation], result: str) -> None:
    assert edited(text, *operations) == result


def test_of_a_key_that_stands_twice_the_one_that_counts_is_edited() -> None:
    assert edited("a: {x: 1}\nb: 1\na: {x: 2}\n", move("/a/x", "/a/z")) == "a: {x: 1}\nb: 1\na: {z: 2}\n"


@pytest.mark.parametrize(
    ("text", "operation", "message"),
    [
        ("a: 1\n", remove("/b"), "does not fit the document: KeyError('b')"),
        ("a: b: c\n", remove("/a"), 'line 1: unexpected ": "'),
        ("# x\n", add("/a", 1), "the document on line 1 is empty"),
        ("a: 1\n", remove("/a"), "no part of the document would stay"),
    ],
)
def test_an_edit_that_does_not_fit_is_an_error(text: str, operation: Operation, message: str) -> None:
    with pytest.raises(EditError) as error:
        edited(text, operation)

    assert message in str(error.value)


@pytest.mark.parametrize("nonsense", [" ", "\n---\nb: 1\n", "\nb: 2", ": ["])
def test_a_result_that_does_not_say_what_it_should_is_never_given_back(
    monkeypatch: pytest.MonkeyPatch, nonsense: str
) -> None:
    monkeypatch.setattr(editing, "changes_of", lambda text, *_, **__: [Splice(len(text), len(text), nonsense)])

    with pytest.raises(EditError, match="the document on line 1 cannot be edited"):
        edited("a: 1", add("/b", 1))


def test_an_edit_of_a_document_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EditError, match="there is no document 3"):
        edit_text(POD, {(3, ""): [add("/a", 1)]})


def test_an_edit_of_an_item_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EditError, match="does not fit /items/1"):
        edit_text("kind: List\nitems:\n- kind: Pod\n", {(0, "/items/1"): [add("/a", 1)]})
