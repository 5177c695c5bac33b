"""``gpuwarden completion``: the script that completes commands, options, policies, contexts and namespaces in a shell."""

import os
from typing import Annotated, Literal

import typer

Shell = Literal["bash", "zsh", "fish"]
"""The shells that typer writes scripts for."""


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the completion script of a shell.

    bash: source <(gpuwarden completion bash), in ~/.bashrc. zsh: the same with zsh, after compinit, in ~/.zshrc.
    fish: gpuwarden completion fish > ~/.config/fish/completions/gpuwarden.fish.
    kubectl's own script completes kubectl gpuwarden too: it runs kubectl_complete-gpuwarden, which the package installs.

    Exit codes: 0 printed; 2 wrong usage, or output that can't be written.
    """
    from .main import app  # noqa: PLC0415 - it imports this module

    # typer's own protocol, which its scripts use too.
    os.environ["_GPUWARDEN_COMPLETE"] = f"source_{shell}"
    app(prog_name="gpuwarden")
