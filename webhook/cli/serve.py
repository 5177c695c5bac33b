"""``gpuwarden serve``: the options of the server, each also an environment variable."""

from pathlib import Path
from typing import Annotated

import typer

from webhook.adapters.logs import LogFormat, LogLevel


def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    host: Annotated[
        str, typer.Option(envvar="GPUWARDEN_HOST", help="Address to listen on; every address by default.")
    ] = "",
    port: Annotated[
        int, typer.Option(envvar="GPUWARDEN_PORT", min=0, max=65535, help="Port of /mutate and /validate, over TLS.")
    ] = 8443,
    ops_port: Annotated[
        int,
        typer.Option(
            envvar="GPUWARDEN_OPS_PORT", min=0, max=65535, help="Port of /healthz, /readyz and /metrics, without TLS."
        ),
    ] = 8080,
    config: Annotated[
        Path | None,
        typer.Option(envvar="GPUWARDEN_CONFIG", help="Configuration file; read again when it changes."),
    ] = None,
    namespaces: Annotated[
        Path | None,
        typer.Option(
            envvar="GPUWARDEN_NAMESPACES",
            help="Namespaces and their labels, as printed by kubectl get namespaces -o yaml; read again when it changes.",
        ),
    ] = None,
    tls_cert_file: Annotated[
        Path | None,
        typer.Option(
            envvar="GPUWARDEN_TLS_CERT_FILE", help="Serving certificate (PEM, leaf first); read again on change."
        ),
    ] = None,
    tls_private_key_file: Annotated[
        Path | None, typer.Option(envvar="GPUWARDEN_TLS_PRIVATE_KEY_FILE", help="Its private key (PEM).")
    ] = None,
    tls_self_signed: Annotated[  # noqa: FBT002 - typer's way to say a flag
        bool,
        typer.Option(
            "--tls-self-signed",
            envvar="GPUWARDEN_TLS_SELF_SIGNED",
            help="Make a certificate for localhost at start, for a trial; the caBundle is logged.",
        ),
    ] = False,
    shutdown_delay: Annotated[
        float,
        typer.Option(
            envvar="GPUWARDEN_SHUTDOWN_DELAY",
            min=0,
            max=300,
            help="Seconds to go on answering, not ready, after SIGTERM, while endpoints forget this replica.",
        ),
    ] = 0.0,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="GPUWARDEN_LOG_FORMAT", help="json or text.")
    ] = LogFormat.JSON,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="GPUWARDEN_LOG_LEVEL", help="The least severe line.")
    ] = LogLevel.INFO,
) -> None:
    """Answer admission reviews over HTTPS until SIGTERM or SIGINT.

    Exit codes: 0 stopped by a signal; 1 a listener failed; 2 a wrong option, or a file or port that can't be used.
    """
    # Imported here so that `gpuwarden check` need not load a web server.
    from webhook.cli.server import Options, StartError, run  # noqa: PLC0415 - start-up time, as said

    options = Options(
        host=host,
        port=port,
        ops_port=ops_port,
        config=config,
        namespaces=namespaces,
        tls_cert_file=tls_cert_file,
        tls_private_key_file=tls_private_key_file,
        tls_self_signed=tls_self_signed,
        shutdown_delay=shutdown_delay,
        log_format=log_format,
        log_level=log_level,
    )
    try:
        run(options)
    except StartError as error:
        for line in str(error).splitlines():
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(2) from error
