"""Problems with labels and annotations: values that name no policy, mistyped keys, and keys in the wrong place."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from itertools import islice

from .namespace_labels import AUDIT, DOMAIN, ENFORCE, WARN, NamespaceLabels
from .policy import LabelProblem, PolicyBook
from .text import LONGEST_NAME

Strings = Mapping[str, str] | None

_OURS = {"enforce": ENFORCE, "warn": WARN, "audit": AUDIT}
# The maximum number of labels and annotations that are compared with gpuwarden's. Each takes about 50 microseconds.
_MOST = 500
# On the scale of difflib. Ours with one letter wrong is 0.91 like ours; garden.io and warden.io 0.84, kubewarden.io 0.78.
_DOMAIN_ALIKE = 0.85
_NAME_ALIKE = 0.7
_SQUASHED_DOMAIN = "gpuwardenio"
# Texts of different lengths n and m have a ratio of at most 2 * min(n, m) / (n + m), whatever their letters.
_DOMAIN_LENGTHS = range(9, 15)
_LONGEST_ALIKE = 13
_PRODUCT = "gpuwarden"
_PUNCTUATION = bytes(code for code in range(128) if not chr(code).isalnum())
_SEPARATOR = re.compile(r"[./_-]")


def intended(key: str) -> str | None:
    """The label that a key was probably meant to be.

    Returns:
        One of our three labels; an empty string for a key of our domain that resembles none of them; ``None`` for other keys.
        ``pod-security.kubernetes.io/enforce`` and ``kubewarden.io/enforce`` are not gpuwarden's.
    """
    return _intended(key) if len(key) <= LONGEST_NAME else None


@lru_cache(maxsize=4096)
def _intended(key: str) -> str | None:
    domain, _, name = key.rpartition("/")
    if domain == DOMAIN:
        return _alike(_squashed(name)) or ""
    squashed = _squashed(key)
    if squashed == _SQUASHED_DOMAIN:  # gpuwarden.io
        return ""
    # enforcegpuwarden.io, nvidia.com/gpuwarden.enforce, gpuwardn.io.enforce
    whole = (label for mode, label in _OURS.items() if mode in squashed and _is_near(squashed.replace(mode, "", 1)))
    if meant := next(whole, None):
        return meant
    if (
        squashed.startswith(_PRODUCT)
        and "/" not in key
        and (meant := _alike(squashed.removeprefix(_PRODUCT).removeprefix("io")))
    ):
        return meant  # gpuwardenenfroce, gpuwarden.io.enfroce
    return next(
        filter(None, (_alike(_squashed(mode)) for near, mode in _halves(key) if _is_near(_squashed(near)))), None
    )


def _halves(key: str) -> Iterator[tuple[str, str]]:
    """A key split at its slash, and at its first and last separator, each in both orders: ``enfroce.gpuwarden.io``."""
    separators = [found.start() for found in _SEPARATOR.finditer(key)]
    for at in dict.fromkeys([*separators[:1], *separators[-1:], key.rfind("/")]):
        if at >= 0:
            left, right = key[:at], key[at + 1 :]
            yield left, right
            yield right, left


def of_namespace(book: PolicyBook, labels: Strings, annotations: Strings = None) -> tuple[LabelProblem, ...]:
    """All problems with the labels and annotations of a namespace."""
    own = NamespaceLabels.of(labels)
    written = {f"metadata.labels[{key}]" for key in _OURS.values() if key in (labels or {})}
    unreadable = (problem for problem in book.select(own).problems if problem.path in written)
    return (*unreadable, *ignored(labels, annotations))


def relevant(entries: Strings) -> dict[str, str]:
    """The labels or annotations that are gpuwarden's, or look like them."""
    return {key: value for key, value in (entries or {}).items() if intended(key) is not None}


def ignored(labels: Strings, annotations: Strings) -> Iterator[LabelProblem]:
    """The labels and annotations of a namespace that look like ours and that gpuwarden does not read, among the first few."""
    for key, value in islice((labels or {}).items(), _MOST):
        meant = None if key in _OURS.values() else intended(key)
        if meant is not None:
            remedy = f'did you mean "{meant}"?' if meant else f"it reads {', '.join(_OURS.values())}"
            message = f"gpuwarden does not read this label, so it has no effect; {remedy}"
            yield LabelProblem(f"metadata.labels[{key}]", value, message, ignored=True)
    for key, value in islice((annotations or {}).items(), _MOST):
        if meant := intended(key):
            message = (
                f'gpuwarden reads labels, not annotations, so this annotation has no effect; set the label "{meant}"'
            )
            yield LabelProblem(f"metadata.annotations[{key}]", value, message, ignored=True)


def misplaced(labels: Strings, annotations: Strings, kind: str, prefix: str = "") -> Iterator[LabelProblem]:
    """Labels and annotations for namespaces that are set on another kind of object.

    ``prefix`` is the path of the object that has them, with a dot at the end, such as ``spec.template.``.
    """
    for section, entries in (("labels", labels), ("annotations", annotations)):
        for key, value in (entries or {}).items():
            if meant := intended(key):
                message = (
                    f'it has no effect on a {kind}; gpuwarden reads the label "{meant}" of namespaces; set it there'
                )
                yield LabelProblem(f"{prefix}metadata.{section}[{key}]", value, message, ignored=True)


def _squashed(text: str) -> str:
    return text.lower().encode("ascii", "ignore").translate(None, _PUNCTUATION).decode()


def _alike(name: str) -> str | None:
    """Our label whose name differs from this by a letter or two, or by a suffix."""
    for mode, key in _OURS.items():
        if name.startswith(mode):
            return key
    if len(name) > _LONGEST_ALIKE:
        return None
    close = get_close_matches(name, _OURS, n=1, cutoff=_NAME_ALIKE)
    return _OURS[close[0]] if close else None


def _is_near(domain: str) -> bool:
    """Whether a domain, without punctuation, looks like ours: ``gpu-warden.io``, ``gpuwarden.k8s.io``, ``gpuwarder.io``."""
    if _PRODUCT in domain or len(domain) not in _DOMAIN_LENGTHS:
        return _PRODUCT in domain
    return SequenceMatcher(None, domain, _SQUASHED_DOMAIN).ratio() >= _DOMAIN_ALIKE
