"""Label selectors, matched as the API server matches them (apimachinery, ``LabelSelectorAsSelector``)."""

from collections.abc import Mapping

import msgspec


class Requirement(msgspec.Struct):
    """One ``matchExpressions`` entry."""

    key: str
    operator: str
    values: list[str] | None = None

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; ``NotIn`` is satisfied by a label that is missing."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value is None or value not in (self.values or ())
            case "Exists":
                return value is not None
            case _:
                return value is None


class Selector(msgspec.Struct, rename="camel"):
    """A label selector; an empty one selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Requirement] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it selects everything."""
        return not self.match_labels and not self.match_expressions

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects an object with these labels."""
        return all(labels.get(key) == value for key, value in (self.match_labels or {}).items()) and all(
            requirement.admits(labels) for requirement in self.match_expressions or ()
        )
