"""``gpuwarden certs``: makes certificates for a trial, without a cluster."""

import base64
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..adapters.file_errors import why
from ..application.certificates.issue import self_signed_pair
from ..application.certificates.pem import CertificateError
from ..engine.text import plural
from .cluster_options import NAMESPACE
from .messages import usage_error

DEFAULT_DNS_NAMES = ("localhost", f"gpuwarden.{NAMESPACE}.svc")
DEFAULT_IP_ADDRESSES = ("127.0.0.1", "::1")

_PRIVATE, _PUBLIC = 0o600, 0o644

certs_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Make certificates.", rich_markup_mode="markdown"
)


class _File(NamedTuple):
    path: Path
    content: bytes | None  # None: must not exist afterwards
    mode: int


@certs_app.callback()
def certs() -> None:
    """Make certificates."""


@certs_app.command("self-signed")
def self_signed(  # noqa: PLR0913, PLR0917 -- each is an option of the command line
    out: Annotated[Path, typer.Option(help="Folder to write to; created if missing.")] = Path("certs"),
    dns: Annotated[list[str], typer.Option(help="DNS name of the server; repeatable.")] = list(DEFAULT_DNS_NAMES),  # noqa: B006 -- typer reads the default, nothing changes it
    ip: Annotated[list[str], typer.Option(help="IP address of the server; repeatable.")] = list(DEFAULT_IP_ADDRESSES),  # noqa: B006 -- the same
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificates are valid.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,  # noqa: FBT002 -- typer's way to declare a flag
    ca_key: Annotated[bool, typer.Option("--ca-key", help="Keep the CA's private key too, as ca.key.")] = False,  # noqa: FBT002 -- the same
) -> None:
    """Write a new CA (ca.crt) and a serving pair signed by it (tls.crt, tls.key), and print the caBundle.

    For a trial or a test: in a cluster, gpuwarden manages its certificates itself. Keys are ECDSA P-256, readable
    by you alone. The CA's key is discarded unless --ca-key is given. Standard output is the caBundle and nothing
    else, in base64, for clientConfig.caBundle of a webhook configuration.

    Exit codes: 0 written; 2 a wrong option, a file exists and --force is missing, or the folder cannot
    be written to (nothing has been changed then).
    """
    try:
        made = self_signed_pair(dns, ip, datetime.now(UTC), timedelta(days=days))
    except CertificateError as error:
        raise usage_error(str(error)) from error
    files = [
        _File(out / "ca.crt", made.ca.certificate_pem, _PUBLIC),
        _File(out / "ca.key", made.ca.key_pem if ca_key else None, _PRIVATE),
        _File(out / "tls.crt", made.leaf.certificate_pem, _PUBLIC),
        _File(out / "tls.key", made.leaf.key_pem, _PRIVATE),
    ]
    try:
        out.mkdir(parents=True, exist_ok=True)
        _replace(files) if force else _create(files)
    except FileExistsError as error:
        raise usage_error(f"{error.filename} already exists; use --force to replace it, or another --out") from error
    except OSError as error:
        raise usage_error(
            f"cannot write to {error.filename or out}: {why(error.filename or out, error)}, or give another --out"
        ) from error
    typer.echo(base64.b64encode(made.ca.certificate_pem).decode())
    written = ", ".join(file.path.name for file in files if file.content is not None)
    typer.echo(
        f"wrote {written} to {out}, for {', '.join((*dns, *ip))}, valid for {plural(days, 'day')}\n"
        f"serve it: gpuwarden serve --tls-cert-file {out / 'tls.crt'} --tls-private-key-file {out / 'tls.key'}\n"
        "the line on standard output is the caBundle of the webhook configuration",
        err=True,
    )


def _create(files: Sequence[_File]) -> None:
    """Create every file, or none: never overwrite anything, not even a dangling link.

    Raises:
        OSError: When one cannot be created (`FileExistsError` when it is there); those made before it are removed.
    """
    for file in files:
        if os.path.lexists(file.path):
            raise FileExistsError(None, None, str(file.path))
    with ExitStack() as undo:
        for path, content, mode in files:
            if content is not None:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
                undo.callback(path.unlink)
                _fill(descriptor, content, mode)
        undo.pop_all()


def _replace(files: Sequence[_File]) -> None:
    """Replace every existing file atomically: a reader sees the old file or the new one, never a part.

    Raises:
        OSError: When one cannot be written; nothing has been replaced unless the renaming itself failed.
    """
    with ExitStack() as clean:
        staged: list[tuple[str, Path]] = []
        for path, content, mode in files:
            if content is None:
                continue
            if path.is_dir():
                raise IsADirectoryError(None, "a folder has this name", str(path))
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            clean.callback(Path(name).unlink, missing_ok=True)
            _fill(descriptor, content, mode)
            staged.append((name, path))
        for name, path in staged:
            Path(name).replace(path)
    for path, content, _mode in files:
        if content is None:  # a CA key of an earlier run, whose CA is gone
            path.unlink(missing_ok=True)


def _fill(descriptor: int, content: bytes, mode: int) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)  # exactly, whatever the umask
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
