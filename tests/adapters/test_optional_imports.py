"""Libraries without their companions: what a server does not load, and that nothing else is changed by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from hack.tools import ROOT
from webhook.adapters.optional_imports import absent, deferred_models


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


def test_models_are_deferred_only_where_that_is_said() -> None:
    with deferred_models():

        class Later(BaseModel):
            number: int

    class Now(BaseModel):
        number: int

    assert (Later.__pydantic_complete__, Now.__pydantic_complete__) == (False, True)
    assert Later(number=1).number == 1
    assert Later.__pydantic_complete__


def test_a_server_does_not_build_the_models_of_openapi() -> None:
    program = """
from webhook.adapters.http import apps
from fastapi.openapi.models import OpenAPI
print(OpenAPI.__pydantic_complete__)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "False\n"


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


@pytest.mark.parametrize(
    "arguments",
    [["check", "pod.yaml", "--policy", "shared"], ["rewrite", "pod.yaml", "--policy", "shared"], ["explain", "mps"]],
)
def test_a_command_that_serves_nothing_loads_no_server(tmp_path: Path, arguments: list[str]) -> None:
    """They start without waiting for it, and run where a package of it is broken."""
    (tmp_path / "pod.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: "
        "[{name: a, image: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}\n"
    )
    program = f"""
import sys
from webhook.cli import main
try:
    main.app({arguments!r})
finally:
    print("loaded:", *sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    loaded = set(ran.stdout.rpartition("loaded:")[2].split())
    assert {"typer", "msgspec"} <= loaded
    assert not loaded & {"fastapi", "starlette", "uvicorn", "httptools", "uvloop", "prometheus_client", "kubernetes"}
