"""What-if: which assumption counts for a namespace, and what is said of those that can't be read."""

import pytest

from webhook.application.assumptions import AssumedLabels, AssumptionError, EvaluatedLabel, parse, unknown_names
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import Policy, PolicyBook

BOOK = PolicyBook({"inference": Policy("inference")})


def assumed(
    *texts: str, evaluated: EvaluatedLabel = EvaluatedLabel.ENFORCE, book: PolicyBook = BOOK, **known: NamespaceLabels
) -> AssumedLabels:
    labels = {name.replace("_", "-"): value for name, value in known.items()}
    return AssumedLabels(labels, book, parse(texts, book), evaluated)


def test_without_assumptions_the_labels_are_the_namespaces_own() -> None:
    labels = assumed(team_a=NamespaceLabels("shared", "mps", "none"))

    assert labels["team-a"] == NamespaceLabels("shared", "mps", "none")
    assert labels["elsewhere"] == NamespaceLabels()
    assert (list(labels), len(labels)) == (["team-a"], 1)


def test_an_assumption_stands_in_place_of_the_label() -> None:
    labels = assumed("team-a=mig-1g.5gb", team_a=NamespaceLabels("shared"), team_b=NamespaceLabels("shared"))

    assert labels["team-a"].enforce == "mig-1g.5gb"
    assert labels["team-b"].enforce == "shared"


def test_a_pattern_holds_for_namespaces_that_nobody_has_listed() -> None:
    assert assumed("*=shared")["anywhere"].enforce == "shared"


@pytest.mark.parametrize("turned", [False, True], ids=["as written", "the other way round"])
@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        (["*=shared", "team-a=mps"], "mps"),
        (["*=shared", "team-*=mps"], "mps"),
        (["team-*=shared", "team-a*=mps"], "mps"),
        (["team-*=shared", "*-a=none", "team-a=inference"], "inference"),
        (["*=shared", "team-b=mps"], "shared"),
    ],
)
def test_the_most_specific_wins_wherever_it_stands(texts: list[str], counts: str, turned: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert assumed(*(reversed(texts) if turned else texts))["team-a"].enforce == counts


def test_of_patterns_that_are_equally_specific_the_last_counts() -> None:
    assert assumed("team-*=shared", "*-team=mps")["team-team"].enforce == "mps"
    assert assumed("*-team=mps", "team-*=shared")["team-team"].enforce == "shared"


def test_a_pattern_fits_whole_names_only() -> None:
    labels = assumed("a=shared", "b*=mps")

    assert labels["ab"].enforce is None
    assert labels["xb"].enforce is None
    assert labels["bx"].enforce == "mps"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shared", '"shared" is not a valid assumption; write NAMESPACE=POLICY'),
        ("team-a=", '"team-a=" is not a valid assumption'),
        ("team-a=shred", '"shred" is not a policy; did you mean "shared"?'),
        ("team-a=inferense", 'did you mean "inference"?'),
        ("Team=shared", '"Team" is neither a namespace\'s name nor a pattern such as team-*'),
        ("=shared", '"" is neither a namespace\'s name'),
        ("a?=shared", '"a?" is neither a namespace\'s name'),
    ],
)
def test_what_cannot_be_read_is_said_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(AssumptionError) as failed:
        parse([text], BOOK)
    assert len(failed.value.problems) == 1
    assert said in failed.value.problems[0]


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(AssumptionError) as failed:
        parse(["x", "a=shred", "b=shared"], BOOK)
    assert len(failed.value.problems) == 2


def test_two_policies_for_one_pattern_contradict_each_other_and_one_policy_twice_does_not() -> None:
    with pytest.raises(AssumptionError, match='"a=mps" contradicts "a=shared"; keep one'):
        parse(["a=shared", "a=mps"], BOOK)
    assert len(parse(["a=shared", "a=shared"], BOOK)) == 1


def test_a_name_that_no_namespace_has_is_told_with_the_nearest_and_a_pattern_never_is() -> None:
    told = unknown_names(parse(["team-x=shared", "zz*=shared", "team-a=mps"], BOOK), ["team-a", "other"])

    assert told == ['"team-x=shared": there is no namespace "team-x"; did you mean "team-a"?']


class TestEvaluatedByAnotherLabel:
    def test_its_policy_stands_in_place_of_enforce(self) -> None:
        labels = assumed(evaluated=EvaluatedLabel.AUDIT, team_a=NamespaceLabels("none", audit="shared"))
        assert labels["team-a"] == NamespaceLabels("shared")

    def test_a_namespace_without_it_has_the_default_and_not_its_enforce_policy(self) -> None:
        assert assumed(evaluated=EvaluatedLabel.WARN, team_a=NamespaceLabels("none"))["team-a"].enforce == "any"
        book = PolicyBook(defaults=NamespaceLabels(warn="mps"))
        assert assumed(evaluated=EvaluatedLabel.WARN, book=book)["team-a"].enforce == "mps"

    def test_a_value_that_is_no_policy_counts_as_any_where_enforce_would_refuse(self) -> None:
        assert assumed(evaluated=EvaluatedLabel.AUDIT, team_a=NamespaceLabels(audit="shred"))["team-a"].enforce == "any"
        assert assumed(team_a=NamespaceLabels("shred"))["team-a"].enforce == "shred"

    def test_an_assumption_still_counts(self) -> None:
        assert assumed("*=mps", evaluated=EvaluatedLabel.AUDIT, a=NamespaceLabels(audit="shared"))["a"].enforce == "mps"
