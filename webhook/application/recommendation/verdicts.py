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
        enough: slices or forms of sharing that are enough, the one that fits best first.
        is_memory_unknown: all that is lacking is how much memory is needed.
        is_need_unknown: the form is that which the workload has, and how much it needs is not known: its own use of a shared
            GPU is not measured, or its slice is full.
    """

    kind: VerdictKind
    form: str = ""
    gpus: int = 1
    reasons: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()
    is_memory_unknown: bool = False
    is_need_unknown: bool = False
