"""Log lines: one JSON object each, for our lines and the libraries', and never what a frame's variables hold."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
import structlog

from tests.logged import Logged, logging_put_back
from webhook.adapters import logs
from webhook.adapters.logs import LogFormat, LogLevel

SECRET = "hunter2-is-a-variable"  # noqa: S105 - what must never be logged
Written = Callable[[LogFormat, LogLevel], io.StringIO]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Configure logging, and have what is then written."""

    def configure(form: LogFormat, least: LogLevel) -> io.StringIO:
        target = io.StringIO()
        monkeypatch.setattr("sys.stderr", target)
        logs.configure(form, least)
        return target

    with logging_put_back():
        yield configure


def fail(password: str) -> None:
    raise ZeroDivisionError(f"by zero, of {len(password)}")


def test_our_lines_and_the_libraries_are_the_same_json(logged: Logged) -> None:
    structlog.get_logger("gpuwarden.test").info("file reloaded", file="namespaces")
    logging.getLogger("some.library").warning("Invalid %s", "request")

    ours, theirs = logged()
    assert (ours["event"], ours["level"], ours["logger"], ours["file"]) == (
        "file reloaded",
        "info",
        "gpuwarden.test",
        "namespaces",
    )
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("Invalid request", "warning", "some.library")
    assert ours["timestamp"].endswith("Z")
    assert ours["timestamp"] <= theirs["timestamp"]


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize("ours", [True, False])
def test_a_traceback_names_code_and_never_shows_variables(written: Written, form: LogFormat, *, ours: bool) -> None:
    target = written(form, LogLevel.INFO)

    try:
        fail(SECRET)
    except ZeroDivisionError as error:
        if ours:
            structlog.get_logger("gpuwarden.test").error("request failed", exc_info=error)
        else:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)  # noqa: TRY400 - as uvicorn does

    text = target.getvalue()
    assert "ZeroDivisionError" in text
    assert "by zero, of 21" in text
    assert "test_logs.py" in text
    assert "in fail" in text or '"name": "fail"' in text
    assert SECRET not in text


@pytest.mark.parametrize("form", LogFormat)
def test_lines_less_severe_than_asked_for_are_not_written(written: Written, form: LogFormat) -> None:
    target = written(form, LogLevel.WARNING)

    for name in ("gpuwarden.level", "other.level"):
        structlog.get_logger(name).info("too quiet")
        logging.getLogger(name).info("too quiet")
        structlog.get_logger(name).warning("loud enough")

    assert "quiet" not in target.getvalue()
    assert target.getvalue().count("loud enough") == 2


def test_text_is_one_plain_line_where_there_is_no_terminal(written: Written) -> None:
    target = written(LogFormat.TEXT, LogLevel.INFO)

    structlog.get_logger("gpuwarden.test").info("serving", port=8443)

    [line] = target.getvalue().splitlines()
    assert "serving" in line
    assert "port=8443" in line
    assert "\x1b" not in line


def test_text_from_a_review_commands_no_terminal_and_forges_no_line(written: Written) -> None:
    target = written(LogFormat.TEXT, LogLevel.INFO)

    structlog.get_logger("gpuwarden.test").info("refused", pod="\x1b[31m\n::error::x\u202e")

    [line] = target.getvalue().splitlines()
    assert r"\x1b[31m\n\x3a:error\x3a:x\u202e" in line


def test_values_of_any_kind_are_written_as_json(logged: Logged) -> None:
    structlog.get_logger("gpuwarden.test").info("odd", value={1, 2}, text="é\n\u2028")

    [line] = logged()
    assert json.dumps(line["text"]) == json.dumps("é\n\u2028")


def test_configuring_twice_writes_each_line_once(written: Written) -> None:
    written(LogFormat.JSON, LogLevel.INFO)
    target = written(LogFormat.JSON, LogLevel.INFO)

    logging.getLogger("once").info("only")

    assert target.getvalue().count("only") == 1


def a_line(event: str, at: datetime) -> bytes:
    return msgspec.json.encode({"event": event, "timestamp": at, "level": "info", "logger": "gpuwarden.several"})


@pytest.mark.parametrize("form", LogFormat)
def test_a_record_of_several_lines_is_as_many_lines_as_any_other(written: Written, form: LogFormat) -> None:
    target = written(form, LogLevel.INFO)
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    logging.getLogger("gpuwarden.several").info("lines", extra={"lines": [a_line("one", at), a_line("two", at)]})

    first, second = target.getvalue().splitlines()
    assert "one" in first
    assert "two" in second
    assert all("2026-01-02T03:04:05.000006Z" in line and "gpuwarden.several" in line for line in (first, second))


def test_several_lines_are_json_with_the_fields_of_every_line(logged: Logged) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    logging.getLogger("gpuwarden.several").info("lines", extra={"lines": [a_line("one", at)]})

    assert logged() == [
        {"event": "one", "timestamp": "2026-01-02T00:00:00Z", "level": "info", "logger": "gpuwarden.several"}
    ]


@pytest.mark.parametrize("form", LogFormat)
def test_no_value_makes_a_line_long_however_it_comes(written: Written, form: LogFormat) -> None:
    target = written(form, LogLevel.INFO)
    long = "x" * 1_000_000

    structlog.get_logger("t").info(
        "event", text=long, deep={"a": [long, (long,)]}, odd={long}, raw=long.encode(), key=0
    )
    logging.getLogger("library").warning("of %s", long)

    lines = target.getvalue().splitlines()
    assert len(lines) == 2
    assert "event" in lines[0]
    assert "key" in lines[0]
    assert all(len(line) < 30_000 for line in lines)


@pytest.mark.parametrize("form", LogFormat)
def test_an_exception_with_a_long_message_is_logged_with_its_beginning(written: Written, form: LogFormat) -> None:
    target = written(form, LogLevel.INFO)
    structlog.get_logger("t").error("failed", exc_info=ValueError("x" * 1_000_000))

    assert "ValueError" in target.getvalue()
    assert len(target.getvalue()) < 30_000


def test_an_ordinary_line_is_not_cut(logged: Logged) -> None:
    structlog.get_logger("t").info("event", text="x" * 4096, several=list(range(250)))

    [line] = logged()
    assert (line["text"], line["several"]) == ("x" * 4096, list(range(250)))
