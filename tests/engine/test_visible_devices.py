"""The setting ``visibleDevices``: a policy's own, the configuration's for all others, and the default where neither is set."""

import pytest

from tests.builders import a_policy
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import ANY_POLICY, FindingAction, PolicyBook

IGNORE, WARN, DENY = FindingAction
OWN = {"quiet": a_policy("shared", visible_devices=IGNORE), "silent": a_policy("shared")}


def guard_of(book: PolicyBook, value: str) -> FindingAction:
    policy = book.resolve(value)
    assert policy is not None
    return policy.guard


@pytest.mark.parametrize(("value", "guard"), [("any", IGNORE), ("shared", WARN), ("none", WARN), ("silent", WARN)])
def test_unset_it_warns_but_where_any_form_is_permitted(value: str, guard: FindingAction) -> None:
    assert guard_of(PolicyBook(OWN), value) is guard


@pytest.mark.parametrize("default", FindingAction)
@pytest.mark.parametrize("value", ["any", "shared", "none", "silent"])
def test_the_configurations_holds_for_every_policy_that_does_not_say_it(value: str, default: FindingAction) -> None:
    assert guard_of(PolicyBook(OWN, visible_devices=default), value) is default


@pytest.mark.parametrize("default", FindingAction)
def test_a_policys_own_wins(default: FindingAction) -> None:
    assert guard_of(PolicyBook(OWN, visible_devices=default), "quiet") is IGNORE


def test_a_namespace_without_labels_is_evaluated_by_it_too() -> None:
    policies = PolicyBook(visible_devices=DENY).select(NamespaceLabels())

    assert policies.enforce.guard is DENY
    assert policies.advise is policies.enforce
    # What these would say, enforce says.
    assert (policies.warn, policies.audit) == (ANY_POLICY, ANY_POLICY)


def test_where_templates_are_warned_by_another_label_that_stands() -> None:
    policies = PolicyBook(visible_devices=DENY).select(NamespaceLabels(warn="shared"))

    assert policies.advise.name == "shared"
    assert PolicyBook(defaults=NamespaceLabels("shared")).select(NamespaceLabels()).advise == ANY_POLICY


@pytest.mark.parametrize(
    ("book", "guard"),
    [
        (PolicyBook(), WARN),
        (PolicyBook(OWN), WARN),
        (PolicyBook(visible_devices=IGNORE), IGNORE),
        (PolicyBook(visible_devices=DENY), DENY),
        (PolicyBook({"strict": a_policy("shared", visible_devices=DENY)}), DENY),
        (PolicyBook({"strict": a_policy("shared", visible_devices=DENY)}, visible_devices=IGNORE), DENY),
    ],
)
def test_a_label_that_can_not_be_read_loosens_nothing(book: PolicyBook, guard: FindingAction) -> None:
    """It may have been meant for the strictest of the policies."""
    enforce = book.select(NamespaceLabels("strikt")).enforce

    assert enforce.unreadable
    assert enforce.guard is guard
    assert book.denies_reaching is (guard is DENY)
