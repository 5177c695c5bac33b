"""The ``gpuwarden`` command."""

import typer

from webhook import __version__
from webhook.cli.audit import audit
from webhook.cli.certs import certs_app
from webhook.cli.check import check
from webhook.cli.doctor import doctor
from webhook.cli.rewrite import rewrite
from webhook.cli.serve import serve

app = typer.Typer(
    name="gpuwarden",
    help="Spells GPU requests the way the cluster hands GPUs out, and refuses what the kubelet would fail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(check)
app.command()(audit)
app.command()(rewrite)
app.command()(doctor)
app.add_typer(certs_app, name="certs")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"gpuwarden {__version__}")
        raise typer.Exit


@app.callback()
def gpuwarden(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),  # noqa: FBT001, FBT003 - typer's way to say a flag
) -> None:
    """Spells GPU requests the way the cluster hands GPUs out, and refuses what the kubelet would fail."""


def run() -> None:
    """Run the command line."""
    app()
