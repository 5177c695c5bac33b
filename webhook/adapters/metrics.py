"""Prometheus metrics: what was decided, what was found, how long answers took, what is loaded."""

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from webhook import __version__
from webhook.application.recorder import Recorded

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# Namespace labels are written by people: a label value of a metric must not grow with them.
_MOST_POLICIES = 100
_OTHER = "other"


class Metrics:
    """Every metric of the process, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for every counter, which nothing here reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._decisions = Counter(
            "gpuwarden_decisions_total",
            "Decisions on pods that ask for GPUs.",
            ["mode", "policy", "outcome", "path", "acted"],
            registry=self.registry,
        )
        self._findings = Counter(
            "gpuwarden_findings_total", "Findings by rule.", ["rule", "mode", "path"], registry=self.registry
        )
        self._requests = Histogram(
            "gpuwarden_request_duration_seconds",
            "Time from the first byte of a request's body wanted to the answer sent.",
            ["path", "code"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._reloads = Counter(
            "gpuwarden_reloads_total",
            "Files read again because they changed.",
            ["file", "result"],
            registry=self.registry,
        )
        self._reload_failing = Gauge(
            "gpuwarden_reload_failing",
            "1 while a file on disk can't be used and its last good content is.",
            ["file"],
            registry=self.registry,
        )
        info = Gauge("gpuwarden_build_info", "The running version; always 1.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self._failing: set[str] = set()
        self._policies: set[str] = set()
        # Looking up labels costs more than counting, so the children are remembered; all labels are bounded.
        self._decision = lru_cache(maxsize=None)(self._decisions.labels)
        self._finding = lru_cache(maxsize=None)(self._findings.labels)
        self._request = lru_cache(maxsize=None)(self._requests.labels)

    def decided(self, recorded: Recorded) -> None:
        """Count a decision and its findings."""
        policy = self._bounded(recorded.policy)
        acted = "true" if recorded.acted else "false"
        outcome = recorded.decision.outcome.value
        self._decision(recorded.mode, policy, outcome, recorded.path, acted).inc()
        for finding in recorded.decision.findings:
            self._finding(finding.rule.value, recorded.mode, recorded.path).inc()

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Observe an answer."""
        self._request(path, str(code)).observe(seconds)

    def reloaded(self, file: str, *, good: bool) -> None:
        """Count a reload; ``file`` is what the file is, not its path."""
        self._reloads.labels(file, "success" if good else "failure").inc()
        self._reload_failing.labels(file).set(0 if good else 1)
        (self._failing.discard if good else self._failing.add)(file)

    def is_reload_failing(self, file: str) -> bool:
        """Whether the last reload of a file failed."""
        return file in self._failing

    def exposition(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)

    def _bounded(self, policy: str) -> str:
        if policy in self._policies:
            return policy
        if len(self._policies) >= _MOST_POLICIES:
            return _OTHER
        self._policies.add(policy)
        return policy
