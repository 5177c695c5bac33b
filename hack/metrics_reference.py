"""Write docs/reference/metrics.md from the program's registry, so that the page and the code can't drift apart."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase

from hack import generated
from hack.tools import ROOT
from webhook.adapters.kubernetes.errors import Fault
from webhook.adapters.metrics import Metrics
from webhook.application.certificates.plan import Phase
from webhook.engine.decision import Outcome
from webhook.engine.findings import Severity
from webhook.engine.rules.catalog import RULES

PAGE = ROOT / "docs/reference/metrics.md"
HEAD = """<!-- Written by `make docs` from the code; edit hack/metrics_reference.py, not this page. -->
# Metrics

Every replica answers `/metrics` on its plain port (8080), in Prometheus' text format. All label values are bounded: namespace
labels can't increase the number of series. The [runbook](../operations/runbook.md) has the alerts. The
chart has a ServiceMonitor, alert rules and a dashboard (`monitoring` in its values).
"""
TAIL = """`path` is the webhook that decided: `mutate` counts rewrites, `validate` denials, `advise` templates of workloads.
`acted` is `true` if an enforce policy decided outside of a dry run. Examples:

- rewritten pods: `path="mutate",outcome="rewritten",acted="true"`
- denied pods: `path="validate",outcome="denied",acted="true"`
- what a dry run (`install.mode: audit`) would do: `path="mutate",mode="enforce",acted="false"`, and `path="validate"` for pods
  that reach GPUs without requesting them"""
_MODES = ("enforce", "warn", "audit")
_BOOLEAN = ("true", "false")
_FILES = ("configuration", "namespaces", "certificate", "client-ca")

VALUES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("gpuwarden_decisions", "mode"): _MODES,
    ("gpuwarden_decisions", "outcome"): tuple(outcome.value for outcome in Outcome),
    ("gpuwarden_decisions", "path"): ("mutate", "validate", "advise", "validate-claim"),
    ("gpuwarden_decisions", "operation"): ("CREATE", "UPDATE", "other"),
    ("gpuwarden_decisions", "acted"): _BOOLEAN,
    ("gpuwarden_findings", "rule"): tuple(rule.id for rule in RULES),
    ("gpuwarden_findings", "severity"): tuple(severity.value for severity in Severity),
    ("gpuwarden_findings", "mode"): _MODES,
    ("gpuwarden_findings", "path"): ("mutate", "validate", "advise", "validate-claim"),
    ("gpuwarden_findings", "acted"): _BOOLEAN,
    ("gpuwarden_rejected", "port"): ("admission", "operations"),
    ("gpuwarden_nodes", "selected"): _BOOLEAN,
    ("gpuwarden_reloads", "file"): _FILES,
    ("gpuwarden_reloads", "result"): ("success", "failure"),
    ("gpuwarden_reload_failing", "file"): _FILES,
    ("gpuwarden_reload_success_timestamp_seconds", "file"): _FILES,
    ("gpuwarden_namespace_watch_failures", "fault"): tuple(fault.value for fault in Fault),
    ("gpuwarden_node_watch_failures", "fault"): tuple(fault.value for fault in Fault),
    ("gpuwarden_namespace_cache_misses", "outcome"): ("found", "not-found", "unavailable"),
    ("gpuwarden_certificate_expiry_timestamp_seconds", "certificate"): ("leaf", "ca", "next-ca"),
    ("gpuwarden_certificate_rotation_phase", "phase"): tuple(phase.value for phase in Phase),
}
"""Every value that a label can have, by metric and label."""

TEXTS: Mapping[tuple[str, str], str] = {
    (
        "gpuwarden_decisions",
        "policy",
    ): "the first 100 policies that decide, `other`, or `unreadable` (an invalid label)",
    ("gpuwarden_offered_gpus", "form"): "forms, such as `mig-1g.5gb`",
    ("gpuwarden_allocated_gpus", "form"): "forms, such as `mig-1g.5gb`",
    ("gpuwarden_pending_gpus", "form"): "the first 100 forms, or `other`",
    ("gpuwarden_requested_gpus", "form"): "the first 100 forms, or `other`",
    ("gpuwarden_policy_form_offered", "policy"): "as above",
    ("gpuwarden_policy_form_offered", "form"): "the form of plain requests",
    ("gpuwarden_request_duration_seconds", "path"): "the paths that the port serves, such as `/mutate`",
    ("gpuwarden_request_duration_seconds", "code"): "HTTP status; 200 for every decision, including denials",
    ("gpuwarden_rejected", "reason"): "the limit or check, see [Limits](limits.md#limits)",
    ("gpuwarden_ready", "part"): (
        "`serving`, `namespaces`, `certificate`; `configuration`, `device-classes`, `nodes`, `trust`, `clock`, `client-ca` if "
        "used"
    ),
    ("gpuwarden_build_info", "version"): "the version",
}
"""The meaning of labels without a fixed list of values."""


@dataclass(frozen=True)
class Metric:
    """One of gpuwarden's metrics; ``name`` is without the ``_total`` that counters have."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


def metrics() -> list[Metric]:
    """All of gpuwarden's metrics, in the order in which they are made."""
    made = [one for one in vars(Metrics()).values() if isinstance(one, MetricWrapperBase)]
    return [Metric(one._name, str(one._type), tuple(one._labelnames), one._documentation) for one in made]  # noqa: SLF001 - the library shows labels on samples only, and there are none yet


def page() -> Iterator[str]:
    """The page's lines."""
    yield HEAD
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    for metric in metrics():
        name = metric.samples[0] if metric.kind == "counter" else metric.name
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        yield f"| `{name}` | {metric.kind} | {labels} | {metric.text} |"
    yield ""
    yield "The `process_…` and `python_…` metrics are those of every Python program: memory, CPU time, open files, start time."
    yield ""
    yield "## Labels"
    yield ""
    yield "| metric | label | values |"
    yield "|---|---|---|"
    for metric in metrics():
        for label in metric.labels:
            yield f"| `{metric.name}` | `{label}` | {_values(metric.name, label)} |"
    yield ""
    yield TAIL


def _values(metric: str, label: str) -> str:
    if known := VALUES.get((metric, label)):
        return ", ".join(f"`{value}`" for value in known)
    return TEXTS[metric, label]


if __name__ == "__main__":
    sys.exit(generated.write(PAGE, "\n".join(page()) + "\n", "docs", sys.argv[1:]))
