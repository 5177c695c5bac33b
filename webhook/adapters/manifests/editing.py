"""Edits the text of a source: JSON Patch in, the same text out with only the patched lines changed."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .items import EditError, UnreadableError
from .splicing.layout import spliced
from .splicing.operations import Operation, apply
from .splicing.rewriting import changes_of
from .tree.documents import Document, documents
from .tree.nodes import Node
from .tree.values import data_of, same


def edit_text(text: str, edits: Mapping[tuple[int, str], Sequence[Operation]]) -> str:
    """The text with the patches applied.

    Everything that no operation changes stays byte for byte: comments, order, quotes, anchors, blank lines, document markers,
    indentation, line endings, a byte order mark. JSON stays JSON. The result is parsed and compared before it is returned.

    Args:
        text: a source, as it was read.
        edits: operations by the number of the document and the pointer of the object in it, both as ``reading`` yields them;
            their paths are relative to the object.

    Raises:
        EditError: when an edit does not fit the text, or cannot be written into it.
    """
    by_document: dict[int, list[tuple[str, Sequence[Operation]]]] = {}
    for (index, pointer), operations in edits.items():
        if operations:
            by_document.setdefault(index, []).append((pointer, operations))
    pieces: list[str] = []
    done = 0
    for document in documents(text):
        wanted = by_document.pop(document.index, None)
        if wanted:
            pieces += text[done : document.start], _edited(document, wanted)
            done = document.start + len(document.text)
    if by_document:
        raise EditError(f"there is no document {min(by_document)} to edit")
    return "".join((*pieces, text[done:]))


def _edited(document: Document, edits: Iterable[tuple[str, Sequence[Operation]]]) -> str:
    try:
        root = document.parse()
        if root is None:
            raise EditError(f"the document on line {document.line} is empty")
        data = data_of(root)
    except UnreadableError as error:
        raise EditError(f"line {error.line}: {error}") from error
    target = copy.deepcopy(data)
    for pointer, operations in edits:
        target = apply(target, operations, pointer)
    if same(data, target):
        return document.text
    edited = _rewritten(document, root, target)
    if not _says(document, edited, target):
        raise EditError(
            f"the document on line {document.line} cannot be edited without changing what its other parts mean: "
            "write its anchors and merge keys (&, *, <<) out, or edit it by hand"
        )
    return edited


def _rewritten(document: Document, root: Node, target: Any) -> str:
    line_break = "\r\n" if "\r\n" in document.text else "\n"
    splices = changes_of(document.text, root, target, is_json=document.json)
    return spliced(document.text, (splice._replace(text=splice.text.replace("\n", line_break)) for splice in splices))


def _says(document: Document, text: str, target: Any) -> bool:
    """Whether a text is one document with this data."""
    try:
        again = list(documents(text))
        root = replace(document, text=text).parse()
        return len(again) == 1 and root is not None and same(data_of(root), target)
    except UnreadableError:
        return False
