"""Live reads of several objects at once."""

import asyncio
import threading

import pytest

from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.live_reads import LiveReads


class UnavailableError(Exception):
    """An object could not be read."""


def test_if_several_objects_cannot_be_read_the_first_key_is_named_however_late_it_fails() -> None:
    failed = threading.Event()

    def get(key: str) -> str:
        if key == "late":
            assert failed.wait(5)
        if key == "early":
            failed.set()
        if key == "good":
            return key
        raise ApiError(Fault.FORBIDDEN, key)

    async def read() -> None:
        reads = LiveReads(get, lambda key, _why: UnavailableError(key), timeout=5)
        try:
            assert await reads.read_all(["good", "good"]) == ["good", "good"]
            await reads.read_all(["good", "late", "early"])
        finally:
            reads.close()

    with pytest.raises(UnavailableError, match="late"):
        asyncio.run(read())
