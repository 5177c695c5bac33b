"""The page on metrics: it is what the code says, and it says every value that the code can give a label."""

import subprocess
import sys
from pathlib import Path

from hack import metrics_reference
from hack.metrics_reference import TEXTS, VALUES, metrics
from testing.reviews import Webhook, a_gpu_container, a_pod
from webhook.adapters.metrics import Metrics


def test_the_page_is_what_the_code_says() -> None:
    script = [sys.executable, "-m", "hack.metrics_reference", "--check"]
    root = Path(metrics_reference.__file__).resolve().parents[1]
    assert subprocess.run(script, cwd=root, capture_output=True, check=False).returncode == 0


def test_every_label_of_every_metric_is_described_and_no_other() -> None:
    there = {(metric.name, label) for metric in metrics() for label in metric.labels}
    assert there == {*VALUES, *TEXTS}
    assert not {*VALUES} & {*TEXTS}


def test_what_decisions_are_counted_under_are_values_of_the_page() -> None:
    counted = Metrics()
    for enforce in ("shared", "none", "mistyped"):
        webhook = Webhook(enforce, warn="mps", audit="none")
        webhook.mutate(a_pod(a_gpu_container("2"), a_gpu_container("0.5", "other")))
        webhook.validate(a_pod())
        for recorded in webhook.notes:
            counted.decided(recorded)
    seen = [
        (family.name, label, value)
        for family in counted.registry.collect()
        for sample in family.samples
        for label, value in sample.labels.items()
        if (family.name, label) in VALUES
    ]
    assert len(seen) > 20
    assert not [one for one in seen if one[2] not in VALUES[one[:2]]]
