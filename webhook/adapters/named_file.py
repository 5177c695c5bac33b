"""Reads a file that the user named: never more than a limit, and never waiting for a pipe that nothing writes to."""

import errno
import os
import stat
from pathlib import Path

LARGEST = 64 * 1024 * 1024
"""Bytes a file may have. etcd takes 1.5 MB an object; more than this is not a manifest, and would need gigabytes as a tree."""
_CHUNK = 1024 * 1024


def limit() -> str:
    """The limit in words."""
    return f"{LARGEST // 1024 // 1024} MiB"


def content(path: str | Path, *, named: bool = True) -> tuple[bytes, bool]:
    """The bytes of a file, at most one more than the largest, and whether it is a regular file.

    Opened without blocking: a pipe that nothing writes to would otherwise hold the program forever. (A pipe that the shell
    makes, ``<(helm template ...)``, has a writer from the start.)

    Of what the user did not name, nothing but regular files is read.

    Raises:
        OSError: it can't be read; :func:`webhook.adapters.file_errors.why` has the words.
        ValueError: its name contains a null byte.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - there is a descriptor, no path
        mode = os.fstat(descriptor).st_mode
        regular = stat.S_ISREG(mode)
        if not regular and not named:
            raise OSError(errno.EINVAL, "it is not a regular file; name one")
        os.set_blocking(descriptor, True)
        chunks: list[bytes] = []
        room = LARGEST + 1
        while room and (chunk := file.read(min(room, _CHUNK))):
            chunks.append(chunk)
            room -= len(chunk)
        if stat.S_ISFIFO(mode) and not chunks:
            raise OSError(errno.EPIPE, "it is a pipe that nothing writes to; pipe into gpuwarden, and name -")
        return b"".join(chunks), regular


def text(path: Path) -> str:
    """The text of a file that an option names.

    Raises:
        OSError: it can't be read, or is too large.
        ValueError: its name contains a null byte, or it is not UTF-8.
    """
    read, _ = content(path)
    if len(read) > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {limit()}; name another file")
    return read.decode("utf-8")
