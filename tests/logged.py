"""Logging in a test: configured as the server has it, read as values, and put back as it was."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from webhook.adapters import logs

Logged = Callable[[], list[dict[str, Any]]]
"""Reads the lines that were logged so far."""


@contextmanager
def logging_put_back() -> Iterator[None]:
    """Let a block configure logging; afterwards it is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


@contextmanager
def log_lines() -> Iterator[Logged]:
    """Log as the server does while a block runs, and read what it would have written."""
    written = io.StringIO()
    with logging_put_back():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sys.stderr", written)
            logs.configure(logs.LogFormat.JSON, logs.LogLevel.DEBUG)
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
