"""Libraries without their companions: what a server does not load, and that nothing else is changed by it."""

import subprocess
import sys

import pytest

from webhook.adapters.optional_imports import absent


def test_what_is_absent_can_not_be_imported_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with absent("colorsys"), pytest.raises(ImportError):
        import colorsys  # noqa: PLC0415 - it is tried
    import colorsys  # noqa: PLC0415 - likewise

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_what_is_loaded_already_stays() -> None:
    with absent("json"):
        import json  # noqa: PLC0415 - it is tried
    assert json.loads("1") == 1


def test_a_server_without_a_cluster_loads_nothing_that_only_others_need() -> None:
    """Each costs megabytes of every replica (docs/performance.md)."""
    program = """
import sys
from webhook.cli import main, serve, server
from webhook.adapters.http.apps import application
application(list, bytes)
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert {"fastapi", "structlog"} <= loaded
    assert not loaded & {"rich", "pygments", "ruamel", "jinja2", "pydantic.v1", "kubernetes", "urllib3"}
