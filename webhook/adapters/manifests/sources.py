"""Finds and reads the files that the user named, and standard input."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, TextIO

from .. import named_file
from ..file_errors import shown, why
from .decoding import decode
from .items import ManifestProblem, UnreadableError

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was read.

    Attributes:
        name: the path that the user named, or a path below the folder that the user named, without ``./``, which git rejects
            in diffs; ``-`` for standard input.
        text: its text, with its own line endings and byte order mark.
        path: where it can be written back; ``None`` for standard input and for pipes.
        named: whether it was named itself; otherwise it was found in a folder.
    """

    name: str
    text: str
    path: Path | None
    named: bool = True


def open_sources(
    paths: Iterable[str], stdin: BinaryIO | TextIO | None, exclude: Sequence[str] = ()
) -> Iterator[Source | ManifestProblem]:
    """Read what the paths name, one after the other; yield each source, or a problem if it can't be read.

    Folders are searched recursively, in sorted order, for ``*.yaml``, ``*.yml`` and ``*.json``. As in ``find`` and
    ``kubectl -R``, hidden files and folders are skipped, and links to folders are not followed; links to files are read. A file
    that is named itself may have any name.

    ``exclude`` are globs of files and folders to skip in folders. They match a name, or a path below the folder, where ``*`` also
    matches slashes.

    ``stdin`` is standard input, as bytes or text, or ``None`` if the program was started without.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            yield _stream(stdin)
        elif os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name with a NUL in it
            yield from _folder(path, exclude)
        else:
            yield _file(path, named=True)


def _folder(root: str, exclude: Sequence[str]) -> Iterator[Source | ManifestProblem]:
    found = False
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                visible = sorted((e for e in entries if not _left_out(e, root, exclude)), key=lambda e: e.name)
        except OSError as error:
            found = True
            yield ManifestProblem(_name(folder), None, f"the folder cannot be read: {why(folder, error)}")
            continue
        pending.extend(entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False))
        for entry in visible:
            if entry.name.lower().endswith(SUFFIXES) and not os.path.isdir(entry.path):  # noqa: PTH112 - as above
                found = True
                yield _file(entry.path, named=False)
    if not found:
        yield ManifestProblem(
            _name(root),
            None,
            f"the folder holds no file that ends in {', '.join(SUFFIXES)}: name other folders or files",
        )


def _name(path: str) -> str:
    short = os.path.normpath(path) if path else path
    return shown(path if short == STANDARD_INPUT else short)  # ./- is a file


def _left_out(entry: os.DirEntry[str], root: str, exclude: Sequence[str]) -> bool:
    below = os.path.relpath(entry.path, root)
    return entry.name.startswith(".") or any(fnmatchcase(entry.name, one) or fnmatchcase(below, one) for one in exclude)


def _file(path: str, *, named: bool) -> Source | ManifestProblem:
    try:
        content, regular = named_file.content(path, named=named)
    except (OSError, ValueError) as error:
        return ManifestProblem(_name(path) or '""', None, f"the file cannot be read: {why(path, error)}")
    return _source(_name(path), content, Path(path) if regular else None, named=named)


def _stream(stdin: BinaryIO | TextIO | None) -> Source | ManifestProblem:
    if stdin is None:
        return ManifestProblem(
            STANDARD_INPUT, None, "standard input is closed: pipe manifests into gpuwarden, or name files"
        )
    try:
        content = stdin.read(named_file.LARGEST + 1)
    except (OSError, ValueError) as error:
        return ManifestProblem(STANDARD_INPUT, None, f"standard input cannot be read: {error}")
    # A text stream may hide bytes that are not UTF-8 as half surrogates.
    encoded = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    return _source(STANDARD_INPUT, encoded, None, named=True)


def _source(name: str, content: bytes, path: Path | None, *, named: bool) -> Source | ManifestProblem:
    if len(content) > named_file.LARGEST:
        return ManifestProblem(name, None, f"the file is larger than {named_file.limit()}: split it")
    try:
        return Source(name, decode(content), path, named)
    except UnreadableError as error:
        return ManifestProblem(name, error.line, str(error))
