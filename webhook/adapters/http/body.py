"""The body of a request while it comes."""

from mmap import mmap

from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.application.review_limits import MOST_ELEMENTS

# An element of JSON takes as long to read and to decide as so many bytes of a text: measured with a large annotation (10 ns a
# byte) and with containers that each have a finding (1.7 microseconds an element).
_ELEMENT = 150
# Of more, the elements are not counted, which takes a millisecond a MiB, but taken for as many as there may be.
_COUNTED = 512 * 1024


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

    def weight(self) -> int:
        """How long it takes to answer, in bytes of a text."""
        elements = MOST_ELEMENTS
        if self._size <= _COUNTED:
            elements = self._size - len(self.whole().translate(None, b",{["))
        return self._size + _ELEMENT * elements

    def whole(self) -> bytes:
        """All of it, which from now on is kept as it is given: what waits for its answer is in memory once."""
        if self._all is not None:
            self._first, self._all = self._all[: self._size], None
        return self._first
