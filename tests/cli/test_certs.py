"""``gpuwarden certs self-signed``: what it writes, what it never writes over, and what it prints."""

import base64
import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from webhook.application.certificates.pem import CertificatePair
from webhook.application.certificates.trust import covers, why_untrusted
from webhook.cli.certs import certs_app


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        certs_app, ["self-signed", *map(str, arguments)]
    )


def pair_in(folder: Path) -> CertificatePair:
    return CertificatePair.from_pem((folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes())


def ca_in(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_writes_a_ca_and_a_serving_pair_that_openssl_accepts(tmp_path: Path) -> None:
    out = tmp_path / "new" / "certs"

    result = run("--out", out)

    assert result.exit_code == 0, result.output
    assert sorted(contents(out)) == ["ca.crt", "tls.crt", "tls.key"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(out / "tls.crt", out / "tls.key")
    leaf = pair_in(out).certificate
    assert why_untrusted(leaf, [ca_in(out)], datetime.now(UTC)) is None
    assert all(covers(leaf, name) for name in ("localhost", "127.0.0.1", "::1", "gpuwarden.gpuwarden-system.svc"))
    assert not covers(leaf, "example.com")


def test_standard_output_is_the_ca_bundle_and_nothing_else(tmp_path: Path) -> None:
    result = run("--out", tmp_path)

    assert base64.b64decode(result.stdout, validate=False) == (tmp_path / "ca.crt").read_bytes()
    assert result.stdout.count("\n") == 1
    assert "gpuwarden serve --tls-cert-file" in result.stderr
    assert "PRIVATE" not in result.output


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_keys_are_for_the_owner_only_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    out = tmp_path / "certs"
    out.mkdir()
    before = os.umask(umask)
    try:
        assert run("--out", out, "--ca-key").exit_code == 0
    finally:
        os.umask(before)

    assert {path.name: oct(mode(path)) for path in out.iterdir()} == {
        "ca.crt": "0o644",
        "ca.key": "0o600",
        "tls.crt": "0o644",
        "tls.key": "0o600",
    }


def test_the_ca_key_that_is_kept_is_the_cas(tmp_path: Path) -> None:
    run("--out", tmp_path, "--ca-key")

    pair = CertificatePair.from_pem((tmp_path / "ca.crt").read_bytes(), (tmp_path / "ca.key").read_bytes())

    assert pair_in(tmp_path).certificate.issuer == pair.certificate.subject


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_nothing_is_written_over_without_force(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")

    result = run("--out", tmp_path)

    assert result.exit_code == 2
    assert f"{tmp_path / name} already exists; use --force" in result.stderr
    assert not result.stdout
    assert contents(tmp_path) == {name: b"mine"}


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "tls.key").symlink_to(tmp_path / "elsewhere")

    result = run("--out", tmp_path)

    assert result.exit_code == 2
    assert not (tmp_path / "elsewhere").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tls.key"]


def test_force_replaces_the_whole_set_and_removes_the_key_of_the_ca_that_is_gone(tmp_path: Path) -> None:
    run("--out", tmp_path, "--ca-key")
    (tmp_path / "tls.key").chmod(0o644)
    old = contents(tmp_path)

    result = run("--out", tmp_path, "--force")

    assert result.exit_code == 0, result.output
    new = contents(tmp_path)
    assert sorted(new) == ["ca.crt", "tls.crt", "tls.key"], "and nothing half written is left"
    assert all(new[name] != old[name] for name in new)
    assert mode(tmp_path / "tls.key") == 0o600
    assert why_untrusted(pair_in(tmp_path).certificate, [ca_in(tmp_path)], datetime.now(UTC)) is None


def test_force_replaces_a_link_and_not_what_it_points_at(tmp_path: Path) -> None:
    out, precious = tmp_path / "certs", tmp_path / "precious"
    out.mkdir()
    precious.write_text("mine")
    (out / "tls.key").symlink_to(precious)

    assert run("--out", out, "--force").exit_code == 0

    assert precious.read_text() == "mine"
    assert not (out / "tls.key").is_symlink()


def test_force_that_fails_changes_nothing(tmp_path: Path) -> None:
    run("--out", tmp_path)
    (tmp_path / "tls.key").unlink()
    (tmp_path / "tls.key").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    result = run("--out", tmp_path, "--force")

    assert result.exit_code == 2
    assert f"cannot write to {tmp_path / 'tls.key'}: a folder has this name" in result.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_descriptor: int) -> None:
        if (tmp_path / "tls.crt").exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)

    result = run("--out", tmp_path)

    assert result.exit_code == 2
    assert "there is no space left on the device; free some, or give another --out" in result.stderr
    assert contents(tmp_path) == {}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "certs").write_text("a file")

    result = run("--out", tmp_path / "certs")

    assert result.exit_code == 2
    assert "certs" in result.stderr
    assert "Traceback" not in result.stderr


def test_names_and_addresses_replace_their_own_defaults(tmp_path: Path) -> None:
    result = run("--out", tmp_path, "--dns", "a.example.com", "--dns", "*.b.example.com", "--days", "7")

    assert result.exit_code == 0, result.output
    leaf = pair_in(tmp_path).certificate
    assert all(covers(leaf, name) for name in ("a.example.com", "x.b.example.com", "127.0.0.1"))
    assert not covers(leaf, "localhost")
    assert leaf.not_valid_after_utc - datetime.now(UTC) < timedelta(days=7)
    assert leaf.not_valid_after_utc - datetime.now(UTC) > timedelta(days=6, hours=23)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dns", "not a name"], '"not a name" is not a DNS name'),
        (["--ip", "localhost"], '"localhost" is not an IP address'),
        (["--days", "0"], "--days"),
        (["--days", "soon"], "--days"),
        (["--no-such-option"], "--no-such-option"),
    ],
    ids=str,
)
def test_a_wrong_option_is_exit_2_and_writes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run("--out", tmp_path / "certs", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "certs").exists()


def test_the_help_states_the_exit_codes() -> None:
    assert "Exit codes: 0 written; 2 " in " ".join(run("--help").output.split())


def test_the_repository_ignores_what_the_command_writes() -> None:
    folder = Path(__file__).parents[2] / "certs"

    assert (folder / ".gitignore").read_text().split("\n")[1:] == ["*", "!.gitignore", "!README.md", ""]
