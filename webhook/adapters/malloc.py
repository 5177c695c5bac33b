"""Settings of glibc's malloc: free memory returns to the system. With another C library, nothing happens."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
# Nothing is as large that is needed for each request, but what uvloop's TLS reads into is (256 KiB a connection).
_LARGE = 128 * 1024
_KEPT = 4 * 1024 * 1024


def configure_malloc() -> None:
    """Return every large block to the system as soon as it is free.

    glibc begins so, but takes each large block that is freed for a sign that more such come, and keeps them (mallopt(3),
    M_MMAP_THRESHOLD): after a few large bodies, a hundred MiB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def trim_malloc() -> None:
    """Return the free pages between blocks that are in use; takes a millisecond or two, of another thread's time.

    Floods leave the heap full of holes: after some, 40 MiB. By itself glibc only returns what is free at its end.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(_KEPT)
