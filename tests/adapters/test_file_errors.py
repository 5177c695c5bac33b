"""Why a file can't be used: words for what Python says with a number."""

from pathlib import Path

import pytest

from webhook.adapters.file_errors import shown, why


def of_reading(path: Path) -> str:
    with pytest.raises((OSError, UnicodeDecodeError)) as caught:
        path.read_text(encoding="utf-8")
    assert isinstance(caught.value, OSError | UnicodeDecodeError)
    return why(path, caught.value)


def test_each_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"ab\xff")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert of_reading(tmp_path / "none") == "there is no such file or folder; name one that exists"
    assert of_reading(tmp_path) == "it is a folder; name a file"
    assert of_reading(tmp_path / "binary" / "x") == "part of its path is a file, not a folder; correct the path"
    assert of_reading(tmp_path / "link") == "it is a link to nowhere, which does not exist; correct the link"
    assert of_reading(tmp_path / "loop") == "it is a loop of symbolic links; name a file"
    assert of_reading(tmp_path / ("x" * 300)) == "its name is too long; name another"
    assert of_reading(tmp_path / "binary") == "it is not UTF-8 text (byte 0xff at offset 2); save it as UTF-8"


def test_what_has_no_words_of_ours_has_the_system_s() -> None:
    assert why("x", OSError(5, "Input/output error")) == "Input/output error"
    assert why("x", ValueError("something else")) == "something else"


def test_a_null_byte_is_reported_in_the_same_words_on_every_python() -> None:
    assert why("a\0b", ValueError("embedded null character in path")) == "its name contains a null byte; remove it"


def test_a_name_of_any_bytes_can_be_shown() -> None:
    assert shown(b"a\xff".decode(errors="surrogateescape")) == r"a\xff"
