"""Text to objects: what is an object, what is skipped, and what is said of the rest."""

from typing import Any

import pytest

from webhook.adapters.manifests.items import ManifestObject, ManifestProblem, PluginDocument
from webhook.adapters.manifests.reading import read_text

POD = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n"


def read(text: str) -> list[ManifestObject | ManifestProblem]:
    return [item for item in read_text(text, "f.yaml") if not isinstance(item, PluginDocument)]


def objects(text: str) -> list[ManifestObject]:
    found = read(text)
    assert all(isinstance(item, ManifestObject) for item in found), found
    return [item for item in found if isinstance(item, ManifestObject)]


def problem(text: str) -> ManifestProblem:
    (found,) = read(text)
    assert isinstance(found, ManifestProblem)
    return found


def names(found: list[ManifestObject | ManifestProblem]) -> list[Any]:
    return [item.object["metadata"]["name"] if isinstance(item, ManifestObject) else item.line for item in found]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n---\n# x\n", "null\n", "~\n", "---\n...\n"])
def test_an_empty_document_is_skipped(text: str) -> None:
    assert read(text) == []


def test_an_object_comes_with_its_place() -> None:
    text = "# first\n---\n\n# second\napiVersion: v1\nkind: Pod\n"

    assert read(text) == [ManifestObject("f.yaml", 5, {"apiVersion": "v1", "kind": "Pod"}, 1, "")]


def test_every_document_of_a_stream_is_read_in_order() -> None:
    text = POD.format("a") + "---\n" + POD.format("b") + "...\n---\n" + POD.format("c")

    assert [(found.document, found.line, found.object["metadata"]["name"]) for found in objects(text)] == [
        (0, 1, "a"),
        (1, 6, "b"),
        (2, 12, "c"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        POD.format("a").replace("\n", "\r\n"),
        "\ufeff" + POD.format("a"),
        '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}',
        '---\n{"apiVersion": "v1", kind: Pod, metadata: {"name": a}}',
        "%YAML 1.1\n---\n" + POD.format("a"),
        "---# as for kubectl\n" + POD.format("a"),
        "---\n\ufeff" + POD.format("a"),
        "--- # joined\r\n# files\n\ufeff" + POD.format("a"),
        POD.format("!!str a"),
        POD.format("a # comment").rstrip(),
    ],
)
def test_the_same_object_is_read_from_any_way_to_write_it(text: str) -> None:
    assert [found.object for found in objects(text)] == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param(
            "{apiVersion: v1, kind: Pod, metadata: {name: a}}",
            1,
            'kubectl reads a file that begins with "{" as JSON, and rejects this one (invalid JSON: unexpected "apiVersion", '
            "on line 1): begin it with ---, or correct it",
            id="braces",
        ),
        pytest.param(
            '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},\n}',
            1,
            'kubectl reads a file that begins with "{" as JSON, and rejects this one (invalid JSON: unexpected "," before '
            '"}", on line 2): begin it with ---, or correct it',
            id="a trailing comma",
        ),
        pytest.param(
            "--- {apiVersion: v1, kind: Pod, metadata: {name: a}}",
            1,
            "text follows --- on the same line, which kubectl rejects: put it on a line of its own",
            id="behind the marker",
        ),
        pytest.param(
            "--- !!map\n" + POD.format("a"),
            1,
            "text follows --- on the same line, which kubectl rejects: put it on a line of its own",
            id="a tag behind the marker",
        ),
        pytest.param(
            "---\n...\n" + POD.format("a"),
            3,
            'kubectl ignores what follows "...": put --- on a line of its own before it',
            id="behind an end",
        ),
    ],
)
def test_what_kubectl_would_not_read_alike_is_read_and_said(text: str, line: int, message: str) -> None:
    told, found = read(text)

    assert told == ManifestProblem("f.yaml", line, message, fatal=False)
    assert isinstance(found, ManifestObject)
    assert found.object == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}


@pytest.mark.parametrize("marker", ["---apiVersion: v1", "---- x", "-----BEGIN CERTIFICATE-----"])
def test_a_marker_with_text_right_behind_it_loses_nothing_silently(marker: str) -> None:
    found = problem(f"{POD.format('a')}{marker}\nkind: Pod\nmetadata:\n  name: b\n---\n")

    assert (found.line, found.fatal) == (5, True)
    assert found.message.startswith(
        f'"{marker}" begins with --- and is not a document separator, which kubectl rejects'
    )


def test_a_line_of_text_that_only_looks_like_a_marker_is_text() -> None:
    (found,) = objects("kind: ConfigMap\ndata:\n  a: |\n    ---b\n    --- c\n")

    assert found.object["data"] == {"a": "---b\n--- c\n"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kind: List\n", 1, "the document is a List and has no items: write its objects as a list under items"),
        ("kind: List\nitems: {a: b}\n", 1, "the document is a List and has items that are a map: write its objects"),
        ("{kind: Pod}\n{kind: Job}\n", 2, 'a second document begins here; put a line "---" before it'),
        ("kind: Pod\n\ufeffkind: Job\n", 2, "a byte order mark (U+FEFF) is in the middle of the text"),
    ],
)
def test_what_would_be_lost_is_a_problem(text: str, line: int, message: str) -> None:
    found = problem(text)

    assert (found.line, found.fatal) == (line, True)
    assert found.message.startswith(message)


def test_a_block_scalar_at_the_end_without_a_line_break_has_one_as_in_kubectl() -> None:
    assert objects("kind: Pod\nscript: |\n  x")[0].object["script"] == "x\n"


def test_json_values_in_a_row_are_documents_with_lines_of_their_own() -> None:
    found = objects('{\n  "kind": "Pod"\n}{"kind": "Job"}\n{\n"kind": "Node"}')

    assert [(item.document, item.line, item.object["kind"]) for item in found] == [
        (0, 1, "Pod"),
        (1, 3, "Job"),
        (2, 4, "Node"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- a\n", 1, "the document is a list, not a map with apiVersion and kind"),
        ("# x\nhello\n", 2, "the document is text, not a map"),
        ("1\n", 1, "the document is a number, not a map"),
        ("yes\n", 1, "the document is a boolean, not a map"),
        ("{}\n", 1, "the document has no kind"),
        ("a: b\n", 1, "the document has no kind"),
        ("apiVersion: v1\nkind:\n", 1, "the document has no kind"),
        ('apiVersion: v1\nkind: ""\n', 1, "the document has no kind"),
        ("kind: 3\n", 1, "the document has a kind that is a number"),
        ("kind: [Pod]\n", 1, "the document has a kind that is a list"),
        ("kind: no\n", 1, "the document has a kind that is a boolean"),
        ("kind: {}\n", 1, "the document has a kind that is a map"),
    ],
)
def test_what_is_no_object_is_a_problem_as_for_kubectl(text: str, line: int, message: str) -> None:
    found = problem(text)

    assert found.line == line
    assert found.message.startswith(message)
    assert found.fatal


def test_an_object_without_a_version_is_left_to_the_reader() -> None:
    assert objects("kind: Pod\n")[0].object == {"kind": "Pod"}


LIST = """\
apiVersion: v1
kind: List
items:
# the first
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
-
  apiVersion: v1
  kind: Pod
  metadata: {name: b}
- {apiVersion: v1, kind: Pod, metadata: {name: c}}
"""


def test_a_list_yields_its_items_each_with_its_own_line_and_pointer() -> None:
    found = objects("---\n" + LIST)

    assert [(item.document, item.pointer, item.line, item.object["metadata"]["name"]) for item in found] == [
        (0, "/items/0", 6, "a"),
        (0, "/items/1", 10, "b"),
        (0, "/items/2", 13, "c"),
    ]


def test_an_item_that_is_no_object_leaves_the_others_alone() -> None:
    found = read("kind: List\nitems:\n- kind: Pod\n- 3\n- a: 1\n-\n- kind: Job\n")

    assert [(item.line, getattr(item, "message", "")) for item in found] == [
        (3, ""),
        (4, "the item at /items/1 is a number, not a map with apiVersion and kind"),
        (
            5,
            (
                "the item at /items/2 has no kind: not a Kubernetes object; leave it out, or render what it belongs to first "
                "(helm template, kubectl kustomize)"
            ),
        ),
        (6, "the item at /items/3 is empty, not a map with apiVersion and kind: remove it"),
        (7, ""),
    ]


def test_a_list_within_a_list_is_flattened_too() -> None:
    (found,) = objects("kind: List\nitems:\n- kind: List\n  items:\n  - kind: Pod\n")

    assert (found.pointer, found.line, found.object) == ("/items/0/items/0", 5, {"kind": "Pod"})


def test_an_item_of_a_typed_list_takes_its_kind_from_the_list() -> None:
    (found,) = objects("apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n")

    assert found.object == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}


@pytest.mark.parametrize("text", ["kind: List\nitems: []\n", "kind: PodList\nitems:\n"])
def test_an_empty_list_yields_nothing(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize("text", ["kind: AllowList\nspec: {}\n", "kind: AllowList\nitems: 3\n"])
def test_a_kind_that_ends_in_list_without_items_is_an_object(text: str) -> None:
    assert objects(text)[0].object["kind"] == "AllowList"


def test_items_behind_an_alias_or_a_merge_are_found() -> None:
    alias = "x: &x\n- kind: Pod\n- kind: Job\nkind: List\nitems: *x\n"
    merge = "x: &x\n  items:\n  - kind: Pod\n  - kind: Job\nkind: List\n<<: *x\n"

    assert [(item.line, item.object["kind"]) for item in objects(alias)] == [(2, "Pod"), (3, "Job")]
    assert [(item.line, item.object["kind"]) for item in objects(merge)] == [(1, "Pod"), (1, "Job")]


def test_a_document_that_cannot_be_parsed_leaves_the_others_alone() -> None:
    text = POD.format("a") + "---\na: b: c\n---\n" + POD.format("b") + "---\n- [\n---\n" + POD.format("c")

    assert names(read(text)) == ["a", 6, "b", 13, "c"]


def test_a_json_value_that_cannot_be_parsed_comes_after_those_before_it() -> None:
    found = read('{"kind": "Pod"}\n{"kind": "Job",}')

    assert isinstance(found[0], ManifestObject)
    assert found[1:] == [ManifestProblem("f.yaml", 2, 'invalid JSON: unexpected "," before "}"', column=16)]


def test_a_key_that_stands_twice_is_told_and_the_object_follows() -> None:
    text = "---\nkind: Pod\nspec:\n  a: 1\n  a: 2\n"

    assert read(text) == [
        ManifestProblem(
            "f.yaml",
            5,
            '"a" is defined twice in one map, on lines 4 and 5: kubectl uses the last and drops the first; remove one',
            fatal=False,
        ),
        ManifestObject("f.yaml", 2, {"kind": "Pod", "spec": {"a": 2}}, 0, ""),
    ]


def test_a_key_that_stands_twice_in_something_repeated_is_told_once() -> None:
    found = read("kind: Pod\na: &a {x: 1, x: 2}\nb: *a\n")

    assert [item.line for item in found if isinstance(item, ManifestProblem)] == [2]


def test_items_that_stand_twice_are_the_last() -> None:
    found = read("kind: List\nitems: [{kind: Pod}]\nitems: [{kind: Job}, {kind: Job}]\n")

    assert [(item.line, item.object["kind"]) for item in found if isinstance(item, ManifestObject)] == [
        (3, "Job"),
        (3, "Job"),
    ]


def test_a_configuration_of_the_device_plugin_is_neither_object_nor_problem() -> None:
    text = "# ours\nversion: v1\nsharing: {mps: {resources: []}}\n---\n" + POD.format("p")
    plugin, pod = read_text(text, "f.yaml")
    assert isinstance(plugin, PluginDocument)
    assert (plugin.item.line, plugin.item.document) == (2, 0)
    assert isinstance(pod, ManifestObject)
