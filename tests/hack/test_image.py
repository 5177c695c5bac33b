"""`hack/image.py` and `hack/prune.py`: which engine and base are taken, what the build is told, what is removed."""

import stat
from pathlib import Path

import pytest

from hack import image, trixie
from hack.prune import FOLDERS, LAZY, PACKAGES, prune

AUTHORITY = "/etc/ssl/certs/ca-certificates.crt"


def an_engine(folder: Path, name: str, script: str) -> image.Engine:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return image.Engine((str(program),), ("build",))


def test_the_first_engine_that_works_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without_daemon = an_engine(tmp_path, "docker", '[ "$1" != info ]')
    absent = image.Engine((str(tmp_path / "podman"),), ("build",))
    works = an_engine(tmp_path, "buildah", "exit 0")
    assert image.choose((without_daemon, absent, works)) is works
    assert [line.split("/")[-1] for line in capsys.readouterr().out.splitlines()] == [
        "docker does not work here or is not installed",
        "podman does not work here or is not installed",
    ]


def test_without_an_engine_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(image.BuildError, match="apt-get install buildah"):
        image.choose((image.Engine((str(tmp_path / "docker"),), ()),))


def test_the_order_of_engines_is_docker_podman_buildah(tmp_path: Path) -> None:
    assert [engine.name for engine in image.engines(tmp_path)] == ["docker", "podman", "buildah"]


def test_a_base_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, "docker", "exit 1")
    assert image.base(engine, "python:3.11-slim", {}) == "python:3.11-slim"


def test_the_dockerfiles_base_is_taken_where_it_can_be_pulled(tmp_path: Path) -> None:
    engine = an_engine(tmp_path, "docker", f'echo "$@" > {tmp_path}/asked')
    taken = image.base(engine, None, {})
    assert f"ARG PYTHON_IMAGE={taken}\n" in (image.ROOT / "Dockerfile").read_text()
    assert (tmp_path / "asked").read_text() == f"pull {taken}\n"


def test_where_it_can_not_the_base_is_debian_and_the_reason_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "trixie"
    made.mkdir()
    monkeypatch.setattr(trixie, "make", lambda _environment: made)
    engine = an_engine(tmp_path, "docker", '[ "$1" != pull ] || { echo "no such host" >&2; exit 1; }')
    assert image.base(engine, None, {}) == image.DEBIAN
    assert "by debootstrap: no such host" in capsys.readouterr().out


def test_a_failed_build_leaves_no_image_to_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"GPUWARDEN_CACHE": str(tmp_path)}
    old = image.folder(environment) / "config.json"
    old.parent.mkdir()
    old.write_text("{}")
    engine = an_engine(tmp_path, "docker", "exit 1")
    monkeypatch.setattr(image, "engines", lambda _cache: (engine,))
    monkeypatch.setattr(image.Engine, "works", lambda _engine: True)
    with pytest.raises(image.BuildError):
        image.build("python:3.13-slim", environment)
    assert not old.exists()


def test_the_build_is_told_the_indexes_and_the_authority_and_nothing_else(tmp_path: Path) -> None:
    environment = {
        "UV_DEFAULT_INDEX": "https://user:pass'word@index.test/simple", "PIP_INDEX_URL": "https://index.test/simple",
        "PIP_FIND_LINKS": "/opt/wheels", "SSL_CERT_FILE": AUTHORITY, "AWS_SECRET_ACCESS_KEY": "x",
    }  # fmt: skip
    options = image.secrets(environment, tmp_path)
    assert options == ["--secret", f"id=ca,src={AUTHORITY}", "--secret", f"id=packages,src={tmp_path}/packages"]
    assert (tmp_path / "packages").read_text().splitlines() == [
        "PIP_INDEX_URL=https://index.test/simple",
        """UV_DEFAULT_INDEX='https://user:pass'"'"'word@index.test/simple'""",
        "SSL_CERT_FILE=/run/secrets/ca",
        "PIP_CERT=/run/secrets/ca",
    ]
    assert stat.S_IMODE((tmp_path / "packages").stat().st_mode) == 0o600


def test_without_settings_nothing_is_told(tmp_path: Path) -> None:
    assert image.secrets({}, tmp_path) == ["--secret", f"id=packages,src={tmp_path}/packages"]
    assert (tmp_path / "packages").read_text() == ""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with a file in everything that is removed, and some that stay."""
    packages = tmp_path / "lib/python3.13/site-packages"
    for name in PACKAGES:
        module = name.replace("-", "_")
        (packages / f"{module}-1.dist-info").mkdir(parents=True)
        (packages / f"{module}-1.dist-info/RECORD").write_text(
            f"{module}/__init__.py,sha256=x,1\n{module}-1.dist-info/RECORD,,\n../../../bin/{module},,\n"
        )
        (packages / module).mkdir()
        (packages / module / "__init__.py").touch()
    for folder in (*FOLDERS, *LAZY, "yaml/tests"):
        (packages / folder).mkdir(parents=True)
        (packages / folder / "v1_pod.py").touch()
        (packages / folder / "__init__.py").touch()
    for name in ("kubernetes/client/configuration.py", "kubernetes/client/dateutil_test.py", "uvloop.pyx", "latest.py"):
        (packages / name).touch()
    (tmp_path / "bin").mkdir()
    for name in ("activate", "fastapi", "gpuwarden", "python", "python3", "python3.13"):
        (tmp_path / "bin" / name).touch()
    return tmp_path


def test_what_is_listed_is_removed_and_nothing_else(environment: Path) -> None:
    prune(environment)
    left = {str(path.relative_to(environment)) for path in environment.rglob("*") if path.is_file()}
    packages = "lib/python3.13/site-packages"
    assert left == {
        "bin/gpuwarden", "bin/python", "bin/python3", "bin/python3.13", f"{packages}/latest.py",
        f"{packages}/kubernetes/client/configuration.py",
        f"{packages}/kubernetes/client/api/__init__.py", f"{packages}/kubernetes/client/models/__init__.py",
    }  # fmt: skip


@pytest.mark.parametrize("gone", ["kubernetes/aio", f"{PACKAGES[0].replace('-', '_')}-1.dist-info"])
def test_a_list_that_no_longer_fits_fails(environment: Path, gone: str) -> None:
    (environment / "lib/python3.13/site-packages" / gone).rename(environment / "elsewhere")
    with pytest.raises(FileNotFoundError):
        prune(environment)
