"""The body of a request while it comes."""

from mmap import mmap

from webhook.adapters.http.limits import MAXIMUM_BODY


class Body:
    """Bytes that come in pieces.

    The first piece, most often the only one, is kept as it is. With a second one they go to memory of their own, of which the
    system gives only what is used and has all back when the body goes. On the heap, bodies that grow beside each other would
    leave holes that it keeps.
    """

    def __init__(self) -> None:
        self._size = 0
        self._first = b""
        self._all: mmap | None = None

    def __len__(self) -> int:
        return self._size

    def append(self, piece: bytes) -> None:
        """Add a piece; all together are at most ``MAXIMUM_BODY``."""
        start, self._size = self._size, self._size + len(piece)
        if start == 0:
            self._first = piece
            return
        if self._all is None:
            self._all = mmap(-1, MAXIMUM_BODY)
            self._all[:start] = self._first
            self._first = b""
        self._all[start : self._size] = piece

    def whole(self) -> bytes:
        """All of it."""
        return self._first if self._all is None else self._all[: self._size]
