"""Lines on their way out: whoever writes one never waits, and every line that is lost is counted."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from webhook.adapters import log_writer
from webhook.adapters.log_writer import LogWriter


class Dropped:
    def __init__(self) -> None:
        self.count = 0
        self.some = threading.Event()

    def __call__(self, lines: int) -> None:
        self.count += lines
        self.some.set()


@pytest.fixture
def dropped() -> Dropped:
    return Dropped()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int], dropped: Dropped) -> None:
    writer = LogWriter(pipe[1], dropped)
    for number in range(100):
        writer.write(f"line {number} \N{SNOWMAN}\n")
    writer.close()
    assert os.read(pipe[0], 1 << 16).decode() == "".join(f"line {number} \N{SNOWMAN}\n" for number in range(100))
    assert dropped.count == 0


def test_while_nobody_reads_so_much_waits_and_the_rest_is_counted_line_by_line(
    pipe: tuple[int, int], dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MOST_WAITING", 1 << 18)
    writer = LogWriter(pipe[1], dropped)
    began = time.monotonic()
    for _ in range(100):
        writer.write("x" * 4094 + "\n\n")
    assert time.monotonic() - began < 20
    # A pipe takes 64 KiB and what is being written is no longer waiting: so at least this many lines had no room.
    assert 2 * (100 - 64 - 17 - 1) <= dropped.count <= 2 * (100 - 64)
    os.read(pipe[0], 1 << 20)  # the thread that writes can end
    os.set_blocking(pipe[0], False)
    until = time.monotonic() + 60
    while time.monotonic() < until and writer._size:
        try:
            os.read(pipe[0], 1 << 20)
        except BlockingIOError:
            time.sleep(0.01)
    writer.close()


def test_a_line_that_can_not_be_written_is_counted_and_the_next_one_tried(dropped: Dropped) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(full, dropped)
    writer.write("a\n")
    writer.write("b\nc\n")
    writer.close()
    os.close(full)
    assert dropped.count == 3


def test_without_a_descriptor_every_line_is_counted(dropped: Dropped) -> None:
    writer = LogWriter(None, dropped)
    writer.write("a\n")
    writer.close()
    assert dropped.count == 1


def test_a_pipe_that_others_have_made_non_blocking_is_waited_for(pipe: tuple[int, int], dropped: Dropped) -> None:
    os.set_blocking(pipe[1], False)
    writer = LogWriter(pipe[1], dropped)
    text = ("y" * 999 + "\n") * 200  # more than a pipe takes
    writer.write(text)
    read = b""
    while len(read) < len(text):
        read += os.read(pipe[0], 1 << 16)
    writer.close()
    assert (read.decode(), dropped.count) == (text, 0)
