"""Every rule has its words."""

import pytest

from webhook.application.operator_traps import OPERATOR_TRAP
from webhook.application.rule_texts import INEFFECTIVE_LABEL, NOT_EVALUATED, REWRITTEN, RULE_TEXTS, UNREADABLE_LABEL
from webhook.engine.rules.catalog import RULES


def test_every_rule_has_a_text_and_no_text_is_of_a_rule_that_is_gone() -> None:
    assert set(RULE_TEXTS) == {rule.id for rule in RULES} | {
        OPERATOR_TRAP.id,
        REWRITTEN,
        UNREADABLE_LABEL,
        INEFFECTIVE_LABEL,
        NOT_EVALUATED,
    }


@pytest.mark.parametrize("text", RULE_TEXTS.values(), ids=lambda text: text.id)
def test_titles_are_phrases_and_help_is_sentences(text: object) -> None:
    title, help_ = getattr(text, "title", ""), getattr(text, "help", "")
    assert title
    assert not title.endswith(".")
    assert len(title) < 70
    assert help_.endswith(".")
