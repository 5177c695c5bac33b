"""An endpoint whose answer depends on how long the API server waits for it; the hot paths have none of this."""

import re
from collections.abc import Callable

from webhook.adapters.http.endpoint import Endpoint, Observer
from webhook.application.review import Answering

# What the API server waits where a configuration does not say (admissionregistration/v1 defaults: timeoutSeconds), and the
# most that one can say. Whoever asks otherwise (curl) waits as long.
DEFAULT_SECONDS = 10.0
MOST_SECONDS = 30.0
# apiserver pkg/admission/plugin/webhook/validating/dispatcher.go rounds up to whole seconds.
_TIMEOUT = re.compile(rb"(?:^|&)timeout=([0-9]{1,3})s(?:&|$)")


class TimedEndpoint(Endpoint):
    """Answers reviews by a function from bytes, and the seconds that are left for the answer, to bytes."""

    def __init__(self, path: str, answer: Callable[[bytes, float], Answering], observer: Observer) -> None:
        """Serve ``path``; otherwise as ``Endpoint``."""
        super().__init__(path, lambda body: answer(body, DEFAULT_SECONDS), observer)
        self._in_time = answer

    def _ask(self, body: bytes, query: bytes) -> Answering:
        return self._in_time(body, allowed_seconds(query))


def allowed_seconds(query: bytes) -> float:
    """How many seconds the API server waits, by its ``?timeout=2s``; the API's default where that is not said."""
    said = _TIMEOUT.search(query)
    return min(MOST_SECONDS, float(said[1])) if said else DEFAULT_SECONDS
