"""Standard error while the server serves: whoever writes there never waits, and every line is a line of the log."""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.logged import logging_put_back
from webhook.adapters import logs
from webhook.adapters.logs import LogFormat, LogLevel
from webhook.adapters.standard_error import logged_standard_error


class Raising:
    """Raises where nobody can catch it."""

    def __del__(self) -> None:
        raise ValueError("x" * 100_000)


@contextlib.contextmanager
def redirected(form: LogFormat = LogFormat.JSON) -> Iterator[io.StringIO]:
    written = io.StringIO()
    with logging_put_back():
        logs.configure(form, LogLevel.INFO, written)
        with logged_standard_error(written, form):
            yield written


def test_what_is_written_there_is_a_json_line_for_each_line() -> None:
    with redirected() as written:
        sys.stderr.write("one\n\ntwo\n")
        sys.stderr.write("not ")
        sys.stderr.write("yet\nunended")

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["one", "two", "not yet"]
    assert {"level": "error", "logger": "stderr"}.items() <= lines[0].items()
    assert "timestamp" in lines[0]


def test_as_text_it_commands_no_terminal() -> None:
    with redirected(LogFormat.TEXT) as written:
        sys.stderr.write("\x1b[31mred\n")

    assert written.getvalue() == "\\x1b[31mred\n"


def test_a_line_without_end_is_cut_and_never_kept() -> None:
    with redirected() as written:
        for _ in range(10):
            sys.stderr.write("x" * 1_000_000)

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(lines) == 10
    assert all(len(line["event"]) <= 4097 for line in lines)


def test_an_exception_that_nobody_can_catch_is_one_structured_line() -> None:
    with redirected() as written:
        Raising()

    [line] = [json.loads(line) for line in written.getvalue().splitlines()]
    assert line["event"] == "exception ignored"
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert len(written.getvalue()) < 20_000


def test_what_python_itself_writes_there_is_lines() -> None:
    def fail() -> None:
        raise KeyError("in a thread")

    with redirected() as written:
        thread = threading.Thread(target=fail)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(threading, "excepthook", threading.__excepthook__)
            thread.start()
            thread.join()

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert any("in a thread" in line["event"] for line in lines)


def test_afterwards_standard_error_is_what_it_was() -> None:
    stream, hook = sys.stderr, sys.unraisablehook
    with redirected():
        assert sys.stderr is not stream
    assert (sys.stderr, sys.unraisablehook) == (stream, hook)


_SERVER = """
import asyncio, logging, sys, threading, time, warnings
from webhook.adapters import logs
from webhook.adapters.log_writer import LogWriter, standard_error
from webhook.adapters.standard_error import logged_standard_error

class Raising:
    def __del__(self):
        raise ValueError("x" * 5000)

def fail():
    raise KeyError("y" * 5000)

async def main():
    slowest = 0.0
    for number in range(200):
        began = time.monotonic()
        Raising()
        asyncio.get_running_loop().call_soon(fail)
        warnings.warn_explicit("z" * 5000, UserWarning, "file", number)
        threading.Thread(target=fail).start()
        logging.getLogger("broken").error("%d", "no number")
        sys.stderr.write("w" * 5000 + "\\n")
        await asyncio.sleep(0)
        slowest = max(slowest, time.monotonic() - began)
    print(slowest, flush=True)

writer = LogWriter(standard_error(), lambda lines: None)
logs.configure(logs.LogFormat.JSON, logs.LogLevel.INFO, writer)
with logged_standard_error(writer, logs.LogFormat.JSON):
    asyncio.run(main())
"""


def test_while_standard_error_is_a_full_pipe_the_loop_goes_on_whatever_fails() -> None:
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SERVER], stderr=writing, stdout=subprocess.PIPE, timeout=300, text=True, check=False
        )
    finally:
        os.close(reading)
        os.close(writing)

    assert done.returncode == 0
    assert float(done.stdout) < 20.0


async def test_what_a_callback_raises_is_logged_by_asyncio_and_not_written() -> None:
    def fail() -> None:
        raise KeyError("in a callback")

    with redirected() as written:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)

    [line] = [json.loads(line) for line in written.getvalue().splitlines()]
    assert line["logger"] == "asyncio"
