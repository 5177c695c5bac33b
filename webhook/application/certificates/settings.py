"""The lifetimes of certificates, and the margins of their rotation."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """The lifetimes of certificates, and the clock differences and propagation delays that are allowed for.

    Attributes:
        ca_lifetime: Of a CA; its successor is published at two thirds of it.
        leaf_lifetime: Of a serving certificate; it is renewed at two thirds of it.
        clock_skew: The maximum difference between the clocks of any two machines. Certificates are backdated by it, and
            twice as much is waited before an old CA is dropped.
        propagation: How long every bundle must have carried a CA before a replica uses it: every API
            server follows the webhook configurations by a watch, a moment behind what is stored.

    Raises:
        ValueError: When the lifetimes leave no room for a rotation.
    """

    ca_lifetime: timedelta = timedelta(days=365)
    leaf_lifetime: timedelta = timedelta(days=7)
    clock_skew: timedelta = timedelta(minutes=10)
    propagation: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if min(self.clock_skew, self.propagation) < timedelta():
            raise ValueError("the clock skew and the propagation time cannot be negative")
        if self.leaf_lifetime <= timedelta() or self.leaf_lifetime < 4 * max(self.clock_skew, self.propagation):
            raise ValueError(
                f"a leaf lifetime of {self.leaf_lifetime} is too short; give at least four times the clock skew "
                f"({self.clock_skew}) and the propagation time ({self.propagation})"
            )
        if self.ca_lifetime < 3 * self.leaf_lifetime:
            raise ValueError(
                f"a CA lifetime of {self.ca_lifetime} is too short; give at least three times the leaf lifetime "
                f"({self.leaf_lifetime})"
            )

    @property
    def retention(self) -> timedelta:
        """How long a CA stays trusted after its last signature: a leaf's lifetime, plus twice the clock skew."""
        return self.leaf_lifetime + 2 * self.clock_skew
