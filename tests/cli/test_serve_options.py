"""The options of ``gpuwarden serve``: each with its variable, and every way in which a start fails, told with its remedy."""

import dataclasses
import socket
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
import trustme
import typer
from typer.core import TyperOption
from typer.testing import CliRunner, Result

from tests.adapters.test_yaml_loader import NESTED_ALIASES
from tests.cli.serving import write_pair
from tests.logged import logging_put_back
from webhook.cli import server
from webhook.cli.options import Options
from webhook.cli.serve import serve

HEAD = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
TRIAL = ("--tls-self-signed", "--host", "127.0.0.1", "--port", "0", "--ops-port", "0")


APP = typer.Typer()
APP.command()(serve)


def options_of_serve() -> list[TyperOption]:
    """Its own options, without those that typer adds to every command."""
    options = [option for option in typer.main.get_command(APP).params if isinstance(option, TyperOption)]
    return [option for option in options if option.name != "help" and "completion" not in str(option.name)]


@pytest.fixture(autouse=True)
def never_serves(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A start that should fail and does not must not leave a server running in the tests; and logging stays as it was."""

    async def served(self: server.Server) -> None:
        for listener in self._listeners:
            listener._socket.close()

    monkeypatch.setattr(server.Server, "serve", served)
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    with logging_put_back():
        yield


def start(*options: str | Path, **variables: str) -> Result:
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", **variables}).invoke(APP, list(map(str, options)))


def failures(result: Result) -> list[str]:
    """What a start that failed for its options says."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return [line.removeprefix("error: ") for line in result.stderr.splitlines() if line.startswith("error: ")]


def test_a_start_with_nothing_wrong_serves() -> None:
    """The negative control of every test below."""
    assert start(*TRIAL).exit_code == 0


def test_every_option_has_its_environment_variable() -> None:
    variables = {option.name: option.envvar for option in options_of_serve()}

    assert len(variables) >= 11
    assert variables == {name: f"GPUWARDEN_{str(name).upper()}" for name in variables}


def test_every_option_says_what_it_is() -> None:
    assert not [option.name for option in options_of_serve() if not option.help]


def test_every_variable_sets_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Options] = []
    monkeypatch.setattr(server, "run", told.append)
    start()
    [unset] = told
    names = [field.name for field in dataclasses.fields(Options)]

    for name in names:
        assert start(**{f"GPUWARDEN_{name.upper()}": something_else(getattr(unset, name))}).exit_code == 0
        assert [other for other in names if getattr(told[-1], other) != getattr(unset, other)] == [name]


def something_else(default: object) -> str:
    """What an option can be, as a variable says it, and by default is not."""
    if isinstance(default, bool):
        return str(not default).lower()
    if isinstance(default, Enum):
        return next(str(member.value) for member in type(default) if member is not default)
    return "17" if isinstance(default, int | float) else "something"


def test_an_option_of_the_command_line_is_stronger_than_its_variable(tmp_path: Path) -> None:
    result = start(*TRIAL, "--config", tmp_path / "here", GPUWARDEN_CONFIG=str(tmp_path / "there"))

    assert "here" in failures(result)[0]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ((), "no certificate source is set; set one of: --tls-cert-file with --tls-private-key-file; "),
        (("--tls-cert-file", "tls.crt"), "--tls-cert-file, --tls-private-key-file: only one of them is set; set both"),
        (("--tls-private-key-file", "k"), "--tls-cert-file, --tls-private-key-file: only one of them is set; set both"),
        (
            ("--tls-self-signed", "--tls-cert-file", "tls.crt", "--tls-private-key-file", "tls.key"),
            "more than one certificate source is set; set one of: ",
        ),
        (("--tls-self-signed", "--tls-cert-file", "tls.crt"), "more than one certificate source is set; set one of: "),
    ],
)
def test_a_certificate_comes_from_exactly_one_place(options: tuple[str, ...], fault: str) -> None:
    [told] = failures(start(*options))

    assert fault in told


def test_a_certificate_that_is_missing_or_is_none_is_named(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    options = ("--tls-cert-file", certificate, "--tls-private-key-file", key)

    named = f"--tls-cert-file, --tls-private-key-file: {certificate}: there is no such file or folder"
    assert named in failures(start(*options))[0]
    certificate.write_text("nonsense", encoding="utf-8")
    key.write_text("nonsense", encoding="utf-8")
    assert str(certificate) in failures(start(*options))[0]
    authority = trustme.CA()
    write_pair(tmp_path, authority.issue_cert("localhost"))
    key.write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    assert "does not belong to" in failures(start(*options))[0]


@pytest.mark.parametrize("option", ["--config", "--namespaces"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, option: str) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe")

    for path in (tmp_path / "nowhere", tmp_path, noise):
        assert failures(start(*TRIAL, option, path))[0].startswith(f"{option} {path}: ")


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_client_authorities_that_cannot_be_used_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ca.crt"
    assert failures(start(*TRIAL, "--client-ca-file", path))[0].startswith(f"--client-ca-file {path}: ")
    path.write_text(text)
    [told] = failures(start(*TRIAL, "--client-ca-file", path))
    assert told.startswith(f"{path}: the client CA file cannot be used")
    assert "give PEM certificates" in told


def test_names_that_nobody_vouches_for_are_refused() -> None:
    [told] = failures(start(*TRIAL, "--allowed-cn", "kube-apiserver"))

    assert told.startswith("--allowed-cn: ")
    assert "--client-ca-file" in told


def test_everything_wrong_with_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + "mode: dry\npolices: {}\ndefaults: {enforce: mp}\n", encoding="utf-8")

    told = failures(start(*TRIAL, "--config", path))

    assert len(told) == 3
    assert all(line.startswith(f"{path}: ") for line in told)
    assert [line.removeprefix(f"{path}: ").partition(":")[0] for line in told] == [
        "mode",
        "polices",
        "defaults.enforce",
    ]


@pytest.mark.parametrize(("option", "text"), [("--config", ""), ("--namespaces", ""), ("--namespaces", "kind: Pod")])
def test_an_empty_or_foreign_file_is_refused(tmp_path: Path, option: str, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")

    assert failures(start(*TRIAL, option, path))[0].startswith(f"{path}: ")


@pytest.mark.parametrize("option", ["--port", "--ops-port"])
@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning"
)  # the other port's socket, which in life ends with the process
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_taken_is_named(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [told] = failures(start(*TRIAL, option, str(port)))

    assert told.startswith(f"{option} {port}: ")
    assert "choose another port" in told


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--ops-port", "http"),
        ("--shutdown-delay", "-1"),
        ("--shutdown-delay", "301"),
        ("--log-format", "xml"),
        ("--log-level", "loud"),
        ("--no-such-option", "x"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_a_usage_error_that_names_it(option: str, value: str) -> None:
    result = start(*TRIAL, option, value)

    assert result.exit_code == 2
    assert option in result.stderr


def test_a_variable_with_a_bad_value_is_named_by_its_option() -> None:
    result = start(*TRIAL[:3], GPUWARDEN_PORT="many")

    assert result.exit_code == 2
    assert "--port" in result.stderr


@pytest.mark.parametrize("option", ["--config", "--namespaces", "--kubeconfig"])
def test_a_file_whose_aliases_multiply_is_refused_at_the_start(option: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"{HEAD}{NESTED_ALIASES}", encoding="utf-8")

    [failure] = failures(start(*TRIAL, option, file))

    assert failure.startswith(str(file))
    assert "aliases repeat more than 10000 values" in failure
