"""Login to an API server with a kubeconfig, through the official client."""

import logging
import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_kube_config

from ..file_errors import why
from .errors import KubeconfigError
from .kubeconfig import SelectedContext
from .transport import Login

_INLINE = "certificates and keys inside a kubeconfig need a temporary file; make /tmp writable, or name files instead of …-data"


def log_in(choice: SelectedContext) -> Login:
    """Log in with a context of a kubeconfig; files and plugins are read, nothing is sent yet.

    Raises:
        KubeconfigError: the context can't be used.
    """
    configuration = _configuration(choice)
    # TCP keep-alive, because some load balancers silently drop idle connections, such as that of a watch.
    configuration.keep_alive = True

    def authorization() -> str | None:
        # The call refreshes what must be refreshed: the official client runs an exec plugin again shortly before its token
        # expires.
        token = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        # Not stripped by the client: a token file that ends in a newline would make the header invalid.
        return token.strip() if token else None

    return Login(configuration.host.rstrip("/"), RESTClientObject(configuration).pool_manager, authorization)


def _configuration(choice: SelectedContext) -> Configuration:
    configuration = Configuration()
    where = f'{choice.paths()}: context "{choice.context}"'
    with _said_by_the_client() as said:
        try:
            load_kube_config(  # type: ignore[no-untyped-call]  # the client does not annotate it
                config_file=choice.paths(),
                context=choice.context,
                client_configuration=configuration,
                persist_config=False,  # a server must not write to a user's kubeconfig
            )
        except OSError as error:
            # The only error without a file's name is tempfile's: the client writes what is inside a kubeconfig to files.
            file = error.filename
            what = f"{file}: {why(file, error)}" if file else f"{error.strerror}; {_INLINE}"
            raise KubeconfigError(f"{where}: {what}") from error
        except ConfigException as error:
            missing = str(error).removeprefix("File does not exist: ")
            what = (
                f"{missing}: there is no such file; name one that exists" if missing != str(error) else _unusable(error)
            )
            raise KubeconfigError(f"{where}: {what}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # The loader validates little, so an invalid value may raise any of these.
            raise KubeconfigError(f"{where}: {_unusable(error)}") from error
    _check_files(where, configuration)
    if choice.exec_command and "BearerToken" not in configuration.api_key and configuration.cert_file is None:
        # The client logs a plugin's failure and continues without credentials.
        raise KubeconfigError(f'{where}: the login program "{choice.exec_command}" {_why_no_login(choice, said)}')
    return configuration


def _unusable(error: Exception) -> str:
    return f"cannot be used ({error}); compare its fields with those that kubectl config view prints"


def _check_files(where: str, configuration: Configuration) -> None:
    """Check that TLS can use the certificates. Otherwise, only the first request would fail, with an error of OpenSSL."""
    context = ssl.create_default_context()
    field = file = ""
    try:
        if configuration.ssl_ca_cert:
            field, file = "certificate-authority", configuration.ssl_ca_cert
            context.load_verify_locations(file)
        if configuration.cert_file:
            field, file = "client-certificate and client-key", configuration.cert_file
            context.load_cert_chain(file, configuration.key_file)
    except ssl.SSLError as error:
        raise KubeconfigError(
            f"{where}: {field} cannot be used ({error.reason or 'not PEM'}); set PEM files that belong together, or their -data"
        ) from error
    except OSError as error:
        raise KubeconfigError(f"{where}: {field}: {file}: {why(file, error)}") from error


def _why_no_login(choice: SelectedContext, said: list[str]) -> str:
    command = choice.exec_command or ""
    beside_the_file = os.sep in command and not Path(command).is_absolute()  # relative to the kubeconfig
    if not beside_the_file and shutil.which(command) is None:
        return (
            f"is not installed, or not on PATH; {choice.exec_hint or 'install it, or correct exec.command of the user'}"
        )
    reason = "; ".join(said) or "it gave neither a token nor a certificate"
    return f"failed: {reason}; run it manually to see what it needs"


@contextmanager
def _said_by_the_client() -> Iterator[list[str]]:
    """Collect what the official client logs on the root logger, where it leaves the reason of a plugin's failure."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    collector = Collector(logging.ERROR)
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield said
    finally:
        root.removeHandler(collector)
