"""An endpoint whose answer depends on how long the API server waits for it; the hot paths have none of this."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

from webhook.adapters.http.endpoint import Endpoint, Observer
from webhook.application.review import Answering

# What the API server waits where a configuration does not say (admissionregistration/v1 defaults: timeoutSeconds), and the
# most that one can say. Whoever asks otherwise (curl) waits as long.
DEFAULT_SECONDS = 10.0
MOST_SECONDS = 30.0
# A Go duration (time.Duration.String): "5s", "4.999987654s", "999.5ms", "1m30s".
_PART = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|μs|ns)")
# Longer than any that Go writes ("2562047h47m16.854775807s"): reading what a stranger made of digits could take minutes.
_LONGEST = 64
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}


class TimedEndpoint(Endpoint):
    """Answers reviews by a function from bytes, and the seconds that are left for the answer, to bytes."""

    def __init__(self, path: str, answer: Callable[[bytes, float], Answering], observer: Observer) -> None:
        """Serve ``path``; otherwise as ``Endpoint``."""
        super().__init__(path, lambda body: answer(body, DEFAULT_SECONDS), observer)
        self._in_time = answer

    def _ask(self, body: bytes, query: bytes) -> Answering:
        return self._in_time(body, allowed_seconds(query))


def allowed_seconds(query: bytes) -> float:
    """How long the API server waits, by its ``?timeout=2s`` (apiserver pkg/admission/plugin/webhook/validating/dispatcher.go).

    Args:
        query: the query string.

    Returns:
        Seconds; the API's default where nothing, or nothing readable, is said.
    """
    said = parse_qs(query.decode("ascii", "replace")).get("timeout", [""])[-1]
    parts = list(_PART.finditer(said)) if len(said) <= _LONGEST else []
    if not parts or "".join(part[0] for part in parts) != said:
        return DEFAULT_SECONDS
    return min(MOST_SECONDS, sum(float(part[1]) * _UNITS[part[2]] for part in parts))
