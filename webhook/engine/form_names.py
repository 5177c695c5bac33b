"""Requested forms in messages: the policy value that names exactly that form, otherwise the pod's own labels."""

from collections.abc import Sequence

from .forms import Form, Platform, parse
from .node_constraints import ABSENT, NodeConstraints
from .products import PRODUCT
from .spelling import (
    COMPUTE_SLICES,
    GKE_KEYS,
    GPU_SLICES,
    MIG_CONFIG,
    MPS_CAPABLE,
    SLICE_LABELS,
    STRATEGY,
    replicas_label,
    strategy_label,
)

_MOST_NAMED = 2


def named(stated: Sequence[Form], nodes: NodeConstraints) -> str | None:
    """The policy values that name the stated forms, as in ``mig-1g.5gb`` or ``mig-1g.5gb or mig-2g.10gb``.

    Returns:
        ``None`` if labels do not identify one form: a client count without a strategy, a number of slices that many
        profiles have, a value that no node has.
    """
    values = [str(form) for form in stated]
    if len(values) <= _MOST_NAMED and all(map(parse, values)):
        return " or ".join(values)
    # Without such labels, the resource's name identifies the first one.
    return None if written(stated, nodes) else values[0]


def written(stated: Sequence[Form], nodes: NodeConstraints) -> str:
    """The pod's labels that identify the form; empty if there are none.

    With no form ``stated``, these are the labels that could name one and do not.
    """
    if not stated:
        keys = [key for key in (*GKE_KEYS, STRATEGY, GPU_SLICES, COMPUTE_SLICES) if not nodes.permits(key, ABSENT)]
    elif stated[0].platform is Platform.GKE:
        keys = [*GKE_KEYS]
    else:
        partitions = dict.fromkeys((stated[0].partition, None))
        sharing = [label(each) for label in (strategy_label, replicas_label) for each in partitions]
        keys = [*sharing, MPS_CAPABLE, PRODUCT, *SLICE_LABELS, MIG_CONFIG]
    return ", ".join(
        f"{key}: {nodes.selector[key]}" if key in nodes.selector else f"node affinity on {key}"
        for key in keys
        if nodes.mentions(key)
    )
