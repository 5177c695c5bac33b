"""Assumptions: "what if this namespace had that policy", and which label's policy an audit applies."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum

import msgspec

from ..engine.namespace_labels import NamespaceLabels
from ..engine.policy import ANY, PolicyBook

# A namespace's name (RFC 1123 label), with * for any part of it.
_PATTERN = re.compile(r"[a-z0-9*](?:[-a-z0-9*]{0,61}[a-z0-9*])?")


class EvaluatedLabel(StrEnum):
    """The namespace label whose policy an audit applies."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


class AssumptionError(Exception):
    """Assumptions that can't be used; ``problems`` are sentences, one for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Assumption(msgspec.Struct, frozen=True):
    """A policy that is assumed instead of the label, for every namespace that the pattern matches."""

    pattern: str
    policy: str

    @property
    def exact(self) -> bool:
        """Whether the pattern is one namespace's name."""
        return "*" not in self.pattern

    @property
    def specific(self) -> tuple[bool, int]:
        """A sort key, the most specific last: a name after a pattern, then the pattern with more of the name in it."""
        return self.exact, len(self.pattern.replace("*", ""))

    def fits(self, namespace: str) -> bool:
        """Whether the pattern matches a namespace."""
        return re.fullmatch(".*".join(map(re.escape, self.pattern.split("*"))), namespace) is not None

    def __str__(self) -> str:
        return f"{self.pattern}={self.policy}"


def parse(texts: Iterable[str], policies: PolicyBook) -> tuple[Assumption, ...]:
    """Read ``NAMESPACE=POLICY`` texts; ``*`` stands for any part of a name (``team-*=shared``, ``*=mps``).

    Raises:
        AssumptionError: for all that can't be read or name no policy, each with the nearest that does.
    """
    parsed: dict[str, Assumption] = {}
    problems = []
    for text in texts:
        pattern, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not value:
            problems.append(
                f'"{text}" is not a valid assumption; write NAMESPACE=POLICY, such as team-a=mig-1g.5gb or *=shared'
            )
        elif not _PATTERN.fullmatch(pattern):
            problems.append(f'"{text}": "{pattern}" is neither a namespace\'s name nor a pattern such as team-*')
        elif policies.resolve(value) is None:
            problems.append(f'"{text}": {policies.nearest(value)}')
        elif parsed.setdefault(pattern, Assumption(pattern, value)).policy != value:
            problems.append(f'"{text}" contradicts "{parsed[pattern]}"; keep one')
    if problems:
        raise AssumptionError(problems)
    return tuple(parsed.values())


def unknown_names(assumptions: Iterable[Assumption], namespaces: Iterable[str]) -> list[str]:
    """A sentence for each assumption on a namespace that does not exist, with the most similar name that does."""
    names = list(namespaces)
    sentences = []
    for assumption in assumptions:
        if assumption.exact and assumption.pattern not in names:
            close = get_close_matches(assumption.pattern, names, n=1)
            meant = f'; did you mean "{close[0]}"?' if close else ""
            sentences.append(f'"{assumption}": there is no namespace "{assumption.pattern}"{meant}')
    return sentences


class AssumedLabels(Mapping[str, NamespaceLabels]):
    """The labels of namespaces as an audit applies them, with the policy in question as their ``enforce``.

    Args:
        known: the namespaces' own labels; a namespace that is not among them has none.
        policies: determines the policy of a namespace without the label.
        assumptions: used in place of labels. The most specific one that matches a namespace counts, and the last of equally
            specific ones.
        evaluated: the label whose policy is applied.
    """

    def __init__(
        self,
        known: Mapping[str, NamespaceLabels],
        policies: PolicyBook,
        assumptions: Iterable[Assumption] = (),
        evaluated: EvaluatedLabel = EvaluatedLabel.ENFORCE,
    ) -> None:
        self._known = known
        self._policies = policies
        self._assumptions = sorted(assumptions, key=lambda one: one.specific)
        self._evaluated = evaluated

    def __getitem__(self, namespace: str) -> NamespaceLabels:
        for assumption in reversed(self._assumptions):
            if assumption.fits(namespace):
                return NamespaceLabels(assumption.policy)
        labels = self._known.get(namespace, NamespaceLabels())
        if self._evaluated is EvaluatedLabel.ENFORCE:
            return labels
        value = getattr(labels, self._evaluated) or getattr(self._policies.defaults, self._evaluated)
        # A label of these that can't be read counts as "any" (PolicyBook.select), where a bad enforce label denies.
        return NamespaceLabels(value if value and self._policies.resolve(value) else ANY)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
