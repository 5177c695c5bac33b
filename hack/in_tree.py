"""Writes deploy/chart/in-tree.yaml by ``gpuwarden compile --chart``, for the chart's default config: `make manifests`.

Run it as `python -m hack.in_tree`; with `--check` it writes nothing and fails when the file differs.
"""

import os
import subprocess
import sys

from hack import generated
from hack.render_manifests import CHART, KUBERNETES, RENDER
from hack.tools import ROOT, UnavailableError, find

TARGET = CHART / "in-tree.yaml"
HEADER = "# What `gpuwarden compile --chart` makes of the chart's default config. Written by `make manifests`; do not edit.\n"


def text() -> str:
    """What the file should be.

    Raises:
        UnavailableError: there is no helm.
    """
    helm = find("helm", os.environ)
    only = ("--kube-version", KUBERNETES, "--show-only", "templates/configmap.yaml")
    rendered = subprocess.run([helm, *RENDER, *only], capture_output=True, check=True).stdout
    program = [str(ROOT / ".venv/bin/gpuwarden"), "compile", "--chart", "-"]
    return HEADER + subprocess.run(program, input=rendered, capture_output=True, check=True).stdout.decode()


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` compare it; 0 when it is right now."""
    try:
        return generated.write(TARGET, text(), "manifests", arguments)
    except UnavailableError as error:
        print(f"manifests: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
