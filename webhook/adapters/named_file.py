"""Reads a file that the user named, up to a limit, and without waiting for a pipe that nothing writes to."""

import errno
import os
import stat
from pathlib import Path

LARGEST = 64 * 1024 * 1024
"""The largest size of a file in bytes. etcd takes objects of 1.5 MB; a tree of a larger file would need gigabytes."""
_CHUNK = 1024 * 1024


def limit() -> str:
    """Return the limit for messages."""
    return f"{LARGEST // 1024 // 1024} MiB"


def content(path: str | Path, *, named: bool = True) -> tuple[bytes, bool]:
    """The bytes of a file, at most one more than the largest, and whether it is a regular file.

    It is opened without blocking, because a pipe that nothing writes to would block the program forever. (A pipe of the shell,
    ``<(helm template ...)``, has a writer from the start.) Unless the file is ``named`` by the user, it must be a regular one.

    Raises:
        OSError: it can't be read; ``file_errors.why`` explains it.
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
            raise OSError(errno.EPIPE, "it is a pipe that nothing writes to; use - and pipe the data into gpuwarden")
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
