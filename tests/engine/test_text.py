"""Texts from elsewhere: how long a name may be, and where a longer text is cut."""

import msgspec
import pytest

from tests.builders import Json, a_pod, view
from webhook.engine.limit_range_defaults import additions_in
from webhook.engine.text import LONGEST_NAME, all_of, cut, first_of, plural


@pytest.mark.parametrize("field", [{"nodeName": "x"}, {"nodeSelector": {"k": "x"}}, {"runtimeClassName": "x"}])
def test_a_name_as_long_as_the_longest_key_is_read_and_a_longer_one_is_an_error(field: Json) -> None:
    def stretched(length: int) -> Json:
        return {key: {"k": "x" * length} if isinstance(value, dict) else "x" * length for key, value in field.items()}

    view(a_pod(**stretched(LONGEST_NAME)))
    with pytest.raises(msgspec.ValidationError, match=f"length <= {LONGEST_NAME}"):
        view(a_pod(**stretched(LONGEST_NAME + 1)))


def test_an_annotation_of_limit_ranger_longer_than_kubernetes_keeps_is_none() -> None:
    def written(more: int) -> str:
        text = "LimitRanger plugin set: cpu limit for container a"
        return text + "; x" * ((more - len(text)) // 3)

    assert additions_in(written(200_000)).entries
    assert not additions_in(written(300_000)).entries


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("abc", "abc"), ("abcd", "abc…")])
def test_a_text_is_cut_where_it_is_longer(text: str, shown: str) -> None:
    assert cut(text, 3) == shown


@pytest.mark.parametrize(("names", "sentence"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_all_names_of_a_list_are_in_a_sentence(names: str, sentence: str) -> None:
    assert all_of(list(names)) == sentence


@pytest.mark.parametrize(("names", "sentence"), [("a", "a"), ("ab", "a, b"), ("abc", "a, b and 1 more")])
def test_of_a_long_list_the_first_names_are_in_a_sentence(names: str, sentence: str) -> None:
    assert first_of(list(names), 2) == sentence
    assert first_of(list("abc"), 2, " or ") == "a or b and 1 more"


@pytest.mark.parametrize(
    ("number", "many", "sentence"), [(0, "", "0 pods"), (1, "", "1 pod"), (2, "pods have", "2 pods have")]
)
def test_a_number_of_things_is_written_with_their_plural(number: int, many: str, sentence: str) -> None:
    assert plural(number, "pod", many) == sentence
