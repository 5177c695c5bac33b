"""What a flood leaves free in the heap goes back to the system, although what is still used lies between."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import re
from pathlib import Path
from webhook.adapters.malloc import trim_malloc

def mebibytes():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

flood = [bytes(3000) for _ in range(30_000)]
kept = flood[::20]
del flood
before = mebibytes()
trim_malloc()
print(before - mebibytes(), len(kept))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_free_pages_between_used_blocks_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=300)
    given_back, kept = map(int, done.stdout.split())
    assert kept == 1500
    assert given_back > 50  # of 86
