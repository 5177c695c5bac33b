"""Writing in place: whole or not at all, and only the content changes."""

import os
import stat
from pathlib import Path

import pytest

from webhook.adapters.manifests.writing import write_in_place


def test_the_content_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")

    write_in_place(path, "\ufeffnew: é\r\n")

    assert path.read_bytes() == "\ufeffnew: é\r\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o666])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    path.chmod(mode)

    write_in_place(path, "new")

    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_and_the_group_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    os.chown(path, 1234, 5678)
    path.chmod(0o4640)

    write_in_place(path, "new")

    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)
    assert stat.S_IMODE(path.stat().st_mode) == 0o4640


def test_a_file_whose_owner_cannot_be_kept_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    real = os.fstat

    class Foreign:
        st_uid, st_gid = os.getuid() + 1, os.getgid()

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fstat", lambda _: Foreign)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionError):
        write_in_place(path, "new")
    monkeypatch.setattr(os, "fstat", real)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_its_file_is_written(tmp_path: Path) -> None:
    file = tmp_path / "x" / "a.yaml"
    file.parent.mkdir()
    file.write_text("old")
    middle, link = tmp_path / "middle", tmp_path / "link.yaml"
    middle.symlink_to("x/a.yaml")
    link.symlink_to("middle")

    write_in_place(link, "new")

    assert file.read_text() == "new"
    assert link.readlink() == Path("middle")
    assert middle.readlink() == Path("x/a.yaml")
    assert list(file.parent.iterdir()) == [file]


def test_who_has_the_old_file_open_keeps_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old " * 10_000)

    with path.open() as reader:
        beginning = reader.read(4)
        write_in_place(path, "new")
        assert beginning + reader.read() == "old " * 10_000


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_failure_before_the_end_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_in_place(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere

    with pytest.raises(PermissionError, match="read-only"):
        write_in_place(path, "new")

    assert path.read_text() == "old"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_in_place(tmp_path / "a.yaml", "new")

    assert list(tmp_path.iterdir()) == []
