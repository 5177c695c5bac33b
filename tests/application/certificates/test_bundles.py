"""The trust of webhook configurations where somebody else makes the certificates."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from webhook.application.certificates.bundles import BundleReconciler
from webhook.application.certificates.issue import ServingNames, issue_leaf, new_key, self_signed_pair
from webhook.application.certificates.store import ConflictError, RegisteredWebhooks, StoredSecret, StoreError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OURS = self_signed_pair(["gpuwarden.gpuwarden.svc"], [], NOW, timedelta(days=30))
OTHER = self_signed_pair(["gpuwarden.gpuwarden.svc"], [], NOW, timedelta(days=30))
RIGHT, WRONG = OURS.ca.certificate_pem, OTHER.ca.certificate_pem


class Store:
    """The cluster's two configurations, each with two webhooks."""

    def __init__(self, bundle: bytes = b"") -> None:
        self.bundles = {kind: {"a": bundle, "b": bundle} for kind in ("Mutating", "Validating")}
        self.writes = 0
        self.refuses: StoreError | None = None
        self.unreadable = False

    def read_configurations(self) -> tuple[RegisteredWebhooks, ...]:
        if self.unreadable:
            raise StoreError("the API server did not answer")
        return tuple(RegisteredWebhooks(kind, "gpuwarden", "1", dict(b)) for kind, b in self.bundles.items())

    def read_secret(self) -> StoredSecret | None:
        raise AssertionError("there is no Secret to read here")

    def write_secret(self, data: Mapping[str, bytes], resource_version: str | None) -> None:
        raise AssertionError("there is no Secret to write here")

    def write_bundle(
        self, configuration: RegisteredWebhooks, bundle: bytes, targets: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        assert not targets, "there is no CA to derive tokens from"
        if self.refuses:
            raise self.refuses
        self.writes += 1
        self.bundles[configuration.kind] = dict.fromkeys(configuration.bundles, bundle)


def reconciler(store: Store, bundle: bytes | None = RIGHT) -> BundleReconciler:
    return BundleReconciler(store, lambda: OURS.leaf, None if bundle is None else lambda: bundle, lambda: NOW)


@pytest.mark.parametrize("before", [b"", WRONG, b"rubbish", RIGHT + WRONG])
def test_a_bundle_that_differs_is_set_and_then_trusts_what_is_served(before: bytes) -> None:
    store = Store(before)
    report = reconciler(store).reconcile()
    assert report.trusted
    assert len(report.done) == store.writes == 2
    assert {bundle for bundles in store.bundles.values() for bundle in bundles.values()} == {RIGHT}


def test_a_bundle_that_is_right_is_left_alone() -> None:
    store = Store(RIGHT)
    report = reconciler(store).reconcile()
    assert report.trusted
    assert store.writes == 0


def test_one_wrong_bundle_among_right_ones_is_mended_at_the_next_tick() -> None:
    store = Store(RIGHT)
    watched = reconciler(store)
    watched.reconcile()
    store.bundles["Validating"]["b"] = b""
    assert watched.reconcile().done
    assert store.bundles["Validating"]["b"] == RIGHT


def test_without_a_bundle_of_ours_nothing_is_written_and_distrust_is_told() -> None:
    store = Store(WRONG)
    report = reconciler(store, bundle=None).reconcile()
    assert store.writes == 0
    assert not report.trusted
    assert "does not trust the serving certificate" in report.waiting[0]


def test_without_a_bundle_of_ours_the_right_one_is_trusted() -> None:
    assert reconciler(Store(RIGHT), bundle=None).reconcile().trusted


@pytest.mark.parametrize("bundle", [b"", b"no certificate in here"])
def test_a_file_without_a_certificate_is_never_written(bundle: bytes) -> None:
    store = Store(RIGHT)
    report = reconciler(store, bundle).reconcile()
    assert store.writes == 0
    assert "contains no certificate" in report.failures[0]


def test_an_unreadable_file_is_told_and_writes_nothing() -> None:
    def gone() -> bytes:
        raise FileNotFoundError(2, "No such file or directory", "/etc/gpuwarden/tls/ca.crt")

    store = Store(RIGHT)
    report = BundleReconciler(store, lambda: OURS.leaf, gone, lambda: NOW).reconcile()
    assert store.writes == 0
    assert "ca.crt" in report.failures[0]


def test_a_failed_read_keeps_what_was_known() -> None:
    store = Store(RIGHT)
    watched = reconciler(store)
    store.unreadable = True
    assert not watched.reconcile().trusted
    store.unreadable = False
    assert watched.reconcile().trusted
    store.unreadable = True
    report = watched.reconcile()
    assert report.trusted
    assert report.failures == ("the API server did not answer",)


def test_a_lost_race_is_no_failure() -> None:
    store = Store(WRONG)
    store.refuses = ConflictError("it has changed")
    report = reconciler(store).reconcile()
    assert report.failures == ()
    assert not report.trusted


def test_a_refused_write_is_a_failure() -> None:
    store = Store(WRONG)
    store.refuses = StoreError("forbidden")
    assert reconciler(store).reconcile().failures == ("forbidden", "forbidden")


def test_no_configurations_is_no_trust() -> None:
    store = Store()
    store.bundles = {}
    report = reconciler(store).reconcile()
    assert not report.trusted
    assert report.waiting == ("no webhook configuration exists yet",)


def test_nothing_served_is_no_trust() -> None:
    report = BundleReconciler(Store(RIGHT), lambda: None, lambda: RIGHT, lambda: NOW).reconcile()
    assert not report.trusted


def test_an_expired_leaf_is_not_trusted() -> None:
    names = ServingNames.parse(["gpuwarden.gpuwarden.svc"], [])
    old = issue_leaf(OURS.ca, key=new_key(), names=names, at=NOW, lifetime=timedelta(hours=1))
    late = NOW + timedelta(hours=2)
    assert not BundleReconciler(Store(RIGHT), lambda: old, lambda: RIGHT, lambda: late).reconcile().trusted
