"""Metrics: their names and labels, which people's alerts are written against, and that their number is bounded."""

import math
from datetime import UTC, datetime

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from testing.reviews import Webhook, a_gpu_container, a_pod
from webhook import __version__
from webhook.adapters.metrics import Metrics
from webhook.application.recorder import RecordedDecision
from webhook.engine.forms import Form, Sharing
from webhook.engine.policy import Policy


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric by the values of their labels."""
    found: list[Sample] = [
        sample
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        # Some series begin at zero, so that their first increase is seen.
        if sample.name == name and (sample.value or not name.endswith("_total"))
    ]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}


def decisions(webhook: Webhook) -> list[RecordedDecision]:
    webhook.mutate(a_pod())
    webhook.validate(a_pod(a_gpu_container("2")))
    return list(webhook.notes)


def test_decisions_and_findings_are_counted() -> None:
    metrics = Metrics()

    for recorded in decisions(Webhook("mps", audit="none")):
        metrics.decided(recorded)

    # acted, mode, operation, outcome, path, policy
    assert samples(metrics, "gpuwarden_decisions_total") == {
        ("true", "enforce", "CREATE", "rewritten", "mutate", "mps"): 1,
        ("false", "audit", "CREATE", "denied", "mutate", "none"): 1,
        ("true", "enforce", "CREATE", "denied", "validate", "mps"): 1,
    }
    # acted, mode, path, rule, severity
    assert samples(metrics, "gpuwarden_findings_total") == {
        ("false", "audit", "mutate", "gpu-not-permitted", "deny"): 1,
        ("true", "enforce", "validate", "shared-request-above-one", "deny"): 1,
    }


def test_the_operation_is_one_of_those_that_there_are_and_nothing_that_somebody_wrote() -> None:
    metrics = Metrics()
    webhook = Webhook("mps")
    webhook.mutate(a_pod())
    (recorded,) = webhook.notes

    for operation in ("CREATE", "UPDATE", *(f"made-up-{number}" for number in range(50))):
        evaluated = msgspec.structs.replace(recorded.evaluated, operation=operation)
        metrics.decided(msgspec.structs.replace(recorded, evaluated=evaluated))

    counted = {labels[2]: count for labels, count in samples(metrics, "gpuwarden_decisions_total").items()}
    assert counted == {"CREATE": 1, "UPDATE": 1, "other": 50}


def test_readiness_is_told_part_by_part() -> None:
    metrics = Metrics()

    metrics.readiness({"serving": True, "trust": False})
    assert samples(metrics, "gpuwarden_ready") == {("serving",): 1, ("trust",): 0}
    metrics.readiness({"serving": True, "trust": True})

    assert samples(metrics, "gpuwarden_ready") == {("serving",): 1, ("trust",): 1}


def test_what_people_write_into_labels_makes_a_bounded_number_of_series() -> None:
    metrics = Metrics()

    for number in range(1, 301):
        for value in (f"misspelt-{number}", f"mig-1g.{number}gb"):
            for recorded in decisions(Webhook(value)):
                metrics.decided(recorded)

    policies = {labels[-1]: count for labels, count in samples(metrics, "gpuwarden_decisions_total").items()}
    assert len(policies) == 102
    assert policies["unreadable"] == 300
    assert policies["mig-1g.100gb"] == 1
    assert "mig-1g.101gb" not in policies
    assert policies["other"] == 200


def test_answers_are_observed_by_path_and_code() -> None:
    metrics = Metrics()

    metrics.answered("/mutate", 200, 0.0004)
    metrics.answered("/mutate", 200, 0.002)
    metrics.answered("/validate", 503, 7.0)

    assert samples(metrics, "gpuwarden_request_duration_seconds_count") == {
        ("200", "/mutate"): 2,
        ("503", "/validate"): 1,
    }
    buckets = samples(metrics, "gpuwarden_request_duration_seconds_bucket")
    assert buckets["200", "0.0005", "/mutate"] == 1
    assert buckets["200", "0.0025", "/mutate"] == 2
    assert buckets["503", "5.0", "/validate"] == 0


def test_a_failed_reload_shows_until_a_good_one() -> None:
    metrics = Metrics()

    metrics.loaded("configuration")
    assert samples(metrics, "gpuwarden_reload_failing") == {("configuration",): 0}
    first = samples(metrics, "gpuwarden_reload_success_timestamp_seconds")[("configuration",)]
    metrics.reloaded("configuration", good=False)
    assert samples(metrics, "gpuwarden_reload_failing") == {("configuration",): 1}
    assert samples(metrics, "gpuwarden_reload_success_timestamp_seconds")[("configuration",)] == first
    metrics.reloaded("configuration", good=True)

    assert samples(metrics, "gpuwarden_reload_failing") == {("configuration",): 0}
    assert samples(metrics, "gpuwarden_reloads_total") == {
        ("configuration", "failure"): 1,
        ("configuration", "success"): 1,
    }
    assert samples(metrics, "gpuwarden_reload_success_timestamp_seconds")[("configuration",)] >= first


def test_what_is_known_of_namespaces_and_since_when_is_told() -> None:
    metrics = Metrics()

    metrics.namespaces_listed(7)
    metrics.watch_failed("timeout")
    metrics.namespace_missed("found")
    metrics.watch_age(None)
    assert math.isnan(samples(metrics, "gpuwarden_namespace_watch_age_seconds")[()])
    metrics.watch_age(2.5)

    assert samples(metrics, "gpuwarden_namespaces") == {(): 7}
    assert samples(metrics, "gpuwarden_namespace_watch_age_seconds") == {(): 2.5}
    assert samples(metrics, "gpuwarden_namespace_watch_failures_total") == {("timeout",): 1}
    assert samples(metrics, "gpuwarden_namespace_cache_misses_total") == {("found",): 1}


def test_certificates_are_told_by_their_end_and_a_rotation_by_its_one_phase() -> None:
    metrics = Metrics()

    metrics.certificate_expires("leaf", datetime(2030, 1, 1, tzinfo=UTC))
    metrics.rotation("spread", failures=0)
    metrics.rotation("steady", failures=2)
    metrics.rotation(None, failures=1)

    assert samples(metrics, "gpuwarden_certificate_expiry_timestamp_seconds") == {("leaf",): 1893456000}
    assert samples(metrics, "gpuwarden_certificate_rotation_phase") == {("steady",): 1}
    assert samples(metrics, "gpuwarden_certificate_failures_total") == {(): 3}


def test_each_process_has_its_own_and_names_its_version() -> None:
    one, other = Metrics(), Metrics()

    one.answered("/mutate", 200, 0.001)

    assert samples(other, "gpuwarden_request_duration_seconds_count") == {}
    assert samples(one, "gpuwarden_build_info") == {(__version__,): 1}
    assert samples(one, "process_resident_memory_bytes")[()] > 0


def test_the_first_of_what_alerts_ask_an_increase_of_is_one() -> None:
    """Of a series that begins at 1, PromQL's increase() is nothing."""
    beginning = Metrics().exposition().decode().splitlines()
    for zero in (
        'gpuwarden_findings_total{acted="true",mode="enforce",path="validate",rule="not-rewritten",severity="deny"} 0.0',
        (
            'gpuwarden_decisions_total{acted="true",mode="enforce",operation="CREATE",outcome="denied",path="validate",'
            'policy="unreadable"} 0.0'
        ),
        'gpuwarden_namespace_cache_misses_total{outcome="unavailable"} 0.0',
    ):
        assert zero in beginning


def test_no_text_of_a_review_makes_a_series() -> None:
    """Whatever a stranger writes anywhere in a review, the metrics have as many lines as before."""
    metrics = Metrics()

    def ask(number: int) -> int:
        webhook = Webhook("mps", warn="none", audit=f"unreadable-{number}")
        text = f"text-{number}"
        pod = a_pod(
            a_gpu_container(text, name=text), a_gpu_container(name="b"), nodeName=text, nodeSelector={text: text}
        )
        request = {"name": text, "uid": text, "userInfo": {"username": text}, "kind": {"kind": "Pod", "version": text}}
        for answer in (webhook.mutate, webhook.validate):
            answer(pod, **request)
            answer(a_pod(), **request)
        for recorded in webhook.notes:
            wrote = msgspec.structs.replace(recorded.request, operation=text, sub_resource=text, namespace=text)
            evaluated = msgspec.structs.replace(recorded.evaluated, operation=text)
            metrics.decided(msgspec.structs.replace(recorded, request=wrote, evaluated=evaluated))
        exposed = metrics.exposition().decode()
        assert text not in exposed
        return len(exposed.splitlines())

    assert len({ask(number) for number in range(20)}) == 1


def test_what_nodes_offer_is_replaced_as_a_whole() -> None:
    metrics = Metrics()
    mig, mps = Form("1g.5gb"), Form(sharing=Sharing.MPS)
    metrics.offered({mig: 7, mps: 4})
    metrics.policies_offered({(Policy("team", (mig,)), mig): False, (Policy("mps", (mps,)), mps): True})
    metrics.offered({mps: 8})
    assert samples(metrics, "gpuwarden_offered_gpus") == {("mps",): 8}
    assert samples(metrics, "gpuwarden_policy_form_offered") == {("mig-1g.5gb", "team"): 0, ("mps", "mps"): 1}
    metrics.policies_offered({})
    assert samples(metrics, "gpuwarden_policy_form_offered") == {}


def test_what_pods_hold_and_wait_for_is_replaced_as_a_whole_and_unknown_is_not_zero() -> None:
    metrics = Metrics()
    metrics.pods_counted({Form(): 3, Form("1g.5gb"): 0}, {"exclusive": 2, "mig-1g.5gb": 0})
    assert samples(metrics, "gpuwarden_allocated_gpus") == {("exclusive",): 3, ("mig-1g.5gb",): 0}
    assert samples(metrics, "gpuwarden_pending_gpus") == {("exclusive",): 2, ("mig-1g.5gb",): 0}
    metrics.pods_counted({}, {f"mig-{number}g.5gb": 1 for number in range(1000)})
    assert samples(metrics, "gpuwarden_allocated_gpus") == {}
    pending = samples(metrics, "gpuwarden_pending_gpus")
    assert (sum(pending.values()), len(pending)) == (1000, 100), "100 names, exclusive among them, and other"


def test_nodes_that_were_not_looked_for_are_not_counted() -> None:
    metrics = Metrics()
    metrics.nodes(0, 2)
    assert samples(metrics, "gpuwarden_nodes") == {("true",): 0, ("false",): 2}
    metrics.nodes(1, None)
    assert samples(metrics, "gpuwarden_nodes") == {("true",): 1}


def test_what_admitted_pods_request_is_counted_by_form_once() -> None:
    metrics = Metrics()
    shared, denied = Webhook("shared", audit="mps", warn="mps"), Webhook("none")
    for webhook in (shared, denied, Webhook()):
        pod = webhook.mutate(a_pod(a_gpu_container("1", "a"), a_gpu_container("1", "b"))).response
        assert pod["allowed"]
        webhook.validate(a_pod())
        for recorded in webhook.notes:
            metrics.decided(recorded)
    assert samples(metrics, "gpuwarden_requested_gpus_total") == {("shared",): 2, ("exclusive",): 2}


def test_the_node_watch_is_told() -> None:
    metrics = Metrics()
    metrics.node_watch_failed("forbidden")
    metrics.node_watch_age(None)
    assert samples(metrics, "gpuwarden_node_watch_failures_total") == {("forbidden",): 1}
    assert math.isnan(samples(metrics, "gpuwarden_node_watch_age_seconds")[()])
    metrics.node_watch_age(2.0)
    assert samples(metrics, "gpuwarden_node_watch_age_seconds")[()] == 2
