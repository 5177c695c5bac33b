"""A pair from files: read whole or not at all, also while the kubelet swaps the folder under it."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from webhook.adapters.tls.files import PairFiles
from webhook.adapters.tls.serving import ServingCertificate
from webhook.application.certificates.issue import self_signed_pair
from webhook.application.certificates.pem import CertificateError, CertificatePair


def a_pair() -> CertificatePair:
    return self_signed_pair(["localhost"], [], datetime.now(UTC), timedelta(days=1)).leaf


def write(folder: Path, pair: CertificatePair) -> PairFiles:
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(pair.certificate_pem)
    (folder / "tls.key").write_bytes(pair.key_pem)
    return PairFiles(folder / "tls.crt", folder / "tls.key")


class Volume:
    """A mounted Secret, updated as the kubelet does it (``atomic_writer.go``): a new folder, then ``..data`` renamed."""

    def __init__(self, folder: Path, pair: CertificatePair) -> None:
        self.folder = folder
        self.versions = 0
        self.prepare(pair)
        self.swap()
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data", name))

    def prepare(self, pair: CertificatePair) -> None:
        self.versions += 1
        write(self.folder / f"..version_{self.versions}", pair)

    def swap(self) -> None:
        new = self.folder / "..data_tmp"
        new.symlink_to(f"..version_{self.versions}")
        new.replace(self.folder / "..data")

    def remove_old(self) -> None:
        old = self.folder / f"..version_{self.versions - 1}"
        for path in old.iterdir():
            path.unlink()
        old.rmdir()

    def update(self, pair: CertificatePair) -> None:
        self.prepare(pair)
        self.swap()
        self.remove_old()

    @property
    def files(self) -> PairFiles:
        return PairFiles(self.folder / "tls.crt", self.folder / "tls.key")


def on_read(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Do something right before the n-th file is read."""
    read, reads = Path.read_bytes, iter(range(1, 99))

    def watched(path: Path) -> bytes:
        if next(reads) == number:
            act()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", watched)


def test_a_pair_is_read_and_nothing_has_changed_since(tmp_path: Path) -> None:
    pair = a_pair()
    files = write(tmp_path, pair)

    assert files.read() == pair
    assert files.changed(None) == pair
    assert files.changed(pair) is None


def test_a_new_pair_is_a_change_and_the_same_bytes_written_again_are_not(tmp_path: Path) -> None:
    old, new = a_pair(), a_pair()
    files = write(tmp_path, old)

    write(tmp_path, old)
    assert files.changed(old) is None
    write(tmp_path, new)
    assert files.changed(old) == new
    assert files.changed(old) == new, "offered until it is taken"
    assert files.changed(new) is None


def test_a_half_replaced_pair_is_reported_and_right_at_the_next_look(tmp_path: Path) -> None:
    old, new = a_pair(), a_pair()
    files = write(tmp_path, old)

    (tmp_path / "tls.crt").write_bytes(new.certificate_pem)
    with pytest.raises(CertificateError, match=r"tls\.crt and .*tls\.key: the private key does not belong"):
        files.changed(old)
    (tmp_path / "tls.key").write_bytes(new.key_pem)
    assert files.changed(old) == new


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_truncated_file_is_reported(tmp_path: Path, name: str) -> None:
    pair = a_pair()
    files = write(tmp_path, pair)
    content = (tmp_path / name).read_bytes()

    (tmp_path / name).write_bytes(content[: len(content) // 2])

    with pytest.raises(CertificateError, match="is not readable PEM"):
        files.changed(pair)
    (tmp_path / name).write_bytes(content)
    assert files.changed(pair) is None


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = write(tmp_path, a_pair())
    (tmp_path / name).unlink()

    with pytest.raises(CertificateError, match=rf"{name}: there is no such file or folder"):
        files.read()


def test_the_files_may_lie_in_different_folders(tmp_path: Path) -> None:
    pair = a_pair()
    write(tmp_path / "one", pair)
    write(tmp_path / "two", pair)

    assert PairFiles(tmp_path / "one" / "tls.crt", tmp_path / "two" / "tls.key").read() == pair


def test_an_update_of_a_mounted_secret_is_a_change(tmp_path: Path) -> None:
    old, new = a_pair(), a_pair()
    volume = Volume(tmp_path, old)

    assert volume.files.changed(old) is None
    volume.update(new)
    assert volume.files.changed(old) == new


def test_a_swap_between_the_two_reads_never_mixes_two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = a_pair(), a_pair()
    volume = Volume(tmp_path, old)
    volume.prepare(new)
    on_read(monkeypatch, 2, volume.swap)

    assert volume.files.read() == old, "the version that was begun with, whole"
    assert volume.files.read() == new


def test_the_control_reading_both_by_their_own_paths_would_mix_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(tmp_path, a_pair())
    volume.prepare(a_pair())
    on_read(monkeypatch, 2, volume.swap)
    certificate, key = (tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes()

    with pytest.raises(CertificateError, match="does not belong"):
        CertificatePair.from_pem(certificate, key)


@pytest.mark.parametrize("read", [1, 2])
def test_a_version_that_is_removed_under_the_read_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    old, new = a_pair(), a_pair()
    volume = Volume(tmp_path, old)
    on_read(monkeypatch, read, lambda: volume.update(new))

    assert volume.files.read() == new


def test_a_bad_version_leaves_the_old_certificate_served_until_a_good_one_comes(tmp_path: Path) -> None:
    old, new = a_pair(), a_pair()
    volume = Volume(tmp_path, old)
    serving = ServingCertificate(lambda: datetime.now(UTC))
    serving.replace(volume.files.read())
    expired = self_signed_pair(["localhost"], [], datetime.now(UTC) - timedelta(days=9), timedelta(days=1)).leaf

    volume.update(expired)
    for _ in range(2):
        candidate = volume.files.changed(serving.pair)
        assert candidate == expired
        with pytest.raises(CertificateError, match="expired"):
            serving.replace(candidate)
        assert serving.pair == old
    volume.update(new)
    candidate = volume.files.changed(serving.pair)
    assert candidate
    serving.replace(candidate)

    assert serving.pair == new
    assert isinstance(serving.context(), ssl.SSLContext)
