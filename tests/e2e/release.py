"""The chart as a release of Helm's on the control plane of the tests: installed, upgraded and uninstalled by helm itself."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hack.render_manifests import CHART, NAME, NAMESPACE
from tests.deploy.chart import Chart
from tests.e2e.post_render import __file__ as post_renderer

PLUGIN = "to-loopback"


class Release:
    """One release. Its Service leads to loopback, which a post-renderer sees to."""

    def __init__(self, helm: Path, home: Path, kubeconfig: Path, ports: Mapping[str, int]) -> None:
        """Prepare to install.

        Args:
            helm: the program, version 3 or 4.
            home: an empty directory, which becomes helm's home.
            kubeconfig: of whoever installs.
            ports: where the API server reaches each webhook on loopback, by its name.
        """
        self._chart = Chart(helm, home)
        self._kubeconfig = kubeconfig
        self.helm_3 = self._chart.helm("version", "--short").startswith("v3")
        self._post_render = self._post_renderer(home, ports)

    def install(self, values: Mapping[str, Any]) -> str:
        """``helm install``; what it says."""
        return self._run("install", NAME, str(CHART), "--create-namespace", *self._post_render, values=values)

    def upgrade(self, values: Mapping[str, Any]) -> str:
        """``helm upgrade``; what it says."""
        return self._run("upgrade", NAME, str(CHART), *self._post_render, values=values)

    def rollback(self, revision: int = 0) -> str:
        """``helm rollback`` to a revision, or as helm takes 0: to the one before; what it says."""
        more = () if self.helm_3 else ("--force-conflicts",)
        return self._run("rollback", NAME, str(revision), *more)

    def uninstall(self) -> str:
        """``helm uninstall``; what it says."""
        return self._run("uninstall", NAME)

    def _run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        more = ("--values", "-") if values is not None else ()
        return self._chart.helm(
            *arguments, *more, "--namespace", NAMESPACE, values=dict(values or {}), kubeconfig=self._kubeconfig
        )

    def _post_renderer(self, home: Path, ports: Mapping[str, int]) -> list[str]:
        """The options by which this version of helm runs our post-renderer: 3 a program, 4 a plugin."""
        command, argument = sys.executable, json.dumps(dict(ports))
        if self.helm_3:
            script = home / PLUGIN
            script.write_text(f"#!/bin/sh\nexec {command} {post_renderer} '{argument}'\n")
            script.chmod(0o755)
            return ["--post-renderer", str(script)]
        plugin = home / ".local/share/helm/plugins" / PLUGIN
        plugin.mkdir(parents=True)
        manifest = {
            "apiVersion": "v1",
            "name": PLUGIN,
            "version": "0.1.0",
            "type": "postrenderer/v1",
            "runtime": "subprocess",
            "runtimeConfig": {"platformCommand": [{"command": command, "args": [post_renderer, argument]}]},
        }
        (plugin / "plugin.yaml").write_text(yaml.safe_dump(manifest))
        return ["--post-renderer", PLUGIN]
