"""The option ``--config``, and the configuration that it names."""

from pathlib import Path
from typing import Annotated

import typer

from ..adapters import named_file
from ..adapters.configuration import file as configuration_file
from ..adapters.file_errors import why
from ..application.configuration import Configuration
from .messages import usage_error

ConfigOption = Annotated[Path | None, typer.Option("--config", envvar="GPUWARDEN_CONFIG", help="Configuration file.")]


def load_configuration(path: Path | None) -> Configuration:
    """The configuration of ``--config``, or the built-in one.

    Raises:
        typer.Exit: 2, after printing what is wrong with the file.
    """
    if path is None:
        return Configuration()
    try:
        return configuration_file.parse(named_file.text(path))
    except configuration_file.ConfigurationError as error:
        raise usage_error(*(f"{path}: {problem}" for problem in error.problems)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise usage_error(f"--config {path}: {why(path, error)}") from error
