"""``gpuwarden serve``: the server, from its options to its exit code."""

import gc
from typing import Any

import typer

from .exit_codes import EXIT_USAGE
from .messages import say
from .options import Options, StartError, signature


def serve(**options: Any) -> None:
    """Answer admission reviews over HTTPS until SIGTERM or SIGINT.

    Exit codes: 0 stopped by a signal; 1 a listener failed; 2 a wrong option, or a file or port that can't be used.
    """
    # The collector would take a quarter of the start-up time and find almost no garbage. `run` enables it again.
    gc.disable()
    try:
        # Imported here so that `gpuwarden check` need not load a web server.
        from .server import run  # noqa: PLC0415 - start-up time, as above

        run(Options(**options))
    except StartError as error:
        for line in str(error).splitlines():
            say(f"error: {line}")
        raise typer.Exit(EXIT_USAGE) from error
    finally:
        gc.enable()


serve.__signature__ = signature()  # type: ignore[attr-defined]  # where typer looks for the options
