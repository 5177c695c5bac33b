"""A request to the API server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """An HTTP request.

    Attributes:
        path: the path, its parts escaped (see ``path_of``).
        query: the query's parameters, not escaped.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def path_of(*parts: str) -> str:
    """Build a path from its parts, each escaped, so that a name can't change the path.

    Raises:
        ValueError: a part is empty or consists only of dots, which would be another path.
    """
    if any(not part.strip(".") for part in parts):
        raise ValueError(f"invalid parts of a path: {parts}")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def object_path(group: str, version: str, plural: str, namespace: str | None = None, name: str = "") -> str:
    """Return the path of an object, or of the list of its kind: in all namespaces unless one is given."""
    root = ("apis", group, version) if group else ("api", version)
    within = ("namespaces", namespace) if namespace else ()
    return path_of(*root, *within, plural, *((name,) if name else ()))
