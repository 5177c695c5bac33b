"""The JSON of an audit, piece by piece: for a large fleet it has hundreds of megabytes, which need not be in memory at once."""

from collections.abc import Iterator

from pydantic_core import to_json

from .audit import AuditReport

# In the report's own dump; no text in it can hold this, because its quotes would be escaped.
_EMPTY = b'"objects": []'


def pieces(report: AuditReport) -> Iterator[bytes]:
    """The document, indented by two, in pieces; with a line feed at its end."""
    whole = to_json(report.model_copy(update={"objects": []}), by_alias=True, indent=2)
    head, _, tail = whole.partition(_EMPTY)
    yield head
    if not report.objects:
        yield _EMPTY
    else:
        yield b'"objects": ['
        for number, line in enumerate(report.objects):
            yield b",\n    " if number else b"\n    "
            yield to_json(line, by_alias=True, indent=2).replace(b"\n", b"\n    ")
        yield b"\n  ]"
    yield tail
    yield b"\n"
