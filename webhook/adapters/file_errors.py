"""Reasons why a file can't be used: a sentence and a fix for each errno."""

import errno
import os

_WORDS = {
    errno.ENOENT: "there is no such file or folder; name one that exists",
    errno.EACCES: "permission denied; it must be readable by this user",
    errno.EPERM: "permission denied; it must be readable by this user",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOTDIR: "part of its path is a file, not a folder; correct the path",
    errno.ELOOP: "it is a loop of symbolic links; name a file",
    errno.ENAMETOOLONG: "its name is too long; name another",
    errno.ENXIO: "it is a socket, or a device without a driver; name a file",
    errno.EMFILE: "this process has too many open files; raise the limit (ulimit -n)",
    errno.ENOSPC: "there is no space left on the device; free some",
    errno.EROFS: "the file system is read-only; name a file elsewhere",
}


def why(path: str | os.PathLike[str], error: OSError | ValueError) -> str:
    """Return why a path can't be used, and the fix.

    ``error`` comes from the file system, or is a ``ValueError`` about a name with a null byte or a text that is not UTF-8.
    """
    if isinstance(error, UnicodeDecodeError):
        return (
            f"it is not UTF-8 text (byte 0x{error.object[error.start]:02x} at offset {error.start}); save it as UTF-8"
        )
    if isinstance(error, ValueError) and "\0" in os.fsdecode(path):
        return "its name contains a null byte; remove it"  # Python's message differs between versions
    if isinstance(error, FileNotFoundError) and os.fsdecode(path) == "-":
        return "standard input is not read here; name a file, such as /dev/stdin"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT and os.path.islink(path):  # noqa: PTH114 - a path may hold any bytes
        return f"it is a link to {shown(os.readlink(path))}, which does not exist; correct the link"  # noqa: PTH115 - as text
    return _WORDS.get(number or 0) or (isinstance(error, OSError) and error.strerror) or str(error)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as text: names of files may hold any bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")
