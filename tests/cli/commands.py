"""Runs gpuwarden's command line in this process, and makes manifests to run it on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from webhook.cli.main import app


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path, stdin: str = "") -> Ran:
    """Run ``gpuwarden`` with arguments; an exception that is not an exit is a failure of the test."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False)
    return Ran(result.exit_code, result.stdout_bytes.decode(), result.stderr)


def deployment(name: str = "web", gpu: Any = 1, namespace: str | None = None) -> str:
    """A Deployment as people write it, comments and all."""
    line = f"\n  namespace: {namespace}" if namespace else ""
    return f"""\
# The web tier.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}{line}
spec:
  template:
    spec:
      containers:
      - name: main   # the only one
        image: "registry.example/main:1"
        resources:
          limits:
            nvidia.com/gpu: {gpu} # please
"""


SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports: [{port: 80}]
"""


def namespace(name: str, **labels: str) -> str:
    """A Namespace with gpuwarden's labels."""
    written = "".join(f"    gpuwarden.io/{key}: {value}\n" for key, value in labels.items())
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels:\n{written}"


NIM = """\
apiVersion: apps.nvidia.com/v1alpha1
kind: NIMService
metadata: {name: nim}
spec:
  resources: {limits: {nvidia.com/gpu: 1}}
"""
"""A workload that requests GPUs outside of any pod template, and is not evaluated."""
RAY = """\
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray}
spec:
  headGroupSpec: {template: {spec: {containers: [{name: head, image: ray}]}}}
  workerGroupSpecs:
  - replicas: 3
    numOfHosts: 2
    template: {spec: {containers: [{name: worker, image: ray, resources: {limits: {nvidia.com/gpu: 1}}}]}}
"""
"""A workload of an operator's kind whose pods are evaluated."""
