"""What the cache takes for true, and in which order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.adapters.kubernetes.documents import Labels, Metadata, Namespace, decode
from webhook.adapters.kubernetes.namespace_cache import FETCHED_LIFE, NamespaceCache
from webhook.engine.namespace_labels import AUDIT, ENFORCE, UNLABELLED, WARN, NamespaceLabels

OLD = NamespaceLabels(enforce="any")
MIDDLE = NamespaceLabels(enforce="shared")
NEW = NamespaceLabels(enforce="mps")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> NamespaceCache:
    return NamespaceCache(clock)


def namespace(name: str, revision: str | int, enforce: str | None = None) -> Namespace:
    return Namespace(Metadata(name, str(revision), Labels(enforce) if enforce else None))


class TestLabels:
    @given(
        st.one_of(
            st.none(),
            st.dictionaries(
                st.sampled_from([ENFORCE, WARN, AUDIT, "team", "gpuwarden.io/Enforce", "gpuwarden.io/other"]),
                st.text(max_size=5),
            ),
        )
    )
    def test_the_labels_are_read_as_the_engine_reads_them(self, labels: dict[str, str] | None) -> None:
        document = json.dumps({"metadata": {"name": "a", "resourceVersion": "1", "labels": labels}}).encode()
        cache = NamespaceCache(lambda: 0.0)
        assert cache.keep(decode(document, Namespace, "it")) == NamespaceLabels.of(labels)

    def test_namespaces_with_the_same_labels_share_one_object(self, cache: NamespaceCache) -> None:
        one, other = (cache.keep(namespace(name, 1, "mps")) for name in "ab")
        assert one is other
        assert cache.keep(namespace("c", 1)) is UNLABELLED
        assert cache.keep(Namespace(Metadata("d", "1", Labels()))) is UNLABELLED

    def test_whoever_relabels_for_ever_does_not_fill_the_memory(self, cache: NamespaceCache) -> None:
        for number in range(5000):
            cache.put(namespace("a", number, f"policy-{number}"))
        assert cache._shared.cache_info().currsize == 1024


class TestOrder:
    def test_an_event_that_is_older_than_the_list_is_not_applied(self, cache: NamespaceCache) -> None:
        cache.replace({"a": NEW}, "10")
        cache.put(namespace("a", 9, "any"))
        cache.put(namespace("b", 9, "any"))
        cache.drop(namespace("a", 9))
        cache.bookmark("9")
        assert cache.cached("a") == NEW
        assert cache.cached("b") is None
        assert cache.revision == "10"

    def test_an_event_that_is_newer_is_applied(self, cache: NamespaceCache) -> None:
        cache.replace({"a": OLD, "b": OLD}, "10")
        cache.put(namespace("a", 11, "mps"))
        cache.drop(namespace("b", 12))
        cache.bookmark("13")
        assert cache.cached("a") == NEW
        assert cache.cached("b") is None
        assert cache.revision == "13"

    def test_numbers_are_compared_and_not_texts(self, cache: NamespaceCache) -> None:
        cache.replace({"a": OLD}, "999")
        cache.put(namespace("a", 1000, "mps"))
        assert cache.cached("a") == NEW
        assert cache.older("999")

    def test_what_is_no_number_is_never_older(self, cache: NamespaceCache) -> None:
        cache.replace({"a": OLD}, "v10")
        assert not cache.older("v9")
        cache.put(namespace("a", "v9", "mps"))
        assert cache.cached("a") == NEW

    def test_deleting_what_is_not_known_is_no_error(self, cache: NamespaceCache) -> None:
        cache.drop(namespace("a", 1))
        assert cache.cached("a") is None

    def test_a_list_takes_away_what_it_does_not_show(self, cache: NamespaceCache) -> None:
        cache.replace({"a": OLD}, "10")
        cache.replace({"b": OLD}, "11")
        assert cache.cached("a") is None
        assert cache.cached("b") == OLD


class TestRemembering:
    """A live read is remembered only while it is newer than all that the watch has brought, and only for a moment."""

    @pytest.fixture(autouse=True)
    def _listed(self, cache: NamespaceCache) -> None:
        cache.replace({}, "10")

    def test_a_read_that_is_ahead_of_the_watch_is_remembered_for_a_moment(
        self, cache: NamespaceCache, clock: Clock
    ) -> None:
        assert cache.remember(namespace("a", 12, "mps")) == NEW
        assert cache.cached("a") == NEW
        clock.now += FETCHED_LIFE - 0.01
        assert cache.cached("a") == NEW
        clock.now += 0.01
        assert cache.cached("a") is None

    def test_the_watch_catching_up_does_not_go_back_behind_the_read(self, cache: NamespaceCache) -> None:
        cache.remember(namespace("a", 12, "mps"))
        cache.put(namespace("a", 11, "any"))  # its creation, as yet without the label
        assert cache.cached("a") == NEW
        cache.put(namespace("a", 12, "mps"))
        assert cache.cached("a") == NEW

    def test_what_the_watch_brings_later_wins_over_the_read(self, cache: NamespaceCache) -> None:
        cache.remember(namespace("a", 12, "mps"))
        cache.put(namespace("a", 13, "shared"))
        assert cache.cached("a") == MIDDLE

    def test_a_deletion_that_the_watch_brings_later_wins_over_the_read(self, cache: NamespaceCache) -> None:
        cache.remember(namespace("a", 12, "mps"))
        cache.put(namespace("a", 12, "mps"))
        cache.drop(namespace("a", 13))
        assert cache.cached("a") is None

    def test_a_slow_read_does_not_revive_what_the_watch_has_seen_deleted(self, cache: NamespaceCache) -> None:
        cache.put(namespace("a", 12, "mps"))
        cache.drop(namespace("a", 13))
        cache.remember(namespace("a", 12, "mps"))
        assert cache.cached("a") is None

    def test_a_slow_read_does_not_hide_what_the_watch_has_brought_meanwhile(self, cache: NamespaceCache) -> None:
        cache.put(namespace("a", 13, "shared"))
        cache.remember(namespace("a", 12, "mps"))
        assert cache.cached("a") == MIDDLE

    def test_a_read_whose_order_is_unknown_is_used_and_not_remembered(self, cache: NamespaceCache) -> None:
        assert cache.remember(namespace("a", "v12", "mps")) == NEW
        assert cache.cached("a") is None
        cache.replace({}, "v10")
        cache.remember(namespace("a", 12, "mps"))
        assert cache.cached("a") is None

    def test_a_read_before_the_first_list_is_remembered_too(self, clock: Clock) -> None:
        cache = NamespaceCache(clock)
        cache.remember(namespace("a", 12, "mps"))
        assert cache.cached("a") == NEW
        assert not cache.synced()

    def test_what_is_over_is_forgotten(self, cache: NamespaceCache, clock: Clock) -> None:
        for number in range(100):
            cache.remember(namespace(f"a{number}", 12, "mps"))
            clock.now += FETCHED_LIFE / 10
        assert len(cache._fetched) <= 11


class TestAge:
    def test_the_age_is_that_of_the_last_sign_of_life(self, cache: NamespaceCache, clock: Clock) -> None:
        assert cache.age() is None
        cache.alive()
        assert cache.age() == 0
        clock.now += 5
        assert cache.age() == 5
        cache.alive()
        assert cache.age() == 0
