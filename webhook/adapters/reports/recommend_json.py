"""The recommendation as a document: what ``gpuwarden recommend -o json`` prints."""

from typing import Any

import msgspec

from ...application.recommendation.recommend import Recommendation

HEAD = {"apiVersion": "gpuwarden.io/v1", "kind": "RecommendReport"}
_CONSTANT = {name: {"const": value, "type": "string"} for name, value in HEAD.items()}


def json(found: Recommendation) -> str:
    """Return the document; fields that are not set are left out."""
    return msgspec.json.format(msgspec.json.encode({**HEAD, **msgspec.to_builtins(found)}), indent=2).decode()


def schema() -> dict[str, Any]:
    """Return its JSON Schema."""
    made = msgspec.json.schema(Recommendation)
    whole = made["$defs"].pop("Recommendation")
    properties = {**_CONSTANT, **whole["properties"]}
    return {"$defs": made["$defs"], **whole, "properties": properties, "required": [*HEAD, *whole["required"]]}
