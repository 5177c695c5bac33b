"""Pieces of CEL: what the requirements on a node's labels let through.

The requirements of a pod are lists of ``{key, operator, values}``, one list for each alternative of its node affinity. Mirrors
Label in webhook/engine/node_constraints.py, for labels whose values are no numbers.
"""

from collections.abc import Sequence
from textwrap import indent

from webhook.engine.cel import quoted


def admits(alternative: str, key: str, value: str) -> str:
    """Whether a node with this value of the label can be chosen. The arguments are CEL."""
    chosen = f"e.operator == 'In' ? {value} in e.values : e.operator == 'NotIn' ? !({value} in e.values) : e.operator == 'Exists'"
    return f"{alternative}.all(e, e.key != {key} || ({chosen}))"


def admits_none(alternative: str, key: str) -> str:
    """Whether a node without the label can be chosen."""
    return f"{alternative}.all(e, e.key != {key} || e.operator in ['NotIn', 'DoesNotExist'])"


def has_bounds(alternative: str, key: str) -> str:
    """Whether a label's values are compared as numbers, which is left to the engine."""
    return f"{alternative}.exists(e, e.key == {key} && e.operator in ['Gt', 'Lt'])"


def says_shared(alternative: str, key: str, shared: Sequence[str], unshared: Sequence[str] = ()) -> str:
    """Whether only nodes can be chosen whose label has one of the values that mean sharing."""
    no_other = [
        f"!{admits_none(alternative, key)}",
        *(f"!{admits(alternative, key, quoted(value))}" for value in unshared),
    ]
    any_of = " ||\n".join(admits(alternative, key, quoted(value)) for value in shared)
    return " &&\n".join([*no_other, f"({any_of})"])


def every_alternative(condition: str) -> str:
    """Whether a condition on ``a`` holds whichever alternative the scheduler takes."""
    return f"variables.alternatives.all(a,\n{indent(condition, '  ')})"
