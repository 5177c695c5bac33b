"""Files that options name: a pipe is read while something writes to it, and nothing is waited for."""

import os
import threading
from pathlib import Path

import pytest

from webhook.adapters import named_file
from webhook.adapters.file_errors import why


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("é\r\n", encoding="utf-8", newline="")

    assert named_file.text(tmp_path / "a") == "é\r\n"
    assert named_file.content(tmp_path / "a", named=False) == ("é\r\n".encode(), True)


def test_a_pipe_that_is_written_to_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        os.write(writing, b"kind: x")
        os.close(writing)

    threading.Timer(0.1, write).start()

    assert named_file.text(Path(f"/dev/fd/{reading}")) == "kind: x"


def test_a_pipe_that_nothing_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="it is a pipe that nothing writes to") as caught:
        named_file.text(tmp_path / "pipe")
    assert why(tmp_path / "pipe", caught.value).endswith("; use - and pipe the data into gpuwarden")
    with pytest.raises(OSError, match="it is not a regular file; name one"):
        named_file.content(tmp_path / "pipe", named=False)


def test_what_is_too_large_is_not_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_file, "LARGEST", 1024 * 1024)
    (tmp_path / "a").write_bytes(b"#" * 1024 * 1024)
    assert len(named_file.text(tmp_path / "a")) == 1024 * 1024
    (tmp_path / "a").write_bytes(b"#" * (1024 * 1024 + 1))

    with pytest.raises(OSError, match="it is larger than 1 MiB; name another file"):
        named_file.text(tmp_path / "a")
