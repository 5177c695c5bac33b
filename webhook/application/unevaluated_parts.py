"""The parts of an object that are not evaluated although its pods are."""

import msgspec


class UnevaluatedPart(msgspec.Struct, frozen=True):
    """A part that is not evaluated.

    Attributes:
        path: the field, or the first of several; empty for the whole object.
        text: what it is and why it is not evaluated, a sentence for people.
    """

    path: str
    text: str
