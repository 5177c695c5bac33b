"""Reads the Kubernetes objects in a source's text, and reports a problem for each part that is not one."""

import re
from collections.abc import Iterator
from typing import Any

from ...application.plugin_configuration import is_plugin_configuration
from ...application.type_mismatches import what
from . import helm
from .items import ManifestObject, ManifestProblem, PluginDocument, UnreadableError
from .tree.documents import BYTE_ORDER_MARK, Document, documents
from .tree.from_json import parse_json
from .tree.nodes import Alias, Mapping, Node, Scalar, Sequence
from .tree.values import Repeated, data_of

_MISSING = object()
_RENDER = "; leave it out, or render what it belongs to first (helm template, kubectl kustomize)"
_MARKED = re.compile(r"(?:[ \t]*(?:[#%].*)?\r?\n)*---")


def read_text(text: str, source: str) -> Iterator[ManifestObject | PluginDocument | ManifestProblem]:
    """Yield the objects of a YAML stream or of JSON values, in order; an unreadable one does not affect the others.

    A configuration of the NVIDIA device plugin is not an object, and is yielded as a ``PluginDocument``.

    As in kubectl, empty documents are skipped, and a document that is not a map or has no ``kind`` is a problem. Lists (``List``,
    ``PodList``, ...) yield their items. Helm templates are reported once for the whole source, which ``source`` names.
    """
    template_named = False
    for document in documents(text):
        try:
            found = list(_objects(document, source))
        except _TemplateError as error:
            if template_named:
                continue
            template_named = True
            found = [ManifestProblem(source, error.line, str(error))]
        except UnreadableError as error:
            found = [ManifestProblem(source, error.line, str(error), column=error.column)]
        yield from found


class _TemplateError(UnreadableError):
    def __init__(self, line: int) -> None:
        super().__init__(line, helm.RENDER_FIRST.format(line=line))


def _objects(document: Document, source: str) -> Iterator[ManifestObject | PluginDocument | ManifestProblem]:
    may_be_template = helm.OPENING in document.text
    repeated: list[Repeated] = []
    try:
        root = document.parse()
        if root is None:
            return
        data = data_of(root, repeated)
    except UnreadableError:
        line = helm.broken_template_line(document.text) if may_be_template else None
        if line is None:
            raise
        raise _TemplateError(line + document.line - 1) from None
    if may_be_template and (line := helm.template_line(root, data)):
        raise _TemplateError(line)
    for key in dict.fromkeys(repeated):
        yield ManifestProblem(source, key.second, _twice(key), fatal=False)
    if data is not None:
        yield from _rejected(document, source, root)
        if is_plugin_configuration(data):
            yield PluginDocument(ManifestObject(source, _first_key(root).line, data, document.index, ""))
            return
        yield from _flattened(document, source, "", root, data)


def _rejected(document: Document, source: str, root: Node) -> Iterator[ManifestProblem]:
    """Warn of valid YAML that kubectl reads differently."""
    if document.json:
        return
    text = document.text.lstrip(f"{BYTE_ORDER_MARK} \t\r\n")
    if document.index == 0 and text.startswith("{"):
        fault = _no_json(document)
    elif text.startswith("---") and (behind := text[3:].split("\n", 1)[0].strip()) and not behind.startswith("#"):
        fault = "text follows --- on the same line, which kubectl rejects: put it on a line of its own"
    elif document.index and not _MARKED.match(text):
        fault = 'kubectl ignores what follows "...": put --- on a line of its own before it'
    else:
        return
    yield ManifestProblem(source, root.line, fault, fatal=False)


def _no_json(document: Document) -> str:
    fault = "invalid JSON"
    try:
        parse_json(document.text, document.line)
    except UnreadableError as error:
        fault = f"{error}, on line {error.line}"
    return f'kubectl reads a file that begins with "{{" as JSON, and rejects this one ({fault}): begin it with ---, or correct it'


def _twice(key: Repeated) -> str:
    return (
        f'"{key.key}" is defined twice in one map, on lines {key.first} and {key.second}: kubectl uses the last and drops the '
        "first; remove one"
    )


def _flattened(
    document: Document, source: str, pointer: str, node: Node, data: Any
) -> Iterator[ManifestObject | ManifestProblem]:
    """The object at a place, or the items of the list at that place."""
    if fault := _fault(data):
        place = f"the item at {pointer}" if pointer else "the document"
        foreign = not pointer and not (isinstance(data, dict) and isinstance(data.get("kind"), str) and data["kind"])
        yield ManifestProblem(source, node.line, f"{place} {fault}", foreign=foreign)
        return
    kind, items = data["kind"], data.get("items", _MISSING)
    if not kind.endswith("List") or not isinstance(items, list | None):
        yield ManifestObject(source, _first_key(node).line, data, document.index, pointer)
        return
    for index, (item, at) in enumerate(zip(items or (), _item_nodes(node, len(items or ())), strict=True)):
        yield from _flattened(document, source, f"{pointer}/items/{index}", at, _with_kind(item, data, kind))


def _fault(data: Any) -> str:
    """Why data is neither an object nor a list of objects; empty if it is one."""
    if not isinstance(data, dict):
        fault = f"is {what(data)}, not a map with apiVersion and kind"
        if isinstance(data, list):
            return f"{fault}: write its objects as separate documents, or under items of a List"
        return f"{fault}: remove it" if data is None else fault
    kind, version, items = data.get("kind"), data.get("apiVersion"), data.get("items", _MISSING)
    if not isinstance(kind, str) or not kind:
        fault = "has no kind" if kind in (None, "") else f"has a kind that is {what(kind)}"
        return f"{fault}: not a Kubernetes object{_RENDER}"
    if version is not None and not isinstance(version, str):
        return f"has an apiVersion that is {what(version)}: write text, or quote it"
    if kind == "List" and not isinstance(items, list | None):
        fault = "has no items" if items is _MISSING else f"has items that are {what(items)}"
        return f"is a List and {fault}: write its objects as a list under items"
    return ""


def _with_kind(item: Any, data: dict[str, Any], kind: str) -> Any:
    """Return an item of a typed list (``PodList``) with the list's kind and version if it has none, as in kubectl."""
    item_kind = kind.removesuffix("List")
    if not isinstance(item, dict) or item.get("kind") or not item_kind:
        return item
    return {**item, "apiVersion": data.get("apiVersion"), "kind": item_kind}


def _item_nodes(node: Node, count: int) -> list[Node]:
    """The nodes of a list's items; the list's own node for each if a merge key (``<<``) supplies the items."""
    mapping = _resolved(node)
    entries = mapping.entries if isinstance(mapping, Mapping) else []
    for key, value in reversed(entries):
        items = _resolved(value)
        if (
            isinstance(key, Scalar)
            and key.text == "items"
            and isinstance(items, Sequence)
            and len(items.items) == count
        ):
            return items.items
    return [node] * count


def _resolved(node: Node) -> Node:
    return node.target if isinstance(node, Alias) else node


def _first_key(node: Node) -> Node:
    """Return where an object visibly begins: its first key, not an anchor or a brace above it."""
    return node.entries[0][0] if isinstance(node, Mapping) and node.entries and not node.flow else node
