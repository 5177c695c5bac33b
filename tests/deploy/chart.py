"""The chart as Helm renders it: rendering with values, and finding objects in what comes out."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.render_manifests import CHART, KUBERNETES, NAMESPACE

Json = dict[str, Any]

# Real servers add their own words to the version.
TOO_OLD = ("1.20.2", "1.29.15", "v1.29.9-eks-f5e5bb2", "v1.29.14-gke.1062000")
SUPPORTED = ("1.30.0", "v1.30.0+k3s1", "v1.30.1-gke.1286000", "v1.30.9-eks-f5e5bb2", "1.36.0", "1.37.1", "v1.36.0-rc.1")

MODES: Mapping[str, Json] = {
    "self-managed": {"certificates": {"mode": "self-managed"}},
    "cert-manager": {"certificates": {"mode": "cert-manager"}},
    "provided": {"certificates": {"mode": "provided", "provided": {"secretName": "our-tls"}}},
}
"""Values for each way to certificates."""


class RefusedError(Exception):
    """Helm refused; the message is what it said."""


@dataclass(frozen=True)
class Rendered:
    """What the chart became."""

    objects: tuple[Json, ...]

    @classmethod
    def of(cls, text: str) -> "Rendered":
        documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
        return cls(tuple(document for document in documents if document))

    def all(self, kind: str, *, hooks: bool = False) -> list[Json]:
        """The objects of a kind: those of the release, or its hooks."""
        return [o for o in self.objects if o["kind"] == kind and is_hook(o) == hooks]

    def the(self, kind: str, name: str | None = None) -> Json:
        """The one object of a kind (and name)."""
        found = [o for o in self.all(kind) if name in (None, o["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} {kind} {name or ''}"
        return found[0]

    @property
    def pod(self) -> Json:
        """The spec of the Deployment's pods."""
        spec: Json = self.the("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Json:
        """Their one container."""
        (container,) = self.pod["containers"]
        found: Json = container
        return found

    @property
    def arguments(self) -> list[str]:
        """The container's command line, without the program."""
        return list(self.container["args"])

    @property
    def webhooks(self) -> dict[str, Json]:
        """Every webhook of both configurations, by its name."""
        kinds = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        return {webhook["name"]: webhook for kind in kinds for webhook in self.the(kind)["webhooks"]}

    @property
    def configuration_file(self) -> str:
        """The text of the configuration file."""
        text: str = self.the("ConfigMap")["data"]["config.yaml"]
        return text


def is_hook(document: Json) -> bool:
    """Whether Helm would run it at some point instead of installing it."""
    return "helm.sh/hook" in (document["metadata"].get("annotations") or {})


class Chart:
    """The chart, and the helm that renders it."""

    def __init__(self, helm: Path, home: Path, folder: Path = CHART) -> None:
        self._helm = helm
        self._folder = folder
        # A helm that knows nothing but the chart: no plugins, no repositories, no cluster of whoever runs the tests.
        self._environment = {"PATH": os.defpath, "HOME": str(home), "KUBECONFIG": os.devnull}

    @property
    def program(self) -> Path:
        """Where helm is."""
        return self._helm

    def helm(self, *arguments: str, values: Json | None = None, kubeconfig: Path | None = None) -> str:
        """Run helm; ``values`` come by standard input where the arguments say ``--values -``.

        Raises:
            RefusedError: it failed.
        """
        environment = self._environment | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
        done = subprocess.run(
            [self._helm, *arguments], input=yaml.safe_dump(values or {}), env=environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RefusedError(f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def render(
        self,
        values: Json | None = None,
        *,
        release: str = "gpuwarden",
        namespace: str = NAMESPACE,
        kubernetes: str = KUBERNETES,
        more: Sequence[str] = (),
    ) -> Rendered:
        """Render the chart as ``helm template`` does."""
        text = self.helm(
            "template", release, str(self._folder), "--namespace", namespace, "--kube-version", kubernetes,
            "--values", "-", *more, values=values,
        )  # fmt: skip
        return Rendered.of(text)

    def notes(self, values: Json, *, release: str = "gpuwarden", namespace: str = NAMESPACE) -> str:
        """What ``helm install`` says at its end, with single blanks."""
        said = self.helm(
            "install",
            release,
            str(self._folder),
            "--namespace",
            namespace,
            "--dry-run=client",
            "--values",
            "-",
            values=values,
        )
        return " ".join(said.partition("NOTES:")[2].split())


def merged(*layers: Mapping[str, Any]) -> Json:
    """Values laid over each other, as Helm does it with several files."""
    result: Json = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a document that holds no others, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value
