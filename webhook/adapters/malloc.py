"""Settings of glibc's malloc: free memory returns to the system. With another C library, nothing happens."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
# Blocks for requests are smaller; the TLS buffers of uvloop are larger (256 KiB per connection).
_LARGE = 128 * 1024
_KEPT = 4 * 1024 * 1024


def configure_malloc() -> None:
    """Return every large block to the system as soon as it is free.

    By default glibc raises this threshold whenever a large block is freed, and keeps such blocks from then on (mallopt(3),
    M_MMAP_THRESHOLD): a hundred MiB after a few large bodies.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def trim_malloc() -> None:
    """Return the free pages between blocks that are in use; takes a millisecond or two of the calling thread.

    Floods of requests leave holes in the heap, up to 40 MiB. By default glibc returns only free memory at the end of the heap.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(_KEPT)
