"""The memory of the process: what is free goes back to the system."""

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 256 * 1024


def give_back_what_is_large() -> None:
    """Let every large block go back to the system as soon as it is free.

    glibc begins so, but takes each large block that is freed for a sign that more such come, and keeps them (mallopt(3),
    M_MMAP_THRESHOLD): after a few large bodies, a hundred MiB. Where the C library has no such thing, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
