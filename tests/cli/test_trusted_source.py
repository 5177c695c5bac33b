"""When certificates are reconciled: every so many seconds, and at once where a call shows that something is missing."""

import time
from datetime import timedelta

import pytest

from webhook.adapters.metrics import Metrics
from webhook.application.certificates.reconcile import ReconcileReport
from webhook.application.clock import WitnessedClock
from webhook.cli.certificate_source import TrialSource, TrustedSource, now


@pytest.mark.parametrize("reason", ["distrust", "path"])
def test_a_call_that_fails_is_followed_by_one_reconciliation(reason: str) -> None:
    metrics, passes, rejected = Metrics(), [ReconcileReport(trusted=True)], [False]
    clock = WitnessedClock(now, time.monotonic, timedelta(seconds=60))

    def reconcile() -> ReconcileReport:
        passes.append(passes[0])
        return passes[0]

    def hurry() -> bool:
        was, rejected[0] = rejected[0], False
        return was

    source = TrustedSource(TrialSource(metrics), reconcile, metrics, clock, 600.0, hurry)
    for _ in range(3):
        source.poll()
    assert len(passes) == 2
    if reason == "distrust":
        source.serving.note_distrust()
    else:
        rejected[0] = True
    for _ in range(3):
        source.poll()
    assert len(passes) == 3
