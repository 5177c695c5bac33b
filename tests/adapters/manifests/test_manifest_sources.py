"""Files, folders and standard input: what is read, in which order, and what is said of the rest."""

import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import pytest

from webhook.adapters import named_file
from webhook.adapters.manifests.items import ManifestObject, ManifestProblem, PluginDocument
from webhook.adapters.manifests.reading import read_text
from webhook.adapters.manifests.sources import Source, open_sources

NOTHING = io.BytesIO()
NOBODY = 65534  # a user who owns nothing


def read_manifests(paths: Iterable[str], stdin: BinaryIO | TextIO | None) -> Iterator[ManifestObject | ManifestProblem]:
    """Everything that the paths name, read, as the commands do."""
    for source in open_sources(paths, stdin):
        if isinstance(source, ManifestProblem):
            yield source
        else:
            yield from (item for item in read_text(source.text, source.name) if not isinstance(item, PluginDocument))


def opened(*paths: str | Path) -> list[Source | ManifestProblem]:
    return list(open_sources([str(path) for path in paths], NOTHING))


def found_below(folder: Path) -> list[str]:
    return [str(Path(source.name).relative_to(folder)) for source in opened(folder) if isinstance(source, Source)]


def message(path: str | Path) -> str:
    (found,) = opened(path)
    assert isinstance(found, ManifestProblem), found
    assert found.source
    return found.message


def write(path: Path, text: str = "kind: Pod\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_named_file_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "pod.txt")

    assert opened(path) == [Source(str(path), "kind: Pod\n", path)]


def test_line_endings_and_a_byte_order_mark_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_bytes(b"\xef\xbb\xbfkind: Pod\r\n")

    (source,) = opened(path)

    assert isinstance(source, Source)
    assert source.text == "\ufeffkind: Pod\r\n"


def test_a_folder_is_searched_to_its_depth_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "D.YAML", "x/b.yaml", "x/y/a.yaml", "x/a.yaml", "k/a.yaml"):
        write(tmp_path / name)
    for name in ("notes.txt", "yaml", "a.yaml.bak", "x/Makefile"):
        write(tmp_path / name)

    expected = ["D.YAML", "a.yml", "b.yaml", "c.json", "k/a.yaml", "x/a.yaml", "x/b.yaml", "x/y/a.yaml"]
    assert found_below(tmp_path) == expected


def test_hidden_files_and_folders_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    hidden = write(tmp_path / ".hidden" / "a.yaml").parent
    write(tmp_path / ".gitlab-ci.yml")
    write(tmp_path / "a.yaml")

    assert found_below(tmp_path) == ["a.yaml"]
    assert found_below(hidden) == ["a.yaml"]


def test_a_folder_that_looks_like_a_file_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml" / "b.yaml")

    assert found_below(tmp_path) == ["a.yaml/b.yaml"]


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "..2026_01" / "a.yaml")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")

    assert found_below(tmp_path) == ["a.yaml"]


def test_links_to_folders_are_not_followed_so_a_loop_ends(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.yaml")
    (tmp_path / "x" / "loop").symlink_to(tmp_path)
    (tmp_path / "x" / "loop.yaml").symlink_to(tmp_path)

    assert found_below(tmp_path) == ["x/a.yaml"]


def test_a_named_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.yaml")
    link = tmp_path / "current"
    link.symlink_to("x")

    assert found_below(link) == ["a.yaml"]


def test_a_folder_deeper_than_the_stack_is_searched(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(sys.getrecursionlimit() // 2):
        folder /= "d"
        folder.mkdir()
    write(folder / "a.yaml")

    assert len(found_below(tmp_path)) == 1


def test_a_folder_without_manifests_is_told(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt")

    assert message(tmp_path) == "the folder holds no file that ends in .yaml, .yml, .json: name other folders or files"


@pytest.mark.parametrize("name", ["nowhere", "nowhere.yaml", "a/b"])
def test_a_path_that_does_not_exist_is_told(tmp_path: Path, name: str) -> None:
    assert message(tmp_path / name) == "the file cannot be read: there is no such file or folder; name one that exists"


def test_a_broken_link_is_told_with_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone.yaml")

    expected = "the file cannot be read: it is a link to gone.yaml, which does not exist; correct the link"
    assert message(tmp_path) == expected
    assert message(tmp_path / "a.yaml") == expected


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")

    assert [item.message for item in opened(tmp_path) if isinstance(item, ManifestProblem)] == [
        "the file cannot be read: it is a loop of symbolic links; name a file"
    ] * 2


@pytest.fixture
def unprivileged_path() -> Iterator[Path]:
    """A folder for a test that runs as a user who may not read everything: as nobody where the tests run as root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as made:  # the folders of tmp_path are root's alone
        path = Path(made)
        if user == 0:
            os.chown(path, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield path
        finally:
            os.seteuid(user)


def test_a_file_or_folder_without_permission_is_told(unprivileged_path: Path) -> None:
    path = write(unprivileged_path / "x" / "a.yaml")
    path.chmod(0)
    assert message(path) == "the file cannot be read: permission denied; it must be readable by this user"
    path.parent.chmod(0)
    try:
        assert message(path.parent) == "the folder cannot be read: permission denied; it must be readable by this user"
    finally:
        path.parent.chmod(0o700)


def test_what_the_system_refuses_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.yaml")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert message(path) == "the file cannot be read: permission denied; it must be readable by this user"
    monkeypatch.setattr(os, "scandir", refuse)
    assert message(tmp_path) == "the folder cannot be read: permission denied; it must be readable by this user"


def test_a_name_that_no_system_takes_is_told() -> None:
    assert message("a\0b") == "the file cannot be read: its name contains a null byte; remove it"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"kind: Pod\nname: caf\xe9\n", 2, "the byte 0xe9 is not UTF-8: save the file as UTF-8"),
        (
            b"kind: Pod\n\x00\x01\x02",
            2,
            "the file holds NUL bytes: it is not text, or text in UTF-16; save it as UTF-8",
        ),
        ("kind: Pod".encode("utf-16"), 1, "the file is UTF-16, not UTF-8: convert it, with: iconv -f UTF-16 -t UTF-8"),
        ("kind: Pod".encode("utf-32"), 1, "the file is UTF-32, not UTF-8: convert it, with: iconv -f UTF-32 -t UTF-8"),
        (b"\x7fELF\xff\xfe", 1, "the byte 0xff is not UTF-8: save the file as UTF-8"),
    ],
)
def test_what_is_no_text_is_told_with_its_line(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    assert opened(path) == [ManifestProblem(str(path), line, message)]
    assert list(open_sources(["-"], io.BytesIO(content))) == [ManifestProblem("-", line, message)]


def test_a_huge_file_is_refused_and_one_of_the_largest_size_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_file, "LARGEST", 1024 * 1024)
    path = write(tmp_path / "a.yaml", "#" * 1024 * 1024)
    assert isinstance(opened(path)[0], Source)

    write(path, "#" * (1024 * 1024 + 1))

    assert message(path) == "the file is larger than 1 MiB: split it"


def test_an_endless_device_is_read_no_further_than_a_huge_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_file, "LARGEST", 1024 * 1024)

    assert message("/dev/zero") == "the file is larger than 1 MiB: split it"


def test_a_pipe_that_something_writes_to_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer can open it
    writer = os.open(pipe, os.O_WRONLY)

    def write_slowly() -> None:
        for part in (b"kind: ", b"Pod\n"):
            os.write(writer, part)
        os.close(writer)

    thread = threading.Thread(target=write_slowly)
    try:
        thread.start()
        assert opened(pipe) == [Source(str(pipe), "kind: Pod\n", None)]
    finally:
        thread.join()
        os.close(reader)


def test_a_pipe_that_the_shell_makes_is_read(tmp_path: Path) -> None:
    script = (
        "import sys, io; from webhook.adapters.manifests.sources import open_sources; "
        "print(next(open_sources(sys.argv[1:], io.BytesIO())).text)"
    )
    command = ["bash", "-c", f"{sys.executable} -c '{script}' <(echo 'kind: Pod')"]

    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3], timeout=300
    )

    assert done.stdout == "kind: Pod\n\n"


def test_a_pipe_that_nothing_writes_to_is_told_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    assert message(pipe) == (
        "the file cannot be read: it is a pipe that nothing writes to; use - and pipe the data into gpuwarden"
    )
    assert message(tmp_path) == "the file cannot be read: it is not a regular file; name one"


def test_a_socket_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.yaml")

        assert message("a.yaml") == "the file cannot be read: it is a socket, or a device without a driver; name a file"


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(b"kind: Pod\n")

    (source,) = opened(tmp_path)

    assert isinstance(source, Source)
    assert source.name == f"{tmp_path}/caf\\xe9.yaml"
    assert source.path is not None
    assert source.path.read_text() == "kind: Pod\n"


def test_standard_input_is_read_from_the_stream_that_is_given() -> None:
    for stream in (io.BytesIO("kind: é\r\n".encode()), io.StringIO("kind: é\r\n", newline="")):
        assert list(open_sources(["-"], stream)) == [Source("-", "kind: é\r\n", None)]


def test_a_text_stream_that_hides_other_bytes_is_told() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"a: caf\xe9"), encoding="utf-8", errors="surrogateescape")

    (found,) = open_sources(["-"], stream)

    assert isinstance(found, ManifestProblem)
    assert "0xe9" in found.message


def test_a_stream_that_fails_is_told() -> None:
    strict = io.TextIOWrapper(io.BytesIO(b"a: caf\xe9"), encoding="utf-8")
    closed = io.BytesIO()
    closed.close()

    for stream in (strict, closed):
        (found,) = open_sources(["-"], stream)
        assert isinstance(found, ManifestProblem)
        assert found.message.startswith("standard input cannot be read: ")


def test_everything_named_is_read_and_a_problem_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "kind: Pod\n---\nb: c: d\n---\nkind: Job\n")
    write(tmp_path / "b.json", '{"kind": "Node"}')

    found = list(read_manifests(["nowhere", "-", str(tmp_path)], io.BytesIO(b"kind: Namespace\n")))

    assert [item.object["kind"] if isinstance(item, ManifestObject) else item.line for item in found] == [
        None,
        "Namespace",
        "Pod",
        3,
        "Job",
        "Node",
    ]
