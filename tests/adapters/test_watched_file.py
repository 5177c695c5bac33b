"""A watched file: seen to change by every way in which files are replaced, and read whole."""

import os
from pathlib import Path

import pytest

from webhook.adapters.watched_file import WatchedFile


def watched(path: Path) -> WatchedFile[str]:
    return WatchedFile(path, str.strip)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one\n", encoding="utf-8")
    return path


def test_it_is_read_and_has_then_not_changed(file: Path) -> None:
    it = watched(file)

    assert it.changed()
    assert it.read() == "one"
    assert not it.changed()


def test_it_has_changed_when_it_was_written_over(file: Path) -> None:
    it = watched(file)
    it.read()

    file.write_text("another", encoding="utf-8")

    assert it.changed()
    assert it.read() == "another"
    assert not it.changed()


def test_it_has_changed_when_another_took_its_name(file: Path) -> None:
    it = watched(file)
    it.read()
    before = file.stat()

    new = file.with_suffix(".new")
    new.write_text("two\n", encoding="utf-8")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(file)

    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert it.changed()
    assert it.read() == "two"


def test_it_has_changed_when_the_kubelet_swapped_the_folder_above(tmp_path: Path) -> None:
    """pkg/volume/util/atomic_writer.go: file -> ..data/file, ..data -> a folder with a time in its name, renamed over."""
    for name, text in (("..1", "old"), ("..2", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text, encoding="utf-8")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "file").symlink_to("..data/file")
    it = watched(tmp_path / "file")
    assert it.read() == "old"

    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert it.changed()
    assert it.read() == "new"


def test_while_it_is_gone_it_has_not_changed_and_when_it_is_back_it_has(file: Path) -> None:
    it = watched(file)
    it.read()

    file.rename(file.with_suffix(".old"))  # so that the new file can't have its inode number
    assert not it.changed()
    file.write_text("one\n", encoding="utf-8")

    assert it.changed()


def test_what_could_not_be_read_is_tried_again_once_it_is_touched_in_any_way(file: Path) -> None:
    """Mended permissions leave a file's size and its time of modification as they were."""
    it = watched(file)
    it.read()
    before = file.stat().st_ctime_ns

    while file.stat().st_ctime_ns == before:  # a kernel's clock for files may tick only every few milliseconds
        file.chmod(0o600)

    assert it.changed()


def test_a_bad_content_is_not_read_again_until_it_changes(file: Path) -> None:
    it = WatchedFile(file, int)
    with pytest.raises(ValueError, match="one"):
        it.read()

    assert not it.changed()
    file.write_text("10", encoding="utf-8")
    assert it.changed()
    assert it.read() == 10


def test_what_is_missing_or_no_text_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watched(tmp_path / "nowhere").read()
    with pytest.raises(IsADirectoryError):
        watched(tmp_path).read()
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnicodeDecodeError):
        watched(noise).read()
