"""The conclusions from one observation for the tokens in paths: which are accepted, which the configurations should carry.

A token is written only when every replica accepts it already. The configurations carry the token of the *oldest* CA that
is still trusted. When the last serving certificate of that CA has expired, every replica that serves has one of a later CA,
so it has read the Secret that holds that CA, and knows its token. Then they get the token of the current CA, and the older one
is accepted until no configuration has carried it for the propagation time.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .tokens import path_of, token_of, with_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .observation import Observation
    from .secret import Authorities
    from .settings import RotationSettings
    from .store import RegisteredWebhooks

_EVERYWHERE = "every path carries a token"


def carried_tokens(configurations: Iterable[RegisteredWebhooks]) -> list[str]:
    """The token of every webhook; empty if its path has none."""
    return [token_of(name, target) for each in configurations for name, target in each.targets.items()]


def signs(configurations: Iterable[RegisteredWebhooks], accepted: Iterable[str]) -> Iterator[str]:
    """Yield the facts that are true of the paths now; `Observation.trusted_for` has how long each has been true."""
    carried = carried_tokens(configurations)
    if all(carried):
        yield _EVERYWHERE
    yield from (_nowhere(token) for token in accepted if token not in carried)


def _nowhere(token: str) -> str:
    return f"no path carries {token}"


class TokenFacts:
    """The part of an observation that concerns tokens."""

    def __init__(self, observation: Observation, stored: Authorities, settings: RotationSettings) -> None:
        self._observation = observation
        self._stored = stored
        self._settings = settings
        self._carried = carried_tokens(observation.configurations)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Tokens that are in use, and that the Secret does not hold: it was deleted, or is an older one.

        A token is in use if every path carries it, or if one path carries it and this replica has accepted it.
        """
        carried = dict.fromkeys(filter(None, self._carried))
        lost = [token for token in carried if token not in self._stored.tokens]
        everywhere = set(self._carried) == set(lost)
        return tuple(token for token in lost if token in self._observation.accepted or (everywhere and len(lost) == 1))

    @property
    def accepted(self) -> tuple[str, ...]:
        """The tokens that this replica accepts."""
        return tuple(dict.fromkeys((*self._stored.tokens, *self.unknown)))

    @property
    def admits_plain_paths(self) -> bool:
        """Whether an API server may still use a configuration whose paths carry no token."""
        return not all(self._carried) or not self._lasts(_EVERYWHERE)

    @property
    def may_be_forgotten(self) -> bool:
        """Whether the tokens of CAs that are no longer trusted are no longer needed."""
        previous = self._stored.previous_tokens
        return bool(previous) and self._has_passed and all(self._lasts(_nowhere(token)) for token in previous)

    def corrections(self, configuration: RegisteredWebhooks) -> dict[str, str]:
        """Return the corrected targets of the webhooks of a configuration, by their names."""
        wanted = self._wanted
        # An unknown token goes into the Secret first, for the other replicas to know.
        if not configuration.tokened or not wanted or self.unknown:
            return {}
        correct = {n: with_token(n, target, wanted) for n, target in configuration.targets.items() if path_of(n)}
        return {name: target for name, target in correct.items() if target != configuration.targets[name]}

    @property
    def _wanted(self) -> str:
        previous, signers = self._stored.previous_tokens, self._stored.signer_tokens
        if previous and not (self._has_passed and signers):
            return previous[-1]
        return signers[0] if signers else ""

    @property
    def _has_passed(self) -> bool:
        """Whether everything signed by an earlier CA has expired, by anyone's clock."""
        until = self._stored.previous_until
        return until is not None and self._observation.now >= until + self._settings.clock_skew

    def _lasts(self, sign: str) -> bool:
        lasted = self._observation.trusted_for.get(sign)
        return lasted is not None and lasted >= self._settings.propagation
