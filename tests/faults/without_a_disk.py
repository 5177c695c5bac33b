"""``python -m tests.faults.without_a_disk serve ...``: gpuwarden where no file can be made or written, ``/tmp`` included.

As on a read-only root without ``/tmp``, or on a disk that is full; but it needs no rights to mount anything. What may be
opened for writing is what is no file: devices, and ``/proc``.
"""

import errno
import os
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NO_DISK = ("/dev/", "/proc/")
_MAKING = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.remove",
    "os.truncate",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not flags & _WRITING or os.fsdecode(path).startswith(_NO_DISK):
            return
    elif event not in _MAKING:
        return
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))


sys.addaudithook(_refuse)

from webhook.cli.main import app  # noqa: E402 - even what is imported may write nothing

app()
