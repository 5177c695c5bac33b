"""Where the control plane's programs are looked for, and what is said when they are not there."""

from pathlib import Path

import pytest

from testing.control_plane import flags
from testing.control_plane.programs import NAMES, NoControlPlaneError, find, parse_version


def fill(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch(mode=0o755)
    return directory


def test_the_assets_directory_comes_before_the_cache(tmp_path: Path) -> None:
    assets = fill(tmp_path / "assets", *NAMES)
    cache = fill(tmp_path / ".cache/control-plane/current", *NAMES)
    assert find({"KUBEBUILDER_ASSETS": str(assets)}, tmp_path).etcd == assets / "etcd"
    assert find({}, tmp_path).etcd == cache / "etcd"


def test_the_cache_may_be_elsewhere(tmp_path: Path) -> None:
    cache = fill(tmp_path / "elsewhere/control-plane/current", *NAMES)
    assert find({"GPUWARDEN_CACHE": str(tmp_path / "elsewhere")}, tmp_path).kubectl == cache / "kubectl"


def test_only_kubectl_is_taken_from_the_path(tmp_path: Path) -> None:
    assets = fill(tmp_path / "assets", *(name for name in NAMES if name != "kubectl"))
    path = fill(tmp_path / "bin", *NAMES)
    programs = find({"KUBEBUILDER_ASSETS": str(assets), "PATH": str(path)}, tmp_path)
    assert programs.kubectl == path / "kubectl"
    assert programs.kube_scheduler == assets / "kube-scheduler"


def test_incomplete_assets_are_named_and_never_completed_from_the_cache(tmp_path: Path) -> None:
    assets = fill(tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")  # what envtest ships
    fill(tmp_path / ".cache/control-plane/current", *NAMES)
    message = r"^no control plane: KUBEBUILDER_ASSETS lacks kube-controller-manager, kube-scheduler$"
    with pytest.raises(NoControlPlaneError, match=message):
        find({"KUBEBUILDER_ASSETS": str(assets), "PATH": ""}, tmp_path)


def test_without_any_the_message_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoControlPlaneError) as raised:
        find({"PATH": ""}, tmp_path)
    assert str(raised.value) == "no control plane: run `make control-plane`, or set KUBEBUILDER_ASSETS"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.30.2\n", (1, 30)),
        ("Kubernetes v1.36.2", (1, 36)),
        ("v1.36.0-rc.1+a1b2c3", (1, 36)),
        ("v1.31.4-gke.1256000", (1, 31)),
    ],
)
def test_versions_are_read_from_what_programs_and_servers_say(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_a_text_without_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no version in 'kubectl'"):
        parse_version("kubectl")


def test_every_listener_is_on_loopback(tmp_path: Path) -> None:
    files, ports = flags.Files(tmp_path), flags.Ports(1, 2, 3, 4, 5)
    for command in (flags.controller_manager(files, ports), flags.scheduler(files, ports)):
        assert "--bind-address=127.0.0.1" in command
    assert "--bind-address=127.0.0.1" in flags.apiserver(files, ports)
    assert all("127.0.0.1" in flag for flag in flags.etcd(files, ports) if "-urls=" in flag)
