"""``gpuwarden check`` over a folder of manifests: how many a second, start and report included."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.reviews import POLICY
from benchmarks.samples import Spread

MANIFESTS = 5_000

# As people write them: comments, flow and block style, quotes of both kinds.
_MANIFEST = """\
# The trainer of team {team}; one shard.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: trainer-{number:05}
  namespace: team-{team:05}
  labels:
    app.kubernetes.io/name: trainer
    app.kubernetes.io/instance: trainer-{number:05}
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/instance: trainer-{number:05}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: trainer
        app.kubernetes.io/instance: trainer-{number:05}
    spec:
      serviceAccountName: trainer
      containers:
        - name: train
          image: registry.example.com/team/trainer:2026.1.0   # pinned
          args: ["--config=/etc/trainer/config.yaml", '--shard={number}']
          env:
            - name: SETTING
              value: "one"
            - name: TOKEN
              valueFrom: {{secretKeyRef: {{name: trainer, key: token}}}}
          resources:
            limits:
              cpu: "4"
              memory: 16Gi
              {resource}: 1
          volumeMounts:
            - {{name: settings, mountPath: /etc/trainer}}
      volumes:
        - name: settings
          configMap: {{name: trainer}}
"""


class Measured(msgspec.Struct, frozen=True):
    """Manifests a second, by the report that is asked for, and how many there were."""

    manifests: int
    a_second: dict[str, Spread]


def measure(folder: Path, manifests: int, rounds: int, tell: Callable[[str], None]) -> Measured:
    """Generate manifests, every third without a GPU, and check them.

    Raises:
        RuntimeError: the command did not evaluate them all.
    """
    within = folder / "manifests"
    within.mkdir()
    for number in range(manifests):
        resource = "nvidia.com/gpu" if number % 3 else "ephemeral-storage"
        text = _MANIFEST.format(number=number, team=number % 50, resource=resource)
        (within / f"{number:05}.yaml").write_text(text, encoding="utf-8")
    seconds: dict[str, list[float]] = {"table": [], "json": []}
    for number in range(rounds):
        tell(f"check: round {number + 1} of {rounds}")
        for output, taken in seconds.items():
            taken.append(_seconds(within, output, manifests))
    return Measured(
        manifests, {name: Spread.of([manifests / each for each in taken]) for name, taken in seconds.items()}
    )


def _seconds(folder: Path, output: str, manifests: int) -> float:
    command = [sys.executable, "-m", "webhook", "check", str(folder), "--policy", POLICY, "--output", output]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    took = time.perf_counter() - began
    evaluated = f"{manifests} objects" if output == "table" else f'"objects": {manifests}'
    if done.returncode != 0 or evaluated not in done.stdout[-500:]:
        raise RuntimeError(f"check ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return took
