"""Documents of the API: decoding in several threads."""

import subprocess
import sys

# Watches and live reads decode their first documents at the same moment. Without the lock this ended in a segmentation fault.
AT_ONCE = """
import sys, threading
from typing import Generic, TypeVar
import msgspec
from webhook.adapters.kubernetes.documents import decode

T = TypeVar("T")


def a_new_type():
    class Status(msgspec.Struct):
        capacity: dict[str, str | int] | None = None

    class Item(msgspec.Struct):
        status: Status = msgspec.field(default_factory=Status)

    class Page(msgspec.Struct, Generic[T]):
        items: list[T]

    return Page[Item]


sys.setswitchinterval(1e-6)
body = b'{"items": [%s]}' % b",".join([b'{"status": {"capacity": {"nvidia.com/gpu": "1"}}}'] * 200)
for _ in range(400):
    kind, together = a_new_type(), threading.Barrier(4)
    threads = [threading.Thread(target=lambda: (together.wait(), decode(body, kind, "a page"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("decoded")
"""


def test_threads_that_decode_a_type_for_the_first_time_together_do_not_crash_the_process() -> None:
    ran = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=300, check=False)

    assert (ran.returncode, ran.stdout) == (0, "decoded\n"), ran.stderr
