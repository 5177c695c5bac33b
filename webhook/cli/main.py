"""The ``gpuwarden`` command: each subcommand is loaded when it is used, so that the server does not load report writers."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from .. import __version__
from .streams import guarded

# Each is a module of this package that has, under the same name, a command's function or a group of commands.
_COMMANDS = (
    "serve",
    "check",
    "audit",
    "rewrite",
    "compile",
    "doctor",
    "fleet",
    "recommend",
    "explain",
    "certs",
    "completion",
)


class _Modules(Mapping[str, Any]):
    """The subcommands by name, each imported when it is looked up: together they cost a third of a second and 6 MiB."""

    def __getitem__(self, name: str) -> Any:
        if name not in _COMMANDS:
            raise KeyError(name)
        module = import_module(f".{name}", __package__)
        group = getattr(module, f"{name}_app", None)
        if group is None:
            group = typer.Typer(add_completion=False)
            function = getattr(module, name)
            group.command(help=_paragraphs(function))(function)
        command = typer.main.get_command(group)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _paragraphs(function: Any) -> str:
    """Return a command's docstring with a line for each paragraph: typer would break lines where the source does, too."""
    return "\n\n".join(" ".join(each.split()) for each in (inspect.getdoc(function) or "").split("\n\n"))


class _OnDemand(TyperGroup):
    """The group of these subcommands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Modules()  # type: ignore[assignment]  # the base only reads it, once it is made

    def get_params(self, ctx: Any) -> list[Any]:
        """Omit typer's options for completion, which guess the shell: `gpuwarden completion` takes it as an argument."""
        return [
            param for param in super().get_params(ctx) if param.name not in {"install_completion", "show_completion"}
        ]

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the command line up to the subcommand; mistakes are explained in plain words."""
        with _explained():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's context is the one it is called with
        """Read the rest of the command line, and run the subcommand; mistakes are explained in plain words too."""
        with _explained():
            return super().invoke(ctx)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        from .option_problems import explain  # noqa: PLC0415 - start-up time: only for a mistake

        explain(error)
        raise


app = typer.Typer(
    name="gpuwarden",
    cls=_OnDemand,
    help="Rewrites GPU requests to match what the nodes offer, and denies what the kubelet would reject.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"gpuwarden {__version__}")
        raise typer.Exit


@app.callback()
def gpuwarden(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),  # noqa: FBT001, FBT003 - typer's way to declare a flag
) -> None:
    """Rewrites GPU requests to match what the nodes offer, and denies what the kubelet would reject."""


def run() -> None:
    """Run the command line."""
    guarded(app)
