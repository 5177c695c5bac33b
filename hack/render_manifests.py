"""Renders deploy/gpuwarden.yaml from the chart, for clusters where Helm isn't used: `make manifests`.

Run it as `python -m hack.render_manifests`; with `--check` it writes nothing and fails when the file is not what the chart
renders now.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from hack.tools import ROOT, UnavailableError, find

CHART = ROOT / "deploy/chart"
MANIFEST = ROOT / "deploy/gpuwarden.yaml"
NAME = "gpuwarden"  # of the release, and so of its objects
NAMESPACE = "gpuwarden-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"
# `helm template` knows no cluster, and every version of Helm assumes another one. The chart renders the same for all that it
# supports (tests/deploy/test_manifest.py); this is the oldest.
KUBERNETES = "1.30.0"
RENDER = ("template", NAME, str(CHART), "--namespace", NAMESPACE, "--set", "namespace.create=true")
HEADER = """\
# gpuwarden with the chart's defaults. Rendered from deploy/chart by `make manifests`: change that, not this.
#   kubectl apply -f deploy/gpuwarden.yaml
#   kubectl delete -f deploy/gpuwarden.yaml
# For Kubernetes 1.30 or newer; docs/how-to/install.md says how to choose other values.
# The webhook configurations stand first because `kubectl delete` goes from top to bottom, and must not leave them to
# deny pods with GPUs while what answers them is being removed.
"""
FIRST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Namespace")


def render(helm: Path) -> str:
    """Render the manifest.

    Raises:
        UnavailableError: helm refused.
    """
    done = subprocess.run([helm, *RENDER, "--kube-version", KUBERNETES], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"helm: {done.stderr.strip()}")
    # Versions of Helm differ in the blank lines between documents.
    documents = [text.strip() for text in re.split(r"(?m)^---$", done.stdout) if text.strip()]
    documents.sort(key=_place)  # stable: the others stay in Helm's order
    return HEADER + "".join(f"---\n{document}\n" for document in documents)


def _place(document: str) -> int:
    kind = re.search(r"(?m)^kind: (\w+)$", document)
    return FIRST.index(kind[1]) if kind and kind[1] in FIRST else len(FIRST)


def main(arguments: list[str]) -> int:
    """Write the manifest, or with ``--check`` compare it; 0 when it is right now."""
    try:
        wanted = render(find("helm", os.environ))
    except UnavailableError as error:
        print(f"manifests: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
        return 1
    if arguments == ["--check"]:
        if MANIFEST.exists() and MANIFEST.read_text() == wanted:
            return 0
        print(f"manifests: {MANIFEST.relative_to(ROOT)} is not what the chart renders: run `make manifests`")  # noqa: T201 - a script speaks
        return 1
    MANIFEST.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
