"""The parts of an object that are not judged although its pods are."""

import msgspec


class Aside(msgspec.Struct, frozen=True):
    """A part that is not judged.

    Attributes:
        path: the field, or the first of several; empty for the whole object.
        text: what it is and why it is not judged, a sentence for people.
    """

    path: str
    text: str
