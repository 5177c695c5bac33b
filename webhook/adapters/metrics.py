"""Prometheus metrics: decisions, findings, latencies, and the state of what the server reads."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from .. import __version__
from ..application.recorder import OTHER, DecisionSummary, RecordedDecision
from ..engine.decision import Outcome
from ..engine.findings import Severity
from ..engine.forms import Form
from ..engine.policy import Policy
from ..engine.rules.not_rewritten import NOT_REWRITTEN

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# People write namespace labels, so the number of their values as metric labels must be limited.
_MOST_NAMES = 100
_OPERATIONS = frozenset({"CREATE", "UPDATE"})
_UNREADABLE = "unreadable"  # one name for every mistyped label, or they would push real policies out


class Metrics:
    """Every metric of the process, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they are a second, unused series for every counter
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._decisions = counter(
            "gpuwarden_decisions_total",
            "Decisions on pods that request GPUs.",
            ["mode", "policy", "outcome", "path", "operation", "acted"],
        )
        self._findings = counter(
            "gpuwarden_findings_total",
            "Findings, by rule.",
            ["rule", "severity", "mode", "path", "acted"],
        )
        self._requests = Histogram(
            "gpuwarden_request_duration_seconds",
            "Request latency, from the received request to the sent answer.",
            ("path", "code"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._rejected = counter(
            "gpuwarden_rejected_total",
            "Connections and requests rejected by a limit or a client check, by port and reason.",
            ["port", "reason"],
        )
        self._reloads = counter("gpuwarden_reloads_total", "Reloads of changed files.", ["file", "result"])
        self._reload_failing = gauge(
            "gpuwarden_reload_failing", "1 if the file is invalid and the last valid version is in use.", ["file"]
        )
        self._reloaded_at = gauge(
            "gpuwarden_reload_success_timestamp_seconds", "Time of the last successful reload.", ["file"]
        )
        self._namespaces = gauge("gpuwarden_namespaces", "Namespaces in the last list.")
        self._watch_age = gauge(
            "gpuwarden_namespace_watch_age_seconds",
            "Seconds since the API server last sent anything on the watch; NaN before the first time.",
        )
        self._watch_failures = counter(
            "gpuwarden_namespace_watch_failures_total", "Failed lists and watches.", ["fault"]
        )
        self._misses = counter(
            "gpuwarden_namespace_cache_misses_total",
            "Namespaces read live, because the watch had not delivered them yet.",
            ["outcome"],
        )
        self._node_watch_age = gauge(
            "gpuwarden_node_watch_age_seconds",
            "Seconds since the API server last sent anything on the node watch; NaN while the nodes are not known.",
        )
        self._nodes = gauge(
            "gpuwarden_nodes",
            "Nodes with GPUs that a node selector selects, and others, which are counted only while none is selected.",
            ["selected"],
        )
        self._offered = gauge(
            "gpuwarden_offered_gpus",
            "GPUs, shared slots or MIG slices that ready, schedulable nodes offer, by form.",
            ["form"],
        )
        self._allocated = gauge(
            "gpuwarden_allocated_gpus",
            "GPUs, shared slots or MIG slices of gpuwarden_offered_gpus that pods hold, by form.",
            ["form"],
        )
        self._pending = gauge(
            "gpuwarden_pending_gpus",
            "GPUs, shared slots or MIG slices that pods without a node request, by form.",
            ["form"],
        )
        self._in_tree_outdated = gauge(
            "gpuwarden_in_tree_outdated",
            "1 if the admission policies in the API server differ from the configuration in use; NaN while that is not known.",
        )
        self._requested = counter(
            "gpuwarden_requested_gpus_total",
            "GPUs, shared slots or MIG slices that admitted pods request, by form.",
            ["form"],
        )
        self._policy_offered = gauge(
            "gpuwarden_policy_form_offered",
            "1 if nodes offer the form of plain requests, or an autoscaler can add it, by enforce policy in use.",
            ["policy", "form"],
        )
        self._node_watch_failures = counter(
            "gpuwarden_node_watch_failures_total", "Failed lists and watches of nodes.", ["fault"]
        )
        self._expiry = gauge(
            "gpuwarden_certificate_expiry_timestamp_seconds",
            "Expiry time of a certificate: leaf (the serving certificate), ca, next-ca.",
            ["certificate"],
        )
        self._clock_offset = gauge(
            "gpuwarden_clock_offset_seconds",
            "Minimum by which this machine's clock is ahead of the API server's; negative if behind.",
        )
        self._phase = gauge(
            "gpuwarden_certificate_rotation_phase", "1 for the current phase of the certificate rotation.", ["phase"]
        )
        self._rotation_failures = counter("gpuwarden_certificate_failures_total", "Failures of certificate management.")
        self._poll_failures = counter(
            "gpuwarden_periodic_task_failures_total", "Failures of periodic tasks because of a bug."
        )
        self._log_lines_dropped = counter(
            "gpuwarden_log_lines_dropped_total",
            "Dropped log lines: the log's reader stalls, its disk is full, or it is closed.",
        )
        self._ready = gauge("gpuwarden_ready", "1 if the part of /readyz is ready, otherwise 0.", ["part"])
        self._info = gauge("gpuwarden_build_info", "The running version; always 1.", ["version"])
        self._info.labels(__version__).set(1)
        self._policies, self._forms = _Bounded(), _Bounded()
        # Looking up labels costs more than counting, so the children are remembered; all labels are bounded.
        self._request = lru_cache(maxsize=None)(self._requests.labels)
        self._children = lru_cache(maxsize=1024)(self._counted_by)
        self._begin_at_zero()

    def decided(self, recorded: RecordedDecision) -> None:
        """Count a decision, its findings, and what the pod requests."""
        for child, number in self._children(recorded.evaluated):
            child.inc(number)

    def _counted_by(self, evaluated: DecisionSummary) -> list[tuple[Counter, int]]:
        """The counters of a decision, and what to add to each."""
        policy = _UNREADABLE if evaluated.unreadable else self._policies.name(evaluated.policy)
        acted = "true" if evaluated.acted else "false"
        # Any client that reaches the port can write anything there.
        operation = evaluated.operation if evaluated.operation in _OPERATIONS else OTHER
        decision = self._decisions.labels(
            evaluated.mode, policy, str(evaluated.outcome), evaluated.path, operation, acted
        )
        findings = [
            (self._findings.labels(rule, severity, evaluated.mode, evaluated.path, acted), number)
            for rule, severity, number in evaluated.findings
        ]
        forms = [
            (self._requested.labels(self._forms.name(str(form) if form else OTHER)), number)
            for form, number in evaluated.requested
        ]
        return [(decision, 1), *findings, *forms]

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Observe an answer."""
        self._request(path, str(code)).observe(seconds)

    def rejected(self, port: str, reason: str) -> None:
        """Count a rejected connection or request; both arguments have few values."""
        self._rejected.labels(port, reason).inc()

    def reloaded(self, file: str, *, good: bool) -> None:
        """Count a reload; ``file`` is the kind of file, not its path."""
        self._reloads.labels(file, "success" if good else "failure").inc()
        self._reload_failing.labels(file).set(0 if good else 1)
        if good:
            self._reloaded_at.labels(file).set_to_current_time()

    def loaded(self, file: str) -> None:
        """Record that a file was read at the start."""
        self._reload_failing.labels(file).set(0)
        self._reloaded_at.labels(file).set_to_current_time()

    def namespaces_listed(self, count: int) -> None:
        """Record that all namespaces were listed."""
        self._namespaces.set(count)

    def watch_age(self, seconds: float | None) -> None:
        """Set the age of the watch: seconds since the API server last responded."""
        self._watch_age.set(float("nan") if seconds is None else seconds)

    def watch_failed(self, fault: str) -> None:
        """Count a failed list or watch."""
        self._watch_failures.labels(fault).inc()

    def namespace_missed(self, outcome: str) -> None:
        """Count a live read of a namespace."""
        self._misses.labels(outcome).inc()

    def node_watch_age(self, seconds: float | None) -> None:
        """Set the age of the watch of nodes, as ``watch_age``."""
        self._node_watch_age.set(float("nan") if seconds is None else seconds)

    def offered(self, forms: Mapping[Form, int]) -> None:
        """Set the gauges of the forms that nodes offer."""
        _replace(self._offered, {(str(form),): number for form, number in forms.items()})

    def nodes(self, selected: int | None, others: int | None) -> None:
        """Set the numbers of selected and other nodes with GPUs; ``None`` if a number is not known."""
        found = {("true",): selected, ("false",): others}
        _replace(self._nodes, {labels: number for labels, number in found.items() if number is not None})

    def pods_counted(self, allocated: Mapping[Form, int], pending: Mapping[str, int]) -> None:
        """Set what pods hold and wait for, by form; empty if that is not known."""
        _replace(self._allocated, {(str(form),): number for form, number in allocated.items()})
        found: dict[tuple[str], int] = {}
        for form, number in pending.items():
            name = (self._forms.name(form),)
            found[name] = found.get(name, 0) + number
        _replace(self._pending, found)

    def policies_offered(self, forms: Mapping[tuple[Policy, Form], bool]) -> None:
        """Set whether nodes offer the forms that policies give plain requests."""
        values = {(self._policies.name(policy.name), str(form)): int(there) for (policy, form), there in forms.items()}
        _replace(self._policy_offered, values)

    def in_tree_outdated(self, outdated: bool | None) -> None:  # noqa: FBT001 - the gauge's value
        """Set whether admission policies differ from the configuration; ``None`` while that is not known."""
        self._in_tree_outdated.set(float("nan") if outdated is None else outdated)

    def node_watch_failed(self, fault: str) -> None:
        """Count a failed list or watch of nodes."""
        self._node_watch_failures.labels(fault).inc()

    def certificate_expires(self, certificate: str, end: datetime) -> None:
        """Set the expiry time of a certificate."""
        self._expiry.labels(certificate).set(end.timestamp())

    def clock_offset(self, ahead: timedelta) -> None:
        """Set the seconds by which this machine's clock is ahead of the API server's."""
        self._clock_offset.set(ahead.total_seconds())

    def rotation(self, phase: str | None, *, failures: int) -> None:
        """Set the phase of the rotation, and count the failures of this pass."""
        if phase is not None:
            self._phase.clear()
            self._phase.labels(phase).set(1)
        self._rotation_failures.inc(failures)

    def log_line_dropped(self, lines: int = 1) -> None:
        """Count lines that were not logged."""
        self._log_lines_dropped.inc(lines)

    def readiness(self, parts: Mapping[str, bool]) -> None:
        """Set which parts are ready."""
        for name, ready in parts.items():
            self._ready.labels(name).set(1 if ready else 0)

    def poll_failed(self) -> None:
        """Count a periodic task that failed because of a bug."""
        self._poll_failures.inc()

    def exposition(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)

    def _begin_at_zero(self) -> None:
        """Create the series that alerts compare over time: to PromQL, a series that begins at 1 has not increased."""
        self._findings.labels(NOT_REWRITTEN.id, Severity.DENY.value, "enforce", "validate", "true")
        self._decisions.labels("enforce", _UNREADABLE, Outcome.DENIED.value, "validate", "CREATE", "true")
        self._misses.labels("unavailable")


class _Bounded:
    """Names that people write, as label values: a limited number, and one value for all others."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def name(self, name: str) -> str:
        """The value for a name."""
        if name in self._names:
            return name
        if len(self._names) >= _MOST_NAMES:
            return OTHER
        self._names.add(name)
        return name


def _replace(gauge: Gauge, values: Mapping[Any, int]) -> None:
    """Set exactly these series, by their label values; those that remain are never removed in between."""
    for labels in {
        tuple(sample.labels.values()) for metric in gauge.collect() for sample in metric.samples
    } - values.keys():
        gauge.remove(*labels)
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
