"""Helpers of the editing tests: operations in short, and one document edited."""

from typing import Any

from webhook.adapters.manifests.editing import edit_text
from webhook.adapters.manifests.splicing.operations import Operation


def add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Operation:
    return {"op": "remove", "path": path}


def replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def move(origin: str, path: str) -> Operation:
    return {"op": "move", "from": origin, "path": path}


def edited(text: str, *operations: Operation) -> str:
    """The first document's object, edited."""
    return edit_text(text, {(0, ""): operations})
