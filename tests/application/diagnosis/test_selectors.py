"""Label selectors select what the API server's do."""

from typing import Any

import msgspec
import pytest

from webhook.application.diagnosis.selectors import Selector

LABELS = {"tier": "gpu", "team": "vision"}


def requirement(operator: str, *values: str, key: str = "tier") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "gpu"}}, True),
        ({"matchLabels": {"tier": "gpu", "team": "audio"}}, False),
        ({"matchLabels": {"missing": ""}}, False),
        (requirement("In", "gpu", "cpu"), True),
        (requirement("In", "cpu"), False),
        (requirement("In", "gpu", key="missing"), False),
        (requirement("NotIn", "cpu"), True),
        (requirement("NotIn", "gpu"), False),
        (requirement("NotIn", "gpu", key="missing"), True),
        (requirement("Exists"), True),
        (requirement("Exists", key="missing"), False),
        (requirement("DoesNotExist"), False),
        (requirement("DoesNotExist", key="missing"), True),
        ({**requirement("Exists"), "matchLabels": {"team": "audio"}}, False),
    ],
)
def test_each_operator(selector: dict[str, Any], selects: bool) -> None:  # noqa: FBT001 - the table's own answer
    read = msgspec.convert(selector, Selector)
    assert read.selects(LABELS) is selects
    assert read.is_empty is (selector == {})
