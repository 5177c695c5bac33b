"""Policies: what a namespace's labels select, whatever they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOT_RENAMED, RENAMED, SHARED, a_form, a_pod, a_policy, evaluate, gpu
from tests.engine.spelled import TABLE
from tests.engine.strategies import listed_forms
from webhook.engine.forms import Form
from webhook.engine.namespace_labels import UNLABELLED, NamespaceLabels
from webhook.engine.policy import (
    ANY_POLICY,
    NO_ADDITIONS,
    NONE_POLICY,
    LabelProblem,
    Mismatch,
    Policy,
    PolicyBook,
    built_in,
    rejects_more_than_one,
)

INFERENCE = a_policy("mig-1g.5gb", name="inference")
BOOK = PolicyBook({"inference": INFERENCE})


@pytest.mark.parametrize("value", TABLE)
def test_every_form_is_a_policy_of_its_own(value: str) -> None:
    assert built_in(value) == Policy(value, (a_form(value),))


def test_a_policy_refuses_mismatches_and_sets_nothing_unless_it_says_so() -> None:
    policy = BOOK.resolve("shared")

    assert policy is not None
    assert policy.mismatch is Mismatch.REJECT
    assert (policy.max_per_container, policy.max_per_pod) == (None, None)
    assert policy.additions == NO_ADDITIONS
    assert not policy.permits_any
    assert policy.unreadable is None


def test_any_permits_every_form_and_none_no_form() -> None:
    assert built_in("any") == ANY_POLICY == Policy("any", permits_any=True)
    assert built_in("none") == NONE_POLICY == Policy("none")


def test_a_configured_name_is_a_policy_in_its_own_book() -> None:
    assert BOOK.resolve("inference") is INFERENCE
    assert PolicyBook().resolve("inference") is None
    assert built_in("inference") is None


class TestLabels:
    """A namespace's labels, unparsed."""

    def test_ours_are_picked_out_of_all(self) -> None:
        labels = {"gpuwarden.io/enforce": "a", "gpuwarden.io/warn": "b", "gpuwarden.io/audit": "c", "team": "ml"}

        assert NamespaceLabels.of(labels) == NamespaceLabels("a", "b", "c")

    @pytest.mark.parametrize("mode", ["enforce", "warn", "audit"])
    def test_each_stands_alone(self, mode: str) -> None:
        assert NamespaceLabels.of({f"gpuwarden.io/{mode}": "x"}) == NamespaceLabels(**{mode: "x"})

    @pytest.mark.parametrize("labels", [None, {}, {"team": "ml"}, {"gpuwarden.io/mode": "enforce"}])
    def test_a_namespace_without_ours_is_unlabelled(self, labels: dict[str, str] | None) -> None:
        assert NamespaceLabels.of(labels) is UNLABELLED
        assert NamespaceLabels() == UNLABELLED

    def test_an_empty_value_is_a_value(self) -> None:
        assert NamespaceLabels.of({"gpuwarden.io/enforce": ""}) == NamespaceLabels("")


class TestSelection:
    """What labels select: always a policy a mode, and what could not be read."""

    def names(self, *labels: str | None, book: PolicyBook = BOOK) -> tuple[str, ...]:
        selected = book.select(NamespaceLabels(*labels))
        assert selected.problems == ()
        return selected.enforce.name, selected.warn.name, selected.audit.name, selected.advise.name

    def test_without_labels_any_stands_for_all(self) -> None:
        assert self.names() == ("any", "any", "any", "any")

    def test_each_label_selects_its_modes_policy(self) -> None:
        assert self.names("shared", "mps", "inference") == ("shared", "mps", "inference", "mps")

    def test_templates_are_warned_by_enforce_where_warn_is_not_set(self) -> None:
        assert self.names("shared") == ("shared", "any", "any", "shared")
        assert self.names("shared", "any") == ("shared", "any", "any", "any")
        assert self.names(None, "mps") == ("any", "mps", "any", "mps")

    DEFAULTS = PolicyBook(defaults=NamespaceLabels("exclusive", "mps", "none"))

    def test_defaults_stand_where_a_label_is_missing(self) -> None:
        assert self.names(book=self.DEFAULTS) == ("exclusive", "mps", "none", "mps")
        assert self.names("shared", "any", "any", book=self.DEFAULTS) == ("shared", "any", "any", "any")
        assert self.names("shared", book=self.DEFAULTS) == ("shared", "mps", "none", "shared")

    def test_the_same_labels_are_read_once(self) -> None:
        assert BOOK.select(NamespaceLabels("shared")) is BOOK.select(NamespaceLabels("shared"))

    UNREADABLE = ("", "Shared", "sharde", "mig-1g", "gke-mps-1", "gke-mps-49", "shared,mps", "x" * 63)

    @pytest.mark.parametrize("value", UNREADABLE)
    @pytest.mark.parametrize(
        "defaults", [NamespaceLabels(), NamespaceLabels("any", "any", "any"), NamespaceLabels("shared")]
    )
    def test_an_enforce_label_that_cannot_be_read_refuses_every_gpu(
        self, value: str, defaults: NamespaceLabels
    ) -> None:
        selected = PolicyBook(defaults=defaults).select(NamespaceLabels(value))

        assert [problem.path for problem in selected.problems] == ["metadata.labels[gpuwarden.io/enforce]"]
        assert selected.enforce.name == value
        assert (
            selected.enforce.unreadable == f"label gpuwarden.io/enforce can't be read ({selected.problems[0].message})"
        )
        assert selected.enforce == selected.advise
        for resource in ("nvidia.com/gpu", SHARED):
            assert evaluate(a_pod(gpu(1, resource)), selected.enforce).denials != ()

    @pytest.mark.parametrize("value", UNREADABLE)
    def test_a_warn_or_audit_label_that_cannot_be_read_counts_as_any(self, value: str) -> None:
        selected = PolicyBook(defaults=NamespaceLabels("none", "none", "none")).select(
            NamespaceLabels("shared", value, value)
        )

        assert (selected.warn, selected.audit, selected.advise) == (ANY_POLICY, ANY_POLICY, ANY_POLICY)
        assert selected.enforce.name == "shared"
        assert [problem.path for problem in selected.problems] == [
            "metadata.labels[gpuwarden.io/warn]",
            "metadata.labels[gpuwarden.io/audit]",
        ]

    def test_a_problem_has_its_path_its_value_and_its_remedy(self) -> None:
        assert BOOK.select(NamespaceLabels(audit="sharde")).problems == (
            LabelProblem(
                "metadata.labels[gpuwarden.io/audit]", "sharde", '"sharde" is not a policy; did you mean "shared"?'
            ),
        )

    @given(st.lists(st.none() | st.text(max_size=20) | st.sampled_from(["any", "shared", "inference"]), max_size=3))
    def test_any_labels_select_a_policy_for_each_mode(self, labels: list[str | None]) -> None:
        selected = BOOK.select(NamespaceLabels(*labels))

        assert len(selected.problems) == sum(label is not None and BOOK.resolve(label) is None for label in labels)

    @given(st.text(max_size=20), st.sampled_from(["any", "shared", "none", "exclusive"]), st.sampled_from([1, 2]))
    def test_a_label_that_cannot_be_read_never_permits_more_than_the_default(
        self, value: str, default: str, count: int
    ) -> None:
        book = PolicyBook(defaults=NamespaceLabels(default, default, default))
        if book.resolve(value) is not None:
            return
        selected, standing = book.select(NamespaceLabels(value, value, value)), book.select(UNLABELLED)
        for resource in ("nvidia.com/gpu", SHARED, "nvidia.com/mig-1g.5gb"):
            pod = a_pod(gpu(count, resource))
            refused = evaluate(pod, selected.enforce)

            assert refused.denials != ()
            assert refused.edits == ()
            assert evaluate(pod, standing.enforce).denials == () or refused.denials != ()
        assert evaluate(a_pod(gpu(0)), selected.enforce).findings == ()


NEAREST = [
    ("sharde", "shared"),
    ("Shared", "shared"),
    ("timeslicing", "time-slicing"),
    ("exclusiv", "exclusive"),
    ("mig-1g.5gb.shared", "mig-1g.5gb-shared"),
    ("mig-1g.5", "mig-1g.5gb"),
    ("mig-1g.5gb+me", "mig-1g.5gb.me"),
    ("gke-time-slicing-4", "gke-time-sharing-4"),
    ("gke-mps-1", "gke-mps-2"),
    ("gke-mps-0", "gke-mps-2"),
    ("gke-mps-49", "gke-mps-48"),
    ("gke-mps-04", "gke-mps-4"),
    ("gke-mig-1g.5gb-time-sharing-100", "gke-mig-1g.5gb-time-sharing-48"),
    ("inferenc", "inference"),
    ("non", "none"),
]


@pytest.mark.parametrize(("value", "nearest"), NEAREST)
def test_a_value_that_is_no_policy_is_answered_with_the_nearest_that_is(value: str, nearest: str) -> None:
    assert BOOK.nearest(value) == f'"{value}" is not a policy; did you mean "{nearest}"?'
    assert BOOK.resolve(nearest) is not None


def test_another_number_of_slices_is_no_misspelling() -> None:
    assert "did you mean" not in BOOK.nearest("mig-9g")
    assert "did you mean" not in BOOK.nearest("mig-9g.10")


@pytest.mark.parametrize("value", ["", "qqq", "12345", "x-4", "gke-mps-" + "9" * 50])
def test_a_value_that_is_near_to_none_is_answered_with_what_there_is(value: str) -> None:
    answer = BOOK.nearest(value)

    assert answer.startswith(f'"{value}" is not a policy; ')
    if value in ("", "qqq", "12345", "x-4"):
        assert answer == (
            f'"{value}" is not a policy; use inference, exclusive, shared, time-slicing, mps, mig-<profile>, any, none '
            "or a gke-… form"
        )


class TestSlots:
    """How many slots of a shared form one container may ask for."""

    @pytest.mark.parametrize(
        ("policy", "form", "slots"),
        [
            (a_policy("shared", max_per_container=4), "shared", 4),
            (a_policy("shared", max_per_container=4), "mps", 4),
            (a_policy("shared", "mps", max_per_container=2), "mps", 2),
            (a_policy("shared", max_per_container=0), "shared", 1),
            (a_policy("shared"), "shared", 1),
            (a_policy("shared", "exclusive", max_per_container=4), "shared", 1),
            (a_policy("gke-mps-4", max_per_container=4), "gke-mps-4", 4),
            (a_policy("gke-time-sharing-4", max_per_container=4), "gke-time-sharing-4", 1),
            (a_policy("time-slicing", max_per_container=4), "time-slicing", 4),
            (a_policy(permits_any=True, max_per_container=4), "shared", 1),
            (a_policy(max_per_container=4), "shared", 1),
        ],
    )
    def test_a_policy_of_shared_forms_alone_raises_them(self, policy: Policy, form: str, slots: int) -> None:
        assert policy.most_shared(a_form(form)) == slots

    def test_only_gkes_time_sharing_refuses_more_than_one_whatever_its_settings(self) -> None:
        assert [form for form in TABLE if rejects_more_than_one(a_form(form))] == [
            "gke-time-sharing-4",
            "gke-mig-1g.5gb-time-sharing-2",
        ]


@given(listed_forms())
def test_a_plain_request_never_comes_out_under_another_form(form: Form) -> None:
    """What the policy that a form's value names makes of a plain request states that form, or nothing against it."""
    for plugin in (RENAMED, NOT_RENAMED):
        decision = evaluate(a_pod(), str(form), plugin)

        assert decision.denials == ()
