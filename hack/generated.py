"""Files that are written from the code or from other files, and compared with them in `make lint`."""

from collections.abc import Sequence
from pathlib import Path

from hack.tools import ROOT


def write(file: Path, text: str, target: str, arguments: Sequence[str]) -> int:
    """Write a generated file, or with ``--check`` compare it.

    Args:
        file: the file.
        text: what it should hold.
        target: the target of the Makefile that writes it.
        arguments: those of the command line.

    Returns:
        The exit code: 0 if the file is right now, 1 if it differs, which is printed.
    """
    if "--check" not in arguments:
        file.write_text(text, encoding="utf-8")
    elif not file.exists() or file.read_text(encoding="utf-8") != text:
        print(f"{file.relative_to(ROOT)} is out of date: run `make {target}`")  # noqa: T201 - a script speaks
        return 1
    return 0
