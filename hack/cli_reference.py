"""Writes docs/reference/options.md and man/gpuwarden.1 from the command line itself: `make docs`.

Run it as `python -m hack.cli_reference`; with `--check` it writes nothing and fails when a file differs.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import typer
from typer.core import TyperArgument, TyperGroup

from hack import generated
from hack.tools import ROOT
from webhook.cli.main import app

PAGE = ROOT / "docs/reference/options.md"
MAN = ROOT / "man/gpuwarden.1"
HEAD = """<!-- Written by `make docs` from the code; edit the command line and hack/cli_reference.py, not this page. -->
# Commands and options

Every command with its options, as `gpuwarden COMMAND --help` prints them. [The command line](cli.md) explains exit codes,
decisions, and what is read. The package installs the same text as the man page `gpuwarden(1)`.
"""


@dataclass(frozen=True)
class Command:
    """A command: its words after ``gpuwarden``, usage, help in paragraphs, arguments and options with their help."""

    name: str
    usage: str
    paragraphs: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]


def commands(group: TyperGroup, parent: typer.Context) -> Iterator[Command]:
    """Every command of a group and of its groups, in their order."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None, name  # noqa: S101 - the group has just listed it
        context = typer.Context(command, info_name=name, parent=parent)
        if isinstance(command, TyperGroup):
            yield from commands(command, context)
        else:
            usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
            paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
            parameters = [
                # An argument's type is Python's, and its name says what it is.
                (
                    f"{record[0].partition(' <')[0]} (argument)" if isinstance(one, TyperArgument) else record[0],
                    record[1],
                )
                for one in command.get_params(context)
                if (record := one.get_help_record(context))
            ]
            words = context.command_path.removeprefix("gpuwarden ")
            yield Command(words, usage, tuple(" ".join(text.split()) for text in paragraphs), tuple(parameters))


def all_commands() -> list[Command]:
    """Every command of gpuwarden."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - the app is one
    return list(commands(group, typer.Context(group, info_name="gpuwarden")))


def page(found: list[Command]) -> str:
    """Return the page."""
    lines = [HEAD]
    for command in found:
        lines += [f"## {command.name}", "", "```text", command.usage, "```", ""]
        lines += [line for text in command.paragraphs for line in (_cell(text), "")]
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{name.replace('|', chr(92) + '|')}` | {_cell(text)} |" for name, text in command.parameters]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    """Return prose for Markdown: what it would read as markup is escaped."""
    return re.sub(r"([|*_\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def man(found: list[Command]) -> str:
    """Return the man page (roff)."""
    lines = [
        '.\\" Written by `make docs` from the code.',
        ".TH GPUWARDEN 1",
        ".SH NAME",
        "gpuwarden \\- GPU requests in Kubernetes, rewritten to match what the nodes offer",
        ".SH SYNOPSIS",
        ".B gpuwarden",
        ".I COMMAND",
        "[OPTIONS]",
        ".SH COMMANDS",
    ]
    for command in found:
        lines += [f".SS {_roff(command.name)}", f".B {_roff(command.usage)}"]
        lines += [line for text in command.paragraphs for line in (".PP", _roff(text))]
        lines += [line for name, text in command.parameters for line in (".TP", f".B {_roff(name)}", _roff(text))]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Return text in which roff finds no request and no escape, with hyphens that can be copied."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    everything = all_commands()
    MAN.parent.mkdir(exist_ok=True)
    results = [generated.write(PAGE, page(everything), "docs", sys.argv[1:])]
    results.append(generated.write(MAN, man(everything), "docs", sys.argv[1:]))
    sys.exit(max(results))
