"""Libraries without their companions: what a server does not load, and that nothing else is changed by it."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from hack.tools import ROOT
from webhook.adapters.optional_imports import absent, deferred, deferred_models


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


def test_deferred_models_are_not_built_by_resolving_their_forward_references() -> None:
    with deferred_models():

        class Chain(BaseModel):
            rest: "Chain | None" = None

        Chain.model_rebuild()
        assert not Chain.__pydantic_complete__
        assert Chain.model_validate({"rest": {}}).rest == Chain()  # a use in the body builds it
        assert Chain.__pydantic_complete__

    class Late(BaseModel):
        rest: "Added | None" = None

    class Added(BaseModel):
        number: int

    Late.model_rebuild()
    assert Late.__pydantic_complete__


def test_a_server_does_not_build_the_models_of_openapi() -> None:
    program = """
from webhook.adapters.asgi import application
from fastapi.openapi.models import Encoding, OpenAPI, Operation, Schema
print(*(model.__pydantic_complete__ for model in (Encoding, OpenAPI, Operation, Schema)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert ran.stdout == "False False False False\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that re-exports a name of its module ``extra``, which is not loaded yet."""
    name = f"deferred_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("from .extra import run, stop\nhere = 1\n")
    (tmp_path / name / "extra.py").write_text("def run(): return 'ran'\ndef stop(): return 'stopped'\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_deferred_module_is_loaded_when_its_names_are_used(package: str) -> None:
    with deferred(f"{package}.extra", "run", "stop"):
        imported = import_module(package)
    assert imported.here == 1
    assert f"{package}.extra" not in sys.modules
    assert (imported.run(), imported.stop()) == ("ran", "stopped")
    assert f"{package}.extra" in sys.modules
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'walk'"):
        imported.walk  # noqa: B018 - it is tried


def test_a_package_that_is_loaded_already_is_not_changed(package: str) -> None:
    imported = import_module(package)
    with deferred(f"{package}.extra", "run", "stop"):
        assert import_module(package) is imported
    assert imported.run() == "ran"


def test_uvicorn_is_complete_for_a_program_that_also_serves_another_application() -> None:
    program = """
import sys
from webhook.adapters.asgi import operations_listener
import uvicorn
assert uvicorn.Server is operations_listener.Server, uvicorn.Server
assert callable(uvicorn.run)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_a_server_without_a_cluster_loads_nothing_that_only_others_need() -> None:
    """Each costs megabytes of every replica (docs/performance.md)."""
    program = """
import sys
from webhook.cli import main, serve, server
from webhook.adapters.asgi.application import application
application(list, bytes)
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    loaded = set(ran.stdout.split())
    assert {"fastapi", "structlog", "uvicorn"} <= loaded
    assert not loaded & {"click", "rich", "pygments", "ruamel", "jinja2", "pydantic.v1", "kubernetes", "urllib3"}


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
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    loaded = set(ran.stdout.rpartition("loaded:")[2].split())
    assert {"typer", "msgspec"} <= loaded
    assert not loaded & {"fastapi", "starlette", "uvicorn", "httptools", "uvloop", "prometheus_client", "kubernetes"}
