"""``kubectl_complete-gpuwarden``: what kubectl runs to complete ``kubectl gpuwarden``.

It gets the words after ``kubectl gpuwarden``, and prints one completion per line, then cobra's directive (kubectl, pkg/cmd
SetupPluginCompletion).
"""

import contextlib
import io
import os
import shlex
import sys

from .main import app

_FILES, _NO_FILES = 0, 4  # cobra's ShellCompDirectiveDefault and ShellCompDirectiveNoFileComp


def run() -> None:
    """Print the completions of the last argument. If there are none, the shell completes file names."""
    words = ["gpuwarden", *(sys.argv[1:] or [""])]
    # typer's own protocol, as in the scripts of `gpuwarden completion`.
    os.environ |= {
        "_GPUWARDEN_COMPLETE": "complete_bash",
        "COMP_WORDS": shlex.join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    offered = io.StringIO()
    with contextlib.redirect_stdout(offered), contextlib.suppress(SystemExit):
        app(prog_name="gpuwarden")
    names = offered.getvalue().split("\n")
    found = [name for name in names if name]
    sys.stdout.write("".join(f"{line}\n" for line in (*found, f":{_NO_FILES if found else _FILES}")))
