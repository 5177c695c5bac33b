"""Edits of what is used in several places: no place changes that no operation names."""

import pytest

from tests.adapters.manifests.editing import add, edited, move, remove, replace
from webhook.adapters.manifests.items import EditError
from webhook.adapters.manifests.splicing.operations import Operation

ALIAS = "a: &x\n  b: 1 # one\nc: *x # shared\nd: [*x ]\n"
MERGE = "a: &x\n  b: 1 # one\nc: # merged\n  <<: *x # all of it\n  e: 2\n"

CASES: dict[str, tuple[str, list[Operation], str]] = {
    "the same change at the anchor and at every alias is made once": (
        ALIAS,
        [move(f"/{place}/b", f"/{place}/z") for place in ("a", "c", "d/0")],
        "a: &x\n  z: 1 # one\nc: *x # shared\nd: [*x ]\n",
    ),
    "a change at the anchor alone leaves copies at the aliases": (
        ALIAS,
        [add("/a/z", 1)],
        "a: &x\n  b: 1 # one\n  z: 1\nc: # shared\n  b: 1\nd: [{b: 1} ]\n",
    ),
    "a change at one alias makes a copy there": (
        ALIAS,
        [add("/c/z", 1)],
        "a: &x\n  b: 1 # one\nc: # shared\n  b: 1\n  z: 1\nd: [*x ]\n",
    ),
    "a change below an alias within brackets makes a copy there": (
        ALIAS,
        [replace("/d/0/b", 2)],
        "a: &x\n  b: 1 # one\nc: *x # shared\nd: [{b: 2} ]\n",
    ),
    "an anchor that is removed leaves copies": (ALIAS, [remove("/a")], "c: # shared\n  b: 1\nd: [{b: 1} ]\n"),
    "an anchor that is replaced leaves copies": (
        ALIAS,
        [replace("/a", 1)],
        "a: 1\nc: # shared\n  b: 1\nd: [{b: 1} ]\n",
    ),
    "a number": ("a: &x 1\nb: *x\n", [replace("/a", 2)], "a: 2\nb: 1\n"),
    "an alias that is removed": (ALIAS, [remove("/c")], "a: &x\n  b: 1 # one\nd: [*x ]\n"),
    "an anchor within what an alias repeats": (
        "a: &x {b: &y [1]}\nc: *x\nd: *y\n",
        [add("/a/b/-", 2), add("/c/b/-", 2), add("/d/-", 2)],
        "a: &x {b: &y [1, 2]}\nc: *x\nd: *y\n",
    ),
    "a key of its own beside a merge": (
        MERGE,
        [add("/c/z", 1), move("/c/e", "/c/f")],
        "a: &x\n  b: 1 # one\nc: # merged\n  <<: *x # all of it\n  f: 2\n  z: 1\n",
    ),
    "the same change of a merged map and of its source": (
        MERGE,
        [move("/a/b", "/a/z"), move("/c/b", "/c/z")],
        "a: &x\n  z: 1 # one\nc: # merged\n  <<: *x # all of it\n  e: 2\n",
    ),
    "a change of the source alone leaves a copy": (
        MERGE,
        [replace("/a/b", 3)],
        "a: &x\n  b: 3 # one\nc: # merged\n  b: 1 # all of it\n  e: 2\n",
    ),
    "a change of the merged map alone makes a copy": (
        MERGE,
        [move("/c/b", "/c/z")],
        "a: &x\n  b: 1 # one\nc: # merged\n  z: 1 # all of it\n  e: 2\n",
    ),
    "a merged key that is removed takes the merge away": (
        MERGE,
        [remove("/c/b")],
        "a: &x\n  b: 1 # one\nc: # merged\n  e: 2\n",
    ),
    "all merged keys removed": ("a: &x {b: 1}\nc: {<<: *x }\n", [remove("/c/b")], "a: &x {b: 1}\nc: {}\n"),
    "a source that is removed": (MERGE, [remove("/a")], "c: # merged\n  b: 1 # all of it\n  e: 2\n"),
    "a source that is no map any more": (
        MERGE,
        [replace("/a", [1])],
        "a:\n- 1\nc: # merged\n  b: 1 # all of it\n  e: 2\n",
    ),
    "several sources": (
        "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x , *y ], r: 3}\n",
        [replace("/b/q", 9)],
        "a: &x {p: 1}\nb: &y {p: 2, q: 9}\nc: {p: 1, q: 2, r: 3}\n",
    ),
    "several sources of which an unused part changes": (
        "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x , *y ], r: 3}\n",
        [replace("/b/p", 9)],
        "a: &x {p: 1}\nb: &y {p: 9, q: 2}\nc: {<<: [*x , *y ], r: 3}\n",
    ),
    "a key that overrides a merged one": (
        "a: &x {p: 1}\nb:\n  <<: *x\n  p: 2\n",
        [replace("/b/p", 3)],
        "a: &x {p: 1}\nb:\n  <<: *x\n  p: 3\n",
    ),
    "a key that overrides a merged one, removed": (
        "a: &x {p: 1}\nb:\n  <<: *x\n  p: 2\n  q: 3\n",
        [remove("/b/p")],
        "a: &x {p: 1}\nb:\n  q: 3\n",
    ),
    "an anchor within a merged map": (
        "a: {<<: {p: &x [1]}, q: *x }\n",
        [add("/a/r", 1)],
        "a: {<<: {p: &x [1]}, q: *x, r: 1 }\n",
    ),
}


@pytest.mark.parametrize(("text", "operations", "result"), CASES.values(), ids=list(CASES))
def test_a_shared_value_changes_only_where_it_is_meant(text: str, operations: list[Operation], result: str) -> None:
    assert edited(text, *operations) == result


LIMITS = "/spec/containers/{}/resources/limits/nvidia.com~1gpu{}"


def test_containers_that_share_their_resources_are_renamed_at_the_anchor() -> None:
    text = """\
kind: Pod
spec:
  containers:
  - name: a
    resources: &gpu
      limits: {nvidia.com/gpu: 1} # one each
  - name: b
    resources: *gpu
  - name: c
    resources:
      <<: *gpu
      requests: {cpu: 1}
"""
    renames = [move(LIMITS.format(index, ""), LIMITS.format(index, ".shared")) for index in range(3)]

    assert edited(text, *renames) == text.replace("nvidia.com/gpu:", "nvidia.com/gpu.shared:")


def test_merges_that_would_override_an_edit_are_refused() -> None:
    with pytest.raises(EditError, match="write its anchors and merge keys"):
        edited("a: &x {p: 1}\nb: {q: 1, <<: *x }\n", replace("/b/q", 2), add("/a/q", 3), add("/b/p", 1))
