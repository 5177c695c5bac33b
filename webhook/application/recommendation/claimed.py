"""GPUs that a workload requests by claims (DRA): how many and in which form, or why that is not known."""

import msgspec

from ...engine.claims import Claimed, Claims
from ..claims import described

CLAIM = "claim"
"""Stands for the form of a claim, which is not known."""


class ClaimedGpus(msgspec.Struct, frozen=True):
    """What the claims of a pod request.

    Attributes:
        words: the requests, for people.
        gpus: how many GPUs or slices, as far as is known.
        form: of which form; ``CLAIM`` if that is not known.
        not_evaluated: why usage can't be compared with the request; empty if it can.
    """

    words: tuple[str, ...]
    gpus: int
    form: str
    not_evaluated: str = ""


def gpus_claimed(claims: Claims) -> ClaimedGpus | None:
    """Return the GPUs of a pod's claims; ``None`` if it has none. Access for administration holds no GPU."""
    asked = [one for one in claims.gpus if one.count != 0]
    if not asked:
        return None
    words = (*described(Claims(tuple(asked))), *(one.source for one in asked if one.by_name))
    forms = {str(each.form.as_listed) if each.form else CLAIM for one in asked for each in one.alternatives}
    why = next(filter(None, map(_not_evaluated, asked)), "")
    if not why and len(forms) > 1:
        why = f"its claims request GPUs of several forms ({', '.join(sorted(forms))})"
    form = CLAIM if why else forms.pop()
    return ClaimedGpus(words, sum(one.count or 0 for one in asked) or 1, form, why and f"requested by a claim: {why}")


def _not_evaluated(claimed: Claimed) -> str:
    if claimed.count is None:
        return f"{claimed.subject} requests all devices of a node, or an unknown number"
    if len(claimed.alternatives) > 1:
        ways = len(claimed.alternatives)
        return f"{claimed.subject} may be satisfied in {ways} ways, and gpuwarden does not read which one it got"
    way = claimed.alternatives[0]
    if way.form is None:
        return f"{claimed.subject}: the form that DeviceClass {way.device.device_class} hands out is not known"
    return ""
