"""What ``gpuwarden audit`` says of a namespace."""

import json
import subprocess

from testing.control_plane.cluster import ControlPlane
from tests.e2e.gpuwarden import PROGRAM


def audit(control_plane: ControlPlane, namespace: str) -> dict[str, str]:
    """The decision on each object that requests a GPU, as ``Kind/name``; pods that belong to one are not listed."""
    command = [
        str(PROGRAM),
        "audit",
        "-o",
        "json",
        f"--kubeconfig={control_plane.kubeconfig()}",
        f"--namespace={namespace}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 1}, done.stderr
    lines = json.loads(done.stdout)["objects"]
    return {f"{line['kind']}/{line['name']}": line["decision"] for line in lines if line["requests"]}
