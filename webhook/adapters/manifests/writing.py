"""Writes an edited manifest back to its file, whole or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def write_in_place(path: Path, text: str) -> None:
    """Replace a file's content in one step: readers see the old text or the new, never a part.

    Mode, owner and group are kept. A symbolic link is kept, and the file that it points to is replaced. Other hard links keep
    the old content.

    Raises:
        OSError: when the file cannot be replaced as it is: no permission to write to it or to its folder, or to give the new
            file the old owner. Nothing is changed then.
    """
    target = path.resolve(strict=True)
    old = target.stat()
    if not os.access(target, os.W_OK):  # replacing it would need only the folder's permission
        raise PermissionError(13, "the file is read-only", str(target))
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            new = os.fstat(file.fileno())
            if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))  # after the owner: changing that drops setuid bits
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power failure, if the file system supports it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
