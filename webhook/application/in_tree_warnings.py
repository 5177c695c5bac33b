"""The warnings about pods of the common case, as CEL: about the final pod, in the same words as the webhooks'."""

from collections.abc import Iterator

from ..engine import cel
from ..engine.common_case import Circumstance, CommonCase, RequestPattern, Sentence
from ..engine.common_case_requests import named_by, requested
from .in_tree_facts import CONTAINER, IS_DENIED, by_pattern, count, denials, sentence_in_cel

_NO_HOST_IPC = "(!has(object.spec.hostIPC) || !object.spec.hostIPC)"


def _mounts_shm(container: str) -> str:
    """Whether a container has a mount whose path is ``/dev/shm``, as ``hostpaths.cleaned`` reads paths without dots."""
    mounts = f"{container}.volumeMounts"
    return f"has({mounts}) && {mounts}.exists(mount, mount.mountPath.matches('^/*dev/+shm/*$'))"


def _warned(case: CommonCase) -> list[RequestPattern]:
    """The patterns, without warnings where such a pod is still to be rewritten: it is denied as it is."""
    return [RequestPattern(each.resource) if each.respells else each for each in case.patterns]


def may_be_warned(case: CommonCase) -> str:
    """CEL that holds for every pod of the common case that users are warned of, and for few others."""
    warned = _warned(case)
    several = dict.fromkeys(
        f"{named_by(each)} && c.resources.limits[{cel.quoted(each.resource)}] != '1'"
        for each in warned
        if Circumstance.SEVERAL in each.warnings
    )
    quick = {
        Circumstance.SEVERAL: requested(*several),
        Circumstance.NO_HOST_IPC: _NO_HOST_IPC,
        Circumstance.SHM: f"object.spec.containers.exists(c, {_mounts_shm('c')})",
    }
    return " ||\n".join(quick[one] for one in Circumstance if any(one in each.warnings for each in warned))


def warnings(case: CommonCase) -> Iterator[tuple[str, str, str]]:
    """The warnings, in the order of the rules: a name, the sentences, and the rule's id, as CEL."""
    for circumstance in Circumstance:
        sentences = [each.warnings.get(circumstance) for each in _warned(case)]
        rules = [cel.quoted(each.rule) for each in sentences if each]
        if rules:
            said = by_pattern([_said(circumstance, each, count(case)) if each else cel.EMPTY for each in sentences])
            unless_denied = f"{IS_DENIED} ? {cel.EMPTY} :\n" if any(denials(case)) else ""
            yield circumstance.value, f"{unless_denied}{said}", rules[0]


def _said(circumstance: Circumstance, sentence: Sentence, written: str) -> str:
    """The sentences of a pattern in a circumstance."""
    said = sentence_in_cel(sentence, name=f"{CONTAINER}.name", count=written)
    which = {
        Circumstance.SEVERAL: f"{written} != '1'",
        Circumstance.NO_HOST_IPC: f"{_NO_HOST_IPC} && i == variables.gpus[0]",
        Circumstance.SHM: _mounts_shm(CONTAINER),
    }
    return f"variables.gpus.filter(i, {which[circumstance]}).map(i, {said})"
