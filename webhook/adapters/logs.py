"""Logging: structlog for our lines and for the libraries', one JSON object per line, or plain text on a terminal."""

import io
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, TextIO

import msgspec

from ..engine.text import cut
from .log_writer import LogWriter
from .optional_imports import absent
from .reports.text import printable

with absent("rich"):  # which it would use for tracebacks that are not written here: 5 MiB of the server
    import structlog


# The maximum length of a text, and of a list, in a log line. Our longest lines name every problem of a
# configuration.
_LONGEST = 4096
_MOST = 250


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LineSink = LogWriter | TextIO
"""The destination of lines."""


def configure(form: LogFormat, level: LogLevel, to: LineSink | None = None) -> None:
    """Configure all logging: a line has a time (UTC), a level, a constant message and fields.

    Lines go to ``to``, by default to standard error, waiting until each is written.

    Tracebacks have no local variables, which both of structlog's defaults print: they hold reviews, and the objects in reviews
    hold secrets.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderers: list[Any]
    if form is LogFormat.JSON:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderers = [structlog.processors.ExceptionRenderer(tracebacks), _bounded, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr is not None and sys.stderr.isatty()  # None if the process was started without it
        renderers = [_bounded, _printable, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_traceback)]
    handler: logging.Handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(
        _Formatter(
            several=(lambda lines: b"\n".join(lines).decode())
            if form is LogFormat.JSON
            else _text_lines(renderers[-1]),
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())


def _bounded(_logger: object, _method: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Cut every text in the fields, at any depth, and turn everything that is not a plain value into text."""
    return {cut(key, _LONGEST): _cut(value) if key != "exc_info" else value for key, value in fields.items()}


def _cut(value: Any) -> Any:
    match value:
        case str():
            return cut(value, _LONGEST)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {cut(str(key), _LONGEST): _cut(inner) for key, inner in islice(value.items(), _MOST)}
        case list() | tuple() | set() | frozenset():
            return [_cut(inner) for inner in islice(value, _MOST)]
        case _:
            return cut(repr(value), _LONGEST)


def _traceback(to: TextIO, exception: Any) -> None:
    """Format an exception. A long traceback is cut at its beginning, because the exception is in its last line."""
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exception)
    lines = [cut(line, _LONGEST) for line in written.getvalue().splitlines()]
    to.write("\n".join(lines[-_MOST:]))


def _printable(_logger: object, _method: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Escape control characters, which a terminal would interpret: names come from reviews. JSON escapes them anyway."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in fields.items()}


_Several = Callable[[Sequence[bytes]], str]


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Formats records, some of which carry several lines (``extra={"lines": […]}``), each a JSON object with all its fields.

    A record for each line would cost some 30 µs, and there is a line for each pod that is rewritten or denied.
    """

    def __init__(self, several: _Several, **chain: Any) -> None:
        super().__init__(**chain)
        self._several = several

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, without the end of its last line."""
        lines: Sequence[bytes] | None = getattr(record, "lines", None)
        return super().format(record) if lines is None else self._several(lines)


def _text_lines(render: Callable[[Any, str, dict[str, Any]], str]) -> _Several:
    def text(line: bytes) -> str:
        fields = msgspec.json.decode(line)
        return render(None, fields["level"], _printable(None, "", fields))

    return lambda lines: "\n".join(map(text, lines))
