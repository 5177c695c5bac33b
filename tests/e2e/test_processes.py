"""Programs that the tests start are gone when the tests are, however they end."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for

SLEEP = ["/bin/sleep", "600"]


def gone(pid: int) -> bool:
    try:
        return "Z (zombie)" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def pid_in(file: Path) -> int:
    return wait_for(f"a process id in {file}", lambda: int(file.read_text() or 0))


def test_a_program_dies_with_tests_that_are_killed_outright(tmp_path: Path) -> None:
    script = f"""
        import pathlib, time
        from testing.control_plane.processes import Process
        child = Process("sleep", ["/bin/sleep", "600"], pathlib.Path({str(tmp_path / "log")!r}))
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
        time.sleep(600)
    """
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=repository) as tests:
        child = pid_in(tmp_path / "pid")
        assert not gone(child)
        tests.kill()
    wait_for("the child to be gone", lambda: gone(child))


def test_stop_ends_a_program_that_ignores_sigterm_and_one_that_is_frozen(tmp_path: Path) -> None:
    stubborn = Process("stubborn", ["/bin/sh", "-c", "trap '' TERM; echo up; sleep 600"], tmp_path / "stubborn")
    frozen = Process("frozen", SLEEP, tmp_path / "frozen")
    wait_for("the trap to be set", lambda: "up" in stubborn.tail())
    frozen.signal(signal.SIGSTOP)
    assert stubborn.stop(grace=0.3) == -signal.SIGKILL
    assert frozen.stop() == -signal.SIGTERM


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    shell = Process("shell", ["/bin/sh", "-c", f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait"], tmp_path / "log")
    grandchild = pid_in(tmp_path / "pid")
    shell.kill()
    wait_for("the grandchild to be gone", lambda: gone(grandchild))


def test_a_programs_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    failed = Process("failed", ["/bin/sh", "-c", "echo one; echo two >&2; exit 3"], tmp_path / "log")
    assert wait_for("its end", lambda: failed.exit_code) == 3
    assert failed.tail() == "one\ntwo"
    assert failed.tail(lines=1) == "two"
    assert failed.kill() == 3  # ended already: no signal is sent to a process id that may be another's by now


def test_a_program_is_not_started_from_a_thread_that_it_would_die_with(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            Process("sleep", SLEEP, tmp_path / "log")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert re.match("sleep must be started from the main thread", str(raised[0]))


def test_no_port_is_chosen_twice_before_anything_listens_on_it() -> None:
    assert len({free_port() for _ in range(1000)}) == 1000


def test_waiting_tells_what_it_saw_last() -> None:
    with pytest.raises(TimeoutError, match=r"waited 0 s for the door; last seen: ''"):
        wait_for("the door", str, seconds=0)
    with pytest.raises(TimeoutError, match=r"last seen: KeyError\('GPUWARDEN_NEVER_SET'\)"):
        wait_for("the door", lambda: os.environ["GPUWARDEN_NEVER_SET"], seconds=0)
    assert wait_for("the door", lambda: "open") == "open"
