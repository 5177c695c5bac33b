"""Verdicts: which form fits a workload, and why."""

from enum import StrEnum

import msgspec


class VerdictKind(StrEnum):
    """What a verdict says."""

    UNKNOWN = "unknown"
    UNUSED = "not used"
    FEWER = "fewer GPUs"
    BATCH = "batch in one process"
    SLICE = "MIG slice"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"
    AS_IT_IS = "as it is"


class WorkloadVerdict(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What fits a workload, and why.

    Attributes:
        form: the form that fits; empty if the verdict names none.
        gpus: how many a pod needs, of that form.
        reasons: sentences.
        enough: forms of the same kind that are enough, the one that fits best first; empty unless it is a slice or shared.
        is_memory_unknown: all that is lacking is how much memory is needed.
        is_share_unknown: the form is that which the workload has, because it shares it and its own use is not known.
    """

    kind: VerdictKind
    form: str = ""
    gpus: int = 1
    reasons: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()
    is_memory_unknown: bool = False
    is_share_unknown: bool = False
