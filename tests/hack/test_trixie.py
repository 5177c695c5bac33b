"""`hack/trixie.py`: where Debian 13 is fetched from, and what is said where it can't be made."""

from pathlib import Path

import pytest

from hack import trixie

TARGETS = """\
http://one.test/debian/ bookworm main
http://one.test/debian/ bookworm contrib
http://one.test/debian/ bookworm-updates main
http://two.test/debian-security/ bookworm-security main
http://two.test/debian-security/ bookworm-security main
http://other.test/apt bookwormish main
http://other.test/apt stable main
"""


def test_it_comes_from_where_apt_fetches_this_machines_own_release() -> None:
    assert trixie.sources(TARGETS, "bookworm") == [
        "deb http://one.test/debian/ trixie main",
        "deb http://one.test/debian/ trixie-updates main",
        "deb http://two.test/debian-security/ trixie-security main",
    ]


def test_of_another_release_nothing_is_known() -> None:
    assert trixie.sources(TARGETS, "noble") == []


def test_what_is_made_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trixie").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert trixie.make({"GPUWARDEN_CACHE": str(tmp_path)}) == tmp_path / "trixie"


@pytest.mark.parametrize(
    ("user", "program", "message"),
    [(1000, "/usr/sbin/debootstrap", "needs root"), (0, None, "apt-get install debootstrap")],
)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, program: str | None, message: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda _name: program)
    with pytest.raises(trixie.UnavailableError, match=message):
        trixie.make({"GPUWARDEN_CACHE": str(tmp_path)})
    assert not (tmp_path / "trixie").exists()


def test_another_system_than_debian_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "fedora", "NAME": "Fedora Linux"})
    with pytest.raises(trixie.UnavailableError, match="this machine runs Fedora Linux"):
        trixie.make({"GPUWARDEN_CACHE": str(tmp_path)})
