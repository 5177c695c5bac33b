"""Prometheus with the chart's rules, on loopback."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from hack.render_manifests import NAMESPACE
from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Rendered

SECONDS = "500ms"  # between two scrapes, and between two evaluations of the rules

Json = dict[str, Any]


class Prometheus:
    """A running Prometheus that scrapes some ports. A context manager: leaving it ends the program."""

    def __init__(self, program: Path, rendered: Rendered, ports: Mapping[str, int], directory: Path) -> None:
        """Prepare it.

        Args:
            program: Prometheus.
            rendered: the chart with ``monitoring.prometheusRule.create``, whose rules it loads as they are.
            ports: what to scrape: a port on loopback by the name of its ``instance``.
            directory: an empty one, for its files.
        """
        self._program = program
        self._directory = directory
        self._port = free_port()
        self._api = httpx.Client(base_url=f"http://127.0.0.1:{self._port}/api/v1", timeout=30.0, trust_env=False)
        rules = directory / "rules.yaml"
        rules.write_text(yaml.safe_dump(rendered.the("PrometheusRule")["spec"]))
        # `job` and `namespace` are what Prometheus' operator makes of the chart's ServiceMonitor.
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": instance, "namespace": NAMESPACE}}
            for instance, port in ports.items()
        ]
        configuration = {
            "global": {"scrape_interval": SECONDS, "scrape_timeout": SECONDS, "evaluation_interval": SECONDS},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "gpuwarden", "static_configs": targets}],
        }
        self._configuration = directory / "prometheus.yaml"
        self._configuration.write_text(json.dumps(configuration))

    def __enter__(self) -> Self:
        """Start it, and wait until it has scraped everything and evaluated every rule."""
        command = [
            str(self._program),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self.process = Process("prometheus", command, self._directory / "log")
        try:
            wait_for("Prometheus to evaluate every rule", self._evaluates)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.kill()
        self._api.close()

    def rules(self) -> list[Json]:
        """Every rule, with its health and its last error."""
        return [rule for group in self._get("/rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> dict[str, list[Json]]:
        """The alerts that are pending or firing, by name."""
        found: dict[str, list[Json]] = {}
        for alert in self._get("/alerts")["alerts"]:
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def query(self, expression: str) -> dict[str, float]:
        """The value of an expression, by ``instance``."""
        result = self._get("/query", query=expression)["result"]
        return {sample["metric"].get("instance", ""): float(sample["value"][1]) for sample in result}

    def _evaluates(self) -> bool:
        return all(rule["health"] != "unknown" for rule in self.rules())

    def _get(self, path: str, **parameters: str) -> Json:
        answer = self._api.get(path, params=parameters)
        data: Json = answer.raise_for_status().json()["data"]
        return data
